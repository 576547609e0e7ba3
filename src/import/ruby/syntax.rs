//! The part of Ruby that one-line filters use, as a tree.
//!
//! In: code. Out: statements. Promises: nothing is passed over: what is not understood makes the whole unread.
//! On failure: `None`.

use super::shapes::{Target, indexed, rooted};

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
    /// `break`.
    Break,
    /// `return value`.
    Return(Option<Expression>),
    /// `name[index] = value`.
    SetAt(Expression, Expression, Expression),
    /// `begin … rescue => name … end`.
    Try(Vec<Statement>, Option<String>, Vec<Statement>),
    /// `while condition … end`.
    While(Expression, Vec<Statement>),
    /// `value.each_with_index do |item, index| … end`.
    EachIndex(Expression, Vec<String>, Vec<Statement>),
    /// `name.delete(key)` of a hash.
    DeleteKey(String, Expression),
    /// `def name(names) … end`.
    Def(String, Vec<String>, Vec<Statement>),
    /// `event.tag(value)`.
    TagNamed(Expression),
    /// What has no effect here: `puts value`.
    Nothing,
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
    /// `{ 'a' => b }`, `Hash.new`.
    Hash(Vec<(Expression, Expression)>),
    /// `ENV['NAME']`.
    Variable(String),
    /// `text =~ /…/`.
    Match(Box<Expression>, String),
    /// `$1`.
    Caught(usize),
    /// `a rescue b`.
    Rescue(Box<Expression>, Box<Expression>),
    /// `value.map { |names| inner }` and the like.
    Block(Box<Expression>, String, Vec<String>, Box<Expression>),
    /// A function that the code defines, called.
    Own(String, Vec<Expression>),
    /// `Time.parse(text)`, `Time.strptime(text, form)`.
    Parsed(Box<Expression>, String),
    /// `event.remove(name)` as a value.
    Taken(Box<Expression>),
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

/// Reads code whose value is given to `target`.
pub(super) fn valued(code: &str, target: &Target<'_>) -> Option<Vec<Statement>> {
    let mut reader = Reader { rest: code, depth: 0 };
    let statements = reader.valued_block(&[], target)?;
    reader.blanks_and_ends();
    reader.rest.is_empty().then_some(statements)
}

/// Reads a single expression.
pub(super) fn expression(code: &str) -> Option<Expression> {
    inner(code, 0)
}

pub(super) fn inner(code: &str, depth: usize) -> Option<Expression> {
    let mut reader = Reader { rest: code, depth };
    let expression = reader.rhs()?;
    reader.blanks_and_ends();
    reader.rest.is_empty().then_some(expression)
}

pub(super) struct Reader<'a> {
    pub(super) rest: &'a str,
    pub(super) depth: usize,
}

pub(super) fn of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

