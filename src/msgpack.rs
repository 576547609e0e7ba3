//! MessagePack as JSON, and JSON as MessagePack.
//!
//! In: bytes. Out: where a value ends ([`Extent`]), its head ([`Reader`]), its JSON ([`Reader::write_json`]); and the
//! other way ([`write_value`], [`write_bytes`]). Promises:
//! no allocation by a length that somebody wrote; nesting is bounded by [`JSON_DEPTH_MAX`]; linear time.
//! On failure: [`Malformed`].
//!
//! Source: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use serde_json::Value;

use crate::event::write_string;
use crate::limits::JSON_DEPTH_MAX;

/// The bytes are no MessagePack, end within a value, or are nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Finds the end of a value whose bytes come in pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    /// Values that are still to come.
    open: u64,
    /// Bytes that were looked at.
    at: usize,
}

/// The head of a value: its kind, and what it says about itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Head<'a> {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    /// Text or bytes.
    Bytes(&'a [u8]),
    /// So many values follow.
    Array(u32),
    /// So many pairs follow.
    Map(u32),
    /// A type of the application's own, and its bytes.
    Extension(i8, &'a [u8]),
}

/// What a first byte says: bytes behind it that are a length or the value, and what they count.
#[derive(Clone, Copy)]
enum Layout {
    /// The value itself, in so many bytes.
    Fixed(usize),
    /// Its length in so many bytes, then that many bytes, and so many more.
    Length(usize, usize),
    /// Bytes that follow, known already.
    Known(usize),
    /// Items that follow, each so many values; how many: known, or in so many bytes.
    Items(u64, Option<u64>, usize),
}

/// Reads values one after another.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

fn layout(first: u8) -> Option<Layout> {
    Some(match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Layout::Fixed(0),
        0x80..=0x8f => Layout::Items(2, Some(u64::from(first & 15)), 0),
        0x90..=0x9f => Layout::Items(1, Some(u64::from(first & 15)), 0),
        0xa0..=0xbf => Layout::Known(usize::from(first & 31)),
        0xc1 => return None,
        0xc4 | 0xd9 => Layout::Length(1, 0),
        0xc5 | 0xda => Layout::Length(2, 0),
        0xc6 | 0xdb => Layout::Length(4, 0),
        0xc7 => Layout::Length(1, 1),
        0xc8 => Layout::Length(2, 1),
        0xc9 => Layout::Length(4, 1),
        0xca | 0xce | 0xd2 => Layout::Fixed(4),
        0xcb | 0xcf | 0xd3 => Layout::Fixed(8),
        0xcc | 0xd0 => Layout::Fixed(1),
        0xcd | 0xd1 => Layout::Fixed(2),
        0xd4..=0xd8 => Layout::Known(1 + (1 << (first - 0xd4))),
        0xdc => Layout::Items(1, None, 2),
        0xdd => Layout::Items(1, None, 4),
        0xde => Layout::Items(2, None, 2),
        0xdf => Layout::Items(2, None, 4),
    })
}

/// A number in big-endian order.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Extent {
    /// Of the value that begins next.
    pub(crate) fn next() -> Extent {
        Extent { open: 1, at: 0 }
    }

    /// Goes on over `bytes`, which begin where the value does; its length, once all of it is there.
    pub(crate) fn of(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        while self.open > 0 {
            let Some(rest) = bytes.get(self.at..).filter(|rest| !rest.is_empty()) else {
                return Ok(None);
            };
            let layout = layout(rest[0]).ok_or(Malformed)?;
            let (size, items) = match layout {
                Layout::Fixed(size) | Layout::Known(size) => (size, 0),
                Layout::Length(size, more) => match rest.get(1..=size) {
                    None => return Ok(None),
                    Some(length) => (size + number(length) as usize + more, 0),
                },
                Layout::Items(each, Some(count), _) => (0, each * count),
                Layout::Items(each, None, size) => match rest.get(1..=size) {
                    None => return Ok(None),
                    Some(count) => (size, each * number(count)),
                },
            };
            self.at += 1 + size;
            self.open = self.open - 1 + items;
        }
        Ok((self.at <= bytes.len()).then_some(self.at))
    }
}

