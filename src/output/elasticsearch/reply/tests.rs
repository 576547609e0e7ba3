use super::*;
use crate::output::elasticsearch::bulk::{Builder, Form};
use crate::output::elasticsearch::fake::{Fault, Node, frame, parse};
use proptest::prelude::*;

fn sent(count: usize) -> (Vec<Entry>, Vec<crate::output::elasticsearch::fake::Sent>) {
    let documents: Vec<(&str, String)> =
        (0..count).map(|n| ("logs-x", format!("{{\"n\":{n}}}"))).collect();
    let frame = frame(1, &documents);
    let form = Form { operation: "create", ids: true, gzip: false };
    let mut builder = Builder::new(form, usize::MAX);
    for document in frame.documents() {
        builder.add(&document, b"logs-x", 0, None).unwrap();
    }
    let bulk = builder.seal();
    (bulk.entries().to_vec(), parse(&bulk.body()))
}

#[test]
fn a_mixed_reply_tells_each_refusal_by_its_position() {
    let (entries, documents) = sent(4);
    let faults: [Fault; 4] =
        [None, Some((429, "busy", "later")), None, Some((400, "bad \\\"status\\\":201", "no"))];
    let mut next = faults.iter();
    let reply = Node::default().bulk(&documents, |_| *next.next().unwrap());
    let reply = read(reply.as_bytes(), &entries).unwrap();
    assert_eq!((reply.stored, reply.failure_store), (2, 0));
    let refused: Vec<(usize, u16)> = reply.refused.iter().map(|r| (r.position, r.status)).collect();
    assert_eq!(refused, [(1, 429), (3, 400)]);
    assert_eq!(reply.refused[1].cause.to_string(), "bad \"status\":201: no");
}

#[test]
fn filtered_replies_errors_with_causes_and_the_failure_store_are_understood() {
    let (entries, _) = sent(3);
    let body = br#"{"errors":true,"items":[{"create":{"status":201,"failure_store":"used"}},
        {"create":{"status":400,"error":{"type":"document_parsing_exception","reason":"failed to parse field [a]",
        "caused_by":{"type":"illegal_argument_exception","reason":"For input string: \"x\""}}}},
        {"create":{"status":500,"error":"plain words"}}]}"#;
    let reply = read(body, &entries).unwrap();
    assert_eq!((reply.stored, reply.failure_store), (1, 1));
    assert_eq!(
        reply.refused[0].cause.to_string(),
        "document_parsing_exception: failed to parse field [a]; For input string: \"x\""
    );
    assert_eq!(reply.refused[1].cause.to_string(), "plain words");
}

#[test]
fn a_failure_store_is_seen_in_a_reply_without_errors() {
    let (entries, _) = sent(1);
    let body = br#"{"errors":false,"items":[{"create":{"status":201,"failure_store":"used"}}]}"#;
    assert_eq!(read(body, &entries).unwrap().failure_store, 1);
}

#[test]
fn replies_that_do_not_fit_the_request_are_not_believed() {
    let (entries, documents) = sent(3);
    let good = Node::default().bulk(&documents, |_| None);
    assert_eq!(read(good.as_bytes(), &entries).unwrap().stored, 3);
    assert!(read(good.as_bytes(), &entries[..2]).is_err(), "more items than documents");
    let two = Node::default().bulk(&documents[..2], |_| None);
    assert!(read(two.as_bytes(), &entries).is_err(), "fewer items than documents");
    let mut swapped = documents.clone();
    swapped.swap(0, 1);
    let other = Node::default().bulk(&swapped, |d| d.body.contains('2').then_some((429, "", "")));
    assert!(read(other.as_bytes(), &entries).unwrap_err().0.contains("another id"));
    for bad in ["", "{}", "null", "[]", "{\"items\":[]}", "<html>200</html>", "{\"errors\":false}"]
    {
        assert!(read(bad.as_bytes(), &entries).is_err(), "{bad}");
    }
}

