//! How a file is known again: its inode, its birth, and a growing marker of its content.
//!
//! Is: the facts kept in a journal position. In: bytes as they are handed on. Out: an [`Identity`], its encoding,
//! and the answer whether a file still holds what was read from it.
//! Promises: the content is only ever a check of a guess that the inode or the name made, so equal headers never
//! make two files one; there is no smallest size; the encoding carries a version.
//! On failure: an encoding of another version reads as `None`, and its file is read from the start.

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::trail::{POINTS, Point, Trail};
use crate::storage::FileFacts;

/// Bytes at the start of a file that its marker covers at most.
pub const HEAD_BYTES: usize = 1024;
/// Bytes just before the position that its marker covers at most.
pub const TAIL_BYTES: usize = 256;
const VERSION: u8 = 3;
const FIXED_BYTES: usize = 2 + 8 * 8 + 2 + 4 + 2 + 4 + 2 + 1 + 6 * 14;

/// Checksums (CRC32C) of what was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marker {
    head_len: u16,
    head_crc: u32,
    tail_len: u16,
    tail_crc: u32,
}

/// What a file's content says about a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Holds all that was read.
    Same,
    /// Too short to tell; what is there does not contradict.
    Short,
    /// Holds something else.
    Differs,
}

/// Device, inode and birth of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::struct_field_names)] // The words of stat(2).
pub struct Inode {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Birth in nanoseconds since the epoch; 0 where unknown.
    pub born_ns: i64,
}

/// What a position says about its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The file that holds the bytes.
    pub inode: Inode,
    /// Checksums up to the position's offset.
    pub marker: Marker,
    /// The file is compressed; offsets count decompressed bytes.
    pub compressed: bool,
    /// The position is inside a line that is handed on in pieces.
    pub inside: bool,
    /// The path under which it was first seen, which `log.file.path` shows.
    pub label: PathBuf,
    /// The path at which it was seen last.
    pub path: PathBuf,
    /// When it was first seen, in the file system's time: what was born and written later is a later generation.
    pub since_ns: i64,
    /// Its last modification as last seen, nanoseconds since the epoch.
    pub modified_ns: i64,
    /// Bytes that it was seen to have (0 for an archive).
    pub size: u64,
    /// The offset that the marker is of: a decoder that holds lines back moves a position back, the marker stays.
    pub marked: u64,
    /// The machine's run in which this was known, as [`crate::storage::Storage::boot`] names it.
    pub boot: u64,
    /// Points behind `marked`.
    pub trail: Trail,
}

/// Reads at an offset, as [`crate::storage::File::read_at`] does.
pub type ReadAt<'a> = dyn FnMut(&mut [u8], u64) -> io::Result<usize> + 'a;

impl From<&FileFacts> for Inode {
    fn from(facts: &FileFacts) -> Self {
        Inode { device: facts.device, inode: facts.inode, born_ns: facts.born_ns }
    }
}

impl Inode {
    // The number alone: it is used again.
    fn number(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// Whether it can be the same file: equal numbers, and births that do not contradict.
    pub fn may_be(&self, other: &Inode) -> bool {
        self.number() == other.number()
            && (self.born_ns == other.born_ns || self.born_ns == 0 || other.born_ns == 0)
    }
}

impl Marker {
    /// Bytes of the start that are covered.
    pub fn head_len(&self) -> usize {
        usize::from(self.head_len)
    }

    /// Bytes before the position that are covered.
    pub fn tail_len(&self) -> usize {
        usize::from(self.tail_len)
    }

    /// Takes in `bytes`, which start at `offset`; `before` are bytes just before them (any number).
    pub fn advance(&mut self, offset: u64, before: &[u8], bytes: &[u8]) {
        if u64::from(self.head_len) == offset {
            let take = bytes.len().min(HEAD_BYTES - self.head_len());
            self.head_crc = crc32c::crc32c_append(self.head_crc, &bytes[..take]);
            self.head_len += take as u16;
        }
        let own = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let old = &before[before.len().saturating_sub(TAIL_BYTES - own.len())..];
        self.tail_crc = crc32c::crc32c_append(crc32c::crc32c(old), own);
        self.tail_len = (old.len() + own.len()) as u16;
    }

