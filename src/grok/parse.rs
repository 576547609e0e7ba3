//! Reads a pattern: Ruby's regular expressions with `%{NAME:field}` in them.
//!
//! In: the text of a pattern and the names. Out: a [`Parsed`] tree without names.
//! Promises: the meaning is that of Oniguruma's Ruby syntax with `.` matching line feeds.
//! On failure: a [`GrokError`] whose place is in the user's text; nothing is half built.

use super::ast::{Look, Node};
use super::charset::CharSet;
use super::error::{GrokError, Problem};
use super::expand::{self, Names};

/// A pattern in parsed form.
#[derive(Debug)]
pub struct Parsed {
    /// The tree.
    pub node: Node,
    /// The full name of each capture (`IP:client`), `None` for a plain group.
    pub captures: Vec<Option<String>>,
    /// Whether plain groups are referred to by number.
    pub numbered: bool,
}

/// The flags `(?imx)`.
#[derive(Clone, Copy)]
pub(super) struct Flags {
    pub(super) icase: bool,
    pub(super) dotall: bool,
    pub(super) extended: bool,
}

/// What went wrong at a byte of the text being read.
pub(super) struct Fault {
    at: usize,
    problem: Problem,
    hint: Option<String>,
    within: Option<(Vec<String>, usize)>,
}

pub(super) type Read<T> = Result<T, Fault>;

/// What the texts of one pattern share.
pub(super) struct State {
    pub(super) captures: Vec<Option<String>>,
    pub(super) numbered: bool,
    named_only: bool,
    nested: usize,
}

/// A reader of one text.
pub(super) struct Reader<'a, 'n> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    pub(super) flags: Flags,
    names: &'a mut Names<'n>,
    pub(super) state: &'a mut State,
}

/// Groups may be nested so deep; more would only serve to overflow the stack.
const MAX_NESTING: usize = 200;

/// Reads one pattern.
pub fn parse(
    text: &str,
    pattern: usize,
    names: &mut Names<'_>,
    named_only: bool,
) -> Result<Parsed, GrokError> {
    parse_with(text, pattern, names, named_only, true)
}

/// Reads one expression as Ruby itself does: a dot matches no line feed.
pub fn parse_ruby(
    text: &str,
    names: &mut Names<'_>,
    named_only: bool,
) -> Result<Parsed, GrokError> {
    parse_with(text, 0, names, named_only, false)
}

fn parse_with(
    text: &str,
    pattern: usize,
    names: &mut Names<'_>,
    named_only: bool,
    dotall: bool,
) -> Result<Parsed, GrokError> {
    let mut state = State { captures: Vec::new(), numbered: false, named_only, nested: 0 };
    let flags = Flags { icase: false, dotall, extended: false };
    let mut reader = Reader { text, at: 0, flags, names, state: &mut state };
    let node = reader.whole().map_err(|fault| GrokError {
        pattern,
        offset: fault.at.min(text.len()),
        problem: fault.problem,
        within: fault.within,
        hint: fault.hint,
    })?;
    Ok(Parsed { node, captures: state.captures, numbered: state.numbered })
}

impl Reader<'_, '_> {
    /// The text that is left.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The next character, not taken.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the next character.
    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Takes this text if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// A fault at a place.
    pub(super) fn fault<T>(&self, at: usize, what: &str) -> Read<T> {
        let problem = Problem::Syntax(what.to_owned());
        Err(Fault { at, problem, hint: None, within: None })
    }

    /// A construct that is understood but not run.
    pub(super) fn unsupported<T>(&self, at: usize, what: &str) -> Read<T> {
        let problem = Problem::Unsupported(what.to_owned());
        Err(Fault { at, problem, hint: None, within: None })
    }

    fn whole(&mut self) -> Read<Node> {
        let node = self.choice()?;
        if self.at < self.text.len() {
            return self.fault(self.at, "`)` closes no group");
        }
        Ok(node)
    }

    /// Branches up to the end of the group.
    pub(super) fn choice(&mut self) -> Read<Node> {
        if self.state.nested >= MAX_NESTING {
            return self.fault(self.at, "groups are nested too deep");
        }
        self.state.nested += 1;
        let flags = self.flags;
        let mut branches = vec![self.branch()?];
        while self.eat("|") {
            branches.push(self.branch()?);
        }
        self.flags = flags;
        self.state.nested -= 1;
        Ok(Node::alt(branches))
    }

    fn branch(&mut self) -> Read<Node> {
        let mut nodes = Vec::new();
        loop {
            self.skip_extended();
            match self.peek() {
                None | Some('|' | ')') => return Ok(Node::concat(nodes)),
                Some(_) => {}
            }
            let start = self.at;
            let Some(mut node) = self.atom()? else { continue };
            self.skip_extended();
            while let Some(repeated) = self.quantifier(&node, start)? {
                node = repeated;
                self.skip_extended();
            }
            nodes.push(node);
        }
    }

    /// With `(?x)` blanks and comments stand for nothing.
    fn skip_extended(&mut self) {
        while self.flags.extended {
            match self.peek() {
                Some(c) if c.is_ascii_whitespace() => self.at += 1,
                Some('#') => {
                    let end = self.rest().find('\n').unwrap_or(self.rest().len());
                    self.at += end;
                }
                _ => return,
            }
        }
    }

