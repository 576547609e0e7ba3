//! Where there is no inotify: nothing is told, and the rescan finds what changed.
//!
//! In: directories. Out: nothing. Promises: the same interface as `watch.rs`. On failure: nothing can fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use super::Notice;
use super::tailer::Wake;

/// Never made.
pub enum Event {}

/// Watches nothing.
pub struct Watch;

impl Watch {
    /// Does nothing.
    pub fn start(_: &str, _: SyncSender<Notice>) -> Watch {
        Watch
    }

    /// New lines are never seen at once here.
    pub fn problem(&self) -> Option<&str> {
        Some("this system has no inotify, so new lines are seen only every `rescan_interval`")
    }

    /// Nothing is.
    pub fn tells_all(&self) -> bool {
        false
    }

    /// Does nothing.
    pub fn set(&mut self, _: &BTreeMap<PathBuf, bool>) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Does nothing.
    pub fn follow(&mut self, _: &Path) -> bool {
        false
    }

    /// Does nothing.
    pub fn wakes(&mut self, _: &[Event], _: &mut Vec<Wake>) {}
}
