//! What is legal in a pattern, but slow or not meant: said by `check`, with the better form next to it.
//!
//! In: a pattern as it was written, its tree and its program. Out: [`Advice`]. Promises: nothing is said of what only
//! the dictionary's own definitions do, which nobody can change from here. On failure: nothing here fails.

use super::ast::{Mode, Node};
use super::charset::CharSet;
use super::first::{First, first, first_of};
use super::parse::Parsed;
use super::program::{Anchor, Program};

/// A start with so many first bytes is hardly a start at all.
const BROAD_START: usize = 60;
/// A set of so many ASCII characters takes nearly everything.
const BROAD: u32 = 64;
/// So many runs that take everything make a line cost the third power of its length.
const MANY: usize = 3;

/// One piece of advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The number of the pattern, from zero.
    pub pattern: usize,
    /// What is slow or not meant.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

/// What is to be said of a pattern.
pub fn advice(pattern: usize, text: &str, parsed: &Parsed, program: &Program) -> Vec<Advice> {
    let mut parts = Vec::new();
    flatten(&parsed.node, None, &mut parts);
    let said = [
        unanchored(text, program),
        empty_at_end(text, &parts, &parsed.captures),
        neighbours(&parts, &parsed.captures),
        many_runs(text, &parts),
        nested(text, &parsed.node),
    ];
    let said = said.into_iter().flatten();
    said.map(|(what, instead)| Advice { pattern, what, instead }).collect()
}

type Said = Option<(String, String)>;

/// The nodes that every match has in a row, each with the capture that it is.
fn flatten<'a>(node: &'a Node, capture: Option<usize>, parts: &mut Vec<(&'a Node, Option<usize>)>) {
    match node {
        Node::Concat(nodes) => nodes.iter().for_each(|node| flatten(node, capture, parts)),
        Node::Capture(index, node) => flatten(node, Some(*index), parts),
        other => parts.push((other, capture)),
    }
}

/// The set of a run without bound, and whether it is lazy.
fn run(node: &Node) -> Option<(CharSet, bool)> {
    let Node::Repeat { node, max: None, mode, .. } = node else { return None };
    let set = node.as_set()?;
    (*mode != Mode::Possessive).then_some((set, *mode == Mode::Lazy))
}

fn unanchored(text: &str, program: &Program) -> Said {
    let starts = program.start.iter().filter(|on| **on).count();
    let told = program.anchor != Anchor::None
        || program.prefix.is_some()
        || program.scout.is_few() && !program.start[256]
        || program.required.texts.iter().any(|text| text.text().len() > 1)
        || starts < BROAD_START;
    let what = "this pattern is tried at nearly every character of a line that it does not match";
    let instead = format!("if lines begin with it, write '^{text}'");
    (!told).then(|| (what.to_owned(), instead))
}

fn empty_at_end(text: &str, parts: &[(&Node, Option<usize>)], names: &[Option<String>]) -> Said {
    let (last, capture) = parts.last()?;
    let Node::Repeat { min: 0, mode: Mode::Lazy, .. } = last else { return None };
    let name = names.get((*capture)?)?.as_deref()?;
    let what = format!(
        "`{}` is always empty: nothing follows it, so it takes as little as it may",
        shown(name)
    );
    let at = text.rfind("%{DATA:").filter(|at| text[*at..].find('}') == Some(text.len() - at - 1));
    // Not of what only a definition does.
    if at.is_none() && !text.trim_end_matches([')', '$']).ends_with('?') {
        return None;
    }
    let instead = match at {
        Some(at) => format!("write '{}%{{GREEDYDATA:{}'", &text[..at], &text[at + 7..]),
        None => "write `$` behind it, or take as much as possible".to_owned(),
    };
    Some((what, instead))
}

/// Two captures in a row, of which nothing tells where one ends and the other begins.
fn neighbours(parts: &[(&Node, Option<usize>)], names: &[Option<String>]) -> Said {
    let name = |capture: Option<usize>| names.get(capture?)?.as_deref().map(shown);
    parts.windows(2).find_map(|pair| {
        let [(one, a), (other, b)] = pair else { return None };
        let ((one, _), (other, _)) = (run(one)?, run(other)?);
        let (a, b) = (name(*a)?, name(*b)?);
        let apart = one.disjoint(&other) || a == b;
        let what = format!("nothing tells where `{a}` ends and `{b}` begins");
        let instead =
            "write what stands between them, or a narrower pattern for the first".to_owned();
        (!apart).then_some((what, instead))
    })
}

fn many_runs(text: &str, parts: &[(&Node, Option<usize>)]) -> Said {
    let nodes: Vec<Node> = parts.iter().map(|(node, _)| (*node).clone()).collect();
    let open = (0..nodes.len()).filter(|at| {
        let follow = first_of(&nodes[at + 1..], &First::accept());
        run(&nodes[*at]).is_some_and(|(set, _)| {
            set.ascii.count_ones() >= BROAD && !follow.sure && !follow.excludes(&set)
        })
    });
    let open = open.count();
    let own = ["%{DATA", "%{GREEDYDATA", ".*", ".+"].map(|piece| text.matches(piece).count());
    let own: usize = own.iter().sum();
    if open < MANY || own < MANY {
        return None;
    }
    let what = format!(
        "{open} pieces in a row can each take all that is left: a line that does not match is split in all ways"
    );
    Some((what, format!("write what each may hold, such as '{}'", narrowed(text))))
}

