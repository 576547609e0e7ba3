//! Outputs that send events without being told that they arrived: `tcp`, `udp`, `syslog` and `gelf`.
//!
//! In: frames. Out: lines, datagrams, messages of syslog, messages of GELF. Promises: events go in the order of the
//! journal, one connection at a time; what has no connection waits in the journal and is tried again with growing
//! pauses, for ever. A document is done when the system has taken it for sending: these protocols have no
//! acknowledgement, so what is under way when a connection breaks, and every datagram that is lost, is lost (use
//! `forward`, `http` or `elasticsearch` where that matters). What the system took of a batch before it broke off is not
//! sent again; a message that was taken in part is, whole. A connection that the other end closed is noticed before the
//! next batch; one that takes nothing for the timeout is given up. A document that fits into no datagram is a dead
//! letter. On failure: health says `paused` with the cause.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::AsyncReadExt;
use tokio::net::UdpSocket;

use super::connect::{self, Duplex, OPENING, Server};
use super::post::{self, Answer, Batch, Limits, Partly, Service};
use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::frame::Document;
use crate::limits;
use crate::settings::Section;
use crate::template::Template;
use crate::tls::ClientTls;

mod gelf;
mod syslog;

#[cfg(test)]
mod tests;

use gelf::Gelf;
use syslog::Syslog;

/// Longest datagram over IPv4, without its heads.
const DATAGRAM_MAX: usize = 65_507;

/// How long the other end may take to say that it closed the connection, before each batch.
const LISTENING: Duration = Duration::from_millis(1);
/// How often it is listened to before each batch, though it says something else each time.
const LISTENED_MAX: usize = 100;

/// What documents become.
enum Form {
    /// As they are.
    Plain,
    Syslog(Syslog),
    Gelf(Gelf),
}

/// How messages are told apart on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// A line feed behind each.
    Lines,
    /// The length before each (RFC 6587, 3.4.1).
    Octets,
    /// A zero byte behind each.
    Zeros,
}

/// The way to the server.
enum Way {
    Datagrams(Option<UdpSocket>),
    Stream { framing: Framing, tls: Option<Arc<ClientConfig>>, open: Option<Box<dyn Duplex>> },
}

/// How far a batch has got.
#[derive(Default)]
struct Progress {
    /// So many messages, the first ones, are with the system or refused.
    done: usize,
    /// Messages that can never be sent, and why.
    refused: Vec<(usize, String)>,
}

struct Sender {
    server: Server,
    form: Form,
    way: Way,
    timeout: Duration,
    address: Option<Template>,
}

pub(super) fn load_tcp(section: &Section<'_>, _: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let server = server(section, None);
    let way = stream(section, Framing::Lines);
    sender(section, server, Some(Form::Plain), way, None)
}

pub(super) fn load_udp(section: &Section<'_>, _: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let server = server(section, None);
    sender(section, server, Some(Form::Plain), Some(Way::Datagrams(None)), None)
}

pub(super) fn load_syslog(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
) -> Option<Box<dyn Output>> {
    let server = server(section, Some(514));
    let loaded = syslog::load(section, load);
    let framings = [("octets", Framing::Octets), ("lines", Framing::Lines)];
    let framing = section.choice_or("framing", &framings, Framing::Octets);
    let way = way(section, framing);
    let (form, address) = match loaded {
        Some((form, address)) => (Some(Form::Syslog(form)), Some(address)),
        None => (None, None),
    };
    sender(section, server, form, way, address)
}

pub(super) fn load_gelf(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
) -> Option<Box<dyn Output>> {
    let server = server(section, Some(12201));
    let loaded = gelf::load(section, load);
    let way = way(section, Framing::Zeros);
    let (form, address) = match loaded {
        Some((form, address)) => (Some(Form::Gelf(form)), Some(address)),
        None => (None, None),
    };
    sender(section, server, form, way, address)
}

