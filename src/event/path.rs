//! The name of a field, also a nested one: `http.request.method`, `tags.0`, `a\.b` for a dot within a name.
//!
//! In: text of the configuration. Out: a [`Path`]. Promises: the same text gives the same path in one pipeline.
//! On failure: [`PathError`] says at which byte and why.

use super::{Key, Keys};
use crate::settings::{Section, Spanned, TextError};

/// A field's place in an event; the first segment is a field of the event itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    segments: Vec<Segment>,
    text: String,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The name.
    pub key: Key,
    /// The name's bytes.
    pub name: Box<str>,
    /// The place in an array, where the name is a whole number.
    pub index: Option<usize>,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathError {
    /// Byte of the text.
    pub at: usize,
    /// What is wrong.
    pub message: &'static str,
}

impl Path {
    /// Reads a path. A dot separates names; `\.` is a dot within a name, `\\` a backslash.
    pub fn parse(text: &str, keys: &mut Keys) -> Result<Path, PathError> {
        let mut names = vec![String::new()];
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '.' => {
                    if names.last().is_none_or(String::is_empty) {
                        return Err(PathError { at, message: "a name is missing before this dot" });
                    }
                    names.push(String::new());
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('.' | '\\'))) => push(&mut names, c),
                    _ => {
                        return Err(PathError {
                            at,
                            message: "after `\\` comes a dot or a backslash",
                        });
                    }
                },
                c => push(&mut names, c),
            }
        }
        if names.last().is_none_or(String::is_empty) {
            return Err(PathError { at: text.len(), message: "a name is missing at the end" });
        }
        Ok(Path::from_names(&names, keys))
    }

    /// Reads the path of a setting; what is wrong is reported with its place.
    pub fn load(section: &Section<'_>, text: &Spanned<String>, keys: &mut Keys) -> Option<Path> {
        let hint = "a dot separates names, `\\.` is a dot within a name: http.request.method";
        if text.starts_with('[') {
            let names = text.trim_matches(['[', ']']).replace('.', "\\.").replace("][", ".");
            let error = TextError::new(0..text.len(), "a field's name stands without brackets");
            section.error_within(text, error.hint(format!("write {names}")));
            return None;
        }
        match Path::parse(text, keys) {
            Ok(path) => Some(path),
            Err(error) => {
                let at = error.at.min(text.len().saturating_sub(1));
                let message = match text.value.as_str() {
                    "" => "a field's name is empty".to_string(),
                    name => format!("`{name}` is no field's name: {}", error.message),
                };
                let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
                section.error_within(text, TextError::new(at..end, message).hint(hint));
                None
            }
        }
    }

    /// The path of these names, which may hold any characters.
    pub fn from_names<S: AsRef<str>>(names: &[S], keys: &mut Keys) -> Path {
        assert!(!names.is_empty(), "a path has at least one name");
        let escape = |name: &S| name.as_ref().replace('\\', "\\\\").replace('.', "\\.");
        let text = names.iter().map(escape).collect::<Vec<_>>().join(".");
        let segments = names.iter().map(|n| Segment::new(n.as_ref(), keys)).collect();
        Path { segments, text }
    }

    /// The steps, at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first step's key.
    pub fn root(&self) -> Key {
        self.segments[0].key
    }

    /// Whether this is `@timestamp`, which lives in [`super::Event::time_ns`].
    pub fn is_timestamp(&self) -> bool {
        self.root() == Key::TIMESTAMP
    }

    /// The path as a person writes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Segment {
    fn new(name: &str, keys: &mut Keys) -> Segment {
        Segment { key: keys.intern(name), name: name.into(), index: name.parse().ok() }
    }
}

fn push(names: &mut [String], c: char) {
    if let Some(last) = names.last_mut() {
        last.push(c);
    }
}
