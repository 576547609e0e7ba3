//! A table of injuries, each with the exact frames that must survive.

use std::path::{Path, PathBuf};

use super::support::*;
use crate::frame;
use crate::journal::{Recovery, inspect};
use crate::storage::Storage;
use crate::storage::simulated::EIO;

/// A closed journal of one segment with these documents; where each frame lies; the segment's bytes.
struct Patient {
    bench: Bench,
    path: PathBuf,
    bytes: Vec<u8>,
    frames: Vec<std::ops::Range<usize>>,
}

fn patient(count: u64) -> Patient {
    large_patient(count, 0)
}

/// As [`patient`], with documents of so many bytes more.
fn large_patient(count: u64, padding: usize) -> Patient {
    let bench = Bench::new(&["logs"]);
    let opened = bench.open();
    for n in 1..=count {
        opened.journal.append(padded(n, 1, padding), None).unwrap();
    }
    opened.journal.close();
    drop(opened);
    let path = bench.segments().remove(0);
    let bytes = bench.storage.contents(&path).unwrap();
    let mut at = bytes.len();
    let mut frames = Vec::new();
    // The header's length is at 12; the snapshot and the frames follow.
    let mut from = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    while from < at {
        let length = frame::header_length(&bytes[from..]).unwrap();
        frames.push(from..from + length);
        from += length;
    }
    at = frames.len();
    assert_eq!(at as u64, count + 1);
    frames.remove(0);
    Patient { bench, path, bytes, frames }
}

impl Patient {
    /// Opens the journal with these bytes instead; what comes out, and the report.
    fn survivors(&self, bytes: &[u8]) -> (Vec<u64>, Recovery) {
        let mut bench = Bench::new(&["logs"]);
        bench.storage = self.bench.storage.crash(0);
        bench.storage.put(&self.path, bytes);
        let opened = bench.open();
        let got = numbers(&mut *opened.journal.feed(0).unwrap());
        let newest = got.last().copied().unwrap_or(0);
        assert_eq!(offset_of(&opened), newest, "the positions are those of the frames");
        append(&opened.journal, 77, 1);
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [77], "it goes on");
        opened.journal.close();
        let report = opened.report.clone();
        drop(opened);
        let again = bench.open();
        let mut all = got.clone();
        all.push(77);
        assert_eq!(numbers(&mut *again.journal.feed(0).unwrap()), all, "and again");
        (got, report)
    }
}

#[test]
fn every_cut_leaves_exactly_the_frames_before_it() {
    let patient = patient(4);
    for cut in 0..patient.bytes.len() {
        let (got, report) = patient.survivors(&patient.bytes[..cut]);
        let whole = patient.frames.iter().filter(|f| f.end <= cut).count() as u64;
        assert_eq!(got, (1..=whole).collect::<Vec<_>>(), "cut at {cut}");
        let [wound] = report.wounds.as_slice() else { panic!("cut at {cut}: {report:?}") };
        assert_eq!((wound.segment, wound.frames_lost_estimate), (1, 4 - whole), "cut at {cut}");
        assert!(!wound.unfinished, "they were on disk once: cut at {cut}");
        assert_eq!(wound.offset + wound.bytes, cut as u64, "cut at {cut}: {wound:?}");
    }
}

#[test]
fn every_cut_of_what_was_never_promised_is_an_unfinished_write() {
    let patient = patient(4);
    // As if the machine had stopped before the first sync: nothing says what was durable.
    patient.bench.storage.remove(&Path::new(DIRECTORY).join("cursors")).unwrap();
    for cut in 0..=patient.bytes.len() {
        let (got, report) = patient.survivors(&patient.bytes[..cut]);
        let whole = patient.frames.iter().filter(|f| f.end <= cut).count() as u64;
        assert_eq!(got, (1..=whole).collect::<Vec<_>>(), "cut at {cut}");
        let ends: Vec<usize> = patient.frames.iter().map(|f| f.end).collect();
        let clean = ends.contains(&cut) || cut == patient.frames[0].start || cut == 0;
        let clean = clean || cut == header_length(&patient.bytes);
        assert_eq!(report.wounds.is_empty(), clean, "cut at {cut}: {:?}", report.wounds);
        assert!(report.wounds.iter().all(|w| w.unfinished));
    }
}

fn header_length(bytes: &[u8]) -> usize {
    u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize
}

