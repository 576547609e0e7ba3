//! Makes events of a container's lines and adds what is known about the container.
//!
//! In: lines with their stream. Out: events. Promises: what the path says is rendered once for a
//! batch. A field that the event has already (the program's own, or a configured one) is kept.
//! On failure: nothing can fail.

use super::path::Origin;
use super::{Names, StreamName};
use crate::decode::{Line, Shape, render_common};
use crate::event::{Batch, Field, Key, Literal, Source, Span, Value};

/// See the module.
pub(super) struct Shaper {
    shape: Box<dyn Shape>,
    names: Names,
    common: Vec<Field>,
    /// The values of `stream`.
    streams: [Span; 2],
    /// `kubernetes`, `container`, `attrs`.
    container: Vec<Field>,
    /// Docker's `attrs` as last seen, so that events of the next batch have them.
    attrs: Vec<u8>,
}

impl Shaper {
    pub(super) fn new(shape: Box<dyn Shape>, names: Names) -> Self {
        let streams = [Span::default(); 2];
        let (common, container, attrs) = (Vec::new(), Vec::new(), Vec::new());
        Shaper { shape, names, common, streams, container, attrs }
    }

    /// Renders what all events of the batch share.
    pub(super) fn prepare(&mut self, batch: &mut Batch) {
        render_common(batch, &mut self.common);
        self.streams = StreamName::ALL.map(|name| batch.push_text(name.text().as_bytes()));
        self.container.clear();
        let source = std::sync::Arc::clone(&batch.source);
        let origin = file_path(&source).map(Origin::of).unwrap_or_default();
        let start = batch.text.len();
        if origin.write_kubernetes(&mut batch.text) {
            self.add_json(self.names.kubernetes, batch, start);
        }
        let start = batch.text.len();
        if origin.write_container(&mut batch.text) {
            self.add_json(self.names.container, batch, start);
        }
        if !self.attrs.is_empty() {
            let span = batch.push_text(&self.attrs);
            self.container.push(Field { key: self.names.attrs, value: Value::Json(span) });
        }
    }

    /// Takes note of Docker's `attrs`; nearly always the same as before.
    pub(super) fn set_attrs(&mut self, batch: &Batch, attrs: Span) {
        if self.attrs == batch.bytes(attrs) {
            return;
        }
        self.attrs.clear();
        self.attrs.extend_from_slice(batch.bytes(attrs));
        let key = self.names.attrs;
        self.container.retain(|field| field.key != key);
        self.container.push(Field { key, value: Value::Json(attrs) });
    }

    /// Makes an event of a line.
    pub(super) fn event(&mut self, batch: &mut Batch, stream: Option<StreamName>, line: Line) {
        let event = batch.events.len();
        self.shape.event(batch, line, &self.common);
        if batch.events.len() == event {
            return;
        }
        let fields = batch.fields_mut(event);
        let mut add = |field: Field| {
            if !fields.iter().any(|own| own.key == field.key) {
                fields.push(field);
            }
        };
        if let Some(name) = stream {
            let value = Value::Str(self.streams[name as usize]);
            add(Field { key: self.names.stream, value });
        }
        self.container.iter().copied().for_each(add);
    }

    fn add_json(&mut self, key: Key, batch: &Batch, start: usize) {
        let value = Value::Json(Span::new(start, batch.text.len()));
        self.container.push(Field { key, value });
    }
}

/// `log.file.path` of the source.
fn file_path(source: &Source) -> Option<&str> {
    let (_, log) = source.fields.iter().find(|(key, _)| *key == Key::LOG)?;
    match member(member(log, "file")?, "path")? {
        Literal::Str(path) => Some(path),
        _ => None,
    }
}

fn member<'a>(literal: &'a Literal, name: &str) -> Option<&'a Literal> {
    let Literal::Object(entries) = literal else { return None };
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}
