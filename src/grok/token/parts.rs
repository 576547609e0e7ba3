//! A piece of a pattern as states that are not deterministic yet.
//!
//! In: nodes in a row. Out: [`Parts`], whose states are ordered: what is preferred is tried first.
//! Promises: tests of the neighbouring character are kept as tables over its byte; where a table cannot tell
//! (a character outside ASCII), it says so.
//! On failure: `None` for what has no such states, or too many of them.

use super::super::ast::{Assertion, Look, Mode, Node};
use super::super::charset::{CharSet, Wide};
use super::super::classes;

/// So many states may there be.
const MAX_PARTS: usize = 1024;
/// A counted repetition of a set is written out so often at most.
const MAX_TIMES: u32 = 64;
/// One of anything else.
const MAX_ROUNDS: u32 = 8;
/// A run of a set of more characters is quicker by itself.
const BROAD: u32 = 24;

/// What a neighbouring byte says, by its value; the last entry is the begin or the end of the text.
pub type Says = [Answer; 257];

/// Whether a test holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// That is a matter of a whole character.
    Unsure,
}

/// One state; later states are tried later.
#[derive(Clone, Debug)]
pub enum Part {
    /// Takes one of a set.
    Take(CharSet, usize),
    /// Takes a byte.
    Byte(u8, usize),
    /// Goes on at either, the first preferred.
    Either(usize, usize),
    /// Tests the next byte.
    Ahead(Box<Says>, usize),
    /// Tests the byte before.
    Behind(Box<Says>, usize),
    /// No table tells what comes of this.
    Doubt,
    /// The piece ends.
    End,
}

/// The states, built from the end, which is state 0.
#[derive(Debug)]
pub struct Parts {
    /// The states.
    pub all: Vec<Part>,
}

/// Whether a node can be part of a token.
pub fn suits(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Literal(_) | Node::Set(_) => true,
        Node::Concat(nodes) => {
            let (first, rest) = (&nodes[0], &nodes[1..]);
            guard(first).is_some_and(suits) || suits(first) && rest.iter().all(suits)
        }
        Node::Alt(nodes) => nodes.iter().all(suits),
        Node::Repeat { node, min, max, mode } => {
            let broad = node.as_set().is_some_and(|set| set.ascii.count_ones() > BROAD);
            let most = if node.as_set().is_some() { MAX_TIMES } else { MAX_ROUNDS };
            let counted = max.is_some_and(|max| max <= most);
            let endless = max.is_none() && *min <= most && !broad && !node.nullable();
            *mode != Mode::Possessive && (counted || endless) && suits(node)
        }
        Node::Atomic(node) => suits(node),
        Node::Look(_, node) => node.as_set().is_some(),
        Node::Assert(assertion) => *assertion != Assertion::EndTextLine,
        Node::Capture(..) | Node::Backref(..) => false,
    }
}

/// What a look ahead wants to see that is more than a character: where it is seen, the instructions have to tell.
fn guard(node: &Node) -> Option<&Node> {
    match node {
        Node::Look(Look { behind: false, negative: false }, inner) if inner.as_set().is_none() => {
            Some(inner)
        }
        _ => None,
    }
}

impl Parts {
    /// The states of nodes in a row, and the first of them.
    pub fn new(nodes: &[Node]) -> Option<(Self, usize)> {
        let mut parts = Self { all: vec![Part::End] };
        let start = parts.row(nodes, 0)?;
        Some((parts, start))
    }

    fn add(&mut self, part: Part) -> Option<usize> {
        self.all.push(part);
        (self.all.len() <= MAX_PARTS).then(|| self.all.len() - 1)
    }

    fn row(&mut self, nodes: &[Node], then: usize) -> Option<usize> {
        if let Some(seen) = nodes.first().and_then(guard) {
            let doubt = self.add(Part::Doubt)?;
            return self.node(seen, doubt);
        }
        nodes.iter().rev().try_fold(then, |then, node| self.node(node, then))
    }

