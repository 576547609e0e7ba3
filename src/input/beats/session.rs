//! One Lumberjack connection.
//!
//! Is: a reader and an acknowledger in one task. In: a connection. Out: chunks, and acknowledgements for those
//! that are stored. Promises: acknowledgements go out in order, and never before the journal has the events;
//! the next window is read while the former waits, up to [`limits::BEATS_PARTS_WAITING_MAX`] parts; while the
//! pipeline is busy the socket is not read, and a version 2 client gets an acknowledgement of sequence 0 (the
//! protocol's sign of life) every few seconds; what all connections hold together is bounded: when it is too much,
//! those go first that hold an unfinished event and have fallen silent; a client that sends neither a whole event nor
//! much of one for `idle_timeout` is closed, however its bytes drip.
//! On failure: the connection ends; events of a window that is not complete are dropped, since the client, which
//! has no acknowledgement for them, sends them again.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::coop;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::super::listener::{Connection, Guest, Stream, Traffic, greeting, now, stopped};
use super::frame::{Acknowledgement, Bounds, Decoder, Part, ProtocolError};
use crate::budget::{Memory, Use};
use crate::chunk::{self, Chunk, Closed, Intake, Stored};
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
    alive: Duration,
    bounds: Bounds,
    readers: Semaphore,
}

/// The reading half of a connection.
pub(super) struct Session {
    stream: ReadHalf<Stream>,
    stop: Stop,
    guest: Guest,
    source: Arc<Source>,
    shared: Arc<Shared>,
    /// When it counts as silent, unless a whole event or much of one comes before.
    patience: Instant,
    /// Bytes since then that are no whole event.
    crawled: usize,
    decoder: Decoder,
    /// The decoder's bytes and those that wait to be handed on, booked.
    held: Memory,
    /// Bytes that wait to be handed on.
    leaving: usize,
    /// To the acknowledging half; gone when reading is over.
    waiting: Option<mpsc::Sender<Waiting>>,
    /// What was handed on last, when no acknowledgement waits for it yet.
    open: Option<Stored>,
    /// Acknowledgements that have not gone out.
    unacknowledged: Arc<AtomicUsize>,
    /// Bytes handed on.
    offset: u64,
}

/// An acknowledgement and what it waits for.
struct Waiting {
    acknowledgement: Acknowledgement,
    /// `None`: there was nothing to store.
    stored: Option<Stored>,
}

/// Why reading ended.
enum End {
    /// The client ended, was silent for too long, or the agent stops.
    Quiet,
    /// The client broke the protocol: a reason and a sentence.
    Broken(&'static str, String),
}

impl Shared {
    /// Nothing held yet.
    pub(super) fn new(
        intake: Intake,
        clock: SharedClock,
        traffic: Arc<Traffic>,
        idle: Duration,
        alive_ms: u64,
        bounds: Bounds,
    ) -> Self {
        let readers = Semaphore::new(limits::CONNECTION_READERS_MAX);
        let alive = Duration::from_millis(alive_ms);
        Shared { intake, clock, traffic, idle, alive, bounds, readers }
    }

    /// Memory for reading a whole chunk at once, where there is plenty.
    fn block(&self) -> Option<Memory> {
        let budget = self.intake.budget();
        let plenty = budget.used(Use::Connections) as usize + CHUNK_BYTES;
        // Not input's memory: who holds some must not wait for more.
        (plenty <= budget.connections_max() / 2)
            .then(|| budget.hold(Use::Connections, CHUNK_BYTES as u64))
    }

    /// Bytes that one connection may hold in any case.
    fn least_held(&self) -> u64 {
        4 * self.intake.budget().connection_min() as u64
    }

    fn holds_too_much(&self) -> bool {
        let budget = self.intake.budget();
        budget.used(Use::Connections) > budget.connections_max() as u64
    }
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        End::Quiet
    }
}

impl From<ProtocolError> for End {
    fn from(error: ProtocolError) -> Self {
        End::Broken(error.reason(), error.to_string())
    }
}

