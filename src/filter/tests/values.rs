use super::*;

#[track_caller]
fn converts(kind: &str, cases: &[(&str, &str)]) {
    for (value, expected) in cases {
        let expected = match expected.strip_prefix('!') {
            Some(kept) => format!("{{\"a\":{kept},\"tags\":[\"_mutate_error\"]}}"),
            None => format!("{{\"a\":{expected}}}"),
        };
        let settings = format!("fields = {{ a = \"{kind}\" }}");
        check("convert", &settings, &format!("{{\"a\":{value}}}"), &expected);
    }
}

#[test]
fn numbers_are_read_with_separators_between_thousands() {
    converts(
        "int",
        &[
            ("\"1,000\"", "1000"),
            ("\"1,234,567.8\"", "1234567"),
            ("\" -12 \"", "-12"),
            ("\"1e3\"", "1000"),
            ("3.9", "3"),
            ("7", "7"),
            ("true", "1"),
            ("null", "null"),
            ("[\"1\",2,\"3.5\"]", "[1,2,3]"),
            ("{\"b\":\"1\"}", "{\"b\":\"1\"}"),
            ("\"abc\"", "!\"abc\""),
            ("\"\"", "!\"\""),
            ("\"inf\"", "!\"inf\""),
            ("1e30", "1000000000000000000000000000000"),
            ("\"9007199254740993.9\"", "9007199254740993"),
            ("\"-9223372036854775809\"", "-9223372036854775809"),
            ("\"0x1.8p+4\"", "24"),
            ("\"-0x1A\"", "-26"),
            ("\"0.9\"", "0"),
            ("\"1e-3\"", "0"),
            ("\"1e999999999\"", "!\"1e999999999\""),
            ("\"0x1p999999999\"", "!\"0x1p999999999\""),
        ],
    );
    converts(
        "float",
        &[
            ("\"3,141\"", "3141.0"),
            ("\"1.5\"", "1.5"),
            ("3.25", "3.25"),
            ("2", "2.0"),
            ("true", "1.0"),
            ("false", "0.0"),
            ("\"1e999\"", "!\"1e999\""),
            ("\"12px\"", "!\"12px\""),
        ],
    );
    converts("int_eu", &[("\"1.000\"", "1000"), ("\"1.234.567,8\"", "1234567"), ("3.9", "3")]);
    converts("float_eu", &[("\"3.141\"", "3141.0"), ("\"3,141\"", "3.141"), ("3.5", "3.5")]);
}

