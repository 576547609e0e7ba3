//! A listening address and the connections that come in there; what every stream input shares.
//!
//! Is: the accept loop. In: settings `listen`, `max_connections`, `idle_timeout`, `keepalive`, `tls`. Out: one task
//! for each connection, with a byte stream (plain or TLS) and the other end's address.
//! Promises: at most `max_connections` are open, further ones are closed at once and counted; a bad client costs
//! one log line a minute and never another client; an address that is taken is tried again until it is free.
//! On failure: health says `paused` with the cause; at a stop, connections get a short grace, then they are cut.

mod complaints;
pub(super) mod greeting;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

pub(super) use complaints::Complaints;

use super::{InputContext, InputLoad};
use crate::delivery::Stop;
use crate::diagnostic::Diagnostic;
use crate::event::{Key, Literal};
use crate::health::{Part, State};
use crate::limits;
use crate::metrics::{Counter, Gauge};
use crate::settings::Section;
use crate::tls::ServerTls;

/// Bytes both ways, plain or TLS.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection's bytes.
pub(super) type Stream = Box<dyn Duplex>;

/// A connection that was let in.
pub(super) struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// The other end.
    pub peer: SocketAddr,
    /// Turns true when the agent stops.
    pub stop: Stop,
}

/// Where an input listens, and on which terms.
pub(super) struct Listener {
    listen: String,
    tls: Option<Arc<ServerConfig>>,
    connections_max: usize,
    keepalive: Option<Duration>,
    /// A connection that sends nothing for so long is closed.
    pub idle: Duration,
    bound: watch::Sender<Option<SocketAddr>>,
}

/// What the connections of one input count and complain through.
pub(super) struct Traffic {
    /// Bytes received, after TLS.
    pub bytes: Counter,
    /// Lines that were longer than allowed.
    pub split: Counter,
    /// What clients did wrong.
    pub complaints: Complaints,
    open: Gauge,
    accepted: Counter,
    refused: Counter,
}

impl Listener {
    /// Reads the settings. Only the address's syntax is checked, unless the load is a probe: then listening is
    /// tried, and what stands in the way is a warning (a running agent may be what holds the address).
    pub(super) fn load(
        section: &Section<'_>,
        load: &InputLoad<'_>,
        example: &'static str,
    ) -> Option<Listener> {
        let listen = section.required_string("listen", example);
        let connections_max =
            section.integer_or("max_connections", limits::CONNECTIONS_MAX as i64, 1..1_000_001);
        let idle = Duration::from_millis(limits::CONNECTION_IDLE_MS);
        let idle = section.duration_or("idle_timeout", idle);
        let keepalive = Duration::from_millis(limits::CONNECTION_KEEPALIVE_MS);
        let keepalive = section.duration_or("keepalive", keepalive);
        if idle.is_zero() {
            let hint = "write for example: idle_timeout = \"5m\"".to_string();
            section.error(section.span_of("idle_timeout"), "`idle_timeout` is 0", Some(hint));
        }
        let tls = if section.has("tls") {
            section.section("tls").and_then(ServerTls::load).map(|tls| Some(tls.config()))
        } else {
            Some(None)
        };
        let listen = listen?;
        if let Some(problem) = address_problem(&listen) {
            let message = format!("`listen` is \"{}\": {problem}", *listen);
            section.error(
                listen.span,
                message,
                Some(format!("write for example: listen = {example}")),
            );
            return None;
        }
        if load.probe {
            probe(section, &listen.value, &listen.span);
        }
        Some(Listener {
            listen: listen.value,
            tls: tls?,
            connections_max: connections_max as usize,
            keepalive: (!keepalive.is_zero()).then_some(keepalive),
            idle,
            bound: watch::Sender::new(None),
        })
    }

    /// The address that is listened on, once it is.
    #[cfg(test)]
    pub(super) fn bound(&self) -> watch::Receiver<Option<SocketAddr>> {
        self.bound.subscribe()
    }

