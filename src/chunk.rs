//! What an input hands on: bytes with their source and place, and a way to learn that they are safe.
//!
//! In: bytes that an input read. Out: a [`Chunk`] in the pipeline's queue. Promises: a queue holds a bounded number
//! of chunks, which take their memory from the budget; a full queue and a used-up budget block, and that is the only
//! back-pressure; chunks of one source leave the queue in the order they came. On failure: a closed queue means that
//! the agent is stopping; the chunk was not taken.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::budget::{Budget, Memory, Use};
use crate::event::Source;
use crate::limits;
use crate::watermark::Watermark;

/// Whole lines (or one piece of a line that is too long) of one source.
pub struct Chunk {
    /// The bytes; lines end in a line feed, the last one perhaps not (it timed out, or the source ended).
    pub text: Vec<u8>,
    /// Where they came from.
    pub source: Arc<Source>,
    /// Offset of the first byte in the file; for a stream, bytes received before.
    pub offset: u64,
    /// When they were read, nanoseconds since the epoch.
    pub received_ns: i64,
    /// The text is one piece of a line that is longer than allowed; the event gets the tag `_line_split`.
    pub piece: bool,
    /// The source ends with this chunk: decoders give out what they hold and forget the source.
    pub last: bool,
    /// Where reading goes on after a restart, once this chunk is in the journal.
    pub position: Option<Position>,
    /// The same of other sources, of which nothing was read yet; there is no text then.
    pub told: Vec<Position>,
    /// Told when the chunk is in the journal and synced.
    pub ack: Option<Ack>,
    /// The memory that it and what becomes of it takes up; [`Intake`] sees to it where it is `None`.
    pub memory: Option<Memory>,
}

/// Where reading of a source goes on. A source that does not begin at 0 is told without any text first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The source's key; a later position of the same key replaces this one.
    pub key: u64,
    /// Bytes of the source that are in the journal.
    pub offset: u64,
    /// What the input needs to know the source again; empty: the source is gone, forget it.
    pub identity: Vec<u8>,
    /// The first position of a new source, or the first that tells of its content: it must be on disk before an
    /// output sees a document that carries the source's number in its id, or a power cut could give the same lines
    /// other ids. Until all of its chunk is in the journal, the source is read on from where that chunk begins.
    pub new: bool,
}

/// Tells the waiting input that its chunk is on disk; dropped without that, the input knows that it is not.
pub struct Ack {
    waits: oneshot::Sender<()>,
    /// Others that wait for the same.
    more: Vec<oneshot::Sender<()>>,
}

/// The receiving end of an [`Ack`].
pub struct Stored(oneshot::Receiver<()>);

/// The entrance of a pipeline.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Chunk>,
    buffers: Buffers,
    budget: Budget,
    watermark: Watermark,
}

/// Text buffers that were used and can be used again.
#[derive(Clone)]
pub struct Buffers(Arc<Mutex<Spare>>);

struct Spare {
    buffers: Vec<Vec<u8>>,
    /// Bytes of all buffers, and how many there may be.
    memory: Memory,
    most: u64,
}

/// The agent is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Position {
    /// The source as it is known while nothing of the text that begins at `offset` is in the journal.
    #[must_use]
    pub fn before(&self, offset: u64) -> Position {
        Position { offset: self.offset.min(offset), ..self.clone() }
    }
}

/// An ack and its receiving end.
pub fn ack() -> (Ack, Stored) {
    let (sender, receiver) = oneshot::channel();
    (Ack { waits: sender, more: Vec::new() }, Stored(receiver))
}

impl Ack {
    /// Everything before this is on disk.
    pub fn stored(self) {
        for waits in std::iter::once(self.waits).chain(self.more) {
            let _ = waits.send(());
        }
    }

    /// One that tells both.
    #[must_use]
    pub fn and(mut self, other: Ack) -> Ack {
        self.more.push(other.waits);
        self.more.extend(other.more);
        self
    }
}

impl Stored {
    /// Waits; [`Closed`] means that the chunk did not reach the journal.
    pub async fn wait(self) -> Result<(), Closed> {
        self.0.await.map_err(|_| Closed)
    }

    /// Whether it is stored, without waiting; `None`: not decided yet.
    pub fn told(&mut self) -> Option<bool> {
        match self.0.try_recv() {
            Ok(()) => Some(true),
            Err(oneshot::error::TryRecvError::Closed) => Some(false),
            Err(oneshot::error::TryRecvError::Empty) => None,
        }
    }

