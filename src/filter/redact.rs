//! Filter `redact`: secrets replaced wherever they stand.
//!
//! In: `keys` (names of secrets), `patterns` (regular expressions; with a group `secret` only
//! that part), `detect` (known kinds of secrets), `fields` (default: all), `mode` and what belongs to it.
//! Out: every text of the event without them: of fields and their names, of lists, of objects, of raw JSON.
//!
//! A key is a name, or the end of a longer one, in any case, `-` and `_` in it or not. A field of
//! that name loses its whole value; in a text the value behind it goes: `key=value`, `key: value`,
//! `"key":"value"`, also escaped once more (`\"key\":\"value\"`) or URL-encoded (`key%3Dvalue`).
//! Promises: what is replaced is never less than what a rule names; where rules overlap, all they
//! name goes; raw JSON stays JSON; names of fields stay unless a secret is in them; time is linear in the text. A text
//! without anything that could be a secret costs one search and is not copied.
//! On failure: nothing can fail; what is wrong with the settings is said with its place. A secret
//! that stands in two events, such as a key of many lines that were not joined, is not recognised.

use std::sync::Arc;

use super::digest::{Algorithm, Digester};
use super::named::{Use, fields};
use super::{Filter, FilterLoad, Make, counters};
use crate::diagnostic::did_you_mean;
use crate::event::{Batch, Field, Key, NodeId, Path, Selection, Span, Value, decode_escapes};
use crate::metrics::Counter;
use crate::pattern::{Flags, compile};
use crate::settings::Section;

mod checksum;
mod detect;
mod entropy;
mod extent;
mod keys;
mod numbers;
mod ranges;
mod raw;
mod replacement;
mod rules;

use replacement::{Mode, Replacement};
use rules::{Marks, Rules, Work};

/// Characters that `mode = "partial"` leaves.
const KEEP: i64 = 4;
const KEEP_MAX: i64 = 16;

struct Redact {
    plan: Arc<Plan>,
    /// This thread's own.
    rules: Rules,
    work: Work,
    /// Of the batch's text as it was when the work on it began.
    marks: Marks,
    /// For each number of a name whether it is one of a secret, once that was asked.
    named: Vec<Option<bool>>,
    plain: Vec<u8>,
    out: Vec<u8>,
}

struct Plan {
    rules: Rules,
    /// `None`: all.
    fields: Option<Vec<Path>>,
    replaced: Counter,
}

/// What becomes of a value.
enum Fate {
    Stays,
    Becomes(Value),
    /// It goes with its field.
    Goes,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let names = section.strings("keys").unwrap_or_default();
    let detect = section.strings("detect").unwrap_or_default();
    let replacement = replacement(section);
    let mut faulty = replacement.is_none();
    let masked = || Replacement::new(String::new(), Mode::Mask);
    let mut rules = Rules::new(replacement.unwrap_or_else(masked));
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
    if any {
        add_mask(&rules, load);
    }
    let plan = Arc::new(Plan { rules, fields, replaced });
    let make: Make = Box::new(move || Box::new(Redact::new(&plan)));
    any.then_some(make)
}

/// What stands in the place of secrets: `mode`, and what belongs to it.
fn replacement(section: &Section<'_>) -> Option<Replacement> {
    let mask = section.string_or("replacement", "***").value;
    let keep = section.integer_or("keep", KEEP, 0..KEEP_MAX + 1) as usize;
    let key = section.secret("key");
    let modes = [("mask", 0), ("partial", 1), ("hash", 2), ("drop_field", 3)];
    let mode = match section.choice_or("mode", &modes, 0) {
        1 => Mode::Partial(keep),
        2 => {
            let Some(key) = key else {
                if !section.has("key") {
                    section.missing("key", "\"${REDACT_KEY}\"");
                }
                return None;
            };
            let bytes = key.value.reveal().as_bytes();
            Mode::Hash(Arc::new(Digester::new(Algorithm::Sha256, Some(bytes))))
        }
        3 => Mode::DropField,
        _ => Mode::Mask,
    };
    Some(Replacement::new(mask, mode))
}

