//! A stand-in for Elasticsearch that stores nothing and counts everything.
//!
//! Is: a server with one thread a connection. In: bulk requests (HTTP/1.1, perhaps with gzip). Out: answers as a node gives
//! them, and figures as JSON (`GET /figures`). Promises: a document's number (`seq`) is counted once for each family of
//! indices (the name before the first `-`), further ones as doubled; a `create` with an `_id` that was there is
//! answered 409. A text `wt=MICROSECONDS` in a document becomes a latency. On failure: a connection that does not speak
//! as it should is closed.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Result, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Default)]
struct Figures {
    documents: u64,
    bytes: u64,
    requests: u64,
    conflicts: u64,
    doubled: u64,
    families: BTreeMap<String, Family>,
    ids: HashSet<u64>,
    /// Milliseconds.
    latencies: Vec<f64>,
    /// Seconds since the epoch.
    last: f64,
}

#[derive(Default)]
struct Family {
    seen: Vec<u64>,
    distinct: u64,
}

/// Serves until it is killed.
pub fn serve(address: &str) -> Result<()> {
    let figures = Arc::new(Mutex::new(Figures::default()));
    for connection in TcpListener::bind(address)?.incoming() {
        let (connection, figures) = (connection?, Arc::clone(&figures));
        std::thread::spawn(move || {
            let _ = talk(&connection, &figures);
        });
    }
    Ok(())
}

fn talk(connection: &TcpStream, figures: &Mutex<Figures>) -> Result<()> {
    connection.set_nodelay(true)?;
    let mut input = BufReader::with_capacity(256 * 1024, connection);
    let (mut output, mut line, mut body) = (connection, String::new(), Vec::new());
    loop {
        line.clear();
        if input.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let bulk = line.split(' ').nth(1).is_some_and(|path| path.contains("_bulk"));
        let asked = line.starts_with("GET /figures");
        read_body(&mut input, &mut line, &mut body)?;
        let mut figures = figures.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = if asked {
            figures.text()
        } else if bulk {
            figures.take(&body)
        } else {
            "{\"version\":{\"number\":\"9.0.0\"},\"tagline\":\"You Know, for Search\"}".to_string()
        };
        drop(figures);
        write!(
            output,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-elastic-product: Elasticsearch\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        )?;
        output.write_all(answer.as_bytes())?;
    }
}

/// Reads headers and body, whose length is told or which comes in chunks (RFC 9112, section 7.1).
fn read_body(
    input: &mut BufReader<&TcpStream>,
    line: &mut String,
    body: &mut Vec<u8>,
) -> Result<()> {
    body.clear();
    let (mut length, mut chunked, mut packed) = (0, false, false);
    loop {
        line.clear();
        input.read_line(line)?;
        let header = line.trim().to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(told) = header.strip_prefix("content-length:") {
            length = told.trim().parse().map_err(std::io::Error::other)?;
        }
        packed |= header.starts_with("content-encoding:") && header.ends_with("gzip");
        chunked |= header.starts_with("transfer-encoding:") && header.ends_with("chunked");
        if header.starts_with("expect:") {
            let mut output = *input.get_ref();
            output.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    }
    if !chunked {
        input.take(length).read_to_end(body)?;
    }
    while chunked {
        line.clear();
        input.read_line(line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
        input.take(size).read_to_end(body)?;
        line.clear();
        input.read_line(line)?;
        chunked = size > 0;
    }
    if packed {
        let mut text = Vec::with_capacity(body.len() * 8);
        flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut text)?;
        *body = text;
    }
    Ok(())
}

impl Figures {
    /// Counts the documents of a request; gives the answer.
    fn take(&mut self, body: &[u8]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.requests += 1;
        self.bytes += body.len() as u64;
        let (mut items, mut errors) = (String::with_capacity(body.len() / 4), false);
        let mut lines = body.split(|b| *b == b'\n');
        while let (Some(action), Some(document)) = (lines.next(), lines.next()) {
            let index = text_of(action, b"\"_index\"").unwrap_or("none");
            let id = text_of(action, b"\"_id\"").unwrap_or_default();
            let create = action.starts_with(b"{\"create\"") || action.starts_with(b"{ \"create\"");
            let operation = if create { "create" } else { "index" };
            if !items.is_empty() {
                items.push(',');
            }
            let _ = write!(items, "{{\"{operation}\":{{\"_index\":\"{index}\",\"_id\":\"{id}\",");
            if create && !id.is_empty() && !self.ids.insert(hash(index, id)) {
                errors = true;
                self.conflicts += 1;
                items.push_str("\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\",\"reason\":\"it is there\"}}}");
                continue;
            }
            items.push_str("\"_version\":1,\"result\":\"created\",\"status\":201}}");
            self.documents += 1;
            self.count(index, document);
            if let Some(written) = number_after(document, b"wt=") {
                self.latencies.push((now.as_micros() as f64 - written as f64) / 1000.0);
            }
        }
        self.last = now.as_secs_f64();
        format!("{{\"took\":1,\"errors\":{errors},\"items\":[{items}]}}")
    }

    fn count(&mut self, index: &str, document: &[u8]) {
        let found = number_after(document, b"seq=").or_else(|| number_after(document, b"\"seq\":"));
        let Some(number) = found else { return };
        let name = index.split('-').next().unwrap_or_default();
        if !self.families.contains_key(name) {
            self.families.insert(name.to_string(), Family::default());
        }
        let Some(family) = self.families.get_mut(name) else { return };
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= family.seen.len() {
            family.seen.resize(word + 1, 0);
        }
        if family.seen[word] & bit == 0 {
            family.seen[word] |= bit;
            family.distinct += 1;
        } else {
            self.doubled += 1;
        }
    }

    fn text(&self) -> String {
        let mut sorted = self.latencies.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            sorted.get(((sorted.len() as f64 - 1.0) * part) as usize).copied().unwrap_or(0.0)
        };
        let (p50, p99, most) = (at(0.5), at(0.99), at(1.0));
        let distinct: Vec<String> =
            self.families.iter().map(|(name, f)| format!("\"{name}\":{}", f.distinct)).collect();
        format!(
            "{{\"documents\":{},\"bytes\":{},\"requests\":{},\"conflicts\":{},\"doubled\":{},\"last\":{:.6},\
             \"distinct\":{{{}}},\"latency_ms\":{{\"p50\":{p50:.2},\"p99\":{p99:.2},\"max\":{most:.2}}}}}",
            self.documents,
            self.bytes,
            self.requests,
            self.conflicts,
            self.doubled,
            self.last,
            distinct.join(",")
        )
    }
}

fn hash(index: &str, id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (index, id).hash(&mut hasher);
    hasher.finish()
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = wanted[0];
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|b| *b == first)?;
        if text[at..].starts_with(wanted) {
            return Some(at + wanted.len());
        }
        from = at + 1;
    }
}

/// The text after a key of an action line.
fn text_of<'a>(action: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let rest = &action[find(action, key)?..];
    let begin = rest.iter().position(|b| *b == b'"')? + 1;
    let end = begin + rest[begin..].iter().position(|b| *b == b'"')?;
    std::str::from_utf8(&rest[begin..end]).ok()
}

fn number_after(document: &[u8], key: &[u8]) -> Option<u64> {
    let rest = document[find(document, key)?..].trim_ascii_start();
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}
