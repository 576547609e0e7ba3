//! Every named wound: what survives it, what is said about it, what is counted, and what a second start says.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::support::*;
use crate::frame;
use crate::journal::shared::lock;
use crate::storage::Storage;
use crate::storage::simulated::SimulatedStorage;

/// Three segments of three frames, closed; nothing is delivered.
struct Healthy {
    disk: SimulatedStorage,
    segments: Vec<PathBuf>,
}

/// What is expected of one wound.
struct Expected {
    segment: u64,
    frames_lost: u64,
    reason: &'static str,
}

fn healthy() -> Healthy {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    for n in 1..=9 {
        lock(&opened.journal.shared.state).roll_wanted = n % 3 == 1;
        append(&opened.journal, n, 1);
    }
    opened.journal.close();
    drop(opened);
    let segments = bench.segments();
    assert_eq!(segments.len(), 3);
    Healthy { disk: bench.storage, segments }
}

/// Where the frames of a segment lie, behind header and snapshot.
fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut from = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut found = Vec::new();
    while from < bytes.len() {
        let length = frame::header_length(&bytes[from..]).unwrap();
        found.push(from..from + length);
        from += length;
    }
    found.remove(0);
    found
}

fn wound(segment: u64, frames_lost: u64, reason: &'static str) -> Expected {
    Expected { segment, frames_lost, reason }
}

impl Healthy {
    fn copy(&self) -> Bench {
        Bench { storage: self.disk.crash(0), ..Bench::new(&["logs"]) }
    }

    /// A bench whose segment with this number was edited; `edit` also gets where the frames lie.
    fn edited(&self, segment: usize, edit: impl Fn(&mut Vec<u8>, &[Range<usize>])) -> Bench {
        let bench = self.copy();
        let path = &self.segments[segment];
        let mut bytes = bench.storage.contents(path).unwrap();
        let frames = frames(&bytes);
        edit(&mut bytes, &frames);
        bench.storage.put(path, &bytes);
        bench
    }
}

/// Starts twice; checks what survives, what is said, counted and kept, and that the second start has nothing new.
fn check(name: &str, bench: &Bench, survivors: &[u64], wounds: &[Expected]) {
    let before: Vec<_> =
        bench.segments().into_iter().map(|p| (p.clone(), bench.storage.contents(&p))).collect();
    let opened = bench.open();
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), survivors, "{name}");
    let report = &opened.report;
    assert_eq!(report.wounds.len(), wounds.len(), "{name}: {:?}", report.wounds);
    let (mut lost_bytes, mut lost_frames) = (0, 0);
    for (found, expected) in report.wounds.iter().zip(wounds) {
        assert_eq!(found.segment, expected.segment, "{name}: {found:?}");
        assert_eq!(found.frames_lost_estimate, expected.frames_lost, "{name}: {found:?}");
        assert!(found.reason.contains(expected.reason), "{name}: {found:?}");
        assert!(!found.known, "{name}");
        if !found.unfinished {
            lost_bytes += found.bytes;
            lost_frames += found.frames_lost_estimate;
        }
        if found.bytes > 0 {
            let copy =
                format!("{DIRECTORY}/quarantine/{:020}-{}.bytes", found.segment, found.offset);
            let kept = bench.storage.contents(Path::new(&copy)).unwrap();
            let whole = before.iter().find(|(path, _)| {
                path.to_string_lossy().contains(&format!("{:020}", found.segment))
            });
            let bytes = whole.unwrap().1.as_ref().unwrap();
            assert_eq!(
                kept,
                bytes[found.offset as usize..(found.offset + found.bytes) as usize],
                "{name}"
            );
        }
    }
    let counted = |metric: &str, value: u64| {
        let shown = bench.metrics.render();
        assert!(
            shown.contains(&format!("\n{metric} {value}\n")),
            "{name}: {metric} {value}:\n{shown}"
        );
    };
    counted("logweir_journal_lost_bytes_total", lost_bytes);
    counted("logweir_journal_lost_frames_total", lost_frames);
    append(&opened.journal, 77, 1);
    opened.journal.close();
    drop(opened);
    let again = bench.open();
    let all: Vec<u64> = survivors.iter().copied().chain([77]).collect();
    assert_eq!(numbers(&mut *again.journal.feed(0).unwrap()), all, "{name}, second start");
    assert_eq!(offset_of(&again), 77, "{name}");
    assert!(again.report.wounds.iter().all(|w| w.known), "{name}: {:?}", again.report.wounds);
    counted("logweir_journal_lost_bytes_total", lost_bytes);
    counted("logweir_journal_lost_frames_total", lost_frames);
}

const ALL: [u64; 9] = [1, 2, 3, 4, 5, 6, 7, 8, 9];

