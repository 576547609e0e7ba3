//! Datagrams: `type = "udp"`.
//!
//! Is: a socket whose datagrams become lines. In: settings `listen`, `split_lines`; then datagrams. Out: chunks of
//! whole lines, one for each datagram (a line feed within becomes a blank), or as many as it has with `split_lines`;
//! each sender is a source with `source.ip`.
//! Promises: datagrams of one sender keep their order; what is held is one chunk. UDP has no acknowledgement and no
//! back-pressure: what comes while the pipeline is busy waits in the kernel's buffer, and is lost when that is full. A
//! stop ends all sources, so that what a codec holds of them goes out.
//! On failure: an address that is taken is tried again until it is free; health says `paused` with the cause.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;

use super::listener::{Address, stopped};
use super::origin::Origin;
use super::{Input, InputContext, InputLoad};
use crate::chunk::{Chunk, Closed};
use crate::delivery::BoxFuture;
use crate::event::Source;
use crate::health::State;
use crate::limits::{self, CHUNK_BYTES};
use crate::metrics::Counter;
use crate::settings::Section;

/// Longest datagram that UDP has.
const DATAGRAM_BYTES: usize = 65_536;
/// Senders that are remembered; when there are more, all are forgotten and become new sources.
const SENDERS_MAX: usize = 4_096;
/// Bytes that the kernel is asked to keep for us while the pipeline is busy.
const KERNEL_BYTES: usize = 4 * 1024 * 1024;

/// The input, loaded.
struct Udp {
    address: Address,
    split_lines: bool,
    origin: Origin,
}

/// A socket's datagrams on their way into the pipeline.
pub(super) struct Receiver {
    context: InputContext,
    origin: Origin,
    split_lines: bool,
    senders: HashMap<IpAddr, Sender>,
    bytes: Counter,
    datagrams: Counter,
}

/// Who sent something.
struct Sender {
    source: Arc<Source>,
    /// Bytes handed on.
    offset: u64,
    /// Lines that wait to be handed on.
    text: Vec<u8>,
}

/// Reads an `[inputs.NAME]` table with `type = "udp"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let split_lines = section.bool_or("split_lines", false);
    let address = Address::load_udp(section, load, "\"0.0.0.0:5140\"");
    let origin = Origin::load(load);
    Some(Box::new(Udp { address: address?, split_lines, origin }))
}

impl Input for Udp {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        let receiver = Receiver::new(context, self.origin, self.split_lines);
        Box::pin(receiver.run(self.address))
    }
}

impl Receiver {
    /// Nothing received yet.
    pub(super) fn new(context: InputContext, origin: Origin, split_lines: bool) -> Receiver {
        let bytes =
            context.metrics.counter("logweir_input_bytes_total", "Bytes received, after TLS.");
        let datagrams =
            context.metrics.counter("logweir_input_datagrams_total", "Datagrams received.");
        let senders = HashMap::new();
        Receiver { context, origin, split_lines, senders, bytes, datagrams }
    }

    /// Receives until told to stop.
    pub(super) async fn run(mut self, address: Address) {
        let Some(socket) = self.bind(&address).await else { return };
        address.is_bound(socket.local_addr().ok());
        let mut datagram = vec![0; DATAGRAM_BYTES];
        loop {
            let ready = tokio::select! {
                biased;
                () = stopped(&mut self.context.stop) => break,
                ready = socket.readable() => ready,
            };
            if ready.is_err() {
                sleep(Duration::from_millis(limits::RETRY_FIRST_MS)).await;
            }
            self.take_all(&socket, &mut datagram);
            if self.hand_on(self.senders.len() > SENDERS_MAX).await.is_err() {
                return;
            }
        }
        // What the kernel holds already was sent before the stop. A codec that holds lines of a sender gives them out:
        // nothing is read again after the next start.
        self.take_all(&socket, &mut datagram);
        let _ = self.hand_on(true).await;
    }

