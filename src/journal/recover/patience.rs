//! What the device does not give at a start.
//!
//! Is: the judgement whether unreadable bytes are damaged or may come back. In: what recovery could not read.
//! Out: a recovery that counts a bad place or file as damaged, or an error. Promises: what cannot be read counts as
//! damaged only where the device works (it takes a synced write and gives other bytes of the journal) and did not give
//! it three times; otherwise nothing is changed, and a later start finds everything. On failure: an error that names
//! the file.
//! Why: `docs/decisions/0016-a-start-waits-for-the-device.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::storage::{File, SharedStorage};

use super::{Damaged, LOCK_NAME, Recovered, Touch, recover};

/// Passes in which a file fails before its unreadable bytes count as damaged.
const TRIES: u32 = 3;

/// What the device did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    step: &'static str,
    path: PathBuf,
    why: String,
    kind: io::ErrorKind,
}

impl Unread {
    pub(super) fn new(step: &'static str, path: &Path, why: &io::Error) -> Unread {
        Unread { step, path: path.to_path_buf(), why: why.to_string(), kind: why.kind() }
    }

    /// As the scanner tells it.
    pub(super) fn told(path: &Path, why: &str) -> Unread {
        let (path, why) = (path.to_path_buf(), why.to_string());
        Unread { step: "read", path, why, kind: io::ErrorKind::Other }
    }

    /// For whoever starts something; `what` is there ("the journal in `DIR`").
    pub fn diagnostic(&self, what: &str) -> Diagnostic {
        let hint = if self.kind == io::ErrorKind::PermissionDenied {
            "make it readable for the user that runs logweir"
        } else if self.step == "list" {
            "nothing was changed: check the device and the kernel log, and start again"
        } else {
            "nothing was changed, and all of it is sent once it can be read: check the device and the kernel log, and \
             start again; to go on without that file, move it to another folder"
        };
        Diagnostic::error(format!("cannot read {what}")).because(self).hint(hint)
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} `{}`: {}", self.step, self.path.display(), self.why)
    }
}

impl From<Unread> for io::Error {
    fn from(unread: Unread) -> io::Error {
        io::Error::new(unread.kind, unread.to_string())
    }
}

impl Damaged<'_> {
    /// An error where it is not damage that this file cannot be read.
    pub(super) fn or_ends(self, path: &Path, why: io::Error) -> Result<(), Unread> {
        if self.has(path) { Ok(()) } else { Err(Unread::new("read", path, &why)) }
    }

    pub(super) fn has(self, path: &Path) -> bool {
        match self {
            Damaged::All => true,
            Damaged::Only(files) => files.contains(path),
        }
    }
}

/// As [`recover`], with repairs. `held`: the file of the lock, which stands on the same device.
pub fn recover_at_start(
    storage: &SharedStorage,
    directory: &Path,
    held: &dyn File,
) -> Result<Recovered, Unread> {
    let (mut damaged, mut tries) = (BTreeSet::new(), BTreeMap::new());
    loop {
        let tried = recover(storage, directory, Touch::Repair, Damaged::Only(&damaged));
        let Err(unread) = tried else { return tried };
        if !gives_something(storage, directory) || held.sync().is_err() {
            return Err(unread);
        }
        let failed: &mut u32 = tries.entry(unread.path.clone()).or_default();
        *failed += 1;
        if *failed == TRIES {
            damaged.insert(unread.path);
        }
    }
}

/// Whether the device gives some of the journal: the first, middle or last byte of a file. The lock's own file was
/// written a moment ago and says nothing.
fn gives_something(storage: &SharedStorage, directory: &Path) -> bool {
    let mut files = storage.list(directory).unwrap_or_default();
    files.retain(|path| !path.ends_with(LOCK_NAME));
    files.iter().any(|path| {
        let Ok(file) = storage.open_read(path) else { return false };
        let Ok(facts) = file.facts() else { return false };
        let last = facts.size.saturating_sub(1);
        let given = |at: &u64| file.read_at(&mut [0], *at).is_ok_and(|bytes| bytes > 0);
        facts.regular && [0, last / 2, last].iter().any(given)
    })
}
