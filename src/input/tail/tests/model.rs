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
    // The same, and the log is rotated before the agent is there again, which looks in the middle of it.
    CutAndRotated { lost: u64, zeros: bool, lines: usize, hidden: usize },
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
            Step::CutAndRotated { lost, zeros, lines, hidden } => {
                self.cut(*lost, *zeros, Some((*lines, *hidden)));
            }
            Step::Pass(seconds) => {
                self.look();
                self.bench.pass(*seconds);
            }
        }
    }

    // `rotated`: so many lines come into the new log, and so many listings and questions miss the old one.
    fn cut(&mut self, lost: u64, zeros: bool, rotated: Option<(usize, usize)>) {
        self.storage.blink(0);
        self.reopen();
        self.look();
        self.bench.drain();
        if rotated.is_some() {
            self.make_room(KEPT);
        }
        let size = self.writer.metadata().unwrap().len();
        // A file that has no first kilobyte left is not known again.
        let left = size.saturating_sub(lost).max(size.min(HEAD_BYTES as u64));
        cut_short(&self.bench.path("app.log"), left, if zeros { size - left } else { 0 });
        if let Some((lines, hidden)) = rotated {
            tick(&self.bench);
            self.shift_names();
            self.bench.rename("app.log", "app.log.1");
            self.bench.append("app.log", "");
            self.reopen();
            self.apply(&Step::Append(lines));
            self.storage.blink(hidden);
        }
        self.storage.cut();
        self.wakes.clear();
        self.bench.start();
        if rotated.is_some() {
            // What is compressed or gone before it was found has lost its end for good: docs/delivery.md says so.
            self.bench.pass(12);
        }
        self.unseen = false;
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
        let to = format!("{name}.gz");
        let file = fs::File::create(self.bench.path(&to)).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&fs::read(self.bench.path(name)).unwrap()).unwrap();
        let file = encoder.finish().unwrap();
        // As gzip and logrotate do.
        let age = fs::metadata(self.bench.path(name)).unwrap().modified().unwrap();
        file.set_modified(age).unwrap();
        self.appeared(&to);
        fs::remove_file(self.bench.path(name)).unwrap();
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

fn rotated(n: usize) -> String {
    if n == 0 { "app.log".into() } else { format!("app.log.{n}") }
}

// Waits until the file system's clock has moved on, so that what comes is younger than what was.
fn tick(bench: &Bench) {
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
        1 => ((1_u64..3_000), any::<bool>(), 0_usize..40, 0_usize..12).prop_map(
            |(lost, zeros, lines, hidden)| Step::CutAndRotated { lost, zeros, lines, hidden }
        ),
    ]
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
    let hidden = Step::CutAndRotated { lost: 145, zeros: true, lines: 0, hidden: 2 };
    let unread = [Down(1, false), Copy, Partial, Step::Pass(1), Gzip, Copy, Reopen];
    let histories: [(bool, &[Step]); 16] = [
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
