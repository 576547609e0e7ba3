//! Fields named in settings, as several kinds of filter read them.
//!
//! In: a section. Out: paths. On failure: each name that is no field's name is reported with its
//! place; `@timestamp`, which is not kept as a field, is refused where it cannot be changed.

use super::FilterLoad;
use crate::event::{Key, Path};
use crate::settings::{Literal, Section, Spanned};

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
    if !section.has(key) {
        return Some(None);
    }
    let text = section.string(key)?;
    path(section, &text, Use::Write, load).map(Some)
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
