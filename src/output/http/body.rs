//! What a request's body is made of.
//!
//! In: documents of frames. Out: the bytes of a body. Promises: documents are as they stand in the journal; those of
//! one set of labels are together, in their order. On failure: nothing fails.
//!
//! Sources: of Loki's form <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>, of
//! OpenTelemetry's
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use serde_json::{Map, Value, json};

use super::super::post::Batch;
use crate::event::write_string;
use crate::frame::Document;

/// Stands between the values of labels in a document's address.
pub(super) const BETWEEN: char = '\u{1f}';

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A document a line.
    Lines,
    /// An array of documents.
    Array,
    /// One document.
    Single,
    /// Streams of Loki, each with its labels.
    Loki,
    /// Log records of OpenTelemetry.
    Otlp,
}

impl Format {
    /// The value of `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        if self == Format::Lines { "application/x-ndjson" } else { "application/json" }
    }

    /// A body with these documents; `labels`: their names.
    pub(super) fn body(self, batch: &Batch<'_>, labels: &[String]) -> Vec<u8> {
        match self {
            Format::Loki => return streams(batch, labels),
            Format::Otlp => return records(batch),
            _ => {}
        }
        let mut body = Vec::new();
        if self == Format::Array {
            body.push(b'[');
        }
        for (place, document) in batch.iter().enumerate() {
            if place > 0 && self == Format::Array {
                body.push(b',');
            }
            body.extend_from_slice(document.body);
            if self == Format::Lines {
                body.push(b'\n');
            }
        }
        if self == Format::Array {
            body.push(b']');
        }
        body
    }
}

/// `{"streams":[{"stream":{labels},"values":[[time, document], …]}, …]}`.
fn streams(batch: &Batch<'_>, labels: &[String]) -> Vec<u8> {
    let mut groups: Vec<(&[u8], Vec<Document<'_>>)> = Vec::new();
    for document in batch.iter() {
        let values = document.address(batch.bit).unwrap_or_default();
        match groups.iter_mut().find(|(known, _)| *known == values) {
            Some((_, group)) => group.push(document),
            None => groups.push((values, vec![document])),
        }
    }
    let mut body = b"{\"streams\":[".to_vec();
    for (place, (values, group)) in groups.iter().enumerate() {
        body.extend_from_slice(if place > 0 { b",{\"stream\":{" } else { b"{\"stream\":{" });
        let values = String::from_utf8_lossy(values);
        let pairs = labels.iter().zip(values.split(BETWEEN)).filter(|(_, value)| !value.is_empty());
        for (number, (name, value)) in pairs.enumerate() {
            if number > 0 {
                body.push(b',');
            }
            write_string(name.as_bytes(), &mut body);
            body.push(b':');
            write_string(value.as_bytes(), &mut body);
        }
        body.extend_from_slice(b"},\"values\":[");
        for (number, document) in group.iter().enumerate() {
            body.extend_from_slice(if number > 0 { b",[\"" } else { b"[\"" });
            body.extend_from_slice(document.time_ns.max(0).to_string().as_bytes());
            body.extend_from_slice(b"\",");
            write_string(document.body, &mut body);
            body.push(b']');
        }
        body.extend_from_slice(b"]}");
    }
    body.extend_from_slice(b"]}");
    body
}

/// `{"resourceLogs":[{"scopeLogs":[{"logRecords":[…]}]}]}`; the record's body is the document.
fn records(batch: &Batch<'_>) -> Vec<u8> {
    let records: Vec<Value> = batch.iter().map(|document| record(&document)).collect();
    let scope = json!({ "name": "logweir", "version": env!("CARGO_PKG_VERSION") });
    let logs = json!({ "resource": {}, "scopeLogs": [{ "scope": scope, "logRecords": records }] });
    json!({ "resourceLogs": [logs] }).to_string().into_bytes()
}

/// How many records a collector says that it left out of a request that it took, and why; it does not say which.
pub(super) fn left_out(answer: &[u8]) -> Option<(u64, String)> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let part = &answer["partialSuccess"];
    // A number of 64 bits is a text in this form; some write it as a number.
    let count = &part["rejectedLogRecords"];
    let count =
        count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| *count > 0)?;
    let why = part["errorMessage"].as_str().unwrap_or_default();
    Some((count, why.chars().take(200).collect()))
}

fn record(document: &Document<'_>) -> Value {
    let time = document.time_ns.max(0).to_string();
    let mut record = json!({ "timeUnixNano": time, "observedTimeUnixNano": time });
    let mut fields: Map<String, Value> = serde_json::from_slice(document.body).unwrap_or_default();
    fields.remove("@timestamp");
    let level = ["level", "log.level", "severity"].iter().find_map(|name| fields.get(*name));
    let level = level.or_else(|| fields.get("log").and_then(|log| log.get("level")));
    if let Some(level) = level.and_then(Value::as_str) {
        record["severityText"] = level.into();
        if let Some(number) = severity(level) {
            record["severityNumber"] = number.into();
        }
    }
    record["body"] = any(Value::Object(fields));
    record
}

/// The number of a level's name.
fn severity(level: &str) -> Option<u8> {
    Some(match level.to_ascii_lowercase().as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" | "information" | "informational" => 9,
        "notice" => 10,
        "warn" | "warning" => 13,
        "error" | "err" => 17,
        "critical" | "crit" | "alert" => 19,
        "fatal" | "emergency" | "emerg" | "panic" => 21,
        _ => return None,
    })
}

/// A value with its type; whole numbers are texts, as the mapping of 64 bits to JSON wants them.
fn any(value: Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(value) => json!({ "boolValue": value }),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => json!({ "intValue": whole.to_string() }),
            None => json!({ "doubleValue": number.as_f64() }),
        },
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(items) => {
            let values: Vec<Value> = items.into_iter().map(any).collect();
            json!({ "arrayValue": { "values": values } })
        }
        Value::Object(fields) => {
            let pair = |(key, value)| json!({ "key": key, "value": any(value) });
            let values: Vec<Value> = fields.into_iter().map(pair).collect();
            json!({ "kvlistValue": { "values": values } })
        }
    }
}
