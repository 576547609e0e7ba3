//! Logstash's language, read with places.
//!
//! In: a file. Out: its sections. Promises: what stands before an error is kept; no text makes it panic; nesting is
//! bounded. On failure: the place and what was expected.
//!
//! Source: <https://www.elastic.co/guide/en/logstash/current/configuration-file-structure.html>. Backslashes in texts
//! are plain, as Logstash takes them unless `config.support_escapes` is set.

use std::ops::Range;
use std::rc::Rc;

use super::syntax::{Arm, At, Branch, Operand, Plugin, Room, Section, Statement, Test, Value};
use crate::diagnostic::Diagnostic;
use crate::import::source::SourceFile;

/// Deepest nesting of conditionals, values and parentheses.
const DEPTH_MAX: usize = 100;

/// What was read of a file.
pub struct Parsed {
    /// Its sections; the last one ends where an error stands.
    pub sections: Vec<Section>,
    /// What is wrong.
    pub error: Option<Diagnostic>,
}

/// What is wrong, and where.
struct Wrong {
    span: Range<usize>,
    message: String,
    hint: Option<String>,
}

type Read<T> = Result<T, Wrong>;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    file: Rc<SourceFile>,
    comments: Vec<String>,
}

/// Reads a file.
pub fn parse(file: &Rc<SourceFile>) -> Parsed {
    let mut parser = Parser {
        text: &file.text.text,
        at: 0,
        depth: 0,
        file: Rc::clone(file),
        comments: Vec::new(),
    };
    let mut sections = Vec::new();
    let error = parser
        .sections(&mut sections)
        .err()
        .map(|wrong| file.error(wrong.span, wrong.message).maybe_hint(wrong.hint));
    Parsed { sections, error }
}

