//! Where another agent had read to, for files that this one has not seen before.
//!
//! In: the file that `adopt` names, as `logweir import --adopt-positions` writes it: a JSON list of
//! `{"path", "inode", "offset", "head"}`. Out: the offset at which a file begins. Promises: a file counts as the one
//! that was read only when its inode is the same, it has that many bytes, and its first kilobyte is what it was; so a
//! list that is left lying about does no harm. On failure: a list that cannot be read is an error; one that is not
//! there is none.

use std::io;

use super::identity::{HEAD_BYTES, ReadAt, fill};
use crate::diagnostic::Diagnostic;
use crate::settings::Section;
use crate::storage::FileFacts;

/// The files that another agent was reading.
#[derive(Clone, Debug, Default)]
pub struct Adopted(Vec<Entry>);

/// One of them.
#[derive(Clone, Debug, serde::Deserialize)]
struct Entry {
    inode: u64,
    offset: u64,
    /// CRC32C of what of the first kilobyte was read.
    head: u32,
}

impl Adopted {
    /// The list that `adopt` names.
    pub fn load(section: &Section<'_>) -> Adopted {
        let Some(name) = section.string("adopt") else { return Adopted::default() };
        let text = match section.read_file(&section.resolve(&name)) {
            Ok(text) => text,
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Adopted::default(),
            Err(why) => {
                let message = format!("cannot read the positions `{}`", *name);
                section.report(Diagnostic::error(message).because(why), name.span);
                return Adopted::default();
            }
        };
        match serde_json::from_str(&text) {
            Ok(entries) => Adopted(entries),
            Err(why) => {
                let message = format!("`{}` is no list of positions", *name);
                let hint =
                    "write it anew with `logweir import --adopt-positions`, or take `adopt` out";
                section.report(Diagnostic::error(message).because(why).hint(hint), name.span);
                Adopted::default()
            }
        }
    }

    /// Whether there is one for this inode.
    pub fn may_know(&self, facts: &FileFacts) -> bool {
        self.0.iter().any(|entry| entry.inode == facts.inode)
    }

    /// Where reading goes on in a file; `None`: it is not one of them.
    pub fn offset(&self, facts: &FileFacts, read: &mut ReadAt<'_>) -> Option<u64> {
        let known = |entry: &&Entry| entry.inode == facts.inode && entry.offset <= facts.size;
        self.0.iter().filter(known).find_map(|entry| {
            let mut bytes = [0; HEAD_BYTES];
            let length = entry.offset.min(HEAD_BYTES as u64) as usize;
            let got = fill(read, &mut bytes[..length], 0).ok()?;
            let same = got == length && crc32c::crc32c(&bytes[..got]) == entry.head;
            same.then_some(entry.offset)
        })
    }
}

/// What `head` is of a file of which `offset` bytes were read.
pub fn head_of(read: &mut ReadAt<'_>, offset: u64) -> io::Result<u32> {
    let mut bytes = [0; HEAD_BYTES];
    let length = offset.min(HEAD_BYTES as u64) as usize;
    let got = fill(read, &mut bytes[..length], 0)?;
    Ok(crc32c::crc32c(&bytes[..got]))
}
