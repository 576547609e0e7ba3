//! What outputs get.

use std::time::Duration;

use super::support::*;
use crate::journal::{Journal, OnFull, SyncPolicy};

fn turn(journal: &Journal) {
    journal.shared.turn();
}

#[test]
fn each_output_gets_its_own_documents_in_order_and_none_twice() {
    let bench = Bench::new(&["logs", "errors"]);
    let opened = bench.open();
    assert_eq!(opened.bits, [0, 1]);
    let (mut logs, mut errors) = (opened.journal.feed(0).unwrap(), opened.journal.feed(1).unwrap());
    for n in 1..=6 {
        append(&opened.journal, n, if n % 3 == 0 { 0b11 } else { 0b01 });
    }
    assert_eq!(numbers(&mut *logs), [1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&mut *errors), [3, 6]);
    assert_eq!(numbers(&mut *logs), [0; 0]);
}

#[test]
fn a_restart_goes_on_behind_what_is_done_and_with_the_positions() {
    let bench = Bench::new(&["logs", "errors"]);
    let opened = bench.open();
    for n in 1..=5 {
        append(&opened.journal, n, 0b11);
    }
    let mut logs = opened.journal.feed(0).unwrap();
    let sequences: Vec<u64> = given(&mut *logs).into_iter().map(|(_, s)| s).collect();
    logs.done(sequences[2]);
    opened.journal.close();
    drop((opened, logs));
    let opened = bench.open();
    assert_eq!(opened.report.frames, 5);
    assert!(opened.report.wounds.is_empty());
    assert_eq!(offset_of(&opened), 5);
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [4, 5]);
    assert_eq!(numbers(&mut *opened.journal.feed(1).unwrap()), [1, 2, 3, 4, 5]);
    assert_eq!(append(&opened.journal, 6, 0b01), 6, "the sequence goes on");
}

#[test]
fn a_feed_that_is_behind_the_tail_reads_the_segments() {
    let mut bench = Bench::new(&["logs", "slow"]);
    bench.settings.segment_bytes = 3 * 1024 * 1024;
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    let mut slow = opened.journal.feed(1).unwrap();
    for n in 1..=30 {
        let draft = padded(n, 0b11, 700_000);
        opened.journal.append(draft, None).unwrap();
        turn(&opened.journal);
        let got = given(&mut *logs);
        assert_eq!(got.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [n]);
        logs.done(got[0].1);
    }
    let stats = opened.journal.stats();
    assert_eq!((stats.outputs[0].documents, stats.outputs[1].documents), (0, 30));
    assert!(stats.segments > 5);
    bench.storage.read_short(false);
    assert_eq!(numbers(&mut *slow), (1..=30).collect::<Vec<u64>>());
    slow.done(30);
    turn(&opened.journal);
    let stats = opened.journal.stats();
    assert_eq!((stats.segments, stats.outputs[1].bytes, stats.outputs[1].documents), (1, 0, 0));
}

#[test]
fn documents_that_nobody_gets_hold_no_space() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.segment_bytes = 1000;
    let opened = bench.open();
    for n in 1..=50 {
        append(&opened.journal, n, 0);
        turn(&opened.journal);
    }
    assert_eq!(opened.journal.stats().segments, 1);
    assert!(opened.journal.drained());
    drop(opened);
    assert_eq!(offset_of(&bench.open()), 50, "the positions are kept");
}

#[test]
fn a_new_output_starts_at_the_end_and_a_removed_one_lets_go() {
    let mut bench = Bench::new(&["logs", "errors"]);
    bench.settings.segment_bytes = 400;
    let opened = bench.open();
    for n in 1..=9 {
        append(&opened.journal, n, 0b11);
    }
    let mut logs = opened.journal.feed(0).unwrap();
    let last = given(&mut *logs).last().unwrap().1;
    logs.done(last);
    opened.journal.close();
    assert!(opened.journal.stats().segments > 3, "`errors` holds them");
    drop((opened, logs));
    bench.outputs = vec![required("slack"), required("logs")];
    let dropped = |bench: &Bench, output: &str| {
        super::super::numbers::dropped_with(&bench.metrics, output).value()
    };
    assert_eq!(dropped(&bench, "errors"), 0);
    let opened = bench.open();
    assert_eq!((dropped(&bench, "errors"), dropped(&bench, "logs")), (9, 0), "it is counted");
    assert_eq!(opened.bits[1], 0, "`logs` keeps its bit");
    assert_eq!(opened.bits[0], 2, "a bit that old frames use is taken last");
    append(&opened.journal, 10, 0b101);
    turn(&opened.journal);
    assert_eq!(numbers(&mut *opened.journal.feed(2).unwrap()), [10]);
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [10]);
    turn(&opened.journal);
    assert_eq!(opened.journal.stats().segments, 1);
}

