//! Whether a pattern matches somewhere in a text, by the cheapest means.
//!
//! Is: what most patterns of conditions ask for, told from their syntax: a literal text, perhaps with a byte of some
//! kind behind it (`request_id=[a-z0-9]+`), or what stands at both ends of a line (`^\{.*\}$`). In: a pattern and
//! its compiled form. Out: yes or no for a text, which is valid UTF-8. Promises: the answer of the compiled pattern;
//! linear time, nothing allocated; a clone has buffers of its own, so that threads do not wait for one another.
//! On failure: what is not recognised is asked of the compiled pattern.

use regex::bytes::Regex;
use regex_syntax::hir::{Class, Dot, Hir, HirKind, Look};

use super::needle::Needle;
use crate::pattern::Flags;

/// A pattern to be looked for.
#[derive(Clone, Debug)]
pub(super) enum Search {
    /// The text stands somewhere; with `next`, one of these bytes stands behind it.
    Literal { text: Box<Needle>, next: Option<Box<[bool; 256]>> },
    /// The whole is one line that begins and ends so.
    Line { begin: Box<[u8]>, end: Box<[u8]> },
    /// Anything else.
    Pattern(Regex),
}

impl Search {
    /// The cheapest search for a pattern that was compiled with these flags.
    pub(super) fn new(pattern: &str, flags: Flags, compiled: Regex) -> Search {
        recognise(pattern, flags).unwrap_or(Search::Pattern(compiled))
    }

    /// Whether it matches.
    pub(super) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Search::Literal { text: literal, next: None } => literal.find(text).is_some(),
            Search::Literal { text: literal, next: Some(next) } => {
                let mut rest = text;
                // An occurrence may begin within another one: the search goes on one byte later.
                while let Some(at) = literal.find(rest) {
                    let behind = rest.get(at + literal.text().len());
                    if behind.is_some_and(|byte| next[usize::from(*byte)]) {
                        return true;
                    }
                    rest = &rest[at + 1..];
                }
                false
            }
            Search::Line { begin, end } => {
                text.len() >= begin.len() + end.len()
                    && text.starts_with(begin)
                    && text.ends_with(end)
                    && memchr::memchr(b'\n', text).is_none()
            }
            Search::Pattern(pattern) => pattern.is_match(text),
        }
    }
}

/// What the pattern asks for, if it is one of the simple kinds.
fn recognise(pattern: &str, flags: Flags) -> Option<Search> {
    let mut parser = regex_syntax::ParserBuilder::new();
    parser
        .utf8(false)
        .case_insensitive(flags.ignore_case)
        .dot_matches_new_line(flags.dot_all)
        .multi_line(flags.multi_line);
    let syntax = parser.build().parse(pattern).ok()?;
    let mut parts = Vec::new();
    flatten(&syntax, &mut parts);
    line(&parts).or_else(|| literal(&parts))
}

/// The parts in a row, groups opened.
fn flatten<'a>(syntax: &'a Hir, into: &mut Vec<&'a Hir>) {
    match syntax.kind() {
        HirKind::Concat(parts) => parts.iter().for_each(|part| flatten(part, into)),
        HirKind::Capture(group) => flatten(&group.sub, into),
        HirKind::Empty => {}
        _ => into.push(syntax),
    }
}

/// `abc`, `abc[d-f]`, `abc[d-f]+`, `abc[d-f]*`.
fn literal(parts: &[&Hir]) -> Option<Search> {
    let mut text = Vec::new();
    let mut next = None;
    for (number, part) in parts.iter().enumerate() {
        match part.kind() {
            HirKind::Literal(more) => text.extend_from_slice(&more.0),
            _ if number + 1 == parts.len() => next = last(part)?,
            _ => return None,
        }
    }
    let text = Box::new(Needle::new(&text));
    (!text.text().is_empty()).then_some(Search::Literal { text, next })
}

