//! Ruby's longer forms: blocks, `begin`, `if` as a value, hashes, patterns, texts, times.
//!
//! In: the code behind a form's first word. Out: a statement or an expression. Promises: as in `syntax`: what is not
//! understood makes the whole unread. On failure: `None`.

use super::syntax::{Expression, Reader, Statement, inner, not, of_name};

/// What is done with the value of a branch.
pub(super) type Target<'a> = dyn Fn(Expression) -> Statement + 'a;

/// Methods that take a block with one expression.
const BLOCKS: [&str; 9] =
    ["map", "collect", "select", "filter", "reject", "any?", "all?", "find", "detect"];

/// `dig("a", "b")` of the event, as a field's name.
pub(super) fn dug(arguments: Vec<Expression>) -> Option<Expression> {
    let names = arguments.into_iter().map(|argument| match argument {
        Expression::Text(name) => Some(format!("[{name}]")),
        _ => None,
    });
    let names: String = names.collect::<Option<_>>()?;
    (!names.is_empty()).then_some(Expression::Field(names))
}

/// Whether something is a variable, or stands in one.
pub(super) fn rooted(container: &Expression) -> bool {
    match container {
        Expression::Name(_) => true,
        Expression::At(inner, _) => rooted(inner),
        _ => false,
    }
}

/// `each` as `each_with_index`.
pub(super) fn indexed(each: Statement) -> Option<Statement> {
    match each {
        Statement::Each(value, names, body) if names.len() == 2 => {
            Some(Statement::EachIndex(value, names, body))
        }
        _ => None,
    }
}

/// Where the brace of a `#{` or `${` is closed, behind which the code begins.
pub(in crate::import) fn closing(code: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in code.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(at),
            (None, '}') => depth -= 1,
            _ => {}
        }
    }
    None
}

impl<'a> Reader<'a> {
    /// Goes over blanks, ends of lines and comments.
    pub(super) fn lines(&mut self) {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    /// What follows when the next line goes on with `.method`.
    pub(super) fn chained(&self) -> Option<&'a str> {
        let next = self.rest.trim_start();
        let goes_on = next.starts_with('.') && !next.starts_with("..");
        (self.rest.starts_with(['\n', '\r', ' ']) && goes_on).then_some(next)
    }

    /// `begin`, `for`, `while`, `break`, `return`, `def`; `None`: it is none of them.
    pub(super) fn shape(&mut self) -> Option<Option<Statement>> {
        let word = ["begin", "for", "while", "break", "return", "def"].into_iter();
        let word = word.into_iter().find(|word| self.word(word))?;
        Some(match word {
            "begin" => self.attempt(),
            "for" => self.for_each(),
            "while" => self.choice().and_then(|condition| {
                self.word("do");
                let body = self.block(&["end"])?;
                self.word("end").then_some(Statement::While(condition, body))
            }),
            "break" => self.modified(Statement::Break),
            "return" => {
                self.blanks();
                let mut ahead = Reader { rest: self.rest, depth: 0 };
                let bare = self.rest.is_empty()
                    || self.rest.starts_with([';', '\n', '\r', '}'])
                    || ["if", "unless", "end"].iter().any(|word| ahead.word(word));
                let value = if bare { Some(None) } else { self.rhs().map(Some) };
                value.and_then(|value| self.modified(Statement::Return(value)))
            }
            _ => self.definition(),
        })
    }

    /// A statement with an `if` behind it, perhaps.
    fn modified(&mut self, statement: Statement) -> Option<Statement> {
        Some(if self.word("if") {
            Statement::If(self.choice()?, vec![statement], Vec::new())
        } else if self.word("unless") {
            Statement::If(not(self.choice()?), vec![statement], Vec::new())
        } else {
            statement
        })
    }

    /// `begin … rescue A, B => name … end`.
    fn attempt(&mut self) -> Option<Statement> {
        let body = self.block(&["rescue", "ensure", "end"])?;
        if !self.word("rescue") {
            return None;
        }
        while !self.class()?.is_empty() {
            while self.take("::") {
                self.class()?;
            }
            self.take(",");
        }
        let name = if self.take("=>") { Some(self.name()?) } else { None };
        self.word("then");
        let rescue = self.block(&["rescue", "ensure", "else", "end"])?;
        self.word("end").then_some(Statement::Try(body, name, rescue))
    }

    fn for_each(&mut self) -> Option<Statement> {
        let mut names = vec![self.name()?];
        if self.take(",") {
            names.push(self.name()?);
        }
        if !self.word("in") {
            return None;
        }
        let value = self.choice()?;
        self.word("do");
        let body = self.block(&["end"])?;
        self.word("end").then_some(Statement::Each(value, names, body))
    }

