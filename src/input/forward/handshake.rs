//! The handshake of the forward protocol: both ends show that they know the shared key.
//!
//! In: a new connection. Out: whether the client knows the key. Promises: the key itself is never sent, and compared in
//! constant time; a client that asks for nothing is not let in. On failure: a sentence for the log; the client is told.
//!
//! Source: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>, "Handshake".

use ring::digest::{SHA512, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::listener::Stream;
use crate::msgpack::{Extent, Head, Reader};
use crate::settings::Secret;

/// Longest answer of a client to the greeting.
const PING_BYTES_MAX: usize = 16 * 1024;

/// A key that both ends know.
pub(super) struct SharedKey {
    pub(super) key: Secret,
    /// What we call ourselves.
    pub(super) hostname: String,
}

/// What a client answers to the greeting.
struct Ping {
    salt: Vec<u8>,
    /// What it calls itself.
    hostname: Vec<u8>,
    digest: Vec<u8>,
}

/// Greets a client, and lets it in or not.
pub(super) async fn greet(stream: &mut Stream, key: &SharedKey) -> Result<(), String> {
    let mut nonce = [0; 16];
    SystemRandom::new().fill(&mut nonce).map_err(|_| "there are no random numbers".to_string())?;
    let failed = |why: std::io::Error| format!("the connection ended in the handshake: {why}");
    stream.write_all(&hello(&nonce)).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let ping = ping(stream).await?;
    let wanted = key.digest(&ping.salt, &ping.hostname, &nonce);
    let knows = same(wanted.as_bytes(), &ping.digest);
    let answer =
        pong(knows, &key.hostname, &key.digest(&ping.salt, key.hostname.as_bytes(), &nonce));
    stream.write_all(&answer).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    knows.then_some(()).ok_or_else(|| "the client has another `shared_key`: closed".to_string())
}

impl SharedKey {
    /// How an end shows that it knows the key: SHA-512 in hexadecimal digits.
    pub(super) fn digest(&self, salt: &[u8], hostname: &[u8], nonce: &[u8]) -> String {
        let text = [salt, hostname, nonce, self.key.reveal().as_bytes()].concat();
        let digits = |byte: &u8| format!("{byte:02x}");
        digest(&SHA512, &text).as_ref().iter().map(digits).collect()
    }
}

/// Compares without telling by the time how much is equal.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}

/// `["HELO", {"nonce": …, "auth": "", "keepalive": true}]`.
fn hello(nonce: &[u8]) -> Vec<u8> {
    let mut out = b"\x92\xa4HELO\x83\xa5nonce\xc4\x10".to_vec();
    out.extend_from_slice(nonce);
    out.extend_from_slice(b"\xa4auth\xa0\xa9keepalive\xc3");
    out
}

/// `["PONG", whether, reason, our name, our digest]`.
fn pong(knows: bool, hostname: &str, digest: &str) -> Vec<u8> {
    let mut out = b"\x95\xa4PONG".to_vec();
    out.push(0xc2 + u8::from(knows));
    let reason = if knows { "" } else { "shared_key mismatch" };
    let digest = if knows { digest } else { "" };
    for text in [reason, hostname, digest] {
        out.push(0xda);
        out.extend((text.len() as u16).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

/// `["PING", its name, salt, digest, user, password]`.
async fn ping(stream: &mut Stream) -> Result<Ping, String> {
    let no_ping = || "the client did not answer the handshake; set its `shared_key`".to_string();
    let (mut bytes, mut extent) = (Vec::new(), Extent::next());
    while extent.of(&bytes).map_err(|_| no_ping())?.is_none() {
        let read = stream.read_buf(&mut bytes).await;
        if bytes.len() > PING_BYTES_MAX || read.map_err(|why| why.to_string())? == 0 {
            return Err(no_ping());
        }
    }
    let mut reader = Reader::new(&bytes);
    let mut parts = Vec::new();
    if let Ok(Head::Array(4..)) = reader.head() {
        for _ in 0..4 {
            let Ok(Head::Bytes(part)) = reader.head() else { return Err(no_ping()) };
            parts.push(part.to_vec());
        }
    }
    match <[Vec<u8>; 4]>::try_from(parts) {
        Ok([kind, hostname, salt, digest]) if kind == b"PING" => {
            Ok(Ping { salt, hostname, digest })
        }
        _ => Err(no_ping()),
    }
}
