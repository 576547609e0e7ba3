//! TOML tables with positions: every part of the agent reads its own settings through a [`Section`].
//!
//! Is: a reader that remembers what was asked for. In: the text of a pipeline file. Out: typed values.
//! Promises: each problem is reported with its place and reading goes on, so that all problems of a file are shown
//! at once; a key that nobody asked for is an error with the nearest known key. Environment variables (`${NAME}`,
//! `${NAME:-default}`) are put in when a string is read; a secret is never shown.
//! On failure: the value reads as absent (or its default) and the problem is in the diagnostics.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, Range};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::diagnostic::{Diagnostic, Diagnostics, SourceText, did_you_mean};

mod document;
mod environment;
mod login;
mod place;
mod units;

pub use document::{Document, Item, Literal};
pub use environment::{Environment, ProcessEnvironment};
pub use login::{base64, base64_decoded, basic_authorization};
pub use place::TextError;
pub use units::{parse_bytes, parse_duration};

/// A value and the bytes of the file it came from.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Bytes of the file.
    pub span: Range<usize>,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value that must not be shown: its `Debug` and `Display` print stars.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One table of a pipeline file, with the problems found so far.
pub struct Section<'a> {
    document: &'a Document,
    item: &'a Item,
    /// The table's name as a person would say it, such as `outputs.logs`.
    pub name: String,
    asked: RefCell<Vec<&'static str>>,
    problems: &'a RefCell<Diagnostics>,
}

impl<'a> Section<'a> {
    /// The whole file as a section.
    pub fn root(document: &'a Document, problems: &'a RefCell<Diagnostics>) -> Self {
        Section::of(document, &document.root, String::new(), problems)
    }

    fn of(
        document: &'a Document,
        item: &'a Item,
        name: String,
        problems: &'a RefCell<Diagnostics>,
    ) -> Self {
        Section { document, item, name, asked: RefCell::default(), problems }
    }

    /// The table's own place in the file (its header).
    pub fn span(&self) -> Range<usize> {
        self.item.span.clone()
    }

