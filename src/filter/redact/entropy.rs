//! Strings that look as if chance had made them.
//!
//! In: a text. Out: where such strings stand: of letters, digits and `+/_-=`, at least 20 long, with capitals, small
//! letters and digits that change places often; or of at least 32 hexadecimal digits. Measured by Shannon's entropy of
//! the string's characters ("A Mathematical Theory of Communication", 1948) against the most that its length allows.
//! Promises: linear time; UUIDs, paths and names of more than one word stay. Nothing tells for certain what is random:
//! this is a net for what no other detector knows.

use std::ops::Range;

use super::ranges::Secret;

/// The shortest string that is looked at.
const LENGTH_MIN: usize = 20;
/// The shortest string of hexadecimal digits.
const HEX_LENGTH_MIN: usize = 32;
/// Bits for each of the sixteen digits, of the four that are possible.
const HEX_BITS_MIN: f64 = 3.0;
/// The part of the possible entropy that a string of chance reaches.
const PART_MIN: f64 = 0.75;
/// Places where letters, capitals and digits change, for each character.
const CHANGES_MIN: f64 = 0.2;
/// The part of the characters that may stand in three or more small letters in a row, as in words.
const WORDS_MAX: f64 = 0.6;
/// Signs for each character; words are joined by more of them.
const SIGNS_MAX: f64 = 0.125;

/// Whether a text holds a run that is long enough.
pub(super) fn may_be_in(text: &[u8]) -> bool {
    let mut length = 0;
    text.iter().any(|byte| {
        length = if is_part(*byte) { length + 1 } else { 0 };
        length >= LENGTH_MIN
    })
}

/// Finds such strings.
pub(super) fn find(text: &[u8], secrets: &mut Vec<Secret>) {
    let mut at = 0;
    while let Some(start) = (at..text.len()).find(|at| is_part(text[*at])) {
        let end = (start..text.len()).find(|at| !is_part(text[*at])).unwrap_or(text.len());
        let run = trimmed(text, start..end);
        if run.len() >= LENGTH_MIN {
            // A name may stand before it, or a path: `key=…`, `/v1/items/…`.
            let value = behind(text, b'=', &run);
            let parts = [value.clone(), behind(text, b'/', &value)];
            let random = parts.into_iter().find(|part| is_random(&text[part.clone()]));
            secrets.extend(random.map(Secret::plain));
        }
        at = end;
    }
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'=')
}

/// What stands behind the last such sign, if it is long enough.
fn behind(text: &[u8], sign: u8, run: &Range<usize>) -> Range<usize> {
    let found = memchr::memrchr(sign, &text[run.clone()]).map(|at| run.start + at + 1);
    let part = found.map(|start| trimmed(text, start..run.end));
    part.filter(|part| part.len() >= LENGTH_MIN).unwrap_or_else(|| run.clone())
}

/// Without signs at the beginning, where no such string has any.
fn trimmed(text: &[u8], run: Range<usize>) -> Range<usize> {
    let signs = text[run.clone()].iter().take_while(|b| !b.is_ascii_alphanumeric()).count();
    run.start + signs..run.end
}

fn is_random(run: &[u8]) -> bool {
    if run.len() >= HEX_LENGTH_MIN && run.iter().all(u8::is_ascii_hexdigit) {
        return entropy(run) >= HEX_BITS_MIN && run.iter().any(u8::is_ascii_digit);
    }
    let length = run.len() as f64;
    let count = |is: fn(&u8) -> bool| run.iter().filter(|b| is(b)).count();
    let signs = count(|b| matches!(b, b'+' | b'/' | b'_' | b'-')) as f64;
    run.len() >= LENGTH_MIN
        && count(u8::is_ascii_uppercase) > 0
        && count(u8::is_ascii_lowercase) > 0
        && count(u8::is_ascii_digit) > 0
        && signs <= (length * SIGNS_MAX).max(1.0)
        && run.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count() as f64
            >= length * CHANGES_MIN
        && in_words(run) as f64 <= length * WORDS_MAX
        && entropy(run) >= length.min(64.0).log2() * PART_MIN
}

/// Characters in rows of three or more small letters.
fn in_words(run: &[u8]) -> usize {
    let rows = run.split(|b| !b.is_ascii_lowercase()).map(<[u8]>::len);
    rows.filter(|length| *length >= 3).sum()
}

fn class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}

/// Bits for each byte.
fn entropy(run: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in run {
        counts[usize::from(*byte)] += 1;
    }
    let length = run.len() as f64;
    let share = |count: &u32| {
        let part = f64::from(*count) / length;
        -part * part.log2()
    };
    counts.iter().filter(|count| **count > 0).map(share).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut secrets = Vec::new();
        if may_be_in(text.as_bytes()) {
            find(text.as_bytes(), &mut secrets);
        }
        secrets.iter().map(|secret| &text[secret.span.clone()]).collect()
    }

    #[test]
    fn what_chance_made_is_found() {
        assert_eq!(found("id=q7Rz0Lw2NfT9xKd4Vb8Y end"), ["q7Rz0Lw2NfT9xKd4Vb8Y"]);
        assert_eq!(
            found("\"t9/Gk+2sWq0Zr7YvB3nLx8Pd5HcJ1mUe=\""),
            ["t9/Gk+2sWq0Zr7YvB3nLx8Pd5HcJ1mUe="]
        );
        let digits = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        assert_eq!(found(&format!("sum {digits}.")), [digits]);
        // Where a path ends is not certain: then all of it goes.
        assert_eq!(found("/v1/q7Rz0Lw2NfT9xKd4Vb8YsQe"), ["v1/q7Rz0Lw2NfT9xKd4Vb8YsQe"]);
        assert_eq!(found("/public/products/items/q7Rz0Lw2NfT9xKd4Vb8YsQe").len(), 1);
    }

    #[test]
    fn words_paths_and_ids_stay() {
        let none: [&str; 0] = [];
        for text in [
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
            "/Users/Alice/projects/App2/src/MainController",
            "NullPointerExceptionInTheSecondHandler2",
            "shop-backend-7d9f8b6c5d-x2x4z-deployment",
            "2026-11-22T10:00:00.000000000Z",
            "com.example.shop.checkout.PaymentServiceImpl",
            "00000000000000000000000000000000",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaA1",
        ] {
            assert_eq!(found(text), none, "{text}");
        }
    }
}
