//! Fluentd's own form: `<source> … </source>` with `name value` lines.
//!
//! In: a file's text. Out: its items ([`Item`]) in order. Promises: what Fluentd's v1 parser takes is read alike
//! (docs.fluentd.org, "Config File Syntax"; values in double quotes may hold escapes, line feeds and Ruby, values in
//! single quotes do not, `[` and `{` begin JSON that may span lines, a comment needs a blank before its `#`); lines of
//! templates around it (`{{ … }}`, `<% … %>`, `{% … %}`) are kept as comments. On failure: [`SyntaxError`].

use super::syntax::{Element, Item, Parameter, Piece, Span, SyntaxError, Value};

/// Elements within elements deeper than this are refused.
const MAX_DEPTH: usize = 64;

/// Reads the text of the file with this number.
///
/// # Errors
/// The first place that is not the configuration language.
pub fn parse(text: &str, file: usize) -> Result<Vec<Item>, SyntaxError> {
    let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut parser = Parser { text, at, file, comments: Vec::new() };
    parser.items(None, 0)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    file: usize,
    comments: Vec<String>,
}

/// The element that is being read.
struct Open<'a> {
    name: &'a str,
    start: usize,
}

impl<'a> Parser<'a> {
    fn items(&mut self, open: Option<&Open<'a>>, depth: usize) -> Result<Vec<Item>, SyntaxError> {
        let mut items = Vec::new();
        loop {
            self.blanks_and_comments();
            let rest = self.rest();
            if rest.is_empty() {
                let Some(open) = open else { return Ok(items) };
                return Err(self.error(
                    open.start..open.start + open.name.len() + 1,
                    format!("<{}> has no </{}>", open.name, open.name),
                    "end the element",
                ));
            }
            if is_template(rest) {
                let line = self.line();
                self.comments.push(line.trim().to_string());
            } else if rest.starts_with("</") {
                if self.end_of_element(open)? {
                    return Ok(items);
                }
            } else if rest.starts_with('<') {
                items.push(Item::Element(self.element(depth)?));
            } else {
                items.push(self.parameter());
            }
        }
    }

    /// `false`: it ended something that was never begun, which Fluentd refuses, too.
    fn end_of_element(&mut self, open: Option<&Open<'a>>) -> Result<bool, SyntaxError> {
        let start = self.at;
        let line = self.line();
        let name = line.trim_start_matches("</").trim_start();
        let name = &name[..name.find(|c: char| !is_name(c)).unwrap_or(name.len())];
        match open {
            Some(open) if open.name == name => {
                let end = line.find('>').map_or(line.len(), |end| end + 1);
                // What stands behind the end on the same line is read as a line of its own.
                if line[end..].trim().starts_with('<') {
                    self.at = start + end;
                }
                Ok(true)
            }
            Some(open) => Err(self.error(
                start..start + line.trim_end().len(),
                format!("</{name}> ends nothing: <{}> is open here", open.name),
                &format!("write </{}>", open.name),
            )),
            None => Err(self.error(
                start..start + line.trim_end().len(),
                format!("</{name}> ends nothing"),
                "remove it, or write the element's beginning",
            )),
        }
    }

    fn element(&mut self, depth: usize) -> Result<Element, SyntaxError> {
        let start = self.at;
        let comments = std::mem::take(&mut self.comments);
        self.at += 1;
        self.inline_blanks();
        let rest = self.rest();
        let name = &rest[..rest.find(|c: char| !is_name(c)).unwrap_or(rest.len())];
        if name.is_empty() {
            let end = start + self.line().len() + 1;
            return Err(self.error(
                start..end,
                "a name is missing after `<`".into(),
                "write <source>, <match …>, …",
            ));
        }
        if depth >= MAX_DEPTH {
            return Err(self.error(
                start..self.at + name.len(),
                "elements are nested too deeply".into(),
                "flatten them",
            ));
        }
        self.at += name.len();
        self.inline_blanks();
        let argument = self.argument(start, name)?;
        let open = Open { name, start };
        // A comment at the beginning belongs to the element.
        self.blanks_and_comments();
        let mut comments = comments;
        comments.append(&mut self.comments);
        let body = self.items(Some(&open), depth + 1)?;
        let left = std::mem::take(&mut self.comments);
        comments.extend(left);
        let span = self.span(start..self.text[..self.at].trim_end().len());
        Ok(Element { name: name.to_string(), argument, body, comments, span, ..Element::default() })
    }

    /// Up to the `>` that ends the line; the argument may hold `>` within quotes.
    fn argument(&mut self, start: usize, name: &str) -> Result<Value, SyntaxError> {
        let rest = self.rest();
        let first = rest.chars().next();
        if matches!(first, Some('"' | '\'')) {
            let from = self.at;
            if let Some(value) = self.quoted() {
                self.inline_blanks();
                if self.rest().starts_with('>') {
                    self.at += 1;
                    return Ok(value);
                }
            }
            self.at = from;
        }
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let Some(end) = line.find('>') else {
            let end = self.at + line.trim_end().len();
            return Err(self.error(
                start..end,
                format!("`>` is missing after `<{name}`"),
                "close the bracket",
            ));
        };
        let value = with_ruby(line[..end].trim());
        self.at += end + 1;
        Ok(value)
    }

