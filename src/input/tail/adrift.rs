//! Looks for the bytes of generations that lost their path: renamed, copied and truncated, or compressed.
//!
//! In: generations without a name. Out: each is bound to a sibling, goes on at its open descriptor, or is forgotten.
//! Promises: a folder is listed once for all of its lost files; an inode is believed before a name, and a name only
//! with the content's consent. On failure: a sibling that cannot be read is not the one.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compressed::{Gzip, is_gzip};
use super::generation::Generation;
use super::identity::{Content, HEAD_BYTES, Inode, Marker, ReadAt, same_start};
use super::names;
use super::tailer::Tailer;
use crate::storage::{File, FileFacts};

/// Siblings whose content is compared for one lost file at most, the newest first.
const CANDIDATES_MAX: usize = 8;

struct Sibling {
    path: Arc<Path>,
    facts: FileFacts,
}

impl Tailer {
    /// Finds a place for every generation that has none.
    pub(super) fn place_adrift(&mut self) {
        let mut folders: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
        let mut ids = std::mem::take(&mut self.adrift);
        ids.dedup();
        for id in ids {
            let Some(generation) = self.generations.get(&id) else { continue };
            if generation.names.is_empty()
                && let Some(folder) = generation.last.parent()
            {
                folders.entry(folder.to_path_buf()).or_default().push(id);
            }
        }
        for (folder, ids) in folders {
            let siblings = self.siblings(&folder, &ids);
            for id in ids {
                self.place_one(id, &siblings);
            }
        }
    }

    // The files of a folder that could be one of the lost: not bound, and either of a lost inode or a fitting name.
    fn siblings(&self, folder: &Path, ids: &[u64]) -> Vec<Sibling> {
        let lost = || ids.iter().filter_map(|id| self.generations.get(id));
        let inodes: HashSet<(u64, u64)> = lost().map(|g| g.inode.number()).collect();
        let bases: HashSet<String> = lost().flat_map(family).collect();
        let mut siblings = Vec::new();
        for path in self.parts.storage.list(folder).unwrap_or_default() {
            let Ok(facts) = self.parts.storage.facts(&path) else { continue };
            if self.is_bound(&path, &facts) {
                continue;
            }
            let fits = name_of(&path).is_some_and(|name| {
                names::originals(name).iter().any(|original| bases.contains(original))
            });
            let found = inodes.contains(&(facts.device, facts.inode));
            if facts.regular && (fits || found) {
                siblings.push(Sibling { path: path.into(), facts });
            }
        }
        siblings.sort_by_key(|sibling| std::cmp::Reverse(sibling.facts.modified_ns));
        siblings
    }

    fn place_one(&mut self, id: u64, siblings: &[Sibling]) {
        let free =
            |tailer: &Tailer, sibling: &&Sibling| !tailer.is_bound(&sibling.path, &sibling.facts);
        let Some(generation) = self.generations.get(&id) else { return };
        let (inode, lost, open) = (generation.inode, generation.lost, generation.body.is_some());
        let same = |s: &&Sibling| !lost && Inode::from(&s.facts).may_be(&inode);
        if let Some(sibling) = siblings.iter().find(|s| free(self, s) && same(s))
            && (open || self.holds(id, sibling) == Content::Same)
        {
            self.bind(id, &sibling.path);
            return self.grow(id, &sibling.facts);
        }
        let Some(generation) = self.generations.get(&id) else { return };
        let held = generation.body.as_ref().filter(|_| !generation.lost);
        let removed = held.is_none_or(|body| body.facts().is_ok_and(|facts| facts.links == 0));
        let held = held.is_some();
        if removed && self.find_copy(id, siblings) {
            return;
        }
        if held {
            // Its descriptor is read to the end and then held for a while.
            self.set_timer(id, self.now() + super::tailer::POLL_NS);
            return self.queue(id);
        }
        self.give_up(id);
    }

