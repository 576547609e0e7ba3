//! What the journal says about itself: metrics and health.
//!
//! In: facts from the other parts. Out: counters, gauges, one health state. Promises: several troubles at once are
//! shown as the worst one, and health is fine only when all are over. On failure: nothing can fail.

use std::sync::{Mutex, PoisonError};

use crate::health::{Part, State as Health};
use crate::metrics::{Counter, Gauge, Metrics};
use crate::pulse::Joined;

/// The journal's metrics.
pub struct Numbers {
    /// Bytes of all segments, or of all frames in memory.
    pub bytes: Gauge,
    /// Frames appended since the start.
    pub frames: Counter,
    /// Documents appended since the start.
    pub documents: Counter,
    /// Bytes of frames appended since the start.
    pub written: Counter,
    /// Syncs since the start.
    pub syncs: Counter,
    /// Bytes that were damaged and could not be read.
    pub lost: Counter,
    /// Frames that were damaged or are missing, as far as sequences tell.
    pub lost_frames: Counter,
}

/// The metrics of one output's cursor.
pub struct OutputNumbers {
    /// Bytes of frames that it is not done with.
    pub lag_bytes: Gauge,
    /// Documents for it that it is not done with.
    pub lag_documents: Gauge,
    /// Age of the oldest of them in seconds.
    pub lag_seconds: Gauge,
    /// Documents that were dropped while it held them, and that it still holds.
    pub in_hand: Gauge,
    /// Documents dropped because of the quota.
    pub dropped_quota: Counter,
    /// Documents dropped because a best-effort output was too far behind.
    pub dropped_lag: Counter,
    /// Documents dropped while it held them, and not delivered until the end.
    pub dropped_at_end: Counter,
}

/// Kinds of trouble, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Frames cannot be written.
    Write,
    /// Written frames cannot be made durable.
    Sync,
    /// Cursors cannot be written.
    Cursor,
    /// The quota is reached.
    Full,
    /// An output cannot read its frames.
    Read,
    /// Documents are dropped by a policy.
    Dropping,
}

/// The health of one journal.
pub struct Status {
    part: Part,
    troubles: Mutex<[Option<String>; 6]>,
}

impl Numbers {
    /// Registers the metrics of a journal that may take `max_bytes`.
    pub fn new(metrics: &Metrics, max_bytes: u64) -> Self {
        let most = metrics.gauge("logweir_journal_limit_bytes", "Bytes that the journal may take.");
        most.set(i64::try_from(max_bytes).unwrap_or(i64::MAX));
        Numbers {
            bytes: metrics.gauge("logweir_journal_bytes", "Bytes that the journal takes."),
            frames: metrics.counter("logweir_journal_frames_appended_total", "Frames appended."),
            documents: metrics.counter("logweir_journal_documents_total", "Documents appended."),
            written: metrics
                .counter("logweir_journal_bytes_written_total", "Bytes of frames appended."),
            syncs: metrics.counter("logweir_journal_syncs_total", "Syncs of the journal."),
            lost: metrics.counter(
                "logweir_journal_lost_bytes_total",
                "Bytes of the journal that were damaged and could not be read.",
            ),
            lost_frames: metrics.counter(
                "logweir_journal_lost_frames_total",
                "Frames of the journal that were damaged or missing, as far as their numbers tell.",
            ),
        }
    }
}

impl OutputNumbers {
    /// Registers the metrics of an output.
    pub fn new(metrics: &Metrics, output: &str) -> Self {
        let metrics = metrics.with("output", output);
        let dropped = |reason: &str| dropped(&metrics, reason);
        OutputNumbers {
            lag_bytes: metrics.gauge("logweir_output_lag_bytes", "Bytes not yet delivered."),
            lag_documents: metrics
                .gauge("logweir_output_lag_documents", "Documents not yet delivered."),
            lag_seconds: metrics
                .gauge("logweir_output_lag_seconds", "Age of the oldest document not delivered."),
            in_hand: metrics.gauge(
                "logweir_journal_dropped_in_hand_documents",
                "Documents that the journal has dropped and the output still holds; lost if the process ends now.",
            ),
            dropped_quota: dropped("quota"),
            dropped_lag: dropped("max_lag"),
            dropped_at_end: dropped("in_hand"),
        }
    }
}

/// Documents that go to an output no more; `metrics` says to which one.
fn dropped(metrics: &Metrics, reason: &str) -> Counter {
    let help = "Documents dropped from the journal by a policy.";
    metrics.with("reason", reason).counter("logweir_journal_dropped_documents_total", help)
}

/// Documents that waited for an output that is not in the pipeline any more.
pub fn dropped_with(metrics: &Metrics, output: &str) -> Counter {
    dropped(&metrics.with("output", output), "output_removed")
}

impl Status {
    /// The journal works.
    pub fn new(part: Part) -> Self {
        part.set(Health::Fine);
        Status { part, troubles: Mutex::default() }
    }

    /// The current thread works for the journal; see [`crate::pulse`].
    pub fn join_thread(&self) -> Joined {
        self.part.join_thread()
    }

    /// There is trouble of this kind: one sentence with the cause and what to do.
    pub fn trouble(&self, kind: Trouble, what: String) {
        self.set(kind, Some(what));
    }

    /// Trouble of this kind is over.
    pub fn over(&self, kind: Trouble) {
        self.set(kind, None);
    }

    fn set(&self, kind: Trouble, what: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        if troubles[kind as usize] == what {
            return;
        }
        troubles[kind as usize] = what;
        let worst = troubles.iter().enumerate().find_map(|(n, t)| Some((n, t.clone()?)));
        self.part.set(match worst {
            None => Health::Fine,
            Some((n, what)) if n <= Trouble::Cursor as usize => Health::Paused(what),
            Some((_, what)) => Health::Degraded(what),
        });
    }
}
