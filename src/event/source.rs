//! Where a batch came from.
//!
//! Is: what all events of one file generation or one connection share. In: the input's settings and facts.
//! Out: fields that every event of the batch starts with. Promises: a source's fields are rendered once per batch,
//! never per event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Literal;

/// What kind of place events came from; decides their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A file generation: ids follow from `generation` and the line's offset, and are the same after any restart.
    File {
        /// The generation's own number, random once, then kept in the journal's positions.
        generation: u64,
    },
    /// A network connection, standard input: ids follow from the journal's sequence.
    Stream,
}

/// One file generation or one connection.
#[derive(Clone, Debug)]
pub struct Source {
    /// Unique within the process; the key of the decoder's state and of the journal's positions.
    pub id: u64,
    /// Name of the input in the configuration.
    pub input: Arc<str>,
    /// File or stream.
    pub kind: SourceKind,
    /// Fields that every event gets, in this order; a nested one is a whole object (`log = {file = {path = …}}`).
    pub fields: Vec<(super::Key, Literal)>,
}

impl Source {
    /// A number for [`Source::id`] that no other source of this process has.
    pub fn new_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}
