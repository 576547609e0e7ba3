//! One place in JSON text (RFC 8259), moved forward token by token.
//!
//! In: UTF-8 text. Out: spans of it. Promises: see [`super::json`]; nothing is copied. On failure: [`JsonError`] with
//! the byte and the reason.

use super::json::JsonError;
use super::marks::Marks;
use super::{Field, Key, Keys, Span, Value};
use crate::limits::JSON_DEPTH_MAX;

/// A place in a text.
pub(super) struct Scanner<'a, F = Bytewise> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// An escaped key or a line feed between values was seen: the fields are not yet as events hold them.
    pub(super) odd: bool,
    find: F,
}

/// Finds what ends the plain part of a string.
pub(super) trait FindSpecial {
    /// The next quote, backslash or control character of the text.
    fn next(&self, text: &[u8], from: usize) -> Option<usize>;
}

/// Looks at the text itself.
pub(super) struct Bytewise;

impl FindSpecial for Bytewise {
    #[inline]
    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        next_special(text, from)
    }
}

impl FindSpecial for &Marks {
    #[inline]
    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        Marks::next(self, from).filter(|at| *at < text.len())
    }
}

impl<'a> Scanner<'a> {
    /// At `skip` bytes after the start of `span`, which is all that it sees.
    pub(super) fn new(text: &'a [u8], span: Span, skip: usize) -> Self {
        let at = span.start as usize + skip;
        Scanner { text: &text[..span.end()], at, odd: false, find: Bytewise }
    }
}

impl<'a> Scanner<'a, &'a Marks> {
    /// At `at` of a text whose marks are known.
    pub(super) fn marked(text: &'a [u8], at: usize, marks: &'a Marks) -> Self {
        Scanner { text, at, odd: false, find: marks }
    }
}

impl<F: FindSpecial> Scanner<'_, F> {
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn fail<T>(&self, message: &'static str) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, message })
    }

    #[inline]
    pub(super) fn blank(&mut self) {
        while let Some(byte @ (b' ' | b'\n' | b'\r' | b'\t')) = self.peek() {
            self.odd |= byte == b'\n' || byte == b'\r';
            self.at += 1;
        }
    }

    pub(super) fn nothing_left(&mut self) -> Result<(), JsonError> {
        self.blank();
        if self.at == self.text.len() {
            Ok(())
        } else {
            self.fail("text after the end of the object")
        }
    }

    pub(super) fn object(&mut self, keys: &Keys, out: &mut Vec<Field>) -> Result<(), JsonError> {
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
    pub(super) fn string(&mut self) -> Result<(Span, bool), JsonError> {
        if self.peek() != Some(b'"') {
            return self.fail("`\"` expected");
        }
        let start = self.at + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            let Some(special) = self.find.next(self.text, at) else {
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
    pub(super) fn value(&mut self) -> Result<Value, JsonError> {
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

/// The next quote, backslash or control character, eight bytes at a time.
/// Bit tricks after "Determine if a word has a byte less than n" in Anderson, Bit Twiddling Hacks.
#[inline]
pub(super) fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
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
