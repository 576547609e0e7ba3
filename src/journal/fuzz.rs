//! The journal's files under the fuzzer.
//!
//! In: any bytes: files as they are, or what happens to good files. Promises: opening never fails; only frames with
//! a right checksum come out, in order, once; the journal goes on, and a second start finds the same.
//! On failure: a panic.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use super::dead_letter::{Store, count, read_all};
use super::{Journal, Mode, OnFull, OutputSlot, Parts, Settings, SyncPolicy, inspect, open};
use crate::clock::ManualClock;
use crate::delivery::{DeadLetter, DeadLetters};
use crate::frame::{self, Draft, Frame, Head, Outline, u32_at};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::storage::simulated::SimulatedStorage;
use crate::storage::{SharedStorage, Storage};

const DIRECTORY: &str = "/data/journal";

type Files = Vec<(PathBuf, Vec<u8>)>;

/// A closed journal of several small segments and a cursor.
static GOOD: LazyLock<Files> = LazyLock::new(|| {
    let storage = SimulatedStorage::default();
    let journal = opened(&storage);
    for n in 1..=6 {
        assert!(journal.append(draft(n, b"{\"n\":1}"), None).is_ok());
    }
    if let Some(mut feed) = journal.feed(0) {
        let _ = feed.next_now();
        feed.done(1);
    }
    journal.close();
    // The process's number is another one each time.
    storage.put(&Path::new(DIRECTORY).join(super::lock::LOCK_NAME), b"1");
    files(&storage)
});

/// The files of a journal: any, or good ones with changes.
pub(crate) fn journal(data: &[u8]) {
    let [mode, rest @ ..] = data else { return };
    let storage = SimulatedStorage::default();
    assert!(storage.create_directory(Path::new(DIRECTORY)).is_ok());
    match mode % 4 {
        0 => storage.put(&segment(1), rest),
        1 => {
            let (first, second) = rest.split_at(rest.len() / 2);
            storage.put(&segment(1), first);
            storage.put(&segment(4), second);
        }
        2 => put_changed(&storage, rest, false),
        _ => put_changed(&storage, rest, true),
    }
    let size: usize = files(&storage).iter().map(|(_, bytes)| bytes.len()).sum();
    let shared: SharedStorage = Arc::new(storage.clone());
    let seen = inspect(&shared, Path::new(DIRECTORY)).map(|seen| seen.report.frames);
    let journal = opened(&storage);
    let before = given(&journal);
    assert!(
        before.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() <= size,
        "frames from nowhere"
    );
    assert!(before.len() as u64 <= seen.unwrap_or(0), "a frame that no look at the files saw");
    assert!(before.windows(2).all(|pair| pair[0].0 < pair[1].0), "frames out of order");
    let written = journal.append(draft(77, b"{\"n\":77}"), None);
    let Ok(sequence) = written else { panic!("an open journal is closed") };
    let after: Vec<u64> = given(&journal).iter().map(|(sequence, _)| *sequence).collect();
    assert_eq!(after, [sequence], "it goes on");
    journal.close();
    drop(journal);
    let again: Vec<u64> = given(&opened(&storage)).iter().map(|(sequence, _)| *sequence).collect();
    let all: Vec<u64> = before.iter().map(|(n, _)| *n).chain([sequence]).collect();
    assert_eq!(again, all, "a second start finds something else");
}

/// A frame with any inside and a right checksum.
pub(crate) fn frame(data: &[u8]) {
    let mut bytes = data.to_vec();
    seal(&mut bytes, 0);
    let Ok(frame) = Frame::open(bytes) else { return };
    let length = frame.bytes().len();
    assert_eq!(length, data.len());
    assert!(frame.positions().iter().map(|p| p.identity.len()).sum::<usize>() <= length);
    let mut id = Vec::new();
    for document in frame.documents() {
        id.clear();
        document.write_id(&mut id);
        assert!(document.body.len() <= length && id.len() <= length + 64);
        for output in 0..32 {
            let gets_it = document.routes & (1 << output) != 0;
            assert!(gets_it || document.address(output).is_none(), "an address for nobody");
        }
    }
    let Ok(outline) = Outline::check(frame.bytes()) else { panic!("two opinions of one frame") };
    assert_eq!(outline.routes(frame.bytes()).count(), frame.document_count());
}

