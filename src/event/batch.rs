//! One text buffer and the events over it.
//!
//! In: bytes appended, fields set. Out: fields read, documents written. Promises: see [`super`].

use std::borrow::Cow;
use std::sync::Arc;

use super::json::{self, RawKind};
use super::{Field, Key, Keys, Literal, NodeId, Path, Segment, Source, Span, Value};

/// The events of one chunk of input and the bytes they borrow from.
pub struct Batch {
    /// The chunk's bytes, then whatever filters appended.
    pub text: Vec<u8>,
    /// The events, in the order of the input.
    pub events: Vec<Event>,
    /// The names of the pipeline.
    pub keys: Arc<Keys>,
    /// Where the events came from.
    pub source: Arc<Source>,
    objects: Vec<Vec<Field>>,
    objects_used: usize,
    arrays: Vec<Vec<Value>>,
    arrays_used: usize,
}

/// One event; its fields are the object `root` of its batch.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The event's fields.
    pub root: NodeId,
    /// `@timestamp`: nanoseconds since the epoch.
    pub time_ns: i64,
    /// Offset of the event's first byte in its file; for a stream, its number in the batch.
    pub offset: u64,
    /// Tells events apart that came from the same offset.
    pub sub: u16,
    /// Set by `drop`: the event goes no further and is counted.
    pub dropped: bool,
}

/// Indices of the events of a batch that a filter works on, ascending.
#[derive(Clone, Debug, Default)]
pub struct Selection(pub Vec<u32>);

impl Selection {
    /// The indices as numbers of [`Batch::events`].
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().map(|n| *n as usize)
    }
}

impl Batch {
    /// An empty batch.
    pub fn new(keys: Arc<Keys>, source: Arc<Source>) -> Self {
        Batch {
            text: Vec::new(),
            events: Vec::new(),
            keys,
            source,
            objects: Vec::new(),
            objects_used: 0,
            arrays: Vec::new(),
            arrays_used: 0,
        }
    }

    /// Makes the batch empty and keeps its memory for the next chunk.
    pub fn recycle(&mut self, text: Vec<u8>, source: Arc<Source>) -> Vec<u8> {
        self.events.clear();
        self.objects_used = 0;
        self.arrays_used = 0;
        self.source = source;
        std::mem::replace(&mut self.text, text)
    }

    /// Adds an event without fields.
    pub fn add_event(&mut self, time_ns: i64, offset: u64) -> usize {
        let root = self.new_object();
        self.events.push(Event { root, time_ns, offset, sub: 0, dropped: false });
        self.events.len() - 1
    }

    /// The event's fields, in order.
    pub fn fields(&self, event: usize) -> &[Field] {
        self.object(self.events[event].root)
    }

    /// The event's fields, to be changed; values must belong to this event alone.
    pub fn fields_mut(&mut self, event: usize) -> &mut Vec<Field> {
        let root = self.events[event].root;
        self.object_mut(root)
    }

    /// An opened object's fields.
    pub fn object(&self, node: NodeId) -> &[Field] {
        &self.objects[node.0 as usize]
    }

    /// An opened object's fields, to be changed.
    pub fn object_mut(&mut self, node: NodeId) -> &mut Vec<Field> {
        &mut self.objects[node.0 as usize]
    }

    /// An opened array's items.
    pub fn array(&self, node: NodeId) -> &[Value] {
        &self.arrays[node.0 as usize]
    }

    /// An opened array's items, to be changed.
    pub fn array_mut(&mut self, node: NodeId) -> &mut Vec<Value> {
        &mut self.arrays[node.0 as usize]
    }

    /// A new empty object of the pool.
    pub fn new_object(&mut self) -> NodeId {
        if self.objects_used == self.objects.len() {
            self.objects.push(Vec::with_capacity(8));
        }
        self.objects[self.objects_used].clear();
        self.objects_used += 1;
        NodeId(self.objects_used as u32 - 1)
    }

    /// A new empty array of the pool.
    pub fn new_array(&mut self) -> NodeId {
        if self.arrays_used == self.arrays.len() {
            self.arrays.push(Vec::with_capacity(4));
        }
        self.arrays[self.arrays_used].clear();
        self.arrays_used += 1;
        NodeId(self.arrays_used as u32 - 1)
    }

