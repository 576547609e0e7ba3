use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::fixture::{Pipeline, load, pipeline, soon};
use super::Forward;
use super::handshake::SharedKey;
use super::message::{Entries, Problem};
use crate::chunk::Chunk;
use crate::msgpack::Extent;
use crate::msgpack::tests::pack;
use crate::settings::Secret;

fn packed(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    pack(value, false, &mut out);
    out
}

/// A text or a byte string as its own bytes, for messages that hold packed entries.
fn bytes(value: &[u8]) -> Vec<u8> {
    let mut out = vec![0xc6];
    out.extend((value.len() as u32).to_be_bytes());
    out.extend_from_slice(value);
    out
}

fn gzip(entries: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(entries).unwrap();
    encoder.finish().unwrap()
}

fn lines(message: &[u8]) -> Result<(Vec<Value>, Option<Vec<u8>>), Problem> {
    assert_eq!(Extent::next().of(message), Ok(Some(message.len())));
    let mut entries = Entries::of(message, 10_000)?;
    let mut text = Vec::new();
    loop {
        let part = entries.next_part()?;
        if part.is_empty() {
            break;
        }
        text.extend(part);
    }
    let lines = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    Ok((lines, entries.chunk.map(<[u8]>::to_vec)))
}

fn line(time: &str, n: u64) -> Value {
    json!({ "@metadata": { "tag": "app.x" }, "n": n, "@timestamp": time })
}

const T: &str = "2026-11-22T12:00:00.000Z";
const SECONDS: u64 = 1_795_348_800;

#[test]
fn all_forms_of_a_message_give_the_same_lines() {
    let one = json!([SECONDS, { "n": 1 }]);
    let two = json!([SECONDS, { "n": 2 }]);
    let both = [packed(&one), packed(&two)].concat();
    let options = |compressed: Option<&str>| match compressed {
        Some(word) => json!({ "chunk": "c1", "size": 2, "compressed": word }),
        None => json!({ "chunk": "c1", "size": 2 }),
    };
    let with = |entries: &[u8], options: &Value| {
        [&b"\x93\xa5app.x"[..], &bytes(entries), &packed(options)].concat()
    };
    let messages = [
        packed(&json!(["app.x", [one, two], options(None)])),
        with(&both, &options(None)),
        with(&both, &options(Some("text"))),
        with(&gzip(&both), &options(Some("gzip"))),
        with(&[gzip(&packed(&one)), gzip(&packed(&two))].concat(), &options(Some("gzip"))),
    ];
    for message in messages {
        let (found, chunk) = lines(&message).unwrap();
        assert_eq!(found, [line(T, 1), line(T, 2)]);
        assert_eq!(chunk.as_deref(), Some(&b"c1"[..]));
    }
    let single = lines(&packed(&json!(["app.x", SECONDS, { "n": 1 }]))).unwrap();
    assert_eq!(single, (vec![line(T, 1)], None));
    let bit = lines(&packed(&json!(["app.x", [[[SECONDS, { "k": 1 }], { "n": 1 }]]]))).unwrap();
    assert_eq!(bit.0, [line(T, 1)]);
}

#[test]
fn a_time_may_have_a_fraction_and_a_record_its_own() {
    let mut message = b"\x93\xa5app.x\xd7\x00".to_vec();
    message.extend((SECONDS as u32).to_be_bytes());
    message.extend(250_000_000_u32.to_be_bytes());
    message.extend(packed(&json!({ "n": 1 })));
    assert_eq!(lines(&message).unwrap().0, [line("2026-11-22T12:00:00.250Z", 1)]);
    let own = packed(&json!(["app.x", SECONDS, { "@timestamp": "x", "@metadata": 1 }]));
    assert_eq!(
        lines(&own).unwrap().0,
        [json!({ "@metadata": { "tag": "app.x" }, "@timestamp": "x" })]
    );
}

#[test]
fn what_is_no_message_says_why() {
    let refused = |value: Value| lines(&packed(&value)).unwrap_err();
    assert_eq!(refused(json!("x")).reason(), "not_forward");
    assert_eq!(refused(json!([1, 2, 3])).reason(), "not_forward");
    let bomb = gzip(&vec![0; 1_000_000]);
    let message =
        [&b"\x93\xa1t"[..], &bytes(&bomb), &packed(&json!({ "compressed": "gzip" }))].concat();
    let problem = lines(&message).unwrap_err();
    assert!(matches!(problem.reason(), "inflated_too_large" | "not_forward"), "{problem}");
    let cut = [&b"\x92\xa1t"[..], &bytes(&packed(&json!([1, { "a": 1 }]))[..3])].concat();
    assert_eq!(lines(&cut).unwrap_err().reason(), "not_forward");
}

#[test]
fn an_entry_that_is_none_is_kept_as_text_and_keeps_no_other_from_coming_in() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let odd = [json!([1, 2]), json!(["x", { "a": "\n" }]), json!(7), json!([1, { "d": deep }])];
    for entry in odd {
        let message =
            packed(&json!(["app.x", [[SECONDS, { "n": 1 }], entry, [SECONDS, { "n": 2 }]]]));
        let (found, _) = lines(&message).unwrap();
        let [first, kept, last] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((first, last), (&line(T, 1), &line(T, 2)));
        assert_eq!(kept["@metadata"]["tag"], "app.x");
        assert!(kept["message"].is_string(), "{kept}");
        let is_deep = entry[1]["d"].is_array();
        let text = entry.to_string();
        assert!(is_deep || kept["message"].as_str() == Some(&text), "{kept}");
    }
}

