//! Batches of events over borrowed bytes: the one shape of data between decode and the journal.
//!
//! Is: a [`Batch`] owns one text buffer (the bytes of a chunk of input, to which filters append what they make) and
//! the events of that chunk. A [`Value`] is `Copy`: a string is a [`Span`] of the text, a nested JSON value stays
//! raw text until somebody writes into it, an opened object or array is a node of a pool in the batch.
//! In: bytes and spans. Out: fields, and each event as one JSON document.
//! Promises: a recycled batch allocates nothing in steady state; two events never share a pool node, so a change
//! to one is never seen in another; a nested value that nobody touched is written exactly as it was read.
//! On failure: a path that leads nowhere reads as absent.

mod batch;
mod body;
mod json;
mod lasting;
mod marks;
mod names;
mod object;
mod scan;
mod write;
mod keys;
mod large;
mod path;
mod source;
mod value;

pub use batch::{Batch, Event, Selection};
pub use body::Body;
pub use json::{JsonError, decode_escapes, parse_object, parse_value, write_escaped, write_string};
pub use keys::{Key, Keys};
pub use lasting::Lasting;
pub use names::Names;
pub use path::{Path, PathError, Segment, character_at};
pub use source::{Source, SourceKind};
pub use value::{Field, Literal, NodeId, Span, Value};

#[cfg(test)]
mod tests;
