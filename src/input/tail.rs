//! `type = "file"`: files that grow, read as they are written.
//!
//! Is: the loop around a [`tailer::Tailer`]: one thread that owns everything, one that waits for inotify. In: the
//! settings and the journal's positions. Out: chunks, one source for each generation of a file. Promises: every line
//! of every matched file exactly once, over renames, copies, truncations and restarts; a full pipeline stops the
//! reading, never the discovery, so that rotated files are held open meanwhile. On failure: the file is named in
//! health and tried again; the others go on.

mod adopted;
mod adrift;
mod compressed;
mod copies;
mod counts;
mod decide;
mod discover;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod generation;
mod identity;
mod lag;
pub(super) mod lines;
mod names;
mod place;
mod positions;
mod reader;
mod rescan;
pub(super) mod settings;
mod tables;
mod tailer;
mod trail;
mod unread;
#[cfg_attr(target_os = "linux", path = "tail/watch.rs")]
#[cfg_attr(not(target_os = "linux"), path = "tail/unwatched.rs")]
mod watch;

#[cfg(test)]
pub(crate) mod stepped;
#[cfg(test)]
mod tests;

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TrySendError};
use std::time::Duration;

use self::counts::Counts;
use self::settings::Settings;
use self::tailer::{Parts, Tailer, Wake};
use self::watch::{Event, Watch};
use super::{Input, InputContext, InputLoad};
use crate::chunk::{Chunk, Closed, Intake, Position};
use crate::clock::Clock;
use crate::delivery::BoxFuture;
use crate::event::{Key, Literal};
use crate::health::{Part, State};
use crate::pulse;
use crate::settings::Section;
use crate::watermark::Waiting;

/// See [`super::file_of`].
pub(super) fn file_of(position: &[u8]) -> Option<(String, std::path::PathBuf)> {
    identity::Identity::decode(position).map(|(input, identity)| (input, identity.path))
}

/// What `head` is in a list that `adopt` names, of a file of which `offset` bytes were read.
pub(super) fn head_of(
    read: &mut dyn FnMut(&mut [u8], u64) -> std::io::Result<usize>,
    offset: u64,
) -> std::io::Result<u32> {
    adopted::head_of(read, offset)
}

/// Chunks handed on between two looks at what has changed.
const CHUNKS_PER_LOOK: usize = 16;
/// Notices that wait for the reading thread; beyond that the kernel's queue fills.
const NOTICES_MAX: usize = 64;
/// Pause before a full pipeline is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(4);

/// What the reading thread is told.
pub enum Notice {
    /// inotify events.
    Events(Vec<Event>),
    /// The agent stops.
    Stop,
}

struct FileInput {
    settings: Settings,
    fields: Vec<(Key, Literal)>,
}

struct Reading {
    tailer: Tailer,
    watch: Watch,
    notices: Receiver<Notice>,
    intake: Intake,
    health: Part,
    // What changed, or may have, and is not handed on.
    waiting: Waiting,
    // A chunk that the pipeline had no room for.
    held: Option<Chunk>,
    said: State,
}

/// Loads a `file` input.
pub fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let settings = settings::load(section)?;
    Some(Box::new(FileInput { settings, fields: load.fields.clone() }))
}

/// A number that no other source has; never 0.
pub(super) fn random_id(clock: &dyn Clock) -> u64 {
    clock.random().max(1)
}

