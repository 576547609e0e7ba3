//! From whatever files are there to a journal that can go on.
//!
//! Is: one pass over a journal's directory. In: segments and cursors, intact or not. Out: the segments with their
//! frames counted, the newest positions, the cursors, and a report of everything that was wrong.
//! Promises: every intact frame is kept; nothing that is damaged makes it fail; files that are not this journal's
//! are left alone. On failure: only when the device does not give what is there, which is no damage: it may come
//! back (see `patience`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::storage::{File, SharedStorage};

mod patience;
mod reading;

pub use patience::{Unread, recover_at_start};
use reading::{Place, missing, read_segment};

use super::cursor::{self, Cursors};
use super::lock::LOCK_NAME;
use super::quarantine::{self, Kept, QUARANTINE_NAME};
use super::segment::{self, HEADER_BYTES_MAX, Header};
use super::writer::Positions;

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Intact frames.
    pub frames: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Places that hold no frames but should.
    pub wounds: Vec<Wound>,
    /// Bytes of a write that did not finish, cut off after they were copied.
    pub bytes_cut: u64,
    /// Files that are not this journal's, with the reason; they are left alone.
    pub foreign: Vec<(PathBuf, String)>,
}

/// A place of a segment that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wound {
    /// The segment, by the sequence in its name.
    pub segment: u64,
    /// Where it begins.
    pub offset: u64,
    /// How long it is; 0: whole frames are missing between two segments.
    pub bytes: u64,
    /// How many frames were there, from the gap in the sequences; 0 where nothing tells.
    pub frames_lost_estimate: u64,
    /// What is wrong, in words.
    pub reason: String,
    /// A write that did not reach the disk before a stop, or what followed one and is read again from its source.
    /// Nothing in it was promised to anybody.
    pub unfinished: bool,
    /// An earlier start reported it already.
    pub known: bool,
}

/// A segment as it was found.
#[derive(Clone, Debug)]
pub struct FoundSegment {
    /// See [`Header::generation`]; with a broken header a number that no other segment has.
    pub generation: u64,
    /// The run that wrote it; `None`: neither a header nor a frame names it.
    pub epoch: Option<u64>,
    /// Sequence of its first frame, by name.
    pub first: u64,
    /// Sequence of its last intact frame; `first - 1` where it holds none.
    pub last: u64,
    /// Its file.
    pub path: PathBuf,
    /// Length of the file.
    pub bytes: u64,
    /// Bytes of its intact frames, without the snapshot.
    pub frame_bytes: u64,
    /// Intact frames, without the snapshot.
    pub frames: u64,
    /// Documents.
    pub documents: u64,
    /// Documents for each bit.
    pub documents_by_bit: [u64; 32],
    /// When it was made, nanoseconds since the epoch; 0 where the header is broken.
    pub created_ns: i64,
    /// Where its first frame begins.
    pub frames_from: u64,
    /// An intact snapshot of all positions is at its beginning.
    pub snapshot: bool,
    /// Bit and name of each output while it was written.
    pub outputs: Vec<(u32, String)>,
    /// Offset and length of each broken run.
    pub broken: Vec<(u64, u64)>,
    /// The device gave no frame of it, and may do so later.
    pub unreadable: bool,
    /// From here on nothing says that it ever reached the disk; `None`: all of it did.
    pub unsure_from: Option<u64>,
}

/// Everything found.
#[derive(Default)]
pub struct Recovered {
    /// The journal's number; `None`: nothing names one.
    pub journal: Option<u64>,
    /// The segments, oldest first.
    pub segments: Vec<FoundSegment>,
    /// The newest positions.
    pub positions: Positions,
    /// The cursor file.
    pub cursors: Option<Cursors>,
    /// Cursors' bits as the newest segment knows them; for a lost cursor file.
    pub outputs: Vec<(u32, String)>,
    /// Documents for each bit up to each cursor, in the order of the cursors: `(bit, frames' bytes, documents)`.
    pub done: Vec<Done>,
    /// Highest generation ever seen, or that a header may have which could not be read.
    pub generation: u64,
    /// Highest sequence ever seen, named by a segment, or said to be durable.
    pub written: u64,
    /// Sequence of the last intact frame that is not void.
    pub last_intact: u64,
    /// What to tell the user.
    pub report: Recovery,
    last_epoch: Option<u64>,
    /// All frames up to here were durable once.
    pub durable: u64,
    /// A frame of this run that was never durable is missing: positions behind it are ahead of the documents.
    hole_in: Option<u64>,
}

