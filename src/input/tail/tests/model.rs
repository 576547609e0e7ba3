//! Random histories of a log file against the tailer: every line exactly once.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::identity::HEAD_BYTES;
use super::blinking::Blinking;
use super::*;

/// Rotated files that are kept.
const KEPT: usize = 12;

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Partial,
    Rename,
    Copy,
    Reopen,
    Gzip,
    Recreate,
    Look,
    ReadSome(usize),
    Restart,
    Down(usize, bool),
    Away(Vec<Rotation>),
    Blink(usize),
    Pass(u64),
    // Power is lost, and with it so many bytes of the log's end, of which NUL bytes may be left.
    Cut(u64, bool),
    // The same, and the log is rotated before the agent is there again.
    CutAndRotated { lost: u64, zeros: bool, after: After },
}

// What happens to a log that lost its end.
#[derive(Clone, Copy, Debug)]
struct After {
    // Lines of the new log.
    lines: usize,
    // It is compressed, too, where something is left that tells it from other files.
    gzip: bool,
    // Listings and questions of the agent, in the middle of the rotation, that miss the old one.
    hidden: usize,
    // How often the agent ends before it has found it.
    ends: usize,
}

#[derive(Clone, Copy, Debug)]
enum Rotation {
    Rename { lines: usize, gzip: bool },
    Copy { lines: usize, gzip: bool },
}

struct Model {
    storage: Arc<Blinking>,
    bench: Bench,
    writer: fs::File,
    wakes: Vec<Wake>,
    exact: bool,
    lines: usize,
    half: bool,
    expected: Vec<String>,
    // Rotations since the last look: an outside copy of a copy nobody ever saw cannot be found.
    unseen: bool,
    inside: bool,
}

impl Model {
    fn new(inside: bool, exact: bool) -> Model {
        let storage = Arc::new(Blinking::default());
        let glob = if inside { "app.log*" } else { "app.log" };
        let mut bench = Bench::with(&[glob], |s| s.partial_line_ns = u64::MAX / 4, storage.clone());
        bench.append("app.log", "");
        bench.start();
        let writer = open(&bench);
        let (wakes, expected) = (Vec::new(), Vec::new());
        Model {
            storage,
            bench,
            writer,
            wakes,
            exact,
            lines: 0,
            half: false,
            expected,
            unseen: false,
            inside,
        }
    }

    fn changed(&mut self, name: &str) {
        self.wakes.push(Wake::Changed(self.bench.path(name)));
    }

    fn appeared(&mut self, name: &str) {
        self.wakes.push(Wake::Appeared(self.bench.path(name)));
    }

    fn complete(&mut self) {
        if std::mem::take(&mut self.half) {
            self.writer.write_all(b" completed\n").unwrap();
        }
    }

    fn look(&mut self) {
        let wakes = std::mem::take(&mut self.wakes);
        // The writer may still hold any of the names.
        let mut wakes = if self.exact { wakes } else { vec![Wake::Everything] };
        for n in 0..KEPT + 2 {
            wakes.push(Wake::Changed(self.bench.path(&rotated(n))));
        }
        self.bench.look(wakes);
        // Whoever does not read holds.
        self.bench.tailer.hold();
        self.bench.look(Vec::new());
        self.unseen = false;
    }

    fn shift(&mut self) {
        // The oldest are removed only after their end was read.
        if self.unseen {
            self.look();
        }
        tick(&self.bench);
        self.make_room(KEPT);
        self.shift_names();
        self.unseen = true;
    }

    fn shift_names(&mut self) {
        for n in (1..KEPT).rev() {
            for end in ["", ".gz"] {
                let (from, to) =
                    (format!("{}{end}", rotated(n)), format!("{}{end}", rotated(n + 1)));
                if self.bench.path(&from).exists() {
                    self.bench.rename(&from, &to);
                    self.changed(&from);
                    self.appeared(&to);
                }
            }
        }
    }

    // The oldest are removed only after their end was read.
    fn make_room(&mut self, kept: usize) {
        let names = (kept..=KEPT).flat_map(|n| [rotated(n), format!("{}.gz", rotated(n))]);
        let names: Vec<String> = names.filter(|name| self.bench.path(name).exists()).collect();
        if !names.is_empty() {
            // A writer that goes on in a removed file while the agent is down writes for nobody.
            self.reopen();
            self.look();
            self.bench.drain();
            // What blinked is found by a rescan.
            self.storage.blink(0);
            self.bench.look(vec![Wake::Everything]);
            self.bench.pass(12);
            for name in names {
                fs::remove_file(self.bench.path(&name)).unwrap();
                self.changed(&name);
            }
        }
    }

