//! What a client speaks, told by its first bytes.
//!
//! In: the first bytes of a connection. Out: whether they are TLS or HTTP where neither was expected, so that the
//! message can say so. Promises: only exact forms are recognised. On failure: a form that is cut short is not.

use memchr::{memchr, memmem};

/// A TLS record of a handshake (RFC 8446, section 5.1).
pub(in crate::input) fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x16, 0x03, 0..=4, ..])
}

/// A request line (RFC 9112, section 3).
pub(in crate::input) fn is_http(bytes: &[u8]) -> bool {
    let end = memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = bytes[..end].trim_ascii_end();
    (line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") || line.ends_with(b" HTTP/2.0"))
        && memmem::find(line, b" ").is_some_and(|at| line[..at].iter().all(u8::is_ascii_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_forms_are_recognised() {
        assert!(is_tls(&[0x16, 3, 1, 2, 0, 1]));
        assert!(!is_tls(b"\x16 a line"));
        assert!(is_http(b"POST /ingest?x=1 HTTP/1.1\r\nHost: a\r\n"));
        assert!(!is_http(b"{\"line\":\"GET / HTTP/1.1\"}\n"));
        assert!(!is_http(b"1.2.3.4 - - \"GET / HTTP/1.1\n"));
    }
}
