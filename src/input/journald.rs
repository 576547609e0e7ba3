//! `type = "journald"`: entries of systemd-journald, read from its files.
//!
//! Is: one thread that looks at the files twice a second. In: files of journald, wherever they lie: of this
//! machine, of containers, copied from elsewhere; no `journalctl` and no library is needed. Out: chunks with one
//! line of JSON for each entry. Promises: each file's entries in order, each once; where reading stopped is in our
//! journal, with the lines; a file is known by its own number, so a rotation changes nothing; ids are the same when
//! an entry is read again; a file is forgotten when it is removed, not because a listing misses it. On failure: health
//! says what is wrong with which file; a damaged entry is passed over and counted; a file that is removed while it is
//! open is read to its end, one that went while logweir did not run cannot be.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::file::{Broken, Entry, JournalFile};
use self::position::Mark;
use self::settings::{Settings, Since};
use super::{Input, InputContext, InputLoad};
use crate::chunk::{Chunk, Closed, Position};
use crate::delivery::BoxFuture;
use crate::event::{Key, Literal, Source, SourceKind};
use crate::health::State;
use crate::limits::{CHUNK_BYTES, JOURNALD_LIST_MS, JOURNALD_LOOK_MS};
use crate::metrics::Counter;
use crate::pulse;
use crate::settings::Section;

mod file;
mod position;
mod render;
mod settings;

/// Entries that are passed over by the settings before the place is told.
const PASSED_MAX: u64 = 10_000;

struct Journald {
    settings: Settings,
    fields: Vec<(Key, Literal)>,
}

/// See [`super::file_of`]; a file of journald is shown by its own number.
pub(super) fn file_of(identity: &[u8]) -> Option<(String, PathBuf)> {
    position::describe(identity)
}

/// Loads a `journald` input.
pub fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let settings = settings::load(section)?;
    Some(Box::new(Journald { settings, fields: load.fields.clone() }))
}

impl Input for Journald {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let (health, name, mut stop) =
                (context.health.clone(), Arc::clone(&context.name), context.stop.clone());
            let (tell, told) = std::sync::mpsc::channel::<()>();
            let (ended, mut end) = tokio::sync::oneshot::channel();
            let thread = std::thread::Builder::new().name(format!("journald-{name}"));
            let spawned = thread.spawn(move || {
                let _joined = context.health.join_thread();
                let mut reading = Reading::new(*self, context);
                // The other end is dropped at the stop.
                while reading.look().is_ok() {
                    let pause = Duration::from_millis(JOURNALD_LOOK_MS);
                    let waited = pulse::rest(|| told.recv_timeout(pause));
                    if waited != Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                        break;
                    }
                }
                let _ = ended.send(());
            });
            if let Err(why) = spawned {
                let hint = "raise the limit of threads (TasksMax, ulimit -u) and restart";
                health
                    .set(State::Paused(format!("cannot start the reading thread: {why}; {hint}")));
                let _ = stop.wait_for(|stop| *stop).await;
                return;
            }
            tokio::select! {
                _ = &mut end => return,
                _ = stop.wait_for(|stop| *stop) => {}
            }
            drop(tell);
            let _ = end.await;
        })
    }
}

/// All files, and how far each is read.
struct Reading {
    settings: Settings,
    fields: Vec<(Key, Literal)>,
    context: InputContext,
    /// What the journal says of files that were not seen yet, by their numbers.
    marks: HashMap<[u8; 16], Mark>,
    /// This input has never read anything.
    first_start: bool,
    files: Vec<OpenFile>,
    /// Device and inode of files that were looked at, with their numbers; no number: none of journald's.
    seen: HashMap<(u64, u64), Option<[u8; 16]>>,
    list_at_ns: u64,
    problems: HashMap<PathBuf, String>,
    numbers: Numbers,
    entry: Entry,
}

struct Numbers {
    bytes: Counter,
    damaged: Counter,
    left_out: Counter,
}

struct OpenFile {
    path: PathBuf,
    inode: (u64, u64),
    journal: JournalFile,
    source: Arc<Source>,
    mark: Mark,
    /// What the journal was told last.
    told: u64,
    /// Lines up to here are in the journal already, though the mark lies before.
    skip_to: u64,
    new: bool,
}

