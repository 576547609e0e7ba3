//! Messages of the forward protocol as lines of JSON.
//!
//! In: one message: `[tag, time, record]`, `[tag, [[time, record], …]]`, or `[tag, packed entries]`, each perhaps with
//! options. Out: the records as JSON objects, one a line, with their time as `@timestamp` and their tag as
//! `@metadata.tag`; in parts of a bounded size; the id that the sender wants to hear.
//! Promises: no entry is left out, and one that is none keeps no other from coming in; what is compressed inflates to
//! a bound. On failure: [`Problem`], found by [`Entries::of`] before the first part is given out, so that a message
//! that is sent again and again never comes in by half.
//!
//! Source: <https://github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1>.

use std::fmt;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::event::write_string;
use crate::limits::{CHUNK_BYTES, CONNECTION_READ_BYTES};
use crate::msgpack::{Extent, Head, Malformed, Reader};
use crate::timestamp::write_iso8601_ms;

/// Why a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No MessagePack.
    Malformed,
    /// MessagePack, but no message of the protocol.
    Form(&'static str),
    /// What gzip says.
    Compression(String),
    /// Compressed entries inflate to more than this.
    TooMuch(u64),
}

/// A message's entries, read part by part.
pub(super) struct Entries<'a> {
    tag: &'a [u8],
    /// Entries as they follow one another.
    packed: Packed<'a>,
    /// Bytes of entries that are not written yet, and where the first of them stands.
    held: Vec<u8>,
    at: usize,
    inflated: u64,
    inflated_max: u64,
    /// The end of each entry was found already.
    walked: bool,
    /// Entries that are kept as text, and what was wrong with the last of them.
    odd: Option<(u64, Problem)>,
    /// What the sender wants to hear when all is stored.
    pub(super) chunk: Option<&'a [u8]>,
}

enum Packed<'a> {
    Plain(&'a [u8]),
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
}

#[derive(Default)]
struct Options<'a> {
    chunk: Option<&'a [u8]>,
    gzip: bool,
}

impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Self {
        Problem::Malformed
    }
}

impl Problem {
    /// The error's name in metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Problem::Malformed => "not_msgpack",
            Problem::Form(_) => "not_forward",
            Problem::Compression(_) => "bad_compression",
            Problem::TooMuch(_) => "inflated_too_large",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Malformed => f.write_str("what the client sends is no MessagePack"),
            Problem::Form(what) => write!(f, "this is no message of the forward protocol: {what}"),
            Problem::Compression(why) => write!(f, "compressed entries are damaged: {why}"),
            Problem::TooMuch(max) => write!(
                f,
                "compressed entries inflate to more than {max} bytes; raise `max_inflated`, or lower the client's \
                 chunk size"
            ),
        }
    }
}

impl<'a> Entries<'a> {
    /// The entries of a whole message, all of which can be read.
    pub(super) fn of(message: &'a [u8], inflated_max: u64) -> Result<Entries<'a>, Problem> {
        let entries = Entries::begin(message, inflated_max)?;
        if !entries.walked {
            let mut trial = Entries::begin(message, inflated_max)?;
            while trial.next_entry()?.is_some() {}
        }
        Ok(entries)
    }

    fn begin(message: &'a [u8], inflated_max: u64) -> Result<Entries<'a>, Problem> {
        let mut reader = Reader::new(message);
        let Head::Array(count @ 2..) = reader.head()? else {
            return Err(Problem::Form("it is not a list"));
        };
        let Head::Bytes(tag) = reader.head()? else {
            return Err(Problem::Form("its first item is no tag"));
        };
        let begin = reader;
        let mut walked = true;
        let (packed, options_at) = match reader.head()? {
            Head::Bytes(packed) => {
                walked = false;
                (packed, 2)
            }
            Head::Array(entries) if count < 3 || !is_event_time(begin) => {
                let from = reader.rest();
                for _ in 0..entries {
                    reader.skip()?;
                }
                (&from[..from.len() - reader.rest().len()], 2)
            }
            // One entry, without the brackets around it.
            _ if count >= 3 => {
                reader = begin;
                reader.skip()?;
                reader.skip()?;
                let rest = begin.rest();
                (&rest[..rest.len() - reader.rest().len()], 3)
            }
            _ => return Err(Problem::Form("it has a time, but no record")),
        };
        let options = if count > options_at { options(&mut reader)? } else { Options::default() };
        let packed = if options.gzip {
            Packed::Gzip(Box::new(MultiGzDecoder::new(packed)))
        } else {
            Packed::Plain(packed)
        };
        let mut entries = Entries {
            tag,
            packed,
            held: Vec::new(),
            at: 0,
            inflated: 0,
            inflated_max,
            walked: walked && !options.gzip,
            odd: None,
            chunk: options.chunk,
        };
        if options_at == 3 {
            // The brackets of one entry.
            entries.held.push(0x92);
        }
        Ok(entries)
    }

    /// The next lines, about a chunk of them; empty: there are no more.
    pub(super) fn next_part(&mut self) -> Result<Vec<u8>, Problem> {
        let (mut part, tag) = (Vec::new(), self.tag);
        while part.len() < CHUNK_BYTES {
            let Some(entry) = self.next_entry()? else { break };
            if let Err(problem) = write_entry(entry, tag, &mut part) {
                let odd = self.odd.take().map_or(0, |(odd, _)| odd);
                self.odd = Some((odd + 1, problem));
            }
        }
        Ok(part)
    }

    /// Entries since the last call that were kept as text, and what was wrong with the last of them.
    pub(super) fn take_odd(&mut self) -> Option<(u64, Problem)> {
        self.odd.take()
    }

    fn next_entry(&mut self) -> Result<Option<&[u8]>, Problem> {
        let mut extent = Extent::next();
        loop {
            if let Some(length) = extent.of(&self.held[self.at..])? {
                let from = self.at;
                self.at += length;
                return Ok(Some(&self.held[from..self.at]));
            }
            if !self.fill()? {
                let whole = self.at == self.held.len();
                return if whole {
                    Ok(None)
                } else {
                    Err(Problem::Form("it ends within an entry"))
                };
            }
        }
    }

    /// Bytes that are held besides the message.
    pub(super) fn held(&self) -> usize {
        self.held.capacity()
    }

    /// Takes more bytes of entries; false: there are none.
    fn fill(&mut self) -> Result<bool, Problem> {
        if self.at > 0 {
            self.held.drain(..self.at);
            self.at = 0;
        }
        match &mut self.packed {
            Packed::Plain(bytes) => {
                let (some, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES));
                self.held.extend_from_slice(some);
                *bytes = rest;
                Ok(!some.is_empty())
            }
            Packed::Gzip(decoder) => {
                let mut some = [0; 4 * CONNECTION_READ_BYTES];
                let count =
                    decoder.read(&mut some).map_err(|why| Problem::Compression(why.to_string()))?;
                self.inflated += count as u64;
                if self.inflated > self.inflated_max {
                    return Err(Problem::TooMuch(self.inflated_max));
                }
                self.held.extend_from_slice(&some[..count]);
                Ok(count > 0)
            }
        }
    }
}

/// Whether a list is the time of Fluent Bit 2, `[time, metadata]`, and no list of entries.
fn is_event_time(mut reader: Reader<'_>) -> bool {
    matches!(reader.head(), Ok(Head::Array(2)))
        && matches!(
            reader.head(),
            Ok(Head::Unsigned(_) | Head::Signed(_) | Head::Float(_) | Head::Extension(..))
        )
}

fn options<'a>(reader: &mut Reader<'a>) -> Result<Options<'a>, Problem> {
    let mut options = Options::default();
    let Head::Map(count) = reader.head()? else { return Ok(options) };
    for _ in 0..count {
        let Head::Bytes(name) = reader.head()? else {
            return Err(Problem::Form("an option has no name"));
        };
        let mut value = *reader;
        reader.skip()?;
        let text = match value.head()? {
            Head::Bytes(text) => Some(text),
            _ => None,
        };
        match (name, text) {
            (b"chunk", text) => options.chunk = text,
            (b"compressed", Some(b"gzip")) => options.gzip = true,
            (b"compressed", Some(b"text") | None) => {}
            (b"compressed", Some(_)) => {
                return Err(Problem::Form("it is compressed, but not with gzip"));
            }
            _ => {}
        }
    }
    Ok(options)
}

