//! One segment during recovery.
//!
//! In: a segment's file and what the segments before it held. Out: its frames counted, its positions applied, its
//! wounds noted. Promises: a position is trusted only when every frame before it in its run is there or was durable
//! once: what lies behind such a hole is made void, because its input reads it again from before the hole.
//! On failure: what cannot be read is a wound where it counts as damaged; else an error, before anything of this
//! segment is changed.

use std::path::Path;
use std::sync::Arc;

use crate::frame::Outline;
use crate::storage::SharedStorage;

use super::super::quarantine::{self, Kept};
use super::super::scan::{Broken, Found, Scanner};
use super::super::writer::remember;
use super::{Candidate, Damaged, Done, FoundSegment, Recovered, Touch, Unread, Wound};

/// A segment among the others.
pub(super) struct Place<'a> {
    pub(super) storage: &'a SharedStorage,
    pub(super) directory: &'a Path,
    pub(super) touch: Touch,
    pub(super) damaged: Damaged<'a>,
    pub(super) newest: bool,
    /// Frames from here on are the next segment's.
    pub(super) limit: u64,
}

/// One segment while it is read.
struct Reading<'a> {
    place: &'a Place<'a>,
    candidate: &'a Candidate,
    segment: FoundSegment,
    wounds: Vec<Wound>,
    epoch: Option<u64>,
    /// The first frame was compared with the segment before.
    compared: bool,
    /// The device failed: what is there may come back, and nothing is cut.
    unreadable: bool,
    /// What follows a hole.
    aside: Vec<Aside>,
}

/// A frame that is void, or becomes it.
struct Aside {
    offset: u64,
    outline: Outline,
    snapshot: bool,
}

/// Reads one segment and adds what it holds to `found`.
pub(super) fn read_segment(
    place: &Place<'_>,
    candidate: &Candidate,
    found: &mut Recovered,
) -> Result<(), Unread> {
    let length = match candidate.file.facts() {
        Ok(facts) => facts.size,
        Err(why) => {
            // A length that the file system does not tell looks like a segment without frames.
            place.damaged.or_ends(&candidate.path, why)?;
            0
        }
    };
    let mut reading = Reading::begin(place, candidate, found);
    reading.scan(length, found)?;
    reading.settle(found);
    let untold = reading.epoch.is_none() && reading.segment.first > found.durable;
    let mut segment = reading.segment;
    segment.epoch = reading.epoch;
    segment.unreadable = reading.unreadable && segment.frames == 0;
    // No sequence of a broken place and no name of a segment is used again.
    found.written = found.written.max(segment.last).max(segment.first);
    found.report.wounds.append(&mut reading.wounds);
    // Nothing of a segment that names no run reached the disk: it may have been the first one of the next run.
    found.last_epoch = if untold { None } else { reading.epoch };
    found.segments.push(segment);
    Ok(())
}

impl<'a> Reading<'a> {
    fn begin(place: &'a Place<'a>, candidate: &'a Candidate, found: &mut Recovered) -> Self {
        let header = candidate.header.as_ref().map(|(header, _)| header);
        let generation = header.map_or(u64::MAX - candidate.first, |h| h.generation);
        if let Some(header) = header {
            found.generation = found.generation.max(header.generation);
            found.outputs.clone_from(&header.outputs);
        }
        let segment = FoundSegment {
            generation,
            epoch: None,
            first: candidate.first,
            last: candidate.first.saturating_sub(1),
            path: candidate.path.clone(),
            bytes: 0,
            frame_bytes: 0,
            frames: 0,
            documents: 0,
            documents_by_bit: [0; 32],
            created_ns: header.map_or(0, |h| h.created_ns),
            frames_from: candidate.header.as_ref().map_or(0, |(_, length)| *length as u64),
            snapshot: false,
            outputs: found.outputs.clone(),
            broken: Vec::new(),
            unreadable: false,
            unsure_from: (candidate.first > found.durable).then_some(0),
        };
        Reading {
            place,
            candidate,
            segment,
            wounds: Vec::new(),
            epoch: header.map(|h| h.epoch),
            compared: false,
            unreadable: false,
            aside: Vec::new(),
        }
    }

