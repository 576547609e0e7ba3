use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket};

use std::time::Duration;

use super::super::Output as _;
use super::super::connect::Server;
use super::super::stage::{Stage, load, start};
use super::{Form, Framing, Progress, Sender, Way};

/// So many bytes of the next connection.
async fn received(listener: &TcpListener, length: usize) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

async fn datagram(socket: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 65_536];
    let length = socket.recv(&mut bytes).await.unwrap();
    bytes.truncate(length);
    bytes
}

#[tokio::test]
async fn lines_go_over_tcp_and_a_closed_connection_is_opened_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = format!("server = \"{}\"", listener.local_addr().unwrap());
    let (mut stage, _task) = start("tcp", &settings);
    for n in 0..2 {
        let document = format!("{{\"n\":{n}}}");
        let sequence = stage.frame(&[("x", document.clone()), ("x", document.clone())]);
        let lines = format!("{document}\n{document}\n");
        // The connection ends here; its end is on its way before the next frame is there.
        assert_eq!(received(&listener, lines.len()).await, lines);
        stage.until_done(sequence).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_connection_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (mut stage, _task) = start("tcp", &format!("server = \"{address}\""));
    let sequence = stage.frame(&[("x", "{}".into())]);
    loop {
        let state = format!("{:?}", stage.state());
        if state.contains("no connection") && state.contains("everything is kept") {
            break;
        }
        tokio::task::yield_now().await;
    }
    let listener = TcpListener::bind(address).await.unwrap();
    assert_eq!(received(&listener, 3).await, "{}\n");
    stage.until_done(sequence).await;
}

#[tokio::test]
async fn what_was_taken_before_a_connection_broke_is_not_sent_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ours, mut theirs) = tokio::io::duplex(36);
    let framing = Framing::Lines;
    let sender = Sender {
        server: Server::parse(&listener.local_addr().unwrap().to_string(), None).unwrap(),
        form: Form::Plain,
        way: Way::Stream { framing, tls: None, open: Some(Box::new(ours)) },
        timeout: Duration::from_secs(5),
        address: None,
    };
    let (mut stage, context) = Stage::new(crate::storage::disk());
    tokio::spawn(Box::new(sender).run(context));
    let lines: Vec<String> = (0..10).map(|n| format!("{{\"n\":{n}}}")).collect();
    let documents: Vec<_> = lines.iter().map(|line| ("x", line.clone())).collect();
    let sequence = stage.frame(&documents);
    // Four lines and a half.
    theirs.read_exact(&mut [0; 36]).await.unwrap();
    drop(theirs);
    let wanted = lines[4..].join("\n") + "\n";
    assert_eq!(received(&listener, wanted.len()).await, wanted);
    stage.until_done(sequence).await;
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 10);
}

#[tokio::test(start_paused = true)]
async fn a_slow_connection_is_waited_for_and_one_that_takes_nothing_is_given_up() {
    let (ours, mut theirs) = tokio::io::duplex(8);
    let mut open: Option<Box<dyn super::Duplex>> = Some(Box::new(ours));
    let server = Server { host: "a".to_string(), port: 1 };
    let messages = Framing::Lines.joined(&vec![b"{\"n\":1}".to_vec(); 10]);
    tokio::spawn(async move {
        // One message each time, for longer than the timeout; then no more.
        for _ in 0..15 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            theirs.read_exact(&mut [0; 8]).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let to = (&server, Duration::from_secs(5));
    let mut progress = Progress::default();
    let worked = super::written(to, None, &mut open, &messages, &mut progress).await;
    assert_eq!((worked, progress.done), (Ok(()), 10));
    let mut progress = Progress::default();
    let worked = super::written(to, None, &mut open, &messages, &mut progress).await;
    let wanted = "it took nothing for 5 seconds (is it overloaded?)".to_string();
    assert_eq!((worked, progress.done), (Err(wanted), 6));
}

#[tokio::test(start_paused = true)]
async fn datagrams_that_were_sent_before_one_that_could_not_be_are_not_sent_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let (mut stage, _task) = start("udp", &format!("server = \"{address}\""));
    // Nobody is there: the first is lost, and the system says so at the next one. One between them is too long.
    let documents = ["{\"n\":0}".to_string(), "x".repeat(70_000), "{\"n\":2}".to_string()];
    let sequence = stage.frame(&documents.map(|document| ("x", document)));
    stage.until_paused().await;
    let socket = UdpSocket::bind(address).await.unwrap();
    stage.until_done(sequence).await;
    assert_eq!(datagram(&socket).await, b"{\"n\":2}");
    assert_eq!(stage.letters().len(), 1);
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 2);
}

