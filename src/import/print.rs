//! The text of a pipeline file.
//!
//! In: the parts of a [`super::document::Pipeline`]. Out: TOML. Promises: a text comes back as it was given when the
//! file is read; lines stay within 120 columns where a value can be broken; control characters are escaped.
//! On failure: nothing here fails.

use super::document::{Filter, If, Notes, Part, Step, Table, Value};

/// Columns that a line should have at most.
const COLUMNS: usize = 110;

/// A text that grows.
#[derive(Default)]
pub(super) struct Printer {
    out: String,
}

impl Printer {
    /// The whole text.
    pub(super) fn finish(self) -> String {
        let mut out = self.out.trim_end().to_string();
        out.push('\n');
        out
    }

    /// Comments in a block of their own.
    pub(super) fn notes(&mut self, notes: &Notes, indent: usize) {
        if !notes.is_empty() {
            self.comment_lines(notes, indent);
            self.out.push('\n');
        }
    }

    /// An input or an output.
    pub(super) fn part(&mut self, room: &str, part: &Part) {
        if part.settings.is_empty() {
            return self.notes(&part.notes, 0);
        }
        self.table(&format!("{room}.{}", key(&part.name)), &part.notes, &part.settings);
    }

    /// A table of the pipeline.
    pub(super) fn table(&mut self, name: &str, notes: &Notes, table: &Table) {
        self.comment_lines(notes, 0);
        self.line(0, &format!("[{name}]"));
        self.settings(name, table, 0);
        self.out.push('\n');
    }

    /// Filters; `path` is the name of their array of tables.
    pub(super) fn steps(&mut self, path: &str, steps: &[Step], indent: usize) {
        for step in steps {
            match step {
                Step::Filter(filter) => self.filter(path, filter, indent),
                Step::If(branch) => self.branch(path, branch, indent),
            }
        }
    }

    fn filter(&mut self, path: &str, filter: &Filter, indent: usize) {
        if filter.settings.is_empty() {
            return self.notes(&filter.notes, indent);
        }
        self.comment_lines(&filter.notes, indent);
        self.line(indent, &format!("[[{path}]]"));
        self.settings(path, &filter.settings, indent);
        self.out.push('\n');
    }

    fn branch(&mut self, path: &str, branch: &If, indent: usize) {
        self.comment_lines(&branch.notes, indent);
        self.line(indent, &format!("[[{path}]]"));
        let settings = Table::of_type("if").with("when", branch.when.as_str());
        self.settings(path, &settings, indent);
        self.out.push('\n');
        self.steps(&format!("{path}.then"), &branch.then, indent + 2);
        self.steps(&format!("{path}.else"), &branch.otherwise, indent + 2);
    }

    /// Keys and values; a table that is too long for a line gets a header of its own, after the others.
    fn settings(&mut self, path: &str, table: &Table, indent: usize) {
        let mut long = Vec::new();
        for (name, value) in &table.0 {
            let shown = match value {
                Value::Text(text) | Value::Variables(text) if name == "when" => condition(text),
                _ => inline(value),
            };
            let line = format!("{} = {shown}", key(name));
            match value {
                Value::Table(inner)
                    if indent + line.chars().count() > COLUMNS && !inner.is_empty() =>
                {
                    long.push((name, inner));
                }
                Value::List(items)
                    if indent + line.chars().count() > COLUMNS && items.len() > 1 =>
                {
                    self.line(indent, &format!("{} = [", key(name)));
                    for item in items {
                        self.line(indent + 2, &format!("{},", inline(item)));
                    }
                    self.line(indent, "]");
                }
                _ => self.line(indent, &line),
            }
        }
        for (name, inner) in long {
            let path = format!("{path}.{}", key(name));
            self.line(indent, &format!("[{path}]"));
            self.settings(&path, inner, indent);
        }
    }

    fn comment_lines(&mut self, notes: &Notes, indent: usize) {
        for line in &notes.comments {
            self.comment(indent, "", line);
        }
        for difference in &notes.differences {
            self.comment(indent, "differs: ", difference);
        }
        for todo in &notes.todos {
            self.comment(indent, "TODO ", &todo.what);
            if !todo.instead.is_empty() {
                self.comment(indent, "  nearest: ", &todo.instead);
            }
            for line in &todo.source {
                self.comment(indent, "  | ", line);
            }
        }
    }

    fn comment(&mut self, indent: usize, lead: &str, text: &str) {
        for part in text.split(['\n', '\r', '\u{2028}', '\u{85}']) {
            let shown: String =
                part.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
            self.line(indent, format!("# {lead}{shown}").trim_end());
        }
    }

    fn line(&mut self, indent: usize, text: &str) {
        self.out.extend(std::iter::repeat_n(' ', indent));
        self.out.push_str(text);
        self.out.push('\n');
    }
}

/// A key, in quotes where it needs them.
pub(super) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_string() } else { on_one_line(name) }
}

/// A condition: in single quotes where that is possible, and its variables stay variables.
fn condition(text: &str) -> String {
    let plain = !text.contains('\'') && !text.chars().any(char::is_control);
    if plain { format!("'{text}'") } else { quoted(text) }
}

/// A value on one line (a text of several lines keeps them).
fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(&without_variables(text)),
        Value::Variables(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Float(_) => "0.0".to_string(),
        Value::Bool(value) => value.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Table(table) if table.is_empty() => "{}".to_string(),
        Value::Table(table) => {
            let entry =
                |(name, value): &(String, Value)| format!("{} = {}", key(name), inline(value));
            format!("{{ {} }}", table.0.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text in which no variable is put in: `$${` stands for `${`.
fn without_variables(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let inner = &rest[at + 2..];
        let name = inner.split(['}', ':']).next().unwrap_or_default();
        let reference = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        out.push_str(&rest[..at]);
        out.push_str(if reference || out.ends_with('$') { "$${" } else { "${" });
        rest = inner;
    }
    out.push_str(rest);
    out
}

/// A text in quotes: single ones where escapes would be needed and nothing forbids them.
fn quoted(text: &str) -> String {
    let lines = text.contains('\n') && !text.chars().any(|c| is_escaped(c) && c != '\n');
    if lines && text.lines().count() > 1 && !text.contains("'''") && !text.ends_with('\'') {
        return format!("'''\n{text}'''");
    }
    on_one_line(text)
}

/// Whether a character stands in no quotes as it is.
fn is_escaped(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// A text in quotes that a key may have, too.
fn on_one_line(text: &str) -> String {
    let literal = (text.contains('\\') || text.contains('"'))
        && !text.contains('\'')
        && !text.chars().any(is_escaped);
    if literal {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
