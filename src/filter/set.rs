//! Filter `set`: fields with fixed values or values made from other fields.
//!
//! In: `fields = { a = 1, b = "{c}-x", "d.e" = true }`, `only_if_absent`. Out: the fields.
//! Promises: the fields are set in the order written, so that a later one may name an earlier one;
//! a table sets its entries and leaves its other ones. On failure: a field whose template names an
//! absent field is not set.

use std::sync::Arc;

use super::named::{Use, path};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Literal, Path, Selection, Value};
use crate::settings::{Item, Literal as Setting, Section, Spanned};
use crate::template::Template;

struct Set {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
    /// The literals' values in this batch.
    values: Vec<Value>,
}

struct Plan {
    entries: Vec<(Path, Made)>,
    only_if_absent: bool,
}

enum Made {
    Literal(Literal),
    Template(Template),
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let only_if_absent = section.bool_or("only_if_absent", false);
    let Some(entries) = section.entries("fields") else {
        if !section.has("fields") {
            section.missing("fields", "{ service = \"shop\" }");
        }
        return None;
    };
    let mut plan = Plan { entries: Vec::new(), only_if_absent };
    let all = read(section, entries, "", load, &mut plan.entries);
    all?;
    let plan = Arc::new(plan);
    Some(Box::new(move || {
        Box::new(Set { plan: Arc::clone(&plan), scratch: Vec::new(), values: Vec::new() })
    }))
}

/// Reads the entries of a table, its own names before theirs; `None` when one of them is faulty.
fn read(
    section: &Section<'_>,
    entries: &[(Spanned<String>, Item)],
    parent: &str,
    load: &mut FilterLoad<'_>,
    into: &mut Vec<(Path, Made)>,
) -> Option<()> {
    let mut all = Some(());
    for (name, item) in entries {
        let full =
            if parent.is_empty() { name.value.clone() } else { format!("{parent}.{}", name.value) };
        let one = match &item.literal {
            Setting::Table(inner) if !inner.is_empty() => read(section, inner, &full, load, into),
            _ => {
                let full = Spanned { value: full, span: name.span.clone() };
                let path = path(section, &full, Use::Write, load);
                let made = made(section, item, load);
                path.zip(made).map(|entry| into.push(entry))
            }
        };
        all = all.and(one);
    }
    all
}

fn made(section: &Section<'_>, item: &Item, load: &mut FilterLoad<'_>) -> Option<Made> {
    if let Setting::String(text) = &item.literal {
        let text = section.expand(text, &item.span)?;
        let template = Template::load(section, &text, load.keys)?;
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

impl Filter for Set {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        self.values.clear();
        for (_, made) in &self.plan.entries {
            self.values.push(match made {
                Made::Literal(literal) => batch.literal(literal),
                Made::Template(_) => Value::Null,
            });
        }
        for event in selected.iter() {
            for ((path, made), fixed) in self.plan.entries.iter().zip(&self.values) {
                if self.plan.only_if_absent && batch.get(event, path).is_some() {
                    continue;
                }
                let value = match made {
                    Made::Literal(_) => *fixed,
                    Made::Template(template) => {
                        self.scratch.clear();
                        if !template.render(batch, event, &mut self.scratch) {
                            continue;
                        }
                        Value::Str(batch.push_text(&self.scratch))
                    }
                };
                batch.set(event, path, value);
            }
        }
    }
}
