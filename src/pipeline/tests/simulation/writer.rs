//! The program that writes the log, and logrotate.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::random::Random;
use crate::input::stepped::Wake;
use crate::storage::simulated::SimulatedStorage;
use crate::storage::{File, Storage};

pub const FOLDER: &str = "/logs";
/// Rotated files are kept up to this number.
const KEPT: usize = 4;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// To `logs`.
    Info,
    /// To `logs` and `errors`.
    Error,
    /// A rule drops it.
    Debug,
    /// The server refuses it.
    Bad,
    /// The server refuses it, in both outputs.
    BadError,
}

impl Kind {
    pub fn of(n: u64) -> Kind {
        match n % 11 {
            2 | 9 => Kind::Error,
            3 | 7 => Kind::Debug,
            5 => Kind::Bad,
            10 if n.is_multiple_of(3) => Kind::BadError,
            _ => Kind::Info,
        }
    }

    fn level(self) -> &'static str {
        match self {
            Kind::Error | Kind::BadError => "error",
            Kind::Debug => "debug",
            _ => "info",
        }
    }

    fn is_bad(self) -> bool {
        matches!(self, Kind::Bad | Kind::BadError)
    }
}

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Words,
    /// Of several lines each.
    Stack,
}

pub struct Writer {
    pub form: Form,
    /// Events of several lines are written in two parts, too.
    halves: bool,
    storage: SimulatedStorage,
    file: Box<dyn File>,
    /// The last line's number; lines are numbered from 1.
    pub lines: u64,
    half: Option<String>,
    /// Lines that were removed before it was certain that they had been read.
    pub perhaps: BTreeSet<u64>,
    /// Lines of a file that lost its end: where it goes on nobody knows exactly when it was written to since.
    pub perhaps_twice: BTreeSet<u64>,
    /// The last line is torn.
    torn: bool,
    pub wakes: Vec<Wake>,
}

impl Writer {
    pub fn new(storage: &SimulatedStorage, form: Form, halves: bool) -> Writer {
        let storage = storage.outside();
        storage.create_directory(Path::new(FOLDER)).unwrap();
        let file = storage.open_write(&path("app.log")).unwrap();
        let (perhaps, wakes) = (BTreeSet::new(), Vec::new());
        let (perhaps_twice, torn) = (BTreeSet::new(), false);
        let writer = Writer {
            form,
            halves,
            storage,
            file,
            lines: 0,
            half: None,
            perhaps,
            perhaps_twice,
            torn,
            wakes,
        };
        writer.settle();
        writer
    }

    /// After the end of a process or of the machine: the same files.
    pub fn moved_to(&mut self, storage: &SimulatedStorage) {
        self.storage = storage.outside();
        self.file = self.storage.open_write(&path("app.log")).unwrap();
        self.settle();
    }

    /// A power cut took the end of the log, of which a kilobyte is left: less is not known again.
    pub fn lose_end(&mut self, random: &mut Random) {
        let log = path("app.log");
        let before = self.storage.contents(&log).unwrap_or_default();
        let most = (before.len() as u64).saturating_sub(1024).min(3_000);
        let mut left = before.len() - random.below(most + 1) as usize;
        if random.one_in(2) {
            // At the end of a line.
            left = before[..left]
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(left, |at| at + 1)
                .max(left.min(1024));
        }
        let zeros = if random.one_in(3) { before.len() - left } else { 0 };
        self.storage.cut(&log, left as u64, zeros as u64);
        let kept: BTreeSet<u64> = numbers(&before[..left]).into_iter().collect();
        let end = before[..left].last();
        self.torn = zeros > 0 || end.is_some_and(|b| *b != b'\n');
        self.perhaps.extend(numbers(&before).into_iter().filter(|n| !kept.contains(n)));
        // A torn line looks whole to `numbers`.
        self.perhaps.extend(kept.last());
        self.perhaps_twice.extend(kept);
    }

    /// What a program that syncs has on disk.
    fn settle(&self) {
        self.file.sync().unwrap();
        self.storage.sync_directory(Path::new(FOLDER)).unwrap();
    }

    pub fn append(&mut self, count: u64) {
        self.complete();
        let text: String = (0..count).map(|_| self.line()).collect();
        self.write(text.as_bytes());
    }

    /// The first half of a line, or of an event of several ones.
    pub fn begin(&mut self) {
        self.complete();
        if self.form == Form::Stack && !self.halves {
            // One that waits for its second half is handed on after a time, as its user wants it.
            return self.append(1);
        }
        let line = self.line();
        let first_line = line.find('\n').map_or(0, |at| at + 1);
        let between = self.form == Form::Stack && self.lines.is_multiple_of(2);
        let (first, rest) = line.split_at(if between { first_line } else { line.len() / 2 });
        self.half = Some(rest.to_string());
        self.write(first.as_bytes());
    }

    pub fn complete(&mut self) {
        if let Some(rest) = self.half.take() {
            self.write(rest.as_bytes());
        }
        if self.torn {
            // As the next line ends what a power cut has left of one.
            self.write(&[]);
        }
    }

