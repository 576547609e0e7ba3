//! JSON over borrowed bytes (RFC 8259): an object's fields as spans, nested values left as raw text.
//!
//! In: UTF-8 text. Out: fields whose values point into that text. Promises: what is accepted is valid JSON, so raw
//! text can be written out again as it is; it holds no line feed outside strings afterwards; of equal keys the last
//! one counts; nesting deeper than [`crate::limits::JSON_DEPTH_MAX`] is refused; time is linear.
//! On failure: [`JsonError`] with the byte and the reason; nothing was changed.

use super::scan::{Scanner, next_special};
use super::{Field, Key, Keys, Segment, Span, Value};

/// Why a text is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Byte of the text where it goes wrong.
    pub at: usize,
    /// What is wrong.
    pub message: &'static str,
}

/// What a raw value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RawKind {
    Object,
    Array,
    Scalar,
}

/// Reads the object in `span` of `text` into `out`. Escaped keys and line feeds between values are rare and make
/// the text grow at its end; otherwise nothing is copied.
pub fn parse_object(
    text: &mut Vec<u8>,
    span: Span,
    keys: &Keys,
    out: &mut Vec<Field>,
) -> Result<(), JsonError> {
    let from = out.len();
    let mut scan = Scanner::new(text, span, 0);
    scan.blank();
    let result = scan.object(keys, out).and_then(|()| scan.nothing_left());
    let odd = scan.odd;
    if let Err(error) = result {
        out.truncate(from);
        return Err(JsonError { at: error.at - span.start as usize, ..error });
    }
    if odd {
        settle(text, keys, &mut out[from..]);
    }
    drop_repeated_keys(text, from, out);
    Ok(())
}

/// Reads the JSON value in `span` of `text`, whatever it is; a list or an object stays raw text.
///
/// # Errors
/// What is not one JSON value; nothing was changed then.
pub fn parse_value(text: &mut Vec<u8>, span: Span) -> Result<Value, JsonError> {
    let mut scan = Scanner::new(text, span, 0);
    scan.blank();
    let result = scan.value().and_then(|value| scan.nothing_left().map(|()| value));
    let value =
        result.map_err(|error| JsonError { at: error.at - span.start as usize, ..error })?;
    Ok(match value {
        Value::Json(span) => Value::Json(on_one_line(text, span)),
        other => other,
    })
}

/// Writes bytes as a JSON string with its quotes.
pub fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    write_escaped(bytes, out);
    out.push(b'"');
}

/// Writes bytes as the inside of a JSON string.
pub fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    while let Some(at) = next_special(bytes, plain_blocks(bytes, from)) {
        out.extend_from_slice(&bytes[from..at]);
        let (escaped, length) = escape(bytes[at]);
        out.extend_from_slice(&escaped[..length]);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
}

/// A byte that a string must escape, escaped, and its length.
#[inline]
pub(super) fn escape(byte: u8) -> ([u8; 6], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = |letter| ([b'\\', letter, 0, 0, 0, 0], 2);
    match byte {
        b'"' | b'\\' => short(byte),
        b'\n' => short(b'n'),
        b'\r' => short(b'r'),
        b'\t' => short(b't'),
        low => {
            let (high, low) = (HEX[usize::from(low >> 4)], HEX[usize::from(low & 15)]);
            ([b'\\', b'u', b'0', b'0', high, low], 6)
        }
    }
}

/// Where the first block of 32 bytes begins that holds anything to escape: a text is mostly plain, and the compiler
/// makes a few vector instructions of a block. A reader, whose texts are short, does without.
#[inline]
fn plain_blocks(bytes: &[u8], from: usize) -> usize {
    let special = |b: u8| u8::from(b < 0x20) | u8::from(b == b'"') | u8::from(b == b'\\');
    let plain = |block: &&[u8; 32]| block.iter().fold(0, |any, b| any | special(*b)) == 0;
    let (blocks, _) = bytes[from..].as_chunks::<32>();
    from + blocks.iter().take_while(plain).count() * 32
}

