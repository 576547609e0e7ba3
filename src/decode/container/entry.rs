//! One line of a container's log file, taken apart.
//!
//! In: a line. Out: its stream, time and message. Sources of the formats: Kubernetes,
//! `kubelet/kuberuntime/logs` (`TIME STREAM TAGS MESSAGE`, the first tag `P` for a part and `F` for
//! a full line or a last part, more tags after `:`); Docker, `jsonlog.JSONLog` (`log` ends with a
//! line feed unless more of the line follows). Promises: a message without escapes is a span of the
//! line. On failure: `None`; nothing was changed.

use super::{Names, StreamName};
use crate::event::{Batch, Field, Key, Keys, Span, Value, decode_escapes, parse_object};
use crate::timestamp::parse_iso8601;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) stream: StreamName,
    /// Nanoseconds since the epoch; `None` when it could not be read.
    pub(super) time_ns: Option<i64>,
    pub(super) message: Span,
    /// The line ends here; otherwise the stream's next entry continues it.
    pub(super) complete: bool,
    /// Docker's `attrs`: labels and variables of the container.
    pub(super) attrs: Option<Span>,
}

/// Reads a CRI line.
pub(super) fn cri(batch: &Batch, span: Span) -> Option<Entry> {
    let line = batch.bytes(span);
    let time_end = memchr::memchr(b' ', line).filter(|at| *at > 0)?;
    let stream_at = time_end + 1;
    let stream_end = stream_at + memchr::memchr(b' ', &line[stream_at..])?;
    let stream = StreamName::read(&line[stream_at..stream_end])?;
    let tags_at = stream_end + 1;
    let space = memchr::memchr(b' ', &line[tags_at..]).map(|at| tags_at + at);
    let tags = &line[tags_at..space.unwrap_or(line.len())];
    let complete = match tags.split(|b| *b == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    let message = span.part(space.map_or(line.len(), |at| at + 1), line.len());
    let time_ns = parse_iso8601(&line[..time_end]);
    Some(Entry { stream, time_ns, message, complete, attrs: None })
}

/// Reads an object of Docker's json-file driver; `fields` and `scratch` are overwritten.
pub(super) fn docker(
    batch: &mut Batch,
    span: Span,
    keys: &Keys,
    names: &Names,
    fields: &mut Vec<Field>,
    scratch: &mut Vec<u8>,
) -> Option<Entry> {
    fields.clear();
    parse_object(&mut batch.text, span, keys, fields).ok()?;
    let value = |key| fields.iter().find(|f| f.key == key).map(|f| f.value);
    let Some(Value::Str(stream)) = value(names.stream) else { return None };
    let stream = StreamName::read(batch.bytes(stream))?;
    let time_ns = match value(names.time) {
        Some(Value::Str(time)) => parse_iso8601(batch.bytes(time)),
        _ => None,
    };
    let attrs = match value(names.attrs) {
        Some(Value::Json(attrs)) => Some(attrs),
        _ => None,
    };
    let (message, complete) = match value(Key::LOG)? {
        Value::Str(log) => (log, false),
        Value::Escaped(log) => unescape(batch, log, scratch),
        _ => return None,
    };
    Some(Entry { stream, time_ns, message, complete, attrs })
}

/// The message without its line end, and whether it had one.
fn unescape(batch: &mut Batch, log: Span, scratch: &mut Vec<u8>) -> (Span, bool) {
    let raw = batch.bytes(log);
    if let Some(text) = raw.strip_suffix(b"\\n")
        && memchr::memchr(b'\\', text).is_none()
    {
        return (log.part(0, text.len()), true);
    }
    scratch.clear();
    decode_escapes(raw, scratch);
    let complete = scratch.last() == Some(&b'\n');
    if complete {
        scratch.pop();
        if scratch.last() == Some(&b'\r') {
            scratch.pop();
        }
    }
    (batch.push_text(scratch), complete)
}
