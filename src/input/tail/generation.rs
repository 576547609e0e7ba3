//! A generation: a file's life between truncations, wherever its bytes are now.
//!
//! Is: what the tailer knows of one file. In: facts. Out: its source, its position. Promises: its id is drawn once
//! and stays over renames, restarts and compression. On failure: nothing can fail here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compressed::Archive;
use super::identity::{Identity, Inode, Marker};
use super::lag::Unread;
use super::trail::Trail;
use crate::chunk::Position;
use crate::event::{Key, Literal, Source, SourceKind};
use crate::storage::{File, FileFacts};

/// How long a file without a name is looked for at least, and how many times.
const SEARCH_NS: u64 = 30_000_000_000;
const SEARCHES_MIN: u32 = 6;
/// Pause after the first search; it doubles up to the longest.
const SEARCH_FIRST_NS: u64 = 50_000_000;
const SEARCH_PAUSE_MAX_NS: u64 = 5_000_000_000;
/// How long the file system of a file is waited for: seven days. Positions are not kept for ever for what never comes
/// again.
const AWAY_NS: u64 = 7 * 24 * 3_600_000_000_000;

/// The open file of a generation.
pub enum Body {
    /// As it is.
    Plain(Box<dyn File>),
    /// Through decompression.
    Archive(Box<Archive>),
}

impl Body {
    /// Reads at an offset of the content; 0 at the end.
    pub fn read_at(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Body::Plain(file) => file.read_at(buffer, offset),
            Body::Archive(archive) => archive.read_at(buffer, offset),
        }
    }

    /// Appends up to `limit` bytes at `offset` to `buffer`.
    pub fn append(&mut self, buffer: &mut Vec<u8>, limit: usize, offset: u64) -> io::Result<usize> {
        let Body::Archive(archive) = self else {
            let Body::Plain(file) = self else { return Ok(0) };
            return file.append_at(buffer, limit, offset);
        };
        let start = buffer.len();
        buffer.resize(start + limit, 0);
        let mut filled = 0;
        // What was decompressed before a wound is kept; the next read meets the error again.
        let result = loop {
            match archive.read_at(&mut buffer[start + filled..], offset + filled as u64) {
                Ok(0) => break Ok(filled),
                Ok(n) if filled + n == limit => break Ok(limit),
                Ok(n) => filled += n,
                Err(_) if filled > 0 => break Ok(filled),
                Err(why) => break Err(why),
            }
        };
        buffer.truncate(start + result.as_ref().map_or(0, |n| *n));
        result
    }

    /// Facts of the open file.
    pub fn facts(&self) -> io::Result<FileFacts> {
        match self {
            Body::Plain(file) => file.facts(),
            Body::Archive(archive) => archive.file().facts(),
        }
    }
}

/// What the journal knew of a file before it was found again.
#[derive(Clone, Copy, Debug)]
pub struct Awaited {
    /// Bytes that it was seen to have.
    pub size: u64,
    /// Its last modification as last seen, nanoseconds since the epoch.
    pub modified_ns: i64,
    /// The machine's run in which that was so.
    pub boot: u64,
}

/// The search for a file that has no name: one look at a folder in the middle of a rotation proves nothing.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    /// When it began, in elapsed nanoseconds.
    pub began: u64,
    /// Since when the folder could be listed and its file system was there.
    pub since: u64,
    /// How often the folder was listed, or could not be.
    pub tries: u32,
    /// Whether it could be listed the last time.
    pub listed: bool,
    /// Whether its file system was away the last time.
    pub away: bool,
    /// When it is listed next.
    pub due: u64,
}