    // Whether the bytes were found in a sibling: a copy, or compressed.
    fn find_copy(&mut self, id: u64, siblings: &[Sibling]) -> bool {
        let Some(generation) = self.generations.get(&id) else { return false };
        let copies = generation.copies.clone();
        let fits = |s: &&Sibling| !self.is_bound(&s.path, &s.facts) && self.is_copy_name(id, s);
        let candidates: Vec<&Sibling> = siblings.iter().filter(fits).take(CANDIDATES_MAX).collect();
        for sibling in candidates {
            let compressed = self.is_compressed(&sibling.path);
            match self.holds(id, sibling) {
                Content::Same => {
                    self.take_over(id, &sibling.path, &sibling.facts, compressed);
                    return true;
                }
                // A copy made before the last bytes came; all of it was read.
                Content::Short if copies.contains(&sibling.path) && !compressed => {
                    self.shorten(id, sibling);
                    self.take_over(id, &sibling.path, &sibling.facts, false);
                    return true;
                }
                _ => {}
            }
        }
        false
    }

    // The bytes are nowhere.
    fn give_up(&mut self, id: u64) {
        let lag = self.generations.get(&id).map_or(0, |g| g.size.saturating_sub(g.offset));
        let lost = self.generations.get(&id).is_some_and(|g| g.lost);
        let compressed = self.generations.get(&id).is_some_and(|g| g.compressed);
        if !compressed && lost {
            self.parts.counts.skipped_truncated.add(lag);
        } else if !compressed {
            self.parts.counts.skipped_removed.add(lag);
        }
        self.forget(id);
    }

    // A path that was given to another file since it was looked at counts as free.
    fn is_bound(&self, path: &Path, facts: &FileFacts) -> bool {
        let bound = self.generation_at(path).and_then(|id| self.generations.get(&id));
        bound.is_some_and(|generation| generation.inode.may_be(&Inode::from(facts)))
    }

    // By name; where nothing was read yet, so that content proves nothing, also by age and size.
    fn is_copy_name(&self, id: u64, sibling: &Sibling) -> bool {
        let Some(generation) = self.generations.get(&id) else { return false };
        let Some(name) = name_of(&sibling.path) else { return false };
        let bases = family(generation);
        let archive = name_of(&generation.last)
            .is_some_and(|last| name.strip_suffix(".gz").is_some_and(|plain| plain == last));
        let proved = generation.offset > 0
            || (archive
                && generation.size > 0
                && sibling.facts.born_ns >= generation.inode.born_ns)
            || (generation.lost
                && generation.size > 0
                && sibling.facts.size >= generation.size
                && sibling.facts.born_ns >= generation.inode.born_ns);
        proved && names::originals(name).iter().any(|original| bases.contains(original))
    }

    fn is_compressed(&self, path: &Path) -> bool {
        self.settings.read_compressed && name_of(path).is_some_and(names::is_gzip)
    }

    fn holds(&mut self, id: u64, sibling: &Sibling) -> Content {
        let Sibling { path, facts } = sibling;
        let named_gzip = self.is_compressed(path);
        let Some(generation) = self.generations.get(&id) else { return Content::Differs };
        let same_file = Inode::from(facts).may_be(&generation.inode) && !generation.lost;
        let compressed = if same_file { generation.compressed } else { named_gzip };
        let (marker, offset, size) = (generation.marker, generation.offset, generation.size);
        if same_file || offset > 0 {
            return self.content(path, facts, compressed, &marker, offset);
        }
        // Nothing was read yet, so that the marker proves nothing.
        let same = if generation.body.is_some() {
            self.same_start(id, path, facts, compressed).is_ok_and(|(same, n)| same && n > 0)
        } else {
            !compressed || self.unpacks_to(path, size)
        };
        if same { Content::Same } else { Content::Differs }
    }

