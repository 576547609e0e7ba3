//! Output `file`: events as JSON lines in files.
//!
//! In: frames. Out: lines appended to the files that `path` names (a template). Promises: a document is done when its
//! line is synced to disk; a file that logrotate moved away is opened anew under its name; a path made from an
//! event's fields never leaves the folder that `path` begins with (`..` is refused). A crash between write and
//! cursor writes those lines again: files are at-least-once.
//! On failure: a full or broken disk pauses the output, says so in health, and is tried again; a refused path is a
//! dead letter.

use std::collections::HashMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, DeadLetter, OutputContext};
use crate::frame::{Document, Frame};
use crate::health::State;
use crate::settings::Section;
use crate::storage::{File, FileFacts};
use crate::template::Template;

/// Files held open at once; the rest are closed after each frame.
const OPEN_FILES_MAX: usize = 64;
/// Pause after a write that failed, in milliseconds.
const RETRY_MS: u64 = 1000;

struct FileOutput {
    path: Template,
    folder: PathBuf,
}

struct Writer {
    context: OutputContext,
    folder: PathBuf,
    open: HashMap<PathBuf, OpenFile>,
}

struct OpenFile {
    file: Box<dyn File>,
    facts: FileFacts,
    end: u64,
}

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let text = section.required_string("path", "\"/var/log/out/{service}.log\"")?;
    let folder = section.resolve("");
    let path = Template::load(section, &text, load.keys)?;
    Some(Box::new(FileOutput { path, folder }))
}

impl Output for FileOutput {
    fn address(&self) -> Option<&Template> {
        Some(&self.path)
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        let writer = Writer { context, folder: self.folder, open: HashMap::new() };
        Box::pin(writer.run())
    }
}

impl Writer {
    async fn run(mut self) {
        let delivered = super::delivered(&self.context.metrics);
        self.context.health.set(State::Fine);
        while let Some(frame) = super::next_frame(&mut self.context).await {
            let sequence = frame.sequence();
            loop {
                match self.write(&frame) {
                    Ok(count) => {
                        delivered.add(count);
                        break;
                    }
                    Err(why) => {
                        let hint = "it is tried again every second; make room or repair the folder";
                        self.context.health.set(State::Paused(format!("{why}; {hint}")));
                        self.open.clear();
                        let pause = tokio::time::sleep(Duration::from_millis(RETRY_MS));
                        tokio::select! {
                            () = pause => {}
                            _ = self.context.stop.wait_for(|stop| *stop) => return,
                        }
                    }
                }
            }
            self.context.health.set(State::Fine);
            self.context.feed.done(sequence);
        }
    }

    /// Writes and syncs one frame's lines; gives their number.
    fn write(&mut self, frame: &Arc<Frame>) -> Result<u64, String> {
        let mut texts: HashMap<&[u8], (Vec<u8>, u64)> = HashMap::new();
        for document in frame.documents() {
            let Some(address) = document.address(self.context.bit) else { continue };
            let (text, count) = texts.entry(address).or_default();
            text.extend_from_slice(document.body);
            text.push(b'\n');
            *count += 1;
        }
        let mut written = 0;
        for (address, (text, count)) in texts {
            let Some(path) = self.path(address) else {
                self.refuse(frame, address)?;
                continue;
            };
            self.append(&path, &text)
                .map_err(|why| format!("cannot write to `{}`: {why}", path.display()))?;
            written += count;
        }
        if self.open.len() > OPEN_FILES_MAX {
            self.open.clear();
        }
        Ok(written)
    }

    /// The file for an address; `None`: it would lie outside.
    fn path(&self, address: &[u8]) -> Option<PathBuf> {
        let path = Path::new(std::str::from_utf8(address).ok()?);
        let outside = path.components().any(|c| matches!(c, Component::ParentDir));
        (!outside && !address.contains(&0) && !address.is_empty()).then(|| self.folder.join(path))
    }

    fn append(&mut self, path: &Path, text: &[u8]) -> io::Result<()> {
        let storage = &self.context.storage;
        let now = storage.facts(path).ok();
        let same = |open: &OpenFile| {
            now.is_some_and(|n| (n.device, n.inode) == (open.facts.device, open.facts.inode))
        };
        if !self.open.get(path).is_some_and(same) {
            if let Some(folder) = path.parent() {
                storage.create_directory(folder)?;
            }
            let file = storage.open_write(path)?;
            let facts = file.facts()?;
            self.open.insert(path.to_path_buf(), OpenFile { file, facts, end: facts.size });
        }
        let Some(open) = self.open.get_mut(path) else { return Ok(()) };
        // Somebody may have truncated the file (copytruncate): go on at its end.
        open.end = open.file.facts()?.size;
        open.file.write_all_at(text, open.end)?;
        open.file.sync()
    }

    fn refuse(&self, frame: &Arc<Frame>, address: &[u8]) -> Result<(), String> {
        let bit = self.context.bit;
        let refused = frame.documents().filter(|d| d.address(bit) == Some(address));
        let letters: Vec<DeadLetter> = refused.map(|d| self.letter(&d, address)).collect();
        let stored = self.context.dead_letters.put(&letters);
        stored.map_err(|why| format!("cannot store dead letters: {why}"))
    }

    fn letter(&self, document: &Document<'_>, address: &[u8]) -> DeadLetter {
        let mut id = Vec::new();
        document.write_id(&mut id);
        DeadLetter {
            output: self.context.name.clone(),
            address: String::from_utf8_lossy(address).into_owned(),
            id: String::from_utf8_lossy(&id).into_owned(),
            reason: "the path made from the event's fields is empty or holds `..`".to_string(),
            refused_ns: self.context.clock.now_ns(),
            document: document.body.to_vec(),
        }
    }
}
