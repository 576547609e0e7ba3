//! inotify: which names changed, told to the tailer's thread.
//!
//! Is: a thread that waits for the kernel and the table of watched directories (inotify(7)). In: directories.
//! Out: [`Wake`]s. Promises: the first event is told at once, then the thread rests for some milliseconds, so that
//! a file that is written all the time costs a fixed number of wakes; when nobody listens the kernel's queue fills
//! and its overflow is told as a full look. On failure: without inotify, or beyond its limits, the rescan remains;
//! [`Watch::problem`] says so.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::Notice;
use super::tailer::Wake;

/// File systems that other machines, or processes behind FUSE, change without this kernel's knowing it (statfs(2)).
const SHARED: [u32; 11] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE53_4D42, // SMB 2 and later
    0xFF53_4D42, // CIFS
    0x00C3_6400, // Ceph
    0x0102_1997, // 9P, which virtual machines share folders with
    0x0BD0_0BD0, // Lustre
    0x4750_4653, // GPFS
    0x5346_414F, // AFS
    0x6573_5546, // FUSE: GlusterFS, sshfs, s3fs
    0x7461_636F, // OCFS2
];

const REST: Duration = Duration::from_millis(50);
const BUFFER_BYTES: usize = 16 * 1024;
const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::MASK_ADD);

/// One event as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    descriptor: i32,
    flags: ReadFlags,
    name: Option<OsString>,
}

/// The watched directories.
pub struct Watch {
    inotify: Option<Arc<OwnedFd>>,
    // The kernel knows a directory once, under however many paths.
    paths: HashMap<i32, Vec<PathBuf>>,
    watched: HashMap<PathBuf, (i32, bool)>,
    // Files reached through a symbolic link: where they really are → under which paths they are known.
    aliases: HashMap<PathBuf, Vec<PathBuf>>,
    alias_directories: HashMap<PathBuf, i32>,
    sentinel: Option<i32>,
    problem: Option<String>,
    // Whether a directory is on a file system of `SHARED`.
    shared: bool,
}

impl Watch {
    /// Starts the waiting thread, which tells `notices`.
    pub fn start(name: &str, notices: SyncSender<Notice>) -> Watch {
        let mut watch = Watch {
            inotify: None,
            paths: HashMap::new(),
            watched: HashMap::new(),
            aliases: HashMap::new(),
            alias_directories: HashMap::new(),
            sentinel: None,
            problem: None,
            shared: false,
        };
        match start(name, notices) {
            Ok((inotify, sentinel)) => {
                watch.inotify = Some(inotify);
                watch.sentinel = Some(sentinel);
            }
            Err(why) => {
                watch.problem = Some(format!(
                    "inotify does not work ({why}), so new lines are seen only every \
                     `rescan_interval`; raise fs.inotify.max_user_instances with sysctl"
                ));
            }
        }
        watch
    }

    /// What keeps new lines from being seen at once, if anything.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether all that changes is told.
    pub fn tells_all(&self) -> bool {
        self.problem.is_none() && !self.shared
    }

    /// Watches these directories and no others; those that are new must be looked at again.
    pub fn set(&mut self, wanted: &BTreeMap<PathBuf, bool>) -> Vec<PathBuf> {
        let Some(inotify) = self.inotify.clone() else { return Vec::new() };
        let gone: Vec<PathBuf> =
            self.watched.keys().filter(|path| !wanted.contains_key(*path)).cloned().collect();
        for path in gone {
            self.forget(&path);
        }
        let mut added = Vec::new();
        let mut failed = None;
        for (path, holds_files) in wanted {
            let known = self.watched.get(path).copied();
            let flags = if *holds_files { NAMES.union(WatchFlags::MODIFY) } else { NAMES };
            match inotify::add_watch(&inotify, path, flags) {
                Ok(descriptor) if known == Some((descriptor, *holds_files)) => {}
                Ok(descriptor) => {
                    if known.is_some_and(|(old, _)| old != descriptor) {
                        self.forget(path);
                    }
                    let paths = self.paths.entry(descriptor).or_default();
                    if !paths.contains(path) {
                        paths.push(path.clone());
                    }
                    self.watched.insert(path.clone(), (descriptor, *holds_files));
                    added.push(path.clone());
                }
                Err(Errno::NOENT | Errno::NOTDIR) => self.forget(path),
                Err(why) => failed = Some((path, why)),
            }
        }
        self.problem = failed.map(|(path, why)| no_watch(path, why));
        self.shared = wanted.keys().any(|path| is_shared(path));
        added
    }

