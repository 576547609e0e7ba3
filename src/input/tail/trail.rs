//! What proves that a file which lost its end in a power cut is still the same file.
//!
//! Is: a few points behind the position, each with a checksum of the bytes before it, further apart the further back.
//! In: the marker before every advance. Out: where such a file goes on. Programs rarely sync their logs: after a power
//! cut a log may end, or hold NUL bytes, before what was read and stored; its lines must not come again under other
//! ids, and what is written in the place of lost lines must not get theirs.
//! Promises: constant size; while nothing is wrong no byte is read or summed for it; another file is taken for the
//! archive or copy of such a one only where a point behind its first kilobyte proves it. On failure: a file that cannot
//! be read, or that proves nothing, is not taken for the same: it is read from its start.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::compressed::Archive;
use super::generation::Generation;
use super::identity::{HEAD_BYTES, Inode, Marker, ReadAt, TAIL_BYTES, fill};
use super::tailer::Tailer;
use crate::storage::FileFacts;

/// Points that are kept.
pub const POINTS: usize = 6;
/// How far the points are apart at least, the one nearest to the position first.
const STEPS: [u64; POINTS] = [0, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 64 << 20];

/// A place in a file, and the checksum (CRC32C) of the bytes before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    /// Bytes before it; 0: there is no such point.
    pub offset: u64,
    /// Bytes that are covered, at most [`TAIL_BYTES`].
    pub tail_len: u16,
    /// Their checksum.
    pub tail_crc: u32,
}

/// The points behind a position, the nearest first, at most [`POINTS`]: none for a file that was read in one go, as
/// most are where there are very many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trail(pub Vec<Point>);

/// Where a file goes on that lost its end.
pub struct End {
    offset: u64,
    marker: Marker,
    // NUL bytes may stand for what was lost.
    blank: bool,
}

impl Trail {
    /// The position leaves this point.
    pub fn pass(&mut self, mut point: Point) {
        for (kept, step) in self.0.iter_mut().zip(STEPS) {
            if point.offset == 0 || (kept.offset != 0 && point.offset < kept.offset + step) {
                return;
            }
            std::mem::swap(kept, &mut point);
        }
        if point.offset != 0 && self.0.len() < POINTS {
            self.0.push(point);
        }
    }

    /// The position went back.
    pub fn back_to(&mut self, offset: u64) {
        for point in self.0.iter_mut().filter(|point| point.offset > offset) {
            *point = Point::default();
        }
    }

    /// The last point up to `end` of which a file still holds the bytes.
    fn held(&self, read: &mut ReadAt<'_>, end: u64) -> io::Result<Option<Point>> {
        let mut points: Vec<&Point> =
            self.0.iter().filter(|p| (1..=end).contains(&p.offset)).collect();
        points.sort_by_key(|point| std::cmp::Reverse(point.offset));
        let mut bytes = [0; TAIL_BYTES];
        for point in points {
            let length = usize::from(point.tail_len).min(TAIL_BYTES);
            let from = point.offset.saturating_sub(length as u64);
            let got = fill(read, &mut bytes[..length], from)?;
            if got == length && crc32c::crc32c(&bytes[..got]) == point.tail_crc {
                return Ok(Some(*point));
            }
        }
        Ok(None)
    }
}

impl Tailer {
    /// Whether the machine was started anew since.
    pub(super) fn was_cut(&self, boot: u64) -> bool {
        boot != self.boot && boot != 0 && self.boot != 0
    }

    /// Whether a power cut may have taken the end of a generation that was not found again yet.
    pub(super) fn lost_its_end(&self, id: u64) -> bool {
        let awaited = self.generations.get(&id).and_then(|generation| generation.awaited);
        awaited.is_some_and(|awaited| self.was_cut(awaited.boot))
    }

    /// Where a file goes on whose end a power cut took since the journal knew it; `None`: it is another content.
    pub(super) fn end_after_cut(&self, id: u64, facts: &FileFacts) -> Option<End> {
        let generation = self.generations.get(&id)?;
        let awaited = generation.awaited?;
        if !self.was_cut(awaited.boot) || generation.compressed {
            return None;
        }
        let file = self.parts.storage.open_read(generation.names.first()?).ok()?;
        if !Inode::from(&file.facts().ok()?).may_be(&generation.inode) {
            return None;
        }
        let mut read = |bytes: &mut [u8], offset| file.read_at(bytes, offset);
        let untouched = facts.modified_ns <= awaited.modified_ns;
        Some(find_end(generation, &mut read, facts.size, untouched)?.0)
    }

    /// Whether a generation that is looked for lost its end in a power cut, so that a copy that begins with `head`, its
    /// first [`HEAD_BYTES`], may hold what is left of it: the journal knows a place behind those that proves it.
    pub(super) fn may_be_left(&self, id: u64, head: &[u8]) -> bool {
        self.generations.get(&id).is_some_and(|generation| {
            self.lost_its_end(id)
                && !generation.compressed
                && generation.trail.0.iter().any(proves)
                && head.len() == HEAD_BYTES
                && generation.marker.begins(head)
        })
    }

