//! What can be told of a node by its shape: ways to match, places to stop, where to begin.
//!
//! In: a node or a run and what follows it. Out: plain facts for the compiler.
//! Promises: a fact is claimed only where it holds for every text.
//! On failure: nothing here fails; what is not understood has no fact.

use super::ast::{Assertion, Mode, Node};
use super::charset::CharSet;
use super::first::{First, first, first_of};
use super::program::{Anchor, Back, Run, Seek, UNBOUNDED};
use memchr::memmem::{Finder, FinderRev};

/// The set of `(?:x?)*`, which is `x*`.
pub fn flat_run(node: &Node, min: u32, max: Option<u32>, mode: Mode) -> Option<CharSet> {
    let Node::Repeat { node, min: 0, max: Some(1), mode: Mode::Greedy } = node else { return None };
    let endless = (min, max, mode) == (0, None, Mode::Greedy);
    if endless { node.as_set() } else { None }
}

/// Notes the captures that one match of a node may set several times.
pub fn again(node: &Node, within: bool, captures: &mut [bool]) {
    match node {
        Node::Concat(nodes) | Node::Alt(nodes) => {
            for node in nodes {
                again(node, within, captures);
            }
        }
        Node::Repeat { node, max, .. } => again(node, within || *max != Some(1), captures),
        Node::Capture(index, node) => {
            captures[*index] |= within;
            again(node, within, captures);
        }
        Node::Atomic(node) | Node::Look(_, node) => again(node, within, captures),
        _ => {}
    }
}

/// The sets of a node that takes so many characters and no others, one each of some sets; whether it is such a node.
pub fn singles(node: &Node, most: usize, sets: &mut Vec<CharSet>) -> bool {
    match node {
        Node::Literal(text) => sets.extend(text.chars().map(CharSet::of)),
        Node::Set(set) => sets.push(set.clone()),
        Node::Concat(nodes) => return nodes.iter().all(|node| singles(node, most, sets)),
        Node::Repeat { node, min, max, .. } if *max == Some(*min) && *min as usize <= most => {
            return (0..*min).all(|_| singles(node, most, sets));
        }
        _ => return false,
    }
    sets.len() <= most
}

/// About how many instructions a node becomes, without writing them: repetitions of repetitions multiply.
pub fn weight(node: &Node) -> usize {
    let sum = |nodes: &[Node]| nodes.iter().map(weight).fold(0, usize::saturating_add);
    match node {
        Node::Empty => 0,
        Node::Literal(_) | Node::Set(_) | Node::Assert(_) | Node::Backref(..) => 1,
        Node::Concat(nodes) => sum(nodes),
        Node::Alt(nodes) => sum(nodes).saturating_add(nodes.len()),
        Node::Repeat { node, .. } if node.as_set().is_some() => 1,
        Node::Repeat { node, min, max, .. } => {
            let times = max.unwrap_or(min.saturating_add(1));
            weight(node).saturating_add(1).saturating_mul(times as usize)
        }
        Node::Capture(_, node) | Node::Atomic(node) | Node::Look(_, node) => {
            weight(node).saturating_add(2)
        }
    }
}

/// The tree without the captures that have no number, so that what is in them can be joined to its neighbours.
pub fn without_idle_captures(node: &Node, kept: &[Option<u32>]) -> Node {
    let plain = |node: &Node| without_idle_captures(node, kept);
    match node {
        Node::Capture(index, node) if kept[*index].is_none() => plain(node),
        Node::Capture(index, node) => Node::Capture(*index, Box::new(plain(node))),
        Node::Concat(nodes) => Node::concat(nodes.iter().map(plain).collect()),
        Node::Alt(nodes) => Node::alt(nodes.iter().map(plain).collect()),
        Node::Repeat { node, min, max, mode } => {
            Node::Repeat { node: Box::new(plain(node)), min: *min, max: *max, mode: *mode }
        }
        Node::Atomic(node) => Node::Atomic(Box::new(plain(node))),
        Node::Look(look, node) => Node::Look(*look, Box::new(plain(node))),
        other => other.clone(),
    }
}

/// Whether a node can match in one way only, whatever follows.
pub fn plain(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Literal(_) | Node::Set(_) | Node::Assert(_) => true,
        Node::Concat(nodes) => {
            let end = nodes.len() - 1;
            nodes[..end].iter().all(plain) && (plain(&nodes[end]) || is_run(&nodes[end]))
        }
        Node::Capture(_, node) => plain(node),
        Node::Repeat { node, min, max, .. } => *max == Some(*min) && node.as_set().is_some(),
        _ => false,
    }
}

