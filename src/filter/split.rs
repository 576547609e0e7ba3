//! Filter `split` with a separator: a text cut into a list (without one it is [`super::split_event`]).
//!
//! In: `fields`, `separator`. Out: a list of texts in the field's place. As in Logstash, empty parts
//! at the end are left out, and a blank as separator stands for any run of white space.
//! Promises: what is not a text stays as it is.

use std::sync::Arc;

use memchr::memmem::Finder;

use super::named::{Use, fields};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Span, Value};
use crate::settings::{Section, Spanned};

struct Split {
    plan: Arc<Plan>,
}

struct Plan {
    paths: Vec<Path>,
    separator: Separator,
}

/// What stands between the parts.
pub(super) struct Separator(Finder<'static>);

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    if !section.has("separator") && !section.has("fields") {
        return super::split_event::load(section, load);
    }
    let separator = section.required_string("separator", "\",\"");
    let paths = fields(section, Use::Write, load);
    let separator = Separator::load(section, &separator?);
    let plan = Arc::new(Plan { paths: paths?, separator: separator? });
    Some(Box::new(move || Box::new(Split { plan: Arc::clone(&plan) })))
}

impl Filter for Split {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for path in &self.plan.paths {
                self.plan.separator.split_at(batch, event, path);
            }
        }
    }
}

impl Separator {
    /// Reads a separator; an empty one is reported.
    pub(super) fn load(section: &Section<'_>, text: &Spanned<String>) -> Option<Separator> {
        if text.is_empty() {
            let hint = "write what stands between the parts: \",\"";
            section.error(text.span.clone(), "the separator is empty", Some(hint.into()));
            return None;
        }
        Some(Separator(Finder::new(text.value.as_bytes()).into_owned()))
    }

    /// Splits the text at a path.
    pub(super) fn split_at(&self, batch: &mut Batch, event: usize, path: &Path) {
        let Some(text) = batch.plain_str(event, path) else { return };
        let list = batch.new_array();
        self.split(batch, text, |batch, part| {
            batch.array_mut(list).push(Value::Str(part));
        });
        while let Some(Value::Str(Span { len: 0, .. })) = batch.array(list).last() {
            batch.array_mut(list).pop();
        }
        batch.set(event, path, Value::Array(list));
    }

    fn split(&self, batch: &mut Batch, text: Span, mut part: impl FnMut(&mut Batch, Span)) {
        let separator = self.0.needle();
        let blank = separator == b" ";
        let mut from = 0;
        while from <= text.len as usize {
            let rest = &batch.bytes(text)[from..];
            let (length, skip) = if blank {
                let lead = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
                from += lead;
                let word = rest[lead..].iter().take_while(|b| !b.is_ascii_whitespace()).count();
                (word, 1)
            } else {
                (self.0.find(rest).unwrap_or(rest.len()), separator.len())
            };
            part(batch, text.part(from, from + length));
            from += length + skip;
        }
    }
}
