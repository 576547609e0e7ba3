//! A user and a password as a header of HTTP.
//!
//! In: both. Out: the value of `Authorization` (RFC 7617). Promises: nothing is shown. On failure: nothing can fail.

use super::Secret;

/// `Basic …`.
pub fn basic_authorization(user: &str, password: &Secret) -> String {
    format!("Basic {}", base64(format!("{user}:{}", password.reveal()).as_bytes()))
}

/// Base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for letter in 0..4 {
            let used = letter <= three.len();
            let index = (bits >> (18 - 6 * letter)) as usize & 63;
            out.push(if used { LETTERS[index] as char } else { '=' });
        }
    }
    out
}

/// What Base64 stands for, with or without padding. `None`: it is none.
pub fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_as_in_rfc_4648() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in pairs {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(basic_authorization("u", &Secret::new("p")), "Basic dTpw");
    }
}
