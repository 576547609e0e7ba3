//! Logstash's language as a tree with places.
//!
//! In: what the parser read. Out: plugins with their settings, conditionals, in order. Promises: every span lies in
//! its file. On failure: nothing here fails.

use std::ops::Range;
use std::rc::Rc;

use crate::import::source::SourceFile;

/// Bytes of a file.
#[derive(Clone, Debug)]
pub struct At {
    /// The file.
    pub file: Rc<SourceFile>,
    /// Its bytes.
    pub span: Range<usize>,
}

/// Which part of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// `input { … }`.
    Input,
    /// `filter { … }`.
    Filter,
    /// `output { … }`.
    Output,
}

/// What stands in a room, in order.
#[derive(Clone, Debug)]
pub struct Section {
    /// Which one.
    pub room: Room,
    /// Its plugins and conditionals.
    pub body: Vec<Statement>,
    /// Comments before its end that belong to nothing.
    pub comments: Vec<String>,
}

/// A plugin or a conditional.
#[derive(Clone, Debug)]
pub enum Statement {
    /// `grok { … }`.
    Plugin(Plugin),
    /// `if … { … } else if … { … } else { … }`.
    Branch(Branch),
}

/// `name { setting => value … }`.
#[derive(Clone, Debug)]
pub struct Plugin {
    /// Its kind.
    pub name: String,
    /// Its settings, as often as they are written.
    pub settings: Vec<(String, Value)>,
    /// Comments above and within it.
    pub comments: Vec<String>,
    /// Where it stands.
    pub at: At,
}

/// The arms of a conditional.
#[derive(Clone, Debug)]
pub struct Branch {
    /// Conditions and what they guard; the first is the `if`.
    pub arms: Vec<Arm>,
    /// Where it stands: `if` and its condition.
    pub at: At,
}

/// One arm of a conditional.
#[derive(Clone, Debug)]
pub struct Arm {
    /// `None`: `else`.
    pub test: Option<Test>,
    /// The condition as it is written.
    pub written: String,
    /// What it guards.
    pub body: Vec<Statement>,
    /// Comments above it.
    pub comments: Vec<String>,
    /// Comments before its end.
    pub end: Vec<String>,
}

/// The value of a setting.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text in quotes, without them.
    Text(String),
    /// A word or a number without quotes.
    Bare(String),
    /// `[ … ]`.
    List(Vec<Value>),
    /// `{ key => value … }`.
    Hash(Vec<(String, Value)>),
    /// A codec with settings.
    Plugin(Box<Plugin>),
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Test {
    /// All hold.
    And(Vec<Test>),
    /// One holds.
    Or(Vec<Test>),
    /// It does not hold.
    Not(Box<Test>),
    /// Exactly one holds.
    Xor(Box<Test>, Box<Test>),
    /// Not both hold.
    Nand(Box<Test>, Box<Test>),
    /// A value alone: a field that is there.
    Alone(Operand),
    /// `left operator right`.
    Compare(Operand, String, Operand),
}

/// One side of a comparison.
#[derive(Clone, Debug)]
pub enum Operand {
    /// `[a][b]`.
    Field(Vec<String>),
    /// A text.
    Text(String),
    /// A number or a word.
    Bare(String),
    /// A list.
    List(Vec<Operand>),
    /// `/…/`.
    Pattern(String),
}

impl Value {
    /// A text, a word or a number as text.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) | Value::Bare(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a list; a single value is a list of one.
    pub fn items(&self) -> Vec<&Value> {
        match self {
            Value::List(items) => items.iter().collect(),
            other => vec![other],
        }
    }
}