/// What a last part asks of the byte in its place, if that is all it asks; `Some(None)`: nothing.
#[expect(clippy::option_option, reason = "whether it is known, and whether there is anything")]
fn last(part: &Hir) -> Option<Option<Box<[bool; 256]>>> {
    let mut parts = Vec::new();
    match part.kind() {
        HirKind::Class(class) => bytes(class).map(Some),
        HirKind::Repetition(repeated) => {
            flatten(&repeated.sub, &mut parts);
            match (repeated.min, &parts[..]) {
                (0, _) => Some(None),
                (1, [one]) if matches!(one.kind(), HirKind::Class(_)) => last(one),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A class of which every character is one byte.
fn bytes(class: &Class) -> Option<Box<[bool; 256]>> {
    let mut set = Box::new([false; 256]);
    let mut add = |from: u8, to: u8| (from..=to).for_each(|byte| set[usize::from(byte)] = true);
    match class {
        Class::Bytes(class) => class.iter().for_each(|range| add(range.start(), range.end())),
        Class::Unicode(class) => {
            for range in class.iter() {
                let ascii = |c: char| u8::try_from(c).ok().filter(u8::is_ascii);
                add(ascii(range.start())?, ascii(range.end())?);
            }
        }
    }
    Some(set)
}

/// `^begin.*end$`.
fn line(parts: &[&Hir]) -> Option<Search> {
    let [first, begin, middle, end, last] = parts else { return None };
    let look = |part: &Hir, wanted| matches!(part.kind(), HirKind::Look(look) if *look == wanted);
    let HirKind::Repetition(middle) = middle.kind() else { return None };
    let any =
        middle.min == 0 && middle.max.is_none() && *middle.sub == Hir::dot(Dot::AnyCharExceptLF);
    if !look(first, Look::Start) || !look(last, Look::End) || !any {
        return None;
    }
    // Cut at ASCII, valid UTF-8 stays valid, and a dot takes every character of it.
    let plain = |part: &Hir| match part.kind() {
        HirKind::Literal(text) if text.0.is_ascii() && !text.0.contains(&b'\n') => {
            Some(text.0.clone())
        }
        _ => None,
    };
    Some(Search::Line { begin: plain(begin)?, end: plain(end)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::compile;

    fn search(pattern: &str, flags: Flags) -> Search {
        Search::new(pattern, flags, compile(pattern, flags).unwrap())
    }

    #[test]
    fn simple_patterns_need_no_regular_expression() {
        let simple = [
            "request_id=([a-zA-Z0-9-]+)",
            "user_id=[0-9]",
            "tool=(?P<t>[a-z_])*",
            "plain",
            r"^\{.*\}$",
            "ü=[a-z]+",
        ];
        for pattern in simple {
            let search = search(pattern, Flags::default());
            assert!(!matches!(search, Search::Pattern(_)), "{pattern}");
        }
        for pattern in
            ["a|b", "a=[ä-ü]+", "^a", r"\d+", "[a-z]+=", "a{2}b?", "^(?s)a.*b$", "", "a[b]{2,}"]
        {
            let search = search(pattern, Flags::default());
            assert!(matches!(search, Search::Pattern(_)), "{pattern}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn a_search_answers_as_the_pattern_does(
            pattern in "\\^?[abä]{0,3}(\\(?(\\[[ab]\\]|\\[ab-ü\\]|\\.|a)?\\)?[+*?]?)[ab]?\\$?",
            text in "[abäü\n]{0,8}",
            ignore_case: bool,
            dot_all: bool,
            multi_line: bool,
        ) {
            let flags = Flags { ignore_case, dot_all, multi_line };
            let Ok(compiled) = compile(&pattern, flags) else { return Ok(()) };
            let search = Search::new(&pattern, flags, compiled.clone());
            prop_assert_eq!(
                search.is_match(text.as_bytes()),
                compiled.is_match(text.as_bytes()),
                "{} in {:?}: {:?}", pattern, text, search
            );
        }
    }
}