    /// The bytes of a span.
    #[inline]
    pub fn bytes(&self, span: Span) -> &[u8] {
        &self.text[span.range()]
    }

    /// Appends bytes to the text.
    pub fn push_text(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span::new(start, self.text.len())
    }

    /// The key for a name that is in `span` of the text.
    #[inline]
    pub fn key_at(&self, span: Span) -> Key {
        self.keys.find(self.bytes(span)).unwrap_or(Key::from_span(span))
    }

    /// The key for a name made at run time; its bytes are appended to the text when the table does not have it.
    pub fn key_named(&mut self, name: &[u8]) -> Key {
        if let Some(key) = self.keys.find(name) {
            return key;
        }
        let span = self.push_text(name);
        Key::from_span(span)
    }

    /// A key's name.
    pub fn key_name(&self, key: Key) -> &[u8] {
        match (key.number(), key.span()) {
            (Some(number), _) => self.keys.name(number).as_bytes(),
            (None, Some(span)) => self.bytes(span),
            (None, None) => b"",
        }
    }

    /// The value at a path; reads into raw JSON without opening it. `@timestamp` is not found here.
    pub fn get(&self, event: usize, path: &Path) -> Option<Value> {
        let [first, rest @ ..] = path.segments() else { return None };
        let value = self.find(self.events[event].root, first.key)?;
        rest.iter().try_fold(value, |value, segment| self.step(value, segment))
    }

    /// The value of a field of the event itself.
    #[inline]
    pub fn get_root(&self, event: usize, key: Key) -> Option<Value> {
        self.find(self.events[event].root, key)
    }

    /// One step into a value.
    pub fn step(&self, value: Value, segment: &Segment) -> Option<Value> {
        match value {
            Value::Object(node) => self.find(node, segment.key),
            Value::Array(node) => self.array(node).get(segment.index?).copied(),
            Value::Json(span) => json::step(&self.text, span, segment),
            _ => None,
        }
    }

    fn find(&self, node: NodeId, key: Key) -> Option<Value> {
        let fields = self.object(node);
        if key.number().is_some() {
            return fields.iter().find(|f| f.key == key).map(|f| f.value);
        }
        let name = self.key_name(key);
        fields.iter().find(|f| self.key_name(f.key) == name).map(|f| f.value)
    }

    /// Sets the value at a path, making objects on the way; a scalar in the way is replaced.
    /// `@timestamp` must be set through [`Event::time_ns`]; here the call is ignored.
    pub fn set(&mut self, event: usize, path: &Path, value: Value) {
        if path.is_timestamp() {
            return;
        }
        let mut node = self.events[event].root;
        let segments = path.segments();
        for (segment, next) in segments.iter().zip(&segments[1..]) {
            match self.enter(node, segment) {
                Value::Object(inner) => node = inner,
                Value::Array(inner) => return self.set_item(inner, next, segments, value),
                _ => return,
            }
        }
        if let Some(last) = segments.last() {
            self.set_in(node, last.key, value);
        }
    }

    /// Sets a field of the event itself.
    pub fn set_root(&mut self, event: usize, key: Key, value: Value) {
        let root = self.events[event].root;
        self.set_in(root, key, value);
    }

    /// Sets a field of an opened object.
    pub fn set_in(&mut self, node: NodeId, key: Key, value: Value) {
        match self.position(node, key) {
            Some(at) => self.object_mut(node)[at].value = value,
            None => self.object_mut(node).push(Field { key, value }),
        }
    }

    /// Removes the value at a path and returns it.
    pub fn remove(&mut self, event: usize, path: &Path) -> Option<Value> {
        self.get(event, path)?;
        let mut at = Value::Object(self.events[event].root);
        let (last, before) = path.segments().split_last()?;
        for segment in before {
            at = self.open_child(at, segment)?;
        }
        match at {
            Value::Object(node) => {
                let found = self.position(node, last.key)?;
                Some(self.object_mut(node).remove(found).value)
            }
            Value::Array(node) => {
                let index = last.index.filter(|i| *i < self.array(node).len())?;
                Some(self.array_mut(node).remove(index))
            }
            _ => None,
        }
    }

