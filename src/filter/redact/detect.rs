//! Known kinds of secrets.
//!
//! In: a text. Out: where secrets of a kind stand. Promises: linear time; each kind says by what a
//! text that can hold one is told from others.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::checksum::{find_cards, find_ibans, may_hold_card};
use super::entropy;
use super::numbers::{find_ipv6, is_phone, may_hold_ipv6};
use super::ranges::Secret;

/// The name of the detector of payment cards.
pub(super) const CREDIT_CARD: &str = "credit_card";
/// The name of the detector of strings of chance.
pub(super) const HIGH_ENTROPY: &str = "high_entropy";

/// The detectors' names.
pub(super) const NAMES: &[&str] = &[
    "aws_key",
    "basic_auth",
    "bearer",
    CREDIT_CARD,
    "email",
    "gcp_key",
    "github_token",
    HIGH_ENTROPY,
    "iban",
    "ipv4",
    "ipv6",
    "jwt",
    "phone",
    "private_key",
    "slack_token",
    "stripe_key",
    "url_credentials",
];

/// One kind of secret.
pub(super) struct Detector {
    pub(super) name: &'static str,
    /// A pattern that finds the beginning of every secret of the kind; `None`: see `may_be_in`.
    pub(super) marker: Option<&'static str>,
    how: How,
}

enum How {
    /// The group `secret` of the pattern, or the whole match; only where the check agrees.
    Pattern(&'static LazyLock<Regex>, fn(&[u8], &std::ops::Range<usize>) -> bool),
    Cards,
    Ibans,
    Ipv6,
    Entropy,
}

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new($text).expect("a pattern of the source is checked by a test")
        });
    };
}

// AWS: "Understanding unique ID prefixes"; a secret key is known only by the name before it.
pattern!(
    AWS_KEY,
    concat!(
        r"(?-u)(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA)[A-Z0-9]{16,}",
        r#"|(?i:aws[-_]?(?:secret|session)[-_a-z]{0,24})(?:[\\"'\s=:>]|%3[AaDd]|%2[027]){1,12}"#,
        r"(?P<secret>(?:[A-Za-z0-9/+=]|%2[BbFf]|%3[Dd]){40,})",
    )
);
pattern!(
    BEARER,
    r"(?-u)(?i:bearer)(?:[ \t]|%20|\+|:|=)+(?P<secret>(?:[A-Za-z0-9._~+/=-]|%2[BbFf]|%3[Dd]){8,})"
);
// RFC 7617: user and password with a colon between them, in base64.
pattern!(
    BASIC_AUTH,
    r"(?-u)(?i:basic)(?:[ \t]|%20|\+|:|=)+(?P<secret>(?:[A-Za-z0-9+/=_-]|%2[BbFf]|%3[Dd]){6,})"
);
// Google Cloud: "API keys", "OAuth 2.0"; the id of a service account's key beside it is no secret.
pattern!(
    GCP_KEY,
    r"(?-u)AIza[A-Za-z0-9_-]{35,}|GOCSPX-[A-Za-z0-9_-]{20,}|ya29\.[A-Za-z0-9._-]{20,}"
);
// Stripe: "API keys", "Webhook signatures".
pattern!(STRIPE_KEY, r"(?-u)(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{16,}");
// ITU-T E.164 with its `+` or `00`, or the groups of the North American plan.
pattern!(
    PHONE,
    concat!(
        r"(?-u)(?:\+|%2[Bb])[1-9](?:(?:[ ().\-/]|%20){0,2}[0-9]){6,14}",
        r"|00[1-9][0-9]{0,2}(?:(?:[ \-/]|%20)\(?[0-9]{2,}\)?){2,4}",
        r"|(?:\([2-9][0-9]{2}\)(?: |%20)?|[2-9][0-9]{2}(?:[ .\-]|%20))[2-9][0-9]{2}(?:[ .\-]|%20)[0-9]{4}",
    )
);
pattern!(
    EMAIL,
    concat!(
        r"(?-u)[A-Za-z0-9._%+\-\x80-\xff]+(?:@|%40)",
        r"[A-Za-z0-9\-\x80-\xff]+(?:\.[A-Za-z0-9\-\x80-\xff]+)+",
    )
);
// GitHub: "Behind GitHub's new authentication token formats".
pattern!(GITHUB_TOKEN, r"(?-u)gh[pousr]_[A-Za-z0-9_]{16,}|github_pat_[A-Za-z0-9_]{16,}");
pattern!(
    IPV4,
    concat!(
        r"(?-u)(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])",
        r"(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}",
    )
);
// RFC 7519: the header is a JSON object, whose `{"` is `eyJ` in base64url.
pattern!(JWT, r"(?-u)eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}");
// RFC 7468, RFC 9580; a key that is cut off takes the rest of the text.
pattern!(
    PRIVATE_KEY,
    concat!(
        r"(?s-u)-----BEGIN(?:[A-Z0-9 +]|%20)+PRIVATE(?:[ +]|%20)KEY(?:(?:[ +]|%20)BLOCK)?-----.*?",
        r"(?:-----END(?:[A-Z0-9 +]|%20)+PRIVATE(?:[ +]|%20)KEY(?:(?:[ +]|%20)BLOCK)?-----|\z)",
    )
);
// Slack: "Token types", "Sending messages using incoming webhooks".
pattern!(
    SLACK_TOKEN,
    concat!(
        r"(?-u)(?:xox[a-z](?:\.xox[a-z])?-|xapp-)[A-Za-z0-9-]{8,}",
        r"|hooks\.slack(?:-gov)?\.com\\?/[a-z]+\\?/(?P<secret>[A-Za-z0-9/\\_-]{8,})",
    )
);
// RFC 3986, 3.2.1: the password behind the user's name, or a long name alone, which is a token.
pattern!(
    URL_CREDENTIALS,
    concat!(
        r#"(?-u)(?::(?:\\*/){2}(?:[^\s/:@"'<>]*:(?P<secret>[^\s/"'<>]+)"#,
        r#"|(?P<token>[^\s/:@"'<>]{16,}))@"#,
        // The same within another URL.
        r"|%3[Aa](?:%2[Ff]){2}(?:[A-Za-z0-9._~-])*%3[Aa](?P<encoded>(?:[A-Za-z0-9._~!-]|%[0-9A-Fa-f]{2})+?)%40)",
    )
);

