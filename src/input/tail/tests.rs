use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::counts::Counts;
use super::decide::{Action, Known, Original, Seen, decide};
use super::discover::{Exclude, Glob};
use super::identity::{Content, Identity, Inode, Marker};
use super::lines::{Cut, cut};
use super::settings::{Settings, StartAt};
use super::tailer::{Parts, Tailer, Wake};
use super::trail::{Point, Trail};
use crate::budget::Budget;
use crate::chunk::{self, Chunk, Position};
use crate::clock::ManualClock;
use crate::event::{Key, Literal, SourceKind};
use crate::metrics::Metrics;
use crate::storage::{SharedStorage, disk};

mod blinking;
mod live;
mod model;
mod rotation;
mod troubled;

/// A tailer without threads: the test says what changed and when time passes.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub settings: Settings,
    pub clock: Arc<ManualClock>,
    pub tailer: Tailer,
    pub metrics: Metrics,
    pub storage: SharedStorage,
    /// The journal: the last position of each source.
    pub journal: BTreeMap<u64, Position>,
    pub chunks: Vec<Chunk>,
    _queue: tokio::sync::mpsc::Receiver<Chunk>,
}

fn make(
    settings: &Settings,
    clock: &Arc<ManualClock>,
    storage: &SharedStorage,
    metrics: &Metrics,
) -> (Tailer, tokio::sync::mpsc::Receiver<Chunk>) {
    let (intake, queue) = chunk::intake(1, Budget::default());
    let parts = Parts {
        input: "app".into(),
        fields: Vec::new(),
        storage: Arc::clone(storage),
        clock: clock.clone(),
        intake,
        counts: Counts::new(metrics),
    };
    (Tailer::new(settings.clone(), parts), queue)
}

pub fn globs(folder: &Path, globs: &[&str]) -> Vec<Glob> {
    globs.iter().map(|glob| Glob::parse(&folder.join(glob)).unwrap()).collect()
}

impl Bench {
    pub fn new(paths: &[&str]) -> Bench {
        Bench::with(paths, |_| {}, disk())
    }

