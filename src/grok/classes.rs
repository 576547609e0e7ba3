//! The named character classes as Oniguruma understands them on UTF-8.
//!
//! In: a letter (`\w`), a POSIX name (`alpha`) or a Unicode property. Out: its [`CharSet`].
//! Promises: the meaning is Oniguruma's Unicode one, not `regex-syntax`'s where the two differ.
//! On failure: `None` for a name that is unknown.

use super::charset::CharSet;
use regex_syntax::hir::{Class, HirKind};

/// The class of `\d`, `\w`, `\s`, `\h` and their negations.
pub fn letter(c: char) -> Option<CharSet> {
    let set = match c.to_ascii_lowercase() {
        'd' => posix("digit"),
        'w' => posix("word"),
        's' => posix("space"),
        'h' => posix("xdigit"),
        _ => None,
    }?;
    Some(if c.is_ascii_uppercase() { set.negate() } else { set })
}

/// The class of `[:name:]`.
pub fn posix(name: &str) -> Option<CharSet> {
    let text = match name {
        "alnum" => r"[\p{Alphabetic}\p{Nd}]",
        "alpha" => r"\p{Alphabetic}",
        "ascii" => r"[\x00-\x7F]",
        "blank" => r"[\p{Zs}\t]",
        "cntrl" => r"\p{Cc}",
        "digit" => r"\p{Nd}",
        "graph" => r"[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]",
        "lower" => r"\p{Lowercase}",
        "print" => r"[[^\p{White_Space}\p{Cc}\p{Cn}\p{Cs}]\p{Zs}]",
        "punct" => r"[\p{P}$+<=>^`|~]",
        "space" => r"\p{White_Space}",
        "upper" => r"\p{Uppercase}",
        "word" => r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}]",
        "xdigit" => r"[0-9A-Fa-f]",
        _ => return None,
    };
    class(text)
}

/// The class of `\p{name}`: a POSIX name in any case, else what Unicode calls so.
pub fn property(name: &str) -> Option<CharSet> {
    let (name, negative) = match name.strip_prefix('^') {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_ -=".contains(c));
    let lower = name.to_ascii_lowercase();
    let set = posix(&lower).or_else(|| class(&format!(r"\p{{{name}}}")).filter(|_| plain))?;
    Some(if negative { set.negate() } else { set })
}

/// Makes a set of a class written for `regex-syntax`.
fn class(text: &str) -> Option<CharSet> {
    let hir = regex_syntax::parse(text).ok()?;
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Some(CharSet::from_class(class)),
        _ => None,
    }
}
