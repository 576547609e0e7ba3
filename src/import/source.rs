//! The files of another agent's configuration, and places in them.
//!
//! In: names and texts. Out: lines and columns, syntax errors with a caret, and whether a text is in another language
//! than the user said. Promises: every place lies within its text. On failure: nothing here fails.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Language;
use crate::diagnostic::{Diagnostic, Place, SourceText};

/// One file of the configuration.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path, for files that it names.
    pub path: PathBuf,
    /// Its name as the user wrote it, and its text.
    pub text: Arc<SourceText>,
}

/// The line of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// Files that a configuration names: includes, parsers files, dictionaries.
pub trait Files {
    /// The text of a file; bytes that are not UTF-8 are replaced.
    fn read(&self, path: &Path) -> io::Result<String>;
    /// The bytes of a file.
    fn read_bytes(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Whether there is a file or folder.
    fn exists(&self, path: &Path) -> bool;
    /// The files that match a pattern of names, or lie in a folder, sorted.
    fn find(&self, pattern: &Path) -> Vec<PathBuf>;
}

/// No files at all.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn read_bytes(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn find(&self, _: &Path) -> Vec<PathBuf> {
        Vec::new()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl SourceFile {
    /// A file of this name and text.
    pub fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> SourceFile {
        let path = path.into();
        let text = Arc::new(SourceText { name: path.display().to_string(), text: text.into() });
        SourceFile { path, text }
    }

    /// The file's name without its folder and its last extension.
    pub fn stem(&self) -> String {
        self.path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
    }

    /// The line that a byte stands in.
    pub fn origin(&self, at: usize) -> Origin {
        let at = floor_boundary(&self.text.text, at);
        let place = Place { source: Arc::clone(&self.text), span: at..at };
        Origin { file: self.text.name.clone(), line: place.line_column().0 }
    }

    /// The bytes `span` as text; a part that is none is empty.
    pub fn slice(&self, span: Range<usize>) -> &str {
        self.text.text.get(span).unwrap_or_default()
    }

    /// The source of a part without the indentation that all its lines but the first have.
    pub fn excerpt(&self, span: Range<usize>) -> String {
        let text = self.slice(span).trim_end();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let rest = text.lines().skip(1).filter(|line| !line.trim().is_empty());
        let shared = rest.map(indent).min().unwrap_or(0);
        let cut = |(n, line): (usize, &str)| {
            let from = if n == 0 { 0 } else { shared.min(indent(line)) };
            line[from..].trim_end().to_string()
        };
        text.lines().enumerate().map(cut).collect::<Vec<_>>().join("\n")
    }

    /// A syntax error at these bytes.
    pub fn error(&self, span: Range<usize>, message: impl Into<String>) -> Diagnostic {
        let start = floor_boundary(&self.text.text, span.start);
        let end = floor_boundary(&self.text.text, span.end).max(start);
        // `0..0` stands for the text as a whole.
        let span = if (start, end) == (0, 0) {
            0..self.text.text.chars().next().map_or(0, char::len_utf8)
        } else {
            start..end
        };
        Diagnostic::error(message).at(&self.text, span)
    }
}

/// The nearest character boundary at or before a byte.
fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// The language that a text seems to be in. `None`: it could be any.
pub fn language_of(path: &Path, text: &str) -> Option<Language> {
    let lines =
        || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let starts =
        |words: &[&str]| lines().any(|line| words.iter().any(|word| line.starts_with(word)));
    let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
    let opens = |word: &str| {
        lines().any(|line| {
            line.strip_prefix(word).is_some_and(|rest| rest.trim_start().starts_with('{'))
        })
    };
    if starts(&["<source", "<match", "<filter", "<label", "<system", "@include"]) {
        return Some(Language::Fluentd);
    }
    let section = |line: &str| {
        let inner = line.strip_prefix('[').and_then(|l| l.strip_suffix(']'));
        let known = [
            "SERVICE",
            "INPUT",
            "FILTER",
            "OUTPUT",
            "PARSER",
            "MULTILINE_PARSER",
            "STREAM_TASK",
            "CUSTOM",
        ];
        inner.is_some_and(|name| known.iter().any(|k| name.trim().eq_ignore_ascii_case(k)))
    };
    if lines().any(section) || starts(&["@INCLUDE", "@SET"]) {
        return Some(Language::FluentBit);
    }
    if opens("input") || opens("filter") || opens("output") || starts(&["- pipeline.id:"]) {
        return Some(Language::Logstash);
    }
    if is_yaml && starts(&["pipeline:"]) {
        return Some(Language::FluentBit);
    }
    if is_yaml && (starts(&["config:", "- source:", "- match:"])) {
        return Some(Language::Fluentd);
    }
    None
}
