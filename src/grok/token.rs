//! Pieces of a pattern without captures, as tables: one look-up for each byte, nothing given back.
//!
//! In: nodes and what may follow them. Out: a [`Token`] that tells where they end.
//! Promises: a token is made only where the end that backtracking would settle on is known without
//! the rest of the pattern: no other end has a possible follower (or the rest always matches).
//! On failure: `None` for what no token can do; [`Walk::Unsure`] where only whole characters outside
//! ASCII, or more than a table, can tell.

use super::ast::Node;
use super::first::First;
use determine::Determiner;
use outline::Outline;
use parts::{Answer, Parts, Says};
use template::{Passed, Templates};

mod determine;
mod outline;
mod parts;
mod template;

pub use parts::suits;

/// The state of no way on.
const DEAD: u16 = 0;
/// The state in which no table can tell.
const UNSURE: u16 = 1;
/// The codes of ends: none, whatever comes, and from here on the tables.
const NO_END: u16 = 0;
const ANY_END: u16 = 1;
const END_TABLES: u16 = 2;

/// What came of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// The piece ends here.
    End(usize),
    /// It does not match.
    Fail,
    /// The instructions have to tell.
    Unsure,
}

/// A deterministic automaton.
#[derive(Clone, Debug)]
pub struct Token {
    classes: Box<[u8; 256]>,
    /// By state and class where to go on: the place of the next state's row.
    next: Vec<u16>,
    /// The entries of a row.
    width: usize,
    /// The entry of a row that tells whether the state is an end.
    end_at: usize,
    /// Ends that depend on the byte that comes next.
    ends: Vec<Says>,
    /// By the byte before the piece where it begins; one entry if that does not matter.
    starts: Vec<u16>,
    /// Whether the rest matches anyway, so that the last end that was passed counts.
    last: bool,
    /// Whether a walk can be unsure.
    pub wide: bool,
    /// What tells most ends without the tables.
    quick: Quick,
}

/// What tells the ends of most texts of a token without its tables.
#[derive(Clone, Debug)]
enum Quick {
    /// Nothing.
    None,
    /// Their form.
    Outline(Outline),
    /// The ways that they go.
    Templates(Box<Templates>),
}

impl Token {
    /// Makes a token of nodes in a row, if their end is certain.
    pub fn new(nodes: &[Node], follow: &First) -> Option<Self> {
        if !nodes.iter().all(suits) {
            return None;
        }
        let (parts, start) = Parts::new(nodes)?;
        let mut token = Determiner::new(&parts, follow).run(start)?;
        if token.starts.iter().all(|start| *start <= UNSURE) {
            return None;
        }
        let templates = Templates::new(nodes, &token).map(Box::new).map(Quick::Templates);
        let outline = || Outline::new(&token).map(Quick::Outline);
        token.quick = templates.or_else(outline).unwrap_or(Quick::None);
        Some(token)
    }

    /// How many states it has.
    pub fn states(&self) -> usize {
        self.next.len() / self.width - 1
    }

    /// Where the piece that begins at a place ends.
    #[inline]
    pub fn walk(&self, text: &[u8], at: usize) -> Walk {
        let state = self.start(text, at);
        let (state, at) = match &self.quick {
            Quick::Templates(templates) => match templates.pass(state, text, at) {
                Passed::End(end) => return Walk::End(end),
                Passed::On(then, on) => (then, on),
                Passed::Nothing => (state, at),
            },
            Quick::Outline(outline) => match outline.end(state, text, at) {
                Some(end) => return Walk::End(end),
                None => (state, at),
            },
            Quick::None => (state, at),
        };
        match self.last {
            false => self.walk_on(state, text, at),
            true => self.walk_to_last(state, text, at),
        }
    }

