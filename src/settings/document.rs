//! A TOML text as a tree of items that know their place.
//!
//! In: the text, the folder that relative paths start from, the environment. Out: a [`Document`].
//! Promises: every syntax problem that the parser can recover from is reported, not just the first.
//! On failure: the problems, and a tree of what could be read.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::{Environment, Spanned};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceText};

/// A pipeline file as read.
pub struct Document {
    /// Its name and text.
    pub source: Arc<SourceText>,
    /// Where its relative paths start.
    pub folder: PathBuf,
    /// Where its `${NAME}`s come from.
    pub environment: Arc<dyn Environment>,
    /// The tree.
    pub root: Item,
    /// Stands for the contents of the files that settings named and that were read.
    pub read: Cell<u64>,
}

/// A value of the tree.
#[derive(Clone, Debug)]
pub struct Item {
    /// Bytes of the file.
    pub span: std::ops::Range<usize>,
    /// The value.
    pub literal: Literal,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Literal {
    /// Text, environment variables not yet put in.
    String(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A TOML date or time, as written.
    Datetime(String),
    /// A list.
    Array(Vec<Item>),
    /// A table, in the order written.
    Table(Vec<(Spanned<String>, Item)>),
}

impl Document {
    /// Reads a text.
    pub fn parse(
        name: &str,
        text: String,
        folder: &Path,
        environment: Arc<dyn Environment>,
        problems: &mut Diagnostics,
    ) -> Document {
        let source = Arc::new(SourceText { name: name.to_string(), text });
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let message = format!("not valid TOML: {}", error.message());
            let hint = syntax_hint(error.message());
            problems.push(Diagnostic::error(message).at(&source, span).hint(hint));
        }
        let root = Item { span: 0..0, literal: table_literal(table.get_ref(), &source, problems) };
        Document {
            source: Arc::clone(&source),
            folder: folder.to_path_buf(),
            environment,
            root,
            read: Cell::new(0),
        }
    }
}

impl Item {
    /// A table's entry.
    pub fn get(&self, key: &str) -> Option<&Item> {
        match &self.literal {
            Literal::Table(entries) => entries.iter().find(|(k, _)| k.value == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

impl Literal {
    /// The kind in a person's words.
    pub fn kind(&self) -> &'static str {
        match self {
            Literal::String(_) => "a string",
            Literal::Integer(_) => "a whole number",
            Literal::Float(_) => "a number with a fraction",
            Literal::Bool(_) => "true or false",
            Literal::Datetime(_) => "a date",
            Literal::Array(_) => "a list",
            Literal::Table(_) => "a table",
        }
    }
}

/// What to do about a syntax error, by the parser's words.
fn syntax_hint(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        return "it is written twice in this table: keep one of them";
    }
    if message.contains("unclosed") || message.contains("string") {
        return "close every quote and bracket; the mistake may stand in a line before this one";
    }
    "lines are [table], key = \"text\", key = 7 or key = ['a', 'b']; see https://toml.io"
}

fn table_literal(
    table: &DeTable<'_>,
    source: &Arc<SourceText>,
    problems: &mut Diagnostics,
) -> Literal {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let name = Spanned { value: key.get_ref().to_string(), span: key.span() };
        let literal = literal(value.get_ref(), &value.span(), source, problems);
        // A `[table]` header's value has the span of the header; an implicit parent has none: use the key's.
        let span = if value.span().is_empty() { key.span() } else { value.span() };
        entries.push((name, Item { span, literal }));
    }
    Literal::Table(entries)
}

fn literal(
    value: &DeValue<'_>,
    span: &std::ops::Range<usize>,
    source: &Arc<SourceText>,
    problems: &mut Diagnostics,
) -> Literal {
    match value {
        DeValue::String(text) => Literal::String(text.to_string()),
        DeValue::Integer(n) => {
            let parsed = i64::from_str_radix(n.as_str(), n.radix());
            if parsed.is_err() {
                let message = format!("the number {} does not fit 64 bits", n.as_str());
                let hint = "write a smaller number";
                problems.push(Diagnostic::error(message).at(source, span.clone()).hint(hint));
            }
            Literal::Integer(parsed.unwrap_or(0))
        }
        DeValue::Float(n) => Literal::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(b) => Literal::Bool(*b),
        DeValue::Datetime(d) => Literal::Datetime(d.to_string()),
        DeValue::Table(table) => table_literal(table, source, problems),
        DeValue::Array(items) => {
            let of = |item: &toml::Spanned<DeValue<'_>>, problems: &mut Diagnostics| Item {
                span: item.span(),
                literal: literal(item.get_ref(), &item.span(), source, problems),
            };
            Literal::Array(items.iter().map(|item| of(item, problems)).collect())
        }
    }
}