    // The agent is killed, several rotations happen, and it starts again.
    fn away(&mut self, rotations: &[Rotation]) {
        self.make_room(KEPT - rotations.len());
        let seen = std::mem::take(&mut self.unseen);
        for rotation in rotations {
            let (Rotation::Rename { lines, gzip } | Rotation::Copy { lines, gzip }) = *rotation;
            self.apply(&Step::Append(lines));
            self.unseen = false;
            match rotation {
                Rotation::Rename { .. } => self.apply(&Step::Rename),
                Rotation::Copy { .. } => {
                    self.reopen();
                    self.shift();
                    self.bench.copy_truncate("app.log", "app.log.1");
                }
            }
            self.reopen();
            tick(&self.bench);
            if gzip {
                self.gzip("app.log.1");
            }
            self.apply(&Step::Append(lines));
        }
        self.wakes.clear();
        self.bench.start();
        self.unseen = seen;
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Append(n) => {
                self.complete();
                for _ in 0..*n {
                    self.lines += 1;
                    let line = format!("{:06} a line with its own number", self.lines);
                    self.expected.push(line.clone());
                    writeln!(self.writer, "{line}").unwrap();
                }
                self.changed("app.log");
            }
            Step::Partial => {
                self.complete();
                self.lines += 1;
                let line = format!("{:06} a half line", self.lines);
                self.expected.push(format!("{line} completed"));
                self.writer.write_all(line.as_bytes()).unwrap();
                self.half = true;
                self.changed("app.log");
            }
            Step::Rename => {
                self.shift();
                self.bench.rename("app.log", "app.log.1");
                self.changed("app.log");
                self.appeared("app.log.1");
                // A writer that has not reopened yet goes on in the renamed file.
                self.bench.append("app.log", "");
                self.appeared("app.log");
            }
            Step::Copy => {
                self.reopen();
                if !self.inside {
                    self.apply(&Step::Append(1));
                }
                self.know();
                self.apply(&Step::Append(7));
                self.shift();
                self.bench.copy_truncate("app.log", "app.log.1");
                self.appeared("app.log.1");
                self.changed("app.log");
            }
            Step::Reopen => self.reopen(),
            Step::Gzip => {
                self.reopen();
                // What was written since the last look to a file that is gone at the next is seen by nobody.
                self.look();
                self.bench.tailer.hold();
                for n in [2, 3] {
                    let name = rotated(n);
                    if self.bench.path(&name).exists() {
                        self.gzip(&name);
                    }
                }
            }
            Step::Recreate => {
                self.complete();
                self.look();
                self.bench.drain();
                fs::remove_file(self.bench.path("app.log")).unwrap();
                self.changed("app.log");
                self.bench.append("app.log", "");
                self.appeared("app.log");
                self.reopen();
                self.unseen = true;
            }
            Step::Look => {
                self.look();
                self.bench.drain();
            }
            Step::ReadSome(n) => {
                self.look();
                for _ in 0..*n {
                    self.bench.read_one();
                }
                self.bench.tailer.hold();
                self.bench.look(Vec::new());
            }
            Step::Restart => {
                if !self.inside {
                    // A renamed file of which nothing was read has no position.
                    self.reopen();
                }
                self.know();
                self.bench.start();
                self.unseen = false;
            }
            Step::Down(lines, copy) => {
                // A file of which nothing was read has no position.
                self.reopen();
                self.apply(&Step::Append(1));
                self.look();
                self.bench.drain();
                self.apply(&Step::Append(*lines));
                // Nothing of this is seen before the next start.
                self.unseen = false;
                if *copy {
                    self.complete();
                    self.shift();
                    self.bench.copy_truncate("app.log", "app.log.1");
                } else {
                    self.apply(&Step::Rename);
                }
                self.apply(&Step::Append(*lines));
                self.apply(&Step::Reopen);
                self.apply(&Step::Append(*lines));
                self.wakes.clear();
                self.bench.start();
                self.unseen = false;
            }
            Step::Away(rotations) => self.away(rotations),
            Step::Blink(times) => self.storage.blink(*times),
            Step::Cut(lost, zeros) => self.cut(*lost, *zeros, None),
            Step::CutAndRotated { lost, zeros, after } => self.cut(*lost, *zeros, Some(*after)),
            Step::Pass(seconds) => {
                self.look();
                self.bench.pass(*seconds);
            }
        }
    }

    fn cut(&mut self, lost: u64, zeros: bool, after: Option<After>) {
        self.storage.blink(0);
        self.reopen();
        self.look();
        self.bench.drain();
        if after.is_some() {
            self.make_room(KEPT);
        }
        let size = self.writer.metadata().unwrap().len();
        // A file that has no first kilobyte left is not known again.
        let left = size.saturating_sub(lost).max(size.min(HEAD_BYTES as u64));
        cut_short(&self.bench.path("app.log"), left, if zeros { size - left } else { 0 });
        let gzip = after.is_some_and(|after| after.gzip) && self.is_proved(size, left);
        if let Some(after) = after {
            tick(&self.bench);
            self.shift_names();
            self.bench.rename("app.log", "app.log.1");
            self.bench.append("app.log", "");
            self.reopen();
            self.apply(&Step::Append(after.lines));
            if gzip {
                self.gzip("app.log.1");
            }
            self.storage.blink(after.hidden);
        }
        self.storage.cut();
        self.wakes.clear();
        for _ in 0..=after.map_or(0, |after| after.ends) {
            self.bench.start();
        }
        if after.is_some() {
            // What is gone before it was found is lost for good: docs/delivery.md says so.
            self.bench.pass(if gzip { 45 } else { 12 });
        }
        self.unseen = false;
    }

    // Whether the journal knows a place of the log behind its first kilobyte that so many bytes still have.
    fn is_proved(&self, size: u64, left: u64) -> bool {
        let path = self.bench.path("app.log");
        let known = self.bench.journal.values().filter_map(|p| Identity::decode(&p.identity));
        let mut known = known.filter(|(_, known)| known.path == path && known.marked == size);
        known.any(|(_, known)| {
            known.trail.0.iter().any(|p| p.offset > HEAD_BYTES as u64 && p.offset <= left)
        })
    }

    // Content that was never seen, in a file that no glob means, cannot be known again after it was rotated.
    fn know(&mut self) {
        if !self.inside {
            self.look();
            self.bench.drain();
        }
    }

    fn reopen(&mut self) {
        self.complete();
        self.changed("app.log");
        self.writer = open(&self.bench);
    }

    fn gzip(&mut self, name: &str) {
        gzip(&self.bench.path(name));
        self.appeared(&format!("{name}.gz"));
        self.changed(name);
    }

    fn check(mut self) {
        self.complete();
        self.storage.blink(0);
        self.look();
        self.bench.pass(45);
        self.look();
        self.bench.drain();
        let (missing, doubled) = self.bench.faults(&self.expected);
        let (first, last) = (missing.first(), missing.last());
        assert!(missing.is_empty(), "{} lines are missing, {first:?} to {last:?}", missing.len());
        let (first, last) = (doubled.first(), doubled.last());
        assert!(doubled.is_empty(), "{} lines came twice, {first:?} to {last:?}", doubled.len());
        assert_eq!(self.bench.metric("logweir_input_lag_bytes"), 0);
        assert_eq!(self.bench.tailer.problem(), None);
    }
}

