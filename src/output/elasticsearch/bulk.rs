//! The body of a bulk request.
//!
//! In: documents of frames, documents to be sent again. Out: [`Bulk`]: newline-delimited JSON as the bulk API takes
//! it (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>), usually compressed.
//! Promises: a bulk holds all that is needed to send it again, to split it and to take single documents out of it,
//! so that frames can be let go at once; it stays below its limit unless one document alone is larger.
//! On failure: a document that no server could take is refused with the reason.

use std::borrow::Cow;
use std::io::Read as _;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

use crate::event::write_string;
use crate::frame::Document;

/// How documents are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// `create` or `index`.
    pub(super) operation: &'static str,
    /// Whether the documents carry our ids.
    pub(super) ids: bool,
    /// Whether bodies are compressed.
    pub(super) gzip: bool,
}

/// A document within a bulk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its frame's number in the ledger.
    pub(super) frame: u64,
    /// Bytes of action line and document with both line feeds.
    length: u32,
    /// Bytes of the action line with its line feed.
    action: u16,
    /// How often it alone was refused while others passed.
    odd: u16,
    /// Hash of its id, 0 without one.
    pub(super) id: u32,
    /// Low bits of the number of documents delivered when it was refused last.
    mark: u32,
}

/// A request's body with its table of contents.
#[derive(Clone, Debug)]
pub(super) struct Bulk {
    /// The documents in the order of the body.
    pub(super) entries: Vec<Entry>,
    /// What goes over the wire.
    pub(super) body: Bytes,
    /// Whether `body` is compressed.
    pub(super) gzip: bool,
    /// Bytes before compression.
    pub(super) size: usize,
}

/// A document taken out of a bulk, to be sent again.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    entry: Entry,
    text: Box<[u8]>,
}

/// Writes bulks, one after the other.
pub(super) struct Builder {
    form: Form,
    limit: usize,
    entries: Vec<Entry>,
    size: usize,
    // With compression: text not yet compressed. Without: the body.
    text: Vec<u8>,
    packed: Vec<u8>,
    compress: Option<Compress>,
    // The last address and the beginning of its action lines: the same few indices come again and again.
    address: Vec<u8>,
    opening: Vec<u8>,
}

/// Elasticsearch refuses a whole request for one id longer than this.
const ID_BYTES_MAX: usize = 512;
/// Longest index name.
const INDEX_BYTES_MAX: usize = 255;
/// Text collected before it is compressed: few calls, and it stays in the processor's cache.
const COMPRESS_BYTES: usize = 64 * 1024;

/// A body without compression may pass its limit by the rest of one document.
const ROOM_BYTES: usize = 4 * 1024;

impl Builder {
    /// A builder of bulks of about `limit` bytes before compression.
    pub(super) fn new(form: Form, limit: usize) -> Builder {
        let mut builder = Builder {
            form,
            limit,
            entries: Vec::new(),
            size: 0,
            text: Vec::new(),
            packed: Vec::new(),
            compress: None,
            address: Vec::new(),
            opening: Vec::new(),
        };
        builder.set_gzip(form.gzip);
        builder.open(b"");
        builder
    }

    /// Switches compression for the next bulk; only when nothing is being built.
    pub(super) fn set_gzip(&mut self, gzip: bool) {
        debug_assert!(self.is_empty());
        self.form.gzip = gzip;
        self.compress = gzip.then(|| Compress::new_gzip(Compression::new(1), 15));
    }

    /// Changes the limit from the next document on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes that a bulk should not exceed.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether nothing was added since the last [`Builder::seal`].
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Documents added since the last [`Builder::seal`].
    pub(super) fn document_count(&self) -> usize {
        self.entries.len()
    }

