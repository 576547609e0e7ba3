//! Fields: a capture, and the text after it, as one instruction of the machine.
//!
//! In: a field and a place. Out: where to go on, in the program and in the text. Promises: what the instructions of
//! which the field was made would come to. On failure: [`FAIL`], and nothing is changed.

use super::super::program::{
    FAIL, Field, Guard, Lead, Pc, Piece, RunField, SeekField, TokenField, UNBOUNDED,
};
use super::super::text;
use super::super::token::Walk;
use super::{Frame, Machine, STRETCH, Taken};

impl Machine<'_> {
    /// A run.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call costs as much as a short field")]
    pub(super) fn run_field(&mut self, field: &RunField, begin: usize) -> (Pc, usize) {
        let text = self.text;
        let mut at = begin;
        if let Some(lead) = &field.lead {
            let there = text.get(begin).map_or(0, |byte| lead[usize::from(*byte)]);
            if field.needed && there == 0 {
                return (FAIL, begin);
            }
            at += usize::from(there);
        }
        let end = match field.all {
            true => text.len(),
            false => match field.stop.find(text, at) {
                Some(stop) if field.wide && text[stop] >= 0x80 => {
                    text::wide_stretch(self.set(field.set), text, stop)
                }
                Some(stop) => stop,
                None => text.len(),
            },
        };
        if end - at < field.min as usize {
            return (FAIL, begin);
        }
        let Some(then) = field.tail.at(text, end) else { return (FAIL, begin) };
        self.steps += (end - at) as u64 >> STRETCH;
        let taken = Taken { number: field.number, start: begin as u32, end: end as u32 };
        self.memory.taken.push(taken);
        (field.next, then)
    }

    /// A token.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call costs as much as a short field")]
    pub(super) fn token_field(&mut self, field: &TokenField, begin: usize) -> (Pc, usize) {
        let text = self.text;
        let end = match self.program.tokens[field.token as usize].walk(text, begin) {
            Walk::End(end) => end,
            Walk::Fail => return (FAIL, begin),
            Walk::Unsure => {
                self.memory.slots[field.number as usize] = begin as u32;
                return (field.otherwise, begin);
            }
        };
        let Some(then) = field.tail.at(text, end) else { return (FAIL, begin) };
        self.steps += (end - begin) as u64 >> STRETCH;
        let taken = Taken { number: field.number, start: begin as u32, end: end as u32 };
        self.memory.taken.push(taken);
        (field.next, then)
    }

    /// Everything up to a text; what comes of a later place is tried by the instruction.
    #[inline(never)]
    pub(super) fn seek_field(&mut self, field: &SeekField, begin: usize) -> (Pc, usize) {
        self.memory.slots[field.number as usize] = begin as u32;
        if self.memo {
            return (field.pc, begin);
        }
        let Some(stop) = field.spot.find(self.text, begin) else { return (FAIL, begin) };
        let taken = self.memory.taken.len() as u32;
        let frame = Frame::Seek { pc: field.pc, left: UNBOUNDED, at: stop as u32, taken };
        self.memory.frames.push(frame);
        self.steps += (stop - begin) as u64 >> STRETCH;
        let then = match &field.tail {
            Some(tail) => tail.at(self.text, stop),
            None => Some(stop + field.spot.text().len()),
        };
        let Some(then) = then else { return (FAIL, begin) };
        let taken = Taken { number: field.number, start: begin as u32, end: stop as u32 };
        self.memory.taken.push(taken);
        (field.next, then)
    }

    /// A capture, and the text after it.
    #[inline(never)]
    pub(super) fn field(&mut self, field: &Field, begin: usize) -> (Pc, usize) {
        let text = self.text;
        let at = match field.plain {
            true => begin,
            false => match self.entered(field, begin) {
                Some(at) => at,
                None => return (FAIL, begin),
            },
        };
        let end = match &field.piece {
            Piece::Take(run) => text::take(self.set(run.set), run, text, at),
            Piece::Token(token, otherwise) => {
                match self.program.tokens[*token as usize].walk(text, at) {
                    Walk::End(end) => Some(end),
                    Walk::Fail => None,
                    Walk::Unsure => {
                        self.save(field.number, begin);
                        return (*otherwise, at);
                    }
                }
            }
        };
        let Some(end) = end else { return (FAIL, begin) };
        let Some(then) = field.tail.at(text, end) else { return (FAIL, begin) };
        self.steps += (end - at) as u64 >> STRETCH;
        let taken = Taken { number: field.number, start: begin as u32, end: end as u32 };
        match field.again {
            false => self.memory.taken.push(taken),
            true => self.take_again(taken),
        }
        (field.next, then)
    }

    /// What stands before the piece of a field.
    #[inline(never)]
    fn entered(&self, field: &Field, begin: usize) -> Option<usize> {
        let holds = match field.guard {
            Guard::None => true,
            Guard::Edge => self.word_edge(begin),
            Guard::Neighbour(look, set) => self.neighbour(look, set, begin),
        };
        let one = |set: u32| text::one(self.set(set), self.text, begin);
        match field.lead {
            _ if !holds => None,
            Lead::None => Some(begin),
            Lead::Maybe(set) => Some(one(set).unwrap_or(begin)),
            Lead::One(set) => one(set),
        }
    }
}
