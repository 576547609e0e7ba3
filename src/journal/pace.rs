//! Appends that wait a moment for outputs which nearly keep up.
//!
//! Is: a short wait before a frame. In: how many bytes each output has not taken yet. Out: the moment to go on.
//! Promises: what an output takes a moment later is still in memory, so that it is not read back from disk; nobody is
//! held below [`LEAST_BYTES`] a second; an output that takes nothing costs the others one wait, and one that is further
//! behind than [`FAR_TAILS`] or best effort none. On failure: the wait ends by itself; the output reads from disk.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::options::Mode;
use super::shared::{Shared, lock};
use super::state::{Output, State};
use crate::pulse;

/// Bytes a second that may always come in: more than the servers of most outputs take.
const LEAST_BYTES: u64 = 32 * 1024 * 1024;
/// The longest wait, for a frame of a huge batch.
const LONGEST: Duration = Duration::from_millis(50);
/// An output that is so many tails behind is not waited for: it reads from disk, and has to catch up by itself.
const FAR_TAILS: u64 = 4;

impl Shared {
    /// Waits before a frame of `bytes` while an output is about to be left behind by what is kept in memory.
    pub(super) fn pace(&self, bytes: u64) {
        if self.settings.mode == Mode::Memory || !self.threaded.load(Ordering::Relaxed) {
            return;
        }
        let mut state = lock(&self.state);
        if !state.leaves_behind(state.tail_max / 2) {
            return;
        }
        let most = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / LEAST_BYTES);
        state.pacing = true;
        for output in state.outputs.iter_mut().filter(|o| o.waited.0 != o.given_bytes) {
            output.waited = (output.given_bytes, false);
        }
        let near = |state: &mut State| !state.closed && state.leaves_behind(state.tail_max / 4);
        let waited = pulse::rest(|| self.room.wait_timeout_while(state, most.min(LONGEST), near));
        let (mut state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        state.pacing = false;
        if waited.timed_out() {
            for output in &mut state.outputs {
                output.waited.1 = output.waited.0 == output.given_bytes;
            }
        }
    }

    /// An output took a frame.
    pub(super) fn paced(&self, state: &State) {
        if state.pacing && !state.leaves_behind(state.tail_max / 4) {
            self.room.notify_all();
        }
    }
}

impl State {
    /// Whether a required output could take frames now and has more than `bytes` of them before it, but not so many
    /// that it is far behind; one that was waited for in vain does not count until it takes something.
    pub(super) fn leaves_behind(&self, bytes: u64) -> bool {
        let (visible, far) = (self.visible(), self.tail_max * FAR_TAILS);
        let alive = |output: &&Output| output.waited != (output.given_bytes, true);
        let takes = |output: &&Output| output.required && output.next <= visible;
        self.outputs.iter().filter(takes).filter(alive).any(|output| {
            let behind = self.totals.bytes.saturating_sub(output.given_bytes);
            behind > bytes && behind <= far
        })
    }
}
