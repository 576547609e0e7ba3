//! When a certificate is valid.
//!
//! In: a certificate in DER (ITU-T X.690). Out: its validity (RFC 5280, section 4.1.2.5), and a date as text.
//! Promises: reads any bytes without a panic. On failure: `None`.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The two ends, seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    /// Not valid before.
    pub not_before_s: i64,
    /// Not valid after.
    pub not_after_s: i64,
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The validity of a certificate.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let outer = element(certificate, Some(SEQUENCE))?;
    let body = element(outer.content, Some(SEQUENCE))?;
    // Version (optional), serial number, signature algorithm, issuer, then the validity.
    let mut rest = body.content;
    let first = element(rest, None)?;
    if first.tag == VERSION {
        rest = first.rest;
    }
    for _ in 0..3 {
        rest = element(rest, None)?.rest;
    }
    let validity = element(rest, Some(SEQUENCE))?;
    let start = element(validity.content, None)?;
    let end = element(start.rest, None)?;
    Some(Validity { not_before_s: time(&start)?, not_after_s: time(&end)? })
}

/// A date such as `2026-05-01`.
pub(super) fn text(seconds: i64) -> String {
    Timestamp::from_second(seconds)
        .map_or_else(|_| "an impossible date".into(), |t| t.strftime("%Y-%m-%d").to_string())
}

fn element(bytes: &[u8], tag: Option<u8>) -> Option<Element<'_>> {
    let (found, length) = (*bytes.first()?, *bytes.get(1)?);
    if tag.is_some_and(|tag| tag != found) {
        return None;
    }
    let (head, length) = if length < 0x80 {
        (2, usize::from(length))
    } else {
        let count = usize::from(length & 0x7f);
        let digits = bytes.get(2..2 + count)?;
        if count == 0 || count > 4 {
            return None;
        }
        (2 + count, digits.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let end = head + length;
    Some(Element { tag: found, content: bytes.get(head..end)?, rest: &bytes[end..] })
}

fn time(element: &Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i16 = text[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let two = |at: usize| rest[at..at + 2].parse::<i8>().ok();
    let moment = DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some(moment.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}
