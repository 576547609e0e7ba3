//! Field names as small numbers.
//!
//! Is: the names that a pipeline's configuration mentions, each with a number given when the pipeline is loaded.
//! In: names. Out: [`Key`]s. Promises: the table never grows from data, so hostile keys cannot fill memory: a name
//! that the configuration does not mention is a span of its batch's text. Two equal names of one batch have equal
//! keys if the configuration mentions the name; otherwise they are compared by their bytes.
//! On failure: nothing can fail.

use hashbrown::HashMap;

use super::Span;
use super::body::BLOCK;

/// A field's name: a number of the pipeline's table, or a span of the batch's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(
    // The length above the start, in one word, so that one comparison tells keys apart. The length `u32::MAX` marks a
    // number of the table; otherwise its highest bit says that the name stands in quotes and needs no escape.
    u64,
);

/// The names of one pipeline.
#[derive(Clone, Debug)]
pub struct Keys {
    names: Vec<Box<str>>,
    encoded: Vec<Encoded>,
    numbers: HashMap<Box<[u8]>, u32, foldhash::fast::FixedState>,
}

/// `,"name":` with the name escaped.
#[derive(Clone, Debug)]
struct Encoded {
    /// The same, if it is short and belongs into documents.
    block: [u8; BLOCK],
    /// Its length in the block; 0: it is not there.
    short: u8,
    /// Blanks follow, so that it can be copied in blocks.
    text: Box<[u8]>,
    length: usize,
}

impl Key {
    const TABLE: u32 = u32::MAX;
    const QUOTED: u32 = 1 << 31;
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
        Key((Key::TABLE as u64) << 32 | number as u64)
    }

    /// A name that only the batch's text holds.
    pub fn from_span(span: Span) -> Key {
        Key(u64::from(span.len) << 32 | u64::from(span.start))
    }

    /// A name that only the batch's text holds, within quotes, and that needs no escape.
    pub(super) fn from_quoted(span: Span) -> Key {
        Key(u64::from(span.len | Key::QUOTED) << 32 | u64::from(span.start))
    }

    /// The key of the same name so many bytes further on in the batch's text.
    #[inline]
    pub(super) fn moved(self, by: u64) -> Key {
        Key(self.0 + by)
    }

    /// The name with its quotes in the batch's text, if it stands so there and needs no escape.
    #[inline]
    pub(super) fn quoted(self) -> Option<Span> {
        let (length, start) = (self.length(), self.0 as u32);
        (length & Key::QUOTED != 0 && length != Key::TABLE)
            .then(|| Span { start: start - 1, len: (length & !Key::QUOTED) + 2 })
    }

    /// The number in the pipeline's table, if it has one.
    #[inline]
    pub fn number(self) -> Option<usize> {
        (self.length() == Key::TABLE).then_some(self.0 as u32 as usize)
    }

    /// The span in the batch's text, if it is not in the table.
    #[inline]
    pub fn span(self) -> Option<Span> {
        (self.length() != Key::TABLE)
            .then_some(Span { start: self.0 as u32, len: self.length() & !Key::QUOTED })
    }

    fn length(self) -> u32 {
        (self.0 >> 32) as u32
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
        let mut encoded = Vec::with_capacity(name.len() + 4);
        encoded.push(b',');
        super::write_string(name.as_bytes(), &mut encoded);
        encoded.push(b':');
        let length = encoded.len();
        encoded.resize(length + BLOCK + 1, b' ');
        let block = *encoded.first_chunk().unwrap_or(&[0; BLOCK]);
        let short = if length <= BLOCK && name != "@metadata" { length as u8 } else { 0 };
        self.names.push(name.into());
        self.encoded.push(Encoded { block, short, text: encoded.into(), length });
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

    /// `,"name":` of a numbered key: a text that begins with it, and its length.
    #[inline]
    pub(super) fn encoded(&self, number: usize) -> (&[u8], usize) {
        let Encoded { text, length, .. } = &self.encoded[number];
        (text, *length)
    }

    /// The same as one block, if it is short enough; not for `@metadata`, which no document has.
    #[inline]
    pub(super) fn block(&self, number: usize) -> Option<(&[u8; BLOCK], usize)> {
        let Encoded { block, short, .. } = self.encoded.get(number)?;
        (*short > 0).then_some((block, usize::from(*short)))
    }
}
