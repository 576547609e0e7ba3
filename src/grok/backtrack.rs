//! The machine: runs a program at one place of a text.
//!
//! In: a program, a text, a place. Out: whether it matches there, and the slots of the captures.
//! Promises: the answer of ordered backtracking; work bounded by the program's size times the
//! text's length; no allocation once the scratch has grown.
//! On failure: [`Verdict::Limit`] when the bound is met; the answer is then unknown.

use super::ast::{Assertion, Look};
use super::program::{FAIL, Inst, Pc, Program, Run, Seek, SetTable, UNBOUNDED};
use super::text;

/// A slot or place that is not set.
pub const UNSET: u32 = u32::MAX;

/// Steps after which failures are remembered, besides those for each byte.
const MEMO_AFTER: u64 = 20_000;
/// The table of failures may have so many bits.
const MEMO_BITS: usize = 1 << 28;
/// Steps that are always granted.
const STEPS: u64 = 2_000_000;
/// Steps granted for each byte of the text.
const STEPS_PER_BYTE: u64 = 4_000;

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
    /// Go on there.
    Branch { pc: Pc, at: u32 },
    /// Give back from a run, down to a place.
    Give { pc: Pc, low: u32, at: u32 },
    /// Take more for a lazy run.
    Seek { pc: Pc, left: u32, at: u32 },
    /// Set a slot back.
    Undo { slot: u32, old: u32 },
    /// Leave an atomic piece or a look-around.
    Fence { outer: u32, alt: Pc, at: u32 },
    /// Remember that nothing came of this.
    Mark { pc: Pc, at: u32 },
}

/// The memory of a machine, to be used again.
#[derive(Debug, Default)]
pub struct Memory {
    frames: Vec<Frame>,
    /// Two places for each capture, then those of loops.
    pub slots: Vec<u32>,
    failed: Vec<u64>,
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

impl<'a> Machine<'a> {
    /// A machine at rest.
    pub fn new(program: &'a Program, text: &'a [u8], memory: &'a mut Memory) -> Self {
        memory.slots.clear();
        memory.slots.resize(program.slots, UNSET);
        memory.frames.clear();
        let alarm = MEMO_AFTER + 16 * text.len() as u64;
        Self { program, text, memory, fence: UNSET, steps: 0, alarm, memo: false, dirty: false }
    }

    /// Tries a match at a place.
    pub fn attempt(&mut self, start: usize) -> Verdict {
        if self.dirty {
            self.memory.slots.fill(UNSET);
            self.memory.frames.clear();
            self.fence = UNSET;
        }
        self.dirty = true;
        let (mut pc, mut at): (Pc, usize) = (0, start);
        let (program, text) = (self.program, self.text);
        let (insts, sets) = (&program.insts[..], &program.sets[..]);
        loop {
            // Each instruction yields where to go on, in the program and in the text.
            let (next, place) = match &insts[pc as usize] {
                Inst::Byte(byte) => match text.get(at) == Some(byte) {
                    true => (pc + 1, at + 1),
                    false => (FAIL, at),
                },
                Inst::Text(wanted) => match text[at..].starts_with(wanted) {
                    true => (pc + 1, at + wanted.len()),
                    false => (FAIL, at),
                },
                Inst::Set(set) => stepped(text::one(&sets[*set as usize], text, at), pc),
                Inst::Take(run) => stepped(text::take(&sets[run.set as usize], run, text, at), pc),
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
                Inst::Jump(to) => {
                    self.steps += 1;
                    (*to, at)
                }
                Inst::Save(slot) => {
                    self.save(*slot, at);
                    (pc + 1, at)
                }
                Inst::Match => return Verdict::Match(at),
                other => self.rare(other, pc, at),
            };
            if next != FAIL {
                (pc, at) = (next, place);
                continue;
            }
            if self.steps >= self.alarm && !self.alarmed() {
                return Verdict::Limit;
            }
            match self.backtrack() {
                Some(resumed) => (pc, at) = resumed,
                None => return Verdict::Fail,
            }
        }
    }

