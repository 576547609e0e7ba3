//! Windows of `aggregate` against a model, and what a crash leaves of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::trial::{NOW_NS, Trial, metadata, problems, written};
use crate::chunk::Position;
use crate::clock::{ManualClock, SharedClock};
use crate::filter::Closing;

const TOML: &str = "[[filters]]\ntype = \"aggregate\"\nby = [\"k\"]\nwindow = \"10s\"\n\
    fields = { n = \"count\", sum = \"sum(v)\", least = \"min(v)\", most = \"max(v)\", one = \"first(v)\", \
    end = \"last(v)\" }\nadd_tag = \"summary\"\n";

pub(in super::super) fn clocked(toml: &str) -> (Trial, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW_NS));
    let (trial, problems) = Trial::load(toml, &(Arc::clone(&clock) as SharedClock));
    assert!(problems.0.is_empty(), "{problems}");
    (trial, clock)
}

/// Sends events through; gives what is left of them.
pub(in super::super) fn send(trial: &mut Trial, jsons: &[&str]) -> Vec<String> {
    let mut batch = trial.batch(jsons);
    trial.chain.apply(&mut batch);
    (0..batch.events.len()).map(|event| written(&batch, event)).collect()
}

/// Closes windows; gives the events that came of it, sorted.
pub(in super::super) fn close(trial: &mut Trial, end: bool) -> Vec<String> {
    let mut batch = trial.batch(&[]);
    trial.chain.close(&mut batch, if end { Closing::All } else { Closing::DUE });
    let mut found: Vec<String> = (0..batch.events.len()).map(|e| written(&batch, e)).collect();
    found.sort();
    found
}

/// What the journal would have to keep after the last batch, put over what it has.
pub(in super::super) fn journal(trial: &mut Trial, kept: &mut BTreeMap<u64, Position>) {
    let mut changes = Vec::new();
    trial.chain.remember(&mut changes);
    for change in changes {
        if change.identity.is_empty() {
            kept.remove(&change.key);
        } else {
            kept.insert(change.key, change);
        }
    }
}

#[test]
fn a_groups_events_are_one_event_when_its_window_ends() {
    let (mut trial, clock) = clocked(TOML);
    let sent = ["{\"k\":\"a\",\"v\":3}", "{\"k\":\"b\",\"v\":1.25}", "{\"k\":\"a\",\"v\":\"1.5\"}"];
    assert_eq!(send(&mut trial, &sent), sent, "the events themselves go on, unchanged");
    assert!(!trial.plan.states().take_due(9_999_999_999));
    clock.advance_ns(10_000_000_000);
    assert!(trial.plan.states().take_due(10_000_000_000));
    assert_eq!(
        close(&mut trial, false),
        [
            r#"{"k":"a","n":2,"sum":4.5,"least":1.5,"most":3,"one":3,"end":"1.5","tags":["summary"]}"#,
            r#"{"k":"b","n":1,"sum":1.25,"least":1.25,"most":1.25,"one":1.25,"end":1.25,"tags":["summary"]}"#
        ]
    );
    assert!(close(&mut trial, true).is_empty(), "a window ends once");
    let made = "logweir_filter_events_made_total{filter=\"aggregate\",kind=\"aggregate\"}";
    assert_eq!(trial.counted(made), 2);
}

#[test]
fn without_keep_events_they_are_dropped_but_for_those_that_found_no_room() {
    let (mut trial, _) = clocked(
        "[[filters]]\ntype = \"aggregate\"\nby = [\"k\"]\nkeep_events = false\nmax_keys = 1\n\
         fields = { n = \"count\" }\n[[filters]]\ntype = \"tag\"\nadd = \"seen\"\n",
    );
    let found = send(&mut trial, &["{\"k\":1}", "{\"k\":2}", "{\"k\":1}"]);
    assert_eq!(found, ["dropped", "{\"k\":2,\"tags\":[\"seen\"]}", "dropped"]);
    assert_eq!(trial.counted("logweir_filter_keys_refused_total{filter=\"aggregate\"}"), 1);
    assert_eq!(close(&mut trial, true), ["{\"k\":1,\"n\":2,\"tags\":[\"seen\"]}"]);
}

