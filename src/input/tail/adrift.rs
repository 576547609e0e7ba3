//! Looks for the bytes of generations that lost their path: renamed, copied and truncated, or compressed.
//!
//! In: generations without a name. Out: each is bound to a sibling, goes on at its open descriptor, or is forgotten.
//! Promises: a folder is listed once for all of its lost files, and so is the one that a link leads to; an inode is
//! believed before a name, and a name only with the content's consent; nothing is given up while its folder cannot be
//! listed, or for seven days while its file system is away. On failure: a sibling that cannot be read is not the one; a
//! folder that cannot be listed is named in [`Tailer::problem`] and listed again.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compressed::{Archive, MAGIC_BYTES, is_archive};
use super::generation::Generation;
use super::identity::{Content, HEAD_BYTES, Inode, Marker, ReadAt, fill, same_start};
use super::names;
use super::place::is_absence;
use super::tailer::Tailer;
use crate::storage::{File, FileFacts};

/// Siblings whose content is compared for one lost file at most.
const CANDIDATES_MAX: usize = 16;
/// Programs that compress may give the archive the age of the original in whole seconds.
const COARSE_NS: i64 = 2_000_000_000;

struct Sibling {
    path: Arc<Path>,
    facts: FileFacts,
    // Its first bytes, once they were read; `None`: they cannot be.
    head: OnceCell<Option<Vec<u8>>>,
}

/// Where the bytes of a lost file are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Here,
    Nowhere,
    /// What may hold them cannot be read now.
    Perhaps,
}

impl Tailer {
    /// Finds a place for every generation that has none.
    pub(super) fn place_adrift(&mut self) {
        let mut folders: BTreeMap<PathBuf, Vec<u64>> = BTreeMap::new();
        let mut ids = std::mem::take(&mut self.adrift);
        ids.dedup();
        for id in ids {
            let Some(generation) = self.generations.get_mut(&id) else { continue };
            if generation.names.is_empty()
                && let Some(folder) = generation.last.parent()
            {
                if let Some(target) = self.parts.storage.link_target(&generation.last) {
                    generation.home = Some(target.into());
                }
                folders.entry(folder.to_path_buf()).or_default().push(id);
            }
        }
        for (folder, mut ids) in folders {
            // What content proves chooses first: of where nothing was read, age and size alone speak.
            ids.sort_by_key(|id| self.generations.get(id).is_some_and(|g| g.offset == 0));
            let (mut names, mut listed) = self.names_in(&folder);
            for home in self.homes(&folder, &ids) {
                let (more, all) = self.names_in(&home);
                names.extend(more);
                listed &= all;
            }
            let (siblings, unread) = self.siblings(names, &ids);
            let away = self.devices_away(&folder, &ids);
            for id in ids {
                self.place_one(id, &siblings, listed, &away);
            }
            // A rotation may have brought more than the one generation that was known.
            self.again.extend(unread);
            self.list_again(folder);
        }
    }

    // The folders where the links lead that generations were lost from.
    fn homes(&self, folder: &Path, ids: &[u64]) -> BTreeSet<PathBuf> {
        let lost = ids.iter().filter_map(|id| self.generations.get(id));
        let homes = lost.filter_map(|generation| generation.home.as_deref()?.parent());
        homes.filter(|home| *home != folder).map(Path::to_path_buf).collect()
    }

    // The names in a folder, and whether that says what is there: where they cannot be had now, nothing is known. Who
    // may not list a folder never sees a rotated file, so it has none.
    fn names_in(&mut self, folder: &Path) -> (Vec<PathBuf>, bool) {
        match self.parts.storage.list(folder) {
            Err(why) if !is_absence(&why) && why.kind() != io::ErrorKind::PermissionDenied => {
                self.say(folder.to_path_buf(), &why);
                (Vec::new(), false)
            }
            names => {
                self.problems.remove(folder);
                (names.unwrap_or_default(), true)
            }
        }
    }

