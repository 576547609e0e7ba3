//! Counters and gauges, printed in the Prometheus text format (version 0.0.4).
//!
//! Is: one registry per process. In: a name, labels and a help text, once; then additions. Out: the text of
//! `/metrics`. Promises: adding never locks; label values of the agent's own metrics come from the configuration, never
//! from data; those of derived ones ([`Metrics::derive`]) are bounded. On failure: nothing can fail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

mod derived;

pub use derived::{Definition, Family, Kind};

/// A number that only grows.
#[derive(Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A number that goes up and down.
#[derive(Clone, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// All metrics of the process, or of one part of it when made by [`Metrics::with`].
#[derive(Clone, Default)]
pub struct Metrics {
    families: Arc<Mutex<BTreeMap<&'static str, OwnFamily>>>,
    labels: Vec<(&'static str, String)>,
    derived: derived::Families,
}

struct OwnFamily {
    help: &'static str,
    kind: &'static str,
    series: BTreeMap<String, Series>,
}

enum Series {
    Counter(Counter),
    Gauge(Gauge),
}

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Replaces the value.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds `n`, which may be negative.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metrics {
    /// The same registry with one more label on everything made through the returned handle.
    #[must_use]
    pub fn with(&self, label: &'static str, value: &str) -> Metrics {
        let mut labels = self.labels.clone();
        labels.push((label, value.to_string()));
        let derived = self.derived.clone();
        Metrics { families: Arc::clone(&self.families), labels, derived }
    }

    /// The counter of this name and these labels; made at first use, shared afterwards. Names end in `_total`.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        let make = || Series::Counter(Counter::default());
        self.series(name, help, "counter", make, |series| match series {
            Series::Counter(counter) => counter.clone(),
            Series::Gauge(_) => Counter::default(),
        })
    }

    /// The gauge of this name and these labels; made at first use, shared afterwards.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        let make = || Series::Gauge(Gauge::default());
        self.series(name, help, "gauge", make, |series| match series {
            Series::Gauge(gauge) => gauge.clone(),
            Series::Counter(_) => Gauge::default(),
        })
    }

    /// Everything as Prometheus text.
    pub fn render(&self) -> String {
        let families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        for (name, family) in families.iter() {
            let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} {}", family.help, family.kind);
            for (labels, series) in &family.series {
                let _ = match series {
                    Series::Counter(c) => writeln!(out, "{name}{labels} {}", c.value()),
                    Series::Gauge(g) => writeln!(out, "{name}{labels} {}", g.value()),
                };
            }
        }
        self.derived.write(&mut out);
        out
    }

    fn series<T>(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        make: impl FnOnce() -> Series,
        pick: impl FnOnce(&Series) -> T,
    ) -> T {
        let mut families = self.families.lock().unwrap_or_else(PoisonError::into_inner);
        let family = families.entry(name).or_insert_with(|| OwnFamily {
            help,
            kind,
            series: BTreeMap::new(),
        });
        pick(family.series.entry(label_text(&self.labels)).or_insert_with(make))
    }
}

fn label_text(labels: &[(&'static str, String)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{}\"", quoted(v))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A label's value as it stands between quotes.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_made_once_and_printed_with_its_labels() {
        let metrics = Metrics::default();
        let input = metrics.with("pipeline", "app").with("input", "a\"b");
        input.counter("logweir_events_read_total", "Events read.").add(2);
        input.counter("logweir_events_read_total", "Events read.").increment();
        metrics.gauge("logweir_up", "Always 1.").set(1);
        assert_eq!(
            metrics.render(),
            "# HELP logweir_events_read_total Events read.\n# TYPE logweir_events_read_total counter\n\
             logweir_events_read_total{pipeline=\"app\",input=\"a\\\"b\"} 3\n\
             # HELP logweir_up Always 1.\n# TYPE logweir_up gauge\nlogweir_up 1\n"
        );
    }
}
