//! The parts of an open journal, and the way of a frame into it.
//!
//! Is: what the handle, the feeds and the background thread share. In: drafts. Out: frames in the tail and on disk.
//! Promises: frames get their sequences in the order of the calls; one write a frame, outside of the lock that
//! feeds take; a frame that cannot be written is tried again until it is, or the journal is closed.
//! On failure: health says what and what to do; the caller waits.
//!
//! Locks are taken in the order gate, writer, state.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::budget::{Budget, Use};
use crate::chunk::{Ack, Closed};
use crate::clock::SharedClock;
use crate::frame::{Draft, Frame};
use crate::pulse;
use crate::storage::{File, SharedStorage};

use super::cursor::CursorFile;
use super::memory::Deferred;
use super::numbers::{Numbers, Status, Trouble};
use super::options::{Mode, Settings, SyncPolicy};
use super::pool::Pool;
use super::settle::Unsettled;
use super::state::{Entry, Segment, State};
use super::writer::{Begun, Place, WriteError, Writer};

/// First and longest pause between two tries of a write.
pub const PAUSE_FIRST: Duration = Duration::from_millis(20);
/// See [`PAUSE_FIRST`].
pub const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Lets time pass in a simulation; `false`: the process has ended.
#[cfg(test)]
pub type Pause = Box<dyn Fn(Duration) -> bool + Send + Sync>;

/// An open journal.
pub struct Shared {
    pub(super) storage: SharedStorage,
    pub(super) clock: SharedClock,
    pub(super) directory: PathBuf,
    pub(super) settings: Settings,
    pub(super) numbers: Numbers,
    pub(super) status: Status,
    pub(super) pool: Pool,
    pub(super) budget: Budget,
    /// Bytes of the newest frames that stay in memory.
    pub(super) tail_max: u64,
    pub(super) journal: u64,
    pub(super) epoch: u64,
    /// The last sequence on disk when a journal in memory was opened: what its cursors on disk mean.
    pub(super) found_written: u64,
    /// The last intact frame at the open, or the last durable one where the newest segment cannot be read: later
    /// sequences, up to `found_written`, are used, but no frame has them.
    pub(super) found_last: u64,
    pub(super) state: Mutex<State>,
    pub(super) writer: Mutex<Writer>,
    /// Held by the one thread that appends.
    pub(super) gate: Mutex<()>,
    pub(super) cursors: Mutex<CursorSlots>,
    pub(super) deferred: Mutex<Deferred>,
    /// What the start found, until it is durable.
    pub(super) unsettled: Mutex<Option<Unsettled>>,
    pub(super) lock: Mutex<Option<Box<dyn File>>>,
    /// Wakes the background thread.
    pub(super) work: Condvar,
    /// Wakes whoever waits for space, for a failed step, or for the end of a drain.
    pub(super) room: Condvar,
    pub(super) drained: tokio::sync::Notify,
    /// A background thread does the work; without one, whoever waits does it.
    pub(super) threaded: AtomicBool,
    /// What a simulation does while somebody waits.
    #[cfg(test)]
    pub(super) pause: std::sync::OnceLock<Pause>,
}

/// The cursor file, once it could be opened.
pub struct CursorSlots {
    pub(super) file: Option<CursorFile>,
    pub(super) number: u64,
}

