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

/// The files of a folder whose names are like `glob` (`*` stands for anything, `?` for one character), by name.
pub(super) fn files_like(folder: &Path, glob: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && is_like(name.as_bytes(), glob.as_bytes()) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_like(name: &[u8], glob: &[u8]) -> bool {
    match (name, glob) {
        ([], []) => true,
        (name, [b'*', rest @ ..]) => (0..=name.len()).any(|at| is_like(&name[at..], rest)),
        ([_, name @ ..], [b'?', rest @ ..]) => is_like(name, rest),
        ([a, name @ ..], [b, rest @ ..]) => a == b && is_like(name, rest),
        _ => false,
    }
}

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

#[cfg(test)]
mod tests {
    use super::{files_like, is_like};

    #[test]
    fn files_of_a_folder_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.pattern", "a.pattern", "a.pattern.old"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("c.pattern")).unwrap();
        let names = |glob: &str| -> Vec<String> {
            let files = files_like(folder.path(), glob).unwrap();
            files.iter().map(|f| f.file_name().unwrap().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("*"), ["a.pattern", "a.pattern.old", "b.pattern"]);
        assert_eq!(names("*.pattern"), ["a.pattern", "b.pattern"]);
        assert_eq!(names("?.pattern*"), ["a.pattern", "a.pattern.old", "b.pattern"]);
        assert!(files_like(&folder.path().join("no"), "*").is_err());
        assert!(!is_like(b"ab", b"a"));
    }
}
