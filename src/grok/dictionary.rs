//! The patterns that every grok knows.
//!
//! In: the files beside this one. Out: for each mode, the definition of each name.
//! Promises: both modes have the names of Logstash's dictionaries, and its fields.
//! On failure: nothing here fails; the tests compile every definition.
//!
//! A line is a name, a blank and a definition. One definition serves both modes where it can:
//! `%{IP:clientip~[source][ip]}` sets `clientip` in the older mode and `[source][ip]` in the newer,
//! and either side may be empty; names can be paired likewise.
//! `NAME@legacy` and `NAME@v1` are for one mode only.

use super::Ecs;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The definitions by name.
pub type Definitions = HashMap<&'static str, String>;

const FILES: &[&str] = &[
    include_str!("dictionary/core.txt"),
    include_str!("dictionary/web.txt"),
    include_str!("dictionary/hosts.txt"),
    include_str!("dictionary/network.txt"),
    include_str!("dictionary/nagios.txt"),
    include_str!("dictionary/bacula.txt"),
    include_str!("dictionary/zeek.txt"),
];

static LEGACY: LazyLock<Definitions> = LazyLock::new(|| load(Ecs::Disabled));
static V1: LazyLock<Definitions> = LazyLock::new(|| load(Ecs::V1));

/// The definitions of a mode.
pub fn builtin(ecs: Ecs) -> &'static Definitions {
    match ecs {
        Ecs::Disabled => &LEGACY,
        Ecs::V1 => &V1,
    }
}

fn load(ecs: Ecs) -> Definitions {
    let lines = FILES.iter().flat_map(|file| file.lines());
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(' ')).filter_map(|line| define(line, ecs)).collect()
}

/// Whether a name is only for definitions of this dictionary.
pub fn is_helper(name: &str) -> bool {
    name.starts_with('_')
}

/// One definition as the mode has it; `None` if it is the other mode's.
fn define((name, text): (&'static str, &str), ecs: Ecs) -> Option<(&'static str, String)> {
    let (name, only) = name.split_once('@').map_or((name, None), |(n, mode)| (n, Some(mode)));
    let mode = if ecs == Ecs::V1 { "v1" } else { "legacy" };
    if only.is_some_and(|only| only != mode) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("%{") {
        let end = rest[start..].find('}').map_or(rest.len(), |end| start + end);
        out.push_str(&rest[..start]);
        out.push_str(&pick(&rest[start..end], ecs));
        rest = &rest[end..];
    }
    out.push_str(rest);
    Some((name, out))
}

/// `%{NAME:old~new` without its closing brace, as the mode has it.
fn pick(reference: &str, ecs: Ecs) -> String {
    let of_mode = |text: &str| match text.split_once('~') {
        Some((_, new)) if ecs == Ecs::V1 => new.to_owned(),
        Some((old, _)) => old.to_owned(),
        None => text.to_owned(),
    };
    let Some((name, field)) = reference["%{".len()..].split_once(':') else {
        return reference.to_owned();
    };
    let (name, field) = (of_mode(name), of_mode(field));
    if field.is_empty() { format!("%{{{name}") } else { format!("%{{{name}:{field}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_serves_both_modes() {
        let line = ("X", "%{IP:a~[b][c]:int} %{INT} %{WORD:~w}");
        assert_eq!(define(line, Ecs::Disabled).unwrap().1, "%{IP:a} %{INT} %{WORD}");
        assert_eq!(define(line, Ecs::V1).unwrap().1, "%{IP:[b][c]:int} %{INT} %{WORD:w}");
        assert!(define(("X@legacy", "a"), Ecs::V1).is_none());
    }
}
