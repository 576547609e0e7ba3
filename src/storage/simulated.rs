//! A file system in memory that behaves as badly as a real one may.
//!
//! Is: a [`Storage`] for tests. In: the same calls. Out: the same answers, and at [`SimulatedStorage::crash`] what a
//! power cut could leave: synced bytes for certain, each unsynced write whole, torn, not at all, or as zeros where the
//! file had grown; names up to any point after the last sync of their directory; at [`SimulatedStorage::kill`] what a
//! killed process leaves.
//! Promises: the same seed gives the same crash; reads see every write at once; a failed sync loses the claim on
//! the writes before it (a later sync succeeds without them), as Linux does.
//! On failure: the errors that a test asked for, ENOSPC after part of a write was done.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{File, FileFacts, Storage};

/// The error number of a full file system.
pub const ENOSPC: i32 = 28;
/// The error number of a failed device.
pub const EIO: i32 = 5;

/// The file system; clones share it.
#[derive(Clone, Default)]
pub struct SimulatedStorage {
    world: Arc<Mutex<World>>,
    outside: bool,
}

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
    /// Changes so far: the time of births and modifications.
    ticks: i64,
    /// Numbers of inodes are used again.
    reuse: bool,
    /// Power cuts so far.
    cuts: u64,
}

#[derive(Clone, Default)]
struct Inode {
    data: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    born: i64,
    modified: i64,
    /// As the file system tells it.
    number: u64,
    /// Open files.
    handles: usize,
}

#[derive(Clone, Default)]
struct Faults {
    write: Option<i32>,
    sync: Option<i32>,
    read: Option<Unread>,
    /// Below this directory nothing is listed or opened.
    names: Option<(PathBuf, i32)>,
    space_bytes: Option<u64>,
    short_reads: bool,
    /// Changes until nothing works any more.
    ops_left: Option<u64>,
    off: bool,
}

