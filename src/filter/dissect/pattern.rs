//! A pattern of delimiters and names.
//!
//! In: `%{ts} %{+ts} [%{level}] %{msg}`. Out: its parts; a text cut into them. Promises: cutting is one search for
//! each delimiter and copies nothing. On failure: at load, the place and what to write; [`Pattern::cut`] says `false`
//! for a text that lacks a delimiter.

use memchr::memmem::Finder;

use crate::event::{Keys, Path, Span};
use crate::settings::TextError;

/// A compiled pattern.
pub(super) struct Pattern {
    /// What stands before the first part.
    lead: Box<[u8]>,
    /// The parts in the order of the text.
    pub parts: Vec<Part>,
    /// The parts that are joined to one field, in the order in which they are joined.
    pub joined: Vec<Joined>,
}

/// One `%{…}` and the delimiter after it.
pub(super) struct Part {
    pub name: Name,
    /// What is put before this part when it is joined to others.
    pub join: Box<[u8]>,
    /// What follows; `None`: this part takes the rest.
    end: Option<Finder<'static>>,
    /// Repeated delimiters after it belong to none.
    padded: bool,
}

/// Where a part goes.
pub(super) enum Name {
    /// Nowhere.
    Skip,
    /// To a field.
    Field(Path),
    /// To a field that [`Pattern::joined`] makes.
    Appended,
    /// To the field that the part of this number names.
    Indirect(usize),
}

/// A field made of several parts.
pub(super) struct Joined {
    pub path: Path,
    pub parts: Vec<usize>,
}

/// What is written between the braces.
#[derive(Clone, Copy)]
struct Written<'a> {
    mark: Option<char>,
    name: &'a str,
    order: usize,
    padded: bool,
    at: usize,
}

/// What stands before the first name, and each name with the text after it.
type Split<'a> = (&'a str, Vec<(Written<'a>, &'a str)>);

impl Pattern {
    /// Reads a pattern; `separator` is put between joined parts instead of the delimiter before each.
    pub(super) fn parse(
        text: &str,
        separator: Option<&str>,
        keys: &mut Keys,
    ) -> Result<Pattern, TextError> {
        let (lead, written) = split(text)?;
        let mut pattern = Pattern { lead: lead.as_bytes().into(), parts: vec![], joined: vec![] };
        let mut before = "";
        for (place, after) in &written {
            let name = name(place, &written, keys)?;
            // Before the first part stands none: then the one after it.
            let own = if pattern.parts.is_empty() { after } else { before };
            let join = separator.unwrap_or(own).as_bytes().into();
            let end = (!after.is_empty()).then(|| Finder::new(after.as_bytes()).into_owned());
            pattern.parts.push(Part { name, join, end, padded: place.padded });
            before = after;
        }
        let mut names: Vec<&str> =
            written.iter().filter(|(w, _)| w.mark == Some('+')).map(|(w, _)| w.name).collect();
        names.dedup();
        for (n, name) in names.iter().enumerate() {
            if names[..n].contains(name) {
                continue;
            }
            let of_name = |w: &Written| w.name == *name && matches!(w.mark, None | Some('+'));
            let mut parts: Vec<usize> =
                (0..written.len()).filter(|at| of_name(&written[*at].0)).collect();
            parts.sort_by_key(|at| written[*at].0.order);
            let place = &written[parts[0]].0;
            pattern.joined.push(Joined { path: path(place, keys)?, parts });
        }
        Ok(pattern)
    }

    /// Cuts a text that begins at byte `start` of the batch. `false`: it does not fit.
    pub(super) fn cut(&self, text: &[u8], start: u32, out: &mut Vec<Span>) -> bool {
        out.clear();
        if !text.starts_with(&self.lead) {
            return false;
        }
        let whole = Span { start, len: text.len() as u32 };
        let mut from = self.lead.len();
        for (n, part) in self.parts.iter().enumerate() {
            let Some(end) = &part.end else {
                out.push(whole.part(from, text.len()));
                return true;
            };
            let delimiter = end.needle();
            let last = n + 1 == self.parts.len();
            // A delimiter at the very end is the last one of its kind.
            let found = if last && text[from..].ends_with(delimiter) && !part.padded {
                Some(text.len() - from - delimiter.len())
            } else {
                end.find(&text[from..])
            };
            let Some(length) = found else { return false };
            out.push(whole.part(from, from + length));
            from += length + delimiter.len();
            while part.padded && text[from..].starts_with(delimiter) {
                from += delimiter.len();
            }
        }
        true
    }
}

