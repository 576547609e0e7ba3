//! How far a value reaches that stands behind a name in a text.
//!
//! In: the text and where the name and its sign are. Out: the value's bytes.
//! Promises: where a value's end cannot be told, more goes rather than less: a quote or a bracket
//! that is never closed takes the rest of the text.

use std::ops::Range;

use super::ranges::Secret;

/// A name and its sign, such as `"password":`.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// The name's bytes, up to the sign.
    pub(super) name: Range<usize>,
    /// The quote that closes the name, with its escapes; empty: none.
    pub(super) quote: Range<usize>,
    /// `=`, `:`, `=>`, `%3D`, …
    pub(super) sign: Range<usize>,
}

/// Words before a secret in a header's value.
const SCHEMES: &[&[u8]] =
    &[b"bearer", b"basic", b"token", b"negotiate", b"apikey", b"digest", b"aws4-hmac-sha256"];

/// The value behind an opening; `None` when there is none.
pub(super) fn extent(text: &[u8], opening: &Opening) -> Option<Secret> {
    let named_in_quotes = !opening.quote.is_empty();
    let start = skip_blanks(text, opening.sign.end, named_in_quotes);
    if start >= text.len() {
        return None;
    }
    if let Some(quote) = quote_at(text, start) {
        let inside = start + quote;
        let end = closing(text, inside, &text[start..inside]);
        return (end > inside).then(|| Secret::plain(inside..end));
    }
    if matches!(text[start], b'{' | b'[') {
        let span = start..bracket_end(text, start);
        return Some(Secret { span, quote: opening.quote.clone() });
    }
    if named_in_quotes && text[opening.sign.start] != b'=' {
        let span = start..json_word_end(text, start);
        let null = &text[span.clone()] == b"null";
        return (!span.is_empty() && !null).then(|| Secret { span, quote: opening.quote.clone() });
    }
    let end = bare_end(text, start, opening);
    (end > start).then(|| Secret::plain(start..end))
}

fn skip_blanks(text: &[u8], from: usize, lines: bool) -> usize {
    let blank = |b: &u8| matches!(b, b' ' | b'\t') || (lines && matches!(b, b'\n' | b'\r'));
    from + text[from..].iter().take_while(|b| blank(b)).count()
}

/// The length of a quote here, escaped or encoded as it may be.
fn quote_at(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let escapes = rest.iter().take_while(|b| **b == b'\\').count();
    if matches!(rest.get(escapes), Some(b'"' | b'\'')) {
        return Some(escapes + 1);
    }
    let encoded = rest.strip_prefix(b"%")?;
    let again = encoded.chunks_exact(2).take_while(|pair| *pair == b"25").count() * 2;
    matches!(encoded.get(again..again + 2), Some(b"22" | b"27")).then_some(again + 3)
}

/// Where the quote is closed: the same quote, not escaped further; else the end of the text.
fn closing(text: &[u8], from: usize, quote: &[u8]) -> usize {
    let Some((sign, escapes)) = quote.split_last() else { return text.len() };
    let mut at = from;
    while let Some(found) = memchr::memchr(*sign, &text[at..]) {
        let here = at + found;
        if escapes.first() == Some(&b'%') {
            if text[from..=here].ends_with(quote) {
                return here + 1 - quote.len();
            }
        } else {
            let before = text[from..here].iter().rev().take_while(|b| **b == b'\\').count();
            // In a text that is escaped n times, a quote within the value has more escapes than the
            // quotes around it; without escapes an even number of backslashes escapes itself.
            let closes = if escapes.is_empty() { before % 2 == 0 } else { before <= escapes.len() };
            if closes {
                return here - before.min(escapes.len());
            }
        }
        at = here + 1;
    }
    text.len()
}

/// Behind the bracket that closes the one here; the end of the text when there is none.
fn bracket_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < text.len() {
        match text[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' | b'\\' => {
                if let Some(quote) = quote_at(text, at) {
                    let end = closing(text, at + quote, &text[at..at + quote]);
                    at = (end + quote).min(text.len());
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The end of a number or word of JSON, also where the JSON is URL-encoded.
fn json_word_end(text: &[u8], start: usize) -> usize {
    let rest = &text[start..];
    let ends = |at: usize| {
        let here = &rest[at..];
        matches!(here[0], b',' | b'}' | b']' | b'&' | b'"' | b'\'' | b'\\')
            || here[0].is_ascii_whitespace()
            || starts_encoded(here, &[b"2c", b"7d", b"5d", b"26"])
    };
    start + (0..rest.len()).find(|at| ends(*at)).unwrap_or(rest.len())
}

/// The end of a value without quotes: `[^&\s]+`, and in a header's value what belongs to it.
fn bare_end(text: &[u8], start: usize, opening: &Opening) -> usize {
    let encoded = text[opening.sign.start] == b'%';
    let mut end = word_end(text, start, encoded);
    let word = &text[start..end];
    if SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        let many = word.len() == 6 && word.eq_ignore_ascii_case(b"digest") || word.len() > 12;
        let next = skip_blanks(text, end, false);
        end = if many { line_end(text, end) } else { word_end(text, next, encoded) };
    }
    let name = &text[opening.name.clone()];
    let cookie = name.len() >= 6 && name.windows(6).any(|w| w.eq_ignore_ascii_case(b"cookie"));
    if cookie && text[opening.sign.start] == b':' {
        end = line_end(text, end);
    }
    if text[opening.sign.start] == b':' {
        // What closes a list or a sentence stays; a value of nothing else goes as a whole.
        let closing = |b: &u8| matches!(b, b',' | b';' | b')' | b'}' | b']');
        let kept = text[start..end].iter().rev().take_while(|b| closing(b)).count();
        if kept < end - start {
            end -= kept;
        }
    }
    end
}

fn word_end(text: &[u8], start: usize, encoded: bool) -> usize {
    let rest = &text[start..];
    let ends = |at: usize| {
        let here = &rest[at..];
        here[0] == b'&'
            || here[0].is_ascii_whitespace()
            || (encoded && starts_encoded(here, &[b"26"]))
    };
    start + (0..rest.len()).find(|at| ends(*at)).unwrap_or(rest.len())
}

fn line_end(text: &[u8], from: usize) -> usize {
    memchr::memchr2(b'\n', b'\r', &text[from..]).map_or(text.len(), |n| from + n)
}

/// Whether one of these bytes stands here URL-encoded, also several times.
fn starts_encoded(text: &[u8], codes: &[&[u8; 2]]) -> bool {
    let Some(rest) = text.strip_prefix(b"%") else { return false };
    let again = rest.chunks_exact(2).take_while(|pair| *pair == b"25").count() * 2;
    rest.get(again..again + 2)
        .is_some_and(|code| codes.iter().any(|known| code.eq_ignore_ascii_case(*known)))
}
