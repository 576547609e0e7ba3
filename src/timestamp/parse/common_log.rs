//! The short way for web server logs: `dd/MMM/yyyy:HH:mm:ss Z` in English.
//!
//! In: a text such as `10/Oct/2000:13:55:36 -0700`. Out: nanoseconds since the epoch.
//! Promises: says exactly what the same pattern says through `pattern.rs`, only sooner.
//! On failure: `None` means "not this layout", and the caller takes the long way.

use super::fields::{day_number, to_nanos};
use super::iso8601::{second_of_day, two_digits};
use crate::timestamp::civil::{NANOS_PER_SECOND, SECONDS_PER_DAY};

/// How the two pattern languages spell this layout.
pub const FORMATS: [&str; 2] = ["dd/MMM/yyyy:HH:mm:ss Z", "%d/%b/%Y:%H:%M:%S %z"];

/// Nanoseconds since the epoch.
#[inline]
pub fn parse(text: &[u8]) -> Option<i64> {
    let text: &[u8; 26] = text.try_into().ok()?;
    let separators = text[2] == b'/'
        && text[6] == b'/'
        && text[11] == b':'
        && text[14] == b':'
        && text[17] == b':'
        && text[20] == b' ';
    if !separators {
        return None;
    }
    let two = |at: usize| two_digits(text[at], text[at + 1]);
    let month = month(text[3], text[4], text[5])?;
    let year = i32::from(two(7)?) * 100 + i32::from(two(9)?);
    let days = day_number(year, month, two(0)?)?;
    let of_day = second_of_day(two(12)?, two(15)?, two(18)?)?;
    let (hours, minutes) = (two(22)?, two(24)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = i32::from(hours) * 3600 + i32::from(minutes) * 60;
    let offset = match text[21] {
        b'+' => east,
        b'-' => -east,
        _ => return None,
    };
    to_nanos(days * SECONDS_PER_DAY + of_day, offset, 0)
}

/// The minute and the zone of the last text: most texts have the same ones as those before them.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    /// `dd/MMM/yyyy:HH:mm:`.
    text: [u8; 18],
    /// ` +hhmm`.
    zone: [u8; 6],
    /// Seconds since the epoch at its start; `None`: there was no text yet.
    start: Option<i64>,
}

/// As [`parse`], sooner where minute and zone are those before.
#[inline]
pub fn parse_again(text: &[u8], minute: &mut Minute) -> Option<i64> {
    let whole: &[u8; 26] = text.try_into().ok()?;
    let (Some(same), Some(zone)) = (whole.first_chunk(), whole.last_chunk()) else { return None };
    let second = two_digits(whole[18], whole[19])?;
    if *same == minute.text
        && *zone == minute.zone
        && second <= 60
        && let Some(start) = minute.start
    {
        return to_nanos(start + i64::from(second), 0, 0);
    }
    let instant = parse(text)?;
    let start = Some(instant.div_euclid(NANOS_PER_SECOND) - i64::from(second));
    *minute = Minute { text: *same, zone: *zone, start };
    Some(instant)
}

/// 1 to 12 for `Jan` to `Dec` in any case.
#[inline]
fn month(a: u8, b: u8, c: u8) -> Option<u8> {
    let key = [a | 0x20, b | 0x20, c | 0x20];
    Some(match &key {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    })
}
