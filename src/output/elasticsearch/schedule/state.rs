//! The scheduler's state as health.

use super::Scheduler;
use crate::health::State;

/// A node that fails for less long is not worth telling.
const LASTING_NS: u64 = 1_000_000_000;
/// Most indices that one sentence names.
const INDICES_SHOWN: usize = 3;

impl Scheduler {
    /// How the output is.
    pub(in super::super) fn state(&self, now_ns: u64) -> State {
        let troubles: Vec<String> = self.hosts.troubles(now_ns, LASTING_NS).collect();
        if !troubles.is_empty() && !self.hosts.any_works() {
            let all = troubles.join("; ");
            return State::Paused(format!("{all}; everything is kept in the journal"));
        }
        let advice = self.advice();
        if self.is_full() {
            let bytes = self.policy.waiting_bytes;
            let what = format!(
                "those that were refused take up all of their {bytes} bytes (`waiting_size`); everything is kept in \
                 the journal"
            );
            // What is only busy takes some in between: slow, not stopped.
            return if advice.is_empty() {
                State::Degraded(format!(
                    "new documents must wait, because {what}. The server refuses them for now ({})",
                    self.latest
                ))
            } else {
                State::Paused(format!("no new documents are taken, because {what}. {advice}"))
            };
        }
        let mut problems = troubles;
        if let Some(why) = self.letters.trouble() {
            problems.push(format!(
                "refused documents cannot be stored as dead letters ({why}) and are kept"
            ));
        }
        if !advice.is_empty() {
            problems.push(format!("documents wait: {advice}"));
        }
        if !problems.is_empty() {
            return State::Degraded(problems.join("; "));
        }
        if self.worked { State::Fine } else { State::Starting }
    }

    /// Which indices take nothing and what to do.
    fn advice(&self) -> String {
        let blocks = self.waiting.blocks();
        let shown = blocks.iter().take(INDICES_SHOWN);
        let mut advice: Vec<String> =
            shown.map(|(index, block)| block.advice(index, &self.policy.user)).collect();
        if blocks.len() > INDICES_SHOWN {
            advice.push(format!("and {} more indices", blocks.len() - INDICES_SHOWN));
        }
        advice.join("; ")
    }
}
