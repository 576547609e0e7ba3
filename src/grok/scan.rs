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
