use super::*;
use crate::event::{Source, SourceKind, parse_object};
use std::sync::Arc;

/// 2026-11-22T01:02:03.004Z
const NOW_NS: i64 = 1_795_309_323_004_000_000;

const EVENT: &str = r#"{"level":"ERROR","n":5,"f":2.5,"big":12345678901234567890,"t":"10","ok":true,"none":null,"tags":["a","b\n",3],"msg":"a\tb \u00e9","http":{"request":{"method":"GET"}},"a.b":1,"ip":"10.1.2.3","dash-ed":"x","same":"ERROR","e":[]}"#;

fn batch(json: &str, keys: Keys) -> Batch {
    let source = Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields: Vec::new() };
    let mut batch = Batch::new(Arc::new(keys), Arc::new(source));
    batch.add_event(NOW_NS, 0);
    let span = batch.push_text(json.as_bytes());
    let (keys, mut fields) = (Arc::clone(&batch.keys), Vec::new());
    parse_object(&mut batch.text, span, &keys, &mut fields).unwrap();
    *batch.fields_mut(0) = fields;
    batch
}

fn holds(text: &str) -> bool {
    let mut keys = Keys::default();
    let condition = match Condition::parse(text, &mut keys) {
        Ok(condition) => condition,
        Err(error) => panic!("{text}: {error:?}"),
    };
    condition.holds(&batch(EVENT, keys), 0)
}

fn error(text: &str) -> (std::ops::Range<usize>, String) {
    let Err(error) = Condition::parse(text, &mut Keys::default()) else {
        panic!("{text} is no error")
    };
    assert!(error.span.end <= text.len(), "{text}: {error:?}");
    (error.span, format!("{} | {}", error.message, error.hint.unwrap_or_default()))
}

#[track_caller]
fn all_hold(texts: &[&str]) {
    for text in texts {
        assert!(holds(text), "{text}");
        assert!(!holds(&format!("not ({text})")), "not ({text})");
    }
}

