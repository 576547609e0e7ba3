//! A set of characters, kept so that ASCII is exact and cheap and the rest is shared.
//!
//! In: ranges of `regex-syntax`. Out: [`CharSet`], with the set operations the compiler needs.
//! Promises: equal sets are equal values, so tables can be shared.
//! On failure: nothing here fails.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use std::sync::Arc;

/// The part of a set outside ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wide {
    /// No character outside ASCII.
    None,
    /// Every character outside ASCII.
    All,
    /// These inclusive ranges, sorted and apart.
    Ranges(Arc<[(u32, u32)]>),
}

/// A set of Unicode characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CharSet {
    /// One bit for each ASCII character.
    pub ascii: u128,
    /// The rest.
    pub wide: Wide,
}

impl CharSet {
    /// The set with nothing in it.
    pub const EMPTY: Self = Self { ascii: 0, wide: Wide::None };
    /// The set with everything in it.
    pub const ALL: Self = Self { ascii: u128::MAX, wide: Wide::All };

    /// The set of one character.
    pub fn of(c: char) -> Self {
        Self::from_class(&ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
    }

    /// Takes over a class of `regex-syntax`.
    pub fn from_class(class: &ClassUnicode) -> Self {
        let (mut ascii, mut wide) = (0u128, Vec::new());
        for range in class.ranges() {
            let (start, end) = (u32::from(range.start()), u32::from(range.end()));
            for c in start..=end.min(127) {
                ascii |= 1 << c;
            }
            if end > 127 {
                wide.push((start.max(128), end));
            }
        }
        // The gap of the surrogates is no gap between characters.
        let all = matches!(wide[..], [(128, 0x10_FFFF)])
            || matches!(wide[..], [(128, 0xD7FF), (0xE000, 0x10_FFFF)]);
        let wide = match wide.is_empty() {
            true => Wide::None,
            false if all => Wide::All,
            false => Wide::Ranges(wide.into()),
        };
        Self { ascii, wide }
    }

    /// The same set as a class of `regex-syntax`.
    pub fn to_class(&self) -> ClassUnicode {
        let mut class = ClassUnicode::empty();
        for byte in 0..128u8 {
            if self.has_ascii(byte) {
                class.push(ClassUnicodeRange::new(char::from(byte), char::from(byte)));
            }
        }
        match &self.wide {
            Wide::None => {}
            Wide::All => class.push(ClassUnicodeRange::new('\u{80}', char::MAX)),
            Wide::Ranges(ranges) => {
                for &(start, end) in ranges.iter() {
                    if let (Some(start), Some(end)) = (char::from_u32(start), char::from_u32(end)) {
                        class.push(ClassUnicodeRange::new(start, end));
                    }
                }
            }
        }
        class
    }

    /// Whether an ASCII byte is in the set.
    pub fn has_ascii(&self, byte: u8) -> bool {
        byte < 128 && self.ascii >> byte & 1 == 1
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.ascii == 0 && self.wide == Wide::None
    }

    /// What is in either set.
    pub fn union(&self, other: &Self) -> Self {
        let ascii = self.ascii | other.ascii;
        let wide = match (&self.wide, &other.wide) {
            (Wide::All, _) | (_, Wide::All) => Wide::All,
            (Wide::None, wide) | (wide, Wide::None) => wide.clone(),
            (a, b) if a == b => a.clone(),
            _ => {
                let mut class = self.to_class();
                class.union(&other.to_class());
                Self::from_class(&class).wide
            }
        };
        Self { ascii, wide }
    }

    /// What is in both sets.
    pub fn intersect(&self, other: &Self) -> Self {
        let ascii = self.ascii & other.ascii;
        let wide = match (&self.wide, &other.wide) {
            (Wide::None, _) | (_, Wide::None) => Wide::None,
            (Wide::All, wide) | (wide, Wide::All) => wide.clone(),
            (a, b) if a == b => a.clone(),
            _ => {
                let mut class = self.to_class();
                class.intersect(&other.to_class());
                Self::from_class(&class).wide
            }
        };
        Self { ascii, wide }
    }

    /// What is not in the set.
    pub fn negate(&self) -> Self {
        let wide = match &self.wide {
            Wide::None => Wide::All,
            Wide::All => Wide::None,
            Wide::Ranges(_) => {
                let mut class = self.to_class();
                class.negate();
                Self::from_class(&class).wide
            }
        };
        Self { ascii: !self.ascii, wide }
    }

    /// Whether no character is in both sets.
    pub fn disjoint(&self, other: &Self) -> bool {
        self.intersect(other).is_empty()
    }

    /// The set with every character in both cases.
    pub fn fold(&self) -> Self {
        let mut class = self.to_class();
        // Without the tables of folding nothing is added, which is the best that can be done.
        let _ = class.try_case_fold_simple();
        Self::from_class(&class)
    }

    /// The ASCII byte that is the whole set, if it is one.
    pub fn single(&self) -> Option<u8> {
        let one = self.ascii.is_power_of_two() && self.wide == Wide::None;
        one.then(|| self.ascii.trailing_zeros() as u8)
    }
}
