//! Instants as text: the one timestamp form of the outputs, and `strftime` templates in UTC.
//!
//! In: nanoseconds since 1970-01-01T00:00:00Z. Out: bytes appended to a buffer.
//! Promises: always UTC, always English, no allocation once the buffer is large enough; a
//! template is checked in full before it is first used.
//! On failure: [`TimeTemplate::compile`] names the directive and its place; writing never fails.

use super::civil::{NANOS_PER_SECOND, SECONDS_PER_DAY};
use std::fmt;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What [`TimeTemplate::compile`] understands, for messages.
pub const KNOWN: &str = "%Y %m %d %H %M %S %y %j %G %V %u %a %A %b %B %e %s %L %f %z %Z %%";

/// A template that is not one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeTemplateError {
    /// Byte offset of the `%` in the template.
    pub offset: usize,
    /// The directive as written, such as `%Q`.
    pub directive: String,
}

/// A `strftime` template, checked and ready to write.
///
/// Directives (POSIX `strftime`, and `%L`, `%f` as Ruby and Python have them): `%Y %m %d %H %M
/// %S %y %j %G %V %u %a %A %b %B %e %s`, `%L` milliseconds (3 digits), `%f` microseconds (6
/// digits), `%z` (`+0000`), `%Z` (`UTC`), `%%`.
#[derive(Clone, Debug)]
pub struct TimeTemplate {
    parts: Vec<Part>,
    /// The two signs of `%Y.%m.%d`, the form in most names of indices: written at once.
    day: Option<[u8; 2]>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(Box<str>),
    Year,
    YearOfCentury,
    Month,
    MonthName,
    MonthShort,
    Day,
    DayBlankPadded,
    DayOfYear,
    IsoYear,
    IsoWeek,
    Weekday,
    DayName,
    DayShort,
    Hour,
    Minute,
    Second,
    Millis,
    Micros,
    EpochSeconds,
}

impl fmt::Display for TimeTemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directive, offset) = (&self.directive, self.offset);
        if directive == "%" {
            return write!(f, "`%` at byte {offset} has no letter after it; write `%%` for a `%`");
        }
        write!(f, "unknown directive `{directive}` at byte {offset}; known are {KNOWN}")
    }
}

impl std::error::Error for TimeTemplateError {}

