//! Rotated files that no glob means and that nobody has read: generations that came and went unseen.
//!
//! In: names and facts of files in the folders of known ones. Out: those that are to be read as if a glob meant them.
//! Promises: a file is only taken for a generation of `app.log` when its name says so, when a generation of `app.log`
//! is known, and when it was born and written after that one was first seen: what was there before the first start is
//! never read, and what was read is known by its position for as long as it is on the disk. On failure: a folder that
//! cannot be listed is listed again with the next rotation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copies::HOLD_NS;
use super::generation::Generation;
use super::identity::{Content, HEAD_BYTES, Inode};
use super::names::{self, Style};
use super::tailer::{POLL_NS, Place, Tailer, Timer};
use crate::storage::FileFacts;

/// The generations of one path, by their ids; mostly there is one, and it needs no list.
pub enum Family {
    /// The only one.
    One(u64),
    /// Two or more, and for a moment none.
    More(Vec<u64>),
}

impl Family {
    /// All of them, in the order in which they became known.
    pub fn ids(&self) -> &[u64] {
        match self {
            Family::One(id) => std::slice::from_ref(id),
            Family::More(ids) => ids,
        }
    }

    fn add(&mut self, id: u64) {
        let mut ids = self.ids().to_vec();
        ids.push(id);
        *self = Family::More(ids);
    }

    fn remove(&mut self, id: u64) {
        let rest: Vec<u64> = self.ids().iter().copied().filter(|other| *other != id).collect();
        *self = match rest[..] {
            [one] => Family::One(one),
            _ => Family::More(rest),
        };
    }
}

impl Tailer {
    /// The generations that were first seen at a path.
    fn family(&self, label: &Path) -> &[u64] {
        self.families.get(label).map_or(&[], Family::ids)
    }

    /// Makes a generation known.
    pub(super) fn insert(&mut self, generation: Generation) {
        let family = self.families.entry(Arc::clone(&generation.label));
        let id = generation.id;
        family.and_modify(|family| family.add(id)).or_insert(Family::One(id));
        self.inodes.insert(generation.inode, generation.id);
        self.generations.insert(generation.id, Box::new(generation));
    }

    /// Forgets a generation's place in its family.
    pub(super) fn leave_family(&mut self, generation: &Generation) {
        let Some(family) = self.families.get_mut(&generation.label) else { return };
        family.remove(generation.id);
        if family.ids().is_empty() {
            self.families.remove(&generation.label);
        }
    }

    /// The path whose unread generation an unknown file is, by its name and age.
    pub(super) fn unread_of(&self, path: &Path, facts: &FileFacts) -> Option<Arc<Path>> {
        if !facts.regular || self.settings.exclude.iter().any(|exclude| exclude.matches(path)) {
            return None;
        }
        let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
        if names::is_archive(name) && !self.settings.read_compressed {
            return None;
        }
        names::rotated_from(name).into_iter().find_map(|(base, style)| {
            let base = folder.join(base);
            let (label, family) = self.families.get_key_value(base.as_path())?;
            let family = || family.ids().iter().filter_map(|id| self.generations.get(id));
            let usual = style == Style::After || family().any(|g| is_within(g, label));
            let later = family().any(|generation| is_later(generation, facts));
            (usual && later && self.wants(label)).then(|| Arc::clone(label))
        })
    }