    /// Opens raw JSON of an object or array into pool nodes (one level); other values come back as they are.
    pub fn open(&mut self, value: Value) -> Value {
        let Value::Json(span) = value else { return value };
        match json::raw_kind(self.bytes(span)) {
            RawKind::Object => {
                let node = self.new_object();
                let keys = Arc::clone(&self.keys);
                let fields = &mut self.objects[node.0 as usize];
                json::open_object(&mut self.text, span, &keys, fields);
                Value::Object(node)
            }
            RawKind::Array => {
                let node = self.new_array();
                json::open_array(&self.text, span, &mut self.arrays[node.0 as usize]);
                Value::Array(node)
            }
            RawKind::Scalar => value,
        }
    }

    /// The items of a raw JSON array, read without opening it; none for anything else.
    pub fn raw_items(&self, span: Span) -> impl Iterator<Item = Value> + '_ {
        json::items(&self.text, span)
    }

    /// A copy that shares no pool node with the original.
    pub fn deep_copy(&mut self, value: Value) -> Value {
        match value {
            Value::Object(node) => {
                let copy = self.new_object();
                for at in 0..self.object(node).len() {
                    let field = self.object(node)[at];
                    let value = self.deep_copy(field.value);
                    self.object_mut(copy).push(Field { key: field.key, value });
                }
                Value::Object(copy)
            }
            Value::Array(node) => {
                let copy = self.new_array();
                for at in 0..self.array(node).len() {
                    let item = self.deep_copy(self.array(node)[at]);
                    self.array_mut(copy).push(item);
                }
                Value::Array(copy)
            }
            scalar => scalar,
        }
    }

    /// The text of a string value, escapes decoded; `None` for anything that is not a string.
    pub fn str_bytes(&self, value: Value) -> Option<Cow<'_, [u8]>> {
        match value {
            Value::Str(span) => Some(Cow::Borrowed(self.bytes(span))),
            Value::Escaped(span) => {
                let mut out = Vec::with_capacity(span.len as usize);
                json::decode_escapes(self.bytes(span), &mut out);
                Some(Cow::Owned(out))
            }
            _ => None,
        }
    }

    /// Turns an escaped string into a plain one (appended to the text); other values come back as they are.
    pub fn unescape(&mut self, value: Value) -> Value {
        let Value::Escaped(span) = value else { return value };
        let start = self.text.len();
        json::decode_escapes_within(&mut self.text, span);
        Value::Str(Span::new(start, self.text.len()))
    }

    /// The text at a path, made plain in place if it was escaped; `None` when absent or not a string.
    pub fn plain_str(&mut self, event: usize, path: &Path) -> Option<Span> {
        match self.get(event, path)? {
            Value::Str(span) => Some(span),
            value @ Value::Escaped(_) => match self.unescape(value) {
                Value::Str(span) => {
                    // Only a field that is already open is replaced: raw JSON stays raw.
                    if path.segments().len() == 1 {
                        self.set(event, path, Value::Str(span));
                    }
                    Some(span)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The value of a literal of the configuration; text is appended once per call, so call it once per batch.
    pub fn literal(&mut self, literal: &Literal) -> Value {
        match literal {
            Literal::Null => Value::Null,
            Literal::Bool(b) => Value::Bool(*b),
            Literal::Int(n) => Value::Int(*n),
            Literal::Float(n) => Value::Float(*n),
            Literal::Str(text) => Value::Str(self.push_text(text.as_bytes())),
            nested => {
                let start = self.text.len();
                nested.write_json(&mut self.text);
                Value::Json(Span::new(start, self.text.len()))
            }
        }
    }

    /// Adds a tag unless the event has it.
    pub fn add_tag(&mut self, event: usize, tag: &str) {
        let root = self.events[event].root;
        let tags = match self.find(root, Key::TAGS).map(|v| self.open(v)) {
            Some(Value::Array(node)) => node,
            other => {
                let node = self.new_array();
                if let Some(scalar) = other.filter(|v| *v != Value::Null) {
                    self.array_mut(node).push(scalar);
                }
                node
            }
        };
        let has = |item: &Value| self.str_bytes(*item).is_some_and(|t| *t == *tag.as_bytes());
        if !self.array(tags).iter().any(has) {
            let span = self.push_text(tag.as_bytes());
            self.array_mut(tags).push(Value::Str(span));
        }
        self.set_in(root, Key::TAGS, Value::Array(tags));
    }

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
        match value {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes()),
            Value::Float(n) => out.extend_from_slice(ryu::Buffer::new().format(n).as_bytes()),
            Value::Str(span) => json::write_string(self.bytes(span), out),
            Value::Escaped(span) => {
                out.push(b'"');
                out.extend_from_slice(self.bytes(span));
                out.push(b'"');
            }
            Value::Json(span) => out.extend_from_slice(self.bytes(span)),
            Value::Array(node) => {
                out.push(b'[');
                for (n, item) in self.array(node).iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    self.write_json(*item, out);
                }
                out.push(b']');
            }
            Value::Object(node) => {
                out.push(b'{');
                let mut first = true;
                for field in self.object(node) {
                    if !first {
                        out.push(b',');
                    }
                    first = false;
                    self.write_key(field.key, out);
                    self.write_json(field.value, out);
                }
                out.push(b'}');
            }
        }
    }

    /// Writes the event as one JSON document: `@timestamp` first, `@metadata` left out.
    pub fn write_event(&self, event: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"@timestamp\":\"");
        crate::timestamp::write_iso8601_ms(self.events[event].time_ns, out);
        out.push(b'"');
        for field in self.fields(event) {
            if field.key == Key::METADATA {
                continue;
            }
            out.push(b',');
            self.write_key(field.key, out);
            self.write_json(field.value, out);
        }
        out.push(b'}');
    }

    /// As [`Batch::write_event`], with strings cut to `most` bytes and other values left out that are longer.
    pub fn write_event_cut(&self, event: usize, most: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"@timestamp\":\"");
        crate::timestamp::write_iso8601_ms(self.events[event].time_ns, out);
        out.push(b'"');
        for field in self.fields(event).iter().filter(|f| f.key != Key::METADATA) {
            let start = out.len();
            out.push(b',');
            self.write_key(field.key, out);
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

    fn write_key(&self, key: Key, out: &mut Vec<u8>) {
        if let Some(number) = key.number() {
            out.extend_from_slice(self.keys.encoded(number));
        } else {
            json::write_string(self.key_name(key), out);
            out.push(b':');
        }
    }

    fn position(&self, node: NodeId, key: Key) -> Option<usize> {
        if key.number().is_some() {
            return self.object(node).iter().position(|f| f.key == key);
        }
        let name = self.key_name(key);
        self.object(node).iter().position(|f| self.key_name(f.key) == name)
    }

    /// The opened container at a segment, made when absent or a scalar.
    fn enter(&mut self, node: NodeId, segment: &Segment) -> Value {
        let now = self.find(node, segment.key).map(|value| self.open(value));
        let inner = match now {
            Some(container @ (Value::Object(_) | Value::Array(_))) => container,
            _ => Value::Object(self.new_object()),
        };
        self.set_in(node, segment.key, inner);
        inner
    }

    /// The rest of `set` from an array on: the item at `step` itself, or a field below it.
    fn set_item(&mut self, array: NodeId, step: &Segment, segments: &[Segment], value: Value) {
        let Some(index) = step.index.filter(|i| *i < self.array(array).len()) else { return };
        let Some(at) = segments.iter().position(|s| std::ptr::eq(s, step)) else { return };
        let below = &segments[at + 1..];
        if below.is_empty() {
            self.array_mut(array)[index] = value;
            return;
        }
        let object = match self.open(self.array(array)[index]) {
            Value::Object(node) => node,
            _ => self.new_object(),
        };
        self.array_mut(array)[index] = Value::Object(object);
        self.set_below(object, below, value);
    }

    fn set_below(&mut self, mut node: NodeId, segments: &[Segment], value: Value) {
        let Some((last, before)) = segments.split_last() else { return };
        for segment in before {
            match self.enter(node, segment) {
                Value::Object(inner) => node = inner,
                _ => return,
            }
        }
        self.set_in(node, last.key, value);
    }

    /// Opens a child in place and returns it.
    fn open_child(&mut self, at: Value, segment: &Segment) -> Option<Value> {
        match at {
            Value::Object(node) => {
                let found = self.position(node, segment.key)?;
                let opened = self.open(self.object(node)[found].value);
                self.object_mut(node)[found].value = opened;
                Some(opened)
            }
            Value::Array(node) => {
                let index = segment.index.filter(|i| *i < self.array(node).len())?;
                let opened = self.open(self.array(node)[index]);
                self.array_mut(node)[index] = opened;
                Some(opened)
            }
            _ => None,
        }
    }
}
