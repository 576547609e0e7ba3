//! One text buffer and the events over it.
//!
//! In: bytes appended, fields set. Out: fields read, documents written. Promises: see [`super`].

use std::borrow::Cow;
use std::sync::Arc;

use super::json::{self, JsonError, RawKind};
use super::large::{LARGE, Large};
use super::lasting::Region;
use super::marks::Marks;
use super::names::{Names, Places, Present};
use super::object::Object;
use super::{Field, Key, Keys, Literal, NodeId, Path, Segment, Source, Span, Value};

/// Blanks behind a text that is written: a block and a word of marks.
const BEHIND: usize = 192;

/// The events of one chunk of input and the bytes they borrow from.
pub struct Batch {
    /// Of a piece of a chunk, the texts that outlive their batch; the chunk's bytes; then whatever filters appended.
    /// It only grows: no byte of it is ever changed or taken away before [`Batch::recycle`] or [`Batch::begin_piece`].
    pub text: Vec<u8>,
    /// What is known of the text.
    pub(super) marks: Marks,
    pub(super) region: Region,
    /// The events, in the order of the input.
    pub events: Vec<Event>,
    /// The names of the pipeline.
    pub keys: Arc<Keys>,
    /// Where the events came from.
    pub source: Arc<Source>,
    objects: Vec<Object>,
    objects_used: usize,
    large: Large,
    arrays: Vec<Vec<Value>>,
    arrays_used: usize,
    /// The event that each event came from, by number; empty while no event was derived.
    origins: Vec<u32>,
    /// How many events came from each event of the input.
    derived: Vec<u16>,
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
    /// Set by a filter that could not do its work or found nothing: the chain then leaves out what the filter's
    /// `add_field`, `add_tag` and the like say.
    pub missed: bool,
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
            marks: Marks::default(),
            region: Region::default(),
            events: Vec::new(),
            keys,
            source,
            objects: Vec::new(),
            objects_used: 0,
            large: Large::default(),
            arrays: Vec::new(),
            arrays_used: 0,
            origins: Vec::new(),
            derived: Vec::new(),
        }
    }

    /// Makes the batch empty and keeps its memory for the next chunk.
    pub fn recycle(&mut self, text: Vec<u8>, source: Arc<Source>) -> Vec<u8> {
        self.source = source;
        self.forget_events();
        self.leave_region();
        self.marks.clear();
        std::mem::replace(&mut self.text, text)
    }

    pub(super) fn forget_events(&mut self) {
        self.events.clear();
        self.origins.clear();
        self.derived.clear();
        self.objects_used = 0;
        self.large.forget();
        self.arrays_used = 0;
    }

    /// Adds an event without fields.
    pub fn add_event(&mut self, time_ns: i64, offset: u64) -> usize {
        let root = self.new_object();
        self.events.push(Event { root, time_ns, offset, sub: 0, dropped: false, missed: false });
        self.events.len() - 1
    }

    /// Adds an event with the fields of the JSON object in `span`, if it is like the ones before; `None`: read it with
    /// [`super::parse_object`], which takes everything.
    pub fn add_json_event(
        &mut self,
        span: Span,
        names: &mut Names,
        time_ns: i64,
        offset: u64,
    ) -> Option<usize> {
        if span.end() > self.marks.covered() {
            self.marks.cover(&self.text);
        }
        let event = self.add_event(time_ns, offset);
        let object = &mut self.objects[self.objects_used - 1];
        let text = (&self.text[..], &self.marks);
        let out = (&mut object.fields, &mut object.places);
        if let Some(present) = names.read(text, span, &self.keys, out) {
            object.present = present;
            return Some(event);
        }
        self.events.pop();
        self.objects_used -= 1;
        None
    }

    /// Reads the JSON object in `span` into `out`, by the names of the objects before where that can be; see
    /// [`super::parse_object`].
    ///
    /// # Errors
    /// What is no JSON object; nothing was changed then.
    pub fn read_object(
        &mut self,
        span: Span,
        names: &mut Names,
        out: &mut Vec<Field>,
    ) -> Result<(), JsonError> {
        if span.end() > self.marks.covered() {
            self.marks.cover(&self.text);
        }
        let from = out.len();
        let read = (&mut *out, &mut Places::NONE.clone());
        if names.read((&self.text, &self.marks), span, &self.keys, read).is_some() {
            return Ok(());
        }
        out.truncate(from);
        let keys = Arc::clone(&self.keys);
        json::parse_object(&mut self.text, span, &keys, out)
    }

    /// Removes a field of the event itself by its place among the fields.
    pub fn remove_at(&mut self, event: usize, at: usize) -> Value {
        let root = self.events[event].root;
        self.large.forget();
        self.objects[root.0 as usize].fields.remove(at).value
    }

    /// Looks at all of the text once, so that writing need not look at each value. Blanks are put behind it, so that
    /// its last values are copied in blocks, too.
    pub fn mark(&mut self) {
        self.text.extend_from_slice(&[b' '; BEHIND]);
        self.marks.cover(&self.text);
    }

    /// Adds an event without fields that a filter makes of several ones; it follows all others.
    pub fn make_event(&mut self, time_ns: i64) -> usize {
        if !self.origins.is_empty() {
            self.origins.push(self.derived.len() as u32);
            self.derived.push(0);
        }
        self.add_event(time_ns, 0)
    }

    /// Adds an event without fields that comes from another one: it has that one's time and offset, and a number of
    /// its own (`sub`). `None` when that one has given 65,535 already.
    pub fn derive_event(&mut self, from: usize) -> Option<usize> {
        if self.origins.is_empty() {
            self.origins.extend(0..self.events.len() as u32);
            self.derived.resize(self.events.len(), 0);
        }
        let origin = *self.origins.get(from)?;
        let count = self.derived.get_mut(origin as usize)?;
        *count = count.checked_add(1)?;
        let sub = *count;
        let event = self.events[from];
        let made = self.add_event(event.time_ns, event.offset);
        self.events[made].sub = sub;
        self.origins.push(origin);
        Some(made)
    }

    /// How many more events can be derived from what this one came from.
    pub fn derivable(&self, from: usize) -> usize {
        let origin = self.origins.get(from);
        let count = origin.and_then(|origin| self.derived.get(*origin as usize));
        usize::from(u16::MAX - count.copied().unwrap_or(0))
    }

    /// Puts derived events after those that they came from. Gives how many there are.
    pub fn order_derived(&mut self) -> usize {
        if self.origins.is_empty() {
            return 0;
        }
        let origins = std::mem::take(&mut self.origins);
        let mut ordered: Vec<(u32, Event)> =
            origins.into_iter().zip(self.events.drain(..)).collect();
        ordered.sort_by_key(|(origin, _)| *origin);
        self.events.extend(ordered.into_iter().map(|(_, event)| event));
        let count = self.events.len() - self.derived.len();
        self.derived.clear();
        count
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
        &self.objects[node.0 as usize].fields
    }

    /// An opened object's fields, to be changed.
    pub fn object_mut(&mut self, node: NodeId) -> &mut Vec<Field> {
        self.large.forget();
        let object = &mut self.objects[node.0 as usize];
        object.present = Present::ALL;
        &mut object.fields
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
            let fields = Vec::with_capacity(8);
            self.objects.push(Object { fields, present: Present::NONE, places: Places::NONE });
        }
        let object = &mut self.objects[self.objects_used];
        object.fields.clear();
        object.present = Present::NONE;
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
    #[inline]
    pub fn get(&self, event: usize, path: &Path) -> Option<Value> {
        let value = self.get_root(event, path.root())?;
        if path.is_nested() { self.get_nested(value, path) } else { Some(value) }
    }

    #[inline(never)]
    fn get_nested(&self, value: Value, path: &Path) -> Option<Value> {
        path.segments()[1..].iter().try_fold(value, |value, segment| self.step(value, segment))
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

    #[inline]
    fn find(&self, node: NodeId, key: Key) -> Option<Value> {
        let object = &self.objects[node.0 as usize];
        match object.guessed(key) {
            Some(field) => Some(field.value),
            None => self.elsewhere(object, key).map(|at| object.fields[at].value),
        }
    }

    /// Where a field of the event itself is among its fields.
    #[inline]
    pub fn position_of(&self, event: usize, key: Key) -> Option<usize> {
        self.position(self.events[event].root, key)
    }

    /// Sets the value at a path, making objects on the way; a scalar in the way is replaced.
    /// `@timestamp` must be set through [`Event::time_ns`]; here the call is ignored.
    pub fn set(&mut self, event: usize, path: &Path, value: Value) {
        let root = self.events[event].root;
        if path.is_nested() {
            if !path.is_timestamp() {
                self.set_within(root, path, value);
            }
        } else if !path.is_timestamp() {
            self.set_in(root, path.root(), value);
        }
    }

    /// Sets the value at a path within an opened object, making objects on the way; a scalar in the way is replaced.
    pub fn set_within(&mut self, mut node: NodeId, path: &Path, value: Value) {
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

    /// Adds a field that the event does not have yet.
    #[inline]
    pub fn push_root(&mut self, event: usize, field: Field) {
        let root = self.events[event].root;
        self.push_in(root, field);
    }

    #[inline]
    fn push_in(&mut self, node: NodeId, field: Field) {
        self.objects[node.0 as usize].push(field);
    }

    /// Sets a field of an opened object.
    #[inline]
    pub fn set_in(&mut self, node: NodeId, key: Key, value: Value) {
        let object = &mut self.objects[node.0 as usize];
        if let Some(field) = object.guessed_mut(key) {
            field.value = value;
        } else if object.lacks(key) {
            object.push(Field { key, value });
        } else {
            self.set_elsewhere(node, key, value);
        }
    }

    #[inline(never)]
    fn set_elsewhere(&mut self, node: NodeId, key: Key, value: Value) {
        match self.place(node, key) {
            Some(at) => self.objects[node.0 as usize].fields[at].value = value,
            None => self.push_in(node, Field { key, value }),
        }
    }

    /// The value of a field of an opened object; as fast as [`Batch::set_in`] where there are very many fields.
    pub fn find_in(&mut self, node: NodeId, key: Key) -> Option<Value> {
        self.place(node, key).map(|at| self.objects[node.0 as usize].fields[at].value)
    }

    fn place(&mut self, node: NodeId, key: Key) -> Option<usize> {
        let fields = &self.objects[node.0 as usize].fields;
        if fields.len() <= LARGE {
            return self.position(node, key);
        }
        let name = match (key.number(), key.span()) {
            (Some(number), _) => self.keys.name(number).as_bytes(),
            (None, span) => &self.text[span?.range()],
        };
        self.large.place((node, fields), name, (&self.text, &self.keys))
    }

    /// Removes the value at a path and returns it.
    pub fn remove(&mut self, event: usize, path: &Path) -> Option<Value> {
        if !path.is_nested() {
            let at = self.position_of(event, path.root())?;
            return Some(self.remove_at(event, at));
        }
        self.get(event, path)?;
        let mut at = Value::Object(self.events[event].root);
        let (last, before) = path.segments().split_last()?;
        for segment in before {
            at = self.open_child(at, segment)?;
        }
        match at {
            Value::Object(node) => {
                let found = self.position(node, last.key)?;
                self.large.forget();
                Some(self.objects[node.0 as usize].fields.remove(found).value)
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
                let fields = &mut self.objects[node.0 as usize].fields;
                json::open_object(&mut self.text, span, &keys, fields);
                self.objects[node.0 as usize].present = Present::ALL;
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
                    self.push_in(copy, Field { key: field.key, value });
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

    #[inline]
    fn position(&self, node: NodeId, key: Key) -> Option<usize> {
        let object = &self.objects[node.0 as usize];
        match key.number().map(|number| object.places.guess(number)) {
            Some(guess) if object.has_at(guess, key) => Some(guess),
            _ => self.elsewhere(object, key),
        }
    }

    /// The place of a field that is not where it was put.
    #[inline]
    fn elsewhere(&self, object: &Object, key: Key) -> Option<usize> {
        if object.lacks(key) { None } else { self.search(object, key) }
    }

    #[inline(never)]
    fn search(&self, object: &Object, key: Key) -> Option<usize> {
        if let Some(number) = key.number() {
            // What was removed before it moved it to the front.
            let guess = object.places.guess(number).min(object.fields.len());
            let (before, after) = object.fields.split_at(guess);
            let found = before.iter().rposition(|field| field.key == key);
            let behind = || after.iter().position(|field| field.key == key).map(|at| guess + at);
            return found.or_else(behind);
        }
        // A name that the configuration mentions has a number, so that only those without one can be equal to it.
        let span = key.span()?;
        let name = self.bytes(span);
        let is_name = |own: Span| own.len == span.len && self.bytes(own) == name;
        object.fields.iter().position(|f| f.key.span().is_some_and(is_name))
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
                self.objects[node.0 as usize].fields[found].value = opened;
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
