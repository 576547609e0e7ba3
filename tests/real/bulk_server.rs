//! A bulk endpoint of our own that misbehaves as told, so that faults need no Elasticsearch.
//!
//! In: HTTP/1.1 requests to `/_bulk`, faults. Out: answers as Elasticsearch gives them; what was stored, by index and
//! id. Promises: a document that is refused with 400 is refused each time, whatever else happens to its request.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::machine::{Random, free_port};
use crate::nodes::RUNTIME;

/// What goes wrong, of a hundred requests or documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Requests answered 503.
    pub unavailable: u64,
    /// Requests answered 429.
    pub busy: u64,
    /// Documents answered 429.
    pub busy_items: u64,
    /// Documents that are never taken (400).
    pub bad_items: u64,
    /// Connections closed after the documents were stored, before the answer.
    pub dropped: u64,
    /// Answers that end in the middle.
    pub truncated: u64,
    /// Time before each answer.
    pub delay: Duration,
}

/// What the server has seen.
#[derive(Default)]
pub struct Seen {
    /// The numbers (`seq`) of the documents by index and id.
    pub stored: HashMap<(String, String), u64>,
    /// Documents that were there already.
    pub conflicts: u64,
    /// Requests refused as a whole.
    pub refused: u64,
    /// Connections dropped or answers cut.
    pub cut: u64,
    /// Documents answered 429.
    pub busy: u64,
}

/// A running server; it ends when dropped.
pub struct BulkServer {
    /// Its address.
    pub url: String,
    /// What it has seen.
    pub seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    faults: Faults,
    seen: Arc<Mutex<Seen>>,
    random: Mutex<Random>,
}

impl BulkServer {
    /// A server with these faults.
    pub fn start(faults: Faults) -> BulkServer {
        let address = format!("127.0.0.1:{}", free_port());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let random = Mutex::new(Random::new());
        let shared = Arc::new(Shared { faults, seen: Arc::clone(&seen), random });
        let listener = RUNTIME.block_on(TcpListener::bind(&address)).unwrap();
        let task = RUNTIME.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection(client, Arc::clone(&shared)));
            }
        });
        BulkServer { url: format!("http://{address}"), seen, task }
    }
}

impl Drop for BulkServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether a document is one that the server never takes, so many of a hundred.
pub fn is_bad(seq: u64, percent: u64) -> bool {
    seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33 < percent * (u64::from(u32::MAX) >> 1) / 100
}

async fn connection(mut client: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            (client.read_buf(&mut buffer).await.ok()? > 0).then_some(())?;
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
        // A request without documents has no length either.
        let length = text.split("content-length: ").nth(1).unwrap_or("0");
        let length: usize = length.split("\r\n").next()?.parse().ok()?;
        while buffer.len() < head + length {
            (client.read_buf(&mut buffer).await.ok()? > 0).then_some(())?;
        }
        let body = &buffer[head..head + length];
        let body =
            if text.contains("content-encoding: gzip") { inflate(body) } else { body.to_vec() };
        buffer.drain(..head + length);
        tokio::time::sleep(shared.faults.delay).await;
        let (status, mut answer, whole) = shared.answer(&body)?;
        let length = answer.len();
        if !whole {
            answer.truncate(length / 2);
        }
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        client.write_all(head.as_bytes()).await.ok()?;
        client.write_all(answer.as_bytes()).await.ok()?;
        whole.then_some(())?;
    }
}

fn inflate(body: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut text).unwrap();
    text
}

fn refusal(status: u16, kind: &str) -> Value {
    json!({"status": status, "error": {"type": kind, "reason": "a fault of the test"}})
}

impl Shared {
    /// Status, body, and whether it is sent to its end; `None`: the connection is closed without an answer.
    fn answer(&self, body: &[u8]) -> Option<(u16, String, bool)> {
        let faults = &self.faults;
        let mut random = self.random.lock().unwrap();
        let mut chance = |percent: u64| random.below(100) < percent;
        let mut seen = self.seen.lock().unwrap();
        if body.is_empty() {
            return Some((400, refusal(400, "parse_exception").to_string(), true));
        }
        let whole = [
            (faults.unavailable, 503, "unavailable"),
            (faults.busy, 429, "es_rejected_execution_exception"),
        ];
        for (percent, status, kind) in whole {
            if chance(percent) {
                seen.refused += 1;
                return Some((status, refusal(status, kind).to_string(), true));
            }
        }
        let text = std::str::from_utf8(body).unwrap();
        let mut lines = text.lines();
        let mut items = Vec::new();
        while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
            let action: Value = serde_json::from_str(action).unwrap();
            let document: Value = serde_json::from_str(document).unwrap();
            items.push(
                json!({"create": seen.item(faults, &action["create"], &document, &mut chance)}),
            );
        }
        let errors = items.iter().any(|item| item["create"].get("error").is_some());
        let answer = json!({"took": 1, "errors": errors, "items": items}).to_string();
        if chance(faults.dropped) {
            seen.cut += 1;
            return None;
        }
        let truncated = chance(faults.truncated);
        seen.cut += u64::from(truncated);
        Some((200, answer, !truncated))
    }
}

impl Seen {
    fn item(
        &mut self,
        faults: &Faults,
        target: &Value,
        document: &Value,
        chance: &mut impl FnMut(u64) -> bool,
    ) -> Value {
        let text = |key: &str| target[key].as_str().unwrap().to_string();
        let (key, seq) = ((text("_index"), text("_id")), document["seq"].as_u64().unwrap());
        if is_bad(seq, faults.bad_items) {
            return refusal(400, "document_parsing_exception");
        }
        if chance(faults.busy_items) {
            self.busy += 1;
            return refusal(429, "es_rejected_execution_exception");
        }
        if self.stored.contains_key(&key) {
            self.conflicts += 1;
            return refusal(409, "version_conflict_engine_exception");
        }
        self.stored.insert(key, seq);
        json!({"status": 201})
    }
}
