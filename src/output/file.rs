//! Output `file`: events as JSON lines in files.
//!
//! In: frames. Out: lines appended to the files that `path` names (a template). Promises: a document is done when its
//! line and the name of its file are synced to disk; a file that logrotate moved away is opened anew under its name;
//! a path made from an event's fields has no `..` in it, and is absolute only where `path` is. A line that was
//! written in part (full disk) is taken back; one that a crash tore is ended, so that the next line stands alone;
//! outputs that write to the same file take turns, in whatever pipelines they are. A crash between write and cursor
//! writes those lines again: files are at-least-once. Other outputs are never held up by a slow disk.
//! On failure: a full or broken disk pauses the output, says so in health, and is tried again; a refused path is a
//! dead letter.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Output, OutputLoad};
use crate::clock::SharedClock;
use crate::delivery::{BoxFuture, DeadLetter, DeadLetters, OutputContext};
use crate::frame::{Document, Frame};
use crate::health::State;
use crate::settings::Section;
use crate::storage::{File, FileFacts, SharedStorage};
use crate::template::Template;

/// Files held open at once; the rest are closed after each frame.
const OPEN_FILES_MAX: usize = 64;
/// Files of which it is known that their names are on disk; beyond it they are all forgotten, and synced again.
const NAMED_FILES_MAX: usize = 1024;
/// Pause after a write that failed, in milliseconds.
const RETRY_MS: u64 = 1000;

struct FileOutput {
    path: Template,
    root: Root,
    /// The folder that all paths begin with.
    beneath: PathBuf,
}

/// Where paths begin.
struct Root {
    /// The pipeline file's folder.
    folder: PathBuf,
    /// `path` begins with a slash.
    absolute: bool,
}

/// The files, with all that writing needs; moves to a thread that may wait for the disk, and back.
struct Files {
    name: String,
    bit: u32,
    root: Root,
    storage: SharedStorage,
    clock: SharedClock,
    dead_letters: Arc<dyn DeadLetters>,
    open: HashMap<PathBuf, OpenFile>,
    /// Device and inode of files whose names are on disk.
    named: HashMap<PathBuf, (u64, u64)>,
    /// Folders with names that may not be on disk yet.
    unsynced: BTreeSet<PathBuf>,
    /// Addresses of the frame under way whose lines are written.
    written: HashSet<Vec<u8>>,
    /// Documents of the frame under way that became dead letters.
    refused: u64,
}

struct OpenFile {
    file: Box<dyn File>,
    facts: FileFacts,
    turn: Arc<Turn>,
}

/// Whose turn it is at each file that an output of this process has open, by device and inode: they all write at the
/// end that they find, and take back what they wrote in part.
static TURNS: Mutex<BTreeMap<(u64, u64), Weak<Turn>>> = Mutex::new(BTreeMap::new());

type Turn = Mutex<()>;

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let text = section.required_string("path", "\"/var/log/out/{service}.log\"")?;
    let root = Root { folder: section.resolve(""), absolute: text.starts_with('/') };
    let path = Template::load(section, &text, load.keys)?;
    let constant = text.split('{').next().unwrap_or_default();
    let beneath = section.resolve(
        constant
            .rsplit_once('/')
            .map_or("", |(folder, _)| if folder.is_empty() { "/" } else { folder }),
    );
    Some(Box::new(FileOutput { path, root, beneath }))
}

impl Output for FileOutput {
    fn address(&self) -> Option<&Template> {
        Some(&self.path)
    }

    fn writes(&self) -> Option<PathBuf> {
        Some(self.beneath.clone())
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        Box::pin(run(self.root, context, write_apart))
    }
}

/// The output in a simulation, whose paths are absolute: it writes on the thread that steps it, so that everything
/// happens in one order.
#[cfg(test)]
pub(crate) async fn stepped(context: OutputContext) {
    let root = Root { folder: PathBuf::from("/"), absolute: true };
    let write = |mut files: Files, frame: Arc<Frame>| {
        let result = files.write(&frame);
        std::future::ready(Some((files, result)))
    };
    run(root, context, write).await;
}

