//! `gsub`: every match of a pattern replaced, both with references to other fields.
//!
//! In: a field, a pattern of Ruby, a replacement. Out: the text, or the texts of a list, changed. Promises: a pattern
//! without references is compiled at load, one with references when its text changes. On failure: a pattern that is
//! none once its references are put in, or a text that takes too long.

use super::super::expressions::{TooLong, load_expression, replace_all};
use super::super::texts::change_at;
use super::{FilterLoad, Use};
use crate::event::{Batch, Path};
use crate::grok::{Expression, ExpressionScratch};
use crate::settings::{Section, Spanned};
use crate::template::{References, Template};

/// One substitution.
pub(super) struct Gsub {
    field: Path,
    pattern: Pattern,
    replacement: Template,
}

enum Pattern {
    Fixed(Box<Expression>),
    Made(Template),
}

/// The memory of a thread.
#[derive(Default)]
pub(super) struct Work {
    search: ExpressionScratch,
    made: Vec<u8>,
    replacement: Vec<u8>,
    scratch: Vec<u8>,
    /// The last pattern that was made of fields, and its text.
    last: Option<(Vec<u8>, Expression)>,
}

impl Gsub {
    pub(super) fn load(
        section: &Section<'_>,
        field: &Spanned<String>,
        pattern: &Spanned<String>,
        replacement: &Spanned<String>,
        load: &mut FilterLoad<'_>,
    ) -> Option<Gsub> {
        let field = super::path(section, field, Use::Write, load);
        let pattern = if pattern.contains("%{") {
            Template::load_as(section, pattern, References::Percent, load.keys).map(Pattern::Made)
        } else {
            load_expression(section, pattern).map(|found| Pattern::Fixed(Box::new(found)))
        };
        let replacement = Template::load_as(section, replacement, References::Percent, load.keys);
        Some(Gsub { field: field?, pattern: pattern?, replacement: replacement? })
    }

    pub(super) fn run(
        &self,
        batch: &mut Batch,
        event: usize,
        work: &mut Work,
    ) -> Result<(), TooLong> {
        let expression = match &self.pattern {
            Pattern::Fixed(expression) => expression,
            Pattern::Made(template) => {
                work.made.clear();
                template.render_as_written(batch, event, &mut work.made);
                work.renew()?;
                let Some((_, expression)) = &work.last else { return Err(TooLong) };
                expression
            }
        };
        work.replacement.clear();
        self.replacement.render_as_written(batch, event, &mut work.replacement);
        let mut too_long = false;
        let mut change = |text: &[u8], out: &mut Vec<u8>| {
            let done = replace_all(expression, &mut work.search, text, &work.replacement, out);
            too_long |= done.is_err();
            done.unwrap_or(false)
        };
        change_at(batch, event, &self.field, &mut work.scratch, &mut change);
        if too_long { Err(TooLong) } else { Ok(()) }
    }
}

impl Work {
    /// Compiles the pattern that was made, unless it is that of the last event.
    fn renew(&mut self) -> Result<(), TooLong> {
        if self.last.as_ref().is_some_and(|(text, _)| *text == self.made) {
            return Ok(());
        }
        let text = std::str::from_utf8(&self.made).map_err(|_| TooLong)?;
        let expression = Expression::compile(text).map_err(|_| TooLong)?;
        self.last = Some((self.made.clone(), expression));
        Ok(())
    }
}