#[test]
fn a_reply_cut_at_any_byte_is_not_believed() {
    let (entries, documents) = sent(3);
    let replies = [
        Node::default().bulk(&documents, |_| None),
        Node::default().bulk(&documents, |d| d.body.contains('1').then_some((429, "t", "r"))),
    ];
    for reply in replies {
        for at in 0..reply.len() {
            assert!(read(&reply.as_bytes()[..at], &entries).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn a_reply_of_copies_is_believed_only_if_each_is_a_copy() {
    let item = "{\"create\":{\"status\":201}}";
    let reply = |items: &[&str]| format!("{{\"errors\":false,\"items\":[{}]}}", items.join(","));
    for count in 1..5 {
        assert!(all_alike(reply(&vec![item; count]).as_bytes(), count), "{count}");
        for other in [count - 1, count + 1, 0] {
            assert!(!all_alike(reply(&vec![item; count]).as_bytes(), other), "{count}, {other}");
        }
        for at in 0..count {
            for other in ["429", "200", "20x"] {
                let mut items = vec![item; count];
                let changed = item.replace("201", other);
                items[at] = &changed;
                let expected = count == 1 && other == "200";
                assert_eq!(all_alike(reply(&items).as_bytes(), count), expected);
            }
        }
    }
    let failed = "{\"create\":{\"status\":429,\"error\":{\"type\":\"t\"}}}";
    assert!(!all_alike(reply(&[failed, failed]).as_bytes(), 2));
    let failed = reply(&[item, item]).replace("false", "true");
    assert!(!all_alike(failed.as_bytes(), 2));
    let store = "{\"create\":{\"status\":201,\"failure_store\":\"used\"}}";
    assert!(!all_alike(reply(&[store, store]).as_bytes(), 2));
}

#[test]
fn the_error_of_a_whole_request_is_read_in_all_its_forms() {
    let (cause, shaped) =
        read_error(br#"{"error":{"type":"t","reason":"r","root_cause":[]},"status":401}"#);
    assert_eq!((cause.to_string().as_str(), shaped), ("t: r", true));
    let (cause, shaped) = read_error(br#"{"error":"no handler","status":400}"#);
    assert_eq!((cause.to_string().as_str(), shaped), ("no handler", false));
    let (cause, shaped) = read_error(b"<html>\n\x1b[31mBad Gateway");
    assert_eq!((cause.to_string().as_str(), shaped), ("<html>  [31mBad Gateway", false));
    assert_eq!(read_error(b"").0.to_string(), "no reason given");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..300), count in 0_usize..4) {
        let (entries, _) = sent(count);
        let _ = read(&body, &entries);
        let _ = read_error(&body);
    }

    /// The short way must never say more than the long way.
    #[test]
    fn the_short_way_agrees_with_the_long_way(
        faults in proptest::collection::vec(0_u8..8, 1..6),
        cut in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let (entries, documents) = sent(faults.len());
        let mut next = faults.iter();
        let reply = Node::default().bulk(&documents, |_| match next.next().unwrap() {
            0 => Some((429, "t", "r")),
            1 => Some((400, "t", "\\\"status\\\":201")),
            _ => None,
        });
        let refused = faults.iter().filter(|f| **f < 2).count();
        let whole = read(reply.as_bytes(), &entries).unwrap();
        prop_assert_eq!(whole.stored + whole.refused.len(), faults.len());
        prop_assert_eq!(whole.refused.len(), refused);
        let mut changed = reply.into_bytes();
        let at = cut.index(changed.len());
        changed[at] = byte;
        let short = all_alike(&changed, entries.len()) || all_stored(&changed, entries.len());
        if short && serde_json::from_slice::<serde_json::Value>(&changed).is_ok() {
            let mut reply = Reply::default();
            let mut reader = serde_json::Deserializer::from_slice(&changed);
            let long = Top { entries: &entries, reply: &mut reply }.deserialize(&mut reader);
            // An id that was changed is only noticed by the long way; the count holds all the same.
            prop_assert!(long.is_err() || reply.refused.is_empty());
        }
    }
}
