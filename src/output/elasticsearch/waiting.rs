//! Documents that were refused and may pass later.
//!
//! Is: one group for each index, with its own pause; a group whose index takes nothing is asked with one document.
//! In: refused documents. Out: those to be tried again. Promises: one closed index does not hold up another; the
//! bytes held are known, so that the output can stop taking more. On failure: nothing can fail.

use std::collections::{BTreeMap, VecDeque};

use super::bulk::Kept;
use super::outcome::Block;
use super::retry::Backoff;

/// All groups.
#[derive(Default)]
pub(super) struct Waiting {
    groups: BTreeMap<String, Group>,
    bytes: usize,
    documents: usize,
    blocked: usize,
}

#[derive(Default)]
struct Group {
    documents: VecDeque<Kept>,
    block: Option<Block>,
    failures: u32,
    due_ns: u64,
    /// Most documents of the next try.
    burst: usize,
    /// Some of its documents are on their way.
    trying: bool,
}

/// An index that is only busy is told of after so many tries in a row of which nothing passed.
const BUSY_TOLD: u32 = 5;
/// Fewest documents that an index which is only busy is tried with.
const BURST_MIN: usize = 16;

impl Waiting {
    /// Keeps a document for its index. `block`: the index takes nothing at present.
    pub(super) fn keep(
        &mut self,
        index: &str,
        kept: Kept,
        block: Option<Block>,
        now_ns: u64,
        backoff: &mut Backoff,
    ) {
        self.bytes += kept.size();
        self.documents += 1;
        if !self.groups.contains_key(index) {
            let due_ns = now_ns + backoff.pause_ns(1);
            let group = Group { failures: 1, due_ns, burst: usize::MAX, ..Group::default() };
            self.groups.insert(index.to_string(), group);
        }
        let Some(group) = self.groups.get_mut(index) else { return };
        self.blocked -= usize::from(group.block.is_some());
        // A group that was blocked stays so until a try passes: what was under way says nothing new.
        group.block = block.or(group.block);
        self.blocked += usize::from(group.block.is_some());
        if group.block.is_some() {
            group.burst = 1;
        }
        group.documents.push_back(kept);
    }

    /// Whether any index takes nothing.
    pub(super) fn any_blocked(&self) -> bool {
        self.blocked > 0
    }

    /// Whether this index takes nothing, as far as known.
    pub(super) fn is_blocked(&self, address: &[u8]) -> bool {
        let name = String::from_utf8_lossy(address).to_lowercase();
        self.groups.get(&name).is_some_and(|g| g.block.is_some())
    }

    /// The indices that take nothing, in order of their names.
    pub(super) fn blocks(&self) -> Vec<(&str, Block)> {
        let blocked = self.groups.iter().filter_map(|(name, g)| Some((name.as_str(), g.block?)));
        let mut list: Vec<_> = blocked.collect();
        list.sort_unstable_by_key(|(name, _)| *name);
        list
    }

    /// The indices whose documents are only tried again, but have passed at no try for a while; by name.
    pub(super) fn stuck(&self) -> Vec<&str> {
        let stuck = |g: &Group| g.block.is_none() && g.failures >= BUSY_TOLD;
        let mut list: Vec<&str> =
            self.groups.iter().filter(|(_, g)| stuck(g)).map(|(name, _)| name.as_str()).collect();
        list.sort_unstable();
        list
    }

    /// Takes the documents of a group whose pause is over, at most `bytes_max` of them (at least one).
    pub(super) fn take_due(
        &mut self,
        now_ns: u64,
        bytes_max: usize,
    ) -> Option<(String, Vec<Kept>)> {
        let due = |g: &Group| !g.trying && g.due_ns <= now_ns && !g.documents.is_empty();
        let found = self.groups.iter_mut().filter(|(_, g)| due(g)).min_by_key(|(_, g)| g.due_ns);
        let (name, group) = found?;
        group.trying = true;
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < group.burst
            && let Some(next) = group.documents.front()
            && (taken.is_empty() || bytes + next.length() <= bytes_max)
            && let Some(kept) = group.documents.pop_front()
        {
            bytes += kept.length();
            self.bytes -= kept.size();
            self.documents -= 1;
            taken.push(kept);
        }
        Some((name.clone(), taken))
    }