static DETECTORS: &[Detector] = &[
    Detector {
        name: "aws_key",
        marker: Some("AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AIPA|ANPA|ANVA|APKA|AROA|ASCA|(?i:aws[-_]?se)"),
        how: How::Pattern(&AWS_KEY, always),
    },
    Detector {
        name: "basic_auth",
        marker: Some("(?i:basic)"),
        how: How::Pattern(&BASIC_AUTH, is_login),
    },
    Detector { name: "bearer", marker: Some("(?i:bearer)"), how: How::Pattern(&BEARER, token) },
    Detector { name: CREDIT_CARD, marker: None, how: How::Cards },
    Detector { name: "email", marker: None, how: How::Pattern(&EMAIL, always) },
    Detector {
        name: "gcp_key",
        marker: Some(r"AIza|GOCSPX-|ya29\."),
        how: How::Pattern(&GCP_KEY, always),
    },
    Detector {
        name: "github_token",
        marker: Some("gh[pousr]_|github_pat_"),
        how: How::Pattern(&GITHUB_TOKEN, always),
    },
    Detector { name: HIGH_ENTROPY, marker: None, how: How::Entropy },
    Detector { name: "iban", marker: None, how: How::Ibans },
    Detector { name: "ipv4", marker: None, how: How::Pattern(&IPV4, alone) },
    Detector { name: "ipv6", marker: None, how: How::Ipv6 },
    Detector { name: "jwt", marker: Some("eyJ"), how: How::Pattern(&JWT, always) },
    Detector { name: "phone", marker: None, how: How::Pattern(&PHONE, is_phone) },
    Detector {
        name: "private_key",
        marker: Some("-----BEGIN"),
        how: How::Pattern(&PRIVATE_KEY, always),
    },
    Detector {
        name: "slack_token",
        marker: Some(r"xox[a-z]|xapp-|hooks\.slack"),
        how: How::Pattern(&SLACK_TOKEN, always),
    },
    Detector {
        name: "stripe_key",
        marker: Some("[srp]k_live_|[srp]k_test_|whsec_"),
        how: How::Pattern(&STRIPE_KEY, always),
    },
    Detector {
        name: "url_credentials",
        marker: Some(r":\\*/\\*/|%3[Aa]%2[Ff]%2[Ff]"),
        how: How::Pattern(&URL_CREDENTIALS, always),
    },
];