/// Leaves so many bytes of a file and then so many NUL bytes, as old as it was.
pub fn cut_short(path: &Path, left: u64, zeros: u64) {
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    let age = file.metadata().unwrap().modified().unwrap();
    file.set_len(left).unwrap();
    file.set_len(left + zeros).unwrap();
    file.set_modified(age).unwrap();
}

/// Replaces a file by its archive, which gets its age, as gzip and logrotate do.
pub fn gzip(path: &Path) {
    let file = fs::File::create(format!("{}.gz", path.display())).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    encoder.write_all(&fs::read(path).unwrap()).unwrap();
    let file = encoder.finish().unwrap();
    file.set_modified(fs::metadata(path).unwrap().modified().unwrap()).unwrap();
    fs::remove_file(path).unwrap();
}

fn rotated(n: usize) -> String {
    if n == 0 { "app.log".into() } else { format!("app.log.{n}") }
}

// Waits until the file system's clock has moved on, so that what comes is younger than what was.
pub fn tick(bench: &Bench) {
    let now = || {
        fs::write(bench.path("clock"), "x").unwrap();
        fs::metadata(bench.path("clock")).unwrap().modified().unwrap()
    };
    let before = now();
    while now() == before {}
}

fn rotation() -> impl Strategy<Value = Rotation> {
    (1_usize..60, any::<bool>(), prop::bool::weighted(0.3)).prop_map(|(lines, copy, gzip)| {
        if copy { Rotation::Copy { lines, gzip } } else { Rotation::Rename { lines, gzip } }
    })
}

