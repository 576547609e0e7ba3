//! Conditions that routing by tags comes to, kept so that they can be simplified before they are written.
//!
//! Promises: what is written means the same as the tree; a condition that always holds is written as none.

/// A condition of the product's language in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// For all events, or for none.
    Always(bool),
    /// One comparison as it is written.
    Atom(String),
    /// All of them.
    All(Vec<Condition>),
    /// One of them.
    Any(Vec<Condition>),
    /// Not this one.
    Not(Box<Condition>),
}

use Condition::{All, Always, Any, Atom, Not};

impl Condition {
    /// A comparison.
    pub fn atom(text: impl Into<String>) -> Condition {
        Atom(text.into())
    }

    /// Both.
    #[must_use]
    pub fn and(self, other: Condition) -> Condition {
        match (self, other) {
            (Always(true), other) | (other, Always(true)) => other,
            (Always(false), _) | (_, Always(false)) => Always(false),
            (left, right) if left == right => left,
            (left, right) if left == right.clone().negate() => Always(false),
            (left, right) => {
                let mut parts = if let All(parts) = left { parts } else { vec![left] };
                let more = if let All(parts) = right { parts } else { vec![right] };
                for part in more {
                    if parts.contains(&part.clone().negate()) {
                        return Always(false);
                    }
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
                All(parts)
            }
        }
    }

    /// One of both.
    #[must_use]
    pub fn or(self, other: Condition) -> Condition {
        match (self, other) {
            (Always(false), other) | (other, Always(false)) => other,
            (Always(true), _) | (_, Always(true)) => Always(true),
            (left, right) if left == right => left,
            (left, right) if left == right.clone().negate() => Always(true),
            (left, right) => {
                let mut parts = if let Any(parts) = left { parts } else { vec![left] };
                let more = if let Any(parts) = right { parts } else { vec![right] };
                for part in more {
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
                Any(parts)
            }
        }
    }

    /// The contrary.
    #[must_use]
    pub fn negate(self) -> Condition {
        match self {
            Always(value) => Always(!value),
            Not(inner) => *inner,
            other => Not(Box::new(other)),
        }
    }

    /// As it is written; `None` where it always holds.
    pub fn text(&self) -> Option<String> {
        match self {
            Always(true) => None,
            // No event has a field and has it not.
            Always(false) => Some("exists(message) and not exists(message)".to_string()),
            other => Some(other.write(0)),
        }
    }

    fn write(&self, around: u8) -> String {
        let (binds, text) = match self {
            Always(true) => (3, "not (exists(message) and not exists(message))".to_string()),
            Always(false) => (2, "exists(message) and not exists(message)".to_string()),
            Atom(text) => (3, text.clone()),
            Any(parts) => {
                (1, parts.iter().map(|part| part.write(1)).collect::<Vec<_>>().join(" or "))
            }
            All(parts) => {
                (2, parts.iter().map(|part| part.write(2)).collect::<Vec<_>>().join(" and "))
            }
            Not(inner) => match inner.as_ref() {
                Atom(text) if !text.contains(['"', '/', '\'']) || text.starts_with("exists(") => {
                    (3, format!("not {text}"))
                }
                Atom(text) => (3, contrary(text).unwrap_or_else(|| format!("not ({text})"))),
                other => (3, format!("not ({})", other.write(0))),
            },
        };
        if binds < around { format!("({text})") } else { text }
    }
}

/// `a == "x"` to `a != "x"` and the like; both hold for an absent field as their negations do.
fn contrary(text: &str) -> Option<String> {
    let pairs = [
        (" == ", " != "),
        (" =~ ", " !~ "),
        (" in [", " not in ["),
        (" != ", " == "),
        (" !~ ", " =~ "),
    ];
    let first = pairs
        .iter()
        .filter_map(|(from, to)| text.find(from).map(|at| (at, from, to)))
        .min_by_key(|(at, ..)| *at);
    let (at, from, to) = first?;
    let field = &text[..at];
    if field.contains(['"', '\'', '/', '(', ' ']) {
        return None;
    }
    Some(format!("{field}{to}{}", &text[at + from.len()..]))
}

/// A text as the condition language writes it.
pub fn literal(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `field =~ /pattern/flags`, with slashes escaped.
pub fn matches(field: &str, pattern: &str, flags: &str) -> Condition {
    let mut out = String::new();
    let mut escaped = false;
    for c in pattern.chars() {
        match c {
            '/' if !escaped => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    Atom(format!("{field} =~ /{out}/{flags}"))
}
