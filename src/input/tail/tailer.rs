//! The tailer: a state machine over files, driven by wakes and time.
//!
//! Is: all that one `file` input knows, owned by one thread. In: [`Wake`]s (what may have changed) and the clock.
//! Out: chunks. Promises: no thread, no lock and no inotify in here, so that a simulation can run it; an idle file
//! is a row in a table: no descriptor, no timer, no look except the slow rescan. On failure: a file that cannot be
//! read is tried again with back-off and named in [`Tailer::problem`]; all others go on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::counts::Counts;
use super::generation::Generation;
use super::identity::Inode;
use super::reader::{self, Turn};
use super::settings::Settings;
use super::tables::{HashMap, HashSet};
use super::unread::Family;
use crate::chunk::{Chunk, Intake, Position};
use crate::clock::SharedClock;
use crate::event::{Key, Literal, Source, SourceKind};
use crate::limits::{RETRY_FIRST_MS, RETRY_MAX_MS};
use crate::storage::SharedStorage;

/// Descriptors of files whose end was reached that stay open at most.
const IDLE_OPEN_MAX: usize = 64;
/// Descriptors opened ahead at most while the pipeline takes nothing.
const HELD_MAX: usize = 256;
/// How long the descriptor of a removed file is held after its last growth.
const GRACE_NS: u64 = 30_000_000_000;
/// How often it is asked.
pub(super) const POLL_NS: u64 = 1_000_000_000;
/// Bytes of positions from which on no more is told to the journal at once.
const TOLD_BYTES: usize = 64 * 1024;

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A name is new here.
    Appeared(PathBuf),
    /// A file was written, its facts changed, or its name is gone.
    Changed(PathBuf),
    /// A directory of this name came or went.
    Directory(PathBuf),
    /// This directory is watched from now on; what came before was not told.
    Watched(PathBuf),
    /// A watched directory itself moved or went: look at all directories.
    Directories,
    /// Changes were missed: look at everything.
    Everything,
}

/// What a path is.
pub(super) enum Place {
    /// A file that is read, or was.
    Generation(u64),
    /// The copy of a file that is read elsewhere, or too early to tell.
    Held { since: u64, size: u64 },
    /// Not a file to read; said once.
    Skipped,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Generation(u64),
    Path(Arc<Path>),
    /// Unread generations may be in this folder.
    Folder(Arc<Path>),
}

/// What a tailer works with.
pub struct Parts {
    /// The input's name.
    pub input: Arc<str>,
    /// Fields of every event.
    pub fields: Vec<(Key, Literal)>,
    /// Files.
    pub storage: SharedStorage,
    /// Time.
    pub clock: SharedClock,
    /// For buffers only; the caller hands chunks on.
    pub intake: Intake,
    /// Numbers.
    pub counts: Counts,
}

/// All that one `file` input knows.
#[allow(clippy::struct_excessive_bools)] // Facts that do not depend on one another.
pub struct Tailer {
    pub(super) settings: Settings,
    pub(super) parts: Parts,
    /// Boxed: a table of hundreds of thousands has a third of its room free, and twice as much while it grows.
    pub(super) generations: HashMap<u64, Box<Generation>>,
    pub(super) paths: HashMap<Arc<Path>, Place>,
    pub(super) inodes: HashMap<Inode, u64>,
    pub(super) timers: BTreeSet<(u64, Timer)>,
    /// Readable ones, and since when they wait.
    pub(super) ready: VecDeque<(u64, u64)>,
    /// Since when the one waited that was read last.
    pub(super) taken_ns: u64,
    pub(super) outbox: VecDeque<Chunk>,
    /// Seen for the first time, and not in the journal yet.
    pub(super) untold: VecDeque<u64>,
    pub(super) successors: HashMap<u64, Vec<u64>>,
    /// Left their path and have not reached their end since.
    pub(super) leaving: Vec<u64>,
    /// Without a name: to be looked for.
    pub(super) adrift: Vec<u64>,
    /// Without a name, whether they are looked for or held open.
    pub(super) nameless: BTreeSet<u64>,
    /// Generations by the path under which they were first seen.
    pub(super) families: HashMap<Arc<Path>, Family>,
    /// Folders that are listed again soon.
    pub(super) listed_again: HashSet<Arc<Path>>,
    /// Paths to look at again in the next step.
    pub(super) again: Vec<Arc<Path>>,
    pub(super) problems: BTreeMap<PathBuf, String>,
    pub(super) new_files: Vec<PathBuf>,
    /// No position was known: `start_at` counts.
    pub(super) first_start: bool,
    /// The paths looked at now are told to have changed, whatever their size and time say.
    pub(super) told: bool,
    /// With unread bytes.
    pub(super) behind: HashSet<u64>,
    pub(super) lag_shown_at: Option<u64>,
    idle_open: VecDeque<u64>,
    pub(super) directories: BTreeMap<PathBuf, bool>,
    pub(super) directories_changed: bool,
    pub(super) sweep: Vec<Arc<Path>>,
    pub(super) sweep_spent_ns: u64,
    pub(super) sweep_at: u64,
    pub(super) rescan_at: u64,
    pub(super) watched: bool,
    /// The machine's run, as [`crate::storage::Storage::boot`] names it.
    pub(super) boot: u64,
}

