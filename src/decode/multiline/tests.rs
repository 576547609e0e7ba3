use crate::decode::tests::{Feed, events_at_every_cut, load, message};
use crate::event::Keys;

mod languages;

/// Checks that a text, in which each event is closed by a line `%%%%`, gives just these events with any cut.
fn gives_events(settings: &str, marked: &str) {
    let mut expected: Vec<(u64, String)> = Vec::new();
    let mut text = String::new();
    for event in marked.strip_suffix("%%%%\n").unwrap().split("%%%%\n") {
        let message = event.strip_suffix('\n').unwrap_or(event);
        expected.push((text.len() as u64, message.to_string()));
        text.push_str(event);
    }
    let found = events_at_every_cut("multiline", settings, &text);
    let found: Vec<_> = found.into_iter().map(|(at, doc)| (at, message(&doc))).collect();
    assert_eq!(found, expected);
}

fn problems(settings: &str) -> String {
    let (codec, problems) = load("multiline", settings, &mut Keys::default());
    assert!(codec.is_none());
    problems.join("\n")
}

#[test]
fn a_line_that_matches_start_begins_an_event() {
    gives_events(
        "start = '^\\d{4}-'",
        "tail of an older event\n\tmore of it\n%%%%\n2026-11-22 one\n  two\n\nthree\n%%%%\n2026-11-22 four\n%%%%\n",
    );
}

#[test]
fn a_line_that_matches_continue_belongs_to_the_one_before() {
    gives_events("continue = '^\\s'", "one\n\ttwo\n three\n%%%%\n\n%%%%\nfour\n%%%%\n");
}

#[test]
fn negate_turns_a_pattern_round() {
    gives_events(
        "continue = '^[A-Z]'\nnegate = true",
        "One\ntwo\n%%%%\nThree\n%%%%\nFour\nfive\n%%%%\n",
    );
    gives_events("start = '^\\s'\nnegate = true", "one\n two\n%%%%\nthree\n%%%%\n");
}

#[test]
fn a_line_that_matches_end_completes_an_event() {
    gives_events(
        "end = ';$'",
        "select *\nfrom t;\n%%%%\ncommit;\n%%%%\nbegin\n\nend;\n%%%%\nopen\n%%%%\n",
    );
    let mut feed = Feed::new("multiline", "end = ';$'", "");
    feed.chunk(b"select\n1;\ncommit;\nselect\n", false, false);
    assert_eq!(feed.messages(), ["select\n1;", "commit;"]);
    assert_eq!(feed.position(), 18);
}

#[test]
fn what_waited_long_enough_is_given_out_and_not_before() {
    let mut feed = Feed::new("multiline", "start = '^a'\ntimeout = \"3s\"", "");
    feed.chunk(b"a\nb\n", false, false);
    feed.flush(1_000_000_000);
    feed.chunk(b"c\n", false, false);
    feed.flush(3_999_999_999);
    assert_eq!((feed.messages(), feed.position()), (vec![], 0));
    feed.flush(4_000_000_000);
    assert_eq!((feed.messages(), feed.position()), (vec!["a\nb\nc".to_string()], 6));
    feed.chunk(b"d\n", false, false);
    feed.chunk(b"a\n", false, true);
    assert_eq!(feed.messages(), ["a\nb\nc", "d", "a"]);
}

#[test]
fn lines_beyond_a_limit_go_on_as_the_next_event() {
    let text = "a1\nb\nc\nd\ne\na2\nb\n";
    for (limit, parts) in [
        ("max_lines = 2", vec!["a1\nb", "c\nd", "e", "a2\nb"]),
        ("max_bytes = 6", vec!["a1\nb\nc", "d\ne", "a2\nb"]),
        ("max_bytes = 1", vec!["a1", "b", "c", "d", "e", "a2", "b"]),
    ] {
        let settings = format!("start = '^a'\n{limit}");
        let events = events_at_every_cut("multiline", &settings, text);
        let messages: Vec<_> = events.iter().map(|(_, event)| message(event)).collect();
        assert_eq!(messages, parts, "{limit}");
        let cut = |event: &str| event.contains("_multiline_cut");
        for (n, (_, event)) in events.iter().enumerate() {
            let goes_on = parts.get(n + 1).is_some_and(|next| !next.starts_with('a'));
            assert_eq!(cut(event), goes_on, "{limit}: {event}");
        }
    }
}

