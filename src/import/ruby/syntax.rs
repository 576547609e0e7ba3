//! The part of Ruby that one-line filters use, as a tree.
//!
//! In: code. Out: statements. Promises: nothing is passed over: what is not understood makes the whole unread.
//! On failure: `None`.

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Statement {
    /// `event.set(field, value)`, `event[field] = value`, `record[field] = value`.
    Set(String, Expression),
    /// `event.remove(field)`.
    Remove(String),
    /// `event.tag(text)`.
    Tag(String),
    /// `event.cancel`.
    Cancel,
    /// `name = value`.
    Let(String, Expression),
    /// `if`, with what else.
    If(Expression, Vec<Statement>, Vec<Statement>),
    /// `event.set(name, value)` with a name that is computed.
    SetNamed(Expression, Expression),
    /// `event.remove(name)` with a name that is computed.
    RemoveNamed(Expression),
    /// `list.push(value)`, `list << value`.
    Push(String, Expression),
    /// `list.delete_at(place)`.
    DeleteAt(String, Expression),
    /// `value.each do |names| … end`.
    Each(Expression, Vec<String>, Vec<Statement>),
    /// `next`.
    Next,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Field(String),
    Text(String),
    /// `"a#{b}c"`.
    Joined(Vec<Expression>),
    Number(String),
    Word(&'static str),
    Name(String),
    List(Vec<Expression>),
    /// A method without or with arguments.
    Call(Box<Expression>, String, Vec<Expression>),
    /// `value[index]`.
    At(Box<Expression>, Box<Expression>),
    /// `/…/`.
    Pattern(String),
    /// `event.get(name)` with a name that is computed.
    Named(Box<Expression>),
    /// `event.to_hash`.
    All,
    /// `value[from..to]`; with three dots the last one is not in it.
    Slice(Box<Expression>, Box<Expression>, Box<Expression>, bool),
    /// `value.is_a?(Array)`.
    Is(Box<Expression>, String),
    /// `Time.now`.
    Now,
    /// `Time.at(seconds)`.
    Instant(Box<Expression>),
    Unary(&'static str, Box<Expression>),
    Binary(Box<Expression>, &'static str, Box<Expression>),
    Choice(Box<Expression>, Box<Expression>, Box<Expression>),
}

/// Deepest nesting.
const DEPTH_MAX: usize = 40;

/// Reads code; `event` and `record` name the event.
pub(super) fn statements(code: &str) -> Option<Vec<Statement>> {
    let mut reader = Reader { rest: code, depth: 0 };
    let statements = reader.block(&[])?;
    reader.blanks_and_ends();
    reader.rest.is_empty().then_some(statements)
}

/// Reads a single expression.
pub(super) fn expression(code: &str) -> Option<Expression> {
    inner(code, 0)
}

fn inner(code: &str, depth: usize) -> Option<Expression> {
    let mut reader = Reader { rest: code, depth };
    let expression = reader.choice()?;
    reader.blanks_and_ends();
    reader.rest.is_empty().then_some(expression)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

fn of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl Reader<'_> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Goes over blanks, ends of statements and comments.
    fn blanks_and_ends(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn take(&mut self, sign: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(word) {
            Some(rest) if !rest.starts_with(of_name) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Whether a word, or a closing brace, is next.
    fn ends(&mut self, end: &str) -> bool {
        if end == "}" { self.take(end) } else { self.word(end) }
    }

    /// A name; `@name` and `$name` are kept from run to run in Ruby, and set by each run here.
    fn name(&mut self) -> Option<String> {
        self.blanks();
        let plain = self.rest.trim_start_matches(['@', '$']);
        if plain.len() < self.rest.len() && plain.starts_with(|c: char| c.is_ascii_lowercase()) {
            self.rest = plain;
        }
        let length = self.rest.len() - self.rest.trim_start_matches(of_name).len();
        let name = &self.rest[..length];
        if name.is_empty()
            || name.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_uppercase())
        {
            return None;
        }
        self.rest = &self.rest[length..];
        Some(name.to_string())
    }

    /// Statements up to one of these words (which stays), or to the end.
    fn block(&mut self, ends: &[&str]) -> Option<Vec<Statement>> {
        let mut found = Vec::new();
        loop {
            self.blanks_and_ends();
            let mut ahead = Reader { rest: self.rest, depth: 0 };
            if self.rest.is_empty() || ends.iter().any(|end| ahead.ends(end)) {
                return Some(found);
            }
            if self.word("require") {
                let Expression::Text(_) = self.primary()? else { return None };
                continue;
            }
            let statement = self.statement()?;
            found.push(statement);
        }
    }

    fn statement(&mut self) -> Option<Statement> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let statement = if self.word("if") {
            self.conditional(false)?
        } else if self.word("unless") {
            self.conditional(true)?
        } else if self.word("case") {
            self.case()?
        } else {
            self.simple()?
        };
        self.depth -= 1;
        Some(statement)
    }

    /// `case value when a, b … else … end`.
    fn case(&mut self) -> Option<Statement> {
        let value = self.choice()?;
        let mut arms = Vec::new();
        self.blanks_and_ends();
        while self.word("when") {
            let mut condition = None;
            loop {
                let other = self.choice()?;
                if !matches!(other, Expression::Text(_) | Expression::Number(_)) {
                    return None;
                }
                let one = Expression::Binary(Box::new(value.clone()), "==", Box::new(other));
                condition = Some(match condition {
                    None => one,
                    Some(before) => Expression::Binary(Box::new(before), "||", Box::new(one)),
                });
                if !self.take(",") {
                    break;
                }
            }
            self.word("then");
            arms.push((condition?, self.block(&["when", "else", "end"])?));
        }
        let last = if self.word("else") { self.block(&["end"])? } else { Vec::new() };
        if !self.word("end") {
            return None;
        }
        let chain = arms.into_iter().rev().fold(last, |otherwise, (condition, then)| {
            vec![Statement::If(condition, then, otherwise)]
        });
        chain.into_iter().next()
    }

    fn conditional(&mut self, negate: bool) -> Option<Statement> {
        let condition = self.choice()?;
        let condition = if negate { not(condition) } else { condition };
        let before = self.rest;
        self.blanks_and_ends();
        if !self.word("then") {
            self.rest = before;
        }
        let then = self.block(&["elsif", "else", "end"])?;
        let otherwise = if self.word("elsif") {
            return Some(Statement::If(condition, then, vec![self.conditional(false)?]));
        } else if self.word("else") {
            self.block(&["end"])?
        } else {
            Vec::new()
        };
        self.word("end").then_some(Statement::If(condition, then, otherwise))
    }

    fn simple(&mut self) -> Option<Statement> {
        let statement = self.action()?;
        self.blanks();
        let statement = if self.word("if") {
            Statement::If(self.choice()?, vec![statement], Vec::new())
        } else if self.word("unless") {
            Statement::If(not(self.choice()?), vec![statement], Vec::new())
        } else {
            statement
        };
        self.blanks();
        let ended = self.rest.is_empty() || self.rest.starts_with([';', '\n', '\r', '#']);
        let mut ahead = Reader { rest: self.rest, depth: 0 };
        (ended || ahead.take("}") || ahead.word("end") || ahead.word("else")).then_some(statement)
    }

    /// A method of a value as a statement: `each`, `push`; `None`: it is something else, and nothing was read.
    fn on_value(&mut self) -> Option<Statement> {
        let (before, depth) = (self.rest, self.depth);
        let found = match self.postfix() {
            Some(Expression::Call(value, method, mut arguments)) => {
                match (method.as_str(), arguments.len(), *value) {
                    ("each", 0, value) => self.each(value),
                    ("push" | "append", 1, Expression::Name(list)) => {
                        Some(Statement::Push(list, arguments.remove(0)))
                    }
                    ("delete_at", 1, Expression::Name(list)) => {
                        Some(Statement::DeleteAt(list, arguments.remove(0)))
                    }
                    _ => None,
                }
            }
            Some(Expression::Name(list)) if self.take("<<") => {
                self.choice().map(|value| Statement::Push(list, value))
            }
            _ => None,
        };
        if found.is_none() {
            (self.rest, self.depth) = (before, depth);
        }
        found
    }

    /// `do |a, b| … end` or `{ |a, b| … }` behind `each`.
    fn each(&mut self, value: Expression) -> Option<Statement> {
        let braces = self.take("{");
        if !braces && !self.word("do") {
            return None;
        }
        if !self.take("|") {
            return None;
        }
        let mut names = Vec::new();
        while !self.take("|") {
            names.push(self.name()?);
            self.take(",");
        }
        let body = if braces { self.block(&["}"])? } else { self.block(&["end"])? };
        let ended = if braces { self.take("}") } else { self.word("end") };
        let known = matches!(names.len(), 1 | 2);
        (ended && known).then_some(Statement::Each(value, names, body))
    }

    fn action(&mut self) -> Option<Statement> {
        if self.word("next") {
            return Some(Statement::Next);
        }
        if let Some(statement) = self.on_value() {
            return Some(statement);
        }
        let name = self.name()?;
        if name == "event" || name == "record" {
            if self.take(".") {
                let method = self.name()?;
                if method == "cancel" {
                    self.take("()");
                    return Some(Statement::Cancel);
                }
                let arguments = self.arguments()?;
                let text = |at: usize| match arguments.get(at) {
                    Some(Expression::Text(text)) => Some(text.clone()),
                    _ => None,
                };
                return match (method.as_str(), arguments.len()) {
                    ("set", 2) => Some(match text(0) {
                        Some(name) => Statement::Set(name, arguments[1].clone()),
                        None => Statement::SetNamed(arguments[0].clone(), arguments[1].clone()),
                    }),
                    ("remove" | "delete", 1) => Some(match text(0) {
                        Some(name) => Statement::Remove(name),
                        None => Statement::RemoveNamed(arguments[0].clone()),
                    }),
                    ("tag", 1) => Some(Statement::Tag(text(0)?)),
                    _ => None,
                };
            }
            let field = self.index()?;
            return self.assigned(field);
        }
        for operator in ["+", "-", "*"] {
            if self.take(&format!("{operator}=")) {
                let operator = ["+", "-", "*"].into_iter().find(|known| *known == operator)?;
                let own = Box::new(Expression::Name(name.clone()));
                let value = Expression::Binary(own, operator, Box::new(self.choice()?));
                return Some(Statement::Let(name, value));
            }
        }
        if self.take("==") || !self.take("=") {
            return None;
        }
        Some(Statement::Let(name, self.choice()?))
    }

    fn assigned(&mut self, field: String) -> Option<Statement> {
        for operator in ["+", "-", "*", "/"] {
            if self.take(&format!("{operator}=")) {
                let own = Box::new(Expression::Field(field.clone()));
                let operator = ["+", "-", "*", "/"].into_iter().find(|o| *o == operator)?;
                let value = Expression::Binary(own, operator, Box::new(self.choice()?));
                return Some(Statement::Set(field, value));
            }
        }
        if self.rest.trim_start().starts_with("==") || !self.take("=") {
            return None;
        }
        Some(Statement::Set(field, self.choice()?))
    }

    /// `["a"]["b"]` behind the event, as a field's name.
    fn index(&mut self) -> Option<String> {
        let mut names = Vec::new();
        while self.rest.starts_with('[') {
            self.take("[");
            let Expression::Text(name) = self.choice()? else { return None };
            if !self.take("]") {
                return None;
            }
            names.push(name);
        }
        match names.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            many => Some(many.iter().map(|name| format!("[{name}]")).collect()),
        }
    }

    fn arguments(&mut self) -> Option<Vec<Expression>> {
        if !self.take("(") {
            return None;
        }
        let mut found = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if self.take(")") {
                return Some(found);
            }
            found.push(self.choice()?);
            self.rest = self.rest.trim_start();
            if !self.take(",") && !self.rest.starts_with(')') {
                return None;
            }
        }
    }

    fn choice(&mut self) -> Option<Expression> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let condition = self.binary(0)?;
        self.blanks();
        let found = if self.rest.starts_with('?') {
            self.take("?");
            let yes = self.choice()?;
            if !self.take(":") {
                return None;
            }
            Expression::Choice(Box::new(condition), Box::new(yes), Box::new(self.choice()?))
        } else {
            condition
        };
        self.depth -= 1;
        Some(found)
    }

    fn binary(&mut self, level: usize) -> Option<Expression> {
        const LEVELS: [&[&str]; 6] = [
            &["||", "or "],
            &["&&", "and "],
            &["==", "!=", "<=", ">=", "<", ">"],
            &["&"],
            &["+", "-"],
            &["*", "/", "%"],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        'more: loop {
            self.blanks();
            for operator in *operators {
                let rest = self.rest.strip_prefix(operator);
                let Some(rest) = rest.filter(|rest| !rest.starts_with(['=', '~', '<', '>', '&']))
                else {
                    continue;
                };
                self.rest = rest;
                let right = self.binary(level + 1)?;
                left = Expression::Binary(Box::new(left), operator, Box::new(right));
                continue 'more;
            }
            return Some(left);
        }
    }

    fn unary(&mut self) -> Option<Expression> {
        self.blanks();
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let found = if self.rest.starts_with('!') && !self.rest.starts_with("!=") {
            self.take("!");
            not(self.unary()?)
        } else if self.word("not") {
            not(self.unary()?)
        } else if self.rest.starts_with('-') {
            self.take("-");
            Expression::Unary("-", Box::new(self.unary()?))
        } else {
            self.postfix()?
        };
        self.depth -= 1;
        Some(found)
    }

    fn postfix(&mut self) -> Option<Expression> {
        let mut value = self.primary()?;
        loop {
            if self.rest.starts_with('.') && !self.rest.starts_with("..") {
                self.rest = &self.rest[1..];
                let mut method = self.name()?;
                if self.rest.starts_with(['?', '!']) && !self.rest.starts_with("!=") {
                    method.push_str(&self.rest[..1]);
                    self.rest = &self.rest[1..];
                }
                if matches!(method.as_str(), "is_a?" | "kind_of?" | "instance_of?") {
                    value = Expression::Is(Box::new(value), self.class()?);
                    continue;
                }
                let arguments =
                    if self.rest.starts_with('(') { self.arguments()? } else { Vec::new() };
                value = Expression::Call(Box::new(value), method, arguments);
            } else if self.rest.starts_with('[') {
                self.take("[");
                let index = self.choice()?;
                let open = self.take("...");
                let to = if open || self.take("..") { Some(self.choice()?) } else { None };
                if !self.take("]") {
                    return None;
                }
                let value_before = Box::new(value);
                value = match to {
                    Some(to) => {
                        Expression::Slice(value_before, Box::new(index), Box::new(to), open)
                    }
                    None => Expression::At(value_before, Box::new(index)),
                };
            } else {
                return Some(value);
            }
        }
    }

    /// A class's name, with or without brackets around it.
    fn class(&mut self) -> Option<String> {
        let enclosed = self.take("(");
        self.blanks();
        let length = self.rest.len() - self.rest.trim_start_matches(of_name).len();
        let name = self.rest[..length].to_string();
        self.rest = &self.rest[length..];
        (!enclosed || self.take(")")).then_some(name)
    }

    /// `Time.now`, `Time.at(x)`, `DateTime.strptime(x, "%s")`.
    fn time(&mut self) -> Option<Expression> {
        if self.word("Time.now") {
            self.take("()");
            return Some(Expression::Now);
        }
        let at = self.word("Time.at");
        if !at && !self.word("DateTime.strptime") {
            return None;
        }
        let mut arguments = self.arguments()?;
        let seconds = arguments.get(1) == Some(&Expression::Text("%s".to_string()));
        let known = if at { arguments.len() == 1 } else { arguments.len() == 2 && seconds };
        known.then(|| Expression::Instant(Box::new(arguments.remove(0))))
    }

    fn primary(&mut self) -> Option<Expression> {
        self.blanks();
        let first = self.rest.chars().next()?;
        match first {
            '"' | '\'' => self.text(first),
            '/' => {
                let end = self.rest[1..].find('/')? + 1;
                let pattern = self.rest[1..end].to_string();
                self.rest = &self.rest[end + 1..];
                let plain = !pattern.contains('\n')
                    && !self.rest.starts_with(|c: char| c.is_ascii_alphabetic());
                plain.then_some(Expression::Pattern(pattern))
            }
            '(' => {
                self.take("(");
                let inner = self.choice()?;
                self.take(")").then_some(inner)
            }
            '[' => {
                self.take("[");
                let mut items = Vec::new();
                while !self.take("]") {
                    items.push(self.choice()?);
                    if !self.take(",") && !self.rest.trim_start().starts_with(']') {
                        return None;
                    }
                }
                Some(Expression::List(items))
            }
            c if c.is_ascii_digit() => {
                let length = self.rest.len()
                    - self.rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').len();
                let mut end = length;
                if let Some(fraction) = self.rest[length..].strip_prefix('.') {
                    let digits = fraction.len()
                        - fraction.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                    end += if digits > 0 { digits + 1 } else { 0 };
                }
                if let Some(power) = self.rest[end..].strip_prefix(['e', 'E']) {
                    let digits =
                        power.len() - power.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                    end += if digits > 0 { digits + 1 } else { 0 };
                }
                let number = self.rest[..end].replace('_', "");
                self.rest = &self.rest[end..];
                Some(Expression::Number(number))
            }
            'T' | 'D' => self.time(),
            _ => self.named(),
        }
    }

    fn named(&mut self) -> Option<Expression> {
        for word in ["nil", "true", "false"] {
            if self.word(word) {
                return Some(Expression::Word(word));
            }
        }
        let name = self.name()?;
        if [
            "if", "end", "do", "next", "case", "when", "begin", "def", "require", "return", "else",
            "while",
        ]
        .contains(&name.as_str())
        {
            return None;
        }
        if name != "event" && name != "record" {
            return Some(Expression::Name(name));
        }
        if self.word(".to_hash") {
            return Some(Expression::All);
        }
        if self.rest.starts_with(".get") {
            self.rest = &self.rest[4..];
            return match self.arguments()?.as_slice() {
                [Expression::Text(field)] => Some(Expression::Field(field.clone())),
                [name] => Some(Expression::Named(Box::new(name.clone()))),
                _ => None,
            };
        }
        if self.rest.starts_with('[') { self.index().map(Expression::Field) } else { None }
    }

    fn text(&mut self, quote: char) -> Option<Expression> {
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
                    ('n', '"') => plain.push('\n'),
                    ('t', '"') => plain.push('\t'),
                    ('r', '"') => plain.push('\r'),
                    (c, '\'') => plain.extend(['\\', c]),
                    _ => return None,
                },
                '#' if quote == '"' && self.rest[here..].starts_with("#{") => {
                    let inner = &self.rest[here + 2..];
                    let end = inner.find('}')?;
                    if !plain.is_empty() {
                        parts.push(Expression::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(self::inner(&inner[..end], self.depth + 1)?);
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

fn not(inner: Expression) -> Expression {
    Expression::Unary("not ", Box::new(inner))
}
