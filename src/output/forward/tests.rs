use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::Output;
use super::super::connect::Server;
use super::super::stage::{self, Stage};
use super::PORT;
use crate::health::State;
use crate::msgpack::tests::pack;
use crate::msgpack::{Extent, Head, Reader};

fn load(text: &str) -> (Option<Box<dyn Output>>, Vec<String>) {
    stage::load("forward", text)
}

fn start(settings: &str) -> (Stage, tokio::task::JoinHandle<()>) {
    stage::start("forward", settings)
}

/// The next value that comes in.
async fn received(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while Extent::next().of(&bytes).unwrap().is_none() {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the end after {bytes:?}");
    }
    bytes
}

/// A message as its tag, its entries with their seconds, and its options.
fn read(message: &[u8]) -> (String, Vec<(u32, Value)>, Value) {
    let mut reader = Reader::new(message);
    assert_eq!(reader.head(), Ok(Head::Array(3)));
    let Ok(Head::Bytes(tag)) = reader.head() else { panic!("no tag") };
    let Ok(Head::Bytes(entries)) = reader.head() else { panic!("no entries") };
    let value = |reader: &mut Reader<'_>| {
        let mut json = Vec::new();
        reader.write_json(&mut json).unwrap();
        serde_json::from_slice::<Value>(&json).unwrap()
    };
    let options = value(&mut reader);
    let mut plain = entries.to_vec();
    if options["compressed"] == "gzip" {
        plain.clear();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(entries), &mut plain).unwrap();
    }
    let (mut inner, mut found) = (Reader::new(&plain), Vec::new());
    while !inner.rest().is_empty() {
        assert_eq!(inner.head(), Ok(Head::Array(2)));
        let Ok(Head::Extension(0, time)) = inner.head() else { panic!("no time") };
        found.push((u32::from_be_bytes(time[..4].try_into().unwrap()), value(&mut inner)));
    }
    (String::from_utf8(tag.to_vec()).unwrap(), found, options)
}

async fn acknowledge(stream: &mut TcpStream, options: &Value) {
    let mut answer = Vec::new();
    pack(&json!({ "ack": options["chunk"] }), false, &mut answer);
    stream.write_all(&answer).await.unwrap();
}

fn document(tag: &'static str, n: usize) -> (&'static str, String) {
    (tag, format!("{{\"@timestamp\":\"x\",\"n\":{n}}}"))
}

#[tokio::test]
async fn the_documents_of_a_tag_are_one_message_and_done_when_it_is_acknowledged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for compression in ["none", "gzip"] {
        let address = listener.local_addr().unwrap();
        let (mut stage, task) =
            start(&format!("servers = [\"{address}\"]\ncompression = \"{compression}\""));
        let documents = [document("a", 0), document("b", 1), document("a", 2), document("", 3)];
        let sequence = stage.frame(&documents);
        let (mut stream, _) = listener.accept().await.unwrap();
        let (tag, entries, options) = read(&received(&mut stream).await);
        assert_eq!(tag, "a");
        // The time is the entry's, and no field.
        assert_eq!(entries, [(0, json!({ "n": 0 })), (2, json!({ "n": 2 }))]);
        assert_eq!(options["size"], 2);
        acknowledge(&mut stream, &options).await;
        let (tag, entries, options) = read(&received(&mut stream).await);
        assert_eq!((tag.as_str(), entries), ("b", vec![(1, json!({ "n": 1 }))]));
        assert_eq!(*stage.done.borrow(), 0, "it is done before all is acknowledged");
        acknowledge(&mut stream, &options).await;
        stage.until_done(sequence).await;
        let line = "logweir_output_documents_total{result=\"delivered\"}";
        assert_eq!((stage.counted(line), stage.state()), (3, State::Fine));
        stage.stop.send(true).unwrap();
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_frame_is_done_though_messages_of_later_ones_are_under_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = format!("servers = [\"{}\"]", listener.local_addr().unwrap());
    let (mut stage, _task) = start(&settings);
    // Both are taken at once, as the second is there before the first one is acknowledged.
    let first = stage.frame(&[document("a", 0)]);
    let second = stage.frame(&[document("b", 1)]);
    let (mut stream, _) = listener.accept().await.unwrap();
    let (_, _, options) = read(&received(&mut stream).await);
    acknowledge(&mut stream, &options).await;
    let (tag, _, options) = read(&received(&mut stream).await);
    assert_eq!(tag, "b");
    stage.until_done(first).await;
    assert_eq!(*stage.done.borrow(), first);
    acknowledge(&mut stream, &options).await;
    stage.until_done(second).await;
}

