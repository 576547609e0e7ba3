use super::path::Origin;
use super::position::Overlaps;
use crate::decode::tests::{Feed, events_at_every_cut, load, message};
use crate::decode::{Line, Marks};
use crate::event::{Keys, Span};
use proptest::prelude::*;

const T: &str = "2026-11-22T01:02:03.123456789Z";

fn documents(settings: &str, text: &str) -> Vec<String> {
    let events = events_at_every_cut("container", settings, text);
    events.into_iter().map(|(_, document)| document).collect()
}

fn messages(settings: &str, text: &str) -> Vec<String> {
    documents(settings, text).iter().map(|document| message(document)).collect()
}

#[test]
fn cri_lines_give_message_stream_and_the_time_of_the_runtime() {
    let text =
        format!("{T} stdout F hello  world\n{T} stderr F \n2026-11-22T02:02:03+01:00 stdout F:x\n");
    assert_eq!(
        documents("", &text),
        [
            r#"{"@timestamp":"2026-11-22T01:02:03.123Z","message":"hello  world","stream":"stdout"}"#,
            r#"{"@timestamp":"2026-11-22T01:02:03.123Z","message":"","stream":"stderr"}"#,
            r#"{"@timestamp":"2026-11-22T01:02:03.000Z","message":"","stream":"stdout"}"#
        ]
    );
}

#[test]
fn docker_objects_give_the_same_and_keep_their_attrs() {
    let text = r#"{"log":"plain\n","stream":"stdout","time":"2026-11-22T01:02:03.5Z"}
{"log":"a \"b\" \u00e9\r\n","stream":"stderr","attrs":{"tag":"x"},"time":"2026-11-22T01:02:04Z"}
"#;
    assert_eq!(
        documents("", text),
        [
            r#"{"@timestamp":"2026-11-22T01:02:03.500Z","message":"plain","stream":"stdout"}"#,
            r#"{"@timestamp":"2026-11-22T01:02:04.000Z","message":"a \"b\" é","stream":"stderr","attrs":{"tag":"x"}}"#
        ]
    );
}