    /// What the kernel holds now, up to a chunk.
    fn take_all(&mut self, socket: &UdpSocket, datagram: &mut [u8]) {
        let mut taken = 0;
        while taken < CHUNK_BYTES {
            match socket.try_recv_from(datagram) {
                Ok((length, peer)) => {
                    taken += length + 1;
                    self.bytes.add(length as u64);
                    self.datagrams.increment();
                    self.take(&datagram[..length], peer);
                }
                // Nothing more, or an answer to something that was never sent: the next wait tells.
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, datagram: &[u8], peer: SocketAddr) {
        let ip = peer.ip().to_canonical();
        let sender = self.senders.entry(ip).or_insert_with(|| Sender {
            source: self.origin.of_sender(&self.context.name, peer),
            offset: 0,
            text: Vec::new(),
        });
        append_lines(datagram, self.split_lines, &mut sender.text);
    }

    /// Hands on what came; `forget`: these chunks are the last ones of all senders.
    async fn hand_on(&mut self, forget: bool) -> Result<(), Closed> {
        for sender in self.senders.values_mut() {
            if sender.text.is_empty() && !forget {
                continue;
            }
            let text = std::mem::take(&mut sender.text);
            let offset = sender.offset;
            sender.offset += text.len() as u64;
            let chunk = Chunk {
                text,
                source: Arc::clone(&sender.source),
                offset,
                received_ns: self.context.clock.now_ns(),
                piece: false,
                last: forget,
                position: None,
                told: Vec::new(),
                ack: None,
                memory: None,
            };
            self.context.intake.submit(chunk).await?;
        }
        if forget {
            self.senders.clear();
        }
        Ok(())
    }

    async fn bind(&mut self, address: &Address) -> Option<UdpSocket> {
        loop {
            match UdpSocket::bind(address.text()).await {
                Ok(socket) => {
                    // As much as the kernel grants; a smaller buffer only loses earlier.
                    let _ =
                        rustix::net::sockopt::set_socket_recv_buffer_size(&socket, KERNEL_BYTES);
                    self.context.health.set(State::Fine);
                    return Some(socket);
                }
                Err(why) => self.context.health.set(State::Paused(address.problem(&why))),
            }
            tokio::select! {
                () = stopped(&mut self.context.stop) => return None,
                () = sleep(Duration::from_millis(limits::LISTEN_RETRY_MS)) => {}
            }
        }
    }
}

/// Appends a datagram as lines; line ends, blanks and zero bytes at its end are not part of it.
fn append_lines(datagram: &[u8], split: bool, text: &mut Vec<u8>) {
    let padding = |b: &u8| matches!(b, b'\n' | b'\r' | 0);
    let end = datagram.iter().rposition(|b| !padding(b)).map_or(0, |at| at + 1);
    let datagram = &datagram[..end];
    if datagram.is_empty() {
        return;
    }
    if split {
        text.extend_from_slice(datagram);
    } else {
        text.extend(datagram.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{load, pipeline, soon};
    use super::*;
    use crate::event::Literal;

    async fn start(settings: &str) -> (SocketAddr, super::super::fixture::Pipeline) {
        let text = format!("listen = \"127.0.0.1:0\"\n{settings}");
        let ((address, origin, split), said) =
            load(&text, std::path::Path::new("/"), |section, load| {
                let address = Address::load_udp(section, load, "");
                (address, Origin::load(load), section.bool_or("split_lines", false))
            });
        assert_eq!(said, Vec::<String>::new());
        let address = address.unwrap();
        let mut bound = address.bound();
        let (context, pipeline) = pipeline(4);
        tokio::spawn(Receiver::new(context, origin, split).run(address));
        let address = soon(bound.wait_for(Option::is_some)).await.unwrap().unwrap();
        (address, pipeline)
    }

    #[tokio::test]
    async fn a_datagram_is_a_line_whatever_is_in_it() {
        let (address, mut pipeline) = start("").await;
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(b"one\ntwo\r\n", address).await.unwrap();
        let first = pipeline.chunk().await;
        assert_eq!(first.text, b"one two\n");
        assert_eq!(first.source.fields[0].1, {
            Literal::Object(vec![("ip".into(), Literal::Str("127.0.0.1".into()))])
        });
        client.send_to(b"\n\0", address).await.unwrap();
        client.send_to(b"three\0", address).await.unwrap();
        let second = pipeline.chunk().await;
        assert_eq!((second.text.as_slice(), second.offset), (&b"three\n"[..], 8));
        assert_eq!(first.source.id, second.source.id);
        pipeline.metric("logweir_input_datagrams_total 3").await;
    }

    #[tokio::test]
    async fn lines_of_a_datagram_can_be_events_of_their_own() {
        let (address, mut pipeline) = start("split_lines = true\n").await;
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.send_to(b"one\ntwo", address).await.unwrap();
        assert_eq!(pipeline.chunk().await.text, b"one\ntwo\n");
    }

    #[tokio::test]
    async fn a_stop_gives_every_sender_its_last_chunk() {
        let (address, mut pipeline) = start("").await;
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.2:0").await.unwrap();
        client.send_to(b"one", address).await.unwrap();
        assert!(!pipeline.chunk().await.last);
        other.send_to(b"two", address).await.unwrap();
        assert!(!pipeline.chunk().await.last);
        pipeline.stop.send(true).unwrap();
        let last = [pipeline.chunk().await, pipeline.chunk().await];
        assert!(last.iter().all(|chunk| chunk.last && chunk.text.is_empty() && chunk.offset == 4));
        assert_ne!(last[0].source.id, last[1].source.id);
        assert!(soon(pipeline.chunks.recv()).await.is_none());
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_tried_again() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let text = format!("listen = \"{}\"", taken.local_addr().unwrap());
        let (loaded, _) = load(&text, std::path::Path::new("/"), |section, load| {
            Some((Address::load_udp(section, load, "")?, Origin::load(load)))
        });
        let (address, origin) = loaded.unwrap();
        let mut bound = address.bound();
        let (context, pipeline) = pipeline(4);
        tokio::spawn(Receiver::new(context, origin, false).run(address));
        let paused = async {
            while !matches!(pipeline.health.states()[0].1, State::Paused(_)) {
                tokio::task::yield_now().await;
            }
        };
        soon(paused).await;
        drop(taken);
        soon(bound.wait_for(Option::is_some)).await.unwrap();
    }
}
