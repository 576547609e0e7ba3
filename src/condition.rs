//! `when`: a typed condition language over events.
//!
//! In: text such as `service == "mcp-server" and msg =~ /request_id=/`. Out: [`Condition`], which picks events.

use crate::event::{Batch, Keys, Selection};

/// A compiled condition.
pub struct Condition {}

/// Why a text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    /// Bytes of the condition's text.
    pub span: std::ops::Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Condition {
    /// Reads and type-checks a condition; names go into `keys`.
    pub fn parse(_text: &str, _keys: &mut Keys) -> Result<Condition, ConditionError> {
        todo!("condition")
    }

    /// Whether it holds for one event; a missing field is just absent.
    pub fn holds(&self, _batch: &Batch, _event: usize) -> bool {
        todo!("condition")
    }

    /// The events of `from` for which it holds.
    pub fn select(&self, batch: &Batch, from: &Selection, into: &mut Selection) {
        into.0.clear();
        into.0.extend(from.0.iter().copied().filter(|e| self.holds(batch, *e as usize)));
    }
}
