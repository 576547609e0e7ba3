//! How many requests may be under way at once.
//!
//! Is: additive increase, multiplicative decrease, as TCP does it (RFC 5681). In: answers, their latency, refusals.
//! Out: a number from 1 to the maximum. Promises: it only grows while it is what limits the flow; a burst of
//! refusals counts once. On failure: nothing can fail.

/// The window.
#[derive(Debug)]
pub(super) struct Window {
    max: f64,
    size: f64,
    // Smoothed latency; an answer far above it says that a queue grows on the other side.
    usual_ns: f64,
    // Requests sent before this time belong to a burst that was already counted.
    calm_from_ns: u64,
}

/// An answer this many times slower than usual (and by [`SLOW_NS`]) makes the window smaller.
const SLOW_TIMES: f64 = 4.0;
const SLOW_NS: f64 = 200e6;

impl Window {
    /// A window of at most `max` requests (at least one); it begins with two.
    pub(super) fn new(max: usize) -> Window {
        let max = max.max(1) as f64;
        Window { max, size: max.min(2.0), usual_ns: 0.0, calm_from_ns: 0 }
    }

    /// Requests that may be under way.
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// A request sent at `sent_ns` was taken at `now_ns`; `full`: the window was used up.
    pub(super) fn taken(&mut self, sent_ns: u64, now_ns: u64, full: bool) {
        let latency = now_ns.saturating_sub(sent_ns) as f64;
        let slow = self.usual_ns > 0.0
            && latency > self.usual_ns * SLOW_TIMES
            && latency > self.usual_ns + SLOW_NS;
        let weight = if self.usual_ns > 0.0 { 0.1 } else { 1.0 };
        self.usual_ns += (latency - self.usual_ns) * weight;
        if slow {
            self.shrink(0.8, sent_ns, now_ns);
        } else if full {
            self.size = (self.size + 1.0 / self.size).min(self.max);
        }
    }

    /// The server said that it has too much to do, or did not answer in time.
    pub(super) fn refused(&mut self, sent_ns: u64, now_ns: u64) {
        self.shrink(0.5, sent_ns, now_ns);
    }

    fn shrink(&mut self, factor: f64, sent_ns: u64, now_ns: u64) {
        if sent_ns >= self.calm_from_ns {
            self.size = (self.size * factor).max(1.0);
            self.calm_from_ns = now_ns;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_when_full_and_halves_once_for_a_burst_of_refusals() {
        let mut window = Window::new(4);
        assert_eq!(window.size(), 2);
        for n in 0..40 {
            window.taken(n * 10, n * 10 + 5, false);
        }
        assert_eq!(window.size(), 2, "not used up: no reason to grow");
        for n in 40..80 {
            window.taken(n * 10, n * 10 + 5, true);
        }
        assert_eq!(window.size(), 4);
        for _ in 0..4 {
            window.refused(900, 1000);
        }
        assert_eq!(window.size(), 2, "four refusals of requests sent together are one event");
        window.refused(1000, 1100);
        window.refused(1200, 1300);
        assert_eq!(window.size(), 1, "never below one");
    }

    #[test]
    fn an_answer_far_slower_than_usual_makes_it_smaller() {
        let mut window = Window::new(8);
        for n in 0..100 {
            window.taken(n * 1_000_000, n * 1_000_000 + 500_000, true);
        }
        assert_eq!(window.size(), 8);
        window.taken(200_000_000, 900_000_000, true);
        assert_eq!(window.size(), 6);
    }
}
