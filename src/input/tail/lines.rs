//! Where a block of bytes may be cut.
//!
//! Is: a pure function over the bytes after a position. In: a block, the longest line allowed. Out: how many bytes
//! go on, and whether they are whole lines or a piece of a line that is too long.
//! Promises: the cost does not depend on the number of lines; a piece never splits a UTF-8 character and is never
//! followed by an empty one, also where the line ends in CR and LF; no byte is left out. On failure: nothing can fail.

use memchr::{memchr, memrchr};

/// What to do with the bytes after a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// So many bytes are whole lines, each with its line feed.
    Lines(usize),
    /// So many bytes are a piece of a line that is too long; `ends` when its line feed is the last byte.
    Piece {
        /// Bytes.
        length: usize,
        /// The line ends with this piece.
        ends: bool,
    },
    /// There is no complete line here: read more, or wait.
    More,
}

/// Cuts `block`; a line's content (without its line feed) has at most `line_max` bytes. `inside`: the block starts
/// within a line whose first pieces were handed on.
pub fn cut(block: &[u8], line_max: usize, inside: bool) -> Cut {
    if inside {
        return piece(block, line_max);
    }
    let mut end = 0;
    while end < block.len() {
        let window = &block[end..block.len().min(end + line_max + 1)];
        match memrchr(b'\n', window) {
            Some(at) => end += at + 1,
            None => break,
        }
    }
    if end > 0 { Cut::Lines(end) } else { piece(block, line_max) }
}

/// Length of the run of NUL bytes at the start: the hole that a writer leaves when it goes on at its old offset
/// after its file was truncated.
pub fn hole(block: &[u8]) -> usize {
    block.iter().position(|b| *b != 0).unwrap_or(block.len())
}

fn piece(block: &[u8], line_max: usize) -> Cut {
    let window = &block[..block.len().min(line_max + 1)];
    match memchr(b'\n', window) {
        Some(at) => Cut::Piece { length: at + 1, ends: true },
        None if window.len() > line_max => {
            // A line end of two bytes must not be all that is left for the next piece.
            let at = line_max - usize::from(line_max > 1 && window[line_max] == b'\r');
            Cut::Piece { length: character_boundary(block, at), ends: false }
        }
        None => Cut::More,
    }
}

// The last place up to `at` where no UTF-8 character is split; `at` itself if the bytes are not UTF-8.
fn character_boundary(block: &[u8], at: usize) -> usize {
    let lowest = at.saturating_sub(3).max(1);
    (lowest..=at).rev().find(|n| block[*n] & 0xC0 != 0x80).unwrap_or(at)
}
