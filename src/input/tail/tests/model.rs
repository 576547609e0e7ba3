//! Random histories of a log file against the tailer: every line exactly once.

use proptest::prelude::*;

use super::*;

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
    Pass(u64),
}

struct Model {
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
        let glob = if inside { "app.log*" } else { "app.log" };
        let mut bench = Bench::with(&[glob], |s| s.partial_line_ns = u64::MAX / 4, disk());
        bench.append("app.log", "");
        bench.start();
        let writer = open(&bench);
        let (wakes, expected) = (Vec::new(), Vec::new());
        Model {
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
        for n in 0..6 {
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
        if self.bench.path(&rotated(4)).exists() || self.bench.path("app.log.4.gz").exists() {
            // A writer that goes on in a removed file while the agent is down writes for nobody.
            self.reopen();
            self.look();
            self.bench.drain();
            let _ = fs::remove_file(self.bench.path(&rotated(4)));
            let _ = fs::remove_file(self.bench.path("app.log.4.gz"));
            self.changed("app.log.4");
            self.changed("app.log.4.gz");
        }
        for n in (1..4).rev() {
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
        self.unseen = true;
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
            Step::Pass(seconds) => {
                self.look();
                self.bench.pass(*seconds);
            }
        }
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
        encoder.finish().unwrap();
        self.appeared(&to);
        fs::remove_file(self.bench.path(name)).unwrap();
        self.changed(name);
    }

    fn check(mut self) {
        self.complete();
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

fn rotated(n: usize) -> String {
    if n == 0 { "app.log".into() } else { format!("app.log.{n}") }
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
        1 => (1_u64..8).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

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
    use Step::{Append, Copy, Gzip, Rename, Reopen};
    let histories: [(bool, &[Step]); 5] = [
        (false, &[Copy, Append(2), Rename, Rename, Gzip]),
        (false, &[Copy, Append(1), Rename, Rename, Gzip]),
        (true, &[Copy, Rename, Gzip, Copy, Rename]),
        (true, &[Append(1), Rename, Rename, Rename, Gzip, Copy]),
        (true, &[Append(1), Rename, Rename, Gzip, Copy, Reopen, Rename]),
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