/// The text with `NOTSPACE` wherever a blank follows what takes everything.
fn narrowed(text: &str) -> String {
    let mut out = text.to_owned();
    for wide in ["%{DATA", "%{GREEDYDATA"] {
        let mut from = 0;
        while let Some(found) = out[from..].find(wide).map(|found| from + found) {
            let end = out[found..].find('}').map_or(out.len(), |end| found + end + 1);
            if out[end..].starts_with(' ') {
                out.replace_range(found..found + wide.len(), "%{NOTSPACE");
            }
            from = found + 2;
        }
    }
    out
}

/// A repetition whose rounds can end and begin with the same characters, however many rounds they make of them.
fn nested(text: &str, node: &Node) -> Said {
    let own = [")*", ")+", ")*?", ")+?"].iter().any(|piece| text.contains(piece));
    if !own || !has_nested(node) {
        return None;
    }
    let what = "a repetition within a repetition can take the same text in many ways";
    let instead = "write a separator between the rounds, or make each round one piece: '(?>…)+'";
    Some((what.to_owned(), instead.to_owned()))
}

fn has_nested(node: &Node) -> bool {
    match node {
        Node::Repeat { node: inner, max: None, mode, .. } if *mode != Mode::Possessive => {
            let begins = first(inner, &First::unknown());
            let begins = if inner.nullable() { None } else { Some(begins.set) };
            let again =
                begins.is_some_and(|begins| ends(inner).is_some_and(|set| !set.disjoint(&begins)));
            again || has_nested(inner)
        }
        Node::Repeat { node, .. } | Node::Capture(_, node) => has_nested(node),
        Node::Concat(nodes) | Node::Alt(nodes) => nodes.iter().any(has_nested),
        _ => false,
    }
}

/// The set of the run without bound that a node may end with.
fn ends(node: &Node) -> Option<CharSet> {
    match node {
        Node::Concat(nodes) => nodes.last().and_then(ends),
        Node::Capture(_, node) => ends(node),
        Node::Repeat { .. } => run(node).map(|(set, _)| set),
        Node::Alt(nodes) => nodes.iter().find_map(ends),
        _ => None,
    }
}

/// A name of a capture as a user writes it.
fn shown(name: &str) -> &str {
    let mut parts = name.split(':');
    let first = parts.next().unwrap_or_default();
    parts.next().unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::super::{Ecs, Grok, Options, names};

    fn said(pattern: &str) -> Vec<String> {
        let grok = Grok::compile(&[pattern.to_owned()], &[], Ecs::V1, Options::default()).unwrap();
        grok.advice().iter().map(|advice| format!("{}; {}", advice.what, advice.instead)).collect()
    }

    #[test]
    fn each_mistake_is_said_once_with_the_better_form() {
        let cases = [
            ("%{WORD:a} %{NOTSPACE:b}", "write '^%{WORD:a} %{NOTSPACE:b}'"),
            ("^a %{DATA:rest}", "write '^a %{GREEDYDATA:rest}'"),
            ("^%{DATA:a}%{GREEDYDATA:b}$", "nothing tells where `a` ends and `b` begins"),
            (
                "^%{DATA:a} %{DATA:b} %{DATA:c} x %{GREEDYDATA:d}",
                "'^%{NOTSPACE:a} %{NOTSPACE:b} %{NOTSPACE:c} x %{GREEDYDATA:d}'",
            ),
            ("^(?:[a-z]+)+;", "'(?>…)+'"),
        ];
        for (pattern, wanted) in cases {
            let all = said(pattern);
            assert!(all.len() == 1 && all[0].contains(wanted), "{pattern}: {all:?}");
        }
    }

    #[test]
    fn what_is_well_written_is_left_alone() {
        let patterns = [
            r"\[%{TIMESTAMP_ISO8601:timestamp}\] %{LOGLEVEL:level} %{GREEDYDATA:msg}",
            "request_id=%{UUID:request_id}",
            "%{COMBINEDAPACHELOG}",
            "^%{IPORHOST:client} %{WORD:verb} %{URIPATHPARAM:path} %{NUMBER:size}$",
            "^%{DATA:a};%{GREEDYDATA:b}",
            r"^(?:%{WORD:a},)+",
        ];
        for pattern in patterns {
            assert_eq!(said(pattern), Vec::<String>::new(), "{pattern}");
        }
        for ecs in [Ecs::Disabled, Ecs::V1] {
            for name in names(ecs) {
                let pattern = [format!("^%{{{name}}}")];
                let grok = Grok::compile(&pattern, &[], ecs, Options::default()).unwrap();
                assert_eq!(grok.advice(), [], "{name}");
            }
        }
    }
}
