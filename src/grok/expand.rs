//! What the names in patterns stand for.
//!
//! In: the built-in dictionary, the user's definitions and those given inline. Out: the text of a
//! name, the parts of a `%{…}` reference, the field that a capture name means.
//! Promises: a name found is never one that is being expanded already.
//! On failure: a [`Problem`] with a hint; the caller knows the place.

use super::dictionary::is_helper;
use super::error::Problem;
use super::{Field, Kind};
use std::collections::HashMap;

/// The parts of one `%{NAME:field:kind=definition …}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The pattern's name.
    pub name: &'a str,
    /// What follows its colon.
    pub field: Option<&'a str>,
    /// A definition given on the spot, and where in the text it begins.
    pub definition: Option<&'a str>,
    /// How long the whole is, in bytes.
    pub len: usize,
}

/// Reads a reference at the beginning of the text; `None` if it is none and stands for itself.
pub fn reference(text: &str) -> Option<Reference<'_>> {
    let body = text.strip_prefix("%{")?;
    let name = leading(body, |c| c.is_ascii_alphanumeric() || c == '_');
    if name.is_empty() {
        return None;
    }
    let mut at = 2 + name.len();
    let mut field = None;
    if let Some(rest) = text[at..].strip_prefix(':') {
        let found = leading(rest, |c| c.is_ascii_alphanumeric() || "@[]_:.-\\^`".contains(c));
        if !found.is_empty() {
            field = Some(found);
            at += 1 + found.len();
        }
    }
    let mut definition = None;
    if text[at..].starts_with('=') {
        let len = definition_len(&text[at + 1..]);
        if len > 0 {
            definition = Some(&text[at + 1..at + 1 + len]);
            at += 1 + len;
        }
    }
    let end = at + text[at..].find('}')?;
    Some(Reference { name, field, definition, len: end + 1 })
}

/// A `%{` that stands for itself, or a type that nobody knows: allowed (Logstash does the same), but hardly meant.
/// Gives the byte where it begins, what is wrong, and what to do.
pub fn doubt(text: &str) -> Option<(usize, String, String)> {
    let mut at = 0;
    while let Some(found) = text[at..].find("%{") {
        at += found;
        let escapes = text[..at].bytes().rev().take_while(|b| *b == b'\\').count();
        if escapes % 2 == 1 {
            at += 2;
            continue;
        }
        let Some(reference) = reference(&text[at..]) else {
            let hint =
                "write %{NAME}, %{NAME:field} or %{NAME:field:int}; \\% for a plain percent sign";
            return Some((at, "this `%{` begins no reference".to_string(), hint.to_string()));
        };
        let inside = text.get(at..at + reference.len).unwrap_or_default();
        let end = reference.field.map_or(0, |f| 3 + reference.name.len() + f.len());
        if reference.definition.is_none() && reference.field.is_some() && end + 1 != inside.len() {
            let hint = "write %{NAME:field} or %{NAME:field:int}".to_string();
            return Some((at, format!("`{inside}` is no reference"), hint));
        }
        let kind = reference.field.and_then(|field| field.split(':').nth(1));
        let known = ["int", "long", "float", "double", "boolean", "string"];
        if let Some(kind) = kind.filter(|kind| !known.contains(kind)) {
            let hint = "a field is text, or int, long, float, double, boolean, string".to_string();
            return Some((at, format!("`{kind}` is no type of a field"), hint));
        }
        at += reference.len;
    }
    None
}

fn leading(text: &str, wanted: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c: char| !wanted(c)).unwrap_or(text.len());
    &text[..end]
}

/// The definition reaches to the brace that closes the reference; inner braces come in pairs.
fn definition_len(text: &str) -> usize {
    let (mut depth, mut escaped) = (0usize, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => depth += 1,
            '}' if depth == 0 => return at,
            '}' => depth -= 1,
            _ => {}
        }
    }
    0
}

/// The field that a capture's full name (`IP:client`, `INT:[a][b]:int`, `name`) stands for.
pub fn field_of(full: &str) -> Field {
    let mut parts = full.split(':');
    let first = parts.next().unwrap_or_default();
    let name = parts.next().filter(|name| !name.is_empty()).unwrap_or(first);
    let kind = match parts.next() {
        Some("int" | "long") => Kind::Int,
        Some("float" | "double") => Kind::Float,
        Some("boolean") => Kind::Bool,
        _ => Kind::String,
    };
    Field { path: path_of(name), kind }
}

/// `[a][b]` is a way through nested objects; anything else is one name.
fn path_of(name: &str) -> Vec<String> {
    let inner = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.split("][").map(str::to_owned).collect(),
        None => vec![name.to_owned()],
    }
}

/// The definitions in force, and the names being expanded.
pub struct Names<'a> {
    builtin: &'a HashMap<&'static str, String>,
    given: HashMap<String, String>,
    /// The names being expanded, outermost first.
    pub open: Vec<String>,
}

impl<'a> Names<'a> {
    /// The user's definitions come before the built-in ones.
    pub fn new(
        builtin: &'a HashMap<&'static str, String>,
        definitions: &[(String, String)],
    ) -> Self {
        Self { builtin, given: definitions.iter().cloned().collect(), open: Vec::new() }
    }

    /// Adds a definition made on the spot.
    pub fn define(&mut self, name: &str, text: &str) {
        self.given.insert(name.to_owned(), text.to_owned());
    }

    /// The definition of a name.
    pub fn lookup(&self, name: &str) -> Result<String, (Problem, Option<String>)> {
        if let Some(at) = self.open.iter().position(|open| open == name) {
            let mut cycle = self.open[at..].to_vec();
            cycle.push(name.to_owned());
            return Err((Problem::Recursion(cycle), None));
        }
        let text = self.given.get(name).or_else(|| self.builtin.get(name));
        text.cloned().ok_or_else(|| (Problem::UnknownName(name.to_owned()), self.hint(name)))
    }

    fn hint(&self, name: &str) -> Option<String> {
        let builtin = self.builtin.keys().copied().filter(|name| !is_helper(name));
        let upper = name.to_ascii_uppercase();
        let best = self
            .given
            .keys()
            .map(String::as_str)
            .chain(builtin)
            .map(|known| (strsim::damerau_levenshtein(&upper, &known.to_ascii_uppercase()), known))
            .min()?;
        Some(if best.0 <= 1 + name.len() / 4 {
            format!("did you mean `{}`?", best.1)
        } else {
            format!("define it: definitions = {{ {name} = '…' }}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_parts() {
        let r = reference("%{IP:[a][b]:int} x").unwrap();
        assert_eq!((r.name, r.field, r.len), ("IP", Some("[a][b]:int"), 16));
        let r = reference("%{X:y=a{2}(b|\\})} x").unwrap();
        assert_eq!((r.definition, r.len), (Some("a{2}(b|\\})"), 17));
        let r = reference("%{NAGIOSLOGLINE - SOMETHING}").unwrap();
        assert_eq!((r.name, r.field, r.len), ("NAGIOSLOGLINE", None, 28));
        assert_eq!(reference("%{}"), None);
    }

    #[test]
    fn finds_the_field() {
        assert_eq!(
            field_of("INT:[a][b]:int"),
            Field { path: vec!["a".into(), "b".into()], kind: Kind::Int }
        );
        assert_eq!(field_of("a.b").path, ["a.b"]);
    }
}
