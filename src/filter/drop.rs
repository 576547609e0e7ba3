//! Filter `drop`: events that go no further.
//!
//! In: `percentage` (default 100). Out: the events marked as dropped; the pipeline counts them.
//! Promises: with a percentage, each event is decided on its own, whatever its neighbours are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Selection};
use crate::settings::Section;

struct Drop {
    percentage: u64,
    /// State of the generator (Steele, Lea, Flood: "Fast splittable pseudorandom number
    /// generators", 2014).
    state: u64,
}

/// Reads the settings.
#[allow(clippy::unnecessary_wraps)] // the signature that all kinds share
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let percentage = section.integer_or("percentage", 100, 0..101) as u64;
    let seed = Arc::new(AtomicU64::new(load.clock.now_ns() as u64));
    Some(Box::new(move || {
        let state = seed.fetch_add(0x5851_f42d_4c95_7f2d, Ordering::Relaxed);
        Box::new(Drop { percentage, state })
    }))
}

impl Filter for Drop {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            if self.percentage == 100 || self.random() % 100 < self.percentage {
                batch.events[event].dropped = true;
            }
        }
    }
}

impl Drop {
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
