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
            return State::Paused(format!("{all}; {}", self.policy.keeping));
        }
        let advice = self.advice();
        if self.is_full() {
            let bytes = self.policy.waiting_bytes;
            let keeping = self.policy.keeping;
            let what = format!(
                "those that were refused take up all of their {bytes} bytes (`waiting_size`); {keeping}"
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
        problems.extend(self.busy());
        problems.extend(self.notice.as_ref().filter(|(_, t)| *t > now_ns).map(|(w, _)| w.clone()));
        if !problems.is_empty() {
            return State::Degraded(problems.join("; "));
        }
        if self.worked { State::Fine } else { State::Starting }
    }

    /// Which indices have taken nothing for a while although nothing blocks them.
    fn busy(&self) -> Option<String> {
        let stuck = self.waiting.stuck();
        let shown: Vec<String> =
            stuck.iter().take(INDICES_SHOWN).map(|index| format!("`{index}`")).collect();
        (!stuck.is_empty()).then(|| {
            let (count, list, latest) = (stuck.len(), shown.join(", "), &self.latest);
            format!(
                "the server has no room for the documents of {count} indices ({list}: {latest}); they are kept and \
                 sent again: if this lasts, the cluster needs more nodes, or `requests` must be smaller"
            )
        })
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
