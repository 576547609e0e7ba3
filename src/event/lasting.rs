//! Texts that outlive their batch: finished once, then spans of every batch that needs them.
//!
//! Is: a region at the start of the buffer that pieces of chunks are put into, each behind it, and what is known of
//! the region's bytes. In: texts of a batch that will be asked for again. Out: spans. Promises: what is given is the
//! text that was kept, or nothing; the region holds [`MOST`] bytes at most; all of it is forgotten at once, or
//! nothing. On failure: nothing can fail; who finds a text forgotten makes it anew.

use super::marks::{Marks, WORD};
use super::{Batch, Span};

/// Bytes of the region at most.
const MOST: usize = if cfg!(test) { 32 * 1024 } else { 2 * 1024 * 1024 };
/// Bytes behind the region for a piece and what filters mostly append to it.
const ROOM: usize = 512 * 1024;
/// Texts that find no room in it before it begins anew: what stands there may be asked for no more.
const REFUSED_MOST: usize = if cfg!(test) { 20 } else { 50_000 };

/// A text that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasting {
    era: u32,
    span: Span,
}

/// The region of one batch.
#[derive(Default)]
pub(super) struct Region {
    /// Counts how often everything was forgotten.
    era: u32,
    /// The region is in the batch's text; otherwise `parked` has it.
    here: bool,
    parked: (Vec<u8>, Marks),
    /// Bytes of the region: whole words of marks.
    length: usize,
    /// Where the next text will be.
    next: usize,
    /// Texts of this batch that will be in the region with the next one: where, and where they are now.
    coming: Vec<(usize, Span)>,
    /// How often there was no room for a text.
    refused: usize,
}

impl Batch {
    /// Makes the batch empty and puts a piece of a chunk behind the texts that outlive it.
    pub fn begin_piece(&mut self, piece: &[u8]) {
        self.forget_events();
        if self.region.here {
            self.settle();
        } else {
            self.exchange();
            // One buffer from the start: pages that nothing was written to are not resident, the blocks that a growing
            // one leaves behind are.
            self.text.reserve((MOST + ROOM).saturating_sub(self.text.len()));
        }
        self.text.truncate(self.region.length);
        self.text.extend_from_slice(piece);
    }

    /// Parks the region with its buffer: the batch gets a text of its own.
    pub(super) fn leave_region(&mut self) {
        if self.region.here {
            self.settle();
            self.exchange();
        }
    }

    /// Where the text of the input begins.
    pub fn input_from(&self) -> usize {
        if self.region.here { self.region.length } else { 0 }
    }

    /// The number of the texts that stand before the input's, which changes when they are forgotten; otherwise they
    /// only become more.
    pub fn lasting_era(&self) -> u32 {
        self.region.era
    }

    /// Keeps a text that was just appended; `None`: not now.
    pub fn keep(&mut self, span: Span) -> Option<Lasting> {
        let region = &mut self.region;
        // What was kept before it stands before it, so that moving one never overwrites another.
        let behind = region.coming.last().map_or(region.length, |(_, last)| last.end());
        if !region.here || span.len == 0 || (span.start as usize) < behind {
            return None;
        }
        let end = region.next + span.len as usize;
        if end > MOST {
            region.refused += 1;
            return None;
        }
        let kept = Span::new(region.next, end);
        region.coming.push((region.next, span));
        region.next = end;
        Some(Lasting { era: region.era, span: kept })
    }

    /// Whether a text is still there.
    pub fn has_kept(&self, lasting: Lasting) -> bool {
        lasting.era == self.region.era
    }

    /// A text that was kept; `None`: it was forgotten.
    pub fn kept(&mut self, lasting: Lasting) -> Option<Span> {
        let Lasting { era, span } = lasting;
        let region = &self.region;
        if era != region.era {
            return None;
        }
        let start = span.start as usize;
        if start >= region.length {
            let at = region.coming.binary_search_by_key(&start, |(to, _)| *to).ok()?;
            return Some(region.coming[at].1);
        }
        if region.here {
            return Some(span);
        }
        let from = self.text.len();
        self.text.extend_from_slice(&region.parked.0[span.range()]);
        Some(Span::new(from, self.text.len()))
    }