    // Whether an archive holds at least so many bytes.
    fn unpacks_to(&self, path: &Path, size: u64) -> bool {
        let Ok(file) = self.parts.storage.open_read(path) else { return false };
        let mut gzip = Gzip::new(file);
        size > 0 && gzip.read_at(&mut [0], size - 1).is_ok_and(|n| n == 1)
    }

    fn shorten(&mut self, id: u64, sibling: &Sibling) {
        let Ok(file) = self.parts.storage.open_read(&sibling.path) else { return };
        let size = sibling.facts.size;
        let Ok(marker) = Marker::of(&mut |b, o| file.read_at(b, o), size) else { return };
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.offset = size;
        generation.marker = marker;
    }

    /// What the content of the file at `path` says about a marker; a file that cannot be read differs.
    pub(super) fn content(
        &self,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
        marker: &Marker,
        offset: u64,
    ) -> Content {
        self.try_content(path, facts, compressed, marker, offset).unwrap_or(Content::Differs)
    }

    /// As [`Tailer::content`]; a file that cannot be read now says nothing, which counts as the same: its inode
    /// says so, and reading it will tell.
    pub(super) fn content_of_same_inode(
        &self,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
        marker: &Marker,
        offset: u64,
    ) -> Content {
        self.try_content(path, facts, compressed, marker, offset).unwrap_or(Content::Same)
    }

    fn try_content(
        &self,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
        marker: &Marker,
        offset: u64,
    ) -> io::Result<Content> {
        let file = self.parts.storage.open_read(path)?;
        if !compressed {
            return marker.check(&mut |b, o| file.read_at(b, o), facts.size, offset);
        }
        let mut gzip = Gzip::new(file);
        marker.check(&mut |b, o| gzip.read_at(b, o), u64::MAX, offset)
    }

    /// Whether a file starts like a generation's own file, and how many bytes were compared.
    pub(super) fn same_start(
        &mut self,
        id: u64,
        path: &Path,
        facts: &FileFacts,
        compressed: bool,
    ) -> io::Result<(bool, u64)> {
        let storage = Arc::clone(&self.parts.storage);
        let Some(generation) = self.generations.get_mut(&id) else { return Ok((false, 0)) };
        let copy = storage.open_read(path)?;
        if let Some(body) = &mut generation.body {
            let size = body.facts()?.size;
            let mut theirs = |b: &mut [u8], o: u64| body.read_at(b, o);
            return compare(copy, facts.size, compressed, &mut theirs, size);
        }
        let original = storage.open_read(generation.names.first().unwrap_or(&generation.last))?;
        let size = original.facts()?.size;
        let mut theirs = |b: &mut [u8], o: u64| original.read_at(b, o);
        compare(copy, facts.size, compressed, &mut theirs, size)
    }
}

// The copy must not be longer than the original; of a gzip only the first kilobyte is compared.
fn compare(
    copy: Box<dyn File>,
    copy_size: u64,
    compressed: bool,
    theirs: &mut ReadAt<'_>,
    size: u64,
) -> io::Result<(bool, u64)> {
    if !compressed {
        let fits = copy_size <= size;
        let same = fits && same_start(&mut |b, o| copy.read_at(b, o), theirs, copy_size)?;
        return Ok((same, copy_size));
    }
    let mut magic = [0; 2];
    if copy.read_at(&mut magic, 0)? < magic.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !is_gzip(&magic) {
        return Ok((false, 0));
    }
    let mut gzip = Gzip::new(copy);
    let length = size.min(HEAD_BYTES as u64);
    Ok((same_start(&mut |b, o| gzip.read_at(b, o), theirs, length)?, length))
}

/// The names that a file had, and those that they may have been rotated from.
pub(super) fn family(generation: &Generation) -> Vec<String> {
    let own = [&generation.label, &generation.last].into_iter().filter_map(|path| name_of(path));
    own.flat_map(|name| names::originals(name).into_iter().chain([name.to_string()])).collect()
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
