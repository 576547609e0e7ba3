//! A text to be looked for.
//!
//! In: a text. Out: where it is next. Promises: the answer of comparing at each place; one byte is found without the
//! call that a longer text costs. On failure: `None`.

use super::scout::Scout;
use memchr::memmem::Finder;

/// A text to be looked for.
#[derive(Clone, Debug)]
pub enum Spot {
    /// One byte.
    Byte([u8; 1], Scout),
    /// More.
    Text(Box<Finder<'static>>),
}

impl Spot {
    /// A text.
    pub fn new(text: &[u8]) -> Self {
        match text {
            [byte] => Self::Byte([*byte], Scout::byte(*byte)),
            text => Self::Text(Box::new(Finder::new(text).into_owned())),
        }
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        match self {
            Self::Byte(byte, _) => byte,
            Self::Text(finder) => finder.needle(),
        }
    }

    /// The first place from here on where the text stands.
    #[inline]
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        match self {
            Self::Byte(_, scout) => scout.find(text, from),
            Self::Text(finder) => finder.find(text.get(from..)?).map(|found| from + found),
        }
    }
}

/// How seldom a text is in lines of logs, about: each byte by itself.
pub fn rarity(text: &[u8]) -> u32 {
    let byte = |byte: &u8| match byte {
        b' ' => 1,
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b':' | b'-' | b'/' => 2,
        b'A'..=b'Z' | b',' | b'=' | b'"' | b'_' | b'(' | b')' => 4,
        _ => 5,
    };
    text.iter().map(byte).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_where_it_stands() {
        for wanted in [&b"a"[..], b"ab", b"-ab", b"aab", b"abab", b""] {
            let spot = Spot::new(wanted);
            for len in [0, 1, 2, 3, 7, 15, 16, 17, 40, 31, 32, 33, 100] {
                for number in 0..64_usize {
                    let letter = |at: usize| b"ab-"[(at * at + number * at + number) % 7 % 3];
                    let text: Vec<u8> = (0..len).map(letter).collect();
                    for from in [0, 1, len / 2, len] {
                        let truth = (from..=len).find(|at| text[*at..].starts_with(wanted));
                        let truth = truth.filter(|_| from <= len);
                        assert_eq!(spot.find(&text, from), truth, "{wanted:?} {text:?} {from}");
                    }
                }
            }
        }
    }
}
