//! The data folder, as commands besides `run` see it.
//!
//! In: a folder. Out: the pipelines in it, and who works there. Promises: looking changes nothing and takes no lock.
//! On failure: a diagnostic that says what such a folder holds.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::journal::LOCK_NAME;

/// Name of the folder of frames.
pub(super) const JOURNAL: &str = "journal";
/// Name of the folder of dead letters.
pub(super) const DEAD_LETTERS: &str = "dead-letters";

/// A pipeline in a data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PipelineFolder {
    /// Its name.
    pub(super) name: String,
    /// Its folder.
    pub(super) path: PathBuf,
}

/// `$STATE_DIRECTORY` (systemd), else `/var/lib/logweir` for root, else `$XDG_STATE_HOME/logweir`.
pub(super) fn default_directory() -> PathBuf {
    if let Some(given) = std::env::var_os("STATE_DIRECTORY") {
        return given.into();
    }
    let system = PathBuf::from("/var/lib/logweir");
    if rustix::process::geteuid().is_root() || system.is_dir() {
        return system;
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/state");
    std::env::var_os("XDG_STATE_HOME").map_or_else(home, PathBuf::from).join("logweir")
}

/// The pipelines of a data folder, by name; with `wanted` only that one.
pub(super) fn pipelines(
    data: &Path,
    wanted: Option<&str>,
) -> Result<Vec<PipelineFolder>, Diagnostic> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(data).map_err(|why| unreadable(data, &why))?;
    for entry in entries {
        let path = entry.map_err(|why| unreadable(data, &why))?.path();
        if path.join(JOURNAL).is_dir() || path.join(DEAD_LETTERS).is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push(PipelineFolder { name, path });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let Some(wanted) = wanted else { return Ok(found) };
    if let Some(at) = found.iter().position(|p| p.name == wanted) {
        return Ok(vec![found.swap_remove(at)]);
    }
    let names: Vec<&str> = found.iter().map(|p| p.name.as_str()).collect();
    let hint = match did_you_mean(wanted, names.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if names.is_empty() => "no pipeline has run with this data folder".to_string(),
        None => format!("there are: {}", names.join(", ")),
    };
    let shown = data.display();
    Err(Diagnostic::error(format!("the data folder `{shown}` has no pipeline `{wanted}`"))
        .hint(hint))
}

fn unreadable(data: &Path, why: &io::Error) -> Diagnostic {
    let hint = match why.kind() {
        io::ErrorKind::PermissionDenied => {
            "run this as the user that runs the agent, or as root".to_string()
        }
        _ => "name the folder that the agent has: --data-dir DIR, as for `logweir run`".to_string(),
    };
    Diagnostic::error(format!("cannot read the data folder `{}`", data.display()))
        .because(why)
        .hint(hint)
}

/// The process that has a journal or a store open, as its lock file names it. Asks the kernel's list of locks
/// (proc(5)), because trying the lock could turn away an agent that starts at this moment.
pub(super) fn user_of(directory: &Path) -> Option<String> {
    let lock = directory.join(LOCK_NAME);
    let facts = std::fs::metadata(&lock).ok()?;
    let owner = std::fs::read_to_string(&lock).unwrap_or_default().trim().to_string();
    let (major, minor) = (rustix::fs::major(facts.dev()), rustix::fs::minor(facts.dev()));
    let place = format!("{major:02x}:{minor:02x}:{}", facts.ino());
    let inode = format!(":{}", facts.ino());
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let held = locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, at, ..] = words.as_slice() else { return false };
        // Some file systems show another device number than stat(2) does: then the process decides.
        *at == place || (at.ends_with(&inode) && *process == owner)
    });
    held.then_some(owner)
}

/// An error if files that this process makes here would not be the agent's own.
pub(super) fn must_own(directory: &Path) -> Result<(), Diagnostic> {
    let Ok(facts) = std::fs::metadata(directory) else { return Ok(()) };
    let (owner, own) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner == own {
        return Ok(());
    }
    Err(Diagnostic::error(format!("cannot change `{}`", directory.display()))
        .because(format!("it belongs to user {owner}, and this process is user {own}"))
        .hint(format!(
            "run it as that user, for example: sudo -u '#{owner}' logweir … (files of another user would stop \
             the agent at its next start)"
        )))
}
