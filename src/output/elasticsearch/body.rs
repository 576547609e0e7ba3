//! A bulk's body on its way to the server.
//!
//! Is: a body that is written while it is sent, a part at a time, so that a request takes up the memory of its
//! action lines and of one part, not of a second copy of its documents. In: the contents of a bulk. Out: bytes for
//! the HTTP client. Promises: as many bytes as `Content-Length` says; the same bytes each time a bulk is sent.
//! On failure: nothing can fail.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::contents::Contents;
use super::spare::Spare;

/// Bytes of a part: it stays in the processor's cache between our copy and the kernel's.
const PART_BYTES: usize = 64 * 1024;
/// Buffers of parts that are kept for the next ones: what the HTTP client holds at a time.
const SPARE_MAX: usize = 8;

/// The store of buffers that parts are written into.
pub(super) fn parts() -> Spare {
    Spare::new(SPARE_MAX, PART_BYTES)
}

/// What goes over the wire.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// Compressed.
    Packed(Bytes),
    /// Action lines and documents, and how many bytes they are.
    Listed(Arc<Contents>, usize),
}

impl Body {
    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Body::Packed(bytes) => bytes.len(),
            Body::Listed(_, length) => *length,
        }
    }

    /// Whether it is compressed.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self, Body::Packed(_))
    }

    /// All of it at once.
    #[cfg(test)]
    pub(super) fn whole(&self) -> Vec<u8> {
        match self {
            Body::Packed(bytes) => bytes.to_vec(),
            Body::Listed(contents, _) => contents.whole(),
        }
    }

    /// As the HTTP client takes it.
    pub(super) fn into_http(self, parts: &Spare) -> reqwest::Body {
        match self {
            Body::Packed(bytes) => bytes.into(),
            Body::Listed(_, 0) => Bytes::new().into(),
            Body::Listed(contents, length) => {
                let parts = parts.clone();
                reqwest::Body::wrap(Sending { contents, parts, number: 0, at: 0, left: length })
            }
        }
    }
}

/// A listed body that is being sent.
struct Sending {
    contents: Arc<Contents>,
    parts: Spare,
    /// The next entry.
    number: usize,
    /// Where its action line begins.
    at: usize,
    /// Bytes to come.
    left: usize,
}

impl Sending {
    fn part(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut part = self.parts.lend(PART_BYTES);
        while let Some(entry) = self.contents.entries.get(self.number) {
            let length = part.len();
            if length > 0 && length + entry.length as usize > PART_BYTES {
                break;
            }
            self.contents.write(self.number, &mut self.at, &mut part);
            self.number += 1;
        }
        self.left = self.left.saturating_sub(part.len());
        Some(Bytes::from_owner(part))
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.part().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::elasticsearch::bulk::{Builder, Form};
    use crate::output::elasticsearch::fake::frame;

    #[test]
    fn the_parts_together_are_the_whole_body() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(3 * PART_BYTES));
        let mut documents: Vec<(&str, String)> =
            (0..2000).map(|n| ("logs", format!("{{\"n\":\n{n}}}"))).collect();
        documents.insert(700, ("logs", long));
        let frame = frame(3, &documents);
        let form = Form { operation: "create", ids: true, gzip: false };
        let mut builder = Builder::new(form, usize::MAX);
        for (n, document) in frame.documents().enumerate() {
            let lent = (n % 3 > 0).then_some(&frame);
            builder.add(&document, b"logs", 0, lent).unwrap();
        }
        let Body::Listed(contents, length) = builder.seal().body() else { panic!("not listed") };
        let whole = contents.whole();
        let parts = parts();
        let mut sending = Sending {
            contents: Arc::clone(&contents),
            parts: parts.clone(),
            number: 0,
            at: 0,
            left: length,
        };
        let (mut sent, mut count) = (Vec::new(), 0);
        while let Some(part) = sending.part() {
            sent.extend_from_slice(&part);
            count += 1;
        }
        assert_eq!((sent.len(), sending.left), (length, 0));
        assert!(sent == whole && count > 3);
        assert_eq!(parts.count(), 1, "one buffer was used for all usual parts");
    }
}