#[test]
fn an_object_over_several_lines_gives_its_fields() {
    let text = "{\n  \"a\": {\n    \"b\": 1\n  },\n  \"c\": \"d\"\n}\nno object\n{ \"e\": 2 }\n";
    let events = events_at_every_cut("multiline", "start = '^[{n]'\ninner = \"json\"", text);
    let found: Vec<_> = events.iter().map(|(_, event)| event.as_str()).collect();
    let objects = [r#""a":{     "b": 1   }"#, "_jsonparsefailure", r#"{"e":2}"#];
    for (event, part) in found.iter().zip(objects) {
        assert!(event.contains(part), "{event}");
    }
    assert_eq!(found.len(), 3);
}

#[test]
fn line_ends_and_bytes_that_are_not_utf8_are_treated_as_in_plain() {
    let mut feed = Feed::new("multiline", "continue = '^\\s'", "");
    feed.chunk(b"one\r\n two\r\n\x20\xFF\r\nthree", false, true);
    assert_eq!(feed.messages(), ["one\n two\n \\xFF", "three"]);
    assert!(feed.events[0].1.contains("_invalid_utf8"));
    assert!(!feed.events[1].1.contains("_invalid_utf8"));
}

#[test]
fn lines_that_follow_one_another_are_not_copied() {
    for (settings, line) in [("preset = \"any\"", "plain\n"), ("start = '^a'", "a\nb\nc\n")] {
        let mut feed = Feed::new("multiline", settings, "");
        feed.appended(line.as_bytes());
        let one = feed.appended(line.as_bytes());
        assert_eq!(feed.appended(line.repeat(100).as_bytes()), one, "{settings}");
        assert!(feed.events.len() > 100);
    }
}

#[test]
fn a_piece_of_a_line_that_is_too_long_is_never_joined() {
    let mut feed = Feed::new("multiline", "start = '^a'", "");
    feed.chunk(b"a\nb\n", false, false);
    feed.chunk(b"cccc", true, false);
    feed.chunk(b"cc\n", true, false);
    feed.chunk(b"d\n", false, true);
    assert_eq!(feed.messages(), ["a\nb", "cccc", "cc", "d"]);
}

#[test]
fn wrong_settings_are_reported_with_their_place_and_a_way_out() {
    let found = problems("start = '('\n");
    assert!(found.contains("not a regular expression"), "{found}");
    assert!(found.contains("t.toml:1:10") && found.contains("unclosed group"), "{found}");
    let found = problems("start = 'a'\ncontinue = 'b'\n");
    assert!(found.contains("both `start` and `continue`") && found.contains("keep one"), "{found}");
    let found = problems("preset = \"java\"\nend = 'b'\n");
    assert!(found.contains("both a preset and patterns"), "{found}");
    let found = problems("timeout = \"2s\"\n");
    assert!(found.contains("does not say which lines") && found.contains("hint"), "{found}");
    let found = problems("preset = \"jaba\"\n");
    assert!(found.contains("did you mean \"java\"?"), "{found}");
    let found = problems("negate = true\n");
    assert!(found.contains("`negate` says nothing"), "{found}");
    let found = problems("start = 'a'\ntimeout = \"0s\"\nmax_bytes = 0\nmax_lines = 0\n");
    for part in ["`timeout` is zero", "`max_bytes` is 0", "`max_lines` is 0"] {
        assert!(found.contains(part), "{found}");
    }
}
