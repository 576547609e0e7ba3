//! What may have changed: wakes sorted into paths, directories listed, and the slow look at everything.
//!
//! In: wakes, directories, time. Out: paths to look at. Promises: a rescan goes in small steps and takes at most a
//! fixed share of the time while inotify works. On failure: a directory that cannot be listed is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::discover::Found;
use super::tailer::{Tailer, Wake};

/// Known paths looked at in one step of a rescan.
const SWEEP_STEP: usize = 512;
const SWEEP_PAUSE_NS: u64 = 5_000_000;
/// A rescan takes at most one part in so many of the time, while inotify tells all that changes.
const RESCAN_SHARE: u64 = 500;

impl Tailer {
    // Paths to look at, and whether directories must be listed again.
    pub(super) fn sort_wakes(&mut self, wakes: &mut Vec<Wake>) -> (Vec<Arc<Path>>, bool) {
        let (mut paths, mut walk) = (Vec::new(), false);
        let leads = |tailer: &Tailer, path: &Path| {
            tailer.settings.paths.iter().any(|glob| glob.leads_through(path))
        };
        for wake in wakes.drain(..) {
            match wake {
                Wake::Appeared(path) => {
                    // A symbolic link to a directory is told as a name like any other.
                    let facts = || self.parts.storage.facts(&path);
                    walk |= leads(self, &path) && facts().is_ok_and(|facts| !facts.regular);
                    paths.push(path.into());
                }
                Wake::Changed(path) => {
                    if self.paths.contains_key(&*path) || self.wants(&path) {
                        paths.push(path.into());
                    } else {
                        walk |= self.directories.contains_key(&path);
                    }
                }
                Wake::Directory(path) => walk |= leads(self, &path),
                Wake::Watched(path) => {
                    let within = |known: &&Arc<Path>| known.parent() == Some(&path);
                    paths.extend(self.paths.keys().filter(within).cloned());
                    paths.extend(self.unread_in(&path));
                    walk = true;
                }
                Wake::Directories => walk = true,
                Wake::Everything => self.rescan_at = 0,
            }
        }
        (paths, walk)
    }

    // Lists the directories; files that were not known.
    pub(super) fn walk(&mut self) -> Vec<Arc<Path>> {
        let mut found = Found::default();
        for glob in &self.settings.paths {
            glob.walk(&*self.parts.storage, &mut found);
        }
        let searches = self.nameless.iter().filter_map(|id| self.generations.get(id));
        let unlisted = searches.filter(|g| g.search.as_ref().is_some_and(|s| !s.listed));
        let unlisted: BTreeSet<&Path> = unlisted.filter_map(|g| g.last.parent()).collect();
        for directory in self.directories.keys() {
            if !unlisted.contains(directory.as_path()) {
                self.problems.remove(directory);
            }
        }
        self.directories = found.directories;
        self.directories_changed = true;
        for (directory, why) in found.problems {
            self.directories.insert(directory.clone(), false);
            self.say(directory, &why);
        }
        let unknown = |path: &PathBuf| !self.paths.contains_key(path.as_path()) && self.wants(path);
        found.files.into_iter().filter(unknown).map(Arc::from).collect()
    }

    // Looks at some of the known paths, and plans the next rescan after the last of them.
    pub(super) fn step_sweep(&mut self) {
        let now = self.now();
        if self.rescan_at != u64::MAX || now < self.sweep_at {
            return;
        }
        let rest = self.sweep.len().saturating_sub(SWEEP_STEP);
        let step = self.sweep.split_off(rest);
        self.look_at(step);
        let end = self.now();
        self.sweep_spent_ns += end - now;
        self.sweep_at = end + SWEEP_PAUSE_NS;
        if self.sweep.is_empty() {
            let share = if self.watched { self.sweep_spent_ns * RESCAN_SHARE } else { 0 };
            self.rescan_at = end + self.settings.rescan_ns.max(share);
            self.sweep_spent_ns = 0;
        }
    }
}
