//! The journal as a simulation steps it: no thread, no waiting in real time.
//!
//! In: the parts of a journal, and what to do while somebody waits. Out: an open journal. Promises: all but the
//! background's sleep is the real journal. On failure: as [`Journal::open`].

use std::path::Path;
use std::time::Duration;

use super::shared::lock;
use super::{Journal, Opened, OutputSlot, Parts, Settings, open};
use crate::diagnostic::Diagnostic;

impl Journal {
    /// As [`Journal::open`], without a thread; whoever would wait takes a turn and calls `pause`, which says
    /// whether the process still lives.
    pub(crate) fn open_stepped(
        parts: Parts,
        directory: &Path,
        settings: Settings,
        outputs: &[OutputSlot],
        pause: impl Fn(Duration) -> bool + Send + Sync + 'static,
    ) -> Result<Opened, Diagnostic> {
        let opened = open::open(parts, directory, settings, outputs, false)?;
        let _ = opened.journal.shared.pause.set(Box::new(pause));
        Ok(opened)
    }

    /// What the background thread does when it wakes; `false`: a step failed.
    pub(crate) fn turn(&self) -> bool {
        self.shared.turn()
    }

    /// Makes everything durable now, whatever the settings say; `false`: that failed.
    pub(crate) fn sync(&self) -> bool {
        let memory = self.shared.settings.mode == super::Mode::Memory;
        self.shared.turn() && (memory || self.shared.sync_once())
    }

    /// Documents that an output has in hand and that a full journal has dropped: if the process ends now, they are
    /// gone. The metric that tells has this number.
    pub(crate) fn dropped_in_hand(&self, output: usize) -> u64 {
        lock(&self.shared.state).outputs[output].dropped_in_hand()
    }

    /// Ends it as the end of the process does: nothing is written any more.
    pub(crate) fn abandon(&self) {
        lock(&self.shared.state).closed = true;
    }
}
