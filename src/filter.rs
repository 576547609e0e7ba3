//! The third room: events changed, tagged, dropped.
//!
//! Is: the kinds of filter and the chain that runs them. In: a batch. Out: the same batch.
//! Promises: a filter touches only what it names; it never loses an event except by `drop`, which is counted.
//! On failure: an event that a filter cannot handle gets the filter's tag, is counted, and goes on.

mod date;

use crate::clock::SharedClock;
use crate::condition::Condition;
use crate::event::{Batch, Keys, Selection};
use crate::metrics::{Counter, Metrics};
use crate::settings::Section;

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
pub const KINDS: &[(&str, Load)] = &[("date", date::load)];

/// The filters of a pipeline, checked; makes one chain for each worker thread.
pub struct ChainPlan {
    steps: Vec<StepPlan>,
}

struct StepPlan {
    when: Option<std::sync::Arc<Condition>>,
    make: Make,
    events: Counter,
}

/// Filters in order, on one thread.
pub struct Chain {
    steps: Vec<Step>,
    all: Selection,
}

struct Step {
    when: Option<std::sync::Arc<Condition>>,
    filter: Box<dyn Filter>,
    selected: Selection,
    events: Counter,
}

impl ChainPlan {
    /// Reads `[[key]]` of a section: `type`, `when`, `id` and each filter's own settings.
    pub fn load(
        _section: &Section<'_>,
        _key: &'static str,
        _load: &mut FilterLoad<'_>,
    ) -> ChainPlan {
        todo!("filters")
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
