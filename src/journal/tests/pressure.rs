//! Full disks, reached quotas, outputs that fall behind.

use std::sync::mpsc;

use super::support::*;
use crate::chunk::Position;
use crate::journal::shared::lock;
use crate::journal::{Journal, OnFull, OutputSlot};
use crate::storage::simulated::{EIO, ENOSPC};

/// Appends on a thread of its own; the receiver hears each sequence.
fn appending(journal: &Journal, numbers: std::ops::RangeInclusive<u64>) -> mpsc::Receiver<u64> {
    let (tell, hear) = mpsc::channel();
    let journal = journal.clone();
    std::thread::spawn(move || {
        for n in numbers {
            let Ok(sequence) = journal.append(padded(n, 1, 1000), None) else { return };
            if tell.send(sequence).is_err() {
                return;
            }
        }
    });
    hear
}

#[test]
fn a_full_disk_is_said_waited_for_and_gone_on_from() {
    for error in [ENOSPC, EIO] {
        let bench = Bench::new(&["logs"]);
        let opened = bench.open_threaded();
        append(&opened.journal, 1, 1);
        bench.storage.fail_writes(Some(error));
        let hear = appending(&opened.journal, 2..=4);
        until("trouble", || bench.trouble().is_some());
        let said = bench.trouble().unwrap();
        assert!(said.contains("cannot write `/data/journal/"), "{said}");
        assert!(said.contains("goes on by itself"), "{said}");
        assert!(hear.try_recv().is_err());
        bench.storage.fail_writes(None);
        for _ in 2..=4 {
            hear.recv_timeout(SOON).unwrap();
        }
        until("fine again", || bench.trouble().is_none());
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3, 4]);
        opened.journal.close();
        drop(opened);
        let opened = bench.open();
        assert!(opened.report.wounds.is_empty(), "the half write was written over");
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3, 4]);
    }
}

#[test]
fn a_disk_that_fills_within_a_frame_leaves_no_wound() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open_threaded();
    append(&opened.journal, 1, 1);
    bench.storage.set_space(Some(40_000 + 100));
    let hear = appending(&opened.journal, 2..=60);
    until("trouble", || bench.trouble().is_some());
    bench.storage.set_space(None);
    for _ in 2..=60 {
        hear.recv_timeout(SOON).unwrap();
    }
    opened.journal.close();
    drop(opened);
    let opened = bench.open();
    assert!(opened.report.wounds.is_empty(), "{:?}", opened.report.wounds);
    assert_eq!(opened.report.frames, 60);
}

#[test]
fn a_disk_without_room_for_the_cursors_is_said_holds_nothing_up_and_sends_nothing_twice_afterwards()
{
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=3 {
        append(&opened.journal, n, 1);
    }
    opened.journal.shared.sync_once();
    // Also a write within a file may need a block that is not there: a file with holes, a copy-on-write file system.
    bench.storage.fail_writes(Some(ENOSPC));
    let sequences: Vec<u64> = given(&mut *logs).into_iter().map(|(_, s)| s).collect();
    logs.done(sequences[1]);
    for _ in 0..3 {
        opened.journal.shared.turn();
    }
    let said = bench.trouble().unwrap_or_default();
    assert!(said.contains("cursors") && said.contains("goes on by itself"), "{said}");
    // A process that is killed now sends again, and loses nothing.
    let mut after = Bench::new(&["logs"]);
    after.storage = bench.storage.kill();
    after.storage.fail_writes(Some(ENOSPC));
    let again = after.open();
    again.journal.shared.turn();
    after.storage.fail_writes(None);
    assert!(again.journal.shared.turn());
    let got = numbers(&mut *again.journal.feed(0).unwrap());
    assert!(got.ends_with(&[3]), "{got:?}");
    bench.storage.fail_writes(None);
    assert!(opened.journal.shared.turn());
    assert_eq!(bench.trouble(), None);
    let mut after = Bench::new(&["logs"]);
    after.storage = bench.storage.kill();
    assert_eq!(numbers(&mut *after.open().journal.feed(0).unwrap()), [3]);
}

#[test]
fn a_failed_sync_tells_no_ack_and_is_made_good_in_a_new_segment() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    append(&opened.journal, 1, 1);
    opened.journal.shared.turn();
    bench.storage.fail_syncs(Some(EIO));
    let mut stored = append_acked(&opened.journal, 2, 1);
    assert!(!opened.journal.shared.turn());
    assert!(bench.trouble().unwrap().contains("cannot sync"), "{:?}", bench.trouble());
    assert_eq!(stored.told(), None);
    append(&opened.journal, 3, 1);
    bench.storage.fail_syncs(None);
    assert!(opened.journal.shared.turn());
    assert_eq!(stored.told(), Some(true));
    assert!(bench.trouble().is_none());
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3]);
    for seed in 0..20 {
        let mut after = Bench::new(&["logs"]);
        after.storage = bench.storage.crash(seed);
        let opened = after.open();
        assert_eq!(offset_of(&opened), 3);
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3]);
    }
}

