//! Filter `sample`: a part of the events.
//!
//! In: `one_in` or `rate`; `by`, fields whose values decide. Out: with `by` all events of some keys, and always of the
//! same ones: which, follows from the values alone, in every run and on every machine; without it every n-th event.
//! Promises: the others are dropped and counted. On failure: nothing can fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::windows::{self, fingerprint};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection};
use crate::settings::{Literal, Section};

struct Sample {
    plan: Arc<Plan>,
    key: Vec<u8>,
}

struct Plan {
    by: Vec<Path>,
    /// The part of 2^64 that goes on; `None`: all.
    part: Option<u64>,
    /// Without `by`: one event in so many goes on.
    one_in: Option<u64>,
    /// Events seen, or a sum that overflows with every event that goes on.
    sum: AtomicU64,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let by = windows::paths(section, "by", load);
    let one_in = section.integer("one_in", 1..1_000_000_001);
    let rate = section.item("rate").map(|item| match item.literal {
        Literal::Float(rate) if (0.0..=1.0).contains(&rate) => Some(rate),
        Literal::Integer(rate @ 0..=1) => Some(rate as f64),
        _ => {
            let hint = "write for example rate = 0.1 for one event in ten";
            section.error(item.span.clone(), "`rate` is a number from 0 to 1", Some(hint.into()));
            None
        }
    });
    if section.has("rate") == section.has("one_in") {
        let hint = "write one_in = 10, or rate = 0.1";
        let message = "`sample` takes either `one_in` or `rate`";
        section.error(section.span_of("type"), message, Some(hint.into()));
    }
    let part = match (one_in, rate) {
        (Some(1), _) => None,
        (Some(n), _) => Some((u64::MAX / n as u64).saturating_add(1)),
        (None, rate) => {
            Some(rate??).filter(|rate| *rate < 1.0).map(|rate| (rate * 2_f64.powi(64)) as u64)
        }
    };
    let one_in = one_in.map(|n| n as u64);
    let sum = AtomicU64::new(if one_in.is_some() { 0 } else { u64::MAX });
    let plan = Arc::new(Plan { by: by?, part, one_in, sum });
    Some(Box::new(move || Box::new(Sample { plan: Arc::clone(&plan), key: Vec::new() })))
}

impl Filter for Sample {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Sample { plan, key } = self;
        let Some(part) = plan.part else { return };
        for event in selected.iter() {
            let goes_on = if !plan.by.is_empty() {
                windows::write_key(batch, event, &plan.by, key);
                fingerprint(&key) < part
            } else if let Some(n) = plan.one_in {
                plan.sum.fetch_add(1, Ordering::Relaxed).is_multiple_of(n)
            } else {
                plan.sum.fetch_add(part, Ordering::Relaxed).checked_add(part).is_none()
            };
            batch.events[event].dropped = !goes_on;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, problems, written};

    fn passed(settings: &str, jsons: &[String]) -> Vec<String> {
        let mut trial = Trial::new(&format!("[[filters]]\ntype = \"sample\"\n{settings}\n"));
        let jsons: Vec<&str> = jsons.iter().map(String::as_str).collect();
        let mut batch = trial.batch(&jsons);
        trial.chain.apply(&mut batch);
        let all = (0..batch.events.len()).map(|event| written(&batch, event));
        let passed: Vec<String> = all.filter(|text| text != "dropped").collect();
        let dropped = "logweir_filter_events_dropped_total{filter=\"sample\",kind=\"sample\"}";
        assert_eq!(trial.counted(dropped) as usize, jsons.len() - passed.len());
        passed
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{{\"a\":{n}}}")).collect()
    }

    #[test]
    fn every_nth_event_goes_on_the_first_among_them() {
        assert_eq!(passed("one_in = 3", &numbered(7)), ["{\"a\":0}", "{\"a\":3}", "{\"a\":6}"]);
        assert_eq!(passed("one_in = 1", &numbered(7)).len(), 7);
        assert_eq!(passed("rate = 0.25", &numbered(1000)).len(), 250);
        assert_eq!(passed("rate = 1.0", &numbered(10)).len(), 10);
        assert_eq!(passed("rate = 0", &numbered(10)).len(), 0);
    }

    #[test]
    fn a_key_goes_on_always_or_never_and_so_does_its_part_of_all_keys() {
        let keys = numbered(20_000);
        let once = passed("by = [\"a\"]\nrate = 0.1", &keys);
        assert!((1_700..2_300).contains(&once.len()), "{}", once.len());
        assert_eq!(passed("by = [\"a\"]\none_in = 10", &keys), once);
        let mut turned = keys;
        turned.reverse();
        let mut again = passed("by = [\"a\"]\nrate = 0.1", &turned);
        again.reverse();
        assert_eq!(again, once);
        // The choice is the same in every version: it is a promise to those who sample in several places.
        assert_eq!(once[0], "{\"a\":31}");
    }

    #[test]
    fn a_rate_beyond_one_and_no_rate_are_refused() {
        assert!(problems("[[filters]]\ntype = \"sample\"\nrate = 2\n").contains("from 0 to 1"));
        assert!(problems("[[filters]]\ntype = \"sample\"\n").contains("either `one_in` or `rate`"));
    }
}
