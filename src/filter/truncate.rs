//! Filter `truncate`: long texts cut to a number of bytes.
//!
//! In: `length_bytes`, `fields` (default: all). Out: the texts, also those of lists and nested objects, with so many
//! bytes at most. Promises: a character is never cut in two, so that a text may be a few bytes shorter; what is no
//! text stays. On failure: nothing can fail.

use std::sync::Arc;

use super::named::{Use, fields};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Key, Path, Selection, Value};
use crate::settings::Section;

struct Truncate {
    plan: Arc<Plan>,
}

struct Plan {
    /// None: all fields.
    fields: Vec<Path>,
    length: usize,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    if !section.has("length_bytes") {
        section.missing("length_bytes", "1024");
    }
    let length = section.integer("length_bytes", 0..1 << 30);
    let named = section.has("fields") | section.has("field");
    let fields = if named { fields(section, Use::Write, load)? } else { Vec::new() };
    let plan = Arc::new(Plan { fields, length: length? as usize });
    Some(Box::new(move || Box::new(Truncate { plan: Arc::clone(&plan) })))
}

impl Filter for Truncate {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for path in &self.plan.fields {
                let Some(value) = batch.get(event, path) else { continue };
                if let Some(new) = self.plan.cut(batch, value) {
                    batch.set(event, path, new);
                }
            }
            if !self.plan.fields.is_empty() {
                continue;
            }
            for at in 0..batch.fields(event).len() {
                let field = batch.fields(event)[at];
                if field.key == Key::METADATA {
                    continue;
                }
                if let Some(new) = self.plan.cut(batch, field.value) {
                    batch.fields_mut(event)[at].value = new;
                }
            }
        }
    }
}

impl Plan {
    /// The cut value; `None` where nothing changes.
    fn cut(&self, batch: &mut Batch, value: Value) -> Option<Value> {
        match value {
            Value::Str(span) => {
                let text = batch.bytes(span);
                if text.len() <= self.length {
                    return None;
                }
                let inner = |at: &usize| text[*at] & 0xC0 != 0x80;
                let end = (0..=self.length).rev().find(inner).unwrap_or(0);
                Some(Value::Str(span.part(0, end)))
            }
            Value::Escaped(span) if span.len as usize > self.length => {
                let plain = batch.unescape(value);
                self.cut(batch, plain).or(Some(plain))
            }
            Value::Json(span) if span.len as usize <= self.length => None,
            Value::Json(_) | Value::Array(_) | Value::Object(_) => match batch.open(value) {
                opened @ Value::Array(list) => {
                    for at in 0..batch.array(list).len() {
                        let item = batch.array(list)[at];
                        if let Some(new) = self.cut(batch, item) {
                            batch.array_mut(list)[at] = new;
                        }
                    }
                    Some(opened)
                }
                opened @ Value::Object(node) => {
                    for at in 0..batch.object(node).len() {
                        let member = batch.object(node)[at].value;
                        if let Some(new) = self.cut(batch, member) {
                            batch.object_mut(node)[at].value = new;
                        }
                    }
                    Some(opened)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    #[track_caller]
    fn check(settings: &str, json: &str, expected: &str) {
        let found = run(&format!("[[filters]]\ntype = \"truncate\"\n{settings}\n"), json);
        assert_eq!(found, expected, "{settings}");
    }

    #[test]
    fn texts_are_cut_between_characters() {
        check(
            "length_bytes = 2",
            r#"{"a":"aé","b":["xyz",123],"c":{"d":"x\nz"}}"#,
            r#"{"a":"a","b":["xy",123],"c":{"d":"x\n"}}"#,
        );
        check(
            "length_bytes = 2\nfields = [\"a\", \"no\"]",
            r#"{"a":"abc","b":"abc"}"#,
            r#"{"a":"ab","b":"abc"}"#,
        );
        assert!(problems("[[filters]]\ntype = \"truncate\"").contains("`length_bytes` is missing"));
    }
}
