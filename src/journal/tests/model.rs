//! Random operations with crashes, against what was promised.

use proptest::prelude::*;

use super::support::*;
use crate::chunk::Stored;
use crate::delivery::Feed;
use crate::journal::{Opened, SyncPolicy, Wound};
use crate::storage::simulated::EIO;

#[derive(Clone, Debug)]
enum Operation {
    Append {
        routes: u32,
        padding: usize,
        acked: bool,
    },
    Take {
        output: usize,
    },
    Done {
        output: usize,
        back: usize,
    },
    Turn,
    FailSyncs(bool),
    ShortReads(bool),
    Reopen,
    Crash(u64),
    /// The next start meets a device that does not give so many reads.
    Unread(u64),
}

/// What the outside world knows.
#[derive(Default)]
struct Model {
    /// Routes of document `n`, from 1 on.
    routes: Vec<u32>,
    /// The input's next document.
    next: u64,
    /// Documents whose acks were told.
    told: u64,
    waiting: Vec<(u64, Stored)>,
    /// Given since the last restart, by output: `(n, sequence)`.
    given: [Vec<(u64, u64)>; 2],
    /// Done for certain, by output: all up to this `n`.
    done: [u64; 2],
}

struct Run {
    bench: Bench,
    /// Reads that fail from the next start on.
    unread: u64,
    opened: Option<Opened>,
    feeds: Vec<Box<dyn Feed>>,
    model: Model,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (0..4_u32, 0..300_usize, any::<bool>())
            .prop_map(|(routes, padding, acked)| Operation::Append { routes, padding, acked }),
        4 => (0..2_usize).prop_map(|output| Operation::Take { output }),
        4 => (0..2_usize, 0..3_usize).prop_map(|(output, back)| Operation::Done { output, back }),
        4 => Just(Operation::Turn),
        1 => any::<bool>().prop_map(Operation::FailSyncs),
        1 => any::<bool>().prop_map(Operation::ShortReads),
        1 => Just(Operation::Reopen),
        2 => any::<u64>().prop_map(Operation::Crash),
        1 => (1_u64..12).prop_map(Operation::Unread),
    ]
}

fn policy() -> impl Strategy<Value = SyncPolicy> {
    let interval = SyncPolicy::Interval(std::time::Duration::from_millis(5));
    prop_oneof![Just(SyncPolicy::Always), Just(interval), Just(SyncPolicy::Os)]
}

impl Run {
    fn new(sync: SyncPolicy, segment_bytes: u64) -> Run {
        let mut bench = Bench::new(&["logs", "errors"]);
        bench.settings.sync = sync;
        bench.settings.segment_bytes = segment_bytes;
        let model = Model { next: 1, ..Model::default() };
        let mut run = Run { bench, unread: 0, opened: None, feeds: Vec::new(), model };
        run.open();
        run
    }

    fn open(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        if unread > 0 {
            self.bench.storage.fail_reads_of(&[DIRECTORY.into()], EIO, Some(unread));
        }
        // A service manager starts it until it works.
        let opened = (0..=unread).find_map(|_| self.bench.try_open().ok()).unwrap();
        self.bench.storage.fail_reads(None);
        let away = |w: &Wound| w.reason.contains("cannot be read");
        assert!(!opened.report.wounds.iter().any(away), "{:?}", opened.report);
        self.feeds = opened.bits.iter().map(|bit| opened.journal.feed(*bit).unwrap()).collect();
        let offset = offset_of(&opened);
        assert!(
            offset >= self.model.told,
            "{} was told, but only {offset} is there",
            self.model.told
        );
        assert!(offset < self.model.next, "a position of something that was never read");
        // The input reads on from there.
        self.model.next = offset + 1;
        self.model.routes.truncate(offset as usize);
        self.model.given = Default::default();
        self.model.waiting.clear();
        self.opened = Some(opened);
    }

