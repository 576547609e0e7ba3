//! Ruby's names: variables, the event and what is asked of it.
//!
//! In: the code from a name on. Out: an expression. Promises: as in `syntax`: what is not understood makes the whole
//! unread. On failure: `None`.

use super::shapes::dug;
use super::syntax::{Expression, Reader, not};

/// Methods of a record as a whole that leave it what it is.
const WHOLE: [&str; 8] =
    [".to_json", ".each", ".keys", ".values", ".select", ".reject", ".map", ".length"];

impl Reader<'_> {
    pub(super) fn named(&mut self) -> Option<Expression> {
        for word in ["nil", "true", "false"] {
            if self.word(word) {
                return Some(Expression::Word(word));
            }
        }
        let name = self.name()?;
        if [
            "if", "end", "do", "next", "case", "when", "begin", "def", "require", "return", "else",
            "while", "rescue", "break", "for", "unless", "elsif", "then",
        ]
        .contains(&name.as_str())
        {
            return None;
        }
        if name != "event" && name != "record" {
            if name == "defined" && self.rest.starts_with("?(") {
                self.rest = &self.rest[1..];
                return self.arguments().and_then(defined);
            }
            if self.rest.starts_with('(') {
                return self.arguments().map(|arguments| Expression::Own(name, arguments));
            }
            return Some(Expression::Name(name));
        }
        if self.word(".to_hash")
            || name == "record" && WHOLE.iter().any(|m| self.rest.starts_with(m))
        {
            return Some(Expression::All);
        }
        for method in [".include?", ".key?", ".has_key?"] {
            if let Some(rest) = self.rest.strip_prefix(method) {
                self.rest = rest;
                let field = self.arguments().and_then(dug)?;
                return Some(not(Expression::Call(Box::new(field), "nil?".into(), Vec::new())));
            }
        }
        if self.word(".timestamp") {
            return Some(Expression::Field("@timestamp".into()));
        }
        if self.rest.starts_with(".fetch(") {
            return Some(Expression::All);
        }
        for method in [".remove(", ".delete("] {
            if self.rest.starts_with(method) {
                self.rest = &self.rest[method.len() - 1..];
                let [name] = self.arguments()?.try_into().ok()?;
                return Some(Expression::Taken(Box::new(name)));
            }
        }
        if self.rest.starts_with(".sprintf(") {
            self.rest = &self.rest[8..];
            let arguments = self.arguments()?;
            let [Expression::Text(text)] = arguments.as_slice() else { return None };
            return sprintf(text);
        }
        if self.rest.starts_with(".dig(") {
            self.rest = &self.rest[4..];
            return self.arguments().and_then(dug);
        }
        if self.rest.starts_with(".get") {
            self.rest = &self.rest[4..];
            return match self.arguments()?.as_slice() {
                [Expression::Text(field)] => Some(Expression::Field(field.clone())),
                [name] => Some(Expression::Named(Box::new(name.clone()))),
                _ => None,
            };
        }
        if !self.rest.starts_with('[') {
            return None;
        }
        let before = self.rest;
        match self.index() {
            Some(field) => Some(Expression::Field(field)),
            // An index that is no text comes behind the first names.
            None => {
                self.rest = before;
                self.take("[");
                let Expression::Text(name) = self.choice()? else { return None };
                self.take("]").then_some(Expression::Field(name))
            }
        }
    }
}

/// `defined?(record["a"]["b"])`: whether there is an `a`.
fn defined(arguments: Vec<Expression>) -> Option<Expression> {
    let [Expression::Field(name)] = arguments.as_slice() else { return None };
    let (around, _) = name.strip_suffix(']')?.rsplit_once("][")?;
    let around = Box::new(Expression::Field(format!("{around}]")));
    Some(not(Expression::Call(around, "nil?".into(), Vec::new())))
}

/// `event.sprintf("%{a}-b")`: a field that is not there stays what is written.
fn sprintf(text: &str) -> Option<Expression> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("%{") {
        let end = start + rest[start..].find('}')?;
        let (name, written) = (&rest[start + 2..end], &rest[start..=end]);
        if name.starts_with('+') {
            return None;
        }
        if start > 0 {
            parts.push(Expression::Text(rest[..start].into()));
        }
        let field = Box::new(Expression::Field(name.into()));
        let usual = Box::new(Expression::Text(written.into()));
        parts.push(Expression::Binary(field, "||", usual));
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Expression::Text(rest.into()));
    }
    Some(Expression::Joined(parts))
}
