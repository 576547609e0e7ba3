//! The workers' side of the queue: chunks are taken in order, each with a ticket.
//!
//! Is: the one place where order is made: a ticket is given under the same lock under which ordered codecs decode,
//! and frames are journaled by ticket. In: chunks. Out: decoded or still raw work. Promises: a source's chunks get
//! tickets in the order the input read them; held lines are flushed also when nothing more comes; a position never
//! lies behind bytes that a decoder still holds. On failure: nothing can fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::flow::FlowPlan;
use crate::chunk::{Ack, Chunk, Position};
use crate::clock::SharedClock;
use crate::decode::{Decoder, Place};
use crate::event::{Batch, Source};

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
    held: HashMap<u64, Held>,
    next_ticket: u64,
    closed: bool,
}

/// An ordered decoder and its source.
struct Held {
    decoder: Box<dyn Decoder>,
    source: Arc<Source>,
    position: Option<Position>,
}

/// What a worker has to do next; the batch it was given holds the text.
pub(super) struct Work {
    /// Its turn at the journal.
    pub ticket: u64,
    /// How to decode the batch; `None`: it is decoded.
    pub place: Option<Place>,
    /// Bytes of input.
    pub bytes: usize,
    /// Where reading goes on after it.
    pub position: Option<Position>,
    /// Who waits for it.
    pub ack: Option<Ack>,
}

impl Gate {
    pub(super) fn new(queue: mpsc::Receiver<Chunk>, clock: SharedClock, runtime: Handle) -> Self {
        let inner = Inner { queue, held: HashMap::new(), next_ticket: 0, closed: false };
        Gate { inner: Mutex::new(inner), clock, runtime }
    }

    /// The next work, its text in `batch`; blocks. `None`: the queue is closed and empty, nothing is held.
    pub(super) fn take(
        &self,
        flow: &FlowPlan,
        batch: &mut Batch,
        give_back: impl Fn(Vec<u8>),
    ) -> Option<Work> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(work) = inner.flush_expired(self.clock.now_ns(), batch, &give_back) {
                return Some(work);
            }
            if inner.closed {
                return None;
            }
            match self.receive(&mut inner) {
                Received::Chunk(chunk) => {
                    return Some(inner.accept(chunk, flow, batch, &give_back));
                }
                Received::Tick => {}
                Received::Closed => inner.closed = true,
            }
        }
    }

    fn receive(&self, inner: &mut Inner) -> Received {
        if inner.held.values().all(|h| h.decoder.held_from().is_none()) {
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
        chunk: Box<Chunk>,
        flow: &FlowPlan,
        batch: &mut Batch,
        give_back: &impl Fn(Vec<u8>),
    ) -> Work {
        let Chunk { text, source, offset, received_ns, piece, last, position, ack } = *chunk;
        let bytes = text.len();
        let place = Place { offset, received_ns, piece, last };
        give_back(batch.recycle(text, Arc::clone(&source)));
        let ticket = self.ticket();
        if !flow.ordered(&source.input) {
            return Work { ticket, place: Some(place), bytes, position, ack };
        }
        let position = self.decode(source, place, position, flow, batch);
        Work { ticket, place: None, bytes, position, ack }
    }

    /// Decodes under the lock; the position is moved back to the first byte that is still held.
    fn decode(
        &mut self,
        source: Arc<Source>,
        place: Place,
        position: Option<Position>,
        flow: &FlowPlan,
        batch: &mut Batch,
    ) -> Option<Position> {
        let id = source.id;
        if !self.held.contains_key(&id) {
            let decoder = flow.decoder(&source.input)?;
            self.held.insert(id, Held { decoder, source, position: None });
        }
        let held = self.held.get_mut(&id)?;
        held.decoder.decode(place, batch);
        if position.is_some() {
            held.position = position;
        }
        let position = held.position();
        if place.last {
            self.held.remove(&id);
        }
        position
    }

    fn flush_expired(
        &mut self,
        now_ns: i64,
        batch: &mut Batch,
        give_back: &impl Fn(Vec<u8>),
    ) -> Option<Work> {
        // What is held when the queue has closed is not flushed: its position was not moved past it, so that the
        // next start reads it again, whole.
        for held in self.held.values_mut() {
            if self.closed || held.decoder.held_from().is_none() {
                continue;
            }
            give_back(batch.recycle(Vec::new(), Arc::clone(&held.source)));
            held.decoder.flush(now_ns, batch);
            if !batch.events.is_empty() {
                let position = held.position();
                let ticket = self.ticket();
                return Some(Work { ticket, place: None, bytes: 0, position, ack: None });
            }
        }
        None
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket - 1
    }
}

impl Held {
    fn position(&self) -> Option<Position> {
        let position = self.position.clone()?;
        let held_from = self.decoder.held_from().unwrap_or(u64::MAX);
        Some(Position { offset: position.offset.min(held_from), ..position })
    }
}
