//! A small client of the Lumberjack protocol, version 2, for events of any shape.
//!
//! Source: the protocol's description in elastic/go-lumber. `lumberjack-send` (Elastic's own client) is what the
//! tests of the beats input use; this one sends what that cannot: events of a test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Sends the events in windows of `window` and waits for the acknowledgement of each window.
pub fn send(port: u16, events: &[Value], window: usize) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for events in events.chunks(window) {
        let mut bytes = b"2W".to_vec();
        bytes.extend((events.len() as u32).to_be_bytes());
        for (number, event) in events.iter().enumerate() {
            let payload = event.to_string();
            bytes.extend(b"2J");
            bytes.extend((number as u32 + 1).to_be_bytes());
            bytes.extend((payload.len() as u32).to_be_bytes());
            bytes.extend(payload.as_bytes());
        }
        stream.write_all(&bytes).unwrap();
        let mut acked = 0;
        while acked < events.len() as u32 {
            let mut ack = [0; 6];
            stream.read_exact(&mut ack).unwrap();
            assert_eq!(&ack[..2], b"2A");
            acked = u32::from_be_bytes(ack[2..].try_into().unwrap());
        }
    }
}
