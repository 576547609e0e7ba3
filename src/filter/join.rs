//! Filter `join`: a list as one text.
//!
//! In: `fields`, `separator`. Out: the items' texts with the separator between them, in the list's
//! place. Promises: what is not a list stays as it is.

use std::sync::Arc;

use super::named::{Use, fields};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::Section;

struct Join {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

struct Plan {
    paths: Vec<Path>,
    separator: String,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let separator = section.required_string("separator", "\",\"");
    let paths = fields(section, Use::Write, load);
    let plan = Arc::new(Plan { paths: paths?, separator: separator?.value });
    Some(Box::new(move || Box::new(Join { plan: Arc::clone(&plan), scratch: Vec::new() })))
}

impl Filter for Join {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for path in &self.plan.paths {
                let Some(value) = batch.get(event, path) else { continue };
                let Value::Array(list) = batch.open(value) else { continue };
                self.scratch.clear();
                for (n, item) in batch.array(list).iter().enumerate() {
                    if n > 0 {
                        self.scratch.extend_from_slice(self.plan.separator.as_bytes());
                    }
                    if *item != Value::Null {
                        batch.write_text(*item, &mut self.scratch);
                    }
                }
                let text = batch.push_text(&self.scratch);
                batch.set(event, path, Value::Str(text));
            }
        }
    }
}
