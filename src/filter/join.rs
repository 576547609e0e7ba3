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
                join_at(batch, event, path, &self.plan.separator, &mut self.scratch);
            }
        }
    }
}

/// Joins the list at a path; `scratch` is a buffer to work in.
pub(super) fn join_at(
    batch: &mut Batch,
    event: usize,
    path: &Path,
    separator: &str,
    scratch: &mut Vec<u8>,
) {
    let Some(value) = batch.get(event, path) else { return };
    let Value::Array(list) = batch.open(value) else { return };
    scratch.clear();
    for (n, item) in batch.array(list).iter().enumerate() {
        if n > 0 {
            scratch.extend_from_slice(separator.as_bytes());
        }
        if *item != Value::Null {
            batch.write_text(*item, scratch);
        }
    }
    let text = batch.push_text(scratch);
    batch.set(event, path, Value::Str(text));
}
