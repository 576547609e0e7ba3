//! Ruby's regular expressions in settings, and what is replaced by them.
//!
//! In: a text of the configuration. Out: a compiled expression; texts with every match replaced.
//! Promises: a replacement means what it means in Ruby's `gsub`: `\1`, `\0`, `\&`, `\k<name>`, `\\`.
//! On failure: at load, the place of what is wrong; a text that takes too long ends with [`TooLong`].

use crate::grok::{Expression, ExpressionScratch, GrokError, Search};
use crate::settings::{Section, Spanned, TextError};

/// A search that took too long.
#[derive(Debug)]
pub(super) struct TooLong;

/// Compiles an expression of a setting; what is wrong is reported with its place.
pub(super) fn load_expression(section: &Section<'_>, text: &Spanned<String>) -> Option<Expression> {
    match Expression::compile(text) {
        Ok(expression) => Some(expression),
        Err(error) => {
            section.error_within(text, text_error(text, &error));
            None
        }
    }
}

/// Compiles an expression that is made of a setting's text; a problem is reported at the setting.
pub(super) fn load_made(
    section: &Section<'_>,
    text: &Spanned<String>,
    made: &str,
) -> Option<Expression> {
    match Expression::compile(made) {
        Ok(expression) => Some(expression),
        Err(error) => {
            let hint = "these characters stand in a class of a regular expression: \\[ and \\] \
                        for brackets, \\\\ for a backslash";
            let message = format!("`{}` cannot be used here: {}", text.value, error.message());
            section.error(text.span.clone(), message, Some(hint.into()));
            None
        }
    }
}

fn text_error(text: &str, error: &GrokError) -> TextError {
    let at = error.offset.min(text.len());
    let place = TextError::new(at..text.len(), error.message());
    TextError { hint: error.hint.clone(), ..place }
}

/// Writes a text with every match replaced. `false`: nothing matches, and nothing was written.
pub(super) fn replace_all(
    expression: &Expression,
    scratch: &mut ExpressionScratch,
    text: &[u8],
    replacement: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, TooLong> {
    let (mut copied, mut from, mut any) = (0, 0, false);
    while from <= text.len() {
        let (start, end) = match expression.find_at(scratch, text, from) {
            Search::Found(start, end) => (start, end),
            Search::Nowhere => break,
            Search::Limit => return Err(TooLong),
        };
        any = true;
        out.extend_from_slice(&text[copied..start]);
        expand(expression, scratch, text, start..end, replacement, out);
        copied = end;
        // An empty match is not found again: the search goes on one character further.
        from = if start == end { end + character(text, end) } else { end };
    }
    if any {
        out.extend_from_slice(&text[copied..]);
    }
    Ok(any)
}

fn character(text: &[u8], at: usize) -> usize {
    let follows = |b: &&u8| **b & 0xC0 == 0x80;
    1 + text.get(at + 1..).map_or(0, |rest| rest.iter().take_while(follows).count())
}

/// Writes a replacement for one match.
fn expand(
    expression: &Expression,
    scratch: &ExpressionScratch,
    text: &[u8],
    whole: std::ops::Range<usize>,
    replacement: &[u8],
    out: &mut Vec<u8>,
) {
    let mut rest = replacement;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let group = |number| expression.group(scratch, number).map(|range| &text[range]);
        let (written, length) = match rest.get(at + 1) {
            Some(b'\\') => (Some(&b"\\"[..]), 2),
            Some(b'0' | b'&') => (Some(&text[whole.clone()]), 2),
            Some(digit @ b'1'..=b'9') => (group(usize::from(digit - b'0')), 2),
            Some(b'k') => match named(&rest[at..]) {
                Some((name, length)) => (expression.group_named(name).and_then(group), length),
                None => (Some(&rest[at..at + 2]), 2),
            },
            Some(_) => (Some(&rest[at..at + 2]), 2),
            None => (Some(&b"\\"[..]), 1),
        };
        out.extend_from_slice(written.unwrap_or_default());
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
}

/// `\k<name>`: the name and the whole length.
fn named(text: &[u8]) -> Option<(&str, usize)> {
    let inner = text.strip_prefix(b"\\k<")?;
    let end = memchr::memchr(b'>', inner)?;
    Some((std::str::from_utf8(&inner[..end]).ok()?, end + 4))
}

#[cfg(test)]
mod tests {
    use super::{Expression, ExpressionScratch, replace_all};

    fn replaced(pattern: &str, replacement: &str, text: &str) -> String {
        let expression = Expression::compile(pattern).unwrap();
        let mut out = Vec::new();
        let scratch = &mut ExpressionScratch::default();
        let (text, by) = (text.as_bytes(), replacement.as_bytes());
        replace_all(&expression, scratch, text, by, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replacements_mean_what_they_mean_in_ruby() {
        assert_eq!(replaced(r"(\w+)@(\w+)", r"\2 at \1", "a@b c@d"), "b at a d at c");
        assert_eq!(replaced(r"(?<n>\d)", r"<\k<n>\0\&>", "a1"), "a<111>");
        assert_eq!(replaced("/", r"\\", "a/b"), r"a\b");
        assert_eq!(replaced("x*", "-", "axb"), "-a--b-");
        assert_eq!(replaced("(?<=a)b(?!c)", "x", "abc ab"), "abc ax");
        assert_eq!(replaced("é", "$1", "é"), "$1");
    }
}
