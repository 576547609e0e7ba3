//! The fifth room: frames on disk (or in memory), one cursor per output.
//!
//! Is: the only truth about what was read and what was delivered. In: drafts from the pipeline. Out: frames for the
//! outputs, positions for the inputs after a restart. Promises: a told ack is on disk (in memory mode: delivered);
//! a start succeeds whatever the files look like; a slow output stops nobody until the quota is reached; what is
//! dropped is counted. On failure: it waits, says so in health, and goes on by itself.
//!
//! `docs/journal-format.md` draws every byte.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::budget::Budget;
use crate::chunk::{Ack, Closed, Position};
use crate::clock::SharedClock;
use crate::delivery::Feed;
use crate::diagnostic::Diagnostic;
use crate::frame::Draft;
use crate::health::Part;
use crate::metrics::Metrics;
use crate::storage::SharedStorage;

mod background;
mod cursor;
pub mod dead_letter;
mod frames;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod inspect;
mod lock;
mod memory;
mod numbers;
mod open;
mod options;
mod pace;
mod pool;
mod quarantine;
mod quota;
mod reader;
mod recover;
mod scan;
mod segment;
mod settle;
mod shared;
mod state;
mod writer;

pub use frames::{Frames, PlacedFrame, frames};
pub use inspect::{InspectedOutput, InspectedSegment, Inspection, inspect};
pub use lock::LOCK_NAME;
pub use options::{Mode, OnFull, Settings, SyncPolicy};
pub use recover::{Recovery, Wound};

use reader::JournalFeed;
use shared::{Shared, lock};

/// What the journal needs to know of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputSlot {
    /// Its name, as in `outputs.NAME`.
    pub name: String,
    /// It holds frames until it has them; `false`: best effort.
    pub required: bool,
    /// A best-effort output that is further behind than this many bytes is moved on.
    pub max_lag: Option<u64>,
}

/// Everything that a journal works with.
pub struct Parts {
    /// Files.
    pub storage: SharedStorage,
    /// Time.
    pub clock: SharedClock,
    /// Metrics, labelled with the pipeline.
    pub metrics: Metrics,
    /// How it says that it works.
    pub health: Part,
    /// What frames in memory take their memory from.
    pub budget: Budget,
}

/// A journal that was just opened.
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// Where each source's reading goes on.
    pub positions: Vec<Position>,
    /// What was found, and what was wrong.
    pub report: Recovery,
    /// The bit of each output, in the order of the outputs.
    pub bits: Vec<u32>,
}

/// A handle; clones share the journal, and the last one closes it.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
    closer: Arc<Closer>,
}

/// How full the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all segments, or of all frames in memory.
    pub bytes: u64,
    /// Segments.
    pub segments: usize,
    /// The last sequence given to a frame.
    pub written: u64,
    /// The last frame that is on disk for certain.
    pub synced: u64,
    /// Each output.
    pub outputs: Vec<OutputStats>,
}

/// How far behind an output is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputStats {
    /// Its name.
    pub name: String,
    /// All frames up to here are done with.
    pub cursor: u64,
    /// Frames behind.
    pub frames: u64,
    /// Bytes of frames behind.
    pub bytes: u64,
    /// Documents for it that it is not done with.
    pub documents: u64,
    /// Age of the oldest frame that it is not done with, in nanoseconds.
    pub oldest_age_ns: u64,
}

/// Stops the background thread when the last handle goes.
struct Closer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Journal {
    /// Opens the journal in a directory, which is made when it is not there. Damage never makes this fail; another
    /// process that has it open, or a directory that cannot be written, does.
    pub fn open(
        parts: Parts,
        directory: &Path,
        settings: Settings,
        outputs: &[OutputSlot],
    ) -> Result<Opened, Diagnostic> {
        open::open(parts, directory, settings, outputs, true)
    }

