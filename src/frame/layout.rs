//! The bytes of a frame: header, tables, checks.
//!
//! In: bytes. Out: numbers and positions. Promises: [`Header::check`] makes sure that every offset which reading
//! follows later lies within the frame, so that reading cannot panic, whatever the bytes are.
//! On failure: [`FrameError`].

use std::fmt;

use crate::chunk::Position;
use crate::limits::FRAME_BYTES_MAX;

/// The first four bytes of every frame: `LWF1`.
pub const MAGIC: [u8; 4] = *b"LWF1";
/// Version of the layout.
pub const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const DOCUMENT_BYTES: usize = 40;
const POSITION_BYTES: usize = 24;
const CHECKSUM_AT: usize = 4;
/// The flag of a frame that holds nothing any more.
const VOID: u32 = 1;

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Fewer bytes than the header, or than the header says.
    Short,
    /// It does not begin with [`MAGIC`].
    Magic,
    /// A layout that this version does not know.
    Version(u32),
    /// A length that no frame has.
    Length(u32),
    /// The checksum does not match.
    Checksum,
    /// An offset points outside; the checksum was right, so this was written wrongly.
    Offsets,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Header {
    pub length: u32,
    pub sequence: u64,
    pub epoch: u64,
    pub strings_from: u32,
    pub string_count: u32,
    pub documents_from: u32,
    pub document_count: u32,
    pub addresses_from: u32,
    pub positions_from: u32,
    pub position_count: u32,
    /// See [`super::Outline::void`].
    pub void: bool,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Short => f.write_str("the frame ends too early"),
            FrameError::Magic => f.write_str("no frame begins here"),
            FrameError::Version(v) => write!(f, "layout version {v} is not known"),
            FrameError::Length(n) => write!(f, "a length of {n} bytes is impossible"),
            FrameError::Checksum => f.write_str("the checksum does not match"),
            FrameError::Offsets => f.write_str("an offset points outside of the frame"),
        }
    }
}

impl std::error::Error for FrameError {}

/// The length that a header announces; `Ok` says nothing about the rest of the frame.
pub fn header_length(bytes: &[u8]) -> Result<usize, FrameError> {
    if bytes.len() < HEADER_BYTES {
        return Err(FrameError::Short);
    }
    if bytes[..4] != MAGIC {
        return Err(FrameError::Magic);
    }
    let version = u32_at(bytes, 8);
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let length = u32_at(bytes, 12);
    let possible = HEADER_BYTES..=FRAME_BYTES_MAX;
    if possible.contains(&(length as usize)) {
        Ok(length as usize)
    } else {
        Err(FrameError::Length(length))
    }
}

/// The epoch that a header names; for bytes that [`header_length`] accepted.
pub fn header_epoch(bytes: &[u8]) -> Option<u64> {
    bytes.get(24..32).map(|_| u64_at(bytes, 24))
}

/// Puts the checksum into a finished frame.
pub(super) fn add_checksum(bytes: &mut [u8]) {
    let checksum = crc32c::crc32c(&bytes[CHECKSUM_AT + 4..]);
    bytes[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&checksum.to_le_bytes());
}

impl Header {
    pub(super) fn read(bytes: &[u8]) -> Result<Header, FrameError> {
        let length = header_length(bytes)?;
        if bytes.len() < length {
            return Err(FrameError::Short);
        }
        Ok(Header {
            length: length as u32,
            sequence: u64_at(bytes, 16),
            epoch: u64_at(bytes, 24),
            strings_from: u32_at(bytes, 32),
            string_count: u32_at(bytes, 36),
            documents_from: u32_at(bytes, 40),
            document_count: u32_at(bytes, 44),
            addresses_from: u32_at(bytes, 48),
            positions_from: u32_at(bytes, 52),
            position_count: u32_at(bytes, 56),
            void: u32_at(bytes, 60) & VOID != 0,
        })
    }

