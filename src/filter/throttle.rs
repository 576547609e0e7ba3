//! Filter `throttle`: no more than so many events of a key in a period.
//!
//! In: `by`, fields whose values make a key, or `key`, a text with fields (default: all events are one); `limit` events
//! in each `window`; `mode`: what is beyond is dropped, sampled (`one_in`), waits (back-pressure: with it the whole
//! pipeline), or is marked with what `add_tag` and the like say, as in Logstash, whose settings are known, too. Out:
//! events; the first one of a key after some were dropped has their number in `throttled`. Promises: how many were
//! held back is counted and logged. What was counted within a window is forgotten at a restart.
//! On failure: events of keys for which there is no room (`max_keys`) go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::aggregate::window_length;
use super::named::{Use, path};
use super::windows::{self, Held, Window, Windows};
use super::{Closing, Filter, FilterLoad, Make, States, label};
use crate::event::{Batch, Path, Selection, Value};
use crate::limits;
use crate::metrics::Counter;
use crate::settings::{Literal, Section};
use crate::template::{References, Template};

struct Throttle {
    plan: Arc<Plan>,
    key: Vec<u8>,
}

struct Plan {
    by: Vec<Path>,
    /// The key as a text, instead of `by`.
    written: Option<Template>,
    limit: u64,
    period_ns: u64,
    mode: Mode,
    field: Path,
    windows: Arc<Windows<Rate>>,
    states: States,
    name: String,
    held: Counter,
    /// How many were held back since it was last said, and when that was.
    unsaid: AtomicU64,
    said_ns: AtomicU64,
}

#[derive(Clone, Copy)]
enum Mode {
    Drop,
    /// One in so many of those beyond the limit goes on.
    Sample(u64),
    Wait,
    /// All go on; those beyond the limit, and the first ones of a window below this number, are what the filter is for.
    Mark(u64),
}

/// A key's events in its period.
#[derive(Default)]
struct Rate {
    count: u64,
    /// Events that were dropped since one went on.
    held: u64,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let by = windows::paths(section, "by", load);
    let written = section.string("key");
    let written =
        written.and_then(|key| Template::load_as(section, &key, References::Both, load.keys));
    let limit = limit(section);
    let period_ns = period(section);
    let mode = mode(section);
    let name = section.string_or("count_field", "throttled");
    let field = path(section, &name, Use::Write, load);
    let windows = Windows::load(section, load, period_ns, "", "");
    let name = label(section);
    let help = "Events that `throttle` dropped or made wait.";
    let held = load.metrics.with("filter", &name).counter("logweir_filter_throttled_total", help);
    let plan = Arc::new(Plan {
        by: by?,
        written,
        limit: limit?,
        period_ns,
        mode,
        field: field?,
        windows,
        states: load.states.clone(),
        name,
        held,
        unsaid: AtomicU64::new(0),
        said_ns: AtomicU64::new(0),
    });
    Some(Box::new(move || Box::new(Throttle { plan: Arc::clone(&plan), key: Vec::new() })))
}

/// `limit`, or Logstash's `after_count`, which may be absent where there is a `before_count`.
fn limit(section: &Section<'_>) -> Option<u64> {
    let after = count(section, "after_count");
    let limit = section.integer("limit", 1..1_000_000_001).map(|limit| limit as u64);
    if section.has("limit") || section.has("after_count") {
        return limit.or(after);
    }
    if section.has("before_count") {
        return Some(u64::MAX);
    }
    section.missing("limit", "100");
    None
}

/// `window`, or Logstash's `period` in seconds.
fn period(section: &Section<'_>) -> u64 {
    if !section.has("period") {
        return window_length(section, 1);
    }
    count(section, "period").unwrap_or(1).clamp(1, 1_000_000_000) * 1_000_000_000
}

fn mode(section: &Section<'_>) -> Mode {
    let one_in = section.integer_or("one_in", 10, 2..1_000_000_001) as u64;
    let before = count(section, "before_count").unwrap_or(0);
    // How long Logstash keeps counters, and how many; windows end by themselves here.
    count(section, "max_age");
    count(section, "max_counters");
    let modes = [
        ("drop", Mode::Drop),
        ("sample", Mode::Sample(one_in)),
        ("wait", Mode::Wait),
        ("mark", Mode::Mark(before)),
    ];
    let as_logstash = section.has("after_count") || section.has("before_count");
    let default = if as_logstash { Mode::Mark(before) } else { Mode::Drop };
    section.choice_or("mode", &modes, default)
}

