//! A journal on a simulated disk, and a server that lost some documents.

use std::sync::Arc;

use super::*;
use crate::clock::ManualClock;
use crate::delivery::{BoxFuture, DeadLetter, DeadLetters};
use crate::frame::{Draft, Head};
use crate::health::Health;
use crate::journal::dead_letter::Store;
use crate::journal::{Journal, OutputSlot, Parts, Settings};
use crate::metrics::Metrics;
use crate::storage::simulated::SimulatedStorage;

/// Has everything but these.
struct Server(HashSet<String>);

impl Lookup for Server {
    fn present<'a>(
        &'a self,
        _: &'a str,
        ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>, String>> {
        assert!(ids.len() <= AUDIT_IDS);
        Box::pin(async move { Ok(ids.iter().map(|id| !self.0.contains(id)).collect()) })
    }
}

fn id(n: u64) -> String {
    format!("00000000000000aa-{n:010x}")
}

/// Frames of 100 documents of one file for one output; the output is done with the first `done` of them.
fn journal(storage: &SharedStorage, frames: u64, done: u64) {
    let parts = Parts {
        storage: Arc::clone(storage),
        clock: Arc::new(ManualClock::at(1)),
        metrics: Metrics::default(),
        health: Health::default().part("journal"),
        budget: crate::budget::Budget::default(),
    };
    let slot = OutputSlot { name: "logs".into(), required: true, max_lag: None };
    let directory = Path::new("/data/app/journal");
    let opened = Journal::open(parts, directory, Settings::default(), &[slot]).unwrap();
    for frame in 0..frames {
        let mut draft = Draft::new(Vec::new());
        let address = draft.string(b"index").unwrap();
        let prefix = draft.string(b"00000000000000aa");
        for n in frame * 100..frame * 100 + 100 {
            draft.body().extend_from_slice(b"{}");
            let (routes, suffix) = (1 << opened.bits[0], n);
            draft.add(Head { routes, time_ns: 0, prefix, suffix, sub: 0 }, &[address]);
        }
        opened.journal.append(draft, None).unwrap();
    }
    let mut feed = opened.journal.feed(opened.bits[0]).unwrap();
    while let Some(frame) = feed.next_now() {
        if frame.sequence() <= done {
            feed.done(frame.sequence());
        }
    }
}

fn run(storage: &SharedStorage, lost: impl IntoIterator<Item = u64>) -> Audit {
    let server = Server(lost.into_iter().map(id).collect());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let done = runtime.block_on(audit(storage, Path::new("/data/app"), "logs", &server));
    done.unwrap_or_else(|why| panic!("{why:?}"))
}

#[test]
fn exactly_the_delivered_documents_that_are_nowhere_are_named_as_ranges() {
    let storage: SharedStorage = Arc::new(SimulatedStorage::default());
    journal(&storage, 30, 25);
    let good = run(&storage, []);
    let all = Audit { delivered: 2500, found: 2500, waiting: 500, ..Audit::default() };
    assert_eq!(good, Audit { frames: (1, 25), ..all });
    let bad = run(&storage, [7, 8, 9, 150, 2499, 2500]);
    let range = |first, last, documents, frames| Range {
        address: "index".into(),
        source: Some(0xaa),
        first: id(first),
        last: id(last),
        documents,
        frames,
    };
    let wanted =
        [range(7, 9, 3, (1, 1)), range(150, 150, 1, (2, 2)), range(2499, 2499, 1, (25, 25))];
    assert_eq!(bad.missing, wanted);
    assert_eq!((bad.delivered, bad.found), (2500, 2495));
}

#[test]
fn a_dead_letter_is_not_missing() {
    let storage: SharedStorage = Arc::new(SimulatedStorage::default());
    journal(&storage, 1, 1);
    let (clock, metrics) = (Arc::new(ManualClock::at(1)), Metrics::default());
    let folder = Path::new("/data/app/dead-letters");
    let store = Store::open(Arc::clone(&storage), clock, &metrics, folder, 1 << 20).unwrap();
    let letter = DeadLetter {
        output: "logs".into(),
        address: "index".into(),
        id: id(3),
        reason: "r".into(),
        refused_ns: 1,
        document: b"{}".to_vec(),
    };
    let other = DeadLetter { output: "other".into(), id: id(4), ..letter.clone() };
    store.put(&[letter, other]).unwrap();
    let audit = run(&storage, [3, 4]);
    assert_eq!((audit.dead, audit.found), (1, 98));
    assert_eq!(audit.missing.len(), 1);
    assert_eq!(audit.missing[0].first, id(4));
}
