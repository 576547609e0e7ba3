//! What `throttle` lets through.

use super::super::aggregate::tests::{clocked, close, send};
use super::super::trial::problems;

fn filter(settings: &str) -> String {
    format!("[[filters]]\ntype = \"throttle\"\n{settings}\n")
}

#[test]
fn beyond_the_limit_of_a_key_events_are_dropped_and_the_next_one_says_how_many() {
    let (mut trial, clock) = clocked(&filter("by = [\"k\"]\nlimit = 1\nwindow = \"1s\""));
    let sent = ["{\"k\":1}", "{\"k\":1}", "{\"k\":2}", "{\"k\":1}"];
    assert_eq!(send(&mut trial, &sent), ["{\"k\":1}", "dropped", "{\"k\":2}", "dropped"]);
    assert_eq!(trial.counted("logweir_filter_throttled_total{filter=\"throttle\"}"), 2);
    clock.advance_ns(1_000_000_000);
    assert_eq!(send(&mut trial, &sent[..1]), ["{\"k\":1,\"throttled\":2}"]);
    assert!(close(&mut trial, false).is_empty());
}

#[test]
fn in_a_sample_one_of_so_many_beyond_the_limit_goes_on() {
    let (mut trial, _) = clocked(&filter("limit = 2\nmode = \"sample\"\none_in = 3"));
    let sent = ["{}"; 9];
    let found = send(&mut trial, &sent);
    let passed: Vec<usize> = (0..9).filter(|n| found[*n] != "dropped").collect();
    assert_eq!(passed, [0, 1, 4, 7]);
    assert_eq!(found[4], "{\"throttled\":2}");
}

#[test]
fn with_wait_every_event_goes_on_and_none_waits_for_a_stop() {
    let (mut trial, _) = clocked(&filter("limit = 1\nmode = \"wait\"\nwindow = \"1h\""));
    trial.plan.states().hurry();
    assert_eq!(send(&mut trial, &["{\"a\":1}", "{\"a\":2}"]), ["{\"a\":1}", "{\"a\":2}"]);
    assert_eq!(trial.counted("logweir_filter_throttled_total{filter=\"throttle\"}"), 1);
}

#[test]
fn with_wait_an_event_goes_on_when_the_clock_says_so() {
    let (mut trial, clock) = clocked(&filter("limit = 1\nmode = \"wait\"\nwindow = \"1h\""));
    send(&mut trial, &["{}"]);
    let waiting = std::thread::spawn(move || send(&mut trial, &["{\"a\":2}"]));
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!waiting.is_finished());
    clock.advance_ns(3_600_000_000_000);
    assert_eq!(waiting.join().unwrap(), ["{\"a\":2}"]);
}

#[test]
fn no_limit_is_refused() {
    assert!(problems(&filter("by = [\"k\"]")).contains("`limit` is missing"));
}

#[test]
fn as_in_logstash_all_events_go_on_and_those_outside_of_the_counts_are_marked() {
    let settings =
        "key = \"%{h}\"\nperiod = 60\nbefore_count = 2\nafter_count = \"3\"\nadd_tag = \"t\"";
    let (mut trial, clock) = clocked(&filter(settings));
    let marked = "{\"h\":1,\"tags\":[\"t\"]}";
    let sent = ["{\"h\":1}", "{\"h\":1}", "{\"h\":1}", "{\"h\":1}", "{\"h\":2}"];
    let other = "{\"h\":2,\"tags\":[\"t\"]}";
    assert_eq!(send(&mut trial, &sent), [marked, sent[1], sent[2], marked, other]);
    clock.advance_ns(60_000_000_000);
    assert_eq!(send(&mut trial, &sent[..2]), [marked, sent[1]]);
    let (mut trial, _) =
        clocked(&filter("limit = 1\nmode = \"mark\"\nmax_keys = 1\nby = \"h\"\nadd_tag = \"t\""));
    assert_eq!(
        send(&mut trial, &["{\"h\":1}", "{\"h\":2}", "{\"h\":1}"]),
        ["{\"h\":1}", "{\"h\":2}", marked]
    );
    assert!(problems(&filter("after_count = \"many\"")).contains("no whole number"));
}
