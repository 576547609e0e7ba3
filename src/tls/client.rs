//! The connecting end: whom we trust, and who we are.
//!
//! In: an `[outputs.NAME.tls]` table, or none. Out: a rustls configuration that carries everything, so that it can
//! be given to any client as it is (`reqwest::ClientBuilder::tls_backend_preconfigured(tls.config())`).
//! Promises: the server is checked unless the user wrote `verify = false`; then [`ClientTls::warning`] has a text
//! that health and the log must show. On failure: diagnostics, and `None`.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use super::pem;
use crate::diagnostic::Diagnostic;
use crate::settings::Section;

/// TLS for an output.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: ClientConfig,
    verifies: bool,
}

/// Accepts any certificate, because the user said so; signatures of the handshake are still checked.
#[derive(Debug)]
struct AcceptAny;

/// Checks the server against a name of the user's instead of the one in the address.
#[derive(Debug)]
struct Named {
    inner: Arc<WebPkiServerVerifier>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// Reads the table: `ca` (a PEM file with authorities to trust besides the machine's), `cert` and `key` (PEM
    /// files; who we are, for servers that ask), `verify` (default true) and `server_name` (the name that the
    /// server's certificate must carry, when it is not the one in the address). Reports unknown keys itself.
    pub fn load(section: Section<'_>) -> Option<ClientTls> {
        let loaded = Self::read(&section);
        section.finish();
        loaded
    }

    /// TLS as it is without a table: the machine's authorities, no certificate of our own.
    pub fn system() -> ClientTls {
        let builder = builder().with_root_certificates(machine_roots());
        ClientTls { config: builder.with_no_client_auth(), verifies: true }
    }

    /// TLS that trusts the authorities of one PEM file alone.
    ///
    /// # Errors
    /// The file cannot be read, or holds no certificate.
    pub fn trusting(ca: &std::path::Path) -> std::io::Result<ClientTls> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(pem::certificates_of(ca)?);
        if added == 0 {
            return Err(std::io::Error::other("it holds no certificate"));
        }
        let builder = builder().with_root_certificates(roots);
        Ok(ClientTls { config: builder.with_no_client_auth(), verifies: true })
    }

    /// TLS that trusts nobody, for clients that only speak plain HTTP: the machine's authorities are not read.
    pub fn unused() -> ClientTls {
        let builder = builder().with_root_certificates(RootCertStore::empty());
        ClientTls { config: builder.with_no_client_auth(), verifies: true }
    }

    /// The configuration; set `alpn_protocols` on it where the client does not.
    pub fn config(&self) -> ClientConfig {
        self.config.clone()
    }

    /// What health and the log must say about this, if anything.
    pub fn warning(&self) -> Option<&'static str> {
        (!self.verifies).then_some(
            "`tls.verify` is false: anybody on the way can read and change what is sent; \
             give the server's authority as `tls.ca` instead",
        )
    }

    fn read(section: &Section<'_>) -> Option<ClientTls> {
        let identity = pem::identity(section);
        let verifies = section.bool_or("verify", true);
        let mut roots = machine_roots();
        let roots_read =
            if section.has("ca") { pem::add_roots(section, "ca", &mut roots) } else { Ok(()) };
        let name = server_name(section);
        let (identity, (), name) = (identity.ok()?, roots_read.ok()?, name.ok()?);
        if !verifies {
            let message =
                format!("`{}` does not check the server (`verify = false`)", section.name);
            let hint = "give the server's authority as `ca` and remove `verify`";
            section.report(Diagnostic::warning(message).hint(hint), section.span_of("verify"));
        }
        let builder = match (verifies, name) {
            (false, _) => {
                builder().dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny))
            }
            (true, None) => builder().with_root_certificates(roots),
            (true, Some(name)) => {
                let roots = Arc::new(roots);
                let inner = WebPkiServerVerifier::builder_with_provider(roots, super::provider())
                    .build()
                    .map_err(|why| {
                        let problem = Diagnostic::error("no authority to check the server with");
                        section.report(problem.because(why), section.span());
                    })
                    .ok()?;
                let named = Arc::new(Named { inner, name });
                builder().dangerous().with_custom_certificate_verifier(named)
            }
        };
        let config = match identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
            None => builder.with_no_client_auth(),
        };
        Some(ClientTls { config, verifies })
    }
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(super::provider())
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
}

/// The machine's authorities; a machine (or a bare container) without any gets Mozilla's list.
fn machine_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn server_name(section: &Section<'_>) -> Result<Option<ServerName<'static>>, pem::Reported> {
    if !section.has("server_name") {
        return Ok(None);
    }
    let Some(text) = section.string("server_name") else { return Err(pem::Reported) };
    ServerName::try_from(text.value.clone()).map(Some).map_err(|why| {
        let message = format!("`server_name` is \"{}\", which is no host name", text.value);
        let hint = "write a name as in the certificate, such as \"es.example.com\", without a port";
        section.report(Diagnostic::error(message).because(why).hint(hint), text.span);
        pem::Reported
    })
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = super::provider().signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = super::provider().signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        super::provider().signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        cert: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        self.inner.verify_server_cert(cert, intermediates, &self.name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