impl Reader<'_> {
    pub(super) fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Goes over blanks, ends of statements and comments.
    pub(super) fn blanks_and_ends(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
            if !self.rest.starts_with('#') {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.blanks();
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
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
    pub(super) fn name(&mut self) -> Option<String> {
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
    pub(super) fn block(&mut self, ends: &[&str]) -> Option<Vec<Statement>> {
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

    pub(super) fn statement(&mut self) -> Option<Statement> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let statement = if self.word("if") {
            self.conditional(false)?
        } else if self.word("unless") {
            self.conditional(true)?
        } else if self.word("case") {
            self.cases(None)?
        } else if let Some(shape) = self.shape() {
            shape?
        } else {
            self.simple()?
        };
        self.depth -= 1;
        Some(statement)
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
        } else if self.word("rescue") {
            // What stands behind it has no use but its value, which nobody takes.
            self.choice()?;
            Statement::Try(vec![statement], None, Vec::new())
        } else {
            statement
        };
        self.blanks();
        let ended = self.rest.is_empty() || self.rest.starts_with([';', '\n', '\r', '#']);
        let mut ahead = Reader { rest: self.rest, depth: 0 };
        let words = ["end", "else", "elsif", "when", "rescue", "ensure"];
        (ended || ahead.take("}") || words.iter().any(|word| ahead.word(word))).then_some(statement)
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
                    ("each_pair", 0, value) => self.each(value),
                    ("each_with_index", 0, value) => self.each(value).and_then(indexed),
                    ("store", 2, name @ Expression::Name(_)) => {
                        let value = arguments.remove(1);
                        Some(Statement::SetAt(name, arguments.remove(0), value))
                    }
                    ("delete", 1, Expression::Name(name))
                        if name != "event" && name != "record" =>
                    {
                        Some(Statement::DeleteKey(name, arguments.remove(0)))
                    }
                    (changing, _, Expression::Name(name)) if changing.ends_with('!') => {
                        let method = changing.trim_end_matches('!').to_string();
                        let own = Box::new(Expression::Name(name.clone()));
                        Some(Statement::Let(name, Expression::Call(own, method, arguments)))
                    }
                    _ => None,
                }
            }
            Some(Expression::Name(list)) if self.take("<<") => {
                self.choice().map(|value| Statement::Push(list, value))
            }
            Some(Expression::At(container, index)) if rooted(&container) => {
                self.set_at(*container, *index)
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
        if ["puts", "print", "logger"].contains(&name.as_str())
            && !self.rest.trim_start().starts_with('=')
        {
            return self.said(&name);
        }
        if name == "event" || name == "record" {
            if self.take(".") {
                let method = self.name()?;
                if method == "timestamp" {
                    return self.assigned("@timestamp".into());
                }
                if method == "cancel" {
                    self.take("()");
                    return Some(Statement::Cancel);
                }
                let arguments =
                    if self.rest.starts_with(' ') { self.bare() } else { self.arguments() };
                let arguments = arguments?;
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
                    ("tag", 1) => Some(match text(0) {
                        Some(tag) => Statement::Tag(tag),
                        None => Statement::TagNamed(arguments[0].clone()),
                    }),
                    _ => None,
                };
            }
            let field = self.index()?;
            return self.assigned(field);
        }
        for operator in ["+", "-", "*", "||"] {
            if self.take(&format!("{operator}=")) {
                let known = ["+", "-", "*", "||"];
                let operator = known.into_iter().find(|known| *known == operator)?;
                let own = Box::new(Expression::Name(name.clone()));
                let value = Expression::Binary(own, operator, Box::new(self.choice()?));
                return Some(Statement::Let(name, value));
            }
        }
        if self.take("==") || !self.take("=") {
            return None;
        }
        if let Some(statement) = self.branched(&|value| Statement::Let(name.clone(), value)) {
            return statement;
        }
        Some(Statement::Let(name, self.rhs()?))
    }

    fn assigned(&mut self, field: String) -> Option<Statement> {
        for operator in ["+", "-", "*", "/", "||"] {
            if self.take(&format!("{operator}=")) {
                let own = Box::new(Expression::Field(field.clone()));
                let known = ["+", "-", "*", "/", "||"];
                let operator = known.into_iter().find(|o| *o == operator)?;
                let value = Expression::Binary(own, operator, Box::new(self.choice()?));
                return Some(Statement::Set(field, value));
            }
        }
        if self.rest.trim_start().starts_with("==") || !self.take("=") {
            return None;
        }
        if let Some(statement) = self.branched(&|value| Statement::Set(field.clone(), value)) {
            return statement;
        }
        Some(Statement::Set(field, self.rhs()?))
    }

    /// `["a"]["b"]` behind the event, as a field's name.
    pub(super) fn index(&mut self) -> Option<String> {
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

    pub(super) fn arguments(&mut self) -> Option<Vec<Expression>> {
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

    pub(super) fn choice(&mut self) -> Option<Expression> {
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
            if *operators == LEVELS[2] && (self.take("=~") || self.rest.starts_with("!~")) {
                let negated = self.take("!~");
                left = match (left, self.binary(level + 1)?) {
                    (Expression::Pattern(pattern), text) | (text, Expression::Pattern(pattern)) => {
                        Expression::Match(Box::new(text), pattern)
                    }
                    _ => return None,
                };
                left = if negated { not(left) } else { left };
                continue 'more;
            }
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

    pub(super) fn postfix(&mut self) -> Option<Expression> {
        let mut value = self.primary()?;
        loop {
            if let Some(chained) = self.chained() {
                self.rest = chained;
            }
            let dot = if self.rest.starts_with("&.") { 2 } else { 1 };
            let calls = self.rest.starts_with('.') && !self.rest.starts_with("..");
            if calls || dot == 2 {
                self.rest = &self.rest[dot..];
                let mut method = self.name()?;
                if self.rest.starts_with(['?', '!']) && !self.rest.starts_with("!=") {
                    method.push_str(&self.rest[..1]);
                    self.rest = &self.rest[1..];
                }
                if matches!(method.as_str(), "is_a?" | "kind_of?" | "instance_of?") {
                    value = Expression::Is(Box::new(value), self.class()?);
                    continue;
                }
                value = self.called(value, method, dot == 2)?;
            } else if self.rest.starts_with('[') {
                self.take("[");
                let index = self.choice()?;
                if let Expression::Pattern(pattern) = index {
                    value = self.caught_of(value, pattern)?;
                    continue;
                }
                if self.take(",") {
                    let arguments = vec![index, self.choice()?];
                    if !self.take("]") {
                        return None;
                    }
                    value = Expression::Call(Box::new(value), "slice".into(), arguments);
                    continue;
                }
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

    pub(super) fn primary(&mut self) -> Option<Expression> {
        self.blanks();
        let first = self.rest.chars().next()?;
        match first {
            '"' | '\'' => self.text(first),
            '/' => self.pattern('/'),
            '%' => self.percent(),
            '$' => self.caught(),
            '{' => self.hash(),
            ':' => {
                self.rest = &self.rest[1..];
                self.name().map(Expression::Text)
            }
            '(' => {
                self.take("(");
                let inner = self.choice()?;
                self.take(")").then_some(inner)
            }
            '[' => {
                self.take("[");
                let mut items = Vec::new();
                loop {
                    self.lines();
                    if self.take("]") {
                        return Some(Expression::List(items));
                    }
                    items.push(self.choice()?);
                    self.lines();
                    if !self.take(",") && !self.rest.starts_with(']') {
                        return None;
                    }
                }
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
            c if c.is_ascii_uppercase() => self.constant(),
            _ => self.named(),
        }
    }
}

pub(super) fn not(inner: Expression) -> Expression {
    Expression::Unary("not ", Box::new(inner))
}