/// Writes a frame on a thread that may wait for the disk; `None`: the runtime ends.
async fn write_apart(mut files: Files, frame: Arc<Frame>) -> Option<(Files, Result<(), String>)> {
    let work = tokio::task::spawn_blocking(move || {
        let result = files.write(&frame);
        (files, result)
    });
    match work.await {
        Ok(done) => Some(done),
        // Health says so; the journal keeps what was not done.
        Err(fault) if fault.is_panic() => std::panic::resume_unwind(fault.into_panic()),
        Err(_) => None,
    }
}

/// Takes frames until it is time to stop; `write` writes one.
async fn run<W, F>(root: Root, mut context: OutputContext, write: W)
where
    W: Fn(Files, Arc<Frame>) -> F,
    F: Future<Output = Option<(Files, Result<(), String>)>>,
{
    let delivered = super::delivered(&context.metrics);
    let mut files = Files::new(root, &context);
    context.health.set(State::Fine);
    while let Some(frame) = super::next_frame(&mut context).await {
        let sequence = frame.sequence();
        loop {
            let Some((back, result)) = write(files, Arc::clone(&frame)).await else { return };
            files = back;
            let Err(why) = result else { break };
            let hint = "it is tried again every second; make room or repair the folder";
            context.health.set(State::Paused(format!("{why}; {hint}")));
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(RETRY_MS)) => {}
                _ = context.stop.wait_for(|stop| *stop) => return,
            }
        }
        let ours = frame.documents().filter(|d| d.address(context.bit).is_some()).count();
        let refused = std::mem::take(&mut files.refused);
        delivered.add(ours as u64 - refused);
        context.health.set(State::Fine);
        context.feed.done(sequence);
    }
}

impl Files {
    fn new(root: Root, context: &OutputContext) -> Self {
        Files {
            name: context.name.clone(),
            bit: context.bit,
            root,
            storage: Arc::clone(&context.storage),
            clock: Arc::clone(&context.clock),
            dead_letters: Arc::clone(&context.dead_letters),
            open: HashMap::new(),
            named: HashMap::new(),
            unsynced: BTreeSet::new(),
            written: HashSet::new(),
            refused: 0,
        }
    }

    /// Writes and syncs one frame's lines; called again for the same frame, it goes on with what is missing.
    fn write(&mut self, frame: &Frame) -> Result<(), String> {
        let mut texts: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
        for document in frame.documents() {
            let Some(address) = document.address(self.bit) else { continue };
            if !self.written.contains(address) {
                let text = texts.entry(address).or_default();
                text.extend_from_slice(document.body);
                text.push(b'\n');
            }
        }
        for (address, text) in texts {
            if let Some(path) = self.root.path(address) {
                self.append(&path, &text).map_err(|why| {
                    self.open.clear();
                    format!("cannot write to `{}`: {why}", path.display())
                })?;
            } else {
                self.refuse(frame, address)?;
            }
            self.written.insert(address.to_vec());
        }
        self.written.clear();
        if self.open.len() > OPEN_FILES_MAX {
            self.open.clear();
        }
        Ok(())
    }

    fn append(&mut self, path: &Path, text: &[u8]) -> io::Result<()> {
        let now = self.storage.facts(path).ok();
        let same = |open: &OpenFile| {
            now.is_some_and(|n| (n.device, n.inode) == (open.facts.device, open.facts.inode))
        };
        if !self.open.get(path).is_some_and(same) {
            let file = self.open(path)?;
            self.open.insert(path.to_path_buf(), file);
        }
        let Some(open) = self.open.get(path) else { return Ok(()) };
        let _turn = taken(&open.turn);
        // Somebody may have truncated the file (copytruncate): go on at its end.
        let end = open.file.facts()?.size;
        let written = open.file.write_all_at(text, end).and_then(|()| open.file.sync());
        if written.is_err() {
            // Not to leave half a line; where that fails, too, the next opening ends it.
            let _ = open.file.set_len(end);
        }
        written
    }

