//! The threads between the queue and the journal.
//!
//! In: work from the gate. Out: frames in the journal, in ticket order. Promises: each batch runs to completion on
//! one thread; one hot file uses every thread, and its lines are journaled in order.
//! On failure: a closed journal ends the threads; what they held was not acknowledged and is read again.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::flow::{Flow, FlowPlan};
use super::gate::{Gate, Work};
use crate::chunk::{Ack, Position};
use crate::event::{Batch, Source, SourceKind};
use crate::frame::Draft;
use crate::journal::Journal;

/// What the threads of one pipeline share.
pub(super) struct Shared {
    pub gate: Gate,
    pub order: Order,
    pub intake: Spare,
    pub flow: Arc<FlowPlan>,
    pub journal: Journal,
}

/// Where used text buffers go back to.
pub(super) type Spare = crate::chunk::Buffers;

/// Whose turn it is at the journal.
#[derive(Default)]
pub(super) struct Order {
    next: Mutex<u64>,
    moved: Condvar,
}

impl Order {
    fn wait_for(&self, ticket: u64) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        while *next != ticket {
            next = self.moved.wait(next).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn pass(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.moved.notify_all();
    }
}

/// Starts the threads; they end when the queue is closed and empty. An error: not even one could be started.
pub(super) fn start(
    shared: Shared,
    count: usize,
    name: &str,
) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let shared = Arc::new(shared);
    let start = |n: usize| {
        let shared = Arc::clone(&shared);
        let builder = std::thread::Builder::new().name(format!("{name}-{n}"));
        builder.spawn(move || work_or_end(&shared))
    };
    let (started, failed): (Vec<_>, Vec<_>) = (0..count).map(start).partition(Result::is_ok);
    match failed.into_iter().find_map(Result::err) {
        Some(why) if started.is_empty() => Err(why),
        _ => Ok(started.into_iter().flatten().collect()),
    }
}

/// A worker that panics would hold up all others for ever, and its chunk must not be passed over: the process ends
/// instead, and the next start reads the chunk again.
fn work_or_end(shared: &Shared) {
    let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(shared)));
    if worked.is_err() {
        tracing::error!(
            "a worker ended by a fault of logweir (see the line with `panicked` above), so logweir ends; nothing \
             is lost, the next start reads on where the journal ends; please report that line"
        );
        std::process::exit(1);
    }
}

fn work(shared: &Shared) {
    let mut flow = Flow::new(Arc::clone(&shared.flow));
    let mut batch = Batch::new(Arc::clone(&shared.flow.keys), no_source());
    let give_back = |buffer| shared.intake.give_back(buffer);
    while let Some(work) = shared.gate.take(&shared.flow, &mut batch, give_back) {
        decode(&mut flow, &work, &mut batch);
        shared.flow.count(&batch.source.input, batch.events.len(), work.bytes);
        flow.filter(&mut batch);
        let mut draft = Draft::new(shared.journal.buffer());
        let next = flow.encode(&mut batch, 0, &mut draft);
        shared.order.wait_for(work.ticket);
        let stored = store(shared, &mut flow, &mut batch, (draft, next), (work.position, work.ack));
        shared.order.pass();
        if !stored {
            return;
        }
    }
}

/// Journals a batch, usually in one frame; position and ack go with the last one. `false`: the journal is closed.
fn store(
    shared: &Shared,
    flow: &mut Flow,
    batch: &mut Batch,
    (mut draft, mut next): (Draft, Option<usize>),
    (mut position, ack): (Option<Position>, Option<Ack>),
) -> bool {
    while let Some(from) = next {
        if let Some(position) = position.as_mut().filter(|position| position.new) {
            // The source must be known before a document of it is seen; what is read of it begins at its start.
            draft.position(Position { offset: 0, ..position.clone() });
            position.new = false;
        }
        if !append(shared, draft, None) {
            return false;
        }
        draft = Draft::new(shared.journal.buffer());
        next = flow.encode(batch, from, &mut draft);
    }
    if let Some(position) = position {
        draft.position(position);
    }
    append(shared, draft, ack)
}

fn decode(flow: &mut Flow, work: &Work, batch: &mut Batch) {
    let Some(place) = work.place else { return };
    let input = Arc::clone(&batch.source.input);
    if let Some(decoder) = flow.decoder(&input) {
        decoder.decode(place, batch);
    }
}

/// `false`: the journal is closed.
fn append(shared: &Shared, draft: Draft, ack: Option<Ack>) -> bool {
    if draft.is_empty() && ack.is_none() {
        return true;
    }
    shared.journal.append(draft, ack).is_ok()
}

fn no_source() -> Arc<Source> {
    let kind = SourceKind::Stream;
    Arc::new(Source { id: 0, input: "".into(), kind, fields: Vec::new() })
}
