//! What clients do wrong: counted always, logged seldom.
//!
//! In: a reason (one of few words of ours), a client, a sentence. Out: a counter for each reason, and at most one
//! log line for each reason and minute, which says how many there were in between.
//! Promises: a client that misbehaves all day cannot fill the log. On failure: nothing can fail.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use crate::clock::SharedClock;
use crate::limits;
use crate::metrics::{Counter, Metrics};

/// The complaints of one input.
pub(in crate::input) struct Complaints {
    metrics: Metrics,
    clock: SharedClock,
    reasons: Mutex<BTreeMap<&'static str, Reason>>,
}

#[derive(Default)]
struct Reason {
    counter: Option<Counter>,
    /// When the next line may be logged, in nanoseconds of the clock's `elapsed_ns`.
    next_ns: u64,
    quiet: u64,
}

impl Complaints {
    /// None so far.
    pub(in crate::input) fn new(metrics: Metrics, clock: SharedClock) -> Self {
        Complaints { metrics, clock, reasons: Mutex::default() }
    }

    /// Counts a protocol error, and logs it when its turn has come.
    pub(in crate::input) fn report(&self, reason: &'static str, peer: SocketAddr, why: &str) {
        self.counter(reason).increment();
        self.log(reason, peer, why);
    }

    /// Logs when the reason's turn has come; true when it was logged.
    pub(in crate::input) fn log(&self, reason: &'static str, peer: SocketAddr, why: &str) -> bool {
        let now_ns = self.clock.elapsed_ns();
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let state = reasons.entry(reason).or_default();
        if now_ns < state.next_ns {
            state.quiet += 1;
            return false;
        }
        let quiet = std::mem::take(&mut state.quiet);
        state.next_ns = now_ns + limits::COMPLAINT_MS * 1_000_000;
        drop(reasons);
        tracing::warn!(%peer, reason, more_since_last_line = quiet, "{why}");
        true
    }

    /// How often a reason was reported.
    pub(in crate::input) fn counter(&self, reason: &'static str) -> Counter {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let state = reasons.entry(reason).or_default();
        let make = || {
            self.metrics.with("reason", reason).counter(
                "logweir_input_protocol_errors_total",
                "What clients did wrong, by reason.",
            )
        };
        state.counter.get_or_insert_with(make).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn each_reason_is_logged_once_a_minute_and_counted_always() {
        let clock = Arc::new(ManualClock::at(0));
        let complaints = Complaints::new(Metrics::default(), clock.clone());
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(complaints.log("a", peer, "x"));
        assert!(!complaints.log("a", peer, "x"));
        assert!(complaints.log("b", peer, "x"));
        clock.advance_ns(limits::COMPLAINT_MS * 1_000_000);
        assert!(complaints.log("a", peer, "x"));
        complaints.report("a", peer, "x");
        complaints.report("a", peer, "x");
        assert_eq!(complaints.counter("a").value(), 2);
    }
}
