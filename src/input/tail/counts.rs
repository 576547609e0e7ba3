//! What a `file` input counts.
//!
//! In: additions. Out: metrics, labelled by the caller with pipeline and input. Promises: no label comes from data.
//! On failure: nothing can fail.

use crate::input::{LAG_BYTES, LAG_SECONDS};
use crate::metrics::{Counter, Gauge, Metrics};

/// The numbers of one input.
pub struct Counts {
    /// Bytes handed on.
    pub bytes: Counter,
    /// Generations known.
    pub files: Gauge,
    /// Descriptors held.
    pub open: Gauge,
    /// Bytes known to be unread.
    pub lag: Gauge,
    /// Age of the oldest bytes known to be unread, in seconds.
    pub lag_seconds: Gauge,
    /// Lines handed on in pieces.
    pub split: Counter,
    /// Files whose content was replaced in place.
    pub truncations: Counter,
    /// Files that left their path.
    pub rotations: Counter,
    /// NUL bytes of a hole at a file's start.
    pub skipped_hole: Counter,
    /// Bytes seen in a file that was truncated before they could be read, with no copy of it.
    pub skipped_truncated: Counter,
    /// Bytes seen in a file that was removed or became unreadable before they were read.
    pub skipped_removed: Counter,
    /// Bytes that a file was known to have, and that were gone when the agent came back.
    pub skipped_gone: Counter,
    /// Files that were being written when the agent ended, and of which nothing was there when it came back.
    pub gone: Counter,
    /// Rotated files that no glob means, read because they came after what was known.
    pub found: Counter,
    /// Bytes before the start, with `start_at = "end"`.
    pub skipped_start: Counter,
}

impl Counts {
    /// Registers the numbers.
    pub fn new(metrics: &Metrics) -> Self {
        let skipped = |reason: &str| {
            let help = "Bytes of files that were left out, by reason.";
            metrics.with("reason", reason).counter("logweir_input_bytes_skipped_total", help)
        };
        let counts = Counts {
            bytes: metrics.counter("logweir_input_bytes_total", "Bytes read and handed on."),
            files: metrics.gauge("logweir_input_files", "Files known."),
            open: metrics.gauge("logweir_input_files_open", "File descriptors held."),
            lag: metrics.gauge(LAG_BYTES.0, LAG_BYTES.1),
            lag_seconds: metrics.gauge(LAG_SECONDS.0, LAG_SECONDS.1),
            split: metrics.counter(
                "logweir_input_lines_split_total",
                "Lines longer than `max_line`, handed on in pieces.",
            ),
            truncations: metrics.counter(
                "logweir_input_truncations_total",
                "Files whose content was replaced in place.",
            ),
            rotations: metrics
                .counter("logweir_input_rotations_total", "Files that were renamed or removed."),
            skipped_hole: skipped("hole"),
            skipped_truncated: skipped("truncated"),
            skipped_removed: skipped("removed"),
            skipped_gone: skipped("gone_while_down"),
            gone: metrics.counter(
                "logweir_input_files_gone_total",
                "Files whose end was gone when logweir started again: deleted, or truncated without a copy.",
            ),
            found: metrics.counter(
                "logweir_input_files_found_total",
                "Rotated files outside of the globs that were read because they came after what was known.",
            ),
            skipped_start: skipped("start_at_end"),
        };
        // An input that was reloaded starts to count what it holds anew.
        for gauge in [&counts.files, &counts.open, &counts.lag, &counts.lag_seconds] {
            gauge.set(0);
        }
        counts
    }
}
