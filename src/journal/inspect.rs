//! Looks at a journal without changing it; for `logweir inspect`.
//!
//! In: a directory, also of a running journal. Out: segments, outputs with what they are behind, wounds. Promises:
//! no file is touched and no lock is taken. On failure: only when the directory cannot be listed. While an agent
//! writes, the end of the newest segment may look torn.

use std::io;
use std::path::{Path, PathBuf};

use crate::chunk::Position;
use crate::storage::SharedStorage;

use super::cursor::Cursor;
use super::quarantine::QUARANTINE_NAME;
use super::recover::{Damaged, FoundSegment, Recovered, Recovery, Touch, recover};

/// What is in a journal's directory.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// The journal's own number.
    pub journal: Option<u64>,
    /// Its segments, oldest first.
    pub segments: Vec<InspectedSegment>,
    /// Output, bit, and sequence up to which it is done, as the cursor file says; empty when that is lost.
    pub cursors: Vec<(String, u32, u64)>,
    /// The outputs and how far they are behind.
    pub outputs: Vec<InspectedOutput>,
    /// Where each source's reading would go on.
    pub positions: Vec<Position>,
    /// Copies of broken bytes, and how many bytes each has.
    pub quarantine: Vec<(PathBuf, u64)>,
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

/// One output of a journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InspectedOutput {
    /// Its name, as in `outputs.NAME`.
    pub name: String,
    /// Its bit in the frames' routes.
    pub bit: u32,
    /// All frames up to here are done with; `None`: no cursor tells, and everything would be sent again.
    pub cursor: Option<u64>,
    /// Frames behind.
    pub frames: u64,
    /// Bytes of frames behind.
    pub bytes: u64,
    /// Documents for it that it is not done with.
    pub documents: u64,
    /// When the segment was begun that holds the oldest of these documents, nanoseconds since the epoch: they were
    /// appended then or later. `None`: it is not behind, or nothing tells.
    pub oldest_ns: Option<i64>,
}

/// Reads everything that is there.
pub fn inspect(storage: &SharedStorage, directory: &Path) -> io::Result<Inspection> {
    let found = recover(storage, directory, Touch::Nothing, Damaged::All)?;
    let outputs = outputs(&found);
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
    let mut positions: Vec<Position> = found.positions.into_values().collect();
    positions.sort_by_key(|p| p.key);
    Ok(Inspection {
        journal: found.journal,
        segments: segments.collect(),
        cursors: cursors.map(|Cursor { name, bit, sequence }| (name, bit, sequence)).collect(),
        outputs,
        positions,
        quarantine: quarantine(storage, directory),
        report: found.report,
    })
}

fn outputs(found: &Recovered) -> Vec<InspectedOutput> {
    let last = found.segments.iter().map(|s| s.last).max().unwrap_or(0);
    let ours = found.cursors.as_ref().filter(|c| Some(c.journal) == found.journal);
    if let Some(cursors) = ours {
        return cursors
            .outputs
            .iter()
            .map(|cursor| {
                let done = found.done.iter().find(|d| d.bit == cursor.bit);
                let (bytes, documents) = done.map_or((0, 0), |d| (d.bytes, d.documents));
                let (name, bit, sequence) = (&cursor.name, cursor.bit, cursor.sequence);
                let (all_bytes, all) = sums(&found.segments, name, bit);
                let documents = all.saturating_sub(documents);
                InspectedOutput {
                    name: name.clone(),
                    bit,
                    cursor: Some(sequence),
                    frames: last.saturating_sub(sequence),
                    bytes: all_bytes.saturating_sub(bytes),
                    documents,
                    oldest_ns: oldest(&found.segments, sequence).filter(|_| documents > 0),
                }
            })
            .collect();
    }
    let lost = |(bit, name): &(u32, String)| {
        let (bytes, documents) = sums(&found.segments, name, *bit);
        let oldest_ns = oldest(&found.segments, 0).filter(|_| documents > 0);
        let frames = found.segments.iter().map(|s| s.frames).sum();
        InspectedOutput {
            name: name.clone(),
            bit: *bit,
            cursor: None,
            frames,
            bytes,
            documents,
            oldest_ns,
        }
    };
    found.outputs.iter().map(lost).collect()
}

/// Bytes of all frames, and documents for this output.
fn sums(segments: &[FoundSegment], name: &str, bit: u32) -> (u64, u64) {
    let means = |s: &&FoundSegment| {
        s.outputs.is_empty() || s.outputs.iter().any(|(b, n)| *b == bit && n == name)
    };
    let documents = |s: &FoundSegment| s.documents_by_bit.get(bit as usize).copied().unwrap_or(0);
    let bytes = segments.iter().map(|s| s.frame_bytes).sum();
    (bytes, segments.iter().filter(means).map(documents).sum())
}

/// When the segment was begun that holds the first frame behind `sequence`.
fn oldest(segments: &[FoundSegment], sequence: u64) -> Option<i64> {
    let holds = segments.iter().find(|s| s.frames > 0 && s.last > sequence)?;
    Some(holds.created_ns).filter(|ns| *ns > 0)
}

fn quarantine(storage: &SharedStorage, directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut paths = storage.list(&directory.join(QUARANTINE_NAME)).unwrap_or_default();
    paths.sort();
    let size = |path: &PathBuf| storage.facts(path).map_or(0, |facts| facts.size);
    paths.into_iter().map(|path| (path.clone(), size(&path))).collect()
}