/// Dead letters: any file, and any letter.
pub(crate) fn dead_letters(data: &[u8]) {
    let [mode, rest @ ..] = data else { return };
    let storage = SimulatedStorage::default();
    let shared: SharedStorage = Arc::new(storage.clone());
    let directory = Path::new(DIRECTORY);
    assert!(shared.create_directory(directory).is_ok());
    match mode % 3 {
        0 => storage.put(&segment(1), rest),
        1 => storage.put(&segment(1), &framed(rest)),
        _ => {
            let letter = letter(rest);
            let store = store(&shared);
            assert!(store.put(std::slice::from_ref(&letter)).is_ok());
            drop(store);
            assert_eq!(letters(&shared), [letter], "a letter came back as another one");
        }
    }
    let before = letters(&shared);
    let size: usize = files(&storage).iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(before.iter().map(|l| l.document.len()).sum::<usize>() <= size);
    assert!(before.len() as u64 <= count(&shared, directory).unwrap_or(0));
    let store = store(&shared);
    assert!(store.put(&[letter(b"next")]).is_ok(), "the store does not go on");
    drop(store);
    let mut all = before;
    all.push(letter(b"next"));
    assert_eq!(letters(&shared), all, "a second look finds something else");
}

fn segment(first: u64) -> PathBuf {
    Path::new(DIRECTORY).join(super::segment::name(first))
}

fn opened(storage: &SimulatedStorage) -> Journal {
    let parts = Parts {
        storage: Arc::new(storage.clone()),
        clock: Arc::new(ManualClock::at(1)),
        metrics: Metrics::default(),
        health: Health::default().part("journal"),
        budget: crate::budget::Budget::default(),
    };
    let settings = Settings {
        mode: Mode::Disk,
        max_bytes: 1 << 30,
        on_full: OnFull::Block,
        sync: SyncPolicy::Interval(std::time::Duration::from_millis(5)),
        segment_bytes: 600,
    };
    let outputs = [OutputSlot { name: "logs".into(), required: true, max_lag: None }];
    match open::open(parts, Path::new(DIRECTORY), settings, &outputs, false) {
        Ok(opened) => opened.journal,
        Err(why) => panic!("a journal must always open: {why}"),
    }
}

/// Sequence and bytes of every frame that the output is given.
fn given(journal: &Journal) -> Vec<(u64, Vec<u8>)> {
    let mut all = Vec::new();
    let Some(mut feed) = journal.feed(0) else { panic!("the output has no feed") };
    while let Some(frame) = feed.next_now() {
        let bytes = frame.bytes().to_vec();
        assert_eq!(crc32c::crc32c(&bytes[8..]), u32_at(&bytes, 4), "a wrong checksum");
        all.push((frame.sequence(), bytes));
    }
    all
}

fn files(storage: &SimulatedStorage) -> Files {
    let paths = storage.list(Path::new(DIRECTORY)).unwrap_or_default();
    let mut files: Files =
        paths.into_iter().map(|p| (p.clone(), storage.contents(&p).unwrap_or_default())).collect();
    files.sort();
    files
}

