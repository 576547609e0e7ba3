//! Opening a journal: lock, recovery, bits and cursors of the outputs.
//!
//! In: a directory and the outputs. Out: an open journal. Promises: an output keeps its bit and its cursor by name;
//! one without a cursor begins at the oldest frame when the journal knows its name, at the end when it is new;
//! what waited for one that is not there any more is let go, counted and said;
//! sequences that were durable are not given again, and no cursor passes what could not be read at the end before the
//! output is done with a later frame, so that a start that can read it ships it;
//! no frame comes in before the frames found are durable, so that no position outlives them.
//! On failure: a diagnostic when the directory cannot be used or the device does not give what is there; damage is
//! reported, never an error.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Notify;

use crate::budget::Budget;
use crate::limits::{JOURNAL_TAIL_BYTES, OUTPUT_NAME_BYTES_MAX, OUTPUTS_MAX};

use super::numbers::{Numbers, OutputNumbers, Status, dropped_with};
use super::recover::{FoundSegment, Recovered, recover_at_start};
use super::settle::Unsettled;
use super::shared::CursorSlots;
use super::state::{Output, Segment, State, Totals};
use super::writer::{Identity, Writer};
use super::{
    Arc, AtomicBool, Condvar, Diagnostic, Journal, Metrics, Mode, Mutex, Opened, OutputSlot, Parts,
    Path, Position, Settings, Shared, lock,
};

/// Where an output begins.
struct Start {
    bit: u32,
    /// All frames up to here are done with.
    cursor: u64,
    bytes: u64,
    documents: u64,
    /// See [`Output::held`].
    held: u64,
}

pub(super) fn open(
    parts: Parts,
    directory: &Path,
    settings: Settings,
    outputs: &[OutputSlot],
    threaded: bool,
) -> Result<Opened, Diagnostic> {
    check_outputs(outputs)?;
    let Parts { storage, clock, metrics, health, budget } = parts;
    let settings = within_budget(settings, &budget);
    let tail_max = budget.share_of(JOURNAL_TAIL_BYTES as u64, 16);
    let held = lock::take(&storage, directory)?;
    let mut found = recover_at_start(&storage, directory, &*held).map_err(|unread| {
        unread.diagnostic(&format!("the journal in `{}`", directory.display()))
    })?;
    // What is durable in a newest segment that cannot be read now stays noted: a start that cannot read it, either,
    // must not give its sequences again.
    let away = found.segments.last().is_some_and(|segment| segment.unreadable);
    let found_last = if away { found.durable.max(found.last_intact) } else { found.last_intact };
    // Passed at once, they would be deleted. They stay for whoever can still read them, and for a later start.
    found.segments.retain(|segment| !segment.unreadable);
    let totals = totals(&found.segments);
    let starts = starts(&found, outputs, &totals);
    let journal = found.journal.unwrap_or_else(|| clock.random());
    let epoch = clock.random();
    let names = starts.iter().zip(outputs).map(|(s, o)| (s.bit, o.name.clone())).collect();
    let identity = Identity { journal, epoch, outputs: names };
    let writer = Writer::new(
        (storage.clone(), clock.clone(), directory),
        identity,
        settings.segment_bytes_used(),
        (found.generation, found.written),
        found.positions.clone(),
    );
    let numbers = Numbers::new(&metrics, settings.max_bytes);
    let lost = found.report.wounds.iter().filter(|w| !w.known && !w.unfinished);
    for wound in lost {
        numbers.lost.add(wound.bytes);
        numbers.lost_frames.add(wound.frames_lost_estimate);
    }
    let state = State { tail_max, ..state(&found, &settings, outputs, &starts, &totals, &metrics) };
    let number = found.cursors.as_ref().map_or(0, |c| c.number);
    let shared = Arc::new(Shared {
        storage,
        clock,
        directory: directory.to_path_buf(),
        settings,
        numbers,
        status: Status::new(health),
        pool: super::pool::Pool::new(&budget),
        tail_max,
        budget,
        journal,
        epoch,
        found_written: found.written,
        found_last,
        state: Mutex::new(state),
        writer: Mutex::new(writer),
        gate: Mutex::new(()),
        cursors: Mutex::new(CursorSlots { file: None, number }),
        deferred: Mutex::default(),
        unsettled: Mutex::new(Some(Unsettled::new(&found.segments))),
        lock: Mutex::new(Some(held)),
        work: Condvar::new(),
        room: Condvar::new(),
        drained: Notify::new(),
        threaded: AtomicBool::new(false),
        #[cfg(test)]
        pause: std::sync::OnceLock::new(),
    });
    shared.settle();
    // A new output's beginning has to be known before the first frame comes.
    shared.write_cursors(true);
    shared.reclaim();
    shared.show();
    tell(directory, &found);
    tell_removed(&found, outputs, &totals, &metrics);
    let positions = found.positions.into_values();
    Ok(Opened {
        journal: Journal::new(shared, threaded)?,
        positions: positions.map(|p| Position { new: false, ..p }).collect(),
        report: found.report,
        bits: starts.iter().map(|s| s.bit).collect(),
    })
}

