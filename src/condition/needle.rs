//! A text to be looked for in short texts: a field of a line.
//!
//! Is: two bytes of the text, the rarest of it, compared at sixteen places at once; only where both stand is the rest
//! compared. In: any bytes. Out: where the text is first. Promises: the answer of [`memchr::memmem`], linear time but
//! for texts that hold both bytes again and again, where it costs the text's length for each place.
//! On failure: nothing can fail; long texts go to [`memchr::memmem`], whose choice of a search costs more than
//! a short search.

use memchr::memmem::Finder;
use wide::u8x16;

/// Places that are looked at at once.
const LANES: usize = 16;
/// From so many bytes on the wider search pays for its call.
const LONG: usize = 512;

/// A text to be looked for.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    finder: Finder<'static>,
    /// The two rarest bytes, and where they are in the text.
    rare: [(usize, u8x16); 2],
}

impl Needle {
    /// A text.
    pub(super) fn new(text: &[u8]) -> Needle {
        let mut places: Vec<usize> = (0..text.len()).collect();
        places.sort_by_key(|at| std::cmp::Reverse(rarity(text[*at])));
        let rare = |number: usize| {
            let at = places.get(number).or(places.first()).copied().unwrap_or(0);
            (at, u8x16::splat(text.get(at).copied().unwrap_or(0)))
        };
        Needle { rare: [rare(0), rare(1)], finder: Finder::new(text).into_owned() }
    }

    /// The text.
    pub(super) fn text(&self) -> &[u8] {
        self.finder.needle()
    }

    /// Where it stands first.
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        // So many places at which it can begin.
        let places = (text.len() + 1).checked_sub(self.text().len())?;
        if !(LANES..LONG).contains(&places) || self.text().is_empty() {
            return self.finder.find(text);
        }
        let row = |(at, _): (usize, u8x16)| &text[at..at + places];
        let (firsts, seconds) = (row(self.rare[0]), row(self.rare[1]));
        let blocks = firsts.as_chunks().0.iter().zip(seconds.as_chunks().0).enumerate();
        for (number, (first, second)) in blocks {
            let found = self.among(text, number * LANES, (first, second));
            if found.is_some() {
                return found;
            }
        }
        // The last places are looked at together with some before them, which are known not to have it.
        let last = (firsts.last_chunk()?, seconds.last_chunk()?);
        self.among(text, places - LANES, last)
    }

    /// The first of sixteen places at which it stands; given are the bytes that lie as far behind them as the rare ones
    /// do in it.
    #[inline]
    fn among(
        &self,
        text: &[u8],
        from: usize,
        (first, second): (&[u8; LANES], &[u8; LANES]),
    ) -> Option<usize> {
        let same = |lane: &[u8; LANES], byte: u8x16| u8x16::new(*lane).simd_eq(byte);
        let [(_, one), (_, other)] = self.rare;
        let mut bits = (same(first, one) & same(second, other)).to_bitmask();
        while bits != 0 {
            let at = from + bits.trailing_zeros() as usize;
            if text[at..].starts_with(self.text()) {
                return Some(at);
            }
            bits &= bits - 1;
        }
        None
    }
}

/// How seldom a byte is in lines of logs, about.
fn rarity(byte: u8) -> u8 {
    match byte {
        b' ' | b'a' | b'e' | b'i' | b'n' | b'o' | b'r' | b's' | b't' => 0,
        b'a'..=b'z' | b'0'..=b'9' | b'.' | b':' | b'-' | b'/' | b'"' => 1,
        b'A'..=b'Z' | b',' => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]
        #[test]
        fn a_text_is_found_where_it_stands(
            wanted in "[ab=]{0,9}",
            text in "[ab=]{0,80}",
            before in prop::sample::select(vec![0_usize, 0, 1, 15, 16, 470, 600]),
        ) {
            let text = [&vec![b'-'; before][..], text.as_bytes()].concat();
            let truth = memchr::memmem::find(&text, wanted.as_bytes());
            prop_assert_eq!(Needle::new(wanted.as_bytes()).find(&text), truth);
        }
    }
}
