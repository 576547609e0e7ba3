//! Names of secrets, and the values behind them in a text.
//!
//! In: names. Out: whether a field's name is one of them, and where in a text their values are.
//! A name is also recognised at the end of a longer one (`db_password`), in any case, and with or
//! without `-` and `_` (`api_key`, `apiKey`, `api-key`): rather too much goes than too little.

use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

use super::extent::{Opening, extent};
use super::ranges::Secret;

/// Names of secrets.
#[derive(Clone)]
pub(super) struct Keys {
    names: Vec<Name>,
    /// Whether a name ends with this byte (lower case).
    ends: [bool; 256],
    alternatives: String,
    /// Finds where a name stands.
    places: Regex,
}

/// One name.
#[derive(Clone)]
struct Name {
    /// Lower case, without `-` and `_`.
    bare: Box<[u8]>,
    /// What stands between `-` and `_`, one of which may stand there or not.
    parts: Vec<Box<[u8]>>,
}

/// Names looked at within one value, so that the time stays linear.
const INSIDE_MAX: usize = 8;

impl Keys {
    /// Prepares names, none of them empty.
    pub(super) fn new(names: &[&str]) -> Result<Keys, String> {
        let alternatives: Vec<String> = names.iter().map(|name| alternative(name)).collect();
        let alternatives = alternatives.join("|");
        let mut builder = RegexBuilder::new(&format!("(?i:{alternatives})"));
        let built = builder.unicode(false).size_limit(64 << 20).build();
        let places = built.map_err(|error| error.to_string())?;
        let names: Vec<Name> = names.iter().map(|name| Name::new(name)).collect();
        let mut ends = [false; 256];
        for last in names.iter().filter_map(|name| name.bare.last()) {
            ends[usize::from(*last)] = true;
        }
        Ok(Keys { names, ends, alternatives, places })
    }

    /// The names as alternatives of a pattern that ignores case.
    pub(super) fn alternatives(&self) -> &str {
        &self.alternatives
    }

    /// Whether a field's name is one of these, or ends with one.
    pub(super) fn name(&self, name: &[u8]) -> bool {
        let Some(last) = name.last() else { return false };
        if !self.ends[usize::from(last.to_ascii_lowercase())] && !matches!(last, b'-' | b'_') {
            return false;
        }
        self.names.iter().any(|known| ends_with(name, &known.bare))
    }

    /// Finds the values behind names in a text. `marks`, where they are known: every name begins in one of them.
    pub(super) fn find(
        &self,
        text: &[u8],
        marks: Option<&[(usize, usize)]>,
        secrets: &mut Vec<Secret>,
    ) {
        let (mut from, mut reach, mut inside) = (0, 0, 0);
        while let Some(opening) = self.opening(text, marks, from) {
            from = opening.sign.end;
            if let Some(secret) = extent(text, &opening) {
                inside = if opening.name.start < reach { inside + 1 } else { 0 };
                reach = reach.max(secret.span.end);
                // A bare value can be another name, whose value reaches further: `token: key="a b"`, `"token": key: a`.
                let is_closed = matches!(text[secret.span.start], b'{' | b'[');
                if inside >= INSIDE_MAX {
                    // Whose value reaches how far is not told any more: all of the rest goes.
                    return secrets.push(Secret::plain(secret.span.start..text.len()));
                }
                if is_closed && !secret.quote.is_empty() {
                    from = from.max(reach);
                }
                secrets.push(secret);
            }
        }
    }

    /// The first name with a sign behind it.
    fn opening(
        &self,
        text: &[u8],
        marks: Option<&[(usize, usize)]>,
        from: usize,
    ) -> Option<Opening> {
        let mut from = from;
        loop {
            if let Some(marks) = marks {
                from = from.max(marks.iter().find(|(_, end)| from < *end)?.0);
            }
            let start = self.places.find_at(text, from)?.start();
            let found = self.names.iter().find_map(|name| sign(text, name.end(text, start)?));
            if let Some((quote, sign)) = found {
                return Some(Opening { name: start..sign.start, quote, sign });
            }
            // Another name may begin within this one.
            from = start + 1;
        }
    }
}

impl Name {
    fn new(name: &str) -> Name {
        let parts = name.trim().split(['-', '_']);
        Name { bare: bare(name), parts: parts.map(|part| part.as_bytes().into()).collect() }
    }

