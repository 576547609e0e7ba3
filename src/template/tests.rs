use super::*;
use crate::event::{Source, SourceKind, parse_object};
use std::sync::Arc;

/// 2026-11-22T01:02:03.004Z
const NOW_NS: i64 = 1_795_309_323_004_000_000;

fn render(template: &str, json: &str) -> (String, bool) {
    let mut keys = Keys::default();
    let template = Template::parse(template, &mut keys).unwrap();
    let source = Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields: Vec::new() };
    let mut batch = Batch::new(Arc::new(keys), Arc::new(source));
    batch.add_event(NOW_NS, 0);
    let span = batch.push_text(json.as_bytes());
    let (keys, mut fields) = (Arc::clone(&batch.keys), Vec::new());
    parse_object(&mut batch.text, span, &keys, &mut fields).unwrap();
    *batch.fields_mut(0) = fields;
    let mut out = Vec::new();
    let complete = template.render(&batch, 0, &mut out);
    (String::from_utf8(out).unwrap(), complete)
}

fn error(template: &str) -> (std::ops::Range<usize>, String) {
    let error = Template::parse(template, &mut Keys::default()).unwrap_err();
    (error.span, format!("{} | {}", error.message, error.hint.unwrap_or_default()))
}

#[test]
fn fields_and_times_stand_in_a_text() {
    let json = r#"{"service":"shop","http":{"status":200,"x":"a\nb"},"list":[1,"2"]}"#;
    assert_eq!(
        render("logs-{service}-{@timestamp:%Y.%m.%d}", json),
        ("logs-shop-2026.11.22".into(), true)
    );
    assert_eq!(render("{http.status}{{x}} {list} {list.1}", json).0, "200{x} [1,\"2\"] 2");
    assert_eq!(render("{http.x}", json).0, "a\nb");
    assert_eq!(
        render("{@timestamp}|{@timestamp:%H:%M:%S.%L}", json).0,
        "2026-11-22T01:02:03.004Z|01:02:03.004"
    );
    assert_eq!(render("100%%{service}", json).0, "100%shop");
}

#[test]
fn an_absent_field_is_reported_unless_it_has_a_default() {
    assert_eq!(render("a{b}c", "{}"), ("ac".into(), false));
    assert_eq!(render("a{b}c", r#"{"b":null}"#), ("ac".into(), false));
    assert_eq!(render("a{b}c", r#"{"b":""}"#), ("ac".into(), true));
    assert_eq!(render("a{b:-x y}c", "{}"), ("ax yc".into(), true));
    assert_eq!(render("a{b:-x}c", r#"{"b":""}"#), ("axc".into(), true));
    assert_eq!(render("a{b:-}c", "{}"), ("ac".into(), true));
}

#[test]
fn a_text_without_fields_is_constant() {
    let constant = |text: &str| {
        let template = Template::parse(text, &mut Keys::default()).unwrap();
        template.constant().map(str::to_string)
    };
    assert_eq!(constant("a {{b}}"), Some("a {b}".into()));
    assert_eq!(constant(""), Some(String::new()));
    assert_eq!(constant("{b}"), None);
}

#[test]
fn what_is_wrong_is_pointed_at() {
    assert_eq!(error("a{b").0, 1..3);
    assert_eq!(error("a}b").0, 1..2);
    assert_eq!(error("{}").0, 0..2);
    assert_eq!(error("x{a..b}").0, 4..5);
    assert_eq!(error("{@timestamp:%Q}").0, 12..14);
    assert_eq!(error("{a:%Y}").0, 2..5);
    // A character of two bytes is pointed at as a whole.
    assert_eq!(error("{[a]é}").0, 4..6);
    assert_eq!(error("{é.}").0, 3..4);
}

#[test]
fn forms_of_logstash_are_shown_as_they_are_written_here() {
    let (span, text) = error("logs-%{+YYYY.MM.dd}");
    assert_eq!(span, 5..19);
    assert!(text.contains("write {@timestamp:%Y.%m.%d} "), "{text}");
    let (_, text) = error("logs-%{[host][name]}");
    assert!(text.contains("write {host.name} "), "{text}");
}

#[test]
fn a_list_stands_in_a_text_as_logstash_puts_it() {
    let mut keys = Keys::default();
    let parts = parse::parts("%{l}|{l}", References::Both, &mut keys).unwrap();
    let template = Template::of(parts);
    let source = Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields: Vec::new() };
    let mut batch = Batch::new(Arc::new(keys), Arc::new(source));
    batch.add_event(NOW_NS, 0);
    let span = batch.push_text(br#"{"l":["a",1,["b"],{"c":2}]}"#);
    let (keys, mut fields) = (Arc::clone(&batch.keys), Vec::new());
    parse_object(&mut batch.text, span, &keys, &mut fields).unwrap();
    *batch.fields_mut(0) = fields;
    let mut out = Vec::new();
    template.render(&batch, 0, &mut out);
    assert_eq!(out, br#"a,1,b,{"c":2}|["a",1,["b"],{"c":2}]"#);
}