impl Session {
    /// Serves a connection to its end.
    pub(super) async fn run(connection: Connection, source: Arc<Source>, shared: Arc<Shared>) {
        let Connection { stream, peer, stop, guest } = connection;
        let (stream, write) = tokio::io::split(stream);
        let (parts, acknowledgements) = mpsc::channel(limits::BEATS_PARTS_WAITING_MAX);
        let unacknowledged = Arc::new(AtomicUsize::new(0));
        let writing =
            acknowledge(acknowledgements, write, Arc::clone(&shared), Arc::clone(&unacknowledged));
        let mut writing = pin!(writing);
        let decoder = Decoder::new(shared.bounds);
        let held = shared.intake.budget().hold(Use::Connections, 0);
        let patience = Instant::now() + shared.idle;
        let mut session = Session {
            stream,
            stop,
            guest,
            source,
            shared,
            patience,
            crawled: 0,
            decoder,
            held,
            leaving: 0,
            waiting: Some(parts),
            open: None,
            unacknowledged,
            offset: 0,
        };
        let end = tokio::select! {
            end = session.read() => Some(end),
            // The client is out of reach, or the journal does not store any more.
            () = &mut writing => None,
        };
        session.waiting = None;
        if let Some(end) = end {
            if let End::Broken(reason, why) = end {
                session.shared.traffic.complaints.report(reason, peer, &why);
            }
            writing.await;
        }
        session.finish().await;
    }

    async fn read(&mut self) -> End {
        let mut first = Vec::with_capacity(CONNECTION_READ_BYTES);
        let mut greeted = false;
        loop {
            first.clear();
            let look = if self.held.bytes() > self.shared.least_held() {
                Instant::now() + Duration::from_millis(limits::CONNECTION_PRESSURE_MS)
            } else {
                self.patience
            };
            let read = tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return End::Quiet,
                // Nothing that it sent was whole, so it sends it again elsewhere or later.
                () = self.guest.told_to_go() => {
                    self.shared.traffic.gave_way();
                    return End::Quiet;
                }
                read = timeout_at(look.min(self.patience), self.stream.read_buf(&mut first)) => read,
            };
            match read {
                Ok(Ok(n)) if n > 0 => self.shared.traffic.bytes.add(n as u64),
                Ok(_) => return End::Quiet,
                Err(_elapsed) => match self.waited().await {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
            }
            if !greeted && let Some(end) = stranger(&first) {
                return end;
            }
            greeted = true;
            let before = self.decoder.progress();
            self.guest.at_work(true);
            if let Err(end) = self.take(&first).await {
                return end;
            }
            self.guest.at_work(false);
            self.crawled += first.len();
            self.judge(self.decoder.progress() > before);
        }
    }

    /// Whole events are progress, and so is a part of a long one.
    fn judge(&mut self, progress: bool) {
        if progress {
            self.guest.is_of_use();
        }
        if progress || self.crawled >= limits::CONNECTION_PROGRESS_BYTES {
            self.crawled = 0;
            self.patience = Instant::now() + self.shared.idle;
        }
    }

    /// Nothing came for a while: an end, or room for others.
    async fn waited(&mut self) -> Result<(), End> {
        // A client that waits for us may be silent.
        if self.unacknowledged.load(Ordering::Relaxed) > 0 {
            self.patience = self.patience.max(Instant::now() + self.shared.idle);
        }
        if Instant::now() >= self.patience {
            self.shared.traffic.silent();
            return Err(End::Quiet);
        }
        if !self.shared.holds_too_much() {
            return Ok(());
        }
        self.decoder.flush();
        while let Some(part) = self.decoder.part() {
            self.hand_on(part).await?;
        }
        self.count();
        if self.held.bytes() > self.shared.least_held() {
            let why = "all clients together hold more than there is room for, and this one has fallen silent";
            return Err(End::Broken("too_much_held", why.into()));
        }
        Ok(())
    }

