//! The frames of one output.
//!
//! Is: the journal's [`Feed`]. In: an output's cursor. Out: its frames: from memory while it keeps up, else from
//! segments in large reads. Promises: order, nothing twice, nothing that is not for this output; a broken place in
//! a segment is passed over and counted. On failure: a place that cannot be read is tried again a few times, then it
//! counts as lost; a device that gives nothing of a segment is waited for; other outputs go on.

use std::sync::Arc;
use std::time::Duration;

use crate::budget::{Memory, Use};
use crate::delivery::{BoxFuture, Feed};
use crate::frame::Frame;

use super::numbers::Trouble;
use super::scan::{BLOCK_BYTES, Broken, Found, Scanner};
use super::shared::{Shared, lock};
use super::state::{Request, State, Take};
use super::writer::Place;

/// Tries of an unreadable place, while the device works, before it counts as lost.
const TRIES: u32 = 5;
/// Pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// One output's feed.
pub struct JournalFeed {
    shared: Arc<Shared>,
    slot: usize,
    bit: u32,
    open: Option<OpenSegment>,
    /// Tries that failed since something was read.
    tries: u32,
    /// Of these in a row, those at which the device gave other bytes.
    tries_that_count: u32,
    /// When it is tried again, nanoseconds of the clock's elapsed time.
    again_ns: u64,
    /// The next frame on disk when it may not be seen yet; else 0.
    hidden: u64,
    /// Of the scanner's block and a usual frame: booked from the start, so that input leaves it free.
    _memory: Memory,
}

struct OpenSegment {
    generation: u64,
    scanner: Scanner,
}

impl JournalFeed {
    pub(super) fn new(shared: Arc<Shared>, slot: usize) -> Self {
        let bit = lock(&shared.state).outputs[slot].bit;
        let _memory = shared.budget.hold(Use::Outputs, 2 * BLOCK_BYTES as u64);
        JournalFeed {
            shared,
            slot,
            bit,
            open: None,
            tries: 0,
            tries_that_count: 0,
            again_ns: 0,
            hidden: 0,
            _memory,
        }
    }

    /// Reads on from disk; `None`: look again.
    fn read(&mut self, request: &Request) -> Option<Arc<Frame>> {
        let generation = request.segment.generation;
        let fits = |open: &OpenSegment| {
            open.generation == generation && open.scanner.at() == request.offset
        };
        if !self.open.as_ref().is_some_and(fits) {
            self.open = None;
            let file = self.shared.storage.open_read(&request.segment.path);
            match file {
                Ok(file) => {
                    let scanner = Scanner::new(
                        file.into(),
                        request.offset,
                        request.segment.epoch,
                        request.segment.first,
                    );
                    self.open = Some(OpenSegment { generation, scanner });
                }
                Err(why) => {
                    let may_pass = why.kind() != std::io::ErrorKind::NotFound;
                    self.unreadable(request, &why.to_string(), may_pass);
                    return None;
                }
            }
        }
        let scanner = &mut self.open.as_mut()?.scanner;
        scanner.set_length(request.segment.bytes);
        if let Some(frame) = scanner.take(self.shared.pool.buffer()) {
            return self.found(request, frame);
        }
        match scanner.step() {
            None => {
                self.open = None;
                lock(&self.shared.state).segment_ended(self.slot, generation);
                None
            }
            Some(Found::Broken(run)) => {
                self.broken(request, &run);
                None
            }
            Some(Found::Frame { offset, outline }) => {
                let mut buffer = self.shared.pool.buffer();
                buffer.extend_from_slice(scanner.bytes(offset, &outline));
                let frame = Frame::open(buffer).ok()?;
                self.found(request, frame)
            }
        }
    }

    fn found(&mut self, request: &Request, mut frame: Frame) -> Option<Arc<Frame>> {
        let scanner = &self.open.as_ref()?.scanner;
        let place = Place { generation: request.segment.generation, offset: scanner.at() };
        let mine = 1 << self.bit;
        let accepts = request.segment.accepts.get(self.slot).copied().unwrap_or(false);
        let count =
            if accepts { frame.documents().filter(|d| d.routes & mine != 0).count() } else { 0 };
        self.shared.pool.fit(&mut frame);
        if frame.bytes().len() > BLOCK_BYTES {
            frame.hold(&self.shared.budget, Use::Outputs);
        }
        let frame = Arc::new(frame);
        self.begin_again();
        self.shared.status.over(Trouble::Read);
        let mut state = lock(&self.shared.state);
        let moved = state.outputs[self.slot].next != request.next;
        let hidden = frame.sequence() > state.visible();
        if moved || hidden {
            self.open = None;
            self.hidden = if hidden { frame.sequence() } else { 0 };
            return None;
        }
        if frame.sequence() > request.segment.last {
            // Replaced by what the following segment holds.
            self.open = None;
            state.segment_ended(self.slot, request.segment.generation);
            return None;
        }
        if frame.sequence() < request.next {
            state.outputs[self.slot].place = Some(place);
            return None;
        }
        let appended = (place, request.segment.created_ns);
        state.give(self.slot, &frame, appended, count as u32);
        self.shared.paced(&state);
        drop(state);
        // The output lets go of it long before its documents are delivered; then the buffer is used again.
        self.shared.pool.retire(Arc::clone(&frame));
        (count > 0).then_some(frame)
    }