/// The detector of this name.
pub(super) fn find(name: &str) -> Option<&'static Detector> {
    DETECTORS.iter().find(|detector| detector.name == name)
}

impl Detector {
    /// Whether the text can hold such a secret; for the kinds without a marker.
    pub(super) fn may_be_in(&self, text: &[u8]) -> bool {
        match (&self.how, self.name) {
            (How::Cards, _) => may_hold_card(text),
            (How::Ibans, _) => text.len() >= 15,
            (How::Ipv6, _) => may_hold_ipv6(text),
            (How::Entropy, _) => entropy::may_be_in(text),
            (_, "phone") => text.iter().filter(|b| b.is_ascii_digit()).count() >= 7,
            (_, "email") => {
                memchr::memchr(b'@', text).is_some() || memchr::memmem::find(text, b"%40").is_some()
            }
            _ => text.len() >= 7 && memchr::memchr(b'.', text).is_some(),
        }
    }

    /// Finds secrets of this kind.
    pub(super) fn find(&self, text: &[u8], secrets: &mut Vec<Secret>) {
        let (pattern, agrees) = match &self.how {
            How::Cards => return find_cards(text, secrets),
            How::Ibans => return find_ibans(text, secrets),
            How::Ipv6 => return find_ipv6(text, secrets),
            How::Entropy => return entropy::find(text, secrets),
            How::Pattern(pattern, agrees) => (pattern, agrees),
        };
        if pattern.captures_len() == 1 {
            let found = pattern.find_iter(text).map(|found| found.range());
            secrets.extend(found.filter(|span| agrees(text, span)).map(Secret::plain));
            return;
        }
        for captures in pattern.captures_iter(text) {
            let part = captures.name("secret").or(captures.name("token"));
            let part = part.or(captures.name("encoded")).or(captures.get(0));
            if let Some(span) = part.map(|part| part.range()).filter(|span| agrees(text, span)) {
                secrets.push(Secret::plain(span));
            }
        }
    }
}

fn always(_: &[u8], _: &std::ops::Range<usize>) -> bool {
    true
}

/// Not a word of a sentence about bearers: it is long, or has digits, signs or capitals within.
fn token(text: &[u8], span: &std::ops::Range<usize>) -> bool {
    let word = &text[span.clone()];
    let inner = &word[1..word.len() - 1];
    word.len() >= 20 || inner.iter().any(|b| !b.is_ascii_lowercase())
}

/// Base64, perhaps URL-encoded, of a text with a colon, which no word behind "basic" is.
fn is_login(text: &[u8], span: &std::ops::Range<usize>) -> bool {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut rest = &text[span.clone()];
    while let Some((first, after)) = rest.split_first() {
        let (letter, after) = match (first, after) {
            (b'%', [b'2', b'B' | b'b', after @ ..]) => (b'+', after),
            (b'%', [b'2', b'F' | b'f', after @ ..]) => (b'/', after),
            (b'%' | b'=', _) => return false,
            (letter, after) => (*letter, after),
        };
        rest = after;
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            match (bits >> count) as u8 {
                b':' => return true,
                0..b' ' => return false,
                _ => {}
            }
        }
    }
    false
}

/// Not a part of a longer row of numbers, such as a version.
fn alone(text: &[u8], span: &std::ops::Range<usize>) -> bool {
    let digit = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_digit);
    let dot = |at: Option<usize>| at.and_then(|at| text.get(at)) == Some(&b'.');
    let (one, two) = (span.start.checked_sub(1), span.start.checked_sub(2));
    let before = digit(one) || (dot(one) && digit(two));
    let after = digit(Some(span.end)) || (dot(Some(span.end)) && digit(Some(span.end + 1)));
    !before && !after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_detector_whose_pattern_compiles() {
        for name in NAMES {
            let detector = find(name).expect(name);
            detector.find(b"nothing here", &mut Vec::new());
        }
        assert_eq!(NAMES.len(), DETECTORS.len());
    }
}
