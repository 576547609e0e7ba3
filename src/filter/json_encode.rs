//! Filter `json_encode`: a field's value as a text that holds JSON.
//!
//! In: `source`. Out: its value as JSON without blanks, in `target` (default: the field itself). Promises: a text
//! becomes a JSON string; what `json` reads back is the value. On failure: nothing can fail; an absent field changes
//! nothing.

use std::sync::Arc;

use super::named::{source, target};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::Section;
use crate::timestamp::write_iso8601_ms;

struct JsonEncode {
    plan: Arc<Plan>,
    out: Vec<u8>,
    dense: Vec<u8>,
}

struct Plan {
    field: Path,
    target: Path,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let target = target(section, load);
    let field = field?;
    let target = target?.unwrap_or_else(|| field.clone());
    let plan = Arc::new(Plan { field, target });
    Some(Box::new(move || {
        let plan = Arc::clone(&plan);
        Box::new(JsonEncode { plan, out: Vec::new(), dense: Vec::new() })
    }))
}

impl Filter for JsonEncode {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let JsonEncode { plan, out, dense } = self;
        for event in selected.iter() {
            out.clear();
            if plan.field.is_timestamp() {
                out.push(b'"');
                write_iso8601_ms(batch.events[event].time_ns, out);
                out.push(b'"');
            } else if let Some(value) = batch.get(event, &plan.field) {
                batch.write_json(value, out);
            } else {
                batch.events[event].missed = true;
                continue;
            }
            write_dense(out, dense);
            let text = batch.push_text(dense);
            batch.set(event, &plan.target, Value::Str(text));
        }
    }
}

/// JSON without the blanks between its parts.
fn write_dense(json: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        if in_text || !byte.is_ascii_whitespace() {
            out.push(*byte);
        }
        match byte {
            b'"' if !escaped => in_text = !in_text,
            _ => {}
        }
        escaped = in_text && *byte == b'\\' && !escaped;
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::run;

    #[test]
    fn a_value_becomes_json_without_blanks() {
        let own = "[[filters]]\ntype = \"json_encode\"\nsource = \"a\"\n";
        let check = |text: &str, json: &str, expected: &str| assert_eq!(run(text, json), expected);
        check(own, r#"{"a": {"b": [1, "x \" y"]}}"#, r#"{"a":"{\"b\":[1,\"x \\\" y\"]}"}"#);
        check(own, r#"{"a":"x\\"}"#, r#"{"a":"\"x\\\\\""}"#);
        check(own, r#"{"a":null}"#, r#"{"a":"null"}"#);
        let other = format!("{own}target = \"[t][u]\"\nadd_tag = \"done\"\n");
        check(&other, r#"{"a":1.5}"#, r#"{"a":1.5,"t":{"u":"1.5"},"tags":["done"]}"#);
        check(&other, r#"{"b":1}"#, r#"{"b":1}"#);
    }
}
