//! Filter `urldecode`: texts written as URLs write them (RFC 3986, percent encoding).
//!
//! In: `field` (default `message`), or every field with `all_fields`. Out: the texts, also those of lists and nested
//! objects, decoded: `%41` is `A`, and a plus sign stays one. Promises: a text without percent signs is not touched;
//! what is decoded is UTF-8 (with `charset = "ISO-8859-1"` each byte is one character; a byte that is no character is
//! written `\xD3`, as Logstash does it). On failure: a percent sign without two hexadecimal digits stays as it is.

use std::io::Write as _;
use std::sync::Arc;

use super::named::{flag, source};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Key, Path, Selection, Value};
use crate::settings::Section;

struct UrlDecode {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

struct Plan {
    /// `None`: all fields.
    field: Option<Path>,
    latin: bool,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, Some("message"), load)?;
    let all = flag(section, "all_fields", false);
    let charsets = [("UTF-8", false), ("ISO-8859-1", true)];
    // Logstash's tag for what here cannot fail.
    section.strings("tag_on_failure");
    let latin = section.choice_or("charset", &charsets, false);
    let plan = Arc::new(Plan { field: (!all).then_some(field), latin });
    Some(Box::new(move || Box::new(UrlDecode { plan: Arc::clone(&plan), scratch: Vec::new() })))
}

impl Filter for UrlDecode {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            if let Some(field) = &plan.field {
                let Some(value) = batch.get(event, field) else {
                    batch.events[event].missed = true;
                    continue;
                };
                if let Some(new) = self.decoded(batch, value) {
                    batch.set(event, field, new);
                }
                continue;
            }
            for at in 0..batch.fields(event).len() {
                let field = batch.fields(event)[at];
                if field.key == Key::METADATA {
                    continue;
                }
                if let Some(new) = self.decoded(batch, field.value) {
                    batch.fields_mut(event)[at].value = new;
                }
            }
        }
    }
}

impl UrlDecode {
    /// The decoded value; `None` where nothing changes.
    fn decoded(&mut self, batch: &mut Batch, value: Value) -> Option<Value> {
        match value {
            Value::Str(_) | Value::Escaped(_) => {
                self.scratch.clear();
                let latin = self.plan.latin;
                let text = batch.str_bytes(value)?;
                decode(&text, latin, &mut self.scratch).then_some(())?;
                Some(Value::Str(batch.push_text(&self.scratch)))
            }
            // Text without a percent sign needs no opening.
            Value::Json(span) if memchr::memchr(b'%', batch.bytes(span)).is_none() => None,
            Value::Json(_) | Value::Array(_) | Value::Object(_) => match batch.open(value) {
                opened @ Value::Array(list) => {
                    for at in 0..batch.array(list).len() {
                        let item = batch.array(list)[at];
                        if let Some(new) = self.decoded(batch, item) {
                            batch.array_mut(list)[at] = new;
                        }
                    }
                    Some(opened)
                }
                opened @ Value::Object(node) => {
                    for at in 0..batch.object(node).len() {
                        let member = batch.object(node)[at].value;
                        if let Some(new) = self.decoded(batch, member) {
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

/// Decodes a text; `false` when there is nothing to decode.
fn decode(text: &[u8], latin: bool, out: &mut Vec<u8>) -> bool {
    if memchr::memchr(b'%', text).is_none() {
        return false;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let digit = |n: usize| text.get(at + n).and_then(|b| (*b as char).to_digit(16));
        match (text[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                let byte = (high * 16 + low) as u8;
                if latin {
                    let mut utf8 = [0; 4];
                    let character = char::from(byte).encode_utf8(&mut utf8);
                    bytes.extend_from_slice(character.as_bytes());
                } else {
                    bytes.push(byte);
                }
                at += 3;
            }
            (byte, _, _) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02X}");
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::trial::run;

    #[track_caller]
    fn check(settings: &str, json: &str, expected: &str) {
        let found = run(&format!("[[filters]]\ntype = \"urldecode\"\n{settings}\n"), json);
        assert_eq!(found, expected, "{settings}");
    }

    #[test]
    fn percent_signs_are_decoded_in_texts_lists_and_objects() {
        check(
            "",
            r#"{"message":"a%20b+c%C3%A9%zz%","x":"%41"}"#,
            r#"{"message":"a b+cé%zz%","x":"%41"}"#,
        );
        check(
            "all_fields = true",
            r#"{"a":["%41",1],"b":{"c":"%42"}}"#,
            r#"{"a":["A",1],"b":{"c":"B"}}"#,
        );
        check("source = \"a\"\ncharset = \"ISO-8859-1\"", r#"{"a":"%E9"}"#, r#"{"a":"é"}"#);
        check("", r#"{"message":"a%FF%D3%C3%BB"}"#, r#"{"message":"a\\xFF\\xD3û"}"#);
        check("add_tag = \"x\"", r#"{"a":1}"#, r#"{"a":1}"#);
    }
}
