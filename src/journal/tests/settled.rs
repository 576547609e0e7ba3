//! Disks that lie or go away for a while: what is found at a start, what cannot be read now, what cannot be freed.

use std::path::Path;

use super::support::*;
use crate::journal::SyncPolicy;
use crate::storage::Storage;
use crate::storage::simulated::EIO;

#[test]
fn what_a_process_left_after_a_failed_sync_is_written_again_before_anything_builds_on_it() {
    for fails_at_the_start in [false, true] {
        let bench = Bench::new(&["logs"]);
        let opened = bench.open();
        append(&opened.journal, 1, 1);
        opened.journal.shared.turn();
        // The kernel calls the second frame clean after this, but it never reached the disk.
        bench.storage.fail_syncs(Some(EIO));
        append(&opened.journal, 2, 1);
        opened.journal.close();
        drop(opened);
        bench.storage.fail_syncs(fails_at_the_start.then_some(EIO));
        let opened = bench.open();
        if fails_at_the_start {
            assert!(bench.trouble().unwrap().contains("cannot sync"), "{:?}", bench.trouble());
            bench.storage.fail_syncs(None);
            assert!(opened.journal.shared.turn());
            assert!(bench.trouble().is_none());
        }
        assert_eq!(offset_of(&opened), 2);
        append(&opened.journal, 3, 1);
        assert!(opened.journal.shared.turn());
        for seed in 0..20 {
            let mut after = Bench::new(&["logs"]);
            after.storage = bench.storage.crash(seed);
            let opened = after.open();
            assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3]);
        }
    }
}

#[test]
fn a_start_that_cannot_sync_what_it_found_does_not_note_it_as_durable() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    append(&opened.journal, 1, 1);
    opened.journal.shared.turn();
    bench.storage.fail_syncs(Some(EIO));
    append(&opened.journal, 2, 1);
    opened.journal.close();
    drop(opened);
    // It ends before any sync succeeds: the next one must write the frame again, too.
    bench.open().journal.close();
    bench.storage.fail_syncs(None);
    let opened = bench.open();
    append(&opened.journal, 3, 1);
    assert!(opened.journal.shared.turn());
    for seed in 0..20 {
        let mut after = Bench::new(&["logs"]);
        after.storage = bench.storage.crash(seed);
        assert_eq!(numbers(&mut *after.open().journal.feed(0).unwrap()), [1, 2, 3]);
    }
}

#[test]
fn no_frame_comes_in_before_what_was_found_is_durable() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    append(&opened.journal, 1, 1);
    bench.storage.fail_syncs(Some(EIO));
    opened.journal.close();
    drop(opened);
    let opened = bench.open_threaded();
    let journal = opened.journal.clone();
    let appending = std::thread::spawn(move || append(&journal, 2, 1));
    until("trouble", || bench.trouble().is_some());
    assert_eq!(opened.journal.stats().written, 1);
    bench.storage.fail_syncs(None);
    appending.join().unwrap();
    until("fine again", || bench.trouble().is_none());
}

/// A closed journal of three frames.
fn three_on_disk() -> Bench {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    for n in 1..=3 {
        append(&opened.journal, n, 1);
    }
    opened.journal.close();
    drop(opened);
    bench
}

#[test]
fn a_device_that_gives_nothing_for_a_while_costs_nothing() {
    let bench = three_on_disk();
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    bench.storage.fail_reads(Some(EIO));
    for _ in 0..3 {
        assert_eq!(bench.tried(&mut *logs), [0; 0]);
    }
    assert!(bench.trouble().unwrap().contains("cannot read"), "{:?}", bench.trouble());
    bench.storage.fail_reads(None);
    assert_eq!(bench.tried(&mut *logs), [1, 2, 3]);
    assert!(bench.metrics.render().contains("logweir_journal_lost_bytes_total 0\n"));
}

/// Outputs wake each other by the memory that a look frees: two that look in vain would do so for ever.
#[test]
fn what_cannot_be_read_now_is_not_looked_at_again_with_every_call() {
    let bench = three_on_disk();
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    bench.storage.fail_reads(Some(EIO));
    assert_eq!(numbers(&mut *logs), [0; 0]);
    bench.storage.fail_reads(None);
    assert_eq!(numbers(&mut *logs), [0; 0], "the device would give it, but its time has not come");
    bench.clock.advance_ns(1_000_000_000);
    assert_eq!(numbers(&mut *logs), [1, 2, 3]);
}

