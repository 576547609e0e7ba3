//! A journal on a simulated disk, without a background thread unless a test asks for one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::budget::Budget;
use crate::chunk::{Position, Stored, ack};
use crate::clock::ManualClock;
use crate::delivery::Feed;
use crate::diagnostic::Diagnostic;
use crate::frame::{Draft, Head};
use crate::health::{Health, State};
use crate::journal::{
    Journal, Mode, OnFull, Opened, OutputSlot, Parts, Settings, SyncPolicy, open,
};
use crate::metrics::Metrics;
use crate::storage::simulated::SimulatedStorage;

pub const DIRECTORY: &str = "/data/journal";

pub struct Bench {
    pub storage: SimulatedStorage,
    pub clock: Arc<ManualClock>,
    pub metrics: Metrics,
    pub health: Health,
    pub settings: Settings,
    pub outputs: Vec<OutputSlot>,
}

pub fn required(name: &str) -> OutputSlot {
    OutputSlot { name: name.into(), required: true, max_lag: None }
}

impl Bench {
    pub fn new(outputs: &[&str]) -> Bench {
        Bench {
            storage: SimulatedStorage::default(),
            clock: Arc::new(ManualClock::at(1_000_000_000)),
            metrics: Metrics::default(),
            health: Health::default(),
            settings: Settings {
                mode: Mode::Disk,
                max_bytes: 1 << 30,
                on_full: OnFull::Block,
                sync: SyncPolicy::Interval(std::time::Duration::from_millis(5)),
                segment_bytes: 1 << 20,
            },
            outputs: outputs.iter().map(|name| required(name)).collect(),
        }
    }

    pub fn open(&self) -> Opened {
        self.open_with(false).unwrap()
    }

    pub fn open_threaded(&self) -> Opened {
        self.open_with(true).unwrap()
    }

    /// As [`Bench::open`], where it may fail.
    pub fn try_open(&self) -> Result<Opened, Diagnostic> {
        self.open_with(false)
    }

    fn open_with(&self, threaded: bool) -> Result<Opened, Diagnostic> {
        let parts = Parts {
            storage: Arc::new(self.storage.clone()),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            health: self.health.part("journal"),
            budget: Budget::default(),
        };
        let settings = self.settings.clone();
        open::open(parts, Path::new(DIRECTORY), settings, &self.outputs, threaded)
    }

    pub fn segments(&self) -> Vec<PathBuf> {
        use crate::storage::Storage;
        let mut paths = self.storage.list(Path::new(DIRECTORY)).unwrap();
        paths.retain(|p| p.to_string_lossy().ends_with(".segment"));
        paths.sort();
        paths
    }

    /// As [`numbers`], of a feed that tries an unreadable place again as time passes.
    pub fn tried(&self, feed: &mut dyn Feed) -> Vec<u64> {
        let again = |_| {
            self.clock.advance_ns(1_000_000_000);
            numbers(feed)
        };
        (0..20).flat_map(again).collect()
    }

    pub fn trouble(&self) -> Option<String> {
        self.health.states().into_iter().find_map(|(_, state)| match state {
            State::Degraded(why) | State::Paused(why) => Some(why),
            _ => None,
        })
    }
}

/// One document `{"n":N}` for these routes, and the position of source 1 behind it.
pub fn draft(n: u64, routes: u32) -> Draft {
    padded(n, routes, 0)
}

pub fn padded(n: u64, routes: u32, padding: usize) -> Draft {
    let mut draft = Draft::new(Vec::new());
    let address = draft.string(b"logs").unwrap();
    let body = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(padding));
    draft.body().extend_from_slice(body.as_bytes());
    let head = Head { routes, time_ns: 0, prefix: None, suffix: 0, sub: 0 };
    draft.add(head, &vec![address; routes.count_ones() as usize]);
    draft.position(position(n));
    draft
}

pub fn position(n: u64) -> Position {
    Position { key: 1, offset: n, identity: b"file".to_vec(), new: false }
}

pub fn append(journal: &Journal, n: u64, routes: u32) -> u64 {
    journal.append(draft(n, routes), None).unwrap()
}

pub fn append_acked(journal: &Journal, n: u64, routes: u32) -> Stored {
    let (ack, stored) = ack();
    journal.append(draft(n, routes), Some(ack)).unwrap();
    stored
}

/// The `n` of every document that the feed gives now, with the sequences.
pub fn given(feed: &mut dyn Feed) -> Vec<(u64, u64)> {
    let mut all = Vec::new();
    while let Some(frame) = feed.next_now() {
        for document in frame.documents() {
            all.push((number(document.body), frame.sequence()));
        }
    }
    all
}

pub fn numbers(feed: &mut dyn Feed) -> Vec<u64> {
    given(feed).into_iter().map(|(n, _)| n).collect()
}

pub fn number(body: &[u8]) -> u64 {
    let digits: Vec<u8> = body
        .iter()
        .copied()
        .skip_while(|b| !b.is_ascii_digit())
        .take_while(u8::is_ascii_digit)
        .collect();
    String::from_utf8(digits).unwrap().parse().unwrap()
}

pub fn offset_of(opened: &Opened) -> u64 {
    opened.positions.iter().find(|p| p.key == 1).map_or(0, |p| p.offset)
}

/// How long a condition is awaited before the test fails.
pub const SOON: std::time::Duration = std::time::Duration::from_secs(20);

/// Waits until the condition holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "still waiting: {what}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
