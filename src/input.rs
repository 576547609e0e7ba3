//! The first room: bytes from files and the network into chunks.
//!
//! Is: the kinds of input and how one is loaded and run. In: settings, then bytes. Out: [`crate::chunk::Chunk`]s.
//! Promises: an input hands on each byte once, in order per source, and waits while the pipeline is busy.
//! On failure: a problem that may pass is said in health and tried again; the task ends only when told to stop.

mod beats;
#[cfg(test)]
mod fixture;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod forward;
mod generate;
mod host;
mod http;
mod journald;
mod listener;
mod origin;
mod stdin;
mod syslog;
mod tail;
mod tcp;
mod udp;

#[cfg(test)]
pub(crate) use tail::stepped;

use std::sync::Arc;

use crate::chunk::{Intake, Position};
use crate::clock::SharedClock;
use crate::delivery::{BoxFuture, Stop};
use crate::event::{Key, Keys, Literal};
use crate::health::Part;
use crate::metrics::Metrics;
use crate::settings::Section;
use crate::storage::SharedStorage;

/// Name and help text of the gauge of unread bytes; every input has it.
pub const LAG_BYTES: (&str, &str) =
    ("logweir_input_lag_bytes", "Unread bytes of known files at the last look; 0 for others.");
/// Name and help text of the gauge of unread time; every input has it.
pub const LAG_SECONDS: (&str, &str) = (
    "logweir_input_lag_seconds",
    "How long the oldest unread bytes of known files have been seen unread; 0 for others.",
);

/// An input, checked and ready to start.
pub trait Input: Send {
    /// Works until told to stop; everything it read is handed on or left unread when this returns.
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()>;
}

/// What loading an input needs besides its section.
pub struct InputLoad<'a> {
    /// The input's name, as in `inputs.NAME`.
    pub name: &'a str,
    /// The pipeline's names.
    pub keys: &'a mut Keys,
    /// Fields every event gets (`fields = {…}`, `host.name`), already read by the caller.
    pub fields: Vec<(Key, Literal)>,
    /// Whether what is not there yet (a listening address, a folder) is tried now, as `check` does.
    pub probe: bool,
}

/// Everything a running input works with.
pub struct InputContext {
    /// Its name.
    pub name: Arc<str>,
    /// The pipeline's entrance.
    pub intake: Intake,
    /// Where reading stopped last time, all sources of the pipeline.
    pub positions: Vec<Position>,
    /// Time.
    pub clock: SharedClock,
    /// Files.
    pub storage: SharedStorage,
    /// Metrics, labelled with pipeline and input.
    pub metrics: Metrics,
    /// How it says that it works.
    pub health: Part,
    /// Turns true when the agent stops.
    pub stop: Stop,
}

impl InputContext {
    /// The same for a part of the input that works beside it; its health is its own.
    fn share(&self, part: &str) -> InputContext {
        InputContext {
            name: Arc::clone(&self.name),
            intake: self.intake.clone(),
            positions: Vec::new(),
            clock: Arc::clone(&self.clock),
            storage: Arc::clone(&self.storage),
            metrics: self.metrics.clone(),
            health: self.health.inner(part),
            stop: self.stop.clone(),
        }
    }
}

/// What the identity of a file's position says: the input's name, and the path at which the file was seen last.
pub fn file_of(identity: &[u8]) -> Option<(String, std::path::PathBuf)> {
    tail::file_of(identity).or_else(|| journald::file_of(identity))
}

/// What the list that `adopt` of a `file` input names says of a file: a checksum of its first kilobyte, as far as
/// `offset` reaches.
///
/// # Errors
/// What reading says.
pub fn adopted_head(
    read: &mut dyn FnMut(&mut [u8], u64) -> std::io::Result<usize>,
    offset: u64,
) -> std::io::Result<u32> {
    tail::head_of(read, offset)
}

type Load = fn(&Section<'_>, &mut InputLoad<'_>) -> Option<Box<dyn Input>>;

/// The kinds of input; to delete one, delete its file and its line.
pub const KINDS: &[(&str, Load)] = &[
    ("beats", beats::load),
    ("file", tail::load),
    ("forward", forward::load),
    ("generate", generate::load),
    ("host", host::load),
    ("http", http::load),
    ("journald", journald::load),
    ("stdin", stdin::load),
    ("syslog", syslog::load),
    ("tcp", tcp::load),
    ("udp", udp::load),
];

/// The codec of an input whose settings name none.
pub fn usual_codec(kind: &str) -> &'static str {
    match kind {
        "beats" | "forward" | "generate" | "host" | "http" | "journald" => "json",
        "syslog" => "syslog",
        _ => "plain",
    }
}
