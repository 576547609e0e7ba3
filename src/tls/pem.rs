//! PEM files (RFC 7468) named by settings.
//!
//! In: a section and a key of it that names a file. Out: certificates, a private key, or both as one identity.
//! Promises: what is wrong with a file is said with the setting's place, and what a person can do about it.
//! On failure: [`Reported`]; the problem is in the section's diagnostics.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error as TlsError, RootCertStore};

use super::validity::{self, Validity};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::settings::Section;

/// The problem is already in the diagnostics.
pub(super) struct Reported;

struct PemFile {
    path: PathBuf,
    bytes: Vec<u8>,
    span: Range<usize>,
}

/// The identity that `cert` and `key` name; `None` when neither is written.
pub(super) fn identity(section: &Section<'_>) -> Result<Option<SingleCertAndKey>, Reported> {
    let (has_cert, has_key) = (section.has("cert"), section.has("key"));
    if !has_cert && !has_key {
        return Ok(None);
    }
    if has_cert != has_key {
        let (there, absent) = if has_cert { ("cert", "key") } else { ("key", "cert") };
        let message = format!("`{}` has `{there}` but no `{absent}`", section.name);
        let hint = "a certificate and its private key belong together: write both".to_string();
        section.error(section.span_of(there), message, Some(hint));
        return Err(Reported);
    }
    let chain = certificates(section, "cert");
    let key = private_key(section, "key");
    let (chain, key) = (chain?, key?);
    check_validity(section, "cert", &chain);
    match CertifiedKey::from_der(chain, key, &super::provider()) {
        Ok(identity) => Ok(Some(SingleCertAndKey::from(identity))),
        Err(why) => {
            section.report(explain_identity(&why), section.span_of("key"));
            Err(Reported)
        }
    }
}

/// The certificates of the file that `key` names as trust anchors, added to `roots`.
pub(super) fn add_roots(
    section: &Section<'_>,
    key: &'static str,
    roots: &mut RootCertStore,
) -> Result<(), Reported> {
    let found = certificates(section, key)?;
    check_validity(section, key, &found);
    for certificate in found {
        if let Err(why) = roots.add(certificate) {
            let message = format!("`{key}` holds a certificate that cannot be a trust anchor");
            let hint = "give the certificate of the authority that signs the other end";
            section
                .report(Diagnostic::error(message).because(why).hint(hint), section.span_of(key));
            return Err(Reported);
        }
    }
    Ok(())
}

fn certificates(
    section: &Section<'_>,
    key: &'static str,
) -> Result<Vec<CertificateDer<'static>>, Reported> {
    let file = read(section, key)?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&file.bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(file.report(section, "no certificate", &PemError::NoItemsFound)),
        Err(why) => Err(file.report(section, "no readable certificate", &why)),
    }
}

/// The certificates of a file that no setting names.
pub(super) fn certificates_of(path: &std::path::Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let bytes = std::fs::read(path)?;
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    found.map_err(io::Error::other)
}

fn private_key(
    section: &Section<'_>,
    key: &'static str,
) -> Result<PrivateKeyDer<'static>, Reported> {
    let file = read(section, key)?;
    PrivateKeyDer::from_pem_slice(&file.bytes)
        .map_err(|why| file.report(section, "no readable private key", &why))
}

fn read(section: &Section<'_>, key: &'static str) -> Result<PemFile, Reported> {
    let Some(path) = section.required_string(key, "\"/etc/logweir/tls.pem\"") else {
        return Err(Reported);
    };
    let full = section.resolve(&path);
    match std::fs::read(&full) {
        Ok(bytes) => {
            section.note_file(&full, &bytes);
            Ok(PemFile { path: full, bytes, span: path.span })
        }
        Err(why) => {
            let hint = match why.kind() {
                io::ErrorKind::NotFound => {
                    "no such file: check the path (relative ones start at the pipeline file)"
                }
                io::ErrorKind::PermissionDenied => {
                    "make the file readable for the user that runs logweir"
                }
                _ => "it must be a plain PEM file",
            };
            let message = format!("cannot read the `{key}` file `{}`", full.display());
            section.report(Diagnostic::error(message).because(why).hint(hint), path.span);
            Err(Reported)
        }
    }
}

impl PemFile {
    fn report(&self, section: &Section<'_>, what: &str, why: &PemError) -> Reported {
        let message = format!("`{}` holds {what}", self.path.display());
        let mut diagnostic = Diagnostic::error(message).hint(self.hint());
        if !matches!(why, PemError::NoItemsFound) {
            diagnostic = diagnostic.because(why);
        }
        section.report(diagnostic, self.span.clone());
        Reported
    }

    /// What the file looks like instead.
    fn hint(&self) -> String {
        let has = |mark: &[u8]| memchr::memmem::find(&self.bytes, mark).is_some();
        let path = self.path.display();
        if self.bytes.starts_with(&[0x30, 0x82]) || self.bytes.starts_with(&[0x30, 0x83]) {
            return format!("it is in DER form; convert it: openssl x509 -inform der -in {path}");
        }
        if has(b"ENCRYPTED") {
            return format!(
                "the key has a passphrase; write one without it: openssl pkey -in {path}"
            );
        }
        if has(b"-----BEGIN CERTIFICATE") {
            return "it holds certificates; were `cert` and `key` mixed up?".into();
        }
        if has(b"PRIVATE KEY-----") {
            return "it holds a private key; were `cert` and `key` mixed up?".into();
        }
        "it must be a PEM file, with lines such as -----BEGIN CERTIFICATE-----".into()
    }
}

/// Warns when a certificate is not valid now. A warning, not an error: the rest of the agent must start, and the
/// clock may be what is wrong.
fn check_validity(section: &Section<'_>, key: &'static str, chain: &[CertificateDer<'_>]) {
    let now_s = clock::system().now_ns().div_euclid(1_000_000_000);
    for (n, certificate) in chain.iter().enumerate() {
        let Some(Validity { not_before_s, not_after_s }) = validity::of(certificate) else {
            continue;
        };
        let (what, when_s) = match now_s {
            now if now > not_after_s => ("expired on", not_after_s),
            now if now < not_before_s => ("is not valid before", not_before_s),
            _ => continue,
        };
        let when = validity::text(when_s);
        let message = format!("certificate {} of the `{key}` file {what} {when}", n + 1);
        let hint = "the other end will refuse it: renew it, or correct this machine's clock";
        section.report(Diagnostic::warning(message).hint(hint), section.span_of(key));
    }
}

fn explain_identity(why: &TlsError) -> Diagnostic {
    match why {
        TlsError::InconsistentKeys(_) => {
            Diagnostic::error("the `key` file does not belong to the `cert` file")
                .because("the certificate's public key is another one")
                .hint(
                    "give the key that the certificate was made for; the server's own \
                     certificate comes first in `cert`",
                )
        }
        other => Diagnostic::error("the `cert` and `key` files cannot be used")
            .because(other)
            .hint("RSA, ECDSA (P-256, P-384) and Ed25519 keys in PKCS#8, PKCS#1 or SEC1 are taken"),
    }
}
