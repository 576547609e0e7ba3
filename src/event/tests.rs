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

#[test]
fn a_document_in_blocks_is_the_document_whatever_the_lengths() {
    let mut keys = Keys::default();
    keys.intern("known");
    keys.intern("a name of the settings that is longer than a block");
    keys.intern("@metadata");
    let (mut names, mut body) = (Names::default(), Body::after(Vec::new()));
    let mut expected = Vec::new();
    let mut batch = Batch::new(Arc::new(keys), source());
    for length in (0..140).chain([255, 256, 2000]) {
        let plain: String = "0123456789abcdef".chars().cycle().take(length).collect();
        let name = &plain[..length.min(40)];
        let object = serde_json::json!({
            format!("k{name}"): plain, "known": length * 7, "quote": format!("{plain}\"\n"), "é": -1,
            "list": [plain], "yes": true, "no": false, "nothing": null, "@metadata": {"a": 1},
            "a name of the settings that is longer than a block": format!("é{plain}"), "number": 2.5,
            "last": plain,
        });
        batch.recycle(object.to_string().into_bytes(), source());
        let span = Span::new(0, batch.text.len());
        let mut fields = Vec::new();
        batch.read_object(span, &mut names, &mut fields).unwrap();
        let event = batch.add_event(1_800_000_000_123_456_789 + length as i64, 0);
        *batch.fields_mut(event) = fields;
        // A text that a filter made, a control character in it.
        let made = batch.push_text(format!("{plain}\u{1}{plain}").as_bytes());
        batch.set_root(event, Key::MESSAGE, Value::Str(made));
        for marked in [false, true] {
            if marked {
                batch.mark();
            }
            batch.write_document(event, &mut body);
            let mut whole = object.clone();
            let fields = whole.as_object_mut().unwrap();
            fields.remove("@metadata");
            fields.insert("message".into(), format!("{plain}\u{1}{plain}").into());
            let time = "2027-01-15T08:00:00.123Z";
            fields.insert("@timestamp".into(), time.into());
            let read: serde_json::Value =
                serde_json::from_slice(&body.bytes()[expected.len()..]).unwrap();
            assert_eq!(read, whole);
            batch.write_event_cut(event, 1 << 20, &mut expected);
            assert!(body.bytes() == expected, "the same as piece by piece");
        }
    }
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

/// The documents of lines that one decoder reads, and how many of them the names of earlier lines helped to read.
fn read_by_names(lines: &[String], names: &mut Names) -> (Vec<String>, usize) {
    let mut keys = Keys::default();
    keys.intern("level");
    let mut batch = Batch::new(Arc::new(keys), source());
    let spans: Vec<Span> = lines
        .iter()
        .map(|line| {
            let span = batch.push_text(line.as_bytes());
            batch.push_text(b"\n");
            span
        })
        .collect();
    let (mut documents, mut helped) = (Vec::new(), 0);
    for span in spans {
        let event = match batch.add_json_event(span, names, 0, 0) {
            Some(event) => {
                helped += 1;
                for (at, field) in batch.fields(event).iter().enumerate() {
                    assert_eq!(
                        batch.position_of(event, field.key),
                        Some(at),
                        "a field is not found"
                    );
                }
                event
            }
            None => {
                let (mut fields, keys) = (Vec::new(), Arc::clone(&batch.keys));
                let read = parse_object(&mut batch.text, span, &keys, &mut fields);
                let event = batch.add_event(0, 0);
                if read.is_ok() {
                    *batch.fields_mut(event) = fields;
                }
                event
            }
        };
        batch.mark();
        let mut out = Vec::new();
        batch.write_event(event, &mut out);
        documents.push(String::from_utf8(out).unwrap());
    }
    (documents, helped)
}

/// The documents of the same lines, each read and written alone.
fn read_alone(lines: &[String]) -> Vec<String> {
    let one = |line: &String| {
        let mut keys = Keys::default();
        keys.intern("level");
        let mut batch = Batch::new(Arc::new(keys), source());
        let event = batch.add_event(0, 0);
        let span = batch.push_text(line.as_bytes());
        let (mut fields, keys) = (Vec::new(), Arc::clone(&batch.keys));
        if parse_object(&mut batch.text, span, &keys, &mut fields).is_ok() {
            *batch.fields_mut(event) = fields;
        }
        let mut out = Vec::new();
        batch.write_event(event, &mut out);
        String::from_utf8(out).unwrap()
    };
    lines.iter().map(one).collect()
}

#[test]
fn names_of_the_lines_before_help_and_change_nothing() {
    let line = |n: usize| match n % 4 {
        0 => format!(r#"{{"level": "INFO", "message": "number {n}", "n": {n}}}"#),
        1 => format!(
            r#"{{"level": "WARN", "message": "a \"quote\" {n}", "list": [1, "x"], "n": {n}}}"#
        ),
        2 => format!(r#"{{"level":"INFO","message":"no blanks {n}","n":{n}.50,"t":true}}"#),
        _ => format!(
            r#"{{"level": "INFO", "a_name_that_is_longer_than_one_block_of_bytes": "{n}", "n": null}} "#
        ),
    };
    let lines: Vec<String> = (0..100).map(line).collect();
    let mut names = Names::default();
    let (documents, helped) = read_by_names(&lines, &mut names);
    assert_eq!(documents, read_alone(&lines));
    assert_eq!(helped, 100);
}

#[test]
fn what_is_unusual_is_left_to_the_general_reader() {
    let unusual = [
        r#"{"a":1,"a":2}"#,
        r#"{"\u0061":1}"#,
        "{\"a\":\r1}",
        r"{}",
        r#"{"a":1,}"#,
        r#"{"a":1}}"#,
        r#"{"a" 1}"#,
        "{\"a\":\"\t\"}",
        r#"["a"]"#,
        r#"{"a":01}"#,
    ];
    let mut lines = vec![r#"{"a":1}"#.to_string()];
    lines.extend(unusual.map(str::to_string));
    let (documents, helped) = read_by_names(&lines, &mut Names::default());
    assert_eq!(documents, read_alone(&lines));
    assert_eq!(helped, 1);
}

#[test]
fn names_without_end_are_read_all_the_same() {
    let line = |n: usize| format!(r#"{{"level":"INFO","name_{n}":{n}}}"#);
    let mut names = Names::default();
    let strange: Vec<String> = (0..3000).map(line).collect();
    assert_eq!(read_by_names(&strange, &mut names).0, read_alone(&strange));
    // Usual lines are helped again afterwards, soon.
    let usual: Vec<String> = (0..2000).map(|_| line(7)).collect();
    let (documents, helped) = read_by_names(&usual, &mut names);
    assert_eq!(documents, read_alone(&usual));
    assert!(helped > 900, "{helped}");
}

proptest! {
    #[test]
    fn any_lines_are_read_the_same_whatever_came_before(
        lines in prop::collection::vec(
            prop::collection::vec(
                ("[ ]?", "(level|host|@timestamp|a|b|c|[a-z\"\\\\\u{e9}]{1,40})", "[ ]{0,2}",
                 r#"("[a-z \\\\\"\u{1}\u{e9}]{0,70}"|-?[0-9]{1,20}|[0-9]\.5e3|null|true|fals|\[1, ?"x"\]|\{"y":\r?\{\}\})"#),
                0..6,
            ),
            1..8,
        ),
    ) {
        let write = |fields: &Vec<(String, String, String, String)>| {
            let field = |(a, name, b, value): &(String, String, String, String)| format!("{a}\"{name}\":{b}{value}");
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        };
        let mut lines: Vec<String> = lines.iter().map(write).collect();
        lines.extend(lines.clone());
        prop_assert_eq!(read_by_names(&lines, &mut Names::default()).0, read_alone(&lines));
    }

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