/// One file's life between truncations.
#[allow(clippy::struct_excessive_bools)] // Facts that do not depend on one another.
pub struct Generation {
    /// Drawn once.
    pub id: u64,
    /// The file that holds its bytes.
    pub inode: Inode,
    /// Checks of its content up to `offset`.
    pub marker: Marker,
    /// Points behind `offset`.
    pub trail: Trail,
    /// Bytes handed on (decompressed ones of an archive).
    pub offset: u64,
    /// Size as last seen; for an archive, of the compressed file.
    pub size: u64,
    /// Last modification as last seen, nanoseconds since the epoch.
    pub modified_ns: i64,
    /// When it was first seen, in the file system's time: what was born and written later is a later generation.
    pub since_ns: i64,
    /// What the journal knew of a file that was not found again yet.
    pub awaited: Option<Awaited>,
    /// Where reading begins once its file is known by its marker, if that is before `offset`.
    pub rewind: Option<u64>,
    /// Where it stands in the search for a file that has no name.
    pub search: Option<Box<Search>>,
    /// Unread bytes as they stand in the metric.
    pub counted_lag: u64,
    /// Since when there are unread bytes.
    pub unread: Option<Unread>,
    /// Its bytes are compressed now.
    pub compressed: bool,
    /// The position is within a line that is handed on in pieces.
    pub inside: bool,
    /// Everything before `offset` was a hole (NUL bytes) or nothing.
    pub blank: bool,
    /// The path under which it was first seen.
    pub label: Arc<Path>,
    /// The last path it was seen at.
    pub last: Arc<Path>,
    /// Where the link leads that it was lost from: the rest of it may be there.
    pub home: Option<Arc<Path>>,
    /// Where it is now; empty: only an open descriptor holds it, or nothing.
    pub names: Vec<Arc<Path>>,
    /// Its file, where it is open.
    pub body: Option<Body>,
    /// Made when it is read, and dropped when it rests.
    pub source: Option<Arc<Source>>,
    /// Bytes up to here hold no line feed after `offset`.
    pub scanned: u64,
    /// When an unfinished line was last seen to grow.
    pub partial_since: Option<u64>,
    /// When the end was reached (since the last growth).
    pub end_at: Option<u64>,
    /// It left its path: renamed, removed, or its file was truncated.
    pub left: bool,
    /// Its end was reached after it left its path, or before without unread bytes: successors may go on.
    pub finished: bool,
    /// Its file has no bytes of it any more and no copy was found.
    pub lost: bool,
    /// Not read before this one is finished.
    pub after: Option<u64>,
    /// Its content was compared since it last grew, while the pipeline took nothing.
    pub held: bool,
    /// It is in the queue of readable ones.
    pub queued: bool,
    /// Its position was sent.
    pub announced: bool,
    /// The position that was sent last holds a marker of its content.
    pub proved: bool,
    /// No decoder knows it: nothing was handed on yet, or it was told that the file ended (for now).
    pub closed: bool,
    /// Next try after an error, and how many there were.
    pub retry: Option<(u64, u32)>,
    /// When its timer fires; `None`: not set.
    pub timer: Option<u64>,
    /// Paths that hold copies of it, and the files that were there: another one may come to such a path.
    pub copies: Vec<(Arc<Path>, Inode)>,
}

impl Generation {
    /// A file seen for the first time.
    pub fn new(id: u64, facts: &FileFacts, label: Arc<Path>) -> Self {
        Generation {
            id,
            inode: Inode::from(facts),
            marker: Marker::default(),
            trail: Trail::default(),
            offset: 0,
            size: facts.size,
            modified_ns: facts.modified_ns,
            since_ns: facts.born_ns.max(facts.modified_ns),
            awaited: None,
            rewind: None,
            search: None,
            counted_lag: 0,
            unread: None,
            compressed: false,
            inside: false,
            blank: true,
            last: Arc::clone(&label),
            label,
            home: None,
            names: Vec::new(),
            body: None,
            source: None,
            scanned: 0,
            partial_since: None,
            end_at: None,
            left: false,
            finished: false,
            lost: false,
            after: None,
            held: false,
            queued: false,
            announced: false,
            proved: false,
            closed: true,
            retry: None,
            timer: None,
            copies: Vec::new(),
        }
    }

    /// A file known from the journal.
    pub fn restored(position: &Position, identity: Identity) -> Self {
        let facts = FileFacts { size: position.offset, ..FileFacts::default() };
        let label: Arc<Path> = identity.label.into();
        Generation {
            inode: identity.inode,
            marker: identity.marker,
            trail: identity.trail,
            offset: position.offset.max(identity.marked),
            rewind: (position.offset < identity.marked).then_some(position.offset),
            compressed: identity.compressed,
            inside: identity.inside,
            blank: position.offset == 0,
            announced: true,
            proved: identity.marked > 0,
            last: identity.path.into(),
            since_ns: identity.since_ns,
            awaited: Some(Awaited {
                size: identity.size.max(position.offset),
                modified_ns: identity.modified_ns,
                boot: identity.boot,
            }),
            ..Generation::new(position.key, &facts, label)
        }
    }