/// A number, also in quotes; -1 stands for none.
fn count(section: &Section<'_>, key: &'static str) -> Option<u64> {
    let item = section.item(key)?;
    let number = match &item.literal {
        Literal::Integer(number) => Some(*number),
        Literal::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    if number.is_none() {
        let message = format!("`{key}` is no whole number");
        section.error(item.span.clone(), message, Some(format!("write for example {key} = 60")));
    }
    number.and_then(|number| u64::try_from(number).ok())
}

impl Filter for Throttle {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let Throttle { plan, key } = self;
        let mut table = plan.windows.lock();
        let mut now_ns = plan.windows.now_ns();
        let mut held = 0;
        for event in selected.iter() {
            plan.write_key(batch, event, key);
            let entered = plan.windows.enter(&mut table, key, now_ns, Rate::default);
            let Some((window, _)) = entered else {
                batch.events[event].missed = matches!(plan.mode, Mode::Mark(_));
                continue;
            };
            if window.ends_ns <= now_ns {
                window.begin(now_ns, plan.period_ns);
            }
            window.value.count += 1;
            let beyond = window.value.count.saturating_sub(plan.limit);
            if let Mode::Mark(before) = plan.mode {
                batch.events[event].missed = beyond == 0 && window.value.count >= before;
                continue;
            }
            if beyond > 0 {
                held += 1;
                match plan.mode {
                    Mode::Wait => {
                        now_ns = plan.wait(window.ends_ns);
                        window.begin(now_ns, plan.period_ns);
                        window.value.count = 1;
                        continue;
                    }
                    Mode::Sample(one_in) if beyond.is_multiple_of(one_in) => held -= 1,
                    Mode::Drop | Mode::Sample(_) | Mode::Mark(_) => {
                        window.value.held += 1;
                        batch.events[event].dropped = true;
                        continue;
                    }
                }
            }
            let before = std::mem::take(&mut window.value.held);
            if before > 0 {
                batch.set(event, &plan.field, Value::Int(before as i64));
            }
        }
        drop(table);
        plan.held.add(held);
        plan.unsaid.fetch_add(held, Ordering::Relaxed);
        plan.say(now_ns, false);
    }

    fn close(&mut self, _batch: &mut Batch, closing: Closing) {
        let mut table = self.plan.windows.lock();
        self.plan.windows.close(&mut table, closing, usize::MAX, |_, _| {});
        drop(table);
        self.plan.say(self.plan.windows.now_ns(), closing == Closing::All);
    }
}

impl Plan {
    fn write_key(&self, batch: &Batch, event: usize, out: &mut Vec<u8>) {
        windows::write_key(batch, event, &self.by, out);
        if let Some(written) = &self.written {
            written.render_as_written(batch, event, out);
        }
    }

    /// Waits until the time has come; gives the time then.
    fn wait(&self, until_ns: u64) -> u64 {
        loop {
            let now_ns = self.windows.now_ns();
            let left = Duration::from_nanos(until_ns.saturating_sub(now_ns));
            // In short rests, since the clock need not be the machine's.
            let longest = Duration::from_millis(limits::THROTTLE_LOOK_MS);
            if left.is_zero() || self.states.rest(left.min(longest)) {
                return now_ns;
            }
        }
    }

    /// Says how many were held back, once a minute.
    fn say(&self, now_ns: u64, end: bool) {
        let (unsaid, said_ns) = (&self.unsaid, self.said_ns.load(Ordering::Relaxed));
        let due = said_ns == 0 || now_ns - said_ns.min(now_ns) >= limits::COMPLAINT_MS * 1_000_000;
        if unsaid.load(Ordering::Relaxed) == 0 || !(due || end) {
            return;
        }
        self.said_ns.store(now_ns.max(1), Ordering::Relaxed);
        let held = unsaid.swap(0, Ordering::Relaxed);
        let what = if matches!(self.mode, Mode::Wait) { "made wait" } else { "dropped" };
        tracing::info!(
            "the filter `{}` {what} {held} events beyond its limit of {} in a window",
            self.name,
            self.limit
        );
    }
}

impl Window<Rate> {
    fn begin(&mut self, now_ns: u64, period_ns: u64) {
        self.ends_ns = now_ns.saturating_add(period_ns);
        self.value.count = 0;
    }
}

impl Held for Rate {
    fn write(&self, _out: &mut Vec<u8>) {}

    fn read(_bytes: &[u8]) -> Option<Rate> {
        None
    }

    fn bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests;
