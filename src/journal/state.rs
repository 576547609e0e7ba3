//! What is in the journal and how far each output is.
//!
//! Is: the data that appends, feeds and the background share under one short lock. In: frames and progress.
//! Out: which frame comes next for an output, and what may go. Promises: no call here touches a file; an output
//! gets frames in order and none twice; a frame that must not be seen before it is synced is not given.
//! On failure: nothing can fail.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::chunk::Ack;
use crate::frame::Frame;

use super::numbers::OutputNumbers;
use super::options::SyncPolicy;
use super::pool::Pool;
use super::writer::{Begun, Place};

/// Everything under the lock.
#[expect(clippy::struct_excessive_bools, reason = "each is a request to the background of its own")]
pub struct State {
    /// No more frames.
    pub closed: bool,
    /// The last sync was made: what was not told until now is never told.
    pub ended: bool,
    /// Frames live only here, not in segments.
    pub memory: bool,
    /// Durability.
    pub sync: SyncPolicy,
    /// The last frame.
    pub written: u64,
    /// What the start found is durable; before that no frame comes in.
    pub settled: bool,
    /// The last frame that is durable.
    pub synced: u64,
    /// The newest frames, without gaps.
    pub tail: VecDeque<Entry>,
    /// Their bytes.
    pub tail_bytes: u64,
    /// Bytes of frames that may stay in memory although nobody needs them there.
    pub tail_max: u64,
    /// Bytes and documents before the tail.
    pub tail_from: Totals,
    /// Bytes and documents up to the last frame.
    pub totals: Totals,
    /// Segments that may hold frames, oldest first.
    pub segments: VecDeque<Segment>,
    /// Removed from the journal, but the file could not be removed yet.
    pub trash: Vec<(PathBuf, u64)>,
    /// The outputs, in the order of the configuration.
    pub outputs: Vec<Output>,
    /// Who waits for which frame to be safe.
    pub acks: VecDeque<(u64, Ack)>,
    /// Frames that hide themselves and what follows until they are synced.
    pub barriers: VecDeque<u64>,
    /// An append waits until outputs have taken more; see [`super::pace`].
    pub pacing: bool,
    /// Somebody waits for a sync.
    pub sync_wanted: bool,
    /// Documents of new sources wait for one, which may take others along.
    pub sync_soon: bool,
    /// How long the last one took.
    pub sync_took: Duration,
    /// A cursor moved since the file was written.
    pub cursors_moved: bool,
    /// Each output's cursor was on disk once.
    pub cursors_known: bool,
    /// The next frame goes to a new segment, so that the one before can go.
    pub roll_wanted: bool,
}

/// Sums since the oldest frame that was there at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes of frames.
    pub bytes: u64,
    /// Documents for each output.
    pub documents: Vec<u64>,
}

/// A frame of the tail.
pub struct Entry {
    /// The frame.
    pub frame: Arc<Frame>,
    /// Documents for each output.
    pub documents: Box<[u32]>,
    /// Where it is on disk.
    pub place: Place,
    /// When it was appended, nanoseconds since the epoch.
    pub appended_ns: i64,
}

/// A segment that outputs may read.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Tells it from another one of the same name.
    pub generation: u64,
    /// The run that wrote it, if anything names it.
    pub epoch: Option<u64>,
    /// Sequence of its first frame.
    pub first: u64,
    /// Sequence of its last frame; `first - 1`: none.
    pub last: u64,
    /// Its file.
    pub path: PathBuf,
    /// Bytes of the file that are written.
    pub bytes: u64,
    /// Where its first frame begins.
    pub frames_from: u64,
    /// Sums before its first frame.
    pub start: Totals,
    /// When it was made, nanoseconds since the epoch.
    pub created_ns: i64,
    /// It begins with a snapshot of all positions.
    pub has_snapshot: bool,
    /// That snapshot is durable.
    pub snapshot_synced: bool,
    /// For each output: its bit means it in this segment.
    pub accepts: Arc<[bool]>,
    /// Broken runs that were reported at the start: offset and length.
    pub broken: Arc<[(u64, u64)]>,
}

