//! Filter `multiline`: events that belong together (the lines of a stack trace, the pieces of a long line) as one.
//!
//! In: events of one stream, in order: one source's, or those with equal values of `by`; what belongs together by the
//! text of `field` (`preset`, or `start`, `continue`, `end`), by a condition that says of an event that it goes on
//! (`unfinished`), or by number (`every`). Out: the first event of those that belong together, with the texts of all,
//! joined with `separator`, in `field`; it has the first one's time. Promises: no text is left out, also over a crash:
//! what is held is in the frame that holds the position of its input; with a preset, an event that cannot begin a trace
//! goes on at once; what waited for `timeout` goes on, and at a stop all does.
//! On failure: events whose field is no text go on; an event of more than `max_lines` or `max_bytes`, or one for which
//! there is no room any more, goes on in the next one and is tagged `_multiline_cut`; events of streams for which
//! there is no room (`max_keys`) go on.

use std::sync::Arc;

use super::kept::Kept;
use super::named::source;
use super::windows::{self, Held, Table, Windows};
use super::{Closing, Filter, FilterLoad, Make};
use crate::chunk::Position;
use crate::event::{Batch, Event, Path, Selection, SourceKind, Value};
use crate::limits;
use crate::multiline::{State, Verdict, load_bytes_max, load_wait};
use crate::settings::Section;
use judge::Judge;
use trail::{Bounds, Done, Outcome, Piece, Trail};

mod judge;
mod trail;

struct Multiline {
    plan: Arc<Plan>,
    key: Vec<u8>,
    out: Outcome,
    touched: Vec<Box<[u8]>>,
    forgotten: Vec<Position>,
}

struct Plan {
    judge: Judge,
    field: Path,
    /// Fields that tell streams apart; `None`: their sources do.
    by: Option<Vec<Path>>,
    separator: String,
    lines_max: usize,
    bytes_max: usize,
    /// Tells sources apart that have a number only as long as the process lives.
    life: u64,
    windows: Arc<Windows<Trail>>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let judge = Judge::load(section, load.keys);
    let field = source(section, Some("message"), load);
    let by = section.has("by").then(|| windows::paths(section, "by", load));
    let separator = section.string_or("separator", "\n").value;
    let lines_max = section.integer_or("max_lines", limits::MULTILINE_LINES_MAX, 1..10_001);
    let ceiling = limits::FILTER_JOINED_BYTES_CEILING;
    let bytes_max = load_bytes_max(section, limits::FILTER_JOINED_BYTES_MAX, ceiling);
    let wait = load_wait(section, limits::MULTILINE_WAIT_MS);
    let length_ns = wait.map_or(0, |wait| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
    let by = by.map_or(Some(None), |by| by.map(Some));
    // By their names: the numbers of fields depend on all that the configuration mentions.
    let names: Vec<&str> =
        field.iter().chain(by.iter().flatten().flatten()).map(Path::as_str).collect();
    let windows = Windows::load_renewed(section, load, length_ns, &names.join("\n"));
    let by = by?;
    wait?;
    let plan = Arc::new(Plan {
        judge: judge?,
        field: field?,
        by,
        separator,
        lines_max: lines_max as usize,
        bytes_max: bytes_max?,
        life: load.clock.random(),
        windows,
    });
    plan.windows.keep();
    Some(Box::new(move || {
        Box::new(Multiline {
            plan: Arc::clone(&plan),
            key: Vec::new(),
            out: Outcome::default(),
            touched: Vec::new(),
            forgotten: Vec::new(),
        })
    }))
}

impl Filter for Multiline {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        let mut table = plan.windows.lock();
        let now_ns = plan.windows.now_ns();
        for event in selected.iter() {
            batch.events[event].missed = true;
            self.take(&plan, &mut table, now_ns, batch, event);
        }
        self.settle(&plan, &mut table, batch);
    }

    fn close(&mut self, batch: &mut Batch, closing: Closing) {
        let Multiline { plan, out, forgotten, .. } = self;
        let bounds = plan.bounds(limits::FILTER_MEMORY_BYTES_MAX);
        let judge =
            |state: State, lines: usize, text: &[u8]| plan.judge.verdict(state, lines, false, text);
        let mut table = plan.windows.lock();
        plan.windows.close(&mut table, closing, limits::WINDOWS_CLOSED_MAX, |_, window| {
            forgotten.push(window.forget());
            let mut trail = window.value;
            trail.give_out(bounds, &judge, out);
            for done in out.done.drain(..) {
                let Piece::Kept(kept) = &done.piece else { continue };
                let event = batch.make_event(kept.time_ns);
                kept.fill(batch, event);
                plan.complete(batch, event, &done);
            }
        });
    }

    fn remember(&mut self, out: &mut Vec<Position>) {
        out.append(&mut self.forgotten);
        self.plan.windows.tell(&mut self.touched, out);
    }
}

