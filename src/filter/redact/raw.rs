//! Raw JSON without secrets.
//!
//! In: JSON that was accepted before. Out: the same JSON with texts, numbers and the values of
//! named members replaced. Promises: what comes out is JSON; names of members stay; what holds no
//! secret is copied as it was read.

use super::rules::{Rules, Work};
use crate::event::{decode_escapes, write_string};

/// Writes the JSON without secrets; `false` when it holds none and nothing was written.
pub(super) fn redact(
    rules: &Rules,
    raw: &[u8],
    work: &mut Work,
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> bool {
    // Without escapes every text in it stands there as it is, and one search tells.
    if memchr::memchr(b'\\', raw).is_none() && !rules.may_be_in(raw) {
        return false;
    }
    let mut walk = Walk { rules, raw, at: 0, copied: 0, changed: false, work, plain, out };
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
        self.at = skip_blanks(self.raw, next + 1);
        if self.rules.names(self.plain) && !self.raw[self.at..].starts_with(b"null") {
            let from = self.at;
            self.at = value_end(self.raw, from);
            self.replace(from, None);
        }
    }

    fn text(&mut self, start: usize) {
        let mut new = Vec::new();
        if self.rules.redact(self.plain, self.work, &mut new) {
            self.replace(start, Some(&new));
        }
    }

    fn number(&mut self) {
        let start = self.at;
        let of_number = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        self.at += self.raw[start..].iter().take_while(|b| of_number(b)).count();
        let mut new = Vec::new();
        if self.rules.redact(&self.raw[start..self.at], self.work, &mut new) {
            self.replace(start, Some(&new));
        }
    }

    /// Writes a text (`None`: the replacement alone) in the place of what was read since `start`.
    fn replace(&mut self, start: usize, text: Option<&[u8]>) {
        self.out.extend_from_slice(&self.raw[self.copied..start]);
        write_string(text.unwrap_or(self.rules.replacement.as_bytes()), self.out);
        self.copied = self.at;
        self.changed = true;
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
