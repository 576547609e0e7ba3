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
        loop {
            let inst = &self.program.insts[pc as usize];
            let next = match inst {
                Inst::Byte(byte) => self.byte(*byte, &mut at, pc),
                Inst::Text(text) => match self.text[at..].starts_with(text) {
                    true => {
                        at += text.len();
                        pc + 1
                    }
                    false => FAIL,
                },
                Inst::Set(set) => stepped(text::one(self.set(*set), self.text, at), &mut at, pc),
                Inst::Take(run) => {
                    let end = text::take(self.set(run.set), run, self.text, at);
                    stepped(end, &mut at, pc)
                }
                Inst::Choose(a, b, table) => {
                    match self.program.chooses[*table as usize][self.ahead(at)] {
                        0 => FAIL,
                        1 => *a,
                        2 => *b,
                        _ => self.split(pc, (*a, *b), at),
                    }
                }
                Inst::Dispatch(table) => {
                    self.program.dispatches[*table as usize][self.ahead(at)]
                }
                Inst::Jump(to) => {
                    self.steps += 1;
                    *to
                }
                Inst::Save(slot) => {
                    self.save(*slot, at);
                    pc + 1
                }
                Inst::Match => return Verdict::Match(at),
                other => self.rare(other, pc, &mut at),
            };
            if next != FAIL && self.steps < self.alarm {
                pc = next;
                continue;
            }
            if self.steps >= self.alarm && !self.alarmed() {
                return Verdict::Limit;
            }
            (pc, at) = match next {
                FAIL => match self.backtrack() {
                    Some(resumed) => resumed,
                    None => return Verdict::Fail,
                },
                next => (next, at),
            };
        }
    }

    #[inline]
    fn byte(&self, byte: u8, at: &mut usize, pc: Pc) -> Pc {
        if self.text.get(*at) == Some(&byte) {
            *at += 1;
            return pc + 1;
        }
        FAIL
    }

    /// The instructions that are less common or take longer.
    fn rare(&mut self, inst: &Inst, pc: Pc, at: &mut usize) -> Pc {
        match inst {
            Inst::Give(run, peek) => self.give(run, *peek, pc, at),
            Inst::Seek(run, peek, seek) => self.seek_start(run, *peek, seek, pc, at),
            Inst::Split(a, b) => self.split(pc, (*a, *b), *at),
            Inst::Assert(assertion) => follows(self.holds(*assertion, *at), pc),
            Inst::Neighbour(look, set) => follows(self.neighbour(*look, *set, *at), pc),
            Inst::Fence => self.raise(FAIL, *at, pc),
            Inst::LookStart(alt) => self.raise(*alt, *at, pc),
            Inst::Cut => {
                self.cut();
                pc + 1
            }
            Inst::LookFound => {
                *at = self.cut();
                pc + 1
            }
            Inst::LookDenied => {
                self.unwind();
                FAIL
            }
            Inst::Back(count) => {
                let back = (0..*count).try_fold(*at, |at, _| text::before(self.text, at));
                stepped(back, at, pc)
            }
            Inst::AtSlot(slot) => follows(self.slot(*slot) == *at as u32, pc),
            Inst::Progress(slot, leave) => match self.slot(*slot) == *at as u32 {
                true => *leave,
                false => pc + 1,
            },
            Inst::Backref(captures, icase) => self.backref(captures, *icase, pc, at),
            _ => FAIL,
        }
    }

    fn set(&self, set: u32) -> &'a SetTable {
        &self.program.sets[set as usize]
    }

    fn slot(&self, slot: u32) -> u32 {
        self.memory.slots[slot as usize]
    }

    /// The next byte as the index of a table.
    #[inline]
    fn ahead(&self, at: usize) -> usize {
        self.text.get(at).map_or(256, |byte| usize::from(*byte))
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

    fn give(&mut self, run: &Run, peek: u32, pc: Pc, at: &mut usize) -> Pc {
        if self.memo && !self.fresh(pc, *at) {
            return FAIL;
        }
        let set = self.set(run.set);
        let Some(end) = text::take(set, run, self.text, *at) else { return FAIL };
        self.steps += (end - *at) as u64 >> 4;
        let low = match run.min {
            0 => *at,
            min => text::counted(set, min, min, self.text, *at).unwrap_or(end),
        };
        let peek = &self.program.peeks[peek as usize];
        let stop = if peek[self.ahead(end)] { Some(end) } else { self.retreat(low, end, peek) };
        let Some(stop) = stop else { return FAIL };
        if stop > low {
            self.memory.frames.push(Frame::Give { pc, low: low as u32, at: stop as u32 });
        }
        *at = stop;
        pc + 1
    }

    /// The last place before `at`, not before `low`, where the rest can begin.
    fn retreat(&self, low: usize, at: usize, peek: &[bool; 257]) -> Option<usize> {
        let usable = |byte: &u8| peek[usize::from(*byte)] && !text::continues(*byte);
        self.text[low..at].iter().rposition(usable).map(|found| low + found)
    }

    fn seek_start(&mut self, run: &Run, peek: u32, seek: &Seek, pc: Pc, at: &mut usize) -> Pc {
        if self.memo && !self.fresh(pc, *at) {
            return FAIL;
        }
        let low = match run.min {
            0 => Some(*at),
            min => text::counted(self.set(run.set), min, min, self.text, *at),
        };
        let Some(low) = low else { return FAIL };
        let left = if run.max == UNBOUNDED { UNBOUNDED } else { run.max - run.min };
        self.seek(run, peek, seek, (pc, low, left)).map_or(FAIL, |stop| {
            *at = stop;
            pc + 1
        })
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

    fn backref(&self, captures: &[u32], icase: bool, pc: Pc, at: &mut usize) -> Pc {
        for capture in captures.iter().rev() {
            let (start, end) = (self.slot(capture * 2), self.slot(capture * 2 + 1));
            if start == UNSET || end == UNSET {
                continue;
            }
            let wanted = &self.text[start as usize..end as usize];
            let Some(found) = self.text.get(*at..*at + wanted.len()) else { continue };
            if found == wanted || icase && found.eq_ignore_ascii_case(wanted) {
                *at += wanted.len();
                return pc + 1;
            }
        }
        FAIL
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

#[inline]
fn stepped(end: Option<usize>, at: &mut usize, pc: Pc) -> Pc {
    match end {
        Some(end) => {
            *at = end;
            pc + 1
        }
        None => FAIL,
    }
}

#[inline]
fn follows(holds: bool, pc: Pc) -> Pc {
    if holds { pc + 1 } else { FAIL }
}
