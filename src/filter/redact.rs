//! Filter `redact`: secrets replaced wherever they stand.
//!
//! In: `keys` (names of secrets), `patterns` (regular expressions; with a group `secret` only
//! that part), `detect` (known kinds of secrets), `fields` (default: all), `replacement` (default `***`).
//! Out: every text of the event without them: of fields, of lists, of objects, of raw JSON.
//!
//! A key is a name, or the end of a longer one, in any case, `-` and `_` in it or not. A field of
//! that name loses its whole value; in a text the value behind it goes: `key=value`, `key: value`,
//! `"key":"value"`, also escaped once more (`\"key\":\"value\"`) or URL-encoded (`key%3Dvalue`).
//! Promises: what is replaced is never less than what a rule names; where rules overlap, all they
//! name goes; raw JSON stays JSON; names of fields stay; time is linear in the text. A text without
//! anything that could be a secret costs one search and is not copied.
//! On failure: nothing can fail; what is wrong with the settings is said with its place. A secret
//! that stands in two events, such as a key of many lines that were not joined, is not recognised.

use std::sync::Arc;

use super::named::{Use, fields};
use super::{Filter, FilterLoad, Make, counters};
use crate::diagnostic::did_you_mean;
use crate::event::{Batch, NodeId, Path, Selection, Span, Value, decode_escapes};
use crate::metrics::Counter;
use crate::pattern::{Flags, compile};
use crate::settings::Section;

mod checksum;
mod detect;
mod extent;
mod keys;
mod ranges;
mod raw;
mod rules;

use rules::{Rules, Work};

struct Redact {
    plan: Arc<Plan>,
    work: Work,
    plain: Vec<u8>,
    out: Vec<u8>,
}

struct Plan {
    rules: Rules,
    /// `None`: all.
    fields: Option<Vec<Path>>,
    replaced: Counter,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let names = section.strings("keys").unwrap_or_default();
    let detect = section.strings("detect").unwrap_or_default();
    let mut rules = Rules::new(section.string_or("replacement", "***").value);
    let mut faulty = false;
    for text in section.strings("patterns").unwrap_or_default() {
        match compile(&text, Flags::default()) {
            Ok(pattern) => rules.add_pattern(pattern),
            Err(error) => {
                section.error_within(&text, error);
                faulty = true;
            }
        }
    }
    for word in &detect {
        if let Some(kind) = detect::find(word) {
            rules.add_detector(kind);
            continue;
        }
        let known = detect::NAMES;
        let hint = match did_you_mean(word, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("known are: {}", known.join(", ")),
        };
        let message = format!("there is no detector \"{}\"", word.value);
        section.error(word.span.clone(), message, Some(hint));
        faulty = true;
    }
    for name in &names {
        if name.chars().all(|c| matches!(c, '-' | '_') || c.is_whitespace()) {
            let hint = "write the name of a secret, such as \"password\"";
            section.error(name.span.clone(), "this key is no name", Some(hint.into()));
            faulty = true;
        }
    }
    let limited = section.has("fields") || section.has("field");
    let fields = if limited { Some(fields(section, Use::Write, load)) } else { None };
    let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
    if faulty || !load_keys(section, &mut rules, &names) {
        return None;
    }
    let fields = match fields {
        Some(fields) => Some(fields?),
        None => None,
    };
    let any = !rules.is_empty();
    if !any {
        let hint = "write keys = [\"password\", \"token\"], detect = [\"jwt\"] or patterns";
        section.error(section.span(), "`redact` has nothing to look for", Some(hint.into()));
    }
    let _ = counters(section, load);
    let help = "Values in which `redact` replaced something.";
    let name = section.string("id").or_else(|| section.string("type"));
    let name = name.map_or_else(|| "redact".to_string(), |name| name.value);
    let replaced =
        load.metrics.with("filter", &name).counter("logweir_redacted_values_total", help);
    let plan = Arc::new(Plan { rules, fields, replaced });
    let make: Make = Box::new(move || {
        let work = Work::default();
        Box::new(Redact { plan: Arc::clone(&plan), work, plain: Vec::new(), out: Vec::new() })
    });
    any.then_some(make)
}