    /// Where the name ends if it stands here. No part begins with `-` or `_`, so one that is there belongs to the name.
    fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let mut at = start;
        for (number, part) in self.parts.iter().enumerate() {
            at += usize::from(number > 0 && matches!(text.get(at), Some(b'-' | b'_')));
            let found = text.get(at..at + part.len())?;
            at += part.len();
            if !found.eq_ignore_ascii_case(part) {
                return None;
            }
        }
        Some(at)
    }
}

/// Between a name and its value: the name's closing quote, blanks, and the sign, which is what is given, with the
/// quote. A quote may be escaped or URL-encoded, also several times, and so may a sign.
fn sign(text: &[u8], at: usize) -> Option<(Range<usize>, Range<usize>)> {
    let signed = |end: usize| {
        let blanks = text[end..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let start = end + blanks;
        let length = match &text[start..] {
            [b'=', b'>' | b'=', ..] | [b':', b'=', ..] => 2,
            [b'=' | b':', ..] => 1,
            rest => encoded(rest, |last| matches!(last, [b'3', b'a' | b'A' | b'd' | b'D']))?,
        };
        Some(start..start + length)
    };
    let quoted = quote(&text[at..]).map(|length| at..at + length);
    let behind = quoted.and_then(|quote| signed(quote.end).map(|sign| (quote, sign)));
    behind.or_else(|| signed(at).map(|sign| (0..0, sign)))
}

/// The length of a quote that the text begins with.
fn quote(text: &[u8]) -> Option<usize> {
    let escapes = text.iter().take_while(|b| **b == b'\\').count();
    match text.get(escapes) {
        Some(b'"' | b'\'') => Some(escapes + 1),
        _ => encoded(text, |last| matches!(last, b"22" | b"27")),
    }
}

/// The length of a URL-encoded byte, which may be encoded again and again, if it is one of these.
fn encoded(text: &[u8], is: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let rest = text.strip_prefix(b"%")?;
    let again = rest.chunks_exact(2).take_while(|pair| *pair == b"25").count() * 2;
    rest.get(again..again + 2).is_some_and(is).then_some(again + 3)
}

/// `api_key` as `api[-_]?key`; signs that mean something in patterns are escaped.
fn alternative(name: &str) -> String {
    let parts = name.trim().split(['-', '_']).map(regex::escape);
    parts.collect::<Vec<_>>().join("[-_]?")
}

fn bare(name: &str) -> Box<[u8]> {
    let kept = name.trim().bytes().filter(|b| !matches!(b, b'-' | b'_'));
    kept.map(|b| b.to_ascii_lowercase()).collect()
}

/// Whether a name ends with a bare one; `-` and `_` do not count.
fn ends_with(name: &[u8], bare: &[u8]) -> bool {
    let mut rest = name.iter().rev().filter(|b| !matches!(b, b'-' | b'_'));
    bare.iter().rev().all(|wanted| rest.next().is_some_and(|b| b.to_ascii_lowercase() == *wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a regular expression says that is written as the words of this file's head are.
    #[test]
    fn names_and_their_signs_are_where_a_regular_expression_finds_them() {
        const SIGN: &str = r#"(\\*["']|%(?:25)*2[27])?[ \t]*(=>|:=|==?|:|%(?:25)*3[ad])"#;
        let names = ["api_key", "pass", "password", "ssn", "_n-", "token", "ken"];
        let keys = Keys::new(&names).unwrap();
        let mut builder = RegexBuilder::new(&format!("(?i)(?:{}){SIGN}", keys.alternatives()));
        let judge = builder.unicode(false).build().unwrap();
        let pieces = [
            "api", "_", "-", "key", "KEY", "pass", "word", "ssn", "to", "ken", "n", "=", "=>", ":",
            ":=", "==", "%", "3", "d", "A", "25", "2", "7", "22", "\"", "'", "\\", " ", "\t", "x",
            "é",
        ];
        let (mut random, mut found) = (1_u64, 0);
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..12 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(random >> 33) as usize % pieces.len()]);
            }
            let expected = judge.captures(text.as_bytes()).map(|groups| {
                let (all, sign) = (groups.get(0).unwrap(), groups.get(2).unwrap());
                let quote = groups.get(1).map_or(0..0, |quote| quote.range());
                (all.start()..sign.start(), quote, sign.range())
            });
            let opening = keys.opening(text.as_bytes(), None, 0);
            let opening = opening.map(|found| (found.name, found.quote, found.sign));
            assert_eq!(opening, expected, "{text:?}");
            found += usize::from(expected.is_some());
        }
        assert!(found > 10_000, "{found}");
    }
}
