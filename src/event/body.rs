//! A buffer that documents are written into: cheaper to append to than a vector, for many short texts.
//!
//! Is: a vector whose length runs ahead of what was written. In: bytes. Out: the vector, cut to what was written.
//! Promises: a text is copied in blocks of a fixed size, a few instructions each, of which the next text overwrites
//! what is too much. On failure: nothing can fail; it grows.

/// Bytes that are copied at once.
pub(super) const BLOCK: usize = 32;
/// Most bytes that are copied in blocks.
pub(super) const BLOCKS: usize = 64;
/// Bytes of room made at first: most documents.
const ROOM: usize = 1024;
/// Bytes of room made where there was none.
const MORE: usize = 2 * ROOM;
/// Bytes that a short field is written into at once: a comma, a name in quotes and a colon in the first block, then a
/// value in quotes.
pub(super) const FIELD: usize = BLOCK + VALUE;
/// Bytes of a short field's value with its quotes.
pub(super) const VALUE: usize = 2 * BLOCKS + 2;

/// Bytes that are being written at the end of a vector.
pub struct Body {
    bytes: Vec<u8>,
    at: usize,
}

impl Body {
    /// Goes on after what is in `bytes`.
    pub fn after(mut bytes: Vec<u8>) -> Body {
        let at = bytes.len();
        bytes.resize(at + ROOM, 0);
        Body { bytes, at }
    }

    /// What was written, and what was there before.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    /// Takes back what was written behind `length`.
    pub fn truncate(&mut self, length: usize) {
        self.at = self.at.min(length);
    }

    /// What was written.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.at);
        self.bytes
    }

    /// Makes room for most documents.
    #[inline]
    pub(super) fn reserve(&mut self) {
        if self.bytes.len() - self.at < ROOM {
            self.bytes.resize(self.at + MORE, 0);
        }
    }

    /// Where the next short field is written, if there is room; see [`Body::wrote`].
    #[inline]
    pub(super) fn room(&mut self) -> Option<&mut [u8; FIELD]> {
        self.bytes.get_mut(self.at..)?.first_chunk_mut()
    }

    /// So many bytes of [`Body::room`] were written.
    #[inline]
    pub(super) fn wrote(&mut self, length: usize) {
        self.at += length;
    }

    /// Appends `length` bytes of `text` from `from` on.
    #[inline]
    pub(super) fn put(&mut self, text: &[u8], from: usize, length: usize) {
        if length <= BLOCK {
            if let Some(source) = text.get(from..).and_then(|rest| rest.first_chunk::<BLOCK>())
                && let Some(target) =
                    self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<BLOCK>())
            {
                *target = *source;
                self.at += length;
                return;
            }
        } else if length <= BLOCKS
            && let Some(source) = text.get(from..).and_then(|rest| rest.first_chunk::<BLOCKS>())
            && let Some(target) =
                self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<BLOCKS>())
        {
            *target = *source;
            self.at += length;
            return;
        }
        self.append(&text[from..from + length]);
    }

    /// Appends bytes whose number is known when this is compiled.
    #[inline]
    pub(super) fn put_all<const N: usize>(&mut self, bytes: &[u8; N]) {
        match self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<N>()) {
            Some(target) => {
                *target = *bytes;
                self.at += N;
            }
            None => self.append(bytes),
        }
    }

    /// Appends a part of a text, as [`Body::put`], with one byte before it and one after it.
    #[inline]
    pub(super) fn put_between(
        &mut self,
        before: u8,
        text: &[u8],
        from: usize,
        length: usize,
        after: u8,
    ) {
        if let Some(source) = text.get(from..).and_then(|rest| rest.first_chunk::<BLOCK>())
            && let Some(target) = self
                .bytes
                .get_mut(self.at..)
                .and_then(|rest| rest.first_chunk_mut::<{ BLOCK + 2 }>())
            && length <= BLOCK
        {
            target[0] = before;
            target[1..=BLOCK].copy_from_slice(source);
            target[length + 1] = after;
            self.at += length + 2;
            return;
        }
        self.put_all(&[before]);
        self.put(text, from, length);
        self.put_all(&[after]);
    }

    /// Appends a whole number.
    pub(super) fn put_integer(&mut self, n: i64) {
        let short = self.room().and_then(|room| digits(n, room.first_chunk_mut()?));
        match short {
            Some(length) => self.at += length,
            None => self.append(itoa::Buffer::new().format(n).as_bytes()),
        }
    }

    /// Appends any bytes.
    #[inline(never)]
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if end > self.bytes.len() {
            self.bytes.resize(end + MORE, 0);
        }
        self.bytes[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// Appends what is written into the vector itself.
    pub fn append_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.truncate(self.at);
        write(&mut self.bytes);
        self.at = self.bytes.len();
        self.bytes.resize(self.at + ROOM, 0);
    }
}

/// Writes a whole number from 0 to 99,999,999; gives its length. All of its digits are found at once: halves, pairs and
/// digits share one word, the first digit lowest.
#[inline]
pub(super) fn digits(n: i64, out: &mut [u8; 8]) -> Option<usize> {
    if !(0..100_000_000).contains(&n) {
        return None;
    }
    let n = n as u64;
    let high = n / 10_000;
    let halves = high | (n - high * 10_000) << 32;
    let hundreds = (halves * 10_486) >> 20 & 0x7f_0000_007f;
    let pairs = hundreds | (halves - hundreds * 100) << 16;
    let tens = (pairs * 103) >> 10 & 0x000f_000f_000f_000f;
    let all = tens | (pairs - tens * 10) << 8;
    // The last digit is written even if it is 0.
    let leading = (all | 1 << 63).trailing_zeros() as usize / 8;
    *out = ((all >> (leading * 8)) | 0x3030_3030_3030_3030).to_le_bytes();
    Some(8 - leading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_of_the_number() {
        for n in (0..30_000).chain((0..100_000_000).step_by(4999)).chain([99_999_999]) {
            let mut out = [0; 8];
            let length = digits(n, &mut out).unwrap();
            assert_eq!(out[..length], *n.to_string().as_bytes());
        }
        assert_eq!(digits(-1, &mut [0; 8]), None);
        assert_eq!(digits(100_000_000, &mut [0; 8]), None);
    }

    #[test]
    fn what_is_put_is_what_comes_out() {
        let text: Vec<u8> = (0..=255).cycle().take(5000).collect();
        let mut expected = b"before".to_vec();
        let mut body = Body::after(expected.clone());
        for round in 0..300 {
            let (from, length) = (round * 13 % 4900, round * 7 % 100);
            body.put(&text, from, length);
            expected.extend_from_slice(&text[from..from + length]);
            body.put_all(b"xyz");
            expected.extend_from_slice(b"xyz");
            if round % 50 == 0 {
                body.append_with(|bytes| bytes.extend_from_slice(&text));
                expected.extend_from_slice(&text);
            }
        }
        let powers = (0..18).map(|n| 10_i64.pow(n)).flat_map(|n| [n - 1, n, n + 1, n * 7]);
        for n in (-1100..11_000).chain([i64::MIN, i64::MAX]).chain(powers) {
            body.put_integer(n);
            body.put_between(b'<', &text, 77, (n & 63) as usize, b'>');
            expected.extend_from_slice(n.to_string().as_bytes());
            expected.push(b'<');
            expected.extend_from_slice(&text[77..][..(n & 63) as usize]);
            expected.push(b'>');
        }
        // The end of a text, where no whole block is left.
        body.put(&text, 4990, 10);
        expected.extend_from_slice(&text[4990..]);
        assert_eq!(body.into_bytes(), expected);
    }
}
