//! What became of the addresses that came lately.
//!
//! Is: a new table and an old one. In: an address as the event writes it, and what became of it. Out: the same again.
//! Promises: an address is known as long as fewer than [`MOST`] others came since it was asked for last, however their
//! hashes fall; at most twice as many are held. What is asked for moves from the old table to the new one; a new one
//! that is full becomes the old one, whose addresses are forgotten. On failure: nothing can fail.

use std::hash::BuildHasher as _;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::MAX_ADDRESS;

/// Addresses of one table.
const MOST: usize = 6144;

pub(super) struct Kept<T> {
    new: HashTable<Entry<T>>,
    old: HashTable<Entry<T>>,
}

// The text stands in it: one of its own would be one more wait for memory, because thousands of addresses are more than
// a core's caches hold.
struct Entry<T> {
    hash: u64,
    length: u8,
    text: [u8; MAX_ADDRESS],
    value: T,
}

impl<T> Entry<T> {
    fn new(hash: u64, text: &[u8], value: T) -> Option<Self> {
        let mut kept = [0; MAX_ADDRESS];
        kept.get_mut(..text.len())?.copy_from_slice(text);
        Some(Entry { hash, length: text.len() as u8, text: kept, value })
    }

    fn is(&self, hash: u64, text: &[u8]) -> bool {
        self.hash == hash && self.text[..usize::from(self.length)] == *text
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Kept { new: HashTable::new(), old: HashTable::new() }
    }
}

impl<T> Kept<T> {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Kept::default();
    }

    /// What became of an address, which has at most [`MAX_ADDRESS`] bytes; `make` says it where nobody knows or what
    /// is known is not `good` any more, and `None` is asked for again the next time.
    pub(super) fn get(
        &mut self,
        text: &[u8],
        good: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Option<T>,
    ) -> Option<&mut T> {
        let hash = FixedState::default().hash_one(text);
        let same = |entry: &Entry<T>| entry.is(hash, text);
        if self.new.find(hash, same).is_none()
            && let Ok(found) = self.old.find_entry(hash, same)
        {
            let entry = found.remove().0;
            self.add(entry);
        }
        if self.new.find(hash, same).is_none_or(|entry| !good(&entry.value)) {
            let made = Entry::new(hash, text, make()?)?;
            match self.new.find_mut(hash, same) {
                Some(entry) => *entry = made,
                None => self.add(made),
            }
        }
        self.new.find_mut(hash, same).map(|entry| &mut entry.value)
    }

    fn add(&mut self, entry: Entry<T>) {
        if self.new.len() == MOST {
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert_unique(entry.hash, entry, |entry| entry.hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_addresses_are_known_and_the_others_are_forgotten() {
        let mut kept = Kept::default();
        let mut made = 0;
        let mut ask = |n: usize| {
            let make = || {
                made += 1;
                Some(n)
            };
            assert_eq!(kept.get(n.to_string().as_bytes(), |_| true, make), Some(&mut { n }));
            assert!(kept.new.len() <= MOST && kept.old.len() <= MOST);
            made
        };
        for round in 0..3 {
            for n in 0..MOST {
                let made = ask(n);
                assert_eq!(made, if round == 0 { n + 1 } else { MOST });
            }
        }
        // One that is asked for stays, whatever passes.
        for n in MOST..4 * MOST {
            ask(n);
            assert_eq!(ask(0), n + 1);
        }
        assert_eq!(ask(1), 4 * MOST + 1, "long forgotten");
    }

    #[test]
    fn what_could_not_be_told_is_asked_for_again() {
        let mut kept = Kept::default();
        let mut get = |good: bool, value| kept.get(b"a", |_| good, || value).copied();
        assert_eq!(get(true, None), None);
        assert_eq!(get(true, Some(1)), Some(1));
        assert_eq!(get(true, Some(2)), Some(1));
        assert_eq!(get(false, Some(3)), Some(3), "what is not good any more is made anew");
        assert_eq!(get(false, None), None);
        kept.clear();
        let mut get = |value| kept.get(b"a", |_| true, || value).copied();
        assert_eq!(get(Some(4)), Some(4));
    }
}
