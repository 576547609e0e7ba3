//! Traces of batches to an OpenTelemetry collector: OTLP over HTTP, as JSON.
//!
//! In: finished traces. Out: requests to `ENDPOINT/v1/traces`, by the specification of OTLP 1.x (ids as hexadecimal
//! digits, 64-bit numbers as texts). Promises: whatever the collector does, pipelines do not notice. On failure: what
//! may pass (408, 429, 502, 503, 504, no answer) is tried again a few times, then, as what is refused, dropped and
//! counted; the log says when it begins and when it ends.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::metrics::{Counter, Metrics};
use crate::names;
use crate::tls::ClientTls;
use crate::trace::{Span, Step, Trace, counter};

/// How long traces are collected for one request.
const GATHER: Duration = Duration::from_secs(1);
/// Traces in one request.
const TRACES_MAX: usize = 64;
/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// Pauses between the tries of one request.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(5)];
/// Longest pause that an answer can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);

pub(super) struct Exporter {
    client: reqwest::Client,
    url: String,
    /// The resource: which agent this is.
    host: String,
    sent: Counter,
    dropped: Counter,
    fails: bool,
}

/// What became of one try.
enum Answer {
    Taken,
    Later(String, Option<Duration>),
    Refused(String),
}

impl Exporter {
    /// An error: why there can be no client.
    pub(super) fn new(endpoint: &str, metrics: &Metrics) -> Result<Exporter, String> {
        let plain = endpoint.starts_with("http://");
        let config = if plain { ClientTls::unused() } else { ClientTls::system() }.config();
        let builder = names::client().tls_backend_preconfigured(config).timeout(ANSWER_WAIT);
        let client = builder.build().map_err(|why| why.to_string())?;
        Ok(Exporter {
            client,
            url: format!("{}/v1/traces", endpoint.trim_end_matches('/')),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            sent: counter(metrics, "sent"),
            dropped: counter(metrics, "dropped"),
            fails: false,
        })
    }

    /// Sends what comes until the agent ends.
    pub(super) async fn run(mut self, mut traces: mpsc::Receiver<Trace>) {
        let mut batch = Vec::new();
        while traces.recv_many(&mut batch, TRACES_MAX).await > 0 {
            tokio::time::sleep(GATHER).await;
            while batch.len() < TRACES_MAX
                && let Ok(trace) = traces.try_recv()
            {
                batch.push(trace);
            }
            self.send(&batch).await;
            batch.clear();
        }
    }

    async fn send(&mut self, traces: &[Trace]) {
        let body = request(traces, &self.host).to_string();
        let count = traces.len() as u64;
        for pause in PAUSES.map(Some).into_iter().chain([None]) {
            match self.post(body.clone()).await {
                Answer::Taken => {
                    self.sent.add(count);
                    if std::mem::take(&mut self.fails) {
                        tracing::info!("the collector of traces answers again");
                    }
                    return;
                }
                Answer::Later(_, asked) if pause.is_some() => {
                    let pause = pause.unwrap_or_default();
                    tokio::time::sleep(asked.map_or(pause, |asked| asked.min(PAUSE_MAX))).await;
                }
                Answer::Later(why, _) | Answer::Refused(why) => {
                    self.dropped.add(count);
                    if !std::mem::replace(&mut self.fails, true) {
                        tracing::warn!(
                            "traces cannot be sent to {}: {why}; they are dropped, events are not concerned; check \
                             --otlp-endpoint and the collector",
                            self.url
                        );
                    }
                    return;
                }
            }
        }
    }

    async fn post(&self, body: String) -> Answer {
        let request = self.client.post(&self.url).header("Content-Type", "application/json");
        let response = match request.body(body).send().await {
            Ok(response) => response,
            Err(why) => return Answer::Later(cause(&why.without_url()), None),
        };
        let status = response.status();
        match status.as_u16() {
            200..=299 => Answer::Taken,
            408 | 429 | 502..=504 => {
                let after = response.headers().get("Retry-After");
                let seconds = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
                Answer::Later(status.to_string(), seconds.map(Duration::from_secs))
            }
            _ => Answer::Refused(status.to_string()),
        }
    }
}

