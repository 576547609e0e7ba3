//! Field names as small numbers.
//!
//! Is: the names that a pipeline's configuration mentions, each with a number given when the pipeline is loaded.
//! In: names. Out: [`Key`]s. Promises: the table never grows from data, so hostile keys cannot fill memory: a name
//! that the configuration does not mention is a span of its batch's text. Two equal names of one batch have equal
//! keys if the configuration mentions the name; otherwise they are compared by their bytes.
//! On failure: nothing can fail.

use hashbrown::HashMap;

use super::Span;

/// A field's name: a number of the pipeline's table, or a span of the batch's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    start: u32,
    // `u32::MAX` marks a number of the table.
    len: u32,
}

/// The names of one pipeline.
#[derive(Clone, Debug)]
pub struct Keys {
    names: Vec<Box<str>>,
    // `"name":` with the name escaped, ready for the encoder.
    encoded: Vec<Box<[u8]>>,
    numbers: HashMap<Box<[u8]>, u32, foldhash::fast::FixedState>,
}

impl Key {
    const TABLE: u32 = u32::MAX;
    /// `@timestamp`: not kept as a field; see [`super::Event::time_ns`].
    pub const TIMESTAMP: Key = Key::numbered(0);
    /// `message`.
    pub const MESSAGE: Key = Key::numbered(1);
    /// `tags`.
    pub const TAGS: Key = Key::numbered(2);
    /// `@metadata`: never written into a document.
    pub const METADATA: Key = Key::numbered(3);
    /// `log`.
    pub const LOG: Key = Key::numbered(4);
    /// `host`.
    pub const HOST: Key = Key::numbered(5);
    /// `source`: the sender of a network event.
    pub const SOURCE: Key = Key::numbered(6);

    const fn numbered(number: u32) -> Key {
        Key { start: number, len: Key::TABLE }
    }

    /// A name that only the batch's text holds.
    pub fn from_span(span: Span) -> Key {
        Key { start: span.start, len: span.len }
    }

    /// The number in the pipeline's table, if it has one.
    pub fn number(self) -> Option<usize> {
        (self.len == Key::TABLE).then_some(self.start as usize)
    }

    /// The span in the batch's text, if it is not in the table.
    pub fn span(self) -> Option<Span> {
        (self.len != Key::TABLE).then_some(Span { start: self.start, len: self.len })
    }
}

impl Default for Keys {
    fn default() -> Self {
        let mut keys = Keys { names: Vec::new(), encoded: Vec::new(), numbers: HashMap::default() };
        for name in ["@timestamp", "message", "tags", "@metadata", "log", "host", "source"] {
            keys.intern(name);
        }
        keys
    }
}

impl Keys {
    /// The key of a name, added to the table when it is new. Only for names of the configuration.
    pub fn intern(&mut self, name: &str) -> Key {
        if let Some(number) = self.numbers.get(name.as_bytes()) {
            return Key::numbered(*number);
        }
        let number = self.names.len() as u32;
        let mut encoded = Vec::with_capacity(name.len() + 3);
        super::write_string(name.as_bytes(), &mut encoded);
        encoded.push(b':');
        self.names.push(name.into());
        self.encoded.push(encoded.into_boxed_slice());
        self.numbers.insert(name.as_bytes().into(), number);
        Key::numbered(number)
    }

    /// The key of a name of the configuration; `None` for any other.
    #[inline]
    pub fn find(&self, name: &[u8]) -> Option<Key> {
        self.numbers.get(name).map(|n| Key::numbered(*n))
    }

    /// The name of a numbered key.
    pub fn name(&self, number: usize) -> &str {
        &self.names[number]
    }

    /// `"name":` of a numbered key.
    #[inline]
    pub fn encoded(&self, number: usize) -> &[u8] {
        &self.encoded[number]
    }
}
