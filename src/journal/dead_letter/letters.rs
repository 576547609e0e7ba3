//! The letters of a store, for reading.
//!
//! Is: the bytes of a letter, and a walk over all of them. In: a store's directory, also of one that is open.
//! Out: letters with their keys, oldest first. Promises: nothing is changed; what is damaged is passed over.
//! On failure: only when the directory cannot be listed; for whoever needs all letters ([`read_every`]), also when the
//! device does not give some of them.

use std::io;
use std::path::Path;

use crate::delivery::DeadLetter;
use crate::frame::Frame;
use crate::storage::SharedStorage;

use super::super::frames::{Frames, every_frame, frames};
use super::super::recover::{Damaged, Touch, recover};

/// Bits of a key that count the letters of one frame.
const NUMBER_BITS: u32 = 24;

/// The place of a letter in its store: later letters have greater keys, and no key is given twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LetterKey(pub u64);

/// A letter with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLetter {
    /// Its key.
    pub key: LetterKey,
    /// The letter.
    pub letter: DeadLetter,
}

/// The letters of a store, oldest first.
pub struct Letters {
    frames: Frames,
    frame: Option<(Frame, usize)>,
}

impl LetterKey {
    /// Most letters of one frame.
    pub const NUMBERS: usize = 1 << NUMBER_BITS;

    /// The key of a letter by the sequence of its frame and its number there.
    pub(super) fn new(sequence: u64, number: u64) -> LetterKey {
        LetterKey(sequence << NUMBER_BITS | number)
    }
}

/// All letters of a store, also of one that is open; what is damaged is passed over.
pub fn read_all(storage: &SharedStorage, directory: &Path) -> io::Result<Letters> {
    Ok(Letters { frames: frames(storage, directory)?, frame: None })
}

/// As [`read_all`], for whoever removes letters afterwards: what cannot be read now is an error, for it would look like
/// letters that are not there. To be read with [`Letters::next_or_why`].
pub fn read_every(storage: &SharedStorage, directory: &Path) -> io::Result<Letters> {
    Ok(Letters { frames: every_frame(storage, directory)?, frame: None })
}

/// How many letters a directory holds.
pub fn count(storage: &SharedStorage, directory: &Path) -> io::Result<u64> {
    let found = recover(storage, directory, Touch::Nothing, Damaged::All)?;
    Ok(found.segments.iter().map(|s| s.documents).sum())
}

impl Iterator for Letters {
    type Item = StoredLetter;

    fn next(&mut self) -> Option<StoredLetter> {
        loop {
            // What fails is passed over by the next call.
            if let Ok(next) = self.next_or_why() {
                return next;
            }
        }
    }
}

impl Letters {
    /// The next letter, or what the device did not give before it; the call after that goes on behind it.
    pub fn next_or_why(&mut self) -> io::Result<Option<StoredLetter>> {
        loop {
            if let Some((frame, number)) = &mut self.frame
                && *number < frame.document_count()
            {
                *number += 1;
                let found = letter_of(frame, *number - 1);
                if found.is_some() {
                    return Ok(found);
                }
                continue;
            }
            let Some(next) = self.frames.next_or_why()? else { return Ok(None) };
            self.frame = Some((next.frame, 0));
        }
    }
}

/// The letter at this number of a frame, below [`Frame::document_count`].
pub(super) fn letter_of(frame: &Frame, number: usize) -> Option<StoredLetter> {
    let document = frame.document(number);
    let letter = decode(document.body, document.time_ns)?;
    Some(StoredLetter { key: LetterKey::new(frame.sequence(), document.suffix()), letter })
}

/// Adds a letter's bytes.
pub(super) fn encode(letter: &DeadLetter, out: &mut Vec<u8>) {
    let texts = [&letter.output, &letter.address, &letter.id, &letter.reason];
    for text in texts.map(String::as_bytes).into_iter().chain([letter.document.as_slice()]) {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text);
    }
}

fn decode(mut body: &[u8], refused_ns: i64) -> Option<DeadLetter> {
    let mut next = || {
        let (length, rest) = body.split_at_checked(4)?;
        let (text, rest) = rest.split_at_checked(crate::frame::u32_at(length, 0) as usize)?;
        body = rest;
        Some(text)
    };
    let mut text = || next().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let (output, address, id, reason) = (text()?, text()?, text()?, text()?);
    let document = next()?.to_vec();
    Some(DeadLetter { output, address, id, reason, refused_ns, document })
}
