//! The workers' side of the queue: chunks are taken in order, each with a ticket.
//!
//! Is: the one place where order is made: a ticket is given under the same lock under which ordered codecs decode,
//! and frames are journaled by ticket. In: chunks. Out: decoded or still raw work. Promises: a source's chunks get
//! tickets in the order the input read them; held lines are flushed also when nothing more comes, but not while what
//! may belong to them waits in the queue or before it; a position never lies behind bytes that a decoder still holds,
//! and nobody is told that they are stored. On failure: nothing can fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::flow::FlowPlan;
use crate::budget::Memory;
use crate::chunk::{Ack, Chunk, Intake, Position};
use crate::clock::SharedClock;
use crate::decode::{Decoder, Place};
use crate::event::{Batch, Source};
use crate::filter::Closing;
use crate::limits;
use crate::pulse;
use crate::watermark::Watermark;

/// How often held lines are looked at while nothing comes, in milliseconds.
const FLUSH_TICK_MS: u64 = 100;

/// The queue and the decoders that carry state.
pub(super) struct Gate {
    inner: Mutex<Inner>,
    clock: SharedClock,
    runtime: Handle,
}

struct Inner {
    queue: mpsc::Receiver<Chunk>,
    watermark: Watermark,
    /// All that came before was taken from the queue, in elapsed time.
    seen_ns: u64,
    /// What `seen_ns` will be once so many more chunks are taken.
    next_seen: Option<(u64, usize)>,
    /// What is left of a chunk that has more lines than a batch takes.
    rest: Option<Chunk>,
    held: BTreeMap<u64, Held>,
    next_ticket: u64,
    closed: bool,
    /// The windows of filters were closed for good.
    ended: bool,
    /// The source of events that filters make by themselves.
    own: Arc<Source>,
}

/// An ordered decoder and its source.
struct Held {
    decoder: Box<dyn Decoder>,
    source: Arc<Source>,
    position: Option<Position>,
    /// Of chunks of which something is held: where they end, and who waits.
    acks: VecDeque<(u64, Ack)>,
    /// When its last lines were read, and when they were taken, in elapsed time.
    received_ns: i64,
    taken_ns: u64,
}

/// What a worker has to do next; the batch it was given holds the text.
pub(super) struct Work {
    /// Its turn at the journal.
    pub ticket: u64,
    /// How to decode the batch; `None`: it is decoded.
    pub place: Option<Place>,
    /// Bytes of input.
    pub bytes: usize,
    /// Where its text begins in the source.
    pub offset: u64,
    /// Where reading goes on after it.
    pub position: Option<Position>,
    /// The same of sources of which nothing was read yet.
    pub told: Vec<Position>,
    /// Who waits for it.
    pub ack: Option<Ack>,
    /// The memory that all of this takes up, until it is journaled.
    pub memory: Option<Memory>,
    /// There is nothing to decode: filters close the windows whose time is over, or at the end all.
    pub close: Option<Closing>,
}

impl Gate {
    pub(super) fn new(
        queue: mpsc::Receiver<Chunk>,
        intake: &Intake,
        clock: SharedClock,
        runtime: Handle,
    ) -> Self {
        let inner = Inner {
            queue,
            watermark: intake.watermark().clone(),
            seen_ns: 0,
            next_seen: None,
            rest: None,
            held: BTreeMap::new(),
            next_ticket: 0,
            closed: false,
            ended: false,
            own: super::worker::no_source(),
        };
        Gate { inner: Mutex::new(inner), clock, runtime }
    }

