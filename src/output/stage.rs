//! Around an output under test: frames that the test gives, and what the output says and does.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use crate::budget::Budget;
use crate::clock::ManualClock;
use crate::delivery::{BoxFuture, DeadLetter, DeadLetters, Feed, OutputContext};
use crate::frame::{Draft, Frame, Head};
use crate::health::{Health, State};
use crate::metrics::Metrics;
use crate::storage::SharedStorage;

/// The test's side of an output.
pub(super) struct Stage {
    frames: mpsc::UnboundedSender<Arc<Frame>>,
    /// The last sequence that was reported done; 0: none.
    pub(super) done: watch::Receiver<u64>,
    pub(super) stop: watch::Sender<bool>,
    pub(super) metrics: Metrics,
    health: Health,
    letters: Arc<Letters>,
    sequence: u64,
}

struct Frames {
    frames: mpsc::UnboundedReceiver<Arc<Frame>>,
    done: watch::Sender<u64>,
}

#[derive(Default)]
struct Letters(Mutex<Vec<DeadLetter>>);

impl Feed for Frames {
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Frame>>> {
        Box::pin(self.frames.recv())
    }

    fn next_now(&mut self) -> Option<Arc<Frame>> {
        self.frames.try_recv().ok()
    }

    fn done(&mut self, sequence: u64) {
        self.done.send_replace(sequence);
    }
}

impl DeadLetters for Letters {
    fn put(&self, letters: &[DeadLetter]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(letters);
        Ok(())
    }
}

impl Stage {
    /// A stage and the context of the output, whose bit is 0.
    pub(super) fn new(storage: SharedStorage) -> (Stage, OutputContext) {
        let (frames, receiver) = mpsc::unbounded_channel();
        let (done_sender, done) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let (health, metrics) = (Health::default(), Metrics::default());
        let letters = Arc::new(Letters::default());
        let context = OutputContext {
            name: "out".to_string(),
            bit: 0,
            feed: Box::new(Frames { frames: receiver, done: done_sender }),
            dead_letters: Arc::clone(&letters) as Arc<dyn DeadLetters>,
            clock: Arc::new(ManualClock::at(0)),
            storage,
            metrics: metrics.clone(),
            budget: Budget::default(),
            keeping: "everything is kept in the journal",
            health: health.part("out"),
            stop: stopped,
        };
        (Stage { frames, done, stop, metrics, health, letters, sequence: 0 }, context)
    }

    /// Gives a frame with these documents (address, JSON); one with an empty address is for another output.
    pub(super) fn frame(&mut self, documents: &[(&str, String)]) -> u64 {
        let mut draft = Draft::new(Vec::new());
        for (number, (address, body)) in documents.iter().enumerate() {
            draft.body().extend_from_slice(body.as_bytes());
            let routes = if address.is_empty() { 2 } else { 1 };
            let string = draft.string(address.as_bytes()).unwrap();
            let (time_ns, suffix) = (number as i64 * 1_000_000_000, number as u64);
            let head = Head { routes, time_ns, prefix: None, suffix, sub: 0 };
            draft.add(head, std::slice::from_ref(&string));
        }
        self.sequence += 1;
        self.frames.send(Arc::new(draft.seal(7, self.sequence))).ok().unwrap();
        self.sequence
    }

    /// Waits until a frame is done.
    pub(super) async fn until_done(&mut self, sequence: u64) {
        self.done.wait_for(|done| *done >= sequence).await.unwrap();
    }

    /// What the output says about itself.
    pub(super) fn state(&self) -> State {
        self.health.states().remove(0).1
    }

    pub(super) fn letters(&self) -> Vec<DeadLetter> {
        self.letters.0.lock().unwrap().clone()
    }

    /// A counter's value, by the beginning of its line.
    pub(super) fn counted(&self, line: &str) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|l| l.strip_prefix(line));
        value.map_or(0, |v| v.trim().parse().unwrap())
    }
}
