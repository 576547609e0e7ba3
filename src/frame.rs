//! One batch as the journal keeps it and outputs read it.
//!
//! Is: finished documents, the outputs each goes to, ids, and the input positions after them, in one checksummed
//! run of bytes. In: documents from the pipeline ([`Draft`]). Out: documents for the outputs ([`Frame`]).
//! Promises: what [`Frame::open`] accepts is byte for byte what was sealed; reading a document copies nothing.
//! On failure: [`FrameError`] says which check failed.
//!
//! Layout, little-endian (drawn in `docs/journal-format.md`):
//! header (64 bytes) · document bodies · string table · document table · addresses · positions.

use std::io::Write as _;

mod layout;

use layout::{DOCUMENT_BYTES, HEADER_BYTES, Header};
pub use layout::{FrameError, MAGIC, VERSION, header_epoch, header_length};
pub(crate) use layout::{u32_at, u64_at};

use crate::budget::{Budget, Memory, Use};
use crate::chunk::Position;
use crate::limits::{FRAME_BYTES_USUAL, FRAME_STRINGS_USUAL};

/// A frame that is being filled.
#[derive(Default)]
pub struct Draft {
    bytes: Vec<u8>,
    strings: Vec<(u32, u32)>,
    string_text: Vec<u8>,
    /// The document table as it will be in the frame.
    documents: Vec<[u8; DOCUMENT_BYTES]>,
    addresses: Vec<u16>,
    positions: Vec<Position>,
    /// Where the last document's body ends.
    body_end: usize,
}

/// A string of the frame's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StringId(u16);

/// What a document is besides its body.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// One bit for each output that gets it.
    pub routes: u32,
    /// `@timestamp`, nanoseconds since the epoch.
    pub time_ns: i64,
    /// The id's constant part; `None`: the journal's epoch and the frame's sequence.
    pub prefix: Option<StringId>,
    /// The id's growing part: an offset in a file, or a number in the frame; [`WHOLE_ID`]: there is none.
    pub suffix: u64,
    /// Tells documents apart that have the same suffix.
    pub sub: u16,
}

/// A sealed frame: immutable.
pub struct Frame {
    bytes: Vec<u8>,
    header: Header,
    memory: Option<Memory>,
}

/// What a checked run of bytes says about itself, without owning it; for scans over many frames.
#[derive(Clone, Copy)]
pub struct Outline(Header);

/// One document of a frame.
#[derive(Clone, Copy)]
pub struct Document<'a> {
    frame: &'a Frame,
    /// Its number in the frame.
    pub number: usize,
    /// One bit for each output that gets it.
    pub routes: u32,
    /// `@timestamp`, nanoseconds since the epoch.
    pub time_ns: i64,
    /// The JSON text.
    pub body: &'a [u8],
    prefix: u16,
    body_from: u32,
    suffix: u64,
    sub: u16,
    addresses_from: usize,
}

const NO_PREFIX: u16 = u16::MAX;
/// A frame that takes up no more than one part in so many of its buffer is moved out of it.
const SMALL_PART: usize = 4;
/// A suffix that no offset has: the prefix alone is the id, as it was when the document was sent the first time.
pub const WHOLE_ID: u64 = u64::MAX;

impl Draft {
    /// An empty draft that writes into `buffer`, whose contents are lost.
    pub fn new(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        Draft { bytes: buffer, body_end: HEADER_BYTES, ..Draft::default() }
    }

    /// The id of a string, added when it is new; `None` when the table is full (65,535 strings).
    pub fn string(&mut self, text: &[u8]) -> Option<StringId> {
        let same =
            |(from, to): &(u32, u32)| self.string_text[*from as usize..*to as usize] == *text;
        // The same few index names come again and again: the newest are tried first.
        if let Some(back) = self.strings.iter().rev().position(same) {
            return Some(StringId((self.strings.len() - 1 - back) as u16));
        }
        if self.strings.len() >= usize::from(NO_PREFIX) {
            return None;
        }
        let from = self.string_text.len();
        self.string_text.extend_from_slice(text);
        self.strings.push((from as u32, self.string_text.len() as u32));
        Some(StringId(self.strings.len() as u16 - 1))
    }

    /// So many documents are about to be added.
    pub fn reserve(&mut self, documents: usize) {
        self.documents.reserve(documents);
        self.addresses.reserve(documents);
    }

