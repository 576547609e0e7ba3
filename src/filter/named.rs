//! Fields named in settings, as several kinds of filter read them.
//!
//! In: a section. Out: paths. On failure: each name that is no field's name is reported with its
//! place; `@timestamp`, which is not kept as a field, is refused where it cannot be changed.

use super::FilterLoad;
use crate::event::{Key, Path};
use crate::settings::{Item, Literal, Section, Spanned};

/// What must be true of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is only read.
    Read,
    /// It is written or removed.
    Write,
}

/// The fields of `field = "a"` or `fields = ["a", "b"]`, at least one.
pub(super) fn fields(
    section: &Section<'_>,
    usage: Use,
    load: &mut FilterLoad<'_>,
) -> Option<Vec<Path>> {
    let mut texts = section.strings("field").unwrap_or_default();
    if section.has("field") {
        texts.extend(section.strings("fields").unwrap_or_default());
    } else {
        texts = section.required_strings("fields", "[\"message\"]");
    }
    let wanted = texts.len();
    let paths: Vec<Path> =
        texts.iter().filter_map(|text| path(section, text, usage, load)).collect();
    (wanted > 0 && paths.len() == wanted).then_some(paths)
}

/// The field of a key that must be there.
pub(super) fn required_field(
    section: &Section<'_>,
    key: &'static str,
    example: &str,
    usage: Use,
    load: &mut FilterLoad<'_>,
) -> Option<Path> {
    let text = section.required_string(key, example)?;
    path(section, &text, usage, load)
}

/// The field of a key, where it is written: `Some(None)` when it is not.
#[allow(clippy::option_option)] // absent and faulty are different things
pub(super) fn optional_field(
    section: &Section<'_>,
    key: &'static str,
    load: &mut FilterLoad<'_>,
) -> Option<Option<Path>> {
    optional(section, key, Use::Write, load)
}

/// As [`optional_field`], for a field that is only read.
#[allow(clippy::option_option)] // absent and faulty are different things
pub(super) fn optional_read(
    section: &Section<'_>,
    key: &'static str,
    load: &mut FilterLoad<'_>,
) -> Option<Option<Path>> {
    optional(section, key, Use::Read, load)
}

#[allow(clippy::option_option)] // absent and faulty are different things
fn optional(
    section: &Section<'_>,
    key: &'static str,
    usage: Use,
    load: &mut FilterLoad<'_>,
) -> Option<Option<Path>> {
    if !section.has(key) {
        return Some(None);
    }
    let text = section.string(key)?;
    path(section, &text, usage, load).map(Some)
}

/// The pairs of `fields = { from = "to" }`, at least one.
pub(super) fn pairs(
    section: &Section<'_>,
    usage: Use,
    load: &mut FilterLoad<'_>,
) -> Option<Vec<(Path, Path)>> {
    let Some(entries) = section.entries("fields") else {
        if !section.has("fields") {
            section.missing("fields", "{ old = \"new\" }");
        }
        return None;
    };
    let mut pairs = Vec::new();
    for (from, item) in entries {
        let Literal::String(text) = &item.literal else {
            let message = format!("a field's name expected, but is {}", item.literal.kind());
            let hint = format!("write {} = \"name\", a nested field in quotes", from.value);
            section.error(item.span.clone(), message, Some(hint));
            continue;
        };
        let to = section.expand(text, &item.span)?;
        let from = path(section, from, usage, load);
        let to = path(section, &to, Use::Write, load);
        pairs.extend(from.zip(to));
    }
    (pairs.len() == entries.len()).then_some(pairs)
}

/// One field's name.
pub(super) fn path(
    section: &Section<'_>,
    text: &Spanned<String>,
    usage: Use,
    load: &mut FilterLoad<'_>,
) -> Option<Path> {
    let path = Path::load(section, text, load.keys)?;
    if usage == Use::Write && path.root() == Key::TIMESTAMP {
        let hint = "the event's time is set by the filter `date`, and every event has one";
        section.error(text.span.clone(), "@timestamp cannot be changed here", Some(hint.into()));
        return None;
    }
    Some(path)
}

/// The field that a filter reads: `field`, or `source` as Logstash calls it; `default` where neither is written.
pub(super) fn source(
    section: &Section<'_>,
    default: Option<&str>,
    load: &mut FilterLoad<'_>,
) -> Option<Path> {
    let key = if section.has("source") { "source" } else { "field" };
    if key == "source" && section.has("field") {
        let message = "`source` and `field` are the same: write one of them";
        section.error(section.span_of("source"), message, None);
    }
    let text = match default {
        Some(default) => Some(section.string_or(key, default)),
        None => section.required_string(key, "\"message\""),
    };
    path(section, &text?, Use::Read, load)
}

/// Yes or no, also in quotes as Logstash allows it.
pub(super) fn flag(section: &Section<'_>, key: &'static str, default: bool) -> bool {
    match section.item(key).map(|item| &item.literal) {
        Some(Literal::String(_)) => {
            section.choice_or(key, &[("true", true), ("false", false)], default)
        }
        _ => section.bool_or(key, default),
    }
}

/// The entries of a table `{ a = 1 }`, or of a list `["a", 1]` as Logstash also writes it.
pub(super) fn hash<'a>(
    section: &Section<'a>,
    key: &'static str,
) -> Option<Vec<(Spanned<String>, &'a Item)>> {
    let item = section.item(key)?;
    let Literal::Array(items) = &item.literal else {
        let entries = section.entries(key)?;
        let own = |(name, item): &'a (Spanned<String>, Item)| (name.clone(), item);
        return Some(entries.iter().map(own).collect());
    };
    let mut found = Vec::new();
    for pair in items.chunks(2) {
        match pair {
            [name, value] => found.extend(text_of(section, name).map(|name| (name, value))),
            _ => {
                let hint = "write a table: { name = \"value\" }";
                let message = format!("`{key}` is a list, but not of pairs");
                section.error(item.span.clone(), message, Some(hint.into()));
                return None;
            }
        }
    }
    Some(found)
}

/// A text, or a number or truth value as text.
pub(super) fn text_of(section: &Section<'_>, item: &Item) -> Option<Spanned<String>> {
    let value = match &item.literal {
        Literal::String(text) => return section.expand(text, &item.span),
        Literal::Integer(n) => n.to_string(),
        Literal::Float(n) => n.to_string(),
        Literal::Bool(b) => b.to_string(),
        other => {
            let message = format!("a text expected, but found {}", other.kind());
            section.error(item.span.clone(), message, Some("write it in quotes".into()));
            return None;
        }
    };
    Some(Spanned { value, span: item.span.clone() })
}

/// The target of a filter: `Some(None)` stands for the event itself.
pub(super) fn target(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Option<Path>> {
    optional_field(section, "target", load)
}
