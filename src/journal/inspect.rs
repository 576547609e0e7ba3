//! Looks at a journal without changing it; for `logweir inspect`.
//!
//! In: a directory, also of a running journal. Out: segments, cursors, wounds. Promises: no file is touched.
//! On failure: only when the directory cannot be listed. While an agent writes, the end of the newest segment may
//! look torn.

use std::io;
use std::path::{Path, PathBuf};

use crate::chunk::Position;
use crate::storage::SharedStorage;

use super::cursor::Cursor;
use super::recover::{Recovery, Touch, recover};

/// What is in a journal's directory.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The journal's own number.
    pub journal: Option<u64>,
    /// Its segments, oldest first.
    pub segments: Vec<InspectedSegment>,
    /// Output, bit, and sequence up to which it is done.
    pub cursors: Vec<(String, u32, u64)>,
    /// Where each source's reading would go on.
    pub positions: Vec<Position>,
    /// Counts and damage.
    pub report: Recovery,
}

/// One segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectedSegment {
    /// Its file.
    pub path: PathBuf,
    /// Sequence of its first and last frame; `last < first`: it holds none.
    pub first: u64,
    /// See `first`.
    pub last: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Frames.
    pub frames: u64,
    /// Documents.
    pub documents: u64,
    /// When it was made, nanoseconds since the epoch; 0: its header is broken.
    pub created_ns: i64,
}

/// Reads everything that is there.
pub fn inspect(storage: &SharedStorage, directory: &Path) -> io::Result<Inspection> {
    let found = recover(storage, directory, Touch::Nothing)?;
    let segments = found.segments.into_iter().map(|s| InspectedSegment {
        path: s.path,
        first: s.first,
        last: s.last,
        bytes: s.bytes,
        frames: s.frames,
        documents: s.documents,
        created_ns: s.created_ns,
    });
    let cursors = found.cursors.into_iter().flat_map(|c| c.outputs);
    Ok(Inspection {
        journal: found.journal,
        segments: segments.collect(),
        cursors: cursors.map(|Cursor { name, bit, sequence }| (name, bit, sequence)).collect(),
        positions: found.positions.into_values().collect(),
        report: found.report,
    })
}