    /// `def name(a, b) … end`; the last value is what it gives.
    fn definition(&mut self) -> Option<Statement> {
        let name = self.name()?;
        let mut names = Vec::new();
        if self.take("(") {
            while !self.take(")") {
                names.push(self.name()?);
                self.take(",");
            }
        }
        let body = self.valued_block(&["end"], &|value| Statement::Return(Some(value)))?;
        self.word("end").then_some(Statement::Def(name, names, body))
    }

    /// Statements, the last of which is a value.
    pub(super) fn valued_block(
        &mut self,
        ends: &[&str],
        target: &Target<'_>,
    ) -> Option<Vec<Statement>> {
        let mut found = Vec::new();
        loop {
            self.blanks_and_ends();
            let mut ahead = Reader { rest: self.rest, depth: 0 };
            if self.rest.is_empty() || ends.iter().any(|end| ahead.word(end)) {
                return Some(found);
            }
            let (before, depth) = (self.rest, self.depth);
            let value = match self.branched(target) {
                Some(branched) => branched,
                None => self.rhs().map(target),
            };
            if let Some(value) = value
                && self.is_last(ends)
            {
                found.push(value);
                continue;
            }
            (self.rest, self.depth) = (before, depth);
            found.push(self.statement()?);
        }
    }

    fn is_last(&mut self, ends: &[&str]) -> bool {
        let mut ahead = Reader { rest: self.rest, depth: 0 };
        ahead.blanks_and_ends();
        ahead.rest.is_empty() || ends.iter().any(|end| ahead.word(end))
    }

    /// `if` or `case` as a value, or `begin` around one; `None`: it is none of them.
    pub(super) fn branched(&mut self, target: &Target<'_>) -> Option<Option<Statement>> {
        let before = self.rest;
        for (word, negate) in [("if", false), ("unless", true)] {
            if self.word(word) {
                return Some(self.branches(negate, target));
            }
        }
        if self.word("case") {
            return Some(self.cases(Some(target)));
        }
        self.rest = before;
        None
    }

    fn branches(&mut self, negate: bool, target: &Target<'_>) -> Option<Statement> {
        let condition = self.choice()?;
        let condition = if negate { not(condition) } else { condition };
        self.blanks_and_ends();
        self.word("then");
        let then = self.valued_block(&["elsif", "else", "end"], target)?;
        let otherwise = if self.word("elsif") {
            return Some(Statement::If(condition, then, vec![self.branches(false, target)?]));
        } else if self.word("else") {
            self.valued_block(&["end"], target)?
        } else {
            vec![target(Expression::Word("nil"))]
        };
        self.word("end").then_some(Statement::If(condition, then, otherwise))
    }

    /// `case value when a, b … else … end`.
    pub(super) fn cases(&mut self, target: Option<&Target<'_>>) -> Option<Statement> {
        let value = self.choice()?;
        let mut arms = Vec::new();
        let ends = ["when", "else", "end"];
        self.blanks_and_ends();
        while self.word("when") {
            let mut condition = None;
            loop {
                self.lines();
                let low = self.choice()?;
                let open = self.take("...");
                let one = if open || self.take("..") {
                    within(&value, low, self.choice()?, open)
                } else {
                    arm(&value, low)?
                };
                condition = Some(match condition {
                    None => one,
                    Some(before) => Expression::Binary(Box::new(before), "||", Box::new(one)),
                });
                if !self.take(",") {
                    break;
                }
            }
            self.word("then");
            arms.push((condition?, self.arm_block(&ends, target)?));
        }
        let last = match (self.word("else"), target) {
            (true, _) => self.arm_block(&["end"], target)?,
            (false, Some(target)) => vec![target(Expression::Word("nil"))],
            (false, None) => Vec::new(),
        };
        if !self.word("end") {
            return None;
        }
        let chain = arms.into_iter().rev().fold(last, |otherwise, (condition, then)| {
            vec![Statement::If(condition, then, otherwise)]
        });
        chain.into_iter().next()
    }

    fn arm_block(&mut self, ends: &[&str], target: Option<&Target<'_>>) -> Option<Vec<Statement>> {
        match target {
            Some(target) => self.valued_block(ends, target),
            None => self.block(ends),
        }
    }

    /// A value, with what stands for it when it fails.
    pub(super) fn rhs(&mut self) -> Option<Expression> {
        let value = self.choice()?;
        if !self.word("rescue") {
            return Some(value);
        }
        Some(Expression::Rescue(Box::new(value), Box::new(self.choice()?)))
    }