#[test]
fn a_reached_quota_blocks_until_the_output_has_caught_up() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.max_bytes = 20_000;
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    let hear = appending(&opened.journal, 1..=200);
    until("the quota", || bench.trouble().is_some());
    let said = bench.trouble().unwrap();
    assert!(said.contains("20000 bytes") && said.contains("outputs.logs"), "{said}");
    assert!(opened.journal.stats().bytes <= 20_000);
    let mut next = 1;
    while next <= 200 {
        for (n, sequence) in given(&mut *logs) {
            assert_eq!(n, next);
            next += 1;
            logs.done(sequence);
        }
        assert!(opened.journal.stats().bytes <= 22_000, "{}", opened.journal.stats().bytes);
        std::thread::yield_now();
    }
    assert_eq!(hear.iter().count(), 200);
    assert!(opened.journal.wait_drained(SOON));
    until("fine again", || bench.trouble().is_none());
}

#[test]
fn a_blocked_append_ends_when_the_journal_closes() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.max_bytes = 8000;
    let opened = bench.open_threaded();
    let hear = appending(&opened.journal, 1..=100);
    until("the quota", || bench.trouble().is_some());
    opened.journal.close();
    let accepted = hear.iter().count() as u64;
    drop(opened);
    let opened = bench.open();
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), (1..=accepted).collect::<Vec<_>>());
    assert_eq!(offset_of(&opened), accepted, "what was not taken is read again");
}

#[test]
fn a_frame_larger_than_the_quota_goes_through_an_empty_journal() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.max_bytes = 5000;
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=4 {
        opened.journal.append(padded(n, 1, 20_000), None).unwrap();
        let got = given(&mut *logs);
        assert_eq!(got[0].0, n);
        logs.done(got[0].1);
    }
    until("space", || opened.journal.stats().bytes < 25_000);
}

#[test]
fn drop_oldest_drops_whole_segments_and_counts_every_document() {
    let mut bench = Bench::new(&["logs", "errors"]);
    bench.settings.max_bytes = 20_000;
    bench.settings.on_full = OnFull::DropOldest;
    let opened = bench.open_threaded();
    let mut errors = opened.journal.feed(1).unwrap();
    for n in 1..=100 {
        opened.journal.append(padded(n, 0b11, 1000), None).unwrap();
        if let Some((_, sequence)) = given(&mut *errors).last() {
            errors.done(*sequence);
        }
    }
    let got = numbers(&mut *opened.journal.feed(0).unwrap());
    assert!(got.len() > 5 && got.len() < 20, "{got:?}");
    assert_eq!(*got.last().unwrap(), 100);
    let dropped = 100 - got.len();
    let shown = bench.metrics.render();
    let line = |output, count| {
        format!("dropped_documents_total{{output=\"{output}\",reason=\"quota\"}} {count}\n")
    };
    assert!(shown.contains(&line("logs", dropped)), "{dropped}: {shown}");
    assert!(shown.contains(&line("errors", 0)), "{shown}");
    assert!(opened.journal.stats().bytes <= 22_000);
}

#[test]
fn what_an_output_holds_of_dropped_segments_is_shown_and_counted_if_it_is_not_delivered() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.max_bytes = 20_000;
    bench.settings.on_full = OnFull::DropOldest;
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    opened.journal.append(padded(1, 1, 1000), None).unwrap();
    let held = given(&mut *logs);
    for n in 2..=100 {
        opened.journal.append(padded(n, 1, 1000), None).unwrap();
    }
    opened.journal.shared.show();
    let shown = |bench: &Bench, line: &str| {
        let text = bench.metrics.render();
        assert!(text.contains(line), "{line} in {text}");
    };
    let gauge = "logweir_journal_dropped_in_hand_documents{output=\"logs\"}";
    shown(&bench, &format!("{gauge} {}\n", held.len()));
    let held_later = given(&mut *logs);
    logs.done(held[0].1);
    opened.journal.shared.show();
    shown(&bench, &format!("{gauge} 0\n"));
    for n in 101..=200 {
        opened.journal.append(padded(n, 1, 1000), None).unwrap();
    }
    drop(logs);
    opened.journal.close();
    let line = "logweir_journal_dropped_documents_total{output=\"logs\",reason=\"in_hand\"}";
    shown(&bench, &format!("{line} {}\n", held_later.len()));
}

