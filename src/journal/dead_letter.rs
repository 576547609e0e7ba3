//! The dead-letter store: documents that an output will never take.
//!
//! Is: a journal of its own in segments, one frame for each call. In: letters. Out: the same letters, in order.
//! Promises: letters are on disk when `put` returns; the store stays below its quota; a damaged place costs only
//! the letters in it. On failure: an error that says why; the output keeps its documents.
//!
//! A letter is a document of a frame: its time is the letter's, its body five length-prefixed byte strings
//! (drawn in `docs/journal-format.md`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::clock::SharedClock;
use crate::delivery::{DeadLetter, DeadLetters};
use crate::diagnostic::Diagnostic;
use crate::frame::{Draft, Frame, Head};
use crate::limits::SEGMENT_BYTES;
use crate::metrics::{Gauge, Metrics};
use crate::storage::{File, SharedStorage};

use super::open::random;
use super::recover::{Touch, recover};
use super::scan::{Found, Scanner};
use super::shared::{describe, lock};
use super::writer::{Identity, Writer};

/// Bytes of letters in one frame, so that a huge call does not make a huge frame.
const FRAME_BYTES: usize = 16 * 1024 * 1024;

/// The store of one pipeline.
pub struct Store {
    directory: PathBuf,
    max_bytes: u64,
    inner: Mutex<Inner>,
    bytes: Gauge,
    letters: Gauge,
    _lock: Box<dyn File>,
    storage: SharedStorage,
}

struct Inner {
    writer: Writer,
    used_bytes: u64,
    count: u64,
}

/// The letters of a store, oldest first.
pub struct Letters {
    storage: SharedStorage,
    segments: std::vec::IntoIter<(PathBuf, Option<u64>, u64)>,
    scanner: Option<Scanner>,
    frame: Option<(Frame, usize)>,
}

impl Store {
    /// Opens the store in a directory, which is made when it is not there; it holds at most `max_bytes`.
    pub fn open(
        storage: SharedStorage,
        clock: SharedClock,
        metrics: &Metrics,
        directory: &Path,
        max_bytes: u64,
    ) -> Result<Store, Diagnostic> {
        let held = super::lock::take(&storage, directory)?;
        let found = recover(&storage, directory, Touch::Repair).map_err(|why| {
            Diagnostic::error(format!("cannot list the dead letters in `{}`", directory.display()))
                .because(why)
                .hint("make the directory readable for the user that runs logweir")
        })?;
        let journal = found.journal.unwrap_or_else(random);
        let identity = Identity { journal, epoch: random(), outputs: Vec::new() };
        let writer = Writer::new(
            (storage.clone(), clock, directory),
            identity,
            SEGMENT_BYTES.min(max_bytes / 4).max(1),
            (found.generation, found.written),
            found.positions,
        );
        let count = found.segments.iter().map(|s| s.documents).sum();
        let inner = Inner { writer, used_bytes: found.report.bytes, count };
        let bytes = metrics.gauge("logweir_dead_letters_bytes", "Bytes of dead letters.");
        let letters = metrics.gauge("logweir_dead_letters", "Dead letters that are stored.");
        bytes.set(inner.used_bytes as i64);
        letters.set(count as i64);
        let directory = directory.to_path_buf();
        let inner = Mutex::new(inner);
        Ok(Store { directory, max_bytes, inner, bytes, letters, _lock: held, storage })
    }

    /// How many letters there are.
    pub fn count(&self) -> u64 {
        lock(&self.inner).count
    }

    fn put_frame(&self, inner: &mut Inner, letters: &[DeadLetter]) -> io::Result<()> {
        let mut draft = Draft::new(Vec::new());
        for (n, letter) in letters.iter().enumerate() {
            write_letter(letter, draft.body());
            let head = Head {
                routes: 0,
                time_ns: letter.refused_ns,
                prefix: None,
                suffix: n as u64,
                sub: 0,
            };
            draft.add(head, &[]);
        }
        let size = draft.size() as u64;
        if inner.used_bytes + size > self.max_bytes {
            let (path, max) = (self.directory.display(), self.max_bytes);
            return Err(io::Error::other(format!(
                "the dead letters in `{path}` have reached their quota of {max} bytes; replay or drop some \
                 with `logweir dlq`, or raise dead_letters.max_size"
            )));
        }
        let writer = &mut inner.writer;
        let frame = draft.seal(writer.epoch(), writer.next_sequence());
        let wrote = writer.write(&frame);
        wrote.map_err(|failed| io::Error::new(failed.why.kind(), describe(&failed)))?;
        let unsynced = writer.unsynced();
        let synced = sync(&self.storage, &unsynced, &self.directory);
        if let Err(why) = synced {
            // What a failed sync leaves is not to be trusted: the next letter goes to a new segment.
            writer.end_segment();
            writer.synced(&unsynced);
            return Err(why);
        }
        writer.synced(&unsynced);
        let begun: u64 = writer.take_begun().iter().map(|b| b.frames_from).sum();
        inner.used_bytes += begun + frame.bytes().len() as u64;
        inner.count += letters.len() as u64;
        Ok(())
    }
}

