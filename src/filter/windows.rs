//! Windows: what a filter remembers of each key for some time.
//!
//! Is: a bounded table shared by the threads of a pipeline, and what each thread has to tell the journal of it.
//! In: keys, written from an event's fields. Out: for each key a value; those whose time is over, oldest first.
//! Promises: a key that is known costs no allocation; no more than `max_keys` keys and
//! [`limits::FILTER_MEMORY_BYTES_MAX`] bytes are kept; a window ends by the clock, whether events come or not.
//! On failure: a key that finds no room is not remembered; that is counted, and said once a minute.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashbrown::HashMap;

use super::states::{Remembers, States, forgotten, remembered};
use super::{Closing, FilterLoad, label};
use crate::chunk::Position;
use crate::clock::SharedClock;
use crate::event::{Batch, Path};
use crate::limits;
use crate::metrics::Counter;
use crate::settings::Section;

/// Ends a field's text within a key: no byte of UTF-8, so no byte of a JSON text.
pub(super) const SEPARATOR: u8 = 0xff;

/// Before it is asked again whether the events of a window that is over have been seen.
const LOOK_AGAIN_NS: u64 = 100_000_000;

/// What a window holds.
pub(super) trait Held: Send + Sized + 'static {
    /// Writes it for the journal.
    fn write(&self, out: &mut Vec<u8>);
    /// Reads what [`Held::write`] wrote.
    fn read(bytes: &[u8]) -> Option<Self>;
    /// Bytes that it takes up besides itself.
    fn bytes(&self) -> usize;
    /// Nothing is held, so that the journal need not keep it.
    fn is_empty(&self) -> bool {
        false
    }
}

/// The windows of one filter.
pub(super) struct Windows<T> {
    inner: Mutex<Table<T>>,
    length_ns: u64,
    /// Each event begins its window anew, and so does a start.
    renewed: bool,
    most: usize,
    tags: [u64; 2],
    name: String,
    clock: SharedClock,
    states: States,
    overflow: Counter,
}

/// The windows, locked.
pub(super) struct Table<T> {
    windows: HashMap<Box<[u8]>, Window<T>>,
    /// Windows by their end, or by an end that they had before.
    ends: VecDeque<(u64, Box<[u8]>)>,
    bytes: usize,
    next_number: u64,
    told_ns: Option<u64>,
    restored: Vec<(i64, u64, Box<[u8]>, T)>,
}

/// One key's window.
pub(super) struct Window<T> {
    /// When it ends, nanoseconds of the clock's elapsed time.
    pub(super) ends_ns: u64,
    /// What it holds.
    pub(super) value: T,
    opened_ns: i64,
    number: u64,
    touched: bool,
}

impl<T: Held> Windows<T> {
    /// Reads `max_keys`, and makes the filter one of those that need order and time. `settings` tells filters of one
    /// kind apart, by names alone: what else the configuration mentions must not count. `formerly` did so before, by
    /// the numbers of fields.
    pub(super) fn load(
        section: &Section<'_>,
        load: &FilterLoad<'_>,
        length_ns: u64,
        settings: &str,
        formerly: &str,
    ) -> Arc<Windows<T>> {
        let of = |settings| format!("{length_ns}\n{settings}");
        Windows::new(section, load, (length_ns, false), [of(settings), of(formerly)])
    }

    /// As [`Windows::load`], of windows that each event begins anew: they last `length_ns` from their last one on, or
    /// from a start on, also where that is another length then.
    pub(super) fn load_renewed(
        section: &Section<'_>,
        load: &FilterLoad<'_>,
        length_ns: u64,
        settings: &str,
    ) -> Arc<Windows<T>> {
        let settings = format!("renewed\n{settings}");
        Windows::new(section, load, (length_ns, true), [settings.clone(), settings])
    }

    fn new(
        section: &Section<'_>,
        load: &FilterLoad<'_>,
        (length_ns, renewed): (u64, bool),
        [settings, formerly]: [String; 2],
    ) -> Arc<Windows<T>> {
        let most = section.integer_or("max_keys", limits::FILTER_KEYS as i64, 1..1_000_001);
        load.states.need_order();
        load.states.need_time();
        let name = label(section);
        let metrics = load.metrics.with("filter", &name);
        let help = "Events of keys that a filter had no room to remember; they went on unchanged.";
        let (clock, states) = (Arc::clone(load.clock), load.states.clone());
        let tag = states.new_tag(|n| fingerprint(format!("names\n{name}\n{n}\n{settings}")));
        let tags = [tag, fingerprint(format!("{name}\n{}\n{formerly}", states.count()))];
        let table = Table {
            windows: HashMap::new(),
            ends: VecDeque::new(),
            bytes: 0,
            next_number: clock.random(),
            told_ns: None,
            restored: Vec::new(),
        };
        let overflow = metrics.counter("logweir_filter_keys_refused_total", help);
        let most = most as usize;
        let inner = Mutex::new(table);
        Arc::new(Windows { inner, length_ns, renewed, most, tags, name, clock, states, overflow })
    }