fn load_keys(section: &Section<'_>, rules: &mut Rules, names: &[&str]) -> bool {
    match rules.finish(names) {
        Ok(()) => true,
        Err(why) => {
            let span = section.span_of("keys");
            section.error(span, format!("these keys are too many to search for: {why}"), None);
            false
        }
    }
}

impl Filter for Redact {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            match &plan.fields {
                None => {
                    let root = batch.events[event].root;
                    self.object(batch, root);
                }
                Some(paths) => paths.iter().for_each(|path| self.field(batch, event, path)),
            }
        }
    }
}

impl Redact {
    /// One field that the settings name.
    fn field(&mut self, batch: &mut Batch, event: usize, path: &Path) {
        let Some(value) = batch.get(event, path) else { return };
        let last = path.segments().last().map_or("", |segment| &*segment.name);
        let named = self.plan.rules.names(last.as_bytes());
        if let Some(new) = self.member(batch, named, value) {
            batch.set(event, path, new);
        }
    }

    fn object(&mut self, batch: &mut Batch, node: NodeId) {
        for at in 0..batch.object(node).len() {
            let field = batch.object(node)[at];
            let named = self.plan.rules.names(batch.key_name(field.key));
            if let Some(new) = self.member(batch, named, field.value) {
                batch.object_mut(node)[at].value = new;
            }
        }
    }

    fn array(&mut self, batch: &mut Batch, node: NodeId) {
        for at in 0..batch.array(node).len() {
            let item = batch.array(node)[at];
            if let Some(new) = self.value(batch, item) {
                batch.array_mut(node)[at] = new;
            }
        }
    }

    /// What takes the place of a field's value; `None`: it stays.
    fn member(&mut self, batch: &mut Batch, named: bool, value: Value) -> Option<Value> {
        if !named || value == Value::Null {
            return self.value(batch, value);
        }
        self.plan.replaced.increment();
        Some(Value::Str(batch.push_text(self.plan.rules.replacement.as_bytes())))
    }

    fn value(&mut self, batch: &mut Batch, value: Value) -> Option<Value> {
        match value {
            Value::Str(span) => self.text(batch, span),
            Value::Escaped(span) => {
                self.plain.clear();
                decode_escapes(batch.bytes(span), &mut self.plain);
                self.out.clear();
                let plan = &*self.plan;
                if !plan.rules.redact(&self.plain, &mut self.work, &mut self.out) {
                    return None;
                }
                Some(Value::Str(self.replaced(batch)))
            }
            Value::Json(span) => {
                self.out.clear();
                let plan = &*self.plan;
                let raw = batch.bytes(span);
                if !raw::redact(&plan.rules, raw, &mut self.work, &mut self.plain, &mut self.out) {
                    return None;
                }
                let number = !raw.starts_with(b"{") && !raw.starts_with(b"[");
                let new = self.replaced(batch);
                // A number that held a secret has become a text; `out` is a JSON string then.
                Some(if number {
                    Value::Escaped(new.part(1, new.len as usize - 1))
                } else {
                    Value::Json(new)
                })
            }
            Value::Int(_) | Value::Float(_) => {
                if !self.plan.rules.may_be_in_number(value) {
                    return None;
                }
                self.plain.clear();
                batch.write_text(value, &mut self.plain);
                self.out.clear();
                let plan = &*self.plan;
                if !plan.rules.redact(&self.plain, &mut self.work, &mut self.out) {
                    return None;
                }
                Some(Value::Str(self.replaced(batch)))
            }
            Value::Array(node) => {
                self.array(batch, node);
                None
            }
            Value::Object(node) => {
                self.object(batch, node);
                None
            }
            Value::Null | Value::Bool(_) => None,
        }
    }

    fn text(&mut self, batch: &mut Batch, span: Span) -> Option<Value> {
        self.out.clear();
        let plan = &*self.plan;
        if !plan.rules.redact(batch.bytes(span), &mut self.work, &mut self.out) {
            return None;
        }
        Some(Value::Str(self.replaced(batch)))
    }

    /// What was written, as a part of the batch's text.
    fn replaced(&self, batch: &mut Batch) -> Span {
        self.plan.replaced.increment();
        batch.push_text(&self.out)
    }
}

#[cfg(test)]
mod tests;
