//! The machine that both kinds of pattern (Joda-Time's and `strftime`'s) are compiled for.
//!
//! In: steps, made once; then a text. Out: the fields the text holds.
//! Promises: steps run from left to right without going back, so the time a text takes grows
//! with its length only; the whole text must be used up; no allocation.
//! On failure: `None` at the first step that does not fit.
//!
//! Source: Joda-Time `DateTimeFormatterBuilder`: numbers take as many digits as they can, up to
//! a limit that a following number lowers; literals ignore case.

use super::fields::{self, Field, Fields};
use super::locale::{Locale, NameTable};
use super::{abbreviation, offset, zone};

/// One step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// This byte, in either case.
    Byte(u8),
    /// Any blanks, or none.
    Blanks,
    /// Between one and `max` digits; years may have a sign.
    Number {
        /// What they mean.
        field: Field,
        /// Most digits taken.
        max: u8,
    },
    /// A year of two digits.
    ShortYear {
        /// `Year` or `WeekYear`.
        field: Field,
        /// Other numbers of digits are a year as they stand.
        lenient: bool,
        /// How the century is found.
        pivot: Pivot,
    },
    /// Digits after the decimal point.
    Fraction {
        /// Most digits taken.
        max: u8,
    },
    /// A month by name.
    Month,
    /// A weekday by name.
    Weekday,
    /// Before or after noon.
    DayHalf,
    /// `BC`, `AD`, `BCE`, `CE`.
    Era,
    /// `Z` or a numeric offset.
    Offset,
    /// `EST`, or another way to write a zone.
    Zone,
    /// `Europe/Berlin`, or another way to write a zone.
    ZoneId,
    /// Whole seconds since the epoch.
    EpochSeconds,
    /// Whole milliseconds since the epoch.
    EpochMillis,
}

/// Which century a year of two digits is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pivot {
    /// From 80 years ago to 19 years ahead (Joda-Time).
    Sliding,
    /// 1969 to 2068 (POSIX `strptime`).
    Posix,
}

/// Runs the steps over a text. `now` is in nanoseconds since the epoch.
#[inline]
pub fn run(steps: &[Step], text: &[u8], locale: &Locale, now: i64) -> Option<Fields> {
    let mut fields = Fields::default();
    let mut at = 0;
    for (index, step) in steps.iter().enumerate() {
        let rest = text.get(at..)?;
        at += match step {
            Step::Byte(byte) if rest.first()?.eq_ignore_ascii_case(byte) => 1,
            Step::Byte(_) => return None,
            Step::Number { field, max } => number(rest, *field, *max, &mut fields)?,
            Step::Month => {
                let (value, length) = name(&locale.months, rest, steps.get(index + 1))?;
                fields.set(Field::Month, i32::from(value))?;
                length
            }
            Step::Weekday => {
                let (value, length) = name(&locale.days, rest, steps.get(index + 1))?;
                fields.set(Field::Weekday, i32::from(value))?;
                length
            }
            Step::Offset => {
                let (seconds, length) = offset::parse(rest)?;
                fields.offset = Some(seconds);
                length
            }
            Step::Fraction { max } => fraction(rest, *max, &mut fields)?,
            Step::DayHalf => {
                let (value, length) = name(&locale.halves, rest, steps.get(index + 1))?;
                fields.afternoon = Some(value == 1);
                length
            }
            step => rare(step, rest, now, &mut fields)?,
        };
    }
    (at == text.len()).then_some(fields)
}

fn rare(step: &Step, text: &[u8], now: i64, fields: &mut Fields) -> Option<usize> {
    match step {
        Step::Blanks => Some(blanks(text)),
        Step::ShortYear { field, lenient, pivot } => {
            short_year(text, *field, *lenient, *pivot, now, fields)
        }
        Step::Era => {
            let eras: [(&[u8], bool); 4] =
                [(b"bce", true), (b"bc", true), (b"ce", false), (b"ad", false)];
            let (name, before) = eras.into_iter().find(|(name, _)| {
                text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            })?;
            fields.before_christ = before;
            Some(name.len())
        }
        Step::Zone | Step::ZoneId => any_zone(text, *step == Step::ZoneId, fields),
        Step::EpochSeconds | Step::EpochMillis => {
            let (value, length) = epoch(text)?;
            if *step == Step::EpochMillis {
                fields.epoch = Some(value.div_euclid(1000));
                fields.nanos = value.rem_euclid(1000) as u32 * 1_000_000;
            } else {
                fields.epoch = Some(value);
            }
            Some(length)
        }
        _ => None,
    }
}

