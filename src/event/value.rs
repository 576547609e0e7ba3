//! What a field can hold.
//!
//! Is: small `Copy` types that mean something only together with their batch.

use super::Key;

/// Bytes of a batch's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

/// An object or an array in a batch's pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(pub u32);

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction; never infinite or NaN.
    Float(f64),
    /// Text: valid UTF-8.
    Str(Span),
    /// The inside of a JSON string that holds escapes, still escaped.
    Escaped(Span),
    /// Raw JSON of a number, an object or an array, as it was read.
    Json(Span),
    /// An opened array.
    Array(NodeId),
    /// An opened object.
    Object(NodeId),
}

/// A key and its value.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name.
    pub key: Key,
    /// The value.
    pub value: Value,
}

/// A value of the configuration, to be put into events (`set`, an input's `fields`).
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// JSON's null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Array(Vec<Literal>),
    /// A table.
    Object(Vec<(String, Literal)>),
}

impl Span {
    /// The span of `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && u32::try_from(end).is_ok(), "a batch's text is below 4 GiB");
        Span { start: start as u32, len: (end - start) as u32 }
    }

    /// Offset past the last byte.
    pub fn end(self) -> usize {
        self.start as usize + self.len as usize
    }

    /// The part from `from` to `to`, both counted from this span's start.
    #[must_use]
    pub fn part(self, from: usize, to: usize) -> Self {
        debug_assert!(from <= to && to <= self.len as usize);
        Span { start: self.start + from as u32, len: (to - from) as u32 }
    }

    /// The span as a range of the text.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end()
    }
}

impl Literal {
    /// The literal of a setting; `None` for a date, which TOML has and JSON has not.
    pub fn from_setting(item: &crate::settings::Literal) -> Option<Literal> {
        use crate::settings::Literal as Setting;
        Some(match item {
            Setting::String(text) => Literal::Str(text.clone()),
            Setting::Integer(n) => Literal::Int(*n),
            Setting::Float(n) if n.is_finite() => Literal::Float(*n),
            Setting::Float(_) | Setting::Datetime(_) => return None,
            Setting::Bool(b) => Literal::Bool(*b),
            Setting::Array(items) => Literal::Array(
                items.iter().map(|i| Literal::from_setting(&i.literal)).collect::<Option<_>>()?,
            ),
            Setting::Table(entries) => {
                let pair =
                    |(key, item): &(crate::settings::Spanned<String>, crate::settings::Item)| {
                        Some((key.value.clone(), Literal::from_setting(&item.literal)?))
                    };
                Literal::Object(entries.iter().map(pair).collect::<Option<_>>()?)
            }
        })
    }

    /// Writes the literal as JSON.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Literal::Null => out.extend_from_slice(b"null"),
            Literal::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
            Literal::Int(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
            Literal::Float(n) => out.extend_from_slice(ryu::Buffer::new().format(*n).as_bytes()),
            Literal::Str(text) => super::write_string(text.as_bytes(), out),
            Literal::Array(items) => {
                out.push(b'[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Literal::Object(entries) => {
                out.push(b'{');
                for (n, (key, value)) in entries.iter().enumerate() {
                    if n > 0 {
                        out.push(b',');
                    }
                    super::write_string(key.as_bytes(), out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}
