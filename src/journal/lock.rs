//! One process per journal.
//!
//! Is: an exclusive lock on the file `lock`, which holds the process id of its owner. In: a directory.
//! Out: a handle that is the lock. Promises: the lock ends with the process, however it ends.
//! On failure: a diagnostic that names the other process, or the cause and what to do.

use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::storage::{File, SharedStorage};

/// Name of the lock file.
pub const LOCK_NAME: &str = "lock";

/// Takes the lock of a directory, which is made when it is not there.
pub fn take(storage: &SharedStorage, directory: &Path) -> Result<Box<dyn File>, Diagnostic> {
    let cannot = |step: &str, why: std::io::Error| {
        let shown = directory.display();
        Diagnostic::error(format!("cannot {step} the journal's directory `{shown}`"))
            .because(why)
            .hint("make it writable for the user that runs logweir, or name another --data-dir")
    };
    storage.create_directory(directory).map_err(|why| cannot("make", why))?;
    let path = directory.join(LOCK_NAME);
    let Some(file) = storage.open_locked(&path).map_err(|why| cannot("write to", why))? else {
        return Err(refused(storage, directory, &path));
    };
    let owner = format!("{}\n", std::process::id());
    // The text is only for people; a full disk must not keep the agent from starting.
    let _ = file.set_len(0);
    let _ = file.write_all_at(owner.as_bytes(), 0);
    Ok(file)
}

fn refused(storage: &SharedStorage, directory: &Path, path: &Path) -> Diagnostic {
    let mut text = [0; 32];
    let read = storage.open_read(path).and_then(|file| file.read_at(&mut text, 0)).unwrap_or(0);
    let owner: String = text[..read].iter().map(|b| char::from(*b)).collect();
    let owner = owner.trim();
    let who = if owner.is_empty() { "another process".into() } else { format!("process {owner}") };
    Diagnostic::error(format!("the journal `{}` is in use by {who}", directory.display()))
        .because(format!("`{}` is locked", path.display()))
        .hint("stop that process, or give this one a --data-dir of its own")
}
