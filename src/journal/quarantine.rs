//! Keeps broken bytes for a person to look at.
//!
//! Is: copies of wounds, `quarantine/SEGMENT-OFFSET.bytes`, and empty notes of missing frames,
//! `quarantine/SEGMENT.missing`. In: a file and a range. Out: a file of at most
//! `QUARANTINE_WOUND_BYTES_MAX` bytes. Promises: all copies together stay below `QUARANTINE_BYTES_MAX`; a wound
//! that was copied before is known again. On failure: the wound is reported without a copy.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::limits::{QUARANTINE_BYTES_MAX, QUARANTINE_WOUND_BYTES_MAX};
use crate::storage::{File, SharedStorage};

/// Name of the directory.
pub const QUARANTINE_NAME: &str = "quarantine";

const BLOCK_BYTES: usize = 64 * 1024;

/// What became of a wound's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// They were copied now.
    Copied,
    /// A copy was there from an earlier start: this wound was reported before.
    Known,
    /// The quarantine is full, or cannot be written.
    No,
}

/// Copies a broken run of `segment`.
pub fn keep(
    storage: &SharedStorage,
    directory: &Path,
    (segment, file): (u64, &dyn File),
    broken: Range<u64>,
) -> Kept {
    let folder = directory.join(QUARANTINE_NAME);
    let path = folder.join(format!("{segment:020}-{}.bytes", broken.start));
    if storage.facts(&path).is_ok() {
        return Kept::Known;
    }
    let bytes = (broken.end - broken.start).min(QUARANTINE_WOUND_BYTES_MAX);
    let used: u64 = storage.list(&folder).unwrap_or_default().iter().map(size(storage)).sum();
    if used + bytes > QUARANTINE_BYTES_MAX {
        return Kept::No;
    }
    let copied = storage
        .create_directory(&folder)
        .and_then(|()| copy(storage, file, broken.start..broken.start + bytes, &path));
    if copied.is_err() {
        let _ = storage.remove(&path);
        return Kept::No;
    }
    Kept::Copied
}

/// Notes that frames before or in `segment` are missing: there are no bytes to copy, but a later start knows it.
pub fn note(storage: &SharedStorage, directory: &Path, segment: u64) -> Kept {
    let folder = directory.join(QUARANTINE_NAME);
    let path = folder.join(format!("{segment:020}.missing"));
    if storage.facts(&path).is_ok() {
        return Kept::Known;
    }
    let noted = storage.create_directory(&folder).and_then(|()| storage.open_write(&path)?.sync());
    if noted.is_ok() { Kept::Copied } else { Kept::No }
}

fn size(storage: &SharedStorage) -> impl Fn(&PathBuf) -> u64 {
    |path| storage.facts(path).map_or(0, |facts| facts.size)
}

fn copy(
    storage: &SharedStorage,
    from: &dyn File,
    range: Range<u64>,
    path: &Path,
) -> io::Result<()> {
    let to = storage.open_write(path)?;
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut at = range.start;
    while at < range.end {
        let want = buffer.len().min((range.end - at) as usize);
        // A page that cannot be read is what the wound is about; the copy has zeros there.
        let read = from.read_at(&mut buffer[..want], at).unwrap_or_else(|_| {
            buffer[..want].fill(0);
            want
        });
        if read == 0 {
            break;
        }
        to.write_all_at(&buffer[..read], at - range.start)?;
        at += read as u64;
    }
    to.sync()
}
