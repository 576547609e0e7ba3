//! The journal's positions, made known again at a start.
//!
//! In: positions. Out: generations, each at its last path if it is there; the rest are adrift and looked for.
//! Promises: where several claim one file, the youngest has it and the others, whose bytes were truncated, are looked
//! for elsewhere; where several claim a path, the one whose content is there has it; what `paths` does not mean any
//! more, or `exclude` names by now, is not read on and is forgotten. On failure: a position that cannot be decoded is
//! left out, and its file is read from the start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::generation::Generation;
use super::identity::{Content, Identity, Inode};
use super::tailer::Tailer;
use crate::chunk::Position;
use crate::storage::FileFacts;

impl Tailer {
    /// Makes the generations of the journal's positions known, each at its last path if it is still there. Gives those
    /// that `paths` does not mean any more, or `exclude` names by now: they have no place yet.
    pub(super) fn restore(&mut self, positions: &[Position]) -> BTreeSet<u64> {
        let mut unwanted = BTreeSet::new();
        let mut by_path: BTreeMap<Arc<Path>, Vec<u64>> = BTreeMap::new();
        for position in positions {
            let decoded = Identity::decode(&position.identity);
            let Some((input, identity)) = decoded else { continue };
            if *input != *self.parts.input {
                continue;
            }
            self.first_start = false;
            let generation = Generation::restored(position, identity);
            // What was rotated away is known by the path under which it was first seen.
            if self.wants(&generation.label) || self.wants(&generation.last) {
                by_path.entry(Arc::clone(&generation.last)).or_default().push(generation.id);
            } else {
                unwanted.insert(generation.id);
            }
            self.insert(generation);
        }
        self.lose_truncated();
        self.adrift.retain(|id| !unwanted.contains(id));
        for (path, mut ids) in by_path {
            ids.retain(|id| self.generations.get(id).is_some_and(|generation| !generation.lost));
            ids.sort_by_key(|id| self.since(*id));
            let facts = self.parts.storage.facts(&path).ok();
            let here = ids.iter().copied().find(|id| self.is_at(*id, &path, facts.as_ref()));
            let here = here.or(ids.last().copied());
            for id in ids {
                if Some(id) == here {
                    self.bind(id, &path);
                } else {
                    self.set_adrift(id);
                }
            }
        }
        unwanted
    }

    /// Forgets what is not wanted any more, after the first look at everything. What that has found under a name that
    /// `paths` means, as when a folder is mounted elsewhere by now, goes on under that one.
    pub(super) fn forget_unwanted(&mut self, ids: BTreeSet<u64>) {
        for id in ids {
            let Some(generation) = self.generations.get(&id) else { continue };
            let wanted = generation.names.iter().find(|path| self.wants(path)).cloned();
            if let Some(path) = wanted {
                self.label_anew(id, path);
            } else if generation.names.is_empty() {
                let path = generation.last.display();
                tracing::info!(%path, "not read on: `paths` does not mean it any more, or `exclude` names it");
                self.forget(id);
            }
        }
    }

    fn label_anew(&mut self, id: u64, path: Arc<Path>) {
        let Some(mut generation) = self.generations.remove(&id) else { return };
        self.leave_family(&generation);
        generation.label = path;
        generation.source = None;
        self.insert(*generation);
    }

    // A file that was truncated belongs to what came into it then. Its earlier generations may be without any content
    // that could tell them from that one.
    fn lose_truncated(&mut self) {
        let mut by_file: BTreeMap<Inode, Vec<u64>> = BTreeMap::new();
        for generation in self.generations.values() {
            by_file.entry(generation.inode).or_default().push(generation.id);
        }
        for (inode, mut ids) in by_file {
            ids.sort_by_key(|id| self.since(*id));
            let Some(youngest) = ids.pop() else { continue };
            self.inodes.insert(inode, youngest);
            for id in ids {
                self.set_adrift(id);
                if let Some(generation) = self.generations.get_mut(&id) {
                    generation.lost = true;
                }
            }
        }
    }

    fn set_adrift(&mut self, id: u64) {
        self.adrift.push(id);
        self.leaving.push(id);
        self.nameless.insert(id);
        if let Some(generation) = self.generations.get_mut(&id) {
            generation.left = true;
        }
    }

    // When a generation began; where that says nothing, the one that was read further came later.
    fn since(&self, id: u64) -> (i64, u64, u64) {
        self.generations.get(&id).map_or((0, 0, 0), |g| (g.since_ns, g.offset, g.id))
    }

    // Several generations may claim a path: the one whose content is there has it.
    fn is_at(&self, id: u64, path: &Path, facts: Option<&FileFacts>) -> bool {
        let (Some(generation), Some(facts)) = (self.generations.get(&id), facts) else {
            return false;
        };
        let (marker, offset) = (generation.marker, generation.offset);
        generation.inode.may_be(&Inode::from(facts))
            && self.content(path, facts, generation.compressed, &marker, offset) == Content::Same
    }
}
