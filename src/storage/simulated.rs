//! A file system in memory that behaves as badly as a real one may.
//!
//! Is: a [`Storage`] for tests. In: the same calls. Out: the same answers, and at [`SimulatedStorage::crash`] what a
//! power cut could leave: synced bytes for certain, each unsynced write whole, torn or not at all; names up to any
//! point after the last directory sync.
//! Promises: the same seed gives the same crash; reads see every write at once; a failed sync loses the claim on
//! the writes before it (a later sync succeeds without them), as Linux does.
//! On failure: the errors that a test asked for, ENOSPC after part of a write was done.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, FileFacts, Storage};

/// The error number of a full file system.
pub const ENOSPC: i32 = 28;
/// The error number of a failed device.
pub const EIO: i32 = 5;

/// The file system; clones share it.
#[derive(Clone, Default)]
pub struct SimulatedStorage(Arc<Mutex<World>>);

#[derive(Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    directories: BTreeSet<PathBuf>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_log: Vec<NameChange>,
    locks: BTreeSet<usize>,
    faults: Faults,
    syncs: u64,
    writes: u64,
}

#[derive(Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Default)]
struct Faults {
    write: Option<i32>,
    sync: Option<i32>,
    read: Option<i32>,
    space_bytes: Option<u64>,
    short_reads: bool,
}

#[derive(Clone)]
enum NameChange {
    Link(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Unlink(PathBuf),
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

struct SimulatedFile {
    world: Arc<Mutex<World>>,
    inode: usize,
    locked: bool,
}

impl SimulatedStorage {
    /// Every write fails with this error until `None`.
    pub fn fail_writes(&self, error: Option<i32>) {
        self.world().faults.write = error;
    }

    /// Every sync fails with this error until `None`; the writes before it are no longer promised.
    pub fn fail_syncs(&self, error: Option<i32>) {
        self.world().faults.sync = error;
    }

    /// Every read fails with this error until `None`.
    pub fn fail_reads(&self, error: Option<i32>) {
        self.world().faults.read = error;
    }

    /// All files together may hold this many bytes; a write beyond is done in part and fails with ENOSPC.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.world().faults.space_bytes = bytes;
    }

    /// Reads give at most 7 bytes.
    pub fn read_short(&self, short: bool) {
        self.world().faults.short_reads = short;
    }

    /// How many writes and syncs succeeded.
    pub fn counts(&self) -> (u64, u64) {
        let world = self.world();
        (world.writes, world.syncs)
    }

    /// A file's bytes as a reader sees them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let world = self.world();
        world.names.get(path).map(|inode| world.inodes[*inode].data.clone())
    }

    /// Replaces a file's bytes, durably; makes it when it is not there.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        let inode = world.link_new(path);
        world.inodes[inode].data = bytes.to_vec();
        world.inodes[inode].durable = bytes.to_vec();
        world.inodes[inode].unsynced.clear();
        world.durable_names.insert(path.to_path_buf(), inode);
    }

    /// A new world with what a power cut now could leave, decided by `seed`. Old handles stay in the old world.
    #[must_use]
    pub fn crash(&self, seed: u64) -> SimulatedStorage {
        let mut random = Random(seed);
        let world = self.world();
        let mut names = world.durable_names.clone();
        let kept = random.below(world.name_log.len() as u64 + 1) as usize;
        for change in &world.name_log[..kept] {
            change.apply(&mut names);
        }
        let inodes = world.inodes.iter().map(|inode| inode.after_crash(&mut random)).collect();
        let directories = world.directories.clone();
        let durable_names = names.clone();
        let left = World { inodes, names, directories, durable_names, ..World::default() };
        SimulatedStorage(Arc::new(Mutex::new(left)))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn link_new(&mut self, path: &Path) -> usize {
        if let Some(inode) = self.names.get(path) {
            return *inode;
        }
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change(NameChange::Link(path.to_path_buf(), inode));
        inode
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_log.push(change);
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].data.len() as u64).sum()
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            NameChange::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            NameChange::Unlink(path) => {
                names.remove(path);
            }
        }
    }
}

impl Change {
    fn apply(&self, data: &mut Vec<u8>) {
        match self {
            Change::Length(length) => data.resize(*length as usize, 0),
            Change::Write(offset, bytes) => {
                let end = *offset as usize + bytes.len();
                if data.len() < end {
                    data.resize(end, 0);
                }
                data[*offset as usize..end].copy_from_slice(bytes);
            }
        }
    }
}

