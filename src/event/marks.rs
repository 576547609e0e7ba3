//! Where a text holds what a JSON string must escape: quotes, backslashes, control characters.
//!
//! Is: one bit for each byte of a batch's text, made 64 bytes at a time with vector instructions. In: the text, which
//! only ever grows at its end. Out: the next such byte, and whether a part of the text has none. Promises: each byte
//! is looked at once, by whoever needs it first: the reader of JSON, or the writer of documents.
//! On failure: nothing can fail; what is not covered yet counts as not known to be plain.

use wide::u8x16;

/// Bytes to a word of bits.
pub(super) const WORD: usize = 64;

/// The marks of one text.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    words: Vec<u64>,
    covered: usize,
}

impl Marks {
    /// Forgets the text.
    pub(super) fn clear(&mut self) {
        self.words.clear();
        self.covered = 0;
    }

    /// Forgets what is behind so many whole words of bytes.
    pub(super) fn back_to(&mut self, bytes: usize) {
        self.words.truncate(bytes / WORD);
        self.covered = self.covered.min(bytes);
    }

    /// Bytes of the text whose marks are known.
    pub(super) fn covered(&self) -> usize {
        self.covered
    }

    /// Takes in what was added to the text since the last call.
    pub(super) fn cover(&mut self, text: &[u8]) {
        if self.covered == text.len() {
            return;
        }
        let whole = self.covered / WORD;
        self.words.truncate(whole);
        let (blocks, rest) = text[whole * WORD..].as_chunks::<WORD>();
        self.words.extend(blocks.iter().map(marks_of));
        if !rest.is_empty() {
            let mut last = [b' '; WORD];
            last[..rest.len()].copy_from_slice(rest);
            self.words.push(marks_of(&last));
        }
        self.covered = text.len();
    }

    /// The first marked byte from `from` on.
    #[inline]
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let mut at = from / WORD;
        let mut word = *self.words.get(at)? >> (from % WORD) << (from % WORD);
        while word == 0 {
            at += 1;
            word = *self.words.get(at)?;
        }
        Some(at * WORD + word.trailing_zeros() as usize)
    }

    /// As [`Marks::is_plain`] for fewer than 64 bytes; `false` also where the text's last words are asked for.
    #[inline]
    pub(super) fn is_short_plain(&self, from: usize, length: usize) -> bool {
        let at = from / WORD;
        let Some([first, second]) = self.words.get(at..).and_then(|rest| rest.first_chunk()) else {
            return false;
        };
        let bits = *first >> (from % WORD) | *second << 1 << (WORD - 1 - from % WORD);
        let asked = !(u64::MAX << (length % WORD));
        bits & asked == 0 && length < WORD && from + length <= self.covered
    }

    /// Whether `from..to` is known to have no mark.
    #[inline]
    pub(super) fn is_plain(&self, from: usize, to: usize) -> bool {
        if to > self.covered {
            return false;
        }
        let mut at = from / WORD;
        let Some(first) = self.words.get(at) else { return true };
        let mut word = *first >> (from % WORD) << (from % WORD);
        while (at + 1) * WORD < to {
            if word != 0 {
                return false;
            }
            at += 1;
            word = self.words[at];
        }
        word == 0 || at * WORD + word.trailing_zeros() as usize >= to
    }
}

/// One bit a byte, the first byte's lowest.
#[inline]
fn marks_of(block: &[u8; WORD]) -> u64 {
    let (lanes, _) = block.as_chunks::<16>();
    let bits = |lane: &[u8; 16]| {
        let bytes = u8x16::new(*lane);
        let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        let quote = bytes.simd_eq(u8x16::splat(b'"'));
        let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
        (control | quote | backslash).to_bitmask()
    };
    lanes.iter().rev().fold(0, |word, lane| word << 16 | u64::from(bits(lane) as u16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn special(byte: u8) -> bool {
        byte < 0x20 || byte == b'"' || byte == b'\\'
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255 {
            for at in 0..WORD {
                let mut block = [b'a'; WORD];
                block[at] = byte;
                assert_eq!(marks_of(&block), u64::from(special(byte)) << at, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_growing_text_gives_what_looking_at_it_gives() {
        let mut text = Vec::new();
        let mut marks = Marks::default();
        let mut state = 7_u32;
        for step in 0..200 {
            for _ in 0..step % 23 {
                state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
                text.push(if (state >> 16).is_multiple_of(32) {
                    b'"'
                } else {
                    b'a' + (state >> 24 & 15) as u8
                });
            }
            marks.cover(&text);
            assert_eq!(marks.covered(), text.len());
            for from in [0, text.len() / 3, text.len() / 2, text.len()] {
                let expected = (from..text.len()).find(|at| special(text[*at]));
                assert_eq!(marks.next(from), expected);
                let near = (from + 17).min(text.len());
                for to in [from, near, from + (text.len() - from) / 2, text.len()] {
                    assert_eq!(marks.is_plain(from, to), expected.is_none_or(|at| at >= to));
                    let known = to - from < WORD && from / WORD + 1 < marks.words.len();
                    let short = known && marks.is_plain(from, to);
                    assert_eq!(marks.is_short_plain(from, to - from), short);
                }
            }
            assert!(!marks.is_plain(0, text.len() + 1), "what is not covered is not known");
        }
        marks.clear();
        assert_eq!(marks.next(0), None);
    }
}
