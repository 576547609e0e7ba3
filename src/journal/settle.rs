//! What an earlier process left, made durable.
//!
//! Is: the first step of an open journal. In: the segments found. Out: the same bytes, on disk for certain.
//! Promises: before that no frame comes in, so that no position outlives the frames it was read from; bytes that
//! nothing says to be durable are written once more, because after a failed sync of the earlier process the kernel
//! may call them clean. On failure: health says so, and it is tried again.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::SharedStorage;

use super::numbers::Trouble;
use super::recover::FoundSegment;
use super::scan::PAGE_BYTES;
use super::shared::{Shared, describe, lock};
use super::writer::WriteError;

/// Bytes that are written again at once.
const BLOCK_BYTES: usize = 1024 * 1024;

/// Segments of which nobody knows yet whether they are durable.
pub struct Unsettled(Vec<Doubt>);

struct Doubt {
    path: PathBuf,
    /// What is to be written again.
    bytes: std::ops::Range<u64>,
    /// Places without frames, offset and length: what the device does not give of them was counted as damaged.
    broken: Vec<(u64, u64)>,
}

impl Unsettled {
    /// Everything that recovery found.
    pub fn new(found: &[FoundSegment]) -> Self {
        let doubt = |segment: &FoundSegment| Doubt {
            path: segment.path.clone(),
            bytes: segment.unsure_from.unwrap_or(segment.bytes)..segment.bytes,
            broken: segment.broken.clone(),
        };
        Unsettled(found.iter().map(doubt).collect())
    }

    fn settle(&mut self, storage: &SharedStorage, directory: &Path) -> Result<(), WriteError> {
        while let Some(doubt) = self.0.last() {
            let settled = doubt.settle(storage);
            match settled {
                // It was delivered and deleted meanwhile.
                Err(why) if why.kind() == io::ErrorKind::NotFound => {}
                Err(why) => {
                    return Err(WriteError { step: "sync", path: doubt.path.clone(), why });
                }
                Ok(()) => {}
            }
            self.0.pop();
        }
        let failed = |why| WriteError { step: "sync", path: directory.to_path_buf(), why };
        storage.sync_directory(directory).map_err(failed)
    }
}

impl Doubt {
    fn settle(&self, storage: &SharedStorage) -> io::Result<()> {
        if self.bytes.is_empty() {
            return storage.open_read(&self.path)?.sync();
        }
        // Not made anew when it is gone.
        storage.facts(&self.path)?;
        let file = storage.open_write(&self.path)?;
        let mut block = Vec::new();
        let mut at = self.bytes.start;
        while at < self.bytes.end {
            block.clear();
            let limit = BLOCK_BYTES.min((self.bytes.end - at) as usize);
            let got = match file.append_at(&mut block, limit, at) {
                Ok(0) => break,
                Ok(got) => got,
                Err(_) if self.is_broken(at) => {
                    at = (at / PAGE_BYTES + 1) * PAGE_BYTES;
                    continue;
                }
                Err(why) => return Err(why),
            };
            file.write_all_at(&block, at)?;
            at += got as u64;
        }
        file.sync()
    }

    fn is_broken(&self, at: u64) -> bool {
        self.broken.iter().any(|(from, bytes)| (*from..from + bytes).contains(&at))
    }
}

impl Shared {
    /// Whether everything found at the start is durable; tries to make it so.
    pub(super) fn settle(&self) -> bool {
        let mut unsettled = lock(&self.unsettled);
        let Some(doubts) = unsettled.as_mut() else { return true };
        match doubts.settle(&self.storage, &self.directory) {
            Ok(()) => {
                *unsettled = None;
                self.status.over(Trouble::Sync);
                let mut state = lock(&self.state);
                let state = &mut *state;
                state.settled = true;
                state.synced = state.synced.max(self.found_written);
                state.cursors_moved = true;
                for segment in &mut state.segments {
                    segment.snapshot_synced |= segment.has_snapshot;
                }
                Self::wake(state);
                self.room.notify_all();
                true
            }
            Err(why) => {
                self.status.trouble(Trouble::Sync, describe(&why));
                false
            }
        }
    }
}
