//! Filter `mutate`: several changes to fields in one, under the names and in the order of Logstash.
//!
//! In: any of `coerce`, `rename`, `update`, `replace`, `convert`, `gsub`, `uppercase`, `capitalize`, `lowercase`,
//! `strip`, `split`, `join`, `merge`, `copy`. Out: the event changed, always in this order, whatever the order written.
//! Each of them is also a filter of its own here, which runs where it is written; this one is for configurations that
//! come from Logstash. Promises: an absent field changes nothing (but `replace` makes it). On failure: the event gets
//! the tag `_mutate_error`, and what comes later in the order is not done.

use std::sync::Arc;

use super::convert::{self, Kind};
use super::failure::Failure;
use super::letters::Form;
use super::named::{Use, hash, path, text_of};
use super::reference::FieldName;
use super::texts::change_at;
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::{Literal as Setting, Section, Spanned};

mod gsub;
mod merge;
mod value;

use gsub::Gsub;
pub(super) use value::Made;

struct Mutate {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
    work: gsub::Work,
}

struct Plan {
    operations: Vec<Operation>,
    failure: Failure,
}

/// One change.
enum Operation {
    Coerce(FieldName, Made),
    Rename(FieldName, FieldName),
    Update(FieldName, Made),
    Replace(FieldName, Made),
    Convert(Path, Kind),
    Gsub(Gsub),
    Form(Path, Form),
    Split(Path, Box<super::split::Separator>),
    Join(Path, String),
    Merge { into: Path, from: Path },
    Copy(Path, FieldName),
}

/// An operation that was not possible; what comes later is not done.
struct Failed;

const FORMS: [(&str, Form); 4] = [
    ("uppercase", Form::Upper),
    ("capitalize", Form::Capital),
    ("lowercase", Form::Lower),
    ("strip", Form::Stripped),
];

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let mut reader = Reader { section, load, operations: Vec::new(), good: true };
    // Logstash's default is always a text.
    reader.made("coerce", |field, made| Operation::Coerce(field, made.into_text()));
    reader.renames();
    reader.made("update", Operation::Update);
    reader.made("replace", Operation::Replace);
    reader.conversions();
    reader.substitutions();
    for (key, form) in FORMS {
        reader.forms(key, form);
    }
    reader.splits_and_joins();
    reader.merges();
    reader.copies();
    let Reader { operations, good, load, .. } = reader;
    let failure = Failure::load(section, "_mutate_error", load);
    let plan = good.then(|| Arc::new(Plan { operations, failure }))?;
    Some(Box::new(move || {
        let work = gsub::Work::default();
        Box::new(Mutate { plan: Arc::clone(&plan), scratch: Vec::new(), work })
    }))
}

struct Reader<'r, 's, 'l> {
    section: &'r Section<'s>,
    load: &'r mut FilterLoad<'l>,
    operations: Vec<Operation>,
    good: bool,
}

