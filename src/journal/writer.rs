//! Appends frames to segments.
//!
//! Is: the one place that writes segments. In: sealed frames. Out: bytes at known offsets, one write a frame.
//! Promises: a frame that was not written whole is written again at the same offset, so that nothing broken stays
//! between frames; a segment begins with all positions as they were before its first frame.
//! On failure: [`WriteError`] says which path and which step; the writer is as it was before, and the caller tries
//! again.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chunk::Position;
use crate::clock::SharedClock;
use crate::frame::{Draft, Frame};
use crate::storage::{File, SharedStorage};

use super::segment::{self, Header};

/// The newest position of each source.
pub type Positions = BTreeMap<u64, Position>;

/// What does not change while a journal is open.
pub struct Identity {
    /// The journal's own number.
    pub journal: u64,
    /// This run's number.
    pub epoch: u64,
    /// Bit and name of each output.
    pub outputs: Vec<(u32, String)>,
}

/// A segment that was begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// See [`Header::generation`].
    pub generation: u64,
    /// The run that writes it.
    pub epoch: u64,
    /// Sequence of its first frame.
    pub first: u64,
    /// Its file.
    pub path: PathBuf,
    /// When it was made, nanoseconds since the epoch.
    pub created_ns: i64,
    /// Where its first frame begins, behind header and snapshot.
    pub frames_from: u64,
}

/// Where a frame was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Generation of the segment.
    pub generation: u64,
    /// Offset in it.
    pub offset: u64,
}

/// What is to be synced, and what is safe once it is.
pub struct Unsynced {
    /// Files with new bytes, and their generations.
    pub files: Vec<(u64, PathBuf, Arc<dyn File>)>,
    /// A segment was made or removed.
    pub directory: bool,
    /// The last frame written to these files.
    pub written: u64,
}

/// A step that failed.
#[derive(Debug)]
pub struct WriteError {
    /// What was tried, such as `write`.
    pub step: &'static str,
    /// On which file.
    pub path: PathBuf,
    /// What the operating system said.
    pub why: io::Error,
}

/// The writer of one journal.
pub struct Writer {
    storage: SharedStorage,
    clock: SharedClock,
    directory: PathBuf,
    identity: Identity,
    segment_bytes: u64,
    generation: u64,
    written: u64,
    durable: u64,
    positions: Positions,
    active: Option<Active>,
    begun: Vec<Begun>,
    dirty: Vec<(u64, PathBuf, Arc<dyn File>)>,
    directory_dirty: bool,
    suspect: bool,
}

struct Active {
    begun: Begun,
    file: Arc<dyn File>,
    offset: u64,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} `{}`: {}", self.step, self.path.display(), self.why)
    }
}

impl Writer {
    /// A writer that goes on after sequence `written` and segment `generation`.
    pub fn new(
        (storage, clock, directory): (SharedStorage, SharedClock, &Path),
        identity: Identity,
        segment_bytes: u64,
        (generation, written): (u64, u64),
        positions: Positions,
    ) -> Self {
        Writer {
            storage,
            clock,
            directory: directory.to_path_buf(),
            identity,
            segment_bytes,
            generation,
            written,
            durable: written,
            positions,
            active: None,
            begun: Vec::new(),
            dirty: Vec::new(),
            directory_dirty: true,
            suspect: false,
        }
    }

    /// The number of this run.
    pub fn epoch(&self) -> u64 {
        self.identity.epoch
    }

    /// The sequence that the next frame must have.
    pub fn next_sequence(&self) -> u64 {
        self.written + 1
    }

    /// Where a source was as far as it was written.
    pub fn offset_of(&self, key: u64) -> Option<u64> {
        self.positions.get(&key).map(|position| position.offset)
    }

    /// Writes one frame, which must carry [`Writer::next_sequence`]; begins a new segment where it has to.
    pub fn write(&mut self, frame: &Frame) -> Result<Place, WriteError> {
        let length = frame.bytes().len() as u64;
        let full = |active: &Active| {
            active.offset > active.begun.frames_from && active.offset + length > self.segment_bytes
        };
        if self.active.as_ref().is_none_or(full) {
            self.roll()?;
        }
        let Some(active) = &mut self.active else { unreachable!("roll made a segment") };
        let place = Place { generation: active.begun.generation, offset: active.offset };
        let wrote = active.file.write_all_at(frame.bytes(), active.offset);
        wrote.map_err(|why| WriteError { step: "write", path: active.begun.path.clone(), why })?;
        active.offset += length;
        self.written = frame.sequence();
        remember(&mut self.positions, frame.positions());
        if self.dirty.last().is_none_or(|(generation, ..)| *generation != place.generation) {
            let (path, file) = (active.begun.path.clone(), Arc::clone(&active.file));
            self.dirty.push((place.generation, path, file));
        }
        Ok(place)
    }

    /// Begins a new segment; the one before gets no more frames.
    pub fn roll(&mut self) -> Result<(), WriteError> {
        let generation = self.generation + 1;
        let first = self.written + 1;
        let mut bytes = self.header(generation, first, true);
        let mut draft = Draft::new(Vec::new());
        for position in self.positions.values() {
            draft.position(Position { new: false, ..position.clone() });
        }
        bytes.extend_from_slice(draft.seal(self.identity.epoch, first - 1).bytes());
        let (begun, file) = self.begin(generation, first, &bytes, |_| Ok(()))?;
        let offset = begun.frames_from;
        self.dirty.push((generation, begun.path.clone(), Arc::clone(&file)));
        self.begun.push(begun.clone());
        self.active = Some(Active { begun, file, offset });
        Ok(())
    }