impl Tailer {
    /// A tailer that knows what the journal knows; [`Tailer::start`] comes next.
    pub fn new(settings: Settings, parts: Parts) -> Self {
        Tailer {
            boot: parts.storage.boot(),
            settings,
            parts,
            generations: HashMap::default(),
            paths: HashMap::default(),
            inodes: HashMap::default(),
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
            taken_ns: 0,
            outbox: VecDeque::new(),
            untold: VecDeque::new(),
            successors: HashMap::default(),
            leaving: Vec::new(),
            adrift: Vec::new(),
            nameless: BTreeSet::new(),
            families: HashMap::default(),
            listed_again: HashSet::default(),
            again: Vec::new(),
            problems: BTreeMap::new(),
            new_files: Vec::new(),
            first_start: true,
            told: false,
            behind: HashSet::default(),
            lag_shown_at: None,
            idle_open: VecDeque::new(),
            directories: BTreeMap::new(),
            directories_changed: false,
            sweep: Vec::new(),
            sweep_spent_ns: 0,
            sweep_at: 0,
            rescan_at: 0,
            watched: true,
        }
    }

    /// Finds the files of `positions` again and takes a first look at everything.
    pub fn start(&mut self, positions: &[Position]) {
        let unwanted = self.restore(positions);
        let mut paths = self.walk();
        paths.extend(self.paths.keys().cloned());
        paths.extend(self.all_unread());
        self.look_at(paths);
        self.forget_unwanted(unwanted);
        self.first_start = false;
        self.rescan_at = self.now() + self.settings.rescan_ns;
    }

    /// Whether wakes can be relied on; otherwise a rescan is never put off.
    pub fn set_watched(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// The directories to watch; true where files of a glob may be.
    pub fn directories(&self) -> &BTreeMap<PathBuf, bool> {
        &self.directories
    }

    /// Whether directories were listed since the last call, so that watches must be set.
    pub fn take_directories_changed(&mut self) -> bool {
        std::mem::take(&mut self.directories_changed)
    }

    /// The tailer's time in nanoseconds.
    pub fn elapsed_ns(&self) -> u64 {
        self.now()
    }

    /// Places of files that were found since the last call, also of those that the journal knew.
    pub fn new_files(&mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.new_files)
    }

    /// What is wrong now: one sentence that says what and what to do.
    pub fn problem(&self) -> Option<String> {
        let (_, first) = self.problems.first_key_value()?;
        Some(match self.problems.len() - 1 {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        })
    }

    /// Takes in what may have changed and what time has brought.
    pub fn look(&mut self, wakes: &mut Vec<Wake>) {
        let (mut paths, mut walk) = self.sort_wakes(wakes);
        let now = self.now();
        paths.append(&mut self.again);
        while let Some((due, _)) = self.timers.first()
            && *due <= now
        {
            match self.timers.pop_first() {
                Some((_, Timer::Generation(id))) => self.tend(id),
                Some((_, Timer::Path(path))) => paths.push(path),
                Some((_, Timer::Folder(folder))) => {
                    self.listed_again.remove(&folder);
                    paths.extend(self.unread_in(&folder));
                }
                None => break,
            }
        }
        if now >= self.rescan_at {
            self.rescan_at = u64::MAX;
            self.sweep_at = now;
            self.sweep = self.paths.keys().cloned().collect();
            walk = true;
        }
        if walk {
            if self.rescan_at == u64::MAX && self.sweep_at == now {
                paths.extend(self.all_unread());
            }
            paths.extend(self.walk());
            self.sweep_spent_ns += self.now() - now;
        }
        self.told = true;
        self.look_at(paths);
        self.told = false;
        self.step_sweep();
    }