impl Reader<'_, '_, '_> {
    fn push(&mut self, operation: Option<Operation>) {
        self.good &= operation.is_some();
        self.operations.extend(operation);
    }

    fn path(&mut self, text: &Spanned<String>, usage: Use) -> Option<Path> {
        path(self.section, text, usage, self.load)
    }

    fn field(&mut self, text: &Spanned<String>) -> Option<FieldName> {
        FieldName::load(self.section, text, Use::Write, self.load)
    }

    fn made(&mut self, key: &'static str, operation: fn(FieldName, Made) -> Operation) {
        for (name, item) in hash(self.section, key).unwrap_or_default() {
            let field = self.field(&name);
            let made = Made::load(self.section, item, self.load);
            self.push(field.zip(made).map(|(field, made)| operation(field, made)));
        }
    }

    fn renames(&mut self) {
        for (name, item) in hash(self.section, "rename").unwrap_or_default() {
            let from = self.field(&name);
            let to = text_of(self.section, item).and_then(|to| self.field(&to));
            self.push(from.zip(to).map(|(from, to)| Operation::Rename(from, to)));
        }
    }

    fn conversions(&mut self) {
        for (name, item) in hash(self.section, "convert").unwrap_or_default() {
            let field = self.path(&name, Use::Write);
            let kind = convert::kind(self.section, item);
            self.push(field.zip(kind).map(|(field, kind)| Operation::Convert(field, kind)));
        }
    }

    fn substitutions(&mut self) {
        if !self.section.has("gsub") {
            return;
        }
        let texts = match self.section.item("gsub").map(|item| &item.literal) {
            // Triples may also be lists of their own.
            Some(Setting::Array(items))
                if items.iter().any(|item| matches!(item.literal, Setting::Array(_))) =>
            {
                let inner = items.iter().flat_map(|item| match &item.literal {
                    Setting::Array(inner) => inner.iter(),
                    _ => std::slice::from_ref(item).iter(),
                });
                inner.filter_map(|item| text_of(self.section, item)).collect()
            }
            _ => self.section.strings("gsub").unwrap_or_default(),
        };
        for triple in texts.chunks(3) {
            if let [field, pattern, replacement] = triple {
                let gsub = Gsub::load(self.section, field, pattern, replacement, self.load);
                self.push(gsub.map(Operation::Gsub));
            } else {
                let hint = "write a field, a pattern and a replacement: [\"path\", \"/\", \"_\"]";
                let place = triple[0].span.clone();
                let message = "`gsub` takes three texts for each substitution";
                self.section.error(place, message, Some(hint.into()));
                self.good = false;
            }
        }
    }

    fn forms(&mut self, key: &'static str, form: Form) {
        for name in self.section.strings(key).unwrap_or_default() {
            let field = self.path(&name, Use::Write);
            self.push(field.map(|field| Operation::Form(field, form)));
        }
    }

    fn splits_and_joins(&mut self) {
        for (name, item) in hash(self.section, "split").unwrap_or_default() {
            let field = self.path(&name, Use::Write);
            let separator = text_of(self.section, item)
                .and_then(|text| super::split::Separator::load(self.section, &text));
            self.push(
                field.zip(separator).map(|(field, by)| Operation::Split(field, Box::new(by))),
            );
        }
        for (name, item) in hash(self.section, "join").unwrap_or_default() {
            let field = self.path(&name, Use::Write);
            let by = text_of(self.section, item);
            self.push(field.zip(by).map(|(field, by)| Operation::Join(field, by.value)));
        }
    }

    fn merges(&mut self) {
        for (name, item) in hash(self.section, "merge").unwrap_or_default() {
            let added = match &item.literal {
                Setting::Array(items) => {
                    items.iter().filter_map(|item| text_of(self.section, item)).collect()
                }
                _ => text_of(self.section, item).into_iter().collect::<Vec<_>>(),
            };
            self.good &= !added.is_empty();
            for from in added {
                let into = self.path(&name, Use::Write);
                let from = self.path(&from, Use::Read);
                self.push(into.zip(from).map(|(into, from)| Operation::Merge { into, from }));
            }
        }
    }

    fn copies(&mut self) {
        for (name, item) in hash(self.section, "copy").unwrap_or_default() {
            let from = self.path(&name, Use::Read);
            let to = text_of(self.section, item).and_then(|to| self.field(&to));
            self.push(from.zip(to).map(|(from, to)| Operation::Copy(from, to)));
        }
    }
}

impl Filter for Mutate {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let mut each = plan.operations.iter();
            if each.any(|operation| self.run(operation, batch, event).is_err()) {
                plan.failure.mark(batch, event);
            }
        }
    }
}

impl Mutate {
    fn run(
        &mut self,
        operation: &Operation,
        batch: &mut Batch,
        event: usize,
    ) -> Result<(), Failed> {
        let scratch = &mut self.scratch;
        match operation {
            Operation::Coerce(field, made) => {
                let Some(path) = field.at(batch, event) else { return Ok(()) };
                if batch.get(event, &path) == Some(Value::Null) {
                    made.set(batch, event, &path, scratch);
                }
            }
            Operation::Update(field, made) => {
                let Some(path) = field.at(batch, event) else { return Ok(()) };
                if batch.get(event, &path).is_some() {
                    made.set(batch, event, &path, scratch);
                }
            }
            Operation::Replace(field, made) => {
                if let Some(path) = field.at(batch, event) {
                    made.set(batch, event, &path, scratch);
                }
            }
            Operation::Rename(from, to) => {
                let (Some(from), Some(to)) = (from.at(batch, event), to.at(batch, event)) else {
                    return Ok(());
                };
                if let Some(value) = batch.remove(event, &from) {
                    batch.set(event, &to, value);
                }
            }
            Operation::Convert(path, kind) => {
                let Some(value) = batch.get(event, path) else { return Ok(()) };
                let new = convert::convert_all(batch, value, *kind, scratch);
                let new = new.map_err(|_| Failed)?;
                if new != value {
                    batch.set(event, path, new);
                }
            }
            Operation::Gsub(gsub) => gsub.run(batch, event, &mut self.work).map_err(|_| Failed)?,
            Operation::Form(path, form) => {
                let mut change = |text: &[u8], out: &mut Vec<u8>| form.write(text, out);
                change_at(batch, event, path, scratch, &mut change);
            }
            Operation::Split(path, separator) => separator.split_at(batch, event, path),
            Operation::Join(path, by) => super::join::join_at(batch, event, path, by, scratch),
            Operation::Merge { into, from } => merge::merge(batch, event, into, from)?,
            Operation::Copy(from, to) => {
                let value = super::copy::read(batch, event, from);
                let Some(value) = value.filter(|value| *value != Value::Null) else {
                    return Ok(());
                };
                if let Some(to) = to.at(batch, event) {
                    batch.set(event, &to, value);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
