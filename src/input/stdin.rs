//! `type = "stdin"`: lines from standard input.
//!
//! Is: one thread that reads blocks. In: bytes. Out: chunks of one stream. Promises: every byte once, in order; a
//! line that is too long goes on in pieces. Ends: at the end of the input, with a last chunk, or when told to stop.
//! On failure: an error of reading is said in health and counts as the end.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

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

/// Lines of a stream into chunks.
struct Lines {
    source: Arc<Source>,
    line_max: usize,
    offset: u64,
    inside: bool,
    // Bytes after the last cut.
    rest: Vec<u8>,
    intake: Intake,
    clock: SharedClock,
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
            let (ended, end) = tokio::sync::oneshot::channel();
            let told = health.clone();
            // The thread may wait in `read` for ever; it is left behind when the agent stops.
            let thread = std::thread::Builder::new().name(format!("stdin-{name}"));
            let spawned = thread.spawn(move || {
                lines.run(std::io::stdin().lock(), &told);
                let _ = ended.send(());
            });
            if let Err(why) = spawned {
                let hint = "raise the limit of threads (TasksMax, ulimit -u) and restart";
                health
                    .set(State::Paused(format!("cannot start the reading thread: {why}; {hint}")));
                return;
            }
            tokio::select! {
                _ = end => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
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
        Lines {
            source: Arc::new(source),
            line_max,
            offset: 0,
            inside: false,
            rest: Vec::new(),
            intake,
            clock,
            bytes: metrics.counter("logweir_input_bytes_total", "Bytes read and handed on."),
            split: metrics.counter(
                "logweir_input_lines_split_total",
                "Lines longer than `max_line`, handed on in pieces.",
            ),
        }
    }

    fn run(mut self, mut from: impl Read, health: &Part) {
        health.set(State::Fine);
        let mut block = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut block) {
                Ok(0) => break,
                Ok(n) => {
                    if self.take(&block[..n]).is_err() {
                        return;
                    }
                }
                Err(why) if why.kind() == std::io::ErrorKind::Interrupted => {}
                Err(why) => {
                    let path = PathBuf::from("/dev/stdin");
                    let text = format!(
                        "cannot read standard input (`{}`): {why}; it counts as ended, restart \
                         logweir to read on",
                        path.display()
                    );
                    health.set(State::Degraded(text));
                    break;
                }
            }
        }
        let rest = std::mem::take(&mut self.rest);
        let piece = self.inside;
        let _ = self.send(rest, piece, true);
    }

    fn take(&mut self, block: &[u8]) -> Result<(), Closed> {
        self.rest.extend_from_slice(block);
        let mut from = 0;
        loop {
            let (length, piece, ends) = match cut(&self.rest[from..], self.line_max, self.inside) {
                Cut::Lines(length) => (length, false, true),
                Cut::Piece { length, ends } => (length, true, ends),
                Cut::More => break,
            };
            let mut text = self.intake.buffer();
            text.extend_from_slice(&self.rest[from..from + length]);
            from += length;
            self.inside = piece && !ends;
            self.split.add(u64::from(piece && ends));
            self.send(text, piece, false)?;
        }
        self.rest.drain(..from);
        Ok(())
    }

    fn send(&mut self, text: Vec<u8>, piece: bool, last: bool) -> Result<(), Closed> {
        let offset = self.offset;
        self.offset += text.len() as u64;
        self.bytes.add(text.len() as u64);
        self.intake.submit_blocking(Chunk {
            text,
            source: Arc::clone(&self.source),
            offset,
            received_ns: self.clock.now_ns(),
            piece,
            last,
            position: None,
            told: Vec::new(),
            ack: None,
            memory: None,
        })
    }
}

#[cfg(test)]
mod tests;
