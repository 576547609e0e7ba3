use super::*;
use crate::output::elasticsearch::fake::{frame, parse};

const FORM: Form = Form { operation: "create", ids: true, gzip: false };

fn filled(form: Form, count: usize) -> Bulk {
    filled_from(form, count, true)
}

/// With `lent` every other document stays in its frame.
fn filled_from(form: Form, count: usize, lent: bool) -> Bulk {
    let documents: Vec<(&str, String)> = (0..count)
        .map(|n| ("logs-x", format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n % 300))))
        .collect();
    let frame = frame(3, &documents);
    let mut builder = Builder::new(form, usize::MAX);
    for (n, document) in frame.documents().enumerate() {
        let lent = (lent && n % 2 == 0).then_some(&frame);
        builder.add(&document, b"logs-x", 11, lent).unwrap();
    }
    builder.seal()
}

#[test]
fn a_body_is_action_and_document_in_turn() {
    let frame = frame(3, &[("Logs-\"A\"", "{\"a\":\n1}".into())]);
    let mut builder = Builder::new(FORM, 1000);
    let document = frame.document(0);
    for lent in [None, Some(&frame)] {
        builder.add(&document, document.address(0).unwrap(), 0, lent).unwrap();
        let body = builder.seal().body();
        assert_eq!(
            std::str::from_utf8(&body.whole()).unwrap(),
            "{\"create\":{\"_index\":\"logs-\\\"a\\\"\",\"_id\":\"0000000000000007-0000000003-000000\"}}\n{\"a\": 1}\n",
            "the index in lower case, a line feed within the document as a space"
        );
    }
    let form = Form { operation: "index", ids: false, gzip: false };
    let mut builder = Builder::new(form, 1000);
    builder.add(&document, b"x", 0, None).unwrap();
    assert_eq!(builder.seal().body().whole(), b"{\"index\":{\"_index\":\"x\"}}\n{\"a\": 1}\n");
}

#[test]
fn compressed_or_not_all_documents_come_out_again_in_order() {
    for gzip in [false, true] {
        let bulk = filled(Form { gzip, ..FORM }, 2000);
        assert!(!gzip || bulk.body().len() < bulk.size / 4);
        let sent = parse(&bulk.body());
        assert_eq!(sent.len(), 2000);
        for (n, document) in sent.iter().enumerate() {
            assert!(document.body.starts_with(&format!("{{\"n\":{n},")), "{}", document.body);
        }
        let mut picked = Vec::new();
        bulk.pick(&[0, 7, 1999], |number, kept| {
            assert_eq!(kept.document(), sent[number].body.as_bytes());
            assert_eq!(kept.address(), ("logs-x".to_string(), sent[number].id.clone()));
            picked.push(kept);
        });
        let mut builder = Builder::new(Form { gzip, ..FORM }, usize::MAX);
        for kept in &picked {
            builder.add_again(kept);
        }
        let again = builder.seal();
        let bodies: Vec<String> = parse(&again.body()).into_iter().map(|s| s.body).collect();
        assert_eq!(bodies, [0, 7, 1999].map(|n: usize| sent[n].body.clone()));
    }
}

#[test]
fn halves_hold_all_documents_and_each_has_one_at_least() {
    for (count, gzip) in [(2, true), (3, false), (100, true), (100, false)] {
        let bulk = filled(Form { gzip, ..FORM }, count);
        let mut builder = Builder::new(FORM, usize::MAX);
        let (first, second) = bulk.split(&mut builder);
        assert!(!first.entries().is_empty() && !second.entries().is_empty());
        let mut all = parse(&first.body());
        all.extend(parse(&second.body()));
        let bodies = |sent: Vec<crate::output::elasticsearch::fake::Sent>| -> Vec<String> {
            sent.into_iter().map(|s| s.body).collect()
        };
        assert_eq!(bodies(all), bodies(parse(&bulk.body())));
    }
}

#[test]
fn what_no_server_could_take_is_refused_with_a_reason() {
    let frame = frame(1, &[("x", "{}".into()), ("x", String::new())]);
    let mut builder = Builder::new(FORM, 1000);
    assert!(builder.add(&frame.document(0), b"", 0, None).unwrap_err().contains("empty"));
    assert!(builder.add(&frame.document(0), &[b'x'; 256], 0, None).unwrap_err().contains("255"));
    assert!(builder.add(&frame.document(1), b"x", 0, None).unwrap_err().contains("empty"));
    assert!(builder.is_empty());
}

#[test]
fn memory_of_a_finished_bulk_is_used_again() {
    let mut builder = Builder::new(FORM, usize::MAX);
    let frame = frame(1, &[("x", "{}".into())]);
    builder.add(&frame.document(0), b"x", 0, None).unwrap();
    let bulk = builder.seal();
    let place = bulk.text_place();
    // What the next one writes meanwhile has other memory.
    builder.add(&frame.document(0), b"x", 0, None).unwrap();
    builder.recycle(bulk);
    assert_ne!(builder.seal().text_place(), place);
    builder.add(&frame.document(0), b"x", 0, None).unwrap();
    assert_eq!(builder.seal().text_place(), place);
}
