//! The body of a bulk request.
//!
//! In: documents of frames, documents to be sent again. Out: [`Bulk`]: newline-delimited JSON as the bulk API takes
//! it (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>), usually compressed.
//! Promises: a bulk holds all that is needed to send it again, to split it and to take single documents out of it;
//! it stays below its limit unless one document alone is larger; without compression documents stay in their
//! frames until they are sent, unless most of a frame is for others.
//! On failure: a document that no server could take is refused with the reason.

use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};

pub(super) use super::contents::{Bulk, Kept};
use super::contents::{Contents, Entry, IN_TEXT, write_line};
use crate::event::write_string;
use crate::frame::{Document, Frame};

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

/// Writes bulks, one after the other.
pub(super) struct Builder {
    form: Form,
    limit: usize,
    // With compression its text is what was not compressed yet.
    contents: Contents,
    size: usize,
    packed: Vec<u8>,
    compress: Option<Compress>,
    // Memory of finished bulks.
    spare: Vec<Contents>,
    spare_packed: Vec<Vec<u8>>,
    // The last address and the beginning of its action lines: the same few indices come again and again.
    address: Vec<u8>,
    opening: Vec<u8>,
}

/// Elasticsearch refuses a whole request for one id longer than this.
const ID_BYTES_MAX: usize = 512;
/// Longest index name.
pub(super) const INDEX_BYTES_MAX: usize = 255;
/// Text collected before it is compressed: few calls, and it stays in the processor's cache.
const COMPRESS_BYTES: usize = 64 * 1024;
/// zlib-rs makes less of logs with its level 1 than zlib does (4.5 instead of 5.7 to 1), with its level 2 more (6.1).
const GZIP_LEVEL: u32 = 2;
/// Finished bulks whose memory is kept for the next ones.
const SPARE_MAX: usize = 4;
/// Memory of a bulk that grew larger than this is not kept.
const SPARE_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Builder {
    /// A builder of bulks of about `limit` bytes before compression.
    pub(super) fn new(form: Form, limit: usize) -> Builder {
        let mut builder = Builder {
            form,
            limit,
            contents: Contents::default(),
            size: 0,
            packed: Vec::new(),
            compress: None,
            spare: Vec::new(),
            spare_packed: Vec::new(),
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
        self.compress = gzip.then(|| Compress::new_gzip(Compression::new(GZIP_LEVEL), 15));
    }

    /// Changes the limit from the next document on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes that a bulk should not exceed.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes added since the last [`Builder::seal`], before compression.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Whether nothing was added since the last [`Builder::seal`].
    pub(super) fn is_empty(&self) -> bool {
        self.contents.entries.is_empty()
    }

    /// Documents added since the last [`Builder::seal`].
    pub(super) fn document_count(&self) -> usize {
        self.contents.entries.len()
    }

    /// Whether a document of `bytes` still belongs into this bulk.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.is_empty() || self.size + bytes + self.opening.len() + 64 <= self.limit
    }

    /// Adds a document of a frame, which `lent` keeps if it may stay there until it is sent. `Err`: why no server
    /// could take it; nothing was added.
    pub(super) fn add(
        &mut self,
        document: &Document<'_>,
        address: &[u8],
        frame: u64,
        lent: Option<&Arc<Frame>>,
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
        let text = &mut self.contents.text;
        let start = text.len();
        text.extend_from_slice(&self.opening);
        let mut id = 0;
        if self.form.ids {
            text.extend_from_slice(b",\"_id\":\"");
            let from = text.len();
            document.write_id(text);
            let written = &text[from..];
            if written.len() > ID_BYTES_MAX
                || written.iter().any(|b| matches!(b, b'"' | b'\\' | 0..32))
            {
                text.truncate(start);
                return Err(
                    "its id is longer than 512 bytes or has characters that ids cannot have",
                );
            }
            id = hash(written);
            text.push(b'"');
        }
        text.extend_from_slice(b"}}\n");
        let action = (text.len() - start) as u16;
        let length = u32::from(action) + document.body.len() as u32 + 1;
        let place = match lent {
            Some(lender) if self.compress.is_none() => self.contents.borrow(lender),
            _ => {
                write_line(document.body, text);
                IN_TEXT
            }
        };
        let from = document.body_from();
        self.push(Entry { frame, length, action, odd: 0, id, mark: 0, place, from });
        Ok(())
    }

    /// Adds a document that was taken out of a bulk.
    pub(super) fn add_again(&mut self, kept: &Kept) {
        self.add_text(kept.entry(), kept.text());
    }

    /// Adds a document whose text, action line and all, is at hand.
    pub(super) fn add_text(&mut self, entry: Entry, text: &[u8]) {
        self.contents.text.extend_from_slice(text);
        self.push(Entry { place: IN_TEXT, ..entry });
    }

    /// What was added, as a request; the builder begins anew.
    pub(super) fn seal(&mut self) -> Bulk {
        let size = std::mem::take(&mut self.size);
        let mut packed = None;
        if self.compress.is_some() {
            self.pack(FlushCompress::Finish);
            if let Some(compress) = &mut self.compress {
                compress.reset();
            }
            let next = self.spare_packed.pop().unwrap_or_default();
            packed = Some(Bytes::from(std::mem::replace(&mut self.packed, next)));
        }
        let next = self.spare.pop().unwrap_or_default();
        let contents = std::mem::replace(&mut self.contents, next);
        Bulk::new(contents, packed, size)
    }

    /// Gives a finished bulk's memory back for the next one.
    pub(super) fn recycle(&mut self, bulk: Bulk) {
        let (contents, packed) = bulk.into_memory();
        if let Some(contents) = contents
            && self.spare.len() < SPARE_MAX
            && contents.memory() <= SPARE_BYTES_MAX
        {
            self.spare.push(contents);
        }
        if let Some(packed) = packed
            && self.spare_packed.len() < SPARE_MAX
            && packed.capacity() <= SPARE_BYTES_MAX
        {
            self.spare_packed.push(packed);
        }
    }

    fn push(&mut self, entry: Entry) {
        self.size += entry.length as usize;
        self.contents.entries.push(entry);
        if self.compress.is_some() && self.contents.text.len() >= COMPRESS_BYTES {
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
        let (mut from, text) = (0, &mut self.contents.text);
        loop {
            self.packed.reserve((text.len() - from) / 4 + 4096);
            let before = compress.total_in();
            let status = compress.compress_vec(&text[from..], &mut self.packed, flush);
            from += (compress.total_in() - before) as usize;
            let done = match flush {
                FlushCompress::Finish => matches!(status, Ok(Status::StreamEnd) | Err(_)),
                _ => from == text.len(),
            };
            if done {
                break;
            }
        }
        text.clear();
    }
}

/// A short hash to compare ids with; never 0.
pub(super) fn hash(id: &[u8]) -> u32 {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = foldhash::fast::FixedState::with_seed(1).build_hasher();
    hasher.write(id);
    (hasher.finish() as u32).max(1)
}

#[cfg(test)]
mod tests;