impl Reading {
    fn new(input: Journald, context: InputContext) -> Reading {
        let restored = context.positions.iter().filter_map(|p| Mark::read(p, &context.name));
        let marks: HashMap<_, _> = restored.collect();
        let metrics = &context.metrics;
        let numbers = Numbers {
            bytes: metrics.counter("logweir_input_bytes_total", "Bytes read and handed on."),
            damaged: metrics.counter(
                "logweir_journald_entries_damaged_total",
                "Entries of journald's files that cannot be read.",
            ),
            left_out: metrics.counter(
                "logweir_journald_fields_left_out_total",
                "Fields of journald's entries that are compressed in an unknown way, or too large.",
            ),
        };
        Reading {
            settings: input.settings,
            fields: input.fields,
            first_start: marks.is_empty(),
            marks,
            files: Vec::new(),
            seen: HashMap::new(),
            list_at_ns: 0,
            problems: HashMap::new(),
            numbers,
            entry: Entry::default(),
            context,
        }
    }

    /// Reads what is new in all files.
    fn look(&mut self) -> Result<(), Closed> {
        let now_ns = self.context.clock.elapsed_ns();
        if now_ns >= self.list_at_ns {
            self.list_at_ns = now_ns + JOURNALD_LIST_MS * 1_000_000;
            self.list()?;
        }
        for at in 0..self.files.len() {
            while self.read(at)? {
                pulse::beat();
                if *self.context.stop.borrow() {
                    return Ok(());
                }
            }
        }
        self.say_health();
        Ok(())
    }

    /// Finds new files, and forgets those that are gone.
    fn list(&mut self) -> Result<(), Closed> {
        let mut paths = Vec::new();
        for folder in &self.settings.paths {
            find(&self.context, folder, 1, &mut paths);
        }
        paths.sort();
        let mut there = HashSet::new();
        let mut fresh = Vec::new();
        for path in paths {
            let Ok(facts) = self.context.storage.facts(&path) else { continue };
            let inode = (facts.device, facts.inode);
            there.insert(inode);
            if let Some(known) = self.files.iter_mut().find(|file| file.inode == inode) {
                known.path = path;
            } else if !self.seen.contains_key(&inode) {
                fresh.extend(self.open(path, inode));
            }
        }
        if self.first_start {
            self.begin(&mut fresh)?;
            self.first_start = self.files.is_empty() && fresh.is_empty();
        }
        self.files.append(&mut fresh);
        self.seen.retain(|inode, _| there.contains(inode));
        self.problems.retain(|path, _| path.exists());
        self.forget(&there)
    }

    /// Opens a file that was not seen before.
    fn open(&mut self, path: PathBuf, inode: (u64, u64)) -> Option<OpenFile> {
        let file = self.context.storage.open_read(&path).map_err(Broken::Io);
        let journal = match file.and_then(JournalFile::open) {
            Ok(Some(journal)) => journal,
            // journald is about to write its header.
            Ok(None) => return None,
            Err(why) => {
                if matches!(why, Broken::Format(_)) {
                    self.seen.insert(inode, None);
                }
                self.problems.insert(path, why.to_string());
                return None;
            }
        };
        self.seen.insert(inode, Some(journal.id));
        if self.files.iter().any(|file| file.journal.id == journal.id) {
            // A copy.
            return None;
        }
        let (mark, new) = match self.marks.remove(&journal.id) {
            Some(mark) => (mark, false),
            None => (Mark::start(super::tail::random_id(&*self.context.clock), journal.id), true),
        };
        let kind = SourceKind::File { generation: mark.key };
        let fields = self.fields.clone();
        let source = Source { id: mark.key, input: Arc::clone(&self.context.name), kind, fields };
        let (mark, skip_to) = mark.whole();
        let told = mark.entries;
        Some(OpenFile { path, inode, journal, source: Arc::new(source), mark, told, skip_to, new })
    }

    /// The very first start: passes over what is older than the settings ask for.
    fn begin(&mut self, files: &mut [OpenFile]) -> Result<(), Closed> {
        let boot = files.iter().filter_map(|file| file.journal.last_boot().ok()).max();
        for file in files {
            let Ok((entries, _)) = file.journal.entries() else { continue };
            let now_us = (self.context.clock.now_ns() / 1_000).max(0) as u64;
            let wanted = |entry: &Entry| match self.settings.since {
                Since::All => true,
                Since::Now => false,
                Since::Boot => boot.is_none_or(|(_, boot)| entry.boot == boot),
                Since::Ago(span) => {
                    entry.realtime_us >= now_us.saturating_sub(span.as_micros() as u64)
                }
            };
            if self.settings.since == Since::All {
                continue;
            }
            while file.mark.entries < entries {
                pulse::beat();
                match file.journal.entry(file.mark.entries, &mut self.entry) {
                    Ok(true) if wanted(&self.entry) => break,
                    Ok(true) | Err(Broken::Format(_)) => file.mark.entries += 1,
                    Ok(false) | Err(Broken::Io(_)) => break,
                }
            }
            tell(&self.context, file, Vec::new(), false)?;
        }
        Ok(())
    }

