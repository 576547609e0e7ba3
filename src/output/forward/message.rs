//! Messages of the forward protocol: `[tag, packed entries, options]`.
//!
//! In: documents with their time. Out: the bytes of a message that asks to be acknowledged. Promises: an entry is the
//! document without `@timestamp`, which is the entry's time, to the nanosecond. On failure: a body that is no object is
//! the field `message`.
//!
//! Source: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>.

use serde_json::{Map, Value};

use super::super::gzipped;
use crate::msgpack::{write_bytes, write_count, write_text, write_value};

/// Entries of one tag.
pub(super) struct Message {
    tag: String,
    entries: Vec<u8>,
    count: usize,
}

impl Message {
    /// Without entries.
    pub(super) fn new(tag: &[u8]) -> Message {
        Message { tag: String::from_utf8_lossy(tag).into_owned(), entries: Vec::new(), count: 0 }
    }

    /// Whether it takes entries of this tag.
    pub(super) fn is_for(&self, tag: &[u8]) -> bool {
        self.tag.as_bytes() == tag
    }

    /// Bytes of entries.
    pub(super) fn bytes(&self) -> usize {
        self.entries.len()
    }

    /// Entries.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds a document.
    pub(super) fn add(&mut self, time_ns: i64, body: &[u8]) {
        // `[time, record]`; the time is an extension of the protocol: seconds and nanoseconds.
        self.entries.extend([0x92, 0xd7, 0x00]);
        let (seconds, rest) =
            (time_ns.div_euclid(1_000_000_000), time_ns.rem_euclid(1_000_000_000));
        self.entries.extend(u32::try_from(seconds).unwrap_or_default().to_be_bytes());
        self.entries.extend((rest as u32).to_be_bytes());
        let mut record = match serde_json::from_slice(body) {
            Ok(Value::Object(record)) => record,
            _ => {
                let text = String::from_utf8_lossy(body).into_owned();
                Map::from_iter([("message".to_string(), Value::from(text))])
            }
        };
        record.remove("@timestamp");
        write_value(&Value::Object(record), &mut self.entries);
        self.count += 1;
    }

    /// The message as it is sent; `chunk`: what the receiver is to say when it has it.
    pub(super) fn packed(&self, chunk: &str, gzip: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.entries.len() + self.tag.len() + 64);
        write_count(0x90, 0xdc, 3, &mut out);
        write_text(&self.tag, &mut out);
        let compressed = if gzip { gzipped(&self.entries) } else { None };
        write_bytes(compressed.as_deref().unwrap_or(&self.entries), &mut out);
        write_count(0x80, 0xde, if compressed.is_some() { 3 } else { 2 }, &mut out);
        write_text("chunk", &mut out);
        write_text(chunk, &mut out);
        write_text("size", &mut out);
        write_value(&Value::from(self.count), &mut out);
        if compressed.is_some() {
            write_text("compressed", &mut out);
            write_text("gzip", &mut out);
        }
        out
    }
}