    fn open(&mut self, path: &Path) -> io::Result<OpenFile> {
        if let Some(folder) = path.parent() {
            let missing = folder.ancestors().take_while(|f| self.storage.facts(f).is_err());
            self.unsynced.extend(missing.filter_map(Path::parent).map(Path::to_path_buf));
            self.storage.create_directory(folder)?;
        }
        let file = self.storage.open_write(path)?;
        let facts = file.facts()?;
        self.name(path, &facts)?;
        let turn = turn_at(&facts);
        end_line(&*file, &turn)?;
        Ok(OpenFile { file, facts, turn })
    }

    /// Makes a file's name durable before a line is in it, also where a process that was killed has made it.
    fn name(&mut self, path: &Path, facts: &FileFacts) -> io::Result<()> {
        let number = (facts.device, facts.inode);
        let known = self.named.get(path) == Some(&number);
        self.unsynced.extend(path.parent().filter(|_| !known).map(Path::to_path_buf));
        while let Some(folder) = self.unsynced.first() {
            self.storage.sync_directory(folder)?;
            self.unsynced.pop_first();
        }
        if self.named.len() >= NAMED_FILES_MAX {
            self.named.clear();
        }
        self.named.insert(path.to_path_buf(), number);
        Ok(())
    }

    fn refuse(&mut self, frame: &Frame, address: &[u8]) -> Result<(), String> {
        let refused = frame.documents().filter(|d| d.address(self.bit) == Some(address));
        let letters: Vec<DeadLetter> = refused.map(|d| self.letter(&d, address)).collect();
        let stored = self.dead_letters.put(&letters);
        stored.map_err(|why| format!("cannot store dead letters: {why}"))?;
        self.refused += letters.len() as u64;
        Ok(())
    }

    fn letter(&self, document: &Document<'_>, address: &[u8]) -> DeadLetter {
        let mut id = Vec::new();
        document.write_id(&mut id);
        let reason = "the path made from the event's fields is empty, holds `..`, or is absolute";
        DeadLetter {
            output: self.name.clone(),
            address: String::from_utf8_lossy(address).into_owned(),
            id: String::from_utf8_lossy(&id).into_owned(),
            reason: reason.to_string(),
            refused_ns: self.clock.now_ns(),
            document: document.body.to_vec(),
        }
    }
}

fn taken(turn: &Turn) -> MutexGuard<'_, ()> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

fn turn_at(facts: &FileFacts) -> Arc<Turn> {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = (facts.device, facts.inode);
    if let Some(turn) = turns.get(&place).and_then(Weak::upgrade) {
        return turn;
    }
    turns.retain(|_, turn| turn.strong_count() > 0);
    let turn = Arc::default();
    turns.insert(place, Arc::downgrade(&turn));
    turn
}

/// Ends a line that a crash tore.
fn end_line(file: &dyn File, turn: &Turn) -> io::Result<()> {
    let _turn = taken(turn);
    let (mut last, size) = ([b'\n'], file.facts()?.size);
    if size > 0 {
        file.read_at(&mut last, size - 1)?;
    }
    if last == [b'\n'] { Ok(()) } else { file.write_all_at(b"\n", size) }
}

impl Root {
    /// The file for an address; `None`: it would lie outside.
    fn path(&self, address: &[u8]) -> Option<PathBuf> {
        let path = Path::new(std::str::from_utf8(address).ok()?);
        let outside = path.components().any(|c| matches!(c, Component::ParentDir));
        let sound = !outside && !address.contains(&0) && !address.is_empty();
        (sound && path.is_absolute() == self.absolute).then(|| self.folder.join(path))
    }
}

#[cfg(test)]
mod tests;
