//! The machine: runs a program at one place of a text.
//!
//! In: a program, a text, a place. Out: whether it matches there, and the slots of the captures.
//! Promises: the answer of ordered backtracking; work bounded by the program's size times the
//! text's length; no allocation once the scratch has grown.
//! On failure: [`Verdict::Limit`] when the bound is met; the answer is then unknown.

use super::ast::{Assertion, Look};
use super::program::{
    Back, Chain, FAIL, Give, Inst, Lazy, Pc, Program, Run, Seek, SetTable, UNBOUNDED,
};
use super::text;
use super::token::Walk;

mod field;

/// A slot or place that is not set.
pub const UNSET: u32 = u32::MAX;

/// Steps after which failures are remembered, besides those for each byte.
const MEMO_AFTER: u64 = 20_000;
/// Steps for each byte after which failures are remembered.
const MEMO_AFTER_PER_BYTE: u64 = 2;
/// The table of failures may have so many bits.
const MEMO_BITS: usize = 1 << 26;
/// Steps that are always granted; a step takes a few nanoseconds.
const STEPS: u64 = 1_000_000;
/// Steps granted for each byte of the text: a hostile megabyte ends within some 50 ms.
const STEPS_PER_BYTE: u64 = 8;
/// So many bytes run through in one go count as a step, as a power of two.
const STRETCH: u32 = 3;
/// Steps that an attempt counts for, whatever comes of it.
const STEPS_PER_ATTEMPT: u64 = 4;

/// The most steps that a text of this length is granted, in bytes; an attempt under way may pass
/// it by the steps of one way through the program.
pub fn granted(len: usize) -> u64 {
    STEPS + STEPS_PER_BYTE * len as u64
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It matches up to this place.
    Match(usize),
    /// It does not match.
    Fail,
    /// It took too long to tell.
    Limit,
}

/// What to do when the current way fails.
#[derive(Clone, Copy, Debug)]
enum Frame {
    /// Go on there; so many captures were taken.
    Branch { pc: Pc, at: u32, taken: u32 },
    /// Give back from a run, down to a place.
    Give { pc: Pc, low: u32, at: u32, taken: u32 },
    /// Take more for a lazy run.
    Seek { pc: Pc, left: u32, at: u32, taken: u32 },
    /// Set a slot back.
    Undo { slot: u32, old: u32 },
    /// Leave an atomic piece or a look-around.
    Fence { outer: u32, alt: Pc, at: u32, taken: u32 },
    /// Remember that nothing came of this.
    Mark { pc: Pc, at: u32 },
}

/// A capture that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// Its number.
    pub number: u32,
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

/// The memory of a machine, to be used again.
#[derive(Debug, Default)]
pub struct Memory {
    frames: Vec<Frame>,
    /// Where each capture begins, then the places of loops. Each is written before it is read.
    slots: Vec<u32>,
    /// The captures on the way so far, in the order of their ends; going back shortens the list. One that is taken
    /// several times may be in it several times: the last counts.
    pub taken: Vec<Taken>,
    failed: Vec<u64>,
    /// The steps taken.
    pub steps: u64,
    /// How often an attempt went back to another way.
    pub times_back: u64,
}

/// A machine on one text.
pub struct Machine<'a> {
    program: &'a Program,
    text: &'a [u8],
    memory: &'a mut Memory,
    fence: u32,
    steps: u64,
    /// At this many steps something changes: failures are remembered, or it is given up.
    alarm: u64,
    memo: bool,
    dirty: bool,
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        self.memory.steps += self.steps;
    }
}

impl<'a> Machine<'a> {
    /// A machine at rest.
    pub fn new(program: &'a Program, text: &'a [u8], memory: &'a mut Memory) -> Self {
        // Only a reference may ask for a capture that has not begun.
        if !program.memo || memory.slots.len() < program.slots {
            memory.slots.clear();
            memory.slots.resize(program.slots, UNSET);
        }
        memory.frames.clear();
        memory.taken.clear();
        let alarm = MEMO_AFTER + MEMO_AFTER_PER_BYTE * text.len() as u64;
        Self { program, text, memory, fence: UNSET, steps: 0, alarm, memo: false, dirty: false }
    }