    pub fn with(
        paths: &[&str],
        change: impl FnOnce(&mut Settings),
        storage: SharedStorage,
    ) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::of(globs(folder.path(), paths));
        change(&mut settings);
        let clock = Arc::new(ManualClock::at(1_800_000_000_000_000_000));
        let metrics = Metrics::default();
        let (tailer, queue) = make(&settings, &clock, &storage, &metrics);
        let (journal, chunks) = (BTreeMap::new(), Vec::new());
        Bench { folder, settings, clock, tailer, metrics, storage, journal, chunks, _queue: queue }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub fn copy_truncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        fs::OpenOptions::new().write(true).truncate(true).open(self.path(from)).unwrap();
    }

    /// Starts with what the journal holds, and reads everything.
    pub fn start(&mut self) {
        let (tailer, queue) = make(&self.settings, &self.clock, &self.storage, &self.metrics);
        self.tailer = tailer;
        self._queue = queue;
        let positions: Vec<Position> = self.journal.values().cloned().collect();
        self.tailer.start(&positions);
        self.drain();
    }

    /// A full look, then reads everything.
    pub fn step(&mut self) {
        self.look(vec![Wake::Everything]);
        self.drain();
    }

    /// A look only.
    pub fn look(&mut self, mut wakes: Vec<Wake>) {
        self.tailer.look(&mut wakes);
        for _ in 0..10 {
            if self.tailer.due_ns() == 0 {
                self.tailer.look(&mut Vec::new());
            }
        }
    }

    pub fn drain(&mut self) {
        loop {
            while self.read_one() {}
            if self.tailer.due_ns() > 0 {
                return;
            }
            self.look(Vec::new());
        }
    }

    /// One chunk into the journal.
    pub fn read_one(&mut self) -> bool {
        let Some(chunk) = self.tailer.read() else { return false };
        for position in chunk.position.iter().chain(&chunk.told) {
            if position.identity.is_empty() {
                self.journal.remove(&position.key);
            } else {
                let old = self.journal.insert(position.key, position.clone());
                let tells = |position: &Position| {
                    Identity::decode(&position.identity).is_some_and(|(_, i)| i.marked > 0)
                };
                let new = old.is_none_or(|old| !tells(&old) && tells(position));
                assert_eq!(new, position.new, "`new` is said at first, and at the first content");
            }
        }
        if !chunk.text.is_empty() {
            self.chunks.push(chunk);
        }
        true
    }

    /// Lets time pass, with everything that falls due on the way.
    pub fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.clock.advance_ns(100_000_000);
            if self.tailer.due_ns() <= self.tailer.elapsed_ns() {
                self.tailer.look(&mut Vec::new());
            }
            self.drain();
        }
    }

    pub fn text(&self) -> String {
        let bytes: Vec<u8> = self.chunks.iter().flat_map(|chunk| chunk.text.clone()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_string).collect()
    }

    pub fn sorted(&self) -> Vec<String> {
        let mut lines = self.lines();
        lines.sort();
        lines
    }

    /// Lines that are missing or came more than once; both empty when all is well.
    pub fn faults(&self, expected: &[String]) -> (Vec<String>, Vec<String>) {
        let mut counts: BTreeMap<String, i32> = BTreeMap::new();
        for line in self.lines() {
            *counts.entry(line).or_default() += 1;
        }
        for line in expected {
            *counts.entry(line.clone()).or_default() -= 1;
        }
        let of = |sign: i32| {
            let found = counts.iter().filter(|(_, n)| n.signum() == sign);
            found.map(|(line, n)| format!("{n} × {line}")).collect()
        };
        (of(-1), of(1))
    }

    pub fn metric(&self, name: &str) -> i64 {
        let text = self.metrics.render();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().unwrap_or_default().parse().unwrap_or(-1)
    }
}

#[test]
fn a_block_is_cut_at_its_last_line_end() {
    assert_eq!(cut(b"a\nbb\nc", 100, false), Cut::Lines(5));
    assert_eq!(cut(b"abc", 100, false), Cut::More);
    assert_eq!(cut(b"", 100, false), Cut::More);
    assert_eq!(cut(b"\n", 100, false), Cut::Lines(1));
}

#[test]
fn a_long_line_goes_in_pieces_and_no_piece_is_empty_or_splits_a_character() {
    assert_eq!(cut(b"abcd\nx", 4, false), Cut::Lines(5));
    assert_eq!(cut(b"ab\nabcde\n", 4, false), Cut::Lines(3));
    assert_eq!(cut(b"abcde\n", 4, false), Cut::Piece { length: 4, ends: false });
    assert_eq!(cut(b"e\nx", 4, true), Cut::Piece { length: 2, ends: true });
    assert_eq!(cut("abc\u{e9}f\n".as_bytes(), 4, false), Cut::Piece { length: 3, ends: false });
    assert_eq!(cut(&[0x80; 9], 4, false), Cut::Piece { length: 4, ends: false });
    // CR and LF end a line together: something is left for the piece that they are in.
    assert_eq!(cut(b"abc\r\nx", 4, false), Cut::Lines(5));
    assert_eq!(cut(b"abcd\r\nx", 4, false), Cut::Piece { length: 3, ends: false });
    assert_eq!(cut(b"d\r\nx", 4, true), Cut::Piece { length: 3, ends: true });
    assert_eq!(cut(b"efgh\r\nx", 4, true), Cut::Piece { length: 3, ends: false });
}

