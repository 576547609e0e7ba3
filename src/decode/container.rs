//! Codec `container`: what container runtimes write to their log files, back into the lines of the
//! programs.
//!
//! In: CRI lines (Kubernetes, "CRI container log format": time, stream, tags, message) and Docker's
//! json-file objects, told apart line by line. Out: events with `message` (or what `inner` makes of
//! it), `stream`, and from the file's path `kubernetes` and `container`. Promises: lines that the
//! runtime split are put together again, and with `multiline` so are stack traces, for standard
//! output and standard error separately: text of the two never meets in one event. The event's time
//! is the runtime's. A common line costs no allocation and no copy.
//!
//! The source's position never stands within an event (see [`position`]): after a restart, lines
//! beyond it that were given out already become the same events with the same ids once more, and
//! Elasticsearch refuses the second copy. For the same reason events that overlap in the file are
//! given out together when one of them has waited too long.
//! On failure: a line in neither form is kept as `message`, tagged `_containerparsefailure`; a time
//! that cannot be read becomes the time of reading, tagged `_timestampparsefailure`; a split line
//! whose end does not come (in time), or that is longer than `max_bytes`, is given out tagged
//! `_multiline_cut`.

use std::sync::Arc;
use std::time::Duration;

use super::inner::Inner;
use super::multiline::Joining;
use super::{Codec, Decoder, Line, Lines, Marks, Place};
use crate::event::{Batch, Field, Key, Keys};
use crate::limits;
use crate::multiline::{load_bytes_max, load_wait};
use crate::settings::Section;

mod entry;
mod path;
mod position;
mod shaper;
mod stream;

use entry::Entry;
use position::Overlaps;
use shaper::Shaper;
use stream::Stream;

/// The settings, checked, and the names that the codec reads or writes.
struct Settings {
    inner: Inner,
    bytes_max: usize,
    wait: Duration,
    multiline: Option<Arc<Joining>>,
    names: Names,
}

/// Names in the pipeline's table.
#[derive(Clone, Copy)]
struct Names {
    stream: Key,
    time: Key,
    attrs: Key,
    kubernetes: Key,
    container: Key,
}

/// Which of the program's streams a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamName {
    Stdout,
    Stderr,
}

struct Container {
    settings: Arc<Settings>,
    streams: [Stream; 2],
    shaper: Shaper,
    overlaps: Overlaps,
    // Used again from line to line.
    fields: Vec<Field>,
    scratch: Vec<u8>,
}

impl StreamName {
    const ALL: [StreamName; 2] = [StreamName::Stdout, StreamName::Stderr];

    fn read(text: &[u8]) -> Option<StreamName> {
        StreamName::ALL.into_iter().find(|name| name.text().as_bytes() == text)
    }

    fn text(self) -> &'static str {
        match self {
            StreamName::Stdout => "stdout",
            StreamName::Stderr => "stderr",
        }
    }
}

impl Container {
    fn new(settings: &Arc<Settings>) -> Self {
        Container {
            settings: Arc::clone(settings),
            streams: StreamName::ALL.map(|_| Stream::new(settings)),
            shaper: Shaper::new(settings.inner.shape(), settings.names),
            overlaps: Overlaps::default(),
            fields: Vec::new(),
            scratch: Vec::new(),
        }
    }

    fn take(&mut self, batch: &mut Batch, keys: &Keys, line: Line, received_ns: i64) {
        let names = &self.settings.names;
        let entry = match batch.bytes(line.span).first() {
            Some(b'{') => {
                entry::docker(batch, line.span, keys, names, &mut self.fields, &mut self.scratch)
            }
            _ => entry::cri(batch, line.span),
        };
        let Some(Entry { stream, time_ns, message, complete, attrs }) = entry else {
            let marks = line.marks.and(Marks::NOT_CONTAINER);
            return self.shaper.event(batch, None, Line { marks, ..line });
        };
        if let Some(attrs) = attrs {
            self.shaper.set_attrs(batch, attrs);
        }
        let marks = line.marks.and(Marks::UNTIMED.when(time_ns.is_none()));
        let time_ns = time_ns.unwrap_or(line.time_ns);
        let line = Line { span: message, time_ns, marks, ..line };
        let Container { streams, shaper, overlaps, .. } = self;
        streams[stream as usize].push(batch, line, complete, received_ns, &mut |batch, line| {
            overlaps.note(line);
            shaper.event(batch, Some(stream), line);
        });
    }

