//! Tokens as a tree.
//!
//! In: a condition's text. Out: its [`Syntax`], types not yet checked. Promises: nesting is bounded.
//! On failure: the token that does not fit, with what was expected.

use std::ops::Range;

use super::ConditionError;
use super::lexer::{Operator, Placed, Token, tokens};
use crate::diagnostic::did_you_mean;

/// Deepest nesting of a condition, so that neither reading nor evaluating one can exhaust the stack.
const DEPTH_MAX: usize = 64;

/// A condition as written.
#[derive(Clone, Debug)]
pub(super) enum Syntax {
    All(Vec<Syntax>),
    Any(Vec<Syntax>),
    Not(Box<Syntax>),
    Constant(bool),
    Exists(Operand),
    Network { path: Operand, networks: Vec<Operand> },
    Compare { left: Operand, operator: Operator, place: Range<usize>, right: Operand },
}

/// One side of a comparison and its bytes of the text.
#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) what: What,
    pub(super) span: Range<usize>,
}

/// What an operand is.
#[derive(Clone, Debug)]
pub(super) enum What {
    Path(String),
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    Null,
    Pattern { pattern: String, flags: crate::pattern::Flags },
    List(Vec<Operand>),
}

/// Reads a text.
pub(super) fn parse(text: &str) -> Result<Syntax, ConditionError> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0, depth: 0 };
    if *parser.peek() == Token::End {
        return Err(ConditionError::new(0..text.len(), "the condition is empty")
            .hint("write for example: level == \"ERROR\""));
    }
    let syntax = parser.any()?;
    match parser.peek() {
        Token::End => Ok(syntax),
        _ => Err(parser.unexpected_end()),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn place(&self) -> Range<usize> {
        self.tokens[self.at].1.clone()
    }

    /// The token here; the last one, `End`, is never left.
    fn next(&mut self) -> Placed {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn take_word(&mut self, word: &str) -> bool {
        let here = matches!(self.peek(), Token::Word(w) if w == word);
        if here {
            self.next();
        }
        here
    }

    fn any(&mut self) -> Result<Syntax, ConditionError> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Syntax::Any(parts) })
    }

    fn all(&mut self) -> Result<Syntax, ConditionError> {
        let mut parts = vec![self.unary()?];
        while self.take_word("and") {
            parts.push(self.unary()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Syntax::All(parts) })
    }

    fn unary(&mut self) -> Result<Syntax, ConditionError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} conditions within one another");
            return Err(ConditionError::new(self.place(), message));
        }
        let syntax = if self.take_word("not") {
            Syntax::Not(Box::new(self.unary()?))
        } else if *self.peek() == Token::Open {
            let (_, opened) = self.next();
            let inner = self.any()?;
            self.close(&opened)?;
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(syntax)
    }

    fn close(&mut self, opened: &Range<usize>) -> Result<(), ConditionError> {
        match self.peek() {
            Token::Close => {
                self.next();
                Ok(())
            }
            Token::End => {
                Err(ConditionError::new(opened.clone(), "`(` is never closed").hint("add a `)`"))
            }
            _ => Err(self.unexpected_end()),
        }
    }

    fn comparison(&mut self) -> Result<Syntax, ConditionError> {
        if let (Token::Word(name), Some((Token::Open, _))) =
            (self.peek().clone(), self.tokens.get(self.at + 1))
            && !matches!(name.as_str(), "and" | "or" | "in")
        {
            return self.function(&name);
        }
        let left = self.operand()?;
        let (operator, place) = match self.peek().clone() {
            Token::Operator(operator) => (operator, self.next().1),
            Token::Word(word) if word == "in" => (Operator::In, self.next().1),
            Token::Word(word) if word == "not" => {
                let (_, not) = self.next();
                let end = self.place().end;
                if !self.take_word("in") {
                    return Err(ConditionError::new(self.place(), "`in` expected after `not`")
                        .hint("`not` stands before a whole condition: not exists(user)"));
                }
                (Operator::NotIn, not.start..end)
            }
            _ => return self.alone(&left),
        };
        let right = self.operand()?;
        Ok(Syntax::Compare { left, operator, place, right })
    }

    /// An operand without a comparison: only `true` and `false` are conditions.
    fn alone(&self, left: &Operand) -> Result<Syntax, ConditionError> {
        let error = ConditionError::new(left.span.clone(), "a comparison is missing");
        match &left.what {
            What::Bool(value) => Ok(Syntax::Constant(*value)),
            What::Path(path) => {
                if let Token::Word(next) = self.peek() {
                    let known = ["and", "or", "not", "in"];
                    if let Some(near) = known.iter().find(|k| next.eq_ignore_ascii_case(k)) {
                        return Err(ConditionError::new(
                            self.place(),
                            format!("a comparison expected, but found `{next}`"),
                        )
                        .hint(format!("`{near}` is written in lower case after a comparison")));
                    }
                }
                Err(error.hint(format!(
                    "to ask whether the field is there: exists({path}); to compare it: \
                     {path} == \"value\""
                )))
            }
            _ => Err(error.hint("write for example: level == \"ERROR\"")),
        }
    }

    fn function(&mut self, name: &str) -> Result<Syntax, ConditionError> {
        let (_, place) = self.next();
        let (_, opened) = self.next();
        let syntax = match name {
            "exists" => Syntax::Exists(self.operand()?),
            "cidr" => {
                let path = self.operand()?;
                let mut networks = Vec::new();
                while *self.peek() == Token::Comma {
                    self.next();
                    let operand = self.operand()?;
                    match operand.what {
                        What::List(items) => networks.extend(items),
                        _ => networks.push(operand),
                    }
                }
                if networks.is_empty() {
                    return Err(ConditionError::new(place, "`cidr` needs a network")
                        .hint("write for example: cidr(client.ip, \"10.0.0.0/8\")"));
                }
                Syntax::Network { path, networks }
            }
            "not" => {
                let inner = self.any()?;
                Syntax::Not(Box::new(inner))
            }
            other => {
                let near = did_you_mean(other, ["exists", "cidr", "not"]);
                let hint = near.map_or_else(
                    || "the functions are exists(field) and cidr(field, \"10.0.0.0/8\")".into(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("unknown function `{other}`");
                return Err(ConditionError::new(place, message).hint(hint));
            }
        };
        self.close(&opened)?;
        Ok(syntax)
    }

    fn operand(&mut self) -> Result<Operand, ConditionError> {
        let (token, span) = self.next();
        let what = match token {
            Token::Text(text) => What::Text(text),
            Token::Integer(n) => What::Integer(n),
            Token::Float(n) => What::Float(n),
            Token::Pattern { inside, flags } => {
                What::Pattern { pattern: self.text[inside].to_string(), flags }
            }
            Token::OpenList => return self.list(span),
            Token::Word(word) => match word.as_str() {
                "true" => What::Bool(true),
                "false" => What::Bool(false),
                "null" => What::Null,
                "and" | "or" | "in" | "not" => {
                    let message = format!("a field or a value expected before `{word}`");
                    return Err(ConditionError::new(span, message));
                }
                _ => What::Path(word),
            },
            Token::End => {
                return Err(ConditionError::new(span, "a field or a value expected at the end"));
            }
            _ => {
                let message =
                    format!("a field or a value expected, not `{}`", &self.text[span.clone()]);
                return Err(ConditionError::new(span, message));
            }
        };
        Ok(Operand { what, span })
    }

    fn list(&mut self, opened: Range<usize>) -> Result<Operand, ConditionError> {
        let mut items = Vec::new();
        loop {
            if *self.peek() == Token::CloseList {
                let (_, end) = self.next();
                return Ok(Operand { what: What::List(items), span: opened.start..end.end });
            }
            if *self.peek() == Token::End {
                return Err(ConditionError::new(opened, "`[` is never closed").hint("add a `]`"));
            }
            let item = self.operand()?;
            match item.what {
                What::Path(_) => return Err(self.bracketed_field(opened.start)),
                What::List(_) | What::Pattern { .. } => {
                    let message = "a list holds texts, numbers, true, false and null";
                    return Err(ConditionError::new(item.span, message));
                }
                _ => items.push(item),
            }
            match self.peek() {
                Token::Comma => drop(self.next()),
                Token::CloseList | Token::End => {}
                _ => {
                    let message = "`,` or `]` expected in the list";
                    return Err(ConditionError::new(self.place(), message));
                }
            }
        }
    }

    /// `[field]` and `[a][b]` as Logstash writes them.
    fn bracketed_field(&self, start: usize) -> ConditionError {
        let mut names = Vec::new();
        let mut end = start;
        while let Some(inner) = self.text[end..].strip_prefix('[') {
            let Some(length) = inner.find(']') else { break };
            names.push(inner[..length].trim().replace('.', "\\."));
            end += length + 2;
        }
        let name = names.join(".");
        let error = ConditionError::new(
            start..end.max(start + 1),
            "a field's name stands without brackets",
        );
        if names.len() == 1 && name.contains(',') {
            return error.hint("a list holds texts in quotes: [\"a\", \"b\"]");
        }
        error.hint(format!("write `{name}`, or [\"{name}\"] for a list with this text"))
    }

    fn unexpected_end(&self) -> ConditionError {
        let span = self.place();
        let found = &self.text[span.clone()];
        let error = ConditionError::new(span, format!("`and` or `or` expected before `{found}`"));
        match self.peek() {
            Token::Word(word) if word.eq_ignore_ascii_case("and") => error.hint("write `and`"),
            Token::Word(word) if word.eq_ignore_ascii_case("or") => error.hint("write `or`"),
            Token::Close => ConditionError::new(self.place(), "this `)` closes nothing"),
            _ => error,
        }
    }
}
