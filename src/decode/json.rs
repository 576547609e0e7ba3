//! Codec `json`: a line is one JSON object, its members are the event's fields.
//!
//! In: lines. Out: events whose nested values stay raw text. Promises: `@timestamp` of the object is the event's
//! time. On failure: the line becomes `message`, tagged `_jsonparsefailure`; an `@timestamp` that is no ISO 8601 time
//! is kept as `_@timestamp`, tagged `_timestampparsefailure`.

use std::sync::Arc;

use super::{Codec, Line, Marks, PerLine, Shape, add_common, add_mark_tags, message_event};
use crate::event::{Batch, Field, Key, Keys, Names, Value, parse_object};
use crate::settings::Section;
use crate::timestamp::parse_iso8601;

#[derive(Default)]
pub(super) struct Json {
    /// A line that is no object is an ordinary `message`, not a failure.
    lenient: bool,
    names: Names,
    fields: Vec<Field>,
}

impl Json {
    /// Takes lines that are no objects as they are.
    pub(super) fn lenient() -> Self {
        Json { lenient: true, ..Json::default() }
    }
}

impl Shape for Json {
    fn event(&mut self, batch: &mut Batch, line: Line, common: &[Field]) {
        if batch.bytes(line.span).iter().all(u8::is_ascii_whitespace) {
            if self.lenient {
                message_event(batch, line, common);
            }
            return;
        }
        let Some(event) = self.read(batch, line) else {
            let event = message_event(batch, line, common);
            if !self.lenient {
                batch.add_tag(event, "_jsonparsefailure");
            }
            return;
        };
        if let Some(at) = batch.position_of(event, Key::TIMESTAMP) {
            take_timestamp(batch, event, at);
        }
        add_common(batch, event, common);
        if line.marks != Marks::default() {
            add_mark_tags(batch, event, line.marks);
        }
    }
}

impl Json {
    /// An event of a line; `None`: it is no object.
    fn read(&mut self, batch: &mut Batch, line: Line) -> Option<usize> {
        let (span, names) = (line.span, &mut self.names);
        let read = batch.add_json_event(span, names, line.time_ns, line.offset);
        if read.is_some() {
            return read;
        }
        self.fields.clear();
        let keys = Arc::clone(&batch.keys);
        parse_object(&mut batch.text, span, &keys, &mut self.fields).ok()?;
        let event = batch.add_event(line.time_ns, line.offset);
        batch.fields_mut(event).extend_from_slice(&self.fields);
        Some(event)
    }
}

fn take_timestamp(batch: &mut Batch, event: usize, at: usize) {
    let value = batch.remove_at(event, at);
    let parsed = batch.str_bytes(value).and_then(|text| parse_iso8601(&text));
    match parsed {
        Some(time_ns) => batch.events[event].time_ns = time_ns,
        None if value == Value::Null => {}
        None => {
            let key = batch.key_named(b"_@timestamp");
            batch.fields_mut(event).push(Field { key, value });
            batch.add_tag(event, "_timestampparsefailure");
        }
    }
}

pub(super) fn load(_: &Section<'_>, _: &mut Keys) -> Option<Codec> {
    Some(Codec { ordered: false, make: Box::new(|| Box::new(PerLine::new(Json::default()))) })
}