    /// The next frame goes to a new segment.
    pub fn end_segment(&mut self) {
        self.active = None;
    }

    /// As if this frame, the last one written, never was: its sequence is free again. What may stand of it on disk
    /// does not count from the next frame on, which begins a segment with that sequence.
    pub fn take_back(&mut self, frame: &Frame, place: Place) {
        if let Some(active) = self.active.take() {
            // So that a start before the next frame does not find it; where this fails, that start may.
            let _ = active.file.set_len(place.offset);
            if place.offset == active.begun.frames_from {
                self.begun.pop();
            }
        }
        self.dirty.retain(|(generation, ..)| *generation != place.generation);
        self.written = frame.sequence() - 1;
    }

    /// The segments begun since the last call, oldest first.
    pub fn take_begun(&mut self) -> Vec<Begun> {
        std::mem::take(&mut self.begun)
    }

    /// What a sync has to do now.
    pub fn unsynced(&self) -> Unsynced {
        let (files, written) = (self.dirty.clone(), self.written);
        Unsynced { files, directory: self.directory_dirty, written }
    }

    /// A sync of this succeeded.
    pub fn synced(&mut self, done: &Unsynced) {
        let last = done.files.last().map(|(generation, ..)| *generation);
        let more = self.written > done.written;
        self.dirty.retain(|(generation, ..)| {
            let covered = last.is_some_and(|last| *generation <= last);
            !covered || (more && Some(*generation) == last)
        });
        self.directory_dirty &= !done.directory;
        self.durable = self.durable.max(done.written);
    }

    /// A sync failed: another one may succeed without having written anything.
    pub fn suspect(&mut self) {
        self.suspect = true;
    }

    /// Whether a rewrite is due.
    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    /// A name in the directory changed.
    pub fn directory_changed(&mut self) {
        self.directory_dirty = true;
    }

    /// After a failed sync: writes the frames that were not synced to a segment of their own and syncs that.
    /// Everything newer than what was synced before is then in it, and nowhere else; the next frame begins another
    /// segment. `None`: there were no such frames.
    pub fn rewrite(
        &mut self,
        frames: &[Arc<Frame>],
    ) -> Result<Option<(Begun, Vec<Place>)>, WriteError> {
        self.active = None;
        let mut rewritten = None;
        if let Some(front) = frames.first() {
            let generation = self.generation + 1;
            let header = self.header(generation, front.sequence(), false);
            let mut offset = header.len() as u64;
            let mut places = Vec::new();
            let (mut begun, file) = self.begin(generation, front.sequence(), &header, |file| {
                for frame in frames {
                    file.write_all_at(frame.bytes(), offset)?;
                    places.push(Place { generation, offset });
                    offset += frame.bytes().len() as u64;
                }
                file.sync()
            })?;
            begun.frames_from = header.len() as u64;
            drop(file);
            self.directory_dirty = true;
            rewritten = Some((begun, places));
        }
        let synced = self.storage.sync_directory(&self.directory);
        synced.map_err(|why| WriteError { step: "sync", path: self.directory.clone(), why })?;
        self.dirty.clear();
        self.begun.clear();
        self.suspect = false;
        self.directory_dirty = false;
        self.durable = self.written;
        Ok(rewritten)
    }

    fn header(&self, generation: u64, first: u64, snapshot: bool) -> Vec<u8> {
        let header = Header {
            journal: self.identity.journal,
            epoch: self.identity.epoch,
            generation,
            first,
            synced: self.durable,
            created_ns: self.clock.now_ns(),
            snapshot,
            outputs: self.identity.outputs.clone(),
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes
    }

    /// Makes a segment under another name, so that its own name never shows less than its beginning.
    fn begin(
        &mut self,
        generation: u64,
        first: u64,
        bytes: &[u8],
        then: impl FnOnce(&dyn File) -> io::Result<()>,
    ) -> Result<(Begun, Arc<dyn File>), WriteError> {
        let path = self.directory.join(segment::name(first));
        let mut made = path.clone().into_os_string();
        made.push(".new");
        let made = PathBuf::from(made);
        let failed = |why| WriteError { step: "write", path: path.clone(), why };
        let file: Arc<dyn File> = self.storage.open_write(&made).map_err(failed)?.into();
        let filled = file
            .set_len(0)
            .and_then(|()| file.write_all_at(bytes, 0))
            .and_then(|()| then(&*file))
            .and_then(|()| self.storage.rename(&made, &path));
        if let Err(why) = filled {
            let _ = self.storage.remove(&made);
            return Err(failed(why));
        }
        self.generation = generation;
        self.directory_dirty = true;
        let created_ns = self.clock.now_ns();
        let frames_from = bytes.len() as u64;
        let epoch = self.identity.epoch;
        Ok((Begun { generation, epoch, first, path, created_ns, frames_from }, file))
    }
}

/// Puts newer positions over older ones; an empty identity forgets the source.
pub fn remember(positions: &mut Positions, newer: Vec<Position>) {
    for position in newer {
        if position.identity.is_empty() {
            positions.remove(&position.key);
        } else {
            positions.insert(position.key, position);
        }
    }
}
