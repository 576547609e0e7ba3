//! One connection of the forward protocol.
//!
//! In: a connection. Out: chunks of JSON lines; for each message that asks for it, an acknowledgement once all its
//! entries are stored. Promises: nothing is acknowledged before the journal has it; a message is held once; while the
//! pipeline is busy the socket is not read; a client that sends nothing whole and not much of it for `idle_timeout` is
//! closed; when all clients together hold too much, those that hold more than their share are.
//! On failure: the connection ends; its client sends again what was not acknowledged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::super::listener::{Connection, Guest, Stream, Traffic, greeting, stopped};
use super::handshake::{self, SharedKey};
use super::message::{Entries, Problem};
use crate::budget::{Memory, Use};
use crate::chunk::{self, Ack, Chunk, Closed, Intake};
use crate::clock::SharedClock;
use crate::delivery::Stop;
use crate::event::Source;
use crate::limits::{self, CONNECTION_READ_BYTES};
use crate::msgpack::Extent;

/// What all connections of one input share.
pub(super) struct Shared {
    pub(super) intake: Intake,
    pub(super) clock: SharedClock,
    pub(super) traffic: Arc<Traffic>,
    pub(super) idle: Duration,
    /// Longest message.
    pub(super) message_bytes_max: usize,
    /// Most bytes that compressed entries may inflate to.
    pub(super) inflated_bytes_max: u64,
    /// Who does not know it is sent away.
    pub(super) key: Option<SharedKey>,
}

/// A connection at work.
pub(super) struct Session {
    stream: Stream,
    peer: SocketAddr,
    stop: Stop,
    guest: Guest,
    source: Arc<Source>,
    shared: Arc<Shared>,
    /// Bytes of a message that has not ended yet, and of those behind it.
    buffer: Vec<u8>,
    held: Memory,
    /// When it counts as silent, unless a whole message or much of one comes before.
    patience: Instant,
    /// Bytes since then that are no whole message.
    crawled: usize,
    /// Bytes handed on.
    offset: u64,
}

/// Why a connection ends.
enum End {
    /// The client ended, was silent for too long, or the agent stops.
    Quiet,
    /// The client broke the protocol: a reason and a sentence.
    Broken(&'static str, String),
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        End::Quiet
    }
}

impl From<Problem> for End {
    fn from(problem: Problem) -> Self {
        End::Broken(problem.reason(), problem.to_string())
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        End::Quiet
    }
}

impl Session {
    /// Serves a connection to its end.
    pub(super) async fn run(connection: Connection, source: Arc<Source>, shared: Arc<Shared>) {
        let Connection { stream, peer, stop, guest } = connection;
        let held = shared.intake.budget().hold(Use::Connections, 0);
        let patience = Instant::now() + shared.idle;
        let mut session = Session {
            stream,
            peer,
            stop,
            guest,
            source,
            shared,
            buffer: Vec::new(),
            held,
            patience,
            crawled: 0,
            offset: 0,
        };
        if let Err(End::Broken(reason, why)) = session.serve().await {
            session.shared.traffic.complaints.report(reason, peer, &why);
        }
        if session.offset > 0 {
            let _ = session.submit(Vec::new(), true, None).await;
        }
        let patience = Duration::from_millis(limits::CONNECTION_GRACE_MS);
        let _ = timeout(patience, session.stream.shutdown()).await;
    }

    async fn serve(&mut self) -> Result<(), End> {
        if let Some(key) = &self.shared.key {
            let patience = Duration::from_millis(limits::HANDSHAKE_MS);
            let greeted = timeout(patience, handshake::greet(&mut self.stream, key)).await;
            match greeted {
                Ok(Ok(())) => self.guest.is_of_use(),
                Ok(Err(why)) => return Err(End::Broken("handshake", why)),
                Err(_elapsed) => {
                    let why = "the client did not answer the handshake; set its `shared_key`";
                    return Err(End::Broken("handshake", why.into()));
                }
            }
        }
        let mut extent = Extent::next();
        loop {
            match extent.of(&self.buffer).map_err(Problem::from)? {
                Some(length) => {
                    let rest = self.buffer.split_off(length);
                    let message = std::mem::replace(&mut self.buffer, rest);
                    self.guest.at_work(true);
                    self.take(&message).await?;
                    self.guest.at_work(false);
                    self.guest.is_of_use();
                    self.has_progressed();
                    self.held.set(self.buffer.capacity() as u64);
                    extent = Extent::next();
                }
                None => self.fill().await?,
            }
        }
    }

