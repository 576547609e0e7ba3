//! Metrics that a pipeline derives from its events, printed besides the agent's own.
//!
//! Is: families of series whose label values come from data. In: a definition, then label values and numbers. Out:
//! Prometheus text (version 0.0.4). Promises: a family has a bounded number of series; label values beyond it share
//! the series whose labels are all `_other`; a series that exists costs no allocation. A definition that stays the same
//! over a reload keeps its numbers.
//! On failure: nothing can fail.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use hashbrown::HashMap;

use super::{Metrics, quoted};

/// The value of the labels of the series that everything shares for which there is no room.
const OTHER: &str = "_other";

/// What a family's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows by what it is given.
    Counter,
    /// Is what it was given last.
    Gauge,
    /// Counts what it is given, by upper bounds.
    Histogram,
}

/// What a family is.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Its name, as Prometheus allows it.
    pub name: String,
    /// What it says, for people.
    pub help: String,
    /// What its numbers are.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Upper bounds of a histogram, ascending.
    pub buckets: Vec<f64>,
    /// Most series.
    pub most: usize,
}

/// Series with one name.
pub struct Family {
    definition: Definition,
    /// The labels that all series share, as text.
    shared: String,
    series: RwLock<HashMap<Box<[u8]>, Arc<Series>>>,
}

/// All families of a process, by name and shared labels.
#[derive(Clone, Default)]
pub(super) struct Families(Arc<Mutex<ByName>>);

type ByName = BTreeMap<(String, String), Arc<Family>>;

#[derive(Default)]
struct Series {
    /// Bits of a float: the value, or the sum of a histogram.
    value: AtomicU64,
    /// How many are in each bucket, and above all of them.
    buckets: Vec<AtomicU64>,
}

impl Metrics {
    /// Puts a family among those that are printed; where one of this definition is there already, that one goes on.
    pub fn derive(&self, definition: &Definition) -> Arc<Family> {
        let pairs = self.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value)));
        let shared = pairs.collect::<Vec<_>>().join(",");
        let mut families = self.derived.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (definition.name.clone(), shared.clone());
        if let Some(known) = families.get(&place).filter(|known| known.definition == *definition) {
            return Arc::clone(known);
        }
        let series = RwLock::default();
        let made = Arc::new(Family { definition: definition.clone(), shared, series });
        families.insert(place, Arc::clone(&made));
        made
    }
}

impl Family {
    /// Adds a number to the series of these label values, each ended by the byte 0xff. `false`: there was no room for
    /// another series, and the shared one has it.
    pub fn observe(&self, labels: &[u8], value: f64) -> bool {
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner).get(labels).cloned();
        if let Some(series) = known {
            series.add(&self.definition, value);
            return true;
        }
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let fits = series.contains_key(labels) || series.len() < self.definition.most;
        if fits {
            self.add(&mut series, labels, value);
        } else {
            self.add(&mut series, &self.others(), value);
        }
        fits
    }

    /// Adds a number to the series that is shared by all for which there is no other.
    pub fn observe_other(&self, value: f64) {
        let mut series = self.series.write().unwrap_or_else(PoisonError::into_inner);
        self.add(&mut series, &self.others(), value);
    }

    fn others(&self) -> Vec<u8> {
        let names = self.definition.labels.iter();
        names.flat_map(|_| [OTHER.as_bytes(), &[0xff]].concat()).collect()
    }

    fn add(&self, series: &mut HashMap<Box<[u8]>, Arc<Series>>, labels: &[u8], value: f64) {
        let made = series.entry(labels.into()).or_insert_with(|| {
            let buckets = self.definition.buckets.len() + 1;
            let buckets = (0..buckets).map(|_| AtomicU64::new(0)).collect();
            Arc::new(Series { value: AtomicU64::new(0), buckets })
        });
        made.add(&self.definition, value);
    }

    fn write(&self, out: &mut String) {
        let name = &self.definition.name;
        let series = self.series.read().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<(String, &Arc<Series>)> =
            series.iter().map(|(values, series)| (self.label_text(values), series)).collect();
        sorted.sort_by(|one, other| one.0.cmp(&other.0));
        for (labels, series) in sorted {
            let value = f64::from_bits(series.value.load(Ordering::Relaxed));
            let within = |more: &str| {
                let separator = if labels.is_empty() || more.is_empty() { "" } else { "," };
                let text = format!("{labels}{separator}{more}");
                if text.is_empty() { text } else { format!("{{{text}}}") }
            };
            if self.definition.kind != Kind::Histogram {
                let _ = writeln!(out, "{name}{} {value}", within(""));
                continue;
            }
            let mut count = 0;
            let bounds = self.definition.buckets.iter().map(f64::to_string);
            for (bound, bucket) in bounds.chain(["+Inf".to_string()]).zip(&series.buckets) {
                count += bucket.load(Ordering::Relaxed);
                let _ =
                    writeln!(out, "{name}_bucket{} {count}", within(&format!("le=\"{bound}\"")));
            }
            let all = within("");
            let _ = writeln!(out, "{name}_sum{all} {value}\n{name}_count{all} {count}");
        }
    }

    fn label_text(&self, values: &[u8]) -> String {
        let values = values.split(|byte| *byte == 0xff).map(String::from_utf8_lossy);
        let pair = |(name, value): (&String, std::borrow::Cow<'_, str>)| {
            format!("{name}=\"{}\"", quoted(&value))
        };
        let own = self.definition.labels.iter().zip(values).map(pair);
        let shared = Some(self.shared.clone()).filter(|shared| !shared.is_empty());
        shared.into_iter().chain(own).collect::<Vec<_>>().join(",")
    }
}

impl Series {
    fn add(&self, definition: &Definition, value: f64) {
        if definition.kind == Kind::Gauge {
            self.value.store(value.to_bits(), Ordering::Relaxed);
            return;
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        let _ = self.value.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        if definition.kind == Kind::Histogram {
            let at = definition.buckets.partition_point(|bound| *bound < value);
            self.buckets[at].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Families {
    pub(super) fn write(&self, out: &mut String) {
        let families = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = "";
        for ((name, _), family) in families.iter() {
            if name != last {
                let Definition { help, kind, .. } = &family.definition;
                let kind = match kind {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Histogram => "histogram",
                };
                let help = help.replace('\\', "\\\\").replace('\n', "\\n");
                let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
                last = name;
            }
            family.write(out);
        }
    }
}