fn open(bench: &Bench) -> fs::File {
    fs::OpenOptions::new().append(true).create(true).open(bench.path("app.log")).unwrap()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..60).prop_map(Step::Append),
        1 => Just(Step::Partial),
        2 => Just(Step::Rename),
        2 => Just(Step::Copy),
        2 => Just(Step::Reopen),
        1 => Just(Step::Gzip),
        1 => Just(Step::Recreate),
        2 => Just(Step::Look),
        2 => (0_usize..3).prop_map(Step::ReadSome),
        1 => Just(Step::Restart),
        1 => ((1_usize..60), any::<bool>()).prop_map(|(n, copy)| Step::Down(n, copy)),
        2 => prop::collection::vec(rotation(), 1..4).prop_map(Step::Away),
        1 => (1_usize..12).prop_map(Step::Blink),
        1 => (1_u64..8).prop_map(Step::Pass),
        1 => ((1_u64..3_000), any::<bool>()).prop_map(|(lost, zeros)| Step::Cut(lost, zeros)),
        2 => (prop_oneof![1_u64..300, 1_u64..3_000], any::<bool>(), after())
            .prop_map(|(lost, zeros, after)| Step::CutAndRotated { lost, zeros, after }),
    ]
}

fn after() -> impl Strategy<Value = After> {
    (0_usize..40, any::<bool>(), 0_usize..12, 0_usize..3)
        .prop_map(|(lines, gzip, hidden, ends)| After { lines, gzip, hidden, ends })
}

// The usual run takes the same 300 histories, so that it judges the change and not the day's luck; with
// `LOGWEIR_MODEL_CASES=5000` so many others.
fn config() -> ProptestConfig {
    let cases = std::env::var("LOGWEIR_MODEL_CASES").ok().and_then(|n| n.parse().ok());
    let usual = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match cases {
        Some(cases) => ProptestConfig { cases, ..usual },
        None => ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(1), ..usual },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_line_of_any_history_arrives_exactly_once(
        steps in prop::collection::vec(step(), 1..40),
        inside in any::<bool>(),
        exact in any::<bool>(),
    ) {
        let mut model = Model::new(inside, exact);
        for step in &steps {
            model.apply(step);
        }
        model.check();
    }
}

#[test]
fn histories_that_once_went_wrong() {
    use Step::{Append, Away, Blink, Copy, Cut, Down, Gzip, Look, Partial, Rename, Reopen};
    let away = |times| Away(vec![Rotation::Rename { lines: 1, gzip: false }; times]);
    let twice = vec![
        Rotation::Rename { lines: 58, gzip: false },
        Rotation::Copy { lines: 32, gzip: false },
    ];
    let away_once = Away(vec![Rotation::Rename { lines: 5, gzip: false }]);
    let unplaced =
        [Append(31), Cut(1, false), Copy, Blink(7), Append(1), Append(1), Rename, away_once];
    let missed = After { lines: 0, gzip: false, hidden: 2, ends: 0 };
    let hidden = Step::CutAndRotated { lost: 145, zeros: true, after: missed };
    let archived = |hidden, ends| {
        let after = After { lines: 3, gzip: true, hidden, ends };
        let cut = Step::CutAndRotated { lost: 200, zeros: false, after };
        [Append(40), Look, Append(50), Look, Append(9), Look, cut]
    };
    let (archived, archived_later) = (archived(0, 0), archived(5, 2));
    let unread = [Down(1, false), Copy, Partial, Step::Pass(1), Gzip, Copy, Reopen];
    let histories: [(bool, &[Step]); 20] = [
        (false, &[Blink(1), away(1), Step::Pass(1)]),
        (true, &[Blink(1), away(3), Blink(4), Gzip, away(3), away(3), away(3)]),
        (true, &[Append(4), Down(3, true), Blink(3), Copy, away(1)]),
        (true, &[Rename, Blink(2), Rename, Rename, away(1), Copy, Append(1)]),
        (false, &[Copy, Append(2), Rename, Rename, Gzip]),
        (false, &[Copy, Append(1), Rename, Rename, Gzip]),
        (true, &[Copy, Rename, Gzip, Copy, Rename]),
        (true, &[Append(1), Rename, Rename, Rename, Gzip, Copy]),
        (true, &[Append(1), Rename, Rename, Gzip, Copy, Reopen, Rename]),
        (true, &[Partial, Look, Copy, Gzip, Down(27, false)]),
        (false, &[Blink(1), Away(vec![Rotation::Copy { lines: 31, gzip: false }]), Cut(1, false)]),
        (true, &[Down(1, false), Rename, Rename, Gzip, Partial, Look, Copy]),
        (false, &[Blink(4), Look, Append(41), Look, Append(16), Copy, Away(twice), Step::Restart]),
        (false, &unplaced),
        (false, &[Down(31, false), hidden]),
        (true, &unread),
        (true, &archived),
        (false, &archived),
        (true, &archived_later),
        (false, &archived_later),
    ];
    for (inside, steps) in histories {
        for exact in [false, true] {
            let mut model = Model::new(inside, exact);
            for step in steps {
                model.apply(step);
            }
            model.check();
        }
    }
}
