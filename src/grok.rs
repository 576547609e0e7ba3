//! Grok: named patterns compiled to a scanner of our own.
//!
//! In: patterns such as `%{IP:client} %{WORD:verb}` and a text in bytes. Out: which pattern matched
//! and where each field is.
//! Promises: Oniguruma's answer on UTF-8; no allocation in steady state; time in proportion to the
//! length of the text.
//! On failure: a pattern that cannot be compiled is a [`GrokError`]; a text that takes too long is
//! [`Outcome::LimitHit`].

mod advice;
mod ast;
mod backtrack;
mod charset;
mod classes;
mod compile;
mod dictionary;
mod error;
mod expand;
mod explain;
mod expression;
mod first;
mod fuse;
mod need;
mod parse;
mod parse_atom;
mod program;
mod require;
mod scan;
mod scout;
mod shape;
mod spot;
mod text;
mod token;
mod words;

pub use advice::Advice;
pub use backtrack::granted;
pub use error::{GrokError, Problem};
pub use expand::doubt;
pub use expression::{Expression, ExpressionScratch, Search};

use backtrack::{Memory, Taken};
use compile::Numbers;
use expand::Names;
use program::Program;
use scan::Found;

/// Which dictionary and field names are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ecs {
    /// The names from before the Elastic Common Schema.
    Disabled,
    /// The Elastic Common Schema.
    #[default]
    V1,
}

/// What a captured text is to be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// True or false.
    Bool,
}

/// A field that captures go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The names of the objects it lies in, then its own.
    pub path: Vec<String>,
    /// What its text is read as.
    pub kind: Kind,
}

/// How patterns are to be understood.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Only `%{NAME:field}` captures, not `%{NAME}`.
    pub named_captures_only: bool,
    /// Captures that are empty count.
    pub keep_empty_captures: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { named_captures_only: true, keep_empty_captures: false }
    }
}

/// A match: which pattern, and from where to where; the captures are in the scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The number of the pattern, from zero.
    pub pattern: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// What came of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A pattern matches.
    Match(Match),
    /// None does.
    NoMatch,
    /// This pattern took too long to tell.
    LimitHit {
        /// The number of the pattern, from zero.
        pattern: usize,
    },
}

/// One captured piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Its field's number in [`Grok::fields`].
    pub field: usize,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// The memory of a search, to be used again; one for each thread.
#[derive(Debug, Default)]
pub struct Scratch {
    memory: Memory,
    /// A bit for each of the first patterns: it did not match last time.
    missed: u64,
}

impl Scratch {
    /// How often the last search went back to another way of a place.
    pub fn times_back(&self) -> u64 {
        self.memory.times_back
    }

    /// The steps that the last search took; see [`granted`].
    pub fn steps(&self) -> u64 {
        self.memory.steps
    }
}

/// One compiled pattern.
#[derive(Clone, Debug)]
struct Pattern {
    program: Program,
    /// For the number of each capture its field.
    goals: Vec<usize>,
}

/// A set of compiled patterns, tried in order.
#[derive(Clone, Debug)]
pub struct Grok {
    patterns: Vec<Pattern>,
    fields: Vec<Field>,
    keep_empty: bool,
    advice: Vec<Advice>,
}

impl Grok {
    /// Compiles patterns; definitions of the same name as a built-in one come before it.
    pub fn compile(
        patterns: &[String],
        definitions: &[(String, String)],
        ecs: Ecs,
        options: Options,
    ) -> Result<Self, GrokError> {
        let mut grok = Self {
            patterns: Vec::with_capacity(patterns.len()),
            fields: Vec::new(),
            keep_empty: options.keep_empty_captures,
            advice: Vec::new(),
        };
        for (number, text) in patterns.iter().enumerate() {
            let mut names = Names::new(dictionary::builtin(ecs), definitions);
            let parsed = parse::parse(text, number, &mut names, options.named_captures_only)?;
            let program =
                compile::compile(&parsed, Numbers::ByName).map_err(|problem| GrokError {
                    pattern: number,
                    offset: 0,
                    problem,
                    within: None,
                    hint: Some("repeat a shorter piece, or repeat it less often".to_owned()),
                })?;
            grok.advice.extend(advice::advice(number, text, &parsed, &program));
            let goals = grok.goals(&parsed.captures);
            grok.patterns.push(Pattern { program, goals });
        }
        Ok(grok)
    }

