//! What the output `file` wrote, against what it promises.
//!
//! A document is done when its line is synced, and a crash may write lines again. So in the files that a path ever
//! had: a life writes each line once, in the order of its source; a line comes again only after an end that was no
//! clean stop; only the last line before such an end may be torn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::run::{number_of, place};
use crate::storage::Storage;
use crate::storage::simulated::SimulatedStorage;

const FOLDER: &str = "/out";
const FILES: [&str; 2] = ["info.jsonl", "error.jsonl"];
pub const OUTPUT: &str = r#"
[outputs.archive]
type = "file"
path = "/out/{level}.jsonl"
"#;

#[derive(Default)]
pub struct Archive {
    /// Times that logrotate came.
    moves: u64,
    lives: Vec<Life>,
}

struct Life {
    /// Where each of [`FILES`] ended when it began: how often they had been moved, and the bytes of the newest.
    from: [(u64, usize); 2],
    /// It ended by a stop, with a disk that took everything.
    clean: bool,
}

impl Archive {
    pub fn begin(&mut self, storage: &SimulatedStorage) {
        let length = |name| storage.contents(&path(name)).unwrap_or_default().len();
        let from = FILES.map(|name| (self.moves, length(name)));
        self.lives.push(Life { from, clean: true });
    }

    pub fn end(&mut self, clean: bool) {
        if let Some(life) = self.lives.last_mut() {
            life.clean &= clean;
        }
    }

    /// Moves the files away.
    pub fn rotate(&mut self, storage: &SimulatedStorage) {
        self.moves += 1;
        let storage = storage.outside();
        for name in FILES {
            let _ = storage.rename(&path(name), &moved(name, self.moves));
        }
        let _ = storage.sync_directory(Path::new(FOLDER));
    }

    /// Everything that was written under a name, line by line, each with the life that wrote it.
    fn lines(&self, storage: &SimulatedStorage, file: usize) -> Vec<(usize, String)> {
        let mut lines = Vec::new();
        for part in 0..=self.moves {
            let name = FILES[file];
            let path = if part == self.moves { path(name) } else { moved(name, part + 1) };
            let text = storage.contents(&path).unwrap_or_default();
            let mut at = 0;
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                let life = self.lives.iter().rposition(|l| l.from[file] <= (part, at)).unwrap_or(0);
                lines.push((life, String::from_utf8_lossy(line).trim_end().to_string()));
                at += line.len();
            }
        }
        lines
    }

    /// The lines that are there. `ids`: of each line; `twice`: may have been read again.
    pub fn check(
        &self,
        storage: &SimulatedStorage,
        ids: &BTreeMap<u64, String>,
        twice: &BTreeSet<u64>,
        faults: &mut String,
    ) -> BTreeSet<u64> {
        let mut stored = BTreeSet::new();
        for (file, name) in FILES.into_iter().enumerate() {
            let lines = self.lines(storage, file);
            let mut seen = Seen::default();
            for (index, (life, line)) in lines.iter().enumerate() {
                let Ok(n) = number_of(line) else {
                    let next = lines.get(index + 1).map_or(self.lives.len(), |(life, _)| *life);
                    if self.lives[*life..next].iter().all(|l| l.clean) {
                        let _ = writeln!(faults, "{name}: torn within a life: {line}");
                    }
                    continue;
                };
                if line.contains("hunter2") || !line.contains("***") {
                    let _ = writeln!(faults, "{name}: not redacted: {line}");
                }
                stored.insert(n);
                if !twice.contains(&n) {
                    self.check_line(name, n, *life, ids.get(&n), &mut seen, faults);
                }
            }
        }
        stored
    }

    fn check_line(
        &self,
        name: &str,
        n: u64,
        life: usize,
        id: Option<&String>,
        seen: &mut Seen,
        faults: &mut String,
    ) {
        let before = seen.life.insert(n, life);
        match before {
            Some(before) if before == life => {
                let _ = writeln!(faults, "{name}: line {n} is there twice of life {life}");
            }
            Some(before) if self.lives[before..life].iter().all(|l| l.clean) => {
                let _ = writeln!(faults, "{name}: line {n} is there twice, with no crash between");
            }
            _ => {}
        }
        let Some((source, place)) = id.and_then(|id| place(id)) else { return };
        // Within a life, and of what comes for the first time.
        let orders = [Some(life), before.is_none().then_some(usize::MAX)];
        for order in orders.into_iter().flatten() {
            let last = seen.last.insert((order, source.to_string()), place);
            if last.is_some_and(|last| last >= place) {
                let _ = writeln!(faults, "{name}: line {n} is not behind the one before it");
            }
        }
    }
}

#[derive(Default)]
struct Seen {
    /// In which life each line came last.
    life: BTreeMap<u64, usize>,
    /// The last offset of a source in a life; of what came for the first time in `usize::MAX`.
    last: BTreeMap<(usize, String), (u64, u64)>,
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn moved(name: &str, times: u64) -> PathBuf {
    path(&format!("{name}.{times}"))
}
