//! Windows of `dedupe` against a model.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::aggregate::tests::{clocked, close, journal, send};
use super::super::trial::{Trial, metadata, problems, written};
use super::super::windows::Held;
use super::Repeats;
use crate::chunk::Position;
use crate::filter::Closing;

const TOML: &str = "[[filters]]\ntype = \"dedupe\"\nfields = [\"m\"]\nwindow = \"10s\"\n";

#[test]
fn the_first_goes_on_at_once_and_its_repeats_as_one_with_their_number() {
    let (mut trial, clock) = clocked(TOML);
    let sent = [
        "{\"m\":\"x\",\"n\":1}",
        "{\"m\":\"y\"}",
        "{\"m\":\"\\u0078\",\"n\":2}",
        "{\"m\":\"x\",\"n\":3}",
    ];
    let found = send(&mut trial, &sent);
    assert_eq!(found, ["{\"m\":\"x\",\"n\":1}", "{\"m\":\"y\"}", "dropped", "dropped"]);
    clock.advance_ns(10_000_000_000);
    assert_eq!(close(&mut trial, false), [r#"{"m":"\u0078","n":2,"repeated":2}"#]);
    assert_eq!(send(&mut trial, &sent[..1]), sent[..1], "a new window begins");
}

#[test]
fn one_repeat_is_itself_and_events_without_the_fields_go_on() {
    let (mut trial, _) = clocked(TOML);
    let found = send(&mut trial, &["{\"m\":1,\"n\":1}", "{\"m\":1,\"n\":2}", "{}", "{}"]);
    assert_eq!(found, ["{\"m\":1,\"n\":1}", "dropped", "{}", "{}"]);
    assert_eq!(close(&mut trial, true), ["{\"m\":1,\"n\":2}"]);
}

#[test]
fn events_that_are_too_long_to_keep_go_on() {
    let (mut trial, _) = clocked(TOML);
    let long = format!("{{\"m\":1,\"n\":\"{}\"}}", "x".repeat(20_000));
    let sent = [long.as_str(); 3];
    assert_eq!(send(&mut trial, &sent), sent);
    assert!(close(&mut trial, true).is_empty());
    let metadata = format!("{{\"m\":2,\"@metadata\":\"{}\"}}", "x".repeat(20_000));
    assert_eq!(send(&mut trial, &[metadata.as_str(); 3]), ["{\"m\":2}"; 3]);
}

/// A chain that was fed these events, killed when they were journaled, and started again.
fn started_again(jsons: &[&str]) -> Trial {
    let (mut trial, _) = clocked(TOML);
    let mut kept = BTreeMap::new();
    send(&mut trial, jsons);
    journal(&mut trial, &mut kept);
    let (again, _) = clocked(TOML);
    let positions: Vec<Position> = kept.into_values().collect();
    assert!(again.plan.states().restore(&positions).is_empty());
    again
}

#[test]
fn repeats_have_the_metadata_of_the_first_of_them_also_after_a_crash() {
    let first = r#"{"m":"x","@metadata":{"index":"a"}}"#;
    let second = r#"{"m":"x","@metadata":{"index":"b","of":[1]}}"#;
    let third = r#"{"m":"x"}"#;
    for crash in [false, true] {
        let sent = [first, second, third];
        let mut trial = if crash { started_again(&sent) } else { clocked(TOML).0 };
        if !crash {
            let mut batch = trial.batch(&sent);
            trial.chain.apply(&mut batch);
            assert_eq!(
                metadata(&batch, 0),
                r#"{"index":"a"}"#,
                "what goes on at once is as it was"
            );
        }
        let mut batch = trial.batch(&[]);
        trial.chain.close(&mut batch, Closing::All);
        assert_eq!(written(&batch, 0), r#"{"m":"x","repeated":2}"#);
        assert_eq!(metadata(&batch, 0), r#"{"index":"b","of":[1]}"#);
    }
}

#[test]
fn what_was_kept_before_metadata_was_is_read() {
    let (count, last_ns) = (3_u64.to_le_bytes(), 7_i64.to_le_bytes());
    let bytes = [&count[..], &last_ns, br#"{"@timestamp":"x","m":1}"#].concat();
    let read = Repeats::read(&bytes).unwrap();
    assert_eq!((read.count, read.first.time_ns), (3, 7));
    assert_eq!(read.first.document, br#"{"@timestamp":"x","m":1}"#);
    assert!(read.first.metadata.is_empty());
    let mut written = Vec::new();
    read.write(&mut written);
    assert_eq!(written, bytes, "without metadata the form is the same");
}

#[test]
fn an_empty_window_and_no_fields_are_refused() {
    let shown = problems("[[filters]]\ntype = \"dedupe\"\nwindow = \"0s\"\nfields = []\n");
    assert!(shown.contains("a window cannot be empty"), "{shown}");
    assert!(shown.contains("names no fields"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The numbers of what comes out add up to what came in, also over crashes between any two batches.
    #[test]
    fn what_comes_out_adds_up_to_what_came_in(
        batches in proptest::collection::vec(
            (proptest::collection::vec(0_u8..4, 0..6), 0_u64..6, any::<bool>()), 1..20
        )
    ) {
        let (mut trial, mut clock) = clocked(TOML);
        let mut kept = BTreeMap::new();
        let (mut sent, mut found) = (BTreeMap::new(), BTreeMap::new());
        let take = |events: Vec<String>, found: &mut BTreeMap<u64, u64>| {
            for event in events.iter().filter(|event| *event != "dropped") {
                let event: serde_json::Value = serde_json::from_str(event).unwrap();
                *found.entry(event["m"].as_u64().unwrap()).or_default() += event["repeated"].as_u64().unwrap_or(1);
            }
        };
        for (events, seconds, crash) in batches {
            let jsons: Vec<String> = events.iter().map(|m| format!("{{\"m\":{m}}}")).collect();
            let texts: Vec<&str> = jsons.iter().map(String::as_str).collect();
            if crash {
                send(&mut trial, &texts);
                (trial, clock) = clocked(TOML);
                let positions: Vec<Position> = kept.values().cloned().collect();
                prop_assert!(trial.plan.states().restore(&positions).is_empty());
            }
            take(send(&mut trial, &texts), &mut found);
            journal(&mut trial, &mut kept);
            for m in events {
                *sent.entry(u64::from(m)).or_default() += 1;
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
