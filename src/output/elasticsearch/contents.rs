//! The documents of a bulk and where their bytes are.
//!
//! Is: a table of contents over action lines and documents; documents stay in the frames they came in, or stand
//! behind their action line. In: what a builder added. Out: the text of a request, whole, in parts ([`super::body`]),
//! or document by document. Promises: the text of an entry is the same whenever it is written; a frame is held as
//! long as a document is borrowed from it. On failure: nothing can fail.

use std::fmt;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;

use super::body::Body;
use super::bulk::Builder;
use crate::frame::Frame;

/// A document within a bulk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its frame's number in the ledger.
    pub(super) frame: u64,
    /// Bytes of action line and document with both line feeds.
    pub(super) length: u32,
    /// Bytes of the action line with its line feed.
    pub(super) action: u16,
    /// How often it alone was refused while others passed.
    pub(super) odd: u16,
    /// Hash of its id, 0 without one.
    pub(super) id: u32,
    /// Low bits of the number of documents delivered when it was refused last.
    pub(super) mark: u32,
    /// The number of the borrowed frame that has its document, or [`IN_TEXT`].
    pub(super) place: u32,
    /// Where its document begins in that frame.
    pub(super) from: u32,
}

/// As [`Entry::place`]: the document stands behind its action line.
pub(super) const IN_TEXT: u32 = u32::MAX;

/// The documents of a bulk in the order of its body.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) entries: Vec<Entry>,
    /// Those that documents are borrowed from.
    frames: Vec<Arc<Frame>>,
    /// The action line of each entry, and behind it its document unless a frame has it.
    pub(super) text: Vec<u8>,
}

/// A request's documents, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Bulk {
    contents: Arc<Contents>,
    /// The text compressed; then `contents` has the entries only.
    packed: Option<Bytes>,
    /// Bytes before compression.
    pub(super) size: usize,
}

/// A document taken out of a bulk, to be sent again.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    entry: Entry,
    text: Box<[u8]>,
}

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} documents of {} frames", self.entries.len(), self.frames.len())
    }
}

impl Contents {
    /// The number of a frame among those that documents are borrowed from.
    pub(super) fn borrow(&mut self, frame: &Arc<Frame>) -> u32 {
        if self.frames.last().is_none_or(|last| !Arc::ptr_eq(last, frame)) {
            self.frames.push(Arc::clone(frame));
        }
        self.frames.len() as u32 - 1
    }

    /// Writes the text of an entry; `at` is where its action line begins in the text, and then where the next one's
    /// does. `None`: there is no such entry.
    pub(super) fn write(&self, number: usize, at: &mut usize, out: &mut Vec<u8>) -> Option<()> {
        let entry = self.entries.get(number)?;
        let from = *at;
        if entry.place == IN_TEXT {
            *at += entry.length as usize;
            out.extend_from_slice(&self.text[from..*at]);
        } else {
            *at += usize::from(entry.action);
            out.extend_from_slice(&self.text[from..*at]);
            let document = entry.from as usize;
            let end = document + entry.length as usize - usize::from(entry.action) - 1;
            write_line(&self.frames[entry.place as usize].bytes()[document..end], out);
        }
        Some(())
    }

    /// The text of all entries.
    #[cfg(test)]
    pub(super) fn whole(&self) -> Vec<u8> {
        let (mut at, mut text) = (0, Vec::new());
        for number in 0..self.entries.len() {
            self.write(number, &mut at, &mut text);
        }
        text
    }

    /// Bytes that its own buffers take up.
    pub(super) fn memory(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<Entry>()
    }
}

impl Bulk {
    pub(super) fn new(contents: Contents, packed: Option<Bytes>, size: usize) -> Bulk {
        Bulk { contents: Arc::new(contents), packed, size }
    }

    /// A request without documents, to ask whether a node answers.
    pub(super) fn empty() -> Bulk {
        Bulk::new(Contents::default(), None, 0)
    }

    /// The documents in the order of the body.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.contents.entries
    }

    /// Whether it is sent compressed.
    pub(super) fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// What goes over the wire.
    pub(super) fn body(&self) -> Body {
        match &self.packed {
            Some(packed) => Body::Packed(packed.clone()),
            None => Body::Listed(Arc::clone(&self.contents), self.size),
        }
    }

    /// Where its text is in memory.
    #[cfg(test)]
    pub(super) fn text_place(&self) -> *const u8 {
        self.contents.text.as_ptr()
    }

    /// Its buffers, emptied, as far as nobody else holds them any more.
    pub(super) fn into_memory(self) -> (Option<Contents>, Option<Vec<u8>>) {
        let contents = Arc::try_unwrap(self.contents).ok().map(|mut contents| {
            contents.entries.clear();
            contents.frames.clear();
            contents.text.clear();
            contents
        });
        let packed = self.packed.and_then(|packed| packed.try_into_mut().ok()).map(|packed| {
            let mut packed = Vec::from(packed);
            packed.clear();
            packed
        });
        (contents, packed)
    }

    /// Calls `each` with every entry and its text.
    fn for_each(&self, mut each: impl FnMut(usize, &Entry, &[u8])) {
        let entries = self.entries();
        let Some(packed) = &self.packed else {
            let (mut at, mut text) = (0, Vec::new());
            for (number, entry) in entries.iter().enumerate() {
                text.clear();
                self.contents.write(number, &mut at, &mut text);
                each(number, entry, &text);
            }
            return;
        };
        let text = unpack(packed, self.size);
        let mut at = 0;
        for (number, entry) in entries.iter().enumerate() {
            let to = at + entry.length as usize;
            each(number, entry, &text[at..to]);
            at = to;
        }
    }

    /// Calls `each` for the documents at `numbers` (ascending).
    pub(super) fn pick(&self, numbers: &[usize], mut each: impl FnMut(usize, Kept)) {
        let mut wanted = numbers.iter().peekable();
        self.for_each(|number, entry, text| {
            if wanted.next_if(|n| **n == number).is_some() {
                each(number, Kept { entry: *entry, text: text.into() });
            }
        });
    }

    /// The same documents in two bulks of about half the bytes.
    pub(super) fn split(&self, builder: &mut Builder) -> (Bulk, Bulk) {
        let (mut at, mut first) = (0, None);
        self.for_each(|number, entry, text| {
            if first.is_none() && number > 0 && (at + text.len()) * 2 > self.size {
                first = Some(builder.seal());
            }
            builder.add_text(*entry, text);
            at += text.len();
        });
        let second = builder.seal();
        (first.unwrap_or_else(Bulk::empty), second)
    }

    /// Writes the same documents anew, in the builder's form.
    pub(super) fn write_into(&self, builder: &mut Builder) {
        self.for_each(|_, entry, text| builder.add_text(*entry, text));
    }
}

/// The text that was compressed to `packed`.
fn unpack(packed: &[u8], size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size);
    let read = flate2::read::GzDecoder::new(packed).read_to_end(&mut text);
    debug_assert!(read.is_ok(), "our own compression reads back");
    text.resize(size, b' ');
    text
}

impl Kept {
    /// Its entry, as it was in the bulk that it was taken from.
    pub(super) fn entry(&self) -> Entry {
        self.entry
    }

    /// Its action line and its document.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

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

/// Line feeds separate the lines of a bulk. JSON has them only between tokens, where a space means the same.
pub(super) fn write_line(body: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(body);
    if memchr::memchr(b'\n', &out[start..]).is_some() {
        for byte in &mut out[start..] {
            if *byte == b'\n' {
                *byte = b' ';
            }
        }
    }
    out.push(b'\n');
}
