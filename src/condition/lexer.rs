//! A condition's text as tokens.
//!
//! In: text. Out: tokens with their bytes of the text, the last one [`Token::End`].
//! On failure: the bytes that are no token, with what to write instead where that is known.

use std::ops::Range;

use super::ConditionError;

/// One word of the language.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or a path, as written.
    Word(String),
    Text(String),
    Integer(i64),
    Float(f64),
    /// A pattern between slashes: its bytes of the text, and whether case is ignored.
    Pattern {
        inside: Range<usize>,
        flags: crate::pattern::Flags,
    },
    Operator(Operator),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

/// The comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Match,
    NoMatch,
    In,
    NotIn,
}

/// A token and its bytes of the text.
pub(super) type Placed = (Token, Range<usize>);

impl Operator {
    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        match self {
            Operator::Equal => "==",
            Operator::Unequal => "!=",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Match => "=~",
            Operator::NoMatch => "!~",
            Operator::In => "in",
            Operator::NotIn => "not in",
        }
    }
}

/// Splits a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, ConditionError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let token = lexer.token()?;
        let end = token == Token::End;
        found.push((token, start..lexer.at));
        if end {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn skip_blank(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn token(&mut self) -> Result<Token, ConditionError> {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        let single = match first {
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            '[' => Some(Token::OpenList),
            ']' => Some(Token::CloseList),
            ',' => Some(Token::Comma),
            _ => None,
        };
        if let Some(token) = single {
            self.at += 1;
            return Ok(token);
        }
        match first {
            '"' | '\'' => self.string(first),
            '/' => self.pattern(),
            '=' | '!' | '<' | '>' => self.operator(rest),
            '&' | '|' => self.foreign_word(rest),
            '0'..='9' | '-' | '+' => self.number(rest),
            c if starts_word(c) => Ok(Token::Word(self.word(rest))),
            c => {
                let span = self.at..self.at + c.len_utf8();
                let error = ConditionError::new(span, format!("`{c}` has no meaning here"));
                Err(match c {
                    '%' | '$' | '{' => error.hint("write the field's name alone, such as: level"),
                    _ => error,
                })
            }
        }
    }

    fn operator(&mut self, rest: &str) -> Result<Token, ConditionError> {
        let known = [
            ("==", Operator::Equal),
            ("!=", Operator::Unequal),
            ("=~", Operator::Match),
            ("!~", Operator::NoMatch),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        if let Some((name, operator)) = known.iter().find(|(name, _)| rest.starts_with(name)) {
            self.at += name.len();
            return Ok(Token::Operator(*operator));
        }
        let (message, hint) = if rest.starts_with('=') {
            ("`=` is no comparison", "write `==` to compare")
        } else {
            ("`!` is no operator of conditions", "write `not`, such as: not exists(user)")
        };
        Err(ConditionError::new(self.at..self.at + 1, message).hint(hint))
    }

    fn foreign_word(&self, rest: &str) -> Result<Token, ConditionError> {
        let sign = &rest[..1];
        let length = if rest[1..].starts_with(sign) { 2 } else { 1 };
        let message = format!("`{}` is no operator of conditions", &rest[..length]);
        let hint = if sign == "&" { "write `and`" } else { "write `or`" };
        Err(ConditionError::new(self.at..self.at + length, message).hint(hint))
    }

    fn word(&mut self, rest: &str) -> String {
        let mut escaped = false;
        let inside = |c: char| {
            let inside = escaped || starts_word(c) || c.is_ascii_digit() || "-.:/".contains(c);
            escaped = c == '\\' && !escaped;
            inside
        };
        let length = rest.len() - rest.trim_start_matches(inside).len();
        self.at += length;
        rest[..length].to_string()
    }

    fn number(&mut self, rest: &str) -> Result<Token, ConditionError> {
        let of_number = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let text = &rest[..rest.len() - rest.trim_start_matches(of_number).len()];
        let span = self.at..self.at + text.len();
        self.at = span.end;
        let digits = text.strip_prefix('+').unwrap_or(text).replace('_', "");
        if let Ok(integer) = digits.parse() {
            return Ok(Token::Integer(integer));
        }
        // Rust also reads words such as `inf`; a number here begins with a digit.
        let plain = digits.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
        match digits.parse::<f64>() {
            Ok(float) if float.is_finite() && plain => Ok(Token::Float(float)),
            _ => Err(ConditionError::new(span, format!("`{text}` is no number"))
                .hint(format!("write it in quotes if it is a text: \"{text}\""))),
        }
    }

    fn string(&mut self, quote: char) -> Result<Token, ConditionError> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.text[start + 1..].char_indices();
        while let Some((at, c)) = chars.next() {
            let here = start + 1 + at;
            match c {
                c if c == quote => {
                    self.at = here + 1;
                    return Ok(Token::Text(out));
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('\\' | '"' | '\''))) => out.push(c),
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    other => {
                        let length = 1 + other.map_or(0, |(_, c)| c.len_utf8());
                        let message = "after `\\` comes one of \\ \" ' n t r";
                        return Err(ConditionError::new(here..here + length, message)
                            .hint("write `\\\\` for a backslash"));
                    }
                },
                c => out.push(c),
            }
        }
        let message = format!("the text has no closing {quote}");
        Err(ConditionError::new(start..self.text.len(), message))
    }

    fn pattern(&mut self) -> Result<Token, ConditionError> {
        let start = self.at + 1;
        let mut escaped = false;
        let end = self.text[start..].char_indices().find(|(_, c)| {
            let closes = *c == '/' && !escaped;
            escaped = *c == '\\' && !escaped;
            closes
        });
        let Some((length, _)) = end else {
            let message = "the pattern has no closing /";
            return Err(ConditionError::new(self.at..self.text.len(), message)
                .hint("write `\\/` for a slash within the pattern"));
        };
        let inside = start..start + length;
        self.at = inside.end + 1;
        let mut flags = crate::pattern::Flags::default();
        while let Some(letter) =
            self.text[self.at..].chars().next().filter(char::is_ascii_alphanumeric)
        {
            match letter {
                'i' => flags.ignore_case = true,
                's' => flags.dot_all = true,
                'm' => flags.multi_line = true,
                other => {
                    let message = format!("`{other}` is no flag of a pattern");
                    return Err(ConditionError::new(self.at..self.at + 1, message)
                        .hint("flags are i (ignore case), s (dot matches all), m (lines)"));
                }
            }
            self.at += 1;
        }
        Ok(Token::Pattern { inside, flags })
    }
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '@' | '\\') || (!c.is_ascii() && !c.is_whitespace())
}
