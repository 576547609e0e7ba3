//! Connections to servers, plain or with TLS.
//!
//! In: a host and a port. Out: a stream, and a way to write into it. Promises: names are resolved as everywhere in the
//! process; a connection that does not come about ends within ten seconds; a server that takes nothing is given up, and
//! what it took is known. On failure: a sentence for health.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::settings::Section;

/// How long a connection may take until it can be used.
pub(super) const OPENING: Duration = Duration::from_secs(10);

/// Bytes both ways, plain or TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Writes bytes; `taken`: how many of them the system has so far, also if not all.
///
/// # Errors
/// The connection broke, or nothing was taken for as long as `patience`.
pub(super) async fn write(
    stream: &mut dyn Duplex,
    bytes: &[u8],
    patience: Duration,
    taken: &mut usize,
) -> Result<(), String> {
    while *taken < bytes.len() {
        let step = async {
            let count = stream.write(&bytes[*taken..]).await?;
            // TLS holds back what the system has no room for.
            stream.flush().await?;
            Ok(count)
        };
        let step = tokio::time::timeout(patience, step).await;
        let seconds = patience.as_secs();
        let step =
            step.map_err(|_| format!("it took nothing for {seconds} seconds (is it overloaded?)"))?;
        match step.map_err(|why: io::Error| format!("the connection broke: {why}"))? {
            0 => return Err("the connection takes no more".to_string()),
            count => *taken += count,
        }
    }
    Ok(())
}

/// A receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Server {
    /// A host with a port, or without where there is a usual one.
    pub(super) fn parse(text: &str, usual: Option<u16>) -> Option<Server> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().ok().filter(|p| *p > 0)?)
            }
            _ => (text, usual?),
        };
        let plain = host.trim_matches(['[', ']']);
        let sound = !plain.is_empty()
            && !plain.contains(|c: char| c.is_whitespace() || c == '/' || c == '@')
            && (!plain.contains(':') || host.starts_with('['));
        sound.then(|| Server { host: plain.to_string(), port })
    }

    /// Connects to it.
    pub(super) async fn connect(
        &self,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<Box<dyn Duplex>, String> {
        let addresses = crate::names::addresses(&self.host, self.port).await;
        let addresses = addresses.map_err(|why| format!("no address: {why}"))?;
        let stream = TcpStream::connect(addresses.as_slice()).await;
        let stream = stream.map_err(|why| format!("no connection: {why}"))?;
        let Some(tls) = tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(self.host.clone()).map_err(|why| why.to_string())?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|why| format!("no TLS: {why}"))?))
    }
}

/// `servers`: hosts, with a port or without it where it is the usual one. A text may name several, with commas between
/// them, for a variable of the environment holds one text.
pub(super) fn servers(section: &Section<'_>, usual: u16, example: &str) -> Option<Vec<Server>> {
    let hint = format!("write for example: servers = [\"{example}\"]");
    let Some(written) = section.strings("servers") else {
        section.error(section.span(), "`servers` is missing", Some(hint));
        return None;
    };
    let mut servers = Vec::new();
    for text in &written {
        for name in text.value.split(',').map(str::trim) {
            let Some(server) = Server::parse(name, Some(usual)) else {
                let message = format!("`{name}` is no host with a port");
                section.error(text.span.clone(), message, Some(hint.clone()));
                return None;
            };
            servers.push(server);
        }
    }
    if servers.is_empty() {
        section.error(section.span_of("servers"), "`servers` names nobody", Some(hint));
        return None;
    }
    Some(servers)
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
