//! How much the journal may hold, and who has to give way.
//!
//! Is: the rules for space. In: the size of the next frame; cursors. Out: room for it, by deleting what everybody
//! has, by moving outputs on that may lose documents, or by waiting. Promises: required outputs lose nothing with
//! `on_full = "block"`; everything dropped is counted; a frame larger than the quota is accepted when the journal
//! holds nothing else, and one frame more when a failed sync left nothing that may be deleted. On failure: a
//! file that cannot be removed still counts and is tried again.

use std::time::Duration;

use crate::chunk::Closed;

use super::numbers::Trouble;
use super::options::{Mode, OnFull, SyncPolicy};
use super::shared::{PAUSE_MAX, Shared, lock};
use super::state::{Output, State, Totals};

/// What the rules say.
enum Verdict {
    /// There is room.
    Accept,
    /// Something was moved on: look again.
    Again,
    /// The background has to sync or delete first.
    Later(Duration),
    /// Outputs hold everything; their names.
    Full(String),
}

impl Shared {
    /// Returns when a frame of about `size` bytes may come in.
    pub(super) fn admit(&self, size: u64) -> Result<(), Closed> {
        loop {
            let verdict = {
                let mut state = lock(&self.state);
                if state.closed {
                    return Err(Closed);
                }
                self.judge(&mut state, size)
            };
            match verdict {
                Verdict::Accept => return Ok(()),
                Verdict::Again => self.reclaim(),
                Verdict::Later(pause) => self.wait_for_room(pause)?,
                Verdict::Full(holders) => {
                    let (path, bytes) = (self.directory.display(), self.settings.max_bytes);
                    let what = format!(
                        "the journal `{path}` has reached its quota of {bytes} bytes and waits for \
                         {holders}; reading goes on when they have caught up; raise journal.max_size, \
                         or mark an output as best_effort, or set on_full = \"drop_oldest\""
                    );
                    self.status.trouble(Trouble::Full, what);
                    self.wait_for_room(PAUSE_MAX)?;
                }
            }
        }
    }

    fn judge(&self, state: &mut State, size: u64) -> Verdict {
        if !state.cursors_known || !state.settled {
            return Verdict::Later(PAUSE_MAX);
        }
        let threaded = self.has_background();
        let tail_full = state.tail_bytes > 2 * self.tail_max;
        let bounded = !state.memory && state.sync != SyncPolicy::Os && threaded;
        if bounded && tail_full && state.unsynced_bytes() > 2 * self.tail_max {
            self.kick(state);
            return Verdict::Later(PAUSE_MAX);
        }
        if state.used_bytes() + size <= self.settings.max_bytes {
            return Verdict::Accept;
        }
        if state.memory {
            state.evict(&self.pool);
        }
        let passed = state.passed_by_all();
        if passed >= state.written {
            state.roll_wanted = true;
            state.evict(&self.pool);
            // Older segments that everybody has go first: only the newest may be larger than the quota.
            if state.memory || state.segments.len() <= 1 || !threaded {
                return Verdict::Accept;
            }
            return self.after_oldest(state);
        }
        let (end, at_end) = oldest_unit(state);
        if passed >= end && !state.memory {
            // The oldest segment can go as soon as the snapshot of a newer one is safe.
            return self.after_oldest(state);
        }
        let any = self.settings.on_full == OnFull::DropOldest;
        if drop_until(state, end, &at_end, any) {
            state.evict(&self.pool);
            self.tell_dropping(state);
            return Verdict::Again;
        }
        let holders = state.outputs.iter().filter(|o| o.passed() < end);
        let names: Vec<String> = holders.map(|o| format!("outputs.{}", o.name)).collect();
        Verdict::Full(names.join(", "))
    }

    /// Everybody has passed the oldest segment, on disk: it goes as soon as a newer one has all positions, durably.
    fn after_oldest(&self, state: &mut State) -> Verdict {
        if self.reclaimable(state) {
            return Verdict::Again;
        }
        if !state.segments.iter().skip(1).any(|segment| segment.has_snapshot) {
            // After a failed sync the newer segments are without positions: only the next frame begins one that has
            // them, so it comes in whatever the quota says.
            state.roll_wanted = true;
            return Verdict::Accept;
        }
        self.kick(state);
        Verdict::Later(PAUSE_MAX)
    }

    /// Ends the troubles of space once there is plenty of it: around the quota they would come and go.
    pub(super) fn tell_room(&self) {
        let plenty = |used: u64, most: u64| used / 3 <= most / 4;
        let calm = {
            let state = lock(&self.state);
            let near = |(slot, output): (usize, &Output)| {
                let (behind, _) = output.lag(&state.totals, slot);
                output.required || output.max_lag.is_none_or(|most| plenty(behind, most))
            };
            // The newest segment stays until a frame comes, even if nobody needs it any more.
            let done = state.passed_by_all() >= state.written;
            (done || plenty(state.used_bytes(), self.settings.max_bytes))
                && state.outputs.iter().enumerate().all(near)
        };
        if calm {
            self.status.over(Trouble::Full);
            self.status.over(Trouble::Dropping);
        }
    }

