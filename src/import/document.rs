//! A pipeline that is going to be written: its parts in order, each with what is to be said about it.
//!
//! In: parts that a translator made from another agent's configuration. Out: the text of a pipeline file, as a person
//! would have written it: patterns in single quotes, `if` trees indented, comments above what they belong to.
//! Promises: what is printed is TOML, whatever the texts hold; a text is never taken for a variable (`${NAME}`)
//! unless it was given as one ([`Value::Variables`]); parts keep their order.
//! On failure: nothing here fails.

use super::positions::Record;
use super::print::Printer;

/// The value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text, taken as it is: a `${NAME}` in it stays one.
    Text(String),
    /// A text in which `${NAME}` and `${NAME:-default}` are variables.
    Variables(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A list.
    List(Vec<Value>),
    /// A table.
    Table(Table),
}

/// Keys and values in the order in which they are written; a key is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(pub Vec<(String, Value)>);

/// What could not be converted, where it stood.
#[derive(Clone, Debug, PartialEq)]
pub struct Todo {
    /// What is missing, and why.
    pub what: String,
    /// The nearest way to do it.
    pub instead: String,
    /// The lines of the source.
    pub source: Vec<String>,
}

/// What stands in comments above a part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// The source's own comments, without their signs.
    pub comments: Vec<String>,
    /// How the part differs from the source, each in one line.
    pub differences: Vec<String>,
    /// What is left to do.
    pub todos: Vec<Todo>,
    /// The plugin that it is about: its place among the entries of the draft. Not written.
    pub entry: Option<usize>,
}

/// An input or an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// What is said above it.
    pub notes: Notes,
    /// Its name; [`Pipeline::add_input`] and [`Pipeline::add_output`] make it the only one of this name.
    pub name: String,
    /// Its settings, `type` first. Empty: only the notes are written.
    pub settings: Table,
}

/// A filter, or several under a condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One filter. Without settings only the notes are written.
    Filter(Filter),
    /// An `if`.
    If(If),
}

/// One filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// What is said above it.
    pub notes: Notes,
    /// Its settings, `type` first.
    pub settings: Table,
}

/// Filters under a condition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct If {
    /// What is said above it.
    pub notes: Notes,
    /// The condition, in our language.
    pub when: String,
    /// For events for which it holds.
    pub then: Vec<Step>,
    /// For the others.
    pub otherwise: Vec<Step>,
}

/// A pipeline file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pipeline {
    /// The file's name without `.toml`.
    pub name: String,
    /// What stands at the top of the file.
    pub notes: Notes,
    /// `[inputs.…]`.
    pub inputs: Vec<Part>,
    /// `[[filters]]`.
    pub steps: Vec<Step>,
    /// `[journal]` and other tables of the pipeline's own, by name.
    pub tables: Vec<(String, Notes, Table)>,
    /// `[outputs.…]`.
    pub outputs: Vec<Part>,
    /// What stands at the end of the file.
    pub end: Notes,
    /// Records of how far the old agent had read; not written.
    pub records: Vec<Record>,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_string())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<Table> for Value {
    fn from(table: Table) -> Value {
        Value::Table(table)
    }
}

impl<V: Into<Value>> From<Vec<V>> for Value {
    fn from(values: Vec<V>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

impl Value {
    /// A list of texts.
    pub fn texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Value {
        Value::List(texts.into_iter().map(|text| Value::from(text.as_ref())).collect())
    }

    /// The text, whichever kind it is.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Variables(text) => Some(text),
            _ => None,
        }
    }
}

impl Table {
    /// A table that begins with `type = "kind"`.
    pub fn of_type(kind: &str) -> Table {
        Table(vec![("type".into(), kind.into())])
    }

    /// Sets a key; one that is there gets the new value at its old place.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_string(), value)),
        }
    }

    /// As [`Table::set`], for chains.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Table {
        self.set(key, value);
        self
    }

    /// Sets a key when there is a value.
    pub fn set_some(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Puts `when` behind `type`; a condition that is there holds, too.
    pub fn add_when(&mut self, when: &str) {
        let joined = match self.get("when").and_then(Value::text) {
            Some(old) => format!("{} and {}", enclosed(when), enclosed(old)),
            None => when.to_string(),
        };
        self.0.retain(|(key, _)| key != "when");
        let behind_type = usize::from(self.0.first().is_some_and(|(key, _)| key == "type"));
        self.0.insert(behind_type, ("when".into(), joined.into()));
    }

    /// Whether nothing is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A condition that can stand beside `and`.
fn enclosed(condition: &str) -> String {
    if condition.contains(" or ") { format!("({condition})") } else { condition.to_string() }
}

impl Notes {
    /// Only comments.
    pub fn comments(lines: impl IntoIterator<Item = String>) -> Notes {
        Notes { comments: lines.into_iter().collect(), ..Notes::default() }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.comments.is_empty() && self.differences.is_empty() && self.todos.is_empty()
    }

    /// Adds what another says.
    pub fn append(&mut self, mut other: Notes) {
        self.comments.append(&mut other.comments);
        self.differences.append(&mut other.differences);
        self.todos.append(&mut other.todos);
        self.entry = self.entry.or(other.entry);
    }
}

impl Filter {
    /// A filter of a kind.
    pub fn new(kind: &str) -> Filter {
        Filter { notes: Notes::default(), settings: Table::of_type(kind) }
    }

    /// As [`Table::set`], for chains.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Filter {
        self.settings.set(key, value);
        self
    }
}