/// How much of the journal an output is done with, counted from the oldest frame found.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The output's bit.
    pub bit: u32,
    /// Its cursor.
    pub sequence: u64,
    /// Bytes of frames up to the cursor.
    pub bytes: u64,
    /// Documents for the output up to the cursor.
    pub documents: u64,
}

/// Whether recovery may change files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// Quarantine wounds, cut torn tails, remove what was replaced.
    Repair,
    /// Only look.
    Nothing,
}

/// Of which files counts as damaged what the device does not give; of others recovery ends with an error.
#[derive(Clone, Copy)]
pub enum Damaged<'a> {
    /// Of all.
    All,
    /// Of these.
    Only(&'a BTreeSet<PathBuf>),
}

/// More than the generations that a header has which cannot be read now: when it can, no newer segment has the same.
const UNKNOWN_GENERATIONS: u64 = 1 << 32;

struct Candidate {
    first: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    header: Option<(Header, usize)>,
    why: String,
    /// The device did not give the header.
    unreadable: bool,
}

/// Reads the whole directory.
pub fn recover(
    storage: &SharedStorage,
    directory: &Path,
    touch: Touch,
    damaged: Damaged<'_>,
) -> Result<Recovered, Unread> {
    let (cursors, failed) = cursor::read(storage, directory);
    if let Some(why) = failed {
        damaged.or_ends(&directory.join(cursor::CURSOR_NAME), why)?;
    }
    let mut found = Recovered { cursors, ..Recovered::default() };
    let mut candidates = candidates(storage, directory, (touch, damaged), &mut found.report)?;
    // Of what could not be opened the name is all that is known.
    let unopened = found.report.foreign.iter().any(|(path, _)| segment::first_of(path).is_some());
    let unknown = unopened || candidates.iter().any(|c| c.unreadable && c.header.is_none());
    found.journal = journal_of(&candidates, found.cursors.as_ref());
    keep_own(&mut candidates, found.journal, &mut found.report);
    let ordered = in_order(candidates, storage, touch);
    let cursors = found.cursors.iter().flat_map(|c| &c.outputs);
    found.done =
        cursors.map(|c| Done { bit: c.bit, sequence: c.sequence, ..Done::default() }).collect();
    found.written = found.done.iter().map(|d| d.sequence).max().unwrap_or(0);
    let headers = ordered.iter().filter_map(|c| c.header.as_ref()).map(|(h, _)| h.synced);
    let noted = found.cursors.as_ref().map_or(0, |c| c.synced);
    found.durable = headers.chain([noted]).max().unwrap_or(0);
    let count = ordered.len();
    for (n, candidate) in ordered.iter().enumerate() {
        let last = found.segments.last().map_or(0, |s| s.last);
        if candidate.header.is_none() && candidate.first <= last {
            if candidate.unreadable {
                let why = "its header cannot be read, and the segment before it reaches over its first frame";
                found.report.foreign.push((candidate.path.clone(), why.to_string()));
            } else {
                // Its frames were written again, durably, into the segment before it.
                remove(storage, candidate, touch);
            }
            continue;
        }
        // A broken header says nothing about what came before it.
        let limit =
            ordered[n + 1..].iter().find(|c| c.header.is_some()).map_or(u64::MAX, |c| c.first);
        let place = Place { storage, directory, touch, damaged, newest: n + 1 == count, limit };
        read_segment(&place, candidate, &mut found)?;
    }
    // What was durable once may stand in a segment that only a later start can read: its sequences are taken.
    found.written = found.written.max(found.durable);
    if unknown {
        found.generation += UNKNOWN_GENERATIONS;
    }
    check_end(storage, directory, touch, &mut found);
    found.report.bytes = found.segments.iter().map(|s| s.bytes).sum();
    found.report.frames = found.segments.iter().map(|s| s.frames).sum();
    Ok(found)
}

/// Frames that were durable once stand at the end: when they do not, somebody cut or removed a segment.
fn check_end(storage: &SharedStorage, directory: &Path, touch: Touch, found: &mut Recovered) {
    let newest = found.segments.last();
    let (first, last, end) = newest.map_or((1, 0, 0), |s| (s.first, s.last, s.bytes));
    let Some(gap) = found.durable.checked_sub(last).filter(|gap| *gap > 0) else { return };
    let at_end = |w: &&mut Wound| w.segment == first && w.bytes > 0 && w.range().end >= end;
    if let Some(wound) = found.report.wounds.iter_mut().rev().find(at_end) {
        wound.frames_lost_estimate = gap;
        wound.unfinished = false;
        return;
    }
    let kept = match touch {
        Touch::Repair => quarantine::note(storage, directory, last + 1),
        Touch::Nothing => Kept::No,
    };
    found.report.wounds.push(Wound {
        frames_lost_estimate: gap,
        offset: end,
        known: kept == Kept::Known,
        ..missing(first, "the frames at the end are missing, though they were on disk")
    });
}

