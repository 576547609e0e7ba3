//! One number bounds the memory of all buffers of the process.
//!
//! Is: a budget in bytes (`--memory-max`) that chunks of input, connections, journals and outputs take from.
//! In: sizes. Out: [`Memory`] shares, given back when dropped. Promises: input waits while the budget is used up, so
//! that memory stops growing there; a part of the budget is kept for outputs, which are what frees memory; a pipeline
//! without a chunk gets one in any case, and an output that holds nothing one bulk, so that
//! waiting always ends. On failure: nothing can fail; what must be had is booked even when that is too much.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::limits;
use crate::metrics::{Gauge, Metrics};

/// What memory is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Input on its way to the journal.
    Chunks,
    /// Unfinished lines and windows of connections.
    Connections,
    /// Frames in memory.
    Journal,
    /// What outputs work on.
    Outputs,
    /// Buffers that were used and can be used again.
    Spare,
}

/// The budget as one pipeline sees it; clones share everything.
#[derive(Clone)]
pub struct Budget {
    whole: Arc<Whole>,
    pipeline: Arc<Mutex<Own>>,
}

/// Memory that somebody holds.
pub struct Memory {
    budget: Budget,
    what: Use,
    bytes: u64,
}

struct Whole {
    limit: u64,
    pipelines: u64,
    used: Mutex<Used>,
    freed: Condvar,
    freed_for_tasks: Notify,
    gauges: [Gauge; Use::COUNT],
}

#[derive(Default)]
struct Used {
    bytes: [u64; Use::COUNT],
    waiting_threads: usize,
}

/// What one pipeline holds; changed only under the lock of [`Used`].
#[derive(Default)]
struct Own {
    chunks: u64,
}

impl Use {
    const COUNT: usize = 5;
    const NAMES: [&str; Use::COUNT] = ["chunks", "connections", "journal", "outputs", "spare"];
}

impl Default for Budget {
    /// A budget without a limit.
    fn default() -> Self {
        Budget::new(u64::MAX / 2, 1, &Metrics::default())
    }
}

impl Budget {
    /// A budget of `limit` bytes for about so many pipelines.
    pub fn new(limit: u64, pipelines: usize, metrics: &Metrics) -> Budget {
        let most = metrics.gauge("logweir_memory_limit_bytes", "The budget for all buffers.");
        most.set(i64::try_from(limit).unwrap_or(i64::MAX));
        let help = "Bytes of the budget that are in use, by what they are used for.";
        let gauge = |name| metrics.with("use", name).gauge("logweir_memory_budget_bytes", help);
        let whole = Whole {
            limit,
            pipelines: pipelines.max(1) as u64,
            used: Mutex::default(),
            freed: Condvar::new(),
            freed_for_tasks: Notify::new(),
            gauges: Use::NAMES.map(gauge),
        };
        Budget { whole: Arc::new(whole), pipeline: Arc::default() }
    }

    /// The least that so many pipelines with so many outputs together can work with, in bytes.
    pub fn least(pipelines: usize, outputs: usize) -> u64 {
        pipelines as u64 * limits::PIPELINE_MEMORY_BYTES_LEAST
            + outputs as u64 * limits::OUTPUT_MEMORY_BYTES_LEAST
    }

    /// The same budget for another pipeline.
    #[must_use]
    pub fn pipeline(&self) -> Budget {
        Budget { whole: Arc::clone(&self.whole), pipeline: Arc::default() }
    }

    /// At most `usual` bytes, less where the budget is small: its `part`th part.
    pub fn part_of(&self, usual: usize, part: u64) -> usize {
        usual.min(usize::try_from(self.whole.limit / part).unwrap_or(usual))
    }

    /// At most `usual` bytes, less where the budget is small: the `part`th part of what one pipeline has.
    pub fn share_of(&self, usual: u64, part: u64) -> u64 {
        usual.min(self.whole.limit / part / self.whole.pipelines)
    }

    /// Bytes that all connections together may hold of unfinished input.
    pub fn connections_max(&self) -> usize {
        self.part_of(limits::CONNECTION_HELD_BYTES_MAX, 8)
    }

    /// What one connection may still hold when all together hold too much.
    pub fn connection_min(&self) -> usize {
        limits::CONNECTION_HELD_BYTES_MIN.min(self.connections_max() / limits::CONNECTIONS_MAX)
    }

