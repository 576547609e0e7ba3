//! Paths to generations: what a look at a path found is observed here, [`decide`] says what it means, and it is
//! done here.
//!
//! In: paths. Out: bindings between paths, inodes and generations. Promises: known files are placed first, then
//! those that lost their path are looked for, and only then is an unknown file taken for new, so that a file that
//! was rotated is finished before its successor. On failure: the path is named in [`Tailer::problem`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::decide::{Action, Known, Original, Seen, decide};
use super::generation::Generation;
use super::identity::{Content, Inode, Marker};
use super::names;
use super::settings::StartAt;
use super::tables::HashSet;
use super::tailer::{Place, Tailer, Timer};
use crate::pulse;
use crate::storage::{File, FileFacts};

/// Unfinished last line that is searched for its start with `start_at = "end"`.
const LAST_LINE_BYTES: u64 = 64 * 1024;

struct Stranger {
    path: Arc<Path>,
    facts: FileFacts,
    // The path whose unread generation it is. Found out before the others are placed: one that takes over a copy of
    // what was truncated does not tell any more what may be in its former file.
    unread: Option<Arc<Path>>,
}

impl Tailer {
    /// Looks at paths and does what the looks mean.
    pub(super) fn look_at(&mut self, paths: Vec<Arc<Path>>) {
        let mut seen = HashSet::default();
        let mut strangers = Vec::new();
        for path in paths {
            pulse::beat();
            if seen.insert(Arc::clone(&path))
                && let Some(facts) = self.look_at_known(&path)
            {
                let unread = if self.wants(&path) { None } else { self.unread_of(&path, &facts) };
                strangers.push(Stranger { path, facts, unread });
            }
        }
        // Of very many files each list is large.
        drop(seen);
        // Twice: what is found in its place, but truncated, is then looked for elsewhere.
        self.place_adrift();
        self.place_adrift();
        // The oldest first, so that an original is known before its copy; what was rotated is as old as its last line.
        strangers.sort_by_cached_key(|Stranger { path, facts, .. }| {
            let begin = if self.wants(path) { facts.born_ns } else { facts.modified_ns };
            (begin, facts.modified_ns)
        });
        let labels = strangers.iter().filter_map(|stranger| stranger.unread.clone()).collect();
        self.refresh_unbegun(&labels);
        for stranger in strangers {
            self.look_at_stranger(&stranger);
        }
        if !self.adrift.is_empty() {
            self.place_adrift();
        }
        self.parts.counts.files.set(self.generations.len() as i64);
    }

    // Places a file that is known by its path or inode; the facts of an unknown one that a glob means.
    pub(super) fn look_at_known(&mut self, path: &Arc<Path>) -> Option<FileFacts> {
        let facts = match self.parts.storage.facts(path) {
            Ok(facts) if facts.regular => Some(facts),
            Ok(_) => {
                self.leave(path);
                self.skip(path, "it is not a regular file");
                return None;
            }
            Err(why) if is_absence(&why) => None,
            Err(why) => {
                self.say(path.to_path_buf(), &why);
                self.again_later(path);
                return None;
            }
        };
        loop {
            let here = self.here(path, facts.as_ref());
            let unplaced = if here.is_none() { facts.as_ref() } else { None };
            let elsewhere = unplaced.and_then(|facts| self.elsewhere(path, facts));
            let known = elsewhere.map(|(_, known)| known);
            let size = facts.map(|facts| self.content_size(path, &facts));
            match decide(&Seen { size, here, elsewhere: known, original: None }) {
                Action::Ignore => {
                    self.paths.remove(path);
                    self.problems.remove(&**path);
                    return None;
                }
                Action::Left => self.leave(path),
                Action::Continue => {
                    if self.generation_at(path).and_then(|id| self.retry_of(id)).is_none() {
                        self.problems.remove(&**path);
                    }
                    self.grow(self.generation_at(path)?, &facts?);
                    return None;
                }
                Action::Truncated => {
                    self.truncated(self.generation_at(path)?, &facts?);
                    return None;
                }
                Action::Adopt => {
                    let (id, _) = elsewhere?;
                    self.bind(id, path);
                    self.grow(id, &facts?);
                    return None;
                }
                Action::New | Action::Hold | Action::TakeOver => {
                    let facts = facts?;
                    let read = self.wants(path) || self.is_unread(path, &facts);
                    return read.then_some(facts);
                }
            }
        }
    }