#[test]
fn pieces_are_joined_for_each_stream_separately() {
    let text = format!(
        "{T} stdout P one \n{T} stderr P:x uno \n{T} stdout F two\n{T} stdout F three\n{T} stderr F:y dos\n"
    );
    assert_eq!(messages("", &text), ["one two", "three", "uno dos"]);
    let docker = r#"{"log":"one ","stream":"stdout","time":"2026-11-22T01:02:03Z"}
{"log":"uno ","stream":"stderr","time":"2026-11-22T01:02:03Z"}
{"log":"two\n","stream":"stdout","time":"2026-11-22T01:02:04Z"}
{"log":"dos\n","stream":"stderr","time":"2026-11-22T01:02:04Z"}
"#;
    assert_eq!(messages("", docker), ["one two", "uno dos"]);
    assert!(documents("", docker)[0].starts_with(r#"{"@timestamp":"2026-11-22T01:02:03.000Z""#));
}

#[test]
fn stack_traces_are_joined_for_each_stream_separately() {
    let lines = [
        ("stdout", "java.lang.IllegalStateException: out"),
        ("stderr", "java.lang.RuntimeException: err"),
        ("stdout", "\tat a.B.c(B.java:1)"),
        ("stderr", "\tat x.Y.z(Y.java:1)"),
        ("stdout", "\tat a.B.d(B.java:2)"),
        ("stdout", "ready"),
        ("stderr", "warm"),
    ];
    let text = lines.map(|(stream, message)| format!("{T} {stream} F {message}\n")).concat();
    assert_eq!(
        messages("multiline = { preset = \"java\" }", &text),
        [
            "java.lang.IllegalStateException: out\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)",
            "ready",
            "java.lang.RuntimeException: err\n\tat x.Y.z(Y.java:1)",
            "warm"
        ]
    );
}

#[test]
fn a_line_in_neither_form_is_kept() {
    let lines = [
        "no form at all",
        "{\"log\":7,\"stream\":\"stdout\"}",
        "{\"log\":\"x\\n\",\"stream\":\"other\"}",
        "{broken",
        "2026-11-22T01:02:03Z stdin F x",
        "2026-11-22T01:02:03Z stdout X x",
        "",
    ];
    let found = documents("", &format!("{}\n", lines.join("\n")));
    assert_eq!(found.len(), lines.len());
    for (document, line) in found.iter().zip(lines) {
        assert_eq!(message(document), line);
        assert!(document.ends_with(",\"tags\":[\"_containerparsefailure\"]}"), "{document}");
    }
}

#[test]
fn a_time_that_cannot_be_read_is_said() {
    let found = documents("", "yesterday stdout F x\n");
    assert_eq!(found, [r#"{"message":"x","tags":["_timestampparsefailure"],"stream":"stdout"}"#]);
}

#[test]
fn a_split_line_is_bounded_in_bytes_and_in_time() {
    let text = format!("{T} stdout P aaaa\n{T} stdout P bbbb\n{T} stdout F cc\n{T} stdout F d\n");
    let found = documents("max_bytes = 6", &text);
    let cut = |d: &String| (message(d), d.contains("_multiline_cut"));
    let expected = [("aaaa", true), ("bbbbcc", false), ("d", false)];
    assert_eq!(found.iter().map(cut).collect::<Vec<_>>(), expected.map(|(m, c)| (m.into(), c)));

    let mut feed = Feed::new("container", "", "");
    feed.chunk(format!("{T} stdout P aaaa\n").as_bytes(), false, false);
    feed.flush(4_999_999_999);
    assert_eq!((feed.events.len(), feed.position()), (0, 0));
    feed.flush(5_000_000_000);
    assert!(feed.events[0].1.contains("_multiline_cut"));
    assert_eq!(feed.position(), feed.offset);
}

#[test]
fn the_message_may_hold_json() {
    let text =
        format!("{T} stdout F {{\"a\":1,\"stream\":\"own\"}}\n{T} stdout F text\n{T} stdout F \n");
    let auto = documents("inner = \"auto\"", &text);
    assert!(auto[0].ends_with(r#""a":1,"stream":"own"}"#), "{}", auto[0]);
    assert!(auto[1].ends_with(r#""message":"text","stream":"stdout"}"#), "{}", auto[1]);
    assert_eq!(auto.len(), 3);
    assert!(documents("inner = \"json\"", &text)[1].contains("_jsonparsefailure"));
}

#[test]
fn the_path_says_which_container_it_is() {
    let id = "0123456789abcdef".repeat(4);
    let symlink = format!("/var/log/containers/web-7d9-x2_shop_nginx-proxy-{id}.log");
    let found = Origin::of(&symlink);
    assert_eq!((found.pod, found.namespace), (Some("web-7d9-x2"), Some("shop")));
    assert_eq!((found.container, found.id), (Some("nginx-proxy"), Some(&id[..])));
    for file in ["0.log", "12.log.20261122-010203.gz"] {
        let path = format!("/host/var/log/pods/shop_web-7d9-x2_1b2c-3d/nginx-proxy/{file}");
        let found = Origin::of(&path);
        assert_eq!((found.pod, found.namespace), (Some("web-7d9-x2"), Some("shop")));
        assert_eq!((found.container, found.uid), (Some("nginx-proxy"), Some("1b2c-3d")));
    }
    let docker = format!("/var/lib/docker/containers/{id}/{id}-json.log");
    assert_eq!(Origin::of(&docker).id, Some(&id[..]));
    for other in
        ["", "x", "/var/log/containers/x.log", "/var/log/pods/x/y/0.log", "/a/pods/a_b_c/d/e.log"]
    {
        assert_eq!(Origin::of(other), Origin::default(), "{other}");
    }
}

#[test]
fn what_the_path_says_is_in_every_event() {
    let path = "/var/log/pods/shop_web-1_uid-1/nginx/0.log";
    let mut feed = Feed::new("container", "inner = \"auto\"", path);
    feed.chunk(format!("{T} stdout F one\n{T} stdout P t\n").as_bytes(), false, false);
    feed.chunk(
        format!("{T} stdout F wo\n{T} stdout F {{\"a\":1}}\nthree\n").as_bytes(),
        false,
        true,
    );
    assert_eq!(feed.events.len(), 4);
    let said = r#""kubernetes":{"namespace":"shop","pod":{"name":"web-1","uid":"uid-1"},"container":{"name":"nginx"}}"#;
    for (_, event) in &feed.events {
        assert!(event.contains(said) && event.contains(path), "{event}");
    }
}

#[test]
fn a_common_line_is_not_copied() {
    let docker = r#"{"log":"plain text\n","stream":"stdout","time":"2026-11-22T01:02:03.5Z"}"#;
    for line in [format!("{T} stdout F plain text\n"), format!("{docker}\n")] {
        for settings in ["", "multiline = { preset = \"any\" }"] {
            let mut feed = Feed::new("container", settings, "");
            let one = feed.appended(line.as_bytes());
            assert_eq!(feed.appended(line.repeat(100).as_bytes()), one, "{settings}: {line}");
            assert_eq!(feed.events.len(), 101);
        }
    }
}

#[test]
fn a_position_is_never_within_events_that_overlap_one_another() {
    let line = |offset, last| {
        let (span, marks) = (Span::default(), Marks::default());
        Line { span, offset, last, time_ns: 0, marks }
    };
    let mut overlaps = Overlaps::default();
    for (offset, last) in [(30, 60), (80, 80), (10, 40)] {
        overlaps.note(line(offset, last));
    }
    let positions = [10, 11, 35, 50, 60, 61, 80].map(|held| overlaps.position(held));
    assert_eq!(positions, [10, 10, 10, 10, 10, 61, 80]);
    for n in 10..200 {
        overlaps.note(line(n * 10, n * 10 + 5));
    }
    assert!((0..2000).all(|held| overlaps.position(held) <= held));
    overlaps.forget_before(None);
    assert_eq!(overlaps.position(50), 50);
}

#[test]
fn a_position_is_not_within_an_event_that_was_cut() {
    let settings = "multiline = { preset = \"go\", max_lines = 2 }";
    let mut feed = Feed::new("container", settings, "");
    let lines =
        ["stdout F panic: o", "stderr F panic: e", "stdout F ", "stdout F goroutine 1 [running]:"];
    feed.chunk(lines.map(|line| format!("{T} {line}\n")).concat().as_bytes(), false, false);
    assert_eq!((feed.messages(), feed.position()), (vec!["panic: o\n".to_string()], 0));
}

#[test]
fn wrong_settings_within_multiline_are_reported() {
    let (codec, problems) =
        load("container", "multiline = { strat = 'a' }\n", &mut Keys::default());
    assert!(codec.is_none());
    let problems = problems.join("\n");
    assert!(problems.contains("did you mean `start`?"), "{problems}");
}

/// A line of a woven file: its stream, whether it begins an event, whether more of it follows.
fn any_line() -> impl Strategy<Value = (bool, bool, bool)> {
    (any::<bool>(), prop::bool::weighted(0.4), prop::bool::weighted(0.2))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Elasticsearch keeps the first document of an id. Whatever was cut, waited or restarted, each line must be in
    /// just one of the documents that it keeps, and no document may hold lines of both streams.
    #[test]
    fn after_a_restart_every_line_is_stored_once(
        lines in prop::collection::vec(any_line(), 1..40),
        chunks in prop::collection::vec((1usize..6, 0i64..4), 40),
        stop in 0usize..40,
    ) {
        let settings = "multiline = { start = '^B', timeout = \"2s\" }";
        let mut written = Vec::new();
        for (n, (out, begins, part)) in lines.iter().enumerate() {
            let (stream, mark) = if *out { ("stdout", "o") } else { ("stderr", "e") };
            let (first, tag) = (if *begins { "B" } else { "c" }, if *part { "P" } else { "F" });
            written.push(format!("{T} {stream} {tag} {first}<{mark}{n}>\n"));
        }
        let mut feed = Feed::new("container", settings, "");
        let mut rest = &written[..];
        for (count, seconds) in chunks.iter().take(stop) {
            let (now, later) = rest.split_at((*count).min(rest.len()));
            feed.chunk(now.concat().as_bytes(), false, false);
            feed.flush(feed.now_ns + seconds * 1_000_000_000);
            rest = later;
        }
        let mut stored = feed.events.clone();
        let text = written.concat();
        let mut again = feed.restart(feed.position());
        again.chunk(&text.as_bytes()[feed.position() as usize..], false, true);
        for event in again.events {
            if !stored.iter().any(|(offset, _)| *offset == event.0) {
                stored.push(event);
            }
        }
        for (n, (out, ..)) in lines.iter().enumerate() {
            let mark = format!("<{}{n}>", if *out { "o" } else { "e" });
            let with: Vec<_> = stored.iter().filter(|(_, d)| d.contains(&mark)).collect();
            prop_assert_eq!(with.len(), 1, "{} in {:?}", mark, with);
        }
        prop_assert!(stored.iter().all(|(_, d)| !(d.contains("<o") && d.contains("<e"))));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_no_line_is_left_out(
        text in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b'{'), any::<u8>()], 0..200)
    ) {
        let mut feed = Feed::new("container", "multiline = { preset = \"any\" }", "");
        feed.chunk(&text, false, true);
        let joined: usize = feed.messages().iter().map(|m| m.matches('\n').count() + 1).sum();
        let lines = text.split_inclusive(|b| *b == b'\n').count();
        prop_assert_eq!(joined, lines);
    }
}