    /// Reads a chunk of one file; `false`: there is no more now.
    fn read(&mut self, at: usize) -> Result<bool, Closed> {
        let file = &mut self.files[at];
        let entries = match file.journal.entries() {
            Ok((entries, _)) => entries,
            Err(why) => {
                self.problems.insert(file.path.clone(), why.to_string());
                return Ok(false);
            }
        };
        let mut text = self.context.intake.buffer();
        let mut problem = None;
        while file.mark.entries < entries && text.len() < CHUNK_BYTES / 2 {
            match file.journal.entry(file.mark.entries, &mut self.entry) {
                Ok(true) => {}
                Ok(false) => break,
                Err(why @ Broken::Io(_)) => {
                    problem = Some(why.to_string());
                    break;
                }
                Err(why) => {
                    self.numbers.damaged.increment();
                    problem = Some(why.to_string());
                    file.mark.entries += 1;
                    continue;
                }
            }
            file.mark.entries += 1;
            if self.settings.wants(&self.entry) {
                let start = text.len();
                render::write(&self.entry, self.settings.names, &mut text);
                let length = (text.len() - start) as u64;
                if file.mark.offset + (start as u64) + length <= file.skip_to {
                    // It is in the journal already.
                    text.truncate(start);
                    file.mark.offset += length;
                }
            }
        }
        self.numbers.left_out.add(std::mem::take(&mut file.journal.left_out));
        if let Some(problem) = problem {
            self.problems.insert(file.path.clone(), problem);
        }
        if text.is_empty() && file.mark.entries < file.told + PASSED_MAX {
            return Ok(file.mark.entries < entries && file.mark.entries > file.told);
        }
        self.numbers.bytes.add(text.len() as u64);
        tell(&self.context, file, text, false)?;
        Ok(file.mark.entries < entries)
    }

    /// Forgets files that were removed and were read as far as they can be.
    fn forget(&mut self, there: &HashSet<(u64, u64)>) -> Result<(), Closed> {
        let mut at = 0;
        while at < self.files.len() {
            // A listing that fails, or a folder that is away for a while, says nothing.
            if there.contains(&self.files[at].inode) || !self.files[at].journal.is_removed() {
                at += 1;
                continue;
            }
            // It is open, so what is in it can be read, whoever removed its name.
            while self.read(at)? {
                pulse::beat();
            }
            let mut file = self.files.remove(at);
            self.problems.remove(&file.path);
            tell(&self.context, &mut file, Vec::new(), true)?;
        }
        Ok(())
    }

    fn say_health(&self) {
        let state = match self.problems.iter().next() {
            Some((path, why)) => State::Degraded(format!(
                "`{}` cannot be read as it should: {why}; the rest is read. `journalctl --verify` tells more",
                path.display()
            )),
            None if self.files.is_empty() => {
                let paths: Vec<_> =
                    self.settings.paths.iter().map(|path| path.display().to_string()).collect();
                State::Degraded(format!(
                    "there is no file of journald in {}: check that journald keeps one there, and that logweir may \
                     read it (group systemd-journal, or CAP_DAC_READ_SEARCH)",
                    paths.join(", ")
                ))
            }
            None => State::Fine,
        };
        self.context.health.set(state);
    }
}

/// Hands lines on, with the place behind them.
fn tell(
    context: &InputContext,
    file: &mut OpenFile,
    text: Vec<u8>,
    gone: bool,
) -> Result<(), Closed> {
    let offset = file.mark.offset;
    file.mark.offset += text.len() as u64;
    file.told = file.mark.entries;
    let identity = if gone { Vec::new() } else { file.mark.write(&context.name) };
    let new = std::mem::take(&mut file.new);
    let position = Position { key: file.mark.key, offset: file.mark.offset, identity, new };
    let chunk = Chunk {
        text,
        source: Arc::clone(&file.source),
        offset,
        received_ns: context.clock.now_ns(),
        piece: false,
        last: gone,
        position: Some(position),
        told: Vec::new(),
        ack: None,
        memory: None,
    };
    pulse::rest(|| context.intake.submit_blocking(chunk))
}

/// The files of a folder, and of the folders in it (one for each machine).
fn find(context: &InputContext, folder: &Path, deeper: usize, found: &mut Vec<PathBuf>) {
    for path in context.storage.list(folder).unwrap_or_default() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // `~`: journald did not close it properly; what is in it counts.
        if name.ends_with(".journal") || name.ends_with(".journal~") {
            found.push(path);
        } else if deeper > 0 && !name.contains('.') {
            find(context, &path, deeper - 1, found);
        }
    }
}

#[cfg(test)]
mod tests;
