//! Signatures of Amazon's requests, version 4.
//!
//! In: a request, keys, a time. Out: the value of `Authorization`. Promises: nothing but its arguments decides it; the
//! secret key is never shown. On failure: nothing can fail.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use ring::{digest, hmac};

use crate::settings::Secret;
use crate::timestamp::iso8601_ms;

/// How we show who we are.
#[derive(Clone)]
pub(super) struct Keys {
    pub(super) access: String,
    pub(super) secret: Secret,
    /// That of keys which run out.
    pub(super) token: Option<Secret>,
}

/// What a signature holds for.
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// A request.
pub(super) struct Unsigned<'a> {
    pub(super) method: &'a str,
    /// As it is sent, encoded.
    pub(super) path: &'a str,
    /// What stands behind `?`, sorted and encoded.
    pub(super) query: &'a str,
    /// Names in lower case, sorted, and values.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// The digest of the body.
    pub(super) digest: &'a str,
}

/// `20150830T123600Z`.
pub(super) fn time(ns: i64) -> String {
    let written = iso8601_ms(ns);
    let whole = written.iter().take(19).filter(|b| b.is_ascii_digit() || **b == b'T');
    whole.map(|b| char::from(*b)).chain(['Z']).collect()
}

/// SHA-256 in hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    hexadecimal(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The value of `Authorization`; `time` as [`time`] writes it.
pub(super) fn authorization(
    request: &Unsigned<'_>,
    keys: &Keys,
    scope: &Scope<'_>,
    time: &str,
) -> String {
    let Scope { region, service } = scope;
    let day = time.get(..8).unwrap_or(time);
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let headers: String =
        request.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let Unsigned { method, path, query, digest: body, .. } = request;
    let canonical = format!("{method}\n{path}\n{query}\n{headers}\n{names}\n{body}");
    let canonical = digest(canonical.as_bytes());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
    let first = format!("AWS4{}", keys.secret.reveal());
    let parts = [day, region, service, "aws4_request", &text];
    let signature = parts.iter().fold(first.into_bytes(), |key, part| keyed(&key, part));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        keys.access,
        hexadecimal(&signature)
    )
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A path with all but letters, digits, `-._~` and `/` as `%XX`.
pub(super) fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn keys(access: &str, secret: &str) -> Keys {
        Keys { access: access.into(), secret: Secret::new(secret), token: None }
    }

    /// The published suite's `get-vanilla` and `post-vanilla`.
    #[test]
    fn signatures_are_those_of_the_published_suite() {
        let keys = keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let scope = Scope { region: "us-east-1", service: "service" };
        let time = time(1_440_938_160_000_000_000);
        assert_eq!(time, "20150830T123600Z");
        let headers = [("host", "example.amazonaws.com"), ("x-amz-date", &time)];
        for (method, signature) in [
            ("GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        ] {
            let request =
                Unsigned { method, path: "/", query: "", headers: &headers, digest: EMPTY };
            let wanted = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature={signature}"
            );
            assert_eq!(authorization(&request, &keys, &scope, &time), wanted);
        }
    }

    /// The example of S3's documentation, "GET Object".
    #[test]
    fn the_example_of_s3_has_its_signature() {
        let keys = keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let scope = Scope { region: "us-east-1", service: "s3" };
        let headers = [
            ("host", "examplebucket.s3.amazonaws.com"),
            ("range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY),
            ("x-amz-date", "20130524T000000Z"),
        ];
        let request = Unsigned {
            method: "GET",
            path: "/test.txt",
            query: "",
            headers: &headers,
            digest: &digest(b""),
        };
        let written = authorization(&request, &keys, &scope, "20130524T000000Z");
        let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        assert!(written.ends_with(signature), "{written}");
    }

    #[test]
    fn paths_are_encoded_but_for_their_slashes() {
        assert_eq!(encoded("a b/ü~.gz"), "a%20b/%C3%BC~.gz");
    }
}
