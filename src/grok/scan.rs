//! Looks for the first place of a text where a program matches.
//!
//! In: a program and a text. Out: where the match is; the captures are in the memory's slots.
//! Promises: the leftmost match; a text that lacks what every match has costs one search for it.
//! On failure: [`Found::Limit`] when it took too long to tell.

use super::backtrack::{Machine, Memory, Verdict};
use super::program::{Anchor, Program};
use super::text;

/// What came of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The match, from and to.
    At(usize, usize),
    /// There is none.
    Nowhere,
    /// It took too long to tell.
    Limit,
}

/// Looks for the first match.
pub fn scan(program: &Program, text: &[u8], memory: &mut Memory) -> Found {
    if u32::try_from(text.len()).map_or(true, |len| len == u32::MAX) {
        return Found::Limit;
    }
    let mut machine = Machine::new(program, text, memory);
    let mut from = 0;
    let mut first = true;
    while let Some(at) = candidate(program, text, from) {
        match machine.attempt(at) {
            Verdict::Match(end) => return Found::At(at, end),
            Verdict::Limit => return Found::Limit,
            Verdict::Fail => {}
        }
        // Most lines match at the first attempt, so only a failure is worth the search.
        if first && program.required.as_ref().is_some_and(|text_in| text_in.find(text).is_none()) {
            return Found::Nowhere;
        }
        first = false;
        if at >= text.len() {
            return Found::Nowhere;
        }
        from = at + text::char_len(text, at);
    }
    Found::Nowhere
}

/// The next place where an attempt is worth it.
fn candidate(program: &Program, text: &[u8], from: usize) -> Option<usize> {
    match program.anchor {
        Anchor::Text => (from == 0).then_some(0),
        Anchor::Line if from == 0 => Some(0),
        Anchor::Line => {
            let after = memchr::memchr(b'\n', &text[from - 1..])? + from;
            (after < text.len()).then_some(after)
        }
        Anchor::None => {
            if let Some(prefix) = &program.prefix {
                return prefix.find(&text[from..]).map(|found| from + found);
            }
            let usable = |byte: &u8| program.start[usize::from(*byte)] && !text::continues(*byte);
            let found = text[from..].iter().position(usable).map(|found| from + found);
            found.or_else(|| program.start[256].then_some(text.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ecs, Grok, Options, Outcome, Scratch};

    fn outcome(pattern: &str, text: &[u8]) -> Outcome {
        let patterns = [pattern.to_owned()];
        let grok = Grok::compile(&patterns, &[], Ecs::V1, Options::default()).unwrap();
        grok.find(&mut Scratch::default(), text)
    }

    /// Patterns that take exponential or quadratic time where failures are not remembered.
    #[test]
    fn bad_patterns_end_soon() {
        let text = "a".repeat(20_000);
        let started = std::time::Instant::now();
        for pattern in ["(?:a*)*b", "(?:a|a)*b", "(?:a+)+$b", "(?:a|ab|aa)*c", "(?:.*a){8}b"] {
            let found = outcome(pattern, text.as_bytes());
            assert!(!matches!(found, Outcome::Match(_)), "{pattern}");
        }
        assert!(started.elapsed().as_secs() < 60);
    }

    #[test]
    fn bytes_that_are_no_text_do_not_panic() {
        let patterns = ["%{COMBINEDAPACHELOG}", r"(?<!é)\b.*?\w+[^é]$", "%{SYSLOGLINE}", r"\S+\s"];
        let texts: [&[u8]; 4] = [b"\xFF\xC3(\xE2\x82", b"\x80\x80a \xF0\x9F", b"\xC3", b"a\xC3 b"];
        for pattern in patterns {
            for text in texts {
                outcome(pattern, text);
            }
        }
    }

    #[test]
    fn spans_are_where_they_should_be() {
        let Outcome::Match(found) = outcome("%{WORD:w} (?<n>[0-9]+)", "é ab 12".as_bytes()) else {
            panic!("no match");
        };
        assert_eq!((found.start, found.end), (3, 8));
    }
}
