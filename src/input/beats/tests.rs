use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::fixture::{Pipeline, load, pipeline, soon};
use super::super::listener::Guests;
use super::Beats;
use super::frame::tests::{compressed, json, window};

/// A running input on a free port of loopback.
struct Running {
    address: SocketAddr,
    pipeline: Pipeline,
    task: JoinHandle<()>,
}

async fn start(settings: &str, chunks: usize, alive_ms: u64) -> Running {
    let text = format!("listen = \"127.0.0.1:0\"\n{settings}");
    let (beats, said) = load(&text, Path::new("/"), Beats::read);
    assert_eq!(said, Vec::<String>::new());
    let mut beats = beats.unwrap();
    beats.alive_ms = alive_ms;
    let mut bound = beats.listener.bound();
    let (context, pipeline) = pipeline(chunks);
    let task = tokio::spawn(beats.serve(context));
    let address = soon(bound.wait_for(Option::is_some)).await.unwrap().unwrap();
    Running { address, pipeline, task }
}

const NEVER_MS: u64 = 3_600_000;

impl Running {
    async fn send(&self, bytes: &[u8]) -> TcpStream {
        let mut client = soon(TcpStream::connect(self.address)).await.unwrap();
        client.write_all(bytes).await.unwrap();
        client
    }

    async fn stop(self) {
        self.pipeline.stop.send(true).unwrap();
        drop(self.pipeline.chunks);
        soon(self.task).await.unwrap();
    }
}

/// A window of events `{"n":1}` and so on, and the lines it becomes.
fn events(count: u32) -> (Vec<u8>, String) {
    let text = |n: u32| format!("{{\"n\":{n}}}");
    let frames = (1..=count).flat_map(|n| json(n, text(n).as_bytes())).collect();
    (frames, (1..=count).map(|n| text(n) + "\n").collect())
}

async fn sequence(client: &mut TcpStream) -> u32 {
    let mut frame = [0; 6];
    soon(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame[..2], b"2A");
    u32::from_be_bytes(frame[2..].try_into().unwrap())
}

#[tokio::test]
async fn a_window_is_acknowledged_when_it_is_stored_and_not_before() {
    let mut running = start("", 4, NEVER_MS).await;
    let (frames, lines) = events(3);
    let mut client = running.send(&[window(b'2', 3), compressed(&frames)].concat()).await;
    let chunk = running.pipeline.chunk().await;
    assert_eq!(String::from_utf8_lossy(&chunk.text), lines);
    assert!(!chunk.last && !chunk.piece && chunk.offset == 0);
    // Give a wrong acknowledgement the time to come: it would fail here, a right one never does.
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), client.read_u8()).await;
    assert!(early.is_err(), "something was sent before the journal had it");
    chunk.ack.unwrap().stored();
    assert_eq!(sequence(&mut client).await, 3);
    client.write_all(&[window(b'2', 1), json(1, b"{}")].concat()).await.unwrap();
    let second = running.pipeline.chunk().await;
    assert_eq!((second.text.as_slice(), second.offset), (&b"{}\n"[..], lines.len() as u64));
    second.ack.unwrap().stored();
    assert_eq!(sequence(&mut client).await, 1);
    drop(client);
    let last = running.pipeline.chunk().await;
    assert!(last.last && last.text.is_empty() && last.source.id == second.source.id);
    running.stop().await;
}