    // The files of a folder that could be one of the lost: not bound, and either of a lost inode or a fitting name.
    // And those that nobody has read.
    fn siblings(&self, names: Vec<PathBuf>, ids: &[u64]) -> (Vec<Sibling>, Vec<Arc<Path>>) {
        let lost = || ids.iter().filter_map(|id| self.generations.get(id));
        let inodes: HashSet<Inode> = lost().map(|g| g.inode).collect();
        let bases: HashSet<String> = lost().flat_map(|g| family(g)).collect();
        let (mut siblings, mut unread) = (Vec::new(), Vec::new());
        for path in names {
            let Ok(facts) = self.parts.storage.facts(&path) else { continue };
            if self.is_bound(&path, &facts) {
                continue;
            }
            let fits = name_of(&path)
                .is_some_and(|name| names::may_come_from(name, |base| bases.contains(base)));
            let found = inodes.contains(&Inode::from(&facts));
            let path: Arc<Path> = path.into();
            if self.unread_of(&path, &facts).is_some() && !self.wants(&path) {
                unread.push(Arc::clone(&path));
            }
            if facts.regular && (fits || found) {
                siblings.push(Sibling { path, facts, head: OnceCell::new() });
            }
        }
        siblings.sort_by_key(|sibling| sibling.facts.modified_ns);
        (siblings, unread)
    }

    // The devices of the lost whose file systems are not where they were: the folder, or what is left of the way to it,
    // is on another one by now. A folder may hold links to files of other devices, so a known file of such a device
    // that is still there says that it is not away.
    fn devices_away(&self, folder: &Path, ids: &[u64]) -> HashSet<u64> {
        let now = self.now();
        let there = folder.ancestors().find_map(|above| {
            let facts = self.parts.storage.facts(above).ok()?;
            Some((above, facts.device))
        });
        let Some((place, device)) = there else { return HashSet::new() };
        let lost = ids.iter().filter_map(|id| self.generations.get(id));
        let lost = lost.filter(|generation| generation.may_come_back(now));
        let mut away: HashSet<u64> = lost.map(|generation| generation.inode.device).collect();
        away.remove(&device);
        if away.is_empty() {
            return away;
        }
        for generation in self.generations.values() {
            let device = generation.inode.device;
            let within = generation.names.iter().find(|path| path.starts_with(place));
            let is_there = |path: &Arc<Path>| {
                self.parts.storage.facts(path).is_ok_and(|facts| facts.device == device)
            };
            if away.contains(&device) && within.is_some_and(is_there) {
                away.remove(&device);
            }
        }
        away
    }

    fn place_one(&mut self, id: u64, siblings: &[Sibling], listed: bool, away: &HashSet<u64>) {
        if let Some(sibling) = self.own_file(id, siblings)
            && self.place_own(id, sibling)
        {
            return;
        }
        let Some(generation) = self.generations.get(&id) else { return };
        let held = generation.body.as_ref().filter(|_| !generation.lost);
        let removed = held.is_none_or(|body| body.facts().is_ok_and(|facts| facts.links == 0));
        let held = held.is_some();
        let found = match listed {
            false => Found::Perhaps,
            true if removed => self.find_copy(id, siblings),
            true => Found::Nowhere,
        };
        if found == Found::Here {
            return;
        }
        let now = self.now();
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let away = away.contains(&generation.inode.device) && generation.may_come_back(now);
        if !held && !away && found == Found::Nowhere && generation.is_searched(now) {
            // Only now: while its own file may still be found, this may be a copy of its beginning.
            if !self.go_on_in_copy(id, siblings) {
                self.give_up(id);
            }
            return;
        }
        // A folder that was listed in the middle of a rotation may have hidden it.
        let due = generation.search_again(now, listed, away);
        self.set_timer(id, due);
        if held {
            // Its descriptor is read to the end and then held for a while.
            return self.queue(id);
        }
        self.release(id);
    }

    // A generation goes on in its own file under another name; `false`: nothing says that it does.
    fn place_own(&mut self, id: u64, sibling: &Sibling) -> bool {
        match self.try_holds(id, sibling) {
            Ok(Content::Same) => {
                self.bind(id, &sibling.path);
                self.grow(id, &sibling.facts);
            }
            Ok(_) if self.is_later_name(id, &sibling.path) => {
                // Truncated, and renamed before anybody looked.
                self.bind(id, &sibling.path);
                self.truncated(id, &sibling.facts);
            }
            // What cannot be read now says nothing: the descriptor does.
            Err(_) if self.generations.get(&id).is_some_and(|g| g.body.is_some()) => {
                self.bind(id, &sibling.path);
                self.grow(id, &sibling.facts);
            }
            _ => return false,
        }
        true
    }

