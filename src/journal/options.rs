//! The `[journal]` table of a pipeline.
//!
//! In: a section of the settings. Out: [`Settings`]. Promises: what is not written has the default of `limits.rs`;
//! a combination that could never work is an error with its place. On failure: the default, and a diagnostic.

use std::time::Duration;

use crate::limits::{JOURNAL_BYTES_MAX, JOURNAL_MEMORY_BYTES_MAX, SEGMENT_BYTES, SYNC_INTERVAL_MS};
use crate::settings::Section;

/// Where frames are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In segments on disk.
    Disk,
    /// In memory; positions move only when all required outputs are done.
    Memory,
}

/// What happens when the quota is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Inputs wait.
    Block,
    /// The oldest frames are dropped and counted.
    DropOldest,
}

/// When frames are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// At once; outputs see only what is on disk.
    Always,
    /// At this interval, and at once when somebody waits for it.
    Interval(Duration),
    /// When the operating system likes to, except when somebody waits for it.
    Os,
}

/// How a journal works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Disk or memory.
    pub mode: Mode,
    /// Quota in bytes.
    pub max_bytes: u64,
    /// When it is reached.
    pub on_full: OnFull,
    /// Durability.
    pub sync: SyncPolicy,
    /// Bytes of one segment; the journal uses at most a quarter of the quota.
    pub segment_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            mode: Mode::Disk,
            max_bytes: JOURNAL_BYTES_MAX,
            on_full: OnFull::Block,
            sync: SyncPolicy::Interval(Duration::from_millis(SYNC_INTERVAL_MS)),
            segment_bytes: SEGMENT_BYTES,
        }
    }
}

impl Settings {
    /// Reads the table; the caller calls [`Section::finish`].
    pub fn load(section: Option<&Section<'_>>) -> Settings {
        let default = Settings::default();
        let Some(section) = section else { return default };
        let modes = [("disk", Mode::Disk), ("memory", Mode::Memory)];
        let mode = section.choice_or("mode", &modes, default.mode);
        let usual = match mode {
            Mode::Disk => JOURNAL_BYTES_MAX,
            Mode::Memory => JOURNAL_MEMORY_BYTES_MAX,
        };
        let fulls = [("block", OnFull::Block), ("drop_oldest", OnFull::DropOldest)];
        let settings = Settings {
            mode,
            max_bytes: section.bytes_or("max_size", usual),
            on_full: section.choice_or("on_full", &fulls, default.on_full),
            sync: sync(section),
            segment_bytes: section.bytes_or("segment_size", SEGMENT_BYTES),
        };
        settings.check(section);
        settings
    }

    /// The bytes after which a new segment begins: several fit the quota, or none could be deleted.
    pub fn segment_bytes_used(&self) -> u64 {
        self.segment_bytes.min(self.max_bytes / 4).max(1)
    }

    fn check(&self, section: &Section<'_>) {
        const LEAST: u64 = 1024 * 1024;
        for (key, bytes) in [("max_size", self.max_bytes), ("segment_size", self.segment_bytes)] {
            if bytes < LEAST {
                let message = format!("`{key}` is {bytes} bytes, but must be at least 1MiB");
                section.error(section.span_of(key), message, None);
            }
        }
    }
}

fn sync(section: &Section<'_>) -> SyncPolicy {
    let interval = section.duration_or("sync_interval", Duration::from_millis(SYNC_INTERVAL_MS));
    if interval.is_zero() || interval > Duration::from_secs(60) {
        let message = "`sync_interval` must be from 1ms to 60s";
        let hint = "write sync = \"always\" for a sync after every append";
        section.error(section.span_of("sync_interval"), message, Some(hint.to_string()));
    }
    let choices = [
        ("always", SyncPolicy::Always),
        ("interval", SyncPolicy::Interval(interval)),
        ("os", SyncPolicy::Os),
    ];
    let chosen = section.choice_or("sync", &choices, SyncPolicy::Interval(interval));
    if section.has("sync_interval") && !matches!(chosen, SyncPolicy::Interval(_)) {
        let message = "`sync_interval` has no effect unless sync = \"interval\"";
        section.error(section.span_of("sync_interval"), message, None);
    }
    chosen
}