#[test]
fn a_flipped_bit_costs_its_frame_wherever_it_is() {
    let healthy = healthy();
    // Magic, checksum, version, length, sequence, epoch, tables; then the body.
    for at in [0, 4, 8, 12, 16, 24, 32, 40, 70] {
        for bit in 0..8 {
            let bench = healthy.edited(1, |bytes, frames| bytes[frames[1].start + at] ^= 1 << bit);
            check(
                &format!("bit {bit} of byte {at}"),
                &bench,
                &[1, 2, 3, 4, 6, 7, 8, 9],
                &[wound(4, 1, "")],
            );
        }
    }
    let header = healthy.edited(1, |bytes, _| bytes[20] ^= 1);
    check("the segment's header", &header, &ALL, &[wound(4, 0, "checksum of the segment header")]);
}

#[test]
fn a_torn_last_frame_is_an_unfinished_write_unless_it_was_on_disk_once() {
    let healthy = healthy();
    let torn = healthy.edited(2, |bytes, frames| bytes.truncate(frames[2].end - 5));
    check("torn after a sync", &torn, &ALL[..8], &[wound(7, 1, "ends too early")]);
    // The same while nothing says that it was ever synced.
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    append(&opened.journal, 1, 1);
    opened.journal.shared.turn();
    append(&opened.journal, 2, 1);
    let left = Bench { storage: bench.storage.crash(0), ..Bench::new(&["logs"]) };
    let path = left.segments().remove(0);
    let mut bytes = bench.storage.contents(&path).unwrap();
    bytes.truncate(bytes.len() - 5);
    left.storage.put(&path, &bytes);
    let again = left.open();
    assert_eq!(numbers(&mut *again.journal.feed(0).unwrap()), [1]);
    let [wound] = again.report.wounds.as_slice() else { panic!("{:?}", again.report) };
    assert!(wound.unfinished && again.report.bytes_cut == wound.bytes, "{wound:?}");
    assert!(left.metrics.render().contains("logweir_journal_lost_frames_total 0"));
}

#[test]
fn zeros_and_noise_cost_what_they_cover() {
    let healthy = healthy();
    let tail = healthy.edited(2, |bytes, _| bytes.extend_from_slice(&[0; 9000]));
    check("a zero-filled tail", &tail, &ALL, &[wound(7, 0, "no frame begins here")]);
    let over = healthy.edited(2, |bytes, frames| bytes[frames[1].start..].fill(0));
    check("a tail of zeros over frames", &over, &ALL[..7], &[wound(7, 2, "no frame begins here")]);
    let middle = healthy.edited(0, |bytes, frames| bytes[frames[0].start..frames[2].start].fill(0));
    check("zeros in the middle", &middle, &ALL[2..], &[wound(1, 2, "no frame begins here")]);
}

#[test]
fn a_segment_cut_in_the_middle_or_gone_is_missed() {
    let healthy = healthy();
    let within = healthy.edited(1, |bytes, frames| bytes.truncate(frames[1].start + 30));
    check("cut within a frame", &within, &[1, 2, 3, 4, 7, 8, 9], &[wound(4, 2, "ends too early")]);
    let between = healthy.edited(1, |bytes, frames| bytes.truncate(frames[1].start));
    check(
        "cut between frames",
        &between,
        &[1, 2, 3, 4, 7, 8, 9],
        &[wound(7, 2, "missing before this")],
    );
    let last = healthy.edited(2, |bytes, frames| bytes.truncate(frames[0].end));
    check("the newest cut between frames", &last, &ALL[..7], &[wound(7, 2, "missing, though")]);
    let without = |number: usize| {
        let bench = healthy.copy();
        bench.storage.remove(&healthy.segments[number]).unwrap();
        bench
    };
    check(
        "the middle one gone",
        &without(1),
        &[1, 2, 3, 7, 8, 9],
        &[wound(7, 3, "missing before this")],
    );
    check("the newest one gone", &without(2), &ALL[..6], &[wound(4, 3, "missing, though")]);
    // Older ones are deleted when everybody has them: nothing tells that this one was not.
    check("the oldest one gone", &without(0), &ALL[3..], &[]);
}

#[test]
fn a_segment_or_frame_of_another_version_is_named_as_that() {
    let healthy = healthy();
    let sealed = |bytes: &mut [u8], from: usize, length: usize| {
        bytes[from + 8..from + 12].copy_from_slice(&0_u32.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[from + 8..from + length]);
        bytes[from + 4..from + 8].copy_from_slice(&checksum.to_le_bytes());
    };
    let older = healthy.edited(1, |bytes, frames| {
        let range = frames[1].clone();
        sealed(bytes, range.start, range.len());
    });
    let lost = [wound(4, 1, "layout version 0 is not known")];
    check("an older frame", &older, &[1, 2, 3, 4, 6, 7, 8, 9], &lost);
    let header = healthy.edited(1, |bytes, _| {
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        sealed(bytes, 0, length);
    });
    check("an older header", &header, &ALL, &[wound(4, 0, "segment version 0 is not known")]);
}