#[test]
fn booleans_and_texts_are_made_of_words_and_numbers() {
    converts(
        "bool",
        &[
            ("\"YES\"", "true"),
            ("\"f\"", "false"),
            ("\"\"", "false"),
            ("1", "true"),
            ("0.0", "false"),
            ("true", "true"),
            ("\"none\"", "\"none\""),
            ("2", "2"),
        ],
    );
    converts(
        "string",
        &[("1234", "\"1234\""), ("1.50", "\"1.50\""), ("true", "\"true\""), ("[1]", "[\"1\"]")],
    );
    check("convert", "fields = { \"a.b\" = \"int\" }", r#"{"a":{"b":"5"}}"#, r#"{"a":{"b":5}}"#);
    check("convert", "fields = { \"a.0\" = \"int\" }", r#"{"a":["5","6"]}"#, r#"{"a":[5,"6"]}"#);
    refused("convert", "fields = { a = \"flot\" }", "did you mean \"float\"?");
    refused("convert", "fields = { a = 1 }", "a type in quotes expected");
}

#[test]
fn json_in_a_text_becomes_fields() {
    let text =
        r#"{"message":"{ \"hello\": \"w\\n\", \"list\": [ 1, 2 ], \"hash\": { \"k\": \"v\" } }"}"#;
    let message = &text[..text.len() - 1];
    check(
        "json",
        "field = \"message\"",
        text,
        &format!(r#"{message},"hello":"w\n","list":[ 1, 2 ],"hash":{{ "k": "v" }}}}"#),
    );
    check(
        "json",
        "field = \"m\"\ntarget = \"m\"",
        r#"{"m":"[{\"k\":\"v\"},\n1]"}"#,
        r#"{"m":[{"k":"v"}, 1]}"#,
    );
    check(
        "json",
        "field = \"a.b\"\ntarget = \"c.d\"",
        r#"{"a":{"b":"{\"x\":1}"}}"#,
        r#"{"a":{"b":"{\"x\":1}"},"c":{"d":{"x":1}}}"#,
    );
    check("json", "field = \"m\"", r#"{"n":"{}"}"#, r#"{"n":"{}"}"#);
}

#[test]
fn text_that_is_no_json_is_tagged_and_kept() {
    check(
        "json",
        "field = \"m\"",
        r#"{"m":"nope"}"#,
        r#"{"m":"nope","tags":["_jsonparsefailure"]}"#,
    );
    check("json", "field = \"m\"", r#"{"m":"[1]"}"#, r#"{"m":"[1]","tags":["_jsonparsefailure"]}"#);
    check(
        "json",
        "field = \"m\"",
        r#"{"m":"{} x"}"#,
        r#"{"m":"{} x","tags":["_jsonparsefailure"]}"#,
    );
    check(
        "json",
        "field = \"m\"\ntarget = \"t\"",
        r#"{"m":"[1"}"#,
        r#"{"m":"[1","tags":["_jsonparsefailure"]}"#,
    );
    check("json", "field = \"m\"\nskip_invalid = true", r#"{"m":"nope"}"#, r#"{"m":"nope"}"#);
    check(
        "json",
        "field = \"m\"\ntag_on_failure = [\"a\",\"b\"]",
        r#"{"m":"nope"}"#,
        r#"{"m":"nope","tags":["a","b"]}"#,
    );
    let mut trial = Trial::new(&filter("json", "field = \"m\"\nid = \"j\""));
    trial.run(r#"{"m":"nope"}"#);
    assert_eq!(trial.counted("logweir_filter_failures_total{filter=\"j\"}"), 1);
}

#[test]
fn a_time_in_the_json_becomes_the_time_of_the_event() {
    let settings = "field = \"m\"\n[[filters]]\ntype = \"remove\"\nfield = \"m\"";
    check(
        "json",
        settings,
        r#"{"m":"{\"foo\":\"bar\",\"@timestamp\":\"2015-12-02T17:40:00.666Z\"}"}"#,
        r#"{"@timestamp":"2015-12-02T17:40:00.666Z","foo":"bar"}"#,
    );
    check(
        "json",
        settings,
        r#"{"m":"{\"foo\":\"bar\",\"@timestamp\":\"foobar\"}"}"#,
        r#"{"foo":"bar","_@timestamp":"foobar","tags":["_timestampparsefailure"]}"#,
    );
}

#[test]
fn of_very_many_fields_each_is_there_once() {
    use crate::filter::trial::run;
    let pairs: String = (0..300).map(|n| format!("k{n}={n} ")).collect();
    let members: Vec<String> =
        (100..400).map(|n| format!("\\\"k{n}\\\":\\\"new {n}\\\"")).collect();
    let json = format!(
        "{{\"message\":\"{pairs}k7=twice\",\"j\":\"{{{}}}\",\"k5\":\"old\"}}",
        members.join(",")
    );
    let filters = "[[filters]]\ntype = \"kv\"\n\n[[filters]]\ntype = \"remove\"\nfields = [\"k50\", \"k250\"]\n\n\
                   [[filters]]\ntype = \"json\"\nfield = \"j\"\nremove_field = [\"message\", \"j\"]\n\n\
                   [[filters]]\ntype = \"set\"\nfields = { k9 = 9, k398 = 398 }\n";
    let written = run(filters, &json);
    let event: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&written).unwrap();
    assert_eq!(written.matches("\":").count(), event.len(), "no name is written twice");
    assert_eq!(event.len(), 399);
    assert_eq!(event["k5"], "5");
    assert_eq!(event["k7"], serde_json::json!(["7", "twice"]));
    assert_eq!((&event["k9"], &event["k398"]), (&9.into(), &398.into()));
    assert_eq!((&event["k99"], &event["k250"]), (&"99".into(), &"new 250".into()));
    assert!(!event.contains_key("k50"));
}
