//! An access log in the common or combined format (Apache HTTP Server, "Log Files"; nginx' `combined`).
//!
//! In: `HOST IDENT USER [time] "METHOD PATH PROTOCOL" STATUS SIZE "referer" "agent"`, perhaps with the seconds that the
//! request took behind it, as nginx' `$request_time` is usually written. Out: an entry. On failure: `None`.

use memchr::memchr;

use super::{Entry, Text};
use crate::timestamp::DateFormat;

pub(super) fn read<'a>(line: &'a [u8], format: &DateFormat) -> Option<Entry<'a>> {
    let open = memchr(b'[', line)?;
    let close = open + memchr(b']', &line[open..])?;
    let client = line[..open].split(|b| *b == b' ').next().filter(|c| !c.is_empty())?;
    let time_ns = format.parse(&line[open + 1..close], 0)?;
    let rest = line[close..].strip_prefix(b"] \"")?;
    let end = memchr(b'"', rest)?;
    // What is no request (a TLS greeting on a plain port) has no method and no path.
    let mut words = rest[..end].split(|b| *b == b' ');
    let (method, path) = (words.next()?, words.next().unwrap_or_default());
    let is_request = method.iter().all(u8::is_ascii_uppercase) && !path.is_empty();
    let (method, path) = if is_request { (method, path) } else { (&b""[..], &b"(no request)"[..]) };
    let after = rest[end + 1..].strip_prefix(b" ")?;
    let status: u16 = std::str::from_utf8(after.get(..3)?).ok()?.parse().ok()?;
    let last = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
    let seconds = std::str::from_utf8(last).ok().filter(|t| t.contains('.'));
    let seconds: Option<f64> = seconds.and_then(|t| t.parse().ok());
    Some(Entry {
        time_ns: Some(time_ns),
        method: Text::plain(method),
        path: Text::plain(path),
        status,
        duration_ms: seconds.filter(|s| s.is_finite() && *s >= 0.0).map(|s| s * 1e3),
        client: Text::plain(client),
        ..Entry::default()
    })
}
