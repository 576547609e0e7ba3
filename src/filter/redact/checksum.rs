//! Numbers with check digits: payment cards and bank accounts.
//!
//! In: a text. Out: where such numbers stand. Promises: linear time; a number counts only with a
//! right check digit and a beginning that is in use, so that times and ids are left alone.

use std::ops::Range;

use super::ranges::Secret;

/// Digits of the shortest and the longest card number (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Lengths of account numbers by country (ISO 13616, registry of SWIFT).
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BI", 27),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DJ", 27),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FK", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MN", 20),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NI", 28),
    (b"NL", 18),
    (b"NO", 15),
    (b"OM", 23),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"RU", 33),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"SO", 23),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
    (b"YE", 30),
];

/// The length of what may stand between the groups of a number: a blank or a dash, also URL-encoded.
fn gap(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b' ' | b'-' | b'+' => Some(1),
        b'%' if text[at..].starts_with(b"%20") || text[at..].starts_with(b"%2D") => Some(3),
        _ => None,
    }
}

/// Whether a text holds a run of digits that is long enough for a card.
pub(super) fn may_hold_card(text: &[u8]) -> bool {
    let (mut at, mut digits) = (0, 0);
    while at < text.len() {
        if text[at].is_ascii_digit() {
            digits += 1;
            at += 1;
            if digits == *CARD_DIGITS.start() {
                return true;
            }
            continue;
        }
        match gap(text, at).filter(|_| at > 0 && text[at - 1].is_ascii_digit()) {
            Some(length) => at += length,
            None => {
                digits = 0;
                at += 1;
            }
        }
    }
    false
}

/// Finds card numbers, their groups apart by single blanks or dashes or not.
pub(super) fn find_cards(text: &[u8], secrets: &mut Vec<Secret>) {
    let mut at = 0;
    while let Some(found) = text[at..].iter().position(u8::is_ascii_digit) {
        let start = at + found;
        let end = run_end(text, start);
        find_in_run(text, start..end, secrets);
        at = end;
    }
}

/// The end of digits with single blanks or dashes between them.
fn run_end(text: &[u8], start: usize) -> usize {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = start;
    loop {
        match gap(text, at) {
            _ if digit(at) => at += 1,
            Some(length) if digit(at + length) => at += length,
            _ => return at,
        }
    }
}

/// Where the next group of a run begins.
fn next_group(text: &[u8], run: &Range<usize>, from: usize) -> usize {
    let digits = text[from..run.end].iter().take_while(|b| b.is_ascii_digit()).count();
    let end = from + digits;
    end + gap(text, end).unwrap_or(1)
}

/// Tries every row of whole groups: other numbers may stand before and behind a card's.
fn find_in_run(text: &[u8], run: Range<usize>, secrets: &mut Vec<Secret>) {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    let mut start = run.start;
    while start < run.end {
        let mut digits = [0_u8; 19];
        let mut count = 0;
        let mut best = None;
        let mut at = start;
        while at < run.end && count < *CARD_DIGITS.end() {
            if let Some(length) = gap(text, at) {
                at += length;
                continue;
            }
            digits[count] = text[at] - b'0';
            count += 1;
            at += 1;
            if !is_digit(at) && CARD_DIGITS.contains(&count) && is_card(&digits[..count]) {
                best = Some(at);
            }
        }
        start = match best {
            Some(end) => {
                secrets.push(Secret::plain(start..end));
                next_group(text, &run, end)
            }
            None => next_group(text, &run, start),
        };
    }
}

fn is_card(digits: &[u8]) -> bool {
    let number = |n: usize| digits[..n].iter().fold(0_u32, |all, d| all * 10 + u32::from(*d));
    let in_use = matches!(
        (number(4), digits.len()),
        (4000..=4999, 13 | 16 | 19)
        | (5100..=5599 | 2221..=2720, 16)
        | (3400..=3499 | 3700..=3799, 15)
        | (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14..=19)
        | (2200..=2204 | 3528..=3589 | 6011 | 6200..=6299 | 6440..=6599 | 8100..=8199, 16..=19)
        | (5018 | 5020 | 5038 | 5612 | 5893 | 6304 | 6759..=6763 | 6390 | 6799, 13..=19)
    );
    in_use && luhn(digits)
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let weigh = |(n, digit): (usize, &u8)| match n % 2 {
        0 => u32::from(*digit),
        _ => u32::from(*digit) * 2 - if *digit > 4 { 9 } else { 0 },
    };
    digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

/// Finds account numbers, in groups of four or not.
pub(super) fn find_ibans(text: &[u8], secrets: &mut Vec<Secret>) {
    let mut at = 0;
    while at + 15 <= text.len() {
        let begins = at == 0 || !text[at - 1].is_ascii_alphanumeric();
        match begins.then(|| iban_end(text, at)).flatten() {
            Some(end) => {
                secrets.push(Secret::plain(at..end));
                at = end;
            }
            None => at += 1,
        }
    }
}

/// The end of an account number that begins here.
fn iban_end(text: &[u8], start: usize) -> Option<usize> {
    let head = text.get(start..start + 4)?;
    let country = [head[0].to_ascii_uppercase(), head[1].to_ascii_uppercase()];
    if !head[2].is_ascii_digit() || !head[3].is_ascii_digit() {
        return None;
    }
    let (_, length) = IBAN_LENGTHS.iter().find(|(code, _)| **code == country)?;
    let mut letters = [0_u8; 34];
    let mut count = 0;
    let mut at = start;
    while count < *length {
        match text.get(at)? {
            b if b.is_ascii_alphanumeric() => {
                letters[count] = b.to_ascii_uppercase();
                count += 1;
            }
            _ => {
                at += gap(text, at).filter(|_| count % 4 == 0)?;
                continue;
            }
        }
        at += 1;
    }
    let ends = !text.get(at).is_some_and(u8::is_ascii_alphanumeric);
    (ends && remainder(&letters[..count]) == 1).then_some(at)
}

/// The number modulo 97 with its first four places at the end (ISO 13616, ISO/IEC 7064).
fn remainder(letters: &[u8]) -> u32 {
    let turned = letters[4..].iter().chain(&letters[..4]);
    turned.fold(0, |all, letter| match letter {
        b'0'..=b'9' => (all * 10 + u32::from(letter - b'0')) % 97,
        _ => (all * 100 + u32::from(letter - b'A') + 10) % 97,
    })
}
