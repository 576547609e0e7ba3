//! Filter `rename`: fields under another name.
//!
//! In: `fields = { old = "new", "a.b" = "c.d" }`. Out: the value at the new name, in the order
//! written. Promises: an absent field changes nothing; what the new name held before is replaced.

use std::sync::Arc;

use super::named::{Use, pairs};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection};
use crate::settings::Section;

struct Rename {
    pairs: Arc<Vec<(Path, Path)>>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let pairs = Arc::new(pairs(section, Use::Write, load)?);
    Some(Box::new(move || Box::new(Rename { pairs: Arc::clone(&pairs) })))
}

impl Filter for Rename {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for (from, to) in &*self.pairs {
                if let Some(value) = batch.remove(event, from) {
                    batch.set(event, to, value);
                }
            }
        }
    }
}
