//! From what a text said (year, month, hour, …) to an instant.
//!
//! In: the fields a pattern found, the zone of the format, the present. Out: nanoseconds since
//! 1970-01-01T00:00:00Z.
//! Promises: fields that are missing take their smallest value; a missing year is the present
//! one, but December seen in January is last year's and January seen in December next year's;
//! a time alone is the one nearest to the present; a weekday beside a date is read and ignored,
//! for the date says more; 29 February of a guessed year without one is the 28th.
//! On failure: `None` for a date that no calendar has and for years outside 1677 to 2262.
//!
//! Source: Logstash date filter (year rule, 29 February); Joda-Time (values of each field).

use super::zone::{Zone, ZoneTable};
use crate::timestamp::civil::{
    NANOS_PER_SECOND, SECONDS_PER_DAY, civil_from_days, days_from_civil, days_in_month,
    days_in_year, iso_year_start, week_date, weekday, weeks_in_iso_year,
};

/// A number in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Astronomical year.
    Year,
    /// Year of the ISO week.
    WeekYear,
    /// ISO week, 1 to 53.
    Week,
    /// 1 (Monday) to 7 (Sunday).
    Weekday,
    /// 0 (Sunday) to 6, as `%w`.
    WeekdayFromSunday,
    /// 1 to 366.
    DayOfYear,
    /// 1 to 12.
    Month,
    /// 1 to 31.
    Day,
    /// 0 to 23.
    Hour,
    /// 1 to 24, 24 being midnight.
    ClockHour,
    /// 0 to 11, beside a day half.
    HalfHour,
    /// 1 to 12, beside a day half, 12 being 0.
    ClockHalfHour,
    /// 0 to 59.
    Minute,
    /// 0 to 60: a leap second is the first of the next minute.
    Second,
}

/// What a text said.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    year: Option<i32>,
    week_year: Option<i32>,
    week: Option<u8>,
    weekday: Option<u8>,
    day_of_year: Option<u16>,
    month: Option<u8>,
    day: Option<u8>,
    hour: Option<u8>,
    half_hour: Option<u8>,
    minute: u8,
    second: u8,
    /// After noon?
    pub afternoon: Option<bool>,
    /// Years count backwards from 1 BC.
    pub before_christ: bool,
    /// Nanoseconds of the second.
    pub nanos: u32,
    /// Seconds east of Greenwich.
    pub offset: Option<i32>,
    /// A zone by name.
    pub zone: Option<&'static ZoneTable>,
    /// Seconds since the epoch: then nothing else counts but `nanos`.
    pub epoch: Option<i64>,
}

/// Nanoseconds since the epoch of local seconds since 1970-01-01T00:00 in a place `offset`
/// seconds east; `None` outside 1677 to 2262.
#[inline]
pub fn to_nanos(local: i64, offset: i32, nanos: u32) -> Option<i64> {
    (local - i64::from(offset)).checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(nanos))
}

/// Day number of a calendar date, `None` where there is no such day.
#[inline]
pub fn day_number(year: i32, month: u8, day: u8) -> Option<i64> {
    let exists = day >= 1 && day <= days_in_month(year, month);
    (YEARS.contains(&year) && exists).then(|| days_from_civil(year, month, day))
}

/// Day number of the n-th day of a year.
pub fn ordinal_number(year: i32, day: u16) -> Option<i64> {
    let exists = YEARS.contains(&year) && day >= 1 && day <= days_in_year(year);
    exists.then(|| days_from_civil(year, 1, 1) + i64::from(day) - 1)
}

/// Day number of an ISO week date.
pub fn week_number(year: i32, week: u8, weekday: u8) -> Option<i64> {
    let exists = YEARS.contains(&year) && week >= 1 && week <= weeks_in_iso_year(year);
    exists.then(|| iso_year_start(year) + i64::from(week) * 7 - 7 + i64::from(weekday) - 1)
}

/// Far more than an instant can have, and far less than the arithmetic can take.
const YEARS: std::ops::RangeInclusive<i32> = -9999..=9999;