#[test]
fn every_broken_byte_costs_at_most_the_frame_it_is_in() {
    let patient = patient(3);
    for at in 0..patient.bytes.len() {
        let mut bytes = patient.bytes.clone();
        bytes[at] ^= 0x41;
        let (got, report) = patient.survivors(&bytes);
        let hit = patient.frames.iter().position(|f| f.contains(&at)).map(|n| n as u64 + 1);
        let expected: Vec<u64> = (1..=3).filter(|n| Some(*n) != hit).collect();
        assert_eq!(got, expected, "byte {at}");
        assert_eq!(report.wounds.len(), 1, "byte {at}");
        if hit.is_some_and(|n| n < 3) {
            assert_eq!(report.wounds[0].frames_lost_estimate, 1, "byte {at}");
        }
    }
}

#[test]
fn named_wounds_cost_exactly_what_they_cover() {
    let patient = patient(5);
    let frame = |n: usize| patient.frames[n - 1].clone();
    let with = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = patient.bytes.clone();
        edit(&mut bytes);
        let (got, report) = patient.survivors(&bytes);
        (got, report.wounds.len())
    };
    let zeros = with(&|b| b[frame(2).start..frame(3).end].fill(0));
    assert_eq!(zeros, (vec![1, 4, 5], 1), "two frames of zeros");
    let zero_tail = with(&|b| b.extend_from_slice(&[0; 9000]));
    assert_eq!(zero_tail, (vec![1, 2, 3, 4, 5], 1), "a zero-filled end");
    let foreign = with(&|b| drop(b.splice(frame(3).start..frame(3).start, *b"foreign bytes")));
    assert_eq!(foreign, (vec![1, 2, 3, 4, 5], 1), "bytes between two frames");
    let again = with(&|b| {
        let copy = b[frame(1)].to_vec();
        drop(b.splice(frame(3).start..frame(3).start, copy));
    });
    assert_eq!(again, (vec![1, 2, 3, 4, 5], 1), "a frame that stands there twice");
    let gone = with(&|b| drop(b.drain(frame(2))));
    assert_eq!(gone, (vec![1, 3, 4, 5], 1), "a frame cut out");
    let length = with(&|b| b[frame(2).start + 12..frame(2).start + 16].fill(0xff));
    assert_eq!(length, (vec![1, 3, 4, 5], 1), "an impossible length");
    let swapped = with(&|b| {
        let (second, third) = (b[frame(2)].to_vec(), b[frame(3)].to_vec());
        drop(b.splice(frame(2).start..frame(3).end, [third, second].concat()));
    });
    assert_eq!(swapped, (vec![1, 3, 4, 5], 2), "two frames in the wrong order");
    let headless = with(&|b| drop(b.drain(..frame(1).start)));
    assert_eq!(headless.0, [1, 2, 3, 4, 5], "no header, no snapshot");
    let noise = with(&|b| b.iter_mut().enumerate().for_each(|(n, b)| *b = (n * 31) as u8));
    assert_eq!(noise, (vec![], 1), "nothing but noise");
    let magic = with(&|b| b[frame(3)].chunks_exact_mut(4).for_each(|c| c.copy_from_slice(b"LWF1")));
    assert_eq!(magic, (vec![1, 2, 4, 5], 1), "magic everywhere");
}

#[test]
fn frames_of_another_run_inside_a_document_are_not_taken_for_our_own() {
    let patient = patient(3);
    let mut draft = draft(99, 1);
    draft.position(position(99));
    let foreign = draft.seal(0x1234, 2);
    let mut bytes = patient.bytes.clone();
    drop(bytes.splice(patient.frames[1].clone(), foreign.bytes().iter().copied()));
    assert_eq!(patient.survivors(&bytes).0, [1, 3]);
}

#[test]
fn a_wound_is_quarantined_once_and_known_afterwards() {
    let patient = patient(3);
    let mut bytes = patient.bytes.clone();
    let wound = patient.frames[1].clone();
    bytes[wound.start + 70] ^= 1;
    patient.bench.storage.put(&patient.path, &bytes);
    for known in [false, true] {
        let opened = patient.bench.open();
        assert_eq!(opened.report.wounds[0].known, known);
        assert!(!opened.report.wounds[0].unfinished);
    }
    let copy = format!("{DIRECTORY}/quarantine/{:020}-{}.bytes", 1, wound.start);
    assert_eq!(patient.bench.storage.contents(Path::new(&copy)).unwrap(), bytes[wound.clone()]);
    let shown = patient.bench.metrics.render();
    let line = format!("logweir_journal_lost_bytes_total {}", wound.len());
    assert!(shown.contains(&line), "counted once: {shown}");
}

