//! Filter `bytes`: a text such as `3.5 MB` as a number of bytes.
//!
//! In: `source` (default `message`), a number and perhaps a unit from `B` to `PB`, in any letters. Out: the number in
//! `target` (default: the same field), whole where it can be. Promises: a unit is 1024 times the one before, or
//! 1000 times with `conversion_method = "metric"`. On failure: what is no size gives the tag `_bytesparsefailure`; an
//! absent field changes nothing.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{source, target};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::Section;

/// Up to here a float tells all whole numbers apart.
const WHOLE_MAX: f64 = (1_i64 << f64::MANTISSA_DIGITS) as f64;

struct Bytes {
    plan: Arc<Plan>,
    text: Vec<u8>,
}

struct Plan {
    field: Path,
    target: Path,
    /// What a unit is of the one before.
    step: i64,
    point: String,
    between: String,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, Some("message"), load);
    let target = target(section, load);
    let steps = [("binary", 1024), ("metric", 1000)];
    let step = section.choice_or("conversion_method", &steps, 1024);
    let step = section.choice_or("prefix_system", &steps, step);
    let point = section.string_or("decimal_separator", ".");
    let between = section.string_or("digit_group_separator", " ");
    let failure = Failure::load(section, "_bytesparsefailure", load);
    if point.value == between.value {
        let hint = "write for example decimal_separator = \",\" and digit_group_separator = \".\"";
        let message = "digits are grouped with the same sign that fractions begin with";
        section.error(between.span, message, Some(hint.into()));
        return None;
    }
    let field = field?;
    let target = target?.unwrap_or_else(|| field.clone());
    let plan = Plan { field, target, step, point: point.value, between: between.value, failure };
    let plan = Arc::new(plan);
    Some(Box::new(move || Box::new(Bytes { plan: Arc::clone(&plan), text: Vec::new() })))
}

impl Filter for Bytes {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Bytes { plan, text } = self;
        for event in selected.iter() {
            let Some(value) = batch.get(event, &plan.field) else {
                batch.events[event].missed = true;
                continue;
            };
            text.clear();
            batch.write_text(value, text);
            match std::str::from_utf8(text).ok().and_then(|text| plan.size(text)) {
                Some(size) => batch.set(event, &plan.target, size),
                None => plan.failure.mark(batch, event),
            }
        }
    }
}

impl Plan {
    fn size(&self, text: &str) -> Option<Value> {
        let text = text.trim();
        let letters = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(letters);
        let mut number = number.trim().to_string();
        if !self.between.is_empty() {
            number = number.replace(&self.between, "");
        }
        number = number.replace(&self.point, ".");
        let times = self.times(unit)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return None;
        }
        let whole = number.parse::<i64>().ok().and_then(|number| number.checked_mul(times));
        match whole {
            Some(size) => Some(Value::Int(size)),
            None => number.parse().ok().map(|number: f64| whole_or_not(number * times as f64)),
        }
    }

    fn times(&self, unit: &str) -> Option<i64> {
        let unit = unit.to_ascii_lowercase();
        let prefix = unit.strip_suffix('b').unwrap_or(&unit);
        let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == prefix)?;
        self.step.checked_pow(power as u32)
    }
}

/// A size; a fraction of a unit may be a whole number of bytes.
fn whole_or_not(size: f64) -> Value {
    if size.fract() == 0.0 && size < WHOLE_MAX {
        return Value::Int(size as i64);
    }
    Value::Float(size)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    #[test]
    fn sizes_become_numbers() {
        let check = |settings: &str, text: &str, expected: &str| {
            let filter = format!("[[filters]]\ntype = \"bytes\"\nsource = \"s\"\n{settings}\n");
            let found = run(&filter, &format!("{{\"s\":\"{text}\"}}"));
            assert_eq!(found, format!("{{\"s\":{expected}}}"), "{text}");
        };
        check("", "123", "123");
        check("", "12.3", "12.3");
        check("", "32.5B", "32.5");
        check("", "32 kB", "32768");
        check("", " 1.5gb ", "1610612736");
        check("", "2PB", "2251799813685248");
        check("conversion_method = \"metric\"", "32mb", "32000000");
        check("prefix_system = \"metric\"", "1T", "1000000000000");
        check("digit_group_separator = \",\"", "3,215 kb", "3292160");
        check("decimal_separator = \",\"", "1 234,5 kb", "1264128");
        for none in ["", "mb", "abc", "1.2.3", "-1kb", "5 xb"] {
            let tagged = format!("\"{none}\",\"tags\":[\"_bytesparsefailure\"]");
            check("", none, &tagged);
        }
        let number = "[[filters]]\ntype = \"bytes\"\ntarget = \"n\"\n";
        assert_eq!(run(number, r#"{"message":7}"#), r#"{"message":7,"n":7}"#);
        assert_eq!(run(number, r#"{"a":7}"#), r#"{"a":7}"#);
        let same = format!("{number}digit_group_separator = \".\"");
        assert!(problems(&same).contains("grouped with the same sign"));
    }
}
