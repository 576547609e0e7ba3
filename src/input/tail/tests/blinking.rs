//! A disk whose folders are listed in the middle of a rotation: names are missed, or gone when they are asked about.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::storage::{File, FileFacts, Storage, disk};

/// The disk; a number of listings miss every rotated file, and as many questions find none.
#[derive(Default)]
pub struct Blinking {
    listings: AtomicUsize,
    questions: AtomicUsize,
    cuts: AtomicU64,
}

impl Blinking {
    /// The next so many listings and questions go wrong.
    pub fn blink(&self, times: usize) {
        self.listings.store(times, Ordering::Relaxed);
        self.questions.store(times, Ordering::Relaxed);
    }

    /// The machine runs anew.
    pub fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }
}

fn counts_down(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
}

fn is_rotated(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("app.log."))
}

impl Storage for Blinking {
    fn boot(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed) + 1
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        disk().open_read(path)
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        disk().open_write(path)
    }
    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        if is_rotated(path) && counts_down(&self.questions) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk().facts(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names = disk().list(directory)?;
        if counts_down(&self.listings) {
            names.retain(|path| !is_rotated(path));
        }
        Ok(names)
    }
    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        disk().create_directory(directory)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        disk().rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        disk().remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        disk().sync_directory(directory)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        disk().free_bytes(path)
    }
}
