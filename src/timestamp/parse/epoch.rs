//! Counts since the epoch: `UNIX`, `UNIX_MS` and `TAI64N`.
//!
//! In: a text or a number. Out: nanoseconds since 1970-01-01T00:00:00Z.
//! Promises: every digit down to the nanosecond is kept in texts, microseconds in floats.
//! On failure: `None`: another character, or a value out of range. `UNIX` ends at 2^31 - 1
//! seconds (January 2038) as in Logstash: that is how `["UNIX", "UNIX_MS"]` tells the two apart.
//!
//! Source: Logstash date filter documentation; <https://cr.yp.to/libtai/tai64.html>.

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;
/// The last second `UNIX` takes.
const MAX_UNIX: i64 = i32::MAX as i64;
/// What TAI is ahead of UTC by at the epoch, which TAI64 labels of log writers
/// (multilog, s6-log) add and never correct for later leap seconds.
const TAI_AHEAD: i64 = 10;

/// Seconds, with or without a fraction after a point.
pub fn unix_text(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    let point = digits.iter().position(|&byte| byte == b'.');
    let seconds = integer(&digits[..point.unwrap_or(digits.len())])?;
    let nanos = point.map_or(Some(0), |point| fraction(&digits[point + 1..]))?;
    let value = seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)?;
    if negative {
        return Some(-value);
    }
    (seconds <= MAX_UNIX).then_some(value)
}

/// Whole seconds.
pub fn unix_integer(seconds: i64) -> Option<i64> {
    if seconds > MAX_UNIX { None } else { seconds.checked_mul(NANOS_PER_SECOND) }
}

/// Seconds with a fraction, to the microsecond: a float of today's size holds no more.
pub fn unix_float(seconds: f64) -> Option<i64> {
    if !seconds.is_finite() || seconds.trunc() > MAX_UNIX as f64 {
        return None;
    }
    in_range((seconds * 1e6).round() * 1e3)?;
    ((seconds * 1e6).round() as i64).checked_mul(1_000)
}

/// Whole milliseconds, as Logstash: a text with a fraction is left to `UNIX`.
pub fn unix_ms_text(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    let value = integer(digits)?.checked_mul(NANOS_PER_MILLI)?;
    Some(if negative { -value } else { value })
}

/// Whole milliseconds.
pub fn unix_ms_integer(millis: i64) -> Option<i64> {
    millis.checked_mul(NANOS_PER_MILLI)
}

/// Milliseconds with a fraction, to the microsecond.
pub fn unix_ms_float(millis: f64) -> Option<i64> {
    in_range(millis * 1e6)?;
    ((millis * 1e3).round() as i64).checked_mul(1_000)
}

/// `@4000000050d506482dbdf024`, the `@` being optional.
pub fn tai64n(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"@").unwrap_or(text);
    if digits.len() != 24 {
        return None;
    }
    let label = hexadecimal(&digits[..16])?;
    let nanos = i64::try_from(hexadecimal(&digits[16..])?).ok()?;
    if nanos >= NANOS_PER_SECOND || label >= 1 << 63 {
        return None;
    }
    // 2^62 is the second that began 1970 in TAI; labels below it lie before.
    let seconds = label as i64 - (1 << 62) - TAI_AHEAD;
    seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(nanos)
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn integer(digits: &[u8]) -> Option<i64> {
    // 18 digits cannot overflow; no epoch in range needs more.
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    digits.iter().try_fold(0_i64, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + i64::from(digit))
    })
}

/// Digits after the point as nanoseconds; digits past the ninth are checked and dropped.
fn fraction(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut unit = NANOS_PER_SECOND;
    let mut value = 0;
    for digit in digits.iter().take(9) {
        unit /= 10;
        value += i64::from(digit - b'0') * unit;
    }
    Some(value)
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value << 4 | u64::from(digit))
    })
}

/// `Some` where a float of nanoseconds fits into an `i64`.
fn in_range(nanos: f64) -> Option<()> {
    (nanos.is_finite() && nanos.abs() < i64::MAX as f64).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix() {
        assert_eq!(unix_text(b"0"), Some(0));
        assert_eq!(unix_text(b"1350414944.123456"), Some(1_350_414_944_123_456_000));
        assert_eq!(unix_text(b"1350414944.1234567891"), Some(1_350_414_944_123_456_789));
        assert_eq!(unix_text(b"-1.5"), Some(-1_500_000_000));
        assert_eq!(unix_text(b"2147483647"), Some(2_147_483_647_000_000_000));
        assert_eq!(unix_text(b"2147483648"), None);
        assert_eq!(unix_integer(1_000_000_000_123), None);
        assert_eq!(unix_float(1_478_207_457.456), Some(1_478_207_457_456_000_000));
        for bad in ["", "-", ".5", "1.", "1.x", "%{bad_value}", "1e3", "12 ", "1.2.3"] {
            assert_eq!(unix_text(bad.as_bytes()), None, "{bad}");
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300] {
            assert_eq!(unix_float(bad), None);
            assert_eq!(unix_ms_float(bad), None);
        }
    }

    #[test]
    fn unix_ms() {
        assert_eq!(unix_ms_text(b"1000000000123"), Some(1_000_000_000_123_000_000));
        assert_eq!(unix_ms_text(b"-1"), Some(-1_000_000));
        assert_eq!(unix_ms_text(b"1478207457.456"), None);
        assert_eq!(unix_ms_text(b"99999999999999999999"), None);
        assert_eq!(unix_ms_integer(i64::MAX), None);
        assert_eq!(unix_ms_float(456.5), Some(456_500_000));
    }

    #[test]
    fn tai() {
        assert_eq!(tai64n(b"4000000050d506482dbdf024"), Some(1_356_138_046_767_422_500));
        assert_eq!(tai64n(b"@4000000050d506482dbdf024"), Some(1_356_138_046_767_422_500));
        for bad in ["", "@", "4000000050d506482dbdf0", "4000000050d50648ffffffff", "x"] {
            assert_eq!(tai64n(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(tai64n(b"ffffffffffffffff00000000"), None);
        assert_eq!(tai64n(b"000000000000000000000000"), None);
    }
}