#[test]
fn what_may_not_be_seen_yet_is_read_once() {
    let mut bench = three_on_disk();
    bench.settings.sync = SyncPolicy::Always;
    // The number of the last frame stays used.
    let segment = bench.segments().pop().unwrap();
    let mut bytes = bench.storage.contents(&segment).unwrap();
    bytes.truncate(bytes.len() - 1);
    bench.storage.put(&segment, &bytes);
    let opened = bench.open();
    append(&opened.journal, 4, 1);
    let mut logs = opened.journal.feed(0).unwrap();
    assert_eq!(numbers(&mut *logs), [1, 2]);
    bench.storage.fail_reads(Some(EIO));
    assert_eq!(numbers(&mut *logs), [0; 0], "it is not on disk yet");
    assert_eq!(bench.trouble(), None, "nothing was read");
    bench.storage.fail_reads(None);
    opened.journal.shared.turn();
    assert_eq!(numbers(&mut *logs), [4]);
}

#[test]
fn a_device_that_comes_back_while_it_is_asked_whether_it_works_costs_nothing() {
    let bench = three_on_disk();
    for reads in 1..12 {
        let opened = bench.open();
        let mut logs = opened.journal.feed(0).unwrap();
        bench.storage.fail_reads(Some(EIO));
        assert_eq!(bench.tried(&mut *logs), [0; 0]);
        // It is back after so many reads more, between two of them that belong together, too.
        bench.storage.fail_reads_of(&["/".into()], EIO, Some(reads));
        assert_eq!(bench.tried(&mut *logs), [1, 2, 3], "after {reads} reads");
        assert!(bench.metrics.render().contains("logweir_journal_lost_bytes_total 0\n"));
    }
}

#[test]
fn a_full_journal_whose_frames_were_written_again_after_a_failed_sync_goes_on() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.max_bytes = 20_000;
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=5 {
        opened.journal.append(padded(n, 1, 1000), None).unwrap();
    }
    until("synced", || opened.journal.stats().synced == 5);
    bench.storage.fail_syncs(Some(EIO));
    for n in 6..=15 {
        opened.journal.append(padded(n, 1, 1000), None).unwrap();
    }
    until("trouble", || bench.trouble().is_some());
    bench.storage.fail_syncs(None);
    until("written again", || opened.journal.stats().synced == 15);
    let first: Vec<_> = given(&mut *logs).into_iter().filter(|(n, _)| *n <= 5).collect();
    logs.done(first.last().unwrap().1);
    let (tell, hear) = std::sync::mpsc::channel();
    let journal = opened.journal.clone();
    std::thread::spawn(move || {
        let taken = journal.append(padded(16, 1, 5000), None);
        let _ = tell.send(taken.is_ok());
    });
    assert_eq!(hear.recv_timeout(SOON), Ok(true), "{:?}", bench.trouble());
}

#[test]
fn outputs_see_nothing_of_what_was_found_before_it_is_durable() {
    let bench = Bench::new(&["logs"]);
    bench.storage.fail_syncs(Some(EIO));
    let opened = bench.open();
    let mut first = draft(1, 1);
    first.position(crate::chunk::Position { new: true, ..position(1) });
    let journal = opened.journal.clone();
    assert!(opened.journal.feed(0).unwrap().next_now().is_none());
    bench.storage.fail_syncs(None);
    assert!(journal.shared.turn());
    bench.storage.fail_syncs(Some(EIO));
    journal.append(first, None).unwrap();
    assert!(journal.feed(0).unwrap().next_now().is_none(), "its source is not on disk yet");
    journal.close();
    drop((journal, opened));
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    assert!(logs.next_now().is_none(), "nor is it after a start");
    bench.storage.fail_syncs(None);
    assert!(opened.journal.shared.turn());
    assert_eq!(numbers(&mut *logs), [1]);
}

#[test]
fn what_was_never_synced_is_not_lost_in_however_many_segments_it_was() {
    let mut wounds = 0;
    for seed in 0..300 {
        let mut bench = Bench::new(&["logs"]);
        bench.settings.segment_bytes = 300;
        bench.settings.sync = SyncPolicy::Os;
        let opened = bench.open();
        append(&opened.journal, 1, 1);
        opened.journal.shared.turn();
        let synced = opened.journal.stats().synced;
        for n in 2..=7 {
            append(&opened.journal, n, 1);
        }
        // The names are on disk, and of the bytes what the power cut left.
        bench.storage.sync_directory(Path::new(DIRECTORY)).unwrap();
        let mut after = Bench::new(&["logs"]);
        after.storage = bench.storage.crash(seed);
        let opened = after.open();
        let found = &opened.report.wounds;
        wounds += found.len();
        assert!(found.iter().all(|wound| wound.unfinished), "{seed}: {synced} synced, {found:?}");
        let shown = after.metrics.render();
        assert!(shown.contains("logweir_journal_lost_bytes_total 0\n"), "{seed}: {found:?}");
        assert!(shown.contains("logweir_journal_lost_frames_total 0\n"), "{seed}: {found:?}");
    }
    assert!(wounds > 300, "{wounds}");
}
