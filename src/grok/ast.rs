//! The parsed form of a pattern after all names are replaced.
//!
//! In: built by the parser. Out: read by the analyses and the compiler.
//! Promises: a tree without names; captures are numbered in order of appearance.
//! On failure: plain data, nothing fails.

use super::charset::CharSet;

/// How eagerly a repetition takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// As much as possible, giving back.
    Greedy,
    /// As little as possible, taking more.
    Lazy,
    /// As much as possible, never giving back.
    Possessive,
}

/// A test of a place that takes no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Assertion {
    /// `\A`
    StartText,
    /// `^`, which in Ruby is a matter of lines.
    StartLine,
    /// `\z`
    EndText,
    /// `\Z`
    EndTextLine,
    /// `$`
    EndLine,
    /// `\b`
    WordEdge,
    /// `\B`
    NotWordEdge,
}

/// Which way a look-around looks and what it wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// To the left rather than to the right.
    pub behind: bool,
    /// Wants no match.
    pub negative: bool,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// Matches here, takes nothing.
    Empty,
    /// Exactly this text, in UTF-8.
    Literal(String),
    /// One character of a set.
    Set(CharSet),
    /// One after the other.
    Concat(Vec<Node>),
    /// The first that leads to a match.
    Alt(Vec<Node>),
    /// Several times.
    Repeat {
        /// What is repeated.
        node: Box<Node>,
        /// At least so often.
        min: u32,
        /// At most so often.
        max: Option<u32>,
        /// How eagerly.
        mode: Mode,
    },
    /// Notes where the inner node matched.
    Capture(usize, Box<Node>),
    /// Once matched, never tried otherwise.
    Atomic(Box<Node>),
    /// Looks without taking.
    Look(Look, Box<Node>),
    /// Tests the place.
    Assert(Assertion),
    /// The text of the last of these captures that is set.
    Backref(Vec<usize>, bool),
}

impl Node {
    /// The set of a node that always takes exactly one character.
    pub fn as_set(&self) -> Option<CharSet> {
        match self {
            Self::Set(set) => Some(set.clone()),
            Self::Literal(text) => {
                let mut chars = text.chars();
                let first = chars.next()?;
                chars.next().is_none().then(|| CharSet::of(first))
            }
            _ => None,
        }
    }

    /// Puts nodes one after the other, joining literals.
    pub fn concat(nodes: Vec<Self>) -> Self {
        let mut out: Vec<Self> = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Self::Empty => {}
                Self::Concat(inner) => inner.into_iter().for_each(|n| push_joined(&mut out, n)),
                other => push_joined(&mut out, other),
            }
        }
        match out.len() {
            0 => Self::Empty,
            1 => out.remove(0),
            _ => Self::Concat(out),
        }
    }

    /// Makes a choice; one among single characters becomes a set.
    pub fn alt(mut nodes: Vec<Self>) -> Self {
        if nodes.len() == 1 {
            return nodes.remove(0);
        }
        let apart = nodes.into_iter().flat_map(|node| match node {
            Self::Alt(inner) => inner,
            other => vec![other],
        });
        let nodes: Vec<Self> = apart.collect();
        let sets: Option<Vec<CharSet>> = nodes.iter().map(Self::as_set).collect();
        if let Some(sets) = sets {
            let all = sets.iter().fold(CharSet::EMPTY, |all, set| all.union(set));
            return Self::Set(all);
        }
        Self::Alt(nodes)
    }

    /// Whether the node can match without taking text.
    pub fn nullable(&self) -> bool {
        match self {
            Self::Empty | Self::Look(..) | Self::Assert(_) | Self::Backref(..) => true,
            Self::Literal(text) => text.is_empty(),
            Self::Set(_) => false,
            Self::Concat(nodes) => nodes.iter().all(Self::nullable),
            Self::Alt(nodes) => nodes.iter().any(Self::nullable),
            Self::Repeat { node, min, .. } => *min == 0 || node.nullable(),
            Self::Capture(_, node) | Self::Atomic(node) => node.nullable(),
        }
    }

    /// The fewest and the most characters that the node takes; `None` is without bound.
    pub fn width(&self) -> (u32, Option<u32>) {
        match self {
            Self::Empty | Self::Look(..) | Self::Assert(_) => (0, Some(0)),
            Self::Literal(text) => {
                let chars = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
                (chars, Some(chars))
            }
            Self::Set(_) => (1, Some(1)),
            Self::Concat(nodes) => nodes.iter().fold((0, Some(0)), |(low, high), node| {
                let (min, max) = node.width();
                let high = high.zip(max).map(|(a, b): (u32, u32)| a.saturating_add(b));
                (low.saturating_add(min), high)
            }),
            Self::Alt(nodes) => nodes.iter().map(Self::width).reduce(wider).unwrap_or((0, Some(0))),
            Self::Repeat { node, min, max, .. } => {
                let (low, high) = node.width();
                let high = high.zip(*max).map(|(a, b)| a.saturating_mul(b));
                (low.saturating_mul(*min), high)
            }
            Self::Capture(_, node) | Self::Atomic(node) => node.width(),
            Self::Backref(..) => (0, None),
        }
    }
}

fn wider(a: (u32, Option<u32>), b: (u32, Option<u32>)) -> (u32, Option<u32>) {
    (a.0.min(b.0), a.1.zip(b.1).map(|(x, y)| x.max(y)))
}

fn push_joined(out: &mut Vec<Node>, node: Node) {
    match (out.last_mut(), node) {
        (Some(Node::Literal(before)), Node::Literal(text)) => before.push_str(&text),
        (_, node) => out.push(node),
    }
}
