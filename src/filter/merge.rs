//! Filter `merge`: fields added to a list or an object.
//!
//! In: `from` (one field or several), `into`. Out: `into` holds both. Two objects become one, the
//! added entries winning; anything else becomes one list. An absent `into` takes the value as it is.
//! Promises: `from` stays. On failure: an object and something else cannot be merged: the event
//! gets the tag `_mutate_error` and keeps both.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{Use, path, required_field};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::Section;

struct Merge {
    plan: Arc<Plan>,
}

struct Plan {
    from: Vec<Path>,
    into: Path,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let failure = Failure::load(section, "_mutate_error", load);
    let texts = section.required_strings("from", "\"labels\"");
    let from: Vec<Path> =
        texts.iter().filter_map(|text| path(section, text, Use::Read, load)).collect();
    let into = required_field(section, "into", "\"tags\"", Use::Write, load)?;
    if from.is_empty() || from.len() < texts.len() {
        return None;
    }
    let plan = Arc::new(Plan { from, into, failure });
    Some(Box::new(move || Box::new(Merge { plan: Arc::clone(&plan) })))
}

impl Filter for Merge {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for from in &self.plan.from {
                let Some(added) = batch.get(event, from) else { continue };
                let opened = batch.open(added);
                let added = batch.deep_copy(opened);
                if !self.plan.merge(batch, event, added) {
                    self.plan.failure.mark(batch, event);
                }
            }
        }
    }
}

impl Plan {
    /// Adds a value that belongs to nobody else; `false` where the two do not fit.
    fn merge(&self, batch: &mut Batch, event: usize, added: Value) -> bool {
        let here = batch.get(event, &self.into).filter(|value| *value != Value::Null);
        let Some(here) = here else {
            batch.set(event, &self.into, added);
            return true;
        };
        let merged = match (batch.open(here), added) {
            (Value::Object(into), Value::Object(from)) => {
                for at in 0..batch.object(from).len() {
                    let field = batch.object(from)[at];
                    batch.set_in(into, field.key, field.value);
                }
                Value::Object(into)
            }
            (Value::Object(_), _) | (_, Value::Object(_)) => return false,
            (here, added) => {
                let list = match here {
                    Value::Array(list) => list,
                    single => {
                        let list = batch.new_array();
                        batch.array_mut(list).push(single);
                        list
                    }
                };
                match added {
                    Value::Array(items) => {
                        for at in 0..batch.array(items).len() {
                            let item = batch.array(items)[at];
                            batch.array_mut(list).push(item);
                        }
                    }
                    single => batch.array_mut(list).push(single),
                }
                Value::Array(list)
            }
        };
        batch.set(event, &self.into, merged);
        true
    }
}