    /// Where the next document's JSON is to be written; then call [`Draft::add`].
    pub fn body(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes what was written to [`Draft::body`] since the last call as a document. `addresses` holds one string
    /// (index, channel, path; empty for none) for each set bit of `routes`, lowest bit first.
    pub fn add(&mut self, head: Head, addresses: &[StringId]) {
        self.add_until(self.bytes.len(), head, addresses);
    }

    /// As [`Draft::add`], while the bytes of [`Draft::body`] are elsewhere and `end` of them are written.
    pub fn add_until(&mut self, end: usize, head: Head, addresses: &[StringId]) {
        debug_assert_eq!(addresses.len(), head.routes.count_ones() as usize);
        let entry = layout::Entry {
            routes: head.routes,
            time_ns: head.time_ns,
            suffix: head.suffix,
            sub: head.sub,
            prefix: head.prefix.map_or(NO_PREFIX, |p| p.0),
            body_from: self.body_end as u32,
            body_to: end as u32,
            addresses_from: self.addresses.len() as u32,
        };
        self.documents.push(entry.bytes());
        self.body_end = end;
        self.addresses.extend(addresses.iter().map(|a| a.0));
    }

    /// Adds where a source's reading goes on.
    pub fn position(&mut self, position: Position) {
        self.positions.push(position);
    }

    /// Documents so far.
    pub fn document_count(&self) -> usize {
        self.documents.len()
    }

    /// Bytes so far, near enough for quotas.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.string_text.len() + self.documents.len() * (DOCUMENT_BYTES + 4)
    }

    /// Whether there is nothing worth journaling.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.positions.is_empty()
    }

    /// Whether the next document should go to another frame.
    pub fn is_full(&self) -> bool {
        self.body_end >= FRAME_BYTES_USUAL || self.strings.len() >= FRAME_STRINGS_USUAL
    }

    /// The positions so far.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// Gives the frame its place in the journal and its checksum.
    pub fn seal(self, epoch: u64, sequence: u64) -> Frame {
        let mut frame = self.seal_in_memory(epoch, sequence);
        layout::add_checksum(&mut frame.bytes);
        frame
    }

    /// As [`Draft::seal`], for a frame that is never written anywhere: it has no checksum.
    pub fn seal_in_memory(mut self, epoch: u64, sequence: u64) -> Frame {
        let mut header = Header { epoch, sequence, ..Header::default() };
        let out = &mut self.bytes;
        header.strings_from = out.len() as u32;
        header.string_count = self.strings.len() as u32;
        for (_, to) in &self.strings {
            let _ = out.write_all(&to.to_le_bytes());
        }
        out.extend_from_slice(&self.string_text);
        header.documents_from = out.len() as u32;
        header.document_count = self.documents.len() as u32;
        out.extend_from_slice(self.documents.as_flattened());
        header.addresses_from = out.len() as u32;
        for address in &self.addresses {
            let _ = out.write_all(&address.to_le_bytes());
        }
        header.positions_from = out.len() as u32;
        header.position_count = self.positions.len() as u32;
        for position in &self.positions {
            layout::write_position(position, out);
        }
        header.length = out.len() as u32;
        header.write(out);
        Frame { bytes: self.bytes, header, memory: None }
    }
}

impl Frame {
    /// Checks bytes that were read from somewhere and takes them as a frame.
    pub fn open(bytes: Vec<u8>) -> Result<Frame, FrameError> {
        let header = Header::read(&bytes)?;
        header.check(&bytes)?;
        Ok(Frame { bytes, header, memory: None })
    }

    /// Moves into a buffer of its own length where it takes up little of the one it was written into, and gives that
    /// one back: what stays in memory of many small frames is their bytes, not the room for as many large ones.
    pub fn fit(&mut self) -> Option<Vec<u8>> {
        if self.bytes.len() > self.bytes.capacity() / SMALL_PART {
            return None;
        }
        let fitting = self.bytes.as_slice().into();
        Some(std::mem::replace(&mut self.bytes, fitting))
    }

    /// Books the memory that it takes up.
    pub fn hold(&mut self, budget: &Budget, what: Use) {
        self.memory = Some(budget.hold(what, self.bytes.capacity() as u64));
    }

    /// The journal's number of the run that sealed it.
    pub fn epoch(&self) -> u64 {
        self.header.epoch
    }

    /// Its number in the journal; the next frame's is one higher.
    pub fn sequence(&self) -> u64 {
        self.header.sequence
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of its buffer.
    #[cfg(test)]
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The buffer, for the next [`Draft::new`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    /// Number of documents.
    pub fn document_count(&self) -> usize {
        self.header.document_count as usize
    }

    /// A document by its number, below [`Frame::document_count`].
    pub fn document(&self, number: usize) -> Document<'_> {
        let at = self.header.documents_from as usize + number * DOCUMENT_BYTES;
        let entry = &self.bytes[at..at + DOCUMENT_BYTES];
        let (from, to) = (u32_at(entry, 20) as usize, u32_at(entry, 24) as usize);
        Document {
            frame: self,
            number,
            routes: u32_at(entry, 16),
            time_ns: u64_at(entry, 0) as i64,
            body: &self.bytes[from..to],
            body_from: from as u32,
            prefix: layout::u16_at(entry, 34),
            suffix: u64_at(entry, 8),
            sub: layout::u16_at(entry, 32),
            addresses_from: u32_at(entry, 28) as usize,
        }
    }

    /// The route bits of each document.
    pub fn routes(&self) -> impl Iterator<Item = u32> + '_ {
        Outline(self.header).routes(&self.bytes)
    }

