//! A journal without frames on disk: only positions are written, once all required outputs have their documents.
//!
//! Is: the same tail and cursors as on disk, and a small segment of positions. In: frames. Out: positions on disk.
//! Promises: a position on disk never stands behind a document that a required output does not have; a new source
//! is on disk before any output sees it; an ack is told when all required outputs are done with its frame.
//! On failure: positions wait in memory and are written again; health says why.

use std::collections::{BTreeMap, VecDeque};

use crate::chunk::{Ack, Closed, Position};
use crate::frame::Draft;

use super::numbers::Trouble;
use super::shared::{Shared, describe, lock};
use super::state::Entry;
use super::writer::{Begun, WriteError, Writer};

/// Positions on their way to the disk.
#[derive(Default)]
pub struct Deferred {
    /// Not yet reached by all required outputs.
    waiting: VecDeque<(u64, Vec<Position>)>,
    /// Reached, not yet written; the newest of each source.
    unsaved: BTreeMap<u64, Position>,
    /// Segments of positions made since the start, oldest first.
    segments: Vec<Begun>,
}

impl Deferred {
    /// Leaves out what waits for these sources.
    fn forget(&mut self, sources: &[Position]) {
        let ours = |key: u64| sources.iter().any(|position| position.key == key);
        for (_, positions) in &mut self.waiting {
            positions.retain(|position| !ours(position.key));
        }
        self.unsaved.retain(|key, _| !ours(*key));
    }

    /// The positions of all older segments are in a newer one, durably.
    pub(super) fn snapshot_synced(&self) -> bool {
        !self.segments.is_empty()
    }
}

impl Shared {
    /// Takes a frame into memory.
    pub(super) fn append_in_memory(
        &self,
        entry: Entry,
        positions: Vec<Position>,
        ack: Option<Ack>,
    ) -> Result<(), Closed> {
        let (bytes, count) = (entry.frame.bytes().len(), entry.frame.document_count());
        let mut new: Vec<Position> = positions.iter().filter(|p| p.new).cloned().collect();
        if !new.is_empty() {
            for position in new.iter_mut().filter(|_| count > 0) {
                // Nothing of these documents is delivered yet: reading would begin at the source's start again.
                position.offset = 0;
            }
            let mut begun = self.until_written(|writer| self.write_positions(writer, &new))?;
            self.note_segments(&mut begun);
            // What was told of these sources before says less, and must not be written over it.
            lock(&self.deferred).forget(&new);
        }
        let sequence = entry.frame.sequence();
        // A new source's position without documents is on disk as it is.
        let waits = |position: &Position| !position.new || count > 0;
        let waiting: Vec<Position> = positions.into_iter().filter(waits).collect();
        if !waiting.is_empty() {
            lock(&self.deferred).waiting.push_back((sequence, waiting));
        }
        let mut state = lock(&self.state);
        state.publish(entry, false);
        state.synced = sequence;
        let due_already = std::mem::replace(&mut state.cursors_moved, true);
        if let Some(ack) = ack {
            state.acks.push_back((sequence, ack));
            state.sync_wanted = true;
        }
        state.evict(&self.pool);
        Self::wake(&state);
        // While something is due already the background wakes up by itself.
        let asleep = !due_already || state.sync_wanted;
        drop(state);
        if asleep {
            self.work.notify_one();
        }
        self.count(bytes, count);
        Ok(())
    }

    /// Writes the positions that all required outputs have reached.
    pub(super) fn store_positions(&self) -> bool {
        let passed = {
            let mut state = lock(&self.state);
            state.sync_wanted = false;
            let passed = state.passed_by_required();
            while state.acks.front().is_some_and(|(sequence, _)| *sequence <= passed) {
                if let Some((_, ack)) = state.acks.pop_front() {
                    ack.stored();
                }
            }
            passed
        };
        let unsaved: Vec<Position> = {
            let mut deferred = lock(&self.deferred);
            while deferred.waiting.front().is_some_and(|(sequence, _)| *sequence <= passed) {
                for position in deferred.waiting.pop_front().into_iter().flat_map(|(_, p)| p) {
                    deferred.unsaved.insert(position.key, position);
                }
            }
            deferred.unsaved.values().cloned().collect()
        };
        if unsaved.is_empty() {
            return true;
        }
        let written = self.write_positions(&mut lock(&self.writer), &unsaved);
        match written {
            Ok(mut begun) => {
                lock(&self.deferred).unsaved.retain(|_, p| !unsaved.contains(p));
                self.status.over(Trouble::Write);
                self.note_segments(&mut begun);
                true
            }
            Err(why) => {
                self.status.trouble(Trouble::Write, describe(&why));
                lock(&self.state).cursors_moved = true;
                false
            }
        }
    }

    /// One durable frame without documents; gives back the segments begun for it.
    fn write_positions(
        &self,
        writer: &mut Writer,
        positions: &[Position],
    ) -> Result<Vec<Begun>, WriteError> {
        let mut draft = Draft::new(Vec::new());
        for position in positions {
            draft.position(position.clone());
        }
        writer.write(&draft.seal(writer.epoch(), writer.next_sequence()))?;
        let unsynced = writer.unsynced();
        if let Err(why) = self.sync_files(&unsynced) {
            // A new segment will hold all positions again.
            let _ = writer.rewrite(&[]);
            return Err(why);
        }
        writer.synced(&unsynced);
        Ok(writer.take_begun())
    }

    /// A durable segment with all positions replaces the ones before it.
    fn note_segments(&self, begun: &mut Vec<Begun>) {
        if begun.is_empty() {
            return;
        }
        let mut deferred = lock(&self.deferred);
        deferred.segments.append(begun);
        let newest = deferred.segments.len() - 1;
        let older: Vec<Begun> = deferred.segments.drain(..newest).collect();
        drop(deferred);
        let mut state = lock(&self.state);
        state.trash.extend(older.into_iter().map(|s| (s.path, 0)));
    }
}
