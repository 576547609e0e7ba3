//! A file that is read again when it changes.
//!
//! In: a path, and how it is read. Out: what it holds now. Promises: the file is looked at every few seconds, not for
//! each event; who works with the old content finishes with it. On failure: at the first time the reader's error; later
//! the old content stays, and that is counted and said once for each state of the file.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use crate::clock::SharedClock;
use crate::metrics::Counter;

/// Nanoseconds between two looks at the file.
pub(super) const LOOK_EVERY_NS: u64 = 3_000_000_000;

/// A file and what it held when it was last looked at.
pub(super) struct Watched<T> {
    what: &'static str,
    path: PathBuf,
    read: Read<T>,
    current: RwLock<Arc<T>>,
    stamp: Mutex<Stamp>,
    next_look_ns: AtomicU64,
    look_every_ns: u64,
    failures: Counter,
}

type Read<T> = Box<dyn Fn(&Path) -> Result<T, String> + Send + Sync>;

/// Tells one state of a file from another.
type Stamp = Option<(u64, u64, u64, Option<SystemTime>)>;

impl<T> Watched<T> {
    /// Reads a file for the first time; `what` it is, in messages.
    pub(super) fn open<E: Display>(
        what: &'static str,
        path: PathBuf,
        clock: &SharedClock,
        failures: Counter,
        read: impl Fn(&Path) -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Watched<T>, E> {
        let stamp = stamp(&path);
        let current = RwLock::new(Arc::new(read(&path)?));
        Ok(Watched {
            what,
            path,
            read: Box::new(move |path| read(path).map_err(|why| why.to_string())),
            current,
            stamp: Mutex::new(stamp),
            next_look_ns: AtomicU64::new(clock.elapsed_ns() + LOOK_EVERY_NS),
            look_every_ns: LOOK_EVERY_NS,
            failures,
        })
    }

    /// The same file, looked at so often; `None`: never again.
    pub(super) fn looked_at_every(self, ns: Option<u64>, clock: &SharedClock) -> Watched<T> {
        let look_every_ns = ns.unwrap_or(u64::MAX);
        let next = clock.elapsed_ns().saturating_add(look_every_ns);
        Watched { look_every_ns, next_look_ns: AtomicU64::new(next), ..self }
    }

    /// What the file held when it was last looked at.
    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the file again if it is time to look and it has changed; one thread does it.
    pub(super) fn refresh(&self, now_ns: u64) {
        let due = self.next_look_ns.load(Ordering::Relaxed);
        let next = now_ns.saturating_add(self.look_every_ns);
        let claim = || {
            self.next_look_ns
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if now_ns < due || !claim() {
            return;
        }
        let now = stamp(&self.path);
        let mut known = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        // A file that is gone for a moment is about to be replaced.
        if now.is_none() || *known == now {
            return;
        }
        *known = now;
        let (what, path) = (self.what, self.path.display());
        match (self.read)(&self.path) {
            Ok(content) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(content);
                tracing::info!("read the changed {what} `{path}`");
            }
            Err(why) => {
                self.failures.increment();
                tracing::warn!(
                    "the changed {what} `{path}` cannot be used: {why}; the old one stays in use"
                );
            }
        }
    }
}

/// The text of a file.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

fn stamp(path: &Path) -> Stamp {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.len(), found.modified().ok()))
}
