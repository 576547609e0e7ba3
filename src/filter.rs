//! The third room: events changed, tagged, dropped.
//!
//! Is: the kinds of filter and the chain that runs them. In: a batch. Out: the same batch.
//! Promises: a filter touches only what it names; it never loses an event except by `drop`, which
//! is counted; a filter with `when` is handed only the events for which it holds.
//! On failure: an event that a filter cannot handle gets the filter's tag, is counted, and goes on.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk::Position;
use crate::clock::SharedClock;
use crate::condition::Condition;
use crate::diagnostic::did_you_mean;
use crate::event::{Batch, Keys, Selection};
use crate::metrics::{Counter, Metrics};
use crate::settings::Section;
use crate::tap::{Point, Tap};
use decorate::Decoration;

mod address;
mod aggregate;
mod anonymize;
mod branch;
mod bytes;
mod cidr;
mod clone;
mod convert;
mod copy;
mod csv;
mod date;
mod de_dot;
mod dedupe;
mod decorate;
mod drop;
mod digest;
mod dissect;
mod dns;
mod expressions;
mod failure;
mod fingerprint;
mod geoip;
pub mod grok;
mod gsub;
mod join;
mod json;
mod json_encode;
mod kept;
mod kubernetes;
mod kv;
pub mod leak;
mod letters;
mod merge;
mod metric;
mod murmur;
mod multiline;
mod mutate;
mod named;
mod prune;
mod redact;
mod reference;
mod remove;
mod rename;
mod ruby;
mod sample;
#[cfg(feature = "script")]
mod script;
mod set;
mod split;
mod split_event;
mod states;
mod syslog_pri;
mod tag;
mod texts;
mod throttle;
mod translate;
mod truncate;
mod urldecode;
mod useragent;
mod watched;
mod windows;
mod xml;

pub use states::{States, is_window};

/// Makes one filter for each worker thread; what is large is shared between them.
pub type Make = Box<dyn Fn() -> Box<dyn Filter> + Send + Sync>;

/// What loading a filter needs besides its section.
pub struct FilterLoad<'a> {
    /// The pipeline's names.
    pub keys: &'a mut Keys,
    /// Time.
    pub clock: &'a SharedClock,
    /// Metrics, labelled with the pipeline.
    pub metrics: &'a Metrics,
    /// Where filters say that they need order, time, or a place in the journal.
    pub states: &'a States,
}

type Load = fn(&Section<'_>, &mut FilterLoad<'_>) -> Option<Make>;

/// The kinds of filter; to delete one, delete its file and its line.
pub const KINDS: &[(&str, Load)] = &[
    ("aggregate", aggregate::load),
    ("anonymize", anonymize::load),
    ("bytes", bytes::load),
    ("capitalize", letters::load_capitalize),
    ("cidr", cidr::load),
    ("clone", clone::load),
    ("convert", convert::load),
    ("copy", copy::load),
    ("csv", csv::load),
    ("date", date::load),
    ("de_dot", de_dot::load),
    ("dedupe", dedupe::load),
    ("dissect", dissect::load),
    ("dns", dns::load),
    ("drop", drop::load),
    ("fingerprint", fingerprint::load),
    ("geoip", geoip::load),
    ("grok", grok::load),
    ("gsub", gsub::load),
    (IF, branch::load),
    ("join", join::load),
    ("json", json::load),
    ("json_encode", json_encode::load),
    ("kubernetes", kubernetes::load),
    ("kv", kv::load),
    ("lowercase", letters::load_lowercase),
    ("merge", merge::load),
    ("metric", metric::load),
    ("multiline", multiline::load),
    ("mutate", mutate::load),
    ("prune", prune::load),
    ("redact", redact::load),
    ("remove", remove::load),
    ("rename", rename::load),
    ("sample", sample::load),
    #[cfg(feature = "script")]
    ("script", script::load),
    ("set", set::load),
    ("split", split::load),
    ("strip", letters::load_strip),
    ("syslog_pri", syslog_pri::load),
    ("tag", tag::load),
    ("throttle", throttle::load),
    ("translate", translate::load),
    ("truncate", truncate::load),
    ("uppercase", letters::load_uppercase),
    ("urldecode", urldecode::load),
    ("useragent", useragent::load),
    ("xml", xml::load),
];