    fn step(&mut self, operation: &Operation) {
        let journal = self.opened.as_ref().unwrap().journal.clone();
        match *operation {
            Operation::Append { routes, padding, acked } => {
                let n = self.model.next;
                self.model.next += 1;
                self.model.routes.push(routes);
                let (ack, stored) = crate::chunk::ack();
                journal.append(padded(n, routes, padding), acked.then_some(ack)).unwrap();
                if acked {
                    self.model.waiting.push((n, stored));
                }
            }
            Operation::Take { output } => self.take(output, 1),
            Operation::Done { output, back } => {
                let given = &self.model.given[output];
                let Some((n, sequence)) = given.iter().rev().nth(back) else { return };
                self.feeds[output].done(*sequence);
                self.model.done[output] = self.model.done[output].max(*n);
            }
            Operation::Turn => {
                journal.shared.turn();
                self.hear();
            }
            Operation::FailSyncs(fail) => self.bench.storage.fail_syncs(fail.then_some(EIO)),
            Operation::Unread(reads) => self.unread = reads,
            Operation::ShortReads(short) => self.bench.storage.read_short(short),
            Operation::Reopen => {
                self.bench.storage.fail_syncs(None);
                journal.close();
                self.hear();
                self.restart();
            }
            Operation::Crash(seed) => {
                self.hear();
                self.bench.storage = self.bench.storage.crash(seed);
                self.restart();
            }
        }
    }

    fn hear(&mut self) {
        let waiting = std::mem::take(&mut self.model.waiting);
        for (n, mut stored) in waiting {
            match stored.told() {
                Some(true) => self.model.told = self.model.told.max(n),
                Some(false) => panic!("the ack of {n} was dropped while the journal is open"),
                None => self.model.waiting.push((n, stored)),
            }
        }
    }

    fn restart(&mut self) {
        self.feeds.clear();
        self.opened = None;
        self.open();
    }

    fn take(&mut self, output: usize, most: usize) {
        for _ in 0..most {
            let Some(frame) = self.feeds[output].next_now() else { return };
            let n = number(frame.document(0).body);
            let given = &mut self.model.given[output];
            assert!(given.last().is_none_or(|last| last.0 < n), "order, and none twice");
            assert!(n < self.model.next, "never read");
            given.push((n, frame.sequence()));
        }
    }

    /// After everything: each document that is in the journal and was not done arrives.
    fn check_all_arrives(&mut self) {
        self.bench.storage.fail_syncs(None);
        let journal = self.opened.as_ref().unwrap().journal.clone();
        assert!(journal.shared.turn(), "it recovers by itself");
        self.hear();
        assert!(self.model.waiting.is_empty() || self.bench.settings.sync == SyncPolicy::Os);
        for output in 0..2 {
            self.take(output, usize::MAX);
            let given: Vec<u64> = self.model.given[output].iter().map(|(n, _)| *n).collect();
            for (index, routes) in self.model.routes.iter().enumerate() {
                let n = index as u64 + 1;
                let owed = routes & (1 << output) != 0 && n > self.model.done[output];
                assert!(!owed || given.contains(&n), "{n} is owed to output {output}: {given:?}");
            }
        }
        for (slot, output) in journal.stats().outputs.iter().enumerate() {
            let outstanding = self.model.given[slot].iter().filter(|(_, s)| *s > output.cursor);
            assert_eq!(output.documents, outstanding.count() as u64, "the lag is exact");
        }
        for slot in 0..2 {
            self.feeds[slot].done(u64::MAX);
        }
        // A rewritten segment has no snapshot: the next one replaces those before it.
        journal.append(draft(self.model.next, 0), None).unwrap();
        journal.shared.kick(&mut crate::journal::shared::lock(&journal.shared.state));
        journal.shared.turn();
        assert!(journal.drained());
        assert!(journal.stats().segments <= 1, "everything delivered is deleted");
    }
}

/// The usual run takes 600 histories; with `LOGWEIR_MODEL_CASES=20000` so many.
fn config() -> ProptestConfig {
    let cases = std::env::var("LOGWEIR_MODEL_CASES").ok().and_then(|n| n.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(600),
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn nothing_told_is_lost_and_nothing_is_out_of_order_whatever_happens(
        sync in policy(),
        segment_bytes in prop_oneof![Just(1_u64), Just(600), Just(5000)],
        operations in proptest::collection::vec(operation(), 1..80),
    ) {
        let mut run = Run::new(sync, segment_bytes);
        for operation in &operations {
            run.step(operation);
        }
        run.check_all_arrives();
    }
}
