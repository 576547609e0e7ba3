//! `type = "stdin"`: lines from standard input.
//!
//! Is: one thread that reads blocks. In: bytes. Out: chunks of one stream. Promises: every byte once, in order, also
//! over a reload: what was read for a pipeline that is no more, and the beginning of a line that had no end yet, goes
//! to the next one; a line that is too long goes on in pieces. Ends: at the end of the input or when told to stop, with
//! a last chunk. On failure: an error of reading is said in health and counts as the end.

use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tail::lines::{Cut, cut};
use super::{Input, InputContext, InputLoad};
use crate::chunk::{Chunk, Closed, Intake};
use crate::clock::SharedClock;
use crate::delivery::BoxFuture;
use crate::event::{Key, Literal, Source, SourceKind};
use crate::health::{Part, State};
use crate::limits::CHUNK_BYTES;
use crate::metrics::{Counter, Metrics};
use crate::settings::Section;

struct StandardInput {
    line_max: usize,
    fields: Vec<(Key, Literal)>,
}

/// What was read of a stream and not handed on.
#[derive(Default)]
struct Carried {
    /// Bytes after the last cut.
    rest: Vec<u8>,
    /// They are within a line whose first pieces were handed on.
    inside: bool,
}

/// Of the process's standard input. Who has it is the one that reads: a thread whose pipeline is gone may wait in
/// `read` for long, and leaves here what it got.
static CARRIED: Mutex<Carried> = Mutex::new(Carried { rest: Vec::new(), inside: false });

/// The entrance of the pipeline until it is told to stop. The thread does not hold it while it reads, or the pipeline's
/// queue would never close.
type Entrance = Arc<Mutex<Option<Intake>>>;

/// The stream, as the thread and who ends it know it.
#[derive(Clone)]
struct Stream {
    source: Arc<Source>,
    /// Bytes handed on.
    offset: Arc<AtomicU64>,
    entrance: Entrance,
    clock: SharedClock,
}

/// Lines of a stream into chunks.
struct Lines {
    stream: Stream,
    line_max: usize,
    bytes: Counter,
    split: Counter,
}

/// Loads a `stdin` input.
#[allow(clippy::unnecessary_wraps)] // The registry's shape.
pub fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let line_max = super::tail::settings::line_max(section);
    Some(Box::new(StandardInput { line_max, fields: load.fields.clone() }))
}

impl Input for StandardInput {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let InputContext { name, intake, clock, metrics, health, mut stop, .. } = context;
            let lines = Lines::new(&name, self.fields, self.line_max, intake, clock, &metrics);
            let stream = lines.stream.clone();
            let (ended, end) = tokio::sync::oneshot::channel();
            let told = health.clone();
            // The thread may wait in `read` for ever; it is left behind when the agent stops.
            let thread = std::thread::Builder::new().name(format!("stdin-{name}"));
            let spawned = thread.spawn(move || {
                told.set(State::Fine);
                let mut carried = lock(&CARRIED);
                lines.run(std::io::stdin().lock(), &mut carried, &told);
                let _ = ended.send(());
            });
            if let Err(why) = spawned {
                let hint = "raise the limit of threads (TasksMax, ulimit -u) and restart";
                health
                    .set(State::Paused(format!("cannot start the reading thread: {why}; {hint}")));
                return;
            }
            tokio::select! {
                _ = end => return,
                _ = stop.wait_for(|stop| *stop) => {}
            }
            stream.leave().await;
        })
    }
}

impl Lines {
    fn new(
        name: &Arc<str>,
        fields: Vec<(Key, Literal)>,
        line_max: usize,
        intake: Intake,
        clock: SharedClock,
        metrics: &Metrics,
    ) -> Self {
        let id = super::tail::random_id(&*clock);
        let source = Source { id, input: Arc::clone(name), kind: SourceKind::Stream, fields };
        let (source, offset) = (Arc::new(source), Arc::default());
        let entrance = Arc::new(Mutex::new(Some(intake)));
        Lines {
            stream: Stream { source, offset, entrance, clock },
            line_max,
            bytes: metrics.counter("logweir_input_bytes_total", "Bytes read and handed on."),
            split: metrics.counter(
                "logweir_input_lines_split_total",
                "Lines longer than `max_line`, handed on in pieces.",
            ),
        }
    }

    fn run(mut self, mut from: impl Read, carried: &mut Carried, health: &Part) {
        let mut block = vec![0; CHUNK_BYTES];
        // First what was read for a pipeline that is no more.
        while self.take(carried).is_ok() {
            match from.read(&mut block) {
                Ok(0) => return self.end(carried),
                Ok(n) => carried.rest.extend_from_slice(&block[..n]),
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                Err(why) => {
                    let path = PathBuf::from("/dev/stdin");
                    let text = format!(
                        "cannot read standard input (`{}`): {why}; it counts as ended, restart \
                         logweir to read on",
                        path.display()
                    );
                    health.set(State::Degraded(text));
                    return self.end(carried);
                }
            }
        }
    }

    // What is refused stays in `carried`.
    fn take(&mut self, carried: &mut Carried) -> Result<(), Closed> {
        let mut from = 0;
        let result = loop {
            let rest = &carried.rest[from..];
            let (length, piece, ends) = match cut(rest, self.line_max, carried.inside) {
                Cut::Lines(length) => (length, false, true),
                Cut::Piece { length, ends } => (length, true, ends),
                Cut::More => break Ok(()),
            };
            if self.send(&rest[..length], piece, false).is_err() {
                break Err(Closed);
            }
            from += length;
            carried.inside = piece && !ends;
            self.split.add(u64::from(piece && ends));
        };
        carried.rest.drain(..from);
        result
    }

    fn end(&mut self, carried: &mut Carried) {
        if self.send(&carried.rest, carried.inside, true).is_ok() {
            *carried = Carried::default();
        }
    }

    fn send(&mut self, bytes: &[u8], piece: bool, last: bool) -> Result<(), Closed> {
        let intake = lock(&self.stream.entrance).clone().ok_or(Closed)?;
        let mut text = intake.buffer();
        text.extend_from_slice(bytes);
        let (chunk, length) = (self.stream.chunk(text), bytes.len() as u64);
        // Before: who ends the stream once the chunk is in the pipeline counts it.
        self.stream.offset.fetch_add(length, Ordering::Relaxed);
        let sent = intake.submit_blocking(Chunk { piece, last, ..chunk });
        match sent {
            Ok(()) => self.bytes.add(length),
            Err(Closed) => {
                self.stream.offset.fetch_sub(length, Ordering::Relaxed);
            }
        }
        sent
    }
}

impl Stream {
    // Nothing of the stream goes into this pipeline any more: a codec gives out what it holds.
    async fn leave(&self) {
        let intake = lock(&self.entrance).take();
        if let Some(intake) = intake {
            let _ = intake.submit(Chunk { last: true, ..self.chunk(Vec::new()) }).await;
        }
    }

    fn chunk(&self, text: Vec<u8>) -> Chunk {
        Chunk {
            text,
            source: Arc::clone(&self.source),
            offset: self.offset.load(Ordering::Relaxed),
            received_ns: self.clock.now_ns(),
            piece: false,
            last: false,
            position: None,
            told: Vec::new(),
            ack: None,
            memory: None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
