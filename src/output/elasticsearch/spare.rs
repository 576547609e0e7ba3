//! Buffers that are used again.
//!
//! Is: a store of a few empty buffers of about one size, which clones share. In: buffers that were lent and came
//! back. Out: [`Lent`] buffers, which come back by themselves. Promises: no more than `count` buffers of `bytes` each
//! are kept. On failure: an empty store gives a new buffer.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// The store.
#[derive(Clone)]
pub(super) struct Spare {
    buffers: Arc<Mutex<Vec<Vec<u8>>>>,
    count: usize,
    bytes: usize,
}

/// A buffer that goes back to its store, if it has one, when nobody needs it any more.
#[derive(Default)]
pub(super) struct Lent {
    buffer: Vec<u8>,
    home: Option<Spare>,
}

impl Spare {
    /// An empty store of at most `count` buffers of at most `bytes` each.
    pub(super) fn new(count: usize, bytes: usize) -> Spare {
        Spare { buffers: Arc::default(), count, bytes }
    }

    /// An empty buffer, a new one of `capacity` bytes if there is no other.
    pub(super) fn lend(&self, capacity: usize) -> Lent {
        let spare = self.buffers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let buffer = spare.unwrap_or_else(|| Vec::with_capacity(capacity));
        Lent { buffer, home: Some(self.clone()) }
    }

    /// A buffer that something long made larger than the others is let go.
    fn take_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.buffers.lock().unwrap_or_else(PoisonError::into_inner);
        if (1..=self.bytes).contains(&buffer.capacity()) && spare.len() < self.count {
            spare.push(buffer);
        }
    }

    /// Buffers that wait to be used again.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.buffers.lock().unwrap().len()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            home.take_back(std::mem::take(&mut self.buffer));
        }
    }
}

impl From<Vec<u8>> for Lent {
    fn from(buffer: Vec<u8>) -> Lent {
        Lent { buffer, home: None }
    }
}

impl Deref for Lent {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.buffer
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_one_that_grew_does_not() {
        let spare = Spare::new(2, 100);
        let mut first = spare.lend(100);
        first.extend_from_slice(b"abc");
        let place = first.as_ptr();
        drop(first);
        let again = spare.lend(100);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        let mut long = spare.lend(100);
        long.extend_from_slice(&[1; 101]);
        drop((again, long));
        assert_eq!(spare.count(), 1);
        drop([spare.lend(100), spare.lend(100), spare.lend(100)]);
        assert_eq!(spare.count(), 2, "no more than that are kept");
    }
}
