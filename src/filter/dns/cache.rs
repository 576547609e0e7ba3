//! What name servers said, kept for a while and up to a number.
//!
//! In: names and answers. Out: answers that still hold. Promises: never more entries than allowed: the oldest go first.
//! On failure: nothing can fail.

use std::collections::VecDeque;

use hashbrown::HashMap;

/// Answers of one kind: those found, or those that failed.
pub(super) struct Cache<V> {
    entries: HashMap<Box<[u8]>, (V, u64)>,
    /// Names in the order in which they came, with the end of their time.
    order: VecDeque<(Box<[u8]>, u64)>,
    most: usize,
}

impl<V: Clone> Cache<V> {
    /// A cache of so many entries; 0 keeps none.
    pub(super) fn new(most: usize) -> Cache<V> {
        Cache { entries: HashMap::new(), order: VecDeque::new(), most }
    }

    /// What is known of a name.
    pub(super) fn get(&self, name: &[u8], now_ns: u64) -> Option<&V> {
        self.entries.get(name).filter(|(_, until_ns)| now_ns < *until_ns).map(|(value, _)| value)
    }

    /// Keeps a value until a time.
    pub(super) fn put(&mut self, name: &[u8], value: V, until_ns: u64) {
        if self.most == 0 {
            return;
        }
        while self.order.len() >= self.most {
            let Some((oldest, end_ns)) = self.order.pop_front() else { break };
            // A name that came again has another end, and its own place in the order.
            if self.entries.get(&oldest).is_some_and(|(_, until_ns)| *until_ns == end_ns) {
                self.entries.remove(&oldest);
            }
        }
        self.entries.insert(name.into(), (value, until_ns));
        self.order.push_back((name.into(), until_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::Cache;

    #[test]
    fn entries_end_with_their_time_and_the_oldest_makes_room() {
        let mut cache = Cache::new(2);
        cache.put(b"a", 1, 10);
        assert_eq!((cache.get(b"a", 9), cache.get(b"a", 10)), (Some(&1), None));
        cache.put(b"b", 2, 20);
        cache.put(b"c", 3, 20);
        assert_eq!(
            (cache.get(b"a", 0), cache.get(b"b", 0), cache.get(b"c", 0)),
            (None, Some(&2), Some(&3))
        );
        assert_eq!((cache.entries.len(), cache.order.len()), (2, 2));
        let mut none = Cache::new(0);
        none.put(b"a", 1, 10);
        assert_eq!(none.get(b"a", 0), None);
    }
}
