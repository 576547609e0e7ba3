//! Octet-counted messages of a stream as lines (RFC 6587, section 3.4.1).
//!
//! In: a stream in which each message is `LENGTH SP MESSAGE`, or ends with a line feed. Out: the same messages, each
//! ended by a line feed; line feeds within a counted one are blanks. Promises: the bytes of each message, in order,
//! however the stream is cut; nothing of a message is held back but the digits that may be a length.
//! On failure: a length that is none is the beginning of a line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::input::listener::Stream;
use crate::limits::CONNECTION_READ_BYTES;

/// Digits of the longest length: a message of a gigabyte is no message.
const DIGITS_MAX: u32 = 9;

/// A stream whose messages come out as lines.
pub(super) struct Unframed {
    stream: Stream,
    framing: Framing,
    /// Lines that were not asked for yet.
    lines: Vec<u8>,
    /// How much of them was given out.
    given: usize,
}

/// Where in a message a stream is.
#[derive(Clone, Copy, Debug, Default)]
enum Framing {
    /// At its first byte.
    #[default]
    Start,
    /// Within its length, which begins with this number.
    Length(u64),
    /// Within its text, of which so many bytes are left.
    Counted(u64),
    /// Within a line.
    Line,
}

impl Unframed {
    pub(super) fn new(stream: Stream) -> Unframed {
        Unframed { stream, framing: Framing::Start, lines: Vec::new(), given: 0 }
    }
}

impl Framing {
    /// Appends the lines that are in the next bytes of the stream.
    fn lines(&mut self, mut bytes: &[u8], lines: &mut Vec<u8>) {
        while let [first, rest @ ..] = bytes {
            match (*self, first) {
                (Framing::Start, b'1'..=b'9') => {
                    *self = Framing::Length(u64::from(first - b'0'));
                    bytes = rest;
                }
                (Framing::Length(number), b'0'..=b'9') if number.ilog10() + 1 < DIGITS_MAX => {
                    *self = Framing::Length(number * 10 + u64::from(first - b'0'));
                    bytes = rest;
                }
                (Framing::Length(number), b' ') => {
                    *self = Framing::Counted(number);
                    bytes = rest;
                }
                (Framing::Length(number), _) => {
                    lines.extend_from_slice(number.to_string().as_bytes());
                    *self = Framing::Line;
                }
                (Framing::Start, _) => *self = Framing::Line,
                (Framing::Line, _) => {
                    let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
                    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    lines.extend_from_slice(line);
                    bytes = rest;
                    *self = if end.is_some() { Framing::Start } else { Framing::Line };
                }
                (Framing::Counted(left), _) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (text, rest) = bytes.split_at(here);
                    lines.extend(text.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
                    bytes = rest;
                    let left = left - here as u64;
                    if left > 0 {
                        *self = Framing::Counted(left);
                    } else {
                        lines.push(b'\n');
                        *self = Framing::Start;
                    }
                }
            }
        }
    }

    /// What is left when the stream ends.
    fn end(self, lines: &mut Vec<u8>) {
        if let Framing::Length(number) = self {
            lines.extend_from_slice(number.to_string().as_bytes());
        }
    }
}

impl AsyncRead for Unframed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.given == this.lines.len() {
            this.lines.clear();
            this.given = 0;
            let mut bytes = [0; CONNECTION_READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                std::mem::take(&mut this.framing).end(&mut this.lines);
                if this.lines.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            this.framing.lines(read.filled(), &mut this.lines);
        }
        let length = (this.lines.len() - this.given).min(buffer.remaining());
        buffer.put_slice(&this.lines[this.given..this.given + length]);
        this.given += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Unframed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A syslog stream under the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn syslog_stream(data: &[u8]) {
    let [step, stream @ ..] = data else { return };
    let whole = lines_of(&[stream]);
    let cuts: Vec<&[u8]> = stream.chunks(usize::from(*step).max(1)).collect();
    assert_eq!(whole, lines_of(&cuts), "the lines depend on the cuts");
    assert!(whole.len() <= stream.len(), "more came out than went in");
}

#[cfg(any(test, fuzzing))]
fn lines_of(cuts: &[&[u8]]) -> Vec<u8> {
    let (mut framing, mut lines) = (Framing::Start, Vec::new());
    for cut in cuts {
        framing.lines(cut, &mut lines);
    }
    framing.end(&mut lines);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stream: &str) -> String {
        syslog_stream(&[&[3], stream.as_bytes()].concat());
        String::from_utf8(lines_of(&[stream.as_bytes()])).unwrap()
    }

    #[test]
    fn both_framings_may_follow_one_another() {
        assert_eq!(text("10 <13>a\nbcde6 <14>fg"), "<13>a bcde\n<14>fg\n");
        assert_eq!(text("<13>a\n8 <14>bcde<15>f\n"), "<13>a\n<14>bcde\n<15>f\n");
        assert_eq!(text("\n<13>a"), "\n<13>a");
    }

    #[test]
    fn what_is_no_length_is_a_line() {
        assert_eq!(text("2026-11-22 boot\n"), "2026-11-22 boot\n");
        assert_eq!(text("1234567890 x\n"), "1234567890 x\n");
        assert_eq!(text("0 x\n"), "0 x\n");
        assert_eq!(text("12"), "12");
    }
}