    /// `= value`, `+= value`, `||= value` behind `name[index]`.
    pub(super) fn set_at(&mut self, container: Expression, index: Expression) -> Option<Statement> {
        let own = Expression::At(Box::new(container.clone()), Box::new(index.clone()));
        for operator in ["+", "-", "*", "||"] {
            if self.take(&format!("{operator}=")) {
                let value = Expression::Binary(Box::new(own), operator, Box::new(self.rhs()?));
                return Some(Statement::SetAt(container, index, value));
            }
        }
        self.blanks();
        let compares = ["==", "=~", "=>"].iter().any(|sign| self.rest.starts_with(sign));
        if compares || !self.take("=") {
            return None;
        }
        Some(Statement::SetAt(container, index, self.rhs()?))
    }

    /// Arguments without brackets.
    pub(super) fn bare(&mut self) -> Option<Vec<Expression>> {
        let mut found = vec![self.choice()?];
        while self.take(",") {
            found.push(self.choice()?);
        }
        Some(found)
    }

    /// A method behind a value, with its arguments or its block.
    pub(super) fn called(
        &mut self,
        value: Expression,
        method: String,
        careful: bool,
    ) -> Option<Expression> {
        let own = Box::new(value.clone());
        let call = if self.rest.starts_with("(&:") {
            self.rest = &self.rest[3..];
            let mut each = self.name()?;
            if self.rest.starts_with(['?', '!']) {
                each.push_str(&self.rest[..1]);
                self.rest = &self.rest[1..];
            }
            let item = Box::new(Expression::Name("each_item".into()));
            let inner = Expression::Call(item, each, Vec::new());
            let known = BLOCKS.contains(&method.as_str()) && self.take(")");
            known.then(|| {
                Expression::Block(own, method, vec!["each_item".into()], Box::new(inner))
            })?
        } else if BLOCKS.contains(&method.as_str()) {
            self.block_of(own, method)?
        } else if matches!(method.as_str(), "encode" | "force_encoding") {
            // Texts are UTF-8, and what is none was written as \xE9 before.
            let inner = self.rest.strip_prefix('(')?;
            let end = inner.find(')').filter(|end| !inner[..*end].contains('('))?;
            self.rest = &inner[end + 1..];
            Expression::Call(own, "itself".into(), Vec::new())
        } else {
            let arguments = if self.rest.starts_with('(') { self.arguments()? } else { Vec::new() };
            match (method.as_str(), arguments.as_slice()) {
                ("match" | "match?", [Expression::Pattern(pattern)]) => {
                    Expression::Match(own, pattern.clone())
                }
                ("match" | "match?", [text]) => match value.clone() {
                    Expression::Pattern(pattern) => {
                        Expression::Match(Box::new(text.clone()), pattern)
                    }
                    _ => return None,
                },
                _ => Expression::Call(own, method, arguments),
            }
        };
        // `&.` of nothing is nothing.
        Some(match careful {
            true => {
                let there = Box::new(not(Expression::Call(Box::new(value), "nil?".into(), vec![])));
                Expression::Choice(there, Box::new(call), Box::new(Expression::Word("nil")))
            }
            false => call,
        })
    }

    fn block_of(&mut self, own: Box<Expression>, method: String) -> Option<Expression> {
        let braces = self.take("{");
        if !braces && !self.word("do") || !self.take("|") {
            return None;
        }
        let mut names = Vec::new();
        while !self.take("|") {
            names.push(self.name()?);
            self.take(",");
        }
        self.lines();
        let inner = self.choice()?;
        self.lines();
        let ended = if braces { self.take("}") } else { self.word("end") };
        (ended && !names.is_empty()).then(|| Expression::Block(own, method, names, Box::new(inner)))
    }

    /// `{ 'a' => b, c: d }`.
    pub(super) fn hash(&mut self) -> Option<Expression> {
        self.take("{");
        let mut members = Vec::new();
        loop {
            self.lines();
            if self.take("}") {
                return Some(Expression::Hash(members));
            }
            let mut ahead = Reader { rest: self.rest, depth: 0 };
            let word = ahead.name().filter(|_| ahead.rest.starts_with(':'));
            let key = match word {
                Some(word) => {
                    self.rest = &ahead.rest[1..];
                    Expression::Text(word)
                }
                None => {
                    let key = self.choice()?;
                    if !self.take("=>") && !self.take(":") {
                        return None;
                    }
                    key
                }
            };
            self.lines();
            members.push((key, self.choice()?));
            self.lines();
            if !self.take(",") && !self.rest.starts_with('}') {
                return None;
            }
        }
    }

