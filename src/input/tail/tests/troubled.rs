//! A disk in trouble: folders that cannot be listed, a device whose number is another one than before, a file system
//! that is away.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::storage::{File, FileFacts, Storage, disk};

/// The disk; all is well until a test says otherwise.
#[derive(Default)]
pub struct Troubled {
    number: AtomicU64,
    unlisted: AtomicBool,
    mount: Mutex<Option<(PathBuf, Mount)>>,
}

/// Where a file system of its own is to be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mount {
    /// It is there.
    There,
    /// Its folder is empty.
    Empty,
    /// Its folder is not there.
    Gone,
}

struct Renumbered(Box<dyn File>, u64);

impl Troubled {
    /// The machine runs anew, and the device has another number.
    pub fn renumber(&self) {
        self.number.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no folder can be listed, as with too many open files.
    pub fn list_nothing(&self, nothing: bool) {
        self.unlisted.store(nothing, Ordering::Relaxed);
    }

    /// What is in this folder is in a file system of its own.
    pub fn mount(&self, folder: &Path, mount: Mount) {
        *self.mount.lock().unwrap() = Some((folder.to_path_buf(), mount));
    }

    // What is added to the device's number at a path; nothing may be there.
    fn added(&self, path: &Path) -> io::Result<u64> {
        let number = self.number.load(Ordering::Relaxed);
        let mount = self.mount.lock().unwrap();
        let Some((folder, mount)) = &*mount else { return Ok(number) };
        // Links lead there, too.
        let real = path.canonicalize().unwrap_or(path.to_path_buf());
        match mount {
            _ if !real.starts_with(folder) => Ok(number),
            Mount::There => Ok(number + 100),
            Mount::Empty if real == *folder => Ok(number),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl File for Renumbered {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
    fn facts(&self) -> io::Result<FileFacts> {
        let facts = self.0.facts()?;
        Ok(FileFacts { device: facts.device + self.1, ..facts })
    }
}

impl Storage for Troubled {
    fn boot(&self) -> u64 {
        self.number.load(Ordering::Relaxed) + 1
    }
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let added = self.added(path)?;
        Ok(Box::new(Renumbered(disk().open_read(path)?, added)))
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        disk().open_write(path)
    }
    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        let (added, facts) = (self.added(path)?, disk().facts(path)?);
        Ok(FileFacts { device: facts.device + added, ..facts })
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        if self.unlisted.load(Ordering::Relaxed) {
            // Too many open files.
            return Err(io::Error::from_raw_os_error(24));
        }
        self.added(directory)?;
        let mut names = disk().list(directory)?;
        let empty = |(folder, mount): &(PathBuf, Mount)| {
            *mount != Mount::There && directory.canonicalize().is_ok_and(|real| real == *folder)
        };
        if self.mount.lock().unwrap().as_ref().is_some_and(empty) {
            names.clear();
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
