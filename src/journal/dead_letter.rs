//! The dead-letter store: documents that an output will never take.
//!
//! Is: a journal of its own in segments, one frame for each call (several for very many bytes). In: letters. Out: the
//! same letters, in order. Promises: letters are on disk when `put` returns; the store stays below its quota; a damaged
//! place costs only the letters in it. On failure: an error that says why; the output keeps its documents and offers
//! their letters again: those of them that are stored are not stored twice.
//!
//! A letter is a document of a frame: its time is the letter's, its body five length-prefixed byte strings
//! (drawn in `docs/journal-format.md`).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::clock::SharedClock;
use crate::delivery::{DeadLetter, DeadLetters};
use crate::diagnostic::Diagnostic;
use crate::frame::{Draft, Head};
use crate::limits::SEGMENT_BYTES;
use crate::metrics::{Gauge, Metrics};
use crate::storage::{File, SharedStorage};

mod letters;
mod removal;
mod request;
mod selection;

use super::recover::{Recovery, recover_at_start};
use super::shared::{describe, lock};
use super::writer::{Identity, Writer};
pub use letters::{LetterKey, Letters, StoredLetter, count, read_all, read_every};
pub use request::{Action, Answer, REQUESTS_NAME, Request, Requests};
pub use selection::{Selection, kind_of};

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
    /// How often letters of calls that failed later on are stored, by their hash: they are offered again.
    stored: HashMap<u64, u32>,
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
        let found = recover_at_start(&storage, directory, &*held).map_err(|unread| {
            unread.diagnostic(&format!("the dead letters in `{}`", directory.display()))
        })?;
        tell(directory, &found.report);
        let journal = found.journal.unwrap_or_else(|| clock.random());
        let identity = Identity { journal, epoch: clock.random(), outputs: Vec::new() };
        let writer = Writer::new(
            (storage.clone(), clock, directory),
            identity,
            SEGMENT_BYTES.min(max_bytes / 4).max(1),
            (found.generation, found.written),
            found.positions,
        );
        let count = found.segments.iter().map(|s| s.documents).sum();
        let inner = Inner { writer, used_bytes: found.report.bytes, count, stored: HashMap::new() };
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

    fn show(&self, inner: &Inner) {
        self.bytes.set(inner.used_bytes as i64);
        self.letters.set(inner.count as i64);
    }

    fn put_frame(&self, inner: &mut Inner, letters: &[&DeadLetter]) -> io::Result<()> {
        let mut draft = Draft::new(Vec::new());
        for (n, letter) in letters.iter().enumerate() {
            letters::encode(letter, draft.body());
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
        let place = wrote.map_err(|failed| io::Error::new(failed.why.kind(), describe(&failed)))?;
        let unsynced = writer.unsynced();
        let synced = sync(&self.storage, &unsynced, &self.directory);
        if let Err(why) = synced {
            // The letters come again, and are to be there once.
            writer.take_back(&frame, place);
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
        let before = inner.stored.clone();
        let new: Vec<&DeadLetter> = letters.iter().filter(|l| !inner.is_stored(l)).collect();
        let mut rest = new.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|letter| {
                bytes += letter.document.len() + letter.reason.len();
                bytes <= FRAME_BYTES
            });
            let (now, later) = rest.split_at(fit.take(LetterKey::NUMBERS).count().max(1));
            if let Err(why) = self.put_frame(&mut inner, now) {
                inner.stored = before;
                for letter in &new[..new.len() - rest.len()] {
                    *inner.stored.entry(hash(letter)).or_default() += 1;
                }
                self.show(&inner);
                return Err(why);
            }
            rest = later;
        }
        self.show(&inner);
        Ok(())
    }
}

impl Inner {
    /// Whether a letter that is offered again is stored already; each that is stored counts for one.
    fn is_stored(&mut self, letter: &DeadLetter) -> bool {
        if self.stored.is_empty() {
            return false;
        }
        let hash = hash(letter);
        let Some(count) = self.stored.get_mut(&hash) else { return false };
        *count -= 1;
        if *count == 0 {
            self.stored.remove(&hash);
        }
        true
    }
}

/// Of all that is the same when a letter is offered again.
fn hash(letter: &DeadLetter) -> u64 {
    let mut hasher = DefaultHasher::new();
    let DeadLetter { output, address, id, document, reason: _, refused_ns: _ } = letter;
    (output, address, id, document).hash(&mut hasher);
    hasher.finish()
}

fn tell(directory: &Path, report: &Recovery) {
    for wound in report.wounds.iter().filter(|w| !w.known && !w.unfinished) {
        tracing::error!(
            segment = wound.segment,
            offset = wound.offset,
            bytes = wound.bytes,
            "a part of the dead letters in `{}` cannot be read ({}); its bytes are kept in `quarantine`",
            directory.display(),
            wound.reason
        );
    }
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
