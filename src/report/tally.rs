//! Counts by name, in bounded memory.
//!
//! In: names. Out: what was counted for each. Promises: at most `most` names are kept; what comes for further ones is
//! counted as one number. On failure: nothing can fail.

use hashbrown::HashMap;

/// What is counted for each name.
pub(super) struct Tally<T> {
    kept: HashMap<Box<[u8]>, T, foldhash::fast::RandomState>,
    most: usize,
    /// For names beyond `most`.
    pub(super) others: u64,
}

/// What one name has, and can be put together with another one's.
pub(super) trait Merge: Default {
    /// Adds what another thread counted.
    fn merge(&mut self, other: Self);
    /// How often it came.
    fn count(&self) -> u64;
}

impl Merge for u64 {
    fn merge(&mut self, other: u64) {
        *self += other;
    }

    fn count(&self) -> u64 {
        *self
    }
}

impl<T: Merge> Tally<T> {
    pub(super) fn new(most: usize) -> Tally<T> {
        Tally { kept: HashMap::default(), most, others: 0 }
    }

    /// The counts of a name; `None`: there are too many others.
    #[inline]
    pub(super) fn of(&mut self, name: &[u8]) -> Option<&mut T> {
        // A lookup and an insert: the borrow of a found entry cannot be returned before the insert.
        if !self.kept.contains_key(name) {
            if self.kept.len() >= self.most {
                self.others += 1;
                return None;
            }
            self.kept.insert(name.into(), T::default());
        }
        self.kept.get_mut(name)
    }

    /// Adds what another thread counted.
    pub(super) fn merge(&mut self, other: Tally<T>) {
        self.others += other.others;
        for (name, counted) in other.kept {
            let count = counted.count();
            match self.of(&name) {
                Some(own) => own.merge(counted),
                // `of` has counted one.
                None => self.others += count.saturating_sub(1),
            }
        }
    }

    /// All, the most frequent first, equal ones by name.
    pub(super) fn sorted(self) -> Vec<(Box<[u8]>, T)> {
        let mut all: Vec<_> = self.kept.into_iter().collect();
        all.sort_by(|a, b| b.1.count().cmp(&a.1.count()).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_names_are_one_number_also_when_threads_are_put_together() {
        let count = |names: &[&str]| {
            let mut tally = Tally::<u64>::new(2);
            for name in names {
                if let Some(n) = tally.of(name.as_bytes()) {
                    *n += 1;
                }
            }
            tally
        };
        let mut all = count(&["a", "b", "c", "a", "c"]);
        assert_eq!(all.others, 2);
        all.merge(count(&["d", "d", "d", "b"]));
        assert_eq!(all.others, 5);
        let sorted = all.sorted();
        let shown: Vec<_> = sorted.iter().map(|(n, c)| (&n[..], *c)).collect();
        assert_eq!(shown, [(&b"a"[..], 2), (&b"b"[..], 2)]);
    }
}