/// A lock that a panic of another thread cannot take away.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Takes a draft in; see [`super::Journal::append`].
    pub fn append(&self, draft: Draft, ack: Option<Ack>) -> Result<u64, Closed> {
        let _gate = lock(&self.gate);
        self.admit(draft.size() as u64)?;
        self.pace(draft.size() as u64);
        let sequence = lock(&self.state).written + 1;
        let mut frame = match self.settings.mode {
            Mode::Disk => draft.seal(self.epoch, sequence),
            Mode::Memory => draft.seal_in_memory(self.epoch, sequence),
        };
        self.pool.fit(&mut frame);
        frame.hold(&self.budget, Use::Journal);
        let frame = Arc::new(frame);
        let documents = self.count_documents(&frame);
        let positions = frame.positions();
        let new = positions.iter().any(|position| position.new);
        let entry = Entry {
            documents,
            place: Place { generation: 0, offset: 0 },
            appended_ns: self.clock.now_ns(),
            frame,
        };
        match self.settings.mode {
            Mode::Disk => self.append_on_disk(entry, new, ack)?,
            Mode::Memory => self.append_in_memory(entry, positions, ack),
        }
        Ok(sequence)
    }

    /// Tries a step until it works; in between the writer is free. `Closed` ends it.
    pub(super) fn until_written<T>(
        &self,
        mut step: impl FnMut(&mut Writer) -> Result<T, WriteError>,
    ) -> Result<T, Closed> {
        let mut pause = PAUSE_FIRST;
        loop {
            let tried = step(&mut lock(&self.writer));
            match tried {
                Ok(done) => {
                    self.status.over(Trouble::Write);
                    return Ok(done);
                }
                Err(why) => self.status.trouble(Trouble::Write, describe(&why)),
            }
            self.wait_for_room(pause)?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// Waits until something changed, at most `pause`.
    pub(super) fn wait_for_room(&self, pause: Duration) -> Result<(), Closed> {
        let threaded = self.threaded.load(Ordering::Relaxed);
        if !threaded {
            self.turn();
        }
        #[cfg(test)]
        if let Some(wait) = self.pause.get()
            && !wait(pause)
        {
            return Err(Closed);
        }
        let state = lock(&self.state);
        if state.closed {
            return Err(Closed);
        }
        if !threaded {
            return Ok(());
        }
        let waited = pulse::rest(|| self.room.wait_timeout(state, pause));
        let closed = waited.unwrap_or_else(PoisonError::into_inner).0.closed;
        if closed { Err(Closed) } else { Ok(()) }
    }

    /// Whether others work while somebody waits.
    pub(super) fn has_background(&self) -> bool {
        #[cfg(test)]
        if self.pause.get().is_some() {
            return true;
        }
        self.threaded.load(Ordering::Relaxed)
    }

    /// Asks for a sync now.
    pub(super) fn kick(&self, state: &mut State) {
        state.sync_wanted = true;
        self.work.notify_all();
    }

    /// Wakes the feeds that have something to look at.
    pub(super) fn wake(state: &State) {
        let visible = state.visible();
        for output in state.outputs.iter().filter(|o| o.next <= visible) {
            output.wake.notify_one();
        }
    }

    /// Counts a frame that is in the tail now.
    pub(super) fn count(&self, bytes: usize, documents: usize) {
        self.numbers.frames.increment();
        self.numbers.documents.add(documents as u64);
        self.numbers.written.add(bytes as u64);
    }

    fn append_on_disk(&self, entry: Entry, new: bool, ack: Option<Ack>) -> Result<(), Closed> {
        let (bytes, count) = (entry.frame.bytes().len(), entry.frame.document_count());
        let mut waiting = Some((entry, ack));
        self.until_written(|writer| {
            let Some((entry, _)) = &waiting else { return Ok(()) };
            if std::mem::take(&mut lock(&self.state).roll_wanted) {
                writer.end_segment();
            }
            let place = writer.write(&entry.frame)?;
            let begun = writer.take_begun();
            if let Some((entry, ack)) = waiting.take() {
                self.publish(Entry { place, ..entry }, begun, new, ack);
            }
            Ok(())
        })?;
        self.count(bytes, count);
        Ok(())
    }

    /// Under the writer's lock, so that a failed sync finds in the tail everything that was written.
    fn publish(&self, entry: Entry, begun: Vec<Begun>, new: bool, ack: Option<Ack>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        for begun in begun {
            let segment = Segment::begun(begun, state.totals.clone(), state.outputs.len());
            state.segments.push_back(segment);
            // The one before is complete: what it holds should not wait for the next one to fill up.
            state.sync_wanted = true;
        }
        let sequence = entry.frame.sequence();
        let (clean, moved) = (state.synced + 1 == sequence, state.cursors_moved);
        let soon = new && !state.sync_soon;
        state.sync_soon |= new;
        state.publish(entry, new);
        let waits = ack.is_some();
        if let Some(ack) = ack {
            state.wait_for(sequence, ack);
        }
        state.evict(&self.pool);
        if waits || state.sync == SyncPolicy::Always {
            state.sync_wanted = true;
        }
        Self::wake(state);
        // While something is due already the background wakes up by itself.
        if clean || soon || state.sync_wanted || moved != state.cursors_moved {
            self.work.notify_one();
        }
    }

    fn count_documents(&self, frame: &Frame) -> Box<[u32]> {
        let bits: Vec<u32> = lock(&self.state).outputs.iter().map(|o| 1 << o.bit).collect();
        let mut counts = vec![0; bits.len()];
        for routes in frame.routes() {
            for (count, bit) in counts.iter_mut().zip(&bits) {
                *count += u32::from(routes & bit != 0);
            }
        }
        counts.into()
    }
}

/// A failed step with what to do about it.
pub fn describe(failed: &WriteError) -> String {
    let advice = match failed.why.raw_os_error() {
        Some(28) => "free space on that file system",
        Some(122) => "raise the disk quota of the user that runs logweir",
        Some(30) => "the file system is read-only: check the kernel log and mount it for writing",
        Some(5) => "the device fails: check the kernel log",
        Some(13 | 1) => "make it writable for the user that runs logweir",
        _ => "check the file system",
    };
    format!("{failed}; {advice}; reading waits, nothing is lost, and it goes on by itself")
}
