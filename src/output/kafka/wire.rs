//! Kafka's values as bytes.
//!
//! In: values, or a reply. Out: bytes, or values. Promises: nothing is read behind the end, and what a reply says of
//! its lengths costs no more memory than it has bytes. On failure: [`Broken`], and the reply is of no use.
//!
//! Source: <https://kafka.apache.org/protocol#protocol_types> (the types of versions without tagged fields).

/// A reply that is none of Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads the values of a reply, one after another.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(reply: &'a [u8]) -> Self {
        Reader { rest: reply }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Broken)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| Broken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Broken> {
        self.take(count).map(|_| ())
    }

    pub(super) fn int16(&mut self) -> Result<i16, Broken> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    pub(super) fn int32(&mut self) -> Result<i32, Broken> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    pub(super) fn int64(&mut self) -> Result<i64, Broken> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// A text, which a reply may leave out.
    pub(super) fn nullable_string(&mut self) -> Result<Option<&'a str>, Broken> {
        let length = self.int16()?;
        if length == -1 {
            return Ok(None);
        }
        let bytes = self.take(usize::try_from(length).map_err(|_| Broken)?)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| Broken)
    }

    pub(super) fn string(&mut self) -> Result<&'a str, Broken> {
        self.nullable_string()?.ok_or(Broken)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let length = usize::try_from(self.int32()?).map_err(|_| Broken)?;
        self.take(length)
    }

    /// The number of an array's members; none (-1) is as no members.
    pub(super) fn count(&mut self) -> Result<usize, Broken> {
        match self.int32()? {
            -1 => Ok(0),
            // Each has a byte at least, so the count is bounded by what is left.
            count => usize::try_from(count).ok().filter(|n| *n <= self.rest.len()).ok_or(Broken),
        }
    }
}

pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as i16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A number in as many bytes as it needs, small ones of either sign in few (`VARINT`, `VARLONG`).
pub(super) fn write_varint(number: i64, out: &mut Vec<u8>) {
    let mut left = ((number << 1) ^ (number >> 63)) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// How many bytes [`write_varint`] writes.
pub(super) fn varint_length(number: i64) -> usize {
    let left = ((number << 1) ^ (number >> 63)) as u64;
    (64 - (left | 1).leading_zeros() as usize).div_ceil(7)
}