#[track_caller]
fn none_holds(texts: &[&str]) {
    for text in texts {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn values_are_equal_by_type_and_value() {
    all_hold(&[
        "level == \"ERROR\"",
        "level == 'ERROR'",
        "\"ERROR\" == level",
        "n == 5",
        "n == 5.0",
        "f == 2.5",
        "big == 12345678901234567890.0",
        "ok == true",
        "ok != false",
        "none == null",
        "level != null",
        "msg == \"a\\tb é\"",
        "http.request.method == \"GET\"",
        "a\\.b == 1",
        "dash-ed == 'x'",
        "tags.0 == \"a\"",
        "level == same",
        "level != msg",
    ]);
    none_holds(&["t == 10", "n == \"5\"", "level == \"error\"", "ok == 1", "tags == \"a\""]);
}

#[test]
fn numbers_are_ordered_by_value_and_texts_by_bytes() {
    all_hold(&[
        "n < 6",
        "n <= 5",
        "n > 4.5",
        "n >= 5",
        "6 > n",
        "f < 3",
        "big > 5",
        "f < n",
        "level < 'F'",
        "level >= 'ERROR'",
        "-1 < n",
    ]);
    none_holds(&["n < 5", "n > 5", "t > 5", "t < 50", "ok > 0", "tags > 1", "level > 5"]);
}

#[test]
fn in_finds_values_in_lists_and_parts_in_texts() {
    all_hold(&[
        "level in [\"WARN\", \"ERROR\"]",
        "level in ['ERROR',]",
        "n in [1, 5]",
        "n in ['x', 5.0, null]",
        "level not in ['WARN']",
        "\"a\" in tags",
        "\"b\\n\" in tags",
        "3 in tags",
        "\"RRO\" in level",
        "\"\\tb\" in msg",
        "\"z\" not in tags",
        "\"z\" not in level",
        "level in same",
    ]);
    none_holds(&[
        "n in ['5']",
        "\"5\" in n",
        "\"GET\" in http",
        "\"3\" in tags",
        "'a' in e",
        "t in [10]",
        "tags in ['a']",
    ]);
}

#[test]
fn patterns_match_somewhere_in_a_text() {
    all_hold(&[
        "level =~ /^ERR/",
        "level =~ /err/i",
        "level =~ \"^ERROR$\"",
        "msg =~ /é/",
        "msg !~ /z/",
        "n !~ /5/",
        "http.request.method =~ /G\\/?E/",
    ]);
    none_holds(&["level =~ /err/", "n =~ /5/"]);
}

#[test]
fn a_missing_field_is_just_absent() {
    none_holds(&[
        "x == 1",
        "x == 'a'",
        "x == true",
        "x < 1",
        "x > 1",
        "x in ['a']",
        "'a' in x",
        "x =~ /a/",
        "exists(x)",
        "exists(none)",
        "exists(http.nothing)",
        "exists(tags.9)",
        "cidr(x, '::/0')",
        "x == level",
        "x in tags",
        "x != y and x == y",
    ]);
    all_hold(&[
        "x != 1",
        "x != 'a'",
        "x not in ['a']",
        "'a' not in x",
        "x !~ /a/",
        "x == null",
        "not exists(x)",
        "exists(level)",
        "exists(tags.1)",
        "exists(@timestamp)",
        "exists(e)",
    ]);
    none_holds(&["x != null"]);
}

#[test]
fn words_bind_as_in_every_language() {
    all_hold(&[
        "n == 5 or n == 6 and n == 7",
        "not n == 6 and n == 5",
        "(n == 6 or n == 5) and ok == true",
        "not (n == 6)",
        "not not n == 5",
        "not(n == 6)",
        "true",
        "n == 6 or true",
        "level == \"ERROR\" and not false",
        "level\n==\n'ERROR'",
    ]);
    none_holds(&["(n == 5 or n == 6) and n == 7", "false", "not n == 5"]);
}

#[test]
fn addresses_belong_to_networks() {
    all_hold(&[
        "cidr(ip, \"10.0.0.0/8\")",
        "cidr(ip, '192.168.0.0/16', '10.1.0.0/16')",
        "cidr(ip, ['192.168.0.0/16', '10.1.0.0/16'])",
    ]);
    none_holds(&["cidr(ip, '11.0.0.0/8')", "cidr(level, '::/0')", "cidr(n, '0.0.0.0/0')"]);
}

#[test]
fn the_event_time_is_compared_with_times() {
    all_hold(&[
        "@timestamp >= \"2026-11-22T00:00:00Z\"",
        "@timestamp < '2026-11-22T03:00:00+01:00'",
        "'2026-11-22T00:00:00Z' < @timestamp",
        "@timestamp == '2026-11-22T01:02:03.004Z'",
    ]);
    assert_eq!(error("@timestamp > 5").0, 13..14);
    assert_eq!(error("@timestamp > 'yesterday'").0, 13..24);
    assert_eq!(error("@timestamp =~ /a/").0, 0..10);
}

#[test]
fn an_error_points_at_its_words_and_says_what_to_write() {
    let cases = [
        ("level = \"x\"", 6..7, "write `==`"),
        ("a == 1 && b == 2", 7..9, "write `and`"),
        ("a == 1 || b == 2", 7..9, "write `or`"),
        ("!exists(a)", 0..1, "write `not`"),
        ("[level] == \"x\"", 0..7, "write `level`"),
        ("a == 1 and [http][method] == \"x\"", 11..25, "write `http.method`"),
        ("\"x\" in [tags]", 7..13, "write `tags`"),
        ("level =~ 5", 9..10, "level =~ /error/i"),
        ("level =~ /a(b/", 11..12, "unclosed group"),
        ("level =~ /a(?=b)/", 11..14, "linear time"),
        ("exist(a)", 0..5, "did you mean `exists`"),
        ("level", 0..5, "exists(level)"),
        ("level == ERROR AND n == 1", 15..18, "write `and`"),
        ("\"level\" == \"x\"", 0..14, "without quotes"),
        ("a in \"x\"", 5..8, "write a list"),
        ("a in []", 5..7, "empty"),
        ("a == [1]", 5..8, "use `in`"),
        ("a == /x/", 5..8, "use `=~`"),
        ("a > true", 4..8, "only numbers and texts"),
        ("a == 10.0.0.1", 5..13, "in quotes"),
        ("cidr(a, '10.0.0.0/40')", 8..21, "/0 to /32"),
        ("cidr(a)", 0..4, "needs a network"),
        ("(a == 1", 0..1, "add a `)`"),
        ("a == 1)", 6..7, "closes nothing"),
        ("a == 'x", 5..7, "no closing"),
        ("a == 1 b == 2", 7..8, "`and` or `or` expected"),
        ("", 0..0, "empty"),
        ("a ==", 4..4, "expected at the end"),
        ("a..b == 1", 2..3, "no field's name"),
        ("a == \"\\d\"", 6..8, "write `\\\\`"),
        ("a =~ /x/g", 8..9, "no flag"),
        ("%{level} == 1", 0..1, "name alone"),
    ];
    for (text, span, says) in cases {
        let (found, message) = error(text);
        assert_eq!(found, span, "{text}: {message}");
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}a == 1{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(error(&deep).1.contains("within one another"));
    assert!(error(&format!("{} a == 1", "not ".repeat(100_000))).1.contains("within"));
    assert!(holds(&format!("{}n == 5{}", "(".repeat(50), ")".repeat(50))));
}

proptest::proptest! {
    #[test]
    fn arbitrary_texts_never_panic(text in "[a-c=!~<> ()\\[\\]\"'/\\\\.,0-9é@-]{0,40}|(and|or|not|in|a|==|\\(|\\)|1| )*") {
        if let Err(error) = Condition::parse(&text, &mut Keys::default()) {
            proptest::prop_assert!(text.get(error.span.clone()).is_some(), "{error:?}");
        }
    }
}
