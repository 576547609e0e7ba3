//! Instants to text: placeholder until the full module lands.

/// Writes nanoseconds since the epoch as `2026-11-22T01:02:03.004Z` (RFC 3339, milliseconds, UTC).
pub fn write_iso8601_ms(ns: i64, out: &mut Vec<u8>) {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    out.extend_from_slice(format!("{stamp:.3}").as_bytes());
}

/// Reads an ISO 8601 instant, UTC where no zone is written.
pub fn parse_iso8601(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let stamp: jiff::Timestamp = text.parse().ok()?;
    i64::try_from(stamp.as_nanosecond()).ok()
}