/// `[time, record]` as a line; what is none is kept as the text of an event's `message`, and the error says why.
fn write_entry(entry: &[u8], tag: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let start = out.len();
    let written = write_record(entry, tag, out);
    if written.is_err() {
        out.truncate(start);
        let mut text = Vec::new();
        if Reader::new(entry).write_json(&mut text).is_err() {
            text = String::from_utf8_lossy(entry).into_owned().into_bytes();
        }
        write_tag(tag, out);
        out.extend_from_slice(b",\"message\":");
        write_string(&text, out);
        out.extend_from_slice(b"}\n");
    }
    written
}

fn write_tag(tag: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"@metadata\":{\"tag\":");
    write_string(tag, out);
    out.push(b'}');
}

fn write_record(entry: &[u8], tag: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut reader = Reader::new(entry);
    let Head::Array(2..) = reader.head()? else {
        return Err(Problem::Form("an entry is not a time and a record"));
    };
    let time_ns = time(&mut reader)?;
    let Head::Map(count) = reader.head()? else {
        return Err(Problem::Form("a record is not a map"));
    };
    write_tag(tag, out);
    let mut has_time = false;
    for _ in 0..count {
        let start = out.len();
        out.push(b',');
        reader.write_name(out)?;
        let name = &out[start + 1..];
        has_time |= name == b"\"@timestamp\":";
        if name == b"\"@metadata\":" {
            out.truncate(start);
            reader.skip()?;
            continue;
        }
        reader.write_json(out)?;
    }
    if let Some(time_ns) = time_ns.filter(|_| !has_time) {
        out.extend_from_slice(b",\"@timestamp\":\"");
        write_iso8601_ms(time_ns, out);
        out.push(b'"');
    }
    out.extend_from_slice(b"}\n");
    Ok(())
}

/// A time as nanoseconds: seconds, a number with a fraction, an `EventTime`, or one of these with Fluent Bit's
/// metadata behind it; `None`: it says none.
fn time(reader: &mut Reader<'_>) -> Result<Option<i64>, Problem> {
    let seconds = |seconds: i64| seconds.checked_mul(1_000_000_000);
    Ok(match reader.head()? {
        Head::Unsigned(number) => i64::try_from(number).ok().and_then(seconds),
        Head::Signed(number) => seconds(number),
        Head::Float(number) if number.abs() < 9e9 => Some((number * 1e9) as i64),
        Head::Extension(0, bytes @ [_, _, _, _, _, _, _, _]) => {
            let part = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | i64::from(*byte));
            Some(part(&bytes[..4]) * 1_000_000_000 + part(&bytes[4..]))
        }
        Head::Array(count @ 1..) => {
            let time = time(reader)?;
            for _ in 1..count {
                reader.skip()?;
            }
            time
        }
        Head::Nil | Head::Float(_) => None,
        _ => return Err(Problem::Form("an entry's time is none")),
    })
}