#[tokio::test]
async fn each_event_is_a_datagram_and_one_that_is_too_long_a_dead_letter() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut stage, _task) =
        start("udp", &format!("server = \"{}\"", socket.local_addr().unwrap()));
    let long = format!("{{\"m\":\"{}\"}}", "x".repeat(70_000));
    let sequence = stage.frame(&[("x", "{\"n\":1}".into()), ("x", long), ("x", "{}".into())]);
    stage.until_done(sequence).await;
    assert_eq!(datagram(&socket).await, b"{\"n\":1}");
    assert_eq!(datagram(&socket).await, b"{}");
    let letters = stage.letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("do not fit into datagrams"), "{}", letters[0].reason);
}

#[tokio::test]
async fn messages_of_syslog_have_the_form_that_was_asked_for() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let address = "local3\u{1f}err\u{1f}web 1\u{1f}shop\u{1f}42\u{1f}";
    let document = "{\"message\":\"a\\nb\",\"n\":1}";
    for (more, wanted) in [
        ("", "<155>1 1970-01-01T00:00:00.000Z web1 shop 42 - - a b"),
        ("format = \"rfc3164\"", "<155>Jan  1 00:00:00 web1 shop[42]: a b"),
        (
            "message = \"n\"",
            &*format!("<155>1 1970-01-01T00:00:00.000Z web1 shop 42 - - {document}"),
        ),
    ] {
        let (mut stage, _task) = start("syslog", &format!("server = \"{server}\"\n{more}"));
        let sequence = stage.frame(&[(address, document.into())]);
        stage.until_done(sequence).await;
        assert_eq!(String::from_utf8(datagram(&socket).await).unwrap(), wanted);
    }
}

#[tokio::test]
async fn messages_of_syslog_over_tcp_have_their_length_before_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let (mut stage, _task) = start("syslog", &format!("server = \"{server}\"\nprotocol = \"tcp\""));
    let sequence =
        stage.frame(&[("\u{1f}none\u{1f}\u{1f}\u{1f}\u{1f}", "{\"message\":\"m\"}".into())]);
    let wanted = "47 <14>1 1970-01-01T00:00:00.000Z - - - - - m";
    let wanted = wanted.replacen("47", &(wanted.len() - 3).to_string(), 1);
    assert_eq!(received(&listener, wanted.len()).await, wanted);
    stage.until_done(sequence).await;
}

#[tokio::test]
async fn messages_of_graylog_are_flat_and_long_ones_come_in_chunks() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut stage, _task) =
        start("gelf", &format!("server = \"{}\"", socket.local_addr().unwrap()));
    let document = json!({ "message": "m", "level": "error", "a": { "b c": 1, "d": true },
        "id": "x", "@timestamp": "t" });
    let long = json!({ "message": "y".repeat(20_000) });
    let sequence = stage.frame(&[("web", document.to_string()), ("web", long.to_string())]);
    stage.until_done(sequence).await;
    let message: Value = serde_json::from_slice(&datagram(&socket).await).unwrap();
    let wanted = json!({ "version": "1.1", "host": "web", "short_message": "m", "level": 3,
        "timestamp": 0.0, "_level": "error", "_a.b_c": 1, "_a.d": "true", "__id": "x" });
    assert_eq!(message, wanted);
    let mut whole = Vec::new();
    for number in 0..3 {
        let chunk = datagram(&socket).await;
        assert_eq!((chunk[..2].to_vec(), &chunk[10..12]), (vec![0x1e, 0x0f], &[number, 3][..]));
        whole.extend_from_slice(&chunk[12..]);
    }
    let message: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(message["short_message"], long["message"]);
}

#[test]
fn what_is_wrong_with_the_settings_is_said() {
    for (kind, text, wanted) in [
        ("tcp", "", "`server` is missing"),
        ("tcp", "server = \"a\"", "`a` is no host with a port"),
        ("tcp", "server = \"a:1\"\ntimeout = \"0s\"", "`timeout` is 0"),
        ("udp", "server = \"a:1\"\ntls = {}", "unknown"),
        ("syslog", "server = \"a\"\nprotocol = \"udp\"\ntls = {}", "datagrams have no TLS"),
        ("syslog", "server = \"a\"\nhost = \"{\"", "brace"),
        ("gelf", "server = \"a b\"", "`a b` is no host with a port"),
    ] {
        let (output, said) = load(kind, text);
        let found = said.iter().any(|s| s.contains(wanted));
        assert!(found && (output.is_none() || wanted == "unknown"), "{text}: {said:?}");
    }
}
