//! A text to be looked for.
//!
//! In: a text. Out: where it is next. Promises: the answer of comparing at each place; one byte is found without the
//! call that a longer text costs. On failure: `None`.

use super::program::Literal;
use super::scout::Scout;
use memchr::memmem::Finder;
use wide::u8x16;

/// So many times sixteen bytes are looked at before a search by wider instructions pays for its call.
const NEAR: usize = 6;

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

/// A text that is mostly found within the next few bytes, as what ends a field is.
#[derive(Clone, Debug)]
pub struct Pair {
    literal: Literal,
    /// Its first byte and its last one, and how far apart they are.
    first: u8x16,
    last: u8x16,
    apart: usize,
    finder: Box<Finder<'static>>,
}

impl Pair {
    /// A text that is not empty.
    pub fn new(text: &[u8]) -> Option<Self> {
        let (first, last) = (u8x16::splat(*text.first()?), u8x16::splat(*text.last()?));
        let finder = Box::new(Finder::new(text).into_owned());
        Some(Self { literal: Literal::new(text), first, last, apart: text.len() - 1, finder })
    }

    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.literal.bytes
    }

    /// The first place from here on where the text stands.
    #[inline]
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        for _ in 0..NEAR {
            let Some(bits) = self.bits(text, at) else { return self.find_at_end(text, at) };
            if bits != 0
                && let Some(place) = self.first_of(text, at, bits)
            {
                return Some(place);
            }
            at += 16;
        }
        self.finder.find(text.get(at..)?).map(|found| at + found)
    }

    /// The same where fewer than sixteen places are left; those before them are looked at as well, if there are any.
    fn find_at_end(&self, text: &[u8], from: usize) -> Option<usize> {
        let last = text.len().checked_sub(16 + self.apart);
        match last.and_then(|last| Some((last, self.bits(text, last)?))) {
            Some((last, bits)) => {
                self.first_of(text, from, bits.checked_shr((from - last) as u32)?)
            }
            None => (from..text.len()).find(|at| self.literal.at(text, *at).is_some()),
        }
    }

    /// At which of sixteen places from here on the text's first byte and its last one stand.
    #[inline]
    fn bits(&self, text: &[u8], at: usize) -> Option<u32> {
        let one = u8x16::new(*text.get(at..)?.first_chunk::<16>()?);
        let other = u8x16::new(*text.get(at + self.apart..)?.first_chunk::<16>()?);
        Some((one.simd_eq(self.first) & other.simd_eq(self.last)).to_bitmask())
    }

    /// The first of some places where the whole text stands.
    #[inline]
    fn first_of(&self, text: &[u8], at: usize, mut bits: u32) -> Option<usize> {
        while bits != 0 {
            let place = at + bits.trailing_zeros() as usize;
            if self.apart < 2 || self.literal.at(text, place).is_some() {
                return Some(place);
            }
            bits &= bits - 1;
        }
        None
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
            let (spot, pair) = (Spot::new(wanted), Pair::new(wanted));
            for len in [0, 1, 2, 3, 7, 15, 16, 17, 40, 31, 32, 33, 100] {
                for number in 0..64_usize {
                    let letter = |at: usize| b"ab-"[(at * at + number * at + number) % 7 % 3];
                    let text: Vec<u8> = (0..len).map(letter).collect();
                    for from in [0, 1, len / 2, len] {
                        let truth = (from..=len).find(|at| text[*at..].starts_with(wanted));
                        let truth = truth.filter(|_| from <= len);
                        assert_eq!(spot.find(&text, from), truth, "{wanted:?} {text:?} {from}");
                        if let Some(pair) = &pair {
                            let found = pair.find(&text, from);
                            assert_eq!(found, truth, "{wanted:?} {text:?} {from}");
                        }
                    }
                }
            }
        }
    }
}