    /// The try of a group was answered: `passed` documents are settled, `refused` are back in the group.
    pub(super) fn tried(
        &mut self,
        index: &str,
        passed: usize,
        refused: usize,
        now_ns: u64,
        backoff: &mut Backoff,
    ) {
        let Some(group) = self.groups.get_mut(index) else { return };
        group.trying = false;
        if passed == 0 {
            group.failures = group.failures.saturating_add(1);
            group.due_ns = now_ns + backoff.pause_ns(group.failures);
            let smaller = (refused / 2).max(BURST_MIN);
            group.burst = if group.block.is_some() { 1 } else { smaller };
        } else {
            self.blocked -= usize::from(group.block.take().is_some());
            group.failures = 1;
            group.due_ns = if refused == 0 { now_ns } else { now_ns + backoff.pause_ns(1) };
            let count = passed + refused;
            group.burst =
                if refused > passed { count.max(BURST_MIN) } else { count.saturating_mul(8) };
        }
        if group.documents.is_empty() {
            self.blocked -= usize::from(group.block.is_some());
            self.groups.remove(index);
        }
    }

    /// When the next group is due.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        let waits = self.groups.values().filter(|g| !g.trying && !g.documents.is_empty());
        waits.map(|g| g.due_ns).min()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Documents held.
    pub(super) fn document_count(&self) -> usize {
        self.documents
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::elasticsearch::bulk::{Builder, Form};
    use crate::output::elasticsearch::fake::frame;

    fn kept(count: usize) -> Vec<Kept> {
        let documents: Vec<(&str, String)> =
            (0..count).map(|n| ("x", format!("{{\"n\":{n}}}"))).collect();
        let frame = frame(1, &documents);
        let form = Form { operation: "create", ids: true, gzip: false };
        let mut builder = Builder::new(form, usize::MAX);
        for document in frame.documents() {
            builder.add(&document, b"x", 0, None).unwrap();
        }
        let mut all = Vec::new();
        builder.seal().pick(&(0..count).collect::<Vec<_>>(), |_, kept| all.push(kept));
        all
    }

    fn next(waiting: &mut Waiting, now: &mut u64) -> Vec<Kept> {
        *now = waiting.next_due_ns().unwrap().max(*now);
        waiting.take_due(*now, usize::MAX).unwrap().1
    }

    #[test]
    fn a_blocked_index_is_asked_with_one_document_and_a_busy_one_with_many() {
        let (mut now, mut backoff) = (0, Backoff::new(100, 1000, 3));
        let mut waiting = Waiting::default();
        for kept in kept(100) {
            waiting.keep("x", kept, Some(Block::Closed), now, &mut backoff);
        }
        assert!(waiting.is_blocked(b"X") && !waiting.is_blocked(b"y"));
        for _ in 0..3 {
            let before = now;
            let one = next(&mut waiting, &mut now).remove(0);
            assert!(now > before, "after a pause");
            assert!(waiting.take_due(u64::MAX, usize::MAX).is_none(), "one try at a time");
            waiting.keep("x", one, Some(Block::Closed), now, &mut backoff);
            waiting.tried("x", 0, 1, now, &mut backoff);
        }
        assert_eq!(next(&mut waiting, &mut now).len(), 1);
        waiting.tried("x", 1, 0, now, &mut backoff);
        assert!(!waiting.any_blocked());
        let some = next(&mut waiting, &mut now);
        assert_eq!(some.len(), 8, "more and more, once one passed");
        for kept in some {
            waiting.keep("x", kept, None, now, &mut backoff);
        }
        waiting.tried("x", 0, 8, now, &mut backoff);
        assert_eq!(next(&mut waiting, &mut now).len(), BURST_MIN);
        waiting.tried("x", BURST_MIN, 0, now, &mut backoff);
        assert_eq!(next(&mut waiting, &mut now).len(), 100 - 1 - BURST_MIN);
        waiting.tried("x", 83, 0, now, &mut backoff);
        assert_eq!(
            (waiting.document_count(), waiting.bytes(), waiting.next_due_ns()),
            (0, 0, None)
        );
    }
}