    /// The instructions that are less common or take longer.
    fn rare(&mut self, inst: &Inst, pc: Pc, at: usize) -> (Pc, usize) {
        match inst {
            Inst::Option(set, peek) => self.option(*set, *peek, pc, at),
            Inst::Give(run, peek) => stepped(self.give(run, *peek, pc, at), pc),
            Inst::Seek(run, peek, seek) => stepped(self.seek_start(run, *peek, seek, (pc, at)), pc),
            Inst::Split(a, b) => (self.split(pc, (*a, *b), at), at),
            Inst::Assert(assertion) => follows(self.holds(*assertion, at), pc, at),
            Inst::Neighbour(look, set) => follows(self.neighbour(*look, *set, at), pc, at),
            Inst::Fence => (self.raise(FAIL, at, pc), at),
            Inst::LookStart(alt) => (self.raise(*alt, at, pc), at),
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
            Inst::Backref(captures, icase) => stepped(self.backref(captures, *icase, at), pc),
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
        self.memory.frames.push(Frame::Branch { pc: b, at: at as u32 });
        a
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

    fn give(&mut self, run: &Run, peek: u32, pc: Pc, at: usize) -> Option<usize> {
        if self.memo && !self.fresh(pc, at) {
            return None;
        }
        let set = self.set(run.set);
        let end = text::take(set, run, self.text, at)?;
        self.steps += (end - at) as u64 >> 4;
        let low = match run.min {
            0 => at,
            min => text::counted(set, min, min, self.text, at).unwrap_or(end),
        };
        let peek = &self.program.peeks[peek as usize];
        let stop = if peek[self.ahead(end)] { end } else { self.retreat(low, end, peek)? };
        if stop > low {
            self.memory.frames.push(Frame::Give { pc, low: low as u32, at: stop as u32 });
        }
        Some(stop)
    }

    /// The last place before `at`, not before `low`, where the rest can begin.
    fn retreat(&self, low: usize, at: usize, peek: &[bool; 257]) -> Option<usize> {
        let usable = |byte: &u8| peek[usize::from(*byte)] && !text::continues(*byte);
        self.text[low..at].iter().rposition(usable).map(|found| low + found)
    }

    fn seek_start(
        &mut self,
        run: &Run,
        peek: u32,
        seek: &Seek,
        (pc, at): (Pc, usize),
    ) -> Option<usize> {
        if self.memo && !self.fresh(pc, at) {
            return None;
        }
        let low = match run.min {
            0 => at,
            min => text::counted(self.set(run.set), min, min, self.text, at)?,
        };
        let left = if run.max == UNBOUNDED { UNBOUNDED } else { run.max - run.min };
        self.seek(run, peek, seek, (pc, low, left))
    }

    /// The next place where a lazy run can stop; more places are noted as a frame.
    fn seek(
        &mut self,
        run: &Run,
        peek: u32,
        seek: &Seek,
        (pc, from, left): (Pc, usize, u32),
    ) -> Option<usize> {
        let (stop, left) = match seek {
            Seek::Byte(byte) => (from + memchr::memchr(*byte, &self.text[from..])?, left),
            Seek::Text(finder) => (from + finder.find(&self.text[from..])?, left),
            Seek::Step => self.creep(run, &self.program.peeks[peek as usize], from, left)?,
        };
        self.steps += (stop - from) as u64 >> 4;
        if left > 0 && stop < self.text.len() {
            self.memory.frames.push(Frame::Seek { pc, left, at: stop as u32 });
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
        let Inst::Seek(run, peek, seek) = &self.program.insts[pc as usize] else { return None };
        let next = text::one(self.set(run.set), self.text, at)?;
        let left = left - u32::from(left != UNBOUNDED);
        self.seek(run, *peek, seek, (pc, next, left))
    }

    /// Gives back from a run up to the next place where the rest can begin.
    fn give_more(&mut self, pc: Pc, low: usize, at: usize) -> Option<usize> {
        let Inst::Give(_, peek) = &self.program.insts[pc as usize] else { return None };
        let stop = self.retreat(low, at, &self.program.peeks[*peek as usize])?;
        self.steps += (at - stop) as u64 >> 4;
        if stop > low {
            self.memory.frames.push(Frame::Give { pc, low: low as u32, at: stop as u32 });
        }
        Some(stop)
    }

    /// Back to the last choice; `None` when there is none left.
    fn backtrack(&mut self) -> Option<(Pc, usize)> {
        loop {
            self.steps += 1;
            let (pc, at) = match self.memory.frames.pop()? {
                Frame::Branch { pc, at } => return Some((pc, at as usize)),
                Frame::Give { pc, low, at } => {
                    match self.give_more(pc, low as usize, at as usize) {
                        Some(at) => (pc + 1, at),
                        None => continue,
                    }
                }
                Frame::Seek { pc, left, at } => match self.seek_more(pc, at as usize, left) {
                    Some(at) => (pc + 1, at),
                    None => continue,
                },
                Frame::Undo { slot, old } => {
                    self.memory.slots[slot as usize] = old;
                    continue;
                }
                Frame::Fence { outer, alt, at } => {
                    self.fence = outer;
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
        self.memory.frames.push(Frame::Fence { outer, alt, at: at as u32 });
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
            let (start, end) = (self.slot(capture * 2), self.slot(capture * 2 + 1));
            if start == UNSET || end == UNSET || end < start {
                continue;
            }
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
        let last = STEPS + STEPS_PER_BYTE * self.text.len() as u64;
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
