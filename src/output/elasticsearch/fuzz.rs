//! Replies of Elasticsearch under the fuzzer.
//!
//! In: any bytes: how many documents were sent, the reply. Promises: a reply that is believed says of each document
//! once what became of it; the short way says what the long way says; reasons are short lines.
//! On failure: a panic.

use super::bulk::{Builder, Form};
use super::contents::Entry;
use super::reply::{Reply, read, read_error, read_whole};
use crate::frame::{Draft, Frame, Head};

/// See the module.
pub(crate) fn bulk_reply(data: &[u8]) {
    let [mode, body @ ..] = data else { return };
    let entries = entries(usize::from(mode % 5), mode & 0x80 != 0);
    let (cause, shaped) = read_error(body);
    assert!(!shaped || !cause.kind.is_empty());
    assert!(!cause.to_string().chars().any(char::is_control), "{cause:?}");
    let short = read(body, &entries);
    if let Ok(reply) = &short {
        check(reply, entries.len());
    }
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) else { return };
    match (&short, read_whole(body, &entries)) {
        // The short way passes ids over, so that it may believe a reply whose ids are none.
        (Ok(reply), Err(_)) => {
            assert!(stores_all(&json, entries.len()), "taken for success: {reply:?}");
        }
        (_, whole) => assert_eq!(short, whole, "the short way says something else"),
    }
}

/// Whether a reply says of `count` documents, one after the other, that they are stored.
fn stores_all(reply: &serde_json::Value, count: usize) -> bool {
    let stored = |item: &serde_json::Value| {
        let operations = item.as_object().filter(|operations| operations.len() == 1);
        let details = operations.and_then(|operations| operations.values().next());
        details.is_some_and(|d| {
            matches!(d["status"].as_u64(), Some(200 | 201)) && d.get("error").is_none()
        })
    };
    let items = reply["items"].as_array();
    reply["errors"] == false
        && items.is_some_and(|items| items.len() == count && items.iter().all(stored))
}

fn check(reply: &Reply, count: usize) {
    assert_eq!(reply.stored + reply.refused.len(), count, "each document once: {reply:?}");
    assert!(reply.failure_store <= reply.stored);
    assert!(reply.refused.windows(2).all(|pair| pair[0].position < pair[1].position));
    for refusal in &reply.refused {
        assert!(refusal.position < count && !(200..300).contains(&refusal.status));
        assert!(!refusal.cause.to_string().chars().any(char::is_control), "{refusal:?}");
        assert!(refusal.cause.reason.len() < 2048 && refusal.cause.kind.len() < 2048);
    }
}

/// Documents as a bulk has them, with ids `j-0`, `j-1`, … where they have any.
fn entries(count: usize, ids: bool) -> Vec<Entry> {
    let mut draft = Draft::new(Vec::new());
    let prefix = draft.string(b"j");
    for n in 0..count {
        draft.body().extend_from_slice(b"{}");
        let suffix = n as u64;
        draft.add(Head { routes: 0, time_ns: 0, prefix, suffix, sub: 0 }, &[]);
    }
    let frame: Frame = draft.seal(1, 1);
    let mut builder = Builder::new(Form { operation: "create", ids, gzip: false }, usize::MAX);
    for document in frame.documents() {
        assert!(builder.add(&document, b"logs", 0, None).is_ok());
    }
    builder.seal().entries().to_vec()
}
