//! What every match has: texts in their order, and how far the first is from the match's begin.
//!
//! In: a tree. Out: a [`Required`], which tells cheaply that a text cannot match, or where not to
//! try.
//! Promises: never more than every match has.
//! On failure: nothing here fails; what is not understood requires nothing.

use super::ast::Node;
use super::charset::Wide;
use super::scout::Scout;
use super::spot::{Spot, rarity};

/// So many texts are looked for at most.
const MAX_TEXTS: usize = 8;
/// A byte that is needed more seldom says too little.
const MIN_OFTEN: usize = 4;
/// A first text further from the begin says too little.
const MAX_DISTANCE: usize = 256;

/// What every match has.
#[derive(Clone, Debug, Default)]
pub struct Required {
    /// Texts that every match has, in this order.
    pub texts: Vec<Spot>,
    /// The one that is the least likely to be in another text.
    rarest: Option<Spot>,
    /// A byte that every match has so often.
    often: Option<(Scout, usize)>,
    /// A text that every match has near its begin.
    pub lead: Option<Lead>,
}

/// A text that every match has at a distance from its begin.
#[derive(Clone, Debug)]
pub struct Lead {
    /// The text.
    pub text: Spot,
    /// At least so many bytes after the begin.
    pub min: usize,
    /// At most so many.
    pub max: usize,
}

impl Required {
    /// What a tree requires.
    pub fn new(node: &Node) -> Self {
        let mut texts = Vec::new();
        collect(node, &mut texts);
        let often = often(&texts);
        while texts.len() > MAX_TEXTS {
            let shortest = (0..texts.len()).min_by_key(|at| texts[*at].len()).unwrap_or(0);
            texts.remove(shortest);
        }
        let mut before = (0, Some(0));
        let lead = lead(node, &mut before).and_then(|text| {
            let (min, max) = (before.0, before.1.filter(|max| *max <= MAX_DISTANCE)?);
            Some(Lead { text: Spot::new(text.as_bytes()), min, max })
        });
        let rarest = texts.iter().max_by_key(|text| rarity(text)).map(|text| Spot::new(text));
        Self { texts: texts.iter().map(|text| Spot::new(text)).collect(), rarest, often, lead }
    }

    /// Whether a text has what a match at any place must have; mostly told by one search.
    #[inline]
    pub fn possible(&self, text: &[u8]) -> bool {
        let lacks = self.rarest.as_ref().is_some_and(|spot| spot.find(text, 0).is_none());
        !lacks && self.met(text, 0)
    }

    #[inline]
    fn is_often(&self, text: &[u8]) -> bool {
        match &self.often {
            Some((scout, least)) => scout.has(text, *least),
            None => true,
        }
    }

    /// Whether a text has all that a match that begins at `from` or later must have.
    pub fn met(&self, text: &[u8], from: usize) -> bool {
        let mut at = from;
        self.texts.iter().all(|wanted| match wanted.find(text, at) {
            Some(found) => {
                at = found + wanted.text().len();
                true
            }
            None => false,
        }) && self.is_often(&text[from..])
    }
}

/// The byte that comes most often in some texts, if that is often enough to tell lines apart.
fn often(texts: &[Vec<u8>]) -> Option<(Scout, usize)> {
    let mut counts = [0; 256];
    texts.iter().flatten().for_each(|byte| counts[usize::from(*byte)] += 1);
    let (byte, count) = (0..=u8::MAX).zip(counts).max_by_key(|(_, count)| *count)?;
    (count >= MIN_OFTEN).then(|| (Scout::byte(byte), count))
}

/// The literals that every match has, in order.
fn collect(node: &Node, found: &mut Vec<Vec<u8>>) {
    match node {
        Node::Literal(text) => found.push(text.as_bytes().to_vec()),
        Node::Set(set) => found.extend(set.single().map(|byte| vec![byte])),
        Node::Concat(nodes) => nodes.iter().for_each(|node| collect(node, found)),
        Node::Capture(_, node) | Node::Atomic(node) => collect(node, found),
        Node::Repeat { node, min: 1.., .. } => collect(node, found),
        _ => {}
    }
}

/// The first literal that every match has; `before` becomes the bytes in front of it.
fn lead<'a>(node: &'a Node, before: &mut (usize, Option<usize>)) -> Option<&'a str> {
    match node {
        Node::Literal(text) => return Some(text),
        Node::Concat(nodes) => return nodes.iter().find_map(|node| lead(node, before)),
        Node::Capture(_, node) | Node::Atomic(node) => return lead(node, before),
        _ => {}
    }
    let (min, max) = bytes(node);
    before.0 = before.0.saturating_add(min);
    before.1 = before.1.zip(max).map(|(a, b)| a.saturating_add(b));
    None
}

/// The fewest and the most bytes that a node takes; `None` is without bound.
fn bytes(node: &Node) -> (usize, Option<usize>) {
    let row = |nodes: &[Node]| {
        nodes.iter().map(bytes).fold((0usize, Some(0usize)), |(low, high), (min, max)| {
            let high = high.zip(max).map(|(a, b)| a.saturating_add(b));
            (low.saturating_add(min), high)
        })
    };
    match node {
        Node::Empty | Node::Look(..) | Node::Assert(_) => (0, Some(0)),
        Node::Literal(text) => (text.len(), Some(text.len())),
        // A byte that is no UTF-8 counts as a character of its own.
        Node::Set(set) => (1, Some(if set.wide == Wide::None { 1 } else { 4 })),
        Node::Concat(nodes) => row(nodes),
        Node::Alt(nodes) => {
            let widths = nodes.iter().map(bytes);
            let wider = |a: (usize, Option<usize>), b: (usize, Option<usize>)| {
                (a.0.min(b.0), a.1.zip(b.1).map(|(x, y)| x.max(y)))
            };
            widths.reduce(wider).unwrap_or((0, Some(0)))
        }
        Node::Repeat { node, min, max, .. } => {
            let (low, high) = bytes(node);
            let high = high.zip(*max).map(|(a, b)| a.saturating_mul(b as usize));
            (low.saturating_mul(*min as usize), high)
        }
        Node::Capture(_, node) | Node::Atomic(node) => bytes(node),
        Node::Backref(..) => (0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ast::Mode;
    use super::super::charset::CharSet;
    use super::*;

    #[test]
    fn texts_have_to_come_in_their_order() {
        let any = || Node::Repeat {
            node: Box::new(Node::Set(CharSet::ALL)),
            min: 0,
            max: None,
            mode: Mode::Greedy,
        };
        let parts = vec![Node::Set(CharSet::of('x')), Node::Literal("ab".into()), any()];
        let mut parts = Node::Concat(parts);
        if let Node::Concat(nodes) = &mut parts {
            nodes.push(Node::Literal("cd".into()));
        }
        let required = Required::new(&parts);
        assert!(required.met(b"xab cd", 0));
        assert!(!required.met(b"cd xab", 0));
        let lead = required.lead.expect("one character, then the text");
        assert_eq!((lead.min, lead.max), (1, 1));
    }
}
