//! What one route has to tell: now, later, and once more elsewhere.
//!
//! In: texts, and when each was told. Out: two [`Digest`]s, one for the route's receiver and one for its escalation.
//! Promises: within `repeat_interval` of being told, a kind of message is only counted, and the count is told
//! afterwards; during quiet hours everything is; a kind that still comes when `after` has passed since it was first
//! told is escalated, and again each time that `after` has passed; a kind that was not seen for `resolve_timeout` is
//! over, and new when it comes again. At most [`KINDS_MAX`] kinds are remembered. On failure: nothing can fail; a kind
//! for which there was no memory is told as often as it comes.

use std::time::Duration;

use tokio::time::Instant;

use super::digest::{Digest, Group, cut};
use super::route::Route;
use crate::likeness::mask;

/// Kinds whose telling is remembered.
const KINDS_MAX: usize = 200;

pub(super) struct Lane {
    pub(super) route: Route,
    resolve_timeout: Duration,
    /// For the route's receiver, now.
    pub(super) digest: Digest,
    /// For the escalation's receiver, now.
    pub(super) escalated: Digest,
    /// Held back by quiet hours or `repeat_interval`.
    held: Digest,
    kinds: Vec<Kind>,
}

/// A kind of message that was told.
struct Kind {
    mask: String,
    told: Instant,
    seen: Instant,
    /// When it is escalated, if it still comes.
    escalates: Option<Instant>,
    count: u64,
    first_ns: i64,
}

impl Lane {
    pub(super) fn new(route: Route, resolve_timeout: Duration) -> Lane {
        let [digest, escalated, held] = std::array::from_fn(|_| Digest::default());
        Lane { route, resolve_timeout, digest, escalated, held, kinds: Vec::new() }
    }

    /// One more message. `false`: it is held back.
    pub(super) fn add(&mut self, text: &str, time_ns: i64, wall_ns: i64) -> bool {
        let text = cut(text);
        if self.route.is_mute(wall_ns) {
            self.held.add(text, time_ns);
            return false;
        }
        if !self.remembers() {
            self.digest.add(text, time_ns);
            return true;
        }
        let now = Instant::now();
        self.forget(now);
        let mask = mask(text);
        let repeat = self.route.repeat_interval;
        let Some(kind) = self.kinds.iter_mut().find(|kind| kind.mask == mask) else {
            self.digest.add(text, time_ns);
            return true;
        };
        kind.seen = now;
        kind.count += 1;
        if let (Some(due), Some(escalation)) = (kind.escalates, &self.route.escalation)
            && due <= now
        {
            kind.escalates = Some(now + escalation.after);
            let (count, first_ns, last_ns) = (kind.count, kind.first_ns, time_ns);
            self.escalated.put(Group { mask, text: text.to_string(), count, first_ns, last_ns });
        }
        let tell = kind.told + repeat <= now;
        if tell {
            self.digest.add(text, time_ns);
        } else {
            self.held.add(text, time_ns);
        }
        tell
    }

    /// Lets go what is not to be held any longer.
    pub(super) fn release(&mut self, wall_ns: i64) {
        if self.held.is_empty() || self.route.is_mute(wall_ns) {
            return;
        }
        let now = Instant::now();
        self.forget(now);
        let repeat = self.route.repeat_interval;
        let kinds = &self.kinds;
        let waits = |mask: &str| kinds.iter().any(|k| k.mask == mask && now < k.told + repeat);
        self.digest.take_from(&mut self.held, |group| !waits(&group.mask));
    }

    /// Documents that are held back.
    pub(super) fn held(&self) -> u64 {
        self.held.count()
    }

    /// Takes note that the first kinds of the digest were told.
    pub(super) fn note_told(&mut self, groups: usize) {
        if !self.remembers() {
            return;
        }
        let now = Instant::now();
        for group in &self.digest.groups()[..groups] {
            if let Some(kind) = self.kinds.iter_mut().find(|kind| kind.mask == group.mask) {
                kind.told = now;
            } else if self.kinds.len() < KINDS_MAX {
                self.kinds.push(Kind {
                    mask: group.mask.clone(),
                    told: now,
                    seen: now,
                    escalates: self.route.escalation.as_ref().map(|e| now + e.after),
                    count: group.count,
                    first_ns: group.first_ns,
                });
            }
        }
    }

    fn remembers(&self) -> bool {
        self.route.repeat_interval > Duration::ZERO || self.route.escalation.is_some()
    }

    fn forget(&mut self, now: Instant) {
        let resolve = self.resolve_timeout;
        self.kinds.retain(|kind| now < kind.seen + resolve);
    }
}