    /// All documents, in the order of the input.
    pub fn documents(&self) -> impl Iterator<Item = Document<'_>> {
        (0..self.document_count()).map(|n| self.document(n))
    }

    /// The positions after this frame.
    pub fn positions(&self) -> Vec<Position> {
        layout::read_positions(&self.bytes, &self.header)
    }

    fn string(&self, number: u16) -> &[u8] {
        let table = self.header.strings_from as usize;
        let text = table + self.header.string_count as usize * 4;
        let end = |n: usize| u32_at(&self.bytes, table + n * 4) as usize;
        let from = if number == 0 { 0 } else { end(usize::from(number) - 1) };
        &self.bytes[text + from..text + end(usize::from(number))]
    }
}

impl Outline {
    /// Checks bytes as [`Frame::open`] does, but leaves them where they are.
    pub fn check(bytes: &[u8]) -> Result<Outline, FrameError> {
        let header = Header::read(bytes)?;
        header.check(bytes)?;
        Ok(Outline(header))
    }

    /// See [`Frame::sequence`].
    pub fn sequence(&self) -> u64 {
        self.0.sequence
    }

    /// See [`Frame::epoch`].
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// It took the place of a frame that does not count; see [`Outline::void`].
    pub fn is_void(&self) -> bool {
        self.0.void
    }

    /// What takes the place of this frame when its contents must not count: as long, with its sequence and epoch, and
    /// nothing in it. So the frames around it keep their places, and whatever lay within it is gone.
    pub fn void(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.length()];
        let end = HEADER_BYTES as u32;
        let header = Header {
            length: self.0.length,
            sequence: self.sequence(),
            epoch: self.epoch(),
            strings_from: end,
            documents_from: end,
            addresses_from: end,
            positions_from: end,
            void: true,
            ..Header::default()
        };
        header.write(&mut bytes);
        layout::add_checksum(&mut bytes);
        bytes
    }

    /// Length in bytes.
    pub fn length(&self) -> usize {
        self.0.length as usize
    }

    /// Number of documents.
    pub fn document_count(&self) -> usize {
        self.0.document_count as usize
    }

    /// The positions in the bytes that were checked.
    pub fn positions(&self, bytes: &[u8]) -> Vec<Position> {
        layout::read_positions(bytes, &self.0)
    }

    /// The route bits of each document in the bytes that were checked.
    pub fn routes<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = u32> + use<'a> {
        let from = self.0.documents_from as usize;
        let table = &bytes[from..from + self.document_count() * DOCUMENT_BYTES];
        table.chunks_exact(DOCUMENT_BYTES).map(|entry| u32_at(entry, 16))
    }
}

impl<'a> Document<'a> {
    /// Where an output is to put it (index, channel, path), if it goes to this output (a bit number) at all.
    pub fn address(&self, output: u32) -> Option<&'a [u8]> {
        if self.routes & (1 << output) == 0 {
            return None;
        }
        let before = (self.routes & ((1 << output) - 1)).count_ones() as usize;
        let at = self.frame.header.addresses_from as usize + (self.addresses_from + before) * 2;
        Some(self.frame.string(layout::u16_at(&self.frame.bytes, at)))
    }

    /// Where its body begins among [`Frame::bytes`].
    pub fn body_from(&self) -> u32 {
        self.body_from
    }

    /// The growing part of its id; see [`Head::suffix`].
    pub fn suffix(&self) -> u64 {
        self.suffix
    }

    /// The constant part of its id; `None`: the run's epoch and the frame's sequence.
    pub fn prefix(&self) -> Option<&'a [u8]> {
        (self.prefix != NO_PREFIX).then(|| self.frame.string(self.prefix))
    }

    /// Writes the document's id: the same for the same line whenever it is journaled, ordered within a source.
    pub fn write_id(&self, out: &mut Vec<u8>) {
        if self.prefix == NO_PREFIX {
            let header = &self.frame.header;
            write_hex(header.epoch, 16, out);
            out.push(b'-');
            write_hex(header.sequence, 10, out);
            out.push(b'-');
            write_hex(self.suffix, 6, out);
        } else {
            out.extend_from_slice(self.frame.string(self.prefix));
            if self.suffix == WHOLE_ID {
                return;
            }
            out.push(b'-');
            // Ids of files below one terabyte sort as their offsets do.
            write_hex(self.suffix, 10, out);
        }
        if self.sub > 0 {
            out.push(b'-');
            write_hex(u64::from(self.sub), 4, out);
        }
    }
}

/// Hexadecimal digits, at least so many.
fn write_hex(number: u64, least: u32, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (16 - number.leading_zeros() / 4).max(least) as usize;
    let mut text = [0; 16];
    for (n, digit) in text.iter_mut().enumerate() {
        *digit = HEX[(number >> (60 - 4 * n)) as usize & 15];
    }
    out.extend_from_slice(&text[16 - digits..]);
}

#[cfg(test)]
mod tests;
