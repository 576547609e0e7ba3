//! One connection that writes lines.
//!
//! In: a connection. Out: chunks of whole lines, handed on as soon as the socket has no more bytes for now or a
//! chunk is full; the end of a line that has not come yet is carried over.
//! Promises: waiting for the client costs [`limits::CONNECTION_READ_BYTES`] and the carried bytes; only
//! [`limits::CONNECTION_READERS_MAX`] connections hold a whole chunk at once, and while the pipeline is busy they
//! are the only ones that do; carried bytes of all connections together are bounded, a line is split early when
//! they are too many, and first the line of a client that has fallen silent in the middle of it; a client that
//! neither ends a line nor sends much of one for `idle_timeout` is closed, however its bytes drip.
//! On failure: what was received is handed on, then the connection ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use memchr::memchr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::listener::{
    Connection, Guest, Stream, Traffic, character_boundary, greeting, now, stopped,
};
use super::lines::{Part, next_part};
use crate::budget::{Memory, Use};
use crate::chunk::{Chunk, Closed, Intake};
use crate::clock::SharedClock;
use crate::delivery::Stop;
use crate::event::Source;
use crate::limits::{self, CHUNK_BYTES, CONNECTION_READ_BYTES};

/// What all connections of one input share.
pub(in crate::input) struct Shared {
    pub(super) intake: Intake,
    clock: SharedClock,
    traffic: Arc<Traffic>,
    idle: Duration,
    line_bytes_max: usize,
    readers: Semaphore,
}

/// A connection at work.
pub(in crate::input) struct Session {
    stream: Stream,
    peer: SocketAddr,
    stop: Stop,
    guest: Guest,
    source: Arc<Source>,
    shared: Arc<Shared>,
    /// When it counts as silent, unless a whole line or much of one comes before.
    patience: Instant,
    /// Bytes since then that are no whole line.
    crawled: usize,
    /// A line that has not ended yet.
    carry: Vec<u8>,
    /// What of `carry` is booked.
    held: Memory,
    /// The memory for what is read next.
    memory: Option<Memory>,
    /// The next bytes go on with a line of which a piece was handed on.
    inside: bool,
    /// Bytes handed on.
    offset: u64,
    begun: bool,
}

impl Shared {
    /// Nothing held yet.
    pub(in crate::input) fn new(
        intake: Intake,
        clock: SharedClock,
        traffic: Arc<Traffic>,
        idle: Duration,
        line_bytes_max: usize,
    ) -> Self {
        let readers = Semaphore::new(limits::CONNECTION_READERS_MAX);
        Shared { intake, clock, traffic, idle, line_bytes_max, readers }
    }
}

impl Session {
    /// A connection that was let in.
    pub(in crate::input) fn new(
        connection: Connection,
        source: Arc<Source>,
        shared: Arc<Shared>,
    ) -> Self {
        let Connection { stream, peer, stop, guest } = connection;
        let held = shared.intake.budget().hold(Use::Connections, 0);
        let patience = Instant::now() + shared.idle;
        Session {
            stream,
            peer,
            stop,
            guest,
            source,
            shared,
            patience,
            crawled: 0,
            carry: Vec::new(),
            held,
            memory: None,
            inside: false,
            offset: 0,
            begun: false,
        }
    }

    /// Reads until the client ends, sends nothing whole for too long, must give way, or the agent stops.
    pub(in crate::input) async fn run(mut self) {
        let mut first = Vec::with_capacity(CONNECTION_READ_BYTES);
        while self.wait(&mut first).await {
            if first.is_empty() {
                if self.give_room().await.is_err() {
                    return;
                }
                continue;
            }
            if !self.begun && !self.welcome(&first) {
                return;
            }
            self.begun = true;
            let before = self.offset;
            self.guest.at_work(true);
            if self.take(&first).await.is_err() {
                return;
            }
            self.guest.at_work(false);
            if self.guest.must_go() {
                self.shared.traffic.gave_way();
                break;
            }
            self.crawled += first.len();
            self.judge(self.offset > before);
            first.clear();
        }
        let _ = self.finish().await;
        // An orderly end, so that a TLS client knows that nothing was cut off.
        let patience = Duration::from_millis(limits::CONNECTION_GRACE_MS);
        let _ = timeout(patience, self.stream.shutdown()).await;
    }

    /// Whole lines are progress, and so is a part of a long one that is not too small.
    fn judge(&mut self, handed_on: bool) {
        if handed_on || self.crawled >= limits::CONNECTION_PROGRESS_BYTES {
            self.crawled = 0;
            self.patience = Instant::now() + self.shared.idle;
        }
    }

    /// Waits for bytes, or for the next look at whether others need the room; false: there will be none.
    async fn wait(&mut self, first: &mut Vec<u8>) -> bool {
        let pressure = Duration::from_millis(limits::CONNECTION_PRESSURE_MS);
        let holds_much = self.carry.len() > self.shared.intake.budget().connection_min();
        let look = if holds_much { Instant::now() + pressure } else { self.patience };
        let read = tokio::select! {
            biased;
            () = stopped(&mut self.stop) => {
                // What the kernel holds already was sent before the stop: take it.
                now(self.stream.read_buf(first)).await.map(Ok)
            }
            () = self.guest.told_to_go() => {
                let read = now(self.stream.read_buf(first)).await.map(Ok);
                if !matches!(read, Some(Ok(Ok(n))) if n > 0) {
                    self.shared.traffic.gave_way();
                }
                read
            }
            read = timeout_at(look.min(self.patience), self.stream.read_buf(first)) => Some(read),
        };
        match read {
            Some(Ok(Ok(n))) => {
                self.shared.traffic.bytes.add(n as u64);
                n > 0
            }
            Some(Err(_elapsed)) if Instant::now() < self.patience => true,
            Some(Err(_elapsed)) => {
                self.shared.traffic.silent();
                tracing::debug!(peer = %self.peer, "closed: nothing whole came for too long");
                false
            }
            Some(Ok(Err(why))) => {
                tracing::debug!(peer = %self.peer, "connection ended: {why}");
                false
            }
            None => false,
        }
    }

    /// Nothing came for a while: when all connections together hold too much, what there is of a long line goes on
    /// as it is, so that those who send have room.
    async fn give_room(&mut self) -> Result<(), Closed> {
        if self.carry.is_empty() || self.within_budget(0) {
            return Ok(());
        }
        let block = std::mem::take(&mut self.carry);
        self.hand_on(block).await
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
        let expected = if drained { first.len() } else { CHUNK_BYTES };
        self.memory = Some(shared.intake.memory(self.carry.len() + expected).await);
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
        let handed = self.hand_on(block).await;
        self.memory = None;
        handed
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
            if !part.piece {
                self.guest.is_of_use();
            }
            let end = from + part.len;
            if from == 0 && next_part(&block[end..], max, part.open).is_none() {
                // The usual case: all but the remainder goes on in the buffer that it was read into.
                self.carry = block[end..].to_vec();
                self.count();
                block.truncate(end);
                return self.submit(block, part.piece, false).await;
            }
            self.held.set(block.capacity() as u64);
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
        let budget = self.shared.intake.budget();
        let most = budget.connections_max() as u64;
        self.carry.len() + more <= budget.connection_min()
            || budget.used(Use::Connections) + more as u64 <= most
    }

    fn count(&mut self) {
        self.held.set(self.carry.capacity() as u64);
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
            told: Vec::new(),
            ack: None,
            memory: self.memory.take(),
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