    fn scan(&mut self, length: u64, found: &mut Recovered) -> Result<(), Unread> {
        let before_first = self.segment.last;
        let with_snapshot = self.candidate.header.as_ref().is_none_or(|(h, _)| h.snapshot);
        let damaged = self.place.damaged.has(&self.candidate.path);
        let file = Arc::clone(&self.candidate.file);
        let from = self.segment.frames_from;
        let mut scanner = Scanner::within(file, length, from, self.epoch, before_first);
        // Whether the gap in the sequences, if there is one, belongs to a wound already noted.
        let mut gap_noted = false;
        while let Some(step) = scanner.step() {
            let (offset, outline) = match step {
                Found::Broken(run) => {
                    if let Some(why) = run.unreadable.as_ref().filter(|_| !damaged) {
                        return Err(Unread::told(&self.candidate.path, why));
                    }
                    gap_noted = true;
                    self.wound(&run);
                    continue;
                }
                Found::Frame { offset, outline } => (offset, outline),
            };
            let bytes = scanner.bytes(offset, &outline);
            if outline.sequence() >= self.place.limit {
                break;
            }
            if !std::mem::replace(&mut self.compared, true) {
                self.check_missing(outline.epoch(), found);
            }
            // A void frame stands behind a hole: an earlier start found it so.
            let hole = outline.is_void() || found.hole_in == Some(outline.epoch());
            if outline.sequence() == before_first {
                self.segment.frames_from = offset + bytes.len() as u64;
                if hole {
                    self.set_aside(Aside { offset, outline, snapshot: true });
                    continue;
                }
                if with_snapshot {
                    found.positions.clear();
                    self.segment.snapshot = true;
                }
                remember(&mut found.positions, outline.positions(bytes));
                continue;
            }
            let expected = self.segment.last + 1;
            let gap = outline.sequence() - expected;
            let hole = hole || (gap > 0 && expected > found.durable);
            if hole {
                found.hole_in = Some(outline.epoch());
            }
            self.close_gap(gap, gap_noted, expected > found.durable);
            gap_noted = false;
            let positions = outline.positions(bytes);
            if outline.is_void() || (hole && !positions.is_empty()) {
                self.segment.last = outline.sequence();
                self.set_aside(Aside { offset, outline, snapshot: false });
                continue;
            }
            if outline.sequence() > found.durable {
                self.segment.unsure_from.get_or_insert(offset);
            }
            remember(&mut found.positions, positions);
            self.segment.last = outline.sequence();
            self.segment.frames += 1;
            self.count(&outline, outline.routes(bytes), &mut found.done);
            found.last_intact = outline.sequence();
        }
        self.segment.bytes = scanner.length();
        Ok(())
    }

    fn wound(&mut self, run: &Broken) {
        self.segment.broken.push((run.offset, run.bytes));
        let unreadable = run.unreadable.is_some();
        self.unreadable |= unreadable;
        let header_broken = run.offset == 0 && self.candidate.header.is_none() && !unreadable;
        self.wounds.push(Wound {
            segment: self.candidate.first,
            offset: run.offset,
            bytes: run.bytes,
            frames_lost_estimate: 0,
            reason: if header_broken { self.candidate.why.clone() } else { run.reason.clone() },
            unfinished: false,
            known: false,
        });
    }

    /// An intact frame behind a hole: its input goes back to before the hole and reads its documents again.
    fn set_aside(&mut self, aside: Aside) {
        let (offset, bytes) = (aside.offset, aside.outline.length() as u64);
        self.aside.push(aside);
        self.segment.broken.push((offset, bytes));
        match self.wounds.last_mut() {
            Some(wound) if wound.bytes > 0 && wound.offset + wound.bytes == offset => {
                wound.bytes += bytes;
            }
            _ => self.wounds.push(Wound {
                offset,
                bytes,
                unfinished: true,
                ..missing(self.candidate.first, "it followed a write that did not reach the disk")
            }),
        }
    }

    /// Empties void frames for good, so that no later start takes them, or what lies within them, for documents that
    /// are missing. What was cut off is gone already.
    fn make_void(&mut self, done: &mut [Done]) {
        let Place { storage, touch, .. } = *self.place;
        let end = self.segment.bytes;
        let aside: Vec<_> = self.aside.drain(..).filter(|aside| aside.offset < end).collect();
        for frame in aside.iter().filter(|aside| !aside.snapshot) {
            self.count(&frame.outline, std::iter::empty(), done);
        }
        let full: Vec<_> = aside.iter().filter(|aside| !aside.outline.is_void()).collect();
        if full.is_empty() || touch == Touch::Nothing {
            return;
        }
        let voided = storage.open_write(&self.candidate.path).and_then(|file| {
            for frame in full {
                file.write_all_at(&frame.outline.void(), frame.offset)?;
            }
            file.sync()
        });
        if let Err(why) = voided {
            let path = self.candidate.path.display();
            tracing::error!("cannot write `{path}`: {why}; some documents may be sent twice");
        }
    }

