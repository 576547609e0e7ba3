//! Journals in memory, real directories, locks and settings.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::support::*;
use crate::budget::Budget;
use crate::chunk::Position;
use crate::diagnostic::Diagnostics;
use crate::journal::{Journal, Mode, OnFull, Parts, Settings, SyncPolicy};
use crate::settings::{Document, ProcessEnvironment, Section};
use crate::storage::disk;

fn memory(outputs: &[&str]) -> Bench {
    let mut bench = Bench::new(outputs);
    bench.settings.mode = Mode::Memory;
    bench.settings.max_bytes = 100_000;
    bench
}

fn restarted(bench: &Bench) -> u64 {
    let mut after = memory(&["logs", "errors"]);
    after.storage = bench.storage.crash(7);
    offset_of(&after.open())
}

#[test]
fn in_memory_positions_move_only_when_all_required_outputs_are_done() {
    let bench = memory(&["logs", "errors"]);
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    let mut errors = opened.journal.feed(1).unwrap();
    let mut told: Vec<_> = (1..=4).map(|n| append_acked(&opened.journal, n, 0b11)).collect();
    let sequences: Vec<u64> = given(&mut *logs).into_iter().map(|(_, s)| s).collect();
    assert_eq!(numbers(&mut *errors), [1, 2, 3, 4]);
    logs.done(sequences[3]);
    opened.journal.shared.turn();
    assert_eq!(restarted(&bench), 0, "`errors` has nothing yet");
    assert_eq!(told[0].told(), None);
    errors.done(sequences[1]);
    opened.journal.shared.turn();
    assert_eq!(restarted(&bench), 2);
    assert_eq!((told[1].told(), told[2].told()), (Some(true), None));
    errors.done(sequences[3]);
    opened.journal.shared.turn();
    assert_eq!(restarted(&bench), 4);
    assert_eq!(opened.journal.stats().bytes, 0);
}

#[test]
fn in_memory_a_best_effort_output_does_not_hold_positions() {
    let mut bench = memory(&["logs", "errors"]);
    bench.outputs[1].required = false;
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    append(&opened.journal, 1, 0b11);
    let sequence = given(&mut *logs)[0].1;
    logs.done(sequence);
    opened.journal.shared.turn();
    assert_eq!(restarted(&bench), 1);
}

#[test]
fn in_memory_a_new_source_is_on_disk_before_an_output_sees_it() {
    let bench = memory(&["logs", "errors"]);
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    let new = |offset| Position { key: 1, offset, identity: b"file".to_vec(), new: true };
    let mut registered = crate::frame::Draft::new(Vec::new());
    registered.position(new(40));
    opened.journal.append(registered, None).unwrap();
    let mut first = draft(7, 0b11);
    first.position(new(50));
    opened.journal.append(first, None).unwrap();
    append(&opened.journal, 55, 0b11);
    assert_eq!(numbers(&mut *logs), [0; 0], "nothing is on disk yet");
    opened.journal.shared.turn();
    assert_eq!(restarted(&bench), 40, "reading begins before the document that came with it");
    let got = given(&mut *logs);
    assert_eq!(got.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [7, 55]);
    opened.journal.shared.turn();
    assert_eq!(restarted(&bench), 40);
}

#[test]
fn in_memory_new_sources_share_a_sync_and_are_seen_by_themselves() {
    let bench = memory(&["logs"]);
    let opened = bench.open_threaded();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=50 {
        let mut new = draft(n, 1);
        new.position(Position { key: n, offset: 9, identity: b"file".to_vec(), new: true });
        opened.journal.append(new, None).unwrap();
    }
    let mut seen = Vec::new();
    until("all to be seen", || {
        seen.extend(numbers(&mut *logs));
        seen == (1..=50).collect::<Vec<u64>>()
    });
    opened.journal.close();
}

#[test]
fn in_memory_positions_do_not_grow_on_disk() {
    let mut bench = memory(&["logs"]);
    bench.settings.segment_bytes = 2000;
    let opened = bench.open();
    let mut logs = opened.journal.feed(0).unwrap();
    for n in 1..=300 {
        append(&opened.journal, n, 1);
        let sequence = given(&mut *logs)[0].1;
        logs.done(sequence);
        opened.journal.shared.turn();
    }
    assert!(bench.segments().len() <= 2, "{:?}", bench.segments());
    opened.journal.close();
    assert_eq!(restarted(&bench), 300);
}

#[test]
fn in_memory_the_quota_blocks_or_drops() {
    let mut bench = memory(&["logs"]);
    bench.settings.on_full = OnFull::DropOldest;
    bench.settings.max_bytes = 10_000;
    let opened = bench.open();
    for n in 1..=50 {
        opened.journal.append(padded(n, 1, 1000), None).unwrap();
    }
    assert!(opened.journal.stats().bytes <= 11_000);
    let got = numbers(&mut *opened.journal.feed(0).unwrap());
    assert_eq!(*got.last().unwrap(), 50);
    let shown = bench.metrics.render();
    assert!(shown.contains(&format!("reason=\"quota\"}} {}", 50 - got.len())), "{shown}");
}

