//! The fifth room: frames on disk (or in memory), one cursor per output.

use std::path::Path;
use std::sync::Arc;

use crate::chunk::{Ack, Closed, Position};
use crate::clock::SharedClock;
use crate::delivery::{DeadLetters, Feed};
use crate::diagnostic::Diagnostic;
use crate::frame::Draft;
use crate::health::Part;
use crate::metrics::Metrics;
use crate::settings::Section;
use crate::storage::SharedStorage;

/// Settings.
#[derive(Clone, Debug)]
pub struct Settings {}

impl Settings {
    /// Reads `[journal]`.
    pub fn load(section: Option<&Section<'_>>) -> Settings {
        if let Some(section) = section {
            for key in ["mode", "max_size", "on_full", "sync", "sync_interval", "segment_size"] {
                section.has(key);
            }
        }
        Settings {}
    }
}

/// An output's cursor.
#[derive(Clone, Debug)]
pub struct OutputSlot {
    /// Its name.
    pub name: String,
    /// Holds the journal.
    pub required: bool,
    /// Bytes.
    pub max_lag: Option<u64>,
}

/// Opened.
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// Positions.
    pub positions: Vec<Position>,
    /// Bits.
    pub bits: Vec<u32>,
}

/// The journal.
#[derive(Clone)]
pub struct Journal {}

#[allow(missing_docs, clippy::missing_errors_doc)]
impl Journal {
    pub fn open(
        _: SharedStorage,
        _: SharedClock,
        _: &Metrics,
        _: Part,
        _: &Path,
        _: Settings,
        _: &[OutputSlot],
    ) -> Result<Opened, Diagnostic> {
        todo!("journal")
    }
    pub fn append(&self, _: Draft, _: Option<Ack>) -> Result<u64, Closed> {
        todo!("journal")
    }
    pub fn feed(&self, _: u32) -> Box<dyn Feed> {
        todo!("journal")
    }
    pub fn buffer(&self) -> Vec<u8> {
        todo!("journal")
    }
    pub fn dead_letters(&self) -> Arc<dyn DeadLetters> {
        todo!("journal")
    }
    pub async fn drained(&self) {
        todo!("journal")
    }
    pub fn waiting_documents(&self) -> u64 {
        todo!("journal")
    }
    pub fn close(&self) {
        todo!("journal")
    }
}
