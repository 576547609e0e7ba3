//! The compiled form of a pattern: a list of instructions and the tables they read.
//!
//! In: made by the compiler. Out: read by the machine and by `explain`.
//! Promises: every jump and table number is in bounds; execution begins at `entry`.
//! On failure: plain data, nothing fails.

use super::ast::{Assertion, Look};
use super::charset::{CharSet, Wide};
use super::require::Required;
use super::scout::Scout;
use super::spot::{Pair, Spot};
use super::token::Token;
use super::words::Words;
use memchr::memmem::{Finder, FinderRev};

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
    /// Finds the first byte that is not in it, or only perhaps.
    pub stop: Scout,
    /// Whether nothing outside ASCII is in it.
    pub narrow: bool,
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
        let stop = Scout::new(std::array::from_fn(|byte| bytes[byte] != 1));
        Self { bytes, ranges, stride, stop, narrow: high == 0, set }
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

/// How a greedy run finds the place to give back to.
#[derive(Clone, Debug)]
pub enum Back {
    /// Byte by byte.
    Step,
    /// Only this byte can follow, and the rest takes it so often.
    Byte(u8, u32),
    /// Only this text can follow.
    Text(Box<FinderRev<'static>>),
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

/// A text to be found at a place.
#[derive(Clone, Debug)]
pub struct Literal {
    /// The text.
    pub bytes: Box<[u8]>,
    /// Its first eight bytes, and which of them there are.
    head: u64,
    mask: u64,
}

impl Literal {
    /// Lays a text out.
    pub fn new(bytes: &[u8]) -> Self {
        let (mut head, mut mask) = ([0; 8], [0; 8]);
        for (at, byte) in bytes.iter().take(8).enumerate() {
            (head[at], mask[at]) = (*byte, 0xFF);
        }
        let (head, mask) = (u64::from_le_bytes(head), u64::from_le_bytes(mask));
        Self { bytes: bytes.into(), head, mask }
    }

    /// Where the text ends, if it stands at a place.
    #[inline]
    pub fn at(&self, text: &[u8], at: usize) -> Option<usize> {
        let len = self.bytes.len();
        let rest = text.get(at..)?;
        let stands = match rest.first_chunk::<8>() {
            Some(head) => {
                (u64::from_le_bytes(*head) ^ self.head) & self.mask == 0
                    && (len <= 8 || rest.get(..len).is_some_and(|rest| self.goes_on(rest)))
            }
            // A call of `memcmp` costs more than a few bytes one by one.
            None => rest.len() >= len && rest.iter().zip(&self.bytes).all(|(a, b)| a == b),
        };
        stands.then_some(at + len)
    }

    /// Whether a text of the same length is the same behind its first eight bytes.
    fn goes_on(&self, text: &[u8]) -> bool {
        let words = |bytes: &[u8]| bytes.last_chunk::<8>().map(|word| u64::from_le_bytes(*word));
        let (own, _) = self.bytes.as_chunks::<8>();
        let (others, _) = text.as_chunks::<8>();
        let same = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*a) == u64::from_le_bytes(*b);
        own.iter().zip(others).skip(1).all(same) && words(&self.bytes) == words(text)
    }
}

/// Single characters in a row.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The set of each.
    pub sets: Box<[u32]>,
    /// How ASCII is asked for eight bytes at a time.
    pub words: Option<Words>,
}

/// A capture of a piece that has one end only, and the text after it: what most fields of most lines are.
#[derive(Clone, Debug)]
pub struct Field {
    /// The number of the capture.
    pub number: u32,
    /// Whether it has neither of the next two.
    pub plain: bool,
    /// Whether it may be taken several times, of which the last counts.
    pub again: bool,
    /// What has to be in front of it.
    pub guard: Guard,
    /// What stands before the piece.
    pub lead: Lead,
    /// The piece.
    pub piece: Piece,
    /// What follows it.
    pub tail: Literal,
    /// Where to go on.
    pub next: Pc,
}

/// A field of one run without bound that has nothing in front of it but perhaps one byte.
#[derive(Clone, Debug)]
pub struct RunField {
    /// The number of the capture.
    pub number: u32,
    /// Where to go on.
    pub next: Pc,
    /// Which set it is a run of.
    pub set: u32,
    /// How many characters it has at least: none or one.
    pub min: u32,
    /// Whether the set takes everything.
    pub all: bool,
    /// For each byte whether it may stand before the run: 1 or 0.
    pub lead: Option<Box<[u8; 256]>>,
    /// Whether it has to.
    pub needed: bool,
    /// Whether characters outside ASCII have to be looked up.
    pub wide: bool,
    /// Finds the first byte that is not in the set, or only perhaps.
    pub stop: Scout,
    /// What follows the run.
    pub tail: Literal,
}

