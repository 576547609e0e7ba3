//! Filter `json`: a text that holds JSON as fields.
//!
//! In: `field`, `target`. Out: without a target the object's members become fields of the event, a
//! member `@timestamp` its time; with a target that field becomes the value, which may then be a
//! list, too. Promises: nothing is copied but what is escaped. On failure: the event keeps its
//! fields and gets the tag `_jsonparsefailure` (unless `skip_invalid`); a time that cannot be read
//! gives `_timestampparsefailure` and leaves the event's time.

use std::sync::Arc;

use super::named::{Use, optional_field, required_field};
use super::{Filter, FilterLoad, Make, counters};
use crate::event::{Batch, Field, Key, Path, Selection, Span, Value, parse_object, parse_value};
use crate::metrics::Counter;
use crate::settings::Section;
use crate::timestamp::parse_iso8601;

struct Json {
    plan: Arc<Plan>,
    members: Vec<Field>,
}

struct Plan {
    field: Path,
    target: Option<Path>,
    tags: Vec<String>,
    skip_invalid: bool,
    failures: Counter,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = required_field(section, "field", "\"message\"", Use::Read, load);
    let target = optional_field(section, "target", load);
    let skip_invalid = section.bool_or("skip_invalid", false);
    let tags = section.strings("tag_on_failure");
    let tags = tags.map_or_else(
        || vec!["_jsonparsefailure".to_string()],
        |tags| tags.into_iter().map(|tag| tag.value).collect(),
    );
    let (_, failures) = counters(section, load);
    let plan = Arc::new(Plan { field: field?, target: target?, tags, skip_invalid, failures });
    Some(Box::new(move || Box::new(Json { plan: Arc::clone(&plan), members: Vec::new() })))
}

impl Filter for Json {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let Some(value) = batch.get(event, &plan.field) else { continue };
            let parsed = match batch.plain_str(event, &plan.field) {
                Some(text) => self.parse(batch, event, text),
                // What is a list or an object already needs no reading.
                None => matches!(
                    value,
                    Value::Null | Value::Json(_) | Value::Array(_) | Value::Object(_)
                ),
            };
            if !parsed && !plan.skip_invalid {
                plan.tags.iter().for_each(|tag| batch.add_tag(event, tag));
                plan.failures.increment();
            }
        }
    }
}

impl Json {
    fn parse(&mut self, batch: &mut Batch, event: usize, text: Span) -> bool {
        if let Some(target) = &self.plan.target {
            let Ok(value) = parse_value(&mut batch.text, text) else { return false };
            batch.set(event, target, value);
            return true;
        }
        self.members.clear();
        let keys = Arc::clone(&batch.keys);
        if parse_object(&mut batch.text, text, &keys, &mut self.members).is_err() {
            return false;
        }
        let mut time = None;
        for member in &self.members {
            if member.key == Key::TIMESTAMP {
                time = Some(member.value);
            } else {
                batch.set_root(event, member.key, member.value);
            }
        }
        // After the members, so that `tags` among them do not take the place of a tag set here.
        if let Some(time) = time {
            set_time(batch, event, time, &self.plan.failures);
        }
        true
    }
}

fn set_time(batch: &mut Batch, event: usize, value: Value, failures: &Counter) {
    if let Some(time_ns) = batch.str_bytes(value).and_then(|text| parse_iso8601(&text)) {
        batch.events[event].time_ns = time_ns;
    } else {
        batch.add_tag(event, "_timestampparsefailure");
        failures.increment();
    }
}
