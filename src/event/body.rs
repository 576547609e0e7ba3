//! A buffer that documents are written into: cheaper to append to than a vector, for many short texts.
//!
//! Is: a vector whose length runs ahead of what was written. In: bytes. Out: the vector, cut to what was written.
//! Promises: a text is copied in blocks of a fixed size, a few instructions each, of which the next text overwrites
//! what is too much. On failure: nothing can fail; it grows.

/// Bytes that are copied at once.
pub(super) const BLOCK: usize = 32;
/// Most bytes that are copied in blocks.
const BLOCKS: usize = 64;
/// Bytes of room made at first: most documents.
const ROOM: usize = 1024;

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
    #[inline]
    pub(super) fn put_integer(&mut self, n: i64) {
        let Some(target) =
            self.bytes.get_mut(self.at..).and_then(|rest| rest.first_chunk_mut::<4>())
        else {
            return self.append(itoa::Buffer::new().format(n).as_bytes());
        };
        // The short ones, which most are, digit by digit.
        let digit = |n: i64| b'0' + (n % 10) as u8;
        let length = match n {
            0..=9 => {
                target[0] = digit(n);
                1
            }
            10..=99 => {
                (target[0], target[1]) = (digit(n / 10), digit(n));
                2
            }
            100..=999 => {
                (target[0], target[1], target[2]) = (digit(n / 100), digit(n / 10), digit(n));
                3
            }
            _ => return self.append(itoa::Buffer::new().format(n).as_bytes()),
        };
        self.at += length;
    }

    /// Appends any bytes.
    #[inline(never)]
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        if end > self.bytes.len() {
            self.bytes.resize(end + ROOM, 0);
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for n in (-1100..11_000).chain([i64::MIN, i64::MAX]) {
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