/// Decodes the inside of a JSON string; a lone surrogate becomes U+FFFD.
pub fn decode_escapes(escaped: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'\\', &escaped[from..]) {
        let at = from + found;
        out.extend_from_slice(&escaped[from..at]);
        from = at + 2;
        match escaped.get(at + 1) {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'u') => from = decode_unicode(escaped, at, out),
            Some(other) => out.push(*other),
            None => return,
        }
    }
    out.extend_from_slice(&escaped[from..]);
}

/// Decodes `\uXXXX`, with a second one where the first is half of a pair; returns where to go on.
fn decode_unicode(escaped: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| -> Option<u32> {
        let digits = escaped.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(at).unwrap_or(0xFFFD);
    let second = unit(at + 6).filter(|low| (0xDC00..0xE000).contains(low));
    let (code, next) = match second {
        Some(low) if (0xD800..0xDC00).contains(&first) => {
            (0x10000 + ((first - 0xD800) << 10) + (low - 0xDC00), at + 12)
        }
        _ => (first, at + 6),
    };
    let mut utf8 = [0; 4];
    let character = char::from_u32(code).unwrap_or('\u{FFFD}');
    out.extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
    next.min(escaped.len())
}

/// Decodes a part of the text to the text's end.
pub(super) fn decode_escapes_within(text: &mut Vec<u8>, span: Span) {
    let mut out = Vec::with_capacity(span.len as usize);
    decode_escapes(&text[span.range()], &mut out);
    text.extend_from_slice(&out);
}

pub(super) fn raw_kind(raw: &[u8]) -> RawKind {
    match raw.first() {
        Some(b'{') => RawKind::Object,
        Some(b'[') => RawKind::Array,
        _ => RawKind::Scalar,
    }
}

/// Opens a raw object that was accepted before.
pub(super) fn open_object(text: &mut Vec<u8>, span: Span, keys: &Keys, out: &mut Vec<Field>) {
    // It was validated when it was read, so that it cannot fail now.
    let _ = parse_object(text, span, keys, out);
}

/// Opens a raw array that was accepted before.
pub(super) fn open_array(text: &[u8], span: Span, out: &mut Vec<Value>) {
    let mut scan = Scanner::new(text, span, 1);
    scan.blank();
    if scan.peek() == Some(b']') {
        return;
    }
    while let Ok(value) = scan.value() {
        out.push(value);
        scan.blank();
        if scan.next() != Some(b',') {
            return;
        }
        scan.blank();
    }
}

/// Finds a member of a raw object or an item of a raw array without opening it.
pub(super) fn step(text: &[u8], span: Span, segment: &Segment) -> Option<Value> {
    let mut scan = Scanner::new(text, span, 1);
    match raw_kind(&text[span.range()]) {
        RawKind::Scalar => None,
        RawKind::Object => {
            let mut found = None;
            scan.blank();
            while scan.peek() == Some(b'"') {
                let (name, escaped) = scan.string().ok()?;
                scan.blank();
                scan.next();
                scan.blank();
                let value = scan.value().ok()?;
                if name_is(&text[name.range()], escaped, &segment.name) {
                    found = Some(value);
                }
                scan.blank();
                if scan.next() != Some(b',') {
                    break;
                }
                scan.blank();
            }
            found
        }
        RawKind::Array => {
            let index = segment.index?;
            scan.blank();
            for n in 0.. {
                let value = scan.value().ok()?;
                if n == index {
                    return Some(value);
                }
                scan.blank();
                if scan.next() != Some(b',') {
                    break;
                }
                scan.blank();
            }
            None
        }
    }
}

/// The items of a raw array that was accepted before; none for anything else.
pub(super) fn items(text: &[u8], span: Span) -> impl Iterator<Item = Value> + '_ {
    let start = span.start as usize;
    let mut scan = Scanner::new(text, span, 1);
    scan.blank();
    let mut more = text.get(start) == Some(&b'[') && scan.peek() != Some(b']');
    std::iter::from_fn(move || {
        if !more {
            return None;
        }
        let value = scan.value().ok();
        scan.blank();
        more = value.is_some() && scan.next() == Some(b',');
        scan.blank();
        value
    })
}

