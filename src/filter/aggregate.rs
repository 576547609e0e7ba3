//! Filter `aggregate`: events of equal fields counted and summed up within a window.
//!
//! In: `by`, fields whose values make a group; `window`; `fields`, what is made of a group's events: `count`,
//! `sum(f)`, `min(f)`, `max(f)`, `first(f)`, `last(f)`, `start`, `end`. Out: when the window of a group ends, an event
//! with the group's values and these fields; the events themselves go on, unless `keep_events = false`. Promises: each
//! event counts in one window, also after a crash; windows end by the clock and at a stop.
//! On failure: a value that is no number is left out of `sum`, `min` and `max`; events of groups for which there is no
//! room (`max_keys`) go on.

use std::sync::Arc;

use super::windows::{self, Held, SEPARATOR, Window, Windows};
use super::{Closing, Filter, FilterLoad, Make};
use crate::chunk::Position;
use crate::event::{Batch, Path, Selection, Span, Value, parse_value};
use crate::limits;
use crate::settings::{Literal, Section, Spanned};
use cell::{Cell, Function, Group};

pub(super) use cell::float;

mod cell;

struct Aggregate {
    plan: Arc<Plan>,
    key: Vec<u8>,
    scratch: Vec<u8>,
    touched: Vec<Box<[u8]>>,
    forgotten: Vec<Position>,
}

struct Plan {
    by: Vec<Path>,
    makes: Vec<(Path, Function)>,
    keep_events: bool,
    windows: Arc<Windows<Group>>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let by = windows::paths(section, "by", load);
    let length_ns = window_length(section, 60);
    let keep_events = section.bool_or("keep_events", true);
    let makes = functions(section, load);
    let formerly = format!("{by:?} {makes:?}");
    let settings = settings(by.iter().flatten(), makes.iter().flatten());
    let windows = Windows::load(section, load, length_ns, &settings, &formerly);
    let plan = Arc::new(Plan { by: by?, makes: makes?, keep_events, windows });
    plan.windows.keep();
    Some(Box::new(move || {
        Box::new(Aggregate {
            plan: Arc::clone(&plan),
            key: Vec::new(),
            scratch: Vec::new(),
            touched: Vec::new(),
            forgotten: Vec::new(),
        })
    }))
}

/// What tells filters apart, by names.
fn settings<'a>(
    by: impl Iterator<Item = &'a Path>,
    makes: impl Iterator<Item = &'a (Path, Function)>,
) -> String {
    let by: Vec<&str> = by.map(Path::as_str).collect();
    let makes: Vec<_> = makes.map(|(path, made)| (path.as_str(), made.written())).collect();
    format!("{by:?} {makes:?}")
}

/// `window`, at least a millisecond, in nanoseconds.
pub(super) fn window_length(section: &Section<'_>, default_s: u64) -> u64 {
    let length = section.duration_or("window", std::time::Duration::from_secs(default_s));
    if length.as_millis() == 0 {
        let hint = "write how long it is: window = \"1m\"";
        section.error(section.span_of("window"), "a window cannot be empty", Some(hint.into()));
    }
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// The pairs of `fields = { name = "sum(bytes)" }`.
fn functions(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Vec<(Path, Function)>> {
    let Some(entries) = section.entries("fields") else {
        if !section.has("fields") {
            section.missing("fields", "{ requests = \"count\", bytes = \"sum(bytes)\" }");
        }
        return None;
    };
    let mut found = Vec::new();
    for (name, item) in entries {
        let path = super::named::path(section, name, super::named::Use::Write, load);
        let function = match &item.literal {
            Literal::String(text) => {
                let text = Spanned { value: text.clone(), span: item.span.clone() };
                Function::read(section, &text, load)
            }
            other => {
                let message = format!("a function expected, but found {}", other.kind());
                section.error(item.span.clone(), message, Some("write \"count\"".into()));
                None
            }
        };
        found.extend(path.zip(function));
    }
    (found.len() == entries.len()).then_some(found)
}

impl Filter for Aggregate {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Aggregate { plan, key, scratch, touched, .. } = self;
        let mut table = plan.windows.lock();
        let now_ns = plan.windows.now_ns();
        for event in selected.iter() {
            batch.events[event].missed = true;
            windows::write_key(batch, event, &plan.by, key);
            let make = || Group::new(plan.makes.len());
            let Some((window, _)) = plan.windows.enter(&mut table, key, now_ns, make) else {
                continue;
            };
            let before = window.value.bytes();
            window.value.add(batch, event, &plan.makes, scratch);
            let grown = window.value.bytes().saturating_sub(before);
            window.touch(key, touched);
            table.grown(grown);
            batch.events[event].dropped = !plan.keep_events;
        }
    }

    fn close(&mut self, batch: &mut Batch, closing: Closing) {
        let Aggregate { plan, forgotten, .. } = self;
        let mut table = plan.windows.lock();
        plan.windows.close(&mut table, closing, limits::WINDOWS_CLOSED_MAX, |key, window| {
            forgotten.push(window.forget());
            give_out(plan, batch, key, &window);
        });
    }

    fn remember(&mut self, out: &mut Vec<Position>) {
        out.append(&mut self.forgotten);
        self.plan.windows.tell(&mut self.touched, out);
    }
}

/// The event of a window that has ended; its time is that of the newest event in it.
fn give_out(plan: &Plan, batch: &mut Batch, key: &[u8], window: &Window<Group>) {
    let group = &window.value;
    let event = batch.make_event(group.newest_ns);
    for (path, text) in plan.by.iter().zip(key.split(|byte| *byte == SEPARATOR)) {
        set_json(batch, event, path, text);
    }
    for ((path, function), cell) in plan.makes.iter().zip(&group.cells) {
        match (function, cell) {
            (Function::Count, _) => {
                let count = i64::try_from(group.count).unwrap_or(i64::MAX);
                batch.set(event, path, Value::Int(count));
            }
            (Function::Start, _) => set_time(batch, event, path, group.oldest_ns),
            (Function::End, _) => set_time(batch, event, path, group.newest_ns),
            (_, Cell::Int(n)) => batch.set(event, path, Value::Int(*n)),
            (_, Cell::Float(n)) => batch.set(event, path, Value::Float(*n)),
            (_, Cell::Json(text)) => set_json(batch, event, path, text),
            (_, Cell::Empty) => {}
        }
    }
}

fn set_time(batch: &mut Batch, event: usize, path: &Path, time_ns: i64) {
    let start = batch.text.len();
    crate::timestamp::write_iso8601_ms(time_ns, &mut batch.text);
    let end = batch.text.len();
    batch.set(event, path, Value::Str(Span::new(start, end)));
}

fn set_json(batch: &mut Batch, event: usize, path: &Path, text: &[u8]) {
    let span = batch.push_text(text);
    if let Ok(value) = parse_value(&mut batch.text, span) {
        batch.set(event, path, value);
    }
}

#[cfg(test)]
pub(super) mod tests;
