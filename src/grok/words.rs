//! Bytes in a row, each out of a set of its own, checked sixteen or eight at a time.
//!
//! In: sets of ASCII bytes. Out: [`Words`], which tells whether a text goes so. Promises: the answer of asking for each
//! byte by itself; nothing behind the last byte is looked at, unless the text is long enough.
//! On failure: `None` for a set that has more ranges than one pass can check.

use wide::u8x16;

/// So many ranges may a byte's set have.
const MAX_RANGES: usize = 4;
/// The high bit of each byte of a word.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Bytes in a row.
#[derive(Clone, Debug)]
pub struct Words {
    /// How many bytes.
    pub len: usize,
    /// Where there are at least sixteen bytes; else eight at a time.
    lanes: Vec<Lane>,
    eights: Vec<Word>,
}

/// Sixteen bytes.
#[derive(Clone, Debug)]
struct Lane {
    at: usize,
    /// For each byte the least of a range and how many more there are; further ranges behind.
    range: (u8x16, u8x16),
    more: Box<[(u8x16, u8x16)]>,
}

impl Lane {
    /// The first sixteen of some bytes; a byte that has fewer ranges than another has its first one again.
    fn new(at: usize, ranges: &[Vec<(u8, u8)>]) -> Option<Self> {
        let most = ranges.iter().take(16).map(Vec::len).max()?;
        let mut layers = (0..most).map(|layer| {
            let (mut least, mut span) = ([0; 16], [0; 16]);
            for (at, ranges) in ranges.iter().take(16).enumerate() {
                let (from, to) = *ranges.get(layer).or(ranges.first())?;
                (least[at], span[at]) = (from, to - from);
            }
            Some((u8x16::new(least), u8x16::new(span)))
        });
        let range = layers.next()??;
        Some(Self { at, range, more: layers.collect::<Option<_>>()? })
    }

    /// Whether the text goes so; `None` for a text with bytes outside ASCII.
    #[inline]
    fn holds(&self, window: &[u8]) -> Option<bool> {
        let bytes = u8x16::new(*window.get(self.at..)?.first_chunk::<16>()?);
        let within = |(least, span): &(u8x16, u8x16)| {
            let above = bytes - *least;
            above.min(*span).simd_eq(above)
        };
        let mut all = within(&self.range);
        for range in &self.more {
            all |= within(range);
        }
        if all.to_bitmask() == 0xFFFF {
            return Some(true);
        }
        (bytes.to_bitmask() == 0).then_some(false)
    }
}

/// Eight bytes.
#[derive(Clone, Debug)]
struct Word {
    at: usize,
    /// The one range that the bytes are in, or the first of several.
    range: Range,
    more: Box<[Range]>,
}

/// A range for each of eight bytes.
#[derive(Clone, Copy, Debug)]
struct Range {
    /// To be added so that what is at least the least sets the high bit.
    least: u64,
    /// To be added so that what is above the most sets the high bit.
    most: u64,
}

impl Range {
    /// The high bit of each byte that is within its range; all bytes of the word are below 128.
    #[inline]
    fn within(self, word: u64) -> u64 {
        word.wrapping_add(self.least) & !word.wrapping_add(self.most)
    }
}

impl Words {
    /// Bytes of these sets, a bit for each ASCII byte.
    pub fn new(sets: &[u128]) -> Option<Self> {
        let ranges: Option<Vec<Vec<(u8, u8)>>> = sets.iter().map(|set| ranges(*set)).collect();
        let (ranges, len) = (ranges?, sets.len());
        if len >= 16 {
            let places = (0..len).step_by(16).map(|at| at.min(len - 16));
            let lanes: Option<_> = places.map(|at| Lane::new(at, &ranges[at..])).collect();
            return Some(Self { len, lanes: lanes?, eights: Vec::new() });
        }
        let (mut eights, mut begin) = (Vec::new(), 0);
        while begin < len {
            // The last word overlaps the one before, so that nothing behind the last byte is looked at.
            let at = if begin + 8 > len { len.saturating_sub(8) } else { begin };
            let most = ranges[at..].iter().take(8).map(Vec::len).max().unwrap_or(1);
            let mut layers = (0..most).map(|layer| Range::layer(&ranges[at..], layer));
            let range = layers.next()?;
            eights.push(Word { at, range, more: layers.collect() });
            begin = at + 8;
        }
        Some(Self { len, lanes: Vec::new(), eights })
    }