    /// The end of what it covers, for a [`Trail`].
    pub fn end(&self, offset: u64) -> Point {
        Point { offset, tail_len: self.tail_len, tail_crc: self.tail_crc }
    }

    /// Whether `tail` are the bytes just before the position; vacuously true where nothing was covered.
    pub fn tail_is(&self, tail: &[u8]) -> bool {
        tail.len() == self.tail_len() && crc32c::crc32c(tail) == self.tail_crc
    }

    /// Whether a file that starts with `head`, all of its first [`HEAD_BYTES`], may be the one; without it, any may.
    pub fn begins(&self, head: &[u8]) -> bool {
        head.get(..self.head_len()).is_none_or(|head| crc32c::crc32c(head) == self.head_crc)
    }

    /// Compares with a whole file of `size` bytes, of which `offset` were read.
    pub fn check(&self, read: &mut ReadAt<'_>, size: u64, offset: u64) -> io::Result<Content> {
        let mut bytes = [0; HEAD_BYTES];
        if size >= u64::from(self.head_len) {
            let head = fill(read, &mut bytes[..self.head_len()], 0)?;
            if head < self.head_len() || crc32c::crc32c(&bytes[..head]) != self.head_crc {
                return Ok(Content::Differs);
            }
        }
        if size < offset {
            return Ok(Content::Short);
        }
        let from = offset.saturating_sub(u64::from(self.tail_len));
        let tail = fill(read, &mut bytes[..self.tail_len()], from)?;
        Ok(if self.tail_is(&bytes[..tail]) { Content::Same } else { Content::Differs })
    }