    /// Whether a document of `bytes` still belongs into this bulk.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.is_empty() || self.size + bytes + self.opening.len() + 64 <= self.limit
    }

    /// Adds a document of a frame. `Err`: why no server could take it; nothing was added.
    pub(super) fn add(
        &mut self,
        document: &Document<'_>,
        address: &[u8],
        frame: u64,
    ) -> Result<(), &'static str> {
        if address.is_empty() {
            return Err("the name of its index is empty");
        }
        if address.len() > INDEX_BYTES_MAX {
            return Err("the name of its index is longer than 255 bytes");
        }
        if document.body.is_empty() {
            return Err("it is empty");
        }
        if self.address != address {
            self.open(address);
        }
        let start = self.text.len();
        self.text.extend_from_slice(&self.opening);
        let mut id = 0;
        if self.form.ids {
            self.text.extend_from_slice(b",\"_id\":\"");
            let from = self.text.len();
            document.write_id(&mut self.text);
            let written = &self.text[from..];
            if written.len() > ID_BYTES_MAX
                || written.iter().any(|b| matches!(b, b'"' | b'\\' | 0..32))
            {
                self.text.truncate(start);
                return Err(
                    "its id is longer than 512 bytes or has characters that ids cannot have",
                );
            }
            id = hash(written);
            self.text.push(b'"');
        }
        self.text.extend_from_slice(b"}}\n");
        let action = (self.text.len() - start) as u16;
        write_line(document.body, &mut self.text);
        let length = (self.text.len() - start) as u32;
        self.reserve();
        self.push(Entry { frame, length, action, odd: 0, id, mark: 0 });
        Ok(())
    }

    /// Adds a document that was taken out of a bulk.
    pub(super) fn add_again(&mut self, kept: &Kept) {
        self.add_text(kept.entry, &kept.text);
    }

    /// What was added, as a request; the builder begins anew.
    pub(super) fn seal(&mut self) -> Bulk {
        let size = std::mem::take(&mut self.size);
        let entries = std::mem::take(&mut self.entries);
        let gzip = self.compress.is_some();
        let body = if gzip {
            self.pack(FlushCompress::Finish);
            if let Some(compress) = &mut self.compress {
                compress.reset();
            }
            std::mem::take(&mut self.packed)
        } else {
            std::mem::take(&mut self.text)
        };
        Bulk { entries, body: Bytes::from(body), gzip, size }
    }

    /// Gives a finished bulk's memory back for the next one.
    pub(super) fn recycle(&mut self, bulk: Bulk) {
        let Ok(unique) = bulk.body.try_into_mut() else { return };
        let target = if self.compress.is_some() { &mut self.packed } else { &mut self.text };
        if target.capacity() == 0 && self.entries.is_empty() {
            *target = unique.into();
            target.clear();
        }
        if self.entries.capacity() == 0 {
            self.entries = bulk.entries;
            self.entries.clear();
        }
    }

    /// A body that is about to grow large gets all of its memory at once: one that doubles holds up to twice that.
    fn reserve(&mut self) {
        let Some(whole) = self.limit.checked_add(ROOM_BYTES) else { return };
        let large = (self.limit / 8..whole).contains(&self.text.len());
        if large && self.compress.is_none() && self.text.capacity() < whole {
            self.text.reserve_exact(whole - self.text.len());
        }
    }

    fn add_text(&mut self, entry: Entry, text: &[u8]) {
        self.text.extend_from_slice(text);
        self.push(entry);
    }

    fn push(&mut self, entry: Entry) {
        self.size += entry.length as usize;
        self.entries.push(entry);
        if self.compress.is_some() && self.text.len() >= COMPRESS_BYTES {
            self.pack(FlushCompress::None);
        }
    }

    /// Index names have no upper-case letters, so writing one would only make a dead letter.
    fn open(&mut self, address: &[u8]) {
        self.address.clear();
        self.address.extend_from_slice(address);
        let name = String::from_utf8_lossy(address).to_lowercase();
        self.opening.clear();
        self.opening.extend_from_slice(b"{\"");
        self.opening.extend_from_slice(self.form.operation.as_bytes());
        self.opening.extend_from_slice(b"\":{\"_index\":");
        write_string(name.as_bytes(), &mut self.opening);
    }

    fn pack(&mut self, flush: FlushCompress) {
        let Some(compress) = &mut self.compress else { return };
        let mut from = 0;
        loop {
            self.packed.reserve((self.text.len() - from) / 4 + 4096);
            let before = compress.total_in();
            let status = compress.compress_vec(&self.text[from..], &mut self.packed, flush);
            from += (compress.total_in() - before) as usize;
            let done = match flush {
                FlushCompress::Finish => matches!(status, Ok(Status::StreamEnd) | Err(_)),
                _ => from == self.text.len(),
            };
            if done {
                break;
            }
        }
        self.text.clear();
    }
}