impl Input for FileInput {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let InputContext { name, intake, positions, clock, storage, metrics, health, mut stop } =
                context;
            let (notify, notices) = mpsc::sync_channel(NOTICES_MAX);
            let parts = Parts {
                input: name.clone(),
                fields: self.fields,
                storage,
                clock,
                intake: intake.clone(),
                counts: Counts::new(&metrics),
            };
            let reading = Reading {
                tailer: Tailer::new(self.settings, parts),
                watch: Watch::start(&name, notify.clone()),
                notices,
                waiting: intake.watermark().wait(),
                intake,
                health: health.clone(),
                held: None,
                said: State::Starting,
            };
            let (ended, mut end) = tokio::sync::oneshot::channel();
            let thread = std::thread::Builder::new().name(format!("tail-{name}"));
            let spawned = thread.spawn(move || {
                reading.run(&positions);
                let _ = ended.send(());
            });
            if let Err(why) = spawned {
                let hint = "raise the limit of threads (TasksMax, ulimit -u) and restart";
                health
                    .set(State::Paused(format!("cannot start the reading thread: {why}; {hint}")));
                let _ = stop.wait_for(|stop| *stop).await;
                return;
            }
            let done = tokio::select! {
                done = &mut end => Some(done),
                _ = stop.wait_for(|stop| *stop) => None,
            };
            let done = if let Some(done) = done {
                done
            } else {
                while let Err(TrySendError::Full(_)) = notify.try_send(Notice::Stop) {
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                end.await
            };
            if done.is_err() {
                let what = "the reading thread ended by a fault of logweir; restart it and report";
                health.set(State::Paused(what.into()));
            }
        })
    }
}

impl Reading {
    fn run(mut self, positions: &[Position]) {
        let _joined = self.health.join_thread();
        self.tailer.set_watched(self.watch.tells_all());
        self.tailer.start(positions);
        let mut wakes = Vec::new();
        loop {
            self.watch_directories(&mut wakes);
            self.say_health();
            self.tailer.show_lag();
            let now = self.tailer.elapsed_ns();
            let idle = self.held.is_none() && !self.tailer.has_ready() && wakes.is_empty();
            if idle {
                self.waiting.since(None);
            }
            let pause = if self.held.is_some() {
                FULL_PAUSE
            } else if idle {
                Duration::from_nanos(self.tailer.due_ns().saturating_sub(now))
            } else {
                Duration::ZERO
            };
            if !self.take_notices(pause, &mut wakes) {
                return;
            }
            if idle {
                self.waiting.since(Some(self.tailer.elapsed_ns()));
            }
            if !wakes.is_empty() || self.tailer.due_ns() <= self.tailer.elapsed_ns() {
                self.tailer.look(&mut wakes);
            }
            if self.hand_on().is_err() {
                return;
            }
            if let Some(since_ns) = self.tailer.waits_since_ns(self.held.is_some()) {
                self.waiting.since(Some(since_ns));
            }
        }
    }

    // Watches what the tailer wants watched; a directory that is new is listed again, as names may have come before.
    fn watch_directories(&mut self, wakes: &mut Vec<Wake>) {
        if self.tailer.take_directories_changed() {
            let added = self.watch.set(self.tailer.directories());
            wakes.extend(added.into_iter().map(Wake::Watched));
            self.tailer.set_watched(self.watch.tells_all());
        }
        for file in self.tailer.new_files() {
            if self.watch.follow(&file) {
                wakes.push(Wake::Changed(file));
            }
        }
    }

    // False: the agent stops.
    fn take_notices(&mut self, pause: Duration, wakes: &mut Vec<Wake>) -> bool {
        let mut notice = match pulse::rest(|| self.notices.recv_timeout(pause)) {
            Ok(notice) => Some(notice),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        while let Some(told) = notice {
            match told {
                Notice::Stop => return false,
                Notice::Events(events) => self.watch.wakes(&events, wakes),
            }
            notice = self.notices.try_recv().ok();
        }
        true
    }

    fn hand_on(&mut self) -> Result<(), Closed> {
        for _ in 0..CHUNKS_PER_LOOK {
            let Some(chunk) = self.held.take().or_else(|| self.tailer.read()) else { break };
            if let Some(chunk) = self.intake.offer(chunk)? {
                self.held = Some(chunk);
                self.tailer.hold();
                break;
            }
        }
        Ok(())
    }

    fn say_health(&mut self) {
        let problem = self.tailer.problem().or_else(|| self.watch.problem().map(str::to_string));
        let state = problem.map_or(State::Fine, State::Degraded);
        if state != self.said {
            self.health.set(state.clone());
            self.said = state;
        }
    }
}
