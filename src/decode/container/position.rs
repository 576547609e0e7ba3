//! Where a restart may begin to read a file in which two streams are woven together.
//!
//! Is: the stretches of the file that were given out as joined events. In: events given out, and
//! the offset of the first held line. Out: the latest offset that is not after the first held line
//! and not within an event. Promises: a restart from there makes the same events of the same lines,
//! so that their ids are the same; were it within an event of the other stream, the rest of that
//! event would become an event with a new id. Memory is bounded: when there are too many stretches
//! they count as one, which only moves the position back.
//! On failure: nothing can fail.

use crate::decode::Line;

/// Stretches that are kept apart.
const STRETCHES_MAX: usize = 64;

/// See the module; stretches are first and last line's offsets, disjoint, in no order.
#[derive(Default)]
pub(super) struct Overlaps {
    stretches: Vec<(u64, u64)>,
}

impl Overlaps {
    /// An event was given out.
    pub(super) fn note(&mut self, line: Line) {
        if line.last > line.offset {
            self.add(line.offset, line.last);
        }
    }

    fn add(&mut self, mut first: u64, mut last: u64) {
        let full = self.stretches.len() >= STRETCHES_MAX;
        self.stretches.retain(|(other_first, other_last)| {
            let apart = *other_last < first || last < *other_first;
            if full || !apart {
                first = first.min(*other_first);
                last = last.max(*other_last);
            }
            !full && apart
        });
        self.stretches.push((first, last));
    }

    /// The position, if `held` is the offset of the first held line.
    pub(super) fn position(&self, held: u64) -> u64 {
        let within = |(first, last): &&(u64, u64)| *first < held && held <= *last;
        self.stretches.iter().find(within).map_or(held, |(first, _)| *first)
    }

    /// Forgets what no later position can fall into.
    pub(super) fn forget_before(&mut self, held: Option<u64>) {
        match held {
            None => self.stretches.clear(),
            Some(held) => self.stretches.retain(|(_, last)| *last >= held),
        }
    }
}
