//! The cursor file: how far each output is.
//!
//! Is: two slots that are written in turn, each with a number and a checksum, so that a torn write leaves the other
//! one. In: cursors. Out: cursors after a restart. Promises: what [`read`] returns was written whole.
//! On failure: without a valid slot outputs begin at the oldest frame: sent again, never lost.

use std::io;
use std::path::Path;

use crate::frame::{u32_at, u64_at};
use crate::limits::{OUTPUT_NAME_BYTES_MAX, OUTPUTS_MAX};
use crate::storage::{File, SharedStorage};

/// Name of the cursor file.
pub const CURSOR_NAME: &str = "cursors";
/// The first four bytes of a slot: `LWC1`.
pub const MAGIC: [u8; 4] = *b"LWC1";
/// Bytes of one slot; the second one begins here.
pub const SLOT_BYTES: usize = 16 * 1024;

const VERSION: u32 = 1;
const FIXED_BYTES: usize = 48;
const ENTRY_BYTES: usize = 16;
const _: () = assert!(
    FIXED_BYTES + OUTPUTS_MAX * (ENTRY_BYTES + OUTPUT_NAME_BYTES_MAX) <= SLOT_BYTES,
    "a slot holds all outputs of a pipeline"
);

/// Where one output is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The output's name.
    pub name: String,
    /// Its bit in the frames' routes.
    pub bit: u32,
    /// All frames up to and with this sequence are done with.
    pub sequence: u64,
}

/// What a slot holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursors {
    /// The journal's own number.
    pub journal: u64,
    /// Grows with each write.
    pub number: u64,
    /// All frames up to this sequence were durable.
    pub synced: u64,
    /// One for each output.
    pub outputs: Vec<Cursor>,
}

/// The open file.
pub struct CursorFile {
    file: Box<dyn File>,
    number: u64,
}

impl Cursors {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SLOT_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.journal.to_le_bytes());
        out.extend_from_slice(&(self.outputs.len() as u64).to_le_bytes());
        out.extend_from_slice(&self.synced.to_le_bytes());
        for cursor in &self.outputs {
            out.extend_from_slice(&cursor.bit.to_le_bytes());
            out.extend_from_slice(&(cursor.name.len() as u32).to_le_bytes());
            out.extend_from_slice(&cursor.sequence.to_le_bytes());
            out.extend_from_slice(cursor.name.as_bytes());
        }
        let length = out.len() as u32;
        out[12..16].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32c::crc32c(&out[8..]);
        out[4..8].copy_from_slice(&checksum.to_le_bytes());
        out
    }

    fn decode(slot: &[u8]) -> Option<Cursors> {
        let fixed = slot.get(..FIXED_BYTES)?;
        let known = fixed[..4] == MAGIC && u32_at(fixed, 8) == VERSION;
        let bytes = slot.get(..u32_at(fixed, 12) as usize)?;
        if !known || bytes.len() < FIXED_BYTES || crc32c::crc32c(&bytes[8..]) != u32_at(fixed, 4) {
            return None;
        }
        let mut rest = &bytes[FIXED_BYTES..];
        let mut outputs = Vec::new();
        for _ in 0..u64_at(fixed, 32) {
            let (entry, behind) = rest.split_at_checked(ENTRY_BYTES)?;
            let (name, behind) = behind.split_at_checked(u32_at(entry, 4) as usize)?;
            let name = String::from_utf8_lossy(name).into_owned();
            outputs.push(Cursor { name, bit: u32_at(entry, 0), sequence: u64_at(entry, 8) });
            rest = behind;
        }
        let (number, journal) = (u64_at(fixed, 16), u64_at(fixed, 24));
        Some(Cursors { journal, number, synced: u64_at(fixed, 40), outputs })
    }
}

/// The newest valid slot; `None`: there is no file, or neither slot is valid. And why the device did not give one.
pub fn read(storage: &SharedStorage, directory: &Path) -> (Option<Cursors>, Option<io::Error>) {
    let file = match storage.open_read(&directory.join(CURSOR_NAME)) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return (None, None),
        Err(why) => return (None, Some(why)),
    };
    let slots = [0, SLOT_BYTES as u64].map(|at| read_slot(&*file, at));
    let (mut newest, mut failed) = (None::<Cursors>, None);
    for slot in slots {
        match slot {
            Ok(Some(slot)) if newest.as_ref().is_none_or(|n| n.number < slot.number) => {
                newest = Some(slot);
            }
            Ok(_) => {}
            Err(why) => failed = Some(why),
        }
    }
    (newest, failed)
}

fn read_slot(file: &dyn File, from: u64) -> io::Result<Option<Cursors>> {
    let mut bytes = vec![0; SLOT_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], from + filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(Cursors::decode(&bytes))
}

impl CursorFile {
    /// Opens the file for writing; `number` is the newest slot's.
    pub fn open(storage: &SharedStorage, directory: &Path, number: u64) -> io::Result<Self> {
        let file = storage.open_write(&directory.join(CURSOR_NAME))?;
        Ok(CursorFile { file, number })
    }

    /// Writes over the older slot; the slot's number is the file's business.
    pub fn write(&mut self, cursors: Cursors, sync: bool) -> io::Result<()> {
        let number = self.number + 1;
        let slot = Cursors { number, ..cursors };
        self.file.write_all_at(&slot.encode(), (number % 2) * SLOT_BYTES as u64)?;
        if sync {
            self.file.sync()?;
        }
        self.number = number;
        Ok(())
    }
}