struct Running {
    address: std::net::SocketAddr,
    pipeline: Pipeline,
    task: JoinHandle<()>,
}

async fn start(settings: &str) -> Running {
    let text = format!("listen = \"127.0.0.1:0\"\n{settings}");
    let (forward, said) = load(&text, std::path::Path::new("/"), Forward::read);
    assert_eq!(said, Vec::<String>::new());
    let forward = forward.unwrap();
    let mut bound = forward.listener.bound();
    let (context, pipeline) = pipeline(4);
    let task = tokio::spawn(forward.serve(context));
    let address = soon(bound.wait_for(Option::is_some)).await.unwrap().unwrap();
    Running { address, pipeline, task }
}

async fn answer(client: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while Extent::next().of(&bytes).unwrap().is_none() {
        assert!(soon(client.read_buf(&mut bytes)).await.unwrap() > 0, "the end after {bytes:?}");
    }
    bytes
}

fn stored(mut chunk: Chunk) -> String {
    chunk.ack.take().unwrap().stored();
    String::from_utf8(chunk.text).unwrap()
}

#[tokio::test]
async fn a_message_is_acknowledged_when_it_is_stored_and_not_before() {
    let mut running = start("").await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    let message = packed(&json!(["t", [[SECONDS, { "n": 1 }]], { "chunk": "id" }]));
    let (front, rest) = message.split_at(5);
    client.write_all(front).await.unwrap();
    client.write_all(rest).await.unwrap();
    let chunk = running.pipeline.chunk().await;
    let nothing = std::future::poll_fn(|context| {
        let mut bytes = [0; 1];
        let mut buffer = tokio::io::ReadBuf::new(&mut bytes);
        let read = std::pin::Pin::new(&mut client);
        std::task::Poll::Ready(
            tokio::io::AsyncRead::poll_read(read, context, &mut buffer).is_pending(),
        )
    });
    assert!(nothing.await, "acknowledged before it was stored");
    assert!(stored(chunk).contains("\"n\":1"));
    let mut out = Vec::new();
    crate::msgpack::Reader::new(&answer(&mut client).await).write_json(&mut out).unwrap();
    assert_eq!(out, b"{\"ack\":\"id\"}");
    running.pipeline.stop.send(true).unwrap();
    drop(running.pipeline.chunks);
    soon(running.task).await.unwrap();
}

/// Its client sends it again and again.
#[tokio::test]
async fn a_message_with_a_damaged_end_does_not_come_in_by_half() {
    let mut running = start("").await;
    let entry = packed(&json!([SECONDS, { "text": "x".repeat(100_000) }]));
    let entries: Vec<u8> = (0..30).flat_map(|_| entry.clone()).collect();
    let whole = gzip(&entries);
    let options = packed(&json!({ "chunk": "c1", "compressed": "gzip" }));
    for (bad, reason) in [
        (&whole[..whole.len() - 20], "bad_compression"),
        (&gzip(&entries[..entries.len() - 1]), "not_forward"),
    ] {
        let message = [&b"\x93\xa5app.x"[..], &bytes(bad), &options].concat();
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(&message).await.unwrap();
        assert!(matches!(soon(client.read(&mut [0; 8])).await, Ok(0) | Err(_)));
        let line = format!("logweir_input_protocol_errors_total{{reason=\"{reason}\"}} 1");
        running.pipeline.metric(&line).await;
    }
    assert!(running.pipeline.chunks.try_recv().is_err());
}

#[tokio::test]
async fn who_breaks_the_protocol_is_sent_away_and_others_are_served() {
    let mut running = start("max_message = \"1KiB\"\n").await;
    for (bytes, reason) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "http_on_plain_port"),
        (&b"\x16\x03\x01\x02\x00\x01"[..], "tls_on_plain_port"),
        (&b"\xc1"[..], "not_msgpack"),
        (&[&b"\x93\xa1t\xc6\0\0\xff\xff"[..], &[0; 2000]].concat(), "message_too_large"),
    ] {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(bytes).await.unwrap();
        assert!(matches!(soon(client.read(&mut [0; 8])).await, Ok(0) | Err(_)));
        let line = format!("logweir_input_protocol_errors_total{{reason=\"{reason}\"}} 1");
        running.pipeline.metric(&line).await;
    }
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(&packed(&json!(["t", SECONDS, { "n": 1 }]))).await.unwrap();
    assert!(!running.pipeline.chunk().await.text.is_empty());
}

#[tokio::test]
async fn with_a_shared_key_only_who_knows_it_is_heard() {
    let mut running = start("shared_key = \"s3cret\"\n").await;
    for (key, lets_in) in [("s3cret", true), ("wrong", false)] {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        let hello = answer(&mut client).await;
        let nonce = &hello[15..31];
        let own = SharedKey { key: Secret::new(key), hostname: String::new() };
        let own = own.digest(b"salt", b"me", nonce);
        client.write_all(&packed(&json!(["PING", "me", "salt", own, "", ""]))).await.unwrap();
        let pong = answer(&mut client).await;
        assert_eq!(pong[6], 0xc2 + u8::from(lets_in));
        client.write_all(&packed(&json!(["t", SECONDS, { "n": 1 }]))).await.unwrap();
        if lets_in {
            assert!(!running.pipeline.chunk().await.text.is_empty());
        } else {
            assert!(matches!(soon(client.read(&mut [0; 8])).await, Ok(0) | Err(_)));
        }
    }
}
