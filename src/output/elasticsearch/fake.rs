//! Stand-ins for tests: frames, and a node that keeps documents as Elasticsearch does.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::sync::Arc;

use serde_json::Value;

use super::body::Body;
use crate::frame::{Draft, Frame, Head};

/// A document of a request.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) index: String,
    pub(super) id: String,
    pub(super) body: String,
}

/// What a node says to a document instead of taking it: status, type, reason.
pub(super) type Fault = Option<(u16, &'static str, &'static str)>;

/// A node.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Documents by index and id.
    pub(super) stored: BTreeMap<(String, String), String>,
    /// How often a document came that was there.
    pub(super) conflicts: usize,
    /// How often each document came, by its body.
    pub(super) arrivals: HashMap<String, usize>,
}

/// A frame with one document for each (index, body), all with bit 0 unless the index is empty.
pub(super) fn frame(sequence: u64, documents: &[(&str, String)]) -> Arc<Frame> {
    let mut draft = Draft::new(Vec::new());
    for (number, (index, body)) in documents.iter().enumerate() {
        draft.body().extend_from_slice(body.as_bytes());
        let routes = u32::from(!index.is_empty());
        let address = draft.string(index.as_bytes()).unwrap();
        let suffix = number as u64;
        let head = Head { routes, time_ns: 0, prefix: None, suffix, sub: 0 };
        draft.add(head, if routes == 1 { std::slice::from_ref(&address) } else { &[] });
    }
    Arc::new(draft.seal(7, sequence))
}

/// The documents of a body.
pub(super) fn parse(body: &Body) -> Vec<Sent> {
    parse_wire(&body.whole(), body.is_packed())
}

/// The documents of a body as it came over the wire.
pub(super) fn parse_wire(body: &[u8], gzip: bool) -> Vec<Sent> {
    let mut text = Vec::new();
    if gzip {
        flate2::read::GzDecoder::new(body).read_to_end(&mut text).unwrap();
    } else {
        text.extend_from_slice(body);
    }
    let text = String::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut lines = text.lines();
    let mut sent = Vec::new();
    while let Some(action) = lines.next() {
        let action: Value = serde_json::from_str(action).unwrap();
        let target = &action.get("create").or(action.get("index")).unwrap();
        sent.push(Sent {
            index: target["_index"].as_str().unwrap().to_string(),
            id: target["_id"].as_str().unwrap_or_default().to_string(),
            body: lines.next().unwrap().to_string(),
        });
    }
    sent
}

impl Node {
    /// Takes documents and writes the reply.
    pub(super) fn bulk(&mut self, sent: &[Sent], mut fault: impl FnMut(&Sent) -> Fault) -> String {
        let mut items = Vec::new();
        let mut errors = false;
        for document in sent {
            *self.arrivals.entry(document.body.clone()).or_default() += 1;
            let key = (document.index.clone(), document.id.clone());
            let mut refusal = fault(document);
            if refusal.is_none() && self.stored.contains_key(&key) {
                self.conflicts += 1;
                let kind = "version_conflict_engine_exception";
                refusal = Some((409, kind, "version conflict, document already exists"));
            }
            let (index, id) = (&document.index, &document.id);
            items.push(if let Some((status, kind, reason)) = refusal {
                errors = true;
                format!(
                    "{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{id}\",\"status\":{status},\
                     \"error\":{{\"type\":\"{kind}\",\"reason\":\"{reason}\"}}}}}}"
                )
            } else {
                self.stored.insert(key, document.body.clone());
                format!(
                    "{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{id}\",\"_version\":1,\
                     \"result\":\"created\",\"status\":201}}}}"
                )
            });
        }
        format!("{{\"took\":3,\"errors\":{errors},\"items\":[{}]}}", items.join(","))
    }

    /// The bodies stored, sorted.
    pub(super) fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<String> = self.stored.values().cloned().collect();
        bodies.sort();
        bodies
    }
}
