use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::fixture::{Pipeline, load, pipeline, soon};
use super::super::listener::Guests;
use super::Tcp;
use crate::budget::Use;
use crate::chunk::Chunk;
use crate::event::Literal;
use crate::health::State;

/// A running input on a free port of loopback.
struct Running {
    address: SocketAddr,
    pipeline: Pipeline,
    task: JoinHandle<()>,
}

async fn start(settings: &str, folder: &Path) -> Running {
    let text = format!("listen = \"127.0.0.1:0\"\n{settings}");
    let (tcp, said) = load(&text, folder, Tcp::read);
    assert_eq!(said, Vec::<String>::new());
    let tcp = tcp.unwrap();
    let mut bound = tcp.listener.bound();
    let (context, pipeline) = pipeline(4);
    let task = tokio::spawn(tcp.serve(context));
    let address = soon(bound.wait_for(Option::is_some)).await.unwrap().unwrap();
    Running { address, pipeline, task }
}

async fn plain(settings: &str) -> Running {
    start(settings, Path::new("/")).await
}

impl Running {
    async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(bytes).await.unwrap();
        client
    }

    /// All chunks of one connection, in order.
    async fn rest_of_connection(&mut self) -> Vec<Chunk> {
        let mut chunks = vec![self.pipeline.chunk().await];
        while !chunks.last().unwrap().last {
            chunks.push(self.pipeline.chunk().await);
        }
        chunks
    }

    async fn stop(self) {
        self.pipeline.stop.send(true).unwrap();
        drop(self.pipeline.chunks);
        soon(self.task).await.unwrap();
    }
}

fn text(chunks: &[Chunk]) -> String {
    chunks.iter().map(|c| String::from_utf8_lossy(&c.text).into_owned()).collect()
}

async fn closed(client: &mut TcpStream) -> bool {
    // An orderly end or a reset: both are closed.
    !matches!(soon(client.read(&mut [0; 16])).await, Ok(n) if n > 0)
}

#[tokio::test]
async fn a_line_goes_on_at_once_and_the_unfinished_one_at_the_end() {
    let mut running = plain("").await;
    let mut client = running.send(b"one\r\ntwo\nthr").await;
    let first = running.pipeline.chunk().await;
    assert_eq!((first.text.as_slice(), first.offset, first.last), (&b"one\r\ntwo\n"[..], 0, false));
    client.write_all(b"ee").await.unwrap();
    drop(client);
    let last = running.pipeline.chunk().await;
    assert_eq!((last.text.as_slice(), last.offset, last.last), (&b"three"[..], 9, true));
    assert_eq!(first.source.id, last.source.id);
    let (_, source) = &first.source.fields[0];
    let Literal::Object(entries) = source else { panic!("{source:?}") };
    assert_eq!(entries[0], ("ip".into(), Literal::Str("127.0.0.1".into())));
    assert_eq!(entries[1].0, "port");
    running.pipeline.metric("logweir_input_bytes_total 14").await;
    running.stop().await;
}

#[tokio::test]
async fn lines_of_many_connections_all_arrive_in_order_each() {
    let mut running = plain("").await;
    let writers: Vec<_> = (0..50)
        .map(|n| {
            let address = running.address;
            tokio::spawn(async move {
                let mut client = TcpStream::connect(address).await.unwrap();
                for line in 0..400 {
                    let padding = "x".repeat(line % 90);
                    client.write_all(format!("{n} {line} {padding}\n").as_bytes()).await.unwrap();
                }
            })
        })
        .collect();
    let (mut ended, mut next) = (0, vec![0; 50]);
    let mut texts = std::collections::BTreeMap::<u64, Vec<u8>>::new();
    while ended < 50 {
        let chunk = running.pipeline.chunk().await;
        let held = texts.entry(chunk.source.id).or_default();
        assert_eq!(chunk.offset, held.len() as u64);
        held.extend_from_slice(&chunk.text);
        ended += usize::from(chunk.last);
    }
    for text in texts.values() {
        for line in std::str::from_utf8(text).unwrap().lines() {
            let mut words = line.split(' ').map(str::parse::<usize>);
            let (n, line) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
            assert_eq!(next[n], line);
            next[n] += 1;
        }
    }
    assert_eq!(next, vec![400; 50]);
    for writer in writers {
        writer.await.unwrap();
    }
    running.pipeline.metric("logweir_input_connections 0").await;
    running.pipeline.metric("logweir_input_connections_total 50").await;
    running.stop().await;
}

