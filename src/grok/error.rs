//! What is wrong with a pattern, and where.
//!
//! In: raised by the parser and the compiler. Out: [`GrokError`], shown as text or by its parts.
//! Promises: the offset lies in the text that the user wrote, never in a definition of ours.
//! On failure: this is the failure.

use std::fmt;

/// Why a pattern was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// `%{NAME}` where no such name is defined.
    UnknownName(String),
    /// A definition that needs itself; the names in order.
    Recursion(Vec<String>),
    /// The text is no regular expression.
    Syntax(String),
    /// It is one, but not one that can be run here.
    Unsupported(String),
    /// It expands to more than the compiler takes.
    TooLarge,
}

/// A refused pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrokError {
    /// Which of the patterns, from zero.
    pub pattern: usize,
    /// Where in that pattern's text, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
    /// The definitions through which the problem was met, outermost first, and the place there.
    pub within: Option<(Vec<String>, usize)>,
    /// What may help.
    pub hint: Option<String>,
}

impl GrokError {
    /// What is wrong, without the place and the hint.
    pub fn message(&self) -> String {
        let mut text = match &self.problem {
            Problem::UnknownName(name) => format!("no pattern is named `{name}`"),
            Problem::Recursion(cycle) => {
                format!("the definition needs itself: {}", cycle.join(" -> "))
            }
            Problem::Syntax(what) => what.clone(),
            Problem::Unsupported(what) => format!("{what} cannot be used here"),
            Problem::TooLarge => "the pattern expands to too much".to_string(),
        };
        if let Some((names, offset)) = &self.within {
            let names = names.join(" -> ");
            text.push_str(&format!(" (in the definition of {names}, byte {offset})"));
        }
        text
    }
}

impl fmt::Display for GrokError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pattern {}, byte {}: {}", self.pattern + 1, self.offset, self.message())?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for GrokError {}