#[test]
fn a_lost_cursor_file_sends_again_and_loses_nothing() {
    let bench = Bench::new(&["logs", "errors"]);
    let opened = bench.open();
    for n in 1..=4 {
        append(&opened.journal, n, 0b11);
    }
    let mut logs = opened.journal.feed(0).unwrap();
    let last = given(&mut *logs).last().unwrap().1;
    logs.done(last);
    opened.journal.close();
    drop((opened, logs));
    for broken in [vec![], vec![0xff; 40_000]] {
        bench.storage.put(std::path::Path::new(&format!("{DIRECTORY}/cursors")), &broken);
        let mut other = Bench::new(&["errors", "logs"]);
        other.storage = bench.storage.crash(1);
        let opened = other.open();
        assert_eq!(opened.bits, [1, 0], "segments know the bits");
        for bit in [0, 1] {
            assert_eq!(numbers(&mut *opened.journal.feed(bit).unwrap()), [1, 2, 3, 4]);
        }
    }
}

#[test]
fn a_cursor_ahead_of_the_journal_gives_what_comes_after() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    for n in 1..=4 {
        append(&opened.journal, n, 1);
    }
    let mut logs = opened.journal.feed(0).unwrap();
    given(&mut *logs);
    logs.done(4);
    opened.journal.close();
    drop((opened, logs));
    for path in bench.segments() {
        crate::storage::Storage::remove(&bench.storage, &path).unwrap();
    }
    let opened = bench.open();
    assert_eq!(append(&opened.journal, 9, 1), 5, "no sequence is used twice");
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [9]);
}

#[test]
fn with_sync_always_outputs_see_only_what_is_on_disk() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.sync = SyncPolicy::Always;
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    append(&opened.journal, 1, 1);
    assert_eq!(numbers(&mut *logs), [0; 0]);
    turn(&opened.journal);
    assert_eq!(numbers(&mut *logs), [1]);
}

#[test]
fn a_new_source_hides_its_frame_and_later_ones_until_it_is_synced() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    append(&opened.journal, 1, 1);
    let mut new = draft(2, 1);
    new.position(crate::chunk::Position { key: 7, new: true, ..position(2) });
    opened.journal.append(new, None).unwrap();
    append(&opened.journal, 3, 1);
    assert_eq!(numbers(&mut *logs), [1]);
    turn(&opened.journal);
    assert_eq!(numbers(&mut *logs), [2, 3]);
}

fn append_new(journal: &Journal, n: u64) {
    let mut new = draft(n, 1);
    new.position(crate::chunk::Position { key: n, new: true, ..position(2) });
    journal.append(new, None).unwrap();
}

#[test]
fn new_sources_share_a_sync_that_is_not_asked_for_at_once() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    append(&opened.journal, 1, 1);
    turn(&opened.journal);
    (2..=100).for_each(|n| append_new(&opened.journal, n));
    {
        let state = crate::journal::shared::lock(&opened.journal.shared.state);
        assert!(state.sync_soon && !state.sync_wanted, "no sync for each of them");
    }
    let before = bench.storage.counts().1;
    turn(&opened.journal);
    let syncs = bench.storage.counts().1 - before;
    assert!(syncs <= 2, "{syncs} syncs");
    assert_eq!(numbers(&mut *logs), (1..=100).collect::<Vec<u64>>());
}

#[test]
fn new_sources_are_seen_by_themselves_though_nothing_else_is_due() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.sync = SyncPolicy::Interval(Duration::from_secs(3600));
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=3 {
        append_new(&opened.journal, n);
        until("the document to be seen", || numbers(&mut *logs) == [n]);
    }
    opened.journal.close();
}

