//! The second room: bytes into events.
//!
//! Is: the codecs. In: a chunk's text and place. Out: events in a batch. Promises: every line becomes exactly one
//! event, or a part of one; nothing that was read is left out (a blank line is no JSON event, and is counted).
//! On failure: a line that a codec cannot read becomes an event with the line as `message` and a tag that says why.

use crate::event::{Batch, Field, Key, Keys, SourceKind, Span, Value};
use crate::settings::Section;

mod container;
mod inner;
mod json;
mod lines;
mod multiline;
mod plain;
mod syslog;

use lines::Lines;

/// What a decoder must know about the text it is given.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Offset of the text's first byte in its file, or in its stream.
    pub offset: u64,
    /// When it was read, nanoseconds since the epoch.
    pub received_ns: i64,
    /// The text is one piece of a line that is longer than allowed.
    pub piece: bool,
    /// The source ends here: give out what is held.
    pub last: bool,
}

/// A codec at work on one source.
pub trait Decoder: Send {
    /// Turns the batch's text (all of it) into events of the batch.
    fn decode(&mut self, place: Place, batch: &mut Batch);

    /// Gives out what was held for too long; its text is appended to the batch. Only ordered codecs hold anything.
    fn flush(&mut self, _now_ns: i64, _batch: &mut Batch) {}

    /// Offset of the first byte that is held and not yet in any event, so that a restart reads it again.
    fn held_from(&self) -> Option<u64> {
        None
    }
}

/// A codec, checked; makes one decoder for each source.
pub struct Codec {
    /// Whether decoders carry state from chunk to chunk, so that a source's chunks must be decoded in order by one
    /// decoder. Otherwise any decoder can take any chunk.
    pub ordered: bool,
    /// Makes a decoder.
    pub make: Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>,
}

type Load = fn(&Section<'_>, &mut Keys) -> Option<Codec>;

/// The codecs; to delete one, delete its file and its line.
pub const KINDS: &[(&str, Load)] = &[
    ("plain", plain::load),
    ("json", json::load),
    ("container", container::load),
    ("multiline", multiline::load),
    ("syslog", syslog::load),
];

/// One line, or one text that was joined from several.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// The text without its line feed: valid UTF-8.
    span: Span,
    /// Offset of its first byte in the source.
    offset: u64,
    /// Offset of the last line that was joined into it; of one line alone, the same as `offset`.
    last: u64,
    /// When it happened, as far as the codec knows.
    time_ns: i64,
    /// What befell it on the way.
    marks: Marks,
}

/// What befell a line on the way, as a set of bits; each mark becomes a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks(u8);

impl Marks {
    /// It is a piece of a longer line.
    const SPLIT: Marks = Marks(1);
    /// It held bytes that are not UTF-8, now written as `\xHH`.
    const INVALID_UTF8: Marks = Marks(2);
    /// Lines were joined until a limit was reached, and more followed.
    const CUT: Marks = Marks(4);
    /// It is not in a form that container runtimes write.
    const NOT_CONTAINER: Marks = Marks(8);
    /// Its time could not be read.
    const UNTIMED: Marks = Marks(16);
    /// It is not in a form that syslog daemons write.
    const NOT_SYSLOG: Marks = Marks(32);