/// Reads a pattern's text.
fn split(text: &str) -> Result<Split<'_>, TextError> {
    let Some(first) = text.find("%{") else {
        let error = TextError::new(0..text.len(), "the pattern names no field");
        return Err(error.hint("write for example \"%{level} %{message}\""));
    };
    let mut written = Vec::new();
    let mut at = first;
    while at < text.len() {
        let Some(length) = text[at..].find('}') else {
            let error = TextError::new(at..text.len(), "this `%{` is never closed");
            return Err(error.hint("write %{name}"));
        };
        let place = read(&text[at + 2..at + length], at + 2)?;
        let from = at + length + 1;
        let to = text[from..].find("%{").map_or(text.len(), |next| from + next);
        if from == to && to < text.len() {
            let error = TextError::new(at..from, "nothing tells this part from the next one");
            return Err(error.hint("write a delimiter between two names: %{a} %{b}"));
        }
        written.push((place, &text[from..to]));
        at = to;
    }
    Ok((&text[..first], written))
}

/// The inside of one pair of braces.
fn read(inner: &str, at: usize) -> Result<Written<'_>, TextError> {
    let mark = inner.chars().next().filter(|c| "+?&*".contains(*c));
    let mut name = &inner[mark.map_or(0, char::len_utf8)..];
    let padded = name.ends_with("->");
    name = name.strip_suffix("->").unwrap_or(name);
    let mut order = 0;
    if let Some((before, number)) = name.rsplit_once('/')
        && mark == Some('+')
        && let Ok(number) = number.parse()
    {
        (name, order) = (before, number);
    }
    let place = at..at + inner.len();
    if name.starts_with(['+', '?', '&', '*']) {
        let error = TextError::new(place, "a part has one mark at most: `+`, `?` or `&`");
        return Err(error.hint("write %{+name}, %{?name} or %{&name}"));
    }
    if name.contains(['?', '+', '&', '*']) {
        let error = TextError::new(place, "a mark stands before the name");
        return Err(error.hint("write %{?name} for a part that is left out"));
    }
    if name.is_empty() && mark.is_some_and(|mark| mark != '?') {
        return Err(TextError::new(place, "a name is missing after the mark"));
    }
    Ok(Written { mark, name, order, padded, at })
}

fn name(
    place: &Written<'_>,
    written: &[(Written<'_>, &str)],
    keys: &mut Keys,
) -> Result<Name, TextError> {
    let appended = written.iter().any(|(w, _)| w.mark == Some('+') && w.name == place.name);
    match place.mark {
        Some('?' | '*') => Ok(Name::Skip),
        _ if place.name.is_empty() => Ok(Name::Skip),
        Some('&') => {
            let is_named = |w: &Written| w.name == place.name && w.mark != Some('&');
            let found = written.iter().position(|(w, _)| is_named(w));
            found.map(Name::Indirect).ok_or_else(|| {
                let message = format!("no part is named `{}`", place.name);
                TextError::new(place.at..place.at + place.name.len() + 1, message)
                    .hint(format!("write %{{?{}}} where the name stands in the text", place.name))
            })
        }
        _ if appended => Ok(Name::Appended),
        _ => path(place, keys).map(Name::Field),
    }
}

fn path(place: &Written<'_>, keys: &mut Keys) -> Result<Path, TextError> {
    let start = place.at + usize::from(place.mark.is_some());
    let path = Path::parse(place.name, keys).map_err(|error| {
        let message = format!("`{}` is no field's name: {}", place.name, error.message);
        TextError::new(start..start + place.name.len(), message)
    })?;
    if path.is_timestamp() {
        let error =
            TextError::new(start..start + place.name.len(), "@timestamp cannot be set here");
        return Err(error.hint("give the part another name, and read it by the filter `date`"));
    }
    Ok(path)
}
