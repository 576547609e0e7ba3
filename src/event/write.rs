//! A batch's values and events as text.
//!
//! In: values, events. Out: bytes appended to a buffer. Promises: an event is one JSON document on one line; a value
//! that nobody touched is written as it was read; what is known to be plain is copied without a look.
//! On failure: nothing can fail.

use super::body::{BLOCK, BLOCKS, Body, VALUE, digits};
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
        body.reserve();
        body.put_all(&begin(self.events[event].time_ns));
        for field in self.fields(event) {
            if self.write_short(field, body).is_none() && field.key != Key::METADATA {
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

    /// `,"name":value` of most fields: a short name and a short value, each copied as one block whatever its length.
    /// `None`: nothing was written.
    #[inline]
    fn write_short(&self, field: &Field, body: &mut Body) -> Option<()> {
        let room = body.room()?;
        let name = if let Some(number) = field.key.number() {
            let (block, length) = self.keys.block(number)?;
            *room.first_chunk_mut()? = *block;
            length
        } else {
            let span = field.key.quoted()?;
            let length = span.len as usize;
            *room[1..].first_chunk_mut()? = *self.block::<BLOCK>(span)?;
            room[0] = b',';
            *room.get_mut(length + 1).filter(|_| length + 2 <= BLOCK)? = b':';
            length + 2
        };
        let room = room.get_mut(name..)?.first_chunk_mut::<VALUE>()?;
        let value = match field.value {
            Value::Str(span) => {
                let (from, length) = (span.start as usize, span.len as usize);
                let plain = self.marks.is_short_plain(from, length)
                    || self.marks.is_plain(from, from + length);
                plain.then(|| self.quote(span, room))??
            }
            Value::Escaped(span) => self.quote(span, room)?,
            Value::Json(span) => self.copy(span, room)?,
            Value::Int(n) => digits(n, room.first_chunk_mut()?)?,
            Value::Bool(true) => short_word(*b"true    ", 4, room),
            Value::Bool(false) => short_word(*b"false   ", 5, room),
            Value::Null => short_word(*b"null    ", 4, room),
            Value::Float(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        body.wrote(name + value);
        Some(())
    }

    /// Writes a short text with quotes around it; gives the length of both.
    #[inline]
    fn quote(&self, span: Span, room: &mut [u8; VALUE]) -> Option<usize> {
        let length = self.copy(span, &mut room[1..])?;
        room[0] = b'"';
        *room.get_mut(length + 1)? = b'"';
        Some(length + 2)
    }

    /// Copies a short text, of which one block is enough mostly; gives its length.
    #[inline]
    fn copy(&self, span: Span, room: &mut [u8]) -> Option<usize> {
        let length = span.len as usize;
        if length <= BLOCKS {
            *room.first_chunk_mut()? = *self.block::<BLOCKS>(span)?;
        } else if length <= 2 * BLOCKS {
            *room.first_chunk_mut()? = *self.block::<{ 2 * BLOCKS }>(span)?;
        } else {
            return None;
        }
        Some(length)
    }

    /// So many bytes of the text from the start of a span.
    #[inline]
    fn block<const N: usize>(&self, span: Span) -> Option<&[u8; N]> {
        self.text.get(span.start as usize..)?.first_chunk()
    }

    /// `,"name":value`.
    #[inline(never)]
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
            Value::Str(span) if span.end() <= self.marks.covered() => self.write_marked(span, body),
            Value::Str(span) => body.append_with(|out| json::write_string(self.bytes(span), out)),
            Value::Array(node) => self.write_array(node, body),
            Value::Object(node) => self.write_object(node, body),
            other => self.write_value(other, body),
        }
    }

    /// Writes text whose marks are known as a JSON string: plain parts are copied, what is marked is escaped.
    fn write_marked(&self, span: Span, body: &mut Body) {
        body.put_all(b"\"");
        let (mut from, end) = (span.start as usize, span.end());
        while let Some(at) = self.marks.next(from).filter(|at| *at < end) {
            body.put(&self.text, from, at - from);
            let (escaped, length) = json::escape(self.text[at]);
            match escaped.first_chunk() {
                Some(pair) if length == 2 => body.put_all::<2>(pair),
                _ => body.put_all(&escaped),
            }
            from = at + 1;
        }
        body.put(&self.text, from, end - from);
        body.put_all(b"\"");
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

/// How a document begins.
#[inline]
fn begin(time_ns: i64) -> [u8; 40] {
    let mut out = *b"{\"@timestamp\":\"2026-01-01T00:00:00.000Z\"";
    out[15..39].copy_from_slice(&iso8601_ms(time_ns));
    out
}

#[inline]
fn short_word(word: [u8; 8], length: usize, room: &mut [u8; VALUE]) -> usize {
    room[..8].copy_from_slice(&word);
    length
}
