//! `merge`: one field added to another, as Logstash does it.
//!
//! In: two fields. Out: two objects as one, anything else as one list. On failure: an object and something else
//! cannot be merged.

use super::Failed;
use crate::event::{Batch, Path, Value};

/// Adds the field `from` to the field `into`.
pub(super) fn merge(
    batch: &mut Batch,
    event: usize,
    into: &Path,
    from: &Path,
) -> Result<(), Failed> {
    let here = batch.get(event, into).map_or(Value::Null, |value| batch.open(value));
    let added = batch.get(event, from).map_or(Value::Null, |value| batch.open(value));
    let added = batch.deep_copy(added);
    let merged = match (here, added) {
        (Value::Null, Value::Null) => return Ok(()),
        (Value::Object(into), Value::Object(from)) => {
            for at in 0..batch.object(from).len() {
                let field = batch.object(from)[at];
                batch.set_in(into, field.key, field.value);
            }
            here
        }
        (Value::Object(_), _) | (_, Value::Object(_)) => return Err(Failed),
        _ => {
            let list = batch.new_array();
            for part in [here, added] {
                match part {
                    Value::Null => {}
                    Value::Array(items) => {
                        for at in 0..batch.array(items).len() {
                            let item = batch.array(items)[at];
                            batch.array_mut(list).push(item);
                        }
                    }
                    single => batch.array_mut(list).push(single),
                }
            }
            Value::Array(list)
        }
    };
    batch.set(event, into, merged);
    Ok(())
}