impl Step {
    /// Only notes: a TODO, or a comment that belongs to nothing.
    pub fn notes(notes: Notes) -> Step {
        Step::Filter(Filter { notes, settings: Table::default() })
    }

    /// What is said above it.
    pub fn notes_mut(&mut self) -> &mut Notes {
        match self {
            Step::Filter(filter) => &mut filter.notes,
            Step::If(branch) => &mut branch.notes,
        }
    }

    /// Whether only notes are written.
    pub fn is_silent(&self) -> bool {
        matches!(self, Step::Filter(filter) if filter.settings.is_empty())
    }
}

impl If {
    /// The step that a person would write: a single filter gets the condition itself; without any filter only the
    /// notes remain.
    pub fn into_step(mut self) -> Step {
        let active = |steps: &[Step]| steps.iter().filter(|step| !step.is_silent()).count();
        match (active(&self.then), active(&self.otherwise)) {
            (0, 0) => {
                let mut notes = self.notes;
                for step in self.then.iter_mut().chain(&mut self.otherwise) {
                    notes.append(std::mem::take(step.notes_mut()));
                }
                Step::notes(notes)
            }
            (1, 0) if self.then.len() == 1 && self.otherwise.is_empty() => {
                match self.then.remove(0) {
                    Step::Filter(mut filter) => {
                        let own = std::mem::replace(&mut filter.notes, self.notes);
                        filter.notes.append(own);
                        filter.settings.add_when(&self.when);
                        Step::Filter(filter)
                    }
                    step @ Step::If(_) => Step::If(If { then: vec![step], ..self }),
                }
            }
            _ => Step::If(self),
        }
    }
}

impl Pipeline {
    /// A pipeline without parts.
    pub fn new(name: &str) -> Pipeline {
        Pipeline { name: file_name(name), ..Pipeline::default() }
    }

    /// Adds an input; gives the name that it got.
    pub fn add_input(&mut self, part: Part) -> String {
        add(&mut self.inputs, part)
    }

    /// Adds an output; gives the name that it got.
    pub fn add_output(&mut self, part: Part) -> String {
        add(&mut self.outputs, part)
    }

    /// Whether an input is written.
    pub fn has_inputs(&self) -> bool {
        self.inputs.iter().any(|part| !part.settings.is_empty())
    }

    /// Whether an output is written.
    pub fn has_outputs(&self) -> bool {
        self.outputs.iter().any(|part| !part.settings.is_empty())
    }

    /// A pipeline needs an input and an output: where the source has none (it is a part of a larger configuration),
    /// standard input and the screen stand for them, with a TODO.
    pub fn complete(&mut self) {
        let stand_in = |missing: &str, name: &str, kind: &str| {
            let what = format!(
                "these files have no {missing} that could be converted; `{kind}` stands for it"
            );
            let todo = Todo {
                what,
                instead: format!(
                    "write the {missing} here, or import the file that has it together with this one"
                ),
                source: Vec::new(),
            };
            let notes = Notes { todos: vec![todo], ..Notes::default() };
            Part { notes, name: name.into(), settings: Table::of_type(kind) }
        };
        if !self.has_inputs() {
            self.add_input(stand_in("input", "stdin", "stdin"));
        }
        if !self.has_outputs() {
            self.add_output(stand_in("output", "screen", "stdout"));
        }
    }

    /// The text of the pipeline file.
    pub fn print(&self) -> String {
        let mut printer = Printer::default();
        printer.notes(&self.notes, 0);
        for part in &self.inputs {
            printer.part("inputs", part);
        }
        printer.steps("filters", &self.steps, 0);
        for (name, notes, table) in &self.tables {
            printer.table(name, notes, table);
        }
        for part in &self.outputs {
            printer.part("outputs", part);
        }
        printer.notes(&self.end, 0);
        printer.finish()
    }
}

/// Adds a part under a name that no other has.
fn add(parts: &mut Vec<Part>, mut part: Part) -> String {
    let plain: String = part.name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    let trimmed = plain.trim_matches('_');
    let base = if trimmed.is_empty() { "part".to_string() } else { trimmed.to_string() };
    let taken = |name: &str| parts.iter().any(|p| p.name == name && !p.settings.is_empty());
    let numbered = (2..).map(|n| format!("{base}_{n}"));
    part.name = std::iter::once(base.clone()).chain(numbered).find(|n| !taken(n)).unwrap_or(base);
    let name = part.name.clone();
    parts.push(part);
    name
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

/// A name as that of a file: letters, digits, `_`, `-` and dots, not hidden.
pub fn file_name(name: &str) -> String {
    let plain: String = name.chars().map(|c| if plain(c) || c == '.' { c } else { '-' }).collect();
    let trimmed = plain.trim_matches(['-', '.']);
    if trimmed.is_empty() { "pipeline".to_string() } else { trimmed.to_string() }
}
