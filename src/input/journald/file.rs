//! Files of systemd-journald, read as they are written.
//!
//! Is: a reader of the format that systemd.io/JOURNAL_FILE_FORMAT describes, version of 2024 with keyed hashes and
//! compact mode. In: an open file. Out: its entries, by their place in it (0 is the first). Promises: whatever the
//! bytes hold, reading ends, nothing outside of the file is read, and no object larger than [`OBJECT_BYTES_MAX`] is
//! taken into memory; an entry that is there may be read while journald appends others. On failure: [`Broken`] says
//! what and where; a field that cannot be unpacked is left out and counted.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use crate::storage::File;

/// Bytes of the largest object, as stored and unpacked, and of all fields of an entry, that are taken into memory.
const OBJECT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of fields that are kept because they come again and again.
const KEPT_BYTES_MAX: usize = 1024 * 1024;
/// Longest field that is kept.
const KEPT_FIELD_BYTES_MAX: usize = 512;
/// Most fields of an entry.
const FIELDS_MAX: u64 = 4096;
/// The part of the header that every version has.
const HEADER_BYTES: usize = 208;
const OBJECT_HEADER_BYTES: u64 = 16;

const SIGNATURE: &[u8] = b"LPKSHHRH";
// Incompatible flags.
const COMPRESSED_XZ: u32 = 1;
const COMPRESSED_LZ4: u32 = 2;
const KEYED_HASH: u32 = 4;
const COMPRESSED_ZSTD: u32 = 8;
const COMPACT: u32 = 16;
const KNOWN: u32 = COMPRESSED_XZ | COMPRESSED_LZ4 | KEYED_HASH | COMPRESSED_ZSTD | COMPACT;
// Kinds of objects.
const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ENTRY_ARRAY: u8 = 6;
// Flags of data objects.
const XZ: u8 = 1;
/// What one field in XZ may take to be unpacked; `xz -9` takes 64 MiB.
const XZ_MEMORY_KIB_MAX: u32 = 80 * 1024;
const LZ4: u8 = 2;
const ZSTD: u8 = 4;
/// The state of a file that will not change any more.
const ARCHIVED: u8 = 2;

/// A file of journald.
pub(super) struct JournalFile {
    file: Box<dyn File>,
    compact: bool,
    /// Its own number, the same after it was renamed.
    pub id: [u8; 16],
    first_array: u64,
    /// Where the search for the next entry goes on.
    place: Option<Place>,
    kept: HashMap<u64, Arc<[u8]>>,
    kept_bytes: usize,
    /// Fields that could not be unpacked.
    pub left_out: u64,
}

/// An array of entries: its object, and the number of the first entry in it.
#[derive(Clone, Copy)]
struct Place {
    array: u64,
    first: u64,
}

/// An entry: when, and its fields as `NAME=value`.
#[derive(Default)]
pub(super) struct Entry {
    /// Microseconds since the epoch.
    pub realtime_us: u64,
    /// Of which boot.
    pub boot: [u8; 16],
    /// In the order written.
    pub fields: Vec<Arc<[u8]>>,
}

/// What cannot be read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The device or file system.
    Io(io::Error),
    /// The bytes are not what they should be.
    Format(String),
}

impl From<io::Error> for Broken {
    fn from(why: io::Error) -> Broken {
        Broken::Io(why)
    }
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Broken::Io(why) => why.fmt(f),
            Broken::Format(what) => f.write_str(what),
        }
    }
}

