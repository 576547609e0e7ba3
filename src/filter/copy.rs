//! Filter `copy`: a field's value under a second name.
//!
//! In: `fields = { from = "to" }`; `@timestamp` may be copied from, and is a text then.
//! Out: both fields. Promises: a later change to one of them is not seen in the other.

use std::sync::Arc;

use super::named::{Use, pairs};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Span, Value};
use crate::settings::Section;

struct Copy {
    pairs: Arc<Vec<(Path, Path)>>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let pairs = Arc::new(pairs(section, Use::Read, load)?);
    Some(Box::new(move || Box::new(Copy { pairs: Arc::clone(&pairs) })))
}

impl Filter for Copy {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for (from, to) in &*self.pairs {
                if let Some(value) = read(batch, event, from) {
                    batch.set(event, to, value);
                }
            }
        }
    }
}

/// The value to copy; it belongs to nobody else.
pub(super) fn read(batch: &mut Batch, event: usize, from: &Path) -> Option<Value> {
    if from.is_timestamp() {
        let start = batch.text.len();
        let time_ns = batch.events[event].time_ns;
        crate::timestamp::write_iso8601_ms(time_ns, &mut batch.text);
        return Some(Value::Str(Span::new(start, batch.text.len())));
    }
    let value = batch.get(event, from)?;
    Some(batch.deep_copy(value))
}
