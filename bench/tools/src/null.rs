//! The null shipper: what shipping a file costs at least.
//!
//! Is: one thread that reads, wraps each line as a document and sends bulk requests, one after the other. In: a file.
//! Out: requests. Promises: it looks into nothing and keeps nothing, so any agent costs more. On failure: the error
//! of the file or the connection; nothing is tried again.

use std::fs::File;
use std::io::{Error, Read as _, Result, Write as _};
use std::net::TcpStream;

const BLOCK_BYTES: usize = 1 << 20;
const REQUEST_BYTES: usize = 8 << 20;
const ACTION: &[u8] = b"{\"create\":{\"_index\":\"logs-null\"}}\n";

/// Ships a file; a line of the kind `json` gets a field, any other becomes a string of a new document.
pub fn ship(kind: &str, file: &str, address: &str) -> Result<()> {
    let mut file = File::open(file)?;
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let (mut block, mut held) = (vec![0; BLOCK_BYTES], 0);
    let mut body = Vec::with_capacity(REQUEST_BYTES + 2 * BLOCK_BYTES);
    loop {
        let read = file.read(&mut block[held..])?;
        let end = held + read;
        let mut whole = 0;
        for at in memchr::memchr_iter(b'\n', &block[..end]) {
            let line = &block[whole..at];
            whole = at + 1;
            if line.is_empty() {
                continue;
            }
            body.extend_from_slice(ACTION);
            if kind == "json" {
                body.extend_from_slice(&line[..line.len() - 1]);
                body.extend_from_slice(b",\"host\":\"node-1\"}\n");
            } else {
                body.extend_from_slice(b"{\"host\":\"node-1\",\"message\":\"");
                escape(line, &mut body);
                body.extend_from_slice(b"\"}\n");
            }
        }
        block.copy_within(whole..end, 0);
        held = end - whole;
        if body.len() >= REQUEST_BYTES || (read == 0 && !body.is_empty()) {
            send(&mut connection, &body)?;
            body.clear();
        }
        if read == 0 {
            return Ok(());
        }
    }
}

fn escape(line: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for at in memchr::memchr2_iter(b'"', b'\\', line) {
        out.extend_from_slice(&line[from..at]);
        out.push(b'\\');
        from = at;
    }
    out.extend_from_slice(&line[from..]);
}

fn send(connection: &mut TcpStream, body: &[u8]) -> Result<()> {
    let head = format!(
        "POST /_bulk HTTP/1.1\r\nhost: bench\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes())?;
    connection.write_all(body)?;
    let (mut answer, mut block) = (Vec::new(), vec![0; 64 * 1024]);
    let (mut begin, mut length) = (0, usize::MAX);
    while length == usize::MAX || answer.len() < begin + length {
        let read = connection.read(&mut block)?;
        if read == 0 {
            return Err(Error::other("the sink closed the connection"));
        }
        answer.extend_from_slice(&block[..read]);
        if length == usize::MAX
            && let Some(at) = answer.windows(4).position(|w| w == b"\r\n\r\n")
        {
            begin = at + 4;
            let head = String::from_utf8_lossy(&answer[..at]).to_lowercase();
            let told = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            length = told
                .and_then(|n| n.trim().parse().ok())
                .ok_or_else(|| Error::other("an answer without length"))?;
        }
    }
    Ok(())
}