/// One output's place in the journal.
pub struct Output {
    /// Its name.
    pub name: String,
    /// Its bit.
    pub bit: u32,
    /// It holds frames until it has them.
    pub required: bool,
    /// A best-effort output is moved on when it is further behind than this, in bytes.
    pub max_lag: Option<u64>,
    /// The next frame to give.
    pub next: u64,
    /// Where that is, if known.
    pub place: Option<Place>,
    /// Bytes of frames before `next`.
    pub given_bytes: u64,
    /// What they were when an append began to wait for it, and whether it took nothing until the wait was over.
    pub waited: (u64, bool),
    /// Documents for it before `next`.
    pub given_documents: u64,
    /// Given, not done.
    pub outstanding: VecDeque<Given>,
    /// Frames up to here were dropped for it and hold nothing.
    pub floor: u64,
    /// The cursor file names no later frame until the output is done with one that came in since the start: what
    /// follows up to there could not be read, and a later start may.
    pub held: u64,
    /// Wakes its feed.
    pub wake: Arc<Notify>,
    /// Its metrics.
    pub numbers: OutputNumbers,
}

/// A frame that an output works on.
pub struct Given {
    /// Its sequence.
    pub sequence: u64,
    /// Its length.
    pub bytes: u64,
    /// Documents for the output.
    pub documents: u64,
    /// When it was appended, nanoseconds since the epoch.
    pub appended_ns: i64,
}

/// What an output can have now.
pub enum Take {
    /// A frame.
    Frame(Arc<Frame>),
    /// A frame that must be read.
    Read(Request),
    /// Nothing.
    Nothing,
}

/// What to read for an output.
#[derive(Clone)]
pub struct Request {
    /// The sequence wanted.
    pub next: u64,
    /// Where reading goes on in the segment.
    pub offset: u64,
    /// The segment.
    pub segment: Segment,
}

impl Totals {
    /// Adds one frame.
    pub fn add(&mut self, bytes: u64, documents: &[u32]) {
        self.bytes += bytes;
        for (sum, more) in self.documents.iter_mut().zip(documents) {
            *sum += u64::from(*more);
        }
    }
}

impl Segment {
    /// A segment that was just begun and holds nothing yet.
    pub fn begun(begun: Begun, start: Totals, outputs: usize) -> Self {
        Segment {
            generation: begun.generation,
            epoch: Some(begun.epoch),
            first: begun.first,
            last: begun.first - 1,
            path: begun.path,
            bytes: begun.frames_from,
            frames_from: begun.frames_from,
            start,
            created_ns: begun.created_ns,
            has_snapshot: true,
            snapshot_synced: false,
            accepts: vec![true; outputs].into(),
            broken: Arc::new([]),
        }
    }
}

impl Output {
    /// All frames up to here are done with.
    pub fn cursor(&self) -> u64 {
        self.outstanding.front().map_or(self.next - 1, |given| given.sequence - 1)
    }

    /// Frames up to here hold no space for it.
    pub fn passed(&self) -> u64 {
        self.cursor().max(self.floor)
    }

    /// Bytes and documents that it is not done with.
    pub fn lag(&self, totals: &Totals, slot: usize) -> (u64, u64) {
        // What was passed over between two given frames was dropped, and is not behind any more.
        let given = self.outstanding.iter();
        let (bytes, documents) = given.fold((0, 0), |(b, d), g| (b + g.bytes, d + g.documents));
        let all = totals.documents.get(slot).copied().unwrap_or(0);
        let not_given = totals.bytes.saturating_sub(self.given_bytes);
        (bytes + not_given, documents + all.saturating_sub(self.given_documents))
    }

    /// Documents that the output holds and the journal does not any more: its rules for space have dropped them.
    pub fn dropped_in_hand(&self) -> u64 {
        let given = self.outstanding.iter().filter(|given| given.sequence <= self.floor);
        given.map(|given| given.documents).sum()
    }