/// The kind whose `when` does not decide whether it runs, but which of its two chains does.
const IF: &str = "if";

/// The kinds that make events, and those that drop some: they have a counter for it.
const MAKING: &[&str] = &["aggregate", "clone", "dedupe", "multiline", "split"];
/// See [`MAKING`].
const DROPPING: &[&str] =
    &["aggregate", "csv", "dedupe", "drop", "kubernetes", "multiline", "sample", "throttle"];

/// The filters of a pipeline, checked; makes one chain for each worker thread.
pub struct ChainPlan {
    steps: Vec<StepPlan>,
    states: States,
}

struct StepPlan {
    when: Option<Condition>,
    make: Make,
    decoration: Option<Arc<Decoration>>,
    counts: Counts,
    ordered: bool,
}

/// What is counted of a filter.
#[derive(Clone)]
struct Counts {
    events: Counter,
    made: Option<Counter>,
    dropped: Option<Counter>,
}

/// Filters in order, on one thread.
pub struct Chain {
    steps: Vec<Step>,
    /// The events that this chain is for, also those that its filters made.
    current: Selection,
    scratch: Vec<u8>,
    /// The first filter that must see batches in order; what follows it does, too.
    ordered_from: usize,
    /// Where somebody may look behind each filter; chains within a filter have none.
    tap: Option<Tap>,
}

struct Step {
    /// This thread's own: a regular expression that threads share makes them wait for its buffers.
    when: Option<Condition>,
    filter: Box<dyn Filter>,
    decoration: Option<Arc<Decoration>>,
    selected: Selection,
    counts: Counts,
}

/// Which windows are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Those whose time is over; where the next event of a stream would renew one, only if it would have been seen by
    /// then: nothing that came before `seen_ns` (see [`crate::watermark`]) is under way to the filters.
    Due {
        /// In elapsed time.
        seen_ns: u64,
    },
    /// All.
    All,
}

impl Closing {
    /// Those whose time is over, where events do not wait.
    pub const DUE: Closing = Closing::Due { seen_ns: u64::MAX };
}

/// A filter at work on one thread.
pub trait Filter: Send {
    /// Works on the selected events of the batch.
    fn apply(&mut self, batch: &mut Batch, selected: &Selection);

    /// Closes windows; the events that it makes go on through the filters that follow.
    fn close(&mut self, _batch: &mut Batch, _closing: Closing) {}

    /// Adds what must be in the frame of the batch that was worked on last, so that the filter knows it after a
    /// crash.
    fn remember(&mut self, _out: &mut Vec<Position>) {}
}

impl ChainPlan {
    /// Reads `[[key]]` of a section: `type`, `when`, `id` and each filter's own settings.
    pub fn load(section: &Section<'_>, key: &'static str, load: &mut FilterLoad<'_>) -> ChainPlan {
        let (mut steps, mut before) = (Vec::new(), load.states.take_order());
        for section in section.sections(key) {
            let kind = kind(&section);
            let (events, _) = counters(&section, load);
            let Some((name, read)) = kind else { continue };
            if name == "redact" && load.states.count() > 0 {
                refuse_late_redaction(&section);
            }
            let gate = if name == IF { None } else { gate(&section, load.keys) };
            let make = read(&section, load);
            // `if` has filters of its own, which say what becomes of their events.
            let decorated = (name != IF).then(|| Decoration::load(&section, load)).flatten();
            let counts = Counts::new(events, name, &section, load);
            section.finish();
            let ordered = load.states.take_order();
            before |= ordered;
            if let Some(make) = make {
                let decoration = decorated.map(Arc::new);
                steps.push(StepPlan { when: gate, make, decoration, counts, ordered });
            }
        }
        if before {
            load.states.need_order();
        }
        ChainPlan { steps, states: load.states.clone() }
    }

    /// What its filters share with the pipeline.
    pub fn states(&self) -> &States {
        &self.states
    }

    /// Whether batches must pass a part of it in order.
    pub fn is_ordered(&self) -> bool {
        self.steps.iter().any(|step| step.ordered)
    }