    /// Where reading goes on, for the journal. It is new until it tells of content: what an output has seen must be
    /// known again by more than a name, which a power cut, a copy and a compression could leave to another file.
    pub fn position(&mut self, input: &str, boot: u64) -> Position {
        let announced = std::mem::replace(&mut self.announced, true);
        let proved = std::mem::replace(&mut self.proved, self.offset > 0);
        let new = !announced || (self.proved && !proved);
        let path: PathBuf = self.names.first().unwrap_or(&self.last).to_path_buf();
        let identity = Identity {
            inode: self.inode,
            marker: self.marker,
            compressed: self.compressed,
            inside: self.inside,
            label: self.label.to_path_buf(),
            path,
            since_ns: self.since_ns,
            modified_ns: self.written_ns(),
            size: if self.compressed { 0 } else { self.bytes() },
            marked: self.offset,
            boot,
            trail: self.trail.clone(),
        };
        let offset = self.rewind.unwrap_or(self.offset);
        Position { key: self.id, offset, identity: identity.encode(input), new }
    }

    /// Its last modification as far as it is known, nanoseconds since the epoch.
    pub fn written_ns(&self) -> i64 {
        self.modified_ns.max(self.awaited.map_or(0, |awaited| awaited.modified_ns))
    }

    /// Plans the next search for a file that has no name; often at first, as a rotation takes no time. While the folder
    /// cannot be listed, or its file system is away, the time for which it is looked for begins anew.
    pub fn search_again(&mut self, now: u64, listed: bool, away: bool) -> u64 {
        let (began, since, tries) = self
            .search
            .as_ref()
            .map_or((now, now, 0), |search| (search.began, search.since, search.tries));
        let since = if listed && !away { since } else { now };
        let pause = (SEARCH_FIRST_NS << tries.min(16)).min(SEARCH_PAUSE_MAX_NS);
        let due = now + pause;
        self.search = Some(Box::new(Search { began, since, tries: tries + 1, listed, away, due }));
        due
    }

    /// Whether its file system was away when it was looked for last.
    pub fn is_away(&self) -> bool {
        self.search.as_ref().is_some_and(|search| search.away)
    }

    /// Whether its file system would be waited for, if it were away.
    pub fn may_come_back(&self, now: u64) -> bool {
        self.search.as_ref().is_none_or(|search| now < search.began.saturating_add(AWAY_NS))
    }

    /// Whether it was looked for long and often enough.
    pub fn is_searched(&self, now: u64) -> bool {
        self.search.as_ref().is_some_and(|search| {
            search.tries >= SEARCHES_MIN && now >= search.since.saturating_add(SEARCH_NS)
        })
    }

    /// Bytes that it is known to have had.
    pub fn bytes(&self) -> u64 {
        self.size.max(self.awaited.map_or(0, |awaited| awaited.size))
    }

    /// Its source, made at first need.
    pub fn source(&mut self, input: &Arc<str>, fields: &[(Key, Literal)]) -> Arc<Source> {
        let made = self.source.get_or_insert_with(|| {
            Arc::new(Source {
                id: self.id,
                input: Arc::clone(input),
                kind: SourceKind::File { generation: self.id },
                fields: with_path(fields, &self.label),
            })
        });
        Arc::clone(made)
    }

    /// Unread bytes as of the last look; unknown (0) for an archive.
    pub fn lag(&self) -> u64 {
        if self.compressed || self.lost { 0 } else { self.size.saturating_sub(self.offset) }
    }
}

// The given fields and `log.file.path`; a `log` of the user's own gets the path put in. Decoders add `log.offset` to
// each event's copy, so that one of the user's own gives way.
fn with_path(fields: &[(Key, Literal)], label: &Path) -> Vec<(Key, Literal)> {
    let path = Literal::Str(label.to_string_lossy().into_owned());
    let file = ("file".to_string(), Literal::Object(vec![("path".to_string(), path)]));
    let mut fields = fields.to_vec();
    match fields.iter_mut().find(|(key, _)| *key == Key::LOG) {
        Some((_, Literal::Object(entries))) => {
            entries.retain(|(name, _)| name != "file" && name != "offset");
            entries.push(file);
        }
        Some((_, other)) => *other = Literal::Object(vec![file]),
        None => fields.push((Key::LOG, Literal::Object(vec![file]))),
    }
    fields
}
