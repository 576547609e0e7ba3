//! The loop of outputs that send documents in requests: gather, send, try again, halve what is refused.
//!
//! In: frames, and a [`Service`] that sends a batch and says what became of it. Out: batches, dead letters. Promises:
//! one request is under way at a time, so that documents arrive in the order of the journal (those of one address,
//! where the service keeps addresses apart); what may pass is tried again with growing pauses, for ever; of a batch
//! that is refused the halves are tried, until the documents that will not be had stand alone: those are dead letters;
//! what was taken in part is not sent again. A frame is done when the last of its documents is, and those of the
//! frames before it are. What is not done when the agent crashes, or when its stop does not wait any longer, comes
//! again. On failure: health says `paused` with the service's words; nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use super::open::Open;
use crate::delivery::{BoxFuture, DeadLetter, OutputContext};
use crate::frame::{Document, Frame};
use crate::health::State;
use crate::limits;
use crate::metrics::Counter;

/// A document of one of the frames under way: the frame's place, and its number in it.
pub(super) type Held = (usize, usize);

/// What a request may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of documents, with `each` for every one.
    pub(super) bytes: usize,
    /// What a document costs beside its own bytes.
    pub(super) each: usize,
    /// How many documents.
    pub(super) documents: usize,
    /// Documents of one address only.
    pub(super) by_address: bool,
    /// How long a batch that is not full waits for more.
    pub(super) patience: Duration,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The server has it.
    Accepted,
    /// It may work later, or when a person changes something: why, and the pause that the server asks for.
    Later(String, Option<Duration>),
    /// The server will never have this body.
    Refused(String),
    /// It has some of the documents.
    Partly(Partly),
}

/// Documents by their place in the batch, those that the server did not take.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Partly {
    /// To be sent again.
    pub(super) again: Vec<usize>,
    /// Why they have to be.
    pub(super) why: String,
    /// Never to be taken, and why.
    pub(super) refused: Vec<(usize, String)>,
}

/// A batch on its way.
pub(super) struct Batch<'a> {
    pub(super) frames: &'a [Arc<Frame>],
    pub(super) documents: &'a [Held],
    /// The output's bit.
    pub(super) bit: u32,
    /// Nanoseconds since the epoch.
    pub(super) now_ns: i64,
}

impl<'a> Batch<'a> {
    /// Its documents in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = Document<'a>> + '_ {
        self.documents.iter().map(|(frame, number)| self.frames[*frame].document(*number))
    }

    /// The address of the first, which is that of all where the service keeps addresses apart.
    pub(super) fn address(&self) -> &'a [u8] {
        let first = self.documents.first();
        first
            .and_then(|(frame, number)| self.frames[*frame].document(*number).address(self.bit))
            .unwrap_or_default()
    }
}

/// Whoever takes batches.
pub(super) trait Service: Send + 'static {
    /// What a request may hold.
    fn limits(&self) -> Limits;
    /// Sends a batch, once.
    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer>;
}

/// The output at work.
struct Worker<S> {
    context: OutputContext,
    service: S,
    delivered: Counter,
    refused: Counter,
    requests: Counter,
    retry_ms: u64,
}

/// The agent stops.
struct Stopped;

/// Works until told to stop.
pub(super) fn run<S: Service>(service: S, context: OutputContext) -> BoxFuture<'static, ()> {
    let metrics = &context.metrics;
    let worker = Worker {
        delivered: super::documents(metrics, "delivered"),
        refused: super::documents(metrics, "dead_letter"),
        requests: metrics.counter("logweir_output_requests_total", "Requests sent."),
        retry_ms: limits::RETRY_FIRST_MS,
        service,
        context,
    };
    Box::pin(async move {
        // A stop ends it in the middle; what was not reported done comes again.
        let _ = worker.work().await;
    })
}

impl<S: Service> Worker<S> {
    async fn work(mut self) -> Result<(), Stopped> {
        self.context.health.set(State::Fine);
        let Limits { bytes, patience, .. } = self.service.limits();
        while let Some(frames) = super::next_frames(&mut self.context, bytes, patience).await {
            let mut open = Open::new(&frames, self.context.bit);
            for documents in self.batches(&frames) {
                self.deliver(&frames, documents, &mut open).await?;
            }
            // Where none of them has a document for this output.
            self.settle(&[], &mut open);
        }
        Ok(())
    }

    /// The frames' documents, in requests that the service takes.
    fn batches(&self, frames: &[Arc<Frame>]) -> Vec<Vec<Held>> {
        let (bit, limits) = (self.context.bit, self.service.limits());
        let mut full = Vec::new();
        // An address, its batch that is not full yet, and the bytes in it.
        let mut open: Vec<(&[u8], Vec<Held>, usize)> = Vec::new();
        for (place, frame) in frames.iter().enumerate() {
            for document in frame.documents().filter(|d| d.routes & (1 << bit) != 0) {
                let address = match limits.by_address {
                    true => document.address(bit).unwrap_or_default(),
                    false => b"",
                };
                let size = document.body.len() + limits.each;
                let at = open.iter().position(|(known, ..)| *known == address);
                let at = at.unwrap_or_else(|| {
                    open.push((address, Vec::new(), 0));
                    open.len() - 1
                });
                let (_, batch, bytes) = &mut open[at];
                let too_much = *bytes + size > limits.bytes || batch.len() >= limits.documents;
                if too_much && !batch.is_empty() {
                    full.push(std::mem::take(batch));
                    *bytes = 0;
                }
                batch.push((place, document.number));
                *bytes += size;
            }
        }
        full.extend(open.into_iter().map(|(_, batch, _)| batch).filter(|batch| !batch.is_empty()));
        full
    }

