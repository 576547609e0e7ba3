//! Why there are dead letters.
//!
//! In: the stores of all pipelines. Out: for each the reasons with their number, without what differs from document
//! to document. Promises: a store is read at most every [`FRESH_NS`] nanoseconds, whoever asks, and only when it is
//! small. On failure: a store that cannot be read has no reasons here; `logweir dlq` says why.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::journal::dead_letter;
use crate::likeness::mask;
use crate::storage::SharedStorage;

/// How long what was read is shown.
const FRESH_NS: u64 = 30_000_000_000;
/// A larger store is not read.
const BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;
/// Reasons that are shown.
const REASONS_MAX: usize = 20;

/// Output and reason with their number, the most frequent first.
pub type Reasons = Vec<((String, String), u64)>;

/// What was read last.
pub(super) struct Letters {
    storage: SharedStorage,
    data: PathBuf,
    read_ns: Option<u64>,
    reasons: Vec<(String, Reasons)>,
}

impl Letters {
    pub(super) fn new(storage: SharedStorage, data: PathBuf) -> Letters {
        Letters { storage, data, read_ns: None, reasons: Vec::new() }
    }

    /// The reasons of these pipelines, which have so many bytes of letters.
    pub(super) fn reasons(
        &mut self,
        pipelines: &[(String, f64)],
        now_ns: u64,
    ) -> &[(String, Reasons)] {
        if self.read_ns.is_none_or(|read| now_ns.saturating_sub(read) >= FRESH_NS) {
            let small = pipelines.iter().filter(|(_, bytes)| *bytes <= BYTES_MAX);
            self.reasons = small.map(|(name, _)| (name.clone(), self.read(name))).collect();
            self.read_ns = Some(now_ns);
        }
        &self.reasons
    }

    fn read(&self, pipeline: &str) -> Reasons {
        let directory = self.data.join(pipeline).join("dead-letters");
        let letters = dead_letter::read_all(&self.storage, &directory).into_iter().flatten();
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        for stored in letters {
            let key = (stored.letter.output.clone(), mask(&stored.letter.reason));
            *counts.entry(key).or_default() += 1;
        }
        let mut reasons: Reasons = counts.into_iter().collect();
        reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        reasons.truncate(REASONS_MAX);
        reasons
    }
}