impl Shared {
    /// The last steps of a close; the background thread has ended.
    pub(super) fn finish(&self) {
        if self.settle() {
            if self.settings.mode == Mode::Memory {
                self.store_positions();
            } else {
                self.sync_once();
            }
        }
        self.give_up_acks();
        self.write_cursors(true);
        self.show();
        self.count_dropped_in_hand();
        *lock(&self.lock) = None;
    }
}

impl Shared {
    // Nobody will tell them: whoever waits for one must not wait for ever. A frame that comes in still, because its
    // append had begun, gives up its own.
    fn give_up_acks(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.acks.clear();
    }

    // What outputs still held when they ended, though the journal had dropped it: nobody sends it any more.
    fn count_dropped_in_hand(&self) {
        for output in &lock(&self.state).outputs {
            let dropped = output.dropped_in_hand();
            output.numbers.dropped_at_end.add(dropped);
            if dropped > 0 {
                tracing::warn!(
                    output = output.name,
                    documents = dropped,
                    "these documents were dropped, as journal.on_full or max_lag says, while the output was sending \
                     them, and were not delivered until the end"
                );
            }
        }
    }
}

/// A journal in memory that could hold more than its part of the budget would stop the inputs before its own rules
/// for space (`on_full`, `best_effort`) could do anything.
fn within_budget(settings: Settings, budget: &Budget) -> Settings {
    let most = budget.share_of(settings.max_bytes, 4);
    if settings.mode == Mode::Disk || most == settings.max_bytes {
        return settings;
    }
    tracing::warn!(
        "a journal in memory holds {most} bytes instead of {}: that is its part of the memory that the process may \
         use; raise --memory-max or lower journal.max_size",
        settings.max_bytes
    );
    Settings { max_bytes: most, ..settings }
}

fn check_outputs(outputs: &[OutputSlot]) -> Result<(), Diagnostic> {
    if outputs.len() > OUTPUTS_MAX {
        let message =
            format!("{} outputs, but a pipeline has at most {OUTPUTS_MAX}", outputs.len());
        return Err(Diagnostic::error(message).hint("move some of them to another pipeline"));
    }
    match outputs.iter().find(|o| o.name.len() > OUTPUT_NAME_BYTES_MAX) {
        Some(long) => {
            let message = format!("the name of the output `{}` is too long", long.name);
            let hint = format!("use at most {OUTPUT_NAME_BYTES_MAX} bytes");
            Err(Diagnostic::error(message).hint(hint))
        }
        None => Ok(()),
    }
}

fn totals(segments: &[FoundSegment]) -> [u64; 33] {
    let mut totals = [0; 33];
    for segment in segments {
        totals[32] += segment.frame_bytes;
        for (sum, more) in totals.iter_mut().zip(segment.documents_by_bit) {
            *sum += more;
        }
    }
    totals
}

/// Bit and cursor of each output.
fn starts(found: &Recovered, outputs: &[OutputSlot], totals: &[u64; 33]) -> Vec<Start> {
    let ours = found.cursors.as_ref().filter(|c| Some(c.journal) == found.journal);
    let cursors = ours.map(|c| c.outputs.as_slice()).unwrap_or_default();
    // Bits that old frames use for other outputs are taken last.
    let old = found.segments.iter().flat_map(|s| &s.outputs);
    let in_old: u32 = old.fold(0, |bits, (bit, _)| bits | 1_u32.checked_shl(*bit).unwrap_or(0));
    let mut bits: Vec<Option<u32>> = outputs
        .iter()
        .map(|output| {
            let by_cursor = cursors.iter().find(|c| c.name == output.name).map(|c| c.bit);
            let names = found.outputs.iter();
            let by_segment = names.filter(|(_, name)| *name == output.name).map(|(bit, _)| *bit);
            by_cursor.or(by_segment.max()).filter(|bit| *bit < OUTPUTS_MAX as u32)
        })
        .collect();
    let last_frame = found.segments.iter().filter(|s| s.frames > 0).map(|s| s.last).max();
    let last_frame = last_frame.unwrap_or(0);
    let mut used: u32 = 0;
    for bit in &mut bits {
        match *bit {
            Some(wanted) if used & (1 << wanted) == 0 => used |= 1 << wanted,
            _ => *bit = None,
        }
    }
    let start = |(output, bit): (&OutputSlot, Option<u32>)| {
        let known = bit.is_some();
        let bit = bit.unwrap_or_else(|| {
            let free = (0..OUTPUTS_MAX as u32).filter(|bit| used & (1 << bit) == 0);
            free.min_by_key(|bit| in_old & (1 << bit) != 0).unwrap_or(0)
        });
        used |= 1 << bit;
        let cursor = cursors.iter().find(|c| c.name == output.name && c.bit == bit);
        let all_again = cursor.is_none() && known && ours.is_none();
        let held = match cursor {
            Some(cursor) => cursor.sequence.max(last_frame),
            None if all_again => last_frame,
            None => u64::MAX,
        };
        if let Some(cursor) = cursor.filter(|c| c.sequence < last_frame) {
            let done = found.done.iter().find(|d| d.bit == bit);
            let (bytes, documents) = done.map_or((0, 0), |d| (d.bytes, d.documents));
            return Start { bit, cursor: cursor.sequence, bytes, documents, held };
        }
        if all_again && last_frame > 0 {
            // The cursor file is lost: everything comes again.
            return Start { bit, cursor: 0, bytes: 0, documents: 0, held };
        }
        let (bytes, documents) = (totals[32], totals[bit as usize]);
        Start { bit, cursor: found.written, bytes, documents, held }
    };
    outputs.iter().zip(bits).map(start).collect()
}