/// Who looks at events sees all of their fields masked; that is not counted.
fn add_mask(rules: &Rules, load: &FilterLoad<'_>) {
    let plan = Plan { rules: rules.clone(), fields: None, replaced: Counter::default() };
    let plan = Arc::new(plan);
    load.states.tap().add_mask(Box::new(move || {
        let mut redact = Redact::new(&plan);
        Box::new(move |batch: &mut Batch, selected: &Selection| redact.apply(batch, selected))
    }));
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
        // One search over everything costs less than one for each field, unless few events are meant.
        if plan.fields.is_none() && selected.0.len() * 2 >= batch.events.len() {
            self.rules.mark(batch, &mut self.marks);
        } else {
            self.marks.clear();
        }
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
    fn new(plan: &Arc<Plan>) -> Redact {
        Redact {
            plan: Arc::clone(plan),
            rules: plan.rules.clone(),
            work: Work::default(),
            marks: Marks::default(),
            named: Vec::new(),
            plain: Vec::new(),
            out: Vec::new(),
        }
    }

    /// One field that the settings name.
    fn field(&mut self, batch: &mut Batch, event: usize, path: &Path) {
        let Some(value) = batch.get(event, path) else { return };
        let last = path.segments().last().map_or("", |segment| &*segment.name);
        let named = self.rules.names(last.as_bytes());
        match self.member(batch, named, value) {
            Fate::Stays => {}
            Fate::Becomes(new) => batch.set(event, path, new),
            Fate::Goes => {
                batch.remove(event, path);
            }
        }
    }

    fn object(&mut self, batch: &mut Batch, node: NodeId) {
        let (mut at, mut renamed) = (0, 0);
        let marks_tell_all = self.rules.marks_tell_all();
        while let Some(field) = batch.object(node).get(at).copied() {
            let named = self.names(batch, field.key);
            // Most fields: nothing that could be a secret, under a name that is none.
            if marks_tell_all && !named && self.is_clean(batch, field) {
                at += 1;
                continue;
            }
            let fate = self.member(batch, named, field.value);
            let name = self.name(batch, field.key, &mut renamed);
            if matches!(fate, Fate::Goes)
                || (name.is_some() && self.rules.replacement.drops_field())
            {
                batch.object_mut(node).remove(at);
                continue;
            }
            if let Fate::Becomes(new) = fate {
                batch.object_mut(node)[at].value = new;
            }
            if let Some(name) = name {
                batch.object_mut(node)[at].key = name;
            }
            at += 1;
        }
    }

    /// Whether neither the name nor the value of a field has a mark, where marks tell all.
    #[inline]
    fn is_clean(&self, batch: &Batch, field: Field) -> bool {
        let unmarked =
            |span: Span| self.marks.within(span.start as usize, span.end()) == Some(false);
        let value = match field.value {
            Value::Str(span) => unmarked(span),
            // An escape may hide a letter of it.
            Value::Json(span) => {
                unmarked(span) && memchr::memchr(b'\\', batch.bytes(span)).is_none()
            }
            Value::Null | Value::Bool(_) => true,
            _ => false,
        };
        value && field.key.span().is_none_or(unmarked)
    }

    /// What becomes of the name of a field, where a secret is in it; the settings' own names have none.
    fn name(&mut self, batch: &mut Batch, key: Key, renamed: &mut usize) -> Option<Key> {
        let span = key.span()?;
        let marked = self.marked(batch, span);
        if !self.rules.may_be_in(batch.bytes(span), marked) {
            return None;
        }
        self.out.clear();
        if !self.rules.redact(batch.bytes(span), marked, &mut self.work, &mut self.out) {
            return None;
        }
        self.plan.replaced.increment();
        *renamed += 1;
        raw::number_name(&mut self.out, *renamed);
        Some(batch.key_named(&self.out))
    }

    /// Whether a field of this name is a secret; names of the settings are asked for once.
    #[inline]
    fn names(&mut self, batch: &Batch, key: Key) -> bool {
        let Some(number) = key.number() else { return self.rules.names(batch.key_name(key)) };
        if let Some(Some(named)) = self.named.get(number) {
            return *named;
        }
        let named = self.rules.names(batch.key_name(key));
        if number >= self.named.len() {
            self.named.resize(number + 1, None);
        }
        self.named[number] = Some(named);
        named
    }

    fn array(&mut self, batch: &mut Batch, node: NodeId) {
        let mut at = 0;
        while let Some(item) = batch.array(node).get(at).copied() {
            match self.value(batch, item) {
                Fate::Stays => {}
                Fate::Becomes(new) => batch.array_mut(node)[at] = new,
                Fate::Goes => {
                    batch.array_mut(node).remove(at);
                    continue;
                }
            }
            at += 1;
        }
    }

    /// What becomes of a field's value.
    fn member(&mut self, batch: &mut Batch, named: bool, value: Value) -> Fate {
        if !named || value == Value::Null {
            return self.value(batch, value);
        }
        self.plain.clear();
        batch.write_text(value, &mut self.plain);
        self.out.clear();
        self.rules.replacement.write(&self.plain, &mut self.out);
        self.secret(batch)
    }

    fn value(&mut self, batch: &mut Batch, value: Value) -> Fate {
        match value {
            Value::Json(span) if self.rules.replacement.drops_field() => self.json(batch, span),
            Value::Array(node) => {
                self.array(batch, node);
                Fate::Stays
            }
            Value::Object(node) => {
                self.object(batch, node);
                Fate::Stays
            }
            scalar => match self.replaced_value(batch, scalar) {
                None => Fate::Stays,
                Some(_) if self.rules.replacement.drops_field() => Fate::Goes,
                Some(new) => Fate::Becomes(new),
            },
        }
    }

    /// Raw JSON whose members and items may go: it is opened where it can hold a secret.
    fn json(&mut self, batch: &mut Batch, span: Span) -> Fate {
        let raw = batch.bytes(span);
        let marked = self.marked(batch, span);
        if !self.rules.may_be_in(raw, marked) && memchr::memchr(b'\\', raw).is_none() {
            return Fate::Stays;
        }
        match batch.open(Value::Json(span)) {
            opened @ Value::Object(node) => {
                self.object(batch, node);
                Fate::Becomes(opened)
            }
            opened @ Value::Array(node) => {
                self.array(batch, node);
                Fate::Becomes(opened)
            }
            // A number.
            _ => match self.replaced_value(batch, Value::Json(span)) {
                None => Fate::Stays,
                Some(_) => Fate::Goes,
            },
        }
    }

    /// A scalar or raw JSON without its secrets; `None`: it has none.
    fn replaced_value(&mut self, batch: &mut Batch, value: Value) -> Option<Value> {
        match value {
            Value::Str(span) => self.text(batch, span),
            Value::Escaped(span) => {
                self.plain.clear();
                decode_escapes(batch.bytes(span), &mut self.plain);
                self.out.clear();
                let marked = self.rules.marked(&self.plain);
                if !self.rules.redact(&self.plain, marked, &mut self.work, &mut self.out) {
                    return None;
                }
                Some(Value::Str(self.replaced(batch)))
            }
            Value::Json(span) => {
                self.out.clear();
                let raw = batch.bytes(span);
                let marked = self.marked(batch, span);
                let Redact { rules, work, plain, out, .. } = self;
                if !raw::redact(rules, (raw, marked), work, plain, out) {
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
                if !self.rules.may_be_in_number(value) {
                    return None;
                }
                self.plain.clear();
                batch.write_text(value, &mut self.plain);
                self.out.clear();
                let marked = self.rules.marked(&self.plain);
                if !self.rules.redact(&self.plain, marked, &mut self.work, &mut self.out) {
                    return None;
                }
                Some(Value::Str(self.replaced(batch)))
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn text(&mut self, batch: &mut Batch, span: Span) -> Option<Value> {
        let marked = self.marked(batch, span);
        if !marked && self.rules.marks_tell_all() {
            return None;
        }
        self.out.clear();
        self.work.know(&self.marks, span.start as usize, span.end());
        if !self.rules.redact(batch.bytes(span), marked, &mut self.work, &mut self.out) {
            return None;
        }
        Some(Value::Str(self.replaced(batch)))
    }

    /// Whether the beginning of something stands here that may be a secret.
    fn marked(&self, batch: &Batch, span: Span) -> bool {
        let known = self.marks.within(span.start as usize, span.end());
        known.unwrap_or_else(|| self.rules.marked(batch.bytes(span)))
    }

    /// What becomes of a value that is a secret by its name; what stands there instead was written.
    fn secret(&self, batch: &mut Batch) -> Fate {
        if self.rules.replacement.drops_field() {
            self.plan.replaced.increment();
            return Fate::Goes;
        }
        Fate::Becomes(Value::Str(self.replaced(batch)))
    }

    /// What was written, as a part of the batch's text.
    fn replaced(&self, batch: &mut Batch) -> Span {
        self.plan.replaced.increment();
        batch.push_text(&self.out)
    }
}

#[cfg(test)]
mod tests;
