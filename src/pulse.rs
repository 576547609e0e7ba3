//! Which threads make progress: a watchdog asks here.
//!
//! Is: a count for each thread that events depend on (workers, journals, readers of files). In: threads join, say when
//! they do something and when they wait for others. Out: the names of those that have been busy with one and the same
//! thing between two looks. Promises: a thread that waits (for input, for its turn, for room in the journal or on the
//! disk) is never named; one that hangs (in a system call on a dead device, in a loop) is, as long as it hangs; a beat
//! is one relaxed store. On failure: nothing can fail; a thread that did not join is never named.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The threads of a process.
#[derive(Clone, Default)]
pub struct Pulses(Arc<Mutex<Vec<Weak<Beat>>>>);

/// One thread's count: even while it waits, odd while it works.
struct Beat {
    name: String,
    count: AtomicU64,
}

thread_local! {
    static OWN: RefCell<Option<Arc<Beat>>> = const { RefCell::new(None) };
}

/// Keeps the current thread among those looked at.
pub struct Joined(());

/// Looks at all threads, again and again.
pub struct Watch {
    pulses: Pulses,
    seen: HashMap<usize, u64>,
}

impl Pulses {
    /// From now on, until the returned value is dropped, the current thread is looked at. It counts as working.
    pub fn join(&self, name: impl Into<String>) -> Joined {
        let beat = Arc::new(Beat { name: name.into(), count: AtomicU64::new(1) });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|beat| beat.strong_count() > 0);
        all.push(Arc::downgrade(&beat));
        OWN.set(Some(beat));
        Joined(())
    }

    /// What looks at them.
    pub fn watch(&self) -> Watch {
        Watch { pulses: self.clone(), seen: HashMap::new() }
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        OWN.set(None);
    }
}

/// The current thread got a step further.
pub fn beat() {
    OWN.with_borrow(|own| {
        if let Some(beat) = own {
            beat.count.fetch_add(2, Ordering::Relaxed);
        }
    });
}

/// Waits for others, or for the world, which may take as long as it takes.
pub fn rest<T>(wait: impl FnOnce() -> T) -> T {
    let step = |wanted: u64| {
        OWN.with_borrow(|own| {
            let Some(beat) = own else { return false };
            // Within another rest there is nothing to change.
            let fits = beat.count.load(Ordering::Relaxed) % 2 != wanted;
            if fits {
                beat.count.fetch_add(1, Ordering::Relaxed);
            }
            fits
        })
    };
    let began = step(0);
    let got = wait();
    if began {
        step(1);
    }
    got
}

impl Watch {
    /// The threads that work on the same thing as at the last look. Call it in even spaces of time.
    pub fn stuck(&mut self) -> Vec<String> {
        let all = self.pulses.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut seen = HashMap::new();
        let mut stuck = Vec::new();
        for beat in all.iter().filter_map(Weak::upgrade) {
            let (thread, count) = (Arc::as_ptr(&beat) as usize, beat.count.load(Ordering::Relaxed));
            if count % 2 == 1 && self.seen.get(&thread) == Some(&count) {
                stuck.push(beat.name.clone());
            }
            seen.insert(thread, count);
        }
        self.seen = seen;
        stuck
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// A thread that does what it is told, each told back.
    struct Puppet(mpsc::Sender<fn()>, mpsc::Receiver<()>);

    impl Puppet {
        fn new(pulses: &Pulses, name: &'static str) -> Puppet {
            let (tell, told) = mpsc::channel::<fn()>();
            let (done, wait) = mpsc::channel();
            let pulses = pulses.clone();
            std::thread::spawn(move || {
                let _joined = pulses.join(name);
                done.send(()).unwrap();
                while let Ok(work) = rest(|| told.recv()) {
                    work();
                    done.send(()).unwrap();
                }
            });
            wait.recv().unwrap();
            Puppet(tell, wait)
        }

        fn work(&self, work: fn()) {
            self.0.send(work).unwrap();
            self.1.recv().unwrap();
        }
    }

    #[test]
    fn who_works_on_one_thing_is_named_and_who_waits_or_goes_on_is_not() {
        let pulses = Pulses::default();
        let mut watch = pulses.watch();
        assert!(watch.stuck().is_empty());
        let joined = pulses.join("me");
        assert!(watch.stuck().is_empty(), "seen for the first time");
        assert_eq!(watch.stuck(), ["me"]);
        beat();
        assert!(watch.stuck().is_empty(), "it went on");
        assert_eq!(watch.stuck(), ["me"]);
        rest(|| {
            assert!(watch.stuck().is_empty());
            rest(|| assert!(watch.stuck().is_empty(), "a rest within a rest"));
            assert!(watch.stuck().is_empty(), "still the outer rest");
            beat();
            assert!(watch.stuck().is_empty(), "a beat does not end a rest");
        });
        assert!(watch.stuck().is_empty(), "it waited meanwhile");
        assert_eq!(watch.stuck(), ["me"]);
        drop(joined);
        assert!(watch.stuck().is_empty(), "gone");
        beat();
    }

    #[test]
    fn each_thread_has_its_own_count_and_an_idle_one_may_be_so_for_ever() {
        let pulses = Pulses::default();
        let (one, two) = (Puppet::new(&pulses, "one"), Puppet::new(&pulses, "two"));
        let _joined = pulses.join("me");
        one.work(|| {});
        two.work(beat);
        // What they do after their work is to rest.
        while at_work(&pulses) > 1 {
            std::thread::yield_now();
        }
        let mut watch = pulses.watch();
        watch.stuck();
        for _ in 0..3 {
            assert_eq!(watch.stuck(), ["me"]);
        }
    }

    fn at_work(pulses: &Pulses) -> usize {
        let all = pulses.0.lock().unwrap();
        let works = |beat: &Arc<Beat>| beat.count.load(Ordering::Relaxed) % 2 == 1;
        all.iter().filter_map(Weak::upgrade).filter(works).count()
    }
}
