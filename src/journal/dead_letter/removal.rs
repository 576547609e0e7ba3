//! Takes letters out of a store.
//!
//! Is: each segment that holds some of them is written anew without them and put in the old one's place by one
//! rename. In: which letters. Out: how many are gone. Promises: at any instant a letter that stays is there, once;
//! one that goes is there or gone; frames keep their sequences and letters their keys, so that no key is used again.
//! On failure: an error with the file; what was done stays done, and doing it again finishes it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::frame::{Draft, Frame, Head};
use crate::storage::File;

use super::super::recover::{Damaged, FoundSegment, Recovered, Touch, recover};
use super::super::scan::{Broken, Found, Scanner};
use super::super::segment::NEW_SUFFIX;
use super::letters::{StoredLetter, letter_of};
use super::{Inner, Store, lock};

/// Bytes of one read of what is copied as it is.
const BLOCK_BYTES: u64 = 256 * 1024;

/// One segment on its way to a new file.
struct Copy<'a> {
    from: Arc<dyn File>,
    to: Option<Box<dyn File>>,
    /// Bytes of the new file.
    length: u64,
    goes: &'a dyn Fn(&StoredLetter) -> bool,
    gone: u64,
    left: u64,
}

impl Store {
    /// Removes the letters that `goes` names; returns how many. The space is free when this returns.
    pub fn remove(&self, goes: &dyn Fn(&StoredLetter) -> bool) -> io::Result<u64> {
        let mut inner = lock(&self.inner);
        // The newest segment may be replaced: what the writer holds is the file without a name then.
        inner.writer.end_segment();
        let gone = self.remove_from_segments(goes);
        let counted = self.count_again(&mut inner);
        let gone = gone?;
        counted?;
        Ok(gone)
    }

    /// What is on disk. What cannot be read now is an error: it would look like letters that are gone.
    fn found(&self) -> io::Result<Recovered> {
        let none = BTreeSet::new();
        Ok(recover(&self.storage, &self.directory, Touch::Nothing, Damaged::Only(&none))?)
    }

    fn remove_from_segments(&self, goes: &dyn Fn(&StoredLetter) -> bool) -> io::Result<u64> {
        let found = self.found()?;
        let mut gone = 0;
        let mut empty = Vec::new();
        for segment in &found.segments {
            let copy = self.shrink(segment, goes)?;
            gone += copy.gone;
            empty.push(copy.left == 0);
        }
        if gone > 0 {
            self.storage.sync_directory(&self.directory)?;
        }
        // The newest one stays: it says which sequences were used. One in the middle would look like a loss.
        let front = empty.iter().take_while(|empty| **empty).count();
        let last = found.segments.len().saturating_sub(1);
        for segment in &found.segments[..front.min(last)] {
            self.storage.remove(&segment.path)?;
        }
        Ok(gone)
    }

    fn shrink<'a>(
        &self,
        segment: &FoundSegment,
        goes: &'a dyn Fn(&StoredLetter) -> bool,
    ) -> io::Result<Copy<'a>> {
        let from: Arc<dyn File> = self.storage.open_read(&segment.path)?.into();
        let mut copy = Copy { from, to: None, length: 0, goes, gone: 0, left: 0 };
        copy.run(segment)?;
        if copy.gone == 0 {
            return Ok(copy);
        }
        let path = segment.path.with_extension(&NEW_SUFFIX[1..]);
        let named = |step: &str, why: io::Error| {
            io::Error::new(why.kind(), format!("cannot {step} `{}`: {why}", path.display()))
        };
        let to = self.storage.open_write(&path).map_err(|why| named("make", why))?;
        to.set_len(0).map_err(|why| named("write", why))?;
        let mut copy = Copy { from: copy.from, to: Some(to), length: 0, goes, gone: 0, left: 0 };
        let written =
            copy.run(segment).and_then(|()| copy.to.as_ref().map_or(Ok(()), |f| f.sync()));
        if let Err(why) = written {
            let _ = self.storage.remove(&path);
            return Err(named("write", why));
        }
        self.storage.rename(&path, &segment.path).map_err(|why| named("rename", why))?;
        Ok(copy)
    }

    fn count_again(&self, inner: &mut Inner) -> io::Result<()> {
        let found = self.found()?;
        inner.used_bytes = found.report.bytes;
        inner.count = found.segments.iter().map(|s| s.documents).sum();
        self.show(inner);
        Ok(())
    }
}

impl Copy<'_> {
    /// Goes over the segment: counts, and writes where there is a file to write to.
    fn run(&mut self, segment: &FoundSegment) -> io::Result<()> {
        let start = segment.frames_from;
        self.as_it_is(0, start)?;
        let file = Arc::clone(&self.from);
        // The length that was found: one that is not told now looks like a segment without letters.
        let mut scanner = Scanner::within(file, segment.bytes, start, segment.epoch, segment.first);
        while let Some(step) = scanner.step() {
            match step {
                Found::Broken(Broken { unreadable: Some(why), .. }) => {
                    return Err(io::Error::other(why));
                }
                Found::Broken(run) => self.as_it_is(run.offset, run.bytes)?,
                Found::Frame { offset, outline } => {
                    let bytes = scanner.bytes(offset, &outline).to_vec();
                    if let Ok(frame) = Frame::open(bytes) {
                        self.frame(&frame)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        let goes = |n: &usize| letter_of(frame, *n).is_some_and(|letter| (self.goes)(&letter));
        let going = (0..frame.document_count()).filter(goes).count();
        self.gone += going as u64;
        self.left += (frame.document_count() - going) as u64;
        if going == 0 || self.to.is_none() {
            return self.write(frame.bytes());
        }
        let mut draft = Draft::new(Vec::new());
        for number in 0..frame.document_count() {
            if goes(&number) {
                continue;
            }
            let document = frame.document(number);
            draft.body().extend_from_slice(document.body);
            let (time_ns, suffix) = (document.time_ns, document.suffix());
            draft.add(Head { routes: 0, time_ns, prefix: None, suffix, sub: 0 }, &[]);
        }
        self.write(draft.seal(frame.epoch(), frame.sequence()).bytes())
    }

    /// Header, snapshot, and broken places for whoever looks at them.
    fn as_it_is(&mut self, from: u64, bytes: u64) -> io::Result<()> {
        if self.to.is_none() {
            return Ok(());
        }
        let mut at = from;
        while at < from + bytes {
            let mut block = vec![0; BLOCK_BYTES.min(from + bytes - at) as usize];
            let read = self.from.read_at(&mut block, at)?;
            if read == 0 {
                break;
            }
            self.write(&block[..read])?;
            at += read as u64;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.to {
            file.write_all_at(bytes, self.length)?;
            self.length += bytes.len() as u64;
        }
        Ok(())
    }
}