    /// Whether there is no filter.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// A chain for one thread.
    pub fn make(&self) -> Chain {
        let step = |plan: &StepPlan| Step {
            when: plan.when.clone(),
            filter: (plan.make)(),
            decoration: plan.decoration.clone(),
            selected: Selection::default(),
            counts: plan.counts.clone(),
        };
        let ordered_from = self.steps.iter().position(|step| step.ordered);
        Chain {
            ordered_from: ordered_from.unwrap_or(self.steps.len()),
            steps: self.steps.iter().map(step).collect(),
            current: Selection::default(),
            scratch: Vec::new(),
            tap: None,
        }
    }
}

impl Chain {
    /// From now on somebody may look behind each of its filters.
    pub fn show(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// Runs all filters over all events that are not dropped.
    pub fn apply(&mut self, batch: &mut Batch) {
        self.begin(batch);
        self.go_on(batch);
    }

    /// Runs the filters that see batches in any order.
    pub fn begin(&mut self, batch: &mut Batch) {
        self.current.0.clear();
        self.current.0.extend(0..batch.events.len() as u32);
        self.run(batch, 0..self.ordered_from, None);
    }

    /// Runs the filters that see batches in order, and those after them.
    pub fn go_on(&mut self, batch: &mut Batch) {
        self.run(batch, self.ordered_from..self.steps.len(), None);
        batch.order_derived();
    }

    /// Closes windows, and runs the filters that follow over the events that came of it. The batch is empty before.
    pub fn close(&mut self, batch: &mut Batch, closing: Closing) {
        self.close_inner(batch, closing);
        batch.order_derived();
    }

    /// What must be in the frame of the last batch.
    pub fn remember(&mut self, out: &mut Vec<Position>) {
        let from = self.ordered_from;
        for step in &mut self.steps[from..] {
            step.filter.remember(out);
        }
    }

    /// Runs all filters over the selected events that are not dropped.
    fn apply_to(&mut self, batch: &mut Batch, from: &Selection) {
        self.current.0.clear();
        self.current.0.extend_from_slice(&from.0);
        self.run(batch, 0..self.steps.len(), None);
    }

    fn close_inner(&mut self, batch: &mut Batch, closing: Closing) {
        self.current.0.clear();
        self.run(batch, self.ordered_from..self.steps.len(), Some(closing));
    }

    fn run(&mut self, batch: &mut Batch, steps: Range<usize>, closing: Option<Closing>) {
        for number in steps {
            let step = &mut self.steps[number];
            let before = batch.events.len() as u32;
            if let Some(closing) = closing {
                step.close(batch, closing, &mut self.scratch);
            }
            let closed = batch.events.len() as u32;
            let alive = |e: &u32| !batch.events[*e as usize].dropped;
            step.selected.0.clear();
            match &step.when {
                None => step.selected.0.extend(self.current.0.iter().copied().filter(alive)),
                Some(when) => {
                    let holds = |e: &u32| alive(e) && when.holds(batch, *e as usize);
                    step.selected.0.extend(self.current.0.iter().copied().filter(holds));
                }
            }
            if !step.selected.0.is_empty() {
                step.counts.events.add(step.selected.0.len() as u64);
                step.run(batch, closed, &mut self.scratch);
                step.count(batch, closed);
            }
            self.current.0.extend(before..batch.events.len() as u32);
            let point = Point::Filter(number + 1);
            if let Some(tap) = self.tap.as_ref().filter(|tap| tap.is_watched(point)) {
                tap.pass(point, batch);
            }
        }
    }
}

impl Step {
    /// Closes windows; what is to be done to the events that the filter made is done to those that come of it.
    fn close(&mut self, batch: &mut Batch, closing: Closing, scratch: &mut Vec<u8>) {
        let before = batch.events.len();
        self.filter.close(batch, closing);
        if let Some(made) = &self.counts.made {
            made.add((batch.events.len() - before) as u64);
        }
        let Some(decoration) = &self.decoration else { return };
        for event in before..batch.events.len() {
            if !batch.events[event].missed {
                decoration.apply(batch, event, scratch);
            }
        }
    }