impl<'a> Reader<'a> {
    /// Begins at the front of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// What was not read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Malformed)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// The next head; the values of a list or map follow it.
    pub(crate) fn head(&mut self) -> Result<Head<'a>, Malformed> {
        let first = self.take(1)?[0];
        Ok(match layout(first).ok_or(Malformed)? {
            Layout::Fixed(size) => scalar(first, self.take(size)?),
            Layout::Known(size) if first < 0xc0 => Head::Bytes(self.take(size)?),
            Layout::Known(size) => extension(self.take(size)?),
            Layout::Length(size, more) => {
                let length = number(self.take(size)?) as usize;
                let bytes = self.take(length.saturating_add(more))?;
                if more > 0 { extension(bytes) } else { Head::Bytes(bytes) }
            }
            Layout::Items(each, known, size) => {
                let count = match known {
                    Some(count) => count,
                    None => number(self.take(size)?),
                } as u32;
                if each == 2 { Head::Map(count) } else { Head::Array(count) }
            }
        })
    }

    /// Skips a value.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        let length = Extent::next().of(self.bytes)?.ok_or(Malformed)?;
        self.take(length).map(|_| ())
    }

    /// Appends the next value as JSON. Bytes are texts; names that are no texts become ones; what JSON cannot say is
    /// `null`.
    pub(crate) fn write_json(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.write_value(out, JSON_DEPTH_MAX)
    }

    fn write_value(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed)?;
        match self.head()? {
            Head::Array(count) => {
                out.push(b'[');
                for number in 0..count {
                    if number > 0 {
                        out.push(b',');
                    }
                    self.write_value(out, depth)?;
                }
                out.push(b']');
            }
            Head::Map(count) => {
                out.push(b'{');
                for number in 0..count {
                    if number > 0 {
                        out.push(b',');
                    }
                    self.write_name(out)?;
                    self.write_value(out, depth)?;
                }
                out.push(b'}');
            }
            head => write_scalar(head, out),
        }
        Ok(())
    }

    /// A name and its colon.
    pub(crate) fn write_name(&mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        match self.head()? {
            Head::Bytes(name) => write_string(name, out),
            Head::Array(_) | Head::Map(_) => return Err(Malformed),
            head => {
                let mut name = Vec::new();
                write_scalar(head, &mut name);
                write_string(&name, out);
            }
        }
        out.push(b':');
        Ok(())
    }
}

fn scalar<'a>(first: u8, value: &[u8]) -> Head<'a> {
    let signed = |bits: u32| ((number(value) << (64 - bits)) as i64) >> (64 - bits);
    match first {
        0x00..=0x7f => Head::Unsigned(u64::from(first)),
        0xe0..=0xff => Head::Signed(i64::from(first as i8)),
        0xc2 => Head::Bool(false),
        0xc3 => Head::Bool(true),
        0xca => Head::Float(f64::from(f32::from_bits(number(value) as u32))),
        0xcb => Head::Float(f64::from_bits(number(value))),
        0xcc..=0xcf => Head::Unsigned(number(value)),
        0xd0 => Head::Signed(signed(8)),
        0xd1 => Head::Signed(signed(16)),
        0xd2 => Head::Signed(signed(32)),
        0xd3 => Head::Signed(signed(64)),
        _ => Head::Nil,
    }
}

/// An extension's type is its first byte.
fn extension(bytes: &[u8]) -> Head<'_> {
    match bytes {
        [kind, data @ ..] => Head::Extension(*kind as i8, data),
        [] => Head::Nil,
    }
}

fn write_scalar(head: Head<'_>, out: &mut Vec<u8>) {
    match head {
        Head::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        Head::Unsigned(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Head::Signed(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Head::Float(number) if number.is_finite() => {
            out.extend_from_slice(ryu::Buffer::new().format_finite(number).as_bytes());
        }
        Head::Bytes(text) => write_string(text, out),
        _ => out.extend_from_slice(b"null"),
    }
}

/// Appends a value of JSON.
pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(value) => out.push(0xc2 + u8::from(*value)),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n @ 0..128), _) => out.push(n as u8),
            (Some(n), _) => {
                out.push(0xcf);
                out.extend(n.to_be_bytes());
            }
            (_, Some(n)) => {
                out.push(0xd3);
                out.extend(n.to_be_bytes());
            }
            (None, None) => {
                out.push(0xcb);
                out.extend(number.as_f64().unwrap_or_default().to_be_bytes());
            }
        },
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            write_count(0x90, 0xdc, items.len(), out);
            for item in items {
                write_value(item, out);
            }
        }
        Value::Object(entries) => {
            write_count(0x80, 0xde, entries.len(), out);
            for (name, value) in entries {
                write_text(name, out);
                write_value(value, out);
            }
        }
    }
}

/// Appends a text.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) {
    match text.len() {
        length @ 0..32 => out.push(0xa0 | length as u8),
        length => write_length([0xd9, 0xda, 0xdb], length, out),
    }
    out.extend_from_slice(text.as_bytes());
}

