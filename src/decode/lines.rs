//! A chunk's text, cut at line feeds and made valid UTF-8.
//!
//! In: bytes. Out: lines as spans of the batch's text. Promises: a line's text is valid UTF-8; bytes that are not are
//! written as `\xHH`, and in such a line a literal `\x` before two hexadecimal digits has its backslash written as
//! `\x5C`, so that the original bytes can be got back. `\r\n` ends a line as `\n` does.
//! On failure: nothing can fail; a repaired line is marked.

use super::{Line, Marks, Place};
use crate::event::{Batch, Span};

/// Walks over the lines of a batch's text as it was when this was made.
pub(super) struct Lines {
    from: usize,
    at: usize,
    end: usize,
    place: Place,
    valid: bool,
}

impl Lines {
    pub(super) fn new(batch: &Batch, place: Place) -> Self {
        let from = batch.input_from();
        let valid = simdutf8::basic::from_utf8(&batch.text[from..]).is_ok();
        Lines { from, at: from, end: batch.text.len(), place, valid }
    }

    /// The next line; a repaired one is appended to the batch's text.
    #[inline]
    pub(super) fn next(&mut self, batch: &mut Batch) -> Option<Line> {
        if self.at >= self.end {
            return None;
        }
        let rest = &batch.text[self.at..self.end];
        let (length, next) = match memchr::memchr(b'\n', rest) {
            Some(feed) => (feed - usize::from(feed > 0 && rest[feed - 1] == b'\r'), feed + 1),
            None => (rest.len(), rest.len()),
        };
        let mut span = Span::new(self.at, self.at + length);
        let mut marks = Marks::SPLIT.when(self.place.piece);
        let offset = self.place.offset + (self.at - self.from) as u64;
        self.at += next;
        if !self.valid && std::str::from_utf8(batch.bytes(span)).is_err() {
            span = repair(batch, span);
            marks = marks.and(Marks::INVALID_UTF8);
        }
        Some(Line { span, offset, last: offset, time_ns: self.place.received_ns, marks })
    }
}

fn repair(batch: &mut Batch, span: Span) -> Span {
    let mut out = Vec::with_capacity(span.len as usize + 32);
    for part in batch.bytes(span).utf8_chunks() {
        let mut valid = part.valid();
        while let Some(at) = ambiguous(valid) {
            out.extend_from_slice(&valid.as_bytes()[..at]);
            out.extend_from_slice(b"\\x5C");
            valid = &valid[at + 1..];
        }
        out.extend_from_slice(valid.as_bytes());
        for byte in part.invalid() {
            out.extend_from_slice(format!("\\x{byte:02X}").as_bytes());
        }
    }
    batch.push_text(&out)
}

/// Where the text holds what a repaired byte looks like.
fn ambiguous(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, b"\\x").find(|at| {
        bytes.get(at + 2..at + 4).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    })
}
