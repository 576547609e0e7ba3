//! Frame buffers that are used again.
//!
//! In: frames that the journal is done with. Out: empty buffers for the next drafts. Promises: in steady state no
//! large frame is allocated, and a small one takes up no more than its bytes; buffers of at most [`SPARE_BYTES_MAX`]
//! and frames that an output still holds are kept.
//! On failure: an empty pool gives a new buffer.

use std::sync::{Arc, Mutex, PoisonError};

use crate::budget::{Budget, Memory, Use};
use crate::frame::Frame;
use crate::limits::CHUNK_BYTES;

/// Frames remembered at most until nobody holds them: requests under way hold the frames that they send.
pub const HELD_MAX: usize = 64;
/// Bytes of the buffers kept at most.
pub const SPARE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// New buffers have a multiple of this size: what the allocator gets back fits what it is asked for next.
const STEP_BYTES: usize = 64 * 1024;
/// A buffer that one huge batch made larger than this is not kept.
const BUFFER_BYTES_MAX: usize = 8 * CHUNK_BYTES;

/// The pool of one journal.
pub struct Pool(Mutex<Spare>);

struct Spare {
    buffers: Vec<Vec<u8>>,
    /// Capacity of all buffers.
    bytes: usize,
    /// Length of a large recent frame: a new buffer begins with that, because one that grows doubles.
    usual: usize,
    /// Done with, but somebody still holds them for a moment.
    held: Vec<Arc<Frame>>,
    /// Bytes of the buffers kept at most.
    most: usize,
    memory: Memory,
}

impl Pool {
    /// An empty pool.
    pub fn new(budget: &Budget) -> Pool {
        let most = budget.share_of(SPARE_BYTES_MAX as u64, 32) as usize;
        let memory = budget.hold(Use::Spare, 0);
        let (buffers, held) = (Vec::new(), Vec::new());
        Pool(Mutex::new(Spare { buffers, bytes: 0, usual: 0, held, most, memory }))
    }

    /// An empty buffer.
    pub fn buffer(&self) -> Vec<u8> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in std::mem::take(&mut spare.held) {
            spare.retire(frame);
        }
        let Some(buffer) = spare.buffers.pop() else {
            return Vec::with_capacity(spare.usual.next_multiple_of(STEP_BYTES));
        };
        spare.bytes -= buffer.capacity();
        spare.book();
        buffer
    }

    /// Moves a small frame out of its large buffer, which is used again.
    pub fn fit(&self, frame: &mut Frame) {
        if let Some(buffer) = frame.fit() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).keep(buffer);
        }
    }

    /// Takes the buffer of a frame that the journal does not need any more, once nobody holds it.
    pub fn retire(&self, frame: Arc<Frame>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retire(frame);
    }
}

impl Spare {
    fn book(&mut self) {
        self.memory.set(self.bytes as u64);
    }

    /// Keeps a buffer, unless there are enough, or it is far too large for what is written now, or smaller than any
    /// that is made: a small frame's own.
    fn keep(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let capacity = buffer.capacity();
        let fits = STEP_BYTES..=BUFFER_BYTES_MAX.min(CHUNK_BYTES.max(self.usual * 2));
        if fits.contains(&capacity) && self.bytes + capacity <= self.most {
            self.bytes += capacity;
            self.buffers.push(buffer);
            self.book();
        }
    }

    fn retire(&mut self, frame: Arc<Frame>) {
        match Arc::try_unwrap(frame) {
            Ok(frame) => {
                let buffer = frame.into_buffer();
                let length = buffer.len();
                if buffer.capacity() <= BUFFER_BYTES_MAX {
                    self.usual = (length + length / 16).max(self.usual - self.usual / 64);
                }
                self.keep(buffer);
            }
            Err(frame) if self.held.len() < HELD_MAX => self.held.push(frame),
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Draft;

    /// A frame of about so many bytes in a buffer of the pool.
    fn frame(pool: &Pool, bytes: usize) -> Frame {
        let mut draft = Draft::new(pool.buffer());
        draft.body().resize(bytes, b' ');
        draft.seal(1, 1)
    }

    fn spare(pool: &Pool) -> (usize, usize) {
        let spare = pool.0.lock().unwrap();
        (spare.buffers.len(), spare.bytes)
    }

    #[test]
    fn a_small_frame_leaves_its_large_buffer_to_the_next_one() {
        let pool = Pool::new(&Budget::default());
        let large = frame(&pool, STEP_BYTES);
        pool.retire(Arc::new(large));
        let kept = spare(&pool);
        assert_eq!(kept.0, 1);
        let small: Vec<Frame> = (0..100)
            .map(|_| {
                let mut small = frame(&pool, 1000);
                let before = small.bytes().to_vec();
                pool.fit(&mut small);
                assert_eq!(small.bytes(), before);
                assert_eq!(small.capacity(), before.len());
                small
            })
            .collect();
        assert_eq!(spare(&pool), kept, "one buffer was enough for all of them");
        for frame in small {
            pool.retire(Arc::new(frame));
        }
        assert_eq!(spare(&pool), kept, "their own buffers are too small for other frames");
    }

    #[test]
    fn a_frame_that_fills_its_buffer_stays_in_it() {
        let pool = Pool::new(&Budget::default());
        pool.retire(Arc::new(frame(&pool, STEP_BYTES)));
        let mut large = frame(&pool, STEP_BYTES / 2);
        let capacity = large.capacity();
        pool.fit(&mut large);
        assert_eq!((large.capacity(), spare(&pool)), (capacity, (0, 0)));
    }
}
