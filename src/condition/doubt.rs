//! Conditions that can be evaluated, but are hardly what was meant.
//!
//! In: the syntax of a condition and the names that the configuration mentioned before it. Out: doubts with their
//! places. Promises: only a comparison of two fields can be doubted, and only where nothing else in the configuration
//! knows the second one. On failure: nothing can fail.

use super::ConditionError;
use super::lexer::Operator;
use super::parser::{Operand, Syntax, What};
use crate::event::Keys;

/// Words that stand where a text was probably meant, as in `level == error`.
pub(super) fn bare_words(syntax: &Syntax, keys: &Keys) -> Vec<ConditionError> {
    let mut doubts = Vec::new();
    collect(syntax, keys, &mut doubts);
    doubts
}

fn collect(syntax: &Syntax, keys: &Keys, doubts: &mut Vec<ConditionError>) {
    match syntax {
        Syntax::All(parts) | Syntax::Any(parts) => {
            for part in parts {
                collect(part, keys, doubts);
            }
        }
        Syntax::Not(inner) => collect(inner, keys, doubts),
        Syntax::Compare { left, operator: Operator::Equal | Operator::Unequal, right, .. } => {
            doubts.extend(bare_word(left, right, keys));
        }
        _ => {}
    }
}

fn bare_word(left: &Operand, right: &Operand, keys: &Keys) -> Option<ConditionError> {
    let (What::Path(field), What::Path(word)) = (&left.what, &right.what) else { return None };
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if !plain || keys.find(word.as_bytes()).is_some() {
        return None;
    }
    let message = format!("`{word}` is a field here, and nothing else mentions such a field");
    let hint = format!("a text stands in quotes: {field} == \"{word}\"");
    Some(ConditionError::new(right.span.clone(), message).hint(hint))
}