    /// The next work, its text in `batch`; blocks. `None`: the queue is closed and empty, nothing is held.
    pub(super) fn take(
        &self,
        flow: &FlowPlan,
        batch: &mut Batch,
        give_back: impl Fn(Vec<u8>),
    ) -> Option<Work> {
        // Who has the lock may wait for a chunk as long as none comes.
        let mut inner = pulse::rest(|| self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(rest) = inner.rest.take() {
            return Some(inner.accept(rest, self.clock.elapsed_ns(), flow, batch, &give_back));
        }
        loop {
            if let Some(work) = inner.overdue(flow, self.clock.elapsed_ns(), batch, &give_back) {
                return Some(work);
            }
            if inner.closed {
                return None;
            }
            match pulse::rest(|| self.receive(&mut inner, flow.states().timed())) {
                Received::Chunk(chunk) => {
                    inner.count_taken();
                    return Some(inner.accept(
                        *chunk,
                        self.clock.elapsed_ns(),
                        flow,
                        batch,
                        &give_back,
                    ));
                }
                Received::Tick => {}
                Received::Closed => inner.closed = true,
            }
        }
    }

    /// As [`Gate::take`], but `None` when there is nothing to do now.
    #[cfg(test)]
    pub(super) fn take_now(
        &self,
        flow: &FlowPlan,
        batch: &mut Batch,
        give_back: impl Fn(Vec<u8>),
    ) -> Option<Work> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rest) = inner.rest.take() {
            return Some(inner.accept(rest, self.clock.elapsed_ns(), flow, batch, &give_back));
        }
        if let Some(work) = inner.overdue(flow, self.clock.elapsed_ns(), batch, &give_back) {
            return Some(work);
        }
        let chunk = inner.queue.try_recv().ok()?;
        inner.count_taken();
        Some(inner.accept(chunk, self.clock.elapsed_ns(), flow, batch, &give_back))
    }

    /// As if the queue had closed; it is empty.
    #[cfg(test)]
    pub(super) fn close(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }

    fn receive(&self, inner: &mut Inner, timed: bool) -> Received {
        if !timed && inner.held.values().all(|h| h.decoder.held_from().is_none()) {
            return inner
                .queue
                .blocking_recv()
                .map_or(Received::Closed, |c| Received::Chunk(Box::new(c)));
        }
        let wait = Duration::from_millis(FLUSH_TICK_MS);
        let next = async { tokio::time::timeout(wait, inner.queue.recv()).await };
        match self.runtime.block_on(next) {
            Ok(Some(chunk)) => Received::Chunk(Box::new(chunk)),
            Ok(None) => Received::Closed,
            Err(_) => Received::Tick,
        }
    }
}

enum Received {
    Chunk(Box<Chunk>),
    Tick,
    Closed,
}

impl Inner {
    fn accept(
        &mut self,
        chunk: Chunk,
        elapsed_ns: u64,
        flow: &FlowPlan,
        batch: &mut Batch,
        give_back: &impl Fn(Vec<u8>),
    ) -> Work {
        let chunk = self.first_lines(chunk);
        let Chunk { text, source, offset, received_ns, piece, last, .. } = chunk;
        let Chunk { position, told, ack, memory, .. } = chunk;
        let bytes = text.len();
        let place = Place { offset, received_ns, piece, last };
        give_back(batch.recycle(text, Arc::clone(&source)));
        let ticket = self.ticket();
        let work =
            Work { ticket, place: None, bytes, offset, position, told, ack, memory, close: None };
        if !work.told.is_empty() {
            return work;
        }
        if !flow.ordered(&source.input) {
            return Work { place: Some(place), ..work };
        }
        let end = offset + bytes as u64;
        let told = (work.position, work.ack.map(|ack| (end, ack)));
        let (position, ack) = self.decode(source, (place, elapsed_ns), told, flow, batch);
        Work { position, ack, ..work }
    }

    /// The chunk, or its first lines where it has too many; the rest is next.
    fn first_lines(&mut self, mut chunk: Chunk) -> Chunk {
        let Some(end) = crowd(&chunk.text) else { return chunk };
        let text = chunk.text.split_off(end);
        let source = Arc::clone(&chunk.source);
        // The source must be known before a document of it is seen; it is read on from here if the process ends.
        let new = chunk.position.as_mut().filter(|position| position.new).map(|position| {
            let before = position.before(chunk.offset);
            position.new = false;
            before
        });
        let first = Chunk {
            text: std::mem::replace(&mut chunk.text, text),
            source,
            position: new,
            told: Vec::new(),
            ack: None,
            memory: None,
            last: false,
            ..chunk
        };
        self.rest = Some(Chunk { offset: first.offset + end as u64, ..chunk });
        first
    }

    /// Decodes under the lock; the position is moved back to the first byte that is still held, and who waits for bytes
    /// behind it waits on.
    fn decode(
        &mut self,
        source: Arc<Source>,
        (place, elapsed_ns): (Place, u64),
        (position, ack): (Option<Position>, Option<(u64, Ack)>),
        flow: &FlowPlan,
        batch: &mut Batch,
    ) -> (Option<Position>, Option<Ack>) {
        let id = source.id;
        if let std::collections::btree_map::Entry::Vacant(e) = self.held.entry(id) {
            let Some(decoder) = flow.decoder(&source.input) else { return (None, None) };
            let (received_ns, taken_ns, acks) = (0, 0, VecDeque::new());
            e.insert(Held { decoder, source, position: None, acks, received_ns, taken_ns });
        }
        let Some(held) = self.held.get_mut(&id) else { return (None, None) };
        (held.received_ns, held.taken_ns) = (place.received_ns, elapsed_ns);
        held.decoder.decode(place, batch);
        if position.is_some() {
            held.position = position;
        }
        held.acks.extend(ack);
        let (position, ack) = (held.position(), held.ack());
        if let Some(told) = &mut held.position {
            told.new = false;
        }
        if place.last {
            self.held.remove(&id);
        }
        (position, ack)
    }