    /// Whether an unknown file is the own one of a generation that is still looked for, since listings missed it: it
    /// goes on as that one, also where it lost its end.
    pub(super) fn is_looked_for(&mut self, path: &Arc<Path>, facts: &FileFacts) -> bool {
        let inode = Inode::from(facts);
        let known = self.inodes.get(&inode).and_then(|id| self.generations.get(id));
        let own = known.filter(|generation| {
            !generation.lost
                && generation.inode.may_be(&inode)
                && self.nameless.contains(&generation.id)
        });
        let Some(id) = own.map(|generation| generation.id) else { return false };
        let (path, head) = (Arc::clone(path), OnceCell::new());
        self.place_own(id, &Sibling { path, facts: *facts, head })
    }

    // The file of a generation among those that no path binds.
    fn own_file<'a>(&self, id: u64, siblings: &'a [Sibling]) -> Option<&'a Sibling> {
        let generation = self.generations.get(&id).filter(|generation| !generation.lost)?;
        siblings.iter().find(|sibling| {
            Inode::from(&sibling.facts).may_be(&generation.inode)
                && !self.is_bound(&sibling.path, &sibling.facts)
        })
    }

    // Whether new content in a generation's own file is to be read under this path: the birth says that it is no
    // other file with the same number, and the name that it was rotated.
    fn is_later_name(&self, id: u64, path: &Path) -> bool {
        let Some(generation) = self.generations.get(&id) else { return false };
        let base = name_of(&generation.label);
        let rotated = || name_of(path).into_iter().flat_map(names::rotated_from);
        generation.inode.born_ns != 0
            && !generation.compressed
            && (self.wants(path) || rotated().any(|(origin, _)| Some(&*origin) == base))
    }

    // Whether the bytes were found in a sibling: a copy, or compressed.
    fn find_copy(&mut self, id: u64, siblings: &[Sibling]) -> Found {
        let Some(generation) = self.generations.get(&id) else { return Found::Nowhere };
        let copies = generation.copies.clone();
        let written = generation.written_ns().saturating_sub(COARSE_NS);
        let fits = |s: &&Sibling| {
            !self.is_bound(&s.path, &s.facts)
                && !self.is_other_file(id, &s.facts)
                && self.is_copy_name(id, s)
        };
        // What was written no earlier than the lost file, the oldest first: the next copy is its own.
        let (later, earlier): (Vec<&Sibling>, Vec<&Sibling>) =
            siblings.iter().filter(fits).partition(|s| s.facts.modified_ns >= written);
        let candidates = later.into_iter().take(CANDIDATES_MAX);
        let candidates: Vec<&Sibling> =
            candidates.chain(earlier.into_iter().rev().take(CANDIDATES_MAX)).collect();
        let (mut shorter, mut unread) = (None, false);
        for sibling in candidates {
            let compressed = self.is_compressed(&sibling.path);
            let head = sibling.head.get_or_init(|| self.head(&sibling.path, compressed));
            unread |= head.is_none() && self.unreadable(&sibling.path).is_some();
            let marker = self.generations.get(&id).map(|generation| generation.marker);
            if let (Some(head), Some(marker)) = (head, marker)
                && !marker.begins(head)
            {
                continue;
            }
            match self.holds(id, sibling) {
                Content::Same => {
                    self.take_over(id, &sibling.path, &sibling.facts, compressed);
                    return Found::Here;
                }
                Content::Short if !compressed && sibling.facts.size > 0 => {
                    let made = (Arc::clone(&sibling.path), Inode::from(&sibling.facts));
                    let seen_made = copies.contains(&made) && !self.lost_its_end(id);
                    if seen_made || self.is_short_copy(id, &sibling.facts) {
                        shorter = shorter.or(Some(sibling));
                    }
                }
                _ => {}
            }
        }
        // A copy made before the last bytes came; all of it was read.
        match shorter {
            _ if unread => Found::Perhaps,
            None => Found::Nowhere,
            Some(sibling) => {
                self.shorten(id, &sibling.path, &sibling.facts);
                self.take_over(id, &sibling.path, &sibling.facts, false);
                Found::Here
            }
        }
    }

    // A log that lost its end in a power cut, and was compressed, or copied and truncated, before anybody found it,
    // goes on in its archive or copy.
    fn go_on_in_copy(&mut self, id: u64, siblings: &[Sibling]) -> bool {
        let fits = |s: &&Sibling| {
            !self.is_bound(&s.path, &s.facts)
                && !self.is_other_file(id, &s.facts)
                && self.is_copy_name(id, s)
        };
        // The youngest has most of it.
        let mut candidates = siblings.iter().rev().filter(fits).take(CANDIDATES_MAX);
        let found = candidates.find_map(|s| {
            let compressed = self.is_compressed(&s.path);
            Some((s, compressed, self.end_in_copy(id, &s.path, &s.facts, compressed)?))
        });
        let label = self.generations.get(&id).map(|generation| Arc::clone(&generation.label));
        let (Some((Sibling { path, facts, .. }, compressed, end)), Some(label)) = (found, label)
        else {
            return false;
        };
        let new = self.add(&label, facts, compressed);
        self.leaving.push(new);
        if let Some(generation) = self.generations.get_mut(&new) {
            generation.left = true;
        }
        self.bind(new, path);
        self.go_on_after_cut(id, new, &end);
        true
    }

    /// Whether a file that is shorter than what was read of a lost one, and does not contradict, is its copy, made
    /// before its last bytes came. Very short ones are not told from a file that only begins alike.
    pub(super) fn is_short_copy(&self, id: u64, facts: &FileFacts) -> bool {
        // After a power cut it may have been written to in the place of what was lost.
        let lost = self.generations.get(&id).is_some_and(|g| g.lost && !g.compressed);
        lost && !self.lost_its_end(id) && facts.size >= HEAD_BYTES as u64
    }

    // The bytes are nowhere.
    fn give_up(&mut self, id: u64) {
        let Some(generation) = self.generations.get(&id) else { return };
        let path = generation.last.display();
        let bytes = generation.bytes().saturating_sub(generation.offset);
        let counts = &self.parts.counts;
        let bytes = if generation.compressed { 0 } else { bytes };
        let awaited = generation.awaited.is_some();
        // What was rotated before is deleted one day; what was still written to had perhaps an end nobody saw.
        if awaited && (bytes > 0 || generation.last == generation.label) {
            counts.gone.increment();
            counts.skipped_gone.add(bytes);
            tracing::warn!(
                %path,
                offset = generation.offset,
                known_bytes_lost = bytes,
                "this file was read up to `offset` before logweir was stopped and was gone when it started again \
                 (deleted, or truncated without a copy in the same folder), so what was written to it after that \
                 is lost; keep more rotated files (logrotate: `rotate`), or let logweir run"
            );
        } else if bytes > 0 {
            let counter =
                if generation.lost { &counts.skipped_truncated } else { &counts.skipped_removed };
            counter.add(bytes);
            tracing::warn!(
                %path,
                bytes,
                "this file was deleted or truncated before all of it could be read, and there is no copy of it in \
                 the same folder; keep more rotated files (logrotate: `rotate`)"
            );
        }
        self.forget(id);
    }

    // A path that was given to another file since it was looked at counts as free.
    fn is_bound(&self, path: &Path, facts: &FileFacts) -> bool {
        let bound = self.generation_at(path).and_then(|id| self.generations.get(&id));
        bound.is_some_and(|generation| generation.inode.may_be(&Inode::from(facts)))
    }

    // The file of another generation under a name that was not looked at yet is no copy; the birth says that it is no
    // new file with the same number.
    fn is_other_file(&self, id: u64, facts: &FileFacts) -> bool {
        let inode = Inode::from(facts);
        let known = self.inodes.get(&inode).and_then(|other| self.generations.get(other));
        known.is_some_and(|other| {
            other.id != id && !other.lost && inode.born_ns != 0 && other.inode.may_be(&inode)
        })
    }

    // By name; where nothing was read yet, so that content proves nothing, also by age and size.
    fn is_copy_name(&self, id: u64, sibling: &Sibling) -> bool {
        let Some(generation) = self.generations.get(&id) else { return false };
        let Some(name) = name_of(&sibling.path) else { return false };
        let bases = family(generation);
        let archive = name_of(&generation.last)
            .is_some_and(|last| names::unpacked(name).is_some_and(|plain| plain == last));
        let proved = generation.offset > 0
            || (archive
                && generation.bytes() > 0
                && sibling.facts.born_ns >= generation.inode.born_ns)
            || (generation.lost
                && generation.size > 0
                && sibling.facts.size >= generation.size
                && sibling.facts.born_ns >= generation.inode.born_ns);
        proved && names::may_come_from(name, |base| bases.iter().any(|own| own == base))
    }

    fn is_compressed(&self, path: &Path) -> bool {
        self.settings.read_compressed && name_of(path).is_some_and(names::is_archive)
    }

    fn holds(&mut self, id: u64, sibling: &Sibling) -> Content {
        self.try_holds(id, sibling).unwrap_or(Content::Differs)
    }

    fn try_holds(&mut self, id: u64, sibling: &Sibling) -> io::Result<Content> {
        let Sibling { path, facts, .. } = sibling;
        let named = self.is_compressed(path);
        let Some(generation) = self.generations.get(&id) else { return Ok(Content::Differs) };
        let same_file = Inode::from(facts).may_be(&generation.inode) && !generation.lost;
        let compressed = if same_file { generation.compressed } else { named };
        let (marker, offset, size) = (generation.marker, generation.offset, generation.size);
        if same_file && !compressed && facts.size < generation.scanned {
            return Ok(Content::Short);
        }
        if same_file || offset > 0 {
            return self.try_content(path, facts, compressed, &marker, offset);
        }
        // Nothing was read yet, so that the marker proves nothing.
        let same = if generation.body.is_some() {
            self.same_start(id, path, facts, compressed).is_ok_and(|(same, n)| same && n > 0)
        } else {
            !compressed || self.unpacks_to(path, size)
        };
        Ok(if same { Content::Same } else { Content::Differs })
    }

    // Whether an archive holds at least so many bytes.
    fn unpacks_to(&self, path: &Path, size: u64) -> bool {
        let Ok(file) = self.parts.storage.open_read(path) else { return false };
        let mut archive = Archive::new(file);
        size > 0 && archive.read_at(&mut [0], size - 1).is_ok_and(|n| n == 1)
    }

    /// Takes a short copy for all that there is.
    pub(super) fn shorten(&mut self, id: u64, path: &Path, facts: &FileFacts) {
        let Ok(file) = self.parts.storage.open_read(path) else { return };
        let size = facts.size;
        let Ok(marker) = Marker::of(&mut |b, o| file.read_at(b, o), size) else { return };
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.offset = size;
        generation.marker = marker;
        generation.trail.back_to(size);
    }

    /// The first bytes of a file's content; `None`: it cannot be read.
    pub(super) fn head(&self, path: &Path, compressed: bool) -> Option<Vec<u8>> {
        let file = self.parts.storage.open_read(path).ok()?;
        let mut head = vec![0; HEAD_BYTES];
        let got = if compressed {
            let mut archive = Archive::new(file);
            fill(&mut |bytes, offset| archive.read_at(bytes, offset), &mut head, 0)
        } else {
            fill(&mut |bytes, offset| file.read_at(bytes, offset), &mut head, 0)
        };
        head.truncate(got.ok()?);
        Some(head)
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
        // Files may have been renamed since the path was looked at: this one's content would say nothing.
        if !Inode::from(&file.facts()?).may_be(&Inode::from(facts)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if !compressed {
            return marker.check(&mut |b, o| file.read_at(b, o), facts.size, offset);
        }
        let mut archive = Archive::new(file);
        marker.check(&mut |b, o| archive.read_at(b, o), u64::MAX, offset)
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
        let known = original.facts()?;
        if !Inode::from(&known).may_be(&generation.inode) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let size = known.size;
        let mut theirs = |b: &mut [u8], o: u64| original.read_at(b, o);
        compare(copy, facts.size, compressed, &mut theirs, size)
    }
}

// The copy must not be longer than the original; of an archive only the first kilobyte is compared.
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
    let mut magic = [0; MAGIC_BYTES];
    if fill(&mut |bytes, offset| copy.read_at(bytes, offset), &mut magic, 0)? < magic.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !is_archive(&magic) {
        return Ok((false, 0));
    }
    let mut archive = Archive::new(copy);
    let length = size.min(HEAD_BYTES as u64);
    Ok((same_start(&mut |b, o| archive.read_at(b, o), theirs, length)?, length))
}

/// The names that a file had, also behind a link, and those that they may have been rotated from.
pub(super) fn family(generation: &Generation) -> Vec<String> {
    let places = [&generation.label, &generation.last].into_iter().chain(&generation.home);
    let own = places.filter_map(|path| name_of(path));
    own.flat_map(|name| names::originals(name).into_iter().chain([name.to_string()])).collect()
}

fn name_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