    /// Whether the text goes so at a place; `None` where it is too near the text's end to tell in this way, or a byte
    /// outside ASCII is among the bytes looked at.
    #[inline]
    pub fn hold(&self, text: &[u8], at: usize) -> Option<bool> {
        let window = text.get(at..at + self.len.max(8))?;
        for lane in &self.lanes {
            match lane.holds(window) {
                Some(true) => {}
                other => return other,
            }
        }
        for word in &self.eights {
            let bytes = window.get(word.at..word.at + 8)?;
            let bytes = u64::from_le_bytes(bytes.try_into().ok()?);
            if bytes & HIGH != 0 {
                return None;
            }
            let mut within = word.range.within(bytes);
            for range in &word.more {
                within |= range.within(bytes);
            }
            if within & HIGH != HIGH {
                return Some(false);
            }
        }
        Some(true)
    }
}

impl Range {
    /// The ranges of this number of the first eight bytes; a byte that has no such range has an empty one, and one
    /// that is not asked for at all takes everything.
    fn layer(ranges: &[Vec<(u8, u8)>], layer: usize) -> Self {
        let (mut least, mut most) = ([0x80; 8], [0; 8]);
        for (at, ranges) in ranges.iter().take(8).enumerate() {
            (least[at], most[at]) = match ranges.get(layer) {
                Some((from, to)) => (128 - from, 127 - to),
                None => (0, 0),
            };
        }
        Self { least: u64::from_le_bytes(least), most: u64::from_le_bytes(most) }
    }
}

/// The ranges of a set.
fn ranges(set: u128) -> Option<Vec<(u8, u8)>> {
    let (mut ranges, mut byte) = (Vec::new(), 0u8);
    while byte < 128 {
        let start = byte;
        while byte < 128 && set >> byte & 1 == 1 {
            byte += 1;
        }
        if byte > start {
            ranges.push((start, byte - 1));
        }
        byte += 1;
    }
    (!ranges.is_empty() && ranges.len() <= MAX_RANGES).then_some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *state >> 24
    }

    /// Sets of one to four ranges, and their opposites.
    fn set(state: &mut u64) -> u128 {
        let mut set = 0u128;
        for _ in 0..=random(state) % 4 {
            let (a, b) = (random(state) % 128, random(state) % 128);
            (a.min(b)..=a.max(b)).for_each(|byte| set |= 1 << byte);
        }
        if random(state).is_multiple_of(3) { !set } else { set }
    }

    fn text(state: &mut u64, sets: &[u128]) -> Vec<u8> {
        let pick = |state: &mut u64, set: u128| {
            let byte = (0..300).map(|_| random(state) as u8 & 127).find(|b| set >> b & 1 == 1);
            byte.unwrap_or(b'a')
        };
        let mut text: Vec<u8> = sets.iter().map(|set| pick(state, *set)).collect();
        for _ in 0..random(state) % 3 {
            let at = random(state) as usize % (text.len() + 1);
            text.insert(at, random(state) as u8);
        }
        text
    }

    #[test]
    fn words_say_what_each_byte_says() {
        let (mut state, mut told) = (7, 0);
        for _ in 0..200_000 {
            let sets: Vec<u128> = (0..=random(&mut state) % 20).map(|_| set(&mut state)).collect();
            let text = text(&mut state, &sets);
            let has = |set: u128, byte: u8| byte < 128 && set >> byte & 1 == 1;
            let truth = text.len() >= sets.len()
                && sets.iter().zip(&text).all(|(set, byte)| has(*set, *byte));
            if let Some(holds) = Words::new(&sets).and_then(|words| words.hold(&text, 0)) {
                assert_eq!(holds, truth, "{sets:x?} {text:?}");
                told += 1;
            }
        }
        assert!(told > 50_000, "{told}");
    }
}