    /// Moves the texts of this batch into the region, or forgets all of it.
    fn settle(&mut self) {
        let region = &mut self.region;
        self.marks.back_to(region.length);
        if region.refused > REFUSED_MOST {
            region.coming.clear();
            (region.refused, region.length, region.next) = (0, 0, 0);
            region.era = region.era.wrapping_add(1);
            self.marks.clear();
        }
        for (to, span) in region.coming.drain(..) {
            self.text.copy_within(span.range(), to);
        }
        self.text.truncate(region.next);
        region.next = region.next.next_multiple_of(WORD);
        self.text.resize(region.next, b' ');
        region.length = region.next;
    }

    /// Exchanges the batch's text and the one that is parked.
    fn exchange(&mut self) {
        let (text, marks) = &mut self.region.parked;
        std::mem::swap(&mut self.text, text);
        std::mem::swap(&mut self.marks, marks);
        self.region.here = !self.region.here;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{Keys, Source, SourceKind};

    fn batch() -> Batch {
        let source =
            Source { id: 1, input: "in".into(), kind: SourceKind::Stream, fields: Vec::new() };
        Batch::new(Arc::new(Keys::default()), Arc::new(source))
    }

    /// The marks of the text are those that a look at all of it gives.
    fn check_marks(batch: &mut Batch) {
        batch.mark();
        let mut fresh = Marks::default();
        fresh.cover(&batch.text);
        let mut at = 0;
        while let Some(next) = fresh.next(at) {
            assert_eq!(batch.marks.next(at), Some(next));
            at = next + 1;
        }
        assert_eq!((batch.marks.next(at), batch.marks.covered()), (None, batch.text.len()));
    }

    proptest! {
        #[test]
        fn what_is_given_is_what_was_kept(
            steps in prop::collection::vec((any::<bool>(), 0..300_usize, 0..4_usize), 1..60),
        ) {
            let mut batch = batch();
            let (mut kept, mut number) = (Vec::new(), 0_u32);
            for (piece, length, texts) in steps {
                let input: Vec<u8> = format!("\"{number}\\\n").into_bytes().repeat(length / 4);
                if piece {
                    batch.begin_piece(&input);
                } else {
                    let source = Arc::clone(&batch.source);
                    batch.recycle(input.clone(), source);
                }
                prop_assert_eq!(&batch.text[batch.input_from()..], &input[..]);
                for _ in 0..texts {
                    number += 1;
                    batch.push_text(b"between");
                    let text = format!("{{\"n\":{number}}}").repeat(length % 7);
                    let span = batch.push_text(text.as_bytes());
                    let lasting = batch.keep(span);
                    prop_assert_eq!(lasting.is_some(), piece && !text.is_empty());
                    kept.extend(lasting.map(|lasting| (lasting, text)));
                }
                for (lasting, text) in &kept {
                    let span = batch.kept(*lasting).unwrap();
                    prop_assert_eq!(batch.bytes(span), text.as_bytes());
                }
                check_marks(&mut batch);
            }
        }
    }

    #[test]
    fn the_region_is_bounded_and_what_is_forgotten_is_not_given() {
        let mut batch = batch();
        let text = vec![b'x'; MOST / 3];
        batch.begin_piece(b"");
        let mut kept = Vec::new();
        for _ in 0..3 {
            let span = batch.push_text(&text);
            kept.push(batch.keep(span).unwrap());
        }
        for round in 0..=REFUSED_MOST {
            batch.begin_piece(b"input");
            assert!(kept.iter().all(|lasting| batch.has_kept(*lasting)), "{round}");
            assert!(batch.input_from() <= MOST + WORD);
            let span = batch.push_text(&text);
            assert_eq!(batch.keep(span), None);
        }
        let era = batch.lasting_era();
        batch.begin_piece(b"input");
        assert_eq!((batch.input_from(), &batch.text[..]), (0, &b"input"[..]));
        assert_ne!(batch.lasting_era(), era);
        assert!(kept.iter().all(|old| !batch.has_kept(*old) && batch.kept(*old).is_none()));
        let span = batch.push_text(b"new");
        let new = batch.keep(span).unwrap();
        batch.begin_piece(b"");
        assert_eq!(batch.kept(new), Some(Span::new(0, 3)));
    }

    #[test]
    fn a_text_that_is_not_behind_the_last_one_is_not_kept() {
        let mut batch = batch();
        batch.begin_piece(b"abc");
        let (first, second) = (batch.push_text(b"first"), batch.push_text(b"second"));
        assert!(batch.keep(second).is_some());
        assert_eq!((batch.keep(first), batch.keep(second)), (None, None));
    }
}