    /// Goes on after `end`; returns how many documents are passed over.
    pub fn skip_to(&mut self, end: u64, at_end: &Totals, slot: usize) -> u64 {
        if self.next > end {
            return 0;
        }
        let all = at_end.documents.get(slot).copied().unwrap_or(0);
        let dropped = all.saturating_sub(self.given_documents);
        self.next = end + 1;
        self.place = None;
        self.given_bytes = at_end.bytes;
        self.given_documents = all;
        dropped
    }
}

impl State {
    /// The last frame that outputs may see.
    pub fn visible(&self) -> u64 {
        let only_durable = self.sync == SyncPolicy::Always && !self.memory;
        let limit = if only_durable || !self.settled { self.synced } else { self.written };
        self.barriers.front().map_or(limit, |barrier| limit.min(barrier - 1))
    }

    /// All outputs are done with everything up to here.
    pub fn passed_by_all(&self) -> u64 {
        self.outputs.iter().map(Output::passed).min().unwrap_or(self.written)
    }

    /// All required outputs are done with everything up to here.
    pub fn passed_by_required(&self) -> u64 {
        let required = self.outputs.iter().filter(|o| o.required);
        required.map(Output::passed).min().unwrap_or(self.written)
    }

    /// Bytes that count against the quota.
    pub fn used_bytes(&self) -> u64 {
        if self.memory {
            return self.tail_bytes;
        }
        let segments: u64 = self.segments.iter().map(|s| s.bytes).sum();
        segments + self.trash.iter().map(|(_, bytes)| bytes).sum::<u64>()
    }

    /// Bytes that are in memory because they are not durable yet.
    pub fn unsynced_bytes(&self) -> u64 {
        let newest_first = self.tail.iter().rev();
        let unsynced = newest_first.take_while(|e| e.frame.sequence() > self.synced);
        unsynced.map(|e| e.frame.bytes().len() as u64).sum()
    }

    /// Notes who waits for this frame to be safe; once nobody will tell, the ack is dropped, which ends the wait.
    pub fn wait_for(&mut self, sequence: u64, ack: Ack) {
        if !self.ended {
            self.acks.push_back((sequence, ack));
        }
    }

    /// Takes in a frame that was written; outputs that have nothing to do with it pass it at once.
    pub fn publish(&mut self, entry: Entry, hidden: bool) {
        let sequence = entry.frame.sequence();
        let bytes = entry.frame.bytes().len() as u64;
        let documents = &entry.documents;
        if !self.memory
            && let Some(segment) = self.segments.back_mut()
        {
            segment.last = sequence;
            segment.bytes = entry.place.offset + bytes;
        }
        if hidden {
            self.barriers.push_back(sequence);
        }
        self.totals.add(bytes, documents);
        for (output, documents) in self.outputs.iter_mut().zip(documents) {
            if *documents == 0 && output.next == sequence {
                output.next = sequence + 1;
                output.place = None;
                output.given_bytes += bytes;
                self.cursors_moved = true;
            }
        }
        self.written = sequence;
        self.tail_bytes += bytes;
        self.tail.push_back(entry);
    }

    /// Lets frames leave memory that nobody needs there.
    pub fn evict(&mut self, pool: &Pool) {
        let passed = self.passed_by_all();
        let durable_is_enough = self.sync != SyncPolicy::Os;
        while let Some(front) = self.tail.front() {
            let sequence = front.frame.sequence();
            let synced = self.memory || sequence <= self.synced;
            let large = !self.memory && self.tail_bytes > self.tail_max;
            let may_go =
                (sequence <= passed && synced) || (large && (synced || !durable_is_enough));
            if !may_go {
                break;
            }
            let Some(entry) = self.tail.pop_front() else { break };
            let bytes = entry.frame.bytes().len() as u64;
            self.tail_bytes -= bytes;
            self.tail_from.add(bytes, &entry.documents);
            pool.retire(entry.frame);
        }
    }

