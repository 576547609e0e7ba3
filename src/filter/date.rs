//! Filter `date`: an event's time from one of its fields.
//!
//! In: a text or number. Out: `@timestamp` (or `target`). Promises: the formats are tried in the order written; an
//! absent field changes nothing. On failure, also where the event names no zone that there is: the event gets the tag
//! `_dateparsefailure` and keeps its time.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{Use, optional_field, path, source};
use super::{Filter, FilterLoad, Make};
use crate::clock::SharedClock;
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::{Section, Spanned};
use crate::template::{References, Template};
use crate::timestamp::{
    DateFormat, DateNumber, DateOptions, ErrorPart, Minute, Zone, locale_problem, write_iso8601_ms,
};

struct Date {
    plan: Arc<Plan>,
    /// Of the last text.
    minute: Minute,
}

struct Plan {
    field: Path,
    formats: Vec<DateFormat>,
    /// The zone that the event names, instead of a fixed one.
    zone: Option<Template>,
    target: Option<Path>,
    clock: SharedClock,
    failure: Failure,
}

pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let wanted = wanted(section, load);
    let target = match section.string("target").filter(|t| t.value != "@timestamp") {
        None => Some(None),
        Some(_) => optional_field(section, "target", load),
    };
    let failure = Failure::load(section, "_dateparsefailure", load);
    let zone = section.string("timezone").filter(|zone| zone.contains("%{"));
    let zone = zone.map(|zone| Template::load_as(section, &zone, References::Percent, load.keys));
    let (field, texts) = wanted.unzip();
    let formats = formats(section, &texts.unwrap_or_default());
    let clock = Arc::clone(load.clock);
    let zone = match zone {
        None => None,
        Some(zone) => Some(zone?),
    };
    let (field, formats, target) = (field?, formats?, target?);
    let plan = Arc::new(Plan { field, formats, zone, target, clock, failure });
    Some(Box::new(move || Box::new(Date { plan: Arc::clone(&plan), minute: Minute::default() })))
}

/// `field` and `formats`, or Logstash's `match = ["field", "format", …]`.
fn wanted(
    section: &Section<'_>,
    load: &mut FilterLoad<'_>,
) -> Option<(Path, Vec<Spanned<String>>)> {
    if !section.has("match") {
        let field = source(section, None, load);
        let formats = section.required_strings("formats", "[\"ISO8601\"]");
        return field.map(|field| (field, formats));
    }
    for key in ["field", "source", "formats"] {
        if section.has(key) {
            let message =
                format!("`match` names the field and its formats, so `{key}` is too much");
            section.error(section.span_of(key), message, Some("write one of the two".into()));
            return None;
        }
    }
    let mut texts = section.strings("match")?;
    if texts.len() < 2 {
        let hint = "write match = [\"time\", \"ISO8601\"]";
        let message = "`match` holds no field and format";
        section.error(section.span_of("match"), message, Some(hint.into()));
        return None;
    }
    let field = texts.remove(0);
    path(section, &field, Use::Read, load).map(|field| (field, texts))
}

fn formats(section: &Section<'_>, texts: &[Spanned<String>]) -> Option<Vec<DateFormat>> {
    let zone = section.string("timezone").filter(|zone| !zone.contains("%{"));
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
    for text in texts {
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
    #[inline]
    fn parse(
        &self,
        batch: &Batch,
        event: usize,
        value: Value,
        (now_ns, minute): (i64, &mut Minute),
    ) -> Option<i64> {
        if let (Value::Str(span), None) = (value, &self.zone) {
            let text = batch.bytes(span);
            return self.formats.iter().find_map(|f| f.parse_again(text, now_ns, minute));
        }
        self.parse_other(batch, event, value, now_ns)
    }

    fn parse_other(&self, batch: &Batch, event: usize, value: Value, now_ns: i64) -> Option<i64> {
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
                let Some(zone) = &self.zone else {
                    return self.formats.iter().find_map(|f| f.parse(&text, now_ns));
                };
                let mut name = Vec::new();
                zone.render_as_written(batch, event, &mut name);
                let zone = Zone::named(std::str::from_utf8(&name).ok()?)?;
                self.formats.iter().find_map(|f| f.parse_in(&text, now_ns, &zone))
            }
        }
    }
}

impl Filter for Date {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Date { plan, minute } = self;
        let now_ns = plan.clock.now_ns();
        for event in selected.iter() {
            // A null says that there is no time, as an absent field does.
            let value = batch.get(event, &plan.field).filter(|value| *value != Value::Null);
            let Some(value) = value else {
                batch.events[event].missed = true;
                continue;
            };
            let Some(time_ns) = plan.parse(batch, event, value, (now_ns, minute)) else {
                plan.failure.mark(batch, event);
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

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, problems, run, written};

    #[test]
    fn match_names_the_field_and_its_formats_as_logstash_does() {
        let filter =
            |more: &str| format!("[[filters]]\ntype = \"date\"\ntarget = \"at\"\n{more}\n");
        let text = filter("match = [\"[d][t]\", \"yyyy\", \"ISO8601\"]");
        let found = run(&text, r#"{"d":{"t":"2026-07-01T12:00:00Z"}}"#);
        assert_eq!(found, r#"{"d":{"t":"2026-07-01T12:00:00Z"},"at":"2026-07-01T12:00:00.000Z"}"#);
        let one = problems(&filter("match = [\"t\"]\nlocale = \"en\""));
        assert!(one.contains("holds no field and format") && one.starts_with("error"), "{one}");
        assert!(!one.contains("unknown key"), "{one}");
        let both = problems(&filter("match = [\"t\", \"ISO8601\"]\nfield = \"t\""));
        assert!(both.contains("`field` is too much"), "{both}");
    }

    #[test]
    fn the_zone_may_be_one_that_the_event_names() {
        let text = "[[filters]]\ntype = \"date\"\nfield = \"t\"\ntarget = \"at\"\n\
                    timezone = \"%{[zone][name]}\"\nformats = [\"yyyy-MM-dd HH:mm\", \"ISO8601\"]\n\
                    remove_field = [\"t\", \"zone\"]\n";
        let mut trial = Trial::new(text);
        let mut batch = trial.batch(&[
            r#"{"t":"2026-07-01 12:00","zone":{"name":"America/Caracas"}}"#,
            r#"{"t":"2026-07-01T12:00:00","zone":{"name":"+02:00"}}"#,
            r#"{"t":"2026-07-01 12:00","zone":{"name":"Nowhere"}}"#,
            r#"{"t":"2026-07-01 12:00"}"#,
        ]);
        trial.chain.apply(&mut batch);
        assert_eq!(written(&batch, 0), r#"{"at":"2026-07-01T16:00:00.000Z"}"#);
        assert_eq!(written(&batch, 1), r#"{"at":"2026-07-01T10:00:00.000Z"}"#);
        assert!(written(&batch, 2).ends_with(r#""tags":["_dateparsefailure"]}"#));
        assert!(written(&batch, 3).ends_with(r#""tags":["_dateparsefailure"]}"#));
    }
}
