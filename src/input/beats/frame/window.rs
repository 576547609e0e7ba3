//! The events of a window, as lines.
//!
//! In: events, bit by bit. Out: parts. Promises: an event takes exactly one line; a part ends with a window, or
//! when it is large; a part of a window that is not complete is acknowledged only to clients that know that
//! (version 2). On failure: nothing can fail.

use std::collections::VecDeque;

use super::super::super::listener::character_boundary;
use super::{Acknowledgement, Bounds, Part, ProtocolError};

/// A window at work.
pub(super) struct Window {
    bounds: Bounds,
    version: u8,
    /// Events in a window; 0: no window was announced.
    size: u32,
    seen: u32,
    /// Sequence of the last whole event.
    sequence: u32,
    /// Sequence of the event under way.
    sequence_next: u32,
    text: Vec<u8>,
    /// Where the event under way begins in `text`.
    event_start: usize,
    /// A piece of the event under way was given out.
    pieces: bool,
    ready: VecDeque<Part>,
    /// Events and pieces so far.
    progress: u64,
}

impl Window {
    /// Before the first frame.
    pub(super) fn new(bounds: Bounds) -> Self {
        Window {
            bounds,
            version: 0,
            size: 0,
            seen: 0,
            sequence: 0,
            sequence_next: 0,
            text: Vec::new(),
            event_start: 0,
            pieces: false,
            ready: VecDeque::new(),
            progress: 0,
        }
    }

    /// A window frame. What an incomplete window holds is given out: the client has moved on.
    pub(super) fn open(&mut self, version: u8, size: u32) {
        if self.seen > 0 {
            self.close();
        }
        (self.version, self.size, self.seen) = (version, size, 0);
    }

    /// An event begins; `length` is its bytes where known.
    pub(super) fn begin(&mut self, sequence: u32, length: usize) -> Result<(), ProtocolError> {
        if self.size == 0 {
            return Err(ProtocolError::NoWindow);
        }
        if length > self.bounds.event_bytes_max {
            // What comes before goes on its own, so that the pieces stand alone.
            self.flush();
        }
        self.sequence_next = sequence;
        self.event_start = self.text.len();
        Ok(())
    }

    /// Bytes of the event under way, as they are.
    pub(super) fn append(&mut self, mut bytes: &[u8]) {
        loop {
            let room = self.bounds.event_bytes_max - (self.text.len() - self.event_start);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            let from = self.text.len();
            self.text.extend_from_slice(now);
            // In JSON a raw line feed can only stand between tokens; a blank there means the same.
            let mut rest = &mut self.text[from..];
            while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
                rest[at] = b' ';
                rest = &mut rest[at + 1..];
            }
            if later.is_empty() {
                return;
            }
            self.give_piece();
            bytes = later;
        }
    }

    /// The event under way, to be written into directly; its length must be kept within the bounds.
    pub(super) fn event(&mut self) -> (&mut Vec<u8>, usize) {
        (&mut self.text, self.event_start)
    }

    /// Whether the event may grow by a text of `more` bytes; only for events that are not given out in pieces.
    pub(super) fn check_room(&self, more: usize) -> Result<(), ProtocolError> {
        let max = self.bounds.event_bytes_max;
        let length = self.text.len() - self.event_start;
        if length + more > max { Err(ProtocolError::EventTooLong(max)) } else { Ok(()) }
    }

    /// The event is complete.
    pub(super) fn end(&mut self) {
        if self.text.len() > self.event_start {
            self.text.push(b'\n');
        }
        self.event_start = self.text.len();
        self.sequence = self.sequence_next;
        self.seen += 1;
        self.progress += 1;
        if self.seen >= self.size {
            self.close();
        } else if self.pieces || self.text.len() >= self.bounds.part_bytes {
            self.flush();
        }
    }

    /// Gives out the whole events so far.
    pub(super) fn flush(&mut self) {
        if self.event_start == 0 {
            return;
        }
        let knows_partial = self.version == b'2';
        let ack = Acknowledgement { version: self.version, sequence: self.sequence };
        let rest = self.text.split_off(self.event_start);
        let text = std::mem::replace(&mut self.text, rest);
        self.event_start = 0;
        let piece = std::mem::take(&mut self.pieces);
        self.ready.push_back(Part { text, piece, ack: knows_partial.then_some(ack) });
    }

    /// The next part.
    pub(super) fn part(&mut self) -> Option<Part> {
        self.ready.pop_front()
    }

    /// How many events, or pieces of long ones, have come so far.
    pub(super) fn progress(&self) -> u64 {
        self.progress
    }

    /// Bytes held, given out or not.
    pub(super) fn held(&self) -> usize {
        self.text.capacity() + self.ready.iter().map(|part| part.text.capacity()).sum::<usize>()
    }

    fn close(&mut self) {
        let ack = Acknowledgement { version: self.version, sequence: self.sequence };
        let text = std::mem::take(&mut self.text);
        let piece = std::mem::take(&mut self.pieces);
        (self.event_start, self.seen) = (0, 0);
        self.ready.push_back(Part { text, piece, ack: Some(ack) });
    }

    /// `begin` gave out what was before an event that is too long, so the text is that event's alone.
    fn give_piece(&mut self) {
        let at = character_boundary(&self.text, self.text.len());
        let rest = self.text.split_off(at);
        let text = std::mem::replace(&mut self.text, rest);
        self.pieces = true;
        self.progress += 1;
        self.ready.push_back(Part { text, piece: true, ack: None });
    }
}