    /// Watches the real place of a file that is reached through a symbolic link; whether that is new.
    pub fn follow(&mut self, file: &Path) -> bool {
        let Some(inotify) = self.inotify.clone() else { return false };
        if !std::fs::symlink_metadata(file).is_ok_and(|meta| meta.is_symlink()) {
            return false;
        }
        let Ok(real) = std::fs::canonicalize(file) else { return false };
        let Some(directory) = real.parent() else { return false };
        let flags = NAMES.union(WatchFlags::MODIFY);
        match inotify::add_watch(&inotify, directory, flags) {
            Ok(descriptor) => {
                if self.alias_directories.insert(directory.to_path_buf(), descriptor).is_none() {
                    self.paths.entry(descriptor).or_default().push(directory.to_path_buf());
                }
                let known = self.aliases.entry(real).or_default();
                if !known.iter().any(|path| path == file) {
                    known.push(file.to_path_buf());
                }
                true
            }
            Err(why) => {
                self.problem = Some(no_watch(directory, why));
                false
            }
        }
    }

    /// What events mean for the tailer.
    pub fn wakes(&mut self, events: &[Event], wakes: &mut Vec<Wake>) {
        for event in events {
            if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                wakes.push(Wake::Everything);
                continue;
            }
            if event.flags.contains(ReadFlags::IGNORED) {
                for path in self.paths.remove(&event.descriptor).unwrap_or_default() {
                    // By now the path may be another directory, watched anew.
                    if self.watched.get(&path).is_some_and(|(d, _)| *d == event.descriptor) {
                        self.watched.remove(&path);
                    }
                    if self.alias_directories.get(&path) == Some(&event.descriptor) {
                        self.alias_directories.remove(&path);
                    }
                }
                wakes.push(Wake::Directories);
                continue;
            }
            let Some(name) = &event.name else {
                if event.flags.intersects(ReadFlags::DELETE_SELF.union(ReadFlags::MOVE_SELF)) {
                    wakes.push(Wake::Directories);
                }
                continue;
            };
            let appeared = event.flags.intersects(ReadFlags::CREATE.union(ReadFlags::MOVED_TO));
            for directory in self.paths.get(&event.descriptor).into_iter().flatten() {
                let path = directory.join(name);
                if event.flags.contains(ReadFlags::ISDIR) {
                    wakes.push(Wake::Directory(path));
                    continue;
                }
                for alias in self.aliases.get(&path).into_iter().flatten() {
                    wakes.push(Wake::Changed(alias.clone()));
                }
                wakes.push(if appeared { Wake::Appeared(path) } else { Wake::Changed(path) });
            }
        }
    }

    fn forget(&mut self, path: &Path) {
        let Some((descriptor, _)) = self.watched.remove(path) else { return };
        let Some(paths) = self.paths.get_mut(&descriptor) else { return };
        paths.retain(|known| known != path || self.alias_directories.contains_key(path));
        if paths.is_empty() {
            self.paths.remove(&descriptor);
            if let Some(inotify) = &self.inotify
                && self.sentinel != Some(descriptor)
            {
                let _ = inotify::remove_watch(inotify, descriptor);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Removing a watch is an event, which wakes the thread; it finds that nobody listens and ends.
        if let (Some(inotify), Some(sentinel)) = (&self.inotify, self.sentinel) {
            let _ = inotify::remove_watch(inotify, sentinel);
        }
    }
}

fn is_shared(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|system| SHARED.contains(&(system.f_type as u32)))
}

fn no_watch(path: &Path, why: Errno) -> String {
    format!(
        "cannot watch `{}` ({why}), so new lines there are seen only every `rescan_interval`; \
         raise fs.inotify.max_user_watches with sysctl, or make the folder readable",
        path.display()
    )
}

fn start(name: &str, notices: SyncSender<Notice>) -> std::io::Result<(Arc<OwnedFd>, i32)> {
    let inotify = Arc::new(inotify::init(CreateFlags::CLOEXEC)?);
    let sentinel =
        inotify::add_watch(&inotify, "/", WatchFlags::DELETE_SELF.union(WatchFlags::MASK_ADD))?;
    let reader = Arc::clone(&inotify);
    std::thread::Builder::new()
        .name(format!("watch-{name}"))
        .spawn(move || wait(&reader, &notices))?;
    Ok((inotify, sentinel))
}

fn wait(inotify: &OwnedFd, notices: &SyncSender<Notice>) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    loop {
        let mut events: Vec<Event> = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event
                        .file_name()
                        .map(|name| std::ffi::OsStr::from_bytes(name.to_bytes()).to_os_string());
                    let event = Event { descriptor: event.wd(), flags: event.events(), name };
                    // A file that is written all the time tells the same again and again.
                    if !events.contains_recent(&event) {
                        events.push(event);
                    }
                }
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        if notices.send(Notice::Events(events)).is_err() {
            return;
        }
        std::thread::sleep(REST);
    }
}

trait Recent {
    fn contains_recent(&self, event: &Event) -> bool;
}

impl Recent for Vec<Event> {
    fn contains_recent(&self, event: &Event) -> bool {
        self.iter().rev().take(8).any(|known| known == event)
    }
}