    /// Writes the header over the first bytes of a finished frame, without its checksum.
    pub(super) fn write(&self, bytes: &mut [u8]) {
        bytes[..4].copy_from_slice(&MAGIC);
        let words = [VERSION, self.length];
        for (n, word) in words.iter().enumerate() {
            bytes[8 + n * 4..12 + n * 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        let words = [
            self.strings_from,
            self.string_count,
            self.documents_from,
            self.document_count,
            self.addresses_from,
            self.positions_from,
            self.position_count,
            u32::from(self.void) * VOID,
        ];
        for (n, word) in words.iter().enumerate() {
            bytes[32 + n * 4..36 + n * 4].copy_from_slice(&word.to_le_bytes());
        }
    }

    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), FrameError> {
        if bytes.len() != self.length as usize {
            return Err(FrameError::Short);
        }
        if crc32c::crc32c(&bytes[CHECKSUM_AT + 4..]) != u32_at(bytes, CHECKSUM_AT) {
            return Err(FrameError::Checksum);
        }
        if self.offsets_hold(bytes).is_some() { Ok(()) } else { Err(FrameError::Offsets) }
    }

    fn offsets_hold(&self, bytes: &[u8]) -> Option<()> {
        let true_or = |holds: bool| holds.then_some(());
        let empty = self.string_count == 0 && self.document_count == 0 && self.position_count == 0;
        true_or(empty || !self.void)?;
        let strings_end = self.strings_from as usize + self.string_count as usize * 4;
        let documents_end =
            self.documents_from as usize + self.document_count as usize * DOCUMENT_BYTES;
        true_or(
            self.strings_from as usize >= HEADER_BYTES
                && strings_end <= self.documents_from as usize,
        )?;
        true_or(documents_end <= self.addresses_from as usize)?;
        true_or(self.addresses_from <= self.positions_from && self.positions_from <= self.length)?;
        let mut before = 0;
        for n in 0..self.string_count as usize {
            let end = u32_at(bytes, self.strings_from as usize + n * 4);
            true_or(end >= before && strings_end + end as usize <= self.documents_from as usize)?;
            before = end;
        }
        let addresses = (self.positions_from - self.addresses_from) as usize / 2;
        for n in 0..addresses {
            let string = u16_at(bytes, self.addresses_from as usize + n * 2);
            true_or(u32::from(string) < self.string_count)?;
        }
        for n in 0..self.document_count as usize {
            let at = self.documents_from as usize + n * DOCUMENT_BYTES;
            self.document_holds(&bytes[at..at + DOCUMENT_BYTES], addresses)?;
        }
        read_positions_checked(bytes, self).map(|_| ())
    }

    fn document_holds(&self, entry: &[u8], addresses: usize) -> Option<()> {
        let (from, to) = (u32_at(entry, 20), u32_at(entry, 24));
        let prefix = u16_at(entry, 34);
        let last = u32_at(entry, 28) as usize + u32_at(entry, 16).count_ones() as usize;
        let body = from as usize >= HEADER_BYTES && from <= to && to <= self.strings_from;
        let named = prefix == u16::MAX || u32::from(prefix) < self.string_count;
        (body && named && last <= addresses).then_some(())
    }
}

/// A row of the document table.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub routes: u32,
    pub time_ns: i64,
    pub suffix: u64,
    pub sub: u16,
    pub prefix: u16,
    pub body_from: u32,
    pub body_to: u32,
    pub addresses_from: u32,
}

impl Entry {
    /// The row as it is in a frame; its last four bytes are 0.
    #[inline]
    pub(super) fn bytes(&self) -> [u8; DOCUMENT_BYTES] {
        let mut row = [0; DOCUMENT_BYTES];
        row[..8].copy_from_slice(&self.time_ns.to_le_bytes());
        row[8..16].copy_from_slice(&self.suffix.to_le_bytes());
        row[16..20].copy_from_slice(&self.routes.to_le_bytes());
        row[20..24].copy_from_slice(&self.body_from.to_le_bytes());
        row[24..28].copy_from_slice(&self.body_to.to_le_bytes());
        row[28..32].copy_from_slice(&self.addresses_from.to_le_bytes());
        row[32..34].copy_from_slice(&self.sub.to_le_bytes());
        row[34..36].copy_from_slice(&self.prefix.to_le_bytes());
        row
    }
}

pub(super) fn write_position(position: &Position, out: &mut Vec<u8>) {
    out.extend_from_slice(&position.key.to_le_bytes());
    out.extend_from_slice(&position.offset.to_le_bytes());
    out.extend_from_slice(&(position.identity.len() as u32).to_le_bytes());
    out.extend_from_slice(&u32::from(position.new).to_le_bytes());
    out.extend_from_slice(&position.identity);
}

pub(super) fn read_positions(bytes: &[u8], header: &Header) -> Vec<Position> {
    read_positions_checked(bytes, header).unwrap_or_default()
}

fn read_positions_checked(bytes: &[u8], header: &Header) -> Option<Vec<Position>> {
    let mut at = header.positions_from as usize;
    let mut found = Vec::new();
    for _ in 0..header.position_count {
        let fixed = bytes.get(at..at + POSITION_BYTES)?;
        let length = u32_at(fixed, 16) as usize;
        let identity = bytes.get(at + POSITION_BYTES..at + POSITION_BYTES + length)?.to_vec();
        let new = u32_at(fixed, 20) != 0;
        found.push(Position { key: u64_at(fixed, 0), offset: u64_at(fixed, 8), identity, new });
        at += POSITION_BYTES + length;
    }
    Some(found)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// A little-endian number at an offset that was checked.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// A little-endian number at an offset that was checked.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