    /// What is legal in the patterns, but slow or not meant.
    pub fn advice(&self) -> &[Advice] {
        &self.advice
    }

    /// The fields that captures can go to.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The first pattern that matches.
    pub fn find(&self, scratch: &mut Scratch, text: &[u8]) -> Outcome {
        self.find_from(scratch, text, 0)
    }

    /// The first pattern that matches, from this one on.
    pub fn find_from(&self, scratch: &mut Scratch, text: &[u8], first: usize) -> Outcome {
        scratch.memory.steps = 0;
        scratch.memory.times_back = 0;
        for (number, pattern) in self.patterns.iter().enumerate().skip(first) {
            let bit = 1u64.checked_shl(number as u32).unwrap_or(0);
            let missed = scratch.missed & bit != 0;
            match scan::scan(&pattern.program, text, &mut scratch.memory, missed) {
                Found::At(start, end) => {
                    scratch.missed &= !bit;
                    if !pattern.program.ordered {
                        order(&mut scratch.memory.taken);
                    }
                    return Outcome::Match(Match { pattern: number, start, end });
                }
                Found::Limit => return Outcome::LimitHit { pattern: number },
                Found::Nowhere => scratch.missed |= bit,
            }
        }
        Outcome::NoMatch
    }

    /// Tells which part of each pattern is run by what.
    pub fn explain(&self) -> String {
        let texts = self.patterns.iter().map(|pattern| explain::explain(&pattern.program));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The captures of a match that was the last search of this scratch, in the order in which Logstash sets the
    /// fields. A field can occur several times; what is unset or empty is left out.
    pub fn captures<'a>(
        &'a self,
        found: &Match,
        scratch: &'a Scratch,
    ) -> impl Iterator<Item = Capture> + 'a {
        let goals = &self.patterns[found.pattern].goals;
        let counts = |taken: &&Taken| taken.start != taken.end || self.keep_empty;
        scratch.memory.taken.iter().filter(counts).map(|taken| Capture {
            field: goals[taken.number as usize],
            start: taken.start as usize,
            end: taken.end as usize,
        })
    }

    /// For each number of a capture its field, numbered as the compiler does it.
    fn goals(&mut self, captures: &[Option<String>]) -> Vec<usize> {
        let mut names: Vec<(&str, usize)> = Vec::new();
        for name in captures.iter().flatten() {
            match names.iter_mut().find(|(known, _)| known == name) {
                Some((_, times)) => *times += 1,
                None => names.push((name, 1)),
            }
        }
        let mut goals = Vec::new();
        for (name, times) in names {
            let field = self.field(expand::field_of(name));
            goals.extend(std::iter::repeat_n(field, times));
        }
        goals
    }

    fn field(&mut self, field: Field) -> usize {
        let known = self.fields.iter().position(|known| *known == field);
        known.unwrap_or_else(|| {
            self.fields.push(field);
            self.fields.len() - 1
        })
    }
}

/// Lists of more captures are sorted by halves.
const MANY_CAPTURES: usize = 128;

/// Puts captures into the order of their numbers, of several of one number the last. Most are so already, or nearly:
/// what lies in another capture ends before it.
fn order(taken: &mut Vec<Taken>) {
    let mut repeated = false;
    if taken.len() > MANY_CAPTURES {
        taken.sort_by_key(|taken| taken.number);
        repeated = true;
    } else {
        for at in 1..taken.len() {
            let (one, mut place) = (taken[at], at);
            while place > 0 && taken[place - 1].number > one.number {
                taken[place] = taken[place - 1];
                place -= 1;
            }
            taken[place] = one;
            repeated |= place > 0 && taken[place - 1].number == one.number;
        }
    }
    if !repeated {
        return;
    }
    taken.dedup_by(|later, earlier| {
        let same = later.number == earlier.number;
        if same {
            *earlier = *later;
        }
        same
    });
}

/// The names of the built-in patterns, sorted.
pub fn names(ecs: Ecs) -> Vec<&'static str> {
    let all = dictionary::builtin(ecs).keys().copied();
    let mut names: Vec<_> = all.filter(|name| !dictionary::is_helper(name)).collect();
    names.sort_unstable();
    names
}

/// The built-in definition of a name.
pub fn definition(ecs: Ecs, name: &str) -> Option<&'static str> {
    dictionary::builtin(ecs).get(name).map(String::as_str)
}

#[cfg(test)]
mod tests;