    /// Makes the windows survive a crash.
    pub(super) fn keep(self: &Arc<Self>) {
        self.states.remember(Arc::clone(self) as Arc<dyn Remembers>);
    }

    /// The table; nobody else has it meanwhile.
    pub(super) fn lock(&self) -> MutexGuard<'_, Table<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock's elapsed nanoseconds.
    pub(super) fn now_ns(&self) -> u64 {
        self.clock.elapsed_ns()
    }

    /// The window of a key, made by `make` where there is none: with `true` then. `None`: there is no room.
    pub(super) fn enter<'a>(
        &self,
        table: &'a mut Table<T>,
        key: &[u8],
        now_ns: u64,
        make: impl FnOnce() -> T,
    ) -> Option<(&'a mut Window<T>, bool)> {
        let known = table.windows.contains_key(key);
        if !known {
            if table.windows.len() >= self.most || table.bytes >= limits::FILTER_MEMORY_BYTES_MAX {
                self.refuse(table, now_ns);
                return None;
            }
            let ends_ns = now_ns.saturating_add(self.length_ns);
            table.next_number = table.next_number.wrapping_add(1);
            let (value, number) = (make(), table.next_number);
            let opened_ns = self.clock.now_ns();
            table.bytes += 2 * key.len() + value.bytes() + size_of::<Window<T>>();
            table.ends.push_back((ends_ns, key.into()));
            let window = Window { ends_ns, value, opened_ns, number, touched: false };
            table.windows.insert(key.into(), window);
            self.states.wake_at(ends_ns);
        }
        table.windows.get_mut(key).map(|window| (window, !known))
    }

    /// Begins a window anew.
    pub(super) fn renew(&self, window: &mut Window<T>, now_ns: u64) {
        window.ends_ns = now_ns.saturating_add(self.length_ns);
    }

    /// Takes out windows whose time is over, oldest first, at most `most`; or all of them. Says when the next one ends.
    pub(super) fn close(
        &self,
        table: &mut Table<T>,
        closing: Closing,
        most: usize,
        mut each: impl FnMut(&[u8], Window<T>),
    ) {
        let now_ns = self.clock.elapsed_ns();
        let (end, until_ns) = match closing {
            Closing::All => (true, u64::MAX),
            Closing::Due { seen_ns } if self.renewed => (false, now_ns.min(seen_ns)),
            Closing::Due { .. } => (false, now_ns),
        };
        let mut closed = 0;
        while let Some((ends_ns, _)) = table.ends.front() {
            if !end && (*ends_ns > until_ns || closed == most) {
                // What may be under way is not waited for by asking all the time.
                let under_way = closed < most && *ends_ns <= now_ns;
                self.states.wake_at(if under_way { now_ns + LOOK_AGAIN_NS } else { *ends_ns });
                return;
            }
            let Some((_, key)) = table.ends.pop_front() else { return };
            let Some(window) = table.windows.get(&key) else { continue };
            if !end && window.ends_ns > until_ns {
                // It was begun anew meanwhile.
                let ends_ns = window.ends_ns;
                let at = table.ends.partition_point(|(other_ns, _)| *other_ns <= ends_ns);
                table.ends.insert(at, (ends_ns, key));
                continue;
            }
            let Some(window) = table.windows.remove(&key) else { continue };
            let bytes = 2 * key.len() + window.value.bytes() + size_of::<Window<T>>();
            table.bytes = table.bytes.saturating_sub(bytes);
            each(&key, window);
            closed += 1;
        }
    }

    /// What the journal has to know of the windows of these keys, which one batch touched.
    pub(super) fn tell(&self, touched: &mut Vec<Box<[u8]>>, out: &mut Vec<Position>) {
        let mut table = self.lock();
        for key in touched.drain(..) {
            let Some(window) = table.windows.get_mut(&key) else { continue };
            window.touched = false;
            if window.value.is_empty() {
                out.push(window.forget());
                continue;
            }
            let mut position = remembered(self.tags[0], window.number, window.opened_ns);
            position.identity.extend_from_slice(&(key.len() as u32).to_le_bytes());
            position.identity.extend_from_slice(&key);
            window.value.write(&mut position.identity);
            out.push(position);
        }
    }

    fn refuse(&self, table: &mut Table<T>, now_ns: u64) {
        self.overflow.increment();
        let pause = limits::COMPLAINT_MS * 1_000_000;
        if table.told_ns.is_none_or(|told| now_ns.saturating_sub(told) >= pause) {
            table.told_ns = Some(now_ns);
            tracing::warn!(
                "the filter `{}` remembers {} keys and has no room for more: events of further keys go on as they \
                 are and are counted; raise `max_keys`, shorten the window, or choose fields with fewer values",
                self.name,
                table.windows.len(),
            );
        }
    }
}

