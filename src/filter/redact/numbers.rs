//! Numbers and addresses that are told by their form: telephone numbers, IPv6.
//!
//! In: a text. Out: where they stand. Promises: linear time; what stands within a longer word or number is none.
//! A number without a country (ITU-T E.164: `+` or `00`) counts only in the groups of North America; an address of
//! RFC 4291 may be URL-encoded.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::ranges::Secret;

/// The most characters of an address, URL-encoded.
const ADDRESS_BYTES_MAX: usize = 64;

/// Whether a match of the pattern of telephone numbers stands by itself, and has as many digits as one.
pub(super) fn is_phone(text: &[u8], span: &Range<usize>) -> bool {
    let before = span.start.checked_sub(1).map(|at| text[at]);
    let joined =
        before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    // `%2B` and the like end with a letter or a digit; what stands before the percent sign counts.
    let encoded = span.start >= 3 && text[span.start - 3] == b'%';
    let after = text.get(span.end).is_some_and(u8::is_ascii_alphanumeric);
    let number =
        text[span.clone()].strip_prefix(b"%2").map_or(&text[span.clone()], |rest| &rest[1..]);
    let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
    (!joined || encoded) && !after && (7..=17).contains(&digits)
}

/// Finds IPv6 addresses.
pub(super) fn find_ipv6(text: &[u8], secrets: &mut Vec<Secret>) {
    let mut at = 0;
    while let Some(start) = (at..text.len()).find(|at| unit(text, *at).is_some()) {
        let mut end = start;
        while let Some(length) = unit(text, end) {
            end += length;
        }
        let joined = start.checked_sub(1).is_some_and(|before| is_word(text[before]));
        if !joined && let Some(length) = address(text, start..end) {
            secrets.push(Secret::plain(start..start + length));
        }
        at = end;
    }
}

/// Whether a text can hold an address: two colons.
pub(super) fn may_hold_ipv6(text: &[u8]) -> bool {
    memchr::memchr_iter(b':', text).nth(1).is_some()
        || memchr::memmem::find(text, b"%3A").is_some()
        || memchr::memmem::find(text, b"%3a").is_some()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The length of a digit, colon or point of an address here.
fn unit(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b':' | b'.' => Some(1),
        b if b.is_ascii_hexdigit() => Some(1),
        b'%' if text[at..].starts_with(b"%3A") || text[at..].starts_with(b"%3a") => Some(3),
        _ => None,
    }
}

/// The length of the longest address that begins here and ends where it may end.
fn address(text: &[u8], run: Range<usize>) -> Option<usize> {
    let mut plain = Vec::with_capacity(ADDRESS_BYTES_MAX);
    let mut at = run.start;
    while at < run.end && plain.len() < ADDRESS_BYTES_MAX {
        let length = unit(text, at)?;
        plain.push(if length == 3 { b':' } else { text[at] });
        at += length;
    }
    if at < run.end || text.get(at).is_some_and(|b| is_word(*b)) {
        return None;
    }
    // A point or a colon behind it belongs to the sentence.
    let mut cut = 0;
    loop {
        let candidate = std::str::from_utf8(&plain[..plain.len() - cut]).ok()?;
        if candidate.parse::<Ipv6Addr>().is_ok() && is_meant(candidate) {
            return Some(at - run.start - cut);
        }
        let last = plain.len().checked_sub(cut + 1)?;
        if !matches!(plain[last], b'.' | b':') || text[at - cut - 1] != plain[last] {
            return None;
        }
        cut += 1;
    }
}

/// Not a name such as `a::b` of a program's text.
fn is_meant(address: &str) -> bool {
    let colons = address.bytes().filter(|b| *b == b':').count();
    address.len() > 2
        && (colons >= 4
            || address.starts_with("::")
            || address.split(':').any(|group| group.len() >= 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv6(text: &str) -> Vec<&str> {
        let mut secrets = Vec::new();
        if may_hold_ipv6(text.as_bytes()) {
            find_ipv6(text.as_bytes(), &mut secrets);
        }
        secrets.iter().map(|secret| &text[secret.span.clone()]).collect()
    }

    #[test]
    fn addresses_are_told_from_times_and_names() {
        assert_eq!(ipv6("from [2001:db8::1]:443 to ::1."), ["2001:db8::1", "::1"]);
        assert_eq!(ipv6("fe80::1ff:fe23:4567:890a%eth0"), ["fe80::1ff:fe23:4567:890a"]);
        assert_eq!(ipv6("::ffff:192.0.2.7: refused"), ["::ffff:192.0.2.7"]);
        assert_eq!(ipv6("q=2001%3Adb8%3a%3A1&x"), ["2001%3Adb8%3a%3A1"]);
        assert_eq!(ipv6("2001:db8:1:2:3:4:5:6"), ["2001:db8:1:2:3:4:5:6"]);
        let none: [&str; 0] = [];
        for text in [
            "10:11:12",
            "00:1a:2b:3c:4d:5e",
            "std::fs",
            "a::b",
            "Foo::Bar",
            "a: b: c",
            "::",
            "x2001:db8::1",
        ] {
            assert_eq!(ipv6(text), none, "{text}");
        }
    }
}
