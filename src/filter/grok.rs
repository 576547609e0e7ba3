//! Filter `grok`: fields from a text by named patterns.
//!
//! In: a text (a number counts as one) and patterns such as `%{IP:client} %{WORD:method}`, or with `match` several
//! fields with patterns. Out: a field for each capture. Promises: captures
//! are spans of the text, nothing is copied; patterns are tried in the order written, the first that matches counts
//! (all of them with `break_on_match = false`); a field that exists becomes a list, as in Logstash, unless it is
//! named in `overwrite`. On failure: an event that no pattern matches (or that lacks the field) gets the tag
//! `_grokparsefailure`, one whose text takes too long `_groktimeout`; it goes on unchanged.

use std::sync::Arc;

use super::{Filter, FilterLoad, Make, counters};
use crate::event::{Batch, Field, Keys, Path, Selection, Span, Value};
use crate::grok::{Ecs, Grok, Kind, Match, Options, Outcome, Scratch};
use crate::metrics::Counter;
use crate::settings::{Literal, Section};

mod settings;

struct GrokFilter {
    plan: Arc<Plan>,
    scratch: Scratch,
}

struct Plan {
    /// Fields and their patterns, in the order written.
    matchers: Vec<(Path, Matcher)>,
    break_on_match: bool,
    tags: Vec<String>,
    timeout_tag: String,
    failures: Counter,
}

/// Patterns and where their captures go.
pub struct Matcher {
    grok: Grok,
    captures: Vec<Capture>,
    patterns: usize,
    break_on_match: bool,
}

/// Where a capture goes.
struct Capture {
    path: Path,
    kind: Kind,
    overwrite: bool,
}

/// What became of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// A pattern matched; the fields are set.
    Matched,
    /// None did.
    Failed,
    /// One took too long to tell, and none of the others matched.
    TimedOut,
}

pub(super) use settings::load;

impl Filter for GrokFilter {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            match self.try_event(&plan, batch, event) {
                Tried::Matched => continue,
                Tried::Failed => plan.tags.iter().for_each(|tag| batch.add_tag(event, tag)),
                Tried::TimedOut => batch.add_tag(event, &plan.timeout_tag),
            }
            batch.events[event].missed = true;
            plan.failures.increment();
        }
    }
}

impl GrokFilter {
    fn try_event(&mut self, plan: &Plan, batch: &mut Batch, event: usize) -> Tried {
        let mut tried = Tried::Failed;
        for (field, matcher) in &plan.matchers {
            match self.try_field(matcher, batch, event, field) {
                Tried::Matched if plan.break_on_match => return Tried::Matched,
                Tried::Failed => {}
                other if tried != Tried::Matched => tried = other,
                _ => {}
            }
        }
        tried
    }

    fn try_field(
        &mut self,
        matcher: &Matcher,
        batch: &mut Batch,
        event: usize,
        field: &Path,
    ) -> Tried {
        if let Some(text) = batch.plain_str(event, field) {
            return matcher.apply(&mut self.scratch, batch, event, text);
        }
        let Some(value) = batch.get(event, field) else { return Tried::Failed };
        let Value::Array(items) = batch.open(value) else {
            let Some(text) = text_of(batch, value) else { return Tried::Failed };
            return matcher.apply(&mut self.scratch, batch, event, text);
        };
        let mut tried = Tried::Failed;
        for at in 0..batch.array(items).len() {
            let item = batch.array(items)[at];
            if let Some(text) = text_of(batch, item)
                && matcher.apply(&mut self.scratch, batch, event, text) == Tried::Matched
            {
                tried = Tried::Matched;
            }
        }
        tried
    }
}

