//! The proleptic Gregorian calendar: days since 1970-01-01 to year, month, day and back.
//!
//! In: a day number, or year, month and day. Out: the other of the two, weekdays, ISO weeks.
//! Promises: no division by a variable, no table look-up over years, no allocation; exact for
//! every year from -32768 to 32767, which is far more than 64-bit nanoseconds can name.
//! On failure: nothing fails; callers check month and day with [`days_in_month`] first.
//!
//! Source: the shifted-year idea (years begin in March, so that the leap day comes last) is
//! folklore; the multiply-and-shift divisions follow Neri and Schneider, "Euclidean affine
//! functions and their application to calendar algorithms" (2022).

/// Seconds in a day without leap seconds.
pub const SECONDS_PER_DAY: i64 = 86_400;
/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// How many 400-year cycles the arithmetic is moved up by, so that it stays unsigned.
const CYCLES: i32 = 82;
/// Days in 400 Gregorian years.
const DAYS_PER_CYCLE: i32 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_SHIFT: i32 = 719_468;

/// A calendar date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Astronomical year: 0 is 1 BC.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A week date as ISO 8601 defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekDate {
    /// The year that holds the Thursday of the week.
    pub year: i32,
    /// 1 to 53.
    pub week: u8,
    /// 1 (Monday) to 7 (Sunday).
    pub weekday: u8,
}

/// Days since 1970-01-01 of a date; `month` must be 1 to 12.
#[inline]
pub fn days_from_civil(year: i32, month: u8, day: u8) -> i64 {
    let january_or_february = month <= 2;
    let y = (year + 400 * CYCLES) as u32 - u32::from(january_or_february);
    let m = if january_or_february { u32::from(month) + 12 } else { u32::from(month) };
    let century = y / 100;
    let days_before_year = 1461 * y / 4 - century + century / 4;
    let days_before_month = (979 * m - 2919) / 32;
    let days = days_before_year + days_before_month + u32::from(day) - 1;
    i64::from(days) - i64::from(EPOCH_SHIFT + CYCLES * DAYS_PER_CYCLE)
}

/// The date of a number of days since 1970-01-01.
#[inline]
pub fn civil_from_days(days: i64) -> Date {
    let n = (days + i64::from(EPOCH_SHIFT + CYCLES * DAYS_PER_CYCLE)) as u32;
    let n1 = 4 * n + 3;
    let century = n1 / 146_097;
    let in_century = (n1 % 146_097) | 3;
    // Multiplying by 2^32 / 1461 and keeping both halves divides and gives the rest at once.
    let product = 2_939_745 * u64::from(in_century);
    let year_of_century = (product >> 32) as u32;
    let day_of_year = (product as u32) / 2_939_745 / 4;
    let n3 = 2141 * day_of_year + 197_913;
    let after_december = day_of_year >= 306;
    let month = n3 >> 16;
    Date {
        year: (100 * century + year_of_century + u32::from(after_december)) as i32 - 400 * CYCLES,
        month: (if after_december { month - 12 } else { month }) as u8,
        day: ((n3 & 0xffff) / 2141 + 1) as u8,
    }
}

/// Is it a leap year?
#[inline]
pub fn is_leap(year: i32) -> bool {
    // A multiple of 100 is a leap year where it is one of 16 too (that is, of 400).
    if year % 100 == 0 { year % 16 == 0 } else { year % 4 == 0 }
}

/// 28 to 31; 0 for a month outside 1 to 12.
#[inline]
pub fn days_in_month(year: i32, month: u8) -> u8 {
    const LENGTHS: [u8; 16] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0, 0, 0];
    if month > 12 {
        return 0;
    }
    LENGTHS[usize::from(month & 15)] + u8::from(month == 2 && is_leap(year))
}

/// 365 or 366.
pub fn days_in_year(year: i32) -> u16 {
    365 + u16::from(is_leap(year))
}

/// 1 (Monday) to 7 (Sunday).
#[inline]
pub fn weekday(days: i64) -> u8 {
    // 1970-01-01 was a Thursday.
    ((days + 3).rem_euclid(7) + 1) as u8
}

/// The day number of the Monday that opens week 1 of an ISO year.
pub fn iso_year_start(year: i32) -> i64 {
    // 4 January is always in week 1.
    let fourth = days_from_civil(year, 1, 4);
    fourth - i64::from(weekday(fourth) - 1)
}

/// 52 or 53.
pub fn weeks_in_iso_year(year: i32) -> u8 {
    ((iso_year_start(year + 1) - iso_year_start(year)) / 7) as u8
}

/// The ISO week date of a day.
pub fn week_date(days: i64) -> WeekDate {
    let weekday = weekday(days);
    let thursday = days + 4 - i64::from(weekday);
    let year = civil_from_days(thursday).year;
    let week = ((thursday - days_from_civil(year, 1, 1)) / 7 + 1) as u8;
    WeekDate { year, week, weekday }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_is_in_order() {
        let mut expected = Date { year: 1600, month: 1, day: 1 };
        let first = days_from_civil(1600, 1, 1);
        for days in first..first + 2 * i64::from(DAYS_PER_CYCLE) {
            assert_eq!(civil_from_days(days), expected);
            assert_eq!(days_from_civil(expected.year, expected.month, expected.day), days);
            expected.day += 1;
            if expected.day > days_in_month(expected.year, expected.month) {
                expected = Date { day: 1, month: expected.month + 1, ..expected };
            }
            if expected.month > 12 {
                expected = Date { year: expected.year + 1, month: 1, day: 1 };
            }
        }
    }

    #[test]
    fn known_days() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        assert_eq!(weekday(days_from_civil(2026, 11, 22)), 7);
        let expected = WeekDate { year: 2020, week: 53, weekday: 5 };
        assert_eq!(week_date(days_from_civil(2021, 1, 1)), expected);
        assert_eq!(weeks_in_iso_year(2020), 53);
        assert_eq!(weeks_in_iso_year(2026), 53);
        assert_eq!(weeks_in_iso_year(2025), 52);
    }

    #[test]
    fn far_years() {
        for year in [-32_000, -1, 0, 1, 32_000] {
            let days = days_from_civil(year, 2, 28);
            assert_eq!(civil_from_days(days), Date { year, month: 2, day: 28 });
        }
        assert!(is_leap(2000) && !is_leap(1900) && is_leap(0) && !is_leap(2023));
    }
}