#[test]
fn a_disk_without_room_for_the_quarantine_stops_no_start_and_the_wound_is_copied_when_there_is_room()
 {
    let patient = patient(3);
    let mut bytes = patient.bytes.clone();
    let wound = patient.frames[1].clone();
    bytes[wound.start + 70] ^= 1;
    let storage = &patient.bench.storage;
    storage.put(&patient.path, &bytes);
    let copy = format!("{DIRECTORY}/quarantine/{:020}-{}.bytes", 1, wound.start);
    for room in [0, 10, wound.len() as u64 - 1] {
        storage.leave_space(room);
        let opened = patient.bench.open();
        assert_eq!(opened.report.wounds.len(), 1, "{:?}", opened.report.wounds);
        assert!(!opened.report.wounds[0].known, "nothing of it was kept");
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 3]);
        assert_eq!(storage.contents(Path::new(&copy)), None, "no half copy");
    }
    storage.set_space(None);
    assert!(!patient.bench.open().report.wounds[0].known);
    assert_eq!(storage.contents(Path::new(&copy)).unwrap(), bytes[wound]);
    assert!(patient.bench.open().report.wounds[0].known);
}

#[test]
fn foreign_files_copies_and_missing_segments_are_reported_and_left_alone() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.segment_bytes = 300;
    let opened = bench.open();
    for n in 1..=8 {
        append(&opened.journal, n, 1);
    }
    opened.journal.close();
    drop(opened);
    let segments = bench.segments();
    assert_eq!(segments.len(), 8);
    let copy = Path::new(DIRECTORY).join("00000000000000000099.segment");
    bench.storage.put(&copy, &bench.storage.contents(&segments[0]).unwrap());
    let other = Bench::new(&["logs"]);
    append(&other.open().journal, 1, 1);
    let stranger = Path::new(DIRECTORY).join("00000000000000000050.segment");
    bench.storage.put(&stranger, &other.storage.contents(&other.segments()[0]).unwrap());
    let note = Path::new(DIRECTORY).join("README");
    bench.storage.put(&note, b"hands off");
    bench.storage.remove(&segments[3]).unwrap();
    let opened = bench.open();
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(opened.report.foreign.len(), 3, "{:?}", opened.report.foreign);
    for path in [&copy, &stranger, &note] {
        assert!(bench.storage.contents(path).is_some());
    }
    let missing: Vec<u64> = opened.report.wounds.iter().map(|w| w.frames_lost_estimate).collect();
    assert_eq!(missing, [1]);
}

#[test]
fn a_device_that_is_away_ends_the_start_and_costs_nothing() {
    let patient = patient(3);
    let storage = &patient.bench.storage;
    let journal = Path::new(DIRECTORY);
    let cursors = journal.join("cursors");
    for of in [journal, &cursors, &patient.path] {
        storage.fail_reads_of(&[of.to_path_buf()], EIO, None);
        // What is in memory can be read, but nothing can be written.
        storage.fail_syncs((of != journal).then_some(EIO));
        let before = storage.counts();
        let said = patient.bench.try_open().err().unwrap().to_string();
        assert!(said.contains("cannot read the journal in `/data/journal`"), "{said}");
        assert!(said.contains("Input/output error"), "{said}");
        assert!(said.contains("move it to another folder"), "{said}");
        let file = if of == patient.path { &patient.path } else { &cursors };
        assert!(said.contains(&format!("cannot read `{}`", file.display())), "{said}");
        // The lock's own file alone.
        assert!(storage.counts().0 <= before.0 + 1, "{of:?}");
        storage.fail_reads(None);
        storage.fail_syncs(None);
    }
    storage.fail_names_below(journal, Some(EIO));
    let said = patient.bench.try_open().err().unwrap().to_string();
    assert!(said.contains("nothing was changed"), "{said}");
    storage.fail_names_below(journal, None);
    let opened = patient.bench.open();
    assert_eq!(opened.report.wounds, []);
    assert_eq!(offset_of(&opened), 3);
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3]);
}