    fn tell_dropping(&self, state: &State) {
        let dropped =
            |o: &&Output| o.numbers.dropped_quota.value() + o.numbers.dropped_lag.value() > 0;
        let names: Vec<_> = state.outputs.iter().filter(dropped).map(|o| o.name.as_str()).collect();
        let what = format!(
            "documents for outputs.{} are dropped, as the settings say (best_effort with its max_lag, or \
             journal.on_full = \"drop_oldest\"), because it is too far behind; \
             logweir_journal_dropped_documents_total counts them",
            names.join(", outputs.")
        );
        self.status.trouble(Trouble::Dropping, what);
    }

    fn reclaimable(&self, state: &State) -> bool {
        let Some(front) = state.segments.front() else { return false };
        let replaced = match self.settings.mode {
            Mode::Disk => state.segments.iter().skip(1).any(|s| s.snapshot_synced),
            Mode::Memory => lock(&self.deferred).snapshot_synced(),
        };
        replaced && front.last <= state.passed_by_all()
    }

    /// Deletes the segments that nobody needs.
    pub(super) fn reclaim(&self) {
        let mut gone = {
            let mut state = lock(&self.state);
            let mut gone = std::mem::take(&mut state.trash);
            while self.reclaimable(&state) {
                if let Some(segment) = state.segments.pop_front() {
                    gone.push((segment.path, segment.bytes));
                }
            }
            gone
        };
        if gone.is_empty() {
            return;
        }
        gone.retain(|(path, _)| {
            let removed = self.storage.remove(path);
            removed.is_err_and(|why| why.kind() != std::io::ErrorKind::NotFound)
        });
        lock(&self.state).trash.append(&mut gone);
        lock(&self.writer).directory_changed();
        self.room.notify_all();
    }

    /// Moves best-effort outputs on that are too far behind.
    pub(super) fn enforce_lag(&self) {
        let mut state = lock(&self.state);
        let state = &mut *state;
        for slot in 0..state.outputs.len() {
            let output = &state.outputs[slot];
            let Some(most) = output.max_lag.filter(|_| !output.required) else { continue };
            if state.totals.bytes.saturating_sub(output.given_bytes) <= most {
                continue;
            }
            let (end, at_end) = boundary_within(state, most);
            let output = &mut state.outputs[slot];
            let dropped = output.skip_to(end, &at_end, slot);
            output.floor = output.floor.max(end);
            output.numbers.dropped_lag.add(dropped);
            state.cursors_moved = true;
            if dropped > 0 {
                self.tell_dropping(state);
            }
        }
        state.evict(&self.pool);
    }
}

/// The last sequence of what is dropped at once, and the sums up to it.
fn oldest_unit(state: &State) -> (u64, Totals) {
    if state.memory {
        if let Some(front) = state.tail.front() {
            let mut at_end = state.tail_from.clone();
            at_end.add(front.frame.bytes().len() as u64, &front.documents);
            return (front.frame.sequence(), at_end);
        }
    } else if let Some(second) = state.segments.get(1) {
        return (second.first - 1, second.start.clone());
    }
    (state.written, state.totals.clone())
}

/// Moves outputs behind `end`: best-effort ones, or `any`. Returns whether one moved.
fn drop_until(state: &mut State, end: u64, at_end: &Totals, any: bool) -> bool {
    let mut moved = false;
    for (slot, output) in state.outputs.iter_mut().enumerate() {
        if output.passed() >= end || (output.required && !any) {
            continue;
        }
        let dropped = output.skip_to(end, at_end, slot);
        output.floor = end;
        output.numbers.dropped_quota.add(dropped);
        moved = true;
    }
    state.cursors_moved |= moved;
    moved
}

/// The first boundary between frames behind which at most `most` bytes lie.
fn boundary_within(state: &State, most: u64) -> (u64, Totals) {
    let near = |bytes: u64| state.totals.bytes - bytes <= most;
    let front = state.tail.front().map_or(u64::MAX, |e| e.frame.sequence());
    let mut segments = state.segments.iter().skip(1).filter(|s| s.first <= front);
    if let Some(segment) = segments.find(|s| near(s.start.bytes)) {
        return (segment.first - 1, segment.start.clone());
    }
    let mut at_end = state.tail_from.clone();
    let mut end = front.saturating_sub(1);
    for entry in &state.tail {
        if near(at_end.bytes) {
            break;
        }
        at_end.add(entry.frame.bytes().len() as u64, &entry.documents);
        end = entry.frame.sequence();
    }
    if state.tail.is_empty() { (state.written, state.totals.clone()) } else { (end, at_end) }
}
