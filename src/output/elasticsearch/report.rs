//! What the output says about its work: numbers, and messages that do not flood.
//!
//! In: what happened. Out: metrics; one log line for each class of trouble, then one per interval with a count.
//! Promises: `taken = delivered + deduplicated + dead + waiting` at all times (checked in debug builds); the content
//! of a document is never logged. On failure: nothing can fail.

use std::collections::BTreeMap;

use crate::metrics::{Counter, Gauge, Metrics};

/// The numbers and the messages.
pub(super) struct Report {
    metrics: Metrics,
    output: String,
    /// Documents taken from frames.
    pub(super) taken: u64,
    delivered: Counter,
    deduplicated: Counter,
    dead: Counter,
    retried: Counter,
    failure_store: Counter,
    bytes: Counter,
    retries: Counter,
    in_flight: Gauge,
    waiting: Gauge,
    // Delivered, deduplicated or dead since this output began (a reload keeps the counters, not this).
    settled: u64,
    stored: u64,
    requests: BTreeMap<u16, Counter>,
    classes: BTreeMap<String, Class>,
}

#[derive(Default)]
struct Class {
    since_ns: u64,
    count: u64,
}

/// Nanoseconds between two messages of one class.
const INTERVAL_NS: u64 = 30_000_000_000;
/// Statuses that have a series of their own; a server could answer with any number.
const STATUSES_MAX: usize = 20;
/// All others; no server can answer with it.
const OTHER: u16 = u16::MAX;
/// Classes told apart; error types are few, but a server could invent them.
const CLASSES_MAX: usize = 100;

impl Report {
    /// A report for an output with this name.
    pub(super) fn new(metrics: &Metrics, output: &str) -> Report {
        let documents = |result| {
            metrics
                .with("result", result)
                .counter("logweir_output_documents_total", "Documents by what became of them.")
        };
        Report {
            metrics: metrics.clone(),
            output: output.to_string(),
            taken: 0,
            delivered: documents("delivered"),
            deduplicated: documents("deduplicated"),
            dead: documents("dead"),
            retried: documents("retried"),
            failure_store: documents("failure_store"),
            bytes: metrics.counter("logweir_output_bytes_total", "Bytes of accepted requests."),
            retries: metrics.counter("logweir_output_retries_total", "Requests sent again."),
            in_flight: metrics.gauge("logweir_output_in_flight", "Requests under way."),
            waiting: metrics.gauge(
                "logweir_output_waiting_documents",
                "Refused documents that wait for a try.",
            ),
            settled: 0,
            stored: 0,
            requests: BTreeMap::new(),
            classes: BTreeMap::new(),
        }
    }

    /// Documents delivered since the output began.
    pub(super) fn delivered(&self) -> u64 {
        self.stored
    }

    /// Documents stored by the server; `failure_store` of them as failed ones.
    pub(super) fn stored(&mut self, count: usize, failure_store: usize, now_ns: u64) {
        self.delivered.add(count as u64);
        self.stored += count as u64;
        self.settled += count as u64;
        if failure_store > 0 {
            self.failure_store.add(failure_store as u64);
            self.problem("failure_store", failure_store, now_ns, || {
                "documents went to the failure store of their data stream: see GET /STREAM::failures".into()
            });
        }
    }

    /// A document that had been stored before.
    pub(super) fn deduplicated(&mut self) {
        self.settled += 1;
        self.deduplicated.increment();
    }

    /// Documents that are dead letters on disk.
    pub(super) fn dead(&mut self, count: usize) {
        self.settled += count as u64;
        self.dead.add(count as u64);
    }

    /// Documents that will be sent again.
    pub(super) fn retried(&self, documents: usize) {
        self.retried.add(documents as u64);
    }

    /// A whole request that will be sent again.
    pub(super) fn request_again(&self) {
        self.retries.increment();
    }

    /// A request was answered; status 0: it was not.
    pub(super) fn answered(&mut self, status: u16, bytes: usize) {
        let metrics = &self.metrics;
        let known = self.requests.contains_key(&status);
        let place = if known || self.requests.len() < STATUSES_MAX { status } else { OTHER };
        let counter = self.requests.entry(place).or_insert_with(|| {
            let text = match place {
                0 => "none".to_string(),
                OTHER => "_other".to_string(),
                status => status.to_string(),
            };
            metrics
                .with("status", &text)
                .counter("logweir_output_requests_total", "Requests by the status of their answer.")
        });
        counter.increment();
        if status == 200 {
            self.bytes.add(bytes as u64);
        }
    }

    /// The gauges.
    pub(super) fn set_gauges(&self, in_flight: usize, waiting: usize) {
        self.in_flight.set(in_flight as i64);
        self.waiting.set(waiting as i64);
    }

    /// Tells of trouble with `count` documents: at once when it is new, else in the next summary.
    pub(super) fn problem(
        &mut self,
        class: &str,
        count: usize,
        now_ns: u64,
        message: impl FnOnce() -> String,
    ) {
        let full = self.classes.len() >= CLASSES_MAX && !self.classes.contains_key(class);
        let class = if full { "other" } else { class };
        if !self.classes.contains_key(class) {
            tracing::warn!(output = %self.output, documents = count, "{}", message());
            let first = Class { since_ns: now_ns, count: 0 };
            self.classes.insert(class.to_string(), first);
            return;
        }
        let Some(known) = self.classes.get_mut(class) else { return };
        known.count += count as u64;
        let seconds = now_ns.saturating_sub(known.since_ns) / 1_000_000_000;
        if known.count > 0 && seconds * 1_000_000_000 >= INTERVAL_NS {
            let documents = known.count;
            tracing::warn!(output = %self.output, documents, seconds, "latest: {}", message());
            *known = Class { since_ns: now_ns, count: 0 };
        }
    }

    /// Checks that no document was lost sight of: `open` are neither delivered nor dead.
    pub(super) fn check(&self, open: usize) {
        let (taken, settled) = (self.taken, self.settled);
        debug_assert_eq!(taken, settled + open as u64, "taken = settled + waiting");
        if taken != settled + open as u64 {
            tracing::error!(output = %self.output, taken, settled, open, "documents are miscounted");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_answers_with_ever_other_statuses_makes_no_more_series_than_there_is_room_for()
    {
        let metrics = Metrics::default();
        let mut report = Report::new(&metrics, "logs");
        for status in (100..1000).chain([0, 100, 999]) {
            report.answered(status, 0);
        }
        let text = metrics.render();
        let series = text.lines().filter(|l| l.starts_with("logweir_output_requests_total{"));
        assert_eq!(series.count(), STATUSES_MAX + 1);
        let of = |status: &str| format!("requests_total{{status=\"{status}\"}} ");
        assert!(text.contains(&(of("100") + "2\n")), "{text}");
        assert!(text.contains(&(of("_other") + "882\n")), "{text}");
    }
}