#[test]
fn what_was_told_to_the_journal_is_there_after_a_crash_and_ends_in_time() {
    let (mut trial, clock) = clocked(TOML);
    let mut kept = BTreeMap::new();
    send(&mut trial, &["{\"k\":\"a\",\"v\":3}", "{\"k\":\"b\",\"v\":1}"]);
    journal(&mut trial, &mut kept);
    clock.advance_ns(4_000_000_000);
    send(&mut trial, &["{\"k\":\"a\",\"v\":4}"]);
    journal(&mut trial, &mut kept);
    // This batch was not journaled when the agent was killed.
    send(&mut trial, &["{\"k\":\"a\",\"v\":50}"]);
    let positions: Vec<Position> = kept.into_values().collect();
    assert_eq!(positions.len(), 2);

    let (mut again, _) = clocked(TOML);
    assert!(again.plan.states().restore(&positions).is_empty());
    send(&mut again, &["{\"k\":\"a\",\"v\":50}"]);
    let found = close(&mut again, true);
    assert!(
        found[0].starts_with(r#"{"k":"a","n":3,"sum":57,"least":3,"most":50,"one":3,"end":50"#),
        "{found:?}"
    );
    let mut kept: BTreeMap<u64, Position> = positions.iter().map(|p| (p.key, p.clone())).collect();
    journal(&mut again, &mut kept);
    assert!(kept.is_empty(), "the events and the end of their windows are in one frame");

    let (other, _) = clocked(&TOML.replace("10s", "20s"));
    let unknown = other.plan.states().restore(&positions);
    assert_eq!(unknown.len(), 2, "a changed filter does not take up what another one held");
    assert!(unknown.iter().all(|position| position.identity.is_empty()));
}

#[test]
fn a_summary_has_the_metadata_that_is_asked_for_and_events_that_go_on_have_theirs() {
    let toml = "[[filters]]\ntype = \"aggregate\"\nby = [\"@metadata.team\"]\n\
        fields = { n = \"count\", \"@metadata.index\" = \"first(@metadata.index)\" }\n\
        [[filters]]\ntype = \"tag\"\nwhen = '@metadata.index == \"i\"'\nadd = \"seen\"\n";
    let (mut trial, _) = clocked(toml);
    let sent = r#"{"@metadata":{"team":"a","index":"i","more":1}}"#;
    let mut batch = trial.batch(&[sent]);
    trial.chain.apply(&mut batch);
    assert_eq!(metadata(&batch, 0), r#"{"team":"a","index":"i","more":1}"#);
    let mut batch = trial.batch(&[]);
    trial.chain.close(&mut batch, Closing::All);
    assert_eq!(metadata(&batch, 0), r#"{"team":"a","index":"i"}"#);
    assert_eq!(written(&batch, 0), r#"{"n":1,"tags":["seen"]}"#);
    let all = toml
        .replace("@metadata.index\" = \"first(@metadata.index)", "@metadata\" = \"last(@metadata)");
    let (mut trial, _) = clocked(&all);
    send(&mut trial, &[sent]);
    let mut batch = trial.batch(&[]);
    trial.chain.close(&mut batch, Closing::All);
    assert_eq!(metadata(&batch, 0), r#"{"team":"a","index":"i","more":1}"#);
}

#[test]
fn a_function_that_is_not_there_is_refused_and_so_is_redaction_afterwards() {
    let shown = problems("[[filters]]\ntype = \"aggregate\"\nfields = { n = \"mean(x)\" }\n");
    assert!(shown.contains("there is no function \"mean(x)\""), "{shown}");
    let shown = problems(&format!("{TOML}[[filters]]\ntype = \"redact\"\nkeys = [\"password\"]\n"));
    assert!(shown.contains("`redact` comes after a filter that remembers"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes when, every event counts in exactly one window, also over crashes between any two batches.
    #[test]
    fn counts_and_sums_of_all_windows_are_those_of_all_events(
        batches in proptest::collection::vec(
            (proptest::collection::vec((0_u8..4, -5_i64..100), 0..6), 0_u64..6, any::<bool>()), 1..20
        )
    ) {
        let (mut trial, mut clock) = clocked(TOML);
        let mut kept = BTreeMap::new();
        let (mut sent, mut found) = (BTreeMap::new(), BTreeMap::new());
        let take = |events: Vec<String>, found: &mut BTreeMap<u64, (i64, i64)>| {
            for event in events {
                let event: serde_json::Value = serde_json::from_str(&event).unwrap();
                let sums: &mut (i64, i64) = found.entry(event["k"].as_u64().unwrap()).or_default();
                sums.0 += event["n"].as_i64().unwrap();
                sums.1 += event["sum"].as_i64().unwrap();
            }
        };
        for (events, seconds, crash) in batches {
            let jsons: Vec<String> = events.iter().map(|(k, v)| format!("{{\"k\":{k},\"v\":{v}}}")).collect();
            let texts: Vec<&str> = jsons.iter().map(String::as_str).collect();
            if crash {
                // The batch is worked on, and lost before it is journaled.
                send(&mut trial, &texts);
                (trial, clock) = clocked(TOML);
                let positions: Vec<Position> = kept.values().cloned().collect();
                prop_assert!(trial.plan.states().restore(&positions).is_empty());
            }
            send(&mut trial, &texts);
            journal(&mut trial, &mut kept);
            for (k, v) in events {
                let sums: &mut (i64, i64) = sent.entry(u64::from(k)).or_default();
                sums.0 += 1;
                sums.1 += v;
            }
            clock.advance_ns(seconds * 1_000_000_000);
            take(close(&mut trial, false), &mut found);
            journal(&mut trial, &mut kept);
        }
        take(close(&mut trial, true), &mut found);
        journal(&mut trial, &mut kept);
        prop_assert_eq!(sent, found);
        prop_assert!(kept.is_empty());
    }
}