fn state(
    found: &Recovered,
    settings: &Settings,
    outputs: &[OutputSlot],
    starts: &[Start],
    totals: &[u64; 33],
    metrics: &Metrics,
) -> State {
    let mut sums = Totals { bytes: 0, documents: vec![0; outputs.len()] };
    let mut segments = VecDeque::new();
    for segment in &found.segments {
        segments.push_back(segment_of(segment, sums.clone(), outputs, starts));
        sums.bytes += segment.frame_bytes;
        for (sum, start) in sums.documents.iter_mut().zip(starts) {
            *sum += segment.documents_by_bit[start.bit as usize];
        }
    }
    debug_assert_eq!(sums.bytes, totals[32]);
    let output = |(slot, start): (&OutputSlot, &Start)| Output {
        name: slot.name.clone(),
        bit: start.bit,
        required: slot.required,
        max_lag: slot.max_lag,
        next: start.cursor + 1,
        place: None,
        given_bytes: start.bytes,
        waited: (start.bytes, false),
        given_documents: start.documents,
        outstanding: VecDeque::new(),
        floor: 0,
        held: start.held,
        wake: Arc::new(Notify::new()),
        numbers: OutputNumbers::new(metrics, &slot.name),
    };
    State {
        closed: false,
        ended: false,
        memory: settings.mode == Mode::Memory,
        sync: settings.sync,
        written: found.written,
        synced: found.durable.min(found.written),
        settled: false,
        tail: VecDeque::new(),
        tail_bytes: 0,
        tail_max: JOURNAL_TAIL_BYTES as u64,
        tail_from: sums.clone(),
        totals: sums,
        segments,
        trash: Vec::new(),
        outputs: outputs.iter().zip(starts).map(output).collect(),
        acks: VecDeque::new(),
        barriers: VecDeque::new(),
        pacing: false,
        sync_wanted: false,
        sync_soon: false,
        sync_took: Duration::ZERO,
        cursors_moved: true,
        cursors_known: false,
        roll_wanted: false,
    }
}

fn segment_of(
    found: &FoundSegment,
    start: Totals,
    outputs: &[OutputSlot],
    starts: &[Start],
) -> Segment {
    let means = |(output, start): (&OutputSlot, &Start)| {
        found.outputs.is_empty()
            || found.outputs.iter().any(|(bit, name)| *bit == start.bit && *name == output.name)
    };
    Segment {
        generation: found.generation,
        epoch: found.epoch,
        first: found.first,
        last: found.last,
        path: found.path.clone(),
        bytes: found.bytes,
        frames_from: found.frames_from,
        start,
        created_ns: found.created_ns,
        has_snapshot: found.snapshot,
        snapshot_synced: false,
        accepts: outputs.iter().zip(starts).map(means).collect(),
        broken: found.broken.clone().into(),
    }
}

/// Says and counts what waited for outputs that are not in the pipeline any more: nobody will send it.
fn tell_removed(found: &Recovered, outputs: &[OutputSlot], totals: &[u64; 33], metrics: &Metrics) {
    let ours = found.cursors.as_ref().filter(|c| Some(c.journal) == found.journal);
    for cursor in ours.map(|c| c.outputs.as_slice()).unwrap_or_default() {
        if outputs.iter().any(|output| output.name == cursor.name) {
            continue;
        }
        let done = found.done.iter().find(|done| done.bit == cursor.bit);
        let routed = totals.get(cursor.bit as usize).copied().unwrap_or(0);
        let documents = routed.saturating_sub(done.map_or(0, |done| done.documents));
        if documents > 0 {
            dropped_with(metrics, &cursor.name).add(documents);
            tracing::warn!(
                output = cursor.name,
                documents,
                "these documents waited for an output that is not in the pipeline any more, and are let go; an output \
                 that is renamed is another one: next time let it deliver everything before"
            );
        }
    }
}

/// What was cut off; damage is for the caller to tell, who knows whose journal it is.
fn tell(directory: &Path, found: &Recovered) {
    let directory = directory.display();
    for wound in found.report.wounds.iter().filter(|w| w.unfinished && !w.known) {
        tracing::info!(
            "the journal `{directory}` ended in the middle of a write (segment {} at byte {}, {} bytes): that is cut \
             off; nothing is lost, because it was not acknowledged, and its source is read again",
            wound.segment,
            wound.offset,
            wound.bytes
        );
    }
}
