//! What a text must hold for a pattern to match.
//!
//! In: a pattern. Out: literals in lower case, one of which is in every text that matches. Promises: a text that is
//! refused cannot match; the reverse is not promised. On failure: a pattern of which nothing is known needs nothing.

use memchr::memmem::find;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind};

/// Shorter literals are in too many texts.
const LEAST_BYTES: usize = 2;
/// More alternatives cost more than they spare.
const MOST_LITERALS: usize = 24;

/// What a pattern needs.
pub(super) enum Needs {
    /// Nothing that is known.
    Anything,
    /// One of these.
    OneOf(Vec<Box<[u8]>>),
}

impl Needs {
    /// Whether a text in lower case has what is needed.
    pub(super) fn met_by(&self, lower: &[u8]) -> bool {
        match self {
            Needs::Anything => true,
            Needs::OneOf(literals) => literals.iter().any(|literal| find(lower, literal).is_some()),
        }
    }
}

/// What a pattern needs.
pub(super) fn needs(pattern: &str) -> Needs {
    let parser = ParserBuilder::new().utf8(false).unicode(false).build().parse(pattern);
    match parser.ok().and_then(|hir| literals(&hir)) {
        Some(found) => Needs::OneOf(found.into_iter().map(Vec::into_boxed_slice).collect()),
        None => Needs::Anything,
    }
}

/// Literals, one of which is in every match.
fn literals(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let found = match hir.kind() {
        HirKind::Literal(literal) => vec![literal.0.to_ascii_lowercase()],
        HirKind::Capture(capture) => literals(&capture.sub)?,
        HirKind::Repetition(repetition) if repetition.min > 0 => literals(&repetition.sub)?,
        HirKind::Concat(parts) => {
            let all = parts.iter().filter_map(literals);
            all.max_by_key(|found| found.iter().map(Vec::len).min())?
        }
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(literals(branch)?);
            }
            all
        }
        _ => return None,
    };
    let useful = found.len() <= MOST_LITERALS && found.iter().all(|l| l.len() >= LEAST_BYTES);
    useful.then_some(found)
}
