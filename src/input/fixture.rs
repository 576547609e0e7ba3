//! A network input under test: its settings as text, a pipeline that the test plays, loopback.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::{InputContext, InputLoad};
use crate::budget::Budget;
use crate::chunk::{Chunk, intake};
use crate::clock;
use crate::diagnostic::Diagnostics;
use crate::event::Keys;
use crate::health::Health;
use crate::metrics::Metrics;
use crate::settings::{Document, ProcessEnvironment, Section};
use crate::storage;

/// What the test holds of a running input.
pub struct Pipeline {
    pub chunks: mpsc::Receiver<Chunk>,
    pub metrics: Metrics,
    pub health: Health,
    pub stop: watch::Sender<bool>,
}

/// Reads settings with an input's own reader; the value and all messages.
pub fn load<T>(
    text: &str,
    folder: &Path,
    read: impl FnOnce(&Section<'_>, &mut InputLoad<'_>) -> T,
) -> (T, Vec<String>) {
    let mut problems = Diagnostics::default();
    let environment = Arc::new(ProcessEnvironment);
    let document = Document::parse("t.toml", text.into(), folder, environment, &mut problems);
    let problems = RefCell::new(problems);
    let section = Section::root(&document, &problems);
    let mut keys = Keys::default();
    let mut load = InputLoad {
        name: "net",
        keys: &mut keys,
        fields: Vec::new(),
        probe: text.contains("probe"),
    };
    let value = read(&section, &mut load);
    section.finish();
    let messages = problems.into_inner().0.iter().map(ToString::to_string).collect();
    (value, messages)
}

/// An input's surroundings; its queue holds `chunks` chunks.
pub fn pipeline(chunks: usize) -> (InputContext, Pipeline) {
    let (intake, receiver) = intake(chunks, Budget::default());
    let (stop, stopped) = watch::channel(false);
    let (metrics, health) = (Metrics::default(), Health::default());
    let context = InputContext {
        name: "net".into(),
        intake,
        positions: Vec::new(),
        clock: clock::system(),
        storage: storage::disk(),
        metrics: metrics.clone(),
        health: health.part("app/inputs.net"),
        stop: stopped,
    };
    (context, Pipeline { chunks: receiver, metrics, health, stop })
}

/// Fails the test instead of hanging it; never decides one that works.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("this should not take half a minute")
}

impl Pipeline {
    /// The next chunk.
    pub async fn chunk(&mut self) -> Chunk {
        soon(self.chunks.recv()).await.expect("the input runs")
    }

    /// Waits until the metrics' text holds `line`.
    pub async fn metric(&self, line: &str) {
        let seen = async {
            while !self.metrics.render().lines().any(|l| l == line) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let waited = timeout(Duration::from_secs(30), seen).await;
        assert!(waited.is_ok(), "no `{line}` in\n{}", self.metrics.render());
    }
}