impl Fields {
    /// Stores a number; `None` where the field cannot have that value.
    #[inline]
    pub fn set(&mut self, field: Field, value: i32) -> Option<()> {
        let within = |low: i32, high: i32| (low..=high).contains(&value).then_some(value as u8);
        match field {
            Field::Year => self.year = Some(value),
            Field::WeekYear => self.week_year = Some(value),
            Field::Week => self.week = Some(within(1, 53)?),
            Field::Weekday => self.weekday = Some(within(1, 7)?),
            Field::WeekdayFromSunday => {
                self.weekday = Some(within(0, 6).map(|day| if day == 0 { 7 } else { day })?);
            }
            Field::DayOfYear => {
                self.day_of_year = Some((1..=366).contains(&value).then_some(value as u16)?);
            }
            Field::Month => self.month = Some(within(1, 12)?),
            Field::Day => self.day = Some(within(1, 31)?),
            Field::Hour => self.hour = Some(within(0, 23)?),
            Field::ClockHour => self.hour = Some(within(1, 24)? % 24),
            Field::HalfHour => self.half_hour = Some(within(0, 11)?),
            Field::ClockHalfHour => self.half_hour = Some(within(1, 12)? % 12),
            Field::Minute => self.minute = within(0, 59)?,
            Field::Second => self.second = within(0, 60)?,
        }
        Some(())
    }

    /// The instant. `now` is the present in nanoseconds since the epoch.
    #[inline]
    pub fn resolve(&self, now: i64, zone: &Zone) -> Option<i64> {
        if let Some(seconds) = self.epoch {
            return to_nanos(seconds, 0, self.nanos);
        }
        let time = self.second_of_day();
        let days = match (self.year, self.month) {
            (Some(year), Some(month)) if !self.before_christ => {
                day_number(year, month, self.day.unwrap_or(1))?
            }
            _ => self.other_days(now, zone, time)?,
        };
        let local = days * SECONDS_PER_DAY + i64::from(time);
        to_nanos(local, self.offset_at(local, zone), self.nanos)
    }

    #[inline]
    fn offset_at(&self, local: i64, zone: &Zone) -> i32 {
        match (self.offset, self.zone) {
            (Some(offset), _) => offset,
            (None, Some(table)) => table.offset_at_local(local),
            (None, None) => zone.offset_at_local(local),
        }
    }

    #[inline]
    fn second_of_day(&self) -> u32 {
        let half = || {
            let afternoon = self.afternoon == Some(true);
            self.half_hour.map(|hour| hour + if afternoon { 12 } else { 0 })
        };
        let hour = self.hour.or_else(half).unwrap_or(0);
        u32::from(hour) * 3600 + u32::from(self.minute) * 60 + u32::from(self.second)
    }