#[tokio::test]
async fn much_at_once_comes_in_large_chunks() {
    let mut running = plain("").await;
    let sent: Vec<u8> = (0..200_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let (address, bytes) = (running.address, sent.clone());
    let writer = tokio::spawn(async move {
        TcpStream::connect(address).await.unwrap().write_all(&bytes).await.unwrap();
    });
    let chunks = running.rest_of_connection().await;
    writer.await.unwrap();
    assert_eq!(chunks.iter().flat_map(|c| c.text.clone()).collect::<Vec<u8>>(), sent);
    let most = chunks.iter().map(|c| c.text.len()).max().unwrap();
    assert!(most > 32 * 1024, "the largest of {} chunks has {most} bytes", chunks.len());
    running.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_is_closed_and_counted() {
    let mut running = plain("max_connections = 1\n").await;
    let first = running.send(b"a\n").await;
    assert_eq!(running.pipeline.chunk().await.text, b"a\n");
    let mut second = running.connect().await;
    assert!(closed(&mut second).await);
    let refused = "logweir_input_connections_refused_total{reason=\"too_many_connections\"} 1";
    running.pipeline.metric(refused).await;
    drop(first);
    assert!(running.pipeline.chunk().await.last);
    running.pipeline.metric("logweir_input_connections 0").await;
    let _third = running.send(b"c\n").await;
    assert_eq!(running.pipeline.chunk().await.text, b"c\n");
    running.stop().await;
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_what_it_sent_is_kept() {
    let mut running = plain("idle_timeout = \"300ms\"\n").await;
    let mut client = running.send(b"half").await;
    assert!(closed(&mut client).await);
    let chunk = running.pipeline.chunk().await;
    assert_eq!((chunk.text.as_slice(), chunk.last), (&b"half"[..], true));
    running.stop().await;
}

#[tokio::test]
async fn a_client_whose_bytes_drip_and_never_end_a_line_is_closed_as_a_silent_one() {
    let mut running = plain("idle_timeout = \"300ms\"\n").await;
    let client = running.connect().await;
    client.set_nodelay(true).unwrap();
    let (mut read, mut write) = client.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert!(!matches!(soon(read.read(&mut [0; 1])).await, Ok(n) if n > 0));
    let chunks = running.rest_of_connection().await;
    assert!(text(&chunks).bytes().all(|b| b == b'x'));
    running.pipeline.metric("logweir_input_connections_closed_total{reason=\"silent\"} 1").await;
    soon(dripping).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn when_all_places_are_taken_a_client_that_never_sent_a_line_gives_way_and_no_other() {
    let mut running = plain("max_connections = 2\n").await;
    let mut useful = running.send(b"a\n").await;
    assert_eq!(running.pipeline.chunk().await.text, b"a\n");
    let mut stranger = running.send(b"half a line").await;
    running.pipeline.metric("logweir_input_connections 2").await;
    // Refused until the stranger has had its time.
    let mut newcomer = running.send(b"b\n").await;
    let mut nothing = [0; 1];
    let first = loop {
        tokio::select! {
            chunk = running.pipeline.chunk() => break chunk,
            _ = newcomer.read(&mut nothing) => {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                newcomer = running.send(b"b\n").await;
            }
        }
    };
    // What the stranger sent is kept; which of the two comes first is chance.
    let second = running.pipeline.chunk().await;
    let mut texts = [first.text.clone(), second.text.clone()];
    texts.sort();
    assert_eq!(texts, [b"b\n".to_vec(), b"half a line".to_vec()]);
    assert!(closed(&mut stranger).await);
    running.pipeline.metric("logweir_input_connections_closed_total{reason=\"gave_way\"} 1").await;
    // Now both have sent lines, and nobody gives way.
    let mut third = running.connect().await;
    assert!(closed(&mut third).await);
    useful.write_all(b"again\n").await.unwrap();
    assert_eq!(running.pipeline.chunk().await.text, b"again\n");
    running.stop().await;
}

#[tokio::test]
async fn an_address_has_no_more_connections_than_it_may() {
    let mut running = plain("max_connections_per_address = 1\n").await;
    let _first = running.send(b"a\n").await;
    assert_eq!(running.pipeline.chunk().await.text, b"a\n");
    let mut second = running.connect().await;
    assert!(closed(&mut second).await);
    let refused = "logweir_input_connections_refused_total{reason=\"too_many_of_one_address\"} 1";
    running.pipeline.metric(refused).await;
    running.stop().await;
}

#[tokio::test]
async fn an_endless_line_comes_in_pieces_and_the_next_line_whole() {
    let mut running = plain("max_line = \"64KiB\"\n").await;
    let address = running.address;
    let writer = tokio::spawn(async move {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"before\n").await.unwrap();
        client.write_all(&vec![b'x'; 3_000_000]).await.unwrap();
        client.write_all(b"\nafter\n").await.unwrap();
    });
    let chunks = running.rest_of_connection().await;
    writer.await.unwrap();
    let (pieces, whole): (Vec<_>, Vec<_>) = chunks.into_iter().partition(|c| c.piece);
    assert_eq!(text(&whole), "before\nafter\n");
    assert_eq!(pieces.iter().map(|c| c.text.len()).sum::<usize>(), 3_000_001);
    assert!(pieces.iter().all(|c| c.text.len() <= 64 * 1024 + 1));
    running.pipeline.metric("logweir_input_lines_split_total 1").await;
    running.stop().await;
}

#[tokio::test]
async fn a_byte_at_a_time_gives_the_same_lines() {
    let mut running = plain("").await;
    let mut client = running.connect().await;
    client.set_nodelay(true).unwrap();
    for byte in b"slow\nclient\nend" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    drop(client);
    assert_eq!(text(&running.rest_of_connection().await), "slow\nclient\nend");
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_speaks_another_protocol_is_told_apart_and_hurts_nobody() {
    let mut running = plain("").await;
    let mut good = running.send(b"good 1\n").await;
    assert_eq!(running.pipeline.chunk().await.text, b"good 1\n");
    let mut tls = running.send(&[0x16, 3, 1, 0, 200, 1, 0, 0]).await;
    assert!(closed(&mut tls).await);
    let reason = |name| format!("logweir_input_protocol_errors_total{{reason=\"{name}\"}} 1");
    running.pipeline.metric(&reason("tls_on_plain_port")).await;
    drop(running.send(b"GET / HTTP/1.1\r\n\r\n").await);
    assert_eq!(text(&running.rest_of_connection().await), "GET / HTTP/1.1\r\n\r\n");
    running.pipeline.metric(&reason("http_on_plain_port")).await;
    let garbage: Vec<u8> = (0..=255).cycle().skip(128).take(100_000).collect();
    drop(running.send(&garbage).await);
    let chunks = running.rest_of_connection().await;
    assert_eq!(chunks.iter().flat_map(|c| c.text.clone()).collect::<Vec<u8>>(), garbage);
    good.write_all(b"good 2\n").await.unwrap();
    assert_eq!(running.pipeline.chunk().await.text, b"good 2\n");
    running.stop().await;
}

#[tokio::test]
async fn a_busy_pipeline_stops_the_reading_and_loses_nothing() {
    let mut running = plain("").await;
    let address = running.address;
    let total = 40 << 20;
    let writer = tokio::spawn(async move {
        let mut client = TcpStream::connect(address).await.unwrap();
        let block: Vec<u8> = b"0123456789abcde\n".repeat(4096);
        for _ in 0..total / block.len() {
            client.write_all(&block).await.unwrap();
        }
    });
    // The pipeline takes nothing: the client must come to a halt, far from its end.
    let bytes = || {
        let text = running.pipeline.metrics.render();
        let line = text.lines().find(|l| l.starts_with("logweir_input_bytes_total ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let mut seen = (0, 0);
    while seen.1 < 20 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        let now = bytes();
        seen = if now == seen.0 && now > 0 { (now, seen.1 + 1) } else { (now, 0) };
    }
    assert!(seen.0 < 6 * 512 * 1024, "{} bytes were read with nobody to take them", seen.0);
    assert!(!writer.is_finished());
    let mut read = 0;
    while read < total {
        read += running.pipeline.chunk().await.text.len();
    }
    writer.await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn at_a_stop_what_was_read_is_handed_on() {
    let mut running = plain("").await;
    let _client = running.send(b"whole\npart").await;
    assert_eq!(running.pipeline.chunk().await.text, b"whole\n");
    running.pipeline.stop.send(true).unwrap();
    let last = running.pipeline.chunk().await;
    assert_eq!((last.text.as_slice(), last.last), (&b"part"[..], true));
    soon(running.task).await.unwrap();
}

#[tokio::test]
async fn a_taken_address_is_said_in_health_and_tried_until_it_is_free() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let (tcp, _) = load(&format!("listen = \"{address}\"\n"), Path::new("/"), Tcp::read);
    let (context, pipeline) = pipeline(4);
    let task = tokio::spawn(tcp.unwrap().serve(context));
    let state = |wanted: fn(&State) -> bool| {
        let health = pipeline.health.clone();
        soon(async move {
            while !wanted(&health.states()[0].1) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
            health.states()[0].1.clone()
        })
    };
    let State::Paused(why) = state(|s| matches!(s, State::Paused(_))).await else { panic!() };
    assert!(why.contains("cannot listen on 127.0.0.1:") && why.contains("ss -ltnp"), "{why}");
    drop(holder);
    state(|s| *s == State::Fine).await;
    pipeline.stop.send(true).unwrap();
    soon(task).await.unwrap();
}

#[test]
fn addresses_are_checked_when_loading_and_tried_when_probing() {
    let said = |text: &str| load(text, Path::new("/"), Tcp::read).1.join("");
    for good in ["0.0.0.0:5000", "[::]:5000", "localhost:5000", "[::1]:0"] {
        assert_eq!(said(&format!("listen = \"{good}\"\n")), "");
    }
    for (bad, why) in [
        ("5000", "an address and a port"),
        ("::1", "the port is missing"),
        (":5000", "before the colon"),
        ("host:99999", "the port must be"),
        ("::x:5000", "brackets"),
    ] {
        let said = said(&format!("listen = \"{bad}\"\n"));
        assert!(said.contains(why) && said.contains("hint: write"), "{said}");
    }
    assert!(said("").contains("`listen` is missing"));
    assert!(said("listen = \"[::]:1\"\nmax_line = 1\nidle_timeout = \"0s\"").contains("max_line"));
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("# probe\nlisten = \"{}\"\n", holder.local_addr().unwrap());
    assert!(said(&taken).starts_with("warning: cannot listen on 127.0.0.1:"));
}

/// A session without a listener.
fn session() -> (super::Session, Arc<super::Shared>, tokio::io::DuplexStream, Pipeline) {
    let (context, pipeline) = pipeline(4);
    let traffic = super::Traffic::of(&context);
    let idle = std::time::Duration::from_secs(60);
    let shared =
        Arc::new(super::Shared::new(context.intake, context.clock, traffic, idle, 1 << 20));
    let source = crate::event::Source {
        id: 1,
        input: "net".into(),
        kind: crate::event::SourceKind::Stream,
        fields: Vec::new(),
    };
    let (client, server) = tokio::io::duplex(1 << 16);
    let connection = super::Connection {
        stream: Box::new(server),
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        stop: pipeline.stop.subscribe(),
        guest: Guests::alone(),
    };
    let session = super::Session::new(connection, Arc::new(source), Arc::clone(&shared));
    (session, shared, client, pipeline)
}

#[test]
fn a_waiting_connection_is_small() {
    let (session, _shared, _client, _pipeline) = session();
    let bytes = size_of_val(&session.run()) + crate::limits::CONNECTION_READ_BYTES;
    assert!(bytes < 8 * 1024, "{bytes} bytes besides the socket");
}

#[tokio::test]
async fn when_all_connections_hold_too_much_a_long_line_is_split_early() {
    for (held, early) in [(0, false), (crate::limits::CONNECTION_HELD_BYTES_MAX as u64, true)] {
        let (session, shared, mut client, mut pipeline) = session();
        let budget = shared.intake.budget().clone();
        let _others = budget.hold(Use::Connections, held);
        let task = tokio::spawn(session.run());
        client.write_all(&b"x".repeat(20_000)).await.unwrap();
        client.write_all(b"end").await.unwrap();
        drop(client);
        let mut chunks = vec![pipeline.chunk().await];
        while !chunks.last().unwrap().last {
            chunks.push(pipeline.chunk().await);
        }
        assert_eq!(text(&chunks).len(), 20_003);
        assert_eq!(chunks[0].piece, early);
        soon(task).await.unwrap();
        assert_eq!(budget.used(Use::Connections), held);
    }
}

#[tokio::test]
async fn a_client_that_falls_silent_within_a_long_line_gives_the_room_to_others() {
    let (session, shared, mut client, mut pipeline) = session();
    let budget = shared.intake.budget().clone();
    let task = tokio::spawn(session.run());
    client.write_all(&b"x".repeat(20_000)).await.unwrap();
    let carried = async {
        while budget.used(Use::Connections) < 20_000 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    soon(carried).await;
    let others = budget.hold(Use::Connections, crate::limits::CONNECTION_HELD_BYTES_MAX as u64);
    let piece = pipeline.chunk().await;
    assert_eq!((piece.text.len(), piece.piece, piece.last), (20_000, true, false));
    drop(others);
    assert_eq!(budget.used(Use::Connections), 0);
    client.write_all(b"end\nnext\n").await.unwrap();
    drop(client);
    let mut chunks = vec![pipeline.chunk().await];
    while !chunks.last().unwrap().last {
        chunks.push(pipeline.chunk().await);
    }
    assert_eq!(text(&chunks), "end\nnext\n");
    assert!(chunks[0].piece && !chunks[1].piece);
    soon(task).await.unwrap();
}

/// An authority, a server certificate and a client certificate as files; and what a client needs.
struct Certificates {
    folder: tempfile::TempDir,
    trusting: ClientConfig,
    trusted: ClientConfig,
}

fn certificates() -> Certificates {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    write("ca.pem", ca_certificate.pem());
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    write("server.pem", certificate.pem());
    write("server.key", key.serialize_pem());
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).unwrap();
    let builder = || {
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
    };
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let trusted = builder().with_client_auth_cert(vec![certificate.der().clone()], key).unwrap();
    Certificates { trusting: builder().with_no_client_auth(), trusted, folder }
}

async fn send_tls(address: SocketAddr, config: &ClientConfig, bytes: &[u8]) -> std::io::Result<()> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config.clone()));
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, socket).await?;
    stream.write_all(bytes).await?;
    stream.shutdown().await?;
    // With TLS 1.3 a refusal of the client's certificate is only seen when reading.
    stream.read(&mut [0; 1]).await.map(|_| ())
}

const TLS: &str = "[tls]\ncert = \"server.pem\"\nkey = \"server.key\"\n";

#[tokio::test]
async fn tls_carries_lines_and_a_plain_client_is_refused() {
    let certificates = certificates();
    let mut running = start(TLS, certificates.folder.path()).await;
    let long = "x".repeat(100_000) + "\nend";
    soon(send_tls(running.address, &certificates.trusting, long.as_bytes())).await.unwrap();
    assert_eq!(text(&running.rest_of_connection().await), long);
    let mut plain = running.send(b"{\"a\":1}\n").await;
    while !closed(&mut plain).await {}
    let line = "logweir_input_protocol_errors_total{reason=\"tls_handshake\"} 1";
    running.pipeline.metric(line).await;
    running.stop().await;
}

#[tokio::test]
async fn with_a_client_authority_nobody_gets_in_without_its_certificate() {
    let certificates = certificates();
    let settings = format!("{TLS}client_ca = \"ca.pem\"\n");
    let mut running = start(&settings, certificates.folder.path()).await;
    let refused = soon(send_tls(running.address, &certificates.trusting, b"no\n")).await;
    assert!(refused.is_err());
    let line = "logweir_input_protocol_errors_total{reason=\"tls_handshake\"} 1";
    running.pipeline.metric(line).await;
    soon(send_tls(running.address, &certificates.trusted, b"yes\n")).await.unwrap();
    assert_eq!(text(&running.rest_of_connection().await), "yes\n");
    running.stop().await;
}
