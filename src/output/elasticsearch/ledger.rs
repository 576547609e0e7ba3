//! Which frames are done with.
//!
//! Is: the frames that were taken and not yet finished, each with the number of its open documents.
//! In: frames, their documents, documents settled in any order. Out: the sequence that the cursor may move to.
//! Promises: the cursor never passes a frame with an open document. On failure: nothing can fail.

use std::collections::VecDeque;

/// The frames under way.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    frames: VecDeque<Entry>,
    // The number of the first entry; numbers go up by one for each frame taken.
    first: u64,
}

#[derive(Debug)]
struct Entry {
    sequence: u64,
    open: u32,
    /// All of its documents were taken.
    filled: bool,
}

impl Ledger {
    /// A new frame; the returned number stands for it here.
    pub(super) fn begin(&mut self, sequence: u64) -> u64 {
        self.frames.push_back(Entry { sequence, open: 0, filled: false });
        self.first + self.frames.len() as u64 - 1
    }

    /// One more document of the frame is open.
    pub(super) fn open(&mut self, number: u64) {
        if let Some(entry) = self.entry(number) {
            entry.open += 1;
        }
    }

    /// The frame has no more documents than were opened.
    pub(super) fn filled(&mut self, number: u64) {
        if let Some(entry) = self.entry(number) {
            entry.filled = true;
        }
    }

    /// A document of the frame is done with.
    pub(super) fn settle(&mut self, number: u64) {
        let entry = self.entry(number);
        debug_assert!(entry.as_ref().is_some_and(|e| e.open > 0), "settled twice: {number}");
        if let Some(entry) = entry {
            entry.open = entry.open.saturating_sub(1);
        }
    }

    /// The last sequence of the finished frames at the front, which are forgotten.
    pub(super) fn progress(&mut self) -> Option<u64> {
        let mut last = None;
        while let Some(entry) = self.frames.front()
            && entry.filled
            && entry.open == 0
        {
            last = Some(entry.sequence);
            self.frames.pop_front();
            self.first += 1;
        }
        last
    }

    /// Frames under way.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    fn entry(&mut self, number: u64) -> Option<&mut Entry> {
        self.frames.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_waits_for_the_oldest_open_document() {
        let mut ledger = Ledger::default();
        let numbers: Vec<u64> = (100..103).map(|sequence| ledger.begin(sequence)).collect();
        for number in &numbers {
            ledger.open(*number);
        }
        ledger.open(numbers[0]);
        ledger.filled(numbers[1]);
        ledger.settle(numbers[1]);
        assert_eq!(ledger.progress(), None);
        ledger.settle(numbers[0]);
        ledger.settle(numbers[0]);
        assert_eq!(ledger.progress(), None, "the first frame may have more documents");
        ledger.filled(numbers[0]);
        assert_eq!(ledger.progress(), Some(101));
        let empty = ledger.begin(103);
        ledger.filled(empty);
        assert_eq!(ledger.progress(), None);
        ledger.filled(numbers[2]);
        ledger.settle(numbers[2]);
        assert_eq!(ledger.progress(), Some(103));
        assert_eq!(ledger.len(), 0);
    }
}
