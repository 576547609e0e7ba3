//! One connection that writes lines.
//!
//! In: a connection. Out: chunks of whole lines, handed on as soon as the socket has no more bytes for now or a
//! chunk is full; the end of a line that has not come yet is carried over.
//! Promises: waiting for the client costs [`limits::CONNECTION_READ_BYTES`] and the carried bytes; only
//! [`limits::CONNECTION_READERS_MAX`] connections hold a whole chunk at once, and while the pipeline is busy they
//! are the only ones that do; carried bytes of all connections together are bounded, a line is split early when
//! they are too many. On failure: what was received is handed on, then the connection ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::listener::{
    Connection, Stream, Traffic, character_boundary, greeting, now, stopped,
};
use super::lines::{Part, next_part};
use crate::chunk::{Chunk, Closed, Intake};
use crate::clock::SharedClock;
use crate::delivery::Stop;
use crate::event::Source;
use crate::limits::{self, CHUNK_BYTES, CONNECTION_READ_BYTES};

/// What all connections of one input share.
pub(super) struct Shared {
    intake: Intake,
    clock: SharedClock,
    traffic: Arc<Traffic>,
    idle: Duration,
    line_bytes_max: usize,
    readers: Semaphore,
    /// Bytes that all connections carry.
    pub(super) held: AtomicUsize,
}

/// A connection at work.
pub(super) struct Session {
    stream: Stream,
    peer: SocketAddr,
    stop: Stop,
    source: Arc<Source>,
    shared: Arc<Shared>,
    /// A line that has not ended yet.
    carry: Vec<u8>,
    /// What of `carry` is counted in `Shared::held`.
    counted: usize,
    /// The next bytes go on with a line of which a piece was handed on.
    inside: bool,
    /// Bytes handed on.
    offset: u64,
    begun: bool,
}

impl Shared {
    /// Nothing held yet.
    pub(super) fn new(
        intake: Intake,
        clock: SharedClock,
        traffic: Arc<Traffic>,
        idle: Duration,
        line_bytes_max: usize,
    ) -> Self {
        let readers = Semaphore::new(limits::CONNECTION_READERS_MAX);
        let held = AtomicUsize::new(0);
        Shared { intake, clock, traffic, idle, line_bytes_max, readers, held }
    }
}

impl Session {
    /// A connection that was let in.
    pub(super) fn new(connection: Connection, source: Arc<Source>, shared: Arc<Shared>) -> Self {
        let Connection { stream, peer, stop } = connection;
        Session {
            stream,
            peer,
            stop,
            source,
            shared,
            carry: Vec::new(),
            counted: 0,
            inside: false,
            offset: 0,
            begun: false,
        }
    }

    /// Reads until the client ends, is silent for too long, or the agent stops.
    pub(super) async fn run(mut self) {
        let mut first = Vec::with_capacity(CONNECTION_READ_BYTES);
        while self.wait(&mut first).await {
            if !self.begun && !self.welcome(&first) {
                return;
            }
            self.begun = true;
            if self.take(&first).await.is_err() {
                return;
            }
            first.clear();
        }
        let _ = self.finish().await;
        // An orderly end, so that a TLS client knows that nothing was cut off.
        let patience = Duration::from_millis(limits::CONNECTION_GRACE_MS);
        let _ = timeout(patience, self.stream.shutdown()).await;
    }

    /// Waits for bytes; false: there will be none.
    async fn wait(&mut self, first: &mut Vec<u8>) -> bool {
        let read = tokio::select! {
            biased;
            () = stopped(&mut self.stop) => {
                // What the kernel holds already was sent before the stop: take it.
                now(self.stream.read_buf(first)).await.map(Ok)
            }
            read = timeout(self.shared.idle, self.stream.read_buf(first)) => Some(read),
        };
        match read {
            Some(Ok(Ok(n))) => {
                self.shared.traffic.bytes.add(n as u64);
                n > 0
            }
            Some(Err(_elapsed)) => {
                tracing::debug!(peer = %self.peer, "closed: nothing came for too long");
                false
            }
            Some(Ok(Err(why))) => {
                tracing::debug!(peer = %self.peer, "connection ended: {why}");
                false
            }
            None => false,
        }
    }

    /// Looks at the first bytes; false: what comes is no text.
    fn welcome(&self, first: &[u8]) -> bool {
        let complaints = &self.shared.traffic.complaints;
        if greeting::is_tls(first) {
            let why = "the client speaks TLS, but this input has no `tls` table: closed";
            complaints.report("tls_on_plain_port", self.peer, why);
            return false;
        }
        if greeting::is_http(first) {
            let why = "this looks like HTTP; a tcp input takes each line of it as an event";
            complaints.report("http_on_plain_port", self.peer, why);
        }
        true
    }