    /// The next chunk, if any file has one; every readable file in turn.
    pub fn read(&mut self) -> Option<Chunk> {
        if let Some(chunk) = self.outbox.pop_front().or_else(|| self.tell_new()) {
            return Some(chunk);
        }
        while let Some((id, since_ns)) = self.ready.pop_front() {
            self.taken_ns = since_ns;
            if let Some(chunk) = self.read_one(id) {
                return Some(chunk);
            }
            if let Some(chunk) = self.outbox.pop_front() {
                return Some(chunk);
            }
        }
        None
    }

    // Tells the journal of files that are new, many at once: each has to be on disk before its first line is sent.
    fn tell_new(&mut self) -> Option<Chunk> {
        let (mut told, mut bytes) = (Vec::new(), 0);
        while bytes < TOLD_BYTES
            && let Some(id) = self.untold.pop_front()
        {
            let new = self.generations.get_mut(&id).filter(|generation| !generation.announced);
            let position = new.map(|generation| generation.position(&self.parts.input, self.boot));
            bytes += position.as_ref().map_or(0, |position| position.identity.len());
            told.extend(position);
        }
        let (input, kind, fields) = (Arc::clone(&self.parts.input), SourceKind::Stream, Vec::new());
        (!told.is_empty()).then(|| Chunk {
            text: Vec::new(),
            source: Arc::new(Source { id: 0, input, kind, fields }),
            offset: 0,
            received_ns: self.parts.clock.now_ns(),
            piece: false,
            last: false,
            position: None,
            told,
            ack: None,
            memory: None,
        })
    }

