//! A chunk in pieces that stay in a processor's cache with their events.
//!
//! Is: what one worker has of a chunk. In: a batch with a chunk's text. Out: the same batch with one piece of the text
//! after the other. Promises: pieces end where lines end; all of them together are the chunk, and their documents have
//! the ids that they would have in one piece; memory is used again. On failure: nothing can fail; a piece of a line
//! stays whole.

use std::sync::Arc;

use crate::decode::Place;
use crate::event::Batch;

/// Bytes of a piece. The events of a chunk with their fields are eight times as long as its text, and every filter
/// goes through all of them.
const PIECE: usize = 64 * 1024;

/// A chunk that is worked on.
#[derive(Default)]
pub(super) struct Pieces {
    /// Where the next piece begins; `None`: there is no more.
    next: Option<Place>,
    /// The whole chunk, while the batch has a piece of it.
    chunk: Option<Vec<u8>>,
    /// Bytes of the chunk before the next piece.
    at: usize,
    /// Events of all pieces.
    pub events: usize,
}

impl Pieces {
    /// Takes a batch that has a chunk's text and no events.
    pub(super) fn begin(&mut self, batch: &mut Batch, place: Option<Place>) {
        (self.next, self.at, self.events) = (place, 0, 0);
        let whole = batch.text.len() <= PIECE || place.is_none_or(|place| place.piece);
        if !whole {
            self.chunk = Some(std::mem::take(&mut batch.text));
        }
    }

    /// Puts the next piece into the batch and says where it is from; `None`: that was all.
    pub(super) fn next(&mut self, batch: &mut Batch) -> Option<Place> {
        let place = self.next.take()?;
        let Some(chunk) = &self.chunk else { return Some(place) };
        let rest = &chunk[self.at..];
        let cut = end_of_line(rest);
        batch.begin_piece(&rest[..cut]);
        self.at += cut;
        if cut < rest.len() {
            self.next = Some(Place { offset: place.offset + cut as u64, ..place });
            return Some(Place { last: false, ..place });
        }
        Some(place)
    }

    /// Gives the chunk's buffer back to the batch, whose events are no longer needed.
    pub(super) fn end(&mut self, batch: &mut Batch) {
        if let Some(chunk) = self.chunk.take() {
            batch.recycle(chunk, Arc::clone(&batch.source));
        }
    }
}

/// The length of a piece: the whole lines that it holds, or the one line that is longer.
fn end_of_line(rest: &[u8]) -> usize {
    let Some((head, tail)) = rest.split_at_checked(PIECE) else { return rest.len() };
    let before = memchr::memrchr(b'\n', head).map(|at| at + 1);
    let behind = || memchr::memchr(b'\n', tail).map_or(rest.len(), |at| PIECE + at + 1);
    before.unwrap_or_else(behind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Keys, Source, SourceKind};

    /// Pieces of a text and where each begins.
    fn pieces(text: &[u8]) -> Vec<(u64, Vec<u8>, bool)> {
        let kind = SourceKind::Stream;
        let source = Source { id: 1, input: "in".into(), kind, fields: Vec::new() };
        let mut batch = Batch::new(Arc::new(Keys::default()), Arc::new(source));
        let mut pieces = Pieces::default();
        let mut all = Vec::new();
        // Twice, as a worker does.
        for _ in 0..2 {
            all.clear();
            batch.text = text.to_vec();
            let place = Place { offset: 1000, received_ns: 7, piece: false, last: true };
            pieces.begin(&mut batch, Some(place));
            while let Some(place) = pieces.next(&mut batch) {
                all.push((place.offset, batch.text[batch.input_from()..].to_vec(), place.last));
                batch.text.extend_from_slice(b"what filters append");
            }
            pieces.end(&mut batch);
        }
        all
    }

    #[test]
    fn together_they_are_the_chunk() {
        let lines: Vec<u8> =
            (0..9000).flat_map(|n| format!("{n:0width$}\n", width = n % 50).into_bytes()).collect();
        let mut long = vec![b'x'; 3 * PIECE];
        long.extend_from_slice(b"\nshort\nno feed");
        let no_feed = vec![b'y'; 2 * PIECE];
        for text in [&lines[..], &long, &no_feed, b"one\n", b""] {
            let found = pieces(text);
            let mut at = 0;
            for (offset, piece, last) in &found {
                assert_eq!(*offset, 1000 + at as u64);
                assert_eq!(text[at..at + piece.len()], *piece);
                at += piece.len();
                assert_eq!(*last, at == text.len());
                assert!(at == text.len() || piece.ends_with(b"\n"));
            }
            assert_eq!(at, text.len());
        }
        assert_eq!(pieces(&long).len(), 2);
        assert!(pieces(&lines).len() > 2);
    }
}