impl Inode {
    fn after_crash(&self, random: &mut Random) -> Inode {
        let mut data = self.durable.clone();
        for change in &self.unsynced {
            match (random.below(4), change) {
                (0, _) => {}
                (1, Change::Write(offset, bytes)) => {
                    let torn = random.below(bytes.len() as u64 + 1) as usize;
                    Change::Write(*offset, bytes[..torn].to_vec()).apply(&mut data);
                }
                (2, Change::Write(offset, bytes)) => {
                    // The size reached the disk, the bytes did not.
                    Change::Write(*offset, vec![0; bytes.len()]).apply(&mut data);
                }
                _ => change.apply(&mut data),
            }
        }
        Inode { durable: data.clone(), data, ..Inode::default() }
    }
}

impl SimulatedFile {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, world: &mut World, change: Change) {
        let inode = &mut world.inodes[self.inode];
        change.apply(&mut inode.data);
        inode.unsynced.push(change);
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.world();
        if let Some(error) = world.faults.read {
            return Err(io::Error::from_raw_os_error(error));
        }
        let data = &world.inodes[self.inode].data;
        let rest = data.get(offset as usize..).unwrap_or_default();
        let most = if world.faults.short_reads { 7 } else { usize::MAX };
        let length = rest.len().min(buffer.len()).min(most);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.world();
        if let Some(error) = world.faults.write {
            return Err(io::Error::from_raw_os_error(error));
        }
        let size = world.inodes[self.inode].data.len() as u64;
        let growth = (offset + bytes.len() as u64).saturating_sub(size);
        let room =
            world.faults.space_bytes.map_or(u64::MAX, |s| s.saturating_sub(world.used_bytes()));
        if growth > room {
            let done = bytes.len() - (growth - room).min(bytes.len() as u64) as usize;
            self.write(&mut world, Change::Write(offset, bytes[..done].to_vec()));
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        self.write(&mut world, Change::Write(offset, bytes.to_vec()));
        world.writes += 1;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut world = self.world();
        let failure = world.faults.sync;
        let inode = &mut world.inodes[self.inode];
        if let Some(error) = failure {
            // Clean pages that never reached the disk: the next sync has nothing to do for them.
            inode.unsynced.clear();
            return Err(io::Error::from_raw_os_error(error));
        }
        for change in std::mem::take(&mut inode.unsynced) {
            change.apply(&mut inode.durable);
        }
        world.syncs += 1;
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.world();
        self.write(&mut world, Change::Length(length));
        Ok(())
    }

    fn facts(&self) -> io::Result<FileFacts> {
        let world = self.world();
        let links = world.names.values().filter(|inode| **inode == self.inode).count() as u64;
        let size = world.inodes[self.inode].data.len() as u64;
        let inode = self.inode as u64;
        Ok(FileFacts { inode, size, links, regular: true, ..FileFacts::default() })
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if self.locked {
            let inode = self.inode;
            self.world().locks.remove(&inode);
        }
    }
}

impl Storage for SimulatedStorage {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let found = self.world().names.get(path).copied();
        let inode = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Box::new(SimulatedFile { world: Arc::clone(&self.0), inode, locked: false }))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let inode = self.world().link_new(path);
        Ok(Box::new(SimulatedFile { world: Arc::clone(&self.0), inode, locked: false }))
    }

    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        if self.world().directories.contains(path) {
            return Ok(FileFacts { links: 1, ..FileFacts::default() });
        }
        self.open_read(path)?.facts()
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let world = self.world();
        if !world.directories.contains(directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let files = world.names.keys();
        let all = files.chain(world.directories.iter());
        Ok(all.filter(|p| p.parent() == Some(directory)).cloned().collect())
    }

    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.directories.extend(directory.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        let mut world = self.world();
        if let Some(error) = world.faults.sync {
            return Err(io::Error::from_raw_os_error(error));
        }
        let log = std::mem::take(&mut world.name_log);
        for change in &log {
            change.apply(&mut world.durable_names);
        }
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let world = self.world();
        Ok(world.faults.space_bytes.map_or(u64::MAX, |s| s.saturating_sub(world.used_bytes())))
    }

    fn open_locked(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        let mut world = self.world();
        let inode = world.link_new(path);
        if !world.locks.insert(inode) {
            return Ok(None);
        }
        drop(world);
        Ok(Some(Box::new(SimulatedFile { world: Arc::clone(&self.0), inode, locked: true })))
    }
}

struct Random(u64);

impl Random {
    /// Splitmix64 (Steele, Lea, Flood 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

#[cfg(test)]
mod tests;
