//! All frames of a journal's directory, for reading.
//!
//! In: a directory, also of a journal that is open. Out: its intact frames in order, without the snapshots.
//! Promises: nothing is changed; memory stays at one frame. On failure: only when the directory cannot be listed;
//! a segment that is gone meanwhile is passed over.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::frame::Frame;
use crate::storage::SharedStorage;

use super::recover::{Damaged, FoundSegment, Touch, recover};
use super::scan::{Found, Scanner};

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
    first: u64,
    last: u64,
    outputs: Arc<[(u32, String)]>,
}

/// Reads the frames of a directory.
pub fn frames(storage: &SharedStorage, directory: &Path) -> io::Result<Frames> {
    let found = recover(storage, directory, Touch::Nothing, Damaged::All)?;
    let segments = found.segments.into_iter();
    Ok(Frames { storage: storage.clone(), segments, open: None })
}

impl Iterator for Frames {
    type Item = PlacedFrame;

    fn next(&mut self) -> Option<PlacedFrame> {
        loop {
            let Some(open) = &mut self.open else {
                let found = self.segments.next()?;
                let Ok(file) = self.storage.open_read(&found.path) else { continue };
                let (first, last, at) = (found.first, found.last, found.frames_from);
                let scanner = Scanner::new(file.into(), at, found.epoch, first);
                self.open = Some(Open { scanner, first, last, outputs: found.outputs.into() });
                continue;
            };
            match open.scanner.step() {
                None => self.open = None,
                Some(Found::Broken(_)) => {}
                // What is behind the last one came meanwhile, or is replaced by the next segment.
                Some(Found::Frame { outline, .. }) if outline.sequence() > open.last => {
                    self.open = None;
                }
                Some(Found::Frame { offset, outline }) => {
                    let bytes = open.scanner.bytes(offset, &outline).to_vec();
                    let Ok(frame) = Frame::open(bytes) else { continue };
                    let outputs = Arc::clone(&open.outputs);
                    return Some(PlacedFrame { segment: open.first, offset, outputs, frame });
                }
            }
        }
    }
}
