//! The compiled form of a pattern: a list of instructions and the tables they read.
//!
//! In: made by the compiler. Out: read by the machine and by `explain`.
//! Promises: every jump and table number is in bounds; execution begins at instruction 0.
//! On failure: plain data, nothing fails.

use super::ast::{Assertion, Look};
use super::charset::{CharSet, Wide};
use memchr::memmem::Finder;

/// The number of an instruction.
pub type Pc = u32;

/// A jump there is a failure.
pub const FAIL: Pc = Pc::MAX;

/// No bound on a repetition.
pub const UNBOUNDED: u32 = u32::MAX;

/// How a set is run through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stride {
    /// It takes everything.
    All,
    /// It takes everything but this byte.
    Until(u8),
    /// Byte by byte.
    Table,
}

/// A set of characters as the machine asks for it.
#[derive(Clone, Debug)]
pub struct SetTable {
    /// For each byte: 0 not in the set, 1 in it, 2 the first of a character to be looked up.
    pub bytes: [u8; 256],
    /// The ranges outside ASCII, where they are not all or nothing.
    pub ranges: Vec<(u32, u32)>,
    /// How to run through it.
    pub stride: Stride,
    /// The set itself.
    pub set: CharSet,
}

impl SetTable {
    /// Lays a set out.
    pub fn new(set: CharSet) -> Self {
        let (high, ranges) = match &set.wide {
            Wide::None => (0, Vec::new()),
            Wide::All => (1, Vec::new()),
            Wide::Ranges(ranges) => (2, ranges.to_vec()),
        };
        let mut bytes = [high; 256];
        for byte in 0..128u8 {
            bytes[usize::from(byte)] = u8::from(set.has_ascii(byte));
        }
        let stride = match set.negate().single() {
            _ if set == CharSet::ALL => Stride::All,
            Some(byte) => Stride::Until(byte),
            None => Stride::Table,
        };
        Self { bytes, ranges, stride, set }
    }

    /// Whether a character outside ASCII is in the ranges.
    pub fn has_wide(&self, code: u32) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < code);
        self.ranges.get(at).is_some_and(|range| range.0 <= code)
    }
}

/// How a lazy run finds the next place to stop.
#[derive(Clone, Debug)]
pub enum Seek {
    /// Character by character.
    Step,
    /// The set takes everything up to this byte.
    Byte(u8),
    /// The set takes everything up to this text.
    Text(Box<Finder<'static>>),
}

/// A run of characters of one set.
#[derive(Clone, Debug)]
pub struct Run {
    /// Which set.
    pub set: u32,
    /// At least so many.
    pub min: u32,
    /// At most so many.
    pub max: u32,
}

/// One instruction.
#[derive(Clone, Debug)]
pub enum Inst {
    /// This byte.
    Byte(u8),
    /// This text.
    Text(Box<[u8]>),
    /// One character of a set.
    Set(u32),
    /// As many of a set as there are, never given back.
    Take(Run),
    /// One of a set or none, never given back.
    Maybe(u32),
    /// One of a set, or none if the rest wants it; the peek table tells where the rest can begin.
    Option(u32, u32),
    /// As many of a set as there are, given back to places where the peek table holds.
    Give(Run, u32),
    /// As few as will do, stopping where the peek table holds.
    Seek(Run, u32, Seek),
    /// Either of two, the first preferred.
    Split(Pc, Pc),
    /// Either of two; the table tells which can be: bit 0 the first, bit 1 the second.
    Choose(Pc, Pc, u32),
    /// Where to go is told by the next byte.
    Dispatch(u32),
    /// Goes on elsewhere.
    Jump(Pc),
    /// Notes the place in a slot.
    Save(u32),
    /// Tests the place.
    Assert(Assertion),
    /// Tests the neighbouring character.
    Neighbour(Look, u32),
    /// What follows up to `Cut` is one piece.
    Fence,
    /// Forgets the choices made since the fence.
    Cut,
    /// Begins a look ahead; where to go on if it is negative and finds nothing.
    LookStart(Pc),
    /// The positive look has found it: back to where it began.
    LookFound,
    /// The negative look has found it: a failure.
    LookDenied,
    /// Goes this many characters to the left.
    Back(u32),
    /// Tests that the place is the one in the slot.
    AtSlot(u32),
    /// Leaves a loop whose round took nothing; the slot says where the round began.
    Progress(u32, Pc),
    /// The text of the last of these captures that is set.
    Backref(Box<[u32]>, bool),
    /// The whole pattern has matched.
    Match,
}

/// Where an attempt has to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Anywhere.
    None,
    /// At the beginning of the text.
    Text,
    /// At the beginning of a line.
    Line,
}

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Program {
    /// The instructions.
    pub insts: Vec<Inst>,
    /// The sets.
    pub sets: Vec<SetTable>,
    /// Peek tables, by the next byte; entry 256 is the end of the text.
    pub peeks: Vec<[bool; 257]>,
    /// Tables of `Choose`.
    pub chooses: Vec<[u8; 257]>,
    /// Tables of `Dispatch`.
    pub dispatches: Vec<[Pc; 257]>,
    /// The number of slots; two for each capture, then those of loops.
    pub slots: usize,
    /// The number of captures kept.
    pub captures: usize,
    /// Where an attempt has to begin.
    pub anchor: Anchor,
    /// The bytes that an attempt can begin with.
    pub start: Box<[bool; 257]>,
    /// The text that every match begins with.
    pub prefix: Option<Finder<'static>>,
    /// The text that every match has somewhere.
    pub required: Option<Finder<'static>>,
    /// The set of word characters, where an instruction asks for it.
    pub word: u32,
    /// Whether failures may be remembered; not with references to captures.
    pub memo: bool,
}
