//! The name of a field, also a nested one: `http.request.method`, `tags.0`, `a\.b` for a dot within a name; or as
//! Logstash writes it: `[http][request][method]`.
//!
//! In: text of the configuration. Out: a [`Path`]. Promises: the same text gives the same path in one pipeline.
//! On failure: [`PathError`] says at which byte and why.

use super::{Batch, Key, Keys};
use crate::settings::{Section, Spanned, TextError};

/// A field's place in an event; the first segment is a field of the event itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The key of the first segment.
    root: Key,
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

/// The place of the character that the byte at `at` belongs to; of the last one where the text ends before.
pub fn character_at(text: &str, at: usize) -> std::ops::Range<usize> {
    let at = at.min(text.len().saturating_sub(1));
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let start = (0..=at).rev().find(boundary).unwrap_or(0);
    start..(at + 1..text.len()).find(boundary).unwrap_or(text.len())
}

impl Path {
    /// Reads a path. A dot separates names; `\.` is a dot within a name, `\\` a backslash. Names in brackets hold
    /// any characters but brackets.
    pub fn parse(text: &str, keys: &mut Keys) -> Result<Path, PathError> {
        Ok(Path::from_names(&Path::names(text)?, keys))
    }

    /// The path of a text that was made at run time; its names go into the batch's text. `None`: it is no path.
    pub fn resolve(text: &str, batch: &mut Batch) -> Option<Path> {
        let names = Path::names(text).ok()?;
        let segment = |name: &String| Segment {
            key: batch.key_named(name.as_bytes()),
            name: name.as_str().into(),
            index: name.parse().ok(),
        };
        let segments: Vec<Segment> = names.iter().map(segment).collect();
        Some(Path { root: segments.first()?.key, segments, text: text.to_string() })
    }

    fn names(text: &str) -> Result<Vec<String>, PathError> {
        if text.starts_with('[') {
            return bracketed(text);
        }
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
        Ok(names)
    }

    /// Reads the path of a setting; what is wrong is reported with its place.
    pub fn load(section: &Section<'_>, text: &Spanned<String>, keys: &mut Keys) -> Option<Path> {
        let hint = "a dot separates names, `\\.` is a dot within a name: http.request.method";
        match Path::parse(text, keys) {
            Ok(path) => Some(path),
            Err(error) => {
                let message = match text.value.as_str() {
                    "" => "a field's name is empty".to_string(),
                    name => format!("`{name}` is no field's name: {}", error.message),
                };
                let place = character_at(text, error.at);
                section.error_within(text, TextError::new(place, message).hint(hint));
                None
            }
        }
    }

    /// The path of these names, which may hold any characters.
    pub fn from_names<S: AsRef<str>>(names: &[S], keys: &mut Keys) -> Path {
        assert!(!names.is_empty(), "a path has at least one name");
        let escape = |name: &S| name.as_ref().replace('\\', "\\\\").replace('.', "\\.");
        let text = names.iter().map(escape).collect::<Vec<_>>().join(".");
        let segments: Vec<Segment> = names.iter().map(|n| Segment::new(n.as_ref(), keys)).collect();
        Path { root: segments[0].key, segments, text }
    }

    /// The steps, at least one.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first step's key.
    #[inline]
    pub fn root(&self) -> Key {
        self.root
    }

    /// Whether there are steps after the first one.
    #[inline]
    pub fn is_nested(&self) -> bool {
        self.segments.len() > 1
    }

    /// Whether this is `@timestamp`, which lives in [`super::Event::time_ns`].
    #[inline]
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

/// `[a][b]` as Logstash writes it.
fn bracketed(text: &str) -> Result<Vec<String>, PathError> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let Some(inner) = text[at..].strip_prefix('[') else {
            return Err(PathError { at, message: "after `]` comes `[` or nothing" });
        };
        let length = inner.find([']', '[']).filter(|end| inner[*end..].starts_with(']'));
        let Some(length) = length else {
            return Err(PathError { at, message: "this `[` is not closed" });
        };
        if length == 0 {
            return Err(PathError { at, message: "a name is missing within these brackets" });
        }
        names.push(inner[..length].to_string());
        at += length + 2;
    }
    Ok(names)
}

fn push(names: &mut [String], c: char) {
    if let Some(last) = names.last_mut() {
        last.push(c);
    }
}
