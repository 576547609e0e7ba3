//! A listening address and the connections that come in there; what every stream input shares.
//!
//! Is: the accept loop. In: settings `listen`, `max_connections`, `max_connections_per_address`, `idle_timeout`,
//! `keepalive`, `tls`. Out: one task for each connection, with a byte stream (plain or TLS) and the other end's
//! address.
//! Promises: at most `max_connections` are open; further ones take the place of clients that never sent a whole line
//! (see [`guests`]), or are closed at once and counted; a bad client costs one log line a minute and never another
//! client; connections leave descriptors to the rest of the process; an address that is taken is tried again until it
//! is free. On failure: health says `paused` with the cause; at a stop, connections get a short grace, then they are
//! cut.

mod address;
mod complaints;
pub(super) mod greeting;
mod guests;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
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

pub(super) use address::Address;
use address::{address_problem, bind_problem};
pub(super) use complaints::Complaints;
use guests::Refusal;
pub(super) use guests::{Guest, Guests};

use super::{InputContext, InputLoad};
use crate::clock::SharedClock;
use crate::delivery::Stop;
use crate::diagnostic::Diagnostic;
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
    /// Its place, which it may have to leave to another one.
    pub guest: Guest,
}

/// Where an input listens, and on which terms.
pub(super) struct Listener {
    listen: String,
    tls: Option<Arc<ServerConfig>>,
    connections_max: usize,
    connections_per_address: usize,
    /// With `client_ca`: who comes through the handshake is known.
    knows_clients: bool,
    keepalive: Option<Duration>,
    /// A connection that sends nothing whole for so long is closed.
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
    refused: [Counter; 3],
    silent: Counter,
    gave_way: Counter,
    clock: SharedClock,
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
        // By default an address may have all of them: behind a proxy all clients have one.
        let per_address =
            section.integer_or("max_connections_per_address", 1_000_000, 1..1_000_001);
        let idle = Duration::from_millis(limits::CONNECTION_IDLE_MS);
        let idle = section.duration_or("idle_timeout", idle);
        let keepalive = Duration::from_millis(limits::CONNECTION_KEEPALIVE_MS);
        let keepalive = section.duration_or("keepalive", keepalive);
        if idle.is_zero() {
            let hint = "write for example: idle_timeout = \"5m\"".to_string();
            section.error(section.span_of("idle_timeout"), "`idle_timeout` is 0", Some(hint));
        }
        let tls = if section.has("tls") {
            section.section("tls").and_then(ServerTls::load).map(Some)
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
        let tls = tls?;
        Some(Listener {
            listen: listen.value,
            tls: tls.as_ref().map(ServerTls::config),
            connections_max: connections_max as usize,
            connections_per_address: per_address as usize,
            knows_clients: tls.as_ref().is_some_and(ServerTls::knows_clients),
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
        let guests = Guests::new(self.connections_max, self.connections_per_address);
        let descriptors = descriptors_for_connections();
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
                    let scarce = socket.as_raw_fd() as u64 >= descriptors;
                    if scarce {
                        health.set(State::Degraded(traffic.too_few_descriptors(peer, &guests)));
                        continue;
                    }
                    health.set(State::Fine);
                    let Some(guest) = self.admit(peer, &guests, &traffic) else { continue };
                    let connection = (socket, peer, guest);
                    self.serve_one(connection, &mut tasks, &traffic, &stop, &handle);
                }
                Err(why) => {
                    guests.make_room(traffic.clock.elapsed_ns());
                    self.accept_failed(&why, &health).await;
                }
            }
        }
        drop(listener);
        let ended = async { while tasks.join_next().await.is_some() {} };
        let _ = timeout(Duration::from_millis(limits::CONNECTION_GRACE_MS), ended).await;
        tasks.shutdown().await;
        traffic.open.set(0);
    }

    /// A place for a newcomer; `None`: it is turned away, and that is counted and said.
    fn admit(&self, peer: SocketAddr, guests: &Guests, traffic: &Traffic) -> Option<Guest> {
        traffic.accepted.increment();
        let (most, of_one) = (self.connections_max, self.connections_per_address);
        let (slot, reason, why) = match guests.admit(peer.ip(), traffic.clock.elapsed_ns()) {
            Ok((guest, sent_away)) => {
                if sent_away {
                    let why = format!(
                        "{most} connections are open: one that never sent a whole line gives way to this one; raise \
                         `max_connections`"
                    );
                    traffic.complaints.log("gives_way", peer, &why);
                }
                return Some(guest);
            }
            Err(Refusal::Full) => {
                let why = format!("{most} connections are open already; raise `max_connections`");
                (0, Traffic::REFUSED[0], why)
            }
            Err(Refusal::AddressFull) => {
                let why = format!(
                    "{of_one} connections of this address are open already; raise `max_connections_per_address`"
                );
                (1, Traffic::REFUSED[1], why)
            }
        };
        traffic.refused[slot].increment();
        traffic.complaints.log(reason, peer, &why);
        None
    }

    fn serve_one<F, Served>(
        &self,
        (socket, peer, mut guest): (TcpStream, SocketAddr, Guest),
        tasks: &mut JoinSet<()>,
        traffic: &Arc<Traffic>,
        stop: &Stop,
        handle: &F,
    ) where
        F: Fn(Connection) -> Served + Clone + Send + 'static,
        Served: Future<Output = ()> + Send + 'static,
    {
        let _ = socket.set_nodelay(true);
        if let Some(after) = self.keepalive {
            let _ = rustix::net::sockopt::set_socket_keepalive(&socket, true);
            let _ = rustix::net::sockopt::set_tcp_keepidle(&socket, after);
        }
        let (tls, knows_clients) = (self.tls.clone(), self.knows_clients);
        let (stop, handle, traffic_of) = (stop.clone(), handle.clone(), Arc::clone(traffic));
        tasks.spawn(async move {
            let stream: Stream = match tls {
                None => Box::new(socket),
                // On the heap: a handshake's state is large, and plain connections should not carry it.
                Some(config) => {
                    let shaken = tokio::select! {
                        shaken = Box::pin(handshake(config, socket, peer, &traffic_of)) => shaken,
                        () = guest.told_to_go() => {
                            traffic_of.gave_way();
                            None
                        }
                    };
                    let Some(stream) = shaken else { return };
                    if knows_clients {
                        guest.is_of_use();
                    }
                    stream
                }
            };
            handle(Connection { stream, peer, stop, guest }).await;
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
        let hint = "if descriptors ran out, raise LimitNOFILE or lower `max_connections`; it goes on by itself";
        let address = &self.listen;
        health.set(State::Degraded(format!(
            "connections to {address} cannot be taken: {why}; {hint}"
        )));
        sleep(Duration::from_millis(limits::RETRY_FIRST_MS)).await;
    }
}

impl Traffic {
    const REFUSED: [&str; 3] =
        ["too_many_connections", "too_many_of_one_address", "too_few_descriptors"];

    /// The counters of an input.
    pub(super) fn of(context: &InputContext) -> Arc<Traffic> {
        let metrics = &context.metrics;
        let refused = |reason| {
            metrics.with("reason", reason).counter(
                "logweir_input_connections_refused_total",
                "Connections that were closed at once, by reason.",
            )
        };
        let closed = |reason| {
            metrics.with("reason", reason).counter(
                "logweir_input_connections_closed_total",
                "Connections that were closed from this end: silent for idle_timeout, or for others.",
            )
        };
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
            refused: Self::REFUSED.map(refused),
            silent: closed("silent"),
            gave_way: closed("gave_way"),
            clock: context.clock.clone(),
        })
    }

    /// A connection is closed because nothing whole came for too long.
    pub(super) fn silent(&self) {
        self.silent.increment();
    }

    /// A connection is closed because others need its place.
    pub(super) fn gave_way(&self) {
        self.gave_way.increment();
    }

    /// A connection is refused so that descriptors are left; the sentence for health.
    fn too_few_descriptors(&self, peer: SocketAddr, guests: &Guests) -> String {
        self.accepted.increment();
        self.refused[2].increment();
        guests.make_room(self.clock.elapsed_ns());
        let why = "connections are refused, because nearly all file descriptors are in use: raise LimitNOFILE, or \
                   lower `max_connections`";
        self.complaints.log(Self::REFUSED[2], peer, why);
        why.into()
    }
}

/// Descriptors below this number are for connections: the kernel gives the lowest number that is free.
fn descriptors_for_connections() -> u64 {
    use rustix::process::{Resource, getrlimit};
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    most - limits::DESCRIPTORS_KEPT.min(most / 4)
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

fn probe(section: &Section<'_>, listen: &str, span: &std::ops::Range<usize>) {
    if let Err(why) = std::net::TcpListener::bind(listen) {
        let warning = Diagnostic::warning(bind_problem(listen, &why));
        section.report(warning, span.clone());
    }
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