/// A field that is a token and has nothing in front of it.
#[derive(Clone, Debug)]
pub struct TokenField {
    /// The number of the capture.
    pub number: u32,
    /// Where to go on.
    pub next: Pc,
    /// The token.
    pub token: u32,
    /// The instructions for where it is unsure.
    pub otherwise: Pc,
    /// What follows the token.
    pub tail: Literal,
}

/// A field that takes everything up to a text.
#[derive(Clone, Debug)]
pub struct SeekField {
    /// The number of the capture.
    pub number: u32,
    /// Where to go on.
    pub next: Pc,
    /// The same as an instruction: where to take more.
    pub pc: Pc,
    /// What is looked for.
    pub spot: Pair,
    /// What follows, if that is more than what is looked for.
    pub tail: Option<Literal>,
}

/// What a field has to have in front of it.
#[derive(Clone, Copy, Debug)]
pub enum Guard {
    /// Nothing.
    None,
    /// The edge of a word.
    Edge,
    /// This neighbour.
    Neighbour(Look, u32),
}

/// What a field begins with.
#[derive(Clone, Copy, Debug)]
pub enum Lead {
    /// Its piece.
    None,
    /// One of a set, or none.
    Maybe(u32),
    /// One of a set.
    One(u32),
}

/// What a field consists of.
#[derive(Clone, Debug)]
pub enum Piece {
    /// As many of a set as there are.
    Take(Run),
    /// A token, and the instructions for where it is unsure.
    Token(u32, Pc),
}

/// A greedy run that can be given back.
#[derive(Clone, Debug)]
pub struct Give {
    /// The run.
    pub run: Run,
    /// The peek table that tells where the rest can begin.
    pub peek: u32,
    /// How the next place is found.
    pub back: Back,
}

/// A run that takes as little as will do.
#[derive(Clone, Debug)]
pub struct Lazy {
    /// The run.
    pub run: Run,
    /// The peek table that tells where the rest can begin.
    pub peek: u32,
    /// How the next place is found.
    pub seek: Seek,
}

/// One instruction. Its kind is a byte of its own and its size two words: each step of the machine reads one.
#[derive(Clone, Debug)]
#[repr(u8)]
pub enum Inst {
    /// This byte.
    Byte(u8),
    /// This text.
    Text(Box<Literal>),
    /// One character of a set.
    Set(u32),
    /// One character of each of these sets in turn.
    Chain(Box<Chain>),
    /// A piece as a table, and where to go on after it; the same piece as instructions follows.
    Token(u32, Pc),
    /// A capture as a whole; the same as instructions follows.
    Field(Box<Field>),
    /// The same for a run.
    RunField(Box<RunField>),
    /// The same for a token.
    TokenField(Box<TokenField>),
    /// The same for everything up to a text.
    SeekField(Box<SeekField>),
    /// As many of a set as there are, never given back.
    Take(Run),
    /// One of a set or none, never given back.
    Maybe(u32),
    /// One of a set, or none if the rest wants it; the peek table tells where the rest can begin.
    Option(u32, u32),
    /// As many of a set as there are, given back to places where the peek table holds.
    Give(Box<Give>),
    /// As few as will do, stopping where the peek table holds.
    Seek(Box<Lazy>),
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
    /// Notes the place in a slot that is written once on every way: a way that failed need not be undone.
    Note(u32),
    /// The capture of this number ends; it began where the slot of its number says.
    Close(u32),
    /// The same for one that may be taken several times, of which the last counts.
    CloseAgain(u32),
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
    Backref(Box<(Vec<u32>, bool)>),
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
    /// Tables of `Token`.
    pub tokens: Vec<Token>,
    /// The number of slots: where each capture begins, then those of loops.
    pub slots: usize,
    /// The number of captures kept.
    pub captures: usize,
    /// Where an attempt has to begin.
    pub anchor: Anchor,
    /// The bytes that an attempt can begin with.
    pub start: Box<[bool; 257]>,
    /// The text that every match begins with.
    pub prefix: Option<Spot>,
    /// The same, to be asked for at a place.
    pub opening: Literal,
    /// The bytes that an attempt can begin with; none for what can be empty at the text's end.
    pub scout: Scout,
    /// What every match has.
    pub required: Required,
    /// The set of word characters, where an instruction asks for it.
    pub word: u32,
    /// The first instruction: a test of the begin is passed over where an attempt begins nowhere else.
    pub entry: Pc,
    /// Whether captures end in the order of their numbers on every way.
    pub ordered: bool,
    /// Whether failures may be remembered; not with references to captures.
    pub memo: bool,
}
