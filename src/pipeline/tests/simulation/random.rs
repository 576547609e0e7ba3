//! Random numbers from one seed, and the clock that shares them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::time::Instant;

use crate::clock::Clock;

/// Splitmix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// One time in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The paused time of tokio's runtime; must be asked within it.
pub struct PausedClock {
    start: Instant,
    random: Mutex<Random>,
    // How far the clock on the wall has jumped.
    jumped_ns: AtomicI64,
}

impl PausedClock {
    pub fn new(seed: u64) -> Self {
        let jumped_ns = AtomicI64::new(0);
        PausedClock { start: Instant::now(), random: Mutex::new(Random(seed)), jumped_ns }
    }

    /// Moves the clock on the wall, and nothing else.
    pub fn jump(&self, seconds: i64) {
        self.jumped_ns.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }
}

impl Clock for PausedClock {
    fn now_ns(&self) -> i64 {
        let jumped_ns = self.jumped_ns.load(Ordering::Relaxed);
        1_800_000_000_000_000_000 + self.elapsed_ns() as i64 + jumped_ns
    }

    fn elapsed_ns(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    fn random(&self) -> u64 {
        self.random.lock().unwrap().next()
    }
}
