//! Who may ask the admin server for what.
//!
//! In: the address that it listens on, perhaps a token, and a request's headers. Out: whether it is answered.
//! Promises: with a token everything but `/health` and `/ready` needs it, as `Authorization: Bearer TOKEN` or as the
//! password of basic authentication (browsers ask for it); without one, the page and `/tap`, which show events and
//! reasons, are answered on loopback alone, and there only under an address or `localhost`, so that a web page under
//! somebody else's name cannot ask through the reader's browser. The token is in no message.
//! On failure: [`Refusal`], with what to do.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::settings::Secret;

/// What a path shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shows {
    /// Whether the process works: for probes.
    Health,
    /// Numbers.
    Metrics,
    /// Reasons and events.
    Events,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The token is missing or wrong.
    Token,
    /// There is no token, and the address is not loopback.
    Open,
    /// The name that was asked for is not this machine's.
    Name,
}

#[derive(Clone)]
pub(super) struct Guard {
    token: Option<Secret>,
    loopback: bool,
}

impl Guard {
    pub(super) fn new(address: SocketAddr, token: Option<Secret>) -> Guard {
        Guard { token, loopback: address.ip().is_loopback() }
    }

    pub(super) fn check(&self, shows: Shows, headers: &HeaderMap) -> Result<(), Refusal> {
        if shows == Shows::Health {
            return Ok(());
        }
        if let Some(token) = &self.token {
            let known = given(headers).is_some_and(|given| same(&given, token.reveal()));
            return if known { Ok(()) } else { Err(Refusal::Token) };
        }
        if shows == Shows::Metrics {
            return Ok(());
        }
        if !self.loopback {
            return Err(Refusal::Open);
        }
        if is_own_name(headers) { Ok(()) } else { Err(Refusal::Name) }
    }
}

impl Refusal {
    pub(super) fn text(self) -> &'static str {
        match self {
            Refusal::Token => "this needs the admin token: send `Authorization: Bearer TOKEN`\n",
            Refusal::Open => {
                "the status page and /tap are shown on loopback only, or with a token: start logweir with \
                 --admin-token-file FILE (or LOGWEIR_ADMIN_TOKEN), or ask through `kubectl port-forward` or ssh \
                 with --admin 127.0.0.1:9600\n"
            }
            Refusal::Name => "ask for this page as http://127.0.0.1 or http://localhost\n",
        }
    }
}

fn is_own_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return true;
    };
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// The token of a request.
fn given(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let plain = crate::settings::base64_decoded(rest.trim())?;
    let colon = plain.iter().position(|b| *b == b':')?;
    Some(plain[colon + 1..].to_vec())
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(given: &[u8], token: &str) -> bool {
    let digest = |text: &[u8]| ring::digest::digest(&ring::digest::SHA256, text);
    digest(given).as_ref() == digest(token.as_bytes()).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn without_a_token_events_are_shown_on_loopback_under_its_own_name_alone() {
        let near = Guard::new("127.0.0.1:9600".parse().unwrap(), None);
        for host in ["127.0.0.1:9600", "localhost:9600", "localhost", "[::1]:9600", "10.0.0.1"] {
            let asked = headers(&[(header::HOST, host)]);
            assert_eq!(near.check(Shows::Events, &asked), Ok(()), "{host}");
        }
        let foreign = headers(&[(header::HOST, "evil.example:9600")]);
        assert_eq!(near.check(Shows::Events, &foreign), Err(Refusal::Name));
        assert_eq!(near.check(Shows::Metrics, &foreign), Ok(()));
        let far = Guard::new("0.0.0.0:9600".parse().unwrap(), None);
        assert_eq!(far.check(Shows::Events, &HeaderMap::new()), Err(Refusal::Open));
        assert_eq!(far.check(Shows::Metrics, &HeaderMap::new()), Ok(()));
        assert_eq!(far.check(Shows::Health, &HeaderMap::new()), Ok(()));
    }

    #[test]
    fn with_a_token_everything_but_health_needs_it() {
        let guard = Guard::new("0.0.0.0:9600".parse().unwrap(), Some(Secret::new("geheim")));
        assert_eq!(guard.check(Shows::Health, &HeaderMap::new()), Ok(()));
        for (value, answer) in [
            ("Bearer geheim", Ok(())),
            ("bearer geheim", Ok(())),
            ("Basic YW55Om5vdA==", Err(Refusal::Token)),
            ("Basic YW55OmdlaGVpbQ==", Ok(())),
            ("Basic ???", Err(Refusal::Token)),
            ("Bearer geheim2", Err(Refusal::Token)),
            ("geheim", Err(Refusal::Token)),
        ] {
            let asked = headers(&[(header::AUTHORIZATION, value)]);
            assert_eq!(guard.check(Shows::Events, &asked), answer, "{value}");
            assert_eq!(guard.check(Shows::Metrics, &asked), answer, "{value}");
        }
        assert_eq!(guard.check(Shows::Metrics, &HeaderMap::new()), Err(Refusal::Token));
    }
}
