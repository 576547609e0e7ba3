//! Digests of texts: plain (FIPS 180-4, RFC 1321) or keyed (HMAC, RFC 2104), and how they are written.
//!
//! In: bytes. Out: at most 64 bytes, or their hexadecimal or base64 text (RFC 4648). Promises: nothing is allocated;
//! the key is prepared once. On failure: nothing can fail.

use md5::{Digest as _, Md5};
use ring::{digest, hmac};

/// Bytes of the longest digest.
const DIGEST_BYTES_MAX: usize = 64;
/// Bytes of one block of MD5.
const MD5_BLOCK_BYTES: usize = 64;

/// Which digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

/// A digest, with its key where it has one.
pub(super) enum Digester {
    Plain(&'static digest::Algorithm),
    Keyed(hmac::Key),
    Md5,
    /// States after the inner and the outer block of the key.
    KeyedMd5(Box<(Md5, Md5)>),
}

/// The bytes of a digest.
#[derive(Clone, Copy)]
pub(super) struct Digested {
    bytes: [u8; DIGEST_BYTES_MAX],
    length: usize,
}

/// The names that settings give them.
pub(super) const ALGORITHMS: [(&str, Algorithm); 5] = [
    ("SHA1", Algorithm::Sha1),
    ("SHA256", Algorithm::Sha256),
    ("SHA384", Algorithm::Sha384),
    ("SHA512", Algorithm::Sha512),
    ("MD5", Algorithm::Md5),
];

impl Digester {
    /// A digest; keyed where a key is given.
    pub(super) fn new(algorithm: Algorithm, key: Option<&[u8]>) -> Digester {
        let (plain, keyed) = match algorithm {
            Algorithm::Md5 => {
                return match key {
                    None => Digester::Md5,
                    Some(key) => Digester::KeyedMd5(Box::new(md5_states(key))),
                };
            }
            Algorithm::Sha1 => {
                (&digest::SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)
            }
            Algorithm::Sha256 => (&digest::SHA256, hmac::HMAC_SHA256),
            Algorithm::Sha384 => (&digest::SHA384, hmac::HMAC_SHA384),
            Algorithm::Sha512 => (&digest::SHA512, hmac::HMAC_SHA512),
        };
        match key {
            None => Digester::Plain(plain),
            Some(key) => Digester::Keyed(hmac::Key::new(keyed, key)),
        }
    }

    /// The digest of these bytes.
    pub(super) fn digest(&self, data: &[u8]) -> Digested {
        match self {
            Digester::Plain(algorithm) => Digested::of(digest::digest(algorithm, data).as_ref()),
            Digester::Keyed(key) => Digested::of(hmac::sign(key, data).as_ref()),
            Digester::Md5 => Digested::of(&Md5::digest(data)),
            Digester::KeyedMd5(states) => {
                let (inner, outer) = (states.0.clone(), states.1.clone());
                Digested::of(&outer.chain_update(inner.chain_update(data).finalize()).finalize())
            }
        }
    }
}

/// MD5 after the padded key, as HMAC begins its inner and its outer digest.
fn md5_states(key: &[u8]) -> (Md5, Md5) {
    let mut block = [0; MD5_BLOCK_BYTES];
    if key.len() > MD5_BLOCK_BYTES {
        let short = Md5::digest(key);
        block[..short.len()].copy_from_slice(&short);
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |with: u8| Md5::new_with_prefix(block.map(|byte| byte ^ with));
    (padded(0x36), padded(0x5c))
}

impl Digested {
    fn of(found: &[u8]) -> Digested {
        let mut bytes = [0; DIGEST_BYTES_MAX];
        bytes[..found.len()].copy_from_slice(found);
        Digested { bytes, length: found.len() }
    }

    /// The bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Appends bytes as hexadecimal digits in lower case.
pub(super) fn write_hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Appends bytes as base64 with padding.
pub(super) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= group.len() { letter } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(algorithm: Algorithm, key: Option<&str>, text: &str) -> String {
        let mut out = Vec::new();
        let digested = Digester::new(algorithm, key.map(str::as_bytes)).digest(text.as_bytes());
        write_hex(digested.bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn digests_are_those_of_the_standards() {
        // FIPS 180-4's and RFC 1321's own examples.
        assert_eq!(hex(Algorithm::Md5, None, "abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex(Algorithm::Sha1, None, "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            hex(Algorithm::Sha256, None, "abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(
            hex(Algorithm::Sha384, None, "abc").starts_with("cb00753f45a35e8bb5a03d699ac65007")
        );
        assert!(
            hex(Algorithm::Sha512, None, "abc").starts_with("ddaf35a193617abacc417349ae204131")
        );
    }

    #[test]
    fn keyed_digests_are_those_of_the_standards() {
        // The second test case of RFC 2202 and RFC 4231.
        let keyed = |algorithm| hex(algorithm, Some("Jefe"), "what do ya want for nothing?");
        assert_eq!(keyed(Algorithm::Md5), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(keyed(Algorithm::Sha1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert!(keyed(Algorithm::Sha256).starts_with("5bdcc146bf60754e6a042426089575c7"));
        assert!(keyed(Algorithm::Sha384).starts_with("af45d2e376484031617f78d2b58a6b1b"));
        assert!(keyed(Algorithm::Sha512).starts_with("164b7a7bfcf819e2e395fbe73b56e0a3"));
        // The sixth one of RFC 2202: a key longer than a block.
        let long = "\u{aa}".repeat(80).chars().map(|c| c as u8).collect::<Vec<u8>>();
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let mut out = Vec::new();
        write_hex(Digester::new(Algorithm::Md5, Some(&long)).digest(text).bytes(), &mut out);
        assert_eq!(out, b"6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (text, expected) in pairs {
            let mut out = Vec::new();
            write_base64(text.as_bytes(), &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }
}
