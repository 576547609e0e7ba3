//! Why a request got no answer, in words.
//!
//! In: errors of the HTTP client. Out: [`Failure`]: what kind, and one sentence that says what happened and what to do.
//! Promises: the same trouble gives the same sentence (no times, no counters), so that it is told once; addresses
//! and secrets are not part of it. On failure: what is unknown is told in the words of its innermost cause.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as TlsError};

use super::reply::one_line;

/// What kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// No connection.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection broke.
    Broken,
}

/// No answer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What kind of failure.
    pub(super) kind: FailureKind,
    /// Whether somebody has to do something.
    pub(super) lasting: bool,
    /// What happened and what to do, to be read after the node's name.
    pub(super) message: String,
}

/// The client's error as a failure.
pub(super) fn failure(why: reqwest::Error) -> Failure {
    if let Some(tls) = tls_error(&why) {
        let message = tls_message(tls);
        return Failure { kind: FailureKind::Unreachable, lasting: true, message };
    }
    let (kind, lasting) = if why.is_connect() {
        (FailureKind::Unreachable, false)
    } else if why.is_timeout() {
        (FailureKind::TimedOut, false)
    } else {
        (FailureKind::Broken, false)
    };
    let cause = chain(&why.without_url());
    let message = match kind {
        FailureKind::Unreachable => {
            format!("cannot be reached ({cause}): check that it runs, and the URL in `hosts`")
        }
        FailureKind::TimedOut => {
            "did not answer within `timeout`: it hangs, or is so slow that `timeout` must be longer"
                .to_string()
        }
        FailureKind::Broken => format!("broke the connection ({cause})"),
    };
    Failure { kind, lasting, message }
}

/// The innermost cause says most ("Connection refused"); the outer ones repeat it.
pub(super) fn chain(why: &reqwest::Error) -> String {
    let (mut text, mut next) = (why.to_string(), why.source());
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    one_line(&text)
}

/// The error of the TLS handshake behind an error, if there is one.
fn tls_error<'a>(why: &'a (dyn Error + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(why);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        // An io::Error tells the source of what it holds, not what it holds.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// What is wrong with the handshake, without times: rustls counts seconds.
fn tls_message(error: &TlsError) -> String {
    use CertificateError as C;
    match error {
        TlsError::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "shows a certificate that has expired: renew it on the server, or correct this machine's clock".into()
        }
        TlsError::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            "shows a certificate that is not valid yet: correct this machine's clock, or the certificate".into()
        }
        TlsError::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "shows a certificate for another name: write that name in `hosts`, or as `tls.server_name`".into()
        }
        TlsError::InvalidCertificate(C::UnknownIssuer) => {
            "shows a certificate of an authority that is not trusted here: set `tls.ca` to the authority's PEM file"
                .into()
        }
        TlsError::InvalidCertificate(other) => {
            format!("shows a certificate that cannot be accepted ({}): replace it", one_line(&other.to_string()))
        }
        TlsError::AlertReceived(alert) => format!(
            "refuses the TLS connection ({alert:?}): check `tls.cert` and `tls.key`, which it may ask for"
        ),
        other => format!(
            "does not speak TLS as it should ({}): check whether its URL in `hosts` should begin with http://",
            one_line(&other.to_string())
        ),
    }
}
