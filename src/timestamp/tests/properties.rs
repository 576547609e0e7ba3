//! Dates by property: what is written is read back, jiff agrees, and no bytes cause a panic.

use crate::timestamp::civil::{
    civil_from_days, days_from_civil, week_date, weekday, weeks_in_iso_year,
};
use crate::timestamp::{DateFormat, DateOptions, Minute, Zone};
use crate::timestamp::{TimeTemplate, write_iso8601_ms};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, civil};
use proptest::prelude::*;

const NOW: i64 = 1_795_309_323_000_000_000;
const NANOS: i64 = 1_000_000_000;
/// 1900-01-01 and 2100-12-31 in seconds.
const SECONDS: std::ops::Range<i64> = -2_208_988_800..4_133_894_400;
/// 1900-01-01 and 2100-12-31 in days.
const DAYS: std::ops::Range<i64> = -25_567..47_847;

const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "America/Caracas",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Europe/Dublin",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Asia/Tehran",
    "CET",
];

/// A field of a date: how Joda-Time and `strftime` write it, and jiff's directive for it.
const DATES: [(&str, &str, &str); 6] = [
    ("yyyy-MM-dd", "%Y-%m-%d", "%Y-%m-%d"),
    ("dd/MMM/yyyy", "%d/%b/%Y", "%d/%b/%Y"),
    ("EEE MMM dd yyyy", "%a %b %d %Y", "%a %b %d %Y"),
    ("EEEE, d MMMM yyyy", "%A, %e %B %Y", "%A, %-d %B %Y"),
    ("yyyy-DDD", "%Y-%j", "%Y-%j"),
    ("xxxx-'W'ww-e", "%G-W%V-%u", "%G-W%V-%u"),
];
const TIMES: [(&str, &str, &str); 4] = [
    ("HH:mm:ss", "%H:%M:%S", "%H:%M:%S"),
    ("HHmmss,SSS", "%H%M%S,%L", "%H%M%S,%3f"),
    ("hh:mm:ss.SSSSSS a", "%I:%M:%S.%f %p", "%I:%M:%S.%6f %p"),
    ("H:m:s.SSSSSSSSS", "%k:%M:%S.%N", "%-H:%M:%S.%9f"),
];
const OFFSETS: [(&str, &str, &str); 3] =
    [(" Z", " %z", " %z"), ("ZZ", "%:z", "%:z"), (" Z", " %z", " %z")];

fn options(zone: &str) -> DateOptions {
    DateOptions { timezone: Some(zone.to_owned()), locale: None }
}

fn timestamp(ns: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(ns)).expect("in range")
}