#[test]
fn what_a_journal_on_disk_held_is_delivered_when_it_becomes_one_in_memory_and_back() {
    let mut bench = Bench::new(&["logs"]);
    let opened = bench.open();
    for n in 1..=3 {
        append(&opened.journal, n, 1);
    }
    opened.journal.close();
    drop(opened);
    bench.settings.mode = Mode::Memory;
    let opened = bench.open();
    append(&opened.journal, 4, 1);
    let mut logs = opened.journal.feed(0).unwrap();
    let got = given(&mut *logs);
    assert_eq!(got.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3, 4]);
    logs.done(got[3].1);
    opened.journal.close();
    drop((opened, logs));
    bench.settings.mode = Mode::Disk;
    let opened = bench.open();
    assert_eq!(offset_of(&opened), 4);
    append(&opened.journal, 5, 1);
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [5]);
}

fn parts(bench: &Bench) -> Parts {
    Parts {
        storage: disk(),
        clock: bench.clock.clone(),
        metrics: bench.metrics.clone(),
        health: bench.health.part("journal"),
        budget: Budget::default(),
    }
}

#[test]
fn a_second_process_is_refused_with_the_first_ones_number() {
    let bench = Bench::new(&["logs"]);
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings::default;
    let first = Journal::open(parts(&bench), directory.path(), settings(), &bench.outputs).unwrap();
    append(&first.journal, 1, 1);
    let refused = Journal::open(parts(&bench), directory.path(), settings(), &bench.outputs);
    let said = refused.err().unwrap().to_string();
    assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
    first.journal.close();
    let again = Journal::open(parts(&bench), directory.path(), settings(), &bench.outputs).unwrap();
    assert_eq!(numbers(&mut *again.journal.feed(0).unwrap()), [1]);
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_the_cause_and_a_hint() {
    let bench = Bench::new(&["logs"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("journal");
    let refused = Journal::open(parts(&bench), &path, Settings::default(), &bench.outputs);
    let said = refused.err().unwrap().to_string();
    assert!(said.contains(&path.display().to_string()), "{said}");
    assert!(said.contains("because") && said.contains("hint"), "{said}");
}

#[test]
fn settings_are_read_and_impossible_ones_are_reported() {
    let read = |text: &str| {
        let mut problems = Diagnostics::default();
        let environment = Arc::new(ProcessEnvironment);
        let folder = Path::new("/");
        let document = Document::parse("t.toml", text.into(), folder, environment, &mut problems);
        let problems = RefCell::new(problems);
        let root = Section::root(&document, &problems);
        let section = root.section("journal");
        let settings = Settings::load(section.as_ref());
        if let Some(section) = section {
            section.finish();
        }
        let said: Vec<String> = problems.into_inner().0.iter().map(|d| d.message.clone()).collect();
        (settings, said)
    };
    assert_eq!(read(""), (Settings::default(), vec![]));
    let (settings, said) = read(
        "[journal]\nmode = \"memory\"\non_full = \"drop_oldest\"\nsync = \"interval\"\n\
         sync_interval = \"50ms\"\nsegment_size = \"8MiB\"\n",
    );
    assert_eq!(said, [""; 0]);
    assert_eq!(settings.sync, SyncPolicy::Interval(Duration::from_millis(50)));
    assert_eq!((settings.mode, settings.on_full), (Mode::Memory, OnFull::DropOldest));
    assert_eq!(settings.max_bytes, crate::limits::JOURNAL_MEMORY_BYTES_MAX);
    let (_, said) = read("[journal]\nmax_size = 10\nsync = \"os\"\nsync_interval = \"1s\"\n");
    assert_eq!(said.len(), 2, "{said:?}");
}

/// Not a benchmark: it fails when recovery parses documents or reads frame by frame.
#[test]
#[ignore = "writes a gigabyte; run with --release"]
fn a_gigabyte_is_recovered_in_less_than_a_second() {
    let bench = Bench::new(&["logs"]);
    let directory = tempfile::tempdir().unwrap();
    let opened =
        Journal::open(parts(&bench), directory.path(), Settings::default(), &bench.outputs)
            .unwrap();
    let start = Instant::now();
    for n in 1..=3500 {
        let mut draft = crate::frame::Draft::new(opened.journal.buffer());
        let address = draft.string(b"logs").unwrap();
        for _ in 0..1000 {
            let head =
                crate::frame::Head { routes: 1, time_ns: 0, prefix: None, suffix: 0, sub: 0 };
            let body = draft.body();
            let longer = body.len() + 300;
            body.resize(longer, b'x');
            draft.add(head, &[address]);
        }
        draft.position(position(n));
        opened.journal.append(draft, None).unwrap();
    }
    let appended = start.elapsed();
    let bytes = opened.journal.stats().bytes;
    opened.journal.close();
    drop(opened);
    let start = Instant::now();
    let opened =
        Journal::open(parts(&bench), directory.path(), Settings::default(), &bench.outputs)
            .unwrap();
    println!("{bytes} bytes: appended in {appended:?}, recovered in {:?}", start.elapsed());
    assert_eq!(opened.report.frames, 3500);
    assert!(start.elapsed() < Duration::from_secs(1));
}
