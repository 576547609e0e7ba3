//! A journal without frames on disk: only positions are written, once all required outputs have their documents.
//!
//! Is: the same tail and cursors as on disk, and a small segment of positions. In: frames. Out: positions on disk.
//! Promises: a position on disk never stands behind a document that a required output does not have; a new source is on
//! disk before any output sees it, and those that came together share a sync; an ack is told when all required outputs
//! are done with its frame. On failure: positions wait in memory and are written again; health says why.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::chunk::{Ack, Position};
use crate::frame::Draft;

use super::numbers::Trouble;
use super::shared::{Shared, describe, lock};
use super::state::Entry;
use super::writer::{Begun, WriteError, Writer};

/// Positions on their way to the disk.
#[derive(Default)]
pub struct Deferred {
    /// Of new sources, whose frames nobody sees before they are on disk.
    new: VecDeque<New>,
    /// The last frame whose new sources are on disk.
    told: u64,
    /// Not yet reached by all required outputs.
    waiting: VecDeque<(u64, Vec<Position>)>,
    /// Reached, not yet written; the newest of each source.
    unsaved: BTreeMap<u64, Position>,
    /// Segments of positions made since the start, oldest first.
    segments: Vec<Begun>,
}

/// Positions of new sources that came with one frame.
struct New {
    sequence: u64,
    /// The frame has documents of them, none of which is delivered yet.
    with_documents: bool,
    positions: Vec<Position>,
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
    ) {
        let hidden = self.defer(&entry, positions);
        self.publish_in_memory(entry, hidden, ack);
    }

    /// Takes the positions of a frame; whether they are of new sources, so that nobody may see the frame yet.
    fn defer(&self, entry: &Entry, positions: Vec<Position>) -> bool {
        let (sequence, count) = (entry.frame.sequence(), entry.frame.document_count());
        let new: Vec<Position> = positions.iter().filter(|p| p.new).cloned().collect();
        let hidden = !new.is_empty();
        // A new source's position without documents goes to the disk as it is.
        let waits = |position: &Position| !position.new || count > 0;
        let waiting: Vec<Position> = positions.into_iter().filter(waits).collect();
        let mut deferred = lock(&self.deferred);
        if hidden {
            // What was told of these sources before says less, and must not be written over it.
            deferred.forget(&new);
            let with_documents = count > 0;
            deferred.new.push_back(New { sequence, with_documents, positions: new });
        }
        if !waiting.is_empty() {
            deferred.waiting.push_back((sequence, waiting));
        }
        hidden
    }

    /// Lets a frame be seen. Its positions may be on disk already: the background may have had its turn since they
    /// were taken, as that is under another lock.
    fn publish_in_memory(&self, entry: Entry, hidden: bool, ack: Option<Ack>) {
        let (bytes, count) = (entry.frame.bytes().len(), entry.frame.document_count());
        let sequence = entry.frame.sequence();
        let mut state = lock(&self.state);
        state.publish(entry, hidden);
        let soon = hidden && !state.sync_soon;
        state.sync_soon |= hidden;
        state.synced = sequence;
        let due_already = std::mem::replace(&mut state.cursors_moved, true);
        if let Some(ack) = ack {
            state.wait_for(sequence, ack);
            state.sync_wanted = true;
        }
        state.evict(&self.pool);
        Self::wake(&state);
        // While something is due already the background wakes up by itself.
        let asleep = !due_already || soon || state.sync_wanted;
        drop(state);
        if asleep {
            self.work.notify_one();
        }
        self.count(bytes, count);
    }

    /// Writes the positions of new sources, and lets outputs see their frames.
    fn store_new(&self) -> bool {
        lock(&self.state).sync_soon = false;
        let (new, told) = {
            let mut deferred = lock(&self.deferred);
            (std::mem::take(&mut deferred.new), deferred.told)
        };
        let Some(last) = new.back().map(|new| new.sequence) else {
            // A frame may have come to be hidden only after its positions were written.
            self.uncover(told);
            return true;
        };
        let began = self.clock.elapsed_ns();
        let written = {
            let mut writer = lock(&self.writer);
            let told = before_their_documents(&new, &writer);
            self.write_positions(&mut writer, &told)
        };
        let mut begun = match written {
            Ok(begun) => begun,
            Err(why) => {
                self.status.trouble(Trouble::Write, describe(&why));
                let mut deferred = lock(&self.deferred);
                let later = std::mem::replace(&mut deferred.new, new);
                deferred.new.extend(later);
                drop(deferred);
                lock(&self.state).sync_soon = true;
                return false;
            }
        };
        self.status.over(Trouble::Write);
        self.note_segments(&mut begun);
        lock(&self.deferred).told = last;
        let took = Duration::from_nanos(self.clock.elapsed_ns().saturating_sub(began));
        lock(&self.state).sync_took = took;
        self.uncover(last);
        true
    }

    /// Lets outputs see the frames of new sources up to here.
    fn uncover(&self, told: u64) {
        let mut state = lock(&self.state);
        while state.barriers.front().is_some_and(|barrier| *barrier <= told) {
            state.barriers.pop_front();
        }
        Self::wake(&state);
    }

    /// Writes the positions that all required outputs have reached, those of new sources before them.
    pub(super) fn store_positions(&self) -> bool {
        if !self.store_new() {
            return false;
        }
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

/// One position for each new source: the last one, but at the offset before any documents that came with it.
fn before_their_documents(new: &VecDeque<New>, writer: &Writer) -> Vec<Position> {
    let mut told: BTreeMap<u64, Position> = BTreeMap::new();
    for New { with_documents, positions, .. } in new {
        for position in positions {
            let known = told.get(&position.key).map(|told| told.offset);
            let known = || known.or_else(|| writer.offset_of(position.key)).unwrap_or(0);
            let offset = if *with_documents { known() } else { position.offset };
            told.insert(position.key, Position { offset, ..position.clone() });
        }
    }
    told.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::super::writer::Place;
    use super::*;
    use crate::journal::tests::support::{Bench, numbers, padded};
    use crate::journal::{Arc, Mode};

    #[test]
    fn a_new_source_that_is_written_before_its_frame_is_there_is_seen() {
        let mut bench = Bench::new(&["logs"]);
        bench.settings.mode = Mode::Memory;
        let opened = bench.open();
        let shared = &opened.journal.shared;
        let mut draft = padded(1, 1, 0);
        let position = Position { key: 7, offset: 3, identity: b"new".to_vec(), new: true };
        draft.position(position.clone());
        let frame = Arc::new(draft.seal_in_memory(shared.epoch, 1));
        let place = Place { generation: 0, offset: 0 };
        let entry = Entry { frame, documents: [1].into(), place, appended_ns: 0 };
        let hidden = shared.defer(&entry, vec![position]);
        // The background's turn, just now.
        assert!(opened.journal.turn());
        shared.publish_in_memory(entry, hidden, None);
        let mut feed = opened.journal.feed(opened.bits[0]).unwrap();
        assert!(hidden && feed.next_now().is_none());
        assert!(opened.journal.turn());
        assert_eq!(numbers(&mut *feed), [1]);
    }
}