/// Opens everything that has a segment's name and reads the headers.
fn candidates(
    storage: &SharedStorage,
    directory: &Path,
    (touch, damaged): (Touch, Damaged<'_>),
    report: &mut Recovery,
) -> Result<Vec<Candidate>, Unread> {
    let mut candidates = Vec::new();
    let names = storage.list(directory).map_err(|why| Unread::new("list", directory, &why))?;
    for path in names {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(first) = segment::first_of(&path) {
            match storage.open_read(&path) {
                Ok(file) if file.facts().is_ok_and(|facts| !facts.regular) => {
                    report.foreign.push((path, "it is no file".to_string()));
                }
                Ok(file) => candidates.push(candidate(first, path, file.into(), damaged)?),
                // It was delivered and deleted meanwhile.
                Err(why) if why.kind() == ErrorKind::NotFound => {}
                Err(why) => {
                    let reason = format!("it cannot be opened: {why}");
                    damaged.or_ends(&path, why)?;
                    report.foreign.push((path, reason));
                }
            }
        } else if name.ends_with(segment::NEW_SUFFIX) {
            // Left by a stop while a segment was made; nothing refers to it.
            if touch == Touch::Repair {
                let _ = storage.remove(&path);
            }
        } else if ![LOCK_NAME, cursor::CURSOR_NAME, QUARANTINE_NAME].contains(&name.as_str()) {
            report.foreign.push((path, "it is no file of a journal".to_string()));
        }
    }
    Ok(candidates)
}

fn candidate(
    first: u64,
    path: PathBuf,
    file: Arc<dyn File>,
    damaged: Damaged<'_>,
) -> Result<Candidate, Unread> {
    let mut bytes = vec![0; HEADER_BYTES_MAX];
    let (mut filled, mut unreadable) = (0, false);
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(why) => {
                damaged.or_ends(&path, why)?;
                unreadable = true;
                break;
            }
        }
    }
    let (header, why) = match Header::decode(&bytes[..filled]) {
        Ok(header) => (Some(header), String::new()),
        Err(why) => (None, why.to_string()),
    };
    Ok(Candidate { first, path, file, header, why, unreadable })
}

/// The number that most segments carry; without segments the cursor file's.
fn journal_of(candidates: &[Candidate], cursors: Option<&Cursors>) -> Option<u64> {
    let mut votes: BTreeMap<u64, usize> = BTreeMap::new();
    for (header, _) in candidates.iter().filter_map(|c| c.header.as_ref()) {
        *votes.entry(header.journal).or_default() += 1;
    }
    if let Some(cursors) = cursors {
        // The cursor file decides between equals.
        *votes.entry(cursors.journal).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(_, count)| *count).map(|(journal, _)| journal)
}

fn keep_own(candidates: &mut Vec<Candidate>, journal: Option<u64>, report: &mut Recovery) {
    candidates.retain(|candidate| {
        let Some((header, _)) = &candidate.header else { return true };
        let ours = Some(header.journal) == journal;
        if ours && header.first == candidate.first {
            return true;
        }
        let reason = if ours {
            format!("it is a copy of `{}`", segment::name(header.first))
        } else {
            "it belongs to another journal".to_string()
        };
        report.foreign.push((candidate.path.clone(), reason));
        false
    });
}

/// Oldest first. A later generation replaces what earlier ones hold from its first sequence on; a segment with a
/// broken header stands where its name says.
fn in_order(
    mut candidates: Vec<Candidate>,
    storage: &SharedStorage,
    touch: Touch,
) -> Vec<Candidate> {
    candidates.sort_by_key(|c| c.first);
    let mut ordered: Vec<Candidate> = Vec::new();
    let mut highest = 0;
    let generations: Vec<u64> =
        candidates.iter().map(|c| c.header.as_ref().map_or(0, |(h, _)| h.generation)).collect();
    for (n, candidate) in candidates.into_iter().enumerate() {
        let replaced = generations[n] != 0 && generations[n] < highest;
        highest = highest.max(generations[n]);
        if replaced {
            // Left by a stop between two steps of a rewrite.
            remove(storage, &candidate, touch);
        } else {
            ordered.push(candidate);
        }
    }
    ordered
}

fn remove(storage: &SharedStorage, candidate: &Candidate, touch: Touch) {
    if touch == Touch::Repair {
        // Where this fails the next start does it.
        let _ = storage.remove(&candidate.path);
    }
}

impl Wound {
    /// Its bytes in the segment.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.offset..self.offset + self.bytes
    }
}