impl<T> Table<T> {
    /// More bytes are held than when the window was opened.
    pub(super) fn grown(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// A window's value takes up more, or fewer, bytes than before.
    pub(super) fn resized(&mut self, before: usize, after: usize) {
        self.bytes = (self.bytes + after).saturating_sub(before);
    }

    /// Bytes that may still be remembered.
    pub(super) fn room(&self) -> usize {
        limits::FILTER_MEMORY_BYTES_MAX.saturating_sub(self.bytes)
    }

    /// The window of a key, where there is one.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<&mut Window<T>> {
        self.windows.get_mut(key)
    }
}

impl<T> Window<T> {
    /// Notes that the journal has to know of a change.
    pub(super) fn touch(&mut self, key: &[u8], touched: &mut Vec<Box<[u8]>>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push(key.into());
        }
    }

    /// What makes the journal forget it.
    pub(super) fn forget(&self) -> Position {
        forgotten(self.number)
    }
}

impl<T: Held> Remembers for Windows<T> {
    fn tags(&self) -> [u64; 2] {
        self.tags
    }

    fn restore(&self, number: u64, opened_ns: i64, bytes: &[u8]) -> bool {
        let read = || {
            let (length, rest) = bytes.split_first_chunk::<4>()?;
            let (key, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            Some((key.into(), T::read(value)?))
        };
        let Some((key, value)) = read() else { return false };
        self.lock().restored.push((opened_ns, number, key, value));
        true
    }

    fn restored(&self) {
        let mut table = self.lock();
        let table = &mut *table;
        let mut found = std::mem::take(&mut table.restored);
        found.sort_by_key(|(opened_ns, ..)| *opened_ns);
        let (now_ns, wall_ns) = (self.clock.elapsed_ns(), self.clock.now_ns());
        for (opened_ns, number, key, value) in found {
            // A clock that was set back must not make a window longer.
            let age = u64::try_from(wall_ns.saturating_sub(opened_ns)).unwrap_or(0);
            let age = if self.renewed { 0 } else { age };
            let ends_ns = now_ns + self.length_ns.saturating_sub(age);
            table.bytes += 2 * key.len() + value.bytes() + size_of::<Window<T>>();
            table.ends.push_back((ends_ns, key.clone()));
            let window = Window { ends_ns, value, opened_ns, number, touched: false };
            table.windows.insert(key, window);
            self.states.wake_at(ends_ns);
        }
    }
}

/// Writes the values of fields as one key, each as JSON; an absent one is empty.
pub(super) fn write_key(batch: &Batch, event: usize, fields: &[Path], out: &mut Vec<u8>) {
    out.clear();
    for path in fields {
        write_plain(batch, event, path, out);
        out.push(SEPARATOR);
    }
}

/// Writes a field's value as JSON, texts in one form however they were escaped. `false`: it is absent.
pub(super) fn write_plain(batch: &Batch, event: usize, path: &Path, out: &mut Vec<u8>) -> bool {
    let Some(value) = batch.get(event, path) else { return false };
    match batch.str_bytes(value) {
        Some(text) => crate::event::write_string(&text, out),
        None => batch.write_json(value, out),
    }
    true
}

/// The fields of a list of names; `None`: one is faulty and was reported.
pub(super) fn paths(
    section: &Section<'_>,
    key: &'static str,
    load: &mut FilterLoad<'_>,
) -> Option<Vec<Path>> {
    let names = section.strings(key).unwrap_or_default();
    let read = |name| super::named::path(section, name, super::named::Use::Read, load);
    let found: Vec<Path> = names.iter().filter_map(read).collect();
    (found.len() == names.len()).then_some(found)
}

/// A number from a text, the same in every run (Fowler, Noll, Vo: FNV-1a, 64 bits), mixed once more.
pub(super) fn fingerprint(bytes: impl AsRef<[u8]>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes.as_ref() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The finalizer of splitmix64: the low bits of FNV alone are not even.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