fn name_is(raw: &[u8], escaped: bool, name: &str) -> bool {
    if !escaped {
        return raw == name.as_bytes();
    }
    let mut plain = Vec::new();
    decode_escapes(raw, &mut plain);
    plain == name.as_bytes()
}

/// Decodes escaped keys and takes line feeds out of raw values, so that a document stays on one line.
fn settle(text: &mut Vec<u8>, keys: &Keys, fields: &mut [Field]) {
    for field in fields {
        if let Some(span) = field.key.span().filter(|s| text[s.range()].contains(&b'\\')) {
            let start = text.len();
            decode_escapes_within(text, span);
            let plain = Span::new(start, text.len());
            field.key = keys.find(&text[plain.range()]).unwrap_or(Key::from_span(plain));
        }
        if let Value::Json(span) = field.value {
            field.value = Value::Json(on_one_line(text, span));
        }
    }
}

/// Raw JSON without line feeds; they can only stand between values.
fn on_one_line(text: &mut Vec<u8>, span: Span) -> Span {
    if memchr::memchr2(b'\n', b'\r', &text[span.range()]).is_none() {
        return span;
    }
    let start = text.len();
    text.extend_from_within(span.range());
    for byte in &mut text[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Span::new(start, text.len())
}

fn drop_repeated_keys(text: &[u8], from: usize, out: &mut Vec<Field>) {
    let name = |key: Key| key.span().map(|s| &text[s.range()]);
    let same = |a: Key, b: Key| {
        a == b || (a.number().is_none() && name(a).is_some() && name(a) == name(b))
    };
    if out.len() - from > 64 {
        return drop_repeated_keys_of_many(text, from, out);
    }
    // Keys with a mark of their own were not there before: most of them, and only the others are compared.
    let mut marks = 0_u64;
    let mut at = from;
    while at < out.len() {
        let key = out[at].key;
        let mark = 1_u64 << key_mark(text, key);
        if marks & mark == 0 {
            marks |= mark;
            at += 1;
            continue;
        }
        match out[from..at].iter().position(|f| same(f.key, key)) {
            Some(earlier) => {
                out[from + earlier].value = out[at].value;
                out.remove(at);
            }
            None => at += 1,
        }
    }
}

/// A number below 64 that equal keys have in common.
#[inline]
fn key_mark(text: &[u8], key: Key) -> u32 {
    let word = match (key.number(), key.span()) {
        (Some(number), _) => number as u32,
        (None, Some(span)) => {
            let name = &text[span.range()];
            let byte = |at: usize| name.get(at).map_or(0, |b| u32::from(*b));
            let (middle, last) = (byte(name.len() / 2), byte(name.len().wrapping_sub(1)));
            (name.len() as u32) ^ byte(0) << 6 ^ middle << 13 ^ last << 20
        }
        (None, None) => 0,
    };
    word.wrapping_mul(0x9e37_79b1) >> 26
}

fn drop_repeated_keys_of_many(text: &[u8], from: usize, out: &mut Vec<Field>) {
    let mut first: hashbrown::HashMap<(Option<usize>, &[u8]), usize> = hashbrown::HashMap::new();
    let mut kept = from;
    for at in from..out.len() {
        let field = out[at];
        let name = field.key.span().map_or(&[][..], |s| &text[s.range()]);
        match first.get(&(field.key.number(), name)) {
            Some(earlier) => out[*earlier].value = field.value,
            None => {
                first.insert((field.key.number(), name), kept);
                out[kept] = field;
                kept += 1;
            }
        }
    }
    out.truncate(kept);
}
