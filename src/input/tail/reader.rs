//! One turn of reading: a block of a generation's file, cut at line ends.
//!
//! In: a generation and a buffer. Out: a [`Turn`]. Promises: the bytes before the position are compared with the
//! marker on every turn, so that content replaced in place is seen even when the file did not become smaller;
//! an unfinished line is not read again and again while it grows. On failure: the operating system's error.

use std::io;

use super::compressed::Archive;
use super::generation::{Body, Generation};
use super::identity::{Inode, Marker, TAIL_BYTES, fill};
use super::lines::{Cut, cut, hole};
use super::settings::Settings;
use crate::limits::CHUNK_BYTES;
use crate::storage::{FileFacts, Storage};

/// What a turn brought.
pub enum Turn {
    /// The buffer holds bytes to hand on.
    Text {
        /// Offset of the first one.
        offset: u64,
        /// They are a piece of a line that is too long.
        piece: bool,
        /// The line or lines end here.
        ends: bool,
        /// There may be more to read now.
        more: bool,
    },
    /// So many NUL bytes at the start were left out.
    Hole(u64),
    /// Nothing yet, but the file has more.
    More,
    /// The end was reached.
    End,
    /// The file holds other content than what was read.
    Truncated(FileFacts),
    /// Another file is at the path now.
    Elsewhere,
}

/// Opens a generation's file; false when another file is at its path.
pub fn open(generation: &mut Generation, storage: &dyn Storage) -> io::Result<bool> {
    if generation.body.is_some() {
        return Ok(true);
    }
    let Some(path) = generation.names.first() else { return Ok(false) };
    let file = storage.open_read(path)?;
    let facts = file.facts()?;
    if !Inode::from(&facts).may_be(&generation.inode) {
        return Ok(false);
    }
    generation.body = Some(if generation.compressed {
        Body::Archive(Box::new(Archive::new(file)))
    } else {
        Body::Plain(file)
    });
    Ok(true)
}

/// Opens a generation's file; its facts if its content is not what was read.
pub fn content_changed(
    generation: &mut Generation,
    storage: &dyn Storage,
) -> io::Result<Option<FileFacts>> {
    if !open(generation, storage)? {
        return Ok(None);
    }
    let Some(mut body) = generation.body.take() else { return Ok(None) };
    let turn = end_or_truncated(generation, &mut body);
    generation.body = Some(body);
    Ok(match turn? {
        Turn::Truncated(facts) => Some(facts),
        _ => None,
    })
}

/// Reads one block into `buffer`, which is empty; `now` is elapsed time in nanoseconds.
pub fn read(
    generation: &mut Generation,
    storage: &dyn Storage,
    settings: &Settings,
    buffer: &mut Vec<u8>,
    now: u64,
) -> io::Result<Turn> {
    if !open(generation, storage)? {
        return Ok(Turn::Elsewhere);
    }
    let mut body = generation.body.take();
    let turn = match &mut body {
        Some(body) => read_block(generation, body, settings, buffer, now),
        None => Ok(Turn::Elsewhere),
    };
    generation.body = body;
    turn
}

