//! A change to the text of a field, or of each text in a list.
//!
//! In: a field and a function from text to text. Out: the field changed. Promises: anything that is
//! not a text stays as it is; a field that the function does not change is not touched.

use crate::event::{Batch, Path, Value};

/// Changes a text: appends the new text to the buffer and says `true`, or says `false`.
pub(super) trait Change {
    /// See [`Change`].
    fn change(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool;
}

impl<F: FnMut(&[u8], &mut Vec<u8>) -> bool> Change for F {
    fn change(&mut self, text: &[u8], out: &mut Vec<u8>) -> bool {
        self(text, out)
    }
}

/// Changes the field at a path; `scratch` is a buffer to work in.
pub(super) fn change_at(
    batch: &mut Batch,
    event: usize,
    path: &Path,
    scratch: &mut Vec<u8>,
    change: &mut impl Change,
) {
    let Some(value) = batch.get(event, path) else { return };
    match value {
        Value::Str(_) | Value::Escaped(_) => {
            if let Some(new) = changed(batch, value, scratch, change) {
                batch.set(event, path, new);
            }
        }
        Value::Array(_) | Value::Json(_) => {
            // Opened apart from the event, and put into it only when something was changed.
            let Value::Array(node) = batch.open(value) else { return };
            let mut any = false;
            for at in 0..batch.array(node).len() {
                let item = batch.array(node)[at];
                if let Some(new) = changed(batch, item, scratch, change) {
                    batch.array_mut(node)[at] = new;
                    any = true;
                }
            }
            if any {
                batch.set(event, path, Value::Array(node));
            }
        }
        _ => {}
    }
}

fn changed(
    batch: &mut Batch,
    value: Value,
    scratch: &mut Vec<u8>,
    change: &mut impl Change,
) -> Option<Value> {
    scratch.clear();
    let is_changed = change.change(&batch.str_bytes(value)?, scratch);
    is_changed.then(|| Value::Str(batch.push_text(scratch)))
}
