//! What failed, where, why, and what to do: the one shape of every message about a configuration or a start.
//!
//! In: a message, a place in a text, causes, a hint. Out: text for a person, in the form compilers use.
//! Promises: a place shows file, line, column, the line itself and a caret; control characters of the source never
//! reach the terminal, nor do secrets that stand in the line.
//! On failure: a place outside its text is shown without the line.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

mod secrets;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The agent does not start with this.
    Error,
    /// It starts, but the user should know.
    Warning,
}

/// A text with a name, so that a byte range of it can be shown.
#[derive(Debug)]
pub struct SourceText {
    /// The file's path as the user wrote it, or a name such as `<stdin>`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

/// A byte range of a text.
#[derive(Clone, Debug)]
pub struct Place {
    /// The text.
    pub source: Arc<SourceText>,
    /// Bytes of it; `0..0`: the text as a whole.
    pub span: Range<usize>,
}

/// One thing to tell the user.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// What failed: a lower-case fragment, names in backticks, no full stop.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// Why, the nearest cause first.
    pub causes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// All that was found, in the order it was found.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostic {
    /// An error with nothing but its message.
    pub fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        Diagnostic {
            severity: Severity::Error,
            message,
            place: None,
            causes: Vec::new(),
            hint: None,
        }
    }

    /// A warning with nothing but its message.
    pub fn warning(message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) }
    }

    /// Adds where.
    #[must_use]
    pub fn at(mut self, source: &Arc<SourceText>, span: Range<usize>) -> Self {
        self.place = Some(Place { source: Arc::clone(source), span });
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same message about the same bytes.
    fn says_the_same(&self, other: &Diagnostic) -> bool {
        let span = |d: &Diagnostic| d.place.as_ref().map(|place| place.span.clone());
        self.message == other.message && span(self) == span(other)
    }

    /// Adds what to do when there is something to say.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

impl Diagnostics {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Puts those from number `from` on (all of one text) in the order of their places; what was said twice is
    /// said once.
    pub fn sort_from(&mut self, from: usize) {
        let place = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.span.start);
        self.0[from..].sort_by_key(place);
        let mut at = from;
        while at < self.0.len() {
            let twice = self.0[from..at].iter().any(|earlier| earlier.says_the_same(&self.0[at]));
            if twice {
                self.0.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.error_count() > 0
    }

    /// How many errors there are.
    pub fn error_count(&self) -> usize {
        self.0.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warning_count(&self) -> usize {
        self.0.len() - self.error_count()
    }
}

/// The candidate that `word` was most likely meant to be.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near =
        |candidate: &str| strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase());
    let scored = known.into_iter().map(|candidate| (near(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.8).then_some(best.1)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, diagnostic) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

/// A text in which what would move a terminal's cursor is written out: values stand in messages as they were read.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() && c != '\n' {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.severity == Severity::Error { "error" } else { "warning" };
        writeln!(f, "{word}: {}", Printable(&self.message))?;
        let margin = self.place.as_ref().map_or(2, |p| digits(p.line_column().0));
        if let Some(place) = &self.place {
            place.write(f, margin)?;
        }
        for cause in &self.causes {
            writeln!(f, "{:margin$} = because: {}", "", Printable(cause))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "{:margin$} = hint: {}", "", Printable(hint))?;
        }
        Ok(())
    }
}

impl Place {
    /// Line and column, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.span.start).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, margin: usize) -> fmt::Result {
        if self.span == (0..0) {
            return writeln!(f, "{:margin$}--> {}", "", self.source.name);
        }
        let (line, column) = self.line_column();
        writeln!(f, "{:margin$}--> {}:{line}:{column}", "", self.source.name)?;
        let Some(text) = self.source.text.lines().nth(line - 1) else { return Ok(()) };
        let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let shown = secrets::mask(&plain);
        let end_of_line = self.span.start + text.len().saturating_sub(byte_column(text, column));
        let marked = self.span.end.min(end_of_line).max(self.span.start);
        let length = self.source.text.get(self.span.start..marked).map_or(1, |s| s.chars().count());
        writeln!(f, "{:margin$} |\n{line} | {shown}", "")?;
        writeln!(
            f,
            "{:margin$} | {:indent$}{}",
            "",
            "",
            "^".repeat(length.max(1)),
            indent = column - 1
        )
    }
}

fn byte_column(text: &str, column: usize) -> usize {
    text.char_indices().nth(column - 1).map_or(text.len(), |(at, _)| at)
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_the_line_with_a_caret_under_the_words() {
        let text = "[outputs.logs]\nhots = [\"x\"]\n".to_string();
        let source = Arc::new(SourceText { name: "app.toml".into(), text });
        let shown = Diagnostic::error("unknown key `hots` in `outputs.logs`")
            .at(&source, 15..19)
            .hint("did you mean `hosts`?")
            .to_string();
        assert_eq!(
            shown,
            "error: unknown key `hots` in `outputs.logs`\n --> app.toml:2:1\n  |\n2 | hots = [\"x\"]\n  | ^^^^\n  \
             = hint: did you mean `hosts`?\n"
        );
    }

    #[test]
    fn the_nearest_known_word_is_offered_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("hots", ["hosts", "index"]), Some("hosts"));
        assert_eq!(did_you_mean("zzz", ["hosts", "index"]), None);
    }
}
