//! Files behind an interface, so that a simulation can tear writes, lose unsynced data and fill the disk.
//!
//! Is: the few file operations that the tailer, the journal and the dead-letter store need.
//! In: paths and bytes. Out: bytes and facts. Promises: nothing is buffered here; what `sync` returned for is on
//! disk. On failure: the operating system's error, untouched; callers add the path and the step.

use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub mod simulated;

/// A file system, shared by all that use it.
pub type SharedStorage = Arc<dyn Storage>;

/// An open file; reads and writes name their offset, so one handle serves many threads.
pub trait File: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Appends up to `limit` bytes at `offset` to `buffer`; the number of them, 0 at the end of the file. The disk's
    /// files do not clear the buffer's memory first.
    fn append_at(&self, buffer: &mut Vec<u8>, limit: usize, offset: u64) -> io::Result<usize> {
        let start = buffer.len();
        buffer.resize(start + limit, 0);
        let result = self.read_at(&mut buffer[start..], offset);
        buffer.truncate(start + result.as_ref().map_or(0, |n| *n));
        result
    }
    /// Writes all of `bytes` at `offset`, growing the file as needed.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when everything written is on disk (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Cuts or extends the file.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// What the file system says about the file behind this handle, also after it was renamed or removed.
    fn facts(&self) -> io::Result<FileFacts>;
}

/// The operations on names.
pub trait Storage: Send + Sync {
    /// Opens an existing file for reading.
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Opens a file for reading and writing, made when it is not there (mode 0600).
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Facts about a path, following symbolic links.
    fn facts(&self, path: &Path) -> io::Result<FileFacts>;
    /// The names in a directory, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;
    /// Makes a directory and its parents (mode 0700 for new ones).
    fn create_directory(&self, directory: &Path) -> io::Result<()>;
    /// Renames, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Returns when the directory's names are on disk.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;
    /// Bytes free for this process on the file system that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// As [`Storage::open_write`], with an exclusive lock that ends when the handle is dropped or the process ends;
    /// `None`: another handle holds it. A storage that one process alone can see needs no lock.
    fn open_locked(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        self.open_write(path).map(Some)
    }
}

/// What identifies a file and what changed about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Birth time in nanoseconds since the epoch; 0 where the file system has none.
    pub born_ns: i64,
    /// Last modification in nanoseconds since the epoch.
    pub modified_ns: i64,
    /// Size in bytes.
    pub size: u64,
    /// Number of names; 0 once the file was removed.
    pub links: u64,
    /// A regular file (not a directory, pipe or device).
    pub regular: bool,
}

/// The machine's file system.
pub struct DiskStorage;

/// The machine's file system, shared.
pub fn disk() -> SharedStorage {
    Arc::new(DiskStorage)
}

struct DiskFile(std::fs::File);

impl From<&std::fs::Metadata> for FileFacts {
    fn from(meta: &std::fs::Metadata) -> Self {
        let born = meta.created().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        FileFacts {
            device: meta.dev(),
            inode: meta.ino(),
            born_ns: born.map_or(0, |d| d.as_nanos() as i64),
            modified_ns: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(),
            size: meta.len(),
            links: meta.nlink(),
            regular: meta.is_file(),
        }
    }
}

impl File for DiskFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn append_at(&self, buffer: &mut Vec<u8>, limit: usize, offset: u64) -> io::Result<usize> {
        buffer.reserve(limit);
        let start = buffer.len();
        // A buffer with much more room would be filled beyond what was asked for: only then is it cleared first.
        let roomy = buffer.capacity() - start > limit + limit / 2;
        if roomy {
            buffer.resize(start + limit, 0);
            let result = self.read_at(&mut buffer[start..], offset);
            buffer.truncate(start + result.as_ref().map_or(0, |n| *n));
            return result;
        }
        loop {
            match rustix::io::pread(&self.0, rustix::buffer::spare_capacity(buffer), offset) {
                Err(rustix::io::Errno::INTR) => {}
                Err(why) => return Err(why.into()),
                Ok(_) => {
                    buffer.truncate(start + limit);
                    return Ok(buffer.len() - start);
                }
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn facts(&self) -> io::Result<FileFacts> {
        self.0.metadata().map(|m| FileFacts::from(&m))
    }
}

impl Storage for DiskStorage {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe under a glob must not hang the agent: open never blocks.
        let file = std::fs::OpenOptions::new().read(true).custom_flags(NONBLOCK).open(path)?;
        Ok(Box::new(DiskFile(file)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(DiskFile(open_for_writing(path)?)))
    }

    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        std::fs::metadata(path).map(|m| FileFacts::from(&m))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(directory)?.map(|entry| entry.map(|e| e.path())).collect()
    }

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        std::fs::File::open(directory)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn open_locked(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        let file = open_for_writing(path)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(DiskFile(file)))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(why) => Err(why.into()),
        }
    }
}

fn open_for_writing(path: &Path) -> io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;