    const TAGS: [(Marks, &'static str); 6] = [
        (Marks::SPLIT, "_line_split"),
        (Marks::INVALID_UTF8, "_invalid_utf8"),
        (Marks::CUT, "_multiline_cut"),
        (Marks::NOT_CONTAINER, "_containerparsefailure"),
        (Marks::UNTIMED, "_timestampparsefailure"),
        (Marks::NOT_SYSLOG, "_syslogparsefailure"),
    ];

    /// These marks if `condition` holds, else none.
    fn when(self, condition: bool) -> Marks {
        if condition { self } else { Marks::default() }
    }

    /// Both sets in one.
    fn and(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }

    /// Whether all marks of `other` are in this set.
    fn has(self, other: Marks) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Bytes of the longest offset with the brace behind it.
const OFFSET_BYTES: usize = 21;

/// What a line's text means: the last step of every codec.
trait Shape: Send {
    /// Makes an event of a line; `common` holds the source's fields.
    fn event(&mut self, batch: &mut Batch, line: Line, common: &[Field]);
}

/// The source's fields, rendered once for a whole batch; of a file's `log` all but the offset, see [`placed`].
fn render_common(batch: &mut Batch, common: &mut Vec<Field>) {
    common.clear();
    let source = std::sync::Arc::clone(&batch.source);
    for (key, literal) in &source.fields {
        let mut value = batch.literal(literal);
        if let Some(log) = open_log(batch, Field { key: *key, value }) {
            let start = batch.text.len();
            batch.text.extend_from_within(log.part(0, log.len as usize - 1).range());
            batch.text.extend_from_slice(b",\"offset\":");
            value = Value::Json(Span::new(start, batch.text.len()));
        }
        common.push(Field { key: *key, value });
    }
}

/// The text of a file's `log`, which each event completes by its offset; `None`: the field is another one.
#[inline]
fn open_log(batch: &Batch, field: Field) -> Option<Span> {
    let (Key::LOG, Value::Json(span)) = (field.key, field.value) else { return None };
    (span.len > 2 && matches!(batch.source.kind, SourceKind::File { .. })).then_some(span)
}

/// Adds the source's fields to an event: what the configuration says replaces the event's own field, what the
/// agent adds by itself (`host`, `log`, `source`) gives way to it.
fn add_common(batch: &mut Batch, event: usize, common: &[Field]) {
    for field in common {
        match batch.position_of(event, field.key) {
            None => {
                let field = placed(batch, event, *field);
                batch.push_root(event, field);
            }
            Some(_) if matches!(field.key, Key::HOST | Key::LOG | Key::SOURCE) => {}
            Some(at) => batch.fields_mut(event)[at].value = field.value,
        }
    }
}

/// A source's field as one event has it: a file's `log` gets the offset of the event's first byte, ECS `log.offset`.
/// It stays raw text as the rest of it, which is cheaper than an object of the pool for each event.
#[inline]
fn placed(batch: &mut Batch, event: usize, field: Field) -> Field {
    let Some(log) = open_log(batch, field) else { return field };
    let start = batch.text.len();
    batch.text.reserve(log.len as usize + OFFSET_BYTES);
    batch.text.extend_from_within(log.range());
    let mut number = itoa::Buffer::new();
    let digits = number.format(batch.events[event].offset).as_bytes();
    let mut end = [b'}'; OFFSET_BYTES];
    end[..digits.len()].copy_from_slice(digits);
    batch.text.extend_from_slice(&end[..=digits.len()]);
    Field { key: field.key, value: Value::Json(Span::new(start, batch.text.len())) }
}

fn add_mark_tags(batch: &mut Batch, event: usize, marks: Marks) {
    for (mark, tag) in Marks::TAGS {
        if marks.has(mark) {
            batch.add_tag(event, tag);
        }
    }
}

/// Makes an event whose `message` is the line.
fn message_event(batch: &mut Batch, line: Line, common: &[Field]) -> usize {
    let event = batch.add_event(line.time_ns, line.offset);
    batch.push_root(event, Field { key: Key::MESSAGE, value: Value::Str(line.span) });
    for field in common {
        let field = placed(batch, event, *field);
        batch.push_root(event, field);
    }
    if line.marks != Marks::default() {
        add_mark_tags(batch, event, line.marks);
    }
    event
}

/// A decoder that makes one event of each line.
struct PerLine<S> {
    shape: S,
    common: Vec<Field>,
}

impl<S: Shape> PerLine<S> {
    fn new(shape: S) -> Self {
        PerLine { shape, common: Vec::new() }
    }
}

impl<S: Shape> Decoder for PerLine<S> {
    fn decode(&mut self, place: Place, batch: &mut Batch) {
        let mut lines = Lines::new(batch, place);
        render_common(batch, &mut self.common);
        while let Some(line) = lines.next(batch) {
            self.shape.event(batch, line, &self.common);
        }
    }
}

#[cfg(test)]
mod tests;
