//! Joined events against what was sent, with any batches, times and crashes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::aggregate::tests::{clocked, journal, send};
use super::super::trial::{Trial, metadata, problems, written};
use crate::chunk::Position;
use crate::filter::Closing;

const TOML: &str = "[[filters]]\ntype = \"multiline\"\nby = [\"k\"]\nstart = '^a'\ntimeout = \"2s\"\nadd_tag = \"joined\"\n";
const SECOND_NS: u64 = 1_000_000_000;

/// What goes on of some events, in order.
fn sent(trial: &mut Trial, jsons: &[&str]) -> Vec<String> {
    send(trial, jsons).into_iter().filter(|event| event != "dropped").collect()
}

/// Closes windows; gives the events that came of it, in order.
fn close(trial: &mut Trial, end: bool) -> Vec<String> {
    let mut batch = trial.batch(&[]);
    trial.chain.close(&mut batch, if end { Closing::All } else { Closing::DUE });
    (0..batch.events.len()).map(|event| written(&batch, event)).collect()
}

fn event(stream: &str, text: &str) -> String {
    format!("{{\"k\":\"{stream}\",\"message\":\"{text}\"}}")
}

#[test]
fn events_of_one_stream_become_one_in_the_place_of_the_first() {
    let (mut trial, clock) = clocked(TOML);
    let found = sent(
        &mut trial,
        &[
            r#"{"k":"x","message":"a1","n":1}"#,
            r#"{"k":"y","message":"a2","n":2}"#,
            r#"{"k":"x","message":"b\t\"1","n":3}"#,
            r#"{"k":"y","message":"a3","n":4}"#,
            r#"{"k":"x","message":"a4","n":5}"#,
            r#"{"k":"x","m":"no text"}"#,
        ],
    );
    assert_eq!(
        found,
        [
            r#"{"k":"x","message":"a1\nb\t\"1","n":1,"tags":["joined"]}"#,
            r#"{"k":"y","message":"a2","n":2}"#,
            r#"{"k":"x","m":"no text"}"#,
        ]
    );
    clock.advance_ns(SECOND_NS);
    assert!(sent(&mut trial, &[r#"{"k":"y","message":"b3","n":6}"#]).is_empty());
    clock.advance_ns(SECOND_NS);
    assert_eq!(close(&mut trial, false), [r#"{"k":"x","message":"a4","n":5}"#]);
    clock.advance_ns(SECOND_NS);
    let joined = r#"{"k":"y","message":"a3\nb3","n":4,"tags":["joined"]}"#;
    assert_eq!(close(&mut trial, false), [joined]);
    assert!(close(&mut trial, true).is_empty());
    let count = |name: &str| {
        trial.counted(&format!(
            "logweir_filter_events_{name}_total{{filter=\"multiline\",kind=\"multiline\"}}"
        ))
    };
    assert_eq!((count("made"), count("dropped")), (2, 5 - 1));
}

#[test]
fn what_an_earlier_batch_held_goes_on_before_what_ended_it() {
    let (mut trial, _) = clocked(TOML);
    assert!(sent(&mut trial, &[&event("x", "a1")]).is_empty());
    let mut batch = trial.batch(&[&event("y", "a1"), &event("x", "a2"), &event("x", "a3")]);
    trial.chain.apply(&mut batch);
    let alive: Vec<_> = (0..batch.events.len()).filter(|at| !batch.events[*at].dropped).collect();
    let found: Vec<_> = alive.iter().map(|at| written(&batch, *at)).collect();
    assert_eq!(found, [event("x", "a1"), event("x", "a2")]);
    let ids: Vec<_> = batch.events.iter().map(|event| (event.offset, event.sub)).collect();
    assert_eq!(ids, [(0, 0), (1, 0), (1, 1), (2, 0)], "each has a number of its own");
}

#[test]
fn what_is_not_sure_to_belong_to_a_trace_goes_on_by_itself_with_its_own_fields() {
    let toml = "[[filters]]\ntype = \"multiline\"\npreset = \"java\"\n";
    let lines = |texts: &[&str]| -> Vec<String> {
        let line = |(n, text): (usize, &&str)| format!("{{\"n\":{n},\"message\":\"{text}\"}}");
        texts.iter().enumerate().map(line).collect()
    };
    let texts = lines(&[
        "plain",
        "java.lang.OopsException: x",
        "more of x",
        "2026 INFO next",
        "java.lang.OopsException: y",
        "more of y",
        "\\tat a.B.c(B.java:1)",
        "plain",
    ]);
    let expected = [
        r#"{"n":0,"message":"plain"}"#,
        r#"{"n":1,"message":"java.lang.OopsException: x"}"#,
        r#"{"n":2,"message":"more of x"}"#,
        r#"{"n":3,"message":"2026 INFO next"}"#,
        r#"{"n":4,"message":"java.lang.OopsException: y\nmore of y\n\tat a.B.c(B.java:1)"}"#,
        r#"{"n":7,"message":"plain"}"#,
    ];
    let all: Vec<&str> = texts.iter().map(String::as_str).collect();
    for cut in 0..all.len() {
        let (mut trial, _) = clocked(toml);
        let mut found = sent(&mut trial, &all[..cut]);
        found.extend(sent(&mut trial, &all[cut..]));
        assert_eq!(found, expected, "cut before {cut}");
        assert!(close(&mut trial, true).is_empty());
    }
}

#[test]
fn metadata_and_the_time_of_the_first_event_are_kept() {
    let (mut trial, clock) = clocked(TOML);
    let mut batch = trial.batch(&[r#"{"k":"x","message":"a1","@metadata":{"tag":"t"}}"#]);
    batch.events[0].time_ns += 7;
    let time_ns = batch.events[0].time_ns;
    trial.chain.apply(&mut batch);
    assert!(batch.events[0].dropped);
    clock.advance_ns(2 * SECOND_NS);
    let mut batch = trial.batch(&[]);
    trial.chain.close(&mut batch, Closing::DUE);
    assert_eq!(batch.events[0].time_ns, time_ns);
    assert_eq!(metadata(&batch, 0), r#"{"tag":"t"}"#);
}

#[test]
fn a_filter_with_other_patterns_takes_up_what_one_with_the_same_fields_held() {
    let (mut trial, clock) = clocked(TOML);
    let mut kept = BTreeMap::new();
    send(&mut trial, &[&event("x", "a1"), &event("x", "b1")]);
    journal(&mut trial, &mut kept);
    clock.advance_ns(SECOND_NS);
    let positions: Vec<Position> = kept.into_values().collect();
    let other = TOML.replace("'^a'", "'^c'").replace("2s", "5s");
    let (mut again, clock) = clocked(&format!("{other}[[filters]]\ntype = \"tag\"\nadd = \"n\"\n"));
    clock.advance_ns(60 * SECOND_NS);
    assert!(again.plan.states().restore(&positions).is_empty());
    assert!(close(&mut again, false).is_empty(), "its time begins anew at a start");
    send(&mut again, &[&event("x", "a2")]);
    let joined = r#"{"k":"x","message":"a1\nb1\na2","tags":["joined","n"]}"#;
    assert_eq!(close(&mut again, true), [joined]);
    let (other, _) = clocked(&TOML.replace("[\"k\"]", "[\"l\"]"));
    assert_eq!(other.plan.states().restore(&positions).len(), 1);
}

#[test]
fn pieces_are_joined_until_one_says_that_it_is_the_last() {
    let (mut trial, _) = clocked(
        "[[filters]]\ntype = \"multiline\"\nfield = \"log\"\nunfinished = 'p == true'\nseparator = \"\"\n",
    );
    let pieces = [
        r#"{"log":"one "}"#,
        r#"{"log":"tw","p":true}"#,
        r#"{"log":"o a","p":true}"#,
        r#"{"log":"nd"}"#,
        r#"{"log":"three"}"#,
    ];
    let expected = [r#"{"log":"one "}"#, r#"{"log":"two and","p":true}"#, r#"{"log":"three"}"#];
    assert_eq!(sent(&mut trial, &pieces), expected);
    let (mut trial, _) =
        clocked("[[filters]]\ntype = \"multiline\"\nevery = 2\nseparator = \"+\"\n");
    let events = ["1", "2", "3", "4", "5"].map(|text| format!("{{\"message\":\"{text}\"}}"));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    assert_eq!(sent(&mut trial, &events), [r#"{"message":"1+2"}"#, r#"{"message":"3+4"}"#]);
    assert_eq!(close(&mut trial, true), [r#"{"message":"5"}"#]);
}

#[test]
fn an_event_beyond_a_limit_goes_on_in_the_next_one_and_memory_is_bounded() {
    let (mut trial, _) = clocked(&format!("{TOML}max_lines = 2\nmax_keys = 2\n"));
    let events = ["a1", "b", "c", "d", "e"].map(|text| event("x", text));
    let events: Vec<&str> = events.iter().map(String::as_str).collect();
    let cut = |text: &str| {
        format!(r#"{{"k":"x","message":"{text}","tags":["_multiline_cut","joined"]}}"#)
    };
    assert_eq!(sent(&mut trial, &events), [cut("a1\\nb"), cut("c\\nd")]);
    let more = [event("y", "a"), event("z", "a"), event("z", "b")];
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    assert_eq!(sent(&mut trial, &more), more[1..], "a stream without room goes on as it is");
    assert_eq!(trial.counted("logweir_filter_keys_refused_total{filter=\"multiline\"}"), 2);

    let (mut trial, _) = clocked(&format!("{TOML}max_bytes = \"4MiB\"\nmax_lines = 10000\n"));
    let (mut given, mut out, part) = (0, 0, "b".repeat(64 * 1024));
    for n in 0..600 {
        let text = if n < 10 { format!("a{part}") } else { part.clone() };
        given += text.len();
        let held = given - out;
        assert!(held <= crate::limits::FILTER_MEMORY_BYTES_MAX, "{held} bytes are held");
        for event in sent(&mut trial, &[&event(&format!("s{}", n % 10), &text)]) {
            out += event.matches(['a', 'b']).count() - event.matches("tags").count();
        }
    }
    assert!(out > 0);
}

#[test]
fn with_nothing_that_says_what_belongs_together_or_two_things_it_is_refused() {
    let shown = problems("[[filters]]\ntype = \"multiline\"\n");
    assert!(shown.contains("does not say which lines belong together"), "{shown}");
    let shown = problems("[[filters]]\ntype = \"multiline\"\nstart = 'a'\nevery = 2\n");
    assert!(shown.contains("has both a preset or patterns and `every`"), "{shown}");
    let shown = problems(
        "[[filters]]\ntype = \"multiline\"\nevery = 2\nunfinished = 'a == 1'\ntimeout = \"0s\"\n",
    );
    assert!(shown.contains("has both `unfinished` and `every`"), "{shown}");
    assert!(shown.contains("`timeout` is zero"), "{shown}");
    let shown = problems(&format!("{TOML}[[filters]]\ntype = \"redact\"\nkeys = [\"password\"]\n"));
    assert!(shown.contains("before the first `aggregate`, `dedupe` or `multiline`"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever comes when, each text of a stream comes out once and in order, also over crashes between any two
    /// batches; what comes out together began with a first line, unless time had cut it off.
    #[test]
    fn every_text_comes_out_once_and_in_order(
        preset in any::<bool>(),
        batches in proptest::collection::vec(
            (proptest::collection::vec((0_u8..3, 0_usize..6), 0..8), 0_u64..3, any::<bool>()), 1..16
        )
    ) {
        const TEXTS: [&str; 6] = ["a", "b", "java.lang.OopsException: x", "\\tat a.B.c(B.java:1)", "", "more"];
        let rule = if preset { "preset = \"any\"" } else { "start = '^a'" };
        let toml = TOML.replace("start = '^a'", rule);
        let (mut trial, mut clock) = clocked(&toml);
        let mut kept = BTreeMap::new();
        let (mut given, mut found) = ([const { String::new() }; 3], [const { String::new() }; 3]);
        let take = |events: Vec<String>, found: &mut [String; 3]| {
            for event in events.iter().filter(|event| *event != "dropped") {
                let event: serde_json::Value = serde_json::from_str(event).unwrap();
                let stream = &mut found[event["k"].as_u64().unwrap() as usize];
                stream.push_str(event["message"].as_str().unwrap());
                stream.push('\n');
            }
        };
        for (n, (events, seconds, crash)) in batches.into_iter().enumerate() {
            let text = |at: usize, kind: usize| {
                if TEXTS[kind].is_empty() { String::new() } else { format!("{}{n}.{at}", TEXTS[kind]) }
            };
            let json = |(at, (k, kind)): (usize, &(u8, usize))| {
                format!("{{\"k\":{k},\"message\":\"{}\"}}", text(at, *kind))
            };
            let jsons: Vec<String> = events.iter().enumerate().map(json).collect();
            let texts: Vec<&str> = jsons.iter().map(String::as_str).collect();
            if crash {
                send(&mut trial, &texts);
                (trial, clock) = clocked(&toml);
                let positions: Vec<Position> = kept.values().cloned().collect();
                prop_assert!(trial.plan.states().restore(&positions).is_empty());
            }
            take(send(&mut trial, &texts), &mut found);
            journal(&mut trial, &mut kept);
            for (at, (k, kind)) in events.iter().enumerate() {
                let stream = &mut given[usize::from(*k)];
                stream.push_str(&text(at, *kind).replace("\\t", "\t"));
                stream.push('\n');
            }
            clock.advance_ns(seconds * SECOND_NS);
            take(close(&mut trial, false), &mut found);
            journal(&mut trial, &mut kept);
        }
        take(close(&mut trial, true), &mut found);
        journal(&mut trial, &mut kept);
        prop_assert_eq!(given, found);
        prop_assert!(kept.is_empty());
    }
}