    /// `/…/i` from its first sign on, up to `end`.
    pub(super) fn pattern(&mut self, end: char) -> Option<Expression> {
        let mut pattern = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    '/' => pattern.push('/'),
                    other => pattern.extend(['\\', other]),
                },
                '\n' => return None,
                '#' if self.rest[1 + at..].starts_with("#{") => return None,
                c if c == end => {
                    self.rest = &self.rest[1 + at + c.len_utf8()..];
                    let length =
                        self.rest.len() - self.rest.trim_start_matches(['i', 'm', 'x']).len();
                    let (flags, rest) = self.rest.split_at(length);
                    self.rest = rest;
                    let flags = flags.replace('m', "s");
                    let known = !rest.starts_with(of_name);
                    let flags = if flags.is_empty() { flags } else { format!("(?{flags})") };
                    return known.then(|| Expression::Pattern(flags + &pattern));
                }
                c => pattern.push(c),
            }
        }
        None
    }

    /// `%w[a b]`, `%r{…}`.
    pub(super) fn percent(&mut self) -> Option<Expression> {
        let mut signs = self.rest[1..].chars();
        let (kind, open) = (signs.next()?, signs.next()?);
        let close = match open {
            '[' => ']',
            '(' => ')',
            '{' => '}',
            '<' => '>',
            other => other,
        };
        match kind {
            'r' => {
                self.rest = &self.rest[2..];
                self.pattern(close)
            }
            'w' => {
                let inner = &self.rest[3..];
                let end = inner.find(close)?;
                self.rest = &inner[end + close.len_utf8()..];
                let words = inner[..end].split_whitespace();
                Some(Expression::List(words.map(|word| Expression::Text(word.into())).collect()))
            }
            _ => None,
        }
    }

    /// `text[/…/]`, `text[/…/, 1]`, behind the pattern.
    pub(super) fn caught_of(&mut self, value: Expression, pattern: String) -> Option<Expression> {
        let group = if self.take(",") { self.choice()? } else { Expression::Number("0".into()) };
        let known = matches!(group, Expression::Number(_) | Expression::Text(_));
        let found = Expression::Match(Box::new(value), pattern);
        (known && self.take("]")).then(|| Expression::At(Box::new(found), Box::new(group)))
    }

    /// What is printed: nothing, here.
    pub(super) fn said(&mut self, name: &str) -> Option<Statement> {
        if name == "logger" {
            self.take(".").then_some(())?;
            self.name()?;
        }
        if self.rest.starts_with('(') {
            self.arguments()?
        } else {
            self.bare()?
        };
        Some(Statement::Nothing)
    }

    /// `$1`.
    pub(super) fn caught(&mut self) -> Option<Expression> {
        let digit = self.rest[1..].chars().next()?.to_digit(10)?;
        self.rest = &self.rest[2..];
        Some(Expression::Caught(digit as usize))
    }

    /// `Time.now`, `Time.at(x)`, `JSON.parse(x)`, `ENV['X']`, `Hash.new`.
    pub(super) fn constant(&mut self) -> Option<Expression> {
        for (word, found) in [
            ("Hash.new", Expression::Hash(Vec::new())),
            ("Array.new", Expression::List(Vec::new())),
            ("Socket.gethostname", Expression::Field("[host][name]".into())),
            ("SecureRandom.uuid", Expression::Own("SecureRandom.uuid".into(), Vec::new())),
            ("Time.now", Expression::Now),
            ("DateTime.now", Expression::Now),
        ] {
            if self.word(word) {
                self.take("()");
                return Some(found);
            }
        }
        if self.word("ENV") {
            let fetched = self.rest.starts_with(".fetch(");
            self.rest = if fetched { &self.rest[6..] } else { self.rest };
            let arguments = match fetched {
                true => self.arguments()?,
                false => {
                    self.take("[").then_some(())?;
                    let name = self.choice()?;
                    self.take("]").then_some(())?;
                    vec![name]
                }
            };
            let [Expression::Text(name), default @ ..] = arguments.as_slice() else { return None };
            let name = Box::new(Expression::Variable(name.clone()));
            return Some(match default {
                [] => *name,
                [default] => Expression::Binary(name, "||", Box::new(default.clone())),
                _ => return None,
            });
        }
        const CALLS: [&str; 28] = [
            "File.basename",
            "File.extname",
            "File.dirname",
            "Base64.decode64",
            "Base64.strict_decode64",
            "CGI.unescape",
            "URI.decode_www_form_component",
            "URI.decode",
            "URI.unescape",
            "Digest::MD5.hexdigest",
            "Digest::SHA1.hexdigest",
            "Digest::SHA256.hexdigest",
            "Time.at",
            "LogStash::Timestamp.at",
            "LogStash::Timestamp.new",
            "DateTime.strptime",
            "Time.strptime",
            "Time.parse",
            "Time.iso8601",
            "DateTime.parse",
            "DateTime.iso8601",
            "JSON.parse",
            "JSON.generate",
            "JSON.dump",
            "LogStash::Json.load",
            "LogStash::Json.dump",
            "Integer",
            "Float",
        ];
        let call = CALLS.into_iter().find(|call| self.word(call))?;
        let mut arguments = self.arguments()?;
        let first = if arguments.is_empty() { return None } else { arguments.remove(0) };
        Some(match (call, arguments.as_slice()) {
            ("Time.at" | "LogStash::Timestamp.at", []) => Expression::Instant(Box::new(first)),
            ("DateTime.strptime" | "Time.strptime", [Expression::Text(form)]) if form == "%s" => {
                Expression::Instant(Box::new(first))
            }
            ("DateTime.strptime" | "Time.strptime", [Expression::Text(form)]) => {
                Expression::Parsed(Box::new(first), form.clone())
            }
            (
                "Time.parse"
                | "Time.iso8601"
                | "DateTime.parse"
                | "DateTime.iso8601"
                | "LogStash::Timestamp.new",
                [],
            ) => Expression::Parsed(Box::new(first), "ISO8601".into()),
            (call, []) => Expression::Call(Box::new(first), call.into(), Vec::new()),
            ("File.basename", [Expression::Text(_)]) => {
                Expression::Call(Box::new(first), call.into(), arguments)
            }
            _ => return None,
        })
    }

    /// A class's name, with or without brackets around it.
    pub(super) fn class(&mut self) -> Option<String> {
        let enclosed = self.take("(");
        self.blanks();
        let length = self.rest.len() - self.rest.trim_start_matches(of_name).len();
        let name = self.rest[..length].to_string();
        self.rest = &self.rest[length..];
        (!enclosed || self.take(")")).then_some(name)
    }

    pub(super) fn text(&mut self, quote: char) -> Option<Expression> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = self.rest[1..].char_indices();
        while let Some((at, c)) = chars.next() {
            let here = 1 + at;
            match c {
                c if c == quote => {
                    self.rest = &self.rest[here + 1..];
                    if parts.is_empty() {
                        return Some(Expression::Text(plain));
                    }
                    if !plain.is_empty() {
                        parts.push(Expression::Text(plain));
                    }
                    return Some(Expression::Joined(parts));
                }
                '\\' => match (chars.next()?.1, quote) {
                    (c @ ('\\' | '\'' | '"'), _) => plain.push(c),
                    (c @ ('/' | '#'), '"') => plain.push(c),
                    ('n', '"') => plain.push('\n'),
                    ('t', '"') => plain.push('\t'),
                    ('r', '"') => plain.push('\r'),
                    (c, '\'') => plain.extend(['\\', c]),
                    _ => return None,
                },
                '#' if quote == '"' && self.rest[here..].starts_with("#{") => {
                    let code = &self.rest[here + 2..];
                    let end = closing(code)?;
                    if !plain.is_empty() {
                        parts.push(Expression::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(inner(&code[..end], self.depth + 1)?);
                    chars = self.rest[1..].char_indices();
                    let past = here + 2 + end;
                    while let Some((at, _)) = chars.clone().next() {
                        if 1 + at > past {
                            break;
                        }
                        chars.next();
                    }
                }
                c => plain.push(c),
            }
        }
        None
    }
}

/// Whether a value lies within a range.
fn within(value: &Expression, low: Expression, high: Expression, open: bool) -> Expression {
    let compared =
        |operator, limit| Expression::Binary(Box::new(value.clone()), operator, Box::new(limit));
    let (low, high) = (compared(">=", low), compared(if open { "<" } else { "<=" }, high));
    let is_number = Expression::Is(Box::new(value.clone()), "Numeric".into());
    let both = Expression::Binary(Box::new(low), "&&", Box::new(high));
    Expression::Binary(Box::new(is_number), "&&", Box::new(both))
}

/// Whether a value is that of `when`.
fn arm(value: &Expression, other: Expression) -> Option<Expression> {
    match other {
        Expression::Text(_) | Expression::Number(_) | Expression::Word(_) => {
            Some(Expression::Binary(Box::new(value.clone()), "==", Box::new(other)))
        }
        Expression::Pattern(pattern) => Some(Expression::Match(Box::new(value.clone()), pattern)),
        _ => None,
    }
}
