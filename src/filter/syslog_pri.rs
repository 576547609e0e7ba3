//! Filter `syslog_pri`: facility and severity of a syslog priority (RFC 5424, section 6.2.1).
//!
//! In: `field`, the number 8 × facility + severity, as a number or a text; an absent one counts as 13 (user, notice).
//! Out: code and name of both; with `ecs_compatibility = "v1"` below `log.syslog`, with `"disabled"` as
//! `syslog_facility_code`, `syslog_facility`, `syslog_severity_code` and `syslog_severity`.
//! Promises: what is no number sets nothing; a facility that has no name sets the codes. On failure: both give the tag
//! `_syslogpriparsefailure`, the second one only where names are asked for.

use std::sync::Arc;

use super::failure::Failure;
use super::named::{flag, source};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::Section;

const FACILITIES: [&str; 24] = [
    "kernel",
    "user-level",
    "mail",
    "daemon",
    "security/authorization",
    "syslogd",
    "line printer",
    "network news",
    "uucp",
    "clock",
    "security/authorization",
    "ftp",
    "ntp",
    "log audit",
    "log alert",
    "clock",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];
const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"];
/// What counts where there is no priority: user-level, notice.
const DEFAULT: u64 = 13;

struct SyslogPri {
    plan: Arc<Plan>,
    /// The labels' texts in this batch.
    texts: Vec<Value>,
}

struct Plan {
    field: Path,
    facility_code: Path,
    facility: Path,
    severity_code: Path,
    severity: Path,
    labels: bool,
    facilities: Vec<String>,
    severities: Vec<String>,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let modes = [("v1", true), ("v8", true), ("disabled", false)];
    let ecs = section.choice_or("ecs_compatibility", &modes, true);
    let default = if ecs { "log.syslog.priority" } else { "syslog_pri" };
    // Logstash has a name of its own for the field.
    let named = section.string("syslog_pri_field_name");
    let field = match named {
        Some(name) => super::named::path(section, &name, super::named::Use::Read, load),
        None => source(section, Some(default), load),
    };
    let labels = flag(section, "use_labels", true);
    let texts = |key, known: &[&str]| match section.strings(key) {
        Some(texts) => texts.into_iter().map(|text| text.value).collect(),
        None => known.iter().map(|text| (*text).to_string()).collect::<Vec<_>>(),
    };
    let facilities = texts("facility_labels", &FACILITIES);
    let severities = texts("severity_labels", &SEVERITIES);
    let failure = Failure::load(section, "_syslogpriparsefailure", load);
    let names = if ecs {
        ["facility.code", "facility.name", "severity.code", "severity.name"]
            .map(|name| format!("log.syslog.{name}"))
    } else {
        ["facility_code", "facility", "severity_code", "severity"].map(|n| format!("syslog_{n}"))
    };
    let mut path = |at: usize| Path::parse(&names[at], load.keys).ok();
    let plan = Arc::new(Plan {
        field: field?,
        facility_code: path(0)?,
        facility: path(1)?,
        severity_code: path(2)?,
        severity: path(3)?,
        labels,
        facilities,
        severities,
        failure,
    });
    Some(Box::new(move || Box::new(SyslogPri { plan: Arc::clone(&plan), texts: Vec::new() })))
}

impl Filter for SyslogPri {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = &*self.plan;
        self.texts.clear();
        for label in plan.facilities.iter().chain(&plan.severities) {
            self.texts.push(Value::Str(batch.push_text(label.as_bytes())));
        }
        let (facilities, severities) = self.texts.split_at(plan.facilities.len());
        for event in selected.iter() {
            let value = batch.get(event, &plan.field).filter(|value| *value != Value::Null);
            let priority = match value {
                None => Some(DEFAULT),
                Some(value) => number(batch, value),
            };
            let Some(priority) = priority else {
                plan.failure.mark(batch, event);
                continue;
            };
            let (facility, severity) = (priority / 8, priority % 8);
            batch.set(event, &plan.facility_code, Value::Int(facility as i64));
            batch.set(event, &plan.severity_code, Value::Int(severity as i64));
            if !plan.labels {
                continue;
            }
            let Some(label) = facilities.get(facility as usize) else {
                plan.failure.mark(batch, event);
                continue;
            };
            batch.set(event, &plan.facility, *label);
            if let Some(label) = severities.get(severity as usize) {
                batch.set(event, &plan.severity, *label);
            }
        }
    }
}

/// The number of a value, of a list the first one.
fn number(batch: &Batch, value: Value) -> Option<u64> {
    match value {
        Value::Int(n) => n.try_into().ok(),
        Value::Array(list) => number(batch, *batch.array(list).first()?),
        Value::Json(span) => number(batch, batch.raw_items(span).next()?),
        text => std::str::from_utf8(&batch.str_bytes(text)?).ok()?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::run;

    #[track_caller]
    fn check(settings: &str, json: &str, expected: &str) {
        let found = run(&format!("[[filters]]\ntype = \"syslog_pri\"\n{settings}\n"), json);
        assert_eq!(found, expected, "{settings}");
    }

    #[test]
    fn a_priority_is_a_facility_and_a_severity() {
        check(
            "ecs_compatibility = \"disabled\"",
            r#"{"syslog_pri":"165"}"#,
            r#"{"syslog_pri":"165","syslog_facility_code":20,"syslog_severity_code":5,"syslog_facility":"local4","syslog_severity":"notice"}"#,
        );
        check(
            "field = \"p\"\nuse_labels = false",
            r#"{"p":34}"#,
            r#"{"p":34,"log":{"syslog":{"facility":{"code":4},"severity":{"code":2}}}}"#,
        );
        check(
            "ecs_compatibility = \"disabled\"\nremove_tag = \"x\"",
            "{}",
            r#"{"syslog_facility_code":1,"syslog_severity_code":5,"syslog_facility":"user-level","syslog_severity":"notice"}"#,
        );
    }

    #[test]
    fn what_is_no_priority_is_tagged() {
        check("field = \"p\"", r#"{"p":"x"}"#, r#"{"p":"x","tags":["_syslogpriparsefailure"]}"#);
        check(
            "field = \"p\"\necs_compatibility = \"disabled\"",
            r#"{"p":193}"#,
            r#"{"p":193,"syslog_facility_code":24,"syslog_severity_code":1,"tags":["_syslogpriparsefailure"]}"#,
        );
        check(
            "field = \"p\"\necs_compatibility = \"disabled\"\nuse_labels = false",
            r#"{"p":193}"#,
            r#"{"p":193,"syslog_facility_code":24,"syslog_severity_code":1}"#,
        );
    }
}