    /// Takes the bytes that ended a wait, and those behind them.
    async fn take(&mut self, first: &[u8]) -> Result<(), Closed> {
        let shared = Arc::clone(&self.shared);
        let drained = first.len() < CONNECTION_READ_BYTES;
        let fits = self.carry.len() + first.len() <= shared.line_bytes_max;
        if drained && fits && self.within_budget(first.len()) && memchr(b'\n', first).is_none() {
            self.carry.extend_from_slice(first);
            self.count();
            return Ok(());
        }
        let Ok(_permit) = shared.readers.acquire().await else { return Err(Closed) };
        let mut block = std::mem::take(&mut self.carry);
        if block.capacity() < CHUNK_BYTES {
            let small = std::mem::replace(&mut block, shared.intake.buffer());
            block.extend_from_slice(&small);
        }
        block.extend_from_slice(first);
        if !drained {
            self.fill(&mut block).await;
        }
        self.count();
        self.hand_on(block).await
    }

    /// Reads what is there now, up to a chunk.
    async fn fill(&mut self, block: &mut Vec<u8>) {
        let before = block.len();
        block.reserve(CHUNK_BYTES);
        while block.len() - before < CHUNK_BYTES {
            match now(self.stream.read_buf(block)).await {
                Some(Ok(n)) if n > 0 => {}
                // Nothing now; an end or an error shows again at the next wait.
                _ => break,
            }
        }
        self.shared.traffic.bytes.add((block.len() - before) as u64);
    }

    async fn hand_on(&mut self, mut block: Vec<u8>) -> Result<(), Closed> {
        let max = self.shared.line_bytes_max;
        let mut from = 0;
        while let Some(part) = self.next(&block[from..]) {
            if part.piece && !self.inside {
                self.shared.traffic.split.increment();
            }
            self.inside = part.open;
            let end = from + part.len;
            if from == 0 && next_part(&block[end..], max, part.open).is_none() {
                // The usual case: all but the remainder goes on in the buffer that it was read into.
                self.carry = block[end..].to_vec();
                self.count();
                block.truncate(end);
                return self.submit(block, part.piece, false).await;
            }
            let mut text = self.shared.intake.buffer();
            text.extend_from_slice(&block[from..end]);
            self.submit(text, part.piece, false).await?;
            from = end;
        }
        if from == 0 && block.len() >= block.capacity() / 2 {
            self.carry = block;
        } else {
            self.carry = block[from..].to_vec();
            self.shared.intake.give_back(block);
        }
        self.count();
        Ok(())
    }

    /// The next part; when all connections together hold too much, a long line is split early.
    fn next(&self, text: &[u8]) -> Option<Part> {
        next_part(text, self.shared.line_bytes_max, self.inside).or_else(|| {
            let over = !text.is_empty() && !self.within_budget(text.len());
            over.then(|| Part {
                len: character_boundary(text, text.len()),
                piece: true,
                open: true,
            })
        })
    }

    /// Whether this connection may carry `more` bytes.
    fn within_budget(&self, more: usize) -> bool {
        self.carry.len() + more <= limits::CONNECTION_HELD_BYTES_MIN
            || self.shared.held.load(Ordering::Relaxed) + more <= limits::CONNECTION_HELD_BYTES_MAX
    }

    fn count(&mut self) {
        let held = self.carry.len();
        self.shared.held.fetch_add(held, Ordering::Relaxed);
        self.shared.held.fetch_sub(self.counted, Ordering::Relaxed);
        self.counted = held;
    }

    async fn submit(&mut self, text: Vec<u8>, piece: bool, last: bool) -> Result<(), Closed> {
        let offset = self.offset;
        self.offset += text.len() as u64;
        let chunk = Chunk {
            text,
            source: Arc::clone(&self.source),
            offset,
            received_ns: self.shared.clock.now_ns(),
            piece,
            last,
            position: None,
            ack: None,
        };
        self.shared.intake.submit(chunk).await
    }

    /// Hands on what is left, and says that nothing follows.
    async fn finish(&mut self) -> Result<(), Closed> {
        if !self.begun {
            return Ok(());
        }
        let rest = std::mem::take(&mut self.carry);
        let piece = self.inside && !rest.is_empty();
        self.submit(rest, piece, true).await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.held.fetch_sub(self.counted, Ordering::Relaxed);
    }
}
