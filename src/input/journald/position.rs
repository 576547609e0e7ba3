//! How far a file of journald is read, as our journal keeps it.
//!
//! Is: the identity of a position: whose file, how many of its entries, and how many bytes their lines have. In and
//! out: bytes. Promises: a mark is only taken as it is when it belongs to the very offset of its position;
//! otherwise (a batch that was journaled in part) reading begins at the start of the file, and what is there
//! already is passed over. On failure: what is no mark of this input is `None`.

use std::path::PathBuf;

use crate::chunk::Position;

/// The first byte, so that neither other inputs nor filters take it for their own.
const IDENTITY: u8 = b'J';

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The number that stands for the file in ids and positions.
    pub key: u64,
    /// The file's own number.
    pub file: [u8; 16],
    /// Entries that were read.
    pub entries: u64,
    /// Bytes of their lines.
    pub offset: u64,
    /// Bytes of lines that are in the journal; not `offset` where a batch was journaled in part.
    stored: u64,
}

impl Mark {
    /// The start of a file.
    pub(super) fn start(key: u64, file: [u8; 16]) -> Mark {
        Mark { key, file, entries: 0, offset: 0, stored: 0 }
    }

    /// The identity of a position, for the input of this name.
    pub(super) fn write(&self, input: &str) -> Vec<u8> {
        let mut bytes = vec![IDENTITY];
        bytes.extend_from_slice(&self.file);
        bytes.extend_from_slice(&self.entries.to_le_bytes());
        bytes.extend_from_slice(&self.offset.to_le_bytes());
        bytes.extend_from_slice(input.as_bytes());
        bytes
    }

    /// The mark that a position holds, by the number of its file.
    pub(super) fn read(position: &Position, input: &str) -> Option<([u8; 16], Mark)> {
        let rest = position.identity.strip_prefix(&[IDENTITY])?;
        let (file, rest) = rest.split_first_chunk::<16>()?;
        let (entries, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let mark = Mark {
            key: position.key,
            file: *file,
            entries: u64::from_le_bytes(*entries),
            offset: u64::from_le_bytes(*offset),
            stored: position.offset,
        };
        (rest == input.as_bytes()).then_some((*file, mark))
    }

    /// Where to begin, and up to which offset lines are stored already.
    pub(super) fn whole(self) -> (Mark, u64) {
        if self.stored == self.offset {
            return (self, self.offset);
        }
        (Mark { stored: 0, ..Mark::start(self.key, self.file) }, self.stored)
    }
}

/// For people: the input, and the file by its number.
pub(super) fn describe(identity: &[u8]) -> Option<(String, PathBuf)> {
    let rest = identity.strip_prefix(&[IDENTITY])?;
    let (file, rest) = rest.split_first_chunk::<16>()?;
    let (_, input) = rest.split_at_checked(16)?;
    let number = format!("journald:{:032x}", u128::from_be_bytes(*file));
    Some((String::from_utf8(input.to_vec()).ok()?, number.into()))
}
