//! What happens to one batch between the queue and the journal: decode → filter → route → encode.
//!
//! Is: the plan that workers share, and one worker's own copy of it. In: a chunk's text. Out: a draft frame.
//! Promises: `run`, `try` and `test` use this one path. On failure: nothing can fail; see the rooms.

use std::collections::HashMap;
use std::sync::Arc;

use crate::chunk::Position;
use crate::decode::{Codec, Decoder};
use crate::event::{Batch, Body, Keys, SourceKind};
use crate::filter::{Chain, ChainPlan, Closing, States};
use crate::frame::{Draft, Head};
use crate::limits::{CUT_VALUE_BYTES, DOCUMENT_BYTES_MAX};
use crate::metrics::{Counter, Metrics};
use crate::route::{Route, Routing};
use crate::tap::Point;

/// What all workers of a pipeline share.
pub struct FlowPlan {
    /// Names that the configuration mentions.
    pub keys: Arc<Keys>,
    /// The outputs.
    pub routes: Vec<Route>,
    chain: ChainPlan,
    codecs: Vec<InputFlow>,
    journaled: Counter,
    cut: Counter,
    dropped_by_filter: Counter,
    dropped_without_output: Counter,
}

struct InputFlow {
    name: Arc<str>,
    codec: Codec,
    events: Counter,
    bytes: Counter,
}

/// One worker's filters, decoders and buffers.
pub struct Flow {
    plan: Arc<FlowPlan>,
    /// This worker's own, with the buffers of their regular expressions.
    routes: Vec<Route>,
    chain: Chain,
    decoders: HashMap<Arc<str>, Box<dyn Decoder>>,
    routing: Routing,
}

impl FlowPlan {
    /// Puts the parts together.
    pub fn new(
        keys: Arc<Keys>,
        chain: ChainPlan,
        codecs: Vec<(Arc<str>, Codec)>,
        routes: Vec<Route>,
        metrics: &Metrics,
    ) -> Self {
        let input = |(name, codec): (Arc<str>, Codec)| {
            let labelled = metrics.with("input", &name);
            InputFlow {
                events: labelled.counter("logweir_events_read_total", "Events that inputs read."),
                bytes: labelled.counter("logweir_bytes_read_total", "Bytes that inputs read."),
                name,
                codec,
            }
        };
        let dropped = |reason| {
            let help = "Events that go to no output, by reason.";
            metrics.with("reason", reason).counter("logweir_events_dropped_total", help)
        };
        FlowPlan {
            keys,
            routes,
            chain,
            codecs: codecs.into_iter().map(input).collect(),
            journaled: metrics
                .counter("logweir_events_journaled_total", "Events put into the journal."),
            cut: metrics.counter(
                "logweir_events_cut_total",
                "Documents too long for the journal, whose long values were cut.",
            ),
            dropped_by_filter: dropped("filter"),
            dropped_without_output: dropped("no_output"),
        }
    }

    /// Whether an input's chunks must be decoded in order, by one decoder a source.
    pub fn ordered(&self, input: &str) -> bool {
        self.input(input).is_some_and(|i| i.codec.ordered)
    }

    /// A decoder for a source of this input.
    pub fn decoder(&self, input: &str) -> Option<Box<dyn Decoder>> {
        self.input(input).map(|i| (i.codec.make)())
    }

    /// Whether batches must pass a part of the filters in order.
    pub fn filters_in_order(&self) -> bool {
        self.chain.is_ordered()
    }

    /// What filters with memory share with the pipeline.
    pub fn states(&self) -> &States {
        self.chain.states()
    }

    /// Counts what a chunk brought.
    pub fn count(&self, input: &str, events: usize, bytes: usize) {
        if let Some(input) = self.input(input) {
            input.events.add(events as u64);
            input.bytes.add(bytes as u64);
        }
    }

    fn input(&self, name: &str) -> Option<&InputFlow> {
        self.codecs.iter().find(|i| *i.name == *name)
    }
}

impl Flow {
    /// A worker's copy.
    pub fn new(plan: Arc<FlowPlan>) -> Self {
        let mut chain = plan.chain.make();
        chain.show(plan.states().tap().clone());
        let routes = plan.routes.clone();
        Flow { plan, routes, chain, decoders: HashMap::new(), routing: Routing::default() }
    }