    fn parameter(&mut self) -> Item {
        let start = self.at;
        let name = match self.rest().chars().next() {
            Some('"' | '\'') => self.quoted().map(|value| value.source()),
            _ => None,
        };
        let name = name.unwrap_or_else(|| {
            let rest = self.rest();
            let name = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
            self.at += name.len();
            name.to_string()
        });
        self.inline_blanks();
        let value = self.value();
        let span = self.span(start..self.at);
        self.comments_of_parameter();
        let parameter = Parameter { name, value, span };
        match parameter.name.as_str() {
            "@include" | "include" if !parameter.value.is_empty() => Item::Include(parameter),
            _ => Item::Parameter(parameter),
        }
    }

    /// A comment behind a value ends with the line; it says nothing about what follows.
    fn comments_of_parameter(&mut self) {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        if line.trim_start().starts_with('#') {
            self.at += line.len();
        }
    }

    fn value(&mut self) -> Value {
        let start = self.at;
        let value = match self.rest().chars().next() {
            Some('"' | '\'') => self.quoted(),
            Some('[' | '{') => self.json(),
            _ => None,
        };
        if let Some(value) = value
            && self.at_end_of_value()
        {
            return value;
        }
        self.at = start;
        self.unquoted()
    }

    fn at_end_of_value(&self) -> bool {
        let rest = self.rest().trim_start_matches([' ', '\t', '\r']);
        rest.is_empty() || rest.starts_with('\n') || rest.starts_with('#')
    }

    fn unquoted(&mut self) -> Value {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let bytes = line.as_bytes();
        let comment = (1..bytes.len()).find(|&at| {
            bytes[at] == b'#'
                && bytes[at - 1].is_ascii_whitespace()
                && bytes.get(at + 1) != Some(&b'{')
        });
        let text = line[..comment.unwrap_or(line.len())].trim_end();
        self.at += text.len();
        with_ruby(text)
    }

    /// `None` where the quote is never closed; the place is then anywhere.
    fn quoted(&mut self) -> Option<Value> {
        let quote = self.rest().chars().next()?;
        self.at += 1;
        let mut pieces = Vec::new();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let c = rest.chars().next()?;
            self.at += c.len_utf8();
            match c {
                c if c == quote => break,
                '\\' => {
                    let next = self.rest().chars().next()?;
                    self.at += next.len_utf8();
                    unescape(&mut text, quote, next);
                }
                '#' if quote == '"' && rest.starts_with("#{") => {
                    let code = embedded(&rest[2..])?;
                    self.at += code.len() + 2;
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Ruby(code.trim().to_string()));
                }
                c => text.push(c),
            }
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Some(Value { pieces, quoted: true })
    }

    /// JSON up to its closing bracket, over lines; `None` where it is none (a pattern, say).
    fn json(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end = json_end(rest)?;
        let text = without_comments(&rest[..end]);
        self.at += end;
        Some(with_ruby(&text))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The rest of the line, without its end; the place is then behind it.
    fn line(&mut self) -> &'a str {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        self.at += line.len();
        line
    }

    fn inline_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
    }

    fn blanks_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            if !self.rest().starts_with('#') {
                return;
            }
            let line = self.line();
            let comment = line.trim_start_matches('#').trim();
            if !comment.is_empty() && self.comments.len() < 200 {
                self.comments.push(comment.to_string());
            }
        }
    }

    fn span(&self, bytes: std::ops::Range<usize>) -> Span {
        Span { file: self.file, bytes }
    }

    fn error(&self, bytes: std::ops::Range<usize>, message: String, hint: &str) -> SyntaxError {
        let end = bytes.end.min(self.text.len());
        SyntaxError {
            span: self.span(bytes.start.min(end)..end),
            message,
            hint: Some(hint.to_string()),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@')
}

/// A line of a template language around the configuration.
fn is_template(rest: &str) -> bool {
    let line = rest[..rest.find('\n').unwrap_or(rest.len())].trim_end();
    rest.starts_with("{{") && line.ends_with("}}")
        || rest.starts_with("{%")
        || rest.starts_with("<%")
}

fn unescape(text: &mut String, quote: char, next: char) {
    match (quote, next) {
        ('"', 'n') => text.push('\n'),
        ('"', 't') => text.push('\t'),
        ('"', 'r') => text.push('\r'),
        ('"', 'f') => text.push('\u{c}'),
        ('"', 'b') => text.push('\u{8}'),
        ('"', '0') => text.push('\0'),
        // A line that goes on.
        ('"', '\n') => {}
        ('"', c @ ('"' | '\'' | '\\' | '#' | '$' | '/')) => text.push(c),
        ('\'', c @ '\'') => text.push(c),
        // Fluentd drops the backslash within double quotes; patterns need it, and no one else has it there.
        (_, c) => {
            text.push('\\');
            text.push(c);
        }
    }
}

/// The code of `#{code}`, given what follows the bracket; brackets within count.
fn embedded(rest: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (at, c) in rest.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(&rest[..at]),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Text without quotes: Ruby that reads the environment is meant, though Fluentd takes it only within quotes.
pub fn with_ruby(text: &str) -> Value {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("#{") {
        let Some(code) = embedded(&rest[start + 2..]) else { break };
        if start > 0 {
            pieces.push(Piece::Text(rest[..start].to_string()));
        }
        pieces.push(Piece::Ruby(code.trim().to_string()));
        rest = &rest[start + code.len() + 3..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.to_string()));
    }
    Value { pieces, quoted: false }
}

/// Bytes up to and with the bracket that closes the first one.
fn json_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => loop {
                match chars.next()?.1 {
                    '"' => break,
                    '\\' => {
                        chars.next()?;
                    }
                    _ => {}
                }
            },
            '[' | '{' => depth += 1,
            ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Comment lines may stand between the lines of JSON.
fn without_comments(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    lines.join("\n")
}