    /// Whether an unknown file that no glob means is to be read now.
    pub(super) fn is_unread(&mut self, path: &Arc<Path>, facts: &FileFacts) -> bool {
        if self.unread_of(path, facts).is_none() {
            return false;
        }
        // An archive gets its age when it is complete, and then its original goes; the copy of a file grows.
        let original = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| names::unpacked(name).map(|plain| path.with_file_name(plain)));
        let unfinished = original.is_some_and(|path| self.parts.storage.facts(&path).is_ok());
        if facts.size > 0 && !unfinished {
            return true;
        }
        let now = self.now();
        self.paths.insert(Arc::clone(path), Place::Held { since: now, size: facts.size });
        if unfinished {
            self.timers.insert((now + POLL_NS, Timer::Path(Arc::clone(path))));
        }
        false
    }

    /// The unread generations among the files of a folder.
    pub(super) fn unread_in(&self, folder: &Path) -> Vec<Arc<Path>> {
        let paths = self.parts.storage.list(folder).unwrap_or_default();
        paths.into_iter().filter(|path| self.may_be_unread(path)).map(Arc::from).collect()
    }

    /// Whether an unknown file that no glob means is there and unread.
    pub(super) fn may_be_unread(&self, path: &Path) -> bool {
        let folder = path.parent().unwrap_or(path);
        let known = |name: &str| {
            let bases = names::rotated_from(name);
            bases.iter().any(|(base, _)| self.families.contains_key(folder.join(base).as_path()))
        };
        self.generation_at(path).is_none()
            && path.file_name().and_then(|name| name.to_str()).is_some_and(known)
            && !self.wants(path)
            && self.parts.storage.facts(path).is_ok_and(|f| self.unread_of(path, &f).is_some())
    }

    /// The unread generations beside all known files.
    pub(super) fn all_unread(&self) -> Vec<Arc<Path>> {
        let folders: BTreeSet<&Path> =
            self.families.keys().filter_map(|label| label.parent()).collect();
        folders.into_iter().flat_map(|folder| self.unread_in(folder)).collect()
    }

    /// Lists a folder once more in a while: a look in the middle of a rotation may miss a name.
    pub(super) fn list_again(&mut self, folder: PathBuf) {
        let folder: Arc<Path> = folder.into();
        if self.listed_again.insert(Arc::clone(&folder)) {
            self.timers.insert((self.now() + POLL_NS, Timer::Folder(folder)));
        }
    }

    /// Reads a rotated file that nobody has read, before what came after it where that has not begun yet.
    pub(super) fn create_unread(
        &mut self,
        label: &Arc<Path>,
        path: &Arc<Path>,
        facts: &FileFacts,
        compressed: bool,
    ) {
        // A known generation of which nothing was read may be this one; whichever it is, it is read from its start.
        if let Some(id) = self.unbegun(label) {
            return self.take_over(id, path, facts, compressed);
        }
        tracing::info!(path = %path.display(), "a rotated file was not read yet, so it is read now");
        self.parts.counts.found.increment();
        let since = self.since_of_unread(label, &Inode::from(facts));
        let id = self.add(label, facts, compressed);
        self.leaving.push(id);
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.left = true;
            generation.since_ns = since.unwrap_or(generation.since_ns);
        }
        self.bind(id, path);
        if let Some(current) = self.generation_at(label)
            && let Some(generation) = self.generations.get_mut(&current)
            && generation.offset == 0
        {
            generation.after = Some(id);
            self.successors.entry(id).or_default().push(current);
            self.waits_for(id, current);
        }
        self.tell_position(id);
        self.queue(id);
        self.count_lag(id);
    }

    // `current` waits for `unread`. It may have been on its way out itself, so that `unread` waits for it, by itself or
    // through others: who of them waits for it goes on, or none of them ever would.
    fn waits_for(&mut self, unread: u64, current: u64) {
        let mut at = unread;
        while let Some(before) = self.generations.get(&at).and_then(|generation| generation.after) {
            if before == current {
                if let Some(generation) = self.generations.get_mut(&at) {
                    generation.after = None;
                }
                return self.queue(at);
            }
            at = before;
        }
    }

    // An unread file may be as old as the oldest of its family, but is younger than what was in the same file before
    // it was truncated: of those, a start gives the file to the youngest.
    fn since_of_unread(&self, label: &Arc<Path>, inode: &Inode) -> Option<i64> {
        let known = || self.family(label).iter().filter_map(|id| self.generations.get(id));
        let oldest = known().map(|generation| generation.since_ns).min()?;
        let before = known().filter(|generation| generation.inode.may_be(inode));
        let after = before.map(|generation| generation.since_ns.saturating_add(1)).max();
        Some(oldest.max(after.unwrap_or(oldest)))
    }

    /// Brings what is known of generations that were not begun up to date: content cannot tell them, so a rotation
    /// that was not told yet must not make two of one.
    pub(super) fn refresh_unbegun(&mut self, labels: &BTreeSet<Arc<Path>>) {
        let family = labels
            .iter()
            .flat_map(|label| self.family(label))
            .filter_map(|id| self.generations.get(id));
        let unbegun = family.filter(|generation| generation.offset == 0);
        let paths: Vec<Arc<Path>> = unbegun.flat_map(|g| g.names.iter().cloned()).collect();
        for path in paths {
            if self.look_at_known(&path).is_some() {
                // Another file is there now.
                self.again.push(path);
            }
        }
        self.place_adrift();
    }

    // The oldest generation of which nothing was read and nothing can be found.
    fn unbegun(&self, label: &Arc<Path>) -> Option<u64> {
        let lost = self.family(label).iter().filter_map(|id| self.generations.get(id)).filter(
            |generation| {
                let searched = generation.names.is_empty() && generation.body.is_none();
                searched && !generation.compressed && generation.offset == 0
            },
        );
        Some(lost.min_by_key(|generation| (generation.since_ns, generation.id))?.id)
    }

    /// The known generation whose bytes an unread file begins with: it is a copy that somebody made.
    pub(super) fn copied_from(
        &mut self,
        label: &Arc<Path>,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> Option<u64> {
        let head = self.head(path, compressed)?;
        let family = self.family(label).to_vec();
        family.into_iter().find(|id| {
            let begins = |g: &&Generation| g.offset > 0 && g.marker.begins(&head);
            let Some(generation) = self.generations.get(id).map(Box::as_ref).filter(begins) else {
                return false;
            };
            let (marker, offset) = (generation.marker, generation.offset);
            let named = !generation.names.is_empty() && !generation.compressed;
            match self.content(path, facts, compressed, &marker, offset) {
                Content::Same => true,
                Content::Short if !compressed && facts.size >= HEAD_BYTES as u64 => {
                    !named || self.same_start(*id, path, facts, false).is_ok_and(|(same, _)| same)
                }
                _ => false,
            }
        })
    }

    /// Looks at an unread file later: a copy, or too early to tell.
    pub(super) fn look_later(&mut self, path: &Arc<Path>) {
        self.timers.insert((self.now() + HOLD_NS, Timer::Path(Arc::clone(path))));
    }
}

// Whether the file is of a later generation. A generation of which nothing was read may be this very file.
fn is_later(generation: &Generation, facts: &FileFacts) -> bool {
    let since = generation.since_ns;
    let itself = generation.offset == 0 && generation.bytes() > 0;
    // A generation begins later than its file, if that was truncated.
    let own = facts.born_ns != 0 && generation.inode == Inode::from(facts);
    let born = facts.born_ns == 0 || facts.born_ns >= since || own;
    born && (facts.modified_ns > since || (itself && facts.modified_ns == since))
}

// Whether a generation was rotated to a name with the date before the extension.
fn is_within(generation: &Generation, label: &Path) -> bool {
    let base = label.file_name().and_then(|name| name.to_str());
    let mut places = generation.names.iter().chain([&generation.last]);
    places.any(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let mut origins = names::rotated_from(name).into_iter();
        origins.any(|(origin, style)| style == Style::Within && Some(&*origin) == base)
    })
}