    /// Counts an attempt that failed at once too, as each place of a long text may be tried; whether to go on.
    pub fn retry(&mut self) -> bool {
        self.steps += STEPS_PER_ATTEMPT;
        self.steps < self.alarm || self.alarmed()
    }

    /// Tries a match at a place.
    #[inline(never)]
    pub fn attempt(&mut self, start: usize) -> Verdict {
        if self.dirty {
            if !self.program.memo {
                self.memory.slots.fill(UNSET);
            }
            self.memory.frames.clear();
            self.memory.taken.clear();
            self.fence = UNSET;
        }
        self.dirty = true;
        let (mut pc, mut at): (Pc, usize) = (self.program.entry, start);
        let (program, text) = (self.program, self.text);
        let (insts, sets) = (&program.insts[..], &program.sets[..]);
        // Counted in a register, and only handed over at a failure: what matches is done anyway.
        let mut taken = 0;
        loop {
            taken += 1;
            // Each instruction yields where to go on, in the program and in the text.
            let (next, place) = match &insts[pc as usize] {
                Inst::Byte(byte) => match text.get(at) == Some(byte) {
                    true => (pc + 1, at + 1),
                    false => (FAIL, at),
                },
                Inst::Text(wanted) => stepped(wanted.at(text, at), pc),
                Inst::Token(token, end) => match program.tokens[*token as usize].walk(text, at) {
                    Walk::End(to) => {
                        self.steps += (to - at) as u64 >> STRETCH;
                        (*end, to)
                    }
                    Walk::Fail => (FAIL, at),
                    Walk::Unsure => (pc + 1, at),
                },
                Inst::RunField(field) => self.run_field(field, at),
                Inst::TokenField(field) => self.token_field(field, at),
                Inst::SeekField(field) => self.seek_field(field, at),
                Inst::Field(field) => self.field(field, at),
                Inst::Set(set) => stepped(text::one(&sets[*set as usize], text, at), pc),
                Inst::Take(run) => {
                    let end = text::take(&sets[run.set as usize], run, text, at);
                    self.steps += end.map_or(0, |end| (end - at) as u64 >> STRETCH);
                    stepped(end, pc)
                }
                Inst::Maybe(set) => {
                    (pc + 1, text::one(&sets[*set as usize], text, at).unwrap_or(at))
                }
                Inst::Choose(a, b, table) => {
                    match program.chooses[*table as usize][ahead(text, at)] {
                        0 => (FAIL, at),
                        1 => (*a, at),
                        2 => (*b, at),
                        _ => (self.split(pc, (*a, *b), at), at),
                    }
                }
                Inst::Dispatch(table) => (program.dispatches[*table as usize][ahead(text, at)], at),
                Inst::Jump(to) => (*to, at),
                Inst::Note(slot) => {
                    self.memory.slots[*slot as usize] = at as u32;
                    (pc + 1, at)
                }
                Inst::Close(number) => {
                    let start = self.memory.slots[*number as usize];
                    self.memory.taken.push(Taken { number: *number, start, end: at as u32 });
                    (pc + 1, at)
                }
                Inst::Match => return Verdict::Match(at),
                other => self.rare(other, pc, at),
            };
            if next != FAIL {
                (pc, at) = (next, place);
                continue;
            }
            self.steps += std::mem::take(&mut taken);
            if self.steps >= self.alarm && !self.alarmed() {
                return Verdict::Limit;
            }
            match self.backtrack() {
                Some(resumed) => {
                    self.memory.times_back += 1;
                    (pc, at) = resumed;
                }
                None => return Verdict::Fail,
            }
        }
    }

