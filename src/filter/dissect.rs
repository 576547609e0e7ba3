//! Filter `dissect`: a text cut into fields at fixed delimiters.
//!
//! In: `mapping`: for each field a pattern such as `%{ts} %{+ts} [%{level}] %{msg}`; `convert_datatype`: fields that
//! become numbers afterwards. Out: a field for each part. The marks are those of Logstash: `%{}` and `%{?name}` are
//! left out, `%{+name}` is appended (`%{+name/2}`: in this order), `%{&name}` takes its name from the part `name`,
//! `%{name->}` takes repeated delimiters after it.
//! Promises: parts are spans of the text, found by one pass of plain searches; a text that does not fit changes
//! nothing. On failure: a text that does not fit, or is empty, gives the tag `_dissectfailure`; an absent field is no
//! failure. A field that cannot be converted gives `_dataconversionnullvalue_FIELD_TYPE` or
//! `_dataconversionuncoercible_FIELD_TYPE`.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{Use, hash, path, text_of};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Span, Value};
use crate::settings::Section;

mod number;
mod pattern;

use number::NumberType;
use pattern::{Name, Pattern};

struct Dissect {
    plan: Arc<Plan>,
    parts: Vec<Span>,
    scratch: Vec<u8>,
}

struct Plan {
    mapping: Vec<(Path, Pattern)>,
    conversions: Vec<(Path, NumberType, String)>,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let failure = Failure::load(section, "_dissectfailure", load);
    let separator = section.string("append_separator").map(|text| text.value);
    if !section.has("mapping") && !section.has("convert_datatype") {
        section.missing("mapping", "{ message = \"%{ts} %{level} %{msg}\" }");
        return None;
    }
    let mut good = true;
    let mut mapping = Vec::new();
    for (name, item) in hash(section, "mapping").unwrap_or_default() {
        let field = path(section, &name, Use::Read, load);
        let text = text_of(section, item);
        let pattern = text.and_then(|text| {
            let pattern = Pattern::parse(&text, separator.as_deref(), load.keys);
            pattern.map_err(|error| section.error_within(&text, error)).ok()
        });
        let entry = field.zip(pattern);
        good &= entry.is_some();
        mapping.extend(entry);
    }
    let mut conversions = Vec::new();
    for (name, item) in hash(section, "convert_datatype").unwrap_or_default() {
        let field = path(section, &name, Use::Write, load);
        let kind = text_of(section, item).and_then(|word| {
            let kind = NumberType::named(&word);
            if kind.is_none() {
                let message = format!("`convert_datatype` knows no type \"{}\"", word.value);
                section.error(
                    word.span.clone(),
                    message,
                    Some("write \"int\" or \"float\"".into()),
                );
            }
            kind
        });
        good &= kind.is_some() && field.is_some();
        conversions.extend(field.zip(kind).map(|(field, kind)| (field, kind, name.value.clone())));
    }
    let plan = good.then(|| Arc::new(Plan { mapping, conversions, failure }))?;
    Some(Box::new(move || {
        Box::new(Dissect { plan: Arc::clone(&plan), parts: Vec::new(), scratch: Vec::new() })
    }))
}

impl Filter for Dissect {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let mut matched = plan.mapping.is_empty();
            for (field, pattern) in &plan.mapping {
                match batch.plain_str(event, field) {
                    Some(text) => {
                        if self.dissect(pattern, batch, event, text) {
                            matched = true;
                        } else {
                            plan.failure.mark(batch, event);
                        }
                    }
                    None if matches!(batch.get(event, field), None | Some(Value::Null)) => {}
                    None => plan.failure.mark(batch, event),
                }
            }
            if !matched {
                batch.events[event].missed = true;
            }
            for (field, kind, name) in &plan.conversions {
                if let Err(problem) = kind.convert(batch, event, field, &mut self.scratch) {
                    let tag = format!("_dataconversion{problem}_{name}_{}", kind.name());
                    plan.failure.mark_as(batch, event, &tag);
                }
            }
        }
    }
}

impl Dissect {
    fn dissect(&mut self, pattern: &Pattern, batch: &mut Batch, event: usize, text: Span) -> bool {
        if text.len == 0 || !pattern.cut(batch.bytes(text), text.start, &mut self.parts) {
            return false;
        }
        for (part, span) in pattern.parts.iter().zip(&self.parts) {
            match &part.name {
                Name::Skip | Name::Appended => {}
                Name::Field(path) => batch.set(event, path, Value::Str(*span)),
                Name::Indirect(at) => {
                    let name = self.parts[*at];
                    if name.len == 0 {
                        continue;
                    }
                    let key = batch.key_at(name);
                    if key != crate::event::Key::TIMESTAMP {
                        batch.set_root(event, key, Value::Str(*span));
                    }
                }
            }
        }
        for joined in &pattern.joined {
            self.scratch.clear();
            for (n, at) in joined.parts.iter().enumerate() {
                if n > 0 {
                    self.scratch.extend_from_slice(&pattern.parts[*at].join);
                }
                self.scratch.extend_from_slice(batch.bytes(self.parts[*at]));
            }
            let value = Value::Str(batch.push_text(&self.scratch));
            batch.set(event, &joined.path, value);
        }
        true
    }
}

#[cfg(test)]
mod tests;
