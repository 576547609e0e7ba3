//! Reads the small parts of a pattern: escapes, bracket classes, quantifiers.
//!
//! In: the text at the beginning of such a part. Out: its node or set.
//! Promises: what Ruby's syntax takes for itself is taken for itself here (`{` that is no interval).
//! On failure: a fault at the part's first byte.

use super::ast::{Assertion, Mode, Node};
use super::charset::CharSet;
use super::classes;
use super::parse::{Read, Reader};

/// More repetitions than this are refused, as in Oniguruma.
const MAX_REPEAT: u32 = 100_000;

impl Reader<'_, '_> {
    /// What follows a backslash, outside of brackets.
    pub(super) fn escape(&mut self, start: usize) -> Read<Node> {
        let Some(c) = self.next() else {
            return self.fault(start, "a backslash at the end");
        };
        let assertion = match c {
            'A' | 'G' => Some(Assertion::StartText),
            'z' => Some(Assertion::EndText),
            'Z' => Some(Assertion::EndTextLine),
            'b' => Some(Assertion::WordEdge),
            'B' => Some(Assertion::NotWordEdge),
            _ => None,
        };
        if let Some(assertion) = assertion {
            return Ok(Node::Assert(assertion));
        }
        match c {
            'R' => Ok(line_break()),
            'k' => self.named_backref(start),
            '1'..='9' => self.backref(start, c),
            'K' | 'g' | 'X' | 'y' | 'Y' | 'N' | 'O' => self.unsupported(start, &format!("`\\{c}`")),
            _ => {
                if let Some(set) = self.class_escape(start, c)? {
                    return Ok(Node::Set(set));
                }
                let c = self.char_escape(start, c)?;
                Ok(self.literal(c))
            }
        }
    }

    /// `\d`, `\p{…}` and the like.
    fn class_escape(&mut self, start: usize, c: char) -> Read<Option<CharSet>> {
        if matches!(c, 'p' | 'P') && self.eat("{") {
            let Some(end) = self.rest().find('}') else {
                return self.fault(start, "the property is not closed");
            };
            let Some(set) = classes::property(&self.rest()[..end]) else {
                return self.fault(start, "no property has this name");
            };
            self.at += end + 1;
            return Ok(Some(if c == 'P' { set.negate() } else { set }));
        }
        Ok(classes::letter(c))
    }

    /// The character that an escape stands for.
    fn char_escape(&mut self, start: usize, c: char) -> Read<char> {
        Ok(match c {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{C}',
            'v' => '\u{B}',
            'a' => '\u{7}',
            'e' => '\u{1B}',
            'x' if self.eat("{") => {
                let c = self.number(start, 16, 8)?;
                if !self.eat("}") {
                    return self.fault(start, "the code is not closed");
                }
                c
            }
            'x' => self.number(start, 16, 2)?,
            'u' => self.number(start, 16, 4)?,
            '0'..='7' => {
                self.at -= 1;
                self.number(start, 8, 3)?
            }
            other => other,
        })
    }

    fn number(&mut self, start: usize, radix: u32, most: usize) -> Read<char> {
        let digits = self.rest().chars().take(most).take_while(|c| c.is_digit(radix)).count();
        let code = u32::from_str_radix(&self.rest()[..digits], radix).unwrap_or(0);
        self.at += digits;
        match char::from_u32(code) {
            Some(c) => Ok(c),
            None => self.fault(start, "no character has this code"),
        }
    }

    fn named_backref(&mut self, start: usize) -> Read<Node> {
        let end = self.rest().find('>').filter(|_| self.rest().starts_with('<'));
        let Some(end) = end else {
            return self.fault(start, "`\\k` needs a name in `<>`");
        };
        let name = self.rest()[1..end].to_owned();
        self.at += end + 1;
        let known = self.state.captures.iter().enumerate();
        let found: Vec<usize> =
            known.filter(|(_, full)| full.as_ref() == Some(&name)).map(|(at, _)| at).collect();
        if found.is_empty() {
            return self.fault(start, "no group before has this name");
        }
        Ok(Node::Backref(found, self.flags.icase))
    }

    fn backref(&mut self, start: usize, first: char) -> Read<Node> {
        let index = first as usize - '1' as usize;
        if index >= self.state.captures.len() {
            return self.fault(start, "no group before has this number");
        }
        self.state.numbered = true;
        Ok(Node::Backref(vec![index], self.flags.icase))
    }

    /// A class in brackets; the opening one is taken.
    pub(super) fn bracket(&mut self, start: usize) -> Read<CharSet> {
        let negative = self.eat("^");
        let mut all: Option<CharSet> = None;
        let mut set = CharSet::EMPTY;
        let mut first = true;
        loop {
            let at = self.at;
            let Some(c) = self.next() else {
                return self.fault(start, "the class is not closed");
            };
            match c {
                ']' if !first || !self.rest().contains(']') => break,
                '&' if self.eat("&") => {
                    all = Some(all.map_or(set.clone(), |all| all.intersect(&set)));
                    set = CharSet::EMPTY;
                }
                _ => set = set.union(&self.class_item(at, c)?),
            }
            first = false;
        }
        if let Some(all) = all {
            set = all.intersect(&set);
        }
        if self.flags.icase {
            set = set.fold();
        }
        Ok(if negative { set.negate() } else { set })
    }