    /// Lets connections in until told to stop; then waits a short time for them to end.
    pub(super) async fn serve<F, Served>(
        &self,
        traffic: Arc<Traffic>,
        health: Part,
        mut stop: Stop,
        handle: F,
    ) where
        F: Fn(Connection) -> Served + Clone + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let Some(listener) = self.bind(&health, &mut stop).await else { return };
        let mut tasks = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = tasks.join_next() => {
                    traffic.open.set(tasks.len() as i64);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((socket, peer)) => {
                    health.set(State::Fine);
                    self.admit(socket, peer, &mut tasks, &traffic, &stop, &handle);
                }
                Err(why) => self.accept_failed(&why, &health).await,
            }
        }
        drop(listener);
        let ended = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_millis(limits::CONNECTION_GRACE_MS), ended).await;
        tasks.shutdown().await;
        traffic.open.set(0);
    }

    fn admit<F, Served>(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        tasks: &mut JoinSet<()>,
        traffic: &Arc<Traffic>,
        stop: &Stop,
        handle: &F,
    ) where
        F: Fn(Connection) -> Served + Clone + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        traffic.accepted.increment();
        if tasks.len() >= self.connections_max {
            traffic.refused.increment();
            let why = format!(
                "{} connections are open already; raise `max_connections`",
                self.connections_max
            );
            traffic.complaints.log("too_many_connections", peer, &why);
            return;
        }
        let _ = socket.set_nodelay(true);
        if let Some(after) = self.keepalive {
            let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
            let _ = rustix::net::sockopt::set_tcp_keepidle(&socket, after);
        }
        let tls = self.tls.clone();
        let (stop, handle, traffic_of) = (stop.clone(), handle.clone(), Arc::clone(traffic));
        tasks.spawn(async move {
            let stream: Stream = match tls {
                None => Box::new(socket),
                // On the heap: a handshake's state is large, and plain connections should not carry it.
                Some(config) => {
                    match Box::pin(handshake(config, socket, peer, &traffic_of)).await {
                        Some(stream) => stream,
                        None => return,
                    }
                }
            };
            handle(Connection { stream, peer, stop }).await;
        });
        traffic.open.set(tasks.len() as i64);
    }

    async fn bind(&self, health: &Part, stop: &mut Stop) -> Option<TcpListener> {
        loop {
            match TcpListener::bind(self.listen.as_str()).await {
                Ok(listener) => {
                    let address = listener.local_addr().ok();
                    self.bound.send_replace(address);
                    health.set(State::Fine);
                    if let Some(address) = address {
                        tracing::info!(%address, "listening");
                    }
                    return Some(listener);
                }
                Err(why) => health.set(State::Paused(bind_problem(&self.listen, &why))),
            }
            tokio::select! {
                () = stopped(stop) => return None,
                () = sleep(Duration::from_millis(limits::LISTEN_RETRY_MS)) => {}
            }
        }
    }

    /// A connection that was reset before we took it is nothing; anything else (no descriptors) needs a pause.
    async fn accept_failed(&self, why: &io::Error, health: &Part) {
        if why.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        let hint = "if descriptors ran out, raise LimitNOFILE or lower `max_connections`";
        let address = &self.listen;
        health.set(State::Degraded(format!(
            "connections to {address} cannot be taken: {why}; {hint}"
        )));
        sleep(Duration::from_millis(limits::RETRY_FIRST_MS)).await;
    }
}

impl Traffic {
    /// The counters of an input.
    pub(super) fn of(context: &InputContext) -> Arc<Traffic> {
        let metrics = &context.metrics;
        let refused = metrics.with("reason", "too_many_connections");
        Arc::new(Traffic {
            bytes: metrics.counter("logweir_input_bytes_total", "Bytes received, after TLS."),
            split: metrics.counter(
                "logweir_input_lines_split_total",
                "Lines longer than allowed, handed on in pieces.",
            ),
            complaints: Complaints::new(metrics.clone(), context.clock.clone()),
            open: metrics.gauge("logweir_input_connections", "Connections that are open."),
            accepted: metrics.counter(
                "logweir_input_connections_total",
                "Connections that came in, refused ones too.",
            ),
            refused: refused.counter(
                "logweir_input_connections_refused_total",
                "Connections that were closed at once.",
            ),
        })
    }
}