#[tokio::test]
async fn what_is_not_acknowledged_goes_to_the_next_server() {
    let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let second = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let [one, two] = [&first, &second].map(|l| l.local_addr().unwrap());
    let (mut stage, _task) = start(&format!("servers = [\"{one}\", \"{two}\"]"));
    let sequence = stage.frame(&[document("a", 0)]);
    let (mut stream, _) = first.accept().await.unwrap();
    let (_, lost, _) = read(&received(&mut stream).await);
    drop(stream);
    let (mut stream, _) = second.accept().await.unwrap();
    let said = format!("{:?}", stage.state());
    assert!(
        said.contains("closed the connection") && said.contains("kept in the journal"),
        "{said}"
    );
    let (_, entries, options) = read(&received(&mut stream).await);
    assert_eq!(entries, lost);
    assert_eq!(*stage.done.borrow(), 0);
    acknowledge(&mut stream, &options).await;
    stage.until_done(sequence).await;
}

/// The receiver's side of the handshake.
async fn let_in(stream: &mut TcpStream, key: &str) -> Value {
    let digest = |parts: &[&str]| {
        let digest = ring::digest::digest(&ring::digest::SHA512, parts.concat().as_bytes());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let mut hello = Vec::new();
    pack(&json!(["HELO", { "nonce": "n0", "auth": "a0", "keepalive": true }]), false, &mut hello);
    stream.write_all(&hello).await.unwrap();
    let bytes = received(stream).await;
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.head(), Ok(Head::Array(6)));
    let mut parts = Vec::new();
    while let Ok(Head::Bytes(part)) = reader.head() {
        parts.push(part.to_vec());
    }
    let text = |at: usize| String::from_utf8_lossy(&parts[at]).into_owned();
    let keyed = |name: &str| {
        let parts: [&[u8]; 4] = [&parts[2], name.as_bytes(), b"n0", key.as_bytes()];
        let digest = ring::digest::digest(&ring::digest::SHA512, &parts.concat());
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let knows = text(3) == keyed(&text(1));
    let mut pong = Vec::new();
    pack(&json!(["PONG", knows, "no", "server", keyed("server")]), false, &mut pong);
    stream.write_all(&pong).await.unwrap();
    json!({ "knows": knows, "user": text(4), "password": text(5) == digest(&["a0", "u", "p"]) })
}

#[tokio::test]
async fn both_ends_show_that_they_know_the_key() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (mut stage, _task) = start(&format!(
        "servers = [\"{address}\"]\nshared_key = \"k\"\nuser = \"u\"\npassword = \"p\""
    ));
    let sequence = stage.frame(&[document("a", 0)]);
    let (mut stream, _) = listener.accept().await.unwrap();
    let said = let_in(&mut stream, "k").await;
    assert_eq!(said, json!({ "knows": true, "user": "u", "password": true }));
    let (_, _, options) = read(&received(&mut stream).await);
    acknowledge(&mut stream, &options).await;
    stage.until_done(sequence).await;
    // A receiver with another key gets nothing.
    drop(stream);
    stage.frame(&[document("a", 1)]);
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_eq!(let_in(&mut stream, "other").await["knows"], false);
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
    }
    let said = format!("{:?}", stage.state());
    assert!(said.contains("does not let us in: no"), "{said}");
}

#[test]
fn servers_are_hosts_with_or_without_a_port() {
    let server = |text: &str| Server::parse(text, Some(PORT));
    let of = |host: &str, port| Some(Server { host: host.to_string(), port });
    assert_eq!(server("a.example"), of("a.example", 24224));
    assert_eq!(server("a.example:1"), of("a.example", 1));
    assert_eq!(server("[2001:db8::1]:24225"), of("2001:db8::1", 24225));
    assert_eq!(server("[2001:db8::1]"), of("2001:db8::1", 24224));
    for wrong in ["", ":1", "a:0", "a:x", "a b:1", "http://a:1", "2001:db8::1"] {
        assert_eq!(server(wrong), None, "{wrong}");
    }
    for (text, wanted) in [
        ("", "`servers` is missing"),
        ("servers = []", "`servers` names nobody"),
        ("servers = [\"a:x\"]", "`a:x` is no host with a port"),
        ("servers = [\"a\"]\nuser = \"u\"", "of `user` and `password` one is missing"),
        ("servers = [\"a\"]\nuser = \"u\"\npassword = \"p\"", "`user` needs a `shared_key`"),
    ] {
        let (output, said) = load(text);
        assert!(output.is_none() && said.iter().any(|s| s.contains(wanted)), "{text}: {said:?}");
    }
}