impl DeadLetters for Store {
    fn put(&self, letters: &[DeadLetter]) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let mut rest = letters;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|letter| {
                bytes += letter.document.len() + letter.reason.len();
                bytes <= FRAME_BYTES
            });
            let (now, later) = rest.split_at(fit.count().max(1));
            self.put_frame(&mut inner, now)?;
            rest = later;
        }
        self.bytes.set(inner.used_bytes as i64);
        self.letters.set(inner.count as i64);
        Ok(())
    }
}

/// All letters of a store, also of one that is open; what is damaged is passed over.
pub fn read_all(storage: &SharedStorage, directory: &Path) -> io::Result<Letters> {
    let found = recover(storage, directory, Touch::Nothing)?;
    let segments = found.segments.into_iter().map(|s| (s.path, s.epoch, s.first));
    let segments: Vec<_> = segments.collect();
    let storage = storage.clone();
    Ok(Letters { storage, segments: segments.into_iter(), scanner: None, frame: None })
}

/// How many letters a directory holds.
pub fn count(storage: &SharedStorage, directory: &Path) -> io::Result<u64> {
    let found = recover(storage, directory, Touch::Nothing)?;
    Ok(found.segments.iter().map(|s| s.documents).sum())
}

impl Letters {
    fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(scanner) = &mut self.scanner {
                match scanner.step() {
                    Some(Found::Frame { offset, outline }) => {
                        let bytes = scanner.bytes(offset, &outline).to_vec();
                        if let Ok(frame) = Frame::open(bytes) {
                            return Some(frame);
                        }
                    }
                    Some(Found::Broken(_)) => {}
                    None => self.scanner = None,
                }
            } else {
                let (path, epoch, first) = self.segments.next()?;
                let file = self.storage.open_read(&path).ok();
                self.scanner = file.map(|f| Scanner::new(f.into(), 0, epoch, first - 1));
            }
        }
    }
}

impl Iterator for Letters {
    type Item = DeadLetter;

    fn next(&mut self) -> Option<DeadLetter> {
        loop {
            if let Some((frame, number)) = &mut self.frame
                && *number < frame.document_count()
            {
                *number += 1;
                let document = frame.document(*number - 1);
                if let Some(letter) = read_letter(document.body, document.time_ns) {
                    return Some(letter);
                }
                continue;
            }
            self.frame = Some((self.next_frame()?, 0));
        }
    }
}

fn write_letter(letter: &DeadLetter, out: &mut Vec<u8>) {
    let texts = [&letter.output, &letter.address, &letter.id, &letter.reason];
    for text in texts.map(String::as_bytes).into_iter().chain([letter.document.as_slice()]) {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    }
}

fn read_letter(mut body: &[u8], refused_ns: i64) -> Option<DeadLetter> {
    let mut next = || {
        let (length, rest) = body.split_at_checked(4)?;
        let (text, rest) = rest.split_at_checked(crate::frame::u32_at(length, 0) as usize)?;
        body = rest;
        Some(text)
    };
    let mut text = || next().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (output, address, id, reason) = (text()?, text()?, text()?, text()?);
    let document = next()?.to_vec();
    Some(DeadLetter { output, address, id, reason, refused_ns, document })
}

fn sync(
    storage: &SharedStorage,
    unsynced: &super::writer::Unsynced,
    directory: &Path,
) -> io::Result<()> {
    for (_, path, file) in &unsynced.files {
        let synced = file.sync();
        synced.map_err(|why| {
            io::Error::new(why.kind(), format!("cannot sync `{}`: {why}", path.display()))
        })?;
    }
    if unsynced.directory {
        storage.sync_directory(directory)?;
    }
    Ok(())
}