impl Multiline {
    /// Takes one event; what goes on because of it stands before it in the batch.
    fn take(
        &mut self,
        plan: &Plan,
        table: &mut Table<Trail>,
        now_ns: u64,
        batch: &mut Batch,
        event: usize,
    ) {
        let Multiline { key, out, touched, .. } = self;
        let value = batch.get(event, &plan.field);
        let Some(text) = value.and_then(|value| batch.str_bytes(value)) else { return };
        plan.write_key(batch, event, key);
        let goes_on = plan.judge.goes_on(batch, event);
        let judge = |state: State, lines: usize, text: &[u8]| {
            plan.judge.verdict(state, lines, goes_on, text)
        };
        let idle = table.find(key).is_none_or(|window| window.value.lines() == 0);
        if idle && judge(State::Idle, 0, &text) == Verdict::Alone {
            return;
        }
        let bounds = plan.bounds(table.room());
        let Some((window, _)) = plan.windows.enter(table, key, now_ns, Trail::default) else {
            return;
        };
        let before = window.value.bytes();
        window.value.push(Piece::Here(event), &text, bounds, &judge, out);
        plan.windows.renew(window, now_ns);
        window.touch(key, touched);
        drop(text);
        plan.give_out(batch, event, out, &mut window.value);
        let after = window.value.bytes();
        table.resized(before, after);
    }

    /// Keeps what is held of the batch, which is about to go; what finds no room goes on.
    fn settle(&mut self, plan: &Plan, table: &mut Table<Trail>, batch: &mut Batch) {
        let Multiline { out, touched, .. } = self;
        for key in &*touched {
            let room = table.room();
            let Some(window) = table.find(key) else { continue };
            let trail = &mut window.value;
            let before = trail.bytes();
            let keep = |piece: &mut Piece| match piece {
                Piece::Here(event) => Some((*event, Kept::of(batch, *event))),
                Piece::Kept(_) => None,
            };
            let found: Vec<(usize, Kept)> = trail.pieces().filter_map(keep).collect();
            let size: usize = found.iter().map(|(_, kept)| kept.bytes()).sum();
            if let Some((first, _)) = found.first().filter(|_| size > room) {
                trail.cut(out);
                plan.give_out(batch, *first, out, trail);
            } else {
                let places = trail.pieces().filter(|piece| matches!(piece, Piece::Here(_)));
                for (place, (event, kept)) in places.zip(found) {
                    *place = Piece::Kept(kept);
                    batch.events[event].dropped = true;
                }
            }
            let after = trail.bytes();
            table.resized(before, after);
        }
    }
}

impl Plan {
    fn bounds(&self, room: usize) -> Bounds<'_> {
        let bytes = self.bytes_max.min(room);
        Bounds { lines: self.lines_max, bytes, separator: self.separator.as_bytes() }
    }

    fn write_key(&self, batch: &Batch, event: usize, key: &mut Vec<u8>) {
        if let Some(by) = &self.by {
            return windows::write_key(batch, event, by, key);
        }
        let (number, life) = match batch.source.kind {
            SourceKind::File { generation } => (generation, 0),
            SourceKind::Stream => (batch.source.id, self.life),
        };
        key.clear();
        key.extend_from_slice(&number.to_le_bytes());
        key.extend_from_slice(&life.to_le_bytes());
    }

    /// Lets go on what is done: what was held of earlier batches before this one's first event of it, or before
    /// `event`.
    fn give_out(&self, batch: &mut Batch, event: usize, out: &mut Outcome, trail: &mut Trail) {
        for joined in out.joined.drain(..) {
            batch.events[joined].dropped = true;
        }
        let place = |done: &Done| if let Piece::Here(at) = done.piece { Some(at) } else { None };
        let anchor = out.done.iter().find_map(place).unwrap_or(event);
        let older = out.done.iter().filter(|done| place(done).is_none()).count();
        let (mut slots, moved) = room_before(batch, anchor, older);
        trail.moved(anchor, moved);
        for done in out.done.drain(..) {
            let at = match &done.piece {
                Piece::Here(at) if *at == anchor => moved,
                Piece::Here(at) => *at,
                Piece::Kept(kept) => {
                    let at = slots.next().unwrap_or_else(|| batch.make_event(kept.time_ns));
                    kept.fill(batch, at);
                    at
                }
            };
            self.complete(batch, at, &done);
        }
    }

    /// Writes the texts of all into the event that stands for them.
    fn complete(&self, batch: &mut Batch, event: usize, done: &Done) {
        batch.events[event].missed = done.lines == 1;
        if done.lines > 1 {
            let text = Value::Str(batch.push_text(&done.text));
            batch.set(event, &self.field, text);
        }
        if done.cut {
            batch.add_tag(event, "_multiline_cut");
        }
    }
}

/// Makes so many places right before an event; gives them, and where that event is now. The number of places is less
/// than asked for when the event has given 65,535 others already.
fn room_before(
    batch: &mut Batch,
    event: usize,
    count: usize,
) -> (impl Iterator<Item = usize> + use<>, usize) {
    let made = (0..count).map_while(|_| batch.derive_event(event));
    let places: Vec<usize> = std::iter::once(event).chain(made).collect();
    let old: Vec<Event> = places.iter().map(|at| batch.events[*at]).collect();
    // Places keep their offset and number, which make their id; what stands there moves on by one.
    for (n, at) in places.iter().enumerate() {
        let Event { root, time_ns, dropped, missed, .. } = old[(n + 1) % old.len()];
        let Event { offset, sub, .. } = old[n];
        batch.events[*at] = Event { root, time_ns, offset, sub, dropped, missed };
    }
    let free = places.len() - 1;
    let last = places[free];
    (places.into_iter().take(free), last)
}

#[cfg(test)]
mod tests;
