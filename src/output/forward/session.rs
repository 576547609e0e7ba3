//! A connection to a receiver.
//!
//! In: a server, and who we are. Out: messages, one after another, each with its acknowledgement. Promises: the shared
//! key is never sent, and a receiver that does not know it gets nothing; what a receiver sends costs bounded memory.
//! On failure: a sentence for health, and the connection is of no use any more.
//!
//! Source: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>, "Handshake" and "Response".

use std::time::Duration;

use ring::digest::{SHA512, digest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::connect::{Duplex, OPENING, Server};
use super::super::random;
use super::message::Message;
use super::{Forward, Login};
use crate::msgpack::{Extent, Head, Reader, write_count, write_text};

/// Longest answer of a receiver.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// An open connection.
pub(super) struct Session {
    stream: Box<dyn Duplex>,
}

impl Session {
    /// Connects, and shows who we are where that is asked for.
    pub(super) async fn open(server: &Server, forward: &Forward) -> Result<Session, String> {
        let opening = async {
            let mut session = Session { stream: server.connect(forward.tls.as_ref()).await? };
            if let Some(login) = &forward.login {
                session.greet(login).await?;
            }
            Ok(session)
        };
        match tokio::time::timeout(OPENING, opening).await {
            Ok(result) => result,
            Err(_) => Err(format!("no connection within {} seconds", OPENING.as_secs())),
        }
    }

    /// Sends a message, and waits until the receiver has it.
    pub(super) async fn send(
        &mut self,
        message: &Message,
        gzip: bool,
        patience: Duration,
    ) -> Result<(), String> {
        let chunk = hexadecimal(&random::<16>()?);
        let packed = message.packed(&chunk, gzip);
        let work = async {
            self.write(&packed).await?;
            let answer = self.answer().await?;
            let is_ours = acknowledged(&answer) == Some(chunk.as_bytes());
            is_ours.then_some(()).ok_or_else(|| {
                "the receiver answers, but not with our acknowledgement (is it one of the forward protocol?)"
                    .to_string()
            })
        };
        tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
            let seconds = patience.as_secs();
            Err(format!(
                "no acknowledgement within {seconds} seconds (does it ask for a `shared_key`?)"
            ))
        })
    }

    /// The client's side of the handshake.
    async fn greet(&mut self, login: &Login) -> Result<(), String> {
        let hello = self.answer().await?;
        let (nonce, auth) = nonces(&hello)
            .ok_or("the receiver does not begin a handshake; does it have a `shared_key`?")?;
        let salt = random::<16>()?;
        let key = login.shared_key.reveal().as_bytes();
        let mut ping = Vec::new();
        write_count(0x90, 0xdc, 6, &mut ping);
        write_text("PING", &mut ping);
        write_text(&login.hostname, &mut ping);
        crate::msgpack::write_bytes(&salt, &mut ping);
        write_text(&shown(&[&salt, login.hostname.as_bytes(), nonce, key]), &mut ping);
        match &login.user {
            Some((user, password)) if !auth.is_empty() => {
                write_text(user, &mut ping);
                let parts = [auth, user.as_bytes(), password.reveal().as_bytes()];
                write_text(&shown(&parts), &mut ping);
            }
            _ => {
                write_text("", &mut ping);
                write_text("", &mut ping);
            }
        }
        self.write(&ping).await?;
        let pong = self.answer().await?;
        let answer = Pong::read(&pong).ok_or("the receiver does not end the handshake")?;
        if !answer.accepted {
            return Err(format!("the receiver does not let us in: {}", answer.reason));
        }
        if answer.digest != shown(&[&salt, &answer.hostname, nonce, key]).as_bytes() {
            return Err("the receiver does not know the `shared_key`".to_string());
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        write.await.map_err(|why: std::io::Error| format!("the connection broke: {why}"))
    }

    /// The next value that the receiver sends.
    async fn answer(&mut self) -> Result<Vec<u8>, String> {
        let (mut bytes, mut extent) = (Vec::new(), Extent::next());
        loop {
            match extent.of(&bytes) {
                Ok(Some(length)) => {
                    bytes.truncate(length);
                    return Ok(bytes);
                }
                Ok(None) if bytes.len() <= ANSWER_BYTES_MAX => {}
                _ => return Err("the receiver sends no MessagePack".to_string()),
            }
            match self.stream.read_buf(&mut bytes).await {
                Ok(0) => return Err("the receiver closed the connection".to_string()),
                Ok(_) => {}
                Err(why) => return Err(format!("the connection broke: {why}")),
            }
        }
    }
}

/// The two salts of `["HELO", {"nonce": …, "auth": …}]`.
fn nonces(hello: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut reader = Reader::new(hello);
    let (Head::Array(2..), Head::Bytes(b"HELO")) = (reader.head().ok()?, reader.head().ok()?)
    else {
        return None;
    };
    let Head::Map(count) = reader.head().ok()? else { return None };
    let (mut nonce, mut auth) = (None, &b""[..]);
    for _ in 0..count {
        let Head::Bytes(name) = reader.head().ok()? else { return None };
        let mut value = reader;
        reader.skip().ok()?;
        match (name, value.head().ok()?) {
            (b"nonce", Head::Bytes(bytes)) => nonce = Some(bytes),
            (b"auth", Head::Bytes(bytes)) => auth = bytes,
            _ => {}
        }
    }
    Some((nonce?, auth))
}

/// `["PONG", whether, reason, its name, its digest]`.
struct Pong {
    accepted: bool,
    reason: String,
    hostname: Vec<u8>,
    digest: Vec<u8>,
}

impl Pong {
    fn read(bytes: &[u8]) -> Option<Pong> {
        let mut reader = Reader::new(bytes);
        let (Head::Array(5..), Head::Bytes(b"PONG")) = (reader.head().ok()?, reader.head().ok()?)
        else {
            return None;
        };
        let Head::Bool(accepted) = reader.head().ok()? else { return None };
        let mut texts = Vec::new();
        for _ in 0..3 {
            match reader.head().ok()? {
                Head::Bytes(text) => texts.push(text.to_vec()),
                _ => texts.push(Vec::new()),
            }
        }
        let [reason, hostname, digest] = <[Vec<u8>; 3]>::try_from(texts).ok()?;
        let reason = String::from_utf8_lossy(&reason).into_owned();
        Some(Pong { accepted, reason, hostname, digest })
    }
}

/// What `{"ack": chunk}` acknowledges.
fn acknowledged(answer: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(answer);
    match (reader.head().ok()?, reader.head().ok()?, reader.head().ok()?) {
        (Head::Map(1..), Head::Bytes(b"ack"), Head::Bytes(chunk)) => Some(chunk),
        _ => None,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How an end shows that it knows something: SHA-512 in hexadecimal digits.
fn shown(parts: &[&[u8]]) -> String {
    hexadecimal(digest(&SHA512, &parts.concat()).as_ref())
}
