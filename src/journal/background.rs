//! What happens besides appends: syncs, cursors, deletion.
//!
//! Is: one thread per journal that sleeps while nothing changes. In: what is written and what is done. Out: durable
//! frames, told acks, a written cursor file, freed segments. Promises: an ack is told only after its frame is
//! durable; all who wait share one sync; after a failed sync the frames are written again elsewhere, because the
//! kernel may call them clean. On failure: health says so, nobody is told, and it is tried again.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::frame::Frame;
use crate::limits::CURSOR_INTERVAL_MS;
use crate::pulse;

use super::cursor::{Cursor, CursorFile, Cursors};
use super::numbers::Trouble;
use super::options::{Mode, SyncPolicy};
use super::shared::{PAUSE_FIRST, PAUSE_MAX, Shared, describe, lock};
use super::state::{Segment, State};
use super::writer::{Unsynced, WriteError};

/// Pause between two syncs for the sake of new sources, at least: where thousands of files are new, a sync for each
/// would take minutes, as nothing can be written to a page of the file while it is synced.
const SOON: Duration = Duration::from_millis(20);
/// Pause between two looks at an output that is behind, for its metrics.
const WATCH: Duration = Duration::from_secs(1);

impl Shared {
    /// The thread's body; returns when the journal is closed.
    pub(super) fn run(&self) {
        let _joined = self.status.join_thread();
        let mut pause = PAUSE_FIRST;
        let mut last = Instant::now();
        while pulse::rest(|| self.wait_for_work(last)) {
            last = Instant::now();
            if self.turn() {
                pause = PAUSE_FIRST;
            } else {
                let state = lock(&self.state);
                if state.closed {
                    break;
                }
                drop(pulse::rest(|| self.room.wait_timeout(state, pause)));
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }

    /// Does everything that is due; `false`: a step failed and is to be tried again.
    pub(super) fn turn(&self) -> bool {
        if !self.settle() {
            return false;
        }
        let mut worked = true;
        if self.settings.mode == Mode::Memory {
            worked &= self.store_positions();
        } else if self.sync_due() {
            worked &= self.sync_once();
        }
        self.enforce_lag();
        self.reclaim();
        self.tell_room();
        worked &= self.write_cursors(false);
        self.show();
        worked
    }

    /// Makes everything written so far durable and tells who waits for it.
    pub(super) fn sync_once(&self) -> bool {
        let (unsynced, suspect) = {
            let writer = lock(&self.writer);
            let mut state = lock(&self.state);
            (state.sync_wanted, state.sync_soon) = (false, false);
            (writer.unsynced(), writer.is_suspect())
        };
        if suspect {
            let worked = self.rewrite();
            lock(&self.state).sync_wanted |= !worked;
            return worked;
        }
        let began = Instant::now();
        let synced = self.sync_files(&unsynced);
        lock(&self.state).sync_took = began.elapsed();
        match synced {
            Ok(()) => {
                lock(&self.writer).synced(&unsynced);
                self.status.over(Trouble::Sync);
                let newest = unsynced.files.last().map(|(generation, ..)| *generation);
                self.synced(unsynced.written, newest);
                true
            }
            Err(why) => {
                lock(&self.writer).suspect();
                let worked = self.rewrite();
                if !worked {
                    self.status.trouble(Trouble::Sync, describe(&why));
                }
                lock(&self.state).sync_wanted |= !worked;
                worked
            }
        }
    }

    /// Writes the cursors when they moved; with `sync` they are durable after that.
    pub(super) fn write_cursors(&self, sync: bool) -> bool {
        let (cursors, first) = {
            let mut state = lock(&self.state);
            if !std::mem::take(&mut state.cursors_moved) && !sync {
                return true;
            }
            (self.cursors_of(&state), !state.cursors_known)
        };
        let sync = sync || first || self.settings.sync == SyncPolicy::Always;
        let mut held = lock(&self.cursors);
        let held = &mut *held;
        let written = match &mut held.file {
            Some(file) => file.write(cursors, sync),
            None => CursorFile::open(&self.storage, &self.directory, held.number).and_then(|f| {
                let file = held.file.insert(f);
                file.write(cursors, sync)?;
                self.storage.sync_directory(&self.directory)
            }),
        };
        match written {
            Ok(()) => {
                self.status.over(Trouble::Cursor);
                if first {
                    lock(&self.state).cursors_known = true;
                    self.room.notify_all();
                }
                true
            }
            Err(why) => {
                lock(&self.state).cursors_moved = true;
                let path = self.directory.join(super::cursor::CURSOR_NAME);
                let failed = WriteError { step: "write", path, why };
                self.status.trouble(Trouble::Cursor, describe(&failed));
                false
            }
        }
    }

    fn cursors_of(&self, state: &State) -> Cursors {
        let most = if state.memory { self.found_written } else { u64::MAX };
        let cursor = |output: &super::state::Output| {
            let passed = output.passed();
            let held = if passed <= self.found_written { output.held } else { u64::MAX };
            let sequence = passed.min(held).min(most);
            Cursor { name: output.name.clone(), bit: output.bit, sequence }
        };
        let outputs = state.outputs.iter().map(cursor).collect();
        // Sequences that were passed over at the open never were frames; in memory no later ones are, either.
        let old = state.memory || state.synced <= self.found_written;
        let synced = if !state.settled {
            // Of what was found only that is known to be on disk of which an earlier process said so.
            state.synced.min(self.found_last)
        } else if old {
            self.found_last
        } else {
            state.synced
        };
        Cursors { journal: self.journal, number: 0, synced, outputs }
    }

    fn wait_for_work(&self, last: Instant) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return false;
            }
            let since = last.elapsed();
            let due = Self::due(&state);
            if state.sync_wanted || due.is_some_and(|due| since >= due) {
                return true;
            }
            state = match due {
                Some(due) => {
                    let waited = self.work.wait_timeout(state, due.saturating_sub(since));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// How long after the last turn the next one is due; `None`: not before something changes.
    fn due(state: &State) -> Option<Duration> {
        let cursors = state.cursors_moved.then(|| Duration::from_millis(CURSOR_INTERVAL_MS));
        let data = match state.sync {
            SyncPolicy::Interval(interval) if state.synced < state.written => Some(interval),
            _ => None,
        };
        let soon = state.sync_soon.then(|| SOON.max(2 * state.sync_took));
        let settle = (!state.settled).then_some(Duration::ZERO);
        let trash = (!state.trash.is_empty()).then_some(WATCH);
        let watch = (state.passed_by_all() < state.written).then_some(WATCH);
        [cursors, data, soon, settle, trash, watch].into_iter().flatten().min()
    }

    fn sync_due(&self) -> bool {
        let state = lock(&self.state);
        let by_time = matches!(state.sync, SyncPolicy::Interval(_)) && state.synced < state.written;
        state.sync_wanted || state.sync_soon || by_time
    }

    pub(super) fn sync_files(&self, unsynced: &Unsynced) -> Result<(), WriteError> {
        for (_, path, file) in &unsynced.files {
            let synced = file.sync();
            synced.map_err(|why| WriteError { step: "sync", path: path.clone(), why })?;
            self.numbers.syncs.increment();
        }
        if unsynced.directory {
            let path = self.directory.clone();
            let synced = self.storage.sync_directory(&path);
            synced.map_err(|why| WriteError { step: "sync", path, why })?;
        }
        Ok(())
    }

    /// Everything up to `written` is durable.
    fn synced(&self, written: u64, newest_generation: Option<u64>) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        if state.synced < written {
            state.synced = written;
            // The cursor file says how far frames are durable.
            state.cursors_moved = true;
        }
        for segment in &mut state.segments {
            segment.snapshot_synced |=
                newest_generation.is_some_and(|g| segment.generation <= g) && segment.has_snapshot;
        }
        while state.barriers.front().is_some_and(|barrier| *barrier <= written) {
            state.barriers.pop_front();
        }
        while state.acks.front().is_some_and(|(sequence, _)| *sequence <= written) {
            if let Some((_, ack)) = state.acks.pop_front() {
                ack.stored();
            }
        }
        state.evict(&self.pool);
        Self::wake(state);
        self.room.notify_all();
    }

    /// A sync failed: what was not durable before goes to a new segment, from memory.
    fn rewrite(&self) -> bool {
        let mut writer = lock(&self.writer);
        let (frames, synced) = {
            let state = lock(&self.state);
            let unsynced = state.tail.iter().filter(|e| e.frame.sequence() > state.synced);
            let frames: Vec<Arc<Frame>> = unsynced.map(|e| Arc::clone(&e.frame)).collect();
            (frames, state.synced)
        };
        let rewritten = match writer.rewrite(&frames) {
            Ok(rewritten) => rewritten,
            Err(why) => {
                self.status.trouble(Trouble::Sync, describe(&why));
                return false;
            }
        };
        let written = writer.next_sequence() - 1;
        if let Some((begun, places)) = rewritten {
            let mut state = lock(&self.state);
            let state = &mut *state;
            Self::replace(state, begun, &frames, &places);
        }
        drop(writer);
        debug_assert!(synced <= written);
        self.status.over(Trouble::Sync);
        self.synced(written, None);
        true
    }

    fn replace(
        state: &mut State,
        begun: super::writer::Begun,
        frames: &[Arc<Frame>],
        places: &[super::writer::Place],
    ) {
        let first = begun.first;
        let mut start = state.totals.clone();
        let in_tail = state.tail.iter().rev().take(frames.len());
        for entry in in_tail {
            start.bytes -= entry.frame.bytes().len() as u64;
            for (sum, documents) in start.documents.iter_mut().zip(&entry.documents) {
                *sum -= u64::from(*documents);
            }
        }
        while state.segments.back().is_some_and(|s| s.first >= first) {
            if let Some(segment) = state.segments.pop_back()
                && segment.path != begun.path
            {
                state.trash.push((segment.path, segment.bytes));
            }
        }
        if let Some(segment) = state.segments.back_mut() {
            // What lies behind is in the new segment; the next start does not look at it.
            segment.last = segment.last.min(first - 1);
        }
        let mut segment = Segment::begun(begun, start, state.outputs.len());
        segment.has_snapshot = false;
        segment.last = frames.last().map_or(first - 1, |f| f.sequence());
        let last = places.last().zip(frames.last());
        segment.bytes = last.map_or(segment.bytes, |(p, f)| p.offset + f.bytes().len() as u64);
        state.segments.push_back(segment);
        let tail = state.tail.iter_mut().rev();
        for (entry, place) in tail.zip(places.iter().rev()) {
            entry.place = *place;
        }
        for output in &mut state.outputs {
            output.place = None;
        }
    }

    /// Sets the gauges.
    pub(super) fn show(&self) {
        let now_ns = self.clock.now_ns();
        let state = lock(&self.state);
        self.numbers.bytes.set(state.used_bytes() as i64);
        for (slot, output) in state.outputs.iter().enumerate() {
            let (bytes, documents) = output.lag(&state.totals, slot);
            output.numbers.lag_bytes.set(bytes as i64);
            output.numbers.lag_documents.set(documents as i64);
            let age_ns = state.oldest_ns(slot).map_or(0, |ns| now_ns.saturating_sub(ns));
            output.numbers.lag_seconds.set(age_ns.max(0) / 1_000_000_000);
            output.numbers.in_hand.set(output.dropped_in_hand() as i64);
        }
    }
}
