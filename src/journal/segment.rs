//! The names and headers of segments.
//!
//! Is: the first bytes of every segment file: whose it is, when it was made, which frame is its first, which bit is
//! which output's. In: numbers. Out: bytes, and back. Promises: [`Header::decode`] accepts only what
//! [`Header::encode`] wrote. On failure: [`HeaderError`]; the frames behind a wounded header are still found.
//!
//! Layout, little-endian (drawn in `docs/journal-format.md`): 72 fixed bytes, then the names of the outputs.

use std::fmt;
use std::path::Path;

use crate::frame::{u32_at, u64_at};
use crate::limits::{OUTPUT_NAME_BYTES_MAX, OUTPUTS_MAX};

/// The first four bytes of every segment: `LWS1`.
pub const MAGIC: [u8; 4] = *b"LWS1";
/// Version of the header's layout.
pub const VERSION: u32 = 1;
/// Bytes of the header before the names of the outputs.
pub const FIXED_BYTES: usize = 72;
/// Bytes of the largest header.
pub const HEADER_BYTES_MAX: usize = FIXED_BYTES + OUTPUTS_MAX * (8 + OUTPUT_NAME_BYTES_MAX);
/// How the name of a segment ends.
pub const SUFFIX: &str = ".segment";
/// How the name of a segment ends that is not finished.
pub const NEW_SUFFIX: &str = ".segment.new";

const SNAPSHOT: u32 = 1;

/// What a segment says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The journal's own number, random once.
    pub journal: u64,
    /// The number of the run that wrote it, random at each open; all frames of a segment carry it.
    pub epoch: u64,
    /// Grows with each segment made; of two segments that hold the same sequence the later one is right.
    pub generation: u64,
    /// Sequence of the first frame after the snapshot.
    pub first: u64,
    /// All frames up to this sequence were durable when it was made.
    pub synced: u64,
    /// When it was made, nanoseconds since the epoch.
    pub created_ns: i64,
    /// The first frame holds all positions as they were before this segment.
    pub snapshot: bool,
    /// Bit and name of each output while this segment was written.
    pub outputs: Vec<(u32, String)>,
}

/// Why bytes are not a segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// The file ends within it.
    Short,
    /// It does not begin with [`MAGIC`].
    Magic,
    /// A layout that this version does not know.
    Version(u32),
    /// A length that no header has, or the checksum does not match.
    Checksum,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Short => f.write_str("the segment header ends too early"),
            HeaderError::Magic => f.write_str("the file does not begin with a segment header"),
            HeaderError::Version(v) => write!(f, "segment version {v} is not known"),
            HeaderError::Checksum => f.write_str("the checksum of the segment header is wrong"),
        }
    }
}

impl Header {
    /// Adds the header's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let from = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for number in [self.journal, self.epoch, self.generation, self.first] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.created_ns.to_le_bytes());
        out.extend_from_slice(&(u32::from(self.snapshot) * SNAPSHOT).to_le_bytes());
        out.extend_from_slice(&(self.outputs.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.synced.to_le_bytes());
        for (bit, name) in &self.outputs {
            out.extend_from_slice(&bit.to_le_bytes());
            out.extend_from_slice(&(name.len() as u32).to_le_bytes());
            out.extend_from_slice(name.as_bytes());
        }
        let length = (out.len() - from) as u32;
        out[from + 12..from + 16].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32c::crc32c(&out[from + 8..]);
        out[from + 4..from + 8].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The header at the beginning of `bytes`, and how many of them it takes.
    pub fn decode(bytes: &[u8]) -> Result<(Header, usize), HeaderError> {
        if bytes.len() >= 4 && bytes[..4] != MAGIC {
            return Err(HeaderError::Magic);
        }
        if bytes.len() < FIXED_BYTES {
            return Err(HeaderError::Short);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let length = u32_at(bytes, 12) as usize;
        if !(FIXED_BYTES..=HEADER_BYTES_MAX).contains(&length) {
            return Err(HeaderError::Checksum);
        }
        let bytes = bytes.get(..length).ok_or(HeaderError::Short)?;
        if crc32c::crc32c(&bytes[8..]) != u32_at(bytes, 4) {
            return Err(HeaderError::Checksum);
        }
        let outputs = read_outputs(&bytes[FIXED_BYTES..], u32_at(bytes, 60));
        let header = Header {
            journal: u64_at(bytes, 16),
            epoch: u64_at(bytes, 24),
            generation: u64_at(bytes, 32),
            first: u64_at(bytes, 40),
            synced: u64_at(bytes, 64),
            created_ns: u64_at(bytes, 48) as i64,
            snapshot: u32_at(bytes, 56) & SNAPSHOT != 0,
            outputs: outputs.ok_or(HeaderError::Checksum)?,
        };
        Ok((header, length))
    }
}

/// The file name of the segment whose first frame has this sequence.
pub fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The sequence in a segment's file name; `None`: another kind of file.
pub fn first_of(path: &Path) -> Option<u64> {
    let digits = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().filter(|first| *first > 0)
}

/// Entries of bit, length of name, name, as segments and the cursor file hold them.
fn read_outputs(mut bytes: &[u8], count: u32) -> Option<Vec<(u32, String)>> {
    let mut outputs = Vec::new();
    for _ in 0..count {
        let (fixed, rest) = bytes.split_at_checked(8)?;
        let (name, rest) = rest.split_at_checked(u32_at(fixed, 4) as usize)?;
        outputs.push((u32_at(fixed, 0), String::from_utf8_lossy(name).into_owned()));
        bytes = rest;
    }
    Some(outputs)
}
