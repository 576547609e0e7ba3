//! Walks over the frames of a segment, whatever the bytes are.
//!
//! Is: large reads over one file. In: a file and where its frames begin. Out: each intact frame in order, and each
//! run of bytes between them that is none. Promises: every intact frame of the segment's epoch with a growing
//! sequence is found, however much around it is broken; only checked bytes are called a frame; memory stays at
//! one block or one frame. On failure: bytes that cannot be read count as broken, page by page.

use std::sync::Arc;

use crate::frame::{self, Frame, FrameError, Outline};
use crate::storage::File;

/// Bytes of one read.
pub const BLOCK_BYTES: usize = 1024 * 1024;
/// What an unreadable place costs: a page.
pub const PAGE_BYTES: u64 = 4096;
const FRAME_HEADER_BYTES: usize = 64;

/// A scan under way.
pub struct Scanner {
    file: Arc<dyn File>,
    length: u64,
    at: u64,
    epoch: Option<u64>,
    /// The smallest sequence that the next frame may have.
    lowest: u64,
    buffer: Vec<u8>,
    /// Where the buffer begins in the file.
    buffer_at: u64,
    unreadable: Option<String>,
}

/// What stands at a place of a segment.
pub enum Found {
    /// An intact frame; its bytes are [`Scanner::bytes`] until the next step.
    Frame {
        /// Where it begins.
        offset: u64,
        /// What it says.
        outline: Outline,
    },
    /// No frame.
    Broken(Broken),
}

/// A run of bytes that is no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// What is wrong with its beginning.
    pub reason: String,
    /// Why the device did not give some of it; another try may succeed.
    pub unreadable: Option<String>,
}

impl Scanner {
    /// Frames of `file` from `at` on. `epoch`: of the segment, taken from the first frame where it is not known.
    /// `lowest`: frames with a smaller sequence are not this segment's.
    pub fn new(file: Arc<dyn File>, at: u64, epoch: Option<u64>, lowest: u64) -> Self {
        let length = file.facts().map_or(0, |facts| facts.size);
        Scanner::within(file, length, at, epoch, lowest)
    }

    /// As [`Scanner::new`], of a file of which the length is known.
    pub fn within(
        file: Arc<dyn File>,
        length: u64,
        at: u64,
        epoch: Option<u64>,
        lowest: u64,
    ) -> Self {
        Scanner {
            file,
            length,
            at,
            epoch,
            lowest,
            buffer: Vec::new(),
            buffer_at: at,
            unreadable: None,
        }
    }

    /// The file's length when the scan began.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The scan goes no further than this; bytes behind it may be half written.
    pub fn set_length(&mut self, length: u64) {
        self.length = length;
    }

    /// Where the next step begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The bytes of the frame that the last step found.
    pub fn bytes(&self, offset: u64, outline: &Outline) -> &[u8] {
        let from = (offset - self.buffer_at) as usize;
        &self.buffer[from..from + outline.length()]
    }

    /// The frame at this place, read straight into the buffer that it stays in. `None`: there is no intact one, of
    /// which [`Scanner::step`] says more.
    pub fn take(&mut self, mut buffer: Vec<u8>) -> Option<Frame> {
        let offset = self.at;
        self.read(&mut buffer, FRAME_HEADER_BYTES, offset)?;
        let length = frame::header_length(&buffer).ok()?;
        let rest = length.checked_sub(FRAME_HEADER_BYTES)?;
        if offset + length as u64 > self.length {
            return None;
        }
        buffer.reserve_exact(rest);
        self.read(&mut buffer, rest, offset + FRAME_HEADER_BYTES as u64)?;
        let frame = Frame::open(buffer).ok()?;
        let ours = self.epoch.is_none_or(|epoch| epoch == frame.epoch());
        if !ours || frame.sequence() < self.lowest {
            return None;
        }
        self.at = offset + length as u64;
        self.epoch = Some(frame.epoch());
        self.lowest = frame.sequence() + 1;
        Some(frame)
    }

    /// Appends exactly `count` bytes from `at` on.
    fn read(&self, buffer: &mut Vec<u8>, count: usize, at: u64) -> Option<()> {
        if at + count as u64 > self.length {
            return None;
        }
        let mut done = 0;
        while done < count {
            done += self
                .file
                .append_at(buffer, count - done, at + done as u64)
                .ok()
                .filter(|n| *n > 0)?;
        }
        Some(())
    }

