//! Finds the next byte of a set: where an attempt can begin, or one that every match has.
//!
//! In: a set of bytes, a text. Out: the first place with one of them. Promises: the answer of looking at each byte;
//! sixteen at a time where the set is a few ranges. On failure: a text without such a byte gives `None`.

use wide::u8x16;

/// Sets of more ranges are looked for byte by byte.
const MAX_RANGES: usize = 4;
/// From so many bytes on, a search for up to three bytes by wider instructions pays for its call.
const LONG: usize = 192;

/// A set of bytes to be looked for.
#[derive(Clone, Debug)]
pub struct Scout {
    table: Box<[bool; 256]>,
    /// The least of the first range and how many more there are, then those of the others.
    first: (u8x16, u8x16),
    more: Box<[(u8x16, u8x16)]>,
    /// Whether there are ranges, and not too many of them.
    ranged: bool,
    /// What a bit of the bytes within the ranges is to be changed by: whether they are those that are not looked for.
    inverted: u32,
    /// The bytes, where they are at most three.
    few: Vec<u8>,
}

impl Scout {
    /// The bytes for which a table holds.
    pub fn new(table: [bool; 256]) -> Self {
        let bytes: Vec<u8> = (0..=u8::MAX).filter(|byte| table[usize::from(*byte)]).collect();
        let others: Vec<u8> = (0..=u8::MAX).filter(|byte| !table[usize::from(*byte)]).collect();
        let (own, opposite) = (ranges(&bytes), ranges(&others));
        let inverted = opposite.len() < own.len();
        let ranges = if inverted { opposite } else { own };
        let ranged = (1..=MAX_RANGES).contains(&ranges.len());
        let first = ranges.first().copied().unwrap_or((u8x16::splat(0), u8x16::splat(0)));
        let more = ranges.get(1..).filter(|_| ranged).unwrap_or_default().into();
        let few = if bytes.len() <= 3 { bytes } else { Vec::new() };
        let inverted = if inverted { 0xFFFF } else { 0 };
        Self { table: Box::new(table), first, more, ranged, inverted, few }
    }

    /// One byte.
    pub fn byte(byte: u8) -> Self {
        let mut table = [false; 256];
        table[usize::from(byte)] = true;
        Self::new(table)
    }

    /// Whether the bytes are at most three.
    pub fn is_few(&self) -> bool {
        !self.few.is_empty()
    }

    /// The first place from here on with such a byte.
    #[inline]
    pub fn find(&self, text: &[u8], from: usize) -> Option<usize> {
        let rest = text.get(from..)?;
        let found = match (rest.first_chunk::<16>(), self.ranged) {
            (Some(lane), true) => match self.bits(*lane) {
                0 => self.find_behind(rest),
                bits => Some(bits.trailing_zeros() as usize),
            },
            (None, true) => return self.find_at_end(text, from),
            _ => rest.iter().position(|byte| self.table[usize::from(*byte)]),
        };
        found.map(|found| from + found)
    }

    /// The same where fewer than sixteen bytes are left; those before them are looked at as well, if there are any.
    #[inline]
    fn find_at_end(&self, text: &[u8], from: usize) -> Option<usize> {
        let Some(lane) = text.last_chunk::<16>() else {
            let found = text[from..].iter().position(|byte| self.table[usize::from(*byte)]);
            return found.map(|found| from + found);
        };
        let bits = self.bits(*lane) >> (from + 16 - text.len());
        (bits != 0).then(|| from + bits.trailing_zeros() as usize)
    }

    /// The same behind the first sixteen bytes, in which there is none.
    #[inline(never)]
    fn find_behind(&self, text: &[u8]) -> Option<usize> {
        if text.len() >= LONG {
            match self.few[..] {
                [a] => return memchr::memchr(a, text),
                [a, b] => return memchr::memchr2(a, b, text),
                [a, b, c] => return memchr::memchr3(a, b, c, text),
                _ => {}
            }
        }
        let (lanes, rest) = text.as_chunks::<16>();
        for (number, lane) in lanes.iter().enumerate().skip(1) {
            let bits = self.bits(*lane);
            if bits != 0 {
                return Some(number * 16 + bits.trailing_zeros() as usize);
            }
        }
        // The last sixteen overlap what was looked at, in which there is none.
        let bits = if rest.is_empty() { 0 } else { self.bits(*text.last_chunk::<16>()?) };
        (bits != 0).then(|| text.len() - 16 + bits.trailing_zeros() as usize)
    }

    /// How many such bytes a text has, as far as it is asked: whether they are at least so many.
    #[inline(never)]
    pub fn has(&self, text: &[u8], least: usize) -> bool {
        let (lanes, rest) = text.as_chunks::<16>();
        let one_by_one = |text: &[u8]| text.iter().filter(|b| self.table[usize::from(**b)]).count();
        if !self.ranged {
            return one_by_one(text) >= least;
        }
        let wide: usize = lanes.iter().map(|lane| self.bits(*lane).count_ones() as usize).sum();
        wide + one_by_one(rest) >= least
    }

    /// A bit for each byte of a lane.
    #[inline]
    fn bits(&self, lane: [u8; 16]) -> u32 {
        let bytes = u8x16::new(lane);
        let within = |(least, span): &(u8x16, u8x16)| {
            let above = bytes - *least;
            above.min(*span).simd_eq(above)
        };
        let mut all = within(&self.first);
        for range in &self.more {
            all |= within(range);
        }
        all.to_bitmask() ^ self.inverted
    }
}

/// Bytes in their order as ranges: the least of each and how many more there are.
fn ranges(bytes: &[u8]) -> Box<[(u8x16, u8x16)]> {
    let apart = bytes.chunk_by(|one, other| u16::from(*one) + 1 == u16::from(*other));
    let range = |range: &[u8]| {
        let (from, to) = (*range.first()?, *range.last()?);
        Some((u8x16::splat(from), u8x16::splat(to - from)))
    };
    apart.filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_of_a_set_is_found() {
        let sets: [&[u8]; 6] = [b"a", b"0123456789", b"[<\xFF", b"\x00\xFE\xFF", b"", b"acegik"];
        for (set, all) in sets.iter().flat_map(|set| [(set, true), (set, false)]) {
            let mut table = [!all; 256];
            set.iter().for_each(|byte| table[usize::from(*byte)] = all);
            let scout = Scout::new(table);
            for len in (0..70).chain([191, 192, 300]) {
                for place in 0..=len {
                    let mut text = vec![b'-'; len];
                    for at in [place, place + 5] {
                        if let (Some(byte), Some(target)) = (set.last(), text.get_mut(at)) {
                            *target = *byte;
                        }
                    }
                    for from in [0, place, place + 1] {
                        let byte_by_byte = (from..len).find(|at| table[usize::from(text[*at])]);
                        assert_eq!(
                            scout.find(&text, from),
                            byte_by_byte,
                            "{set:?} {text:?} {from}"
                        );
                    }
                }
            }
        }
    }
}