fn read_block(
    generation: &mut Generation,
    body: &mut Body,
    settings: &Settings,
    buffer: &mut Vec<u8>,
    now: u64,
) -> io::Result<Turn> {
    if let Some(offset) = generation.rewind {
        if !rewind(generation, body, offset)? {
            return Ok(Turn::Truncated(body.facts()?));
        }
        return Ok(Turn::More);
    }
    let flush = generation
        .partial_since
        .is_some_and(|since| now >= since.saturating_add(settings.partial_line_ns));
    if let Some(turn) = read_unfinished(generation, body, settings, buffer, now, flush)? {
        return Ok(turn);
    }
    let mut asked = CHUNK_BYTES;
    let mut got = body.append(buffer, asked, generation.offset)?;
    let mut tail = [0; TAIL_BYTES];
    let Some(before) = tail_before(generation, body, &mut tail)? else {
        buffer.clear();
        return Ok(Turn::Truncated(body.facts()?));
    };
    if buffer.is_empty() {
        return end_or_truncated(generation, body);
    }
    if generation.blank && buffer[0] == 0 {
        let bytes = hole(buffer);
        generation.marker.advance(generation.offset, before, &buffer[..bytes]);
        generation.offset += bytes as u64;
        buffer.clear();
        return Ok(Turn::Hole(bytes as u64));
    }
    loop {
        let at_end = got < asked;
        let (length, piece, ends) = match cut(buffer, settings.line_max, generation.inside) {
            Cut::Lines(length) => (length, false, true),
            Cut::Piece { length, ends } => (length, true, ends),
            Cut::More if !at_end => {
                asked =
                    CHUNK_BYTES.max(settings.line_max + 1 - buffer.len().min(settings.line_max));
                let from = generation.offset + buffer.len() as u64;
                got = body.append(buffer, asked, from)?;
                continue;
            }
            Cut::More if flush => (buffer.len(), generation.inside, true),
            Cut::More => {
                unfinished(generation, buffer.len() as u64, now);
                return Ok(Turn::End);
            }
        };
        let more = !at_end || length < buffer.len();
        let seen = generation.offset + buffer.len() as u64;
        buffer.truncate(length);
        let offset = generation.offset;
        generation.trail.pass(generation.marker.end(offset));
        generation.marker.advance(offset, before, buffer);
        generation.offset += length as u64;
        if !generation.compressed {
            generation.size = generation.size.max(seen);
        }
        generation.inside = piece && !ends;
        generation.blank = false;
        generation.scanned = 0;
        generation.partial_since = None;
        return Ok(Turn::Text { offset, piece, ends, more });
    }
}

// Goes back to the first line that a decoder held when the agent ended; false: the file holds other content.
fn rewind(generation: &mut Generation, body: &mut Body, offset: u64) -> io::Result<bool> {
    let mut tail = [0; TAIL_BYTES];
    if tail_before(generation, body, &mut tail)?.is_none() {
        return Ok(false);
    }
    generation.marker = Marker::of(&mut |bytes, at| body.read_at(bytes, at), offset)?;
    generation.trail.back_to(offset);
    generation.offset = offset;
    generation.blank = offset == 0;
    generation.inside = false;
    generation.rewind = None;
    Ok(true)
}

// Looks only at what was added to an unfinished line; `None`: the line has ended, is too long or is overdue.
fn read_unfinished(
    generation: &mut Generation,
    body: &mut Body,
    settings: &Settings,
    buffer: &mut Vec<u8>,
    now: u64,
    flush: bool,
) -> io::Result<Option<Turn>> {
    if generation.scanned <= generation.offset {
        return Ok(None);
    }
    let got = body.append(buffer, CHUNK_BYTES, generation.scanned)?;
    let length = generation.scanned + got as u64 - generation.offset;
    let ended = memchr::memchr(b'\n', buffer).is_some() || length > settings.line_max as u64;
    let unchanged = got == 0;
    buffer.clear();
    if ended || (unchanged && flush) {
        return Ok(None);
    }
    if unchanged {
        return end_or_truncated(generation, body).map(Some);
    }
    unfinished(generation, length, now);
    Ok(Some(if got < CHUNK_BYTES { Turn::End } else { Turn::More }))
}

fn unfinished(generation: &mut Generation, length: u64, now: u64) {
    let scanned = generation.offset + length;
    if scanned != generation.scanned || generation.partial_since.is_none() {
        generation.partial_since = Some(now);
    }
    generation.scanned = scanned;
    if !generation.compressed {
        generation.size = generation.size.max(scanned);
    }
}

// The bytes before the position, if they are still what was read; `None`: they are not.
fn tail_before<'a>(
    generation: &Generation,
    body: &mut Body,
    tail: &'a mut [u8; TAIL_BYTES],
) -> io::Result<Option<&'a [u8]>> {
    if generation.compressed {
        return Ok(Some(&[]));
    }
    let length = generation.marker.tail_len();
    let from = generation.offset - length as u64;
    let read = fill(&mut |bytes, offset| body.read_at(bytes, offset), &mut tail[..length], from)?;
    Ok(generation.marker.tail_is(&tail[..read]).then_some(&tail[..read]))
}

fn end_or_truncated(generation: &mut Generation, body: &mut Body) -> io::Result<Turn> {
    if generation.compressed {
        return Ok(Turn::End);
    }
    let facts = body.facts()?;
    let mut tail = [0; TAIL_BYTES];
    let shrunk = facts.size < generation.offset.max(generation.scanned);
    if shrunk || tail_before(generation, body, &mut tail)?.is_none() {
        return Ok(Turn::Truncated(facts));
    }
    Ok(Turn::End)
}
