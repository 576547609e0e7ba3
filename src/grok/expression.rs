//! One regular expression of Ruby, for what Logstash's filters take besides grok patterns.
//!
//! In: its text. Out: where it matches, from any place of a text on, and what its groups matched.
//! Promises: the meaning is that of Ruby (a dot matches no line feed, `^` and `$` are the ends of lines); the work
//! for one match is bounded. On failure: [`GrokError`] with the place in the text; a search that takes too long ends
//! with [`Search::Limit`].

use std::ops::Range;

use super::backtrack::Memory;
use super::compile::Numbers;
use super::program::Program;
use super::scan::{Found, scan_from};
use super::{Ecs, GrokError, Names, Options, compile, dictionary, parse};

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    program: Program,
    /// The name of each group that captures, `None` for a plain one.
    groups: Vec<Option<String>>,
}

/// The memory of a search, to be used again.
#[derive(Debug, Default)]
pub struct ExpressionScratch(Memory);

/// What came of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// The leftmost match, from and to; its groups are in the scratch.
    Found(usize, usize),
    /// There is none.
    Nowhere,
    /// It took too long to tell.
    Limit,
}

impl Expression {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is no expression of Ruby, or uses what is not run here.
    pub fn compile(text: &str) -> Result<Self, GrokError> {
        let mut names = Names::new(dictionary::builtin(Ecs::Disabled), &[]);
        let named_only = Options::default().named_captures_only;
        let mut parsed = parse::parse_ruby(text, &mut names, named_only)?;
        let named = parsed.captures.iter().any(Option::is_some);
        parsed.numbered |= !named;
        let program = compile::compile(&parsed, Numbers::ByPlace).map_err(|problem| GrokError {
            pattern: 0,
            offset: 0,
            problem,
            within: None,
            hint: Some("repeat a shorter piece, or repeat it less often".to_owned()),
        })?;
        // As in Ruby, plain groups do not capture where groups have names.
        let groups = parsed.captures.into_iter().filter(|name| !named || name.is_some()).collect();
        Ok(Expression { program, groups })
    }

    /// Looks for the first match that begins at `from` or later; `from` is at most the text's length.
    pub fn find_at(&self, scratch: &mut ExpressionScratch, text: &[u8], from: usize) -> Search {
        match scan_from(&self.program, text, from, &mut scratch.0) {
            Found::At(start, end) => Search::Found(start, end),
            Found::Nowhere => Search::Nowhere,
            Found::Limit => Search::Limit,
        }
    }

    /// What a group of the last match matched; groups are counted from 1.
    pub fn group(&self, scratch: &ExpressionScratch, number: usize) -> Option<Range<usize>> {
        let number = number.checked_sub(1)? as u32;
        let taken = scratch.0.taken.iter().rfind(|taken| taken.number == number)?;
        Some(taken.start as usize..taken.end as usize)
    }

    /// The number of a named group, counted from 1.
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|known| known.as_deref() == Some(name)).map(|at| at + 1)
    }

    /// How many groups capture.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, ExpressionScratch, Search};

    #[test]
    fn matches_are_found_one_after_the_other_with_their_groups() {
        let expression = Expression::compile(r"(\w+)=(\w+)?(?=;|$)").unwrap();
        let mut scratch = ExpressionScratch::default();
        let text = b"a=1;b=;c=3";
        assert_eq!(expression.find_at(&mut scratch, text, 0), Search::Found(0, 3));
        assert_eq!(expression.group(&scratch, 2), Some(2..3));
        assert_eq!(expression.find_at(&mut scratch, text, 3), Search::Found(4, 6));
        assert_eq!(expression.group(&scratch, 2), None);
        assert_eq!(expression.find_at(&mut scratch, text, 6), Search::Found(7, 10));
        assert_eq!(expression.find_at(&mut scratch, text, 10), Search::Nowhere);
    }

    #[test]
    fn a_dot_matches_no_line_feed_and_ends_are_those_of_lines() {
        let expression = Expression::compile("^b.*$").unwrap();
        let found = expression.find_at(&mut ExpressionScratch::default(), b"a\nbc\nd", 0);
        assert_eq!(found, Search::Found(2, 4));
    }
}
