//! A connection to one broker.
//!
//! In: a server, TLS, a login; requests. Out: replies. Promises: what a broker sends costs bounded memory; a broker
//! that says nothing, or takes nothing, is given up after a time. On failure: a sentence for health, and the connection
//! is of no use any more.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io::AsyncReadExt;

use super::super::connect::{self, Duplex, OPENING, Server};
use super::super::random;
use super::error::Code;
use super::login::{Login, Mechanism};
use super::requests::{self, Kind, SASL_AUTHENTICATE, SASL_HANDSHAKE};
use super::wire::Broken;
use crate::settings::base64;

/// Longest reply: that about ten thousand partitions has some hundred bytes for each.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How brokers are reached.
pub(super) struct Way {
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) login: Option<Login>,
    /// How long a broker may take to answer, or take nothing of a request.
    pub(super) timeout: Duration,
}

/// An open connection.
pub(super) struct Connection {
    stream: Box<dyn Duplex>,
    /// The last request's.
    number: i32,
}

impl From<Broken> for String {
    fn from(_: Broken) -> String {
        "the answer is none of Kafka's".to_string()
    }
}

impl Connection {
    /// Connects, and shows who we are where that is asked for.
    pub(super) async fn open(server: &Server, way: &Way) -> Result<Connection, String> {
        let opening = async {
            let stream = server.connect(way.tls.as_ref()).await?;
            let mut connection = Connection { stream, number: 0 };
            if let Some(login) = &way.login {
                connection.log_in(login, OPENING).await?;
            }
            Ok(connection)
        };
        let opened = tokio::time::timeout(OPENING, opening).await;
        opened
            .unwrap_or_else(|_| Err(format!("no connection within {} seconds", OPENING.as_secs())))
    }

    /// Sends a request and waits for what is behind the head of its reply.
    pub(super) async fn ask(
        &mut self,
        kind: Kind,
        patience: Duration,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>, String> {
        self.send(kind, patience, write).await?;
        self.reply(patience).await
    }

    /// Sends a request; `patience`: how long the broker may take nothing of it.
    pub(super) async fn send(
        &mut self,
        kind: Kind,
        patience: Duration,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), String> {
        self.number = self.number.wrapping_add(1);
        let request = requests::request(kind, self.number, write);
        connect::write(self.stream.as_mut(), &request, patience, &mut 0).await
    }

    /// The reply to the last request.
    pub(super) async fn reply(&mut self, patience: Duration) -> Result<Vec<u8>, String> {
        let number = self.number;
        let reading = async {
            let mut head = [0; 8];
            self.stream.read_exact(&mut head).await.map_err(|why| broke(&why))?;
            let [length, answered] = [0, 4]
                .map(|at| i32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
            let length = usize::try_from(length).ok().and_then(|n| n.checked_sub(4));
            let length = length.filter(|n| *n <= REPLY_BYTES_MAX && answered == number);
            let length =
                length.ok_or("the answer is none of Kafka's (does this port want TLS?)")?;
            // It grows with what comes, so that a length alone costs nothing.
            let mut reply = Vec::new();
            let stream = &mut self.stream;
            let read = stream.take(length as u64).read_to_end(&mut reply).await;
            read.map_err(|why| broke(&why))?;
            if reply.len() < length {
                Err("the broker closed the connection".into())
            } else {
                Ok(reply)
            }
        };
        let read = tokio::time::timeout(patience, reading).await;
        read.unwrap_or_else(|_| Err(format!("no answer within {} seconds", patience.as_secs())))
    }

    async fn log_in(&mut self, login: &Login, patience: Duration) -> Result<(), String> {
        let name = login.mechanism.name();
        let write = |out: &mut Vec<u8>| requests::write_sasl_handshake(name, out);
        let reply = self.ask(SASL_HANDSHAKE, patience, write).await?;
        let (code, offered) = requests::read_sasl_handshake(&reply)?;
        if code != Code::NONE {
            return Err(format!("{code}; it offers {}", offered.join(", ")));
        }
        if login.mechanism == Mechanism::Plain {
            self.authenticate(&login.plain(), patience).await?;
            return Ok(());
        }
        let scram = login.scram(&base64(&random::<18>()?));
        let challenge = self.authenticate(&scram.first_message(), patience).await?;
        let (answer, expected) = scram.final_message(&challenge)?;
        let told = self.authenticate(&answer, patience).await?;
        if told != expected {
            return Err("the broker does not know the password (is it the right one?)".to_string());
        }
        Ok(())
    }

    /// One message of ours, and the broker's answer.
    async fn authenticate(&mut self, token: &[u8], patience: Duration) -> Result<Vec<u8>, String> {
        let write = |out: &mut Vec<u8>| requests::write_sasl_authenticate(token, out);
        let reply = self.ask(SASL_AUTHENTICATE, patience, write).await?;
        let (code, words, answer) = requests::read_sasl_authenticate(&reply)?;
        match code {
            Code::NONE => Ok(answer),
            _ if words.is_empty() => Err(code.to_string()),
            _ => Err(format!("{code}: {words}")),
        }
    }
}

fn broke(why: &std::io::Error) -> String {
    if why.kind() == std::io::ErrorKind::UnexpectedEof {
        return "the broker closed the connection (does it want TLS, or a login?)".to_string();
    }
    format!("the connection broke: {why}")
}
