//! Does with dead letters what `logweir dlq` asks for.
//!
//! Is: an input of the journal whose source is the store of dead letters. In: requests. Out: letters as documents of
//! their output, with the ids that they had; answers. Promises: a letter leaves the store only after its document is
//! safe in the journal; how far a request came stands in the frame that holds the documents, so that one that was
//! interrupted goes on exactly there, for the outputs that it was begun for: nothing lost, nothing journaled twice.
//! While one cannot be read, none leaves.
//! One that was begun is ended before another begins.
//! On failure: the request stays, and is taken up again: after a pause, or at the next start.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::chunk::{Closed, Position, Stored, ack};
use crate::delivery::Stop;
use crate::frame::{Draft, Head, WHOLE_ID};
use crate::journal::Journal;
use crate::journal::dead_letter::{
    Action, Answer, LetterKey, Request, Requests, Selection, Store, StoredLetter, read_every,
};
use crate::limits;
use crate::metrics::{Counter, Metrics};
use crate::storage::SharedStorage;

/// The key of the position that tells how far a replay came.
const POSITION_KEY: u64 = u64::from_be_bytes(*b"replay\0\0");
/// The first byte of its identity, so that no input takes it for its own; the request's name follows, and the names of
/// the outputs that there were when it was begun, each behind a zero byte.
const IDENTITY: u8 = b'R';

/// Everything that requests are carried out with.
pub(super) struct Desk {
    requests: Requests,
    store: Arc<Store>,
    letters: PathBuf,
    storage: SharedStorage,
    journal: Journal,
    /// Name and bit of each output.
    outputs: BTreeMap<String, u32>,
    begun: Mutex<Option<Begun>>,
    replayed: Counter,
    dropped: Counter,
    stop: Stop,
}

/// A request that was begun.
#[derive(Clone)]
struct Begun {
    name: String,
    /// Its last letter that is in the journal.
    last: LetterKey,
    /// The outputs that there were: letters of others were passed over, and stay. `None`: begun by a version that did
    /// not note them.
    outputs: Option<BTreeSet<String>>,
}

/// Why a request was not done.
enum Interrupted {
    /// The agent stops; it goes on after the next start.
    Closed,
    /// Files cannot be read or written.
    Failed(io::Error),
}

impl From<Closed> for Interrupted {
    fn from(_: Closed) -> Self {
        Interrupted::Closed
    }
}

impl From<io::Error> for Interrupted {
    fn from(why: io::Error) -> Self {
        Interrupted::Failed(why)
    }
}

impl Desk {
    /// For the pipeline with this folder; `positions` as the journal had them at its start.
    pub(super) fn new(
        folder: &Path,
        (storage, metrics): (&SharedStorage, &Metrics),
        (store, journal): (Arc<Store>, Journal),
        outputs: BTreeMap<String, u32>,
        positions: &[Position],
        stop: Stop,
    ) -> Desk {
        let ours = positions.iter().find(|p| p.key == POSITION_KEY);
        let begun = ours.and_then(Begun::read);
        let counter = |name, help| metrics.counter(name, help);
        Desk {
            requests: Requests::new(storage, folder),
            store,
            letters: folder.join("dead-letters"),
            storage: Arc::clone(storage),
            journal,
            outputs,
            begun: Mutex::new(begun),
            replayed: counter(
                "logweir_dead_letters_replayed_total",
                "Dead letters put back to their output.",
            ),
            dropped: counter(
                "logweir_dead_letters_dropped_total",
                "Dead letters removed by `logweir dlq drop`.",
            ),
            stop,
        }
    }