    /// Counts what became of the selected events; one that was dropped may stand where an event was made.
    fn count(&self, batch: &Batch, before: u32) {
        if let Some(made) = &self.counts.made {
            made.add(u64::from(batch.events.len() as u32 - before));
        }
        if let Some(dropped) = &self.counts.dropped {
            let before = before as usize;
            let selected = self.selected.iter().filter(|event| *event < before);
            let gone = |event: &usize| batch.events[*event].dropped;
            let gone = selected.chain(before..batch.events.len()).filter(gone).count();
            dropped.add(gone as u64);
        }
    }

    /// Runs the filter, and what is to be done to the events that it handled or made.
    fn run(&mut self, batch: &mut Batch, before: u32, scratch: &mut Vec<u8>) {
        let Some(decoration) = &self.decoration else {
            return self.filter.apply(batch, &self.selected);
        };
        for event in self.selected.iter() {
            batch.events[event].missed = false;
        }
        self.filter.apply(batch, &self.selected);
        self.selected.0.extend(before..batch.events.len() as u32);
        for event in self.selected.iter() {
            let state = batch.events[event];
            if !state.missed && !state.dropped {
                decoration.apply(batch, event, scratch);
            }
        }
    }
}

/// The kind that a section names.
fn kind(section: &Section<'_>) -> Option<(&'static str, Load)> {
    let word = section.required_string("type", "\"grok\"")?;
    if let Some(found) = KINDS.iter().find(|(name, _)| *name == word.value) {
        return Some(*found);
    }
    let names = KINDS.iter().map(|(name, _)| *name);
    let hint = match did_you_mean(&word, names.clone()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("the filters are: {}", names.collect::<Vec<_>>().join(", ")),
    };
    let message = format!("there is no filter \"{}\"", word.value);
    section.error(word.span.clone(), message, Some(hint));
    None
}

fn gate(section: &Section<'_>, keys: &mut Keys) -> Option<Condition> {
    Condition::load(section, "when", keys)
}

/// What a filter remembers is kept in the journal, where no secret may be.
fn refuse_late_redaction(section: &Section<'_>) {
    let hint = "move `redact` before the first `aggregate`, `dedupe` or `multiline`";
    let message = "`redact` comes after a filter that remembers: what it remembers is kept in the journal as it is";
    section.error(section.span_of("type"), message, Some(hint.into()));
}

impl Counts {
    fn new(events: Counter, kind: &str, section: &Section<'_>, load: &FilterLoad<'_>) -> Counts {
        let metrics = load.metrics.with("filter", &label(section)).with("kind", kind);
        let counter =
            |kinds: &[&str], name, help| kinds.contains(&kind).then(|| metrics.counter(name, help));
        let made = "Events that a filter made besides those that it was given.";
        let dropped = "Events that went no further than a filter.";
        Counts {
            events,
            made: counter(MAKING, "logweir_filter_events_made_total", made),
            dropped: counter(DROPPING, "logweir_filter_events_dropped_total", dropped),
        }
    }
}

/// What metrics and messages call a filter: its `id`, or its kind where it has none.
fn label(section: &Section<'_>) -> String {
    use crate::settings::Literal;
    let text = |key| match section.item(key).map(|item| &item.literal) {
        Some(Literal::String(text)) => Some(text.clone()),
        _ => None,
    };
    text("id").or_else(|| text("type")).unwrap_or_else(|| "filter".into())
}

/// The counters of a filter: events that it got, and events that it could not handle. The label is
/// its `id`, or its kind where it has none.
fn counters(section: &Section<'_>, load: &FilterLoad<'_>) -> (Counter, Counter) {
    use crate::settings::Literal;
    let text = |key| match section.item(key).map(|item| &item.literal) {
        Some(Literal::String(text)) => Some(text.as_str()),
        Some(_) => {
            // Says that it is not a string.
            section.string(key);
            None
        }
        None => None,
    };
    let name = text("id").or_else(|| text("type")).unwrap_or("filter");
    let metrics = load.metrics.with("filter", name);
    (
        metrics.counter("logweir_filter_events_total", "Events that a filter was given."),
        metrics.counter("logweir_filter_failures_total", "Events that a filter could not handle."),
    )
}

#[cfg(test)]
mod trial;

#[cfg(test)]
mod tests;
