//! All frames of a journal's directory, for reading.
//!
//! In: a directory, also of a journal that is open. Out: its intact frames in order, without the snapshots.
//! Promises: nothing is changed; memory stays at one frame. On failure: only when the directory cannot be listed;
//! a segment that is gone meanwhile, and what the device does not give, is passed over. [`every_frame`] is for whoever
//! does something that nobody may do without having seen all of them: there that is an error.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::frame::Frame;
use crate::storage::SharedStorage;

use super::recover::{Damaged, FoundSegment, Touch, recover};
use super::scan::{Broken, Found, Scanner};

/// The frames of a journal, oldest first.
pub struct Frames {
    storage: SharedStorage,
    segments: std::vec::IntoIter<FoundSegment>,
    open: Option<Open>,
}

/// A frame with its place.
pub struct PlacedFrame {
    /// The segment, by the sequence in its name.
    pub segment: u64,
    /// Where it begins in the segment.
    pub offset: u64,
    /// Bit and name of each output while it was written.
    pub outputs: Arc<[(u32, String)]>,
    /// The frame.
    pub frame: Frame,
}

struct Open {
    scanner: Scanner,
    path: PathBuf,
    first: u64,
    last: u64,
    outputs: Arc<[(u32, String)]>,
}

/// Reads the frames of a directory.
pub fn frames(storage: &SharedStorage, directory: &Path) -> io::Result<Frames> {
    read(storage, directory, Damaged::All)
}

/// As [`frames`], but what the device does not give ends it: it would look like frames that are not there. To be read
/// with [`Frames::next_or_why`].
pub fn every_frame(storage: &SharedStorage, directory: &Path) -> io::Result<Frames> {
    read(storage, directory, Damaged::Only(&BTreeSet::new()))
}

fn read(storage: &SharedStorage, directory: &Path, damaged: Damaged<'_>) -> io::Result<Frames> {
    let found = recover(storage, directory, Touch::Nothing, damaged)?;
    let segments = found.segments.into_iter();
    Ok(Frames { storage: storage.clone(), segments, open: None })
}

impl Iterator for Frames {
    type Item = PlacedFrame;

    fn next(&mut self) -> Option<PlacedFrame> {
        loop {
            // What fails is passed over by the next call.
            if let Ok(next) = self.next_or_why() {
                return next;
            }
        }
    }
}

impl Frames {
    /// The next frame, or what the device did not give before it; the call after that goes on behind it.
    pub fn next_or_why(&mut self) -> io::Result<Option<PlacedFrame>> {
        loop {
            let Some(open) = &mut self.open else {
                let Some(found) = self.segments.next() else { return Ok(None) };
                let failed = |why| unread("open", &found.path, why);
                let file = self.storage.open_read(&found.path).map_err(failed)?;
                let (first, last, at) = (found.first, found.last, found.frames_from);
                // The length that was found: one that is not told now looks like a file without frames.
                let scanner = Scanner::within(file.into(), found.bytes, at, found.epoch, first);
                let (path, outputs) = (found.path, found.outputs.into());
                self.open = Some(Open { scanner, path, first, last, outputs });
                continue;
            };
            match open.scanner.step() {
                None => self.open = None,
                Some(Found::Broken(Broken { unreadable: Some(why), .. })) => {
                    return Err(unread("read", &open.path, io::Error::other(why)));
                }
                Some(Found::Broken(_)) => {}
                // What is behind the last one came meanwhile, or is replaced by the next segment.
                Some(Found::Frame { outline, .. }) if outline.sequence() > open.last => {
                    self.open = None;
                }
                Some(Found::Frame { offset, outline }) => {
                    let bytes = open.scanner.bytes(offset, &outline).to_vec();
                    let Ok(frame) = Frame::open(bytes) else { continue };
                    let outputs = Arc::clone(&open.outputs);
                    let segment = open.first;
                    return Ok(Some(PlacedFrame { segment, offset, outputs, frame }));
                }
            }
        }
    }
}

fn unread(step: &str, path: &Path, why: io::Error) -> io::Error {
    io::Error::new(why.kind(), format!("cannot {step} `{}`: {why}", path.display()))
}
