//! What each part says about itself: fine, or what is wrong and what to do.
//!
//! In: a part's name and its latest state. Out: all states, for `/health`, `/ready` and the log. Promises: a change
//! is logged once, not each time it is repeated; the last problems are remembered. On failure: nothing can fail.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::{self, SharedClock};
use crate::pulse::{Joined, Pulses};

/// Problems that are remembered.
const PAST_MAX: usize = 50;

/// A part's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Fine,
    /// It has not worked yet, or is about to stop.
    Starting,
    /// It goes on, but something is wrong: one sentence that says what and what to do.
    Degraded(String),
    /// It does not work now; nothing is lost: one sentence that says what and what to do.
    Paused(String),
}

/// The states of all parts.
#[derive(Clone)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, State>>>,
    past: Arc<Mutex<VecDeque<Past>>>,
    clock: SharedClock,
    pulses: Pulses,
}

/// A problem that a part had, or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it was said, in nanoseconds since 1970.
    pub time_ns: i64,
    /// The part.
    pub part: String,
    /// [`State::Degraded`] or [`State::Paused`].
    pub state: State,
}

impl Default for Health {
    fn default() -> Self {
        let clock = clock::system();
        Health { parts: Arc::default(), past: Arc::default(), clock, pulses: Pulses::default() }
    }
}

/// One part's handle.
#[derive(Clone)]
pub struct Part {
    health: Health,
    name: String,
}

impl Health {
    /// The handle of a part, such as `app/outputs.logs`; it starts as [`State::Starting`].
    pub fn part(&self, name: &str) -> Part {
        let part = Part { health: self.clone(), name: name.to_string() };
        self.lock().insert(part.name.clone(), State::Starting);
        part
    }

    /// All parts and their states, by name.
    pub fn states(&self) -> Vec<(String, State)> {
        self.lock().iter().map(|(name, state)| (name.clone(), state.clone())).collect()
    }

    /// The last problems, the latest at the end; also of parts that are forgotten.
    pub fn past(&self) -> Vec<Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn note(&self, part: &str, state: &State) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        if past.len() >= PAST_MAX {
            past.pop_front();
        }
        let (part, state) = (part.to_string(), state.clone());
        past.push_back(Past { time_ns: self.clock.now_ns(), part, state });
    }

    /// Forgets all parts whose names begin so; what they say later is not kept.
    pub fn forget(&self, beginning: &str) {
        self.lock().retain(|name, _| !name.starts_with(beginning));
    }

    /// The threads that work for the parts.
    pub fn pulses(&self) -> &Pulses {
        &self.pulses
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, State>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// The current thread works for this part; see [`Pulses::join`].
    pub fn join_thread(&self) -> Joined {
        self.health.pulses.join(self.name.clone())
    }

    /// The handle of a part of this one.
    #[must_use]
    pub fn inner(&self, name: &str) -> Part {
        self.health.part(&format!("{}.{name}", self.name))
    }

    /// Says how the part is; logs when that changed.
    pub fn set(&self, state: State) {
        let old = {
            let mut parts = self.health.lock();
            let Some(known) = parts.get_mut(&self.name) else { return };
            std::mem::replace(known, state.clone())
        };
        if old == state {
            return;
        }
        if matches!(state, State::Degraded(_) | State::Paused(_)) {
            self.health.note(&self.name, &state);
        }
        match (&state, old) {
            (State::Fine, State::Degraded(_) | State::Paused(_)) => {
                tracing::info!(part = %self.name, "works again");
            }
            (State::Degraded(why), _) => tracing::warn!(part = %self.name, "{why}"),
            (State::Paused(why), _) => tracing::error!(part = %self.name, "paused: {why}"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_part_says_nothing_any_more() {
        let health = Health::default();
        let (gone, stays) = (health.part("app/journal"), health.part("apps/journal"));
        health.forget("app/");
        gone.set(State::Paused("late".into()));
        stays.set(State::Fine);
        assert_eq!(health.states(), [("apps/journal".to_string(), State::Fine)]);
        let again = health.part("app/journal");
        again.set(State::Fine);
        assert_eq!(health.states().len(), 2);
    }
}
