//! The threads between the queue and the journal.
//!
//! In: work from the gate. Out: frames in the journal, in ticket order. Promises: each batch runs to completion on
//! one thread; one hot file uses every thread, and its lines are journaled in order.
//! On failure: a closed journal ends the threads; what they held was not acknowledged and is read again.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::flow::{Flow, FlowPlan};
use super::gate::{Gate, Work};
use super::pieces::Pieces;
use crate::chunk::{Ack, Closed, Position};
use crate::decode::Place;
use crate::event::{Batch, Source, SourceKind};
use crate::frame::Draft;
use crate::journal::Journal;
use crate::pulse::{self, Pulses};
use crate::trace::{Begun, PipelineTracer};

/// What the threads of one pipeline share.
pub(super) struct Shared {
    pub gate: Gate,
    pub order: Order,
    /// Whose turn it is at the filters that need order.
    pub filters: Order,
    pub intake: Spare,
    pub flow: Arc<FlowPlan>,
    pub journal: Journal,
    /// Tells the story of some batches; `None`: nobody wants to know.
    pub tracer: Option<PipelineTracer>,
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
        pulse::rest(|| {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            while *next != ticket {
                next = self.moved.wait(next).unwrap_or_else(PoisonError::into_inner);
            }
        });
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
    pulses: &Pulses,
) -> std::io::Result<Vec<std::thread::JoinHandle<()>>> {
    let shared = Arc::new(shared);
    let start = |n: usize| {
        let shared = Arc::clone(&shared);
        let (pulses, thread) = (pulses.clone(), format!("{name}/worker-{n}"));
        let builder = std::thread::Builder::new().name(format!("{name}-{n}"));
        builder.spawn(move || {
            let _joined = pulses.join(thread);
            work_or_end(&shared);
        })
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
    let mut worker = Worker::new(shared);
    let give_back = |buffer| shared.intake.give_back(buffer);
    while let Some(work) = shared.gate.take(&shared.flow, &mut worker.batch, give_back) {
        if !worker.carry_out(shared, work) {
            return;
        }
    }
}

/// One thread's own: filters and the batch at work.
pub(super) struct Worker {
    flow: Flow,
    pub batch: Batch,
    pieces: Pieces,
    /// What filters remember of the batch, for the journal, and positions of sources without a text.
    remembered: Vec<Position>,
}

/// A batch that waits for its turn at the journal.
pub(super) struct Ready {
    work: Work,
    trace: Option<Begun>,
    draft: Draft,
    /// The first event that the draft has no room for.
    next: Option<usize>,
}

impl Worker {
    pub(super) fn new(shared: &Shared) -> Self {
        let batch = Batch::new(Arc::clone(&shared.flow.keys), no_source());
        let flow = Flow::new(Arc::clone(&shared.flow));
        Worker { flow, batch, pieces: Pieces::default(), remembered: Vec::new() }
    }

    /// Decodes, filters, encodes and journals what the gate put into the batch. `false`: the journal is closed.
    fn carry_out(&mut self, shared: &Shared, work: Work) -> bool {
        let ready = self.prepare(shared, work);
        self.finish(shared, ready)
    }

    /// Decodes, filters and encodes; waits for its turn only where filters remember.
    pub(super) fn prepare(&mut self, shared: &Shared, work: Work) -> Ready {
        let Worker { flow, batch, pieces, remembered } = self;
        let tracer = shared.tracer.as_ref();
        let read_ns = work.place.as_ref().map(|place| place.received_ns);
        let mut trace = tracer.and_then(|tracer| tracer.begin(read_ns));
        let (mut draft, next, events);
        if work.place.is_some() && !shared.flow.filters_in_order() {
            draft = Draft::new(shared.journal.buffer());
            pieces.begin(batch, work.place);
            next = encode_pieces(shared, flow, (batch, pieces), &mut draft);
            events = pieces.events;
            shared.flow.count(&batch.source.input, 0, work.bytes);
        } else {
            if let Some(place) = work.place {
                decode(flow, place, batch);
            }
            events = batch.events.len();
            shared.flow.count(&batch.source.input, events, work.bytes);
            if shared.flow.filters_in_order() {
                filter_in_order(shared, flow, batch, &work, remembered);
            } else {
                flow.filter(batch);
            }
            draft = Draft::new(shared.journal.buffer());
            next = flow.encode(batch, 0, &mut draft);
        }
        if let (Some(tracer), Some(begun)) = (tracer, &mut trace) {
            tracer.filtered(begun, events);
        }
        Ready { work, trace, draft, next }
    }

    /// Journals the batch when its turn comes. `false`: the journal is closed.
    pub(super) fn finish(&mut self, shared: &Shared, ready: Ready) -> bool {
        let Ready { work, trace, draft, next } = ready;
        shared.order.wait_for(work.ticket);
        let Worker { flow, batch, pieces, remembered } = self;
        remembered.extend(work.told);
        let told = Told { begin: work.offset, position: work.position, remembered, ack: work.ack };
        let stored = store(shared, flow, (batch, pieces), (draft, next), told);
        pieces.end(batch);
        shared.order.pass();
        drop(work.memory);
        if let (Some(tracer), Some(begun), Ok(Some(sequence))) = (&shared.tracer, trace, &stored) {
            tracer.journaled(begun, *sequence, &batch.source.input, work.bytes);
        }
        stored.is_ok()
    }
}

/// What a batch's last frame tells besides its documents.
struct Told<'a> {
    /// Where the batch's text begins in its source.
    begin: u64,
    position: Option<Position>,
    remembered: &'a mut Vec<Position>,
    ack: Option<Ack>,
}