    /// One character, range or class within brackets.
    fn class_item(&mut self, at: usize, c: char) -> Read<CharSet> {
        if c == '[' {
            if let Some(set) = self.posix_class(at)? {
                return Ok(set);
            }
            return self.bracket(at);
        }
        let from = match self.class_char(at, c)? {
            Ok(c) => c,
            Err(set) => return Ok(set),
        };
        let range = self.rest().starts_with('-') && !self.rest().starts_with("-]");
        if !range {
            return Ok(CharSet::of(from));
        }
        self.at += 1;
        let at = self.at;
        let Some(c) = self.next() else {
            return self.fault(at, "the class is not closed");
        };
        // `[a-\d]` and `[a-[…]]`: the dash stands for itself.
        let dash = CharSet::of(from).union(&CharSet::of('-'));
        if c == '[' {
            return Ok(dash.union(&self.class_item(at, c)?));
        }
        match self.class_char(at, c)? {
            Err(set) => Ok(dash.union(&set)),
            Ok(to) if to < from => self.fault(at, "the range runs backwards"),
            Ok(to) => Ok(range_of(from, to)),
        }
    }

    fn class_char(&mut self, at: usize, c: char) -> Read<Result<char, CharSet>> {
        if c != '\\' {
            return Ok(Ok(c));
        }
        let Some(c) = self.next() else {
            return self.fault(at, "a backslash at the end");
        };
        if c == 'b' {
            return Ok(Ok('\u{8}'));
        }
        if c == 'R' {
            return Ok(Ok('R'));
        }
        match self.class_escape(at, c)? {
            Some(set) => Ok(Err(set)),
            None => self.char_escape(at, c).map(Ok),
        }
    }

    /// `[:alpha:]`; the opening bracket is taken.
    fn posix_class(&mut self, at: usize) -> Read<Option<CharSet>> {
        if !self.rest().starts_with(':') {
            return Ok(None);
        }
        let Some(end) = self.rest().find(":]").filter(|end| *end > 0) else {
            return Ok(None);
        };
        let (name, negative) = match self.rest()[1..end].strip_prefix('^') {
            Some(name) => (name, true),
            None => (&self.rest()[1..end], false),
        };
        if !name.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Ok(None);
        }
        let Some(set) = classes::posix(name) else {
            return self.fault(at, "no class has this name");
        };
        self.at += end + 2;
        Ok(Some(if negative { set.negate() } else { set }))
    }

    /// A quantifier after a node, if one follows.
    pub(super) fn quantifier(&mut self, node: &Node, start: usize) -> Read<Option<Node>> {
        let (min, max, interval) = match self.peek() {
            Some('*') => (0, None, false),
            Some('+') => (1, None, false),
            Some('?') => (0, Some(1), false),
            Some('{') => match interval(self.rest()) {
                Some((min, max, len)) => {
                    if min.max(max.unwrap_or(0)) > MAX_REPEAT {
                        let message = "more than 100,000 repetitions";
                        return self.fault(self.at, message);
                    }
                    self.at += len - 1;
                    (min, max, true)
                }
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        self.at += 1;
        if matches!(node, Node::Assert(_)) {
            return self.fault(start, "nothing to repeat");
        }
        let node = Box::new(node.clone());
        let fixed = interval && max == Some(min);
        // In Ruby `a{2}?` is `(?:a{2})?`, and an interval cannot be possessive.
        let mode = match self.peek() {
            Some('?') if !fixed => Mode::Lazy,
            Some('+') if !interval => Mode::Possessive,
            _ => return Ok(Some(Node::Repeat { node, min, max, mode: Mode::Greedy })),
        };
        self.at += 1;
        Ok(Some(Node::Repeat { node, min, max, mode }))
    }
}

/// Reads `{n}`, `{n,}`, `{,m}` or `{n,m}`: the two numbers and the length.
fn interval(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let end = text.find('}')?;
    let body = &text[1..end];
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let (min, max) = match body.split_once(',') {
        None => (number(body)?, Some(number(body)?)),
        Some(("", max)) => (0, Some(number(max)?)),
        Some((min, "")) => (number(min)?, None),
        Some((min, max)) => (number(min)?, Some(number(max)?)),
    };
    let swapped = max.is_some_and(|max| max < min);
    let (min, max) = if swapped { (max.unwrap_or(0), Some(min)) } else { (min, max) };
    Some((min, max, end + 1))
}

fn range_of(from: char, to: char) -> CharSet {
    use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
    CharSet::from_class(&ClassUnicode::new([ClassUnicodeRange::new(from, to)]))
}

/// `\R`: a line break of any system, taken whole.
fn line_break() -> Node {
    let single = range_of('\n', '\r').union(&CharSet::of('\u{85}'));
    let single = single.union(&range_of('\u{2028}', '\u{2029}'));
    let pair = Node::Literal("\r\n".to_owned());
    Node::Atomic(Box::new(Node::Alt(vec![pair, Node::Set(single)])))
}
