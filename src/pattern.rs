//! Regular expressions of the configuration, with the place of what is wrong in them.
//!
//! In: a pattern in the syntax of the `regex` crate. Out: a compiled one over bytes.
//! Promises: matching takes time linear in the text, whatever the pattern.
//! On failure: a [`TextError`] whose span is the faulty part of the pattern.

use regex::bytes::{Regex, RegexBuilder};

use crate::settings::TextError;

/// How a pattern is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Upper and lower case are the same (`i`).
    pub ignore_case: bool,
    /// A dot matches a line feed, too (`s`).
    pub dot_all: bool,
    /// `^` and `$` match at every line (`m`).
    pub multi_line: bool,
}

/// Compiles a pattern.
///
/// # Errors
/// What is not a pattern, or needs look-around or back-references, or is too large.
pub fn compile(pattern: &str, flags: Flags) -> Result<Regex, TextError> {
    check_syntax(pattern)?;
    let mut builder = RegexBuilder::new(pattern);
    builder
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(flags.dot_all)
        .multi_line(flags.multi_line);
    builder.build().map_err(|error| {
        let why = error.to_string();
        let message = format!("the pattern cannot be compiled: {}", why.trim_end_matches('.'));
        TextError::new(0..pattern.len(), message).hint("make the counts of its repetitions smaller")
    })
}

fn check_syntax(pattern: &str) -> Result<(), TextError> {
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern);
    let Err(error) = parsed else { return Ok(()) };
    let (span, kind) = match &error {
        regex_syntax::Error::Parse(error) => (*error.span(), error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (*error.span(), error.kind().to_string()),
        other => return Err(TextError::new(0..pattern.len(), other.to_string())),
    };
    let mut place = span.start.offset..span.end.offset.max(span.start.offset);
    if place.is_empty() {
        let next = pattern[place.start..].chars().next().map_or(0, char::len_utf8);
        place.end += next;
    }
    let error = TextError::new(place, format!("not a regular expression: {kind}"));
    Err(if kind.contains("look-around") || kind.contains("backreference") {
        error.hint("patterns here run in linear time; write it without look-around or \\1")
    } else {
        error
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_points_at_the_faulty_part() {
        let error = compile("ab(?=c)", Flags::default()).unwrap_err();
        assert_eq!(error.span, 2..5);
        assert!(error.hint.is_some());
        let error = compile("a[z-b]", Flags::default()).unwrap_err();
        assert_eq!(error.span, 2..5);
    }
}
