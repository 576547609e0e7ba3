//! Filter `kv`: texts of the kind `a=1 b="two words"` as fields.
//!
//! In: `field` (default `message`), a text or a list of texts, and how pairs and keys are told apart. Out: a field for
//! each key, in the event or in `target`; a key that comes several times becomes a list. Names and meaning of all
//! settings are those of Logstash's filter of this name, and so is what is a key and what is a value: keys and values
//! run up to the next splitter, values may be in quotes or brackets, a backslash takes the next character with it.
//! Promises: keys and values are spans of the text; nothing is copied but what is changed. On failure: a text that
//! takes too long to read gives the tag `_kv_filter_timeout`; a key `@timestamp` whose value is no time
//! `_kv_filter_error`. A text without pairs is no failure.

use std::sync::Arc;

use super::failure::Failure;
use super::letters::Form;
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Field, Key, NodeId, Path, Selection, Value};
use crate::grok::{Expression, ExpressionScratch};
use crate::template::Template;

mod pairs;
mod settings;

pub(super) use settings::load;

struct Kv {
    plan: Arc<Plan>,
    work: Work,
}

/// The memory of a thread.
#[derive(Default)]
struct Work {
    search: ExpressionScratch,
    key: Vec<u8>,
    value: Vec<u8>,
    other: Vec<u8>,
    prefix: Vec<u8>,
    included: Vec<Vec<u8>>,
    excluded: Vec<Vec<u8>>,
    fields: Vec<Field>,
}

struct Plan {
    field: Path,
    target: Option<Path>,
    /// A key (group 1), the splitter, and the value in the first other group that matched.
    pair: Expression,
    prefix: Template,
    include_keys: Vec<Template>,
    exclude_keys: Vec<Template>,
    default_keys: Vec<(Key, Template)>,
    keys: Changes,
    values: Changes,
    allow_duplicate_values: bool,
    allow_empty_values: bool,
    recursive: bool,
    failure: Failure,
    timeout_tag: String,
}

/// What is done to each key or each value.
#[derive(Default)]
struct Changes {
    trim: Option<Expression>,
    remove: Option<Expression>,
    form: Option<Form>,
}

impl Filter for Kv {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let found = batch.new_object();
            self.work.prepare(&plan, batch, event);
            let done = match batch.get(event, &plan.field) {
                Some(Value::Array(_) | Value::Json(_)) => {
                    self.read_list(&plan, batch, event, found)
                }
                _ => match batch.plain_str(event, &plan.field) {
                    Some(text) => plan.read(&mut self.work, batch, text, found, 0),
                    None => Ok(()),
                },
            };
            if done.is_err() {
                plan.failure.mark_as(batch, event, &plan.timeout_tag);
                continue;
            }
            self.work.add_defaults(&plan, batch, event, found);
            if batch.object(found).is_empty() {
                batch.events[event].missed = true;
                continue;
            }
            match &plan.target {
                Some(target) => batch.set(event, target, Value::Object(found)),
                None => self.set_all(&plan, batch, event, found),
            }
        }
    }
}

impl Kv {
    fn read_list(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: usize,
        found: NodeId,
    ) -> Result<(), super::expressions::TooLong> {
        let value = batch.get(event, &plan.field).map(|value| batch.open(value));
        let Some(Value::Array(items)) = value else { return Ok(()) };
        for at in 0..batch.array(items).len() {
            if let Value::Str(text) = batch.unescape(batch.array(items)[at]) {
                plan.read(&mut self.work, batch, text, found, 0)?;
            }
        }
        Ok(())
    }

    /// Moves what was found into the event itself.
    fn set_all(&mut self, plan: &Plan, batch: &mut Batch, event: usize, found: NodeId) {
        self.work.fields.clear();
        self.work.fields.extend_from_slice(batch.object(found));
        for field in &self.work.fields {
            let name = batch.key_name(field.key);
            let nested = name.starts_with(b"[").then(|| String::from_utf8_lossy(name).into_owned());
            let nested = nested.and_then(|name| Path::resolve(&name, batch));
            if let Some(path) = nested {
                batch.set(event, &path, field.value);
            } else if field.key == Key::TIMESTAMP {
                let text = batch.str_bytes(field.value);
                match text.and_then(|text| crate::timestamp::parse_iso8601(&text)) {
                    Some(time_ns) => batch.events[event].time_ns = time_ns,
                    None => plan.failure.mark(batch, event),
                }
            } else {
                batch.set_root(event, field.key, field.value);
            }
        }
    }
}

impl Work {
    /// What is made of the event's other fields: the prefix and the lists of keys.
    fn prepare(&mut self, plan: &Plan, batch: &Batch, event: usize) {
        self.prefix.clear();
        plan.prefix.render_as_written(batch, event, &mut self.prefix);
        let both =
            [(&plan.include_keys, &mut self.included), (&plan.exclude_keys, &mut self.excluded)];
        for (templates, names) in both {
            names.resize_with(templates.len(), Vec::new);
            for (template, name) in templates.iter().zip(names) {
                name.clear();
                template.render_as_written(batch, event, name);
            }
        }
    }

    fn add_defaults(&mut self, plan: &Plan, batch: &mut Batch, event: usize, found: NodeId) {
        for (key, template) in &plan.default_keys {
            if batch.object(found).iter().any(|field| field.key == *key) {
                continue;
            }
            self.value.clear();
            template.render_as_written(batch, event, &mut self.value);
            let value = Value::Str(batch.push_text(&self.value));
            batch.object_mut(found).push(Field { key: *key, value });
        }
    }
}

/// A part of the text, or what it was changed to.
#[derive(Clone, Copy)]
enum Piece {
    Same,
    Changed,
}
