//! Around an output under test: its settings, frames that the test gives, and what the output says and does.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::{KINDS, Output, OutputLoad};
use crate::budget::Budget;
use crate::clock::ManualClock;
use crate::delivery::{BoxFuture, DeadLetter, DeadLetters, Feed, OutputContext};
use crate::diagnostic::Diagnostics;
use crate::event::Keys;
use crate::frame::{Draft, Frame, Head};
use crate::health::{Health, State};
use crate::metrics::Metrics;
use crate::settings::{Document, Environment, ProcessEnvironment, Section};
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

/// The output that a section of this kind makes in an environment, and what is said of the section.
pub(super) fn load_in(
    kind: &str,
    text: &str,
    environment: Arc<dyn Environment>,
) -> (Option<Box<dyn Output>>, Vec<String>) {
    let mut problems = Diagnostics::default();
    let folder = std::path::Path::new("/");
    let document = Document::parse("t.toml", text.into(), folder, environment, &mut problems);
    let problems = std::cell::RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let mut keys = Keys::default();
    let (_, load) = KINDS.iter().find(|(known, _)| *known == kind).unwrap();
    let output = load(&section, &mut OutputLoad { name: "out", keys: &mut keys });
    section.finish();
    let said = problems.into_inner().0.iter().map(ToString::to_string).collect();
    (output, said)
}

/// As [`load_in`], in the environment of the process.
pub(super) fn load(kind: &str, text: &str) -> (Option<Box<dyn Output>>, Vec<String>) {
    load_in(kind, text, Arc::new(ProcessEnvironment))
}

/// An output of this kind, made in an environment and running on a stage.
pub(super) fn start_in(
    kind: &str,
    settings: &str,
    environment: Arc<dyn Environment>,
) -> (Stage, JoinHandle<()>) {
    let (output, said) = load_in(kind, settings, environment);
    assert_eq!(said, Vec::<String>::new());
    let (stage, context) = Stage::new(crate::storage::disk());
    (stage, tokio::spawn(output.unwrap().run(context)))
}

/// As [`start_in`], in the environment of the process.
pub(super) fn start(kind: &str, settings: &str) -> (Stage, JoinHandle<()>) {
    start_in(kind, settings, Arc::new(ProcessEnvironment))
}

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

    /// Waits until the output cannot go on, and gives what it says.
    pub(super) async fn until_paused(&self) -> String {
        loop {
            if let State::Paused(why) = self.state() {
                return why;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
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
