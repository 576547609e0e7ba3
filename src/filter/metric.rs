//! Filter `metric`: a counter, gauge or histogram on `/metrics`, derived from events.
//!
//! In: `name`, `kind`, `value` (a field; a counter without one counts events), `scale`, `labels` (label = field),
//! `buckets`. Out: the events as they are; the metric. Promises: no more series than `max_series`: label values beyond
//! it, and those longer than 256 bytes, share one series whose labels are `_other`, which is counted, and said once a
//! minute. Numbers begin at 0 with each start of the agent, as Prometheus expects it.
//! On failure: a value that is no number gives the tag `_metric_failure`; an absent one leaves the metric as it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::aggregate::float;
use super::failure::Failure;
use super::named::{Use, optional_field, path};
use super::{Filter, FilterLoad, Make, label};
use crate::clock::SharedClock;
use crate::event::{Batch, Path, Selection};
use crate::limits;
use crate::metrics::{Counter, Definition, Family, Kind, Metrics};
use crate::settings::{Literal, Section, Spanned};

/// The buckets of Prometheus' own client libraries, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets at most.
const BUCKETS_MAX: usize = 64;

struct Metric {
    plan: Arc<Plan>,
    family: Arc<Family>,
    values: Vec<u8>,
}

struct Plan {
    definition: Definition,
    labels: Vec<Path>,
    value: Option<Path>,
    scale: f64,
    failure: Failure,
    overflow: Counter,
    metrics: Metrics,
    clock: SharedClock,
    /// When the overflow was said, nanoseconds; 0: never.
    told_ns: AtomicU64,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let name = section.required_string("name", "\"http_requests_total\"");
    let kinds =
        [("counter", Kind::Counter), ("gauge", Kind::Gauge), ("histogram", Kind::Histogram)];
    let kind = section.choice_or("kind", &kinds, Kind::Counter);
    let help = section.string_or("help", "Derived from events by logweir.").value;
    let value = optional_field(section, "value", load);
    let scale =
        section.item("scale").map_or(Some(1.0), |item| number(section, "scale", &item.literal));
    let labels = labels(section, load);
    let buckets = buckets(section);
    let most = section.integer_or("max_series", limits::METRIC_SERIES as i64, 1..100_001) as usize;
    let failure = Failure::load(section, "_metric_failure", load);
    let name = name.filter(|name| is_name(section, name, kind))?;
    let value = value?;
    if kind != Kind::Counter && value.is_none() {
        section.missing("value", "\"duration_ms\"");
        return None;
    }
    let (names, labels) = labels?.into_iter().unzip();
    let buckets = if kind == Kind::Histogram { buckets? } else { Vec::new() };
    let definition = Definition { name: name.value, help, kind, labels: names, buckets, most };
    let help = "Events whose label values had no series of their own (`max_series`).";
    let labelled = load.metrics.with("filter", &label(section));
    let plan = Arc::new(Plan {
        definition,
        labels,
        value,
        scale: scale?,
        failure,
        overflow: labelled.counter("logweir_filter_series_refused_total", help),
        metrics: load.metrics.clone(),
        clock: Arc::clone(load.clock),
        told_ns: AtomicU64::new(0),
    });
    Some(Box::new(move || {
        let family = plan.metrics.derive(&plan.definition);
        Box::new(Metric { plan: Arc::clone(&plan), family, values: Vec::new() })
    }))
}

