//! Refused documents on their way to the dead-letter store.
//!
//! In: letters. Out: batches to store, the documents settled. Promises: a document is settled only after the store
//! said that its letter is on disk. On failure: the letters stay and are offered again after a pause.

use super::retry::Backoff;
use crate::delivery::DeadLetter;
use crate::limits;

/// The letters that are not yet on disk.
#[derive(Default)]
pub(super) struct Letters {
    list: Vec<(u64, DeadLetter)>,
    bytes: usize,
    /// How many of them the store has now.
    storing: usize,
    failures: u32,
    due_ns: u64,
    trouble: Option<String>,
}

impl Letters {
    /// Adds the letter of a document of this frame (its number in the ledger).
    pub(super) fn add(&mut self, frame: u64, letter: DeadLetter) {
        self.bytes += size(&letter);
        self.list.push((frame, letter));
    }

    /// The oldest letters, for the store, if it is idle and its pause is over: as many as it takes in one piece, or
    /// one.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<Vec<DeadLetter>> {
        if self.storing > 0 || self.list.is_empty() || self.due_ns > now_ns {
            return None;
        }
        let mut bytes = 0;
        let fit = self.list.iter().take_while(|(_, letter)| {
            bytes += size(letter);
            bytes <= limits::DEAD_LETTERS_CALL_BYTES
        });
        self.storing = fit.count().max(1);
        Some(self.list[..self.storing].iter().map(|(_, letter)| letter.clone()).collect())
    }

    /// The store has them: the frames of the documents that are settled now.
    pub(super) fn stored(&mut self) -> Vec<u64> {
        let stored = self.list.drain(..std::mem::take(&mut self.storing));
        let frames = stored.map(|(frame, letter)| {
            self.bytes -= size(&letter);
            frame
        });
        let frames = frames.collect();
        self.failures = 0;
        self.trouble = None;
        frames
    }

    /// The store could not take them.
    pub(super) fn failed(&mut self, why: &str, now_ns: u64, backoff: &mut Backoff) {
        self.storing = 0;
        self.failures = self.failures.saturating_add(1);
        self.due_ns = now_ns + backoff.pause_ns(self.failures);
        self.trouble = Some(why.to_string());
    }

    /// Whether the store is at work.
    pub(super) fn is_storing(&self) -> bool {
        self.storing > 0
    }

    /// When the next try is due.
    pub(super) fn due_ns(&self) -> Option<u64> {
        (self.storing == 0 && !self.list.is_empty()).then_some(self.due_ns)
    }

    /// Why the store does not take letters.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Letters not yet on disk.
    pub(super) fn document_count(&self) -> usize {
        self.list.len()
    }

    /// Their bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(letter: &DeadLetter) -> usize {
    letter.document.len() + letter.reason.len() + size_of::<DeadLetter>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_to_the_store_in_calls_that_it_takes_in_one_piece() {
        let letter = |bytes: usize| DeadLetter {
            output: String::new(),
            address: String::new(),
            id: String::new(),
            reason: String::new(),
            refused_ns: 0,
            document: vec![0; bytes],
        };
        let mut letters = Letters::default();
        for (frame, mib) in [(1, 5), (2, 2), (3, 2), (4, 20), (5, 1)] {
            letters.add(frame, letter(mib << 20));
        }
        let mut calls = Vec::new();
        while letters.take_due(0).is_some() {
            calls.push(letters.stored());
        }
        assert_eq!(calls, [vec![1, 2], vec![3], vec![4], vec![5]]);
        assert_eq!((letters.bytes(), letters.document_count()), (0, 0));
    }
}
