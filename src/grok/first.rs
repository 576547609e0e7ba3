//! What text can begin where: the facts that let the compiler leave out choices.
//!
//! In: a node and what may follow it. Out: a [`First`], what may come next at the node's place.
//! Promises: never too little; a byte that is not named cannot lead to a match.
//! On failure: nothing here fails; what is not understood counts as "anything".

use super::ast::{Assertion, Node};
use super::charset::{CharSet, Wide};

/// What may come next at a place in the pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct First {
    /// The characters that may come next.
    pub set: CharSet,
    /// Whether the text may end here.
    pub end: bool,
    /// Whether the rest matches here whatever comes.
    pub sure: bool,
    /// The text that must come next, if that is known.
    pub literal: Option<String>,
}

impl First {
    /// Anything at all, with certainty: the end of the pattern.
    pub fn accept() -> Self {
        Self { set: CharSet::ALL, end: true, sure: true, literal: None }
    }

    /// Anything may come, and it may fail.
    pub fn unknown() -> Self {
        Self { sure: false, ..Self::accept() }
    }

    fn of_set(set: CharSet) -> Self {
        Self { set, end: false, sure: false, literal: None }
    }

    /// Either of two.
    pub fn or(&self, other: &Self) -> Self {
        Self {
            set: self.set.union(&other.set),
            end: self.end || other.end,
            sure: self.sure || other.sure,
            literal: None,
        }
    }

    /// Whether nothing of a set may come next.
    pub fn excludes(&self, set: &CharSet) -> bool {
        self.set.disjoint(set)
    }

    /// The table of a peek: 1 where a byte may come next; the last entry is the end of the text.
    pub fn table(&self) -> [bool; 257] {
        let mut table = [false; 257];
        for (at, entry) in table.iter_mut().enumerate() {
            *entry = match at {
                256 => self.end,
                128..=255 => self.set.wide != Wide::None,
                _ => self.set.has_ascii(at as u8),
            };
        }
        table
    }
}

/// What may come next at a node that is followed by `follow`.
pub fn first(node: &Node, follow: &First) -> First {
    match node {
        Node::Empty => follow.clone(),
        Node::Literal(text) => match text.chars().next() {
            Some(c) => First { literal: Some(text.clone()), ..First::of_set(CharSet::of(c)) },
            None => follow.clone(),
        },
        Node::Set(set) => First::of_set(set.clone()),
        Node::Concat(nodes) => first_of(nodes, follow),
        Node::Alt(nodes) => {
            let mut all = nodes.iter().map(|node| first(node, follow));
            let one = all.next().unwrap_or_else(First::unknown);
            all.fold(one, |all, one| all.or(&one))
        }
        Node::Repeat { node, min, .. } => first_of_repeat(node, *min, follow),
        Node::Capture(_, node) => first(node, follow),
        Node::Atomic(node) => First { sure: false, ..first(node, follow) },
        Node::Look(look, node) => {
            let seen = match (look.behind, node.as_set()) {
                (false, Some(set)) if look.negative => set.negate(),
                (false, Some(set)) => set,
                _ => return First { sure: false, literal: None, ..follow.clone() },
            };
            First {
                set: follow.set.intersect(&seen),
                end: follow.end && look.negative,
                sure: false,
                literal: None,
            }
        }
        Node::Assert(assertion) => first_of_assertion(*assertion, follow),
        Node::Backref(..) => First::unknown(),
    }
}

/// What may come next at the first of several nodes.
pub fn first_of(nodes: &[Node], follow: &First) -> First {
    match nodes.iter().position(|node| !node.nullable()) {
        Some(end) => {
            let last = first(&nodes[end], &First::unknown());
            nodes[..end].iter().rev().fold(last, |follow, node| first(node, &follow))
        }
        None => nodes.iter().rev().fold(follow.clone(), |follow, node| first(node, &follow)),
    }
}

fn first_of_repeat(node: &Node, min: u32, follow: &First) -> First {
    let again = follow.or(&first(node, &First::of_set(CharSet::EMPTY)));
    let inner = first(node, &First { sure: false, ..again });
    let inner = First { sure: false, literal: None, ..inner };
    if min > 0 {
        return inner;
    }
    let mut either = inner.or(follow);
    either.sure = follow.sure;
    either
}

fn first_of_assertion(assertion: Assertion, follow: &First) -> First {
    let seen = match assertion {
        Assertion::EndLine | Assertion::EndTextLine => CharSet::of('\n'),
        Assertion::EndText => CharSet::EMPTY,
        _ => CharSet::ALL,
    };
    First { set: follow.set.intersect(&seen), end: follow.end, sure: false, literal: None }
}

#[cfg(test)]
mod tests {
    use super::super::ast::Mode;
    use super::*;

    #[test]
    fn looks_through_what_may_be_empty() {
        let digits = || Node::Set(CharSet::of('1'));
        let node = Node::Concat(vec![
            Node::Repeat { node: Box::new(digits()), min: 0, max: Some(1), mode: Mode::Greedy },
            Node::Literal("ab".into()),
        ]);
        let found = first(&node, &First::accept());
        assert_eq!(found.set, CharSet::of('1').union(&CharSet::of('a')));
        assert!(!found.end && !found.sure);
    }
}