fn sender(
    section: &Section<'_>,
    server: Option<Server>,
    form: Option<Form>,
    way: Option<Way>,
    address: Option<Template>,
) -> Option<Box<dyn Output>> {
    let timeout = section.duration_or("timeout", Duration::from_secs(30));
    section.not_zero("timeout", timeout.is_zero(), "30s")?;
    Some(Box::new(Sender { server: server?, form: form?, way: way?, timeout, address }))
}

/// `server`: a host with a port.
fn server(section: &Section<'_>, usual: Option<u16>) -> Option<Server> {
    let text = section.required_string("server", "\"logs.example:5000\"")?;
    let server = Server::parse(&text, usual);
    if server.is_none() {
        let hint = "write for example: server = \"logs.example:5000\"".to_string();
        let message = format!("`{}` is no host with a port", text.value);
        section.error(text.span, message, Some(hint));
    }
    server
}

/// `protocol`: datagrams or a connection.
fn way(section: &Section<'_>, framing: Framing) -> Option<Way> {
    let usual = section.has("tls");
    if section.choice_or("protocol", &[("tcp", true), ("udp", false)], usual) {
        return stream(section, framing);
    }
    if section.has("tls") {
        let hint = "write `protocol = \"tcp\"`, or leave `tls` out".to_string();
        section.error(section.span_of("tls"), "datagrams have no TLS", Some(hint));
        return None;
    }
    Some(Way::Datagrams(None))
}

fn stream(section: &Section<'_>, framing: Framing) -> Option<Way> {
    let tls = match section.section("tls") {
        Some(table) => Some(Arc::new(ClientTls::load(table)?.config())),
        None => None,
    };
    Some(Way::Stream { framing, tls, open: None })
}

impl Output for Sender {
    fn address(&self) -> Option<&Template> {
        self.address.as_ref()
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        post::run(*self, context)
    }
}

impl Service for Sender {
    fn limits(&self) -> Limits {
        Limits {
            bytes: limits::HTTP_BATCH_BYTES_MAX,
            each: 1,
            documents: usize::MAX,
            by_address: false,
            patience: Duration::ZERO,
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let messages: Vec<Vec<u8>> =
                batch.iter().map(|document| self.form.message(&document, batch.bit)).collect();
            let mut progress = Progress::default();
            let chunked = matches!(self.form, Form::Gelf(_));
            let worked = match &mut self.way {
                Way::Datagrams(socket) => {
                    let to = (&self.server, self.timeout);
                    datagrams(to, socket, &messages, chunked, &mut progress).await
                }
                Way::Stream { framing, tls, open } => {
                    let to = (&self.server, self.timeout);
                    written(to, tls.as_ref(), open, &framing.joined(&messages), &mut progress).await
                }
            };
            if worked.is_err() {
                self.way.close();
            }
            progress.answer(worked.map_err(|why| format!("{}: {why}", self.server)), messages.len())
        })
    }
}

impl Form {
    fn message(&self, document: &Document<'_>, bit: u32) -> Vec<u8> {
        match self {
            Form::Plain => document.body.to_vec(),
            Form::Syslog(syslog) => syslog.message(document, bit),
            Form::Gelf(gelf) => gelf.message(document, bit),
        }
    }
}

impl Framing {
    /// The bytes of messages, and where each ends.
    fn joined(self, messages: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let (mut out, mut ends) = (Vec::new(), Vec::with_capacity(messages.len()));
        for message in messages {
            match self {
                Framing::Octets => out.extend_from_slice(format!("{} ", message.len()).as_bytes()),
                Framing::Lines | Framing::Zeros => {}
            }
            out.extend_from_slice(message);
            match self {
                Framing::Lines => out.push(b'\n'),
                Framing::Zeros => out.push(0),
                Framing::Octets => {}
            }
            ends.push(out.len());
        }
        (out, ends)
    }
}

