//! What a person asks a pipeline to do with its dead letters.
//!
//! Is: one small JSON file for each request, `requests/NAME.json` in the pipeline's folder, and one for its answer.
//! In: requests of `logweir dlq`. Out: the same requests, in the order of their names, for whoever runs the
//! pipeline: now, or at the next start. Promises: a request is seen whole or not at all; it stays until it is
//! answered. On failure: a file that is no request is answered with what is wrong with it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::selection::Selection;
use crate::storage::{SharedStorage, Storage};

/// Name of the folder.
pub const REQUESTS_NAME: &str = "requests";

const REQUEST: &str = "json";
const ANSWER: &str = "answer";
/// Longest request or answer that is read.
const BYTES_MAX: usize = 1024 * 1024;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Put them back to their output.
    Replay,
    /// Remove them.
    Drop,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What to do.
    pub action: Action,
    /// With which letters.
    pub selection: Selection,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// Letters that were put back or dropped.
    pub done: u64,
    /// Letters that stay, because their output is in the pipeline no more: its name and how many.
    pub without_output: Vec<(String, u64)>,
    /// Why it was not done.
    pub failed: Option<String>,
}

/// Where a pipeline's requests are.
#[derive(Clone)]
pub struct Requests {
    storage: SharedStorage,
    folder: PathBuf,
}

impl Requests {
    /// The requests of the pipeline with this folder in the data folder.
    pub fn new(storage: &SharedStorage, pipeline: &Path) -> Requests {
        Requests { storage: storage.clone(), folder: pipeline.join(REQUESTS_NAME) }
    }

    /// Leaves a request. `name` orders requests and tells them apart.
    pub fn ask(&self, name: &str, request: &Request) -> io::Result<()> {
        self.storage.create_directory(&self.folder)?;
        let bytes = serde_json::to_vec(request)?;
        match self.write(name, REQUEST, &bytes) {
            // An agent that starts just now tidies up: what was being written was taken for a leftover.
            Err(why) if why.kind() == io::ErrorKind::NotFound => self.write(name, REQUEST, &bytes),
            other => other,
        }
    }

    /// The names of what is asked for, oldest first.
    pub fn names(&self) -> Vec<String> {
        let Ok(paths) = self.storage.list(&self.folder) else { return Vec::new() };
        let named = paths.iter().filter(|p| p.extension().is_some_and(|e| e == REQUEST));
        let stem = |p: &PathBuf| p.file_stem().map(|s| s.to_string_lossy().into_owned());
        let mut names: Vec<String> = named.filter_map(stem).collect();
        names.sort();
        names
    }

    /// A request by its name.
    pub fn read(&self, name: &str) -> io::Result<Request> {
        Ok(serde_json::from_slice(&self.content(name, REQUEST)?)?)
    }

    /// Puts the answer in the place of its request.
    pub fn answer(&self, name: &str, answer: &Answer) -> io::Result<()> {
        self.write(name, ANSWER, &serde_json::to_vec(answer)?)?;
        self.storage.remove(&self.path(name, REQUEST))?;
        self.storage.sync_directory(&self.folder)
    }

    /// The answer, which is removed by this; `None`: there is none yet.
    pub fn take_answer(&self, name: &str) -> Option<Answer> {
        let answer = serde_json::from_slice(&self.content(name, ANSWER).ok()?).ok()?;
        let _ = self.storage.remove(&self.path(name, ANSWER));
        Some(answer)
    }

    /// Removes answers that nobody came for.
    pub fn forget_answers(&self) {
        for path in self.storage.list(&self.folder).unwrap_or_default() {
            if path.extension().is_some_and(|e| e != REQUEST) {
                let _ = self.storage.remove(&path);
            }
        }
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}.{kind}"))
    }

    fn content(&self, name: &str, kind: &str) -> io::Result<Vec<u8>> {
        let file = self.storage.open_read(&self.path(name, kind))?;
        let mut bytes = Vec::new();
        let mut at = 0;
        while file.append_at(&mut bytes, 16 * 1024, at)? > 0 {
            at = bytes.len() as u64;
            if bytes.len() > BYTES_MAX {
                return Err(io::Error::other("it is longer than a request can be"));
            }
        }
        Ok(bytes)
    }

    fn write(&self, name: &str, kind: &str, bytes: &[u8]) -> io::Result<()> {
        let made = self.path(name, "new");
        let storage: &dyn Storage = &*self.storage;
        let file = storage.open_write(&made)?;
        file.set_len(0)?;
        file.write_all_at(bytes, 0)?;
        file.sync()?;
        storage.rename(&made, &self.path(name, kind))?;
        storage.sync_directory(&self.folder)
    }
}
