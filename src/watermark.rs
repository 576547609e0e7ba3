//! Until when nothing that came to a pipeline's inputs was passed over.
//!
//! Is: a list of what waits at the entrance. In: inputs say what they have not handed on yet, and since when. Out: a
//! time; each source was read at that time or later, or there was nothing to read. Promises: who waits for the next
//! line of a source waits by this time, so that lines that are there and only could not be read yet (the journal is
//! full, other files have their turn) are not taken for lines that never came. On failure: nothing can fail.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What waits at the entrance of one pipeline; times are those of [`crate::clock::Clock::elapsed_ns`].
#[derive(Clone, Default)]
pub struct Watermark(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// When somebody asked last.
    asked_ns: u64,
    next: u64,
    /// Since when, and a number of its own.
    waiting: BTreeSet<(u64, u64)>,
}

/// Something waits, until this is dropped or says otherwise.
pub struct Waiting {
    watermark: Watermark,
    number: u64,
    since_ns: Option<u64>,
}

impl Watermark {
    /// Nothing that came before was passed over, `now_ns` at most.
    pub fn seen_ns(&self, now_ns: u64) -> u64 {
        let mut state = self.lock();
        state.asked_ns = state.asked_ns.max(now_ns);
        state.waiting.first().map_or(now_ns, |(since_ns, _)| now_ns.min(*since_ns))
    }

    /// Something waits from now on: since it did not when somebody asked last, from that time on.
    #[must_use]
    pub fn wait(&self) -> Waiting {
        let mut state = self.lock();
        state.next += 1;
        let (number, since_ns) = (state.next, state.asked_ns);
        state.waiting.insert((since_ns, number));
        Waiting { watermark: self.clone(), number, since_ns: Some(since_ns) }
    }

    /// Waits for `work`, and says so unless it is done at once.
    pub async fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = std::future::ready(()) => {}
        }
        let _waiting = self.wait();
        work.await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Something waits since then; `None`: nothing does.
    pub fn since(&mut self, since_ns: Option<u64>) {
        let mut state = self.watermark.lock();
        if let Some(since_ns) = self.since_ns {
            state.waiting.remove(&(since_ns, self.number));
        }
        if let Some(since_ns) = since_ns {
            state.waiting.insert((since_ns, self.number));
        }
        self.since_ns = since_ns;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.since(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_waits_decides() {
        let watermark = Watermark::default();
        assert_eq!(watermark.seen_ns(10), 10);
        let mut first = watermark.wait();
        let second = watermark.wait();
        assert_eq!(watermark.seen_ns(20), 10, "nothing waited when it was asked last");
        let third = watermark.wait();
        first.since(Some(15));
        drop(second);
        assert_eq!(watermark.seen_ns(30), 15);
        first.since(None);
        assert_eq!(watermark.seen_ns(40), 20);
        drop(third);
        assert_eq!(watermark.seen_ns(40), 40);
        first.since(Some(50));
        assert_eq!(watermark.seen_ns(45), 45);
        drop(first);
        assert_eq!(watermark.seen_ns(60), 60);
    }

    #[tokio::test]
    async fn what_is_done_at_once_never_waited() {
        let watermark = Watermark::default();
        let looked = watermark.wait_for(async { watermark.0.lock().unwrap().next });
        assert_eq!(looked.await, 0);
        let later = watermark.wait_for(async {
            tokio::task::yield_now().await;
            watermark.seen_ns(10)
        });
        assert_eq!(later.await, 0);
        assert_eq!(watermark.seen_ns(20), 20);
    }
}
