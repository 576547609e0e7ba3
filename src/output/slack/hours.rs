//! Quiet hours: times of the week in a zone, in Alertmanager's words (`time_intervals`).
//!
//! In: a table with `start_time`, `end_time`, `weekdays`, `location`; then instants. Out: whether one lies within.
//! Promises: an interval that ends before it begins goes on after midnight and belongs to the day on which it began;
//! summer time is the zone's own. On failure: what cannot be read is reported with its place, and the table is absent.

use crate::settings::{Section, Spanned};
use crate::timestamp::Zone;
use crate::timestamp::civil;

const SECONDS_OF_DAY: i64 = 24 * 60 * 60;
const DAYS: [&str; 7] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// One interval of the week.
#[derive(Debug)]
pub(super) struct Hours {
    /// Minutes after midnight.
    start: i64,
    /// Likewise; before `start`: on the next day.
    end: i64,
    /// Monday to Sunday: the days on which it begins.
    days: [bool; 7],
    zone: Zone,
}

impl Hours {
    pub(super) fn load(section: &Section<'_>) -> Option<Hours> {
        let start = section.string_or("start_time", "00:00");
        let end = section.string_or("end_time", "24:00");
        let weekdays = section.strings("weekdays");
        let location = section.string_or("location", "UTC");
        section.finish_ref();
        let zone = Zone::named(&location);
        if zone.is_none() {
            let message = format!("`location` is \"{}\", which is no time zone", *location);
            let hint = "write a name such as \"Europe/Berlin\", or \"+02:00\"".to_string();
            section.error(location.span.clone(), message, Some(hint));
        }
        let (from, to) =
            (minutes(section, "start_time", &start), minutes(section, "end_time", &end));
        if from.is_some() && from == to {
            let hint = "for whole days leave out both, and write `weekdays`".to_string();
            section.error(end.span, "`end_time` is the same as `start_time`", Some(hint));
            return None;
        }
        let days = weekdays.map_or(Some([true; 7]), |words| days(section, &words))?;
        Some(Hours { start: from?, end: to?, days, zone: zone? })
    }

    /// Whether an instant lies within.
    pub(super) fn contain(&self, wall_ns: i64) -> bool {
        let utc = wall_ns.div_euclid(1_000_000_000);
        let local = utc + i64::from(self.zone.offset_at_utc(utc));
        let (day, minute) =
            (local.div_euclid(SECONDS_OF_DAY), local.rem_euclid(SECONDS_OF_DAY) / 60);
        let begins_on = |day: i64| self.days[usize::from(civil::weekday(day) - 1)];
        if self.start < self.end {
            begins_on(day) && (self.start..self.end).contains(&minute)
        } else {
            (minute >= self.start && begins_on(day)) || (minute < self.end && begins_on(day - 1))
        }
    }
}

/// `HH:MM` as minutes; 24:00 is the end of the day.
fn minutes(section: &Section<'_>, key: &str, text: &Spanned<String>) -> Option<i64> {
    let parsed = text.split_once(':').and_then(|(hours, minutes)| {
        let two = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<i64>().ok()).flatten()
        };
        let (hours, minutes) = (two(hours)?, two(minutes)?);
        (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
    });
    if parsed.is_none() {
        let message = format!("`{key}` is \"{}\", which is no time of the day", **text);
        let hint = "write hours and minutes, such as \"22:00\"".to_string();
        section.error(text.span.clone(), message, Some(hint));
    }
    parsed
}

/// `"monday"` or `"monday:friday"`, one or several.
fn days(section: &Section<'_>, words: &[Spanned<String>]) -> Option<[bool; 7]> {
    let number = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name.trim()));
    let mut days = [false; 7];
    for word in words {
        let (first, last) = word.split_once(':').unwrap_or((word, word));
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            let message = format!("`weekdays` holds \"{}\", which is no day", **word);
            let hint = "write \"saturday\", or from a day to a later one: \"monday:friday\"";
            section.error(word.span.clone(), message, Some(hint.to_string()));
            return None;
        };
        // From Saturday to Monday is Saturday, Sunday, Monday.
        let count = (last + 7 - first) % 7;
        (0..=count).for_each(|n| days[(first + n) % 7] = true);
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timestamp::parse_iso8601;

    fn hours(start: i64, end: i64, days: &[usize], zone: &str) -> Hours {
        let mut week = [false; 7];
        for day in days {
            week[*day] = true;
        }
        Hours { start: start * 60, end: end * 60, days: week, zone: Zone::named(zone).unwrap() }
    }

    fn at(text: &str) -> i64 {
        parse_iso8601(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        // Friday night; 2026-11-27 is a Friday.
        let night = hours(22, 7, &[4], "UTC");
        for (time, within) in [
            ("2026-11-27T21:59:59Z", false),
            ("2026-11-27T22:00:00Z", true),
            ("2026-11-28T06:59:59Z", true),
            ("2026-11-28T07:00:00Z", false),
            ("2026-11-28T22:00:00Z", false),
            ("2026-11-27T03:00:00Z", false),
        ] {
            assert_eq!(night.contain(at(time)), within, "{time}");
        }
    }

    #[test]
    fn the_zone_moves_with_summer_time() {
        let evening = hours(18, 24, &[0, 1, 2, 3, 4, 5, 6], "Europe/Berlin");
        assert!(!evening.contain(at("2026-01-15T16:30:00Z")));
        assert!(evening.contain(at("2026-07-15T16:30:00Z")));
        assert!(!evening.contain(at("2026-07-15T22:00:00Z")), "24:00 is midnight");
    }

    #[test]
    fn whole_days() {
        let weekend = hours(0, 24, &[5, 6], "UTC");
        assert!(weekend.contain(at("2026-11-28T00:00:00Z")));
        assert!(weekend.contain(at("2026-11-29T23:59:59Z")));
        assert!(!weekend.contain(at("2026-11-30T00:00:00Z")));
    }
}
