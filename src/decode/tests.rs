use super::*;
use crate::event::{Literal, Source, SourceKind};
use std::sync::Arc;

/// The documents that a codec makes of a text.
fn decode(decoder: &mut dyn Decoder, text: &[u8], fields: Vec<(Key, Literal)>) -> Vec<String> {
    let kind = SourceKind::File { generation: 1 };
    let source = Arc::new(Source { id: 1, input: "t".into(), kind, fields });
    let mut batch = Batch::new(Arc::new(Keys::default()), source);
    batch.text.extend_from_slice(text);
    let place = Place { offset: 100, received_ns: 0, piece: false, last: true };
    decoder.decode(place, &mut batch);
    documents(&batch)
}

fn documents(batch: &Batch) -> Vec<String> {
    let document = |event| {
        let mut out = Vec::new();
        batch.write_event(event, &mut out);
        String::from_utf8(out).unwrap().replace("\"@timestamp\":\"1970-01-01T00:00:00.000Z\",", "")
    };
    (0..batch.events.len()).map(document).collect()
}

#[test]
fn every_line_is_an_event_with_the_fields_of_its_source() {
    let fields =
        vec![(Key::HOST, Literal::Object(vec![("name".into(), Literal::Str("n1".into()))]))];
    let found = decode(&mut PerLine::new(plain::Plain), b"one\r\n\ntwo", fields);
    assert_eq!(
        found,
        [
            r#"{"message":"one","host":{"name":"n1"}}"#,
            r#"{"message":"","host":{"name":"n1"}}"#,
            r#"{"message":"two","host":{"name":"n1"}}"#
        ]
    );
}

#[test]
fn bytes_that_are_not_utf8_can_be_got_back() {
    let found = decode(&mut PerLine::new(plain::Plain), b"a\xE9b \\xE9 \\x\ngood", Vec::new());
    let line = r#"{"message":"a\\xE9b \\x5CxE9 \\x","tags":["_invalid_utf8"]}"#;
    assert_eq!(found, [line, r#"{"message":"good"}"#]);
}

#[test]
fn an_object_gives_its_fields_and_its_time_and_a_broken_line_is_kept() {
    let text = b"{\"@timestamp\":\"2026-11-22T01:02:03.5Z\",\"a\":{\"b\":1}}\n{\"a\":\n\n{\"@timestamp\":7}\n";
    let found = decode(&mut PerLine::new(json::Json::default()), text, Vec::new());
    assert_eq!(
        found,
        [
            r#"{"@timestamp":"2026-11-22T01:02:03.500Z","a":{"b":1}}"#,
            r#"{"message":"{\"a\":","tags":["_jsonparsefailure"]}"#,
            r#"{"_@timestamp":7,"tags":["_timestampparsefailure"]}"#
        ]
    );
}

#[test]
fn configured_fields_replace_own_ones_and_automatic_ones_give_way() {
    let mut keys = Keys::default();
    let service = keys.intern("service");
    let fields =
        vec![(service, Literal::Str("new".into())), (Key::HOST, Literal::Str("n1".into()))];
    let source = Arc::new(Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields });
    let mut batch = Batch::new(Arc::new(keys), source);
    batch.text.extend_from_slice(b"{\"service\":\"old\",\"host\":\"own\"}\n");
    let place = Place { offset: 0, received_ns: 0, piece: false, last: false };
    PerLine::new(json::Json::default()).decode(place, &mut batch);
    assert_eq!(documents(&batch), [r#"{"service":"new","host":"own"}"#]);
}
