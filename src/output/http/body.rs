//! What a request's body is made of.
//!
//! In: documents of frames. Out: the bytes of a body. Promises: documents are as they stand in the journal; those of
//! one set of labels are together, in their order. On failure: nothing fails.
//!
//! Source of Loki's form: <https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs>.

use std::sync::Arc;

use crate::event::write_string;
use crate::frame::Frame;

/// Stands between the values of labels in a document's address.
pub(super) const BETWEEN: char = '\u{1f}';

/// A document of one of the frames under way: the frame's place, and its number in it.
pub(super) type Held = (usize, usize);

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A document a line.
    Lines,
    /// An array of documents.
    Array,
    /// One document.
    Single,
    /// Streams of Loki, each with its labels.
    Loki,
}

impl Format {
    /// The value of `Content-Type`.
    pub(super) fn content_type(self) -> &'static str {
        if self == Format::Lines { "application/x-ndjson" } else { "application/json" }
    }

    /// A body with these documents; `labels`: their names, `bit`: the output's.
    pub(super) fn body(
        self,
        frames: &[Arc<Frame>],
        documents: &[Held],
        labels: &[String],
        bit: u32,
    ) -> Vec<u8> {
        if self == Format::Loki {
            return streams(frames, documents, labels, bit);
        }
        let mut body = Vec::new();
        if self == Format::Array {
            body.push(b'[');
        }
        for (place, (frame, number)) in documents.iter().enumerate() {
            if place > 0 && self == Format::Array {
                body.push(b',');
            }
            body.extend_from_slice(frames[*frame].document(*number).body);
            if self == Format::Lines {
                body.push(b'\n');
            }
        }
        if self == Format::Array {
            body.push(b']');
        }
        body
    }
}

/// `{"streams":[{"stream":{labels},"values":[[time, document], …]}, …]}`.
fn streams(frames: &[Arc<Frame>], documents: &[Held], labels: &[String], bit: u32) -> Vec<u8> {
    let mut groups: Vec<(&[u8], Vec<Held>)> = Vec::new();
    for held in documents {
        let values = frames[held.0].document(held.1).address(bit).unwrap_or_default();
        match groups.iter_mut().find(|(known, _)| *known == values) {
            Some((_, group)) => group.push(*held),
            None => groups.push((values, vec![*held])),
        }
    }
    let mut body = b"{\"streams\":[".to_vec();
    for (place, (values, group)) in groups.iter().enumerate() {
        body.extend_from_slice(if place > 0 { b",{\"stream\":{" } else { b"{\"stream\":{" });
        let values = String::from_utf8_lossy(values);
        let pairs = labels.iter().zip(values.split(BETWEEN)).filter(|(_, value)| !value.is_empty());
        for (number, (name, value)) in pairs.enumerate() {
            if number > 0 {
                body.push(b',');
            }
            write_string(name.as_bytes(), &mut body);
            body.push(b':');
            write_string(value.as_bytes(), &mut body);
        }
        body.extend_from_slice(b"},\"values\":[");
        for (number, (frame, document)) in group.iter().enumerate() {
            let document = frames[*frame].document(*document);
            body.extend_from_slice(if number > 0 { b",[\"" } else { b"[\"" });
            body.extend_from_slice(document.time_ns.max(0).to_string().as_bytes());
            body.extend_from_slice(b"\",");
            write_string(document.body, &mut body);
            body.push(b']');
        }
        body.extend_from_slice(b"]}");
    }
    body.extend_from_slice(b"]}");
    body
}
