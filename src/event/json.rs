//! JSON over borrowed bytes (RFC 8259): an object's fields as spans, nested values left as raw text.
//!
//! In: UTF-8 text. Out: fields whose values point into that text. Promises: what is accepted is valid JSON, so raw
//! text can be written out again as it is; it holds no line feed outside strings afterwards; of equal keys the last
//! one counts; nesting deeper than [`crate::limits::JSON_DEPTH_MAX`] is refused; time is linear.
//! On failure: [`JsonError`] with the byte and the reason; nothing was changed.

use super::{Field, Key, Keys, Segment, Span, Value};
use crate::limits::JSON_DEPTH_MAX;

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
    let mut scan = Scanner { text: &text[..span.end()], at: span.start as usize, odd: false };
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
    let mut scan = Scanner { text: &text[..span.end()], at: span.start as usize, odd: false };
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
    while let Some(at) = next_special(bytes, from) {
        out.extend_from_slice(&bytes[from..at]);
        escape_byte(bytes[at], out);
        from = at + 1;
    }
    out.extend_from_slice(&bytes[from..]);
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        low => {
            let digits = [HEX[usize::from(low >> 4)], HEX[usize::from(low & 15)]];
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&digits);
        }
    }
}

/// The next quote, backslash or control character, eight bytes at a time.
/// Bit tricks after "Determine if a word has a byte less than n" in Anderson, Bit Twiddling Hacks.
#[inline]
fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = from;
    while let Some(word) = bytes.get(at..at + 8).and_then(|w| w.try_into().ok()) {
        let word = u64::from_le_bytes(word);
        let zero_in = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
        let low = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
        let hits = low | zero_in(word ^ (ONES * 0x22)) | zero_in(word ^ (ONES * 0x5c));
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    bytes[at.min(bytes.len())..].iter().position(special).map(|n| at + n)
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
    let mut scan = Scanner { text: &text[..span.end()], at: span.start as usize + 1, odd: false };
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
    let mut scan = Scanner { text: &text[..span.end()], at: span.start as usize + 1, odd: false };
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
    let mut scan = Scanner { text: &text[..span.end()], at: start + 1, odd: false };
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
    let mut at = from + 1;
    while at < out.len() {
        let key = out[at].key;
        match out[from..at].iter().position(|f| same(f.key, key)) {
            Some(earlier) => {
                out[from + earlier].value = out[at].value;
                out.remove(at);
            }
            None => at += 1,
        }
    }
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

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    // An escaped key or a line feed between values was seen: `settle` has work.
    odd: bool,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, message })
    }

    #[inline]
    fn blank(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.odd |= byte == b'\n' || byte == b'\r';
            self.at += 1;
        }
    }

    fn nothing_left(&mut self) -> Result<(), JsonError> {
        self.blank();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.fail("text after the end of the object")
        }
    }

    fn object(&mut self, keys: &Keys, out: &mut Vec<Field>) -> Result<(), JsonError> {
        if self.next() != Some(b'{') {
            self.at = self.at.saturating_sub(1);
            return self.fail("not an object: `{` expected");
        }
        self.blank();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.key(keys)?;
            let value = self.value()?;
            out.push(Field { key, value });
            self.blank();
            match self.next() {
                Some(b',') => self.blank(),
                Some(b'}') => return Ok(()),
                _ => return self.fail("`,` or `}` expected"),
            }
        }
    }

    fn key(&mut self, keys: &Keys) -> Result<Key, JsonError> {
        let (name, escaped) = self.string()?;
        self.odd |= escaped;
        self.blank();
        if self.next() != Some(b':') {
            return self.fail("`:` expected");
        }
        self.blank();
        Ok(keys.find(&self.text[name.range()]).unwrap_or(Key::from_span(name)))
    }

    /// A string's inside, and whether it holds escapes.
    #[inline]
    fn string(&mut self) -> Result<(Span, bool), JsonError> {
        if self.peek() != Some(b'"') {
            return self.fail("`\"` expected");
        }
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            let Some(special) = next_special(self.text, at) else {
                self.at = self.text.len();
                return self.fail("a string without its end");
            };
            match self.text[special] {
                b'"' => {
                    self.at = special + 1;
                    return Ok((Span::new(start, special), escaped));
                }
                b'\\' => {
                    escaped = true;
                    at = self.escape(special)?;
                }
                _ => {
                    self.at = special;
                    return self.fail("a control character within a string");
                }
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<usize, JsonError> {
        self.at = at;
        match self.text.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.text.get(at + 2..at + 6) {
                Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
                _ => self.fail("four hexadecimal digits expected after `\\u`"),
            },
            _ => self.fail("an unknown escape"),
        }
    }

    #[inline]
    fn value(&mut self) -> Result<Value, JsonError> {
        match self.peek() {
            Some(b'"') => {
                let (inside, escaped) = self.string()?;
                Ok(if escaped { Value::Escaped(inside) } else { Value::Str(inside) })
            }
            Some(b'{' | b'[') => {
                let start = self.at;
                self.nested()?;
                Ok(Value::Json(Span::new(start, self.at)))
            }
            Some(b't') => self.word(b"true", Value::Bool(true)),
            Some(b'f') => self.word(b"false", Value::Bool(false)),
            Some(b'n') => self.word(b"null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fail("a value expected"),
        }
    }

    fn word(&mut self, word: &'static [u8], value: Value) -> Result<Value, JsonError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(value);
        }
        self.fail("a value expected")
    }

    /// A number: up to 18 digits become an integer, everything else stays as it is written.
    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let digits_from = self.at;
        let mut whole: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            whole = whole.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - digits_from;
        if digits == 0 || (digits > 1 && self.text[digits_from] == b'0') {
            return self.fail("a number expected");
        }
        let fraction = self.fraction()?;
        if fraction || digits > 18 || (negative && whole == 0) {
            return Ok(Value::Json(Span::new(start, self.at)));
        }
        Ok(Value::Int(if negative { -whole } else { whole }))
    }

    fn fraction(&mut self) -> Result<bool, JsonError> {
        let mut some = false;
        if self.peek() == Some(b'.') {
            self.at += 1;
            some = true;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            some = true;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(some)
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { self.fail("a digit expected") } else { Ok(()) }
    }

    /// Walks over an object or array without recursion; the stack is one bit a level.
    fn nested(&mut self) -> Result<(), JsonError> {
        let mut stack = [false; JSON_DEPTH_MAX];
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == JSON_DEPTH_MAX {
                        return self.fail("nested too deeply");
                    }
                    stack[depth] = open == b'{';
                    depth += 1;
                    self.at += 1;
                    self.blank();
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek() != Some(close) {
                        if open == b'{' {
                            self.member_name()?;
                        }
                        continue;
                    }
                }
                _ => {
                    self.value()?;
                    self.blank();
                }
            }
            loop {
                let in_object = stack[depth - 1];
                match self.next() {
                    Some(b'}') if in_object => depth -= 1,
                    Some(b']') if !in_object => depth -= 1,
                    Some(b',') => {
                        self.blank();
                        if in_object {
                            self.member_name()?;
                        }
                        break;
                    }
                    _ => return self.fail("`,` or the end of an object or list expected"),
                }
                if depth == 0 {
                    return Ok(());
                }
                self.blank();
            }
        }
    }

    fn member_name(&mut self) -> Result<(), JsonError> {
        self.string()?;
        self.blank();
        if self.next() != Some(b':') {
            return self.fail("`:` expected");
        }
        self.blank();
        Ok(())
    }
}
