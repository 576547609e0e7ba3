//! Numbers and addresses of version 4 as they are mostly written, told without the tables of a token.
//!
//! In: the tables of a token. Out: an [`Outline`], if the tables follow every text of that form. Promises: where it
//! tells an end, the tables would have told the same; else it tells nothing. On failure: `None` for other tokens.

use super::{Answer, DEAD, END_TABLES, Token, UNSURE};
use std::collections::BTreeSet;

/// For each byte behind a text whether the token ends before it; the last entry is the end of the text.
type Ends = Box<[bool; 257]>;

/// What most texts of a token look like.
#[derive(Clone, Debug)]
pub enum Outline {
    /// Digits, perhaps a sign before them, perhaps a point and digits behind them.
    Number(Box<Number>),
    /// Four numbers up to 255 with points between them, without needless zeros.
    Quad(u16, Ends),
}

/// A number.
#[derive(Clone, Debug)]
pub struct Number {
    /// The state that it begins in.
    from: u16,
    /// Whether it may have a sign.
    signed: bool,
    /// Where it ends behind a whole number, and behind a fraction, if it may have one.
    whole: Ends,
    fraction: Option<Ends>,
}

type States = BTreeSet<u16>;

impl Outline {
    /// The form of a token's texts.
    pub fn new(token: &Token) -> Option<Self> {
        let from = token.starts.iter().copied().find(|start| *start > UNSURE)?;
        let begin = States::from([from]);
        if let Some(states) = quad(token, &begin) {
            return Some(Self::Quad(from, token.ends_behind(&states)));
        }
        let (plain, sign) = (digits(token, &begin)?, steps(token, &begin, b"+-"));
        let signed = sign.and_then(|states| digits(token, &states));
        let whole: States = plain.into_iter().chain(signed.iter().flatten().copied()).collect();
        let point = steps(token, &whole, b".");
        let fraction = point.and_then(|states| digits(token, &states));
        Some(Self::Number(Box::new(Number {
            from,
            signed: signed.is_some(),
            whole: token.ends_behind(&whole),
            fraction: fraction.map(|states| token.ends_behind(&states)),
        })))
    }

    /// Where a token that begins at a place in a state ends, if this tells.
    #[inline]
    pub fn end(&self, state: u16, text: &[u8], at: usize) -> Option<usize> {
        match self {
            Self::Number(number) if number.from == state => number.end(text, at),
            Self::Quad(from, ends) if *from == state => {
                let mut at = octet(text, at)?;
                for _ in 0..3 {
                    if *text.get(at)? != b'.' {
                        return None;
                    }
                    at = octet(text, at + 1)?;
                }
                ends_at(ends, text, at).then_some(at)
            }
            _ => None,
        }
    }
}

impl Number {
    #[inline]
    fn end(&self, text: &[u8], begin: usize) -> Option<usize> {
        let sign = self.signed && matches!(text.get(begin), Some(b'+' | b'-'));
        let from = begin + usize::from(sign);
        let whole = run(text, from);
        if whole == from {
            return None;
        }
        if text.get(whole) == Some(&b'.')
            && let Some(ends) = &self.fraction
        {
            let end = run(text, whole + 1);
            return (end > whole + 1 && ends_at(ends, text, end)).then_some(end);
        }
        ends_at(&self.whole, text, whole).then_some(whole)
    }
}

#[inline]
fn ends_at(ends: &Ends, text: &[u8], at: usize) -> bool {
    ends[text.get(at).map_or(256, |byte| usize::from(*byte))]
}

/// The end of some digits.
#[inline]
fn run(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// The end of a number up to 255.
#[inline]
fn octet(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let digit = |at: usize| rest.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|it| *it < 10);
    let hundreds = digit(0)?;
    let Some(tens) = digit(1) else { return Some(at + 1) };
    if hundreds == 0 {
        return None;
    }
    let Some(ones) = digit(2) else { return Some(at + 2) };
    let value = u32::from(hundreds) * 100 + u32::from(tens) * 10 + u32::from(ones);
    (value < 256).then_some(at + 3)
}

