//! Characters in bytes that should be UTF-8.
//!
//! In: a text and a place in it. Out: the character there, or before it, and whether a set has it.
//! Promises: never panics; a byte that is not UTF-8 counts as a character of its own.
//! On failure: what is no character has the code [`INVALID`], which no range contains.

use super::program::{Run, SetTable, Stride, UNBOUNDED};

/// The code of what is no character.
pub const INVALID: u32 = u32::MAX;

/// Whether a byte continues a character.
pub fn continues(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

/// The character at a place and its length; the place is in the text.
pub fn decode(text: &[u8], at: usize) -> (u32, usize) {
    let lead = text[at];
    let (len, bits) = match lead {
        0..=0x7F => return (u32::from(lead), 1),
        0xC2..=0xDF => (2, u32::from(lead & 0x1F)),
        0xE0..=0xEF => (3, u32::from(lead & 0x0F)),
        0xF0..=0xF4 => (4, u32::from(lead & 0x07)),
        _ => return (INVALID, 1),
    };
    let Some(tail) = text.get(at + 1..at + len) else { return (INVALID, 1) };
    if !tail.iter().all(|byte| continues(*byte)) {
        return (INVALID, 1);
    }
    (tail.iter().fold(bits, |code, byte| code << 6 | u32::from(byte & 0x3F)), len)
}

/// The length of the character at a place of the text.
pub fn char_len(text: &[u8], at: usize) -> usize {
    if text[at] < 0x80 { 1 } else { decode(text, at).1 }
}

/// Where the character before a place begins.
pub fn before(text: &[u8], at: usize) -> Option<usize> {
    let lowest = at.saturating_sub(4);
    let mut start = at.checked_sub(1)?;
    while start > lowest && continues(text[start]) {
        start -= 1;
    }
    let whole = start + char_len(text, start) == at;
    Some(if whole { start } else { at - 1 })
}

/// The end of the character at a place, if the set has it.
#[inline]
pub fn one(table: &SetTable, text: &[u8], at: usize) -> Option<usize> {
    let byte = *text.get(at)?;
    match table.bytes[usize::from(byte)] {
        0 => None,
        1 if byte < 0x80 => Some(at + 1),
        kind => one_wide(table, kind, text, at),
    }
}

/// The same beyond ASCII, out of the way of the common case.
#[cold]
fn one_wide(table: &SetTable, kind: u8, text: &[u8], at: usize) -> Option<usize> {
    let (code, len) = decode(text, at);
    (kind == 1 || table.has_wide(code)).then_some(at + len)
}

/// Whether the set has the character before a place.
#[inline]
pub fn one_before(table: &SetTable, text: &[u8], at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| text.get(before)) {
        Some(byte) if *byte < 0x80 => table.bytes[usize::from(*byte)] == 1,
        Some(_) => wide_before(table, text, at),
        None => false,
    }
}

/// The same beyond ASCII.
#[cold]
fn wide_before(table: &SetTable, text: &[u8], at: usize) -> bool {
    before(text, at).is_some_and(|start| one(table, text, start) == Some(at))
}

/// The end of a run at a place, taken as far as it goes.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call costs as much as a short run")]
pub fn take(table: &SetTable, run: &Run, text: &[u8], at: usize) -> Option<usize> {
    if table.stride != Stride::Table || run.max != UNBOUNDED || run.min > 1 {
        return take_rare(table, run, text, at);
    }
    let end = stretch(table, text, at);
    (end - at >= run.min as usize).then_some(end)
}

/// The same for a run that is counted, or goes up to one byte.
#[inline(never)]
fn take_rare(table: &SetTable, run: &Run, text: &[u8], at: usize) -> Option<usize> {
    if run.max != UNBOUNDED {
        return counted(table, run.min, run.max, text, at);
    }
    let end = match table.stride {
        Stride::All => text.len(),
        Stride::Until(byte) => {
            memchr::memchr(byte, &text[at..]).map_or(text.len(), |found| at + found)
        }
        Stride::Table => stretch(table, text, at),
    };
    match run.min {
        0 => Some(end),
        1 => (end > at).then_some(end),
        min => counted(table, min, min, text, at).map(|_| end),
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "a call costs as much as a short run")]
fn stretch(table: &SetTable, text: &[u8], from: usize) -> usize {
    let Some(at) = table.stop.find(text, from) else { return text.len() };
    if table.bytes[usize::from(text[at])] == 0 { at } else { wide_stretch(table, text, at) }
}

/// The rest of a run with characters outside ASCII.
#[inline(never)]
pub fn wide_stretch(table: &SetTable, text: &[u8], mut at: usize) -> usize {
    while let Some(next) = one(table, text, at) {
        at = match table.stop.find(text, next) {
            Some(stop) => stop,
            None => return text.len(),
        };
    }
    at
}

/// Fewer characters are as quick one by one.
const FEW: u32 = 4;

/// The end of a run of `max` characters, or fewer but at least `min`.
#[inline]
pub fn counted(table: &SetTable, min: u32, max: u32, text: &[u8], at: usize) -> Option<usize> {
    if table.narrow && max > FEW {
        let most = at.saturating_add(max as usize).min(text.len());
        let end = table.stop.find(&text[..most], at).unwrap_or(most);
        return (end - at >= min as usize).then_some(end);
    }
    let (mut at, mut count) = (at, 0);
    while count < max {
        match one(table, text, at) {
            Some(next) => at = next,
            None => break,
        }
        count += 1;
    }
    (count >= min).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_found_from_both_sides() {
        let text = "aä€😀".as_bytes();
        let starts = [0, 1, 3, 6, 10];
        for pair in starts.windows(2) {
            assert_eq!(decode(text, pair[0]).1, pair[1] - pair[0]);
            assert_eq!(before(text, pair[1]), Some(pair[0]));
        }
    }

    #[test]
    fn bytes_that_are_no_text_do_not_panic() {
        for text in [&b"\x80\x80\x80\x80\x80"[..], b"\xF0\x80", b"\xFF\xC3", b"\xE0\x80"] {
            for at in 0..text.len() {
                decode(text, at);
                before(text, at + 1);
            }
        }
    }
}