    /// Waits for more bytes of a message.
    async fn fill(&mut self) -> Result<(), End> {
        let shared = Arc::clone(&self.shared);
        let most = shared.message_bytes_max;
        if self.buffer.len() > most {
            let why = format!("a message is longer than {most} bytes; raise `max_message`");
            return Err(End::Broken("message_too_large", why));
        }
        let is_first = self.buffer.is_empty() && self.offset == 0;
        loop {
            let look = Instant::now() + Duration::from_millis(limits::CONNECTION_PRESSURE_MS);
            let look = if self.buffer.is_empty() { self.patience } else { look.min(self.patience) };
            self.buffer.reserve(CONNECTION_READ_BYTES);
            let read = tokio::select! {
                biased;
                () = stopped(&mut self.stop) => return Err(End::Quiet),
                // Nothing that it sent was whole, so it sends it again elsewhere or later.
                () = self.guest.told_to_go() => {
                    shared.traffic.gave_way();
                    return Err(End::Quiet);
                }
                read = timeout_at(look, self.stream.read_buf(&mut self.buffer)) => read,
            };
            self.held.set(self.buffer.capacity() as u64);
            self.within_share()?;
            match read {
                Ok(Ok(0)) => return Err(End::Quiet),
                Ok(read) => {
                    let count = read?;
                    shared.traffic.bytes.add(count as u64);
                    self.crawled += count;
                    if self.crawled >= limits::CONNECTION_PROGRESS_BYTES {
                        self.has_progressed();
                    }
                    return if is_first { stranger(&self.buffer) } else { Ok(()) };
                }
                Err(_elapsed) if Instant::now() < self.patience => {}
                Err(_elapsed) => {
                    shared.traffic.silent();
                    tracing::debug!(peer = %self.peer, "closed: nothing whole came for too long");
                    return Err(End::Quiet);
                }
            }
        }
    }

    /// A whole message, or much of one, has come.
    fn has_progressed(&mut self) {
        self.crawled = 0;
        self.patience = Instant::now() + self.shared.idle;
    }

    /// When all clients together hold too much, who holds more than anybody may goes.
    fn within_share(&self) -> Result<(), End> {
        let budget = self.shared.intake.budget();
        let too_much = budget.used(Use::Connections) > budget.connections_max() as u64;
        if !too_much || self.held.bytes() <= 4 * budget.connection_min() as u64 {
            return Ok(());
        }
        let why = "all clients together send more at once than is held; it may send again";
        Err(End::Broken("too_much_held", why.into()))
    }

    /// Hands on a message, and acknowledges it.
    async fn take(&mut self, message: &[u8]) -> Result<(), End> {
        let inflated_max = self.shared.inflated_bytes_max;
        let mut entries = Entries::of(message, inflated_max)?;
        let mut part = entries.next_part()?;
        let mut stored = None;
        while !part.is_empty() {
            let next = entries.next_part()?;
            self.held.set((message.len() + entries.held() + next.capacity()) as u64);
            let mut ack = None;
            if next.is_empty() && entries.chunk.is_some() {
                let (sender, receiver) = chunk::ack();
                (ack, stored) = (Some(sender), Some(receiver));
            }
            self.submit(part, false, ack).await?;
            part = next;
        }
        if let Some((count, problem)) = entries.take_odd() {
            let why = format!("{count} entries are kept as text in `message`: {problem}");
            self.shared.traffic.complaints.report("no_entry", self.peer, &why);
        }
        let Some(chunk) = entries.chunk else { return Ok(()) };
        if let Some(stored) = stored {
            self.shared.intake.watermark().wait_for(stored.wait()).await?;
        }
        let answer = acknowledgement(chunk);
        let write = async {
            self.stream.write_all(&answer).await?;
            self.stream.flush().await
        };
        timeout(self.shared.idle, write).await.map_err(|_| End::Quiet)??;
        Ok(())
    }

    async fn submit(&mut self, text: Vec<u8>, last: bool, ack: Option<Ack>) -> Result<(), Closed> {
        let offset = self.offset;
        self.offset += text.len() as u64;
        let chunk = Chunk {
            text,
            source: Arc::clone(&self.source),
            offset,
            received_ns: self.shared.clock.now_ns(),
            piece: false,
            last,
            position: None,
            told: Vec::new(),
            ack,
            memory: None,
        };
        self.shared.intake.submit(chunk).await
    }
}

/// `{"ack": chunk}`.
fn acknowledgement(chunk: &[u8]) -> Vec<u8> {
    let mut out = b"\x81\xa3ack\xdb".to_vec();
    out.extend((chunk.len() as u32).to_be_bytes());
    out.extend_from_slice(chunk);
    out
}

/// Tells who speaks another protocol.
fn stranger(first: &[u8]) -> Result<(), End> {
    if greeting::is_tls(first) {
        let why = "the client speaks TLS, but this input has no `tls` table: closed";
        return Err(End::Broken("tls_on_plain_port", why.into()));
    }
    if greeting::is_http(first) {
        let why =
            "this looks like HTTP, but this input takes the forward protocol of Fluentd: closed";
        return Err(End::Broken("http_on_plain_port", why.into()));
    }
    Ok(())
}
