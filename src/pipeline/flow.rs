//! What happens to one batch between the queue and the journal: decode → filter → route → encode.
//!
//! Is: the plan that workers share, and one worker's own copy of it. In: a chunk's text. Out: a draft frame.
//! Promises: `run`, `try` and `test` use this one path. On failure: nothing can fail; see the rooms.

use std::collections::HashMap;
use std::sync::Arc;

use crate::decode::{Codec, Decoder};
use crate::event::{Batch, Keys, SourceKind};
use crate::filter::{Chain, ChainPlan};
use crate::frame::{Draft, Head};
use crate::limits::{CUT_VALUE_BYTES, DOCUMENT_BYTES_MAX};
use crate::metrics::{Counter, Metrics};
use crate::route::{Route, Routing};

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
        let chain = plan.chain.make();
        Flow { plan, chain, decoders: HashMap::new(), routing: Routing::default() }
    }

    /// This worker's decoder for an input whose chunks may be decoded in any order.
    pub fn decoder(&mut self, input: &Arc<str>) -> Option<&mut Box<dyn Decoder>> {
        if !self.decoders.contains_key(input) {
            let made = self.plan.decoder(input)?;
            self.decoders.insert(Arc::clone(input), made);
        }
        self.decoders.get_mut(input)
    }

    /// Runs the filters.
    pub fn filter(&mut self, batch: &mut Batch) {
        self.chain.apply(batch);
    }

    /// The names of the outputs of an event, as `try` and `test` show them.
    pub fn routes_of(&mut self, batch: &Batch, event: usize) -> Vec<String> {
        let mut draft = Draft::default();
        self.routing.find(&self.plan.routes, batch, event, &mut draft);
        let hit = |route: &&Route| self.routing.bits & (1 << route.bit) != 0;
        self.plan.routes.iter().filter(hit).map(|r| r.name.clone()).collect()
    }

    /// Writes the batch's documents into a draft, from the event `from` on. `Some`: the draft is full, and the
    /// events from there on belong into another one.
    pub fn encode(&mut self, batch: &mut Batch, from: usize, draft: &mut Draft) -> Option<usize> {
        let prefix = match batch.source.kind {
            SourceKind::File { generation } => {
                draft.string(format!("{generation:016x}").as_bytes())
            }
            SourceKind::Stream => None,
        };
        let (mut dropped, mut without_output, mut journaled) = (0, 0, 0);
        let mut next = None;
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
            self.routing.find(&self.plan.routes, batch, number, draft);
            if self.routing.bits == 0 {
                without_output += 1;
                continue;
            }
            let start = draft.body().len();
            batch.write_event(number, draft.body());
            if draft.body().len() - start > DOCUMENT_BYTES_MAX {
                draft.body().truncate(start);
                batch.add_tag(number, "_document_cut");
                batch.write_event_cut(number, CUT_VALUE_BYTES, draft.body());
                self.plan.cut.increment();
            }
            let suffix = if prefix.is_some() { event.offset } else { number as u64 };
            let head = Head {
                routes: self.routing.bits,
                time_ns: event.time_ns,
                prefix,
                suffix,
                sub: event.sub,
            };
            draft.add(head, &self.routing.addresses);
            journaled += 1;
        }
        self.plan.dropped_by_filter.add(dropped);
        self.plan.dropped_without_output.add(without_output);
        self.plan.journaled.add(journaled);
        next
    }
}
