//! A condition as a tree, printed in our `when` language.
//!
//! In: what the source asks. Out: the text of a `when`. Promises: what is printed was read by our own parser first.
//! On failure: why it cannot be said in our language.

use super::templates::path;
use crate::condition::Condition;
use crate::event::Keys;

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A field, by its names.
    Field(Vec<String>),
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// Nothing.
    Null,
    /// A list of values.
    List(Vec<Operand>),
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All hold.
    All(Vec<Expression>),
    /// One holds.
    Any(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// Always, or never.
    Constant(bool),
    /// The field is there and not null.
    Exists(Vec<String>),
    /// `left operator right`; the operator as our language writes it: `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `not in`.
    Compare(Operand, &'static str, Operand),
    /// The pattern (of Ruby or Oniguruma) is found in the text.
    Matches {
        /// The field.
        field: Vec<String>,
        /// The pattern, without slashes.
        pattern: String,
        /// Its case does not matter.
        ignore_case: bool,
        /// It is not found.
        negate: bool,
    },
    /// The text is an address of one of these networks.
    Network(Vec<String>, Vec<String>),
}

impl Expression {
    /// The opposite, without a double `not`.
    #[must_use]
    pub fn negated(self) -> Expression {
        match self {
            Expression::Not(inner) => *inner,
            Expression::Constant(value) => Expression::Constant(!value),
            Expression::Compare(left, "==", right) => Expression::Compare(left, "!=", right),
            Expression::Compare(left, "!=", right) => Expression::Compare(left, "==", right),
            Expression::Compare(left, "in", right) => Expression::Compare(left, "not in", right),
            Expression::Compare(left, "not in", right) => Expression::Compare(left, "in", right),
            Expression::Matches { field, pattern, ignore_case, negate } => {
                Expression::Matches { field, pattern, ignore_case, negate: !negate }
            }
            other => Expression::Not(Box::new(other)),
        }
    }

    /// All of these.
    pub fn all(parts: Vec<Expression>) -> Expression {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Expression::All(inner) => flat.extend(inner),
                Expression::Constant(true) => {}
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expression::Constant(true),
            1 => flat.remove(0),
            _ => Expression::All(flat),
        }
    }

    /// One of these.
    pub fn any(parts: Vec<Expression>) -> Expression {
        let mut flat = Vec::new();
        for part in parts {
            match part {
                Expression::Any(inner) => flat.extend(inner),
                Expression::Constant(false) => {}
                other => flat.push(other),
            }
        }
        match flat.len() {
            0 => Expression::Constant(false),
            1 => flat.remove(0),
            _ => Expression::Any(flat),
        }
    }

    /// The text of a `when`.
    ///
    /// # Errors
    /// Why our language cannot say it, as our own parser puts it.
    pub fn print(&self) -> Result<String, String> {
        let text = self.text();
        match Condition::parse(&text, &mut Keys::default()) {
            Ok(_) => Ok(text),
            Err(error) => {
                let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                Err(format!("{}{hint}", error.message))
            }
        }
    }

    fn text(&self) -> String {
        let joined = |parts: &[Expression], word: &str| {
            let part = |part: &Expression| match part {
                Expression::Any(_) if word == " and " => format!("({})", part.text()),
                Expression::All(_) if word == " or " => format!("({})", part.text()),
                _ => part.text(),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(word)
        };
        match self {
            Expression::All(parts) => joined(parts, " and "),
            Expression::Any(parts) => joined(parts, " or "),
            Expression::Not(inner) => match **inner {
                Expression::Exists(_) | Expression::Network(..) => format!("not {}", inner.text()),
                _ => format!("not ({})", inner.text()),
            },
            Expression::Constant(value) => value.to_string(),
            Expression::Exists(names) => format!("exists({})", path(names)),
            Expression::Compare(left, operator, right) => {
                format!("{} {operator} {}", left.text(), right.text())
            }
            Expression::Matches { field, pattern, ignore_case, negate } => {
                let operator = if *negate { "!~" } else { "=~" };
                let (pattern, flags) = linear(pattern, *ignore_case);
                format!("{} {operator} /{pattern}/{flags}", path(field))
            }
            Expression::Network(field, networks) => {
                let networks: Vec<String> = networks.iter().map(|n| text(n)).collect();
                format!("cidr({}, {})", path(field), networks.join(", "))
            }
        }
    }
}

impl Operand {
    fn text(&self) -> String {
        match self {
            Operand::Field(names) => path(names),
            Operand::Text(value) => text(value),
            Operand::Integer(number) => number.to_string(),
            Operand::Float(number) => format!("{number:?}"),
            Operand::Bool(value) => value.to_string(),
            Operand::Null => "null".to_string(),
            Operand::List(items) => {
                format!("[{}]", items.iter().map(Operand::text).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A text in quotes.
fn text(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A pattern of Ruby as one of conditions, and its flags: `^` and `$` are the ends of lines there.
pub fn linear(pattern: &str, ignore_case: bool) -> (String, String) {
    let mut out = String::with_capacity(pattern.len());
    let (mut lines, mut class, mut chars) = (false, 0_usize, pattern.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('h') if class == 0 => out.push_str("[0-9a-fA-F]"),
                Some('h') => out.push_str("0-9a-fA-F"),
                Some('Z') => out.push_str("(?:\\n?\\z)"),
                Some(c) if c.is_alphabetic() || c.is_ascii_digit() || !c.is_ascii() => {
                    out.extend(['\\', c]);
                }
                Some('<' | '>') if class > 0 => out.push_str("<>"),
                Some(c) if "\"'`,=;:@%!<>_ ".contains(c) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push_str("\\\\"),
            },
            '[' if class > 0 && chars.peek() != Some(&':') && chars.peek() != Some(&'^') => {
                out.push_str("\\[");
            }
            '[' => {
                class += 1;
                out.push(c);
            }
            ']' if class > 0 => {
                class -= 1;
                out.push(c);
            }
            '/' => out.push_str("\\/"),
            '^' | '$' if class == 0 => {
                lines = true;
                out.push(c);
            }
            '{' if class == 0 && !is_repeat(chars.clone().collect::<String>().as_str()) => {
                out.push_str("\\{");
            }
            '}' if class == 0 && !opened(&out) => out.push_str("\\}"),
            c => out.push(c),
        }
    }
    let mut flags = String::new();
    if ignore_case {
        flags.push('i');
    }
    if lines {
        flags.push('m');
    }
    (out, flags)
}

/// Whether `3}`, `3,}` or `3,4}` follows a brace.
fn is_repeat(rest: &str) -> bool {
    let Some(end) = rest.find('}') else { return false };
    let inner = &rest[..end];
    !inner.is_empty()
        && inner.starts_with(|c: char| c.is_ascii_digit())
        && inner.chars().all(|c| c.is_ascii_digit() || c == ',')
}

/// Whether an unescaped brace is open at the end of a pattern.
fn opened(out: &str) -> bool {
    out.rfind('{').is_some_and(|at| !out[..at].ends_with('\\') && !out[at..].contains('}'))
        || out
            .rfind("\\p{")
            .or_else(|| out.rfind("\\x{"))
            .is_some_and(|at| !out[at..].contains('}'))
}
