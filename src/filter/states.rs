//! What filters with memory share with their pipeline: order, time, and a place in the journal.
//!
//! Is: one handle for each chain. In: what filters tell at load (that they need order, that they remember) and at
//! work (when a window ends). Out: for the pipeline whether to keep order and when to let windows close; for the
//! journal what changed, as positions. Promises: what a filter remembers is in the frame that holds what it
//! remembers it of, so that after a crash both are there or neither; see
//! `docs/decisions/0009-filters-that-remember.md`. On failure: what no filter knows again at a start (the filter
//! was changed or removed) is forgotten, counted, and said.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::chunk::Position;
use crate::pulse;
use crate::tap::Tap;

/// The first byte of the identity of a position that is a filter's memory, so that no input takes it for its own.
const IDENTITY: u8 = b'F';

/// A filter's memory, as the pipeline sees it at a start.
pub(super) trait Remembers: Send + Sync {
    /// The number that tells it from other filters, the same after a restart with the same settings; and the one by
    /// which an earlier version knew it.
    fn tags(&self) -> [u64; 2];
    /// Takes one thing up again. `false`: it cannot be read.
    fn restore(&self, key: u64, opened_ns: i64, bytes: &[u8]) -> bool;
    /// Ends the restoring.
    fn restored(&self);
}

/// See the module; clones are one.
#[derive(Clone, Default)]
pub struct States(Arc<Inner>);

struct Inner {
    /// Set while a filter is loaded that needs order; [`super::ChainPlan::load`] asks for it after each.
    ordered: AtomicBool,
    timed: AtomicBool,
    /// When the next window ends, nanoseconds of [`crate::clock::Clock::elapsed_ns`].
    next_ns: AtomicU64,
    hurried: Mutex<bool>,
    hurry: Condvar,
    memories: Mutex<Vec<Arc<dyn Remembers>>>,
    tap: Tap,
}

impl Default for Inner {
    fn default() -> Self {
        Inner {
            ordered: AtomicBool::new(false),
            timed: AtomicBool::new(false),
            next_ns: AtomicU64::new(u64::MAX),
            hurried: Mutex::new(false),
            hurry: Condvar::new(),
            memories: Mutex::default(),
            tap: Tap::default(),
        }
    }
}

impl States {
    /// Where somebody may look at the events between the filters.
    pub fn tap(&self) -> &Tap {
        &self.0.tap
    }

    /// The filter that is being loaded must see batches in order.
    pub(super) fn need_order(&self) {
        self.0.ordered.store(true, Ordering::Relaxed);
    }

    /// Whether the filter that was loaded since the last call needs order.
    pub(super) fn take_order(&self) -> bool {
        self.0.ordered.swap(false, Ordering::Relaxed)
    }

    /// The filter that is being loaded has windows that end.
    pub(super) fn need_time(&self) {
        self.0.timed.store(true, Ordering::Relaxed);
    }

    /// Adds a memory that is kept in the journal.
    pub(super) fn remember(&self, memory: Arc<dyn Remembers>) {
        self.memories().push(memory);
    }

    /// The first of the numbers that `make` gives that no memory has for its tag: filters of equal settings are told
    /// apart by which comes first.
    pub(super) fn new_tag(&self, make: impl Fn(usize) -> u64) -> u64 {
        let memories = self.memories();
        let free = |tag: &u64| memories.iter().all(|memory| memory.tags()[0] != *tag);
        (0..=memories.len()).map(make).find(free).unwrap_or_default()
    }

    /// How many filters remember.
    pub(super) fn count(&self) -> usize {
        self.memories().len()
    }

    /// Windows are to be looked at again at this time.
    pub(super) fn wake_at(&self, elapsed_ns: u64) {
        self.0.next_ns.fetch_min(elapsed_ns, Ordering::Relaxed);
    }

    /// Whether there are filters with windows, so that the pipeline has to look at the time.
    pub fn timed(&self) -> bool {
        self.0.timed.load(Ordering::Relaxed)
    }

    /// Whether a window has ended; the caller then lets the chain close windows, which says when to ask next.
    pub fn take_due(&self, elapsed_ns: u64) -> bool {
        let due = self.0.next_ns.load(Ordering::Relaxed) <= elapsed_ns;
        if due {
            self.0.next_ns.store(u64::MAX, Ordering::Relaxed);
        }
        due
    }

    /// From now on no filter makes events wait: the agent stops, or this is a trial.
    pub fn hurry(&self) {
        *self.0.hurried.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.hurry.notify_all();
    }

    /// Waits for a moment, or until there is hurry; gives whether there is.
    pub(super) fn rest(&self, moment: Duration) -> bool {
        let hurried = self.0.hurried.lock().unwrap_or_else(PoisonError::into_inner);
        let waited =
            pulse::rest(|| self.0.hurry.wait_timeout_while(hurried, moment, |hurried| !*hurried));
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Gives filters back what the journal kept for them. Gives what none of them knows, as positions that forget it.
    pub fn restore(&self, positions: &[Position]) -> Vec<Position> {
        let memories = self.memories();
        let mut unknown = Vec::new();
        for position in positions {
            let Some((&IDENTITY, rest)) = position.identity.split_first() else { continue };
            let known = rest.split_first_chunk::<8>().is_some_and(|(tag, bytes)| {
                let tag = u64::from_le_bytes(*tag);
                let known = |by: usize| memories.iter().find(|memory| memory.tags()[by] == tag);
                let memory = known(0).or_else(|| known(1));
                memory.is_some_and(|m| m.restore(position.key, position.offset as i64, bytes))
            });
            if !known {
                unknown.push(forgotten(position.key));
            }
        }
        for memory in memories.iter() {
            memory.restored();
        }
        unknown
    }

    fn memories(&self) -> std::sync::MutexGuard<'_, Vec<Arc<dyn Remembers>>> {
        self.0.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thing remembered, as the journal keeps it: `bytes` are appended to what this makes.
pub(super) fn remembered(tag: u64, key: u64, opened_ns: i64) -> Position {
    let mut identity = Vec::with_capacity(128);
    identity.push(IDENTITY);
    identity.extend_from_slice(&tag.to_le_bytes());
    Position { key, offset: opened_ns as u64, identity, new: false }
}

/// Whether a position is a filter's memory, by its identity.
pub fn is_window(identity: &[u8]) -> bool {
    identity.first() == Some(&IDENTITY)
}

/// What makes the journal forget a thing.
pub(super) fn forgotten(key: u64) -> Position {
    Position { key, offset: 0, identity: Vec::new(), new: false }
}