#[test]
fn a_copied_segment_and_a_foreign_file_change_nothing() {
    let healthy = healthy();
    let copied = healthy.copy();
    let bytes = copied.storage.contents(&healthy.segments[1]).unwrap();
    let copy = Path::new(DIRECTORY).join("00000000000000000005.segment");
    copied.storage.put(&copy, &bytes);
    let note = Path::new(DIRECTORY).join("core.1234");
    copied.storage.put(&note, &[0xff; 100]);
    check("a copy and a foreign file", &copied, &ALL, &[]);
    assert_eq!(copied.storage.contents(&copy).unwrap(), bytes, "left alone");
    assert!(copied.storage.contents(&note).is_some());
}

#[test]
fn a_cursor_file_that_is_lost_broken_or_old_sends_again_and_never_less() {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    let cursors = Path::new(DIRECTORY).join("cursors");
    for n in 1..=6 {
        append(&opened.journal, n, 1);
    }
    let mut feed = opened.journal.feed(0).unwrap();
    let sequences: Vec<u64> = given(&mut *feed).iter().map(|(_, sequence)| *sequence).collect();
    feed.done(sequences[1]);
    opened.journal.shared.write_cursors(true);
    let older = bench.storage.contents(&cursors).unwrap();
    feed.done(sequences[3]);
    drop(feed);
    opened.journal.close();
    drop(opened);
    let newest = bench.storage.contents(&cursors).unwrap();
    let starts = |bytes: Option<&[u8]>| {
        let left = Bench { storage: bench.storage.crash(0), ..Bench::new(&["logs"]) };
        match bytes {
            Some(bytes) => left.storage.put(&cursors, bytes),
            None => left.storage.remove(&cursors).unwrap(),
        }
        let opened = left.open();
        assert!(opened.report.wounds.is_empty(), "{:?}", opened.report);
        let got = numbers(&mut *opened.journal.feed(0).unwrap());
        assert_eq!(offset_of(&opened), 6);
        got
    };
    assert_eq!(starts(Some(&newest)), [5, 6]);
    assert_eq!(starts(Some(&older)), [3, 4, 5, 6], "behind");
    assert_eq!(starts(None), [1, 2, 3, 4, 5, 6], "lost");
    assert_eq!(starts(Some(&[])), [1, 2, 3, 4, 5, 6], "empty");
    assert_eq!(starts(Some(&vec![0x5a; 40_000])), [1, 2, 3, 4, 5, 6], "noise");
    // Each slot broken at each byte that it uses: the other one, or everything, is sent.
    let mut seen = std::collections::BTreeSet::new();
    for at in (0..68).chain(16_384..16_452) {
        let mut bytes = newest.clone();
        bytes[at] ^= 0x10;
        let got = starts(Some(&bytes));
        assert!(got.ends_with(&[5, 6]), "byte {at}: {got:?}");
        seen.insert(got.len());
    }
    assert!(seen.contains(&2) && seen.len() > 1, "a broken newest slot sends more: {seen:?}");
}

#[test]
fn a_clock_that_jumps_back_breaks_no_order_no_deletion_and_no_age() {
    const DAY_NS: i64 = 86_400_000_000_000;
    let mut bench = Bench::new(&["logs"]);
    bench.settings.segment_bytes = 700;
    bench.clock.jump_to_ns(20_000 * DAY_NS);
    let opened = bench.open();
    let mut feed = opened.journal.feed(0).unwrap();
    let mut sequences = Vec::new();
    for n in 1..=20 {
        if n % 5 == 0 {
            bench.clock.jump_to_ns((20_000 - n as i64 * 300) * DAY_NS);
        }
        sequences.push(append(&opened.journal, n, 1));
        opened.journal.shared.turn();
    }
    assert!(sequences.is_sorted_by(|a, b| a < b));
    let many = bench.segments().len();
    assert!(many > 4, "{many}");
    assert!(opened.journal.stats().outputs[0].oldest_age_ns < 1_000_000_000, "no negative age");
    assert_eq!(numbers(&mut *feed), (1..=15).chain(16..=20).collect::<Vec<u64>>());
    feed.done(sequences[14]);
    opened.journal.shared.turn();
    let left = bench.segments().len();
    assert!(left < many, "what everybody has is deleted: {left} of {many}");
    drop(feed);
    opened.journal.close();
    drop(opened);
    bench.clock.jump_to_ns(0);
    let again = bench.open();
    assert_eq!(numbers(&mut *again.journal.feed(0).unwrap()), [16, 17, 18, 19, 20]);
    assert_eq!(offset_of(&again), 20);
    assert!(append(&again.journal, 21, 1) > sequences[19], "sequences never go back");
}
