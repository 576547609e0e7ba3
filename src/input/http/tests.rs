use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::super::fixture::{Pipeline, load, pipeline, soon};
use super::Http;

struct Running {
    address: std::net::SocketAddr,
    pipeline: Pipeline,
    task: JoinHandle<()>,
}

async fn start(settings: &str) -> Running {
    let text = format!("listen = \"127.0.0.1:0\"\n{settings}");
    let (http, said) = load(&text, std::path::Path::new("/"), Http::read);
    assert_eq!(said, Vec::<String>::new());
    let http = http.unwrap();
    let mut bound = http.listener.bound();
    let (context, pipeline) = pipeline(4);
    let task = tokio::spawn(http.serve(context));
    let address = soon(bound.wait_for(Option::is_some)).await.unwrap().unwrap();
    Running { address, pipeline, task }
}

fn request(line: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("{line} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

async fn status(client: &mut TcpStream) -> u16 {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let count = soon(client.read(&mut buffer)).await.unwrap();
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let head = text.find("\r\n\r\n");
        if let (Some(length), Some(head)) = (length.and_then(|l| l.parse::<usize>().ok()), head)
            && bytes.len() >= head + 4 + length
        {
            return text[9..12].parse().unwrap();
        }
        assert!(count > 0, "the end after {text}");
    }
}

#[tokio::test]
async fn a_body_is_answered_when_it_is_stored_and_the_connection_goes_on() {
    let mut running = start("").await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(b"[{\"a\":1},{\"a\":2}]").unwrap();
    let gzip = encoder.finish().unwrap();
    let json = "Content-Type: application/json\r\n";
    for request in [
        request("POST /", json, b"{\"a\":1}\n{\"a\":2}"),
        request("PUT /", &format!("{json}Content-Encoding: gzip\r\n"), &gzip),
    ] {
        client.write_all(&request).await.unwrap();
        let mut chunk = running.pipeline.chunk().await;
        assert_eq!(chunk.text, b"{\"a\":1}\n{\"a\":2}\n");
        chunk.ack.take().unwrap().stored();
        assert_eq!(status(&mut client).await, 200);
    }
    client.write_all(&request("POST /app/web", json, b"{\"a\":1}")).await.unwrap();
    let mut chunk = running.pipeline.chunk().await;
    assert_eq!(chunk.text, b"{\"@metadata\":{\"tag\":\"app.web\"},\"a\":1}\n");
    assert_eq!(chunk.offset, 32);
    // The journal did not take it: the client has to send it again.
    chunk.ack = None;
    assert_eq!(status(&mut client).await, 503);
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(status(&mut client).await, 200);
    running.pipeline.stop.send(true).unwrap();
    drop(running.pipeline.chunks);
    soon(running.task).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_taken_is_answered_with_why() {
    let running = start("user = \"u\"\npassword = \"p\"\nmax_body = \"1KiB\"\n").await;
    let login = "Authorization: Basic dTpw\r\n";
    let json = format!("{login}Content-Type: application/json\r\n");
    let long = vec![b' '; 2000];
    for (bytes, wanted) in [
        (request("POST /", "", b"{}"), 401),
        (request("POST /", "Authorization: Basic dTpx\r\n", b"{}"), 401),
        (request("DELETE /", login, b""), 405),
        (request("POST /", &json, b"{\"a\":"), 400),
        (request("POST /", &json, &long), 413),
        (request("POST /", &format!("{json}Content-Encoding: br\r\n"), b"x"), 415),
        (request("POST /", &format!("{json}Content-Encoding: gzip\r\n"), b"x"), 400),
    ] {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(&bytes).await.unwrap();
        assert_eq!(status(&mut client).await, wanted, "{}", String::from_utf8_lossy(&bytes));
    }
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(b"2026 no http\r\n\r\n").await.unwrap();
    running.pipeline.metric("logweir_input_protocol_errors_total{reason=\"not_http\"} 1").await;
}

#[test]
fn a_login_needs_both() {
    let text = "listen = \"127.0.0.1:0\"\nuser = \"u\"";
    let (http, said) = load(text, std::path::Path::new("/"), Http::read);
    assert!(http.is_none() && said[0].contains("`user` is set, but `password` is not"), "{said:?}");
}

#[tokio::test]
async fn a_client_whose_body_does_not_come_is_closed_as_a_silent_one() {
    for begin in ["", "{\""] {
        let running = start("idle_timeout = \"200ms\"\n").await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n";
        client.write_all(format!("{head}{begin}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon(client.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        let line = "logweir_input_connections_closed_total{reason=\"silent\"} 1";
        running.pipeline.metric(line).await;
    }
}