    /// Whether [`Tailer::read`] may find something now.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.outbox.is_empty() || !self.untold.is_empty()
    }

    /// Since when the file waits that was not read for longest, for [`crate::watermark`]; `held`: what was read last is
    /// not handed on yet. `None`: nothing waits.
    pub fn waits_since_ns(&self, held: bool) -> Option<u64> {
        let first = self.ready.front().map(|(_, since_ns)| *since_ns);
        let read = held || !self.outbox.is_empty();
        if read { Some(self.taken_ns) } else { first }
    }

    /// When [`Tailer::look`] must be called next, in [`crate::clock::Clock::elapsed_ns`].
    pub fn due_ns(&self) -> u64 {
        if !self.adrift.is_empty() || !self.again.is_empty() {
            return 0;
        }
        let timer = self.timers.first().map_or(u64::MAX, |(due, _)| *due);
        let sweep = if self.sweep.is_empty() { u64::MAX } else { self.sweep_at };
        timer.min(self.rescan_at).min(sweep)
    }

    /// Opens files with unread bytes while the pipeline takes nothing, so that a rotation cannot take them away, and
    /// sees whether their content was replaced meanwhile.
    pub fn hold(&mut self) {
        let ids: Vec<u64> = self.ready.iter().take(HELD_MAX).map(|(id, _)| *id).collect();
        for id in ids {
            let Some(generation) = self.generations.get_mut(&id) else { continue };
            if generation.held || generation.lost {
                continue;
            }
            generation.held = true;
            let was_open = generation.body.is_some();
            let changed = reader::content_changed(generation, &*self.parts.storage);
            let is_open = generation.body.is_some();
            self.parts.counts.open.add(i64::from(is_open) - i64::from(was_open));
            // What cannot be read now is found out when it is read.
            if let Ok(Some(facts)) = changed {
                self.truncated(id, &facts);
            }
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.parts.clock.elapsed_ns()
    }

    /// Whether a glob means this path.
    pub(super) fn wants(&self, path: &Path) -> bool {
        self.settings.paths.iter().any(|glob| glob.matches(path))
            && !self.settings.exclude.iter().any(|exclude| exclude.matches(path))
    }

    /// Puts a generation in the queue of readable ones.
    pub(super) fn queue(&mut self, id: u64) {
        let now = self.now();
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if !generation.queued {
            generation.queued = true;
            self.ready.push_back((id, now));
        }
    }

    /// Sets a generation's timer, unless it fires earlier already.
    pub(super) fn set_timer(&mut self, id: u64, due: u64) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if let Some(old) = generation.timer {
            if old <= due {
                return;
            }
            self.timers.remove(&(old, Timer::Generation(id)));
        }
        generation.timer = Some(due);
        self.timers.insert((due, Timer::Generation(id)));
    }

    /// Closes a generation's file.
    pub(super) fn close(&mut self, id: u64) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if generation.body.take().is_some() {
            self.parts.counts.open.add(-1);
        }
    }

    /// Remembers why a file cannot be read and when to try again.
    pub(super) fn failed(&mut self, id: u64, why: &io::Error) {
        let now = self.now();
        self.close(id);
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let tries = generation.retry.map_or(0, |(_, tries)| tries);
        let pause_ms = (RETRY_FIRST_MS << tries.min(16)).min(RETRY_MAX_MS);
        let due = now + pause_ms * 1_000_000;
        generation.retry = Some((due, tries + 1));
        let path = generation.names.first().unwrap_or(&generation.last).to_path_buf();
        self.set_timer(id, due);
        self.say(path, why);
        // A successor does not wait for a file that may never be readable again.
        self.release(id);
    }

    /// Remembers what is wrong with a path.
    pub(super) fn say(&mut self, path: PathBuf, why: &io::Error) {
        let hint = match why.kind() {
            io::ErrorKind::PermissionDenied => {
                "make it readable for the user that runs logweir (often group adm), \
                 or grant CAP_DAC_READ_SEARCH"
            }
            io::ErrorKind::IsADirectory => "name files, not folders, in `paths`",
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => {
                "the compressed file is cut short or damaged; what could be read was handed on"
            }
            _ if why.raw_os_error() == Some(24) => "raise the limit of open files (LimitNOFILE)",
            _ => "it is tried again; check the disk and the kernel log if this stays",
        };
        let text = format!("cannot read `{}`: {why}; {hint}", path.display());
        self.problems.insert(path, text);
    }

    /// Lets the successors of a generation be read.
    pub(super) fn release(&mut self, id: u64) {
        self.leaving.retain(|leaving| *leaving != id);
        for successor in self.successors.remove(&id).unwrap_or_default() {
            if let Some(generation) = self.generations.get_mut(&successor)
                && generation.after == Some(id)
            {
                generation.after = None;
                self.queue(successor);
            }
        }
    }

    fn read_one(&mut self, id: u64) -> Option<Chunk> {
        let now = self.now();
        let generation = self.generations.get_mut(&id)?;
        generation.queued = false;
        if let Some(before) = generation.after
            && self.leaving.contains(&before)
        {
            return None;
        }
        let generation = self.generations.get_mut(&id)?;
        if generation.lost || generation.retry.is_some_and(|(due, _)| due > now) {
            return None;
        }
        let was_open = generation.body.is_some();
        let mut buffer = self.parts.intake.buffer();
        let turn = reader::read(generation, &*self.parts.storage, &self.settings, &mut buffer, now);
        let is_open = generation.body.is_some();
        self.parts.counts.open.add(i64::from(is_open) - i64::from(was_open));
        let chunk = self.after_turn(id, turn, buffer);
        self.count_lag(id);
        chunk
    }

    fn after_turn(&mut self, id: u64, turn: io::Result<Turn>, buffer: Vec<u8>) -> Option<Chunk> {
        let buffer = if matches!(turn, Ok(Turn::Text { .. })) {
            buffer
        } else {
            self.parts.intake.give_back(buffer);
            Vec::new()
        };
        if matches!(turn, Ok(Turn::Text { .. } | Turn::Hole(_) | Turn::More | Turn::End))
            && let Some(generation) = self.generations.get_mut(&id)
        {
            generation.awaited = None;
            if !matches!(turn, Ok(Turn::End)) {
                generation.end_at = None;
            }
        }
        match turn {
            Ok(Turn::Text { offset, piece, more, ends }) => {
                self.parts.counts.bytes.add(buffer.len() as u64);
                self.parts.counts.split.add(u64::from(piece && ends));
                let chunk = self.chunk(id, buffer, offset, piece);
                if more {
                    self.queue(id);
                } else {
                    self.ended(id);
                }
                return chunk;
            }
            Ok(Turn::Hole(bytes)) => {
                self.parts.counts.skipped_hole.add(bytes);
                self.queue(id);
            }
            Ok(Turn::More) => self.queue(id),
            Ok(Turn::End) => self.ended(id),
            Ok(Turn::Truncated(facts)) => self.truncated(id, &facts),
            Ok(Turn::Elsewhere) => {
                let generation = self.generations.get(&id)?;
                self.again.extend(generation.names.iter().cloned());
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                let generation = self.generations.get(&id)?;
                self.again.extend(generation.names.iter().cloned());
            }
            Err(why) => self.failed(id, &why),
        }
        None
    }

    /// A chunk of a generation, with its position.
    pub(super) fn chunk(
        &mut self,
        id: u64,
        text: Vec<u8>,
        offset: u64,
        piece: bool,
    ) -> Option<Chunk> {
        let received_ns = self.parts.clock.now_ns();
        let boot = self.boot;
        let generation = self.generations.get_mut(&id)?;
        generation.closed = false;
        Some(Chunk {
            text,
            source: generation.source(&self.parts.input, &self.parts.fields),
            offset,
            received_ns,
            piece,
            last: false,
            position: Some(generation.position(&self.parts.input, boot)),
            told: Vec::new(),
            ack: None,
            memory: None,
        })
    }

    // The end of a file was reached.
    fn ended(&mut self, id: u64) {
        let now = self.now();
        let Some(generation) = self.generations.get_mut(&id) else { return };
        // To come to the same end once more is no growth: a removed file is not held for that.
        generation.end_at.get_or_insert(now);
        generation.retry = None;
        if !self.problems.is_empty() {
            let path = generation.names.first().unwrap_or(&generation.last);
            self.problems.remove(&**path);
        }
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if generation.partial_since.is_some() && !generation.announced {
            // Nothing can be handed on yet, but a rotation while the agent is down must not hide the file.
            self.tell_position(id);
        }
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let (left, open) = (generation.left, generation.body.is_some());
        let partial = generation
            .partial_since
            .map(|since| since.saturating_add(self.settings.partial_line_ns));
        let pause = if generation.names.is_empty() { POLL_NS } else { self.settings.close_idle_ns };
        self.set_timer(id, partial.unwrap_or(u64::MAX).min(now.saturating_add(pause)));
        if left {
            self.finish(id);
        }
        if open {
            self.idle_open.push_back(id);
            self.close_surplus();
        }
    }

    fn finish(&mut self, id: u64) {
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.finished = true;
        }
        self.release(id);
    }

    // Closes the descriptors that have been idle for longest when there are many.
    fn close_surplus(&mut self) {
        while self.idle_open.len() > IDLE_OPEN_MAX {
            let Some(id) = self.idle_open.pop_front() else { return };
            let idle = self.generations.get(&id).is_some_and(|g| {
                g.body.is_some()
                    && !g.queued
                    && !g.names.is_empty()
                    && !self.idle_open.contains(&id)
            });
            if idle {
                self.close(id);
                if let Some(generation) = self.generations.get_mut(&id) {
                    generation.source = None;
                }
            }
        }
    }

    // A generation's timer fired.
    fn tend(&mut self, id: u64) {
        let now = self.now();
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.timer = None;
        let search = generation.search.as_ref().filter(|_| generation.names.is_empty());
        if let Some(due) = search.map(|search| search.due) {
            if due <= now {
                self.adrift.push(id);
            } else {
                self.set_timer(id, due);
            }
        }
        let Some(generation) = self.generations.get_mut(&id) else { return };
        if generation.names.is_empty() && generation.body.is_none() {
            return;
        }
        let partial_due =
            generation.partial_since.map(|at| at.saturating_add(self.settings.partial_line_ns));
        let retry_due = generation.retry.map(|(due, _)| due);
        if [partial_due, retry_due].into_iter().flatten().any(|due| due <= now) {
            self.queue(id);
            return;
        }
        let mut next = partial_due.unwrap_or(u64::MAX).min(retry_due.unwrap_or(u64::MAX));
        if let Some(end_at) = generation.end_at
            && !generation.queued
        {
            if generation.names.is_empty() {
                let grown = |body: &super::generation::Body| {
                    body.facts().is_ok_and(|facts| facts.size > generation.size)
                };
                if generation.body.as_ref().is_some_and(grown) {
                    self.queue(id);
                } else if now >= end_at.saturating_add(GRACE_NS)
                    && partial_due.is_none()
                    && generation.is_searched(now)
                {
                    self.forget(id);
                    return;
                } else if now >= end_at.saturating_add(GRACE_NS) && generation.is_away() {
                    // It is known again when its file system is back, which must not be kept busy.
                    return self.close(id);
                }
                next = next.min(now + POLL_NS);
            } else if now >= end_at.saturating_add(self.settings.close_idle_ns) {
                self.rest(id);
            } else {
                next = next.min(end_at + self.settings.close_idle_ns);
            }
        }
        if next != u64::MAX {
            self.set_timer(id, next);
        }
    }

    // Nothing came for a while: the file is closed, and a rotated one's decoder need not wait for more.
    fn rest(&mut self, id: u64) {
        self.close(id);
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let tell = generation.left && !generation.closed;
        if tell && generation.partial_since.is_none() {
            let offset = generation.offset;
            if let Some(mut chunk) = self.chunk(id, Vec::new(), offset, false) {
                chunk.last = true;
                self.outbox.push_back(chunk);
            }
            let Some(generation) = self.generations.get_mut(&id) else { return };
            generation.closed = true;
        }
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.source = None;
    }
}