/// Reads that fail.
#[derive(Clone)]
struct Unread {
    /// Of files that were opened below one of these, or as one of these.
    of: Vec<PathBuf>,
    /// Reads of these bytes.
    within: Range<u64>,
    error: i32,
    /// So many; `None`: all.
    left: Option<u64>,
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
    /// Under which it was opened.
    path: PathBuf,
    locked: bool,
    outside: bool,
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
        self.fail_reads_below(Path::new("/"), error);
    }

    /// As [`SimulatedStorage::fail_reads`], for files that were opened below this directory.
    pub fn fail_reads_below(&self, directory: &Path, error: Option<i32>) {
        let of = vec![directory.to_path_buf()];
        self.world().faults.read =
            error.map(|error| Unread { of, within: 0..u64::MAX, error, left: None });
    }

    /// So many reads fail of these files, and of files below these directories; `None`: all.
    pub fn fail_reads_of(&self, of: &[PathBuf], error: i32, left: Option<u64>) {
        self.world().faults.read =
            Some(Unread { of: of.to_vec(), within: 0..u64::MAX, error, left });
    }

    /// Reads that begin within these bytes of a file fail; those before end there.
    pub fn fail_reads_within(&self, path: &Path, within: Range<u64>, error: i32) {
        let of = vec![path.to_path_buf()];
        self.world().faults.read = Some(Unread { of, within, error, left: None });
    }

    /// Below this directory nothing is listed or opened until `None`.
    pub fn fail_names_below(&self, directory: &Path, error: Option<i32>) {
        self.world().faults.names = error.map(|error| (directory.to_path_buf(), error));
    }

    /// Whether nothing was asked for that makes a change or a read fail.
    pub fn is_sound(&self) -> bool {
        let world = self.world();
        let Faults { write, sync, read, names, space_bytes, off, .. } = &world.faults;
        let fails = write.or(*sync).is_some() || read.is_some() || names.is_some();
        !fails && space_bytes.is_none() && !off
    }

    /// Whether reads of files below this directory, or of some of them, fail now.
    pub fn fails_reads_below(&self, directory: &Path) -> bool {
        let world = self.world();
        let meets = |of: &PathBuf| directory.starts_with(of) || of.starts_with(directory);
        world.faults.read.as_ref().is_some_and(|read| read.of.iter().any(meets))
            || world.faults.names.as_ref().is_some_and(|(below, _)| meets(below))
    }

    /// All files together may hold this many bytes; a write beyond is done in part and fails with ENOSPC.
    pub fn set_space(&self, bytes: Option<u64>) {
        self.world().faults.space_bytes = bytes;
    }

    /// As [`SimulatedStorage::set_space`]: this many bytes more than now.
    pub fn leave_space(&self, bytes: u64) {
        let mut world = self.world();
        world.faults.space_bytes = Some(world.used_bytes() + bytes);
    }

    /// Reads give at most 7 bytes.
    pub fn read_short(&self, short: bool) {
        self.world().faults.short_reads = short;
    }

    /// From now on a new file gets the lowest number that no file with a name or a handle has.
    pub fn reuse_inodes(&self) {
        self.world().reuse = true;
    }

    /// After this many more changes (writes, syncs, names) nothing works any more, as if power or process had gone
    /// within the next one: a write is done in part. [`SimulatedStorage::crash`] and [`SimulatedStorage::kill`]
    /// give a world that works again.
    pub fn end_after(&self, changes: u64) {
        self.world().faults.ops_left = Some(changes);
    }

    /// Whether the end of [`SimulatedStorage::end_after`] has come.
    pub fn has_ended(&self) -> bool {
        self.world().faults.off
    }

    /// The same files as another program sees them, to which no fault happens.
    #[must_use]
    pub fn outside(&self) -> SimulatedStorage {
        SimulatedStorage { outside: true, ..self.clone() }
    }

    /// The names of all files, sorted.
    pub fn names(&self) -> Vec<PathBuf> {
        self.world().names.keys().cloned().collect()
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
        world.touch(inode);
        world.inodes[inode].data = bytes.to_vec();
        world.inodes[inode].durable = bytes.to_vec();
        world.inodes[inode].unsynced.clear();
        world.durable_names.insert(path.to_path_buf(), inode);
    }

    /// Takes the end of a file, durably and without making it younger: so many bytes are left, then so many NUL bytes.
    pub fn cut(&self, path: &Path, left: u64, zeros: u64) {
        let mut world = self.world();
        let Some(inode) = world.names.get(path).copied() else { return };
        let mut data = world.inodes[inode].data.clone();
        data.truncate(left as usize);
        data.resize(data.len() + zeros as usize, 0);
        let inode = &mut world.inodes[inode];
        inode.data.clone_from(&data);
        inode.durable = data;
        inode.unsynced.clear();
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
        let (ticks, reuse) = (world.ticks, world.reuse);
        let cuts = world.cuts + 1;
        let left = World {
            inodes,
            names,
            directories,
            durable_names,
            ticks,
            reuse,
            cuts,
            ..World::default()
        };
        SimulatedStorage { world: Arc::new(Mutex::new(left)), outside: false }
    }

    /// A new world with what a killed process leaves: everything as it is, durable or not. Old handles stay in the
    /// old world.
    #[must_use]
    pub fn kill(&self) -> SimulatedStorage {
        let world = self.world();
        let left = World {
            inodes: world.inodes.iter().map(|i| Inode { handles: 0, ..i.clone() }).collect(),
            names: world.names.clone(),
            directories: world.directories.clone(),
            durable_names: world.durable_names.clone(),
            name_log: world.name_log.clone(),
            ticks: world.ticks,
            reuse: world.reuse,
            cuts: world.cuts,
            ..World::default()
        };
        SimulatedStorage { world: Arc::new(Mutex::new(left)), outside: false }
    }

    fn file(&self, path: &Path, inode: usize, locked: bool) -> SimulatedFile {
        let (world, path) = (Arc::clone(&self.world), path.to_path_buf());
        self.world().inodes[inode].handles += 1;
        SimulatedFile { world, inode, path, locked, outside: self.outside }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl World {
    fn link_new(&mut self, path: &Path) -> usize {
        if let Some(inode) = self.names.get(path) {
            return *inode;
        }
        self.ticks += 1;
        let born = self.ticks;
        let number = self.free_number();
        self.inodes.push(Inode { born, modified: born, number, ..Inode::default() });
        let inode = self.inodes.len() - 1;
        self.change(NameChange::Link(path.to_path_buf(), inode));
        inode
    }

    fn free_number(&self) -> u64 {
        let all = self.inodes.len() as u64;
        if !self.reuse {
            return all;
        }
        let open = (0..self.inodes.len()).filter(|index| self.inodes[*index].handles > 0);
        let used: BTreeSet<u64> =
            self.names.values().copied().chain(open).map(|i| self.inodes[i].number).collect();
        (0..all).find(|number| !used.contains(number)).unwrap_or(all)
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_log.push(change);
    }

    fn touch(&mut self, inode: usize) {
        self.ticks += 1;
        self.inodes[inode].modified = self.ticks;
    }

    fn faults(&self, outside: bool) -> Faults {
        if outside { Faults::default() } else { self.faults.clone() }
    }

    /// Where a read of this file that begins at `at` ends; an error where it fails.
    fn gives(&mut self, path: &Path, at: u64) -> io::Result<u64> {
        let Some(unread) = &mut self.faults.read else { return Ok(u64::MAX) };
        if !unread.of.iter().any(|of| path.starts_with(of)) || at >= unread.within.end {
            return Ok(u64::MAX);
        }
        if at < unread.within.start {
            return Ok(unread.within.start);
        }
        let error = unread.error;
        unread.left = unread.left.map(|left| left - 1);
        if unread.left == Some(0) {
            self.faults.read = None;
        }
        Err(io::Error::from_raw_os_error(error))
    }

    /// An error where nothing below this directory is listed or opened.
    fn names(&self, path: &Path, outside: bool) -> io::Result<()> {
        match &self.faults.names {
            Some((below, error)) if !outside && path.starts_with(below) => {
                Err(io::Error::from_raw_os_error(*error))
            }
            _ => Ok(()),
        }
    }

    /// An error once the end has come.
    fn alive(&self, outside: bool) -> io::Result<()> {
        if self.faults.off && !outside { Err(io::Error::from_raw_os_error(EIO)) } else { Ok(()) }
    }

    /// Counts a change; an error when the end has come, or comes within it.
    fn count_change(&mut self, outside: bool) -> io::Result<()> {
        if outside {
            return Ok(());
        }
        match &mut self.faults.ops_left {
            Some(0) => self.faults.off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.alive(outside)
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|inode| self.inodes[*inode].data.len() as u64).sum()
    }
}

impl NameChange {
    fn directory(&self) -> Option<&Path> {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => path.parent(),
            NameChange::Rename(_, to) => to.parent(),
        }
    }

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
                    // The size reached the disk, the bytes did not: what was there before is there still.
                    let end = *offset as usize + bytes.len();
                    data.resize(data.len().max(end), 0);
                }
                _ => change.apply(&mut data),
            }
        }
        Inode {
            durable: data.clone(),
            data,
            unsynced: Vec::new(),
            born: self.born,
            modified: self.modified,
            number: self.number,
            handles: 0,
        }
    }
}

