//! How long bytes of a file have been waiting to be read.
//!
//! Is: two marks of size and time. In: position and size at every look. Out: when the oldest unread byte was first
//! seen. Promises: constant memory a file; never older than the truth, and younger only by bytes that came between
//! two marks. On failure: nothing can fail.

use super::tailer::Tailer;

/// Time between two looks at how old unread bytes are.
const SHOWN_NS: u64 = 1_000_000_000;

/// Unread bytes of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    oldest: Mark,
    newer: Option<Mark>,
}

/// Bytes before `size` were there at `seen_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    seen_ns: u64,
    size: u64,
}

impl Unread {
    /// What is unread after a look at `now_ns` (elapsed time) that found `offset` bytes read of `size`.
    pub fn look(before: Option<Unread>, offset: u64, size: u64, now_ns: u64) -> Option<Unread> {
        if offset >= size {
            return None;
        }
        let now = Mark { seen_ns: now_ns, size };
        let Some(mut unread) = before else { return Some(Unread { oldest: now, newer: None }) };
        if offset >= unread.oldest.size {
            let waiting = unread.newer.filter(|newer| offset < newer.size);
            unread = Unread { oldest: waiting.unwrap_or(now), newer: None };
        }
        if unread.newer.is_none() && size > unread.oldest.size {
            unread.newer = Some(now);
        }
        Some(unread)
    }

    /// When the oldest unread byte was first seen, in elapsed nanoseconds.
    pub fn since_ns(&self) -> u64 {
        self.oldest.seen_ns
    }
}

impl Tailer {
    /// Brings the lag metric up to date with a generation.
    pub(super) fn count_lag(&mut self, id: u64) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let lag = generation.lag();
        self.parts.counts.lag.add(lag as i64 - generation.counted_lag as i64);
        generation.counted_lag = lag;
        let (offset, now) = (generation.offset, self.parts.clock.elapsed_ns());
        generation.unread = Unread::look(generation.unread.take(), offset, offset + lag, now);
        if lag > 0 {
            self.behind.insert(id);
        } else {
            self.behind.remove(&id);
        }
    }

    /// Brings the metric of unread time up to date, at most once a second while files have unread bytes.
    pub fn show_lag(&mut self) {
        let now = self.now();
        if self.behind.is_empty() {
            self.lag_shown_at = None;
            return self.parts.counts.lag_seconds.set(0);
        }
        if self.lag_shown_at.is_some_and(|shown| now.saturating_sub(shown) < SHOWN_NS) {
            return;
        }
        self.lag_shown_at = Some(now);
        let unread = self.behind.iter().filter_map(|id| self.generations.get(id)?.unread);
        let oldest = unread.map(|u| u.since_ns()).min().unwrap_or(now);
        self.parts.counts.lag_seconds.set((now.saturating_sub(oldest) / 1_000_000_000) as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_never_read_to_its_end_is_only_as_late_as_its_oldest_unread_byte() {
        let mut unread = None;
        // Every second 100 bytes come, and what came two seconds before is read.
        for second in 1..100_u64 {
            unread = Unread::look(unread, second.saturating_sub(2) * 100, second * 100, second);
            let since = unread.expect("never at the end").since_ns();
            assert!(second - since <= 2, "second {second}: since {since}");
        }
        assert_eq!(Unread::look(unread, 9900, 9900, 100), None);
    }

    #[test]
    fn a_file_that_is_not_read_gets_later_and_later() {
        let mut unread = None;
        for second in 1..100 {
            unread = Unread::look(unread, 0, second * 100, second);
        }
        assert_eq!(unread.map(|u| u.since_ns()), Some(1));
    }
}