    fn node(&mut self, node: &Node, then: usize) -> Option<usize> {
        match node {
            Node::Empty => Some(then),
            Node::Literal(text) => {
                text.bytes().rev().try_fold(then, |then, byte| self.add(Part::Byte(byte, then)))
            }
            Node::Set(set) => self.add(Part::Take(set.clone(), then)),
            Node::Concat(nodes) => self.row(nodes, then),
            Node::Alt(nodes) => {
                let (last, others) = nodes.split_last()?;
                let mut start = self.node(last, then)?;
                for node in others.iter().rev() {
                    let one = self.node(node, then)?;
                    start = self.add(Part::Either(one, start))?;
                }
                Some(start)
            }
            Node::Atomic(node) if one_way(node) => self.node(node, then),
            // At the end, what is preferred is all that counts, and it is what goes furthest.
            Node::Atomic(node) if then == 0 && super::goes_furthest(node) => self.node(node, then),
            Node::Repeat { node, min, max, mode } => self.repeat(node, (*min, *max), *mode, then),
            Node::Look(look, node) => {
                let says = says(&node.as_set()?, look.negative);
                self.add(if look.behind {
                    Part::Behind(says, then)
                } else {
                    Part::Ahead(says, then)
                })
            }
            Node::Assert(assertion) => self.assertion(*assertion, then),
            _ => None,
        }
    }

    fn assertion(&mut self, assertion: Assertion, then: usize) -> Option<usize> {
        let (none, feed) = (CharSet::EMPTY, CharSet::of('\n'));
        match assertion {
            Assertion::StartText => self.add(Part::Behind(edge_or(&none), then)),
            Assertion::EndText => self.add(Part::Ahead(edge_or(&none), then)),
            Assertion::EndLine => self.add(Part::Ahead(edge_or(&feed), then)),
            Assertion::StartLine => {
                let more = self.add(Part::Ahead(says(&CharSet::ALL, false), then))?;
                let line = self.add(Part::Behind(says(&feed, false), more))?;
                let text = self.add(Part::Behind(edge_or(&none), then))?;
                self.add(Part::Either(text, line))
            }
            Assertion::WordEdge | Assertion::NotWordEdge => {
                let word = classes::posix("word")?;
                let same = assertion == Assertion::NotWordEdge;
                let after = self.add(Part::Ahead(says(&word, !same), then))?;
                let after = self.add(Part::Behind(says(&word, false), after))?;
                let before = self.add(Part::Ahead(says(&word, same), then))?;
                let before = self.add(Part::Behind(says(&word, true), before))?;
                self.add(Part::Either(before, after))
            }
            Assertion::EndTextLine => None,
        }
    }

    fn repeat(
        &mut self,
        node: &Node,
        (min, max): (u32, Option<u32>),
        mode: Mode,
        then: usize,
    ) -> Option<usize> {
        let either = |one, other| match mode {
            Mode::Lazy => Part::Either(other, one),
            _ => Part::Either(one, other),
        };
        let mut start = then;
        match max {
            None => {
                start = self.add(Part::Either(then, then))?;
                let round = self.node(node, start)?;
                self.all[start] = either(round, then);
            }
            Some(max) => {
                for _ in min..max {
                    let round = self.node(node, start)?;
                    start = self.add(either(round, then))?;
                }
            }
        }
        (0..min).try_fold(start, |start, _| self.node(node, start))
    }
}

/// Whether a node matches in one way only, so that it is atomic by itself.
fn one_way(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Literal(_) | Node::Set(_) => true,
        Node::Concat(nodes) => nodes.iter().all(one_way),
        _ => false,
    }
}

/// What a neighbouring byte says of a set.
fn says(set: &CharSet, negative: bool) -> Box<Says> {
    let wide = match set.wide {
        Wide::None => Answer::No,
        Wide::All => Answer::Yes,
        Wide::Ranges(_) => Answer::Unsure,
    };
    let mut table = [wide; 257];
    for byte in 0..128u8 {
        table[usize::from(byte)] = if set.has_ascii(byte) { Answer::Yes } else { Answer::No };
    }
    table[256] = Answer::No;
    if negative {
        for entry in &mut table {
            *entry = match entry {
                Answer::No => Answer::Yes,
                Answer::Yes => Answer::No,
                Answer::Unsure => Answer::Unsure,
            };
        }
    }
    Box::new(table)
}

/// One of a set, or the edge of the text.
fn edge_or(set: &CharSet) -> Box<Says> {
    let mut table = says(set, false);
    table[256] = Answer::Yes;
    table
}
