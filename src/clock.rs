//! Time, and chance, behind an interface.
//!
//! Is: the only place that asks the machine for the time. In: nothing. Out: nanoseconds; numbers nobody foresees.
//! Promises: [`Clock::elapsed_ns`] never goes back, whatever the wall clock does.
//! On failure: a wall clock before 1970 reads as 0.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A source of time; cheap to clone and to ask.
pub type SharedClock = Arc<dyn Clock>;

/// What the agent asks about time.
pub trait Clock: Send + Sync {
    /// Wall-clock time in nanoseconds since 1970-01-01T00:00:00Z; may jump.
    fn now_ns(&self) -> i64;
    /// Nanoseconds since the clock was made; never goes back. For intervals and time-outs.
    fn elapsed_ns(&self) -> u64;
    /// A number that differs from run to run, unless a simulation has to repeat one.
    fn random(&self) -> u64 {
        // The standard library seeds each hasher from the operating system's random numbers.
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_i64(self.now_ns());
        hasher.finish()
    }
}

/// The machine's clock.
pub struct SystemClock {
    start: Instant,
}

/// A clock that stands still until a test moves it.
#[derive(Default)]
pub struct ManualClock {
    wall_ns: AtomicI64,
    elapsed_ns: AtomicU64,
}

/// The machine's clock, shared.
pub fn system() -> SharedClock {
    Arc::new(SystemClock::default())
}

impl Default for SystemClock {
    fn default() -> Self {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    fn elapsed_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl ManualClock {
    /// A clock that shows `wall_ns`.
    pub fn at(wall_ns: i64) -> Self {
        ManualClock { wall_ns: AtomicI64::new(wall_ns), elapsed_ns: AtomicU64::new(0) }
    }

    /// Sets the wall clock, as a person or a time server does; elapsed time goes on as before.
    pub fn jump_to_ns(&self, wall_ns: i64) {
        self.wall_ns.store(wall_ns, Ordering::Relaxed);
    }

    /// Moves both times forward.
    pub fn advance_ns(&self, ns: u64) {
        self.wall_ns.fetch_add(ns as i64, Ordering::Relaxed);
        self.elapsed_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> i64 {
        self.wall_ns.load(Ordering::Relaxed)
    }

    fn elapsed_ns(&self) -> u64 {
        self.elapsed_ns.load(Ordering::Relaxed)
    }
}
