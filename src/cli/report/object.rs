//! The report as one JSON object.
//!
//! In: a report. Out: an object with the keys `source`, `lines`, `bytes`, `unread`, `from`, `to`, `levels`, `errors`,
//! `response_times`, `endpoints`, `traffic`, `tools`, `clients`; durations are milliseconds, shares between 0 and 1.
//! On failure: nothing can fail.

use serde_json::{Value, json};

use super::super::text::time;
use crate::report::{Durations, Ranking, Report};

/// The object.
pub(super) fn render(report: &Report, name: &str, top: usize) -> String {
    let span = report.times.unzip();
    let hours = report.hours.iter().map(|(hour, counts)| {
        json!({
            "hour": time(hour * 3_600_000_000_000), "events": counts.events,
            "requests": counts.requests, "errors": counts.errors,
        })
    });
    let day: Vec<u64> = report.hours_of_day().iter().map(|hour| hour.requests).collect();
    let slowest: Vec<&str> = report.slowest().into_iter().take(top).map(|(name, _)| name).collect();
    let statuses: serde_json::Map<_, _> =
        report.statuses.iter().map(|(status, n)| (status.to_string(), json!(n))).collect();
    let object = json!({
        "source": name,
        "lines": report.lines,
        "bytes": report.bytes,
        "unread": report.unread,
        "from": span.0.map(time),
        "to": span.1.map(time),
        "levels": words(&report.levels),
        "errors": errors(report, top),
        "response_times": {
            "requests": report.requests,
            "failed": report.failed_requests,
            "failure_rate": rate(report.failed_requests, report.requests),
            "duration_ms": durations(&report.durations),
            "slowest": slowest,
        },
        "endpoints": ranking(&report.endpoints, top, |endpoint| json!({
            "requests": endpoint.count, "failed": endpoint.failed,
            "duration_ms": durations(&endpoint.durations),
        })),
        "traffic": {
            "by_hour": hours.collect::<Vec<_>>(),
            "requests_by_hour_of_day": day,
            "by_status": statuses,
            "by_method": words(&report.methods),
        },
        "tools": ranking(&report.tools, top, |tool| json!({
            "calls": tool.count, "failed": tool.failed, "failure_rate": rate(tool.failed, tool.count),
            "duration_ms": durations(&tool.durations),
        })),
        "clients": ranking(&report.clients, top, |client| json!({
            "events": client.count, "refused": client.refused,
        })),
    });
    object.to_string()
}

fn errors(report: &Report, top: usize) -> Value {
    let types: serde_json::Map<_, _> =
        report.error_types().into_iter().map(|(name, n)| (name, json!(n))).collect();
    json!({
        "total": report.errors_total(),
        "by_type": types,
        "by_kind": ranking(&report.errors, top, |kind| json!({
            "count": kind.count, "example": kind.example,
            "exception": Some(&kind.exception).filter(|e| !e.is_empty()),
            "first": kind.times.map(|t| time(t.0)), "last": kind.times.map(|t| time(t.1)),
        })),
    })
}

/// The first rows, each with its `name`; what is not shown is counted.
fn ranking<T>(ranking: &Ranking<T>, top: usize, object: impl Fn(&T) -> Value) -> Value {
    let row = |(name, counted): &(String, T)| {
        let mut object = object(counted);
        object["name"] = json!(name);
        object
    };
    json!({
        "top": ranking.rows.iter().take(top).map(row).collect::<Vec<_>>(),
        "different": ranking.rows.len(),
        "beyond_bound": ranking.others,
    })
}

fn words(ranking: &Ranking<u64>) -> Value {
    Value::Object(ranking.rows.iter().map(|(name, n)| (name.clone(), json!(n))).collect())
}

fn rate(part: u64, whole: u64) -> f64 {
    super::percent(part, whole) / 100.0
}

fn durations(all: &Durations) -> Value {
    if all.count() == 0 {
        return Value::Null;
    }
    let [p50, p95, p99] = all.percentiles([50, 95, 99]);
    let (min, max) = all.bounds();
    json!({
        "count": all.count(), "mean": all.mean(), "min": min, "max": max,
        "p50": p50, "p95": p95, "p99": p99,
    })
}
