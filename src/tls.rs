//! Certificates and keys into rustls configurations.
//!
//! Is: the two ends of TLS, read from a `[….tls]` table. In: a [`crate::settings::Section`] and the PEM files
//! (RFC 7468) that it names. Out: [`ServerTls`] for listening inputs, [`ClientTls`] for outputs. Promises: a client
//! checks the server unless the user wrote `verify = false`, and then says so; TLS 1.2 and 1.3 only, by `ring`; a
//! certificate that does not fit its key, or has expired, is told when the pipeline is loaded, not at the first
//! connection. On failure: a diagnostic with the place of the setting, the file, the cause and what to do.

mod client;
mod pem;
mod server;
mod validity;

pub use client::ClientTls;
pub use server::ServerTls;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