    /// Day number where the text gave something else than year and month.
    fn other_days(&self, now: i64, zone: &Zone, time: u32) -> Option<i64> {
        let year = self.year.map(|year| if self.before_christ { 1 - year } else { year });
        let weekday_or_monday = self.weekday.unwrap_or(1);
        let today = civil_from_days(now.div_euclid(NANOS_PER_SECOND * SECONDS_PER_DAY));
        if let Some(day) = self.day_of_year {
            return ordinal_number(year.or(self.week_year).unwrap_or(today.year), day);
        }
        if self.month.is_none() && self.day.is_none() {
            if let Some(week) = self.week {
                let year = self.week_year.or(year).unwrap_or(today.year);
                return week_number(year, week, weekday_or_monday);
            }
            match (self.week_year, year, self.weekday) {
                (Some(year), _, _) => return week_number(year, 1, weekday_or_monday),
                (None, Some(year), _) => return day_number(year, 1, 1),
                (None, None, Some(weekday)) => return Some(self.last(weekday, now, zone)),
                (None, None, None) => return Some(self.nearest(time, now, zone)),
            }
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        if let Some(year) = year.or(self.week_year) {
            return day_number(year, month, day);
        }
        let year = match (month, today.month) {
            (12, 1) => today.year - 1,
            (1, 12) => today.year + 1,
            _ => today.year,
        };
        if (month, day) == (2, 29) {
            return day_number(year, 2, days_in_month(year, 2));
        }
        day_number(year, month, day)
    }

    fn local_now(&self, now: i64, zone: &Zone) -> i64 {
        let utc = now.div_euclid(NANOS_PER_SECOND);
        let offset = self.offset.unwrap_or_else(|| zone.offset_at_utc(utc));
        utc + i64::from(offset)
    }

    /// The day on which a time of day is nearest to the present: 23:59:59 read just after
    /// midnight is yesterday's.
    fn nearest(&self, time: u32, now: i64, zone: &Zone) -> i64 {
        let from_midnight = self.local_now(now, zone) - i64::from(time);
        (from_midnight + SECONDS_PER_DAY / 2).div_euclid(SECONDS_PER_DAY)
    }

    /// The last such weekday, at most a day ahead for clocks that are.
    fn last(&self, wanted: u8, now: i64, zone: &Zone) -> i64 {
        let tomorrow = self.local_now(now, zone).div_euclid(SECONDS_PER_DAY) + 1;
        tomorrow - i64::from((weekday(tomorrow) + 7 - wanted) % 7)
    }
}

/// The calendar year of the present, in UTC.
#[inline]
pub fn present_year(now: i64) -> i32 {
    civil_from_days(now.div_euclid(NANOS_PER_SECOND * SECONDS_PER_DAY)).year
}

/// The ISO week year of the present, in UTC.
pub fn present_week_year(now: i64) -> i32 {
    week_date(now.div_euclid(NANOS_PER_SECOND * SECONDS_PER_DAY)).year
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_309_323_000_000_000; // 2026-11-22T01:02:03Z, a Sunday

    fn resolve(values: &[(Field, i32)], now: i64) -> Option<i64> {
        let mut fields = Fields::default();
        for &(field, value) in values {
            fields.set(field, value)?;
        }
        fields.resolve(now, &Zone::UTC).map(|ns| ns / NANOS_PER_SECOND)
    }

    #[test]
    fn impossible_dates() {
        use Field::{Day, DayOfYear, Hour, Month, Second, Week, Year};
        assert_eq!(resolve(&[(Year, 2023), (Month, 2), (Day, 29)], NOW), None);
        assert_eq!(resolve(&[(Year, 2023), (DayOfYear, 366)], NOW), None);
        assert_eq!(resolve(&[(Year, 2025), (Week, 53)], NOW), None);
        assert_eq!(resolve(&[(Year, 123_456_789), (Month, 1)], NOW), None);
        assert_eq!(resolve(&[(Year, 1), (Month, 1)], NOW), None);
        assert_eq!(resolve(&[(Hour, 24)], NOW), None);
        assert_eq!(resolve(&[(Second, 61)], NOW), None);
    }

    #[test]
    fn missing_parts() {
        use Field::{ClockHalfHour, Day, Hour, Minute, Month, Week, WeekYear, Weekday, Year};
        let day = |y, m, d| days_from_civil(y, m, d) * SECONDS_PER_DAY;
        assert_eq!(resolve(&[(Year, 2001)], NOW), Some(day(2001, 1, 1)));
        assert_eq!(resolve(&[(Month, 2), (Day, 29)], NOW), Some(day(2026, 2, 28)));
        assert_eq!(resolve(&[(Month, 1)], NOW), Some(day(2026, 1, 1)));
        assert_eq!(resolve(&[(WeekYear, 2026), (Week, 1)], NOW), Some(day(2025, 12, 29)));
        let week_date = [(WeekYear, 2020), (Week, 53), (Weekday, 5)];
        assert_eq!(resolve(&week_date, NOW), Some(day(2021, 1, 1)));
        assert_eq!(resolve(&[(Hour, 0)], NOW), Some(day(2026, 11, 22)));
        assert_eq!(resolve(&[(Hour, 23), (Minute, 59)], NOW), Some(day(2026, 11, 22) - 60));
        assert_eq!(resolve(&[(ClockHalfHour, 12)], NOW), Some(day(2026, 11, 22)));
        assert_eq!(resolve(&[(Weekday, 7)], NOW), Some(day(2026, 11, 22)));
        assert_eq!(resolve(&[(Weekday, 1)], NOW), Some(day(2026, 11, 23)));
        assert_eq!(resolve(&[(Weekday, 2)], NOW), Some(day(2026, 11, 17)));
    }

    #[test]
    fn a_year_is_guessed_around_new_year() {
        use Field::{Day, Month};
        let december = day_number(2026, 12, 31).expect("day") * SECONDS_PER_DAY * NANOS_PER_SECOND;
        let january = december + SECONDS_PER_DAY * NANOS_PER_SECOND;
        let year = |month, now| {
            let seconds = resolve(&[(Month, month), (Day, 5)], now).expect("date");
            civil_from_days(seconds.div_euclid(SECONDS_PER_DAY)).year
        };
        assert_eq!(year(12, january), 2026);
        assert_eq!(year(1, january), 2027);
        assert_eq!(year(1, december), 2027);
        assert_eq!(year(12, december), 2026);
        assert_eq!(year(11, january), 2027);
    }
}
