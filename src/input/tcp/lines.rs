//! Where a text of a stream can be cut.
//!
//! In: bytes, the longest line allowed, and whether the bytes begin inside a line that is being split.
//! Out: the next part to hand on: as many whole lines as there are, or one piece of a line that is too long.
//! Promises: the parts and the remainder are the bytes, in order; no line in a part of whole lines is longer than
//! allowed; a piece is never longer than allowed, does not end inside a UTF-8 character, and is never followed by a
//! line end (LF, or CR and LF) alone; what is left over is at most one byte longer than the longest line. Linear time.
//! On failure: nothing can fail.

use memchr::{memchr, memrchr};

use super::super::listener::character_boundary;

/// A part at the front of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its bytes, the closing line feed with them.
    pub len: usize,
    /// It is one piece of a line that is too long.
    pub piece: bool,
    /// The line goes on after it.
    pub open: bool,
}

/// The part at the front of `text`; `None`: more bytes must come first. A line's length is counted without its
/// line feed. `inside` says that `text` goes on with a line of which a piece was handed on already.
pub(super) fn next_part(text: &[u8], line_max: usize, inside: bool) -> Option<Part> {
    let window = &text[..text.len().min(line_max + 1)];
    if inside {
        return match memchr(b'\n', window) {
            Some(at) => Some(Part { len: at + 1, piece: true, open: false }),
            None => piece(text, line_max),
        };
    }
    if text.len() <= line_max + 1 {
        // No line of it can be too long.
        return match memrchr(b'\n', text) {
            Some(at) => Some(Part { len: at + 1, piece: false, open: false }),
            None => piece(text, line_max),
        };
    }
    let len = whole_lines(text, line_max);
    if len > 0 { Some(Part { len, piece: false, open: false }) } else { piece(text, line_max) }
}

/// Bytes of whole lines at the front, none of which is too long.
fn whole_lines(text: &[u8], line_max: usize) -> usize {
    let mut end = 0;
    loop {
        // The last line feed within reach: the lines before it lie within the window, so none is too long.
        let window = &text[end..text.len().min(end + line_max + 1)];
        match memrchr(b'\n', window) {
            Some(at) => end += at + 1,
            None => return end,
        }
    }
}

fn piece(text: &[u8], line_max: usize) -> Option<Part> {
    (text.len() > line_max).then(|| {
        let at = line_max - usize::from(line_max > 1 && text[line_max] == b'\r');
        Part { len: character_boundary(text, at), piece: true, open: true }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &[u8], max: usize) -> (Vec<(Vec<u8>, bool)>, Vec<u8>) {
        let (mut from, mut inside, mut found) = (0, false, Vec::new());
        while let Some(part) = next_part(&text[from..], max, inside) {
            found.push((text[from..from + part.len].to_vec(), part.piece));
            from += part.len;
            inside = part.open;
        }
        (found, text[from..].to_vec())
    }

    #[test]
    fn a_line_of_just_the_longest_length_is_whole_and_one_byte_more_is_split() {
        let whole = |text: &[u8]| vec![(text.to_vec(), false)];
        assert_eq!(parts(b"1234\n", 4), (whole(b"1234\n"), vec![]));
        let split = vec![(b"1234".to_vec(), true), (b"5\n".to_vec(), true)];
        assert_eq!(parts(b"12345\n", 4), (split, vec![]));
        assert_eq!(parts(b"1234", 4), (vec![], b"1234".to_vec()));
        let split = vec![(b"123".to_vec(), true), (b"4\r\n".to_vec(), true)];
        assert_eq!(parts(b"1234\r\n", 4), (split, vec![]));
    }

    #[test]
    fn a_piece_ends_between_characters() {
        let text = "aé\u{20ac}z\n".as_bytes();
        let (found, rest) = parts(text, 4);
        assert_eq!(rest, b"");
        assert!(found.iter().all(|(text, piece)| *piece && std::str::from_utf8(text).is_ok()));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(
            text in "[ab\n]{0,200}",
            max in 1_usize..12,
            cuts in prop::collection::vec(0_usize..200, 0..6),
        ) {
            let text = text.as_bytes();
            let (found, rest) = parts(text, max);
            let mut all: Vec<u8> = found.iter().flat_map(|(text, _)| text.clone()).collect();
            all.extend_from_slice(&rest);
            prop_assert_eq!(&all, text);
            prop_assert!(rest.len() <= max && !rest.contains(&b'\n'));
            for (part, piece) in &found {
                if *piece {
                    prop_assert!(part.len() <= max + 1);
                } else {
                    prop_assert_eq!(part.last(), Some(&b'\n'));
                    prop_assert!(part.split(|b| *b == b'\n').all(|line| line.len() <= max));
                }
            }
            // Fed in steps, the same lines are whole and the same are split.
            let mut cuts = cuts;
            cuts.retain(|at| *at <= text.len());
            cuts.push(text.len());
            cuts.sort_unstable();
            let (mut held, mut inside, mut from, mut stepped) = (Vec::new(), false, 0, Vec::new());
            for cut in cuts {
                held.extend_from_slice(&text[from..cut]);
                from = cut;
                while let Some(part) = next_part(&held, max, inside) {
                    stepped.push((held.drain(..part.len).collect::<Vec<u8>>(), part.piece));
                    inside = part.open;
                }
            }
            let lines = |parts: &[(Vec<u8>, bool)], piece: bool| -> Vec<u8> {
                parts.iter().filter(|p| p.1 == piece).flat_map(|p| p.0.clone()).collect()
            };
            prop_assert_eq!(lines(&found, false), lines(&stepped, false));
            prop_assert_eq!(lines(&found, true), lines(&stepped, true));
        }
    }
}
