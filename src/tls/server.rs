//! The listening end: who we are, and whom we let in.
//!
//! In: a `[inputs.NAME.tls]` table with `cert`, `key` and perhaps `client_ca`. Out: a rustls configuration.
//! Promises: with `client_ca`, nobody gets in without a certificate that this authority signed.
//! On failure: diagnostics, and `None`.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::pem;
use crate::diagnostic::Diagnostic;
use crate::settings::Section;

/// TLS for a listening input; cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    mutual: bool,
}

impl ServerTls {
    /// Reads the table: `cert` and `key` (PEM files, required) and `client_ca` (a PEM file; when it is written,
    /// clients must show a certificate that it signed). Reports unknown keys itself.
    pub fn load(section: Section<'_>) -> Option<ServerTls> {
        let loaded = Self::read(&section);
        section.finish();
        loaded
    }

    /// The configuration, as `tokio_rustls::TlsAcceptor` takes it.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Whether clients show a certificate that `client_ca` signed.
    pub fn knows_clients(&self) -> bool {
        self.mutual
    }

    fn read(section: &Section<'_>) -> Option<ServerTls> {
        let identity = pem::identity(section);
        let mut roots = RootCertStore::empty();
        let mutual = section.has("client_ca");
        let roots_read =
            if mutual { pem::add_roots(section, "client_ca", &mut roots) } else { Ok(()) };
        let Some(identity) = identity.ok()? else {
            section.missing("cert", "\"server.pem\"");
            return None;
        };
        roots_read.ok()?;
        let builder = ServerConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3");
        let builder = if mutual {
            let roots = Arc::new(roots);
            match WebPkiClientVerifier::builder_with_provider(roots, super::provider()).build() {
                Ok(verifier) => builder.with_client_cert_verifier(verifier),
                Err(why) => {
                    let message = "`client_ca` cannot be used to check clients";
                    let span = section.span_of("client_ca");
                    section.report(Diagnostic::error(message).because(why), span);
                    return None;
                }
            }
        } else {
            builder.with_no_client_auth()
        };
        let config = builder.with_cert_resolver(Arc::new(identity));
        Some(ServerTls { config: Arc::new(config), mutual })
    }
}
