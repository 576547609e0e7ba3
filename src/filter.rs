//! The third room: events changed, tagged, dropped.
//!
//! Is: the kinds of filter and the chain that runs them. In: a batch. Out: the same batch.
//! Promises: a filter touches only what it names; it never loses an event except by `drop`, which
//! is counted; a filter with `when` is handed only the events for which it holds.
//! On failure: an event that a filter cannot handle gets the filter's tag, is counted, and goes on.

use std::sync::Arc;

use crate::clock::SharedClock;
use crate::condition::Condition;
use crate::diagnostic::did_you_mean;
use crate::event::{Batch, Keys, Selection};
use crate::metrics::{Counter, Metrics};
use crate::settings::Section;

mod branch;
mod convert;
mod copy;
mod date;
mod drop;
mod geoip;
pub mod grok;
mod gsub;
mod join;
mod json;
mod letters;
mod merge;
mod named;
mod redact;
mod remove;
mod rename;
mod set;
mod split;
mod tag;
mod texts;

/// A filter at work on one thread.
pub trait Filter: Send {
    /// Works on the selected events of the batch.
    fn apply(&mut self, batch: &mut Batch, selected: &Selection);
}

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
}

type Load = fn(&Section<'_>, &mut FilterLoad<'_>) -> Option<Make>;

/// The kinds of filter; to delete one, delete its file and its line.
pub const KINDS: &[(&str, Load)] = &[
    ("capitalize", letters::load_capitalize),
    ("convert", convert::load),
    ("copy", copy::load),
    ("date", date::load),
    ("drop", drop::load),
    ("geoip", geoip::load),
    ("grok", grok::load),
    ("gsub", gsub::load),
    (IF, branch::load),
    ("join", join::load),
    ("json", json::load),
    ("lowercase", letters::load_lowercase),
    ("merge", merge::load),
    ("redact", redact::load),
    ("remove", remove::load),
    ("rename", rename::load),
    ("set", set::load),
    ("split", split::load),
    ("strip", letters::load_strip),
    ("tag", tag::load),
    ("uppercase", letters::load_uppercase),
];

/// The kind whose `when` does not decide whether it runs, but which of its two chains does.
const IF: &str = "if";

/// The filters of a pipeline, checked; makes one chain for each worker thread.
pub struct ChainPlan {
    steps: Vec<StepPlan>,
}

struct StepPlan {
    when: Option<Arc<Condition>>,
    make: Make,
    events: Counter,
}

/// Filters in order, on one thread.
pub struct Chain {
    steps: Vec<Step>,
    all: Selection,
}

struct Step {
    when: Option<Arc<Condition>>,
    filter: Box<dyn Filter>,
    selected: Selection,
    events: Counter,
}

impl ChainPlan {
    /// Reads `[[key]]` of a section: `type`, `when`, `id` and each filter's own settings.
    pub fn load(section: &Section<'_>, key: &'static str, load: &mut FilterLoad<'_>) -> ChainPlan {
        let mut steps = Vec::new();
        for section in section.sections(key) {
            let kind = kind(&section);
            let (events, _) = counters(&section, load);
            let Some((name, read)) = kind else { continue };
            let gate = if name == IF { None } else { gate(&section, load.keys) };
            let make = read(&section, load);
            section.finish();
            if let Some(make) = make {
                steps.push(StepPlan { when: gate, make, events });
            }
        }
        ChainPlan { steps }
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
            selected: Selection::default(),
            events: plan.events.clone(),
        };
        Chain { steps: self.steps.iter().map(step).collect(), all: Selection::default() }
    }
}

impl Chain {
    /// Runs all filters over all events that are not dropped.
    pub fn apply(&mut self, batch: &mut Batch) {
        let mut all = std::mem::take(&mut self.all);
        all.0.clear();
        all.0.extend(0..batch.events.len() as u32);
        self.apply_to(batch, &all);
        self.all = all;
    }

    /// Runs all filters over the selected events that are not dropped.
    pub fn apply_to(&mut self, batch: &mut Batch, from: &Selection) {
        for step in &mut self.steps {
            let alive = |e: &u32| !batch.events[*e as usize].dropped;
            step.selected.0.clear();
            match &step.when {
                None => step.selected.0.extend(from.0.iter().copied().filter(alive)),
                Some(when) => {
                    let holds = |e: &u32| alive(e) && when.holds(batch, *e as usize);
                    step.selected.0.extend(from.0.iter().copied().filter(holds));
                }
            }
            if step.selected.0.is_empty() {
                continue;
            }
            step.events.add(step.selected.0.len() as u64);
            step.filter.apply(batch, &step.selected);
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

fn gate(section: &Section<'_>, keys: &mut Keys) -> Option<Arc<Condition>> {
    Condition::load(section, "when", keys).map(Arc::new)
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