    /// The sequences jump: the frames between are lost.
    fn close_gap(&mut self, gap: u64, noted: bool, unfinished: bool) {
        // The last wound may be a segment that is missing before this one.
        match self.wounds.iter_mut().rfind(|wound| wound.bytes > 0) {
            Some(wound) if noted => {
                wound.frames_lost_estimate = gap;
                // Also where none is missing: it may be the snapshot of a segment that was never synced.
                wound.unfinished = unfinished;
            }
            _ if gap > 0 => self.wounds.push(Wound {
                frames_lost_estimate: gap,
                unfinished,
                ..missing(self.candidate.first, "frames are missing here")
            }),
            _ => {}
        }
    }

    /// Segments of one run follow one another without a gap.
    fn check_missing(&mut self, epoch: u64, found: &mut Recovered) {
        self.epoch = Some(epoch);
        let Some(before) = found.segments.last() else { return };
        let gap = self.candidate.first.saturating_sub(before.last + 1);
        let same_run = found.last_epoch.is_none() || found.last_epoch == self.epoch;
        if gap == 0 || !same_run {
            return;
        }
        let unfinished = before.last + 1 > found.durable;
        if unfinished {
            found.hole_in = self.epoch;
        }
        match found.report.wounds.iter_mut().rfind(|w| w.segment == before.first) {
            Some(wound) if wound.offset + wound.bytes == before.bytes => {
                wound.frames_lost_estimate = gap;
                wound.unfinished = unfinished;
            }
            _ => self.wounds.push(Wound {
                frames_lost_estimate: gap,
                unfinished,
                ..missing(self.candidate.first, "a segment is missing before this one")
            }),
        }
    }

    /// Adds a frame to the sums, with the routes of each of its documents.
    fn count(&mut self, outline: &Outline, routes: impl Iterator<Item = u32>, done: &mut [Done]) {
        let segment = &mut self.segment;
        let bytes = outline.length() as u64;
        segment.frame_bytes += bytes;
        let mut by_bit = [0_u32; 32];
        for routes in routes {
            segment.documents += 1;
            let mut left = routes;
            while left != 0 {
                by_bit[left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
        for (sum, documents) in segment.documents_by_bit.iter_mut().zip(by_bit) {
            *sum += u64::from(documents);
        }
        for done in done.iter_mut().filter(|d| d.sequence >= outline.sequence()) {
            done.bytes += bytes;
            done.documents += u64::from(by_bit.get(done.bit as usize).copied().unwrap_or(0));
        }
    }

    /// Copies the wounds and cuts a torn tail, so that the next start does not meet it again.
    fn settle(&mut self, found: &mut Recovered) {
        let end = self.segment.bytes;
        let Place { storage, directory, touch, newest, .. } = *self.place;
        // What was durable once is no unfinished write, wherever it is.
        let promised = self.segment.last < found.durable;
        for wound in &mut self.wounds {
            if wound.bytes == 0 {
                wound.known = touch == Touch::Repair
                    && quarantine::note(storage, directory, wound.segment) == Kept::Known;
                continue;
            }
            // In each segment: several may have been written since the last sync.
            let at_end = wound.offset + wound.bytes == end;
            wound.unfinished |= at_end && !promised;
            let at_end = at_end && newest;
            let file = (wound.segment, &*self.candidate.file);
            let kept = match touch {
                Touch::Repair if !self.unreadable => {
                    quarantine::keep(storage, directory, file, wound.range())
                }
                Touch::Repair | Touch::Nothing => Kept::No,
            };
            wound.known = kept == Kept::Known;
            if at_end && kept == Kept::Copied {
                let cut = storage.open_write(&self.candidate.path).and_then(|file| {
                    file.set_len(wound.offset)?;
                    file.sync()
                });
                if cut.is_ok() {
                    self.segment.bytes = wound.offset;
                    found.report.bytes_cut += wound.bytes;
                }
            }
        }
        // After their bytes were copied.
        self.make_void(&mut found.done);
    }
}

/// A wound without bytes: frames that are not there.
pub(super) fn missing(segment: u64, reason: &str) -> Wound {
    Wound {
        segment,
        offset: 0,
        bytes: 0,
        frames_lost_estimate: 0,
        reason: reason.to_string(),
        unfinished: false,
        known: false,
    }
}