fn of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Goes over blanks and comments; comments are kept for what follows.
    fn blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            let line = trimmed.lines().next().unwrap_or_default();
            self.at += line.len();
            let comment = line.trim_start_matches('#');
            self.comments.push(comment.strip_prefix(' ').unwrap_or(comment).trim_end().to_string());
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        let here = self.rest().starts_with(sign);
        if here {
            self.at += sign.len();
        }
        here
    }

    /// Takes a whole word.
    fn take_word(&mut self, word: &str) -> bool {
        let follows = |rest: &str| !rest.chars().next().is_some_and(of_word);
        let here = self.rest().strip_prefix(word).is_some_and(follows);
        if here {
            self.at += word.len();
        }
        here
    }

    fn wrong<T>(&self, expected: &str) -> Read<T> {
        let found = self.peek();
        let span = self.at..self.at + found.map_or(0, char::len_utf8);
        let found = found.map_or("the end of the file".to_string(), |c| format!("`{c}`"));
        Err(Wrong { span, message: format!("{expected} expected, but found {found}"), hint: None })
    }

    fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("more than {DEPTH_MAX} levels within one another");
            return Err(Wrong { span: self.at..self.at, message, hint: None });
        }
        Ok(())
    }

    fn word(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = rest.len() - rest.trim_start_matches(of_word).len();
        let word = rest[..length].to_string();
        self.at += length;
        (length > 0).then_some(word)
    }

    fn sections(&mut self, sections: &mut Vec<Section>) -> Read<()> {
        loop {
            self.blanks();
            if self.peek().is_none() {
                if let Some(last) = sections.last_mut() {
                    last.comments.append(&mut self.comments);
                }
                return Ok(());
            }
            let start = self.at;
            let room = match self.word().as_deref() {
                Some("input") => Room::Input,
                Some("filter") => Room::Filter,
                Some("output") => Room::Output,
                _ => {
                    self.at = start;
                    return self.wrong("`input {`, `filter {` or `output {`");
                }
            };
            self.blanks();
            let open = self.at;
            if !self.take("{") {
                return self.wrong("`{`");
            }
            sections.push(Section { room, body: Vec::new(), comments: Vec::new() });
            let mut body = Vec::new();
            let result = self.statements(&mut body, open);
            if let Some(section) = sections.last_mut() {
                section.body = body;
                section.comments.append(&mut self.comments);
            }
            result?;
        }
    }

    /// Statements up to and with the `}`.
    fn statements(&mut self, body: &mut Vec<Statement>, open: usize) -> Read<()> {
        self.deeper()?;
        loop {
            self.blanks();
            if self.take("}") {
                self.depth -= 1;
                return Ok(());
            }
            if self.peek().is_none() {
                let message = "this `{` is never closed".to_string();
                return Err(Wrong {
                    span: open..open + 1,
                    message,
                    hint: Some("add a `}`".into()),
                });
            }
            let start = self.at;
            if self.take_word("if") {
                self.branch(body, start)?;
            } else {
                let plugin = self.plugin()?;
                body.push(Statement::Plugin(plugin));
            }
        }
    }

    fn branch(&mut self, body: &mut Vec<Statement>, start: usize) -> Read<()> {
        let mut arms = Vec::new();
        let mut test = true;
        let mut head = start;
        loop {
            let comments = std::mem::take(&mut self.comments);
            let from = self.at;
            let condition = if test { Some(self.condition()?) } else { None };
            self.blanks();
            let written = self.text[from..self.at].split_whitespace().collect::<Vec<_>>().join(" ");
            if arms.is_empty() {
                head = self.at;
            }
            let open = self.at;
            if !self.take("{") {
                return self.wrong(if test { "`{`, `and` or `or`" } else { "`{`" });
            }
            let mut inner = Vec::new();
            let result = self.statements(&mut inner, open);
            let end = std::mem::take(&mut self.comments);
            arms.push(Arm { test: condition, written, body: inner, comments, end });
            if let Err(wrong) = result {
                self.push_branch(body, arms, start..head);
                return Err(wrong);
            }
            let back = self.at;
            self.blanks();
            if !test || !self.take_word("else") {
                // Comments after the last arm belong to what follows; they are read again.
                self.at = back;
                self.comments.clear();
                self.push_branch(body, arms, start..head);
                return Ok(());
            }
            self.blanks();
            test = self.take_word("if");
        }
    }

    fn push_branch(&self, body: &mut Vec<Statement>, arms: Vec<Arm>, span: Range<usize>) {
        let at = At { file: Rc::clone(&self.file), span };
        body.push(Statement::Branch(Branch { arms, at }));
    }

    fn plugin(&mut self) -> Read<Plugin> {
        let mut comments = std::mem::take(&mut self.comments);
        let start = self.at;
        let name = match self.peek() {
            Some('"' | '\'') => self.string()?,
            _ => match self.word() {
                Some(name) => name,
                None => return self.wrong("a plugin's name, `if` or `}`"),
            },
        };
        self.blanks();
        let open = self.at;
        if !self.take("{") {
            return self.wrong(&format!("`{{` after the plugin's name `{name}`"));
        }
        let settings = self.settings(open)?;
        comments.append(&mut self.comments);
        let at = At { file: Rc::clone(&self.file), span: start..self.at };
        Ok(Plugin { name, settings, comments, at })
    }

    /// `name => value …` up to and with the `}`.
    fn settings(&mut self, open: usize) -> Read<Vec<(String, Value)>> {
        self.deeper()?;
        let mut settings = Vec::new();
        loop {
            self.blanks();
            while self.take(",") {
                self.blanks();
            }
            if self.take("}") {
                self.depth -= 1;
                return Ok(settings);
            }
            let name = match self.peek() {
                None => {
                    let message = "this `{` is never closed".to_string();
                    return Err(Wrong {
                        span: open..open + 1,
                        message,
                        hint: Some("add a `}`".into()),
                    });
                }
                Some('"' | '\'') => self.string()?,
                _ => match self.bare() {
                    Some(name) => name,
                    None => return self.wrong("a setting's name or `}`"),
                },
            };
            self.blanks();
            if !self.take("=>") {
                return self.wrong(&format!("`=>` after `{name}`"));
            }
            self.blanks();
            let value = self.value()?;
            settings.push((name, value));
        }
    }

    fn value(&mut self) -> Read<Value> {
        match self.peek() {
            Some('"' | '\'') => self.string().map(Value::Text),
            Some('[') => match self.selector() {
                Some(names) => Ok(Value::Text(names.iter().map(|n| format!("[{n}]")).collect())),
                None => self.list(),
            },
            Some('{') => {
                let open = self.at;
                self.at += 1;
                self.settings(open).map(Value::Hash)
            }
            _ => {
                let start = self.at;
                let Some(word) = self.bare() else { return self.wrong("a value") };
                let after = self.at;
                self.blanks();
                if self.peek() == Some('{') && word.chars().all(of_word) {
                    self.at = start;
                    return self.plugin().map(|plugin| Value::Plugin(Box::new(plugin)));
                }
                self.at = after;
                Ok(Value::Bare(word))
            }
        }
    }

    /// A word or number without quotes.
    fn bare(&mut self) -> Option<String> {
        let rest = self.rest();
        let mut braces = 0_usize;
        let mut end = rest.len();
        let mut before = ' ';
        for (at, c) in rest.char_indices() {
            let variable = c == '{' && (before == '$' || before == '%');
            match c {
                '{' if variable => braces += 1,
                '}' if braces > 0 => braces -= 1,
                c if c.is_whitespace() || "{}[],\"'#".contains(c) => {
                    end = at;
                    break;
                }
                '=' if rest[at..].starts_with("=>") => {
                    end = at;
                    break;
                }
                _ => {}
            }
            before = c;
        }
        let word = rest[..end].to_string();
        self.at += end;
        (end > 0).then_some(word)
    }

    fn string(&mut self) -> Read<String> {
        let start = self.at;
        let Some(quote) = self.peek() else { return self.wrong("a text") };
        let mut escaped = false;
        for (at, c) in self.text[start + 1..].char_indices() {
            if c == quote && !escaped {
                self.at = start + 1 + at + 1;
                return Ok(self.text[start + 1..start + 1 + at].to_string());
            }
            escaped = c == '\\' && !escaped;
        }
        let line = self.text[start..].lines().next().map_or(1, str::len);
        let message = format!("this text has no closing {quote}");
        Err(Wrong {
            span: start..start + line,
            message,
            hint: Some(format!("add a {quote} at its end")),
        })
    }

    fn list(&mut self) -> Read<Value> {
        let open = self.at;
        self.at += 1;
        self.deeper()?;
        let mut items = Vec::new();
        loop {
            self.blanks();
            while self.take(",") {
                self.blanks();
            }
            if self.take("]") {
                self.depth -= 1;
                return Ok(Value::List(items));
            }
            if self.peek().is_none() {
                let message = "this `[` is never closed".to_string();
                return Err(Wrong {
                    span: open..open + 1,
                    message,
                    hint: Some("add a `]`".into()),
                });
            }
            let item = self.value()?;
            items.push(item);
        }
    }

    /// `[a][b]`, where brackets hold a name and no list.
    fn selector(&mut self) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let mut at = self.at;
        while let Some(inner) = self.text[at..].strip_prefix('[') {
            let end = inner.find([']', '[', ',', '"', '\'', '\n', '{', '}'])?;
            let name = inner[..end].trim();
            if !inner[end..].starts_with(']')
                || name.is_empty()
                || name.starts_with(|c: char| c.is_ascii_digit()) && names.is_empty()
            {
                return None;
            }
            names.push(name.to_string());
            at += end + 2;
        }
        if names.is_empty() {
            return None;
        }
        self.at = at;
        Some(names)
    }

    fn condition(&mut self) -> Read<Test> {
        self.deeper()?;
        let mut parts = vec![self.conjunction()?];
        loop {
            self.blanks();
            if self.take_word("or") || self.take("||") {
                let part = self.conjunction()?;
                parts.push(part);
            } else if self.take_word("xor") {
                let right = self.conjunction()?;
                let left = Parser::joined(std::mem::take(&mut parts));
                parts.push(Test::Xor(Box::new(left), Box::new(right)));
            } else {
                self.depth -= 1;
                return Ok(Parser::joined(parts));
            }
        }
    }

    fn joined(mut parts: Vec<Test>) -> Test {
        if parts.len() == 1 { parts.remove(0) } else { Test::Or(parts) }
    }

    fn conjunction(&mut self) -> Read<Test> {
        let mut parts = vec![self.unary()?];
        loop {
            self.blanks();
            if self.take_word("and") || self.take("&&") {
                let part = self.unary()?;
                parts.push(part);
            } else if self.take_word("nand") {
                let right = self.unary()?;
                let left = if parts.len() == 1 {
                    parts.remove(0)
                } else {
                    Test::And(std::mem::take(&mut parts))
                };
                parts = vec![Test::Nand(Box::new(left), Box::new(right))];
            } else if parts.len() == 1 {
                return Ok(parts.remove(0));
            } else {
                return Ok(Test::And(parts));
            }
        }
    }

    fn unary(&mut self) -> Read<Test> {
        self.blanks();
        if self.rest().starts_with('!')
            && !self.rest().starts_with("!~")
            && !self.rest().starts_with("!=")
        {
            self.at += 1;
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(Test::Not(Box::new(inner)));
        }
        if self.take_word("not") {
            self.deeper()?;
            let inner = self.unary()?;
            self.depth -= 1;
            return Ok(Test::Not(Box::new(inner)));
        }
        if self.take("(") {
            let inner = self.condition()?;
            self.blanks();
            if !self.take(")") {
                return self.wrong("`)`, `and` or `or`");
            }
            return Ok(inner);
        }
        let left = self.operand()?;
        self.blanks();
        for operator in ["==", "!=", "<=", ">=", "=~", "!~", "<", ">"] {
            if self.take(operator) {
                self.blanks();
                let right = self.operand()?;
                return Ok(Test::Compare(left, operator.to_string(), right));
            }
        }
        let before = self.at;
        if self.take_word("in") {
            self.blanks();
            let right = self.operand()?;
            return Ok(Test::Compare(left, "in".to_string(), right));
        }
        if self.take_word("not") {
            self.blanks();
            if self.take_word("in") {
                self.blanks();
                let right = self.operand()?;
                return Ok(Test::Compare(left, "not in".to_string(), right));
            }
            self.at = before;
            return self.wrong("a comparison, `and`, `or` or `{`");
        }
        Ok(Test::Alone(left))
    }

    fn operand(&mut self) -> Read<Operand> {
        match self.peek() {
            Some('"' | '\'') => self.string().map(Operand::Text),
            Some('/') => self.pattern().map(Operand::Pattern),
            Some('[') => {
                if let Some(names) = self.selector() {
                    return Ok(Operand::Field(names));
                }
                let list = self.list()?;
                Ok(Operand::List(list.items().into_iter().filter_map(operand_of).collect()))
            }
            Some(c) if of_word(c) => {
                let rest = self.rest();
                let inside = |c: char| of_word(c) || c == '.';
                let length = rest.len() - rest.trim_start_matches(inside).len();
                let word = rest[..length].to_string();
                self.at += length;
                Ok(Operand::Bare(word))
            }
            _ => self.wrong("a field such as [type], a text, a number or a pattern"),
        }
    }

    fn pattern(&mut self) -> Read<String> {
        let start = self.at;
        let mut escaped = false;
        for (at, c) in self.text[start + 1..].char_indices() {
            if c == '/' && !escaped {
                self.at = start + at + 2;
                return Ok(self.text[start + 1..start + 1 + at].to_string());
            }
            if c == '\n' {
                break;
            }
            escaped = c == '\\' && !escaped;
        }
        let line = self.text[start..].lines().next().map_or(1, str::len);
        let message = "this pattern has no closing /".to_string();
        Err(Wrong {
            span: start..start + line,
            message,
            hint: Some("write `\\/` for a slash in it".into()),
        })
    }
}

fn operand_of(value: &Value) -> Option<Operand> {
    Some(match value {
        Value::Text(text) => Operand::Text(text.clone()),
        Value::Bare(word) => Operand::Bare(word.clone()),
        Value::List(items) => Operand::List(items.iter().filter_map(operand_of).collect()),
        Value::Hash(_) | Value::Plugin(_) => return None,
    })
}
