//! Looks for the first place of a text where a program matches.
//!
//! In: a program and a text. Out: where the match is; the captures are in the memory's slots.
//! Promises: the leftmost match; a text that lacks what every match has costs one search for it.
//! On failure: [`Found::Limit`] when it took too long to tell.

use super::backtrack::{Machine, Memory, Verdict};
use super::program::{Anchor, Program};
use super::require::Lead;
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

/// Looks for the first match; `doubted`: the last text had none, so it is worth asking first whether this one can.
#[inline]
pub fn scan(program: &Program, text: &[u8], memory: &mut Memory, doubted: bool) -> Found {
    if doubted && !program.required.possible(text) {
        return Found::Nowhere;
    }
    scan_from(program, text, 0, memory)
}

/// Looks for the first match that begins at `from` or later; what stands before is seen by look-behinds.
pub fn scan_from(program: &Program, text: &[u8], from: usize, memory: &mut Memory) -> Found {
    if u32::try_from(text.len()).map_or(true, |len| len == u32::MAX) {
        return Found::Limit;
    }
    // Most lines begin with what is looked for, and asking for that costs less than a search.
    let at_once = from == 0 && can_begin(program, text, 0) && program.opening.at(text, 0).is_some();
    let place = if at_once { Some(0) } else { candidate(program, text, from) };
    // A text in which nothing can begin does not even need a machine.
    match place {
        Some(place) => attempts(program, text, place, memory),
        None => Found::Nowhere,
    }
}

/// Tries at one place after the other.
fn attempts(program: &Program, text: &[u8], from: usize, memory: &mut Memory) -> Found {
    let mut at = from;
    let mut machine = Machine::new(program, text, memory);
    let mut first = true;
    loop {
        match machine.attempt(at) {
            Verdict::Match(end) => return Found::At(at, end),
            Verdict::Limit => return Found::Limit,
            Verdict::Fail => {}
        }
        // Most lines match at the first attempt, so only a failure is worth the search.
        if first && program.anchor == Anchor::None && !program.required.met(text, at) {
            return Found::Nowhere;
        }
        first = false;
        if at >= text.len() {
            return Found::Nowhere;
        }
        match candidate(program, text, at + text::char_len(text, at)) {
            Some(_) if !machine.retry() => return Found::Limit,
            Some(next) => at = next,
            None => return Found::Nowhere,
        }
    }
}

/// The next place where an attempt is worth it.
#[inline(never)]
fn candidate(program: &Program, text: &[u8], from: usize) -> Option<usize> {
    match program.anchor {
        Anchor::Text => (from == 0 && can_begin(program, text, 0)).then_some(0),
        Anchor::Line if from == 0 && can_begin(program, text, 0) => Some(0),
        Anchor::Line => {
            let search = from.saturating_sub(1);
            let after = memchr::memchr(b'\n', &text[search..])? + search + 1;
            (after < text.len()).then_some(after)
        }
        Anchor::None => match (&program.prefix, &program.required.lead) {
            (Some(prefix), _) => prefix.find(text, from),
            // At the first place an attempt is cheaper than a search.
            (None, Some(lead)) if from > 0 => led(program, lead, text, from),
            _ => begin(program, text, from),
        },
    }
}

/// Whether an attempt can begin with the byte at a place.
#[inline]
fn can_begin(program: &Program, text: &[u8], at: usize) -> bool {
    program.start[text.get(at).map_or(256, |byte| usize::from(*byte))]
}

/// The next place with a byte that an attempt can begin with.
#[inline]
fn begin(program: &Program, text: &[u8], from: usize) -> Option<usize> {
    program.scout.find(text, from).or_else(|| program.start[256].then_some(text.len()))
}

/// The next such place that is also near enough before the text that every match has.
fn led(program: &Program, lead: &Lead, text: &[u8], from: usize) -> Option<usize> {
    let mut from = from;
    loop {
        let search = from + lead.min;
        let found = lead.text.find(text, search)?;
        let place = begin(program, text, from.max(found.saturating_sub(lead.max)))?;
        if place + lead.min <= found {
            return Some(place);
        }
        from = place;
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