/// Runs the filters, those that need order when it is the batch's turn.
fn filter_in_order(
    shared: &Shared,
    flow: &mut Flow,
    batch: &mut Batch,
    work: &Work,
    remembered: &mut Vec<Position>,
) {
    if work.close.is_none() {
        flow.filter_first(batch);
    }
    shared.filters.wait_for(work.ticket);
    match work.close {
        None => flow.filter_in_order(batch, remembered),
        Some(closing) => flow.close_windows(batch, closing, remembered),
    }
    shared.filters.pass();
}

/// Journals a batch, usually in one frame; position, ack and what filters remember go with the last one. Gives that
/// one's sequence, if there was anything to journal.
fn store(
    shared: &Shared,
    flow: &mut Flow,
    (batch, pieces): (&mut Batch, &mut Pieces),
    (mut draft, mut next): (Draft, Option<usize>),
    told: Told<'_>,
) -> Result<Option<u64>, Closed> {
    let Told { begin, mut position, remembered, ack } = told;
    while let Some(from) = next {
        if let Some(position) = position.as_mut().filter(|position| position.new) {
            // The source must be known before a document of it is seen; it is read on from here if the process ends.
            draft.position(position.before(begin));
            position.new = false;
        }
        append(shared, draft, None)?;
        draft = Draft::new(shared.journal.buffer());
        next = flow.encode(batch, from, &mut draft);
        if next.is_none() {
            next = encode_pieces(shared, flow, (batch, pieces), &mut draft);
        }
    }
    for position in position.into_iter().chain(remembered.drain(..)) {
        draft.position(position);
    }
    append(shared, draft, ack)
}

/// Decodes, filters and encodes piece after piece. `Some`: the draft is full, and this event of the batch belongs into
/// another one.
fn encode_pieces(
    shared: &Shared,
    flow: &mut Flow,
    (batch, pieces): (&mut Batch, &mut Pieces),
    draft: &mut Draft,
) -> Option<usize> {
    while let Some(place) = pieces.next(batch) {
        decode(flow, place, batch);
        pieces.events += batch.events.len();
        shared.flow.count(&batch.source.input, batch.events.len(), 0);
        flow.filter(batch);
        let next = flow.encode(batch, 0, draft);
        if next.is_some() {
            return next;
        }
    }
    None
}

fn decode(flow: &mut Flow, place: Place, batch: &mut Batch) {
    let input = Arc::clone(&batch.source.input);
    if let Some(decoder) = flow.decoder(&input) {
        decoder.decode(place, batch);
    }
}

fn append(shared: &Shared, draft: Draft, ack: Option<Ack>) -> Result<Option<u64>, Closed> {
    if draft.is_empty() && ack.is_none() {
        return Ok(None);
    }
    shared.journal.append(draft, ack).map(Some)
}

pub(super) fn no_source() -> Arc<Source> {
    let kind = SourceKind::Stream;
    Arc::new(Source { id: 0, input: "".into(), kind, fields: Vec::new() })
}
