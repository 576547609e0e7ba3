//! Numeric zone offsets inside a text: `Z`, `+02`, `+0200`, `+02:00`, `+02:00:30`.
//!
//! In: the bytes from the sign on. Out: seconds east of Greenwich and how many bytes were read.
//! Promises: takes what Joda-Time's `Z` and `ZZ` take: two digits an element, colons between
//! all elements or none; hours to 23, minutes and seconds to 59.
//! On failure: `None`, where there is no sign, an odd digit or a value out of range.
//!
//! Source: Joda-Time `DateTimeFormat` ("Z outputs offset without a colon, ZZ with"); both parse
//! either way. RFC 3339's U+2212 minus is taken too, since ISO 8601 asks for it.

const MINUS_SIGN: &[u8] = "\u{2212}".as_bytes();

/// Seconds east and bytes read; `Z` and `z` are 0.
#[inline]
pub fn parse(text: &[u8]) -> Option<(i32, usize)> {
    let (negative, sign) = match text.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => (false, 1),
        b'-' => (true, 1),
        _ if text.starts_with(MINUS_SIGN) => (true, MINUS_SIGN.len()),
        _ => return None,
    };
    let mut at = sign;
    let mut seconds = two_digits(text, at, 23)? * 3600;
    at += 2;
    let colons = text.get(at) == Some(&b':');
    for unit in [60, 1] {
        let start = at + usize::from(colons);
        let more = text.get(at).is_some_and(|byte| colons || byte.is_ascii_digit());
        if !more || (colons && text.get(at) != Some(&b':')) {
            break;
        }
        seconds += two_digits(text, start, 59)? * unit;
        at = start + 2;
    }
    Some((if negative { -seconds } else { seconds }, at))
}

#[inline]
fn two_digits(text: &[u8], at: usize, max: i32) -> Option<i32> {
    let pair = text.get(at..at + 2)?;
    let (tens, ones) = (pair[0].wrapping_sub(b'0'), pair[1].wrapping_sub(b'0'));
    let value = i32::from(tens) * 10 + i32::from(ones);
    (tens < 10 && ones < 10 && value <= max).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn all_forms() {
        assert_eq!(parse(b"Z"), Some((0, 1)));
        assert_eq!(parse(b"+02"), Some((7200, 3)));
        assert_eq!(parse(b"-0800 x"), Some((-28_800, 5)));
        assert_eq!(parse(b"+05:30]"), Some((19_800, 6)));
        assert_eq!(parse(b"+01:02:03"), Some((3723, 9)));
        assert_eq!(parse(b"-010203"), Some((-3723, 7)));
        assert_eq!(parse("\u{2212}03:00".as_bytes()), Some((-10_800, 8)));
        assert_eq!(parse(b"+23:59"), Some((86_340, 6)));
    }

    #[test]
    fn what_is_none() {
        for text in ["", "+", "+1", "02:00", "+24:00", "+02:60", "+02:", "+02:3", "+020", "x"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
