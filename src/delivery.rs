//! Between the journal and the outputs: frames in, progress and dead letters out.
//!
//! Is: what an output may ask of the journal, as interfaces, so that neither imports the other.
//! Promises: a frame that is not reported done comes again after a restart; a dead letter is on disk when `put`
//! returns. On failure: a dead letter that cannot be stored is an error, and its document must be kept waiting.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::SharedClock;
use crate::frame::Frame;
use crate::health::Part;
use crate::metrics::Metrics;
use crate::storage::SharedStorage;

/// A future on the heap, as trait objects need it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The frames of one output, from its cursor on.
pub trait Feed: Send {
    /// The next frame; waits for one. `None`: the journal is closed; what was not given out comes after a restart.
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Frame>>>;
    /// The next frame if there is one now.
    fn next_now(&mut self) -> Option<Arc<Frame>>;
    /// All frames up to and with this sequence are done with; the cursor moves there.
    fn done(&mut self, sequence: u64);
}

/// A document that an output will never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The output's name.
    pub output: String,
    /// Index, channel, path or what else its output sends it by, as the journal has it: put back, it goes there again.
    /// Where it has parts, a control character stands between them; see [`DeadLetter::place`].
    pub address: String,
    /// Its id.
    pub id: String,
    /// The server's or our reason, one line, such as `mapper_parsing_exception: failed to parse field [x]`.
    pub reason: String,
    /// When it was refused, nanoseconds since the epoch.
    pub refused_ns: i64,
    /// The JSON text.
    pub document: Vec<u8>,
}

impl DeadLetter {
    /// Its address for people: the parts that are not empty, with ` / ` between them.
    pub fn place(&self) -> String {
        let parts = self.address.split(char::is_control).filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" / ")
    }
}

/// The store of dead letters of one pipeline.
pub trait DeadLetters: Send + Sync {
    /// Stores letters; they are on disk when this returns.
    fn put(&self, letters: &[DeadLetter]) -> io::Result<()>;
}

/// A signal that turns true once: stop.
pub type Stop = tokio::sync::watch::Receiver<bool>;

/// Everything an output works with.
pub struct OutputContext {
    /// Its name, as in `outputs.NAME`.
    pub name: String,
    /// Its bit in [`crate::frame::Document::routes`].
    pub bit: u32,
    /// Its frames.
    pub feed: Box<dyn Feed>,
    /// Where refused documents go.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Time.
    pub clock: SharedClock,
    /// Files.
    pub storage: SharedStorage,
    /// Metrics, labelled with pipeline and output.
    pub metrics: Metrics,
    /// What its buffers take their memory from.
    pub budget: Budget,
    /// How it says that it works.
    pub health: Part,
    /// What becomes of documents while the output does not work, such as `everything is kept in the journal`.
    pub keeping: &'static str,
    /// Turns true when the agent stops: finish requests under way, take no new frames, return.
    pub stop: Stop,
}
