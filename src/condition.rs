//! `when`: a typed condition language over events.
//!
//! In: text such as `service == "mcp-server" and msg =~ /request_id=/`. Out: [`Condition`], which
//! picks events.
//!
//! | written | holds when |
//! |---|---|
//! | `a == 1`, `a != "x"` | equal, not equal (also `true`, `false`, `null`) |
//! | `a < 1`, `<=`, `>`, `>=` | ordered: numbers by value, texts by their bytes |
//! | `a in ["x", 2]`, `a not in […]` | equal to one of them |
//! | `"x" in a`, `"x" not in a` | `a` is a list with this item, or a text with this part |
//! | `a =~ /…/i`, `a !~ /…/` | the pattern matches somewhere in the text |
//! | `exists(a)` | the field is there and is not null |
//! | `cidr(a, "10.0.0.0/8", …)` | the text is an address of one of these networks |
//! | `and`, `or`, `not`, `( )` | as usual; `not` binds strongest, `or` weakest |
//!
//! Both sides of a comparison may be fields. `@timestamp` is compared with RFC 3339 texts.
//! Promises: types are never converted: the text `"5"` is not the number 5 and is in no order with
//! it. A missing field is just absent: what is said about it does not hold, except `!=`, `not in`,
//! `!~` and `== null`. Evaluation allocates nothing and ends at the first part that decides.
//! On failure: [`ConditionError`] with the place within the text and what to write instead.

use crate::event::{Batch, Keys, Selection};
use crate::settings::Section;

mod check;
mod doubt;
mod evaluate;
mod lexer;
mod needle;
mod network;
mod parser;
mod search;

pub use crate::settings::TextError as ConditionError;
pub use network::Network;

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Condition {
    root: check::Node,
}

impl Condition {
    /// Reads and type-checks a condition; names go into `keys`.
    ///
    /// # Errors
    /// The first thing that is not a condition or cannot be.
    pub fn parse(text: &str, keys: &mut Keys) -> Result<Condition, ConditionError> {
        let syntax = parser::parse(text)?;
        Ok(Condition { root: check::check(&syntax, keys)? })
    }

    /// Reads the condition of a setting; what is wrong is reported with its place.
    pub fn load(section: &Section<'_>, key: &'static str, keys: &mut Keys) -> Option<Condition> {
        let text = section.string(key)?;
        for doubt in parser::parse(&text).iter().flat_map(|syntax| doubt::bare_words(syntax, keys))
        {
            section.warning_within(&text, doubt);
        }
        match Condition::parse(&text, keys) {
            Ok(condition) => Some(condition),
            Err(error) => {
                section.error_within(&text, error);
                None
            }
        }
    }

    /// Whether it holds for one event; a missing field is just absent.
    #[inline]
    pub fn holds(&self, batch: &Batch, event: usize) -> bool {
        self.root.holds(batch, event)
    }

    /// The events of `from` for which it holds.
    pub fn select(&self, batch: &Batch, from: &Selection, into: &mut Selection) {
        into.0.clear();
        into.0.extend(from.0.iter().copied().filter(|e| self.holds(batch, *e as usize)));
    }
}

#[cfg(test)]
mod tests;