impl Matcher {
    /// Compiled patterns whose captures go to the fields that they name, below `target` where there is one.
    pub fn new(
        grok: Grok,
        patterns: usize,
        target: Option<&Path>,
        overwrite: &[String],
        keys: &mut Keys,
    ) -> Self {
        let mut captures = Vec::new();
        for field in grok.fields() {
            let mut names: Vec<&str> = Vec::new();
            if let Some(target) = target {
                names.extend(target.segments().iter().map(|s| &*s.name));
            }
            names.extend(field.path.iter().map(String::as_str));
            let path = Path::from_names(&names, keys);
            let own = Path::from_names(&field.path, keys);
            let is_it = |name: &String| name == path.as_str() || name == own.as_str();
            let overwrite = overwrite.iter().any(is_it);
            captures.push(Capture { path, kind: field.kind, overwrite });
        }
        Matcher { grok, captures, patterns, break_on_match: true }
    }

    /// Tries the patterns on a text of the batch and sets the event's fields.
    pub fn apply(
        &self,
        scratch: &mut Scratch,
        batch: &mut Batch,
        event: usize,
        text: Span,
    ) -> Tried {
        let mut tried = Tried::Failed;
        let mut from = 0;
        while from < self.patterns {
            match self.grok.find_from(scratch, batch.bytes(text), from) {
                Outcome::NoMatch => break,
                Outcome::LimitHit { pattern } => {
                    if tried == Tried::Failed {
                        tried = Tried::TimedOut;
                    }
                    from = pattern + 1;
                }
                Outcome::Match(found) => {
                    tried = Tried::Matched;
                    self.set_captures(&found, scratch, batch, (event, text));
                    if self.break_on_match {
                        break;
                    }
                    from = found.pattern + 1;
                }
            }
        }
        tried
    }

    fn set_captures(
        &self,
        found: &Match,
        scratch: &Scratch,
        batch: &mut Batch,
        (event, text): (usize, Span),
    ) {
        for capture in self.grok.captures(found, scratch) {
            let target = &self.captures[capture.field];
            let span = text.part(capture.start, capture.end);
            let value = typed(target.kind, span, batch.bytes(span));
            if target.overwrite {
                batch.set(event, &target.path, value);
            } else {
                add(batch, event, &target.path, value);
            }
        }
    }
}

/// A value as text; `None`: it has none.
fn text_of(batch: &mut Batch, value: Value) -> Option<Span> {
    match batch.unescape(value) {
        Value::Str(text) => Some(text),
        // A number with a fraction stays the text that it was read as.
        Value::Json(span) if !matches!(batch.bytes(span), [b'{' | b'[', ..]) => Some(span),
        number @ (Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
            let mut text = Vec::new();
            batch.write_text(number, &mut text);
            Some(batch.push_text(&text))
        }
        _ => None,
    }
}

/// Sets a field, or makes a list of what is there and the new value.
fn add(batch: &mut Batch, event: usize, path: &Path, value: Value) {
    let list = match batch.get(event, path) {
        Some(old @ (Value::Str(_) | Value::Escaped(_))) => {
            let list = batch.new_array();
            batch.array_mut(list).push(old);
            list
        }
        Some(old @ (Value::Array(_) | Value::Json(_))) => match batch.open(old) {
            Value::Array(list) => list,
            _ => return batch.set(event, path, value),
        },
        None if path.segments().len() == 1 && !path.is_timestamp() => {
            return batch.push_root(event, Field { key: path.root(), value });
        }
        _ => return batch.set(event, path, value),
    };
    batch.array_mut(list).push(value);
    batch.set(event, path, Value::Array(list));
}

fn typed(kind: Kind, span: Span, text: &[u8]) -> Value {
    match kind {
        Kind::String => Value::Str(span),
        Kind::Int => integer(text).map_or(Value::Str(span), Value::Int),
        Kind::Float => float(text).map_or(Value::Str(span), Value::Float),
        Kind::Bool => match text {
            b"true" | b"1" => Value::Bool(true),
            b"false" | b"0" => Value::Bool(false),
            _ => Value::Str(span),
        },
    }
}

/// The number that the text begins with, as Ruby's `to_i` reads it; `None` where it does not fit 64 bits.
fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let mut number: i64 = 0;
    for digit in digits.iter().take_while(|b| b.is_ascii_digit()) {
        number = number.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(number) } else { number.checked_neg() }
}

fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: f64 = text.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests;
