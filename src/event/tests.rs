use super::*;
use proptest::prelude::*;
use std::sync::Arc;

fn source() -> Arc<Source> {
    Arc::new(Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields: Vec::new() })
}

fn batch_of(json: &str, keys: Keys) -> Batch {
    let mut batch = Batch::new(Arc::new(keys), source());
    batch.add_event(0, 0);
    let span = batch.push_text(json.as_bytes());
    let keys = Arc::clone(&batch.keys);
    let mut fields = Vec::new();
    parse_object(&mut batch.text, span, &keys, &mut fields).unwrap();
    *batch.fields_mut(0) = fields;
    batch
}

fn document(batch: &Batch) -> String {
    let mut out = Vec::new();
    batch.write_event(0, &mut out);
    String::from_utf8(out).unwrap().replace("\"@timestamp\":\"1970-01-01T00:00:00.000Z\",", "")
}

#[test]
fn what_nobody_touched_is_written_as_it_was_read() {
    let json = r#"{"a":1,"b":1.50e3,"c":"x\u00e9\n","d":{"e":[1,{"f":null}]},"g":true,"h":-0,"i":123456789012345678901}"#;
    assert_eq!(document(&batch_of(json, Keys::default())), json);
}

#[test]
fn paths_reach_into_raw_json_and_open_it_only_to_write() {
    let mut keys = Keys::default();
    let deep = Path::parse("d.e.1.f", &mut keys).unwrap();
    let fresh = Path::parse("d.n.m", &mut keys).unwrap();
    let mut batch = batch_of(r#"{"d":{"e":[1,{"f":"x"}]},"z":0}"#, keys);
    assert!(matches!(batch.get(0, &deep), Some(Value::Str(_))));
    assert!(matches!(batch.fields(0)[0].value, Value::Json(_)));
    batch.set(0, &deep, Value::Int(7));
    batch.set(0, &fresh, Value::Bool(true));
    assert_eq!(document(&batch), r#"{"d":{"e":[1,{"f":7}],"n":{"m":true}},"z":0}"#);
    assert_eq!(batch.remove(0, &deep), Some(Value::Int(7)));
    assert_eq!(document(&batch), r#"{"d":{"e":[1,{}],"n":{"m":true}},"z":0}"#);
}

#[test]
fn of_equal_keys_the_last_one_counts_and_escaped_keys_are_equal_to_plain_ones() {
    let batch = batch_of(r#"{"a":1,"b":2,"\u0061":3}"#, Keys::default());
    assert_eq!(document(&batch), r#"{"a":3,"b":2}"#);
    let many: Vec<String> = (0..100).map(|n| format!("\"k{}\":{n}", n % 70)).collect();
    let batch = batch_of(&format!("{{{}}}", many.join(",")), Keys::default());
    assert_eq!(batch.fields(0).len(), 70);
}

#[test]
fn a_document_is_one_line_whatever_the_input_was() {
    let batch = batch_of("{\n\"a\": [1,\n2],\r\n\"b\": {\"c\":\n3}}", Keys::default());
    assert_eq!(document(&batch), "{\"a\":[1, 2],\"b\":{\"c\": 3}}");
}

#[test]
fn metadata_is_never_written() {
    let batch = batch_of(r#"{"@metadata":{"x":1},"a":1}"#, Keys::default());
    assert_eq!(document(&batch), r#"{"a":1}"#);
}

#[test]
fn a_tag_is_added_once_and_a_scalar_becomes_a_list() {
    let mut batch = batch_of(r#"{"tags":"old"}"#, Keys::default());
    batch.add_tag(0, "_grokparsefailure");
    batch.add_tag(0, "_grokparsefailure");
    assert_eq!(document(&batch), r#"{"tags":["old","_grokparsefailure"]}"#);
}

#[test]
fn a_path_with_an_empty_name_is_refused_with_its_place() {
    let mut keys = Keys::default();
    assert_eq!(Path::parse("a..b", &mut keys).unwrap_err().at, 2);
    assert_eq!(Path::parse("a.", &mut keys).unwrap_err().at, 2);
    let dotted = Path::parse(r"a\.b.c", &mut keys).unwrap();
    assert_eq!(dotted.segments().len(), 2);
    assert_eq!(dotted.as_str(), r"a\.b.c");
}

#[test]
fn depth_is_bounded() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let mut text = deep.into_bytes();
    let span = Span::new(0, text.len());
    let error = parse_object(&mut text, span, &Keys::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.message, "nested too deeply");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::hash_map("[a-zA-Z\"\\\\é]{0,6}", inner, 0..5)
                .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_is_written_with_the_meaning_it_was_read_with(
        map in prop::collection::hash_map("[a-z\"\\\\ é]{1,6}", any_json(), 0..8)
    ) {
        let json = serde_json::to_string(&map).unwrap();
        let mut batch = batch_of(&json, Keys::default());
        for at in 0..batch.fields(0).len() {
            let opened = batch.open(batch.fields(0)[at].value);
            let opened = batch.unescape(opened);
            batch.fields_mut(0)[at].value = opened;
        }
        let mut out = Vec::new();
        batch.write_event(0, &mut out);
        let mut read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        read.as_object_mut().unwrap().remove("@timestamp");
        prop_assert_eq!(read, serde_json::to_value(&map).unwrap());
    }

    #[test]
    fn what_is_accepted_is_what_serde_accepts(text in "[\\[\\]{}\",:0-9a-z\\\\ .eE+-]{0,24}") {
        let mut bytes = format!("{{\"a\":{text}}}").into_bytes();
        let expected = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        let span = Span::new(0, bytes.len());
        let mine = parse_object(&mut bytes, span, &Keys::default(), &mut Vec::new()).is_ok();
        // serde refuses numbers beyond f64, which pass through here as they are.
        prop_assert!(mine == expected || (mine && text.contains(['e', 'E'])));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut text = bytes;
        let span = Span::new(0, text.len());
        let _ = parse_object(&mut text, span, &Keys::default(), &mut Vec::new());
    }
}
