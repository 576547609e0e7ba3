//! How long to wait before the next try.
//!
//! In: how often it failed. Out: nanoseconds, doubling from the first pause to the longest, half of it random so
//! that many agents do not come back at the same moment. On failure: nothing can fail.

const MS: u64 = 1_000_000;

/// Bounds of the pauses, and the source of their random half.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first_ns: u64,
    max_ns: u64,
    random: u64,
}

impl Backoff {
    /// Pauses from `first_ms` to `max_ms` milliseconds. `seed` only has to differ between agents.
    pub(super) fn new(first_ms: u64, max_ms: u64, seed: u64) -> Backoff {
        Backoff { first_ns: first_ms * MS, max_ns: max_ms * MS, random: seed | 1 }
    }

    /// Nanoseconds to wait after the `failures`-th failure in a row (from 1).
    pub(super) fn pause_ns(&mut self, failures: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(32);
        let whole = self.first_ns.saturating_mul(1 << doublings).min(self.max_ns);
        whole / 2 + self.next_random() % (whole / 2 + 1)
    }

    /// Marsaglia's xorshift64 (2003): plenty for spreading retries.
    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_never_shorter_than_half() {
        let mut backoff = Backoff::new(100, 30_000, 7);
        for (failures, whole_ms) in [(1, 100), (2, 200), (3, 400), (9, 25_600), (10, 30_000)] {
            for _ in 0..100 {
                let pause = backoff.pause_ns(failures);
                assert!(
                    pause >= whole_ms * MS / 2 && pause <= whole_ms * MS,
                    "{failures}: {pause}"
                );
            }
        }
        assert!(backoff.pause_ns(u32::MAX) <= 30_000 * MS);
    }
}
