//! Date formats by example: format, zone, locale, text and the instant they make.

use crate::timestamp::write_iso8601_ms;
use crate::timestamp::{DateFormat, DateFormatError, DateOptions, ErrorPart, Zone};

/// 2026-11-22T01:02:03Z
const NOW: i64 = 1_795_309_323_000_000_000;

fn compile(format: &str, zone: &str, locale: &str) -> Result<DateFormat, DateFormatError> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    DateFormat::compile(format, &DateOptions { timezone: some(zone), locale: some(locale) })
}

fn iso(ns: i64) -> String {
    let mut out = Vec::new();
    write_iso8601_ms(ns, &mut out);
    String::from_utf8(out).expect("ASCII")
}

fn parse(format: &str, zone: &str, locale: &str, text: &str) -> String {
    let format = compile(format, zone, locale).expect("a format");
    format.parse(text.as_bytes(), NOW).map_or_else(|| "-".to_owned(), iso)
}

fn utc(format: &str, text: &str) -> String {
    parse(format, "", "", text)
}

#[test]
fn iso8601_as_logstash_takes_it() {
    let cases = [
        ("2001-01-01T00:00:00-0800", "2001-01-01T08:00:00.000Z"),
        ("2001-12-07T23:54:54.123Z", "2001-12-07T23:54:54.123Z"),
        ("2001-12-07 23:54:54,123Z", "2001-12-07T23:54:54.123Z"),
        ("2001-12-07 23:54:54.123", "2001-12-07T23:54:54.123Z"),
        ("2001-12-07 23:54:54", "2001-12-07T23:54:54.000Z"),
        ("2001-12-07 23:54:54 +0100", "2001-12-07T22:54:54.000Z"),
        ("2001-12-07 23:54:54 UTC", "2001-12-07T23:54:54.000Z"),
        ("2001-12-07t23:54:54z", "2001-12-07T23:54:54.000Z"),
        ("2001-12-07T23:54:54.123456789+01", "2001-12-07T22:54:54.123Z"),
        ("2001-12-07T23:54:54.1234567899999Z", "2001-12-07T23:54:54.123Z"),
        ("2001-12-07T23:54Z", "2001-12-07T23:54:00.000Z"),
        ("2001-12-07T23:54.5Z", "2001-12-07T23:54:30.000Z"),
        ("2001-12-07T23,25", "2001-12-07T23:15:00.000Z"),
        ("2001-12-07T23", "2001-12-07T23:00:00.000Z"),
        ("2001-12-07", "2001-12-07T00:00:00.000Z"),
        ("2001-12-07T", "2001-12-07T00:00:00.000Z"),
        ("2001-12", "2001-12-01T00:00:00.000Z"),
        ("2001", "2001-01-01T00:00:00.000Z"),
        ("2001-341", "2001-12-07T00:00:00.000Z"),
        ("2001-W49-5", "2001-12-07T00:00:00.000Z"),
        ("2001W495", "2001-12-07T00:00:00.000Z"),
        ("2001-W49", "2001-12-03T00:00:00.000Z"),
        ("20011207T235454Z", "2001-12-07T23:54:54.000Z"),
        ("20011207T235454.5+0100", "2001-12-07T22:54:54.500Z"),
        ("20011207T2354", "2001-12-07T23:54:00.000Z"),
        ("20011207", "2001-12-07T00:00:00.000Z"),
        ("2001-2-3T4:5:6", "2001-02-03T04:05:06.000Z"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000Z"),
        ("1677-10-01T00:00:00Z", "1677-10-01T00:00:00.000Z"),
    ];
    for (text, expected) in cases {
        assert_eq!(utc("ISO8601", text), expected, "{text}");
    }
    assert_eq!(
        parse("ISO8601", "America/Caracas", "", "2007-12-09T10:00:00"),
        "2007-12-09T14:30:00.000Z"
    );
    assert_eq!(
        parse("ISO8601", "America/Caracas", "", "2007-12-09T10:00:00Z"),
        "2007-12-09T10:00:00.000Z"
    );
    assert_eq!(parse("ISO8601", "-03:30", "", "2007-12-09"), "2007-12-09T03:30:00.000Z");
}

#[test]
fn iso8601_refuses() {
    let bad = [
        "",
        "T",
        "2001-13-01",
        "2001-02-30T00:00:00Z",
        "2001-12-07T24:00:00Z",
        "2001-12-07T23:60:00Z",
        "2001-12-07T23:54:61Z",
        "2001-12-07T23:54:54.Z",
        "2001-12-07T23:54:54+",
        "2001-12-07T23:54:54Zx",
        " 2001-12-07T23:54:54Z",
        "2001-12-07T23:54:54Z ",
        "2001/12/07 23:54:54",
        "2001-366",
        "2001-W53",
        "2001-W49-0",
        "1350414944",
        "Dec 7 2001",
        "9999-01-01T00:00:00Z",
        "0001-01-01",
        "20011207T23545",
        "-",
    ];
    for text in bad {
        assert_eq!(utc("ISO8601", text), "-", "{text}");
    }
}

/// Format, text, instant in UTC; `-` where it is no date.
const JODA: &[(&str, &str, &str)] = &[
    ("dd/MMM/yyyy:HH:mm:ss Z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36.000Z"),
    ("dd/MMM/yyyy:HH:mm:ss Z", "1/OCT/2000:3:5:6 Z", "2000-10-01T03:05:06.000Z"),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSZZ", "2020-02-29t01:02:03.5+01:00", "2020-02-29T00:02:03.500Z"),
    ("yyyy-MM-dd HH:mm:ss,SSS", "2020-02-29 01:02:03,123456", "2020-02-29T01:02:03.123Z"),
    ("yyyy-MM-dd HH:mm:ss.SSSSSS", "2020-02-29 01:02:03.000001", "2020-02-29T01:02:03.000Z"),
    ("yyyyMMddHHmmssSSS", "20200229010203004", "2020-02-29T01:02:03.004Z"),
    ("yyyyMMdd", "20200229", "2020-02-29T00:00:00.000Z"),
    ("yyMMdd HHmmss", "200229 010203", "2020-02-29T01:02:03.000Z"),
    ("dd.MM.yy", "29.02.45", "-"),
    ("dd.MM.yy", "28.02.45", "2045-02-28T00:00:00.000Z"),
    ("dd.MM.yy", "28.02.46", "1946-02-28T00:00:00.000Z"),
    ("dd.MM.yy", "28.02.2046", "2046-02-28T00:00:00.000Z"),
    ("y-M-d H:m:s", "2020-2-3 4:5:6", "2020-02-03T04:05:06.000Z"),
    ("MM/dd/yyyy hh:mm:ss a", "01/02/2020 12:00:00 AM", "2020-01-02T00:00:00.000Z"),
    ("MM/dd/yyyy hh:mm:ss a", "01/02/2020 12:00:00 pm", "2020-01-02T12:00:00.000Z"),
    ("MM/dd/yyyy K:mm a", "01/02/2020 11:30 PM", "2020-01-02T23:30:00.000Z"),
    ("MM/dd/yyyy kk:mm", "01/02/2020 24:30", "2020-01-02T00:30:00.000Z"),
    ("EEE MMM dd HH:mm:ss yyyy", "Sun Nov 22 01:02:03 2026", "2026-11-22T01:02:03.000Z"),
    ("EEEE, d MMMM yyyy", "Sunday, 22 November 2026", "2026-11-22T00:00:00.000Z"),
    ("MMM  d HH:mm:ss", "Nov  2 01:02:03", "2026-11-02T01:02:03.000Z"),
    ("MMM d HH:mm:ss", "Jan 12 01:02:03", "2026-01-12T01:02:03.000Z"),
    ("MMM dd", "Feb 29", "2026-02-28T00:00:00.000Z"),
    ("HH:mm:ss", "23:59:59", "2026-11-21T23:59:59.000Z"),
    ("HH:mm:ss", "01:03:00", "2026-11-22T01:03:00.000Z"),
    ("yyyy-DDD", "2020-366", "2020-12-31T00:00:00.000Z"),
    ("yyyy-DDD", "2019-366", "-"),
    ("xxxx-'W'ww-e", "2020-W53-5", "2021-01-01T00:00:00.000Z"),
    ("yyyy-MM-dd h 'o''clock' a", "2020-01-02 3 O'CLOCK PM", "2020-01-02T15:00:00.000Z"),
    ("yyyy-MM-dd G", "2020-01-02 AD", "2020-01-02T00:00:00.000Z"),
    ("yyyy-MM-dd G", "2020-01-02 BC", "-"),
    ("yyyy-MM-dd HH:mm z", "2020-07-02 03:00 EST", "2020-07-02T08:00:00.000Z"),
    ("yyyy-MM-dd HH:mm z", "2020-07-02 03:00 PDT", "2020-07-02T10:00:00.000Z"),
    ("yyyy-MM-dd HH:mm ZZZ", "2020-07-02 03:00 Europe/Berlin", "2020-07-02T01:00:00.000Z"),
    ("yyyy-MM-dd HH:mm ZZZ", "2020-07-02 03:00 EST5EDT", "2020-07-02T07:00:00.000Z"),
    ("yyyy-MM-dd HH:mm ZZZ", "2020-07-02 03:00 Mars/Base", "-"),
    ("ZZZ yyyy", "America/Argentina/Buenos_Aires 2020", "2020-01-01T03:00:00.000Z"),
    ("yyyy-MM-dd HH:mm:ss Z", "2020-07-02 03:00:00 +05:30", "2020-07-01T21:30:00.000Z"),
    ("dd.MMM.yyyy", "02.Jan.2020", "2020-01-02T00:00:00.000Z"),
    ("dd.MMM.yyyy", "02.Jan..2020", "2020-01-02T00:00:00.000Z"),
    ("yyyy年MM月dd日", "2020年01月02日", "2020-01-02T00:00:00.000Z"),
    ("yyyy/MM/dd", "2013/Apr/21", "-"),
    ("yyyy/MM/dd", "2013/04/21 ", "-"),
    ("yyyy/MM/dd", "2013/04", "-"),
    ("yyyy-MM-dd HH:mm:ss", "2013-04-21 25:00:00", "-"),
    ("yyyy", "0013", "-"),
    ("SSS", "", "-"),
];

#[test]
fn joda_patterns() {
    for &(format, text, expected) in JODA {
        assert_eq!(utc(format, text), expected, "{format} on {text}");
    }
}

#[test]
fn zones_and_clock_changes() {
    let local = "yyyy MMM dd HH:mm:ss";
    let cases = [
        ("America/Los_Angeles", "2013 Nov 24 01:29:01", "2013-11-24T09:29:01.000Z"),
        ("America/Los_Angeles", "2013 Jun 24 01:29:01", "2013-06-24T08:29:01.000Z"),
        ("CET", "2016 Mar 26 02:00:37", "2016-03-26T01:00:37.000Z"),
        // Skipped: 02:30 by the clock that was not moved is 03:30 by the one that was.
        ("Europe/Berlin", "2026 Mar 29 02:30:00", "2026-03-29T01:30:00.000Z"),
        // Shown twice: the first of the two.
        ("Europe/Berlin", "2026 Oct 25 02:30:00", "2026-10-25T00:30:00.000Z"),
        ("Australia/Lord_Howe", "2026 Jan 01 00:00:00", "2025-12-31T13:00:00.000Z"),
        ("Asia/Kolkata", "2026 Jan 01 00:00:00", "2025-12-31T18:30:00.000Z"),
        ("UTC+3", "2026 Jan 01 00:00:00", "2025-12-31T21:00:00.000Z"),
        // Rules reach past the last change on file.
        ("Europe/Berlin", "2150 Jul 01 12:00:00", "2150-07-01T10:00:00.000Z"),
    ];
    for (zone, text, expected) in cases {
        assert_eq!(parse(local, zone, "en", text), expected, "{zone} {text}");
    }
    let format = compile("yyyy-MM-dd", "", "").expect("a format");
    let zone = Zone::named("Asia/Tokyo").expect("a zone");
    let found = format.parse_in(b"2020-01-02", NOW, &zone).expect("a date");
    assert_eq!(iso(found), "2020-01-01T15:00:00.000Z");
}

#[test]
fn locales() {
    let cases = [
        ("fr", "14 juillet 1789", "1789-07-14T00:00:00.000Z"),
        ("fr-CA", "1 AOÛT 2020", "2020-08-01T00:00:00.000Z"),
        ("fr", "1 févr. 2020", "2020-02-01T00:00:00.000Z"),
        ("de_DE", "3 März 2020", "2020-03-03T00:00:00.000Z"),
        ("de", "3 DEZ. 2020", "2020-12-03T00:00:00.000Z"),
        ("de", "01 September 2014", "2014-09-01T00:00:00.000Z"),
        ("de", "01 May 2014", "2014-05-01T00:00:00.000Z"),
        ("ru", "5 мая 2020", "2020-05-05T00:00:00.000Z"),
        ("pl", "5 października 2020", "2020-10-05T00:00:00.000Z"),
        ("cs", "5 července 2020", "2020-07-05T00:00:00.000Z"),
        ("cs", "5 června 2020", "2020-06-05T00:00:00.000Z"),
        ("ko", "5 10월 2020", "2020-10-05T00:00:00.000Z"),
        ("zh-CN", "5 十一月 2020", "2020-11-05T00:00:00.000Z"),
        ("pt-BR", "5 março 2020", "2020-03-05T00:00:00.000Z"),
        ("en", "5 juillet 2020", "-"),
        ("xx", "5 july 2020", "2020-07-05T00:00:00.000Z"),
    ];
    for (locale, text, expected) in cases {
        assert_eq!(parse("d MMM yyyy", "UTC", locale, text), expected, "{locale} {text}");
    }
    assert_eq!(
        parse("EEEE d MMMM yyyy 'à' hh:mm a", "", "fr", "Lundi 2 mars 2020 à 03:04 PM"),
        "2020-03-02T15:04:00.000Z"
    );
    assert_eq!(
        parse("yyyy年M月d日 ah:mm", "", "ja", "2020年3月2日 午後3:04"),
        "2020-03-02T15:04:00.000Z"
    );
}

#[test]
fn strftime_patterns() {
    let cases = [
        ("%Y-%m-%dT%H:%M:%S.%L%z", "2020-02-29T01:02:03.123456+0100", "2020-02-29T00:02:03.123Z"),
        ("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36.000Z"),
        ("%b %d %H:%M:%S", "Nov  2 01:02:03", "2026-11-02T01:02:03.000Z"),
        ("%b %e %T", "Nov 12 01:02:03", "2026-11-12T01:02:03.000Z"),
        ("%F %T,%3N", "2020-02-29 01:02:03,004", "2020-02-29T01:02:03.004Z"),
        ("%s", "1350414944", "2012-10-16T19:15:44.000Z"),
        ("%s.%L", "1350414944.5", "2012-10-16T19:15:44.500Z"),
        ("%Q", "1350414944123", "2012-10-16T19:15:44.123Z"),
        ("%Y%m%d%H%M%S", "20200229010203", "2020-02-29T01:02:03.000Z"),
        ("%y%m%d", "690101", "1969-01-01T00:00:00.000Z"),
        ("%D", "02/29/68", "2068-02-29T00:00:00.000Z"),
        ("%I:%M %p %d.%m.%Y", "12:05 am 01.02.2020", "2020-02-01T00:05:00.000Z"),
        ("%a %b %e %H:%M:%S %Z %Y", "Sat Feb  1 00:05:00 CET 2020", "2020-01-31T23:05:00.000Z"),
        ("%Y-%j", "2020-060", "2020-02-29T00:00:00.000Z"),
        ("%G-W%V-%u", "2020-W53-5", "2021-01-01T00:00:00.000Z"),
        ("%-d.%-m.%Y", "1.2.2020", "2020-02-01T00:00:00.000Z"),
        ("%Y-%m-%d %H:%M:%S %:z", "2020-02-01 00:00:00 +02:00", "2020-01-31T22:00:00.000Z"),
        ("100%% %Y", "100% 2020", "2020-01-01T00:00:00.000Z"),
    ];
    for (format, text, expected) in cases {
        assert_eq!(utc(format, text), expected, "{format} on {text}");
    }
}

#[test]
fn numbers() {
    let unix = compile("UNIX", "", "").expect("a format");
    assert_eq!(unix.parse_number(1_478_207_457).map(iso), Some(iso(1_478_207_457_000_000_000)));
    assert_eq!(unix.parse_number(1_478_207_457.456), Some(1_478_207_457_456_000_000));
    assert_eq!(unix.parse_number(1_000_000_000_123), None);
    let unix_ms = compile("UNIX_MS", "", "").expect("a format");
    assert_eq!(unix_ms.parse_number(1_000_000_000_123), Some(1_000_000_000_123_000_000));
    let iso8601 = compile("ISO8601", "", "").expect("a format");
    assert_eq!(iso8601.parse_number(2020), None);
}

#[test]
fn errors_say_where_and_what() {
    let cases = [
        ("yyyy-mm-dd HH:mm:ss", 5, "did you mean `MM`"),
        ("yyyy-MM-DD", 8, "did you mean `dd`"),
        ("uuuu-MM-dd", 0, "did you mean `yyyy`"),
        ("yyyy-MM-dd'T'HH:mm:ssXXX", 21, "did you mean `ZZZ`"),
        ("yyyy-MM-ddTHH:mm:ss", 10, "did you mean `'T'`"),
        ("yyyy 'at HH", 5, "never closed"),
        ("é yyyy bb", 8, "quotes: 'bb'"),
        ("iso8601", 0, "did you mean `ISO8601`"),
        ("UNIX-MS", 0, "did you mean `UNIX_MS`"),
        ("", 0, "empty"),
        ("%Y-%m-%i", 6, "did you mean %M"),
        ("%Y %", 3, "no letter"),
    ];
    for (format, offset, part) in cases {
        let error = compile(format, "", "").expect_err(format);
        assert_eq!((error.part, error.offset), (ErrorPart::Format, offset), "{format}: {error}");
        assert!(error.to_string().contains(part), "{format}: {error}");
    }
    let error = compile("yyyy", "berlin", "").expect_err("no such zone");
    assert_eq!(error.part, ErrorPart::Timezone);
    assert!(error.to_string().contains("`Europe/Berlin`"), "{error}");
    assert!(compile("yyyy", "new york", "").expect_err("a blank").to_string().contains("New_York"));
    assert!(compile("yyyy", "qqq", "").is_err());
}
