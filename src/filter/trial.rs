//! One event through one chain, for tests: TOML and JSON in, JSON out.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{Chain, ChainPlan, FilterLoad, States};
use crate::clock::{ManualClock, SharedClock};
use crate::diagnostic::Diagnostics;
use crate::event::{Batch, Key, Keys, Source, SourceKind, parse_object};
use crate::metrics::Metrics;
use crate::settings::{Document, Environment, Section};

/// 2026-11-22T01:02:03.004Z
pub(super) const NOW_NS: i64 = 1_795_309_323_004_000_000;

/// A chain and what is around it.
pub(super) struct Trial {
    pub(super) chain: Chain,
    pub(super) metrics: Metrics,
    pub(super) plan: ChainPlan,
    keys: Arc<Keys>,
}

struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read_file(&self, _: &Path) -> io::Result<String> {
        Err(io::ErrorKind::NotFound.into())
    }
}

impl Trial {
    /// Loads `[[filters]]` of a text; panics with the diagnostics when something is wrong.
    #[track_caller]
    pub(super) fn new(toml: &str) -> Trial {
        let (trial, problems) = Trial::load(toml, &crate::clock::system());
        assert!(problems.0.is_empty(), "{problems}");
        trial
    }

    /// Loads `[[filters]]` of a text whatever is wrong with it.
    pub(super) fn load(toml: &str, clock: &SharedClock) -> (Trial, Diagnostics) {
        let mut problems = Diagnostics::default();
        let environment = Arc::new(NoEnvironment);
        let folder = Path::new("/nowhere");
        let text = toml.to_string();
        let document = Document::parse("t.toml", text, folder, environment, &mut problems);
        let problems = RefCell::new(problems);
        let (mut keys, metrics) = (Keys::default(), Metrics::default());
        let section = Section::root(&document, &problems);
        let states = States::default();
        let mut load = FilterLoad { keys: &mut keys, clock, metrics: &metrics, states: &states };
        let plan = ChainPlan::load(&section, "filters", &mut load);
        section.finish();
        let chain = plan.make();
        (Trial { chain, metrics, plan, keys: Arc::new(keys) }, problems.into_inner())
    }

    /// A batch of one event.
    pub(super) fn batch(&self, jsons: &[&str]) -> Batch {
        let source =
            Source { id: 1, input: "t".into(), kind: SourceKind::Stream, fields: Vec::new() };
        let mut batch = Batch::new(Arc::clone(&self.keys), Arc::new(source));
        for (n, json) in jsons.iter().enumerate() {
            let event = batch.add_event(NOW_NS, n as u64);
            let span = batch.push_text(json.as_bytes());
            let mut fields = Vec::new();
            parse_object(&mut batch.text, span, &self.keys, &mut fields).expect(json);
            *batch.fields_mut(event) = fields;
        }
        batch
    }

    /// Runs the chain over one event and writes what is left of it: the document without
    /// `@timestamp` while that is unchanged, or `dropped`.
    pub(super) fn run(&mut self, json: &str) -> String {
        let mut batch = self.batch(&[json]);
        self.chain.apply(&mut batch);
        written(&batch, 0)
    }

    /// The value of a counter's line in the metrics' text.
    pub(super) fn counted(&self, line: &str) -> u64 {
        let text = self.metrics.render();
        let value = text.lines().find_map(|l| l.strip_prefix(line));
        value.map_or(0, |v| v.trim().parse().unwrap())
    }
}

/// An event as text; see [`Trial::run`].
pub(super) fn written(batch: &Batch, event: usize) -> String {
    if batch.events[event].dropped {
        return "dropped".into();
    }
    let mut out = Vec::new();
    batch.write_event(event, &mut out);
    let text = String::from_utf8(out).expect("a document is UTF-8");
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text);
    assert!(parsed.is_ok(), "a document is JSON: {text}");
    let plain = text.replacen("\"@timestamp\":\"2026-11-22T01:02:03.004Z\"", "", 1);
    plain.replacen("{,", "{", 1)
}

/// An event's `@metadata` as text; empty: it has none.
pub(super) fn metadata(batch: &Batch, event: usize) -> String {
    let mut out = Vec::new();
    if let Some(metadata) = batch.get_root(event, Key::METADATA) {
        batch.write_json(metadata, &mut out);
    }
    String::from_utf8(out).expect("JSON is UTF-8")
}

/// One event through one chain.
#[track_caller]
pub(super) fn run(toml: &str, json: &str) -> String {
    Trial::new(toml).run(json)
}

/// What is wrong with a text, as shown to a person.
#[track_caller]
pub(super) fn problems(toml: &str) -> String {
    let (_, problems) = Trial::load(toml, &(Arc::new(ManualClock::at(NOW_NS)) as SharedClock));
    assert!(problems.has_errors(), "nothing is wrong with {toml}");
    problems.to_string()
}
