//! A pipeline in the making: inputs, filters and outputs with the comments that go before them.
//!
//! In: what the translations of Fluentd and Fluent Bit add. Out: what `handover` makes a pipeline file
//! of, and what became of each plugin.

use super::super::document::{self, Notes};
use super::super::fluentd::syntax::Span;
use super::super::report::Entry;

/// A key of an input that is not written: the record of how far the old agent had read.
pub const RECORD: &str = "(record)";

/// A value of TOML.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A list.
    List(Vec<Value>),
    /// An inline table.
    Table(Vec<(String, Value)>),
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

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Boolean(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Integer(value)
    }
}

impl From<Vec<String>> for Value {
    fn from(texts: Vec<String>) -> Value {
        Value::List(texts.into_iter().map(Value::Text).collect())
    }
}

impl From<Vec<(String, Value)>> for Value {
    fn from(entries: Vec<(String, Value)>) -> Value {
        Value::Table(entries)
    }
}

/// The keys of one input, filter or output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// What is said above it.
    pub notes: Notes,
    /// Keys and values; `type` is the first.
    pub entries: Vec<(String, Value)>,
}

impl Block {
    /// A block of this type.
    pub fn of(kind: &str) -> Block {
        Block { notes: Notes::default(), entries: vec![("type".to_string(), kind.into())] }
    }

    /// The same with this key.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Block {
        self.set(key, value);
        self
    }

    /// Sets a key, the last value counts.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key.to_string(), value)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        match self.get("type") {
            Some(Value::Text(kind)) => kind,
            _ => "",
        }
    }
}

impl TryFrom<document::Step> for Block {
    type Error = ();

    /// One filter; conditionals and comments are none.
    fn try_from(step: document::Step) -> Result<Block, ()> {
        let document::Step::Filter(filter) = step else { return Err(()) };
        let entries = filter.settings.0.into_iter().map(|(key, value)| (key, value.into()));
        Ok(Block { notes: filter.notes, entries: entries.collect() })
    }
}

impl From<document::Value> for Value {
    fn from(value: document::Value) -> Value {
        match value {
            document::Value::Text(text) | document::Value::Variables(text) => Value::Text(text),
            document::Value::Integer(number) => Value::Integer(number),
            document::Value::Float(number) => Value::Float(number),
            document::Value::Bool(value) => Value::Boolean(value),
            document::Value::List(items) => {
                Value::List(items.into_iter().map(Value::from).collect())
            }
            document::Value::Table(table) => {
                let entries = table.0.into_iter().map(|(key, value)| (key, value.into()));
                Value::Table(entries.collect())
            }
        }
    }
}

/// A filter; one of type `if` holds others.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Its keys; without any, only its comments are printed.
    pub block: Block,
    /// Filters for the events for which `when` holds.
    pub then: Vec<Filter>,
}

impl From<Block> for Filter {
    fn from(block: Block) -> Filter {
        Filter { block, then: Vec::new() }
    }
}

/// A pipeline in the making.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Names and keys.
    pub inputs: Vec<(String, Block)>,
    /// In order.
    pub filters: Vec<Filter>,
    /// Names and keys.
    pub outputs: Vec<(String, Block)>,
    /// `[journal]`; `type` is not one of its keys.
    pub journal: Block,
    /// What became of each plugin, in the order of the source.
    pub entries: Vec<(Span, Entry)>,
}

impl Draft {
    /// Whether a condition or a template names this field.
    pub fn mentions(&self, field: &str) -> bool {
        fn in_value(value: &Value, field: &str) -> bool {
            match value {
                Value::Text(text) => text.contains(field),
                Value::List(items) => items.iter().any(|item| in_value(item, field)),
                Value::Table(entries) => entries.iter().any(|(_, value)| in_value(value, field)),
                _ => false,
            }
        }
        fn in_block(block: &Block, field: &str) -> bool {
            block.entries.iter().any(|(_, value)| in_value(value, field))
        }
        fn in_filter(filter: &Filter, field: &str) -> bool {
            in_block(&filter.block, field)
                || filter.then.iter().any(|inner| in_filter(inner, field))
        }
        self.filters.iter().any(|filter| in_filter(filter, field))
            || self.outputs.iter().any(|(_, block)| in_block(block, field))
    }

    /// A name that no table of this list has: `base`, `base-2`, …
    pub fn free_name(taken: &[(String, Block)], base: &str) -> String {
        let base: String =
            base.chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '-' }
                })
                .collect();
        let base = base.trim_matches('-');
        let base = if base.is_empty() { "events" } else { base };
        let is_free = |name: &String| taken.iter().all(|(other, _)| other != name);
        let numbered = (2..).map(|n| format!("{base}-{n}"));
        std::iter::once(base.to_string()).chain(numbered).find(is_free).unwrap_or_default()
    }
}