    fn line(&mut self) -> String {
        self.lines += 1;
        let n = self.lines;
        let kind = Kind::of(n);
        let (level, good) = (kind.level(), if kind.is_bad() { "bad" } else { "good" });
        let pad = pad(n);
        match self.form {
            Form::Json => format!(
                "{{\"n\":{n},\"level\":\"{level}\",\"kind\":\"{good}\",\"text\":\"password=hunter2 {pad}\"}}\n"
            ),
            Form::Words => format!("{level} n={n} kind={good} password=hunter2 {pad}\n"),
            Form::Stack => {
                let more = more_lines(n);
                format!("{level} n={n} kind={good} password=hunter2\n{more}\n")
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        let line_end = if std::mem::take(&mut self.torn) { "\n" } else { "" };
        let bytes = &[line_end.as_bytes(), bytes].concat();
        let end = self.file.facts().unwrap().size;
        self.file.write_all_at(bytes, end).unwrap();
        self.settle();
        let inode = self.file.facts().unwrap().inode;
        let named = |p: &PathBuf| self.storage.facts(p).is_ok_and(|f| f.inode == inode);
        self.wakes.extend(self.files().into_iter().filter(named).map(Wake::Changed));
    }

    /// Opens `app.log` anew, as after logrotate's signal.
    pub fn reopen(&mut self) {
        self.complete();
        let new = self.storage.facts(&path("app.log")).is_err();
        self.file = self.storage.open_write(&path("app.log")).unwrap();
        if new {
            self.wakes.push(Wake::Appeared(path("app.log")));
        }
        self.settle();
    }

    /// Renames `app.log`; whoever writes goes on in the renamed file until it is told to reopen.
    pub fn rotate(&mut self) {
        if self.storage.facts(&path("app.log")).is_err() {
            return;
        }
        self.shift();
        self.rename("app.log", "app.log.1");
        self.settle();
    }

    pub fn copy_truncate(&mut self) {
        self.reopen();
        self.shift();
        let bytes = self.storage.contents(&path("app.log")).unwrap_or_default();
        self.make("app.log.1", &bytes);
        self.file.set_len(0).unwrap();
        self.wakes.push(Wake::Changed(path("app.log")));
        self.settle();
    }

    /// Cuts the file; what was not read is lost.
    pub fn truncate(&mut self) {
        self.reopen();
        self.give_up(&path("app.log"));
        self.file.set_len(0).unwrap();
        self.wakes.push(Wake::Changed(path("app.log")));
        self.settle();
    }

    /// Removes the file and makes it anew.
    pub fn recreate(&mut self) {
        self.complete();
        self.remove("app.log");
        self.reopen();
    }

    /// Compresses a rotated file.
    pub fn gzip(&mut self, n: usize) {
        self.reopen();
        let name = rotated(n);
        let Some(bytes) = self.storage.contents(&path(&name)) else { return };
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        self.make(&format!("{name}.gz"), &encoder.finish().unwrap());
        self.settle();
        let _ = self.storage.remove(&path(&name));
        self.wakes.push(Wake::Changed(path(&name)));
        self.settle();
    }

    fn make(&mut self, name: &str, bytes: &[u8]) {
        let file = self.storage.open_write(&path(name)).unwrap();
        self.wakes.push(Wake::Appeared(path(name)));
        file.write_all_at(bytes, 0).unwrap();
        file.sync().unwrap();
        self.wakes.push(Wake::Changed(path(name)));
    }

    fn shift(&mut self) {
        for end in ["", ".gz"] {
            self.remove(&format!("{}{end}", rotated(KEPT)));
        }
        for n in (1..KEPT).rev() {
            for end in ["", ".gz"] {
                let (from, to) =
                    (format!("{}{end}", rotated(n)), format!("{}{end}", rotated(n + 1)));
                self.rename(&from, &to);
            }
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if self.storage.rename(&path(from), &path(to)).is_ok() {
            self.wakes.push(Wake::Changed(path(from)));
            self.wakes.push(Wake::Appeared(path(to)));
        }
    }

    fn remove(&mut self, name: &str) {
        self.give_up(&path(name));
        if self.storage.remove(&path(name)).is_ok() {
            self.wakes.push(Wake::Changed(path(name)));
        }
        self.settle();
    }

    /// The lines of a file that is about to go need not arrive.
    fn give_up(&mut self, path: &Path) {
        let bytes = self.storage.contents(path).unwrap_or_default();
        self.perhaps.extend(numbers(&unpacked(path, bytes)));
        // Whoever still writes to it writes for nobody.
        let same = self.storage.facts(path).ok().map(|f| f.inode);
        if same == self.file.facts().ok().map(|f| f.inode) {
            self.complete();
            let bytes = self.storage.contents(path).unwrap_or_default();
            self.perhaps.extend(numbers(&bytes));
            if path != self::path("app.log") {
                self.reopen();
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.storage.names().into_iter().filter(|p| p.starts_with(FOLDER)).collect()
    }

    /// Where a line is, for a report.
    pub fn place_of(&self, n: u64) -> String {
        let holds = |p: &&PathBuf| {
            let bytes = self.storage.contents(p).unwrap_or_default();
            numbers(&unpacked(p, bytes)).contains(&n)
        };
        let found: Vec<_> =
            self.files().iter().filter(holds).map(|p| p.display().to_string()).collect();
        found.join(", ")
    }
}

fn pad(n: u64) -> String {
    "x".repeat((n * 7 % 90) as usize)
}

/// The lines of an event but its first.
pub fn more_lines(n: u64) -> String {
    let frame = |frame| format!("  at frame {frame} {}\n", pad(n));
    (0..n % 4).map(frame).chain([format!("  end of {n}.")]).collect()
}

fn unpacked(path: &Path, bytes: Vec<u8>) -> Vec<u8> {
    if path.extension().is_none_or(|e| e != "gz") {
        return bytes;
    }
    let mut out = Vec::new();
    let _ = std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*bytes), &mut out);
    out
}

fn numbers(text: &[u8]) -> Vec<u64> {
    let text = String::from_utf8_lossy(text);
    let number = |line: &str| {
        let from = line.find("\"n\":").map(|at| at + 4).or(line.find(" n=").map(|at| at + 3))?;
        let digits: String = line[from..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    text.lines().filter_map(number).collect()
}

fn rotated(n: usize) -> String {
    format!("app.log.{n}")
}

pub fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}