impl Way {
    fn close(&mut self) {
        match self {
            Way::Datagrams(socket) => *socket = None,
            Way::Stream { open, .. } => *open = None,
        }
    }
}

impl Progress {
    /// What becomes of a batch of so many messages.
    fn answer(self, worked: Result<(), String>, messages: usize) -> Answer {
        let Progress { done, refused } = self;
        match worked {
            Ok(()) if refused.is_empty() => Answer::Accepted,
            Ok(()) => Answer::Partly(Partly { refused, ..Partly::default() }),
            Err(why) if done == 0 => Answer::Later(why, None),
            Err(why) => Answer::Partly(Partly { again: (done..messages).collect(), why, refused }),
        }
    }
}

/// Sends a datagram for each message; those that are too long are refused.
async fn datagrams(
    (server, patience): (&Server, Duration),
    socket: &mut Option<UdpSocket>,
    messages: &[Vec<u8>],
    chunked: bool,
    progress: &mut Progress,
) -> Result<(), String> {
    let late = |_| format!("not sent within {} seconds", patience.as_secs());
    let open = match socket.take() {
        Some(open) => open,
        None => tokio::time::timeout(patience, connected(server)).await.map_err(late)??,
    };
    let open = socket.insert(open);
    for (at, message) in messages.iter().enumerate() {
        let parts = if chunked { gelf::chunks(message)? } else { Some(vec![message.clone()]) };
        let fits = |parts: &Vec<Vec<u8>>| parts.iter().all(|part| part.len() <= DATAGRAM_MAX);
        if let Some(parts) = parts.filter(fits) {
            for part in parts {
                let sent = tokio::time::timeout(patience, open.send(&part)).await;
                sent.map_err(late)?.map_err(|why| format!("not sent: {why}"))?;
            }
        } else {
            let length = message.len();
            progress.refused.push((at, format!("its {length} bytes do not fit into datagrams")));
        }
        progress.done = at + 1;
    }
    Ok(())
}

async fn connected(server: &Server) -> Result<UdpSocket, String> {
    let addresses = crate::names::addresses(&server.host, server.port).await;
    let addresses = addresses.map_err(|why| format!("no address: {why}"))?;
    let address = addresses.first().ok_or("the name has no address")?;
    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(own).await.map_err(|why| format!("no socket: {why}"))?;
    socket.connect(address).await.map_err(|why| format!("no way there: {why}"))?;
    Ok(socket)
}

/// Writes messages into the connection; one that the other end closed meanwhile is opened anew.
async fn written(
    (server, patience): (&Server, Duration),
    tls: Option<&Arc<ClientConfig>>,
    open: &mut Option<Box<dyn Duplex>>,
    (bytes, ends): &(Vec<u8>, Vec<usize>),
    progress: &mut Progress,
) -> Result<(), String> {
    if let Some(stream) = open
        && is_closed(stream.as_mut()).await
    {
        *open = None;
    }
    let stream = match open.take() {
        Some(stream) => stream,
        None => match tokio::time::timeout(OPENING, server.connect(tls)).await {
            Ok(stream) => stream?,
            Err(_) => return Err(format!("no connection within {} seconds", OPENING.as_secs())),
        },
    };
    let mut taken = 0;
    let worked = connect::write(open.insert(stream).as_mut(), bytes, patience, &mut taken).await;
    progress.done = ends.partition_point(|end| *end <= taken);
    worked
}

/// Whether the other end has closed it; what it says is read and forgotten.
async fn is_closed(stream: &mut dyn Duplex) -> bool {
    let mut said = [0; 512];
    for _ in 0..LISTENED_MAX {
        let read = std::pin::pin!(stream.read(&mut said));
        tokio::select! {
            biased;
            result = read => match result {
                Ok(0) | Err(_) => return true,
                Ok(_) => {}
            },
            () = tokio::time::sleep(LISTENING) => return false,
        }
    }
    false
}
