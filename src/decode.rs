//! The second room: bytes into events.
//!
//! Is: the codecs. In: a chunk's text and place. Out: events in a batch. Promises: every line becomes exactly one
//! event, or a part of one; nothing that was read is left out. On failure: a line that a codec cannot read becomes
//! an event with the line as `message` and a tag that says why.

use crate::event::{Batch, Keys};
use crate::settings::Section;

/// What a decoder must know about the text it is given.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Offset of the text's first byte in its file, or in its stream.
    pub offset: u64,
    /// When it was read, nanoseconds since the epoch.
    pub received_ns: i64,
    /// The text is one piece of a line that is longer than allowed.
    pub piece: bool,
    /// The source ends here: give out what is held.
    pub last: bool,
}

/// A codec at work on one source.
pub trait Decoder: Send {
    /// Turns the batch's text (all of it) into events of the batch.
    fn decode(&mut self, place: Place, batch: &mut Batch);

    /// Gives out what was held for too long; its text is appended to the batch. Only ordered codecs hold anything.
    fn flush(&mut self, _now_ns: i64, _batch: &mut Batch) {}

    /// Offset of the first byte that is held and not yet in any event, so that a restart reads it again.
    fn held_from(&self) -> Option<u64> {
        None
    }
}

/// A codec, checked; makes one decoder for each source.
pub struct Codec {
    /// Whether decoders carry state from chunk to chunk, so that a source's chunks must be decoded in order by one
    /// decoder. Otherwise any decoder can take any chunk.
    pub ordered: bool,
    /// Makes a decoder.
    pub make: Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>,
}

type Load = fn(&Section<'_>, &mut Keys) -> Option<Codec>;

/// The codecs; to delete one, delete its file and its line.
pub const KINDS: &[(&str, Load)] = &[];
