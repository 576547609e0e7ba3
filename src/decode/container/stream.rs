//! One stream of one container: pieces into lines, lines into traces.
//!
//! In: entries of the stream. Out: lines, to a function. Promises: pieces are joined without
//! anything in between; a line that came whole is handed on as it is. On failure: see [`super`].

use std::sync::Arc;

use super::Settings;
use crate::decode::multiline::{Joiner, Out};
use crate::decode::{Line, Marks};
use crate::event::Batch;

/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 64 * 1024;

/// See the module.
pub(super) struct Stream {
    settings: Arc<Settings>,
    /// The pieces so far; the line's span means nothing.
    pieces: Option<Line>,
    text: Vec<u8>,
    joiner: Option<Joiner>,
    received_ns: i64,
}

impl Stream {
    pub(super) fn new(settings: &Arc<Settings>) -> Self {
        let joiner = settings.multiline.as_ref().map(|joining| Joiner::new(Arc::clone(joining)));
        let settings = Arc::clone(settings);
        Stream { settings, pieces: None, text: Vec::new(), joiner, received_ns: 0 }
    }

    /// Takes an entry, whose message is the line's span.
    pub(super) fn push(
        &mut self,
        batch: &mut Batch,
        line: Line,
        complete: bool,
        received_ns: i64,
        out: &mut Out<'_>,
    ) {
        self.received_ns = received_ns;
        if complete && self.pieces.is_none() {
            return self.hand_on(batch, line, out);
        }
        if self.text.len() + line.span.len as usize > self.settings.bytes_max {
            self.give_out_pieces(batch, Marks::CUT, out);
        }
        self.text.extend_from_slice(batch.bytes(line.span));
        self.pieces = Some(match self.pieces {
            None => line,
            Some(first) => Line { last: line.last, marks: first.marks.and(line.marks), ..first },
        });
        if complete {
            self.give_out_pieces(batch, Marks::default(), out);
        }
    }

    /// Gives out all that is held.
    pub(super) fn give_out(&mut self, batch: &mut Batch, out: &mut Out<'_>) {
        self.give_out_pieces(batch, Marks::CUT, out);
        if let Some(joiner) = &mut self.joiner {
            joiner.give_out(batch, out);
        }
    }

    /// Whether nothing came for so long that what is held must be given out.
    pub(super) fn is_due(&self, now_ns: i64) -> bool {
        let waited = now_ns.saturating_sub(self.received_ns).max(0) as u128;
        let pieces_due = self.pieces.is_none() || waited >= self.settings.wait.as_nanos();
        let trace = self.joiner.as_ref().filter(|joiner| joiner.held_from().is_some());
        match trace {
            None => self.pieces.is_some() && pieces_due,
            Some(joiner) => pieces_due && joiner.waits_since(self.received_ns, now_ns),
        }
    }

    /// Copies what is held out of the batch, which is about to go.
    pub(super) fn settle(&mut self, batch: &Batch) {
        if let Some(joiner) = &mut self.joiner {
            joiner.settle(batch);
        }
    }

    /// Offset of the first line that is held.
    pub(super) fn held_from(&self) -> Option<u64> {
        let trace = self.joiner.as_ref().and_then(Joiner::held_from);
        trace.or(self.pieces.map(|line| line.offset))
    }

    /// Offset of the last line that is held.
    pub(super) fn held_last(&self) -> Option<u64> {
        let trace = self.joiner.as_ref().and_then(Joiner::held_last);
        self.pieces.map(|line| line.last).or(trace)
    }

    fn give_out_pieces(&mut self, batch: &mut Batch, marks: Marks, out: &mut Out<'_>) {
        let Some(line) = self.pieces.take() else { return };
        let span = batch.push_text(&self.text);
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        self.hand_on(batch, Line { span, marks: line.marks.and(marks), ..line }, out);
    }

    fn hand_on(&mut self, batch: &mut Batch, line: Line, out: &mut Out<'_>) {
        match &mut self.joiner {
            Some(joiner) => joiner.push(batch, line, self.received_ns, out),
            None => out(batch, line),
        }
    }
}