#[test]
fn acks_are_told_by_one_sync_and_never_before_it() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    let stored: Vec<_> = (1..=8).map(|n| append_acked(&opened.journal, n, 1)).collect();
    let before = bench.storage.counts().1;
    turn(&opened.journal);
    let syncs = bench.storage.counts().1 - before;
    for told in stored {
        told.wait_blocking().unwrap();
    }
    assert!(syncs <= 2, "{syncs} syncs");
}

#[tokio::test]
async fn a_waiting_feed_wakes_for_a_frame_and_ends_with_the_journal() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    let journal = opened.journal.clone();
    let writer = std::thread::spawn(move || {
        for n in 1..=100 {
            append_acked(&journal, n, 1).wait_blocking().unwrap();
        }
    });
    for n in 1..=100 {
        let frame = logs.next().await.unwrap();
        assert_eq!(number(frame.document(0).body), n);
        logs.done(frame.sequence());
    }
    opened.journal.until_drained().await;
    assert!(opened.journal.wait_drained(Duration::from_secs(1)));
    writer.join().unwrap();
    append(&opened.journal, 101, 1);
    opened.journal.close();
    assert!(logs.next().await.is_none(), "what is left comes after the next start");
    assert!(opened.journal.append(draft(102, 1), None).is_err());
    drop((opened, logs));
    assert_eq!(numbers(&mut *bench.open().journal.feed(0).unwrap()), [101]);
}

#[test]
fn buffers_come_back_so_that_no_frame_is_allocated_in_steady_state() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for n in 1..=50 {
        let mut buffer = opened.journal.buffer();
        buffer.reserve(1000);
        seen.insert(buffer.as_ptr() as usize);
        let mut filled = crate::frame::Draft::new(buffer);
        let address = filled.string(b"a").unwrap();
        filled.body().extend_from_slice(format!("{{\"n\":{n}}}").as_bytes());
        let head = crate::frame::Head { routes: 1, time_ns: 0, prefix: None, suffix: 0, sub: 0 };
        filled.add(head, &[address]);
        opened.journal.append(filled, None).unwrap();
        turn(&opened.journal);
        let frame = logs.next_now().unwrap();
        // Done is said while the frame is still held, as an output may.
        logs.done(frame.sequence());
    }
    assert!(seen.len() <= 3, "{} buffers for 50 frames", seen.len());
}

#[test]
fn one_frame_is_one_write() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    append(&opened.journal, 1, 1);
    let before = bench.storage.counts().0;
    for n in 2..=21 {
        append(&opened.journal, n, 1);
    }
    assert_eq!(bench.storage.counts().0 - before, 20);
}

#[tokio::test]
async fn a_drain_ends_when_the_last_frames_hold_nothing_for_an_output() {
    let bench = Bench::new(&["a"]);
    let opened = bench.open();
    let bit = opened.bits[0];
    let (journal, mut feed) = (opened.journal.clone(), opened.journal.feed(bit).unwrap());
    append(&journal, 1, 1 << bit);
    append(&journal, 2, 0);
    let first = feed.next_now().unwrap().sequence();
    feed.done(first);
    assert!(!journal.drained(), "the second frame was not looked at");
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.until_drained().await }
    });
    tokio::task::yield_now().await;
    assert!(feed.next_now().is_none());
    assert!(journal.drained());
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("woken").unwrap();
}

#[test]
fn lag_does_not_count_what_a_policy_dropped_behind_documents_that_are_under_way() {
    let mut bench = Bench::new(&["a"]);
    bench.settings.on_full = OnFull::DropOldest;
    bench.settings.segment_bytes = 4096;
    bench.settings.max_bytes = 65536;
    let opened = bench.open();
    let bit = opened.bits[0];
    let mut feed = opened.journal.feed(bit).unwrap();
    append(&opened.journal, 1, 1 << bit);
    // Under way, and never done.
    assert_eq!(feed.next_now().map(|f| f.sequence()), Some(1));
    for n in 2..=400 {
        opened.journal.append(padded(n, 1 << bit, 400), None).unwrap();
    }
    let behind = opened.journal.stats().outputs[0].documents;
    let dropped = bench.metrics.with("output", "a").with("reason", "quota");
    let dropped = dropped.counter("logweir_journal_dropped_documents_total", "").value();
    assert!(dropped > 100, "{dropped}");
    assert_eq!(behind + dropped, 400);
    let why = bench.trouble().expect("said in health");
    assert!(why.contains("outputs.a are dropped"), "{why}");
}
