//! Raw JSON without secrets.
//!
//! In: JSON that was accepted before. Out: the same JSON with texts, numbers and the values of
//! named members replaced, and what is a secret in the name of a member. Promises: what comes out is JSON, and two
//! names that became the same are told apart by a number; what holds no secret is copied as it was read.

use std::borrow::Cow;

use super::rules::{Rules, Work};
use crate::event::{decode_escapes, write_string};

/// Writes the JSON without secrets; `false` when it holds none and nothing was written. `marked`: what
/// [`Rules::marked`] says of it.
pub(super) fn redact(
    rules: &Rules,
    (raw, marked): (&[u8], bool),
    work: &mut Work,
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> bool {
    // Without escapes every text in it stands there as it is, and one search tells.
    if !rules.may_be_in(raw, marked) && memchr::memchr(b'\\', raw).is_none() {
        return false;
    }
    let mut walk =
        Walk { rules, raw, at: 0, copied: 0, changed: false, renamed: 0, work, plain, out };
    walk.run();
    walk.changed
}

struct Walk<'a> {
    rules: &'a Rules,
    raw: &'a [u8],
    at: usize,
    /// Bytes before this one are written.
    copied: usize,
    changed: bool,
    /// Names that held a secret.
    renamed: usize,
    work: &'a mut Work,
    plain: &'a mut Vec<u8>,
    out: &'a mut Vec<u8>,
}

impl Walk<'_> {
    fn run(&mut self) {
        while let Some(byte) = self.raw.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'-' | b'0'..=b'9' => self.number(),
                _ => self.at += 1,
            }
        }
        if self.changed {
            self.out.extend_from_slice(&self.raw[self.copied..]);
        }
    }

    /// A text, or a member's name with its value where the name is one of a secret.
    fn string(&mut self) {
        let start = self.at;
        let inside = &self.raw[start + 1..string_end(self.raw, start) - 1];
        self.at = start + inside.len() + 2;
        self.plain.clear();
        decode_escapes(inside, self.plain);
        let next = skip_blanks(self.raw, self.at);
        if self.raw.get(next) != Some(&b':') {
            self.text(start);
            return;
        }
        let named = self.rules.names(self.plain);
        self.name(start);
        self.at = skip_blanks(self.raw, next + 1);
        if named && !self.raw[self.at..].starts_with(b"null") {
            let from = self.at;
            self.at = value_end(self.raw, from);
            let mut new = Vec::new();
            self.rules.replacement.write(&written(&self.raw[from..self.at]), &mut new);
            self.replace(from, &new);
        }
    }

    /// A member's name, which stays unless it is a secret itself.
    fn name(&mut self, start: usize) {
        let mut new = Vec::new();
        if self.rules.redact(self.plain, self.rules.marked(self.plain), self.work, &mut new) {
            self.renamed += 1;
            number_name(&mut new, self.renamed);
            self.replace(start, &new);
        }
    }

    fn text(&mut self, start: usize) {
        let mut new = Vec::new();
        if self.rules.redact(self.plain, self.rules.marked(self.plain), self.work, &mut new) {
            self.replace(start, &new);
        }
    }

    fn number(&mut self) {
        let start = self.at;
        let of_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        self.at += self.raw[start..].iter().take_while(|b| of_number(b)).count();
        let mut new = Vec::new();
        let text = &self.raw[start..self.at];
        if self.rules.redact(text, self.rules.marked(text), self.work, &mut new) {
            self.replace(start, &new);
        }
    }

    /// Writes a text in the place of what was read since `start`.
    fn replace(&mut self, start: usize, text: &[u8]) {
        self.out.extend_from_slice(&self.raw[self.copied..start]);
        write_string(text, self.out);
        self.copied = self.at;
        self.changed = true;
    }
}

/// Tells the n-th name that lost a secret from those before it, which may have become the same.
pub(super) fn number_name(name: &mut Vec<u8>, n: usize) {
    if n > 1 {
        name.extend_from_slice(format!("_{n}").as_bytes());
    }
}

/// A value of JSON as it is digested: a text without quotes and escapes, anything else as it is written.
fn written(value: &[u8]) -> Cow<'_, [u8]> {
    match value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
        Some(inside) => {
            let mut plain = Vec::new();
            decode_escapes(inside, &mut plain);
            plain.into()
        }
        None => value.into(),
    }
}

fn skip_blanks(raw: &[u8], from: usize) -> usize {
    from + raw[from..].iter().take_while(|b| b.is_ascii_whitespace()).count()
}

/// Behind the closing quote of the string that begins at `start`.
fn string_end(raw: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &raw[at.min(raw.len())..]) {
        at += found;
        if raw[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    raw.len()
}

/// Behind the value that begins at `start`.
fn value_end(raw: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = raw.get(at) {
        match byte {
            b'"' => {
                at = string_end(raw, at);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b if depth == 0 && b.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    raw.len()
}
