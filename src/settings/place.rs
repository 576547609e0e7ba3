//! Places within a text of the configuration: a byte of a value back to a byte of the file.
//!
//! In: a value, the span it was read from, a byte range of the value. Out: a byte range of the file.
//! Promises: exact for TOML's basic and literal strings, also with escapes.
//! On failure: where the value is not what is written (variables were put in), the whole value.

use std::ops::Range;

use super::{Section, Spanned};
use crate::diagnostic::Diagnostic;

/// Why a text of the configuration is not what it should be, with the place within that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl TextError {
    /// An error without a hint.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        TextError { span, message: message.into(), hint: None }
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Section<'_> {
    /// Reports what is wrong within a value, the caret under the very bytes where that is possible.
    pub fn error_within(&self, value: &Spanned<String>, error: TextError) {
        let span = self.place_within(value, &error.span);
        self.report(Diagnostic::error(error.message).maybe_hint(error.hint), span);
    }

    /// As [`Section::error_within`], for what is allowed but hardly meant.
    pub fn warning_within(&self, value: &Spanned<String>, doubt: TextError) {
        let span = self.place_within(value, &doubt.span);
        self.report(Diagnostic::warning(doubt.message).maybe_hint(doubt.hint), span);
    }

    /// Bytes of the file for bytes of a value.
    pub fn place_within(&self, value: &Spanned<String>, part: &Range<usize>) -> Range<usize> {
        let raw = self.source().text.get(value.span.clone()).unwrap_or("");
        match (offset(raw, &value.value, part.start), offset(raw, &value.value, part.end)) {
            (Some(from), Some(to)) => value.span.start + from..value.span.start + to,
            _ => value.span.clone(),
        }
    }
}

/// The byte of the raw TOML string `raw` at which byte `at` of its value stands.
fn offset(raw: &str, value: &str, at: usize) -> Option<usize> {
    let delimiters = ["\"\"\"", "'''", "\"", "'"];
    let (mark, inner) = delimiters
        .iter()
        .find_map(|mark| Some((*mark, raw.strip_prefix(mark)?.strip_suffix(mark)?)))?;
    let mut start = mark.len();
    let mut inner = inner;
    if mark.len() == 3 {
        let trimmed = inner.strip_prefix("\r\n").or(inner.strip_prefix('\n')).unwrap_or(inner);
        start += inner.len() - trimmed.len();
        inner = trimmed;
    }
    if inner == value {
        return (at <= inner.len()).then_some(start + at);
    }
    if mark.starts_with('\'') {
        return None;
    }
    Some(start + offset_escaped(inner, value, at)?)
}

/// As [`offset`] for the inside of a basic string that holds escapes.
fn offset_escaped(inner: &str, value: &str, at: usize) -> Option<usize> {
    let (mut from, mut made) = (0, 0);
    let mut found = (at == 0).then_some(0);
    while from < inner.len() {
        let rest = &inner[from..];
        let first = rest.chars().next()?;
        let (read, written) = match first {
            '\\' => match rest[1..].chars().next()? {
                'u' => (6, character_length(rest.get(2..6)?)?),
                'U' => (10, character_length(rest.get(2..10)?)?),
                'b' | 't' | 'n' | 'f' | 'r' | 'e' | '"' | '\\' => (2, 1),
                _ => return None,
            },
            other => (other.len_utf8(), other.len_utf8()),
        };
        from += read;
        made += written;
        if made >= at && found.is_none() {
            found = Some(from);
        }
    }
    // Where the lengths differ, the value is not the text that is written here.
    found.filter(|_| made == value.len())
}

fn character_length(hex: &str) -> Option<usize> {
    Some(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::offset;

    #[test]
    fn a_byte_of_a_value_is_found_in_every_kind_of_string() {
        assert_eq!(offset("'a == b'", "a == b", 2), Some(3));
        assert_eq!(offset("\"a == b\"", "a == b", 6), Some(7));
        assert_eq!(offset("'''\na == b'''", "a == b", 2), Some(6));
        assert_eq!(offset(r#""a == \"b\" or""#, "a == \"b\" or", 9), Some(12));
        assert_eq!(offset(r#""é\u00e9x""#, "ééx", 4), Some(9));
    }

    #[test]
    fn a_value_that_is_not_what_is_written_has_no_inner_places() {
        assert_eq!(offset("'${NAME} == 1'", "x == 1", 2), None);
        assert_eq!(offset("\"${NAME}\\n\"", "x\n", 1), None);
    }
}
