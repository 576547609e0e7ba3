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
use crate::multiline::{Rule, load_bytes_max, load_wait};
use crate::settings::Section;

mod held;
mod joiner;

pub(super) use joiner::{Joiner, Out};

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

impl Joining {
    /// Reads the settings; `None` when they are wrong, which was reported.
    pub(super) fn load(section: &Section<'_>) -> Option<Joining> {
        // Asked for here too, so that it is known wherever it is written.
        let _ = section.has("negate");
        let rule = Rule::load(section);
        let lines_max = section.integer_or("max_lines", limits::MULTILINE_LINES_MAX, 1..1_000_001);
        let bytes_max =
            load_bytes_max(section, limits::MULTILINE_BYTES_MAX, limits::LINE_BYTES_CEILING);
        let wait = load_wait(section, limits::MULTILINE_WAIT_MS);
        Some(Joining {
            rule: rule?,
            lines_max: lines_max as usize,
            bytes_max: bytes_max?,
            wait: wait?,
        })
    }
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