#[test]
fn cutting_any_bytes_gives_back_all_of_them() {
    proptest::proptest!(|(bytes: Vec<u8>, line_max in 4_usize..20)| {
        let bytes: Vec<u8> = bytes.iter().map(|b| if b % 5 == 0 { b'\n' } else { *b }).collect();
        let (mut at, mut inside) = (0, false);
        loop {
            let (length, next) = match cut(&bytes[at..], line_max, inside) {
                Cut::Lines(length) => (length, false),
                Cut::Piece { length, ends } => (length, !ends),
                Cut::More => break,
            };
            let part = &bytes[at..at + length];
            assert!(length > 0 && part.split(|b| *b == b'\n').all(|line| line.len() <= line_max));
            assert!(next || part.ends_with(b"\n"));
            (at, inside) = (at + length, next);
        }
        assert!(!bytes[at..].contains(&b'\n') && bytes.len() - at <= line_max);
    });
}

#[test]
fn the_journal_is_told_of_many_new_files_at_once_and_before_their_lines() {
    let mut bench = Bench::new(&["*.log"]);
    for n in 0..1000 {
        bench.append(&format!("{n}.log"), format!("line {n}\n"));
    }
    bench.append("empty.log", "");
    bench.tailer.start(&[]);
    let (mut told, mut chunks) = (0, 0);
    while bench.chunks.is_empty() && bench.read_one() {
        (told, chunks) = (bench.journal.len(), chunks + 1);
    }
    assert_eq!(told, 1001, "all are known before the first line is");
    assert!(chunks < 10, "{chunks} chunks");
    // A restart before the others were read.
    let known = bench.journal.clone();
    bench.start();
    assert_eq!(bench.lines().len(), 1000, "each line once");
    let same = |(id, position): (&u64, &Position)| {
        known.get(id).is_some_and(|before| before.key == position.key)
    };
    assert!(bench.journal.iter().all(same), "none is taken for another");
}

#[test]
fn a_file_that_is_gone_before_the_journal_was_told_of_it_leaves_no_trace() {
    let mut bench = Bench::new(&["*.log"]);
    bench.append("a.log", "");
    bench.tailer.start(&[]);
    fs::remove_file(bench.path("a.log")).unwrap();
    bench.look(vec![Wake::Everything]);
    bench.pass(120);
    let left: Vec<&Position> = bench.journal.values().collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!bench.tailer.has_ready());
}

#[test]
fn an_identity_survives_its_encoding_and_another_version_is_not_read() {
    let mut marker = Marker::default();
    marker.advance(0, b"", b"one\n");
    let identity = Identity {
        inode: Inode { device: 1, inode: 2, born_ns: -3 },
        marker,
        compressed: true,
        inside: true,
        label: "/a".into(),
        path: "/a.1".into(),
        since_ns: 4,
        modified_ns: -5,
        size: 6,
        marked: 7,
        boot: 8,
        trail: Trail(vec![Point { offset: 9, tail_len: 10, tail_crc: 11 }; 6]),
    };
    let mut bytes = identity.encode("app");
    assert_eq!(Identity::decode(&bytes), Some(("app".to_string(), identity)));
    for length in 0..bytes.len() - 4 {
        assert_eq!(Identity::decode(&bytes[..length]), None, "cut at {length}");
    }
    bytes[0] = 99;
    assert_eq!(Identity::decode(&bytes), None);
}