impl Bulk {
    /// A request without documents, to ask whether a node answers.
    pub(super) fn empty() -> Bulk {
        Bulk { entries: Vec::new(), body: Bytes::new(), gzip: false, size: 0 }
    }

    /// The text before compression.
    pub(super) fn text(&self) -> Cow<'_, [u8]> {
        if !self.gzip {
            return Cow::Borrowed(&self.body);
        }
        let mut text = Vec::with_capacity(self.size);
        let read = flate2::read::GzDecoder::new(&self.body[..]).read_to_end(&mut text);
        debug_assert!(read.is_ok(), "our own compression reads back");
        text.resize(self.size, b' ');
        Cow::Owned(text)
    }

    /// Calls `each` for the documents at `numbers` (ascending).
    pub(super) fn pick(&self, numbers: &[usize], mut each: impl FnMut(usize, Kept)) {
        let text = self.text();
        let (mut at, mut wanted) = (0, numbers.iter().peekable());
        for (number, entry) in self.entries.iter().enumerate() {
            let to = at + entry.length as usize;
            if wanted.next_if(|n| **n == number).is_some() {
                each(number, Kept { entry: *entry, text: text[at..to].into() });
            }
            at = to;
        }
    }

    /// The same documents in two bulks of about half the bytes.
    pub(super) fn split(&self, builder: &mut Builder) -> (Bulk, Bulk) {
        let text = self.text();
        let (mut at, mut first) = (0, None);
        for (number, entry) in self.entries.iter().enumerate() {
            if first.is_none() && number > 0 && (at + entry.length as usize) * 2 > self.size {
                first = Some(builder.seal());
            }
            let to = at + entry.length as usize;
            builder.add_text(*entry, &text[at..to]);
            at = to;
        }
        let second = builder.seal();
        (first.unwrap_or_else(Bulk::empty), second)
    }

    /// Writes the same documents anew, in the builder's form.
    pub(super) fn write_into(&self, builder: &mut Builder) {
        let text = self.text();
        let mut at = 0;
        for entry in &self.entries {
            let to = at + entry.length as usize;
            builder.add_text(*entry, &text[at..to]);
            at = to;
        }
    }
}

impl Kept {
    /// Its frame's number in the ledger.
    pub(super) fn frame(&self) -> u64 {
        self.entry.frame
    }

    /// Bytes in memory, near enough for a budget.
    pub(super) fn size(&self) -> usize {
        self.text.len() + size_of::<Kept>()
    }

    /// Bytes in a request.
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// Counts a refusal that may be the document's own fault: one more only if others passed since the last one
    /// (`delivered` in all). Returns how many there were.
    pub(super) fn refused_alone(&mut self, delivered: u64) -> u16 {
        let mark = delivered as u32;
        self.entry.odd = self.entry.odd.saturating_add(u16::from(mark != self.entry.mark));
        self.entry.mark = mark;
        self.entry.odd
    }

    /// The JSON text.
    pub(super) fn document(&self) -> &[u8] {
        let text = &self.text[usize::from(self.entry.action)..];
        text.strip_suffix(b"\n").unwrap_or(text)
    }

    /// Its index and its id (empty without one).
    pub(super) fn address(&self) -> (String, String) {
        let action = &self.text[..usize::from(self.entry.action)];
        let Ok(serde_json::Value::Object(action)) = serde_json::from_slice(action) else {
            return (String::new(), String::new());
        };
        let target = action.values().next();
        let text = |key: &str| {
            let value = target.and_then(|t| t.get(key)).and_then(|v| v.as_str());
            value.unwrap_or_default().to_string()
        };
        (text("_index"), text("_id"))
    }
}

/// A short hash to compare ids with; never 0.
pub(super) fn hash(id: &[u8]) -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = foldhash::fast::FixedState::with_seed(1).build_hasher();
    hasher.write(id);
    (hasher.finish() as u32).max(1)
}

/// Line feeds separate the lines of a bulk. JSON has them only between tokens, where a space means the same.
fn write_line(body: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(body);
    if memchr::memchr(b'\n', body).is_some() {
        for byte in &mut out[start..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests;