#[test]
fn a_best_effort_output_never_holds_more_than_its_lag_and_never_blocks() {
    let mut bench = Bench::new(&["logs"]);
    let slack = |max_lag| OutputSlot { name: "slack".into(), required: false, max_lag };
    for max_lag in [Some(5000), None] {
        bench.outputs = vec![required("logs"), slack(max_lag)];
        bench.settings.max_bytes = 30_000;
        bench.storage = crate::storage::simulated::SimulatedStorage::default();
        bench.metrics = crate::metrics::Metrics::default();
        let opened = bench.open_threaded();
        let mut logs = opened.journal.feed(0).unwrap();
        for n in 1..=100 {
            opened.journal.append(padded(n, 0b11, 1000), None).unwrap();
            let got = given(&mut *logs);
            logs.done(got.last().unwrap().1);
        }
        opened.journal.shared.turn();
        let lag = opened.journal.stats().outputs[1].clone();
        assert!(lag.bytes <= max_lag.unwrap_or(30_000), "{lag:?}");
        let got = numbers(&mut *opened.journal.feed(1).unwrap());
        assert_eq!(*got.last().unwrap(), 100);
        let sum: u64 = bench
            .metrics
            .render()
            .lines()
            .filter(|l| l.contains("dropped_documents_total{output=\"slack\""))
            .map(|l| l.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum();
        assert_eq!(sum as usize + got.len(), 100, "each one given or counted");
    }
}

#[test]
fn only_a_required_output_that_is_a_little_behind_is_waited_for() {
    let mut bench = Bench::new(&["logs"]);
    bench.outputs.push(OutputSlot { required: false, ..required("best_effort") });
    let opened = bench.open();
    let (mut logs, mut other) = (opened.journal.feed(0).unwrap(), opened.journal.feed(1).unwrap());
    let waits = || {
        let state = lock(&opened.journal.shared.state);
        state.leaves_behind(state.tail_max / 2)
    };
    let mut seen = Vec::new();
    for n in 1..=26 {
        opened.journal.append(padded(n, 0b11, 700_000), None).unwrap();
        seen.push(waits());
    }
    // From half a tail (2 MiB) to four tails (16 MiB).
    let expected: Vec<bool> = (1..=26).map(|n| (3..=23).contains(&n)).collect();
    assert_eq!(seen, expected);
    assert_eq!(given(&mut *other).len(), 26);
    assert!(!waits(), "far behind");
    for _ in 0..5 {
        logs.next_now().unwrap();
    }
    assert!(waits(), "near again");
    assert_eq!(given(&mut *logs).len(), 21);
    assert!(!waits(), "it has everything");
    for n in 27..=40 {
        opened.journal.append(padded(n, 0b10, 700_000), None).unwrap();
        assert!(!waits(), "a best-effort output is never waited for");
    }
    let mut hidden = padded(41, 0b01, 3_000_000);
    hidden.position(Position { key: 2, new: true, ..position(41) });
    opened.journal.append(hidden, None).unwrap();
    assert!(!waits(), "it cannot be taken yet");
    opened.journal.shared.sync_once();
    assert!(waits());
}

#[test]
fn an_output_that_takes_nothing_is_waited_for_once() {
    let bench = Bench::new(&["dead"]);
    let opened = bench.open_threaded();
    let behind = || {
        let state = lock(&opened.journal.shared.state);
        (state.outputs[0].waited.1, state.leaves_behind(state.tail_max / 2))
    };
    append(&opened.journal, 1, 1);
    opened.journal.shared.sync_once();
    for n in 2..=7 {
        assert!(!behind().0);
        opened.journal.append(padded(n, 1, 400_000), None).unwrap();
    }
    assert_eq!(behind(), (false, true));
    for n in 8..=20 {
        opened.journal.append(padded(n, 1, 400_000), None).unwrap();
        assert_eq!(behind(), (true, false), "{n}");
    }
    let mut feed = opened.journal.feed(0).unwrap();
    feed.next_now().unwrap();
    assert!(behind().1, "it works again");
}

#[test]
fn waiting_for_an_output_ends_by_itself_and_nothing_is_lost_by_it() {
    let bench = Bench::new(&["logs", "dead"]);
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=60 {
        opened.journal.append(padded(n, 0b11, 400_000), None).unwrap();
    }
    assert_eq!(numbers(&mut *logs), (1..=60).collect::<Vec<u64>>());
    // 24 MB: the dead one is far behind, and so is not waited for.
    let journal = opened.journal.clone();
    let appending = std::thread::spawn(move || {
        (61..=120).for_each(|n| _ = journal.append(padded(n, 0b01, 400_000), None).unwrap());
    });
    let mut got = Vec::new();
    until("all", || {
        got.extend(numbers(&mut *logs));
        got.len() == 60
    });
    appending.join().unwrap();
    assert_eq!(got, (61..=120).collect::<Vec<u64>>());
    assert!(!lock(&opened.journal.shared.state).pacing);
}
