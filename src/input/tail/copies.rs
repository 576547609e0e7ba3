//! Whose copy an unknown file may be, and what is held back until that is clear.
//!
//! In: an unknown file. Out: an [`Original`] for [`super::decide`]. Promises: what is known of the original is
//! brought up to date before it is compared. On failure: a file that cannot be compared is not a copy.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::decide::Original;
use super::identity::{Content, Inode};
use super::names;
use super::place::is_absence;
use super::tailer::{Place, Tailer, Timer};
use crate::storage::FileFacts;

/// How long an unknown file that starts like a known one is left alone, because it may be a copy under way.
pub(super) const HOLD_NS: u64 = 5_000_000_000;
/// A copy of less than this is not told from an equal header for ever: after [`HOLD_NS`] it is read.
const STRONG_BYTES: u64 = 1024;
/// Removed files that an unknown one is compared with at most.
const NAMELESS_MAX: usize = 64;

impl Tailer {
    // The generation that a file may be a copy of, by its name, with the best agreement of content.
    pub(super) fn original(
        &mut self,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<(u64, Original)> {
        let name = path.file_name()?.to_str()?;
        let folder = path.parent()?;
        let folders = [Some(folder), folder.parent()];
        if let Some(found) = self.nameless_original(path, name, facts, compressed) {
            return Some(found);
        }
        let mut best: Option<(u64, Original)> = None;
        for base in names::originals(name) {
            for folder in folders.into_iter().flatten() {
                let base: Arc<Path> = folder.join(&base).into();
                self.refresh(&base);
                if self.generation_at(path).is_some() {
                    return None;
                }
                let Some((id, original)) = self.compare_with(&base, path, facts, compressed) else {
                    continue;
                };
                if original.content != Content::Differs {
                    return Some((id, original));
                }
                best = best.or(Some((id, original)));
            }
        }
        // A look at a possible original may have found that it was truncated.
        self.nameless_original(path, name, facts, compressed).or(best)
    }

    /// Whether files are known that an unknown one may be a copy of, by its name.
    pub(super) fn has_relatives(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let folders = [path.parent(), path.parent().and_then(Path::parent)];
        let known = |base: &String| {
            let mut places = folders.into_iter().flatten().map(|folder| folder.join(base));
            places.any(|place| self.generation_at(&place).is_some())
        };
        let originals = names::originals(name);
        originals.iter().any(known)
            || self.nameless.iter().any(|id| self.may_be_from(*id, path, (name, &originals)))
    }

    // Whether a file without a name may have been copied to a path: to its name, or one that comes from these.
    fn may_be_from(&self, id: u64, path: &Path, (name, originals): (&str, &[String])) -> bool {
        let Some(generation) = self.generations.get(&id) else { return false };
        if generation.compressed || generation.last.parent() != path.parent() {
            return false;
        }
        let family = super::adrift::family(generation);
        family.iter().any(|own| own == name || originals.contains(own))
    }

    /// Why a file's bytes cannot be had now, where that is a fault of the device that may pass.
    pub(super) fn unreadable(&self, path: &Path) -> Option<io::Error> {
        let file = self.parts.storage.open_read(path);
        let why = file.and_then(|file| file.read_at(&mut [0], 0)).err()?;
        let lasting = is_absence(&why) || why.kind() == io::ErrorKind::PermissionDenied;
        (!lasting).then_some(why)
    }

    // Makes sure that what is known of a possible original is true now: its copy may have been seen first.
    fn refresh(&mut self, base: &Arc<Path>) {
        let Some(id) = self.generation_at(base) else { return };
        self.look_at_known(base);
        if self.generation_at(base) == Some(id)
            && let Some(generation) = self.generations.get(&id)
            && !generation.compressed
            && let Ok(facts) = self.parts.storage.facts(base)
        {
            let (marker, offset) = (generation.marker, generation.offset);
            if self.content_of_same_inode(base, &facts, false, &marker, offset) == Content::Differs
            {
                self.truncated(id, &facts);
            }
        }
        self.place_adrift();
    }

    fn compare_with(
        &mut self,
        base: &Arc<Path>,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<(u64, Original)> {
        let id = self.generation_at(base)?;
        Some((id, self.compare(id, path, facts, compressed)?))
    }

    // A file without a name whose bytes are the same.
    fn nameless_original(
        &mut self,
        path: &Path,
        name: &str,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<(u64, Original)> {
        let originals = names::originals(name);
        let related = |id: &u64| self.may_be_from(*id, path, (name, &originals));
        let mut ids: Vec<u64> = self.nameless.iter().copied().filter(related).collect();
        let head = if ids.is_empty() { None } else { self.head(path, compressed) };
        if let Some(head) = &head {
            let begins = |id: &u64| self.generations.get(id).is_some_and(|g| g.marker.begins(head));
            ids.retain(begins);
        }
        ids.truncate(NAMELESS_MAX);
        let same = self.same_as_nameless(&ids, path, facts, compressed);
        if same.is_some() {
            return same;
        }
        // Until its own file was looked for long enough, this may be the archive or copy of one that lost its end. What
        // is with a file system that is away holds up nothing here.
        ids.retain(|id| self.generations.get(id).is_some_and(|generation| !generation.is_away()));
        let left = head.and_then(|head| ids.into_iter().find(|id| self.may_be_left(*id, &head)))?;
        let content = Content::Short;
        Some((left, Original { alive: true, content, strong: true, settled: false }))
    }

    fn same_as_nameless(
        &mut self,
        ids: &[u64],
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<(u64, Original)> {
        ids.iter().copied().find_map(|id| {
            let generation = self.generations.get(&id)?;
            let (marker, offset) = (generation.marker, generation.offset);
            let same = if offset > 0 {
                match self.content(path, facts, compressed, &marker, offset) {
                    Content::Same => true,
                    Content::Short if !compressed && self.is_short_copy(id, facts) => {
                        self.shorten(id, path, facts);
                        true
                    }
                    Content::Short => false,
                    Content::Differs => false,
                }
            } else if generation.body.is_some() {
                let start = self.same_start(id, path, facts, compressed);
                start.is_ok_and(|(same, length)| same && length > 0)
            } else {
                false
            };
            let content = Content::Same;
            same.then_some((id, Original { alive: false, content, strong: true, settled: true }))
        })
    }

    fn compare(
        &mut self,
        id: u64,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<Original> {
        let generation = self.generations.get(&id)?;
        if generation.compressed {
            return None;
        }
        let now = self.now();
        let (since, size) = match self.paths.get(path) {
            Some(Place::Held { since, size }) => (*since, *size),
            _ => (now, facts.size),
        };
        let settled = size == facts.size && now >= since.saturating_add(HOLD_NS);
        let (content, strong) = match self.same_start(id, path, facts, compressed) {
            // An empty original says nothing about an archive.
            Ok((true, 0)) if compressed => return None,
            Ok((true, length)) => (Content::Same, compressed || length >= STRONG_BYTES),
            Ok((false, _)) => (Content::Differs, false),
            // An archive under way cannot be read yet.
            Err(_) => (Content::Short, false),
        };
        Some(Original { alive: true, content, strong, settled })
    }

    // A file that starts like a known one is left alone until it is clear what it is.
    pub(super) fn hold_back(&mut self, original: u64, path: &Arc<Path>, facts: &FileFacts) {
        let now = self.now();
        let since = match self.paths.get(path) {
            Some(Place::Held { since, size }) if *size == facts.size => *since,
            _ => now,
        };
        if let Some(generation) = self.generations.get_mut(&original) {
            generation.copies.retain(|(copy, _)| copy != path);
            generation.copies.push((Arc::clone(path), Inode::from(facts)));
        }
        let place = Place::Held { since, size: facts.size };
        self.paths.insert(Arc::clone(path), place);
        if now < since + HOLD_NS {
            self.timers.insert((since + HOLD_NS, Timer::Path(Arc::clone(path))));
        }
    }
}
