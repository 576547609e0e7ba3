//! An event that outlives its batch.
//!
//! In: an event of a batch. Out: its fields as texts, and from them the same event in another batch. Promises: all
//! fields are there again, also `@metadata`, which no document has.
//! On failure: nothing can fail.

use std::sync::Arc;

use crate::event::{Batch, Key, parse_object, parse_value};

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) time_ns: i64,
    pub(super) document: Vec<u8>,
    /// `@metadata` as JSON; empty: it has none.
    pub(super) metadata: Vec<u8>,
}

impl Kept {
    /// An event as it is now.
    pub(super) fn of(batch: &Batch, event: usize) -> Kept {
        let mut kept = Kept { time_ns: batch.events[event].time_ns, ..Kept::default() };
        batch.write_event(event, &mut kept.document);
        if let Some(metadata) = batch.get_root(event, Key::METADATA) {
            batch.write_json(metadata, &mut kept.metadata);
        }
        kept
    }

    /// Makes an event without fields what it was.
    pub(super) fn fill(&self, batch: &mut Batch, event: usize) {
        batch.events[event].time_ns = self.time_ns;
        let span = batch.push_text(&self.document);
        let keys = Arc::clone(&batch.keys);
        let mut fields = Vec::new();
        if parse_object(&mut batch.text, span, &keys, &mut fields).is_ok() {
            let own = fields.into_iter().filter(|field| field.key != Key::TIMESTAMP);
            batch.fields_mut(event).extend(own);
        }
        if !self.metadata.is_empty() {
            let span = batch.push_text(&self.metadata);
            if let Ok(metadata) = parse_value(&mut batch.text, span) {
                batch.set_root(event, Key::METADATA, metadata);
            }
        }
    }

    /// Bytes that it takes up besides itself.
    pub(super) fn bytes(&self) -> usize {
        self.document.len() + self.metadata.len()
    }
}