#[test]
fn a_file_that_a_working_device_does_not_give_is_damage_and_the_rest_is_shipped() {
    let patient = patient(3);
    let storage = &patient.bench.storage;
    let cursors = Path::new(DIRECTORY).join("cursors");
    storage.fail_reads_of(std::slice::from_ref(&cursors), EIO, None);
    let opened = patient.bench.open();
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3], "sent again");
    append(&opened.journal, 4, 1);
    opened.journal.close();
    drop(opened);
    storage.fail_reads_of(std::slice::from_ref(&patient.path), EIO, None);
    let opened = patient.bench.open();
    let wounds = &opened.report.wounds;
    assert!(wounds.iter().any(|w| w.reason.contains("Input/output error")), "{wounds:?}");
    assert!(bench_has(&patient.bytes, &patient), "nothing was cut off");
    assert_eq!(patient.bench.tried(&mut *opened.journal.feed(0).unwrap()), [4]);
}

#[test]
fn a_device_that_gives_something_at_the_second_try_costs_nothing() {
    let patient = patient(3);
    let storage = &patient.bench.storage;
    for reads in 1..12 {
        storage.fail_reads_of(&[DIRECTORY.into()], EIO, Some(reads));
        // A service manager starts it until it works.
        let opened = (0..12).find_map(|_| patient.bench.try_open().ok()).unwrap();
        assert_eq!(opened.report.wounds, [], "{reads} reads failed");
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [1, 2, 3]);
    }
}

/// Pages of the segment's file that hold only parts of frames.
fn bad_page(patient: &Patient, number: usize) -> std::ops::Range<u64> {
    let page = 4096 * number as u64..4096 * (number as u64 + 1);
    assert!(page.end < patient.bytes.len() as u64);
    page
}

#[test]
fn a_place_that_a_working_device_does_not_give_is_damage_and_costs_its_frames() {
    let patient = large_patient(8, 3000);
    let storage = &patient.bench.storage;
    let page = bad_page(&patient, 2);
    storage.fail_reads_within(&patient.path, page.clone(), EIO);
    let hit = |frame: &std::ops::Range<usize>| {
        (frame.start as u64) < page.end && frame.end as u64 > page.start
    };
    let expected: Vec<u64> = (1..=8).filter(|n| !hit(&patient.frames[*n as usize - 1])).collect();
    for known in [false, true] {
        let opened = patient.bench.open();
        let [wound] = opened.report.wounds.as_slice() else { panic!("{:?}", opened.report) };
        assert!(wound.reason.contains("cannot be read: Input/output error"), "{wound:?}");
        assert_eq!(wound.frames_lost_estimate, 8 - expected.len() as u64);
        assert!(!wound.known && !wound.unfinished, "it may come back: {known}");
        assert_eq!(offset_of(&opened), 8);
        assert_eq!(patient.bench.tried(&mut *opened.journal.feed(0).unwrap()), expected);
    }
    assert!(bench_has(&patient.bytes, &patient), "nothing was cut off");
    storage.fail_reads(None);
    let opened = patient.bench.open();
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), (1..=8).collect::<Vec<u64>>());
}

#[test]
fn a_header_that_a_working_device_does_not_give_costs_at_most_its_page() {
    let patient = large_patient(8, 3000);
    patient.bench.storage.fail_reads_within(&patient.path, 0..4096, EIO);
    let opened = patient.bench.open();
    let first = patient.frames.iter().position(|frame| frame.start >= 4096).unwrap() as u64 + 1;
    assert_eq!(
        patient.bench.tried(&mut *opened.journal.feed(0).unwrap()),
        (first..=8).collect::<Vec<u64>>()
    );
    assert_eq!(offset_of(&opened), 8);
    assert!(bench_has(&patient.bytes, &patient), "nothing was cut off");
}

#[test]
fn a_bad_place_among_frames_that_were_not_synced_holds_nothing_up() {
    let patient = large_patient(2, 0);
    let opened = patient.bench.open();
    for n in 3..=10 {
        opened.journal.append(padded(n, 1, 3000), None).unwrap();
    }
    let mut bench = Bench::new(&["logs"]);
    bench.storage = patient.bench.storage.kill();
    let newest = bench.segments().pop().unwrap();
    bench.storage.fail_reads_within(&newest, 8192..12288, EIO);
    let again = bench.open();
    assert!(again.journal.shared.turn(), "{:?}", bench.trouble());
    let read_again_from = offset_of(&again);
    assert!((3..10).contains(&read_again_from), "the hole is read again from its source");
    let frames = bench.tried(&mut *again.journal.feed(0).unwrap());
    assert_eq!(frames, (1..=read_again_from).collect::<Vec<u64>>());
    append(&again.journal, read_again_from + 1, 1);
}

