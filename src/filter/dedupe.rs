//! Filter `dedupe`: repeats of an event within a window are one event with their number.
//!
//! In: `fields` (default `message`) whose values make events equal; `window`. Out: the first event of a window at once;
//! its repeats are held, and when the window ends the first of them goes on in place of all, with their number in
//! `count_field` and the time of the last. Promises: the numbers add up to the events that came in (an event without
//! one stands for itself), also after a crash.
//! On failure: events without any of the fields, events that are too long to keep, and events for which there is no
//! room (`max_keys`) go on.

use std::sync::Arc;

use super::aggregate::window_length;
use super::kept::Kept;
use super::named::{Use, path};
use super::windows::{self, Held, SEPARATOR, Windows};
use super::{Closing, Filter, FilterLoad, Make};
use crate::chunk::Position;
use crate::event::{Batch, Path, Selection, Value};
use crate::limits;
use crate::settings::Section;

struct Dedupe {
    plan: Arc<Plan>,
    key: Vec<u8>,
    touched: Vec<Box<[u8]>>,
    forgotten: Vec<Position>,
}

struct Plan {
    fields: Vec<Path>,
    count_field: Path,
    windows: Arc<Windows<Repeats>>,
}

/// What is held of an event's repeats.
#[derive(Debug, Default, PartialEq)]
struct Repeats {
    count: u64,
    /// The first repeat, with the time of the last; without a document: there is none yet.
    first: Kept,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let fields = if section.has("fields") {
        windows::paths(section, "fields", load).filter(|fields| !fields.is_empty())
    } else {
        section.strings("fields");
        Path::parse("message", load.keys).ok().map(|path| vec![path])
    };
    let length_ns = window_length(section, 60);
    let name = section.string_or("count_field", "repeated");
    let count_field = path(section, &name, Use::Write, load);
    let names: Vec<&str> = fields.iter().flatten().map(Path::as_str).collect();
    let (settings, formerly) = (format!("{names:?}"), format!("{fields:?}"));
    let windows = Windows::load(section, load, length_ns, &settings, &formerly);
    if section.has("fields") && fields.is_none() {
        let hint = "write fields = [\"message\"]";
        section.error(section.span_of("fields"), "`fields` names no fields", Some(hint.into()));
    }
    let plan = Arc::new(Plan { fields: fields?, count_field: count_field?, windows });
    plan.windows.keep();
    Some(Box::new(move || {
        Box::new(Dedupe {
            plan: Arc::clone(&plan),
            key: Vec::new(),
            touched: Vec::new(),
            forgotten: Vec::new(),
        })
    }))
}

impl Filter for Dedupe {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Dedupe { plan, key, touched, .. } = self;
        let mut table = plan.windows.lock();
        let now_ns = plan.windows.now_ns();
        for event in selected.iter() {
            batch.events[event].missed = true;
            windows::write_key(batch, event, &plan.fields, key);
            if key.iter().all(|byte| *byte == SEPARATOR) {
                continue;
            }
            let entered = plan.windows.enter(&mut table, key, now_ns, Repeats::default);
            let Some((window, new)) = entered else { continue };
            if new {
                window.touch(key, touched);
                continue;
            }
            let repeats = &mut window.value;
            let mut grown = 0;
            if repeats.first.document.is_empty() {
                let first = Kept::of(batch, event);
                grown = first.bytes();
                if grown > limits::FILTER_EVENT_BYTES_MAX {
                    continue;
                }
                repeats.first = first;
            }
            repeats.count += 1;
            repeats.first.time_ns = batch.events[event].time_ns;
            window.touch(key, touched);
            table.grown(grown);
            batch.events[event].dropped = true;
        }
    }

    fn close(&mut self, batch: &mut Batch, closing: Closing) {
        let Dedupe { plan, forgotten, .. } = self;
        let mut table = plan.windows.lock();
        plan.windows.close(&mut table, closing, limits::WINDOWS_CLOSED_MAX, |_, window| {
            forgotten.push(window.forget());
            if window.value.count > 0 {
                give_out(plan, batch, &window.value);
            }
        });
    }

    fn remember(&mut self, out: &mut Vec<Position>) {
        out.append(&mut self.forgotten);
        self.plan.windows.tell(&mut self.touched, out);
    }
}

/// The event that stands for the repeats; a single one is itself, without a number.
fn give_out(plan: &Plan, batch: &mut Batch, repeats: &Repeats) {
    let event = batch.make_event(repeats.first.time_ns);
    repeats.first.fill(batch, event);
    if repeats.count > 1 {
        let count = i64::try_from(repeats.count).unwrap_or(i64::MAX);
        batch.set(event, &plan.count_field, Value::Int(count));
    }
}

impl Held for Repeats {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.first.time_ns.to_le_bytes());
        out.extend_from_slice(&self.first.document);
        if !self.first.metadata.is_empty() {
            out.push(SEPARATOR);
            out.extend_from_slice(&self.first.metadata);
        }
    }

    fn read(bytes: &[u8]) -> Option<Repeats> {
        let (count, bytes) = bytes.split_first_chunk::<8>()?;
        let (last, texts) = bytes.split_first_chunk::<8>()?;
        let mut texts = texts.splitn(2, |byte| *byte == SEPARATOR).map(<[u8]>::to_vec);
        let first = Kept {
            time_ns: i64::from_le_bytes(*last),
            document: texts.next()?,
            metadata: texts.next().unwrap_or_default(),
        };
        Some(Repeats { count: u64::from_le_bytes(*count), first })
    }

    fn bytes(&self) -> usize {
        self.first.bytes()
    }
}

#[cfg(test)]
mod tests;
