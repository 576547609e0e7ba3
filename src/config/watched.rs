//! Whether a file of the configuration has changed.
//!
//! Is: an environment that notes which files were read through it. In: the paths of the command line. Out: whether
//! they, or what they name (secrets, certificates, texts), are not what they were. Promises: contents are not read
//! here, only asked about; a change is told when it is over, that is when two looks in a row see the same, so that
//! a file that is being written is not read. On failure: a file that cannot be asked about counts as one that is
//! not there.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::find_files;
use crate::diagnostic::Diagnostics;
use crate::settings::Environment;

/// Notes the files that are read through it.
pub struct WatchedEnvironment {
    inner: Arc<dyn Environment>,
    read: Mutex<Vec<PathBuf>>,
}

/// The files of a configuration, as they were.
pub struct WatchedFiles {
    paths: Vec<PathBuf>,
    environment: Arc<WatchedEnvironment>,
    settled: Stamps,
    last: Stamps,
}

/// What tells one state of a file from another: device, inode, size, modification and change.
type Stamps = BTreeMap<PathBuf, Option<(u64, u64, u64, i128, i128)>>;

impl WatchedEnvironment {
    /// Around another one.
    pub fn new(inner: Arc<dyn Environment>) -> Arc<WatchedEnvironment> {
        Arc::new(WatchedEnvironment { inner, read: Mutex::default() })
    }

    fn read(&self) -> std::sync::MutexGuard<'_, Vec<PathBuf>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Environment for WatchedEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        self.inner.variable(name)
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        self.note(path);
        self.inner.read_file(path)
    }

    fn note(&self, path: &Path) {
        let mut read = self.read();
        if !read.iter().any(|known| known == path) {
            read.push(path.to_path_buf());
        }
    }
}

impl WatchedFiles {
    /// The configuration of these paths, which was read just now through this environment.
    pub fn new(paths: Vec<PathBuf>, environment: Arc<WatchedEnvironment>) -> WatchedFiles {
        let mut files =
            WatchedFiles { paths, environment, settled: Stamps::new(), last: Stamps::new() };
        files.was_read();
        files
    }

    /// The configuration is about to be read.
    pub fn begin(&self) {
        self.environment.read().clear();
    }

    /// The configuration was read: what it is now is no change.
    pub fn was_read(&mut self) {
        self.settled = self.look();
        self.last = self.settled.clone();
    }

    /// Whether something changed and the change is over.
    pub fn changed(&mut self) -> bool {
        let now = self.look();
        let quiet = now == self.last;
        self.last = now;
        quiet && self.last != self.settled
    }

    fn look(&self) -> Stamps {
        let mut found = find_files(&self.paths, &mut Diagnostics::default());
        found.extend(self.environment.read().iter().cloned());
        let stamp = |path: PathBuf| {
            let facts = std::fs::metadata(&path).ok();
            let time = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
            let stamp = facts.map(|f| {
                let (modified, changed) =
                    (time(f.mtime(), f.mtime_nsec()), time(f.ctime(), f.ctime_nsec()));
                (f.dev(), f.ino(), f.len(), modified, changed)
            });
            (path, stamp)
        };
        found.into_iter().map(stamp).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::ProcessEnvironment;

    #[test]
    fn a_change_is_told_once_it_is_over_for_pipelines_and_for_what_they_name() {
        let folder = tempfile::tempdir().unwrap();
        let (pipeline, secret) = (folder.path().join("a.toml"), folder.path().join("secret"));
        std::fs::write(&pipeline, "a").unwrap();
        std::fs::write(&secret, "s").unwrap();
        let environment = WatchedEnvironment::new(Arc::new(ProcessEnvironment));
        environment.read_file(&secret).unwrap();
        let mut files = WatchedFiles::new(vec![folder.path().into()], environment);
        assert!(!files.changed() && !files.changed());
        for change in [
            (|pipeline, _| std::fs::write(pipeline, "abc").unwrap()) as fn(&Path, &Path),
            |_, secret| std::fs::write(secret, "other").unwrap(),
            |pipeline, _| std::fs::write(pipeline.with_file_name("b.toml"), "b").unwrap(),
            |pipeline, _| std::fs::remove_file(pipeline.with_file_name("b.toml")).unwrap(),
        ] {
            change(&pipeline, &secret);
            assert!(!files.changed(), "it may go on");
            assert!(files.changed(), "it is over");
            assert!(files.changed(), "until it was read");
            files.was_read();
            assert!(!files.changed() && !files.changed());
        }
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert!(!files.changed() && !files.changed(), "no file of the configuration");
    }
}