#[tokio::test]
async fn the_next_window_is_read_while_the_former_waits() {
    let mut running = start("", 4, NEVER_MS).await;
    let windows: Vec<u8> = (1..=3).flat_map(|n| [window(b'2', n), events(n).0].concat()).collect();
    let mut client = running.send(&windows).await;
    let mut acks = Vec::new();
    for _ in 0..3 {
        acks.push(running.pipeline.chunk().await.ack.unwrap());
    }
    // Stored in any order, acknowledged in the client's.
    acks.into_iter().rev().for_each(crate::chunk::Ack::stored);
    for expected in 1..=3 {
        assert_eq!(sequence(&mut client).await, expected);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_waiting_client_gets_signs_of_life_even_while_the_pipeline_is_full() {
    let mut running = start("", 1, 10).await;
    let (frames, _) = events(2);
    let both = [window(b'2', 2), frames.clone(), window(b'2', 2), frames].concat();
    let mut client = running.send(&both).await;
    // Nobody takes the first chunk, so the second waits outside the queue.
    for _ in 0..3 {
        assert_eq!(sequence(&mut client).await, 0);
    }
    for _ in 0..2 {
        running.pipeline.chunk().await.ack.unwrap().stored();
    }
    let mut ends = 0;
    while ends < 2 {
        match sequence(&mut client).await {
            0 => {}
            2 => ends += 1,
            other => panic!("acknowledged {other}"),
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn an_acknowledgement_without_an_event_waits_for_the_events_before_it() {
    let mut running = start("", 4, NEVER_MS).await;
    let large = format!("{{\"n\":\"{}\"}}", "x".repeat(crate::limits::BEATS_PART_BYTES));
    let frames = [window(b'1', 2), json(1, large.as_bytes()), json(2, b"")].concat();
    let mut client = running.send(&frames).await;
    let chunk = running.pipeline.chunk().await;
    assert_eq!(chunk.text.len(), large.len() + 1);
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), client.read_u8()).await;
    assert!(early.is_err(), "something was sent before the journal had it");
    chunk.ack.unwrap().stored();
    let mut frame = [0; 6];
    soon(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame, b"1A\0\0\0\x02");
    running.stop().await;
}

#[tokio::test]
async fn a_client_of_version_1_gets_one_acknowledgement_and_no_sign_of_life() {
    let mut running = start("", 4, 5).await;
    let data = b"1D\0\0\0\x07\0\0\0\x01\0\0\0\x04line\0\0\0\x01x";
    let mut client = running.send(&[&window(b'1', 1)[..], data].concat()).await;
    let chunk = running.pipeline.chunk().await;
    assert_eq!(chunk.text, b"{\"message\":\"x\"}\n");
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    chunk.ack.unwrap().stored();
    let mut frame = [0; 6];
    soon(client.read_exact(&mut frame)).await.unwrap();
    assert_eq!(&frame, b"1A\0\0\0\x07");
    running.stop().await;
}

#[tokio::test]
async fn what_the_journal_did_not_take_is_not_acknowledged_and_the_client_is_cut() {
    let mut running = start("", 4, NEVER_MS).await;
    let mut client = running.send(&[window(b'2', 1), json(1, b"{}")].concat()).await;
    drop(running.pipeline.chunk().await);
    assert_eq!(soon(client.read(&mut [0; 6])).await.unwrap_or(0), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_is_not_silent_and_one_that_does_not_is() {
    let mut running = start("idle_timeout = \"400ms\"\n", 4, NEVER_MS).await;
    let mut client = running.send(&[window(b'2', 1), json(1, b"{}")].concat()).await;
    let chunk = running.pipeline.chunk().await;
    tokio::time::sleep(std::time::Duration::from_millis(900)).await;
    chunk.ack.unwrap().stored();
    assert_eq!(sequence(&mut client).await, 1);
    assert_eq!(soon(client.read(&mut [0; 6])).await.unwrap(), 0);
    running.stop().await;
}

#[tokio::test]
async fn a_client_whose_event_drips_is_closed_as_a_silent_one() {
    let running = start("idle_timeout = \"300ms\"\n", 4, NEVER_MS).await;
    let huge = [&window(b'2', 1)[..], b"2J\0\0\0\x01\xff\xff\xff\xff"].concat();
    let (mut read, mut write) = running.send(&huge).await.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b" ").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    assert_eq!(soon(read.read(&mut [0; 6])).await.unwrap_or(0), 0);
    running.pipeline.metric("logweir_input_connections_closed_total{reason=\"silent\"} 1").await;
    soon(dripping).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn an_unfinished_window_is_left_to_the_client_to_send_again() {
    let mut running = start("", 4, NEVER_MS).await;
    let (frames, lines) = events(2);
    drop(running.send(&[window(b'2', 3), frames.clone()].concat()).await);
    running.pipeline.metric("logweir_input_connections_total 1").await;
    running.pipeline.metric("logweir_input_connections 0").await;
    let _client = running.send(&[window(b'2', 2), frames].concat()).await;
    assert_eq!(String::from_utf8_lossy(&running.pipeline.chunk().await.text), lines);
    running.stop().await;
}

#[tokio::test]
async fn who_breaks_the_protocol_is_closed_and_counted_and_hurts_nobody() {
    let mut running = start("max_inflated = \"1MiB\"\nmax_event = \"1KiB\"\n", 4, NEVER_MS).await;
    let mut good = running.send(&window(b'2', 1)).await;
    let bomb: Vec<u8> = (0..3000).flat_map(|n| json(n, &[b' '; 1000])).collect();
    let cases = [
        ("not_beats", b"hello\n".to_vec()),
        ("tls_on_plain_port", vec![0x16, 3, 1, 0, 200, 1]),
        ("http_on_plain_port", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("no_window", json(1, b"{}")),
        ("inflated_too_large", [window(b'2', 9999), compressed(&bomb)].concat()),
    ];
    for (reason, bytes) in cases {
        let mut client = running.send(&bytes).await;
        assert_eq!(soon(client.read(&mut [0; 6])).await.unwrap_or(0), 0, "{reason}");
        let line = format!("logweir_input_protocol_errors_total{{reason=\"{reason}\"}} 1");
        running.pipeline.metric(&line).await;
    }
    good.write_all(&json(1, b"{}")).await.unwrap();
    let chunk = running.pipeline.chunk().await;
    assert_eq!(chunk.text, b"{}\n");
    chunk.ack.unwrap().stored();
    assert_eq!(sequence(&mut good).await, 1);
    running.stop().await;
}

#[tokio::test]
async fn at_a_stop_what_was_handed_on_is_still_acknowledged() {
    let mut running = start("", 4, NEVER_MS).await;
    let mut client = running.send(&[window(b'2', 1), json(1, b"{}")].concat()).await;
    let chunk = running.pipeline.chunk().await;
    running.pipeline.stop.send(true).unwrap();
    chunk.ack.unwrap().stored();
    assert_eq!(sequence(&mut client).await, 1);
    soon(running.task).await.unwrap();
}

#[test]
fn bounds_are_checked_when_loading() {
    let said = |text: &str| load(text, Path::new("/"), Beats::read).1.join("");
    assert_eq!(said("listen = \"[::]:5044\"\n"), "");
    assert!(said("listen = \"[::]:5044\"\nmax_event = 1\n").contains("from 1KiB to 64MiB"));
    let less = "listen = \"[::]:5044\"\nmax_inflated = \"1MiB\"\n";
    assert!(said(less).contains("less than `max_event`"));
}

#[test]
fn a_waiting_connection_is_small() {
    let (context, _pipeline) = pipeline(1);
    let traffic = super::Traffic::of(&context);
    let idle = std::time::Duration::from_secs(1);
    let bounds = super::Bounds::USUAL;
    let shared = super::Shared::new(context.intake, context.clock, traffic, idle, 1, bounds);
    let source = crate::event::Source {
        id: 1,
        input: "net".into(),
        kind: crate::event::SourceKind::Stream,
        fields: Vec::new(),
    };
    let connection = super::Connection {
        stream: Box::new(tokio::io::empty()),
        peer: SocketAddr::from(([127, 0, 0, 1], 1)),
        stop: context.stop,
        guest: Guests::alone(),
    };
    let task = super::Session::run(connection, source.into(), shared.into());
    let bytes = size_of_val(&task) + crate::limits::CONNECTION_READ_BYTES;
    assert!(bytes < 10 * 1024, "{bytes} bytes besides the socket");
}