    /// Carries out what is asked for until the agent stops.
    pub(super) async fn serve(self: Arc<Self>) {
        let mut stop = self.stop.clone();
        self.requests.forget_answers();
        loop {
            if !self.requests.names().is_empty() {
                let desk = Arc::clone(&self);
                // It ends when the journal is closed; a panic of it must not end the agent.
                let _ = tokio::task::spawn_blocking(move || desk.work()).await;
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(limits::REQUEST_LOOK_MS)) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Carries out everything that is asked for now.
    fn work(&self) {
        for name in self.in_order() {
            let done = match self.requests.read(&name) {
                Ok(request) => self.carry_out(&name, &request),
                // What it put back stands in the store still: any other request would meet it there.
                Err(why) if self.is_begun(&name) => Err(why.into()),
                Err(why) => {
                    let failed = Some(format!("the request cannot be read: {why}"));
                    Ok(Answer { failed, ..Answer::default() })
                }
            };
            let answered = done.and_then(|answer| Ok(self.requests.answer(&name, &answer)?));
            match answered {
                Ok(()) => self.forget(&name),
                Err(Interrupted::Closed) => return,
                Err(Interrupted::Failed(why)) => {
                    tracing::warn!(
                        "the request `{name}` about dead letters is tried again: {why}; \
                         remove its file from `requests` to give it up"
                    );
                    return;
                }
            }
        }
    }

    /// What is asked for, oldest first; but one that was begun is ended before any other begins. Only one can be: the
    /// journal keeps how far one came, and what it put back is to be removed before anybody puts it back again. The
    /// clock may have been set back since it was asked for.
    fn in_order(&self) -> Vec<String> {
        let mut names = self.requests.names();
        names.sort_by_key(|name| !self.is_begun(name));
        names
    }

    fn is_begun(&self, name: &str) -> bool {
        self.begun().as_ref().is_some_and(|begun| begun.name == name)
    }

    fn carry_out(&self, name: &str, request: &Request) -> Result<Answer, Interrupted> {
        let selection = &request.selection;
        let mut answer = Answer::default();
        match request.action {
            Action::Replay => {
                let outputs = self.outputs_of(name);
                self.replay(name, selection, &mut answer)?;
                let back =
                    |s: &StoredLetter| selection.takes(s) && outputs.contains_key(&s.letter.output);
                self.store.remove(&back)?;
                self.replayed.add(answer.done);
                tracing::info!("{} dead letters are put back to their outputs", answer.done);
            }
            Action::Drop => {
                answer.done = self.store.remove(&|stored| selection.takes(stored))?;
                self.dropped.add(answer.done);
                tracing::info!("{} dead letters are dropped, as asked", answer.done);
            }
        }
        Ok(answer)
    }

    /// The outputs that a request puts letters back to, with their bits.
    fn outputs_of(&self, name: &str) -> BTreeMap<String, u32> {
        let mut outputs = self.outputs.clone();
        if let Some(known) = self.begun_as(name).and_then(|begun| begun.outputs) {
            outputs.retain(|output, _| known.contains(output));
        }
        outputs
    }

    /// Appends the letters to the journal; returns when they are safe there.
    fn replay(
        &self,
        name: &str,
        selection: &Selection,
        answer: &mut Answer,
    ) -> Result<(), Interrupted> {
        let outputs = self.outputs_of(name);
        let after = self.begun_as(name).map(|begun| begun.last);
        let mut without: BTreeMap<String, u64> = BTreeMap::new();
        let mut batch = Batch::new(&self.journal);
        let mut last: Option<Stored> = None;
        // All of them: afterwards whatever the selection takes is removed, also what was not met here.
        let mut letters = read_every(&self.storage, &self.letters)?;
        while let Some(stored) = letters.next_or_why()? {
            if !selection.takes(&stored) {
                continue;
            }
            if *self.stop.borrow() {
                return Err(Interrupted::Closed);
            }
            let Some(bit) = outputs.get(&stored.letter.output) else {
                *without.entry(stored.letter.output).or_default() += 1;
                continue;
            };
            answer.done += 1;
            if after.is_some_and(|after| stored.key <= after) {
                continue;
            }
            if batch.draft.is_full() {
                last = Some(self.append(name, &mut batch)?);
            }
            batch.add(&stored, *bit)?;
        }
        if !batch.draft.is_empty() {
            last = Some(self.append(name, &mut batch)?);
        } else if let (None, Some(after)) = (&last, after) {
            // All of them are in the journal since an earlier try, and nothing says that they are durable: a frame that
            // comes after theirs is told when they are, too.
            batch.last = after;
            last = Some(self.append(name, &mut batch)?);
        }
        if let Some(stored) = last {
            stored.wait_blocking()?;
        }
        answer.without_output = without.into_iter().collect();
        Ok(())
    }

    fn append(&self, name: &str, batch: &mut Batch) -> Result<Stored, Closed> {
        let Batch { mut draft, last, .. } = std::mem::replace(batch, Batch::new(&self.journal));
        let known = self.begun_as(name).map(|begun| begun.outputs);
        let outputs = known.unwrap_or_else(|| Some(self.outputs.keys().cloned().collect()));
        let begun = Begun { name: name.to_string(), last, outputs };
        let identity = begun.identity();
        draft.position(Position { key: POSITION_KEY, offset: last.0, identity, new: false });
        let (ack, stored) = ack();
        self.journal.append(draft, Some(ack))?;
        *self.begun() = Some(begun);
        Ok(stored)
    }

    /// The request is answered: nothing needs to know how far it came.
    fn forget(&self, name: &str) {
        let begun = self.begun().take_if(|begun| begun.name == name);
        if begun.is_some() {
            let mut draft = Draft::new(self.journal.buffer());
            let (key, identity) = (POSITION_KEY, Vec::new());
            draft.position(Position { key, offset: 0, identity, new: false });
            // A journal that is closed keeps it; then it is of a request that never comes again.
            let _ = self.journal.append(draft, None);
        }
    }

    fn begun_as(&self, name: &str) -> Option<Begun> {
        self.begun().clone().filter(|begun| begun.name == name)
    }

    fn begun(&self) -> std::sync::MutexGuard<'_, Option<Begun>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Begun {
    /// What a position says; `None`: it is of no request.
    fn read(position: &Position) -> Option<Begun> {
        let (&IDENTITY, names) = position.identity.split_first()? else { return None };
        let names = String::from_utf8_lossy(names);
        let (name, outputs) = match names.split_once('\0') {
            Some((name, outputs)) => (name, Some(outputs)),
            None => (&*names, None),
        };
        let outputs = outputs.map(|names| names.split('\0').map(str::to_string).collect());
        Some(Begun { name: name.to_string(), last: LetterKey(position.offset), outputs })
    }

    fn identity(&self) -> Vec<u8> {
        let mut identity = [&[IDENTITY], self.name.as_bytes()].concat();
        for output in self.outputs.iter().flatten() {
            identity.push(0);
            identity.extend_from_slice(output.as_bytes());
        }
        identity
    }
}

/// Letters on their way into one frame.
struct Batch {
    draft: Draft,
    last: LetterKey,
}

impl Batch {
    fn new(journal: &Journal) -> Batch {
        Batch { draft: Draft::new(journal.buffer()), last: LetterKey::default() }
    }

    /// Adds a letter to a draft that is not full.
    fn add(&mut self, stored: &StoredLetter, bit: u32) -> io::Result<()> {
        let letter = &stored.letter;
        let full = || io::Error::other("a frame that is not full has no room for two strings");
        let address = self.draft.string(letter.address.as_bytes()).ok_or_else(full)?;
        // Without an id the server chose one, and chooses another one now.
        let prefix = match letter.id.as_str() {
            "" => None,
            id => Some(self.draft.string(id.as_bytes()).ok_or_else(full)?),
        };
        let suffix = if prefix.is_some() { WHOLE_ID } else { self.draft.document_count() as u64 };
        self.draft.body().extend_from_slice(&letter.document);
        let head = Head { routes: 1 << bit, time_ns: letter.refused_ns, prefix, suffix, sub: 0 };
        self.draft.add(head, &[address]);
        self.last = stored.key;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
