//! Joins the lines of one stream.
//!
//! In: lines, one by one. Out: joined lines, to a function. Promises: see [`super`]; lines come out
//! in the order in which their first lines came in. On failure: nothing can fail.

use std::sync::Arc;

use super::Joining;
use super::held::Held;
use crate::decode::{Line, Marks};
use crate::event::Batch;
use crate::multiline::{State, Verdict};

/// Takes the joined lines.
pub(in crate::decode) type Out<'a> = dyn FnMut(&mut Batch, Line) + 'a;

/// See the module.
pub(in crate::decode) struct Joiner {
    joining: Arc<Joining>,
    state: State,
    held: Held,
    received_ns: i64,
}

impl Joiner {
    pub(in crate::decode) fn new(joining: Arc<Joining>) -> Self {
        Joiner { joining, state: State::Idle, held: Held::default(), received_ns: 0 }
    }

    /// Takes a line that was read at `received_ns`.
    pub(in crate::decode) fn push(
        &mut self,
        batch: &mut Batch,
        line: Line,
        received_ns: i64,
        out: &mut Out<'_>,
    ) {
        self.received_ns = received_ns;
        if line.marks.has(Marks::SPLIT) {
            self.give_out(batch, out);
            return out(batch, line);
        }
        loop {
            let verdict = self.joining.rule.verdict(self.state, batch.bytes(line.span));
            if self.held.lines() > 0 && matches!(verdict, Verdict::Begin(_) | Verdict::Alone) {
                self.give_out_once(batch, out);
                if self.held.lines() > 0 {
                    // Lines that did not belong to that event hold others now, perhaps this one.
                    continue;
                }
            }
            return match verdict {
                Verdict::Join(state) => self.join(batch, line, state, out),
                Verdict::JoinLast => {
                    self.join(batch, line, State::Open, out);
                    self.give_out(batch, out);
                }
                Verdict::Perhaps(state) => self.join_perhaps(batch, line, state, out),
                Verdict::Begin(state) => {
                    self.state = state;
                    self.held.begin(line);
                }
                Verdict::Alone => out(batch, line),
            };
        }
    }

    /// Gives out all that is held.
    pub(in crate::decode) fn give_out(&mut self, batch: &mut Batch, out: &mut Out<'_>) {
        while self.held.lines() > 0 {
            self.give_out_once(batch, out);
        }
    }

    /// Whether nothing came for so long that what is held must be given out.
    pub(in crate::decode) fn is_due(&self, now_ns: i64) -> bool {
        self.waits_since(self.received_ns, now_ns)
    }

    /// As [`Joiner::is_due`], if a part of the next line came at `received_ns`.
    pub(in crate::decode) fn waits_since(&self, received_ns: i64, now_ns: i64) -> bool {
        let waited = now_ns.saturating_sub(received_ns).max(0) as u128;
        self.held.lines() > 0 && waited >= self.joining.wait.as_nanos()
    }

    /// Copies what is held out of the batch, which is about to go.
    pub(in crate::decode) fn settle(&mut self, batch: &Batch) {
        self.held.settle(batch);
    }

    /// Offset of the first line that is held.
    pub(in crate::decode) fn held_from(&self) -> Option<u64> {
        self.held.offset()
    }

    /// Offset of the last line that is held, if any is.
    pub(in crate::decode) fn held_last(&self) -> Option<u64> {
        self.held.offset().map(|_| self.held.last())
    }

    fn join(&mut self, batch: &mut Batch, line: Line, state: State, out: &mut Out<'_>) {
        self.state = state;
        if self.is_full(line) {
            self.cut(batch, out);
            return self.held.begin(line);
        }
        self.held.join(batch, line);
    }

    fn join_perhaps(&mut self, batch: &mut Batch, line: Line, state: State, out: &mut Out<'_>) {
        self.state = state;
        if self.is_full(line) {
            self.cut(batch, out);
            return self.held.begin(line);
        }
        self.held.join_perhaps(batch, line);
    }

    fn is_full(&self, line: Line) -> bool {
        let bytes = self.held.len() + 1 + line.span.len as usize;
        self.held.lines() >= self.joining.lines_max || bytes > self.joining.bytes_max
    }

    fn cut(&mut self, batch: &mut Batch, out: &mut Out<'_>) {
        self.held.all_sure();
        self.held.mark(Marks::CUT);
        let (event, _) = self.held.take(batch);
        out(batch, event);
    }

    /// Gives out the event that is held; lines that do not belong to it are looked at again.
    fn give_out_once(&mut self, batch: &mut Batch, out: &mut Out<'_>) {
        let (event, rest) = self.held.take(batch);
        self.state = State::Idle;
        out(batch, event);
        for line in rest {
            self.push(batch, line, self.received_ns, out);
        }
    }
}