/// Stores a number and tells its length.
#[inline]
fn number(text: &[u8], field: Field, max: u8, fields: &mut Fields) -> Option<usize> {
    let signed = matches!(field, Field::Year | Field::WeekYear);
    let (negative, start) = match text.first()? {
        b'-' if signed => (true, 1),
        b'+' if signed => (false, 1),
        _ => (false, 0),
    };
    let mut value = 0_i32;
    let mut length = 0;
    for byte in text.get(start..)?.iter().take(usize::from(max)) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // At most nine digits: no overflow.
        value = value * 10 + i32::from(digit);
        length += 1;
    }
    if length == 0 {
        return None;
    }
    fields.set(field, if negative { -value } else { value })?;
    Some(start + length)
}

fn short_year(
    text: &[u8],
    field: Field,
    lenient: bool,
    pivot: Pivot,
    now: i64,
    fields: &mut Fields,
) -> Option<usize> {
    let digits = text.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    if lenient && digits != 2 {
        return number(text, field, 9, fields);
    }
    if digits < 2 {
        return None;
    }
    let value = i32::from(text[0] - b'0') * 10 + i32::from(text[1] - b'0');
    let low = match (pivot, field) {
        (Pivot::Posix, _) => 1969,
        (Pivot::Sliding, Field::WeekYear) => fields::present_week_year(now) - 80,
        (Pivot::Sliding, _) => fields::present_year(now) - 80,
    };
    fields.set(field, low + (value - low).rem_euclid(100))?;
    Some(2)
}

#[inline]
fn fraction(text: &[u8], max: u8, fields: &mut Fields) -> Option<usize> {
    let mut unit = 100_000_000;
    let mut nanos = 0;
    let mut length = 0;
    for byte in text.iter().take(usize::from(max)) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        // The tenth digit and later ones count for nothing.
        nanos += u32::from(digit) * unit;
        unit /= 10;
        length += 1;
    }
    fields.nanos = nanos;
    (length > 0).then_some(length)
}

/// A name and the point of its abbreviation, unless the pattern wants that point itself.
#[inline]
fn name(table: &NameTable, text: &[u8], next: Option<&Step>) -> Option<(u8, usize)> {
    let (value, length) = table.find(text)?;
    let wanted = usize::from(next == Some(&Step::Byte(b'.')));
    let points = text[length..].iter().take(2).take_while(|&&byte| byte == b'.').count();
    Some((value, length + usize::from(points > wanted)))
}

fn any_zone(text: &[u8], id_first: bool, fields: &mut Fields) -> Option<usize> {
    if let Some((seconds, length)) = offset::parse(text)
        && !text.get(length).is_some_and(u8::is_ascii_alphanumeric)
    {
        fields.offset = Some(seconds);
        return Some(length);
    }
    let short = abbreviation::parse(text);
    let table = zone::table_prefix(text);
    match (short, table) {
        // `CET` in a text says which offset it means; as a name of a zone it has summers.
        (Some((seconds, length)), table)
            if table.is_none_or(|(_, other)| other < length || (other == length && !id_first)) =>
        {
            fields.offset = Some(seconds);
            Some(length)
        }
        (_, Some((table, length))) => {
            fields.zone = Some(table);
            Some(length)
        }
        _ => None,
    }
}

fn epoch(text: &[u8]) -> Option<(i64, usize)> {
    let sign = usize::from(text.first() == Some(&b'-'));
    let digits = text.get(sign..)?.iter().take(18).take_while(|byte| byte.is_ascii_digit());
    let (value, length) =
        digits.fold((0_i64, 0), |(value, n), b| (value * 10 + i64::from(b - b'0'), n + 1));
    (length > 0).then_some((if sign == 1 { -value } else { value }, sign + length))
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}