    /// As [`Stored::wait`], on a thread of its own.
    pub fn wait_blocking(self) -> Result<(), Closed> {
        self.0.blocking_recv().map_err(|_| Closed)
    }
}

/// An intake and the queue behind it, which holds `chunks` chunks, as far as the budget allows.
pub fn intake(chunks: usize, budget: Budget) -> (Intake, mpsc::Receiver<Chunk>) {
    let (queue, receiver) = mpsc::channel(chunks);
    let (buffers, watermark) = (Buffers::new(&budget), Watermark::default());
    (Intake { queue, buffers, budget, watermark }, receiver)
}

impl Intake {
    /// Hands a chunk on; waits while the pipeline is busy. For tasks.
    pub async fn submit(&self, mut chunk: Chunk) -> Result<(), Closed> {
        let enter = async {
            match &mut chunk.memory {
                None => chunk.memory = Some(self.budget.input(chunk.text.len()).await),
                Some(memory) => memory.keep_for(chunk.text.len()),
            }
            self.queue.send(chunk).await.map_err(|_| Closed)
        };
        self.watermark.wait_for(enter).await
    }

    /// Hands a chunk on; blocks while the pipeline is busy. For threads.
    pub fn submit_blocking(&self, mut chunk: Chunk) -> Result<(), Closed> {
        let _waiting = self.watermark.wait();
        while chunk.memory.is_none() {
            if self.queue.is_closed() {
                return Err(Closed);
            }
            let patience = Duration::from_millis(limits::STOP_LOOK_MS);
            chunk.memory = self.budget.input_within(chunk.text.len(), patience);
        }
        self.queue.blocking_send(chunk).map_err(|_| Closed)
    }

    /// Hands a chunk on if there is room now; gives it back otherwise. For threads that have other work meanwhile.
    pub fn offer(&self, mut chunk: Chunk) -> Result<Option<Chunk>, Closed> {
        if self.queue.is_closed() {
            return Err(Closed);
        }
        if chunk.memory.is_none() {
            chunk.memory = self.budget.try_input(chunk.text.len());
            if chunk.memory.is_none() {
                return Ok(Some(chunk));
            }
        }
        match self.queue.try_send(chunk) {
            Ok(()) => Ok(None),
            Err(mpsc::error::TrySendError::Full(chunk)) => Ok(Some(chunk)),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Closed),
        }
    }

    /// Whether a submit would be taken at once, so that a reader can leave bytes where they are.
    pub fn has_room(&self) -> bool {
        self.queue.capacity() > 0
    }

    /// Waits for the memory of `bytes` of input, for [`Chunk::memory`] of a chunk that is yet to be read.
    pub async fn memory(&self, bytes: usize) -> Memory {
        self.watermark.wait_for(self.budget.input(bytes)).await
    }

    /// For what an input has not handed on yet and does not wait for in here.
    pub fn watermark(&self) -> &Watermark {
        &self.watermark
    }

    /// The budget that chunks take from.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// An empty buffer, used before where possible.
    pub fn buffer(&self) -> Vec<u8> {
        self.buffers.take()
    }

    /// Gives a buffer back for the next [`Intake::buffer`].
    pub fn give_back(&self, buffer: Vec<u8>) {
        self.buffers.give_back(buffer);
    }

    /// The store of used buffers, which does not keep the queue open.
    pub fn buffers(&self) -> Buffers {
        self.buffers.clone()
    }
}

impl Buffers {
    fn new(budget: &Budget) -> Buffers {
        let most = budget.share_of(limits::SPARE_BYTES_MAX, 32);
        let (buffers, memory) = (Vec::new(), budget.hold(Use::Spare, 0));
        Buffers(Arc::new(Mutex::new(Spare { buffers, memory, most })))
    }

    /// Gives a buffer back for the next [`Intake::buffer`].
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A buffer that one huge line made large is not kept, nor one that holds nothing.
        let useful = 1..=8 * limits::CHUNK_BYTES;
        let bytes = spare.memory.bytes() + buffer.capacity() as u64;
        if bytes <= spare.most && useful.contains(&buffer.capacity()) {
            spare.buffers.push(buffer);
            spare.memory.set(bytes);
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = spare.buffers.pop().unwrap_or_default();
        let bytes = spare.memory.bytes() - buffer.capacity() as u64;
        spare.memory.set(bytes);
        buffer
    }
}