/// Whether a node is a run of one set, which at the end of an atomic piece is possessive.
pub fn is_run(node: &Node) -> bool {
    matches!(node, Node::Repeat { node, .. } if node.as_set().is_some())
}

/// Whether a node is a choice that the next byte decides, with nothing to choose after it.
pub fn is_switch(node: &Node) -> bool {
    let Node::Alt(nodes) = node else { return false };
    let mut seen = [false; 257];
    nodes.iter().all(|node| {
        let table = first(node, &First::accept()).table();
        let apart = table.iter().zip(&mut seen).all(|(on, seen)| {
            let apart = !(*on && *seen);
            *seen |= *on;
            apart
        });
        apart && !node.nullable() && (plain(node) || is_run(node))
    })
}

/// Whether the next byte decides every choice in a node, given what follows it. Then there is one way through it
/// at most that the rest can go on from, and whether it may be tried otherwise does not matter.
pub fn decided(node: &Node, follow: &First) -> bool {
    match node {
        Node::Empty | Node::Literal(_) | Node::Set(_) | Node::Assert(_) => true,
        Node::Look(_, node) => node.as_set().is_some(),
        Node::Concat(nodes) => {
            (0..nodes.len()).all(|at| decided(&nodes[at], &first_of(&nodes[at + 1..], follow)))
        }
        Node::Alt(nodes) => {
            let mut seen = [false; 257];
            nodes.iter().all(|node| {
                let apart = !node.nullable() && apart(&first(node, &First::unknown()), &mut seen);
                apart && decided(node, follow)
            })
        }
        Node::Capture(_, node) | Node::Atomic(node) => decided(node, follow),
        Node::Repeat { node, min, max, mode } => {
            let mut seen = [false; 257];
            let one = first(node, &First::unknown());
            let apart = apart(&one, &mut seen) && apart(follow, &mut seen);
            let fixed = *max == Some(*min);
            if node.as_set().is_some() {
                return fixed || *mode == Mode::Possessive || *mode == Mode::Greedy && apart;
            }
            let again = First { sure: false, ..one.or(follow) };
            *mode != Mode::Lazy && !node.nullable() && apart && decided(node, &again)
        }
        Node::Backref(..) => false,
    }
}

/// Whether nothing of what may come next is seen already; it then is.
fn apart(next: &First, seen: &mut [bool; 257]) -> bool {
    next.table().iter().zip(seen).all(|(on, seen)| {
        let apart = !(*on && *seen);
        *seen |= *on;
        apart
    })
}

/// How a lazy run gets to its next stop.
pub fn seek(set: &CharSet, run: &Run, follow: &First) -> Seek {
    if *set != CharSet::ALL || run.max != UNBOUNDED || follow.end {
        return Seek::Step;
    }
    if let Some(text) = follow.literal.as_ref().filter(|text| text.len() > 1) {
        return Seek::Text(Box::new(Finder::new(text.as_bytes()).into_owned()));
    }
    follow.set.single().map_or(Seek::Step, Seek::Byte)
}

/// How a greedy run gets back to its next stop.
pub fn back(follow: &First) -> Back {
    if follow.end {
        return Back::Step;
    }
    if let Some(text) = follow.literal.as_ref().filter(|text| text.len() > 1) {
        return Back::Text(Box::new(FinderRev::new(text.as_bytes()).into_owned()));
    }
    follow.set.single().map_or(Back::Step, |byte| Back::Byte(byte, 1))
}

/// Where an attempt has to begin.
pub fn anchor(node: &Node) -> Anchor {
    match node {
        Node::Assert(Assertion::StartText) => Anchor::Text,
        Node::Assert(Assertion::StartLine) => Anchor::Line,
        // What begins by taking everything finds nothing later that it has not found at first.
        Node::Repeat { node, min: 0, max: None, mode } if *mode != Mode::Possessive => {
            let all = node.as_set().is_some_and(|set| set == CharSet::ALL);
            if all { Anchor::Text } else { Anchor::None }
        }
        Node::Concat(nodes) => nodes.first().map_or(Anchor::None, anchor),
        Node::Capture(_, node) => anchor(node),
        Node::Alt(nodes) => {
            let mut all = nodes.iter().map(anchor);
            let one = all.next().unwrap_or(Anchor::None);
            if all.all(|other| other == one) { one } else { Anchor::None }
        }
        _ => Anchor::None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Ecs, Grok, Options, Problem};

    #[test]
    fn repetitions_of_repetitions_are_refused_before_they_are_written_out() {
        let pattern = ["(a%{IP:a}..{1,1000}){1,1000}".to_owned()];
        let refused = Grok::compile(&pattern, &[], Ecs::V1, Options::default()).unwrap_err();
        assert_eq!(refused.problem, Problem::TooLarge);
    }
}
