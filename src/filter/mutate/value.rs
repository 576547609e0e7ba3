//! A value of a setting that is put into events: fixed, or made of other fields.
//!
//! In: a setting. Out: a field set. Promises: a reference to an absent field stays as it is written.

use super::super::named::text_of;
use super::FilterLoad;
use crate::event::{Batch, Literal, Path, Value};
use crate::settings::{Item, Literal as Setting, Section};
use crate::template::{References, Template};

/// A value.
pub(in crate::filter) enum Made {
    /// The same for all events.
    Literal(Literal),
    /// Made for each.
    Template(Template),
}

impl Made {
    /// Reads a value.
    pub(in crate::filter) fn load(
        section: &Section<'_>,
        item: &Item,
        load: &mut FilterLoad<'_>,
    ) -> Option<Made> {
        if matches!(item.literal, Setting::String(_)) {
            let text = text_of(section, item)?;
            let template = Template::load_as(section, &text, References::Both, load.keys)?;
            return Some(match template.constant() {
                Some(text) => Made::Literal(Literal::Str(text.to_string())),
                None => Made::Template(template),
            });
        }
        let literal = Literal::from_setting(&item.literal);
        if literal.is_none() {
            let message = format!("a field cannot be {}", item.literal.kind());
            section.error(item.span.clone(), message, Some("write it in quotes".into()));
        }
        literal.map(Made::Literal)
    }

    /// As text, whatever it was written as.
    pub(super) fn into_text(self) -> Made {
        match self {
            Made::Literal(literal @ (Literal::Int(_) | Literal::Float(_) | Literal::Bool(_))) => {
                let mut text = Vec::new();
                literal.write_json(&mut text);
                Made::Literal(Literal::Str(String::from_utf8_lossy(&text).into_owned()))
            }
            other => other,
        }
    }

    /// The value for an event; `scratch` is a buffer to work in.
    pub(in crate::filter) fn value(
        &self,
        batch: &mut Batch,
        event: usize,
        scratch: &mut Vec<u8>,
    ) -> Value {
        match self {
            Made::Literal(literal) => batch.literal(literal),
            Made::Template(template) => {
                scratch.clear();
                template.render_as_written(batch, event, scratch);
                Value::Str(batch.push_text(scratch))
            }
        }
    }

    pub(super) fn set(&self, batch: &mut Batch, event: usize, path: &Path, scratch: &mut Vec<u8>) {
        let value = self.value(batch, event, scratch);
        batch.set(event, path, value);
    }
}
