//! Zone abbreviations inside a text: `EST`, `CEST`, `JST`.
//!
//! In: the bytes from the first letter on. Out: seconds east of Greenwich and how many bytes
//! were read.
//! Promises: an abbreviation stands for its offset whatever the season: `EST` in July is five
//! hours behind, as whoever wrote it said; case does not matter.
//! On failure: `None` for letters that mean nothing here or too many things.
//!
//! Source: Joda-Time `DateTimeUtils.getDefaultTimeZoneNames` for the North American ones (which
//! it takes for places with seasons); the tz database for the rest.

/// Abbreviations with one meaning only (or one that is far ahead of all others), in hours and
/// minutes east. Joda-Time takes the first eleven; the rest are what Ruby and syslog senders
/// write. `IST`, `CST` in China, `BST` in Bangladesh and the like stay out or keep Joda's sense.
const ABBREVIATIONS: [(&str, i32); 41] = [
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("EST", -500),
    ("EDT", -400),
    ("CST", -600),
    ("CDT", -500),
    ("MST", -700),
    ("MDT", -600),
    ("PST", -800),
    ("PDT", -700),
    ("Z", 0),
    ("WET", 0),
    ("WEST", 100),
    ("BST", 100),
    ("CET", 100),
    ("CEST", 200),
    ("MEZ", 100),
    ("MESZ", 200),
    ("EET", 200),
    ("EEST", 300),
    ("MSK", 300),
    ("TRT", 300),
    ("SAST", 200),
    ("PKT", 500),
    ("WIB", 700),
    ("HKT", 800),
    ("SGT", 800),
    ("AWST", 800),
    ("JST", 900),
    ("KST", 900),
    ("ACST", 930),
    ("ACDT", 1030),
    ("AEST", 1000),
    ("AEDT", 1100),
    ("NZST", 1200),
    ("NZDT", 1300),
    ("AKST", -900),
    ("AKDT", -800),
    ("HST", -1000),
    ("BRT", -300),
];

/// The zone abbreviation a text begins with as seconds east, and its length in bytes.
///
/// The whole run of letters must be one: `ESTX` begins with none.
pub fn parse(text: &[u8]) -> Option<(i32, usize)> {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = &text[..length];
    let (_, hhmm) =
        ABBREVIATIONS.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word))?;
    Some(((hhmm / 100 * 60 + hhmm % 100) * 60, length))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn letters_and_offsets() {
        assert_eq!(parse(b"EDT 2024"), Some((-14_400, 3)));
        assert_eq!(parse(b"acst"), Some((34_200, 4)));
        assert_eq!(parse(b"UTC"), Some((0, 3)));
        assert_eq!(parse(b"EDTX"), None);
        assert_eq!(parse(b"IST"), None);
        assert_eq!(parse(b"+02"), None);
        assert_eq!(parse(b""), None);
    }
}
