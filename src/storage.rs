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
    /// files do not clear the buffer's memory first, but move the handle's own place: one at a time.
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
    /// Where a path leads that is a symbolic link, though nothing is there now; `None`: it is no link.
    fn link_target(&self, _path: &Path) -> Option<PathBuf> {
        None
    }
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
    /// Which run of the machine this is; 0 where nothing tells. What was not synced in another run may be lost.
    fn boot(&self) -> u64 {
        0
    }
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
        // Into memory that need not be cleared first. By offset: threads that share the file must not move it under
        // one another.
        buffer.reserve(limit);
        let start = buffer.len();
        let read = rustix::io::pread(&self.0, rustix::buffer::spare_capacity(buffer), offset)?;
        buffer.truncate(start + limit);
        Ok(read.min(limit))
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

    fn link_target(&self, path: &Path) -> Option<PathBuf> {
        let target = path.parent()?.join(std::fs::read_link(path).ok()?);
        let real = std::fs::canonicalize(path);
        // Of a file that is not there its folder may be.
        real.ok().or_else(|| {
            let folder = std::fs::canonicalize(target.parent()?).ok()?;
            Some(folder.join(target.file_name()?))
        })
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

    fn boot(&self) -> u64 {
        // A random UUID, drawn by the kernel when it starts (proc(5)).
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        u64::from_str_radix(&digits, 16).unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_share_a_file_read_what_stands_at_their_offsets() {
        const BLOCK: usize = 4096;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared");
        let content: Vec<u8> = (0..64_u8).flat_map(|n| [n; BLOCK]).collect();
        std::fs::write(&path, content).unwrap();
        let file = DiskStorage.open_read(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let file = &file;
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let block = (round * 7 + thread * 13) % 64;
                        let mut bytes = Vec::new();
                        let read = file.append_at(&mut bytes, BLOCK, block * BLOCK as u64);
                        assert_eq!(read.unwrap(), BLOCK);
                        assert!(bytes.iter().all(|byte| u64::from(*byte) == block));
                    }
                });
            }
        });
    }
}