    /// Where a generation goes on that lost its end and was compressed, or copied and truncated, before anybody found
    /// it; `None`: the archive or copy does not prove that it is its own, or is not complete.
    pub(super) fn end_in_copy(
        &self,
        id: u64,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<End> {
        if !self.may_be_left(id, &self.head(path, compressed)?) {
            return None;
        }
        let generation = self.generations.get(&id)?;
        let file = self.parts.storage.open_read(path).ok()?;
        if !Inode::from(&file.facts().ok()?).may_be(&Inode::from(facts)) {
            return None;
        }
        // It may have the age of the original, if perhaps in whole seconds; otherwise nobody knows what came since.
        let untouched = facts.modified_ns <= generation.awaited?.modified_ns;
        let (end, held) = if compressed {
            let mut archive = Archive::new(file);
            let size = archive.length().ok()?;
            let mut read = |bytes: &mut [u8], offset| archive.read_at(bytes, offset);
            find_end(generation, &mut read, size, untouched)?
        } else {
            let mut read = |bytes: &mut [u8], offset| file.read_at(bytes, offset);
            find_end(generation, &mut read, facts.size, untouched)?
        };
        held.is_some_and(|point| proves(&point)).then_some(end)
    }

    /// `new` goes on where `old`, the same file, has lost its end.
    pub(super) fn go_on_after_cut(&mut self, old: u64, new: u64, end: &End) {
        let Some(before) = self.generations.get_mut(&old) else { return };
        let lost = before.bytes().saturating_sub(before.offset);
        before.awaited = None;
        before.size = before.offset;
        let (since, path) = (before.since_ns, Arc::clone(&before.last));
        self.parts.counts.skipped_gone.add(lost);
        tracing::warn!(
            path = %path.display(),
            read = before.offset,
            goes_on_at = end.offset,
            "the machine lost power before the end of this file was on disk; it is read on from where it ends now"
        );
        let Some(generation) = self.generations.get_mut(&new) else { return };
        generation.offset = end.offset;
        generation.marker = end.marker;
        generation.blank = end.blank;
        // It is the same file and known since then: it comes next after the other one, and what was rotated away
        // before the cut and is still unread is later than it.
        generation.since_ns = since.saturating_add(1);
        self.tell_position(new);
        self.queue(new);
        // All that is left of it was read.
        self.forget(old);
    }
}

/// Where a file of so many bytes goes on that lost its end, and the last point that it still holds; `None`: it is
/// another content. `untouched`: nothing was written to it since.
fn find_end(
    generation: &Generation,
    read: &mut ReadAt<'_>,
    size: u64,
    untouched: bool,
) -> Option<(End, Option<Point>)> {
    if size < generation.marker.head_len() as u64 {
        return None;
    }
    let mut head = [0; HEAD_BYTES];
    let got = fill(read, &mut head, 0).ok()?;
    if !generation.marker.begins(&head[..got]) {
        return None;
    }
    let offset = generation.offset;
    let held = generation.trail.held(read, offset.min(size)).ok()?;
    // What was read ends somewhere behind the point. Where the file was written to since nobody knows where: what
    // came then is not left out, so that a few lines may come twice.
    let (offset, blank) = if size <= offset && untouched {
        (size, false)
    } else if size > offset && fill(read, &mut head[..1], offset - 1).ok()? == 1 && head[0] == 0 {
        (offset, true)
    } else {
        (held?.offset, false)
    };
    // What a decoder held when the agent ended is not in the journal, though it was read.
    let (offset, blank) = match generation.rewind {
        Some(held_from) if held_from < offset => (held_from, held_from == 0),
        _ => (offset, blank),
    };
    let marker = Marker::of(read, offset).ok()?;
    Some((End { offset, marker, blank }, held))
}

// Whether a point says more of a file than its first bytes do.
fn proves(point: &Point) -> bool {
    point.offset > HEAD_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_further_apart_the_further_back_and_one_stays_near_the_start() {
        let mut trail = Trail::default();
        for offset in (1..100_000).map(|n| n * 1000) {
            trail.pass(Point { offset, tail_len: 1, tail_crc: 1 });
        }
        let offsets: Vec<u64> = trail.0.iter().map(|point| point.offset).collect();
        assert_eq!(offsets.len(), POINTS);
        assert_eq!(offsets[0], 99_999_000);
        assert!(offsets.is_sorted_by(|near, far| near > far), "{offsets:?}");
        for (pair, step) in offsets.windows(2).zip(STEPS.iter().skip(1)).take(4) {
            assert!(pair[0] - pair[1] <= 2 * step + 2000, "{offsets:?}");
        }
        trail.back_to(50_000_000);
        assert!(trail.0.iter().all(|point| point.offset <= 50_000_000));
    }
}