#[test]
fn a_marker_says_what_a_file_still_holds() {
    let text: Vec<u8> = (0..4000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let mut marker = Marker::default();
    marker.advance(0, b"", &text[..700]);
    marker.advance(700, &text[444..700], &text[700..1500]);
    marker.advance(1500, &text[1244..1500], &text[1500..1503]);
    let check = |text: &[u8]| {
        let mut read = |buffer: &mut [u8], offset: u64| {
            let rest = &text[text.len().min(offset as usize)..];
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        };
        marker.check(&mut read, text.len() as u64, 1503).unwrap()
    };
    assert_eq!(check(&text), Content::Same);
    assert_eq!(check(&text[..1502]), Content::Short);
    let mut head = text.clone();
    head[1023] ^= 1;
    assert_eq!(check(&head), Content::Differs);
    let mut tail = text.clone();
    tail[1300] ^= 1;
    assert_eq!(check(&tail), Content::Differs);
}

#[test]
fn each_observation_has_its_action() {
    use Content::{Differs, Same, Short};
    let known = |same_file, offset, content| Some(Known { same_file, offset, content });
    let copy = |alive, content, strong, settled| Some(Original { alive, content, strong, settled });
    let seen = |size, here, elsewhere, original| Seen { size, here, elsewhere, original };
    let table = [
        (seen(None, None, None, None), Action::Ignore),
        (seen(None, known(false, 5, Same), None, None), Action::Left),
        (seen(Some(9), known(false, 5, Same), None, None), Action::Left),
        (seen(Some(5), known(true, 5, Same), None, None), Action::Continue),
        (seen(Some(4), known(true, 5, Same), None, None), Action::Truncated),
        (seen(Some(9), known(true, 5, Differs), None, None), Action::Truncated),
        (seen(Some(9), None, known(true, 5, Same), None), Action::Adopt),
        (seen(Some(9), None, known(true, 5, Differs), None), Action::New),
        (seen(Some(4), None, known(true, 5, Same), None), Action::New),
        (seen(Some(9), None, None, None), Action::New),
        (seen(Some(9), None, None, copy(true, Differs, true, true)), Action::New),
        (seen(Some(9), None, None, copy(true, Same, true, true)), Action::Hold),
        (seen(Some(9), None, None, copy(true, Same, false, false)), Action::Hold),
        (seen(Some(9), None, None, copy(true, Same, false, true)), Action::New),
        (seen(Some(9), None, None, copy(false, Same, false, false)), Action::TakeOver),
        (seen(Some(9), None, None, copy(false, Short, true, true)), Action::New),
    ];
    for (seen, action) in table {
        assert_eq!(decide(&seen), action, "{seen:?}");
    }
}

#[test]
fn globs_find_files_and_the_directories_to_watch() {
    let bench = Bench::new(&["*.log"]);
    for name in ["a.log", "b.txt", ".hidden.log", "d/c.log", "d/e/f.log", "x/y/z.log"] {
        fs::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
        bench.append(name, "x\n");
    }
    std::os::unix::fs::symlink(bench.path("d"), bench.path("d/e/ring")).unwrap();
    let found = |glob: &str| {
        let mut found = super::discover::Found::default();
        let glob = Glob::parse(&bench.path(glob)).unwrap();
        glob.walk(&*bench.storage, &mut found);
        for file in &found.files {
            assert!(glob.matches(file) && glob.leads_through(file.parent().unwrap()));
        }
        let mut names: Vec<String> = found
            .files
            .iter()
            .map(|f| f.strip_prefix(bench.folder.path()).unwrap().display().to_string())
            .collect();
        names.sort();
        names
    };
    assert_eq!(found("*.log"), ["a.log"]);
    assert_eq!(found("a.log"), ["a.log"]);
    assert_eq!(found("**/*.log"), ["a.log", "d/c.log", "d/e/f.log", "x/y/z.log"]);
    assert_eq!(found("*/y/[z].log"), ["x/y/z.log"]);
    assert_eq!(found("none/*.log"), [""; 0]);
    assert!(Exclude::Name(glob::Pattern::new("*.gz").unwrap()).matches(Path::new("/a/b.gz")));
}

#[test]
fn two_dots_in_a_glob_lead_to_the_folder_above() {
    let means =
        |glob: &str, path: &str| Glob::parse(Path::new(glob)).unwrap().matches(Path::new(path));
    assert!(means("/a/pipelines/../demo/mcp.log", "/a/demo/mcp.log"));
    assert!(means("/a/b/../../logs/*.log", "/logs/x.log"));
    assert!(means("/a/*/b/../c.log", "/a/x/c.log"));
    assert!(!means("/a/pipelines/../demo/mcp.log", "/a/pipelines/demo/mcp.log"));
    let why = Glob::parse(Path::new("/a/*/../c.log")).err().unwrap();
    assert!(why.contains("`..` stands behind a part with wildcards"), "{why}");
}
