//! Filter `convert`: fields as another type.
//!
//! In: `fields = { a = "int", b = "float", c = "bool", d = "string", e = "int_eu" }`. Out: the
//! fields, and the items of lists, as numbers, true or false, or texts. As Logstash's `mutate`
//! does it: `1,234.5` is a number (with `_eu`: `1.234,5`), a fraction is cut off for `int`,
//! `true t yes y 1 1.0` and `false f no n 0 0.0` and the empty text are true and false in any case.
//! Promises: an absent field, null and an object stay as they are, and a value that is neither true nor false.
//! On failure: a text that is no number keeps its value (it does not become 0); the event gets the
//! tag `_mutate_error` and is counted.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{Use, path};
use super::{Filter, FilterLoad, Make};
use crate::diagnostic::did_you_mean;
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::{Item, Literal, Section};

struct Convert {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

struct Plan {
    entries: Vec<(Path, Kind)>,
    failure: Failure,
}

/// What a field becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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

/// A value that is no number.
pub(super) struct Misfit;

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let failure = Failure::load(section, "_mutate_error", load);
    let Some(fields) = section.entries("fields") else {
        if !section.has("fields") {
            section.missing("fields", "{ bytes = \"int\" }");
        }
        return None;
    };
    let mut entries = Vec::new();
    for (name, item) in fields {
        let kind = kind(section, item);
        entries.extend(path(section, name, Use::Write, load).zip(kind));
    }
    if entries.len() < fields.len() {
        return None;
    }
    let plan = Arc::new(Plan { entries, failure });
    Some(Box::new(move || Box::new(Convert { plan: Arc::clone(&plan), scratch: Vec::new() })))
}

/// The type that an entry names; what is wrong is reported.
pub(super) fn kind(section: &Section<'_>, item: &Item) -> Option<Kind> {
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
    kind
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
                    Err(Misfit) => self.plan.failure.mark(batch, event),
                }
            }
        }
    }
}

/// A value, or each item of a list, converted.
pub(super) fn convert_all(
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
        // As in Logstash, a value that says neither is left as it is.
        (Kind::Bool, _) => Ok(boolean(text).map_or(value, Value::Bool)),
        (Kind::Int | Kind::IntEu, Value::Bool(b)) => Ok(Value::Int(i64::from(b))),
        (_, Value::Bool(b)) => Ok(Value::Float(f64::from(u8::from(b)))),
        (Kind::Int | Kind::IntEu, Value::Int(_)) | (_, Value::Float(_))
            if kind_keeps(kind, value) =>
        {
            Ok(value)
        }
        _ => {
            let is_whole = matches!(kind, Kind::Int | Kind::IntEu);
            if let Some(number) = hexadecimal(text) {
                return Ok(match number {
                    Hexadecimal::Whole(number) if is_whole => Value::Int(number),
                    Hexadecimal::Whole(number) => Value::Float(number as f64),
                    Hexadecimal::Fraction(number) if is_whole => Value::Int(number as i64),
                    Hexadecimal::Fraction(number) => Value::Float(number),
                });
            }
            let number = plain_number(text, european).ok_or(Misfit)?;
            if is_whole { whole(batch, &number) } else { fraction(&number) }
        }
    }
}

fn kind_keeps(kind: Kind, value: Value) -> bool {
    matches!(value, Value::Int(_)) == matches!(kind, Kind::Int | Kind::IntEu)
}

fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "t", "yes", "y", "1", "1.0"]) {
        return Some(true);
    }
    if is(&["false", "f", "no", "n", "0", "0.0", ""]) {
        return Some(false);
    }
    None
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

/// A number written with sixteen digits.
enum Hexadecimal {
    Whole(i64),
    Fraction(f64),
}

/// `0x1F`, with a sign or without; `0x1.8p+1` (C99: the exponent is one of two).
fn hexadecimal(text: &str) -> Option<Hexadecimal> {
    let text = text.trim();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    if digits.starts_with(['+', '-']) {
        return None;
    }
    if let Ok(number) = i64::from_str_radix(digits, 16) {
        return Some(Hexadecimal::Whole(sign * number));
    }
    let (digits, exponent) = match digits.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{before}{after}");
    let number = u64::from_str_radix(&all, 16).ok().filter(|_| !all.starts_with('+'))? as f64;
    let places = i32::try_from(after.len()).ok()?.checked_mul(4)?;
    let number = f64::from(sign as i32) * number * 2_f64.powi(exponent.checked_sub(places)?);
    (number.abs() < 9.0e18).then_some(Hexadecimal::Fraction(number))
}

/// The most digits that a whole number may have.
const WHOLE_DIGITS_MAX: usize = 400;

/// A whole number of any length, a fraction cut off; one that no integer holds goes on as it is written.
fn whole(batch: &mut Batch, number: &str) -> Result<Value, Misfit> {
    if let Ok(n) = number.parse::<i64>() {
        return Ok(Value::Int(n));
    }
    number.parse::<f64>().map_err(|_| Misfit)?;
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i64>().map_err(|_| Misfit)?),
        None => (digits, 0),
    };
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let length = (before.len() as i64).saturating_add(exponent);
    if length > WHOLE_DIGITS_MAX as i64 || digits.len() > WHOLE_DIGITS_MAX {
        return Err(Misfit);
    }
    let mut plain = format!("{before}{after}");
    let length = usize::try_from(length).unwrap_or(0);
    plain.extend(std::iter::repeat_n('0', length.saturating_sub(plain.len())));
    plain.truncate(length);
    let plain = plain.trim_start_matches('0');
    if plain.is_empty() {
        return Ok(Value::Int(0));
    }
    let text = format!("{sign}{plain}");
    Ok(match text.parse() {
        Ok(number) => Value::Int(number),
        Err(_) => Value::Json(batch.push_text(text.as_bytes())),
    })
}

fn fraction(number: &str) -> Result<Value, Misfit> {
    let float = number.parse::<f64>().map_err(|_| Misfit)?;
    if float.is_finite() { Ok(Value::Float(float)) } else { Err(Misfit) }
}