/// Appends bytes.
pub(crate) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    write_length([0xc4, 0xc5, 0xc6], bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// Appends the head of a list (`0x90`, `0xdc`) or of a map (`0x80`, `0xde`) of so many items.
pub(crate) fn write_count(small: u8, large: u8, count: usize, out: &mut Vec<u8>) {
    match count {
        count @ 0..16 => out.push(small | count as u8),
        count @ 16..0x1_0000 => {
            out.push(large);
            out.extend((count as u16).to_be_bytes());
        }
        count => {
            out.push(large + 1);
            out.extend((count as u32).to_be_bytes());
        }
    }
}

/// A length in one, two or four bytes, each behind its own mark.
fn write_length(marks: [u8; 3], length: usize, out: &mut Vec<u8>) {
    match length {
        length @ 0..0x100 => out.extend([marks[0], length as u8]),
        length @ 0x100..0x1_0000 => {
            out.push(marks[1]);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(marks[2]);
            out.extend((length as u32).to_be_bytes());
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A JSON value as MessagePack, with the widest lengths, so that every layout is met.
    pub(crate) fn pack(value: &Value, wide: bool, out: &mut Vec<u8>) {
        let count = |narrow: u8, bits: u8, wide_one: u8, count: usize, out: &mut Vec<u8>| {
            if !wide && count < (1 << bits) {
                out.push(narrow | count as u8);
            } else {
                out.push(wide_one);
                out.extend((count as u32).to_be_bytes());
            }
        };
        match value {
            Value::Null => out.push(0xc0),
            Value::Bool(value) => out.push(0xc2 + u8::from(*value)),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(n @ 0..128), ..) if !wide => out.push(n as u8),
                (Some(n), ..) => {
                    out.push(0xcf);
                    out.extend(n.to_be_bytes());
                }
                (_, Some(n), _) => {
                    out.push(0xd3);
                    out.extend(n.to_be_bytes());
                }
                (.., n) => {
                    out.push(0xcb);
                    out.extend(n.unwrap_or_default().to_be_bytes());
                }
            },
            Value::String(text) => {
                count(0xa0, 5, 0xdb, text.len(), out);
                out.extend(text.as_bytes());
            }
            Value::Array(items) => {
                count(0x90, 4, 0xdd, items.len(), out);
                for item in items {
                    pack(item, wide, out);
                }
            }
            Value::Object(entries) => {
                count(0x80, 4, 0xdf, entries.len(), out);
                for (name, value) in entries {
                    pack(&Value::from(name.as_str()), wide, out);
                    pack(value, wide, out);
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let long: Vec<Value> = (0..300).map(Value::from).collect();
        let texts: Vec<Value> =
            [0, 31, 32, 255, 256, 70_000].map(|n| Value::from("x".repeat(n))).to_vec();
        let many: Value =
            Value::Object((0..20).map(|n| (format!("n{n:02}"), Value::from(n))).collect());
        let value = serde_json::json!({
            "a": [1, -1, 128, -4_000_000_000_i64, 1.5, null, true], "b": {}, "c": long, "d": texts, "e": many,
        });
        let mut bytes = Vec::new();
        write_value(&value, &mut bytes);
        write_bytes(&[7; 300], &mut bytes);
        let mut reader = Reader::new(&bytes);
        let mut json = Vec::new();
        reader.write_json(&mut json).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), value);
        assert_eq!(reader.head(), Ok(Head::Bytes(&[7; 300])));
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn a_value_comes_back_and_its_end_is_found_however_it_is_cut() {
        let value = serde_json::json!({
            "a": [1, -1, 128, -4_000_000_000_i64, 1.5, null, true, "x\"y\u{20ac}"], "b": { "c": {} },
            "long": "x".repeat(300), "list": vec![1; 20],
        });
        for wide in [false, true] {
            let mut bytes = Vec::new();
            pack(&value, wide, &mut bytes);
            let mut out = Vec::new();
            let mut reader = Reader::new(&bytes);
            reader.write_json(&mut out).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), value);
            assert!(reader.rest().is_empty());
            let mut extent = Extent::next();
            for end in 0..bytes.len() {
                assert_eq!(extent.of(&bytes[..end]), Ok(None));
            }
            assert_eq!(extent.of(&bytes), Ok(Some(bytes.len())));
        }
    }

    #[test]
    fn what_is_nested_too_deep_or_damaged_is_refused() {
        let deep = vec![0x91; 100_000];
        assert_eq!(Reader::new(&deep).write_json(&mut Vec::new()), Err(Malformed));
        assert_eq!(Extent::next().of(&[0xc1]), Err(Malformed));
        assert_eq!(Reader::new(&[0xdb, 0xff, 0xff, 0xff, 0xff]).head(), Err(Malformed));
        let mut out = Vec::new();
        Reader::new(&[0xca, 0x7f, 0xc0, 0, 0]).write_json(&mut out).unwrap();
        Reader::new(&[0xd1, 0xff, 0xfe]).write_json(&mut out).unwrap();
        assert_eq!(out, b"null-2");
    }
}
