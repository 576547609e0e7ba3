//! Which lines belong together: stack traces by knowledge of them, other lines by patterns.
//!
//! Is: the rules that the codec `multiline`, the codec `container` and the filter `multiline` share. In: lines, and the
//! state that the lines before left. Out: what each line is to those before it. Promises: a verdict depends on the
//! state and the line alone; a state can be written down and read again; time is linear in the line.
//! On failure: settings that are wrong are reported with place and hint; judging cannot fail.

use std::time::Duration;

use crate::settings::Section;
use patterns::Patterns;
use preset::{Preset, Trace};

mod class;
mod patterns;
mod preset;
mod trace;

/// What decides whether lines belong together.
pub struct Rule(Kind);

enum Kind {
    Preset(Preset),
    Patterns(Patterns),
}

/// What was held before a line came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Idle,
    /// Lines, of which only patterns know what comes next.
    Open,
    /// A part of a trace.
    Trace(Trace),
}

impl State {
    /// Two bytes that [`State::read`] reads.
    pub fn written(self) -> [u8; 2] {
        match self {
            State::Idle => [0, 0],
            State::Open => [1, 0],
            State::Trace(trace) => trace.written(),
        }
    }

    /// Reads what [`State::written`] gave.
    pub fn read(bytes: [u8; 2]) -> Option<State> {
        match bytes {
            [0, 0] => Some(State::Idle),
            [1, 0] => Some(State::Open),
            other => Trace::read(other).map(State::Trace),
        }
    }
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is an event by itself.
    Alone,
    /// It begins an event that may get more lines.
    Begin(State),
    /// It belongs to what is held.
    Join(State),
    /// It belongs to what is held, and ends it.
    JoinLast,
    /// It belongs to what is held if a later line joins, otherwise it does not.
    Perhaps(State),
}

impl Rule {
    /// Reads `preset`, or `start`, `continue`, `end` and `negate`; `None` when they are wrong, which was reported.
    pub fn load(section: &Section<'_>) -> Option<Rule> {
        match (section.has("preset"), Patterns::are_written(section)) {
            (true, true) => {
                let message = format!("`{}` has both a preset and patterns", section.name);
                let hint = "keep `preset`, or `start`, `continue` and `end`, but not both";
                section.error(section.span_of("preset"), message, Some(hint.into()));
                None
            }
            (true, false) => Preset::load(section).map(|preset| Rule(Kind::Preset(preset))),
            (false, true) => Patterns::load(section).map(|patterns| Rule(Kind::Patterns(patterns))),
            (false, false) => {
                let message =
                    format!("`{}` does not say which lines belong together", section.name);
                let hint =
                    "write for example: preset = \"java\", or start = '^\\d{4}-\\d\\d-\\d\\d'";
                section.error(section.span(), message, Some(hint.into()));
                None
            }
        }
    }

    /// What a line is to the lines before it.
    pub fn verdict(&self, state: State, line: &[u8]) -> Verdict {
        match &self.0 {
            Kind::Preset(preset) => preset.verdict(state, line),
            Kind::Patterns(patterns) => patterns.verdict(state, line),
        }
    }
}

/// Reads `max_bytes`.
pub fn load_bytes_max(section: &Section<'_>, default: usize, ceiling: usize) -> Option<usize> {
    let bytes = section.bytes_or("max_bytes", default as u64);
    if bytes == 0 || bytes > ceiling as u64 {
        let message = format!("`max_bytes` is {bytes}, but must be from 1 to {ceiling}");
        let hint = "write for example: max_bytes = \"1MiB\"".to_string();
        section.error(section.span_of("max_bytes"), message, Some(hint));
        return None;
    }
    Some(bytes as usize)
}

/// Reads `timeout`; the default is in milliseconds.
pub fn load_wait(section: &Section<'_>, default_ms: u64) -> Option<Duration> {
    let wait = section.duration_or("timeout", Duration::from_millis(default_ms));
    if wait.is_zero() {
        let hint = format!("write for example: timeout = \"{}s\"", default_ms / 1000);
        let message = "`timeout` is zero, so that no two lines could be joined";
        section.error(section.span_of("timeout"), message, Some(hint));
        return None;
    }
    Some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_as_it_was_written() {
        let all = (0..=u8::MAX).flat_map(|kind| (0..=u8::MAX).map(move |rest| [kind, rest]));
        let found: Vec<_> = all.filter_map(|bytes| Some((bytes, State::read(bytes)?))).collect();
        for (bytes, state) in &found {
            assert_eq!(state.written(), *bytes, "{state:?}");
        }
        assert_eq!(found.len(), 2 + Trace::PLAIN.len() + 256);
    }
}
