//! Filter `convert`: fields as another type.
//!
//! In: `fields = { a = "int", b = "float", c = "bool", d = "string", e = "int_eu" }`. Out: the
//! fields, and the items of lists, as numbers, true or false, or texts. As Logstash's `mutate`
//! does it: `1,234.5` is a number (with `_eu`: `1.234,5`), a fraction is cut off for `int`,
//! `true t yes y 1 1.0` and `false f no n 0 0.0` and the empty text are true and false in any case.
//! Promises: an absent field, null and an object stay as they are.
//! On failure: a text that is no number keeps its value (it does not become 0); the event gets the
//! tag `_mutate_error` and is counted.

use std::sync::Arc;

use super::named::{Use, path};
use super::{Filter, FilterLoad, Make, counters};
use crate::diagnostic::did_you_mean;
use crate::event::{Batch, Path, Selection, Value};
use crate::metrics::Counter;
use crate::settings::{Literal, Section};

struct Convert {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

struct Plan {
    entries: Vec<(Path, Kind)>,
    failures: Counter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    IntEu,
    Float,
    FloatEu,
    Bool,
    Text,
}

const KINDS: &[(&str, Kind)] = &[
    ("int", Kind::Int),
    ("integer", Kind::Int),
    ("float", Kind::Float),
    ("bool", Kind::Bool),
    ("boolean", Kind::Bool),
    ("string", Kind::Text),
    ("int_eu", Kind::IntEu),
    ("integer_eu", Kind::IntEu),
    ("float_eu", Kind::FloatEu),
];

/// A value that cannot be made into the type.
struct Misfit;

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let Some(fields) = section.entries("fields") else {
        if !section.has("fields") {
            section.missing("fields", "{ bytes = \"int\" }");
        }
        return None;
    };
    let mut entries = Vec::new();
    for (name, item) in fields {
        let word = match &item.literal {
            Literal::String(word) => word.as_str(),
            other => other.kind(),
        };
        let kind = KINDS.iter().find(|(known, _)| *known == word).map(|(_, kind)| *kind);
        if kind.is_none() {
            let names = ["int", "float", "bool", "string", "int_eu", "float_eu"];
            let hint = match did_you_mean(word, names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write one of: {}", names.join(", ")),
            };
            let message = match &item.literal {
                Literal::String(_) => format!("there is no type \"{word}\" to convert to"),
                other => format!("a type in quotes expected, but found {}", other.kind()),
            };
            section.error(item.span.clone(), message, Some(hint));
        }
        entries.extend(path(section, name, Use::Write, load).zip(kind));
    }
    let (_, failures) = counters(section, load);
    if entries.len() < fields.len() {
        return None;
    }
    let plan = Arc::new(Plan { entries, failures });
    Some(Box::new(move || Box::new(Convert { plan: Arc::clone(&plan), scratch: Vec::new() })))
}

impl Filter for Convert {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for (path, kind) in &self.plan.entries {
                let Some(value) = batch.get(event, path) else { continue };
                let converted = convert_all(batch, value, *kind, &mut self.scratch);
                match converted {
                    Ok(new) if new != value => batch.set(event, path, new),
                    Ok(_) => {}
                    Err(Misfit) => {
                        batch.add_tag(event, "_mutate_error");
                        self.plan.failures.increment();
                    }
                }
            }
        }
    }
}

/// A value, or each item of a list, converted.
fn convert_all(
    batch: &mut Batch,
    value: Value,
    kind: Kind,
    scratch: &mut Vec<u8>,
) -> Result<Value, Misfit> {
    match batch.open(value) {
        Value::Array(list) => {
            let mut result = Ok(Value::Array(list));
            for at in 0..batch.array(list).len() {
                let item = batch.array(list)[at];
                match convert(batch, item, kind, scratch) {
                    Ok(new) => batch.array_mut(list)[at] = new,
                    Err(misfit) => result = Err(misfit),
                }
            }
            result
        }
        Value::Object(_) => Ok(value),
        scalar => convert(batch, scalar, kind, scratch),
    }
}

fn convert(
    batch: &mut Batch,
    value: Value,
    kind: Kind,
    scratch: &mut Vec<u8>,
) -> Result<Value, Misfit> {
    if matches!(value, Value::Null | Value::Object(_) | Value::Array(_)) {
        return Ok(value);
    }
    if kind == Kind::Text {
        if matches!(value, Value::Str(_) | Value::Escaped(_)) {
            return Ok(value);
        }
        scratch.clear();
        batch.write_text(value, scratch);
        return Ok(Value::Str(batch.push_text(scratch)));
    }
    scratch.clear();
    batch.write_text(value, scratch);
    let text = std::str::from_utf8(scratch).map_err(|_| Misfit)?;
    let european = matches!(kind, Kind::IntEu | Kind::FloatEu)
        && matches!(value, Value::Str(_) | Value::Escaped(_));
    match (kind, value) {
        (Kind::Bool, _) => boolean(text),
        (Kind::Int | Kind::IntEu, Value::Bool(b)) => Ok(Value::Int(i64::from(b))),
        (_, Value::Bool(b)) => Ok(Value::Float(f64::from(u8::from(b)))),
        (Kind::Int | Kind::IntEu, Value::Int(_)) | (_, Value::Float(_))
            if kind_keeps(kind, value) =>
        {
            Ok(value)
        }
        _ => {
            let number = plain_number(text, european).ok_or(Misfit)?;
            if matches!(kind, Kind::Int | Kind::IntEu) { whole(&number) } else { fraction(&number) }
        }
    }
}

fn kind_keeps(kind: Kind, value: Value) -> bool {
    matches!(value, Value::Int(_)) == matches!(kind, Kind::Int | Kind::IntEu)
}

fn boolean(text: &str) -> Result<Value, Misfit> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "t", "yes", "y", "1", "1.0"]) {
        return Ok(Value::Bool(true));
    }
    if is(&["false", "f", "no", "n", "0", "0.0", ""]) {
        return Ok(Value::Bool(false));
    }
    Err(Misfit)
}

/// A number without the separators between its thousands; `None` for what is no number.
fn plain_number(text: &str, european: bool) -> Option<String> {
    let (thousands, point) = if european { ('.', ',') } else { (',', '.') };
    let plain: String = text
        .trim()
        .chars()
        .filter(|c| *c != thousands)
        .map(|c| if c == point { '.' } else { c })
        .collect();
    let digits = plain.trim_start_matches(['-', '+']);
    // Rust also reads words such as `inf` and `nan`.
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    begins.then_some(plain)
}

fn whole(number: &str) -> Result<Value, Misfit> {
    if let Ok(n) = number.parse::<i64>() {
        return Ok(Value::Int(n));
    }
    let float = number.parse::<f64>().map_err(|_| Misfit)?.trunc();
    // The bounds are exact powers of two, so that the comparison is, too.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    if fits { Ok(Value::Int(float as i64)) } else { Err(Misfit) }
}

fn fraction(number: &str) -> Result<Value, Misfit> {
    let float = number.parse::<f64>().map_err(|_| Misfit)?;
    if float.is_finite() { Ok(Value::Float(float)) } else { Err(Misfit) }
}