impl JournalFile {
    /// Reads the header. `None`: journald has not written one yet.
    pub(super) fn open(file: Box<dyn File>) -> Result<Option<JournalFile>, Broken> {
        let mut header = [0; HEADER_BYTES];
        if read_full(&*file, &mut header, 0)? < HEADER_BYTES {
            return Ok(None);
        }
        if header[..8] != *SIGNATURE {
            return Err(Broken::Format("it is no file of journald".into()));
        }
        let flags = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        if flags & !KNOWN != 0 {
            let unknown = flags & !KNOWN;
            return Err(Broken::Format(format!(
                "its format is newer than this program (incompatible flags {unknown:#x})"
            )));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&header[24..40]);
        Ok(Some(JournalFile {
            file,
            compact: flags & COMPACT != 0,
            id,
            first_array: u64_at(&header, 176),
            place: None,
            kept: HashMap::new(),
            kept_bytes: 0,
            left_out: 0,
        }))
    }

    /// Whether it was removed: no name leads to it any more. A device that does not say counts as no.
    pub(super) fn is_removed(&self) -> bool {
        self.file.facts().is_ok_and(|facts| facts.links == 0)
    }

    /// How many entries there are now, and whether there will be no more.
    pub(super) fn entries(&mut self) -> Result<(u64, bool), Broken> {
        let mut header = [0; HEADER_BYTES];
        if read_full(&*self.file, &mut header, 0)? < HEADER_BYTES {
            return Err(Broken::Format("it was cut".into()));
        }
        self.first_array = u64_at(&header, 176);
        Ok((u64_at(&header, 152), header[16] == ARCHIVED))
    }

    /// When its last entry was written, in microseconds since the epoch, and in which boot.
    pub(super) fn last_boot(&self) -> Result<(u64, [u8; 16]), Broken> {
        let mut header = [0; HEADER_BYTES];
        self.read(&mut header, 0)?;
        let mut boot = [0; 16];
        boot.copy_from_slice(&header[56..72]);
        Ok((u64_at(&header, 192), boot))
    }

    /// Reads the entry with this number. `false`: it is not there yet.
    pub(super) fn entry(&mut self, number: u64, entry: &mut Entry) -> Result<bool, Broken> {
        let Some(at) = self.find(number)? else { return Ok(false) };
        let bytes = self.object(at, ENTRY, 64)?;
        entry.realtime_us = u64_at(&bytes, 24);
        entry.boot.copy_from_slice(&bytes[40..56]);
        entry.fields.clear();
        let mut taken = 0;
        let size = if self.compact { 4 } else { 16 };
        if (bytes.len() as u64 - 64) / size > FIELDS_MAX {
            return Err(Broken::Format(format!("the entry at {at} has too many fields")));
        }
        for item in bytes[64..].chunks_exact(size as usize) {
            let data = if self.compact { u64::from(u32_at(item, 0)) } else { u64_at(item, 0) };
            let Some(field) = self.field(data)? else { continue };
            taken += field.len() as u64;
            if taken > OBJECT_BYTES_MAX {
                self.left_out += 1;
            } else {
                entry.fields.push(field);
            }
        }
        Ok(true)
    }

    /// Where the entry with this number is.
    fn find(&mut self, number: u64) -> Result<Option<u64>, Broken> {
        let mut place = match self.place {
            Some(place) if place.first <= number => place,
            _ => Place { array: self.first_array, first: 0 },
        };
        let width: u64 = if self.compact { 4 } else { 8 };
        loop {
            if place.array == 0 {
                return Ok(None);
            }
            let mut head = [0; 24];
            self.read(&mut head, place.array)?;
            let size = self.check(&head, place.array, ENTRY_ARRAY, 24)?;
            let room = (size - 24) / width;
            if number < place.first + room {
                self.place = Some(place);
                let mut item = [0; 8];
                let at = place.array + 24 + (number - place.first) * width;
                self.read(&mut item[..width as usize], at)?;
                let entry = u64::from_le_bytes(item);
                return Ok((entry != 0).then_some(entry));
            }
            let next = u64_at(&head, 16);
            // Arrays are appended: one that lies before its predecessor would go round for ever.
            if next != 0 && next <= place.array {
                let what = format!("the list of entries at {} goes back to {next}", place.array);
                return Err(Broken::Format(what));
            }
            if room == 0 {
                return Err(Broken::Format(format!(
                    "the list of entries at {} is empty",
                    place.array
                )));
            }
            place = Place { array: next, first: place.first + room };
        }
    }