fn any_format() -> impl Strategy<Value = String> {
    let joda = "[yYxweDMdEaHhkKmsSzZG'T:/., -]{1,20}";
    let strftime = "(%[YmdHMSLzZybBaAejGVusQNpIfFTDRrcCU%]|[ T:/.-]){1,10}";
    let named = prop_oneof![
        Just("ISO8601".to_owned()),
        Just("UNIX".to_owned()),
        Just("UNIX_MS".to_owned()),
        Just("TAI64N".to_owned()),
        Just("dd/MMM/yyyy:HH:mm:ss Z".to_owned()),
        Just("yyyy-MM-dd HH:mm:ss ZZZ".to_owned()),
    ];
    prop_oneof![joda, strftime, named]
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "[0-9TZ:., +/@W-]{0,30}".prop_map(String::into_bytes),
        "(Jan|Feb|märz|Mon|EST|America/|UTC|am|[0-9]{1,4}|[ /:-]){0,12}"
            .prop_map(String::into_bytes),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_cause_a_panic(
        format in any_format(),
        text in any_bytes(),
        locale in prop::sample::select(vec!["en", "de", "tr", "zh", "ru"]),
        zone in prop::sample::select(ZONES.to_vec()),
        now in any::<i64>(),
    ) {
        let options =
            DateOptions { timezone: Some(zone.to_owned()), locale: Some(locale.to_owned()) };
        if let Ok(format) = DateFormat::compile(&format, &options) {
            let _ = format.parse(&text, now);
        }
    }

    #[test]
    fn a_minute_that_is_known_changes_no_answer(
        texts in prop::collection::vec(
            "(2026-11-0[12]T00:0[01]:|0[12]/Nov/2026:00:00:|2026-11-01 00:00:)([0-6][0-9x]|)([.,][0-9]{0,11})?(Z| ?[+-]0[0-2]00| UTC|x)?",
            1..12,
        ),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin"]),
    ) {
        let mut minute = Minute::default();
        for format in ["ISO8601", "dd/MMM/yyyy:HH:mm:ss Z", "yyyy-MM-dd HH:mm:ss"] {
            let format = DateFormat::compile(format, &options(zone)).expect("a format");
            for text in &texts {
                let again = format.parse_again(text.as_bytes(), NOW, &mut minute);
                prop_assert_eq!(again, format.parse(text.as_bytes(), NOW), "{}", text);
            }
        }
        for nothing in [[0; 19].as_slice(), &[0; 26]] {
            let format = DateFormat::compile("ISO8601", &options(zone)).expect("a format");
            prop_assert_eq!(format.parse_again(nothing, NOW, &mut Minute::default()), None);
        }
    }

    #[test]
    fn no_format_causes_a_panic(format in ".{0,30}", zone in ".{0,12}", template in ".{0,20}") {
        let _ = DateFormat::compile(&format, &DateOptions::default());
        let _ = DateFormat::compile("ISO8601", &options(&zone));
        let _ = TimeTemplate::compile(&template);
    }

    #[test]
    fn iso_milliseconds_round_trip(ns in any::<i64>()) {
        let format = DateFormat::compile("ISO8601", &DateOptions::default()).expect("a format");
        let mut out = Vec::new();
        write_iso8601_ms(ns, &mut out);
        let expected = timestamp(ns).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
        prop_assert_eq!(std::str::from_utf8(&out).expect("ASCII"), expected);
        let cut = ns.div_euclid(1_000_000).checked_mul(1_000_000);
        // The first second of the range does not survive being cut to milliseconds.
        if let Some(cut) = cut && ns > i64::MIN + NANOS {
            prop_assert_eq!(format.parse(&out, NOW), Some(cut));
        }
    }

    #[test]
    fn templates_agree_with_jiff(ns in any::<i64>()) {
        let template = "%Y.%m.%d %H:%M:%S %u %j %G-%V %y %a %b %B %A %e %s";
        let mut out = Vec::new();
        TimeTemplate::compile(template).expect("known").write(ns, &mut out);
        // jiff rounds `%s` of instants before 1970 up, we round down as POSIX does.
        let floor = timestamp(ns.div_euclid(NANOS).saturating_mul(NANOS));
        let expected = floor.strftime(template).to_string();
        prop_assert_eq!(String::from_utf8(out).expect("ASCII"), expected);
    }

    #[test]
    fn written_dates_are_read_back(
        seconds in SECONDS,
        nanos in 0..NANOS,
        offset in -1080..=1080_i32,
        date in prop::sample::select(DATES.to_vec()),
        time in prop::sample::select(TIMES.to_vec()),
        zone in prop::sample::select(OFFSETS.to_vec()),
        strftime in any::<bool>(),
    ) {
        let there = Offset::from_seconds(offset * 60).expect("in range");
        let ns = seconds * NANOS + nanos;
        let zoned = timestamp(ns).to_zoned(TimeZone::fixed(there));
        let written = format!("{} {}{}", date.2, time.2, zone.2);
        let text = zoned.strftime(&written).to_string();
        let format = if strftime {
            format!("{} {}{}", date.1, time.1, zone.1)
        } else {
            format!("{} {}{}", date.0, time.0, zone.0)
        };
        let unit = match time.2.split_once('%').map(|_| time.2) {
            Some(t) if t.contains("%9f") => 1,
            Some(t) if t.contains("%6f") => 1_000,
            Some(t) if t.contains("%3f") => 1_000_000,
            _ => NANOS,
        };
        let format = DateFormat::compile(&format, &DateOptions::default()).expect("a format");
        let expected = ns.div_euclid(unit) * unit;
        prop_assert_eq!(format.parse(text.as_bytes(), NOW), Some(expected), "{}", text);
    }

    #[test]
    fn both_ways_of_reading_web_server_logs_agree(
        seconds in SECONDS,
        text in "[0-3][0-9]/(Jan|feb|Xyz)/20[0-9]{2}:[0-2][0-9]:[0-6][0-9]:[0-6][0-9] [+-][0-9]{4}",
    ) {
        let short = DateFormat::compile("dd/MMM/yyyy:HH:mm:ss Z", &DateOptions::default())
            .expect("a format");
        // One `d` reads the same texts as two, and is not the layout with a short way.
        let long = DateFormat::compile("d/MMM/yyyy:HH:mm:ss Z", &DateOptions::default())
            .expect("a format");
        prop_assert_eq!(short.parse(text.as_bytes(), NOW), long.parse(text.as_bytes(), NOW));
        let written = timestamp(seconds * NANOS).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
        prop_assert_eq!(short.parse(written.as_bytes(), NOW), Some(seconds * NANOS));
    }

    #[test]
    fn the_calendar_agrees_with_jiff(days in DAYS) {
        let date = civil_from_days(days);
        let theirs = civil::Date::new(date.year as i16, date.month as i8, date.day as i8)
            .expect("a date");
        let epoch = civil::date(1970, 1, 1);
        prop_assert_eq!(i64::from((theirs - epoch).get_days()), days);
        prop_assert_eq!(days_from_civil(date.year, date.month, date.day), days);
        prop_assert_eq!(weekday(days) as i8, theirs.weekday().to_monday_one_offset());
        let (week, iso) = (week_date(days), theirs.iso_week_date());
        prop_assert_eq!((week.year, week.week as i8), (i32::from(iso.year()), iso.week()));
        prop_assert_eq!(i64::from(weeks_in_iso_year(week.year)) * 7, i64::from(iso.days_in_year()));
    }

    #[test]
    fn zones_agree_with_jiff(
        local in SECONDS,
        name in prop::sample::select(ZONES.to_vec()),
    ) {
        compare_local(name, local)?;
    }

    #[test]
    fn zones_agree_with_jiff_around_changes(
        utc in SECONDS,
        near in -10_000..10_000_i64,
        name in prop::sample::select(ZONES.to_vec()),
    ) {
        let zone = zone_of(name);
        if let Some(change) = zone.following(timestamp(utc * NANOS)).next() {
            let second = change.timestamp().as_second();
            let local = second + i64::from(change.offset().seconds()) + near;
            compare_local(name, local)?;
            let ours = Zone::named(name).expect("known");
            let at = second + near;
            let theirs = zone.to_offset(timestamp(at * NANOS)).seconds();
            prop_assert_eq!(ours.offset_at_utc(at), theirs);
        }
    }
}

fn zone_of(name: &str) -> TimeZone {
    jiff::tz::db().get(name).or_else(|_| TimeZoneDatabase::bundled().get(name)).expect("known")
}

/// Our reading of a local time against jiff's "compatible" one.
fn compare_local(name: &str, local: i64) -> Result<(), TestCaseError> {
    let date_time = Offset::UTC.to_datetime(timestamp(local * NANOS));
    let theirs = zone_of(name)
        .to_ambiguous_zoned(date_time)
        .compatible()
        .expect("in range")
        .timestamp()
        .as_second();
    let text = date_time.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let format = DateFormat::compile("yyyy-MM-dd HH:mm:ss", &options(name)).expect("a format");
    let ours = format.parse(text.as_bytes(), NOW).map(|ns| ns.div_euclid(NANOS));
    prop_assert_eq!(ours, Some(theirs), "{} {}", name, text);
    Ok(())
}