/// Waits until the agent stops.
pub(super) async fn stopped(stop: &mut Stop) {
    // An error means that the agent is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What a future gives without waiting, if anything; it is dropped otherwise.
pub(super) async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        })
    })
    .await
}

/// The last place up to `at` that does not cut a UTF-8 character; `at` itself when there is no such place near.
/// Expects `at` to be at most the text's length; the byte behind it may not have come yet.
pub(super) fn character_boundary(text: &[u8], at: usize) -> usize {
    let mut start = at;
    for _ in 0..4 {
        if start == 0 {
            return at;
        }
        start -= 1;
        let length = match text[start] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        // A character that is complete ends at or before the cut; one that is not moves the cut to its start.
        return if start + length > at && start > 0 { start } else { at };
    }
    at
}

/// The given fields and where the connection comes from (ECS `source.ip`, `source.port`); a `source` that the user
/// wrote stays as it is.
pub(super) fn fields_of(
    given: &[(Key, Literal)],
    source: Key,
    peer: SocketAddr,
) -> Vec<(Key, Literal)> {
    let mut fields = given.to_vec();
    if !fields.iter().any(|(key, _)| *key == source) {
        let ip = Literal::Str(address_of(peer).to_string());
        let port = Literal::Int(i64::from(peer.port()));
        fields.push((source, Literal::Object(vec![("ip".into(), ip), ("port".into(), port)])));
    }
    fields
}

/// An IPv4 address that came in on an IPv6 socket is shown as the IPv4 address that it is.
fn address_of(peer: SocketAddr) -> IpAddr {
    peer.ip().to_canonical()
}

async fn handshake(
    config: Arc<ServerConfig>,
    socket: TcpStream,
    peer: SocketAddr,
    traffic: &Traffic,
) -> Option<Stream> {
    let time = Duration::from_millis(limits::HANDSHAKE_MS);
    match timeout(time, TlsAcceptor::from(config).accept(socket)).await {
        Ok(Ok(stream)) => Some(Box::new(stream)),
        Ok(Err(why)) => {
            let why = explain_handshake(&why);
            traffic.complaints.report("tls_handshake", peer, &why);
            None
        }
        Err(_) => {
            traffic.complaints.report("tls_timeout", peer, "the TLS handshake took too long");
            None
        }
    }
}

fn explain_handshake(why: &io::Error) -> String {
    use rustls::Error as Tls;
    let inner = why.get_ref().and_then(|inner| inner.downcast_ref::<Tls>());
    let hint = match inner {
        Some(Tls::InvalidMessage(_)) => "; the client does not speak TLS, but this input has `tls`",
        Some(Tls::NoCertificatesPresented) => {
            "; `client_ca` is set, so the client must show a certificate of its own"
        }
        Some(Tls::InvalidCertificate(_)) => "; its certificate is not signed by `client_ca`",
        Some(Tls::AlertReceived(_)) => {
            "; the client refused our certificate: does it know the authority?"
        }
        _ => "",
    };
    format!("TLS handshake failed: {why}{hint}")
}

/// What is wrong with an address such as `0.0.0.0:5000`, `[::]:5000` or `localhost:5000`.
fn address_problem(address: &str) -> Option<&'static str> {
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

fn probe(section: &Section<'_>, listen: &str, span: &std::ops::Range<usize>) {
    if let Err(why) = std::net::TcpListener::bind(listen) {
        let warning = Diagnostic::warning(bind_problem(listen, &why));
        section.report(warning, span.clone());
    }
}

fn bind_problem(listen: &str, why: &io::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_moves_to_the_start_of_the_character_that_it_would_cut() {
        let text = "aé\u{20ac}z".as_bytes();
        let cuts: Vec<usize> = (1..=7).map(|at| character_boundary(text, at)).collect();
        assert_eq!(cuts, [1, 1, 3, 3, 3, 6, 7]);
        // Also when what follows has not come yet.
        assert_eq!(character_boundary(&text[..5], 5), 3);
        assert_eq!(character_boundary(&[0x80; 9], 5), 5);
        assert_eq!(character_boundary(&[0xe2, 0x82], 2), 2);
    }
}