impl TimeTemplate {
    /// Checks a template.
    ///
    /// # Errors
    /// The first directive that is not known, or a `%` at the end.
    pub fn compile(template: &str) -> Result<Self, TimeTemplateError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut chars = template.char_indices();
        while let Some((offset, c)) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            let letter = chars.next().map(|(_, letter)| letter);
            let error = || TimeTemplateError {
                offset,
                directive: letter.map_or_else(|| "%".to_owned(), |l| format!("%{l}")),
            };
            match letter {
                Some('%') => text.push('%'),
                Some('z') => text.push_str("+0000"),
                Some('Z') => text.push_str("UTC"),
                letter => {
                    let part = letter.and_then(part_of).ok_or_else(error)?;
                    flush(&mut text, &mut parts);
                    parts.push(part);
                }
            }
        }
        flush(&mut text, &mut parts);
        let day = day_of(&parts);
        Ok(Self { parts, day })
    }

    /// Whether all instants of a day (UTC) give the same text.
    pub fn is_of_days(&self) -> bool {
        let of_day = |part: &Part| {
            !matches!(
                part,
                Part::Hour
                    | Part::Minute
                    | Part::Second
                    | Part::Millis
                    | Part::Micros
                    | Part::EpochSeconds
            )
        };
        self.parts.iter().all(of_day)
    }

    /// Appends the instant `ns` (nanoseconds since the epoch, UTC) as the template says.
    pub fn write(&self, ns: i64, out: &mut Vec<u8>) {
        let seconds = ns.div_euclid(NANOS_PER_SECOND);
        let nanos = ns.rem_euclid(NANOS_PER_SECOND) as u32;
        let days = seconds.div_euclid(SECONDS_PER_DAY);
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY) as u32;
        let date = super::civil::civil_from_days(days);
        if let Some([first, second]) = self.day {
            let (century, year) = (date.year as u32 / 100, date.year as u32 % 100);
            let [y1, y2, y3, y4, m1, m2, d1, d2] =
                pairs([century, year, u32::from(date.month), u32::from(date.day)]);
            out.extend_from_slice(&[y1, y2, y3, y4, first, m1, m2, second, d1, d2]);
            return;
        }
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Year => push_four(out, date.year as u32),
                Part::YearOfCentury => push_two(out, date.year as u32 % 100),
                Part::Month => push_two(out, u32::from(date.month)),
                Part::MonthName => out.extend_from_slice(month_name(date.month).as_bytes()),
                Part::MonthShort => out.extend_from_slice(&month_name(date.month).as_bytes()[..3]),
                Part::DayBlankPadded if date.day < 10 => out.extend([b' ', b'0' + date.day]),
                Part::Day | Part::DayBlankPadded => push_two(out, u32::from(date.day)),
                Part::DayOfYear => {
                    let first = super::civil::days_from_civil(date.year, 1, 1);
                    push_three(out, (days - first + 1) as u32);
                }
                Part::IsoYear => push_four(out, super::civil::week_date(days).year as u32),
                Part::IsoWeek => push_two(out, u32::from(super::civil::week_date(days).week)),
                Part::Weekday => out.push(b'0' + super::civil::weekday(days)),
                Part::DayName => out.extend_from_slice(day_name(days).as_bytes()),
                Part::DayShort => out.extend_from_slice(&day_name(days).as_bytes()[..3]),
                Part::Hour => push_two(out, second_of_day / 3600),
                Part::Minute => push_two(out, second_of_day / 60 % 60),
                Part::Second => push_two(out, second_of_day % 60),
                Part::Millis => push_three(out, nanos / 1_000_000),
                Part::Micros => {
                    push_three(out, nanos / 1_000_000);
                    push_three(out, nanos / 1_000 % 1_000);
                }
                Part::EpochSeconds => push_integer(out, seconds),
            }
        }
    }
}

/// Appends `2026-11-22T01:02:03.004Z`: UTC, milliseconds, cut off rather than rounded.
#[inline]
pub fn write_iso8601_ms(ns: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&iso8601_ms(ns));
}

/// As [`write_iso8601_ms`] writes it.
#[inline]
pub fn iso8601_ms(ns: i64) -> [u8; 24] {
    let millis = ns.div_euclid(1_000_000);
    let days = millis.div_euclid(86_400_000);
    let of_day = (millis - days * 86_400_000) as u32;
    let date = super::civil::civil_from_days(days);
    let (second_of_day, milli) = (of_day / 1000, of_day % 1000);
    let minute_of_day = second_of_day / 60;
    let (year, hundreds) = (date.year as u32, milli / 100);
    let century = year / 100;
    let day = pairs([century, year - century * 100, u32::from(date.month), u32::from(date.day)]);
    let time =
        pairs([minute_of_day / 60, minute_of_day % 60, second_of_day % 60, milli - hundreds * 100]);
    let [y1, y2, y3, y4, o1, o2, d1, d2] = day;
    let [h1, h2, m1, m2, s1, s2, f2, f3] = time;
    let f1 = b'0' + hundreds as u8;
    [
        y1, y2, y3, y4, b'-', o1, o2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2, b'.',
        f1, f2, f3, b'Z',
    ]
}

/// Four numbers under 100 as eight digits, all at once: one number to each 16 bits of a word.
#[inline]
fn pairs(values: [u32; 4]) -> [u8; 8] {
    let [a, b, c, d] = values.map(u64::from);
    let lanes = a | b << 16 | c << 32 | d << 48;
    // 103 / 1024 is near enough to 1 / 10 up to 178, and 99 * 103 stays within its lane.
    let tens = lanes.wrapping_mul(103) >> 10 & 0x000f_000f_000f_000f;
    let ones = lanes - tens * 10;
    (0x3030_3030_3030_3030 + (tens | ones << 8)).to_le_bytes()
}