/// The pairs of `labels = { method = "http.method" }`.
fn labels(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Vec<(String, Path)>> {
    let entries = section.entries("labels").unwrap_or_default();
    let mut found = Vec::new();
    for (name, item) in entries {
        if !is_label(name) {
            let message = format!("`{}` cannot be the name of a label", name.value);
            let hint =
                "letters, digits and `_`, no digit first; not `le`, `pipeline`, or `__` in front";
            section.error(name.span.clone(), message, Some(hint.into()));
            continue;
        }
        let Literal::String(text) = &item.literal else {
            let message = format!("a field's name expected, but found {}", item.literal.kind());
            section.error(item.span.clone(), message, Some("write it in quotes".into()));
            continue;
        };
        let text = Spanned { value: text.clone(), span: item.span.clone() };
        found.extend(path(section, &text, Use::Read, load).map(|path| (name.value.clone(), path)));
    }
    (found.len() == entries.len()).then_some(found)
}

fn buckets(section: &Section<'_>) -> Option<Vec<f64>> {
    let Some(item) = section.item("buckets") else { return Some(BUCKETS.to_vec()) };
    let numbers: Option<Vec<f64>> = match &item.literal {
        Literal::Array(items) => {
            items.iter().map(|item| number(section, "buckets", &item.literal)).collect()
        }
        _ => None,
    };
    let good = |found: &Vec<f64>| {
        (1..=BUCKETS_MAX).contains(&found.len()) && found.is_sorted_by(|one, other| one < other)
    };
    let found = numbers.filter(good);
    if found.is_none() {
        let message = format!("`buckets` is a list of 1 to {BUCKETS_MAX} ascending numbers");
        section.error(item.span.clone(), message, Some("write buckets = [0.1, 0.5, 1, 5]".into()));
    }
    found
}

fn number(section: &Section<'_>, key: &'static str, literal: &Literal) -> Option<f64> {
    match literal {
        Literal::Integer(n) => Some(*n as f64),
        Literal::Float(n) if n.is_finite() => Some(*n),
        _ => {
            section.error(section.span_of(key), format!("`{key}` is no number"), None);
            None
        }
    }
}

fn is_name(section: &Section<'_>, name: &Spanned<String>, kind: Kind) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    let good = name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit());
    let (message, hint) = if !good {
        (
            "letters, digits, `_` and `:` make the name of a metric, no digit first",
            "http_requests_total",
        )
    } else if name.starts_with("logweir_") {
        ("names that begin with `logweir_` are the agent's own", "choose another name")
    } else if kind == Kind::Counter && !name.ends_with("_total") {
        ("the name of a counter ends with `_total`", "http_requests_total")
    } else {
        return true;
    };
    section.error(name.span.clone(), message, Some(hint.into()));
    false
}

fn is_label(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    let all = |c: char| first(c) || c.is_ascii_digit();
    let taken = ["le", "pipeline"].contains(&name) || name.starts_with("__");
    name.starts_with(first) && name.chars().all(all) && !taken
}

impl Filter for Metric {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Metric { plan, family, values } = self;
        for event in selected.iter() {
            let value = match &plan.value {
                None => 1.0,
                Some(path) => match float(batch, event, path) {
                    Some(value) => value * plan.scale,
                    None if batch.get(event, path).is_none() => {
                        batch.events[event].missed = true;
                        continue;
                    }
                    None => {
                        plan.failure.mark(batch, event);
                        continue;
                    }
                },
            };
            if plan.definition.kind == Kind::Counter && value < 0.0 {
                plan.failure.mark(batch, event);
                continue;
            }
            values.clear();
            let mut fits = true;
            for path in &plan.labels {
                let from = values.len();
                if let Some(found) = batch.get(event, path) {
                    batch.write_text(found, values);
                }
                fits &= values.len() - from <= limits::METRIC_LABEL_BYTES_MAX;
                values.push(0xff);
            }
            if !fits {
                family.observe_other(value);
                plan.overflow.increment();
                plan.tell("met a label value longer than 256 bytes; such ones");
            } else if !family.observe(values, value) {
                plan.overflow.increment();
                plan.tell("has no room for more series; further label values");
            }
        }
    }
}

impl Plan {
    fn tell(&self, what: &str) {
        let now_ns = self.clock.elapsed_ns().max(1);
        let told_ns = self.told_ns.load(Ordering::Relaxed);
        let pause = limits::COMPLAINT_MS * 1_000_000;
        if told_ns != 0 && now_ns.saturating_sub(told_ns) < pause {
            return;
        }
        self.told_ns.store(now_ns, Ordering::Relaxed);
        tracing::warn!(
            "the metric `{}` {what} are counted together as `_other`; choose labels with fewer and shorter values, \
             or raise `max_series` (now {})",
            self.definition.name,
            self.definition.most
        );
    }
}

#[cfg(test)]
mod tests;