    fn broken(&mut self, request: &Request, run: &Broken) {
        let known = request
            .segment
            .broken
            .iter()
            .any(|(at, bytes)| *at <= run.offset && run.offset + run.bytes <= at + bytes);
        if run.unreadable.is_some() {
            // Of what a start has counted as damaged nothing is waited for.
            let counts = known || self.reads_at_all(request);
            self.tries_that_count = if counts { self.tries_that_count + 1 } else { 0 };
            if self.tries_that_count <= TRIES {
                self.unreadable(request, &run.reason, true);
                return;
            }
        }
        self.begin_again();
        if run.bytes == 0 {
            // The file is shorter than what was written to it.
            self.open = None;
            let generation = request.segment.generation;
            lock(&self.shared.state).segment_ended(self.slot, generation);
            return;
        }
        let path = request.segment.path.display();
        if !known {
            self.shared.numbers.lost.add(run.bytes);
            tracing::error!(
                segment = %path, offset = run.offset, bytes = run.bytes, reason = %run.reason,
                "a part of the journal was damaged while it was open and is passed over"
            );
        }
        let mut state = lock(&self.shared.state);
        let output = &mut state.outputs[self.slot];
        if output.next == request.next {
            let generation = request.segment.generation;
            output.place = Some(Place { generation, offset: run.offset + run.bytes });
        }
    }

    fn begin_again(&mut self) {
        (self.tries, self.tries_that_count) = (0, 0);
    }

    /// Whether the device gives anything of the segment: if it does, a place that it does not give is broken; if it
    /// does not, the whole device may come back.
    fn reads_at_all(&self, request: &Request) -> bool {
        let file = self.shared.storage.open_read(&request.segment.path);
        file.is_ok_and(|file| file.read_at(&mut [0], 0).is_ok())
    }

    fn unreadable(&mut self, request: &Request, why: &str, may_pass: bool) {
        self.open = None;
        let mut state = lock(&self.shared.state);
        if !state.segments.iter().any(|s| s.generation == request.segment.generation) {
            // It was dropped meanwhile; the output was moved on.
            drop(state);
            self.begin_again();
            return;
        }
        self.tries += 1;
        self.again_ns = self.shared.clock.elapsed_ns() + PAUSE.as_nanos() as u64;
        let path = request.segment.path.display();
        if self.tries > TRIES && !may_pass {
            state.segment_ended(self.slot, request.segment.generation);
            self.tries = 0;
            self.shared.numbers.lost.add(request.segment.bytes.saturating_sub(request.offset));
            return;
        }
        drop(state);
        let what = format!(
            "cannot read `{path}` at {}: {why}; check the device and the kernel log; other outputs go on",
            request.offset
        );
        self.shared.status.trouble(Trouble::Read, what);
    }

    /// Frames without documents for this output may have been passed, without a call of `done`.
    fn passed(&self) {
        let mut state = lock(&self.shared.state);
        let drained = state.passed_by_required() >= state.written;
        if drained && state.memory && !state.acks.is_empty() {
            self.shared.kick(&mut state);
        }
        drop(state);
        if drained {
            self.shared.drained.notify_waiters();
            self.shared.room.notify_all();
        }
    }

    /// Whether there is nothing to read on disk now. To look costs nothing and frees nothing: outputs that wake each
    /// other by what they free would look for ever.
    fn waits(&self, state: &State) -> bool {
        let hidden = self.hidden > state.visible() && state.outputs[self.slot].next <= self.hidden;
        hidden || self.tries > 0 && self.shared.clock.elapsed_ns() < self.again_ns
    }

    fn take(&mut self) -> Option<Arc<Frame>> {
        loop {
            let take = {
                let mut state = lock(&self.shared.state);
                if self.waits(&state) {
                    return None;
                }
                let take = state.take(self.slot);
                self.shared.paced(&state);
                take
            };
            match take {
                Take::Nothing => {
                    self.passed();
                    return None;
                }
                Take::Frame(frame) => {
                    self.open = None;
                    return Some(frame);
                }
                Take::Read(request) => {
                    if let Some(frame) = self.read(&request) {
                        return Some(frame);
                    }
                }
            }
        }
    }
}

impl Feed for JournalFeed {
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Frame>>> {
        Box::pin(async move {
            let wake = Arc::clone(&lock(&self.shared.state).outputs[self.slot].wake);
            loop {
                if lock(&self.shared.state).closed {
                    // The other feeds of this output, if any, want to know too.
                    wake.notify_one();
                    return None;
                }
                if let Some(frame) = self.take() {
                    return Some(frame);
                }
                if self.tries > 0 {
                    let _ = tokio::time::timeout(PAUSE, wake.notified()).await;
                } else {
                    wake.notified().await;
                }
            }
        })
    }

    fn next_now(&mut self) -> Option<Arc<Frame>> {
        self.take()
    }

    fn done(&mut self, sequence: u64) {
        let mut state = lock(&self.shared.state);
        let due_already = state.cursors_moved;
        state.done(self.slot, sequence, &self.shared.pool);
        if state.memory && !state.acks.is_empty() {
            state.sync_wanted = true;
        }
        let drained = state.passed_by_required() >= state.written;
        let asleep = !due_already || state.sync_wanted;
        drop(state);
        if asleep {
            self.shared.work.notify_one();
        }
        if drained {
            self.shared.drained.notify_waiters();
        }
        self.shared.room.notify_all();
    }
}
