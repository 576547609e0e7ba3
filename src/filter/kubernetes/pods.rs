//! The pods of this node, and those that were.
//!
//! In: pods as the API server lists and changes them. Out: the pod of a log file. Promises: a file's pod is told by
//! its uid, else by its container's id; by its name alone only where nothing tells more; deleted ones are kept
//! until [`DELETED_MAX`] others have been deleted after they were last asked for. On failure: `None`.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::pod::{Container, Pod};

/// Deleted pods that are kept.
const DELETED_MAX: usize = 1_000;
/// Places that are remembered as unknown, so that nobody waits for them again.
const UNKNOWN_MAX: usize = 10_000;

/// What a log file's path says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: Option<String>,
    pub(super) container: String,
    pub(super) id: Option<String>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Pods {
    listed: AtomicBool,
    /// Counts questions, so that it is known which pod was asked for last.
    asked: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_uid: HashMap<String, Entry>,
    unknown: HashSet<String>,
}

struct Entry {
    pod: Arc<Pod>,
    deleted: bool,
    /// When it was asked for, seen or deleted last.
    used: u64,
    /// Order of arrival: of two pods of one name the later one is the younger one.
    arrived: u64,
}

impl Pods {
    /// Whether the first list is there.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// All pods that there are now; those that are missing were deleted meanwhile.
    pub(super) fn list(&self, pods: Vec<Pod>) {
        let mut known = self.known();
        let now = self.tick();
        for entry in known.by_uid.values_mut().filter(|entry| !entry.deleted) {
            entry.deleted = true;
            entry.used = now;
        }
        for pod in pods {
            self.insert(&mut known, pod);
        }
        known.forget();
        self.listed.store(true, Ordering::Release);
    }

    /// A pod is there, or has changed.
    pub(super) fn set(&self, pod: Pod) {
        self.insert(&mut self.known(), pod);
    }

    /// A pod was deleted; what it was last is kept.
    pub(super) fn delete(&self, pod: Pod) {
        let mut known = self.known();
        let (uid, now) = (pod.metadata.uid.clone(), self.tick());
        self.insert(&mut known, pod);
        if let Some(entry) = known.by_uid.get_mut(&uid) {
            entry.deleted = true;
            entry.used = now;
        }
        known.forget();
    }

    /// The pod of a place.
    pub(super) fn find(&self, place: &Place) -> Option<Arc<Pod>> {
        let mut known = self.known();
        let uid = known.uid_of(place)?;
        known.use_of(&uid, self.tick())
    }

    /// The pod of a place's name, where nothing tells more: a container that has just begun, whose id the API server
    /// does not tell yet.
    pub(super) fn find_by_name(&self, place: &Place) -> Option<Arc<Pod>> {
        let mut known = self.known();
        let uid = known.youngest(place)?;
        known.use_of(&uid, self.tick())
    }

    /// Whether nobody has waited for this place yet.
    pub(super) fn is_news(&self, place: &Place) -> bool {
        let name = format!("{}/{}/{:?}", place.namespace, place.pod, place.id);
        let mut known = self.known();
        if known.unknown.len() >= UNKNOWN_MAX {
            known.unknown.clear();
        }
        known.unknown.insert(name)
    }

    /// How many are there, without deleted ones.
    pub(super) fn count(&self) -> usize {
        self.known().by_uid.values().filter(|entry| !entry.deleted).count()
    }

    fn insert(&self, known: &mut Known, pod: Pod) {
        let now = self.tick();
        let pod = Arc::new(pod);
        let entry = known.by_uid.entry(pod.metadata.uid.clone());
        let entry = entry.or_insert_with(|| Entry {
            pod: Arc::clone(&pod),
            deleted: false,
            used: now,
            arrived: now,
        });
        (entry.pod, entry.deleted, entry.used) = (pod, false, now);
    }

    fn tick(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn use_of(&mut self, uid: &str, now: u64) -> Option<Arc<Pod>> {
        let entry = self.by_uid.get_mut(uid)?;
        entry.used = now;
        Some(Arc::clone(&entry.pod))
    }

    /// By uid, else by the container's id; by name where the path says neither.
    fn uid_of(&self, place: &Place) -> Option<String> {
        if let Some(uid) = &place.uid {
            return self.by_uid.contains_key(uid).then(|| uid.clone());
        }
        if place.id.is_none() {
            return self.youngest(place);
        }
        let mut all = self.by_uid.values().filter(|entry| entry.is_named(place));
        let found = all.find(|entry| entry.pod.container_with(place).is_some())?;
        Some(found.pod.metadata.uid.clone())
    }

    /// The pod of a place's name that is there; a deleted one of that name is another one.
    fn youngest(&self, place: &Place) -> Option<String> {
        if place.pod.is_empty() || place.uid.is_some() {
            return None;
        }
        let named = self.by_uid.values().filter(|entry| !entry.deleted && entry.is_named(place));
        named.max_by_key(|entry| entry.arrived).map(|entry| entry.pod.metadata.uid.clone())
    }

    /// Forgets the deleted pods that were asked for the longest time ago.
    fn forget(&mut self) {
        let mut deleted: Vec<(u64, String)> = self
            .by_uid
            .iter()
            .filter(|(_, entry)| entry.deleted)
            .map(|(uid, entry)| (entry.used, uid.clone()))
            .collect();
        if deleted.len() <= DELETED_MAX {
            return;
        }
        deleted.sort();
        for (_, uid) in &deleted[..deleted.len() - DELETED_MAX] {
            self.by_uid.remove(uid);
        }
    }
}

impl Entry {
    fn is_named(&self, place: &Place) -> bool {
        let metadata = &self.pod.metadata;
        place.pod.is_empty()
            || (metadata.name == place.pod && metadata.namespace == place.namespace)
    }
}

impl Pod {
    /// The container with the id of a place.
    fn container_with(&self, place: &Place) -> Option<&Container> {
        let id = place.id.as_deref()?;
        self.containers().find(|container| container.id().is_some_and(|(_, own)| own == id))
    }

    /// The container of a place.
    pub(super) fn container_of(&self, place: &Place) -> Option<&Container> {
        let named = || self.containers().find(|container| container.name == place.container);
        self.container_with(place).or_else(named)
    }
}
