//! Frame buffers that are used again.
//!
//! In: frames that the journal is done with. Out: empty buffers for the next drafts. Promises: in steady state no
//! frame is allocated; at most [`SPARE_MAX`] buffers and as many frames that an output still holds are kept.
//! On failure: an empty pool gives a new buffer.

use std::sync::{Arc, Mutex, PoisonError};

use crate::frame::Frame;
use crate::limits::CHUNK_BYTES;

/// Buffers kept at most.
pub const SPARE_MAX: usize = 16;
/// A buffer that one huge batch made larger than this is not kept.
const BUFFER_BYTES_MAX: usize = 8 * CHUNK_BYTES;

/// The pool of one journal.
#[derive(Default)]
pub struct Pool(Mutex<Spare>);

#[derive(Default)]
struct Spare {
    buffers: Vec<Vec<u8>>,
    /// Done with, but somebody still holds them for a moment.
    held: Vec<Arc<Frame>>,
}

impl Pool {
    /// An empty buffer.
    pub fn buffer(&self) -> Vec<u8> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for frame in std::mem::take(&mut spare.held) {
            spare.retire(frame);
        }
        spare.buffers.pop().unwrap_or_default()
    }

    /// Takes the buffer of a frame that the journal does not need any more, once nobody holds it.
    pub fn retire(&self, frame: Arc<Frame>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retire(frame);
    }
}

impl Spare {
    fn retire(&mut self, frame: Arc<Frame>) {
        match Arc::try_unwrap(frame) {
            Ok(frame) => {
                let mut buffer = frame.into_buffer();
                buffer.clear();
                if self.buffers.len() < SPARE_MAX && buffer.capacity() <= BUFFER_BYTES_MAX {
                    self.buffers.push(buffer);
                }
            }
            Err(frame) if self.held.len() < SPARE_MAX => self.held.push(frame),
            Err(_) => {}
        }
    }
}