    /// This worker's decoder for an input whose chunks may be decoded in any order.
    pub fn decoder(&mut self, input: &Arc<str>) -> Option<&mut Box<dyn Decoder>> {
        if !self.decoders.contains_key(input) {
            let made = self.plan.decoder(input)?;
            self.decoders.insert(Arc::clone(input), made);
        }
        self.decoders.get_mut(input)
    }

    /// Somebody may look at what was decoded.
    fn show_input(&self, batch: &Batch) {
        let tap = self.plan.states().tap();
        if tap.is_watched(Point::Input) {
            tap.pass(Point::Input, batch);
        }
    }

    /// Somebody looks at a document that goes to these outputs.
    fn show_output(&self, document: &[u8], time_ns: i64) {
        let hit = |route: &&Route| self.routing.bits & (1 << route.bit) != 0;
        let outputs: Vec<&str> =
            self.routes.iter().filter(hit).map(|route| route.name.as_str()).collect();
        self.plan.states().tap().pass_document(document, time_ns, &outputs);
    }

    /// Runs the filters.
    pub fn filter(&mut self, batch: &mut Batch) {
        self.show_input(batch);
        self.chain.apply(batch);
    }

    /// Runs the filters that see batches in any order.
    pub fn filter_first(&mut self, batch: &mut Batch) {
        self.show_input(batch);
        self.chain.begin(batch);
    }

    /// Runs the other filters; the caller sees to the order. What must be in the batch's last frame is added to
    /// `memory`.
    pub fn filter_in_order(&mut self, batch: &mut Batch, memory: &mut Vec<Position>) {
        self.chain.go_on(batch);
        self.chain.remember(memory);
    }

    /// Lets filters close windows; the batch is empty before. The caller sees to the order.
    pub fn close_windows(
        &mut self,
        batch: &mut Batch,
        closing: Closing,
        memory: &mut Vec<Position>,
    ) {
        self.chain.close(batch, closing);
        self.chain.remember(memory);
    }

    /// The names of the outputs of an event, as `try` and `test` show them.
    pub fn routes_of(&mut self, batch: &Batch, event: usize) -> Vec<String> {
        let mut draft = Draft::default();
        self.routing.begin_draft();
        self.routing.find(&self.routes, batch, event, &mut draft);
        let hit = |route: &&Route| self.routing.bits & (1 << route.bit) != 0;
        self.plan.routes.iter().filter(hit).map(|r| r.name.clone()).collect()
    }

    /// Writes the batch's documents into a draft, behind those that it has, from the event `from` on. `Some`: the draft
    /// is full, and the events from there on belong into another one.
    pub fn encode(&mut self, batch: &mut Batch, from: usize, draft: &mut Draft) -> Option<usize> {
        let prefix = match batch.source.kind {
            SourceKind::File { generation } => {
                draft.string(format!("{generation:016x}").as_bytes())
            }
            SourceKind::Stream => None,
        };
        batch.mark();
        self.routing.begin_draft();
        draft.reserve(batch.events.len() - from);
        let (mut dropped, mut without_output, mut journaled) = (0, 0, 0);
        let mut next = None;
        let mut body = Body::after(std::mem::take(draft.body()));
        let watched = self.plan.states().tap().is_watched(Point::Output);
        for number in from..batch.events.len() {
            let event = batch.events[number];
            if draft.is_full() {
                next = Some(number);
                break;
            }
            if event.dropped {
                dropped += 1;
                continue;
            }
            self.routing.find(&self.routes, batch, number, draft);
            if self.routing.bits == 0 {
                without_output += 1;
                continue;
            }
            let start = body.bytes().len();
            batch.write_document(number, &mut body);
            if body.bytes().len() - start > DOCUMENT_BYTES_MAX {
                body.truncate(start);
                batch.add_tag(number, "_document_cut");
                body.append_with(|out| batch.write_event_cut(number, CUT_VALUE_BYTES, out));
                self.plan.cut.increment();
            }
            if watched {
                self.show_output(&body.bytes()[start..], event.time_ns);
            }
            let counted = || draft.document_count() as u64;
            let suffix = prefix.map_or_else(counted, |_| event.offset);
            let head = Head {
                routes: self.routing.bits,
                time_ns: event.time_ns,
                prefix,
                suffix,
                sub: event.sub,
            };
            draft.add_until(body.bytes().len(), head, &self.routing.addresses);
            journaled += 1;
        }
        *draft.body() = body.into_bytes();
        self.plan.dropped_by_filter.add(dropped);
        self.plan.dropped_without_output.add(without_output);
        self.plan.journaled.add(journaled);
        next
    }
}