    /// The text this section is part of.
    pub fn source(&self) -> &'a Arc<SourceText> {
        &self.document.source
    }

    /// A path of the configuration: relative ones are taken from the folder of the pipeline file.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.document.folder.join(path)
    }

    /// The text of a file that the configuration names.
    pub fn read_file(&self, path: &std::path::Path) -> std::io::Result<String> {
        let text = self.document.environment.read_file(path)?;
        self.note_read(text.as_bytes());
        Ok(text)
    }

    /// Takes note of the content of a file that the configuration names, so that a reload sees when it changed.
    pub fn note_read(&self, content: &[u8]) {
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        // Seeded once in each process, since what is hashed may be a secret.
        static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let mut hasher = SEED.build_hasher();
        hasher.write_u64(self.document.read.get());
        hasher.write(content);
        self.document.read.set(hasher.finish());
    }

    /// As [`Section::note_read`], for a whole file that is not read through [`Section::read_file`].
    pub fn note_file(&self, path: &std::path::Path, content: &[u8]) {
        self.document.environment.note(path);
        self.note_read(content);
    }

    /// Stands for the contents of all files that were read for the configuration so far.
    pub fn read_so_far(&self) -> u64 {
        self.document.read.get()
    }

    /// Reports a problem at a place.
    pub fn report(&self, diagnostic: Diagnostic, span: Range<usize>) {
        self.problems.borrow_mut().push(diagnostic.at(&self.document.source, span));
    }

    /// Reports a problem within another file that the configuration names.
    pub fn report_in(&self, diagnostic: Diagnostic, source: &Arc<SourceText>, span: Range<usize>) {
        self.problems.borrow_mut().push(diagnostic.at(source, span));
    }

    /// Reports an error at a place.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>, hint: Option<String>) {
        self.report(Diagnostic::error(message).maybe_hint(hint), span);
    }

    /// Whether the key is written; counts as asking for it.
    pub fn has(&self, key: &'static str) -> bool {
        self.item(key).is_some()
    }

    /// The place of a key's value, or of the table where it is not written.
    pub fn span_of(&self, key: &'static str) -> Range<usize> {
        self.item(key).map_or_else(|| self.span(), |item| item.span.clone())
    }

    /// The raw value of a key.
    pub fn item(&self, key: &'static str) -> Option<&'a Item> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&key) {
            asked.push(key);
        }
        self.item.get(key)
    }

    /// A text, environment variables put in.
    pub fn string(&self, key: &'static str) -> Option<Spanned<String>> {
        let item = self.item(key)?;
        match &item.literal {
            Literal::String(text) => self.expand(text, &item.span),
            _ => self.wrong_kind(key, item, "a string"),
        }
    }

    /// A text that must be there.
    pub fn required_string(&self, key: &'static str, example: &str) -> Option<Spanned<String>> {
        if self.item(key).is_none() {
            self.missing(key, example);
        }
        self.string(key)
    }

    /// Says that a key must be there.
    pub fn missing(&self, key: &str, example: &str) {
        let message = format!("`{key}` is missing in `{}`", self.name);
        self.error(self.span(), message, Some(format!("write for example: {key} = {example}")));
    }

    /// A text or a default.
    pub fn string_or(&self, key: &'static str, default: &str) -> Spanned<String> {
        self.string(key)
            .unwrap_or_else(|| Spanned { value: default.to_string(), span: self.span_of(key) })
    }

    /// A list of texts; one text alone counts as a list of one.
    pub fn strings(&self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let item = self.item(key)?;
        let of = |item: &Item| match &item.literal {
            Literal::String(text) => self.expand(text, &item.span),
            _ => self.wrong_kind(key, item, "a string"),
        };
        match &item.literal {
            Literal::Array(items) => Some(items.iter().filter_map(of).collect()),
            Literal::String(_) => Some(of(item).into_iter().collect()),
            _ => self.wrong_kind(key, item, "a list of strings"),
        }
    }

    /// A list of texts that must be there and hold something.
    pub fn required_strings(&self, key: &'static str, example: &str) -> Vec<Spanned<String>> {
        match self.strings(key) {
            None if self.item(key).is_none() => self.missing(key, example),
            Some(list) if list.is_empty() && self.writes_nothing(key) => {
                let message = format!("`{key}` is empty in `{}`", self.name);
                self.error(
                    self.span_of(key),
                    message,
                    Some(format!("write for example: {key} = {example}")),
                );
            }
            Some(list) => return list,
            None => {}
        }
        Vec::new()
    }

    /// Yes or no.
    pub fn bool_or(&self, key: &'static str, default: bool) -> bool {
        let Some(item) = self.item(key) else { return default };
        match item.literal {
            Literal::Bool(value) => value,
            _ => self.wrong_kind(key, item, "true or false").unwrap_or(default),
        }
    }

    /// A whole number within bounds.
    pub fn integer(&self, key: &'static str, bounds: Range<i64>) -> Option<i64> {
        let item = self.item(key)?;
        match item.literal {
            Literal::Integer(value) if bounds.contains(&value) => Some(value),
            Literal::Integer(value) => {
                let (low, high) = (bounds.start, bounds.end - 1);
                let message = format!("`{key}` is {value}, but must be from {low} to {high}");
                self.error(item.span.clone(), message, None);
                None
            }
            _ => self.wrong_kind(key, item, "a whole number"),
        }
    }

    /// A whole number within bounds, or a default.
    pub fn integer_or(&self, key: &'static str, default: i64, bounds: Range<i64>) -> i64 {
        self.integer(key, bounds).unwrap_or(default)
    }

    /// A number of bytes: `"2GiB"`, `"512KiB"`, `"1MB"` or a plain integer.
    pub fn bytes_or(&self, key: &'static str, default: u64) -> u64 {
        let Some(item) = self.item(key) else { return default };
        let parsed = match &item.literal {
            Literal::Integer(n) if *n >= 0 => return *n as u64,
            Literal::String(text) => self.expand(text, &item.span).map(|t| parse_bytes(&t)),
            _ => return self.wrong_kind(key, item, "a size such as \"512MiB\"").unwrap_or(default),
        };
        self.or_report(key, item, parsed, "write a size such as \"512KiB\", \"64MiB\" or \"2GiB\"")
            .unwrap_or(default)
    }

    /// `None`: the setting is 0, which is reported with an example of what could stand there.
    pub fn not_zero(&self, key: &'static str, is_zero: bool, example: &str) -> Option<()> {
        if is_zero {
            let hint = format!("write for example: {key} = \"{example}\"");
            self.error(self.span_of(key), format!("`{key}` is 0"), Some(hint));
        }
        (!is_zero).then_some(())
    }

    /// A span of time: `"500ms"`, `"5s"`, `"10m"`, `"1h"`, `"7d"`.
    pub fn duration_or(&self, key: &'static str, default: Duration) -> Duration {
        let Some(item) = self.item(key) else { return default };
        let parsed = match &item.literal {
            Literal::String(text) => self.expand(text, &item.span).map(|t| parse_duration(&t)),
            _ => return self.wrong_kind(key, item, "a time such as \"5s\"").unwrap_or(default),
        };
        self.or_report(
            key,
            item,
            parsed,
            "write a time such as \"500ms\", \"5s\", \"10m\" or \"1h\"",
        )
        .unwrap_or(default)
    }

    /// One word of a list of words.
    pub fn choice_or<T: Clone>(&self, key: &'static str, choices: &[(&str, T)], default: T) -> T {
        let Some(word) = self.string(key) else { return default };
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word.value) {
            return value.clone();
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let nearest = did_you_mean(&word, names.iter().copied());
        let hint = nearest.map(|n| format!("did you mean \"{n}\"?"));
        let message = format!("`{key}` is \"{}\", but must be one of: {}", *word, names.join(", "));
        self.error(word.span, message, hint);
        default
    }

    /// A text that must not be shown: `"…"`, `"${NAME}"` or `{ file = "…" }` (trailing line feed removed).
    pub fn secret(&self, key: &'static str) -> Option<Spanned<Secret>> {
        let item = self.item(key)?;
        let span = item.span.clone();
        let Literal::Table(_) = &item.literal else {
            return self.string(key).map(|s| Spanned { value: Secret(s.value), span: s.span });
        };
        let section = self.section(key)?;
        let path = section.required_string("file", "\"/run/secrets/name\"");
        section.finish();
        let path = path?;
        match self.read_file(&self.resolve(&path)) {
            Ok(text) => {
                Some(Spanned { value: Secret(text.trim_end_matches(['\n', '\r']).into()), span })
            }
            Err(why) => {
                let message = format!("cannot read the secret file `{}`", *path);
                let hint = match why.kind() {
                    std::io::ErrorKind::NotFound => {
                        "check the path; a relative one starts at the pipeline file's folder"
                    }
                    _ => "make the file readable for the user that runs logweir",
                };
                self.report(Diagnostic::error(message).because(why).hint(hint), path.span);
                None
            }
        }
    }

    /// A table by its key.
    pub fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let item = self.item(key)?;
        match item.literal {
            Literal::Table(_) => Some(self.child(item, key)),
            _ => self.wrong_kind(key, item, "a table"),
        }
    }

    /// The tables of a list, `[[key]]`.
    pub fn sections(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(item) = self.item(key) else { return Vec::new() };
        let Literal::Array(items) = &item.literal else {
            let message =
                format!("`{key}` must be a list of tables, but is {}", item.literal.kind());
            let hint = "write the table's name in double brackets: [[name]]".to_string();
            self.error(item.span.clone(), message, Some(hint));
            return Vec::new();
        };
        let numbered = items.iter().enumerate();
        numbered.map(|(n, item)| self.child(item, &format!("{key}[{}]", n + 1))).collect()
    }

    /// The tables within a table, `[key.NAME]`, with their names.
    pub fn named_sections(&self, key: &'static str) -> Vec<(Spanned<String>, Section<'a>)> {
        let Some(item) = self.item(key) else { return Vec::new() };
        let Literal::Table(entries) = &item.literal else {
            let message = format!("`{key}` must hold tables, but is {}", item.literal.kind());
            let hint = format!("write [{key}.NAME], with a name of your own");
            self.error(item.span.clone(), message, Some(hint));
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, item) in entries {
            if matches!(item.literal, Literal::Table(_)) {
                found.push((name.clone(), self.child(item, &format!("{key}.{}", name.value))));
            } else {
                let message = format!("`{key}.{}` must be a table", name.value);
                let hint = format!("write [{key}.{}] on a line of its own", name.value);
                self.error(item.span.clone(), message, Some(hint));
            }
        }
        found
    }

    /// The entries of a table with any keys, such as `fields = { service = "x" }`, in the order written.
    pub fn entries(&self, key: &'static str) -> Option<&'a [(Spanned<String>, Item)]> {
        let item = self.item(key)?;
        match &item.literal {
            Literal::Table(entries) => Some(entries),
            _ => self.wrong_kind(key, item, "a table such as { name = \"value\" }"),
        }
    }

    /// Puts environment variables into a text of this section (for entries that [`Section::entries`] gave).
    pub fn expand(&self, text: &str, span: &Range<usize>) -> Option<Spanned<String>> {
        match environment::expand(text, &*self.document.environment) {
            Ok(value) => Some(Spanned { value, span: span.clone() }),
            Err(problem) => {
                self.error(span.clone(), problem.message, Some(problem.hint));
                None
            }
        }
    }

    /// Must be called last: reports the keys that nobody asked for.
    pub fn finish(self) {
        self.finish_ref();
    }

    /// As [`Section::finish`], for a section that is only borrowed.
    pub fn finish_ref(&self) {
        let Literal::Table(entries) = &self.item.literal else { return };
        let asked = self.asked.borrow();
        for (key, _) in entries {
            if asked.contains(&key.value.as_str()) {
                continue;
            }
            let mut known = asked.clone();
            known.sort_unstable();
            let hint = match did_you_mean(&key.value, known.iter().copied()) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => format!("known keys here: {}", known.join(", ")),
            };
            let place =
                if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
            let message = format!("unknown key `{}`{place}", key.value);
            self.error(key.span.clone(), message, Some(hint));
        }
    }

    /// An empty list is written (and not one whose items were all faulty, which was said already).
    fn writes_nothing(&self, key: &'static str) -> bool {
        matches!(self.item(key).map(|i| &i.literal), Some(Literal::Array(items)) if items.is_empty())
    }

    fn child(&self, item: &'a Item, key: &str) -> Section<'a> {
        let name =
            if self.name.is_empty() { key.to_string() } else { format!("{}.{key}", self.name) };
        Section::of(self.document, item, name, self.problems)
    }

    fn wrong_kind<T>(&self, key: &str, item: &Item, wanted: &str) -> Option<T> {
        let message = format!("`{key}` must be {wanted}, but is {}", item.literal.kind());
        self.error(item.span.clone(), message, None);
        None
    }

    fn or_report<T>(
        &self,
        key: &str,
        item: &Item,
        parsed: Option<Option<T>>,
        hint: &str,
    ) -> Option<T> {
        let parsed = parsed?;
        if parsed.is_none() {
            let message = format!("`{key}` cannot be read");
            self.error(item.span.clone(), message, Some(hint.to_string()));
        }
        parsed
    }
}

#[cfg(test)]
mod tests;