    /// Gives out all that these streams hold, the earliest first.
    fn give_out(&mut self, batch: &mut Batch, which: [bool; 2]) {
        let Container { streams, shaper, overlaps, .. } = self;
        let mut order = StreamName::ALL;
        order.sort_by_key(|name| streams[*name as usize].held_from());
        for name in order.into_iter().filter(|name| which[*name as usize]) {
            streams[name as usize].give_out(batch, &mut |batch, line| {
                overlaps.note(line);
                shaper.event(batch, Some(name), line);
            });
        }
    }

    /// The streams that have waited too long, and those whose events overlap with theirs.
    fn due(&self, now_ns: i64) -> [bool; 2] {
        let [out, err] = &self.streams;
        let due = [out.is_due(now_ns), err.is_due(now_ns)];
        let with = |due: bool, one: &Stream, other: &Stream| {
            due && one.held_last().is_some_and(|last| other.held_from().is_some_and(|o| o <= last))
        };
        [due[0] || with(due[1], err, out), due[1] || with(due[0], out, err)]
    }

    fn first_held(&self) -> Option<u64> {
        self.streams.iter().filter_map(Stream::held_from).min()
    }
}

impl Decoder for Container {
    fn decode(&mut self, place: Place, batch: &mut Batch) {
        let mut lines = Lines::new(batch, place);
        let keys = Arc::clone(&batch.keys);
        self.shaper.prepare(batch);
        while let Some(line) = lines.next(batch) {
            self.take(batch, &keys, line, place.received_ns);
        }
        if place.last {
            self.give_out(batch, [true, true]);
        }
        for stream in &mut self.streams {
            stream.settle(batch);
        }
        self.overlaps.forget_before(self.first_held());
    }

    fn flush(&mut self, now_ns: i64, batch: &mut Batch) {
        let due = self.due(now_ns);
        if due == [false, false] {
            return;
        }
        self.shaper.prepare(batch);
        self.give_out(batch, due);
        self.overlaps.forget_before(self.first_held());
    }

    fn held_from(&self) -> Option<u64> {
        self.first_held().map(|held| self.overlaps.position(held))
    }
}

pub(super) fn load(section: &Section<'_>, keys: &mut Keys) -> Option<Codec> {
    let inner = Inner::load(section);
    let bytes_max =
        load_bytes_max(section, limits::MULTILINE_BYTES_MAX, limits::LINE_BYTES_CEILING);
    let wait = load_wait(section, limits::CONTAINER_WAIT_MS);
    let multiline = section.section("multiline").map(|inner| {
        let joining = Joining::load(&inner);
        inner.finish();
        joining.map(Arc::new)
    });
    let names = Names {
        stream: keys.intern("stream"),
        time: keys.intern("time"),
        attrs: keys.intern("attrs"),
        kubernetes: keys.intern("kubernetes"),
        container: keys.intern("container"),
    };
    let multiline = match multiline {
        Some(None) => return None,
        Some(joining) => joining,
        None => None,
    };
    let settings =
        Arc::new(Settings { inner, bytes_max: bytes_max?, wait: wait?, multiline, names });
    let make = move || -> Box<dyn Decoder> { Box::new(Container::new(&settings)) };
    Some(Codec { ordered: true, make: Box::new(make) })
}

#[cfg(test)]
mod tests;
