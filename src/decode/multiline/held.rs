//! Lines that may become one event.
//!
//! In: lines. Out: one line with the text of all, and the lines that turned out not to belong to
//! it. Promises: lines that follow one another in their batch's text are held as one span, without
//! a copy; memory that one huge event took is given back. On failure: nothing can fail.

use crate::decode::{Line, Marks};
use crate::event::{Batch, Span};

/// A buffer that grew beyond this is not kept.
const KEPT_BYTES: usize = 64 * 1024;

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    lines: usize,
    offset: u64,
    last: u64,
    time_ns: i64,
    marks: Marks,
    /// Bytes of the text that surely belong to the event.
    sure: usize,
    /// The lines after them, each with where its text begins.
    perhaps: Vec<(usize, Line)>,
    /// The whole text, while it is a part of the batch.
    span: Option<Span>,
    /// The whole text otherwise.
    text: Vec<u8>,
}

impl Held {
    /// Number of lines held.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    /// Bytes of text held.
    pub(super) fn len(&self) -> usize {
        self.span.map_or(self.text.len(), |span| span.len as usize)
    }

    /// Offset of the first line.
    pub(super) fn offset(&self) -> Option<u64> {
        (self.lines > 0).then_some(self.offset)
    }

    /// Offset of the last line.
    pub(super) fn last(&self) -> u64 {
        self.perhaps.last().map_or(self.last, |(_, line)| line.last)
    }

    /// Holds a first line.
    pub(super) fn begin(&mut self, line: Line) {
        debug_assert!(self.lines == 0, "what was held has been taken");
        self.lines = 1;
        self.offset = line.offset;
        self.last = line.last;
        self.time_ns = line.time_ns;
        self.marks = line.marks;
        self.span = Some(line.span);
        self.sure = line.span.len as usize;
    }

    /// Adds a line that belongs to the event, and so do all lines before it.
    pub(super) fn join(&mut self, batch: &Batch, line: Line) {
        self.add(batch, line);
        self.all_sure();
        self.last = line.last;
        self.marks = self.marks.and(line.marks);
    }

    /// Adds a line that belongs to the event only if another one joins.
    pub(super) fn join_perhaps(&mut self, batch: &Batch, line: Line) {
        let at = self.len() + 1;
        self.add(batch, line);
        self.perhaps.push((at, line));
    }

    /// Makes all lines a part of the event.
    pub(super) fn all_sure(&mut self) {
        for (_, line) in self.perhaps.drain(..) {
            self.last = line.last;
            self.marks = self.marks.and(line.marks);
        }
        self.sure = self.len();
    }

    /// Marks the event.
    pub(super) fn mark(&mut self, marks: Marks) {
        self.marks = self.marks.and(marks);
    }

    /// Takes the event out, and the lines that do not belong to it. Nothing is held afterwards.
    pub(super) fn take(&mut self, batch: &mut Batch) -> (Line, Vec<Line>) {
        let whole = match self.span.take() {
            Some(span) => span,
            None => batch.push_text(&self.text),
        };
        let (offset, last, time_ns, marks) = (self.offset, self.last, self.time_ns, self.marks);
        let event = Line { span: whole.part(0, self.sure), offset, last, time_ns, marks };
        let rest = std::mem::take(&mut self.perhaps)
            .into_iter()
            .map(|(at, line)| Line { span: whole.part(at, at + line.span.len as usize), ..line });
        let rest = rest.collect();
        self.lines = 0;
        self.text.clear();
        self.text.shrink_to(KEPT_BYTES);
        (event, rest)
    }

    /// Copies what is held out of the batch, which is about to go.
    pub(super) fn settle(&mut self, batch: &Batch) {
        if let Some(span) = self.span.take() {
            self.text.clear();
            self.text.extend_from_slice(batch.bytes(span));
        }
    }

    fn add(&mut self, batch: &Batch, line: Line) {
        self.lines += 1;
        if let Some(span) = self.span {
            let follows = span.end() + 1 == line.span.start as usize;
            if follows && batch.text.get(span.end()) == Some(&b'\n') {
                self.span = Some(Span::new(span.start as usize, line.span.end()));
                return;
            }
            self.settle(batch);
        }
        self.text.push(b'\n');
        self.text.extend_from_slice(batch.bytes(line.span));
    }
}