    /// One thing that a quantifier could follow; `None` for what stands for nothing.
    fn atom(&mut self) -> Read<Option<Node>> {
        let start = self.at;
        if let Some(found) = expand::reference(self.rest()) {
            let (name, field, len) = (found.name.to_owned(), found.field, found.len);
            let full = field.map(|field| format!("{name}:{field}"));
            let definition = found.definition.map(str::to_owned);
            self.at += len;
            return self.reference(start, &name, full, definition).map(Some);
        }
        let Some(c) = self.next() else { return Ok(None) };
        let node = match c {
            '.' if self.flags.dotall => Node::Set(CharSet::ALL),
            '.' => Node::Set(CharSet::of('\n').negate()),
            '^' => Node::Assert(super::ast::Assertion::StartLine),
            '$' => Node::Assert(super::ast::Assertion::EndLine),
            '[' => Node::Set(self.bracket(start)?),
            '(' => return self.group(start),
            '\\' => self.escape(start)?,
            '*' | '+' | '?' => return self.fault(start, "nothing to repeat"),
            c => self.literal(c),
        };
        Ok(Some(node))
    }

    /// One character standing for itself.
    pub(super) fn literal(&self, c: char) -> Node {
        if self.flags.icase {
            let set = CharSet::of(c).fold();
            if set != CharSet::of(c) {
                return Node::Set(set);
            }
        }
        Node::Literal(c.to_string())
    }

    fn reference(
        &mut self,
        start: usize,
        name: &str,
        full: Option<String>,
        definition: Option<String>,
    ) -> Read<Node> {
        if let Some(text) = definition {
            self.names.define(name, &text);
        }
        let text = self.names.lookup(name).map_err(|(problem, hint)| Fault {
            at: start,
            problem,
            hint,
            within: None,
        })?;
        let full = full.or_else(|| (!self.state.named_only).then(|| name.to_owned()));
        let index = full.map(|full| self.capture(Some(full)));
        self.names.open.push(name.to_owned());
        let (names, state) = (&mut *self.names, &mut *self.state);
        let mut inner = Reader { text: &text, at: 0, flags: self.flags, names, state };
        let node = inner.whole().map_err(|fault| self.lift(fault, start, name))?;
        self.names.open.pop();
        Ok(match index {
            Some(index) => Node::Capture(index, Box::new(node)),
            None => node,
        })
    }

    /// A fault within a definition is reported where the user named it.
    fn lift(&self, fault: Fault, start: usize, name: &str) -> Fault {
        let (mut names, at) = fault.within.unwrap_or((Vec::new(), fault.at));
        names.insert(0, name.to_owned());
        Fault { at: start, within: Some((names, at)), ..fault }
    }

    fn capture(&mut self, name: Option<String>) -> usize {
        self.state.captures.push(name);
        self.state.captures.len() - 1
    }

    fn group(&mut self, start: usize) -> Read<Option<Node>> {
        if !self.eat("?") {
            let index = self.capture(None);
            let node = self.closed(start)?;
            return Ok(Some(Node::Capture(index, Box::new(node))));
        }
        let look = |behind, negative| Look { behind, negative };
        for (mark, look) in [
            ("=", look(false, false)),
            ("!", look(false, true)),
            ("<=", look(true, false)),
            ("<!", look(true, true)),
        ] {
            if self.eat(mark) {
                let node = self.closed(start)?;
                if look.behind && node.width().1.is_none_or(|max| max > 255) {
                    return self.unsupported(start, "a look-behind without bound");
                }
                return Ok(Some(Node::Look(look, Box::new(node))));
            }
        }
        if self.eat("#") {
            let Some(end) = self.rest().find(')') else {
                return self.fault(start, "the comment is not closed");
            };
            self.at += end + 1;
            return Ok(None);
        }
        if self.eat(">") {
            return Ok(Some(Node::Atomic(Box::new(self.closed(start)?))));
        }
        for (open, close) in [("<", '>'), ("'", '\'')] {
            if self.eat(open) {
                return self.named_group(start, close).map(Some);
            }
        }
        self.flag_group(start)
    }

    fn named_group(&mut self, start: usize, close: char) -> Read<Node> {
        let Some(end) = self.rest().find(close).filter(|end| *end > 0) else {
            return self.fault(start, "the group has no name");
        };
        let name = self.rest()[..end].to_owned();
        if name.contains(['(', ')', '\\']) {
            return self.fault(start, "the name of the group is not closed");
        }
        self.at += end + 1;
        let index = self.capture(Some(name));
        Ok(Node::Capture(index, Box::new(self.closed(start)?)))
    }

    fn flag_group(&mut self, start: usize) -> Read<Option<Node>> {
        let (mut flags, mut on) = (self.flags, true);
        loop {
            let at = self.at;
            match self.next() {
                Some('-') => on = false,
                Some('i') => flags.icase = on,
                Some('m') => flags.dotall = on,
                Some('x') => flags.extended = on,
                Some(':') => {
                    let outer = std::mem::replace(&mut self.flags, flags);
                    let node = self.closed(start)?;
                    self.flags = outer;
                    return Ok(Some(node));
                }
                Some(')') => {
                    // In Ruby `a(?i)b|c` is `a(?i:b|c)`: the flags take the rest as one group.
                    let outer = std::mem::replace(&mut self.flags, flags);
                    let node = self.choice()?;
                    self.flags = outer;
                    return Ok(Some(node));
                }
                Some('~') => return self.unsupported(at, "the absence operator"),
                _ => return self.fault(at, "no group begins like this"),
            }
        }
    }

    /// The inside of a group and its closing parenthesis.
    fn closed(&mut self, start: usize) -> Read<Node> {
        let node = self.choice()?;
        if !self.eat(")") {
            return self.fault(start, "the group is not closed");
        }
        Ok(node)
    }
}