/// Where a byte leads from a state; `None` if nowhere, or if tables do not tell.
pub fn step(token: &Token, state: u16, byte: u8) -> Option<u16> {
    let row = usize::from(state);
    let code = token.next[row + token.end_at];
    let unsure = |code: u16| token.ends[usize::from(code - END_TABLES)].contains(&Answer::Unsure);
    if token.last && code >= END_TABLES && unsure(code) {
        return None;
    }
    let next = token.next[row + usize::from(token.classes[usize::from(byte)])];
    (next > UNSURE).then_some(next)
}

/// Where each of some bytes leads from some states; `None` if one leads nowhere.
fn steps(token: &Token, states: &States, bytes: &[u8]) -> Option<States> {
    let all = states.iter().flat_map(|state| bytes.iter().map(|byte| step(token, *state, *byte)));
    all.collect()
}

/// Where one digit or more lead.
fn digits(token: &Token, states: &States) -> Option<States> {
    let mut all = steps(token, states, b"0123456789")?;
    loop {
        let more = steps(token, &all, b"0123456789")?;
        if more.is_subset(&all) {
            return Some(all);
        }
        all.extend(more);
    }
}

/// Where four numbers up to 255 lead.
fn quad(token: &Token, states: &States) -> Option<States> {
    let numbers: Vec<String> = (0..=u8::MAX).map(|number| number.to_string()).collect();
    let mut states = states.clone();
    for place in 0..4 {
        if place > 0 {
            states = steps(token, &states, b".")?;
        }
        let all = states.iter().flat_map(|state| {
            let follow = |state: u16, byte: u8| step(token, state, byte);
            numbers.iter().map(move |number| number.bytes().try_fold(*state, follow))
        });
        states = all.collect::<Option<States>>()?;
    }
    Some(states)
}

impl Token {
    /// For each byte whether a walk that came to any of these states ends before it.
    pub(super) fn ends_behind(&self, states: &States) -> Ends {
        Box::new(std::array::from_fn(|byte| {
            states.iter().all(|state| {
                let row = usize::from(*state);
                let class = self.classes.get(byte).copied();
                let on = class.map_or(DEAD, |class| self.next[row + usize::from(class)]);
                on == DEAD && self.says(self.next[row + self.end_at], byte) == Answer::Yes
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Ecs, Grok, Options, Outcome, Scratch};

    #[test]
    fn numbers_and_addresses_end_where_the_tables_say() {
        let ends = |name: &str, text: &str| {
            let pattern = [format!("^%{{{name}:a}} ")];
            let grok = Grok::compile(&pattern, &[], Ecs::V1, Options::default()).unwrap();
            let mut scratch = Scratch::default();
            match grok.find(&mut scratch, text.as_bytes()) {
                Outcome::Match(found) => grok.captures(&found, &scratch).next().map(|it| it.end),
                _ => None,
            }
        };
        for (name, text, end) in [
            ("NUMBER", "12.5 ", Some(4)),
            ("NUMBER", "-12 ", Some(3)),
            ("NUMBER", "12. ", None),
            ("NUMBER", "+.5 ", Some(3)),
            ("NUMBER", "1.2.3 ", None),
            ("NUMBER", "- ", None),
            ("IPV4", "10.20.30.255 ", Some(12)),
            ("IPV4", "1.2.3.4 ", Some(7)),
            ("IPV4", "1.2.3.256 ", None),
            ("IPV4", "1.2.3.4.5 ", None),
            ("IPV4", "1234567 ", None),
            ("IPORHOST", "10.20.30.40. ", Some(12)),
            ("IPORHOST", "1.2.3.4x ", Some(8)),
            ("IPORHOST", "1.2.3. ", Some(6)),
            ("IPORHOST", "1234567 ", Some(7)),
            ("IPORHOST", "1.2..4 ", None),
        ] {
            assert_eq!(ends(name, text), end, "{name} {text:?}");
        }
    }
}
