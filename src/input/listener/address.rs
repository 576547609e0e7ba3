//! An address to listen on, as it is written.
//!
//! In: `listen`, such as `0.0.0.0:5000`. Out: the address, and sentences for what stands in its way. Promises: only the
//! form is checked at load; a name is looked up when it is bound. On failure: a diagnostic with the place.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::sync::watch;

use crate::diagnostic::Diagnostic;
use crate::input::InputLoad;
use crate::settings::Section;

/// Where datagrams are received.
pub(in crate::input) struct Address {
    listen: String,
    bound: watch::Sender<Option<SocketAddr>>,
}

impl Address {
    /// Reads `listen`, for datagrams; when the load is a probe, binding is tried.
    pub(in crate::input) fn load_udp(
        section: &Section<'_>,
        load: &InputLoad<'_>,
        example: &'static str,
    ) -> Option<Address> {
        let listen = section.required_string("listen", example)?;
        if let Some(problem) = address_problem(&listen) {
            let message = format!("`listen` is \"{}\": {problem}", *listen);
            let hint = format!("write for example: listen = {example}");
            section.error(listen.span, message, Some(hint));
            return None;
        }
        if load.probe
            && let Err(why) = std::net::UdpSocket::bind(listen.as_str())
        {
            let warning = Diagnostic::warning(bind_problem(&listen, &why));
            section.report(warning, listen.span.clone());
        }
        Some(Address { listen: listen.value, bound: watch::Sender::new(None) })
    }

    /// As it is written.
    pub(in crate::input) fn text(&self) -> &str {
        &self.listen
    }

    /// What stands in its way, and what to do.
    pub(in crate::input) fn problem(&self, why: &io::Error) -> String {
        bind_problem(&self.listen, why)
    }

    /// It is in use now, as this.
    pub(in crate::input) fn is_bound(&self, address: Option<SocketAddr>) {
        self.bound.send_replace(address);
        if let Some(address) = address {
            tracing::info!(%address, "receiving datagrams");
        }
    }

    /// The address that is in use, once it is.
    #[cfg(test)]
    pub(in crate::input) fn bound(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.bound.subscribe()
    }
}

/// What is wrong with an address such as `0.0.0.0:5000`, `[::]:5000` or `localhost:5000`.
pub(super) fn address_problem(address: &str) -> Option<&'static str> {
    if address.parse::<SocketAddr>().is_ok() {
        return None;
    }
    if address.parse::<IpAddr>().is_ok() {
        return Some("the port is missing");
    }
    let Some((host, port)) = address.rsplit_once(':') else {
        return Some("it must be an address and a port");
    };
    if port.parse::<u16>().is_err() {
        return Some("the port must be a number from 0 to 65535");
    }
    if host.is_empty() {
        return Some("the address before the colon is missing (0.0.0.0 or [::] stands for all)");
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (!host.bytes().all(plain)).then_some("this is no host name; an IPv6 address needs brackets")
}

pub(super) fn bind_problem(listen: &str, why: &io::Error) -> String {
    let port = listen.rsplit_once(':').map_or(listen, |(_, port)| port);
    let hint = match why.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program listens there; find it: ss -ltnp 'sport = :{port}'")
        }
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need CAP_NET_BIND_SERVICE; give it to the service, or take a port \
             above 1023 instead of {port}"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 0.0.0.0 or [::] stands for all".to_string()
        }
        _ => "check `listen`".to_string(),
    };
    format!("cannot listen on {listen}: {why}; {hint}")
}
