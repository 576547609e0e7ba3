//! Filter `date`: an event's time from one of its fields.
//!
//! In: a text or number. Out: `@timestamp` (or `target`). Promises: the formats are tried in the order written; an
//! absent field changes nothing. On failure: the event gets the tag `_dateparsefailure` and keeps its time.

use std::sync::Arc;

use super::named::{Use, optional_field, required_field};
use super::{Filter, FilterLoad, Make, counters};
use crate::clock::SharedClock;
use crate::event::{Batch, Path, Selection, Value};
use crate::metrics::Counter;
use crate::settings::Section;
use crate::timestamp::{
    DateFormat, DateNumber, DateOptions, ErrorPart, locale_problem, write_iso8601_ms,
};

struct Date {
    plan: Arc<Plan>,
}

struct Plan {
    field: Path,
    formats: Vec<DateFormat>,
    target: Option<Path>,
    tag: String,
    clock: SharedClock,
    failures: Counter,
}

pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = required_field(section, "field", "\"timestamp\"", Use::Read, load);
    let target = match section.string("target").filter(|t| t.value != "@timestamp") {
        None => Some(None),
        Some(_) => optional_field(section, "target", load),
    };
    let tag = section.string_or("tag_on_failure", "_dateparsefailure").value;
    let formats = formats(section);
    let (_, failures) = counters(section, load);
    let clock = Arc::clone(load.clock);
    let plan =
        Arc::new(Plan { field: field?, formats: formats?, target: target?, tag, clock, failures });
    Some(Box::new(move || Box::new(Date { plan: Arc::clone(&plan) })))
}

fn formats(section: &Section<'_>) -> Option<Vec<DateFormat>> {
    let texts = section.required_strings("formats", "[\"ISO8601\"]");
    let zone = section.string("timezone");
    let locale = section.string("locale");
    if let Some((locale, problem)) = locale.as_ref().and_then(|l| Some((l, locale_problem(l)?))) {
        section.error(locale.span.clone(), problem.message, problem.hint);
        return None;
    }
    let options = DateOptions {
        timezone: zone.as_ref().map(|z| z.value.clone()),
        locale: locale.map(|l| l.value),
    };
    let mut formats = Vec::new();
    for text in &texts {
        match DateFormat::compile(text, &options) {
            Ok(format) => formats.push(format),
            Err(error) => {
                let place = match (&error.part, &zone) {
                    (ErrorPart::Timezone, Some(zone)) => zone.span.clone(),
                    _ => text.span.clone(),
                };
                section.error(place, error.message, error.hint);
            }
        }
    }
    (!texts.is_empty() && formats.len() == texts.len()).then_some(formats)
}

impl Plan {
    fn parse(&self, batch: &Batch, value: Value, now_ns: i64) -> Option<i64> {
        let number = |number: DateNumber| self.formats.iter().find_map(|f| f.parse_number(number));
        match value {
            Value::Int(n) => number(n.into()),
            Value::Float(n) => number(n.into()),
            Value::Json(span) => {
                let text = std::str::from_utf8(batch.bytes(span)).ok()?;
                number(text.parse::<f64>().ok()?.into())
            }
            other => {
                let text = batch.str_bytes(other)?;
                self.formats.iter().find_map(|f| f.parse(&text, now_ns))
            }
        }
    }
}

impl Filter for Date {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = &*self.plan;
        let now_ns = plan.clock.now_ns();
        for event in selected.iter() {
            // A null says that there is no time, as an absent field does.
            let value = batch.get(event, &plan.field).filter(|value| *value != Value::Null);
            let Some(value) = value else { continue };
            let Some(time_ns) = plan.parse(batch, value, now_ns) else {
                batch.add_tag(event, &plan.tag);
                plan.failures.increment();
                continue;
            };
            match &plan.target {
                None => batch.events[event].time_ns = time_ns,
                Some(target) => {
                    let start = batch.text.len();
                    write_iso8601_ms(time_ns, &mut batch.text);
                    let text = crate::event::Span::new(start, batch.text.len());
                    batch.set(event, target, Value::Str(text));
                }
            }
        }
    }
}
