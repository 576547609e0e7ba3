//! `logweir inspect`: what is in a journal.
//!
//! In: a data folder, a pipeline's folder in it, or a journal's. Out: a page for people, or JSON. Promises: nothing
//! is changed and no lock is taken, so that it may be run at any time. On failure: what such a folder holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::data::{self, DEAD_LETTERS, JOURNAL};
use super::progress::Progress;
use super::{FAILED, OK, say};
use crate::clock;
use crate::diagnostic::Diagnostic;
use crate::journal::{self, Inspection, dead_letter};
use crate::storage::{self, SharedStorage};

mod frames;
mod page;

/// `logweir inspect`.
#[derive(Args)]
pub(super) struct InspectArguments {
    /// A data folder, a pipeline's folder in it, or a journal's folder
    directory: PathBuf,
    /// One JSON object for each journal
    #[arg(long)]
    json: bool,
    /// List every frame (with --json one object a line)
    #[arg(long)]
    frames: bool,
}

/// A journal to look at.
struct Subject {
    name: String,
    journal: PathBuf,
    dead_letters: Option<PathBuf>,
}

/// Everything seen.
struct Seen {
    name: String,
    directory: PathBuf,
    inspection: Inspection,
    /// The process that has the journal open.
    user: Option<String>,
    /// Dead letters by output and kind of reason; `None`: they could not be listed, or there is no such folder.
    dead_letters: Option<BTreeMap<(String, String), u64>>,
    now_ns: i64,
}

pub(super) fn run(arguments: &InspectArguments) -> u8 {
    let subjects = match subjects(&arguments.directory) {
        Ok(subjects) => subjects,
        Err(problem) => {
            eprint!("{problem}");
            return FAILED;
        }
    };
    let mut code = OK;
    for (number, subject) in subjects.iter().enumerate() {
        if number > 0 && !arguments.json {
            say("");
        }
        let done = if arguments.frames {
            frames::list(subject, arguments.json)
        } else {
            look(subject).map(|seen| {
                say(if arguments.json { page::json(&seen) } else { page::text(&seen) });
            })
        };
        if let Err(problem) = done {
            eprint!("{problem}");
            code = FAILED;
        }
    }
    code
}

fn look(subject: &Subject) -> Result<Seen, Diagnostic> {
    let storage = counted(subject, 1);
    let user = data::user_of(&subject.journal);
    let inspection = journal::inspect(&storage, &subject.journal)
        .map_err(|why| unreadable(&subject.journal, &why))?;
    Ok(Seen {
        name: subject.name.clone(),
        directory: subject.journal.clone(),
        inspection,
        user,
        dead_letters: subject.dead_letters.as_ref().and_then(|path| letters(&storage, path)),
        now_ns: clock::system().now_ns(),
    })
}

fn letters(storage: &SharedStorage, path: &Path) -> Option<BTreeMap<(String, String), u64>> {
    let mut kinds = BTreeMap::new();
    for stored in dead_letter::read_all(storage, path).ok()? {
        let kind = dead_letter::kind_of(&stored.letter.reason);
        *kinds.entry((stored.letter.output, kind)).or_default() += 1;
    }
    Some(kinds)
}

/// The disk, with a bar for reading the journal `times` times.
fn counted(subject: &Subject, times: u64) -> SharedStorage {
    let storage = storage::disk();
    let size = |path: &PathBuf| storage.facts(path).map_or(0, |facts| facts.size);
    let total: u64 = storage.list(&subject.journal).unwrap_or_default().iter().map(size).sum();
    let label = format!("reading {}", subject.name);
    let bar = if times > 1 { Progress::beside_output } else { Progress::new };
    bar(&label, total * times).count(&storage)
}

fn subjects(directory: &Path) -> Result<Vec<Subject>, Diagnostic> {
    if is_journal(directory) {
        let (name, dead_letters) = (directory.display().to_string(), None);
        return Ok(vec![Subject { name, journal: directory.to_path_buf(), dead_letters }]);
    }
    let subject = |name: String, path: &Path| {
        let dead_letters = Some(path.join(DEAD_LETTERS)).filter(|path| path.is_dir());
        Subject { name, journal: path.join(JOURNAL), dead_letters }
    };
    let inner = directory.join(JOURNAL);
    if is_journal(&inner) || inner.join(journal::LOCK_NAME).is_file() {
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
        return Ok(vec![subject(name.unwrap_or_else(|| ".".to_string()), directory)]);
    }
    let found = data::pipelines(directory, None)?;
    if found.is_empty() {
        return Err(Diagnostic::error(format!("there is no journal in `{}`", directory.display()))
            .hint(
                "give the data folder of `logweir run`, a pipeline's folder in it, or a journal's",
            ));
    }
    Ok(found.into_iter().map(|pipeline| subject(pipeline.name, &pipeline.path)).collect())
}

/// Segments, or what stands beside them.
fn is_journal(directory: &Path) -> bool {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        name.ends_with(".segment") || name == "cursors"
    })
}

fn unreadable(path: &Path, why: &std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot read the journal `{}`", path.display()))
        .because(why)
        .hint("run this as the user that runs the agent, or as root")
}