    /// The next frame of an output.
    pub fn take(&mut self, slot: usize) -> Take {
        let visible = if self.closed { 0 } else { self.visible() };
        loop {
            let next = self.outputs[slot].next;
            if next > visible {
                return Take::Nothing;
            }
            let front = self.tail.front().map_or(u64::MAX, |e| e.frame.sequence());
            if next < front {
                match self.request(slot) {
                    Some(request) => return Take::Read(request),
                    None => self.skip_to_tail(slot),
                }
                continue;
            }
            let Some(entry) = self.tail.get((next - front) as usize) else { return Take::Nothing };
            let (frame, appended_ns) = (Arc::clone(&entry.frame), entry.appended_ns);
            let documents = entry.documents[slot];
            let after = Place {
                generation: entry.place.generation,
                offset: entry.place.offset + frame.bytes().len() as u64,
            };
            self.give(slot, &frame, (after, appended_ns), documents);
            if documents > 0 {
                return Take::Frame(frame);
            }
        }
    }

    /// Books a frame as given to an output.
    pub fn give(
        &mut self,
        slot: usize,
        frame: &Arc<Frame>,
        (after, appended_ns): (Place, i64),
        documents: u32,
    ) {
        let output = &mut self.outputs[slot];
        if documents > 0 {
            output.outstanding.push_back(Given {
                sequence: frame.sequence(),
                bytes: frame.bytes().len() as u64,
                documents: u64::from(documents),
                appended_ns,
            });
        } else {
            self.cursors_moved = true;
        }
        output.next = frame.sequence() + 1;
        output.place = Some(after);
        output.given_bytes += frame.bytes().len() as u64;
        output.given_documents += u64::from(documents);
    }

    /// All frames up to `sequence` are done with.
    pub fn done(&mut self, slot: usize, sequence: u64, pool: &Pool) {
        let output = &mut self.outputs[slot];
        while output.outstanding.front().is_some_and(|given| given.sequence <= sequence) {
            output.outstanding.pop_front();
        }
        self.cursors_moved = true;
        self.evict(pool);
    }

    /// An output read a segment to its end and goes on behind it.
    pub fn segment_ended(&mut self, slot: usize, generation: u64) {
        let Some(at) = self.segments.iter().position(|s| s.generation == generation) else {
            self.outputs[slot].place = None;
            return;
        };
        let Some(following) = self.segments.get(at + 1) else { return self.skip_to_tail(slot) };
        let (end, start) = (following.first - 1, following.start.clone());
        self.outputs[slot].skip_to(end, &start, slot);
        self.cursors_moved = true;
    }

    /// When the oldest frame that an output is not done with was appended, nanoseconds since the epoch.
    pub fn oldest_ns(&self, slot: usize) -> Option<i64> {
        let output = &self.outputs[slot];
        if let Some(given) = output.outstanding.front() {
            return Some(given.appended_ns);
        }
        if output.next > self.written {
            return None;
        }
        let front = self.tail.front().map_or(u64::MAX, |e| e.frame.sequence());
        if output.next >= front {
            return self.tail.get((output.next - front) as usize).map(|e| e.appended_ns);
        }
        self.segment_of(output.next).map(|s| s.created_ns).filter(|ns| *ns > 0)
    }

    fn segment_of(&self, sequence: u64) -> Option<&Segment> {
        self.segments.iter().find(|s| s.last >= sequence)
    }

    fn request(&self, slot: usize) -> Option<Request> {
        let output = &self.outputs[slot];
        let segment = self.segment_of(output.next)?;
        let here = output.place.filter(|place| place.generation == segment.generation);
        let offset = here.map_or(segment.frames_from, |place| place.offset);
        Some(Request { next: output.next, offset, segment: segment.clone() })
    }

    fn skip_to_tail(&mut self, slot: usize) {
        let (end, at_end) = match self.tail.front() {
            Some(entry) => (entry.frame.sequence() - 1, self.tail_from.clone()),
            None => (self.written, self.totals.clone()),
        };
        self.outputs[slot].skip_to(end, &at_end, slot);
        self.cursors_moved = true;
    }
}