    /// Goes on as long as there is a way; only where there is none can the piece end.
    #[inline(never)]
    fn walk_on(&self, state: u16, text: &[u8], from: usize) -> Walk {
        let (mut row, mut at) = (usize::from(state), from);
        if state > UNSURE {
            for byte in text.get(from..).unwrap_or_default() {
                let next = self.next[row + usize::from(self.classes[usize::from(*byte)])];
                if next <= UNSURE {
                    if next == UNSURE {
                        return Walk::Unsure;
                    }
                    break;
                }
                row = usize::from(next);
                at += 1;
            }
        }
        self.finish(row as u16, text, at, None)
    }

    /// Goes on as long as there is a way, and notes the last end that was passed.
    #[inline(never)]
    fn walk_to_last(&self, mut state: u16, text: &[u8], mut at: usize) -> Walk {
        let mut end = None;
        while state > UNSURE {
            let Some(byte) = text.get(at) else { break };
            let row = usize::from(state);
            match self.next[row + self.end_at] {
                NO_END => {}
                ANY_END => end = Some(at),
                code => match self.ends[usize::from(code - END_TABLES)][usize::from(*byte)] {
                    Answer::Yes => end = Some(at),
                    Answer::No => {}
                    Answer::Unsure => return Walk::Unsure,
                },
            }
            let next = self.next[row + usize::from(self.classes[usize::from(*byte)])];
            if next <= UNSURE {
                if next == UNSURE {
                    return Walk::Unsure;
                }
                break;
            }
            state = next;
            at += 1;
        }
        self.finish(state, text, at, end)
    }

    #[inline]
    fn start(&self, text: &[u8], at: usize) -> u16 {
        match &self.starts[..] {
            [start] => *start,
            starts => starts[at.checked_sub(1).map_or(256, |before| usize::from(text[before]))],
        }
    }

    /// What it means that a walk came no further than this.
    #[inline]
    fn finish(&self, state: u16, text: &[u8], at: usize, end: Option<usize>) -> Walk {
        let answer = match state {
            DEAD => Answer::No,
            UNSURE => return Walk::Unsure,
            _ => self.answer(self.next[usize::from(state) + self.end_at], text, at),
        };
        match (answer, end) {
            (Answer::Yes, _) => Walk::End(at),
            (Answer::Unsure, _) => Walk::Unsure,
            (Answer::No, Some(end)) => Walk::End(end),
            (Answer::No, None) => Walk::Fail,
        }
    }

    #[inline]
    fn answer(&self, code: u16, text: &[u8], at: usize) -> Answer {
        self.says(code, text.get(at).map_or(256, |byte| usize::from(*byte)))
    }

    /// What the code of an end says before a byte, or at the end of the text.
    #[inline]
    fn says(&self, code: u16, byte: usize) -> Answer {
        match code {
            NO_END => Answer::No,
            ANY_END => Answer::Yes,
            _ => self.ends[usize::from(code - END_TABLES)][byte],
        }
    }

    /// The code of an end.
    fn end_code(&mut self, end: &Says) -> u16 {
        if end.iter().all(|answer| *answer == Answer::No) {
            return NO_END;
        }
        if end.iter().all(|answer| *answer == Answer::Yes) {
            return ANY_END;
        }
        let known = self.ends.iter().position(|known| known == end);
        let number = known.unwrap_or_else(|| {
            self.ends.push(*end);
            self.ends.len() - 1
        });
        number as u16 + END_TABLES
    }
}

/// Whether what backtracking prefers of a node is always the longest way to match it.
fn goes_furthest(node: &Node) -> bool {
    let Some((parts, start)) = Parts::new(std::slice::from_ref(node)) else { return false };
    let mut determiner = Determiner::new(&parts, &First::accept());
    determiner.run(start).is_some_and(|token| !token.wide && !determiner.cut)
}

/// Whether a token is of use: whether the node has ways to choose among.
pub fn chooses(node: &Node) -> bool {
    match node {
        Node::Alt(_) => true,
        Node::Concat(nodes) => nodes.iter().any(chooses),
        Node::Repeat { node, min, max, .. } => {
            chooses(node) || *max != Some(*min) && node.as_set().is_none()
        }
        Node::Atomic(node) => chooses(node),
        _ => false,
    }
}
