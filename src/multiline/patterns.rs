//! Which lines belong together, by the user's regular expressions.
//!
//! In: `start`, `continue`, `end`, `negate` of the settings. Out: verdicts. Promises: a line that
//! no pattern claims goes with the line before it (`start`, `end`) or begins an event (`continue`).
//! Time is linear (crate `regex`).
//! On failure: a pattern that cannot be read is reported with its place and the engine's own words.

use regex::bytes::Regex;

use super::{State, Verdict};
use crate::pattern::{Flags, compile};
use crate::settings::Section;

/// See the module.
pub(super) struct Patterns {
    first: First,
    end: Option<Regex>,
    /// The opposite of what `first` (or `end`, if it is alone) says.
    negate: bool,
}

enum First {
    /// A line that matches begins an event.
    Start(Regex),
    /// A line that matches does not.
    Continue(Regex),
    /// A line begins an event when the one before ended one.
    AfterEnd,
}

impl Patterns {
    /// Whether any pattern is written.
    pub(super) fn are_written(section: &Section<'_>) -> bool {
        let written = ["start", "continue", "end"].map(|key| section.has(key)).contains(&true);
        if !written && section.bool_or("negate", false) {
            let message = "`negate` says nothing without `start`, `continue` or `end`";
            section.error(section.span_of("negate"), message, Some("remove `negate`".into()));
        }
        written
    }

    /// Reads the patterns; `None` when they are wrong, which was reported.
    pub(super) fn load(section: &Section<'_>) -> Option<Patterns> {
        let written = ["start", "continue", "end"].map(|key| section.has(key));
        let negate = section.bool_or("negate", false);
        let [start, next, end] = ["start", "continue", "end"].map(|key| pattern(section, key));
        if written[0] && written[1] {
            let message = format!("`{}` has both `start` and `continue`", section.name);
            let hint = "keep one: `start` matches first lines, `continue` matches the others";
            section.error(section.span_of("continue"), message, Some(hint.into()));
            return None;
        }
        let good = written == [start.is_some(), next.is_some(), end.is_some()];
        let first = match (start, next) {
            (Some(start), _) => First::Start(start),
            (None, Some(next)) => First::Continue(next),
            (None, None) => First::AfterEnd,
        };
        good.then_some(Patterns { first, end, negate })
    }

    pub(super) fn verdict(&self, state: State, line: &[u8]) -> Verdict {
        let begins = match &self.first {
            First::Start(start) => start.is_match(line) != self.negate,
            First::Continue(next) => next.is_match(line) == self.negate,
            First::AfterEnd => false,
        };
        let negate_end = self.negate && matches!(self.first, First::AfterEnd);
        let ends = self.end.as_ref().is_some_and(|end| end.is_match(line) != negate_end);
        match (begins || state == State::Idle, ends) {
            (true, false) => Verdict::Begin(State::Open),
            (true, true) => Verdict::Alone,
            (false, false) => Verdict::Join(State::Open),
            (false, true) => Verdict::JoinLast,
        }
    }
}

fn pattern(section: &Section<'_>, key: &'static str) -> Option<Regex> {
    let text = section.string(key)?;
    match compile(&text, Flags::default()) {
        Ok(regex) => Some(regex),
        Err(error) => {
            section.error_within(&text, error);
            None
        }
    }
}