    /// A field, `NAME=value`; `None`: it cannot be unpacked here.
    fn field(&mut self, at: u64) -> Result<Option<Arc<[u8]>>, Broken> {
        if let Some(kept) = self.kept.get(&at) {
            return Ok(Some(Arc::clone(kept)));
        }
        let start = if self.compact { 72 } else { 64 };
        let bytes = self.object(at, DATA, start)?;
        let payload = &bytes[start as usize..];
        let unpacked = match bytes[1] & (XZ | LZ4 | ZSTD) {
            0 => Some(payload.to_vec()),
            LZ4 => unpack_lz4(payload),
            ZSTD => unpack_zstd(payload),
            XZ => unpack_xz(payload),
            _ => None,
        };
        let Some(field) = unpacked else {
            self.left_out += 1;
            return Ok(None);
        };
        let field: Arc<[u8]> = field.into();
        if field.len() <= KEPT_FIELD_BYTES_MAX {
            if self.kept_bytes > KEPT_BYTES_MAX {
                self.kept.clear();
                self.kept_bytes = 0;
            }
            self.kept_bytes += field.len() + 64;
            self.kept.insert(at, Arc::clone(&field));
        }
        Ok(Some(field))
    }

    /// A whole object of this kind, at least so long.
    fn object(&self, at: u64, kind: u8, least: u64) -> Result<Vec<u8>, Broken> {
        let mut head = [0; OBJECT_HEADER_BYTES as usize];
        self.read(&mut head, at)?;
        let size = self.check(&head, at, kind, least)?;
        if size > OBJECT_BYTES_MAX {
            return Err(Broken::Format(format!("the object at {at} has {size} bytes")));
        }
        let mut bytes = vec![0; size as usize];
        self.read(&mut bytes, at)?;
        Ok(bytes)
    }

    /// The size of an object, if it is one of this kind.
    fn check(&self, head: &[u8], at: u64, kind: u8, least: u64) -> Result<u64, Broken> {
        let size = u64_at(head, 8);
        if head[0] != kind || size < least || !at.is_multiple_of(8) {
            return Err(Broken::Format(format!("at {at} is no object of kind {kind}")));
        }
        Ok(size)
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), Broken> {
        let wanted = buffer.len();
        if read_full(&*self.file, buffer, at)? < wanted {
            return Err(Broken::Format(format!("it ends before {}", at + wanted as u64)));
        }
        Ok(())
    }
}

/// As many bytes as there are, up to the buffer's length.
fn read_full(file: &dyn File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read_at(&mut buffer[have..], at + have as u64) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    Ok(have)
}

/// Eight bytes of the size, then one block.
pub(super) fn unpack_lz4(payload: &[u8]) -> Option<Vec<u8>> {
    let (size, block) = payload.split_first_chunk::<8>()?;
    let size = u64::from_le_bytes(*size);
    if size > OBJECT_BYTES_MAX {
        return None;
    }
    lz4_flex::block::decompress(block, size as usize).ok()
}

fn unpack_zstd(payload: &[u8]) -> Option<Vec<u8>> {
    unpacked(ruzstd::decoding::StreamingDecoder::new(payload).ok()?)
}

pub(super) fn unpack_xz(payload: &[u8]) -> Option<Vec<u8>> {
    unpacked(lzma_rust2::XzReader::new_mem_limit(payload, false, XZ_MEMORY_KIB_MAX))
}

fn unpacked(decoder: impl Read) -> Option<Vec<u8>> {
    let mut field = Vec::new();
    decoder.take(OBJECT_BYTES_MAX + 1).read_to_end(&mut field).ok()?;
    (field.len() as u64 <= OBJECT_BYTES_MAX).then_some(field)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}