    /// The next frame or broken run; `None` at the end of the file.
    pub fn step(&mut self) -> Option<Found> {
        let offset = self.at;
        if offset >= self.length {
            return None;
        }
        match self.candidate(offset) {
            Ok(outline) => {
                self.at = offset + outline.length() as u64;
                self.epoch = Some(outline.epoch());
                self.lowest = outline.sequence() + 1;
                Some(Found::Frame { offset, outline })
            }
            Err(reason) => {
                self.at = self.next_intact(offset + 1).max(offset);
                let (bytes, unreadable) = (self.at - offset, self.unreadable.take());
                let failed = unreadable.as_ref().map(|why| format!("it cannot be read: {why}"));
                let reason = failed.unwrap_or(reason);
                Some(Found::Broken(Broken { offset, bytes, reason, unreadable }))
            }
        }
    }

    fn next_intact(&mut self, mut from: u64) -> u64 {
        loop {
            from = self.next_magic(from);
            if from >= self.length || self.candidate(from).is_ok() {
                return from.min(self.length);
            }
            from += 1;
        }
    }

    /// The frame at this place, if it is one.
    fn candidate(&mut self, at: u64) -> Result<Outline, String> {
        let header = self.window(at, FRAME_HEADER_BYTES);
        let length = frame::header_length(header).map_err(|why| why.to_string())?;
        let epoch = frame::header_epoch(header);
        if self.epoch.is_some() && self.epoch != epoch {
            return Err("the frame is of another run".to_string());
        }
        if at + length as u64 > self.length {
            return Err(FrameError::Short.to_string());
        }
        let bytes = self.window(at, length);
        let bytes = bytes.get(..length).unwrap_or(bytes);
        let outline = Outline::check(bytes).map_err(|why| why.to_string())?;
        if outline.sequence() < self.lowest {
            let (sequence, lowest) = (outline.sequence(), self.lowest);
            return Err(format!("frame {sequence} stands where {lowest} or a later one belongs"));
        }
        Ok(outline)
    }

    /// The first place from `from` on where a frame may begin.
    fn next_magic(&mut self, mut from: u64) -> u64 {
        while from < self.length {
            let window = self.window(from, BLOCK_BYTES);
            if window.len() < frame::MAGIC.len() {
                break;
            }
            if let Some(found) = memchr::memmem::find(window, &frame::MAGIC) {
                return from + found as u64;
            }
            // The magic may lie across the end of the window.
            from += (window.len() - (frame::MAGIC.len() - 1)) as u64;
        }
        self.length
    }

    /// At least `want` bytes from `at` on, or all until the end of the file.
    fn window(&mut self, at: u64, want: usize) -> &[u8] {
        let rest = self.length.saturating_sub(at) as usize;
        let want = want.min(rest);
        let buffer_end = self.buffer_at + self.buffer.len() as u64;
        if at < self.buffer_at || at + want as u64 > buffer_end {
            if at >= self.buffer_at && at < buffer_end {
                self.buffer.drain(..(at - self.buffer_at) as usize);
            } else {
                self.buffer.clear();
            }
            self.buffer_at = at;
            self.fill(want.max(BLOCK_BYTES).min(rest));
        }
        &self.buffer[(at - self.buffer_at) as usize..]
    }

    /// Makes the buffer `length` long; what cannot be read becomes zeros, which no check accepts.
    fn fill(&mut self, length: usize) {
        while self.buffer.len() < length {
            let (filled, at) = (self.buffer.len(), self.buffer_at + self.buffer.len() as u64);
            match self.file.append_at(&mut self.buffer, length - filled, at) {
                Ok(0) => {
                    // The file shrank; there is nothing behind this.
                    self.length = at;
                    return;
                }
                Ok(_) => {}
                Err(why) => {
                    self.unreadable.get_or_insert_with(|| why.to_string());
                    let page_end = (at / PAGE_BYTES + 1) * PAGE_BYTES;
                    self.buffer.resize(length.min((page_end - self.buffer_at) as usize), 0);
                }
            }
        }
    }
}