    /// The marker of the first `offset` bytes of a file.
    pub fn of(read: &mut ReadAt<'_>, offset: u64) -> io::Result<Marker> {
        let mut marker = Marker::default();
        let mut bytes = [0; HEAD_BYTES];
        let head = fill(read, &mut bytes[..offset.min(HEAD_BYTES as u64) as usize], 0)?;
        marker.advance(0, &[], &bytes[..head]);
        let length = offset.min(TAIL_BYTES as u64);
        let tail = fill(read, &mut bytes[..length as usize], offset - length)?;
        marker.tail_len = tail as u16;
        marker.tail_crc = crc32c::crc32c(&bytes[..tail]);
        Ok(marker)
    }
}

/// Whether the first `size` bytes of `copy` look like the first `size` bytes of `original`: their first kilobyte and
/// their last 256 bytes are compared.
pub fn same_start(copy: &mut ReadAt<'_>, original: &mut ReadAt<'_>, size: u64) -> io::Result<bool> {
    let (mut ours, mut theirs) = ([0; HEAD_BYTES], [0; HEAD_BYTES]);
    let head = size.min(HEAD_BYTES as u64) as usize;
    let tail = size.min(TAIL_BYTES as u64);
    for (offset, length) in [(0, head), (size - tail, tail as usize)] {
        let mine = fill(copy, &mut ours[..length], offset)?;
        let other = fill(original, &mut theirs[..length], offset)?;
        if mine < length || other < length || ours[..length] != theirs[..length] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Reads until `buffer` is full or the file ends; the number of bytes read.
pub fn fill(read: &mut ReadAt<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], offset + done as u64)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

impl Identity {
    /// The bytes of a position: version, flags, numbers little-endian in the order of the fields, the number of points
    /// and those, then input, label and path, each with its length in 16 bits (the last one to the end).
    pub fn encode(&self, input: &str) -> Vec<u8> {
        let (label, path) = (self.label.as_os_str().as_bytes(), self.path.as_os_str().as_bytes());
        let mut out = Vec::with_capacity(FIXED_BYTES + input.len() + label.len() + path.len() + 2);
        out.push(VERSION);
        out.push(u8::from(self.compressed) | u8::from(self.inside) << 1);
        out.extend_from_slice(&self.inode.device.to_le_bytes());
        out.extend_from_slice(&self.inode.inode.to_le_bytes());
        out.extend_from_slice(&self.inode.born_ns.to_le_bytes());
        out.extend_from_slice(&self.marker.head_len.to_le_bytes());
        out.extend_from_slice(&self.marker.head_crc.to_le_bytes());
        out.extend_from_slice(&self.marker.tail_len.to_le_bytes());
        out.extend_from_slice(&self.marker.tail_crc.to_le_bytes());
        out.extend_from_slice(&self.since_ns.to_le_bytes());
        out.extend_from_slice(&self.modified_ns.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.marked.to_le_bytes());
        out.extend_from_slice(&self.boot.to_le_bytes());
        let points = || self.trail.0.iter().filter(|point| point.offset > 0);
        out.push(points().count() as u8);
        for point in points() {
            out.extend_from_slice(&point.offset.to_le_bytes());
            out.extend_from_slice(&point.tail_len.to_le_bytes());
            out.extend_from_slice(&point.tail_crc.to_le_bytes());
        }
        for text in [input.as_bytes(), label] {
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
            out.extend_from_slice(text);
        }
        if path != label {
            out.extend_from_slice(path);
        }
        out
    }

    /// The identity and its input's name.
    pub fn decode(bytes: &[u8]) -> Option<(String, Identity)> {
        let mut rest = bytes;
        let [version, flags] = take::<2>(&mut rest)?;
        if !(1..=VERSION).contains(&version) {
            return None;
        }
        let inode = Inode {
            device: u64::from_le_bytes(take(&mut rest)?),
            inode: u64::from_le_bytes(take(&mut rest)?),
            born_ns: i64::from_le_bytes(take(&mut rest)?),
        };
        let marker = Marker {
            head_len: u16::from_le_bytes(take(&mut rest)?).min(HEAD_BYTES as u16),
            head_crc: u32::from_le_bytes(take(&mut rest)?),
            tail_len: u16::from_le_bytes(take(&mut rest)?).min(TAIL_BYTES as u16),
            tail_crc: u32::from_le_bytes(take(&mut rest)?),
        };
        // The first version did not say when; nothing is later than that.
        let (since_ns, modified_ns, size, marked) = match version {
            1 => (i64::MAX, 0, 0, 0),
            _ => (
                i64::from_le_bytes(take(&mut rest)?),
                i64::from_le_bytes(take(&mut rest)?),
                u64::from_le_bytes(take(&mut rest)?),
                u64::from_le_bytes(take(&mut rest)?),
            ),
        };
        let (boot, trail) = if version < 3 {
            (0, Trail::default())
        } else {
            (u64::from_le_bytes(take(&mut rest)?), take_trail(&mut rest)?)
        };
        let input = String::from_utf8(take_text(&mut rest)?).ok()?;
        let label = path_of(take_text(&mut rest)?);
        let path = if rest.is_empty() { label.clone() } else { path_of(rest.to_vec()) };
        let (compressed, inside) = (flags & 1 != 0, flags & 2 != 0);
        Some((
            input,
            Identity {
                inode,
                marker,
                compressed,
                inside,
                label,
                path,
                since_ns,
                modified_ns,
                size,
                marked,
                boot,
                trail,
            },
        ))
    }
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    Path::new(&std::ffi::OsString::from_vec(bytes)).to_path_buf()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*first)
}

fn take_trail(rest: &mut &[u8]) -> Option<Trail> {
    let [count] = take(rest)?;
    let mut trail = Trail::default();
    for _ in 0..count {
        let point = Point {
            offset: u64::from_le_bytes(take(rest)?),
            tail_len: u16::from_le_bytes(take(rest)?).min(TAIL_BYTES as u16),
            tail_crc: u32::from_le_bytes(take(rest)?),
        };
        if trail.0.len() == POINTS {
            return None;
        }
        trail.0.push(point);
    }
    Some(trail)
}

fn take_text(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::from(u16::from_le_bytes(take(rest)?));
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text.to_vec())
}