impl SimulatedFile {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, world: &mut World, change: Change) {
        world.touch(self.inode);
        let inode = &mut world.inodes[self.inode];
        change.apply(&mut inode.data);
        inode.unsynced.push(change);
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut world = self.world();
        world.alive(self.outside)?;
        let end = if self.outside { u64::MAX } else { world.gives(&self.path, offset)? };
        let data = &world.inodes[self.inode].data;
        let rest = data.get(offset as usize..).unwrap_or_default();
        let most = if world.faults(self.outside).short_reads { 7 } else { usize::MAX };
        let until_fault = usize::try_from(end - offset).unwrap_or(usize::MAX);
        let length = rest.len().min(buffer.len()).min(most).min(until_fault);
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut world = self.world();
        world.alive(self.outside)?;
        if let Err(end) = world.count_change(self.outside) {
            let part = bytes[..bytes.len() / 2].to_vec();
            self.write(&mut world, Change::Write(offset, part));
            return Err(end);
        }
        if let Some(error) = world.faults(self.outside).write {
            return Err(io::Error::from_raw_os_error(error));
        }
        let size = world.inodes[self.inode].data.len() as u64;
        let growth = (offset + bytes.len() as u64).saturating_sub(size);
        let room = world
            .faults(self.outside)
            .space_bytes
            .map_or(u64::MAX, |s| s.saturating_sub(world.used_bytes()));
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
        world.count_change(self.outside)?;
        let failure = world.faults(self.outside).sync;
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
        world.count_change(self.outside)?;
        self.write(&mut world, Change::Length(length));
        Ok(())
    }

    fn facts(&self) -> io::Result<FileFacts> {
        let world = self.world();
        world.alive(self.outside)?;
        let links = world.names.values().filter(|inode| **inode == self.inode).count() as u64;
        let size = world.inodes[self.inode].data.len() as u64;
        let Inode { born, modified, number, .. } = &world.inodes[self.inode];
        Ok(FileFacts {
            inode: *number,
            born_ns: *born,
            modified_ns: *modified,
            size,
            links,
            regular: true,
            ..FileFacts::default()
        })
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        let (inode, locked) = (self.inode, self.locked);
        let mut world = self.world();
        world.inodes[inode].handles -= 1;
        if locked {
            world.locks.remove(&inode);
        }
    }
}

impl Storage for SimulatedStorage {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let world = self.world();
        world.alive(self.outside)?;
        world.names(path, self.outside)?;
        let found = world.names.get(path).copied();
        drop(world);
        let inode = found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Box::new(self.file(path, inode, false)))
    }

    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut world = self.world();
        if !world.names.contains_key(path) {
            world.count_change(self.outside)?;
        }
        world.alive(self.outside)?;
        let inode = world.link_new(path);
        drop(world);
        Ok(Box::new(self.file(path, inode, false)))
    }

    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        if self.world().directories.contains(path) {
            return Ok(FileFacts { links: 1, ..FileFacts::default() });
        }
        self.open_read(path)?.facts()
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let world = self.world();
        world.alive(self.outside)?;
        world.names(directory, self.outside)?;
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
        world.count_change(self.outside)?;
        world.change(NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if !world.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.count_change(self.outside)?;
        world.change(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.count_change(self.outside)?;
        if let Some(error) = world.faults(self.outside).sync {
            return Err(io::Error::from_raw_os_error(error));
        }
        let log = std::mem::take(&mut world.name_log);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            log.into_iter().partition(|change| change.directory() == Some(directory));
        for change in &here {
            change.apply(&mut world.durable_names);
        }
        world.name_log = elsewhere;
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let world = self.world();
        Ok(world
            .faults(self.outside)
            .space_bytes
            .map_or(u64::MAX, |s| s.saturating_sub(world.used_bytes())))
    }

    fn boot(&self) -> u64 {
        self.world().cuts + 1
    }

    fn open_locked(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        let mut world = self.world();
        let inode = world.link_new(path);
        if !world.locks.insert(inode) {
            return Ok(None);
        }
        drop(world);
        Ok(Some(Box::new(self.file(path, inode, true))))
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
