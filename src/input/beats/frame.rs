//! The frames of Lumberjack (versions 1 and 2), the protocol of Elastic's Beats.
//!
//! Is: a decoder without input or output of its own. In: bytes as they come, cut anywhere. Out: [`Part`]s: JSON
//! events as lines, and what to acknowledge once they are stored.
//! Promises: any bytes are decoded or refused without a panic; a length field never makes memory: what is held is
//! at most a part, one event and 16 KiB; inflating stops at a bound. On failure: [`ProtocolError`]; the connection
//! is of no use any more.
//!
//! The format, as the public clients and servers speak it (all numbers big-endian, 32 bits unless said otherwise):
//!
//! | frame | bytes |
//! |---|---|
//! | window | version `'1'` or `'2'`, `'W'`, number of events until the next acknowledgement |
//! | JSON event | version, `'J'`, sequence, length, that many bytes of JSON |
//! | data event (version 1) | version, `'D'`, sequence, number of pairs, for each: length, key, length, value |
//! | compressed | version, `'C'`, length, that many bytes of zlib (RFC 1950), which inflate to frames |
//! | acknowledgement (ours) | version, `'A'`, sequence of the last event that is stored; 0: still at it |
//!
//! An acknowledgement may come before the window is complete (version 2 only); the client goes on waiting.

mod inflate;
mod parser;
mod window;

#[cfg(test)]
pub(super) mod tests;

use std::fmt;

use inflate::Inflate;
use parser::Parser;
use window::Window;

use crate::limits;

/// How much a decoder takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes after which what is there of a window is handed on.
    pub part_bytes: usize,
    /// Longest event kept whole.
    pub event_bytes_max: usize,
    /// Most bytes that a compressed frame inflates to.
    pub inflated_bytes_max: u64,
}

/// Events to hand on, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// One JSON event a line; or one piece of an event that is too long.
    pub text: Vec<u8>,
    /// It is one piece of an event that is too long.
    pub piece: bool,
    /// What to tell the client once this is stored.
    pub ack: Option<Acknowledgement>,
}

/// What the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    /// The protocol version that the client speaks, `b'1'` or `b'2'`.
    pub version: u8,
    /// Sequence of the last event that is stored.
    pub sequence: u32,
}

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProtocolError {
    /// A frame does not begin with a version.
    Version(u8),
    /// A frame has a type that clients do not send.
    Frame(u8),
    /// An event came before any window.
    NoWindow,
    /// A compressed frame within a compressed frame.
    Nested,
    /// What zlib says.
    Inflate(String),
    /// A compressed frame ended within its zlib stream, or within a frame.
    Truncated,
    /// A compressed frame inflates to more than is allowed.
    TooMuch(u64),
    /// An event of version 1 is longer than allowed.
    EventTooLong(usize),
}

/// The state of one connection's frames.
pub(super) struct Decoder {
    bounds: Bounds,
    outer: Parser,
    /// Frames inside a compressed frame.
    inner: Parser,
    inflate: Option<Box<Inflate>>,
    window: Window,
}

impl Bounds {
    /// As [`limits`] says.
    pub(super) const USUAL: Bounds = Bounds {
        part_bytes: limits::BEATS_PART_BYTES,
        event_bytes_max: limits::BEATS_EVENT_BYTES_MAX,
        inflated_bytes_max: limits::BEATS_INFLATED_BYTES_MAX,
    };
}

impl Acknowledgement {
    /// The frame.
    pub(super) fn bytes(self) -> [u8; 6] {
        let [a, b, c, d] = self.sequence.to_be_bytes();
        [self.version, b'A', a, b, c, d]
    }
}

impl Decoder {
    /// At the start of a connection.
    pub(super) fn new(bounds: Bounds) -> Self {
        Decoder {
            bounds,
            outer: Parser::default(),
            inner: Parser::default(),
            inflate: None,
            window: Window::new(bounds),
        }
    }

    /// Takes bytes from the front of `input` and says how many; stops early when a part is complete or a
    /// compressed frame has inflated to some more, so that the caller takes the parts between.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<usize, ProtocolError> {
        let Some(inflate) = &mut self.inflate else {
            let (used, compressed) = self.outer.feed(input, &mut self.window)?;
            if let Some(length) = compressed {
                self.inflate = Some(Box::new(Inflate::new(length, self.bounds.inflated_bytes_max)));
            }
            return Ok(used);
        };
        let mut scratch = [0; 16 * 1024];
        let step = inflate.step(input, &mut scratch)?;
        let mut made = &scratch[..step.made];
        while !made.is_empty() {
            let (used, compressed) = self.inner.feed(made, &mut self.window)?;
            if compressed.is_some() {
                return Err(ProtocolError::Nested);
            }
            made = &made[used..];
        }
        if step.ended {
            if !self.inner.at_frame_start() {
                return Err(ProtocolError::Truncated);
            }
            self.inflate = None;
        }
        Ok(step.used)
    }

    /// Whether [`Decoder::feed`] gets on without more input.
    pub(super) fn has_more(&self) -> bool {
        self.inflate.as_ref().is_some_and(|inflate| inflate.has_more())
    }

    /// The next part, if one is complete.
    pub(super) fn part(&mut self) -> Option<Part> {
        self.window.part()
    }

    /// Gives out the whole events that are there, without waiting for the window's end; the client is told of them
    /// where its version knows that.
    pub(super) fn flush(&mut self) {
        self.window.flush();
    }

    /// How many events, or pieces of long ones, have come so far.
    pub(super) fn progress(&self) -> u64 {
        self.window.progress()
    }

    /// Bytes that are held.
    pub(super) fn held(&self) -> usize {
        self.window.held() + self.outer.held() + self.inner.held()
    }
}

impl ProtocolError {
    /// The error's name in metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            ProtocolError::Version(_) => "not_beats",
            ProtocolError::Frame(_) => "unknown_frame",
            ProtocolError::NoWindow => "no_window",
            ProtocolError::Nested => "nested_compression",
            ProtocolError::Inflate(_) => "bad_compression",
            ProtocolError::Truncated => "truncated_compression",
            ProtocolError::TooMuch(_) => "inflated_too_large",
            ProtocolError::EventTooLong(_) => "event_too_large",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolError::Version(byte) => {
                write!(f, "a frame begins with byte {byte:#04x}, not with a Lumberjack version")
            }
            ProtocolError::Frame(byte) => write!(f, "unknown frame type {byte:#04x}"),
            ProtocolError::NoWindow => f.write_str("an event came before any window frame"),
            ProtocolError::Nested => f.write_str("a compressed frame within a compressed frame"),
            ProtocolError::Inflate(why) => write!(f, "a compressed frame is damaged: {why}"),
            ProtocolError::Truncated => f.write_str("a compressed frame ends in the middle"),
            ProtocolError::TooMuch(max) => write!(
                f,
                "a compressed frame inflates to more than {max} bytes; raise `max_inflated`, or \
                 lower the client's `bulk_max_size`"
            ),
            ProtocolError::EventTooLong(max) => {
                write!(f, "an event is longer than {max} bytes; raise `max_event`")
            }
        }
    }
}