    /// Takes a draft in and returns its sequence. For threads: blocks while the quota is reached or the disk
    /// refuses, without end; only [`Journal::close`] gives up, and then the ack is dropped untold.
    pub fn append(&self, draft: Draft, ack: Option<Ack>) -> Result<u64, Closed> {
        self.shared.append(draft, ack)
    }

    /// The frames of the output with this bit, from its cursor on. One feed per output at a time.
    pub fn feed(&self, bit: u32) -> Option<Box<dyn Feed>> {
        let slot = lock(&self.shared.state).outputs.iter().position(|o| o.bit == bit)?;
        Some(Box::new(JournalFeed::new(Arc::clone(&self.shared), slot)))
    }

    /// An empty buffer for [`Draft::new`], used before where possible.
    pub fn buffer(&self) -> Vec<u8> {
        self.shared.pool.buffer()
    }

    /// Syncs, writes the cursors, wakes everybody who waits, and ends the lock. What was not delivered comes after
    /// the next open.
    pub fn close(&self) {
        self.closer.close();
        if !self.shared.threaded.load(Ordering::Relaxed) {
            self.shared.finish();
        }
    }

    /// Whether all required outputs are done with every frame.
    pub fn drained(&self) -> bool {
        let state = lock(&self.shared.state);
        state.passed_by_required() >= state.written
    }

    /// Waits until [`Journal::drained`], at most this long; returns what it is then. For threads.
    pub fn wait_drained(&self, most: Duration) -> bool {
        let until = Instant::now() + most;
        let mut state = lock(&self.shared.state);
        while !state.closed && state.passed_by_required() < state.written {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.room.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.passed_by_required() >= state.written
    }

    /// Waits until [`Journal::drained`] or closed. For tasks.
    pub async fn until_drained(&self) {
        loop {
            let notified = self.shared.drained.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.drained() || lock(&self.shared.state).closed {
                return;
            }
            notified.await;
        }
    }

    /// How full it is now.
    pub fn stats(&self) -> Stats {
        let now_ns = self.shared.clock.now_ns();
        let state = lock(&self.shared.state);
        let age = |slot| state.oldest_ns(slot).map_or(0, |ns| now_ns.saturating_sub(ns).max(0));
        let outputs = state.outputs.iter().enumerate().map(|(slot, output)| {
            let (bytes, documents) = output.lag(&state.totals, slot);
            OutputStats {
                name: output.name.clone(),
                cursor: output.passed(),
                frames: state.written.saturating_sub(output.passed()),
                bytes,
                documents,
                oldest_age_ns: age(slot) as u64,
            }
        });
        Stats {
            bytes: state.used_bytes(),
            segments: state.segments.len(),
            written: state.written,
            synced: state.synced,
            outputs: outputs.collect(),
        }
    }

    fn new(shared: Arc<Shared>, threaded: bool) -> Result<Journal, Diagnostic> {
        shared.threaded.store(threaded, Ordering::Relaxed);
        let thread = if threaded {
            let shared = Arc::clone(&shared);
            let named = std::thread::Builder::new().name("journal".to_string());
            let started = named.spawn(move || shared.run());
            Some(started.map_err(|why| {
                Diagnostic::error("cannot start the journal's thread")
                    .because(why)
                    .hint("raise the limit of threads of the user that runs logweir")
            })?)
        } else {
            None
        };
        let closer = Closer { shared: Arc::clone(&shared), thread: Mutex::new(thread) };
        Ok(Journal { shared, closer: Arc::new(closer) })
    }
}

impl Closer {
    fn close(&self) {
        {
            let mut state = lock(&self.shared.state);
            state.closed = true;
            for output in &state.outputs {
                output.wake.notify_one();
            }
        }
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        self.shared.drained.notify_waiters();
        let Some(thread) = lock(&self.thread).take() else { return };
        let _ = thread.join();
        self.shared.finish();
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod stepped;
#[cfg(test)]
mod tests;