    /// Bytes that are held for one use.
    pub fn used(&self, what: Use) -> u64 {
        self.whole.lock().bytes[what as usize]
    }

    /// Books memory that is held already or must be had.
    pub fn hold(&self, what: Use, bytes: u64) -> Memory {
        let mut held = Memory { budget: self.clone(), what, bytes: 0 };
        held.set(bytes);
        held
    }

    /// Memory for `bytes` of input and what becomes of them; `None`: not now.
    pub fn try_input(&self, bytes: usize) -> Option<Memory> {
        let mut used = self.whole.lock();
        self.admit(&mut used, bytes)
    }

    /// As [`Budget::try_input`], but waits. For tasks.
    pub async fn input(&self, bytes: usize) -> Memory {
        loop {
            let freed = self.whole.freed_for_tasks.notified();
            let mut freed = std::pin::pin!(freed);
            // Listening begins before looking, so that nothing is missed in between.
            freed.as_mut().enable();
            if let Some(held) = self.try_input(bytes) {
                return held;
            }
            freed.await;
        }
    }

    /// As [`Budget::try_input`], but waits for at most `patience`. For threads.
    pub fn input_within(&self, bytes: usize, patience: Duration) -> Option<Memory> {
        let mut used = self.whole.lock();
        if let Some(held) = self.admit(&mut used, bytes) {
            return Some(held);
        }
        used.waiting_threads += 1;
        let waited = self.whole.freed.wait_timeout(used, patience);
        used = waited.unwrap_or_else(PoisonError::into_inner).0;
        used.waiting_threads -= 1;
        self.admit(&mut used, bytes)
    }

    /// What an output may take: bytes that nobody holds, less a part for the frame that it reads next.
    pub fn room(&self) -> u64 {
        let used = self.whole.lock();
        let most = self.whole.limit - self.whole.limit / 16;
        most.saturating_sub(used.bytes.iter().sum())
    }

    /// Waits until something is given back.
    pub async fn freed(&self) {
        self.whole.freed_for_tasks.notified().await;
    }

    fn admit(&self, used: &mut Used, bytes: usize) -> Option<Memory> {
        let bytes = of_input(bytes);
        let outputs = used.bytes[Use::Outputs as usize];
        let input = used.bytes.iter().sum::<u64>() - outputs;
        let outputs = outputs.max(self.whole.limit / 4);
        // Frames do not count here: the journal bounds them by itself, and an output may hold one for ever.
        let idle = own(&self.pipeline).chunks == 0;
        // An eighth stays free for what is booked without waiting: frames that outputs read, unfinished lines.
        let most = self.whole.limit - self.whole.limit / 8;
        if bytes > 0 && !idle && input + outputs + bytes > most {
            return None;
        }
        let mut held = Memory { budget: self.clone(), what: Use::Chunks, bytes: 0 };
        held.book(used, bytes);
        Some(held)
    }
}

impl Memory {
    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives back what `bytes` of input do not need.
    pub fn keep_for(&mut self, bytes: usize) {
        self.set(self.bytes.min(of_input(bytes)));
    }

    /// Changes how much is held, without waiting.
    pub fn set(&mut self, bytes: u64) {
        if bytes == self.bytes {
            return;
        }
        let less = bytes < self.bytes;
        let whole = Arc::clone(&self.budget.whole);
        let mut used = whole.lock();
        self.book(&mut used, bytes);
        let threads = used.waiting_threads > 0;
        drop(used);
        if less {
            whole.freed_for_tasks.notify_waiters();
            if threads {
                whole.freed.notify_all();
            }
        }
    }

    fn book(&mut self, used: &mut Used, bytes: u64) {
        let change = |sum: &mut u64| *sum = *sum + bytes - self.bytes;
        let sum = &mut used.bytes[self.what as usize];
        change(sum);
        self.budget.whole.gauges[self.what as usize].set(*sum as i64);
        match self.what {
            Use::Chunks => change(&mut own(&self.budget.pipeline).chunks),
            Use::Connections | Use::Journal | Use::Outputs | Use::Spare => {}
        }
        self.bytes = bytes;
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Whole {
    fn lock(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Memory of so many bytes of input and what becomes of them.
fn of_input(bytes: usize) -> u64 {
    (bytes as u64).saturating_mul(limits::INPUT_MEMORY_FACTOR)
}

fn own(pipeline: &Mutex<Own>) -> MutexGuard<'_, Own> {
    pipeline.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
