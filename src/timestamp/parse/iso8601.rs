//! `ISO8601` as Logstash understands it, read by hand.
//!
//! In: a text such as `2001-12-07T23:54:54.123Z`. Out: nanoseconds since the epoch.
//! Promises: one pass, no allocation. Takes `T`, `t` or one blank between date and time; comma or
//! point before a fraction of the second, minute or hour; the zone as `Z`, `±hh`, `±hhmm`,
//! `±hh:mm`, `UTC` or `GMT`, after a blank or not, or none, which means the zone of the format;
//! seconds, minutes, time, day and month may be missing; ordinal (`2001-341`), week
//! (`2001-W49-5`) and basic (`20011207T235454Z`) dates.
//! On failure: `None`: anything else, dates that do not exist, years outside 1677 to 2262.
//!
//! Source: Joda-Time `ISODateTimeFormat.dateTimeParser()`, and the forms with a blank and a
//! fraction that Logstash adds; basic dates and blanks without a fraction are ours.

use super::fields::{day_number, ordinal_number, to_nanos, week_number};
use super::offset;
use super::zone::Zone;
use crate::timestamp::civil::SECONDS_PER_DAY;

/// Digits past this many would overflow a year.
const MAX_YEAR_DIGITS: usize = 9;

/// A place in a text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

/// Time of day: seconds and nanoseconds.
#[derive(Clone, Copy, Default)]
struct Time {
    seconds: i64,
    nanos: u32,
}

/// The minute of the last text: most texts are of the same one as those before them.
#[derive(Clone, Debug, Default)]
pub struct Minute {
    /// `yyyy-MM-ddTHH:mm:`.
    text: [u8; MINUTE],
    /// Local seconds at its start; `None`: there was no text yet.
    local: Option<i64>,
}

/// Bytes of a minute's text.
const MINUTE: usize = 17;

/// Nanoseconds since the epoch; `zone` holds where the text names none.
#[inline]
pub fn parse(text: &[u8], zone: &Zone) -> Option<i64> {
    match whole_seconds(text) {
        Some((local, rest)) => of_second(local, rest, zone),
        None => general(text, zone),
    }
}

/// As [`parse`], sooner where the minute is the one before.
#[inline]
pub fn parse_again(text: &[u8], zone: &Zone, minute: &mut Minute) -> Option<i64> {
    if let Some((head, rest)) = text.split_first_chunk::<19>()
        && head.first_chunk() == Some(&minute.text)
        && let Some(second) = two_digits(head[MINUTE], head[MINUTE + 1])
        && second <= 60
        && let Some(local) = minute.local
    {
        return of_second(local + i64::from(second), rest, zone);
    }
    if let Some((local, _)) = whole_seconds(text)
        && let (Some(same), Some(second)) = (text.first_chunk(), text.get(MINUTE..MINUTE + 2))
    {
        let second = i64::from(second[0] - b'0') * 10 + i64::from(second[1] - b'0');
        *minute = Minute { text: *same, local: Some(local - second) };
    }
    parse(text, zone)
}

#[inline]
fn of_second(local: i64, rest: &[u8], zone: &Zone) -> Option<i64> {
    let (nanos, rest) = match rest {
        [b'.' | b',', digits @ ..] => fraction_of_second(digits)?,
        _ => (0, rest),
    };
    with_zone(local, nanos, rest, zone)
}

/// The usual layout, `yyyy-MM-ddTHH:mm:ss`: local seconds and what follows.
#[inline]
fn whole_seconds(text: &[u8]) -> Option<(i64, &[u8])> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let separators = head[4] == b'-'
        && head[7] == b'-'
        && matches!(head[10], b'T' | b' ' | b't')
        && head[13] == b':'
        && head[16] == b':';
    if !separators {
        return None;
    }
    let two = |at: usize| two_digits(head[at], head[at + 1]);
    let (century, year) = (two(0)?, two(2)?);
    let (month, day, hour, minute, second) = (two(5)?, two(8)?, two(11)?, two(14)?, two(17)?);
    let days = day_number(i32::from(century) * 100 + i32::from(year), month, day)?;
    let of_day = second_of_day(hour, minute, second)?;
    Some((days * SECONDS_PER_DAY + of_day, rest))
}

/// Seconds since midnight; second 60 is a leap second.
#[inline]
pub fn second_of_day(hour: u8, minute: u8, second: u8) -> Option<i64> {
    let exists = hour < 24 && minute < 60 && second <= 60;
    exists.then(|| i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second))
}

/// The value of two digits.
#[inline]
pub fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

/// Nanoseconds of digits after a point, and what follows them.
#[inline]
fn fraction_of_second(text: &[u8]) -> Option<(u32, &[u8])> {
    const UNITS: [u32; 10] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];
    let digit = |at: usize| text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|d| *d < 10);
    let (mut nanos, mut at) = (0, 0);
    while at < 9
        && let Some(digit) = digit(at)
    {
        nanos = nanos * 10 + u32::from(digit);
        at += 1;
    }
    let nanos = nanos * UNITS[at];
    // The tenth digit and later ones count for nothing.
    while at >= 9 && digit(at).is_some() {
        at += 1;
    }
    (at > 0).then(|| (nanos, &text[at..]))
}