/// The innermost cause, which says what happened ("connection refused").
fn cause(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// An `ExportTraceServiceRequest`.
fn request(traces: &[Trace], host: &str) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        text("service.name", "logweir"),
        text("service.version", version),
        text("host.name", host),
    ];
    let spans: Vec<Value> = traces.iter().flat_map(spans).collect();
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": { "name": "logweir", "version": version }, "spans": spans }],
    }] })
}

fn spans(trace: &Trace) -> impl Iterator<Item = Value> {
    let root = trace.spans[0].id;
    trace.spans.iter().map(move |span| one(trace, span, root))
}

fn one(trace: &Trace, span: &Span, root: u64) -> Value {
    // INTERNAL; to somebody else CLIENT.
    let (name, kind, attributes) = match &span.step {
        Step::Batch => {
            let attributes = vec![
                text("logweir.pipeline", &trace.pipeline),
                text("logweir.input", &trace.input),
                number("logweir.events", trace.events),
                number("logweir.bytes", trace.bytes),
            ];
            ("batch".to_string(), 1, attributes)
        }
        Step::Wait => ("wait".to_string(), 1, Vec::new()),
        Step::Filter => ("filter".to_string(), 1, Vec::new()),
        Step::Journal => ("journal".to_string(), 1, Vec::new()),
        Step::Output(output) => {
            (format!("output {output}"), 3, vec![text("logweir.output", output)])
        }
    };
    let mut value = json!({
        "traceId": format!("{:032x}", trace.id),
        "spanId": format!("{:016x}", span.id),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": span.start_ns.to_string(),
        "endTimeUnixNano": span.end_ns.to_string(),
        "attributes": attributes,
    });
    if span.id != root {
        value["parentSpanId"] = format!("{root:016x}").into();
    }
    value
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: u64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_what_otlp_specifies_as_json() {
        let span = |id, step, start_ns, end_ns| Span { id, step, start_ns, end_ns };
        let trace = Trace {
            id: 0xab,
            pipeline: "app".into(),
            input: "web".into(),
            events: 7,
            bytes: 512,
            spans: vec![
                span(1, Step::Batch, 400, 3_000_000_000),
                span(2, Step::Output("logs".into()), 500, 3_000_000_000),
            ],
        };
        let version = env!("CARGO_PKG_VERSION");
        let wanted = json!({ "resourceSpans": [{
            "resource": { "attributes": [
                { "key": "service.name", "value": { "stringValue": "logweir" } },
                { "key": "service.version", "value": { "stringValue": version } },
                { "key": "host.name", "value": { "stringValue": "node-a" } },
            ] },
            "scopeSpans": [{ "scope": { "name": "logweir", "version": version }, "spans": [
                {
                    "traceId": "000000000000000000000000000000ab",
                    "spanId": "0000000000000001",
                    "name": "batch",
                    "kind": 1,
                    "startTimeUnixNano": "400",
                    "endTimeUnixNano": "3000000000",
                    "attributes": [
                        { "key": "logweir.pipeline", "value": { "stringValue": "app" } },
                        { "key": "logweir.input", "value": { "stringValue": "web" } },
                        { "key": "logweir.events", "value": { "intValue": "7" } },
                        { "key": "logweir.bytes", "value": { "intValue": "512" } },
                    ],
                },
                {
                    "traceId": "000000000000000000000000000000ab",
                    "spanId": "0000000000000002",
                    "parentSpanId": "0000000000000001",
                    "name": "output logs",
                    "kind": 3,
                    "startTimeUnixNano": "500",
                    "endTimeUnixNano": "3000000000",
                    "attributes": [{ "key": "logweir.output", "value": { "stringValue": "logs" } }],
                },
            ] }],
        }] });
        assert_eq!(request(&[trace], "node-a"), wanted);
    }
}