#[test]
fn a_device_that_takes_no_write_is_away_and_nothing_is_damage() {
    let patient = large_patient(8, 3000);
    let storage = &patient.bench.storage;
    storage.fail_reads_within(&patient.path, bad_page(&patient, 2), EIO);
    storage.fail_syncs(Some(EIO));
    let said = patient.bench.try_open().err().unwrap().to_string();
    assert!(said.contains("cannot read"), "{said}");
    storage.fail_syncs(None);
    storage.fail_reads(None);
    let opened = patient.bench.open();
    assert_eq!(opened.report.wounds, []);
    assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), (1..=8).collect::<Vec<u64>>());
}

fn bench_has(bytes: &[u8], patient: &Patient) -> bool {
    patient.bench.storage.contents(&patient.path).as_deref() == Some(bytes)
}

#[test]
fn damage_while_the_journal_is_open_costs_what_it_covers() {
    let mut bench = Bench::new(&["logs"]);
    bench.settings.segment_bytes = 100_000;
    let opened = bench.open();
    for n in 1..=40 {
        opened.journal.append(padded(n, 1, 500_000), None).unwrap();
        opened.journal.shared.turn();
    }
    let victim = bench.segments().remove(2);
    let mut bytes = bench.storage.contents(&victim).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bench.storage.put(&victim, &bytes);
    let got = numbers(&mut *opened.journal.feed(0).unwrap());
    assert_eq!(got, (1..=40).filter(|n| *n != 3).collect::<Vec<u64>>());
    let lag = opened.journal.stats().outputs[0].clone();
    assert_eq!(lag.frames, 40);
}

#[test]
fn inspecting_changes_nothing_and_tells_everything() {
    let patient = patient(4);
    let mut bytes = patient.bytes.clone();
    bytes.truncate(patient.frames[3].end - 1);
    patient.bench.storage.put(&patient.path, &bytes);
    let storage: crate::storage::SharedStorage = std::sync::Arc::new(patient.bench.storage.clone());
    let seen = inspect(&storage, Path::new(DIRECTORY)).unwrap();
    assert_eq!(patient.bench.storage.contents(&patient.path).unwrap(), bytes);
    assert_eq!(seen.segments[0].frames, 3);
    assert_eq!(seen.segments[0].documents, 3);
    assert_eq!(seen.cursors, [("logs".to_string(), 0, 0)]);
    assert_eq!(seen.positions[0].offset, 3);
    assert_eq!(seen.report.wounds.len(), 1);
    assert!(patient.bench.storage.list(Path::new(DIRECTORY)).unwrap().len() < 4);
}

#[test]
fn a_newest_segment_that_can_be_read_again_is_shipped() {
    for (lives, appended, taken) in
        [(1, 0, false), (1, 0, true), (1, 1, true), (2, 1, false), (3, 0, true)]
    {
        let patient = patient(5);
        let storage = &patient.bench.storage;
        storage.fail_reads_of(std::slice::from_ref(&patient.path), EIO, None);
        for life in 1..=lives {
            let opened = patient.bench.open();
            let mut feed = opened.journal.feed(0).unwrap();
            let sequence = 5 + life * appended;
            if appended > 0 {
                assert_eq!(append(&opened.journal, sequence, 1), sequence, "none is given twice");
            }
            if taken {
                // It is not done with them.
                assert_eq!(numbers(&mut *feed), (6..=sequence).collect::<Vec<_>>());
            }
            opened.journal.close();
        }
        storage.fail_reads(None);
        let opened = patient.bench.open();
        let wanted: Vec<u64> = (1..=5 + lives * appended).collect();
        let mut feed = opened.journal.feed(0).unwrap();
        assert_eq!(numbers(&mut *feed), wanted, "{lives} {appended} {taken}");
        feed.done(5 + lives * appended);
        opened.journal.close();
        drop(opened);
        let opened = patient.bench.open();
        assert_eq!(numbers(&mut *opened.journal.feed(0).unwrap()), [0; 0], "it is done with");
    }
}