    /// Sends documents until each is with the server or a dead letter.
    async fn deliver(
        &mut self,
        frames: &[Arc<Frame>],
        documents: Vec<Held>,
        open: &mut Open,
    ) -> Result<(), Stopped> {
        // What is left, the next at the end; a refused batch comes back as its halves.
        let mut left = vec![documents];
        while let Some(mut part) = left.pop() {
            match self.send(frames, &part).await? {
                Answer::Refused(why) => {
                    if let [document] = *part {
                        self.refuse(frames, document, &why).await?;
                        self.settle(&part, open);
                    } else {
                        let second = part.split_off(part.len() / 2);
                        left.extend([second, part]);
                    }
                }
                Answer::Partly(Partly { again, why, refused }) => {
                    let mut taken = vec![true; part.len()];
                    for at in again.iter().chain(refused.iter().map(|(at, _)| at)) {
                        taken[*at] = false;
                    }
                    let taken: Vec<Held> = part
                        .iter()
                        .zip(taken)
                        .filter(|(_, taken)| *taken)
                        .map(|(d, _)| *d)
                        .collect();
                    self.delivered.add(taken.len() as u64);
                    self.settle(&taken, open);
                    for (at, why) in refused {
                        self.refuse(frames, part[at], &why).await?;
                        self.settle(&[part[at]], open);
                    }
                    if !again.is_empty() {
                        left.push(again.into_iter().map(|at| part[at]).collect());
                        self.back_off(why, None).await?;
                    }
                }
                Answer::Accepted | Answer::Later(..) => {
                    self.delivered.add(part.len() as u64);
                    self.settle(&part, open);
                }
            }
        }
        Ok(())
    }

    /// Documents are with the server or dead letters: frames that are done by that do not come again.
    fn settle(&mut self, documents: &[Held], open: &mut Open) {
        for (frame, _) in documents {
            open.settle(*frame);
        }
        if let Some(sequence) = open.done() {
            self.context.feed.done(sequence);
        }
    }

    /// Sends a batch until the server says what it thinks of it.
    async fn send(&mut self, frames: &[Arc<Frame>], documents: &[Held]) -> Result<Answer, Stopped> {
        loop {
            self.requests.increment();
            let (bit, now_ns) = (self.context.bit, self.context.clock.now_ns());
            let batch = Batch { frames, documents, bit, now_ns };
            let answer = tokio::select! {
                answer = self.service.send(batch) => answer,
                () = stopping(&mut self.context.stop) => return Err(Stopped),
            };
            match answer {
                Answer::Later(why, pause) => self.back_off(why, pause).await?,
                Answer::Refused(_) => return Ok(answer),
                Answer::Partly(Partly { ref again, .. }) if !again.is_empty() => return Ok(answer),
                Answer::Accepted | Answer::Partly(_) => {
                    self.retry_ms = limits::RETRY_FIRST_MS;
                    self.context.health.set(State::Fine);
                    return Ok(answer);
                }
            }
        }
    }

    /// Waits until it is time to try again.
    async fn back_off(&mut self, why: String, pause: Option<Duration>) -> Result<(), Stopped> {
        let pause = pause.unwrap_or(Duration::from_millis(self.retry_ms));
        self.retry_ms = (2 * self.retry_ms).min(limits::RETRY_MAX_MS);
        self.pause(format!("{why}; {}", self.context.keeping), pause).await
    }

    /// Waits, and says why.
    async fn pause(&mut self, why: String, pause: Duration) -> Result<(), Stopped> {
        self.context.health.set(State::Paused(why));
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            _ = self.context.stop.wait_for(|stop| *stop) => Err(Stopped),
        }
    }

    async fn refuse(
        &mut self,
        frames: &[Arc<Frame>],
        (frame, number): Held,
        why: &str,
    ) -> Result<(), Stopped> {
        let document = frames[frame].document(number);
        let mut id = Vec::new();
        document.write_id(&mut id);
        // As the journal has it, with all its parts: put back, the document has to go to the same place.
        let address = document.address(self.context.bit).unwrap_or_default();
        let letter = DeadLetter {
            output: self.context.name.clone(),
            address: String::from_utf8_lossy(address).into_owned(),
            id: String::from_utf8_lossy(&id).into_owned(),
            reason: why.to_string(),
            refused_ns: self.context.clock.now_ns(),
            document: document.body.to_vec(),
        };
        loop {
            let (store, letters) = (Arc::clone(&self.context.dead_letters), vec![letter.clone()]);
            let stored = tokio::task::spawn_blocking(move || store.put(&letters)).await;
            let why = match stored {
                Ok(Ok(())) => break,
                Ok(Err(why)) => why.to_string(),
                Err(why) => why.to_string(),
            };
            let pause = Duration::from_millis(limits::RETRY_MAX_MS / 10);
            self.pause(format!("cannot store dead letters: {why}"), pause).await?;
        }
        self.refused.increment();
        Ok(())
    }
}

/// Ends some time after the agent was told to stop: a request under way may still be answered.
async fn stopping(stop: &mut crate::delivery::Stop) {
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
}