#[inline]
fn with_zone(local: i64, nanos: u32, text: &[u8], zone: &Zone) -> Option<i64> {
    match text {
        [] => to_nanos(local, zone.offset_at_local(local), nanos),
        b"Z" => to_nanos(local, 0, nanos),
        _ => {
            let text = text.strip_prefix(b" ").unwrap_or(text);
            if text.eq_ignore_ascii_case(b"UTC") || text.eq_ignore_ascii_case(b"GMT") {
                return to_nanos(local, 0, nanos);
            }
            let (seconds, length) = offset::parse(text)?;
            (length == text.len()).then(|| to_nanos(local, seconds, nanos))?
        }
    }
}

/// Every other form.
fn general(text: &[u8], zone: &Zone) -> Option<i64> {
    let mut cursor = Cursor { text, at: 0 };
    let (days, basic) = cursor.date()?;
    let mut time = Time::default();
    if matches!(cursor.peek(), Some(b'T' | b't' | b' ')) {
        cursor.at += 1;
        if cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            time = if basic { cursor.basic_time()? } else { cursor.time()? };
        }
    }
    let local = days * SECONDS_PER_DAY + time.seconds;
    with_zone(local, time.nanos, &text[cursor.at..], zone)
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    /// The run of digits here, at most `max` long.
    fn digits(&mut self, max: usize) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let length = rest.iter().take(max).take_while(|byte| byte.is_ascii_digit()).count();
        self.at += length;
        &rest[..length]
    }

    fn number(&mut self, max: usize) -> Option<i32> {
        value(self.digits(max))
    }

    fn small(&mut self) -> Option<u8> {
        self.number(2).map(|value| value as u8)
    }

    /// Day number, and whether the date was written without dashes.
    fn date(&mut self) -> Option<(i64, bool)> {
        let negative = self.take(b'-');
        if !negative {
            self.take(b'+');
        }
        let digits = self.digits(MAX_YEAR_DIGITS);
        match digits.len() {
            7 => Some((ordinal_number(value(&digits[..4])?, value(&digits[4..])? as u16)?, true)),
            8 => {
                let part = |from: usize| Some(value(&digits[from..from + 2])? as u8);
                Some((day_number(value(&digits[..4])?, part(4)?, part(6)?)?, true))
            }
            _ => {
                let year = value(digits)?;
                self.after_year(if negative { -year } else { year })
            }
        }
    }

    fn after_year(&mut self, year: i32) -> Option<(i64, bool)> {
        let dash = self.take(b'-');
        if self.take(b'W') {
            let week = self.small()?;
            let day = if !dash || self.take(b'-') { self.number(1) } else { None };
            let weekday = day.unwrap_or(1);
            if !(1..=7).contains(&weekday) {
                return None;
            }
            return Some((week_number(year, week, weekday as u8)?, !dash));
        }
        if !dash {
            return Some((day_number(year, 1, 1)?, false));
        }
        let digits = self.digits(3);
        if digits.len() == 3 {
            return Some((ordinal_number(year, value(digits)? as u16)?, false));
        }
        let month = value(digits)? as u8;
        let day = if self.take(b'-') { self.small()? } else { 1 };
        Some((day_number(year, month, day)?, false))
    }

    /// `HH[:mm[:ss]]` and a fraction of the last of them.
    fn time(&mut self) -> Option<Time> {
        let hour = self.small()?;
        if !self.take(b':') {
            return self.fraction(second_of_day(hour, 0, 0)?, 3600);
        }
        let minute = self.small()?;
        if !self.take(b':') {
            return self.fraction(second_of_day(hour, minute, 0)?, 60);
        }
        let second = self.small()?;
        self.fraction(second_of_day(hour, minute, second)?, 1)
    }

    /// `HH[mm[ss]]` and a fraction of the last of them.
    fn basic_time(&mut self) -> Option<Time> {
        let digits = self.digits(6);
        let pair = |at: usize| digits.get(at..at + 2).map_or(Some(0), |p| two_digits(p[0], p[1]));
        let seconds = second_of_day(pair(0)?, pair(2)?, pair(4)?)?;
        match digits.len() {
            2 if self.peek() == Some(b':') => {
                self.at -= 2;
                self.time()
            }
            2 => self.fraction(seconds, 3600),
            4 => self.fraction(seconds, 60),
            6 => self.fraction(seconds, 1),
            _ => None,
        }
    }

    /// Adds a fraction of a unit of that many seconds, if there is one.
    fn fraction(&mut self, seconds: i64, unit: i64) -> Option<Time> {
        if !self.take(b'.') && !self.take(b',') {
            return Some(Time { seconds, nanos: 0 });
        }
        let (nanos, rest) = fraction_of_second(&self.text[self.at..])?;
        self.at = self.text.len() - rest.len();
        let nanos = i64::from(nanos) * unit;
        let seconds = seconds + nanos / 1_000_000_000;
        Some(Time { seconds, nanos: (nanos % 1_000_000_000) as u32 })
    }
}

/// At most nine digits as a number; none are none.
fn value(digits: &[u8]) -> Option<i32> {
    let add = |value, byte: &u8| value * 10 + i32::from(byte - b'0');
    (!digits.is_empty()).then(|| digits.iter().fold(0, add))
}