/// Good files with changes, five bytes each: the file, what to do, where, with which byte.
fn put_changed(storage: &SimulatedStorage, changes: &[u8], sealed: bool) {
    let mut files = GOOD.clone();
    for change in changes.chunks_exact(5) {
        let number = usize::from(change[0]) % files.len();
        let bytes = &mut files[number].1;
        let at = usize::from(u16::from_le_bytes([change[2], change[3]]));
        let at = if bytes.is_empty() { 0 } else { at % bytes.len() };
        match change[1] % 5 {
            0 if at < bytes.len() => bytes[at] ^= change[4],
            1 => bytes.truncate(at),
            2 => drop(bytes.splice(at..at, [change[4]])),
            3 => drop(bytes.drain(at..bytes.len().min(at + usize::from(change[4])))),
            // A file that doubles with every change would only test the memory.
            _ if bytes.len() < 64 * 1024 => bytes.extend_from_within(at..),
            _ => {}
        }
    }
    for (path, mut bytes) in files {
        if sealed {
            let places = memchr::memmem::find_iter(&bytes, &frame::MAGIC).collect::<Vec<_>>();
            for at in places {
                keep_run(&mut bytes, at);
                seal_checksum(&mut bytes, at);
            }
        }
        storage.put(&path, &bytes);
    }
}

/// Makes the rest of the bytes from `at` on a frame by its first numbers and its checksum.
fn seal(bytes: &mut [u8], at: usize) {
    let frame = &mut bytes[at..];
    if frame.len() >= 64 {
        let length = frame.len() as u32;
        frame[..4].copy_from_slice(&frame::MAGIC);
        frame[8..12].copy_from_slice(&frame::VERSION.to_le_bytes());
        frame[12..16].copy_from_slice(&length.to_le_bytes());
        seal_checksum(bytes, at);
    }
}

/// The number of the run stays as it is in the good files. It is random and all frames of a segment carry it: a frame
/// with another one *and* a right checksum is no damage but a forgery, and which of two runs is the segment's then
/// depends on which frames are still there.
fn keep_run(bytes: &mut [u8], at: usize) {
    let good = GOOD.iter().find_map(|(_, file)| {
        let first = memchr::memmem::find(file, &frame::MAGIC)?;
        frame::header_epoch(&file[first..])
    });
    if let (Some(epoch), Some(place)) = (good, bytes.get_mut(at + 24..at + 32)) {
        place.copy_from_slice(&epoch.to_le_bytes());
    }
}

fn seal_checksum(bytes: &mut [u8], at: usize) {
    let Ok(length) = frame::header_length(&bytes[at..]) else { return };
    if let Some(frame) = bytes.get_mut(at..at + length) {
        let checksum = crc32c::crc32c(&frame[8..]);
        frame[4..8].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn draft(n: u64, body: &[u8]) -> Draft {
    let mut draft = Draft::new(Vec::new());
    let address = draft.string(b"logs");
    draft.body().extend_from_slice(body);
    let head = Head { routes: 1, time_ns: 0, prefix: None, suffix: n, sub: 0 };
    draft.add(head, &address.into_iter().collect::<Vec<_>>());
    draft
}

/// A frame with one letter that holds any bytes.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut draft = Draft::new(Vec::new());
    draft.body().extend_from_slice(body);
    draft.add(Head { routes: 0, time_ns: 0, prefix: None, suffix: 0, sub: 0 }, &[]);
    draft.seal(1, 1).into_buffer()
}

fn store(storage: &SharedStorage) -> Store {
    let clock = Arc::new(ManualClock::at(1));
    let directory = Path::new(DIRECTORY);
    match Store::open(storage.clone(), clock, &Metrics::default(), directory, 1 << 24) {
        Ok(store) => store,
        Err(why) => panic!("a store must always open: {why}"),
    }
}

fn letters(storage: &SharedStorage) -> Vec<DeadLetter> {
    let letters = read_all(storage, Path::new(DIRECTORY));
    letters.map(|all| all.map(|stored| stored.letter).collect()).unwrap_or_default()
}

fn letter(bytes: &[u8]) -> DeadLetter {
    let mut parts = bytes.splitn(5, |b| *b == 0).map(String::from_utf8_lossy);
    let mut text = || parts.next().unwrap_or_default().into_owned();
    let (output, address, id, reason) = (text(), text(), text(), text());
    DeadLetter { output, address, id, reason, refused_ns: 7, document: bytes.to_vec() }
}