    /// The instructions that are less common or take longer.
    #[inline(never)]
    fn rare(&mut self, inst: &Inst, pc: Pc, at: usize) -> (Pc, usize) {
        match inst {
            Inst::Chain(chain) => stepped(self.chain(chain, at), pc),
            Inst::Save(slot) => {
                self.save(*slot, at);
                (pc + 1, at)
            }
            Inst::Option(set, peek) => self.option(*set, *peek, pc, at),
            Inst::Give(give) => stepped(self.give(give, (pc, at)), pc),
            Inst::Seek(lazy) => stepped(self.seek_start(lazy, (pc, at)), pc),
            Inst::Split(a, b) => (self.split(pc, (*a, *b), at), at),
            Inst::Assert(assertion) => follows(self.holds(*assertion, at), pc, at),
            Inst::Neighbour(look, set) => follows(self.neighbour(*look, *set, at), pc, at),
            Inst::Fence => (self.raise(FAIL, at, pc), at),
            Inst::LookStart(alt) => (self.raise(*alt, at, pc), at),
            Inst::CloseAgain(number) => {
                let start = self.slot(*number);
                self.take_again(Taken { number: *number, start, end: at as u32 });
                (pc + 1, at)
            }
            Inst::Cut => {
                self.cut();
                (pc + 1, at)
            }
            Inst::LookFound => (pc + 1, self.cut()),
            Inst::LookDenied => {
                self.unwind();
                (FAIL, at)
            }
            Inst::Back(count) => {
                let back = (0..*count).try_fold(at, |at, _| text::before(self.text, at));
                stepped(back, pc)
            }
            Inst::AtSlot(slot) => follows(self.slot(*slot) == at as u32, pc, at),
            Inst::Progress(slot, leave) => match self.slot(*slot) == at as u32 {
                true => (*leave, at),
                false => (pc + 1, at),
            },
            Inst::Backref(wanted) => stepped(self.backref(&wanted.0, wanted.1, at), pc),
            _ => (FAIL, at),
        }
    }