/// The two signs of `%Y.%m.%d`.
fn day_of(parts: &[Part]) -> Option<[u8; 2]> {
    let [Part::Year, Part::Text(first), Part::Month, Part::Text(second), Part::Day] = parts else {
        return None;
    };
    let ([first], [second]) = (first.as_bytes(), second.as_bytes()) else { return None };
    Some([*first, *second])
}

fn part_of(letter: char) -> Option<Part> {
    Some(match letter {
        'Y' => Part::Year,
        'y' => Part::YearOfCentury,
        'm' => Part::Month,
        'B' => Part::MonthName,
        'b' => Part::MonthShort,
        'd' => Part::Day,
        'e' => Part::DayBlankPadded,
        'j' => Part::DayOfYear,
        'G' => Part::IsoYear,
        'V' => Part::IsoWeek,
        'u' => Part::Weekday,
        'A' => Part::DayName,
        'a' => Part::DayShort,
        'H' => Part::Hour,
        'M' => Part::Minute,
        'S' => Part::Second,
        'L' => Part::Millis,
        'f' => Part::Micros,
        's' => Part::EpochSeconds,
        _ => return None,
    })
}

fn flush(text: &mut String, parts: &mut Vec<Part>) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text).into_boxed_str()));
    }
}

fn month_name(month: u8) -> &'static str {
    MONTHS[usize::from(month) - 1]
}

fn day_name(days: i64) -> &'static str {
    DAYS[usize::from(super::civil::weekday(days)) - 1]
}

/// Both digits of a number under 100.
#[inline]
fn two(value: u32) -> [u8; 2] {
    let tens = value / 10;
    [b'0' + tens as u8, b'0' + (value - tens * 10) as u8]
}

#[inline]
fn push_two(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&two(value));
}

fn push_three(out: &mut Vec<u8>, value: u32) {
    out.push(b'0' + (value / 100) as u8);
    push_two(out, value % 100);
}

/// 64-bit nanoseconds hold the years 1677 to 2262 only, so four digits always do.
fn push_four(out: &mut Vec<u8>, value: u32) {
    push_two(out, value / 100);
    push_two(out, value % 100);
}

fn push_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T01:02:03.004005006Z
    const NOW: i64 = 1_795_309_323_004_005_006;

    fn write(template: &str, ns: i64) -> String {
        let mut out = Vec::new();
        TimeTemplate::compile(template).expect("known directives").write(ns, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    fn iso(ns: i64) -> String {
        let mut out = Vec::new();
        write_iso8601_ms(ns, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn iso_milliseconds() {
        assert_eq!(iso(NOW), "2026-11-22T01:02:03.004Z");
        assert_eq!(iso(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso(i64::MIN), "1677-09-21T00:12:43.145Z");
        assert_eq!(iso(i64::MAX), "2262-04-11T23:47:16.854Z");
    }

    #[test]
    fn digits_of_every_number() {
        for value in 0..100 {
            let text = format!("{value:02}00{value:02}99");
            assert_eq!(pairs([value, 0, value, 99]), text.as_bytes());
        }
    }

    #[test]
    fn every_directive() {
        assert_eq!(write("%Y.%m.%d", NOW), "2026.11.22");
        assert_eq!(write("%H:%M:%S.%L|%f", NOW), "01:02:03.004|004005");
        assert_eq!(write("%y %j %G-W%V-%u", NOW), "26 326 2026-W47-7");
        assert_eq!(write("%a %A %b %B", NOW), "Sun Sunday Nov November");
        assert_eq!(write("%e|%s|%z|%Z|100%%", 0), " 1|0|+0000|UTC|100%");
        assert_eq!(write("%s", -1), "-1");
        assert_eq!(write("日%d日", NOW), "日22日");
        assert_eq!(write("", NOW), "");
    }

    #[test]
    fn bad_directives_are_named() {
        let error = TimeTemplate::compile("é-%Y-%Q").expect_err("no %Q");
        assert_eq!(error, TimeTemplateError { offset: 6, directive: "%Q".to_owned() });
        assert!(error.to_string().contains("`%Q` at byte 6"));
        let error = TimeTemplate::compile("100%").expect_err("nothing after %");
        assert_eq!(error.offset, 3);
        assert!(error.to_string().contains("%%"));
    }
}
