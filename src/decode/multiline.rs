//! Codec `multiline`: several lines that belong together (a stack trace) as one event.
//!
//! In: lines, in the order of their source. Out: events whose `message` holds the lines, joined
//! with `\n`; or, with `inner = "json"`, the fields of the object that the lines write. Promises:
//! no byte is left out: lines beyond `max_lines` or `max_bytes` go on as the next event, and what
//! was given out before is tagged `_multiline_cut`; how a source is cut into chunks never changes
//! its events; with a preset, a line that cannot begin a trace is given out at once; blank lines
//! after a trace are events of their own, as with `plain`. A piece of a line that is longer than
//! allowed is never joined.
//!
//! The source's position never passes a line that is held. A restart reads from there, so that
//! lines after it that were given out already (only codec `container` has such lines: another
//! stream's) become the same events with the same ids again, and Elasticsearch refuses the second
//! copy.
//! On failure: nothing can fail once the settings are read; their problems are reported with place
//! and hint.

use std::sync::Arc;
use std::time::Duration;

use super::inner::Inner;
use super::{Codec, Decoder, Lines, Place, Shape, render_common};
use crate::event::{Batch, Field, Keys};
use crate::limits;
use crate::settings::Section;

mod class;
mod held;
mod joiner;
mod patterns;
mod preset;
mod trace;

pub(super) use joiner::{Joiner, Out};

use patterns::Patterns;
use preset::Preset;

/// The settings of joining, checked.
pub(super) struct Joining {
    rule: Rule,
    /// Lines of one event at most.
    lines_max: usize,
    /// Bytes of one event at most, unless a single line has more.
    bytes_max: usize,
    /// After this long without a further line, what is held is given out.
    wait: Duration,
}

/// What decides whether lines belong together.
enum Rule {
    Preset(Preset),
    Patterns(Patterns),
}

/// What was held before a line came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing.
    Idle,
    /// Lines, of which only patterns know what comes next.
    Open,
    /// A part of a trace.
    Trace(preset::Trace),
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
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

impl Joining {
    /// Reads the settings; `None` when they are wrong, which was reported.
    pub(super) fn load(section: &Section<'_>) -> Option<Joining> {
        // Asked for here too, so that it is known wherever it is written.
        let _ = section.has("negate");
        let rule = Rule::load(section);
        let lines_max = section.integer_or("max_lines", limits::MULTILINE_LINES_MAX, 1..1_000_001);
        let bytes_max = load_bytes_max(section);
        let wait = load_wait(section, limits::MULTILINE_WAIT_MS);
        Some(Joining {
            rule: rule?,
            lines_max: lines_max as usize,
            bytes_max: bytes_max?,
            wait: wait?,
        })
    }
}

impl Rule {
    fn load(section: &Section<'_>) -> Option<Rule> {
        match (section.has("preset"), Patterns::are_written(section)) {
            (true, true) => {
                let message = format!("`{}` has both a preset and patterns", section.name);
                let hint = "keep `preset`, or `start`, `continue` and `end`, but not both";
                section.error(section.span_of("preset"), message, Some(hint.into()));
                None
            }
            (true, false) => Preset::load(section).map(Rule::Preset),
            (false, true) => Patterns::load(section).map(Rule::Patterns),
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

    fn verdict(&self, state: State, line: &[u8]) -> Verdict {
        match self {
            Rule::Preset(preset) => preset.verdict(state, line),
            Rule::Patterns(patterns) => patterns.verdict(state, line),
        }
    }
}

/// Reads `max_bytes`.
pub(super) fn load_bytes_max(section: &Section<'_>) -> Option<usize> {
    let bytes = section.bytes_or("max_bytes", limits::MULTILINE_BYTES_MAX as u64);
    let ceiling = limits::LINE_BYTES_CEILING as u64;
    if bytes == 0 || bytes > ceiling {
        let message = format!("`max_bytes` is {bytes}, but must be from 1 to {ceiling}");
        let hint = "write for example: max_bytes = \"1MiB\"".to_string();
        section.error(section.span_of("max_bytes"), message, Some(hint));
        return None;
    }
    Some(bytes as usize)
}

/// Reads `timeout`; the default is in milliseconds.
pub(super) fn load_wait(section: &Section<'_>, default_ms: u64) -> Option<Duration> {
    let wait = section.duration_or("timeout", Duration::from_millis(default_ms));
    if wait.is_zero() {
        let hint = format!("write for example: timeout = \"{}s\"", default_ms / 1000);
        let message = "`timeout` is zero, so that no two lines could be joined";
        section.error(section.span_of("timeout"), message, Some(hint));
        return None;
    }
    Some(wait)
}

struct Multiline {
    joiner: Joiner,
    shape: Box<dyn Shape>,
    common: Vec<Field>,
}

impl Decoder for Multiline {
    fn decode(&mut self, place: Place, batch: &mut Batch) {
        let mut lines = Lines::new(batch, place);
        render_common(batch, &mut self.common);
        let Multiline { joiner, shape, common } = self;
        let mut out = |batch: &mut Batch, line| shape.event(batch, line, common);
        while let Some(line) = lines.next(batch) {
            joiner.push(batch, line, place.received_ns, &mut out);
        }
        if place.last {
            joiner.give_out(batch, &mut out);
        } else {
            joiner.settle(batch);
        }
    }

    fn flush(&mut self, now_ns: i64, batch: &mut Batch) {
        if !self.joiner.is_due(now_ns) {
            return;
        }
        render_common(batch, &mut self.common);
        let Multiline { joiner, shape, common } = self;
        joiner.give_out(batch, &mut |batch, line| shape.event(batch, line, common));
    }

    fn held_from(&self) -> Option<u64> {
        self.joiner.held_from()
    }
}

pub(super) fn load(section: &Section<'_>, _: &mut Keys) -> Option<Codec> {
    let inner = Inner::load(section);
    let joining = Arc::new(Joining::load(section)?);
    let make = move || -> Box<dyn Decoder> {
        let joiner = Joiner::new(Arc::clone(&joining));
        Box::new(Multiline { joiner, shape: inner.shape(), common: Vec::new() })
    };
    Some(Codec { ordered: true, make: Box::new(make) })
}

#[cfg(test)]
mod tests;