    /// The work of giving out what waited long enough.
    fn overdue(
        &mut self,
        flow: &FlowPlan,
        elapsed_ns: u64,
        batch: &mut Batch,
        give_back: &impl Fn(Vec<u8>),
    ) -> Option<Work> {
        if flow.states().timed() || !self.held.is_empty() {
            self.see(elapsed_ns);
        }
        let flushed = self.flush_expired(batch, give_back);
        flushed.or_else(|| self.close_windows(flow, elapsed_ns, batch, give_back))
    }

    /// Moves `seen_ns` on. What came before the watermark is in the queue when the watermark is asked for.
    fn see(&mut self, elapsed_ns: u64) {
        let next = self.next_seen.take();
        let next = next.unwrap_or_else(|| (self.watermark.seen_ns(elapsed_ns), self.queue.len()));
        match next {
            (seen_ns, 0) => self.seen_ns = self.seen_ns.max(seen_ns),
            later => self.next_seen = Some(later),
        }
    }

    fn count_taken(&mut self) {
        if let Some((_, left)) = &mut self.next_seen {
            *left = left.saturating_sub(1);
        }
    }

    fn flush_expired(&mut self, batch: &mut Batch, give_back: &impl Fn(Vec<u8>)) -> Option<Work> {
        // What is held when the queue has closed is not flushed: its position was not moved past it, so that the
        // next start reads it again, whole.
        for held in self.held.values_mut() {
            if self.closed || held.decoder.held_from().is_none() {
                continue;
            }
            give_back(batch.recycle(Vec::new(), Arc::clone(&held.source)));
            // By the time that has passed: the clock on the wall may have jumped since the lines came.
            let waited_ns =
                i64::try_from(self.seen_ns.saturating_sub(held.taken_ns)).unwrap_or(i64::MAX);
            held.decoder.flush(held.received_ns.saturating_add(waited_ns), batch);
            if !batch.events.is_empty() {
                let (position, ack, memory) = (held.position(), held.ack(), None);
                let ticket = self.ticket();
                return Some(Work {
                    ticket,
                    place: None,
                    bytes: 0,
                    offset: 0,
                    position,
                    told: Vec::new(),
                    ack,
                    memory,
                    close: None,
                });
            }
        }
        None
    }

    /// The work of closing windows, when there are some whose time is over, and once when nothing more comes.
    fn close_windows(
        &mut self,
        flow: &FlowPlan,
        elapsed_ns: u64,
        batch: &mut Batch,
        give_back: &impl Fn(Vec<u8>),
    ) -> Option<Work> {
        let states = flow.states();
        let close = if !states.timed() || self.ended {
            return None;
        } else if self.closed {
            self.ended = true;
            Closing::All
        } else if states.take_due(elapsed_ns) {
            Closing::Due { seen_ns: self.seen_ns }
        } else {
            return None;
        };
        give_back(batch.recycle(Vec::new(), Arc::clone(&self.own)));
        let ticket = self.ticket();
        let (position, ack, memory) = (None, None, None);
        let (place, told, close) = (None, Vec::new(), Some(close));
        Some(Work { ticket, place, bytes: 0, offset: 0, position, told, ack, memory, close })
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket - 1
    }
}

/// Where the lines end that one batch takes; `None`: it takes all. Lines are counted only where they look short,
/// in a few places.
fn crowd(text: &[u8]) -> Option<usize> {
    const PLACES: usize = 8;
    const LOOK: usize = 512;
    if text.len() <= limits::BATCH_LINES_MAX {
        return None;
    }
    let places =
        text.chunks((text.len() / PLACES).max(LOOK)).map(|part| &part[..LOOK.min(part.len())]);
    let feeds: usize = places.map(|place| memchr::memchr_iter(b'\n', place).count()).sum();
    // Fewer than one line in sixteen bytes: a usual chunk has no more lines than a batch takes.
    if feeds < PLACES * LOOK / 16 {
        return None;
    }
    let last = memchr::memchr_iter(b'\n', text).nth(limits::BATCH_LINES_MAX - 1)?;
    (last + 1 < text.len()).then_some(last + 1)
}

impl Held {
    fn position(&self) -> Option<Position> {
        let position = self.position.clone()?;
        let held_from = self.decoder.held_from().unwrap_or(u64::MAX);
        Some(Position { offset: position.offset.min(held_from), ..position })
    }

    /// For all who wait for bytes that are not held any more.
    fn ack(&mut self) -> Option<Ack> {
        let held_from = self.decoder.held_from().unwrap_or(u64::MAX);
        let mut all: Option<Ack> = None;
        while self.acks.front().is_some_and(|(end, _)| *end <= held_from)
            && let Some((_, ack)) = self.acks.pop_front()
        {
            all = Some(match all {
                Some(all) => all.and(ack),
                None => ack,
            });
        }
        all
    }
}
