//! Instants to text: placeholder until the full module lands.

/// Writes nanoseconds since the epoch as `2026-11-22T01:02:03.004Z` (RFC 3339, milliseconds, UTC).
pub fn write_iso8601_ms(ns: i64, out: &mut Vec<u8>) {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or_default();
    out.extend_from_slice(format!("{stamp:.3}").as_bytes());
}
