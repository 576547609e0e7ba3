//! Filter `json`: a text that holds JSON as fields.
//!
//! In: `field`, `target`. Out: without a target the object's members become fields of the event, a
//! member `@timestamp` its time; with a target that field becomes the value, which may then be a
//! list, too. Promises: nothing is copied but what is escaped. On failure: the event keeps its
//! fields and gets the tag `_jsonparsefailure` (unless `skip_invalid`); a time that cannot be read
//! gives `_timestampparsefailure`, stays as `_@timestamp`, and leaves the event's time.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{flag, source, target};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Field, Key, Names, Path, Selection, Span, Value, parse_value};
use crate::settings::Section;
use crate::timestamp::parse_iso8601;

struct Json {
    plan: Arc<Plan>,
    /// The names of the objects before.
    names: Names,
    members: Vec<Field>,
}

struct Plan {
    field: Path,
    target: Option<Path>,
    skip_invalid: bool,
    /// `_@timestamp`: what is no time.
    odd_time: Key,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let target = target(section, load);
    let skip_invalid =
        flag(section, "skip_invalid", false) | flag(section, "skip_on_invalid_json", false);
    ecs_compatibility(section);
    let failure = Failure::load(section, "_jsonparsefailure", load);
    let odd_time = load.keys.intern("_@timestamp");
    let plan = Plan { field: field?, target: target?, skip_invalid, odd_time, failure };
    let plan = Arc::new(plan);
    Some(Box::new(move || {
        Box::new(Json { plan: Arc::clone(&plan), names: Names::default(), members: Vec::new() })
    }))
}

impl Filter for Json {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let Some(value) = batch.get(event, &plan.field) else {
                batch.events[event].missed = true;
                continue;
            };
            let parsed = match batch.plain_str(event, &plan.field) {
                Some(text) => self.parse(batch, event, text),
                // What is a list or an object already needs no reading.
                None => matches!(
                    value,
                    Value::Null | Value::Json(_) | Value::Array(_) | Value::Object(_)
                ),
            };
            if !parsed && plan.skip_invalid {
                batch.events[event].missed = true;
            } else if !parsed {
                plan.failure.mark(batch, event);
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
        if batch.read_object(text, &mut self.names, &mut self.members).is_err() {
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
            self.plan.set_time(batch, event, time);
        }
        true
    }
}

impl Plan {
    fn set_time(&self, batch: &mut Batch, event: usize, value: Value) {
        if let Some(time_ns) = batch.str_bytes(value).and_then(|text| parse_iso8601(&text)) {
            batch.events[event].time_ns = time_ns;
        } else {
            batch.set_root(event, self.odd_time, value);
            self.failure.mark_as(batch, event, "_timestampparsefailure");
            // The rest of the object was taken over: that is what `add_field` and the like wait for.
            batch.events[event].missed = false;
        }
    }
}

/// Logstash's setting of this name, which decides nothing in the filters that call this.
pub(super) fn ecs_compatibility(section: &Section<'_>) {
    is_classic(section);
}

/// Whether `ecs_compatibility = "disabled"` asks for the names of before the Elastic Common Schema.
pub(super) fn is_classic(section: &Section<'_>) -> bool {
    section.choice_or(
        "ecs_compatibility",
        &[("disabled", true), ("v1", false), ("v8", false)],
        false,
    )
}