    fn look_at_stranger(&mut self, stranger: &Stranger) {
        let Stranger { path, facts, .. } = stranger;
        if self.generation_at(path).is_some() {
            return;
        }
        // What came just before may have been given this very file.
        if let Some((id, known)) = self.elsewhere(path, facts)
            && known.content == Content::Same
        {
            self.bind(id, path);
            return self.grow(id, facts);
        }
        if self.is_looked_for(path, facts) {
            return;
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if names::is_unreadable(name) {
            return self.skip(path, "this compression is not supported; exclude it or unpack it");
        }
        let compressed = names::is_archive(name);
        if compressed && !self.settings.read_compressed {
            self.paths.insert(Arc::clone(path), Place::Skipped);
            return;
        }
        if self.is_old(facts) {
            self.paths.insert(Arc::clone(path), Place::Skipped);
            return;
        }
        if self.has_relatives(path)
            && let Some(why) = self.unreadable(path)
        {
            // It may be a copy of what was read: that is found out when it can be read.
            self.say(path.to_path_buf(), &why);
            return self.again_later(path);
        }
        let original = self.original(path, facts, compressed);
        if self.generation_at(path).is_some() {
            return;
        }
        // Another file may have this name by now, whose content was then compared.
        if !self.is_still_at(path, facts) {
            return self.again.push(Arc::clone(path));
        }
        if !self.wants(path) {
            return self.look_at_unread(stranger, original, compressed);
        }
        let seen = original.map(|(_, original)| original);
        let size = Some(facts.size);
        match decide(&Seen { size, here: None, elsewhere: None, original: seen }) {
            Action::TakeOver => {
                if let Some((id, _)) = original {
                    self.take_over(id, path, facts, compressed);
                }
            }
            Action::Hold => {
                if let Some((id, _)) = original {
                    self.hold_back(id, path, facts);
                    if self.nameless.contains(&id) {
                        self.look_later(path);
                    }
                }
            }
            _ => {
                self.create(path, facts, compressed);
            }
        }
    }

    fn is_still_at(&self, path: &Path, facts: &FileFacts) -> bool {
        let same = |now: FileFacts| Inode::from(&now).may_be(&Inode::from(facts));
        self.parts.storage.facts(path).is_ok_and(same)
    }

    // A file that no glob means is never read while it could be a copy of what is known.
    fn look_at_unread(
        &mut self,
        Stranger { path, facts, unread }: &Stranger,
        original: Option<(u64, Original)>,
        compressed: bool,
    ) {
        let Some(label) = unread else { return };
        let original = original.filter(|(_, original)| original.content != Content::Differs);
        if let Some((id, original)) = original {
            if !original.alive && original.content == Content::Same {
                return self.take_over(id, path, facts, compressed);
            }
            self.hold_back(id, path, facts);
            return self.look_later(path);
        }
        let copied = self.copied_from(label, path, facts, compressed);
        if !self.is_still_at(path, facts) {
            return self.again.push(Arc::clone(path));
        }
        match copied {
            Some(id) => self.hold_back(id, path, facts),
            None => self.create_unread(label, path, facts, compressed),
        }
    }

    /// The generation at a path.
    pub(super) fn generation_at(&self, path: &Path) -> Option<u64> {
        match self.paths.get(path) {
            Some(Place::Generation(id)) => Some(*id),
            _ => None,
        }
    }

    fn retry_of(&self, id: u64) -> Option<(u64, u32)> {
        self.generations.get(&id)?.retry
    }

    fn here(&self, path: &Path, facts: Option<&FileFacts>) -> Option<Known> {
        let generation = self.generations.get(&self.generation_at(path)?)?;
        let same = facts.is_some_and(|facts| generation.inode.may_be(&Inode::from(facts)));
        let offset = generation.offset;
        // A file may be truncated and written to the same size within one tick of the file system's clock. In all
        // other cases reading finds out whether the content is still the same.
        let content = match facts {
            Some(facts) if self.told && same && facts.size == offset && !generation.compressed => {
                self.content_of_same_inode(path, facts, false, &generation.marker, offset)
            }
            _ => Content::Same,
        };
        // What was seen of an unfinished line was there, too.
        Some(Known { same_file: same, offset: offset.max(generation.scanned), content })
    }

    // An archive's size says nothing about its content's length.
    fn content_size(&self, path: &Path, facts: &FileFacts) -> u64 {
        let here =
            self.generation_at(path).or_else(|| self.inodes.get(&Inode::from(facts)).copied());
        let compressed =
            here.and_then(|id| self.generations.get(&id)).is_some_and(|g| g.compressed);
        if compressed { u64::MAX } else { facts.size }
    }

    fn elsewhere(&mut self, path: &Path, facts: &FileFacts) -> Option<(u64, Known)> {
        let id = *self.inodes.get(&Inode::from(facts))?;
        let generation = self.generations.get(&id)?;
        if !generation.inode.may_be(&Inode::from(facts)) || generation.lost {
            return None;
        }
        // To unpack a whole archive for a check that its birth has passed would cost too much.
        let (ours, theirs) = (generation.inode.born_ns, facts.born_ns);
        let content = if generation.compressed && ours == theirs && ours != 0 {
            Content::Same
        } else {
            let (marker, offset) = (generation.marker, generation.offset);
            self.content_of_same_inode(path, facts, generation.compressed, &marker, offset)
        };
        let known = Known { same_file: true, offset: generation.offset, content };
        (content != Content::Differs).then_some((id, known))
    }

    /// A file of `id` grew, or was touched.
    pub(super) fn grow(&mut self, id: u64, facts: &FileFacts) {
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let changed = generation.size != facts.size || generation.modified_ns != facts.modified_ns;
        let compressed = generation.compressed;
        let unread = !compressed && facts.size > generation.offset;
        generation.size = facts.size;
        generation.modified_ns = facts.modified_ns;
        generation.held &= !changed;
        if changed && compressed {
            // An archive that has grown is opened anew, past the wound at its old end.
            self.close(id);
        }
        if changed || unread {
            let Some(generation) = self.generations.get_mut(&id) else { return };
            generation.retry = None;
            generation.end_at = None;
            self.queue(id);
        }
        self.count_lag(id);
    }

    /// The content of a generation's file was replaced: the names go to a new generation, the old one is looked for.
    pub(super) fn truncated(&mut self, id: u64, facts: &FileFacts) {
        let end = self.end_after_cut(id, facts);
        self.parts.counts.truncations.increment();
        self.close(id);
        let Some(generation) = self.generations.get_mut(&id) else { return };
        let names = std::mem::take(&mut generation.names);
        if let Some(awaited) = generation.awaited {
            generation.size = awaited.size;
        }
        let compressed = generation.compressed;
        let rotated = generation.left.then(|| Arc::clone(&generation.label));
        generation.lost = true;
        generation.left = true;
        generation.partial_since = None;
        generation.scanned = 0;
        if let Some(name) = names.first() {
            generation.last = Arc::clone(name);
        }
        self.leaving.push(id);
        self.adrift.push(id);
        self.nameless.insert(id);
        if self.inodes.get(&generation.inode) == Some(&id) {
            self.inodes.remove(&generation.inode);
        }
        let label = rotated.unwrap_or_else(|| Arc::clone(&generation.last));
        let new = self.add(&label, facts, compressed);
        for name in &names {
            self.bind(new, name);
        }
        if let Some(end) = end {
            self.go_on_after_cut(id, new, &end);
        }
        if names.is_empty() {
            // A removed file that is still written to, and was truncated: it goes on without a name.
            return self.forget(new);
        }
        // Known from now on: rotations while the agent is down must not hide what came into the file.
        if self.generations.get(&new).is_some_and(|generation| !generation.announced) {
            self.tell_position(new);
        }
    }

    // The file is not at this path any more.
    fn leave(&mut self, path: &Arc<Path>) {
        let Some(Place::Generation(id)) = self.paths.remove(path) else { return };
        self.problems.remove(&**path);
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.names.retain(|name| name != path);
        if generation.names.is_empty() {
            generation.last = Arc::clone(path);
            self.adrift.push(id);
            self.nameless.insert(id);
        }
        let copies: Vec<Arc<Path>> =
            generation.copies.iter().map(|(path, _)| path.clone()).collect();
        if *generation.label == **path || generation.names.is_empty() {
            if !generation.left {
                self.parts.counts.rotations.increment();
            }
            generation.left = true;
            generation.finished = false;
            self.leaving.push(id);
        }
        self.again.extend(copies);
        self.queue(id);
    }

    /// A generation is at this path now.
    pub(super) fn bind(&mut self, id: u64, path: &Arc<Path>) {
        if let Some(other) = self.generation_at(path)
            && other != id
        {
            self.leave(path);
        }
        let Some(generation) = self.generations.get_mut(&id) else { return };
        self.nameless.remove(&id);
        generation.search = None;
        if !generation.names.contains(path) {
            // Mostly it is the only one.
            generation.names.reserve_exact(1);
            generation.names.push(Arc::clone(path));
            // It may be a symbolic link, whose place is to be watched.
            self.new_files.push(path.to_path_buf());
        }
        self.inodes.insert(generation.inode, id);
        self.paths.insert(Arc::clone(path), Place::Generation(id));
        self.problems.remove(&**path);
    }

    // A file never seen before.
    fn create(&mut self, path: &Arc<Path>, facts: &FileFacts, compressed: bool) {
        let id = self.add(path, facts, compressed);
        self.bind(id, path);
        let adopted = !compressed && self.start_at_adopted(id, path, facts);
        if !adopted && self.first_start && self.settings.start_at == StartAt::End && !compressed {
            self.start_at_end(id, path, facts);
        }
        // Known from now on: a rotation while the agent is down must not hide the file.
        self.untold.push_back(id);
        if compressed || facts.size > 0 {
            self.queue(id);
        }
        self.count_lag(id);
    }

    pub(super) fn add(&mut self, label: &Arc<Path>, facts: &FileFacts, compressed: bool) -> u64 {
        let id = self.fresh_id();
        let mut generation = Generation::new(id, facts, Arc::clone(label));
        generation.compressed = compressed;
        let before = self.leaving.iter().rev().copied().find(|old| {
            self.generations.get(old).is_some_and(|g| g.label == *label || g.last == *label)
        });
        if let Some(before) = before {
            generation.after = Some(before);
            self.successors.entry(before).or_default().push(id);
        }
        self.insert(generation);
        id
    }

    fn fresh_id(&self) -> u64 {
        loop {
            let id = super::random_id(&*self.parts.clock);
            if !self.generations.contains_key(&id) {
                return id;
            }
        }
    }

    // Everything before the last unfinished line counts as read.
    fn start_at_end(&mut self, id: u64, path: &Path, facts: &FileFacts) {
        let Ok(file) = self.parts.storage.open_read(path) else { return };
        let length = facts.size.min(LAST_LINE_BYTES);
        let mut bytes = vec![0; length as usize];
        let from = facts.size - length;
        let mut read = |bytes: &mut [u8], offset| file.read_at(bytes, offset);
        let Ok(got) = super::identity::fill(&mut read, &mut bytes, from) else { return };
        let line = memchr::memrchr(b'\n', &bytes[..got]).map_or(0, |at| at + 1);
        let offset = if line == 0 && from > 0 { facts.size } else { from + line as u64 };
        self.begin_at(id, &*file, offset);
    }

    // Where another agent had read to; false: it did not know this file.
    fn start_at_adopted(&mut self, id: u64, path: &Path, facts: &FileFacts) -> bool {
        if !self.settings.adopted.may_know(facts) {
            return false;
        }
        let Ok(file) = self.parts.storage.open_read(path) else { return false };
        let mut read = |bytes: &mut [u8], offset| file.read_at(bytes, offset);
        let Some(offset) = self.settings.adopted.offset(facts, &mut read) else { return false };
        self.begin_at(id, &*file, offset);
        true
    }

    // Everything before this offset counts as read.
    fn begin_at(&mut self, id: u64, file: &dyn File, offset: u64) {
        let mut read = |bytes: &mut [u8], offset| file.read_at(bytes, offset);
        let Ok(marker) = Marker::of(&mut read, offset) else { return };
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.offset = offset;
        generation.marker = marker;
        generation.blank = offset == 0;
        self.parts.counts.skipped_start.add(offset);
        self.tell_position(id);
    }

    fn is_old(&self, facts: &FileFacts) -> bool {
        self.settings.ignore_older_ns.is_some_and(|age| {
            let now = self.parts.clock.now_ns();
            now.saturating_sub(facts.modified_ns) > i64::try_from(age).unwrap_or(i64::MAX)
        })
    }

    fn skip(&mut self, path: &Arc<Path>, why: &str) {
        if self.wants(path) && !matches!(self.paths.get(path), Some(Place::Skipped)) {
            tracing::warn!(path = %path.display(), "not read: {why}");
            self.paths.insert(Arc::clone(path), Place::Skipped);
        }
    }

    fn again_later(&mut self, path: &Arc<Path>) {
        let due = self.now() + super::tailer::POLL_NS;
        self.timers.insert((due, Timer::Path(Arc::clone(path))));
    }

    /// The generation's bytes are in this file now.
    pub(super) fn take_over(
        &mut self,
        id: u64,
        path: &Arc<Path>,
        facts: &FileFacts,
        compressed: bool,
    ) {
        self.close(id);
        let Some(generation) = self.generations.get_mut(&id) else { return };
        generation.inode = Inode::from(facts);
        generation.compressed = compressed;
        generation.lost = false;
        generation.left = true;
        generation.finished = false;
        generation.size = facts.size;
        generation.modified_ns = facts.modified_ns;
        generation.copies.retain(|(copy, _)| copy != path);
        generation.awaited = None;
        generation.partial_since = None;
        generation.scanned = 0;
        self.bind(id, path);
        if !self.leaving.contains(&id) {
            self.leaving.push(id);
        }
        self.queue(id);
        self.count_lag(id);
        self.tell_position(id);
    }

    /// Tells the journal where a generation is, without any text.
    pub(super) fn tell_position(&mut self, id: u64) {
        let Some(generation) = self.generations.get(&id) else { return };
        let told = self.chunk(id, Vec::new(), generation.offset, false);
        self.outbox.extend(told);
    }

    /// A generation whose file is gone.
    pub(super) fn forget(&mut self, id: u64) {
        self.close(id);
        self.release(id);
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.names.clear();
        }
        let told = self.generations.get(&id).is_some_and(|g| g.announced);
        let offset = self.generations.get(&id).map_or(0, |g| g.offset);
        if told && let Some(mut chunk) = self.chunk(id, Vec::new(), offset, false) {
            chunk.last = true;
            chunk.position =
                chunk.position.map(|p| crate::chunk::Position { identity: Vec::new(), ..p });
            self.outbox.push_back(chunk);
        }
        let Some(generation) = self.generations.remove(&id) else { return };
        self.parts.counts.lag.add(-(generation.counted_lag as i64));
        self.behind.remove(&id);
        if self.inodes.get(&generation.inode) == Some(&id) {
            self.inodes.remove(&generation.inode);
        }
        if let Some(due) = generation.timer {
            self.timers.remove(&(due, Timer::Generation(id)));
        }
        self.adrift.retain(|other| *other != id);
        self.nameless.remove(&id);
        self.leave_family(&generation);
        self.problems.remove(&*generation.last);
        // What was held back as its copy is looked at without it.
        self.again.extend(generation.copies.into_iter().map(|(path, _)| path));
    }
}

/// Whether an error means that nothing is at a path.
pub(super) fn is_absence(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