    /// Takes the bytes that ended a wait, and those behind them while there are some.
    async fn take(&mut self, first: &[u8]) -> Result<(), End> {
        self.decode(first).await?;
        if first.len() < CONNECTION_READ_BYTES {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let Ok(_permit) = shared.readers.try_acquire() else { return Ok(()) };
        let Some(memory) = shared.block() else { return Ok(()) };
        let mut block = shared.intake.buffer();
        block.reserve(CHUNK_BYTES);
        while let Some(Ok(n)) = now(self.stream.read_buf(&mut block)).await {
            if n == 0 {
                // The end shows again at the next wait.
                break;
            }
            shared.traffic.bytes.add(n as u64);
            self.decode(&block).await?;
            block.clear();
        }
        shared.intake.give_back(block);
        drop(memory);
        Ok(())
    }

    async fn decode(&mut self, bytes: &[u8]) -> Result<(), End> {
        let mut at = 0;
        while at < bytes.len() || self.decoder.has_more() {
            // Parts that were complete before an error are good.
            let fed = self.decoder.feed(&bytes[at..]);
            self.count();
            if self.shared.holds_too_much() {
                self.decoder.flush();
            }
            while let Some(part) = self.decoder.part() {
                self.hand_on(part).await?;
            }
            at += fed?;
            self.count();
            if self.shared.holds_too_much() && self.held.bytes() > self.shared.least_held() {
                self.wait_for_room().await?;
            }
            // What a few bytes inflate to may be much: other connections have their turn meanwhile.
            coop::consume_budget().await;
        }
        Ok(())
    }

    /// Those who have fallen silent go first; who still sends goes only when that was not enough.
    async fn wait_for_room(&mut self) -> Result<(), End> {
        let pressure = Duration::from_millis(limits::CONNECTION_PRESSURE_MS);
        let until = Instant::now() + 2 * pressure;
        let _waiting = self.shared.intake.watermark().wait();
        while self.shared.holds_too_much() {
            if Instant::now() >= until {
                let why = "all clients together send more at once than is held; it may send again";
                return Err(End::Broken("too_much_held", why.into()));
            }
            sleep(pressure / 10).await;
        }
        Ok(())
    }

    async fn hand_on(&mut self, part: Part) -> Result<(), Closed> {
        let mut ack = None;
        if !part.text.is_empty() {
            let (sender, receiver) = chunk::ack();
            (ack, self.open) = (Some(sender), Some(receiver));
        }
        if let Some(acknowledgement) = part.ack {
            // Without a text of its own it waits for what was handed on before.
            let stored = self.open.take();
            // Before the chunk goes in, so that signs of life go out while the pipeline is busy.
            self.unacknowledged.fetch_add(1, Ordering::Relaxed);
            let Some(waiting) = &self.waiting else { return Err(Closed) };
            let waits = waiting.send(Waiting { acknowledgement, stored });
            self.shared.intake.watermark().wait_for(waits).await.map_err(|_| Closed)?;
        }
        if part.text.is_empty() {
            return Ok(());
        }
        self.submit(part.text, part.piece, false, ack).await
    }

    async fn submit(
        &mut self,
        text: Vec<u8>,
        piece: bool,
        last: bool,
        ack: Option<chunk::Ack>,
    ) -> Result<(), Closed> {
        let offset = self.offset;
        self.offset += text.len() as u64;
        if piece && text.ends_with(b"\n") {
            // The last piece of its event.
            self.shared.traffic.split.increment();
        }
        let chunk = Chunk {
            text,
            source: Arc::clone(&self.source),
            offset,
            received_ns: self.shared.clock.now_ns(),
            piece,
            last,
            position: None,
            told: Vec::new(),
            ack,
            memory: None,
        };
        self.leaving = chunk.text.len();
        self.count();
        let submitted = self.shared.intake.submit(chunk).await;
        self.leaving = 0;
        self.count();
        submitted
    }

    fn count(&mut self) {
        self.held.set((self.decoder.held() + self.leaving) as u64);
    }

    /// Says that nothing follows.
    async fn finish(&mut self) {
        if self.offset > 0 {
            let _ = self.submit(Vec::new(), false, true, None).await;
        }
    }
}

/// Waits for each part in order and tells the client; ends when there are no more parts, or at the first failure.
async fn acknowledge(
    mut acknowledgements: mpsc::Receiver<Waiting>,
    mut stream: WriteHalf<Stream>,
    shared: Arc<Shared>,
    unacknowledged: Arc<AtomicUsize>,
) {
    while let Some(Waiting { acknowledgement, stored }) = acknowledgements.recv().await {
        if let Some(stored) = stored {
            let mut stored = pin!(stored.wait());
            loop {
                match timeout(shared.alive, &mut stored).await {
                    Ok(Ok(())) => break,
                    Ok(Err(Closed)) => return,
                    // Version 1 has no sign of life: clients take any acknowledgement for the last one.
                    Err(_elapsed) if acknowledgement.version == b'1' => {}
                    Err(_elapsed) => {
                        let alive = Acknowledgement { sequence: 0, ..acknowledgement };
                        if tell(&mut stream, alive, shared.idle).await.is_err() {
                            return;
                        }
                    }
                }
            }
        }
        if tell(&mut stream, acknowledgement, shared.idle).await.is_err() {
            return;
        }
        unacknowledged.fetch_sub(1, Ordering::Relaxed);
    }
    let _ = timeout(shared.idle, stream.shutdown()).await;
}

async fn tell(
    stream: &mut WriteHalf<Stream>,
    acknowledgement: Acknowledgement,
    patience: Duration,
) -> io::Result<()> {
    let bytes = acknowledgement.bytes();
    let write = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    timeout(patience, write).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Tells who speaks another protocol.
fn stranger(first: &[u8]) -> Option<End> {
    if greeting::is_tls(first) {
        let why = "the client speaks TLS, but this input has no `tls` table: closed";
        return Some(End::Broken("tls_on_plain_port", why.into()));
    }
    let why = "this looks like HTTP, but this input takes the Lumberjack protocol of Beats: closed";
    greeting::is_http(first).then(|| End::Broken("http_on_plain_port", why.into()))
}
