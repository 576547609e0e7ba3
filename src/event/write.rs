//! A batch's values and events as text.
//!
//! In: values, events. Out: bytes appended to a buffer. Promises: an event is one JSON document on one line; a value
//! that nobody touched is written as it was read; what is known to be plain is copied without a look.
//! On failure: nothing can fail.

use super::body::Body;
use super::{Batch, Field, Key, NodeId, Span, Value, json};
use crate::timestamp::iso8601_ms;

impl Batch {
    /// Writes a value as a person would read it in a text: strings bare, numbers plain, the rest as JSON.
    pub fn write_text(&self, value: Value, out: &mut Vec<u8>) {
        match value {
            Value::Str(span) => out.extend_from_slice(self.bytes(span)),
            Value::Escaped(span) => json::decode_escapes(self.bytes(span), out),
            other => self.write_json(other, out),
        }
    }

    /// Writes a value as JSON.
    pub fn write_json(&self, value: Value, out: &mut Vec<u8>) {
        let mut body = Body::after(std::mem::take(out));
        self.write_value(value, &mut body);
        *out = body.into_bytes();
    }

    /// Writes the event as one JSON document: `@timestamp` first, `@metadata` left out.
    pub fn write_event(&self, event: usize, out: &mut Vec<u8>) {
        let mut body = Body::after(std::mem::take(out));
        self.write_document(event, &mut body);
        *out = body.into_bytes();
    }

    /// As [`Batch::write_event`], for many events one behind the other.
    pub fn write_document(&self, event: usize, body: &mut Body) {
        body.put_all(b"{\"@timestamp\":\"");
        body.put_all(&iso8601_ms(self.events[event].time_ns));
        body.put_all(b"\"");
        for field in self.fields(event) {
            if field.key != Key::METADATA {
                self.write_field(field, body);
            }
        }
        body.put_all(b"}");
    }

    /// As [`Batch::write_event`], with strings cut to `most` bytes and other values left out that are longer.
    pub fn write_event_cut(&self, event: usize, most: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"@timestamp\":\"");
        crate::timestamp::write_iso8601_ms(self.events[event].time_ns, out);
        out.push(b'"');
        for field in self.fields(event).iter().filter(|f| f.key != Key::METADATA) {
            let start = out.len();
            let mut body = Body::after(std::mem::take(out));
            body.put_all(b",");
            self.write_name(field.key, &mut body);
            *out = body.into_bytes();
            let text = self.str_bytes(field.value).filter(|text| text.len() > most);
            match text.as_deref().map(String::from_utf8_lossy) {
                Some(text) => {
                    let boundary = |at: &usize| text.is_char_boundary(*at);
                    let end = (0..=most).rev().find(boundary).unwrap_or(0);
                    json::write_string(&text.as_bytes()[..end], out);
                }
                None => self.write_json(field.value, out),
            }
            // A string of control characters is six times as long when it is written.
            if out.len() - start > most * 6 + 256 {
                out.truncate(start);
            }
        }
        out.push(b'}');
    }

    /// `,"name":value`.
    #[inline]
    fn write_field(&self, field: &Field, body: &mut Body) {
        if let Some(number) = field.key.number() {
            let (encoded, length) = self.keys.encoded(number);
            body.put(encoded, 0, length);
        } else if let Some(span) = field.key.quoted() {
            body.put_between(b',', &self.text, span.start as usize, span.len as usize, b':');
        } else {
            body.put_all(b",");
            self.write_name(field.key, body);
        }
        self.write_value(field.value, body);
    }

    #[inline]
    fn write_value(&self, value: Value, body: &mut Body) {
        match value {
            Value::Str(span) if self.marks.is_plain(span.start as usize, span.end()) => {
                self.write_quoted(span, body);
            }
            Value::Json(span) => body.put(&self.text, span.start as usize, span.len as usize),
            Value::Int(n) => body.put_integer(n),
            Value::Bool(true) => body.put_all(b"true"),
            Value::Bool(false) => body.put_all(b"false"),
            Value::Null => body.put_all(b"null"),
            Value::Escaped(span) => self.write_quoted(span, body),
            other => self.write_rest(other, body),
        }
    }

    /// What takes longer.
    #[inline(never)]
    fn write_rest(&self, value: Value, body: &mut Body) {
        match value {
            Value::Float(n) => body.append(ryu::Buffer::new().format(n).as_bytes()),
            Value::Str(span) => body.append_with(|out| json::write_string(self.bytes(span), out)),
            Value::Array(node) => self.write_array(node, body),
            Value::Object(node) => self.write_object(node, body),
            other => self.write_value(other, body),
        }
    }

    fn write_array(&self, node: NodeId, body: &mut Body) {
        body.put_all(b"[");
        for (n, item) in self.array(node).iter().enumerate() {
            if n > 0 {
                body.put_all(b",");
            }
            self.write_value(*item, body);
        }
        body.put_all(b"]");
    }

    fn write_object(&self, node: NodeId, body: &mut Body) {
        body.put_all(b"{");
        for (n, field) in self.object(node).iter().enumerate() {
            if n > 0 {
                body.put_all(b",");
            }
            self.write_name(field.key, body);
            self.write_value(field.value, body);
        }
        body.put_all(b"}");
    }

    /// `"name":`.
    #[inline(never)]
    fn write_name(&self, key: Key, body: &mut Body) {
        if let Some(number) = key.number() {
            let (encoded, length) = self.keys.encoded(number);
            return body.put(encoded, 1, length - 1);
        }
        if let Some(span) = key.span() {
            self.write_value(Value::Str(span), body);
        }
        body.put_all(b":");
    }

    /// Writes text that needs no escape, in quotes; mostly they stand around it already.
    #[inline]
    fn write_quoted(&self, span: Span, body: &mut Body) {
        let (from, to) = (span.start as usize, span.end());
        let around = (self.text.get(from.wrapping_sub(1)), self.text.get(to));
        if around == (Some(&b'"'), Some(&b'"')) {
            body.put(&self.text, from - 1, to - from + 2);
        } else {
            body.put_between(b'"', &self.text, from, to - from, b'"');
        }
    }
}