    fn set(&self, set: u32) -> &'a SetTable {
        &self.program.sets[set as usize]
    }

    fn slot(&self, slot: u32) -> u32 {
        self.memory.slots[slot as usize]
    }

    fn ahead(&self, at: usize) -> usize {
        ahead(self.text, at)
    }

    #[inline]
    fn save(&mut self, slot: u32, at: usize) {
        let old = std::mem::replace(&mut self.memory.slots[slot as usize], at as u32);
        if !self.memory.frames.is_empty() {
            self.memory.frames.push(Frame::Undo { slot, old });
        }
    }

    #[inline]
    fn split(&mut self, pc: Pc, (a, b): (Pc, Pc), at: usize) -> Pc {
        if self.memo && !self.fresh(pc, at) {
            return FAIL;
        }
        let taken = self.memory.taken.len() as u32;
        self.memory.frames.push(Frame::Branch { pc: b, at: at as u32, taken });
        a
    }

    /// Notes a capture that may have been taken before; where there is no way back, only the last is kept.
    #[cold]
    fn take_again(&mut self, taken: Taken) {
        let Memory { frames, taken: all, .. } = &mut *self.memory;
        if frames.is_empty()
            && let Some(before) = all.iter().position(|before| before.number == taken.number)
        {
            all.remove(before);
        }
        all.push(taken);
    }

    /// Single characters in a row.
    #[inline(never)]
    fn chain(&self, chain: &Chain, at: usize) -> Option<usize> {
        match chain.words.as_ref().and_then(|words| words.hold(self.text, at)) {
            Some(true) => Some(at + chain.sets.len()),
            Some(false) => None,
            None => {
                let mut sets = chain.sets.iter();
                sets.try_fold(at, |at, set| text::one(self.set(*set), self.text, at))
            }
        }
    }

    /// One character or none; the other way is noted only if the rest can begin there.
    #[inline]
    fn option(&mut self, set: u32, peek: u32, pc: Pc, at: usize) -> (Pc, usize) {
        let Some(end) = text::one(self.set(set), self.text, at) else { return (pc + 1, at) };
        let peek = &self.program.peeks[peek as usize];
        match (peek[self.ahead(end)], peek[self.ahead(at)]) {
            (true, true) => (self.split(pc, (pc + 1, pc + 1), at), end),
            (true, false) => (pc + 1, end),
            (false, true) => (pc + 1, at),
            (false, false) => (FAIL, at),
        }
    }

    fn give(&mut self, give: &Give, (pc, at): (Pc, usize)) -> Option<usize> {
        let Give { run, peek, back } = give;
        if self.memo && !self.fresh(pc, at) {
            return None;
        }
        let set = self.set(run.set);
        let end = text::take(set, run, self.text, at)?;
        self.steps += (end - at) as u64 >> STRETCH;
        let low = match run.min {
            0 => at,
            min => text::counted(set, min, min, self.text, at).unwrap_or(end),
        };
        let end = match back {
            Back::Byte(byte, needed @ 2..) => self.last_of(*byte, *needed, (low, end))?,
            _ => end,
        };
        let peek = &self.program.peeks[*peek as usize];
        let stop = if peek[self.ahead(end)] { end } else { self.retreat(low, end, peek, back)? };
        if stop > low {
            let taken = self.memory.taken.len() as u32;
            self.memory.frames.push(Frame::Give { pc, low: low as u32, at: stop as u32, taken });
        }
        Some(stop)
    }

    /// The last place at which so many of a byte are left, at most the end of a run; `None` where the run has none.
    fn last_of(&mut self, byte: u8, needed: u32, (low, end): (usize, usize)) -> Option<usize> {
        let mut places = memchr::memrchr_iter(byte, &self.text[low..]);
        let found = places.nth(needed as usize - 1).map(|found| low + found);
        self.steps += (self.text.len() - found.unwrap_or(low)) as u64 >> STRETCH;
        Some(found?.min(end))
    }

    /// The last place before `at`, not before `low`, where the rest can begin.
    fn retreat(&self, low: usize, at: usize, peek: &[bool; 257], back: &Back) -> Option<usize> {
        match back {
            Back::Byte(byte, _) => {
                return memchr::memrchr(*byte, &self.text[low..at]).map(|found| low + found);
            }
            Back::Text(finder) => {
                let end = self.text.len().min(at + finder.needle().len() - 1);
                return finder.rfind(&self.text[low..end]).map(|found| low + found);
            }
            Back::Step => {}
        }
        let usable = |byte: &u8| peek[usize::from(*byte)] && !text::continues(*byte);
        self.text[low..at].iter().rposition(usable).map(|found| low + found)
    }

    fn seek_start(&mut self, lazy: &Lazy, (pc, at): (Pc, usize)) -> Option<usize> {
        let run = &lazy.run;
        if self.memo && !self.fresh(pc, at) {
            return None;
        }
        let low = match run.min {
            0 => at,
            min => text::counted(self.set(run.set), min, min, self.text, at)?,
        };
        let left = if run.max == UNBOUNDED { UNBOUNDED } else { run.max - run.min };
        self.seek(lazy, (pc, low, left))
    }

    /// The next place where a lazy run can stop; more places are noted as a frame.
    fn seek(&mut self, lazy: &Lazy, (pc, from, left): (Pc, usize, u32)) -> Option<usize> {
        let Lazy { run, peek, seek } = lazy;
        let (stop, left) = match seek {
            Seek::Byte(byte) => (from + memchr::memchr(*byte, &self.text[from..])?, left),
            Seek::Text(finder) => (from + finder.find(&self.text[from..])?, left),
            Seek::Step => self.creep(run, &self.program.peeks[*peek as usize], from, left)?,
        };
        self.steps += (stop - from) as u64 >> STRETCH;
        if left > 0 && stop < self.text.len() {
            let taken = self.memory.taken.len() as u32;
            self.memory.frames.push(Frame::Seek { pc, left, at: stop as u32, taken });
        }
        Some(stop)
    }

    fn creep(&self, run: &Run, peek: &[bool; 257], from: usize, left: u32) -> Option<(usize, u32)> {
        let (set, mut at, mut left) = (self.set(run.set), from, left);
        while !peek[self.ahead(at)] {
            if left == 0 {
                return None;
            }
            at = text::one(set, self.text, at)?;
            left -= u32::from(left != UNBOUNDED);
        }
        Some((at, left))
    }

    /// Takes one more character for a lazy run and looks for the next stop.
    fn seek_more(&mut self, pc: Pc, at: usize, left: u32) -> Option<usize> {
        let Inst::Seek(lazy) = &self.program.insts[pc as usize] else { return None };
        let next = text::one(self.set(lazy.run.set), self.text, at)?;
        let left = left - u32::from(left != UNBOUNDED);
        self.seek(lazy, (pc, next, left))
    }

    /// Gives back from a run up to the next place where the rest can begin.
    fn give_more(&mut self, pc: Pc, low: usize, at: usize) -> Option<usize> {
        let Inst::Give(give) = &self.program.insts[pc as usize] else { return None };
        let peek = &self.program.peeks[give.peek as usize];
        let stop = self.retreat(low, at, peek, &give.back)?;
        self.steps += (at - stop) as u64 >> STRETCH;
        if stop > low {
            let taken = self.memory.taken.len() as u32;
            self.memory.frames.push(Frame::Give { pc, low: low as u32, at: stop as u32, taken });
        }
        Some(stop)
    }

    /// Back to the last choice; `None` when there is none left.
    fn backtrack(&mut self) -> Option<(Pc, usize)> {
        loop {
            self.steps += 1;
            let (pc, at) = match self.memory.frames.pop()? {
                Frame::Branch { pc, at, taken } => {
                    self.memory.taken.truncate(taken as usize);
                    return Some((pc, at as usize));
                }
                Frame::Give { pc, low, at, taken } => {
                    self.memory.taken.truncate(taken as usize);
                    match self.give_more(pc, low as usize, at as usize) {
                        Some(at) => (pc + 1, at),
                        None => continue,
                    }
                }
                Frame::Seek { pc, left, at, taken } => {
                    self.memory.taken.truncate(taken as usize);
                    match self.seek_more(pc, at as usize, left) {
                        Some(at) => (pc + 1, at),
                        None => continue,
                    }
                }
                Frame::Undo { slot, old } => {
                    self.memory.slots[slot as usize] = old;
                    continue;
                }
                Frame::Fence { outer, alt, at, taken } => {
                    self.fence = outer;
                    self.memory.taken.truncate(taken as usize);
                    if alt == FAIL {
                        continue;
                    }
                    return Some((alt, at as usize));
                }
                Frame::Mark { pc, at } => {
                    let (word, bit) = self.bit(pc, at as usize);
                    self.memory.failed[word] |= bit;
                    continue;
                }
            };
            if !self.memo || self.fresh(pc, at) {
                return Some((pc, at));
            }
        }
    }

    fn raise(&mut self, alt: Pc, at: usize, pc: Pc) -> Pc {
        let outer = std::mem::replace(&mut self.fence, self.memory.frames.len() as u32);
        let taken = self.memory.taken.len() as u32;
        self.memory.frames.push(Frame::Fence { outer, alt, at: at as u32, taken });
        pc + 1
    }

    /// Forgets the choices since the fence, but not the slots to be set back; tells its place.
    fn cut(&mut self) -> usize {
        let base = self.fence as usize;
        let frames = &mut self.memory.frames;
        let Frame::Fence { outer, at, .. } = frames[base] else { return 0 };
        self.fence = outer;
        let mut kept = base;
        for index in base + 1..frames.len() {
            if matches!(frames[index], Frame::Undo { .. }) {
                frames[kept] = frames[index];
                kept += 1;
            }
        }
        frames.truncate(kept);
        at as usize
    }

    /// Forgets everything since the fence and sets the slots back.
    fn unwind(&mut self) {
        while self.memory.frames.len() > self.fence as usize {
            match self.memory.frames.pop() {
                Some(Frame::Undo { slot, old }) => self.memory.slots[slot as usize] = old,
                Some(Frame::Fence { outer, .. })
                    if self.memory.frames.len() == self.fence as usize =>
                {
                    self.fence = outer;
                    return;
                }
                _ => {}
            }
        }
    }

    fn holds(&self, assertion: Assertion, at: usize) -> bool {
        let (text, len) = (self.text, self.text.len());
        match assertion {
            Assertion::StartText => at == 0,
            Assertion::StartLine => at == 0 || at < len && text[at - 1] == b'\n',
            Assertion::EndText => at == len,
            Assertion::EndTextLine => at == len || at + 1 == len && text[at] == b'\n',
            Assertion::EndLine => at == len || text[at] == b'\n',
            Assertion::WordEdge => self.word_edge(at),
            Assertion::NotWordEdge => !self.word_edge(at),
        }
    }

    fn word_edge(&self, at: usize) -> bool {
        let word = self.set(self.program.word);
        text::one_before(word, self.text, at) != text::one(word, self.text, at).is_some()
    }

    fn neighbour(&self, look: Look, set: u32, at: usize) -> bool {
        let set = self.set(set);
        let found = match look.behind {
            true => text::one_before(set, self.text, at),
            false => text::one(set, self.text, at).is_some(),
        };
        found != look.negative
    }

    fn backref(&self, captures: &[u32], icase: bool, at: usize) -> Option<usize> {
        for capture in captures.iter().rev() {
            let start = self.slot(*capture);
            let taken = self.memory.taken.iter().rfind(|taken| taken.number == *capture);
            let Some(end) = taken.map(|taken| taken.end).filter(|end| *end >= start) else {
                continue;
            };
            let wanted = &self.text[start as usize..end as usize];
            let Some(found) = self.text.get(at..at + wanted.len()) else { continue };
            if found == wanted || icase && found.eq_ignore_ascii_case(wanted) {
                return Some(at + wanted.len());
            }
        }
        None
    }

    fn bit(&self, pc: Pc, at: usize) -> (usize, u64) {
        let index = pc as usize * (self.text.len() + 1) + at;
        (index / 64, 1 << (index % 64))
    }

    /// Whether this has not failed before; if so, its failure will be noted.
    fn fresh(&mut self, pc: Pc, at: usize) -> bool {
        let (word, bit) = self.bit(pc, at);
        let fresh = self.memory.failed[word] & bit == 0;
        if fresh {
            self.memory.frames.push(Frame::Mark { pc, at: at as u32 });
        }
        fresh
    }

    /// The first alarm begins to remember failures, the second ends it: whether to go on.
    fn alarmed(&mut self) -> bool {
        let last = granted(self.text.len());
        if self.alarm >= last {
            return false;
        }
        self.alarm = last;
        let bits = self.program.insts.len().saturating_mul(self.text.len() + 1);
        self.memo = self.program.memo && bits <= MEMO_BITS;
        if self.memo {
            self.memory.failed.clear();
            self.memory.failed.resize(bits / 64 + 1, 0);
        }
        true
    }
}

/// The next byte as the index of a table.
#[inline]
fn ahead(text: &[u8], at: usize) -> usize {
    text.get(at).map_or(256, |byte| usize::from(*byte))
}

#[inline]
fn stepped(end: Option<usize>, pc: Pc) -> (Pc, usize) {
    end.map_or((FAIL, 0), |end| (pc + 1, end))
}

#[inline]
fn follows(holds: bool, pc: Pc, at: usize) -> (Pc, usize) {
    if holds { (pc + 1, at) } else { (FAIL, at) }
}
