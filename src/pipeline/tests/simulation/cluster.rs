//! A cluster that keeps documents by their ids and misbehaves in every way that it was told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::random::Random;
use crate::delivery::BoxFuture;
use crate::output::simulated::{Reply, Sent, Server};
use crate::storage::simulated::SimulatedStorage;

/// What the cluster does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Up,
    Down,
    Slow,
    Busy,
    /// Some of a request's documents are refused for now.
    Partial,
    Failing,
    /// Stores, then closes the connection.
    Closing,
    /// Stores long after the client has given up.
    Late,
    /// Stores a part, then closes the connection.
    Torn,
    /// Answers what nobody can read.
    Garbled,
    /// Takes only small requests.
    Small,
    /// Refuses to write to the index for now.
    Blocked,
    /// Any of these, by chance.
    Mixed,
}

pub const MOODS: [Mood; 13] = [
    Mood::Up,
    Mood::Down,
    Mood::Slow,
    Mood::Busy,
    Mood::Partial,
    Mood::Failing,
    Mood::Closing,
    Mood::Late,
    Mood::Torn,
    Mood::Garbled,
    Mood::Small,
    Mood::Blocked,
    Mood::Mixed,
];

/// The cluster; clones share it.
#[derive(Clone)]
pub struct Cluster(Arc<Mutex<Inner>>);

struct Inner {
    mood: Mood,
    random: Random,
    /// The bodies by id.
    documents: BTreeMap<String, String>,
    /// Faults that were seen.
    wrong: Vec<String>,
    /// The same id with another body: the one that is stored, and the one that was refused.
    taken: Vec<(String, String, String)>,
    requests: u64,
    conflicts: u64,
    /// Who sends; a dead process sends nothing.
    sender: SimulatedStorage,
}

impl Cluster {
    pub fn new(seed: u64) -> Cluster {
        Cluster(Arc::new(Mutex::new(Inner {
            mood: Mood::Up,
            random: Random(seed),
            documents: BTreeMap::new(),
            wrong: Vec::new(),
            taken: Vec::new(),
            requests: 0,
            conflicts: 0,
            sender: SimulatedStorage::default(),
        })))
    }

    pub fn set_mood(&self, mood: Mood) {
        self.inner().mood = mood;
    }

    pub fn set_sender(&self, storage: &SimulatedStorage) {
        self.inner().sender = storage.clone();
    }

    pub fn documents(&self) -> BTreeMap<String, String> {
        self.inner().documents.clone()
    }

    pub fn wrong(&self) -> Vec<String> {
        self.inner().wrong.clone()
    }

    /// Id, stored body and refused body of each document that came with the id of another one.
    pub fn taken(&self) -> Vec<(String, String, String)> {
        self.inner().taken.clone()
    }

    /// Requests, and documents that were there already.
    pub fn counts(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.requests, inner.conflicts)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    async fn serve(self, sent: Vec<Sent>) -> Reply {
        let Some(mood) = self.inner().mood_now() else { return std::future::pending().await };
        let pause_ms = match mood {
            Mood::Slow => 100 + self.inner().random.below(5_000),
            Mood::Down => 0,
            _ => 1 + self.inner().random.below(5),
        };
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        self.answer(mood, sent).await
    }

    async fn answer(self, mood: Mood, sent: Vec<Sent>) -> Reply {
        const BUSY: (u16, &str) = (429, "es_rejected_execution_exception");
        let empty = sent.is_empty();
        match mood {
            Mood::Down => return Reply::Unreachable,
            Mood::Busy => return error(429, BUSY.1),
            Mood::Failing => return error(500, "node_closed_exception"),
            Mood::Small if sent.len() > 2 => return error(413, "content_too_long"),
            _ if empty => return error(400, "parse_exception"),
            Mood::Late => {
                let later = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(70)).await;
                    later.inner().store(&sent, |_, _| None);
                });
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Reply::TimedOut;
            }
            _ => {}
        }
        let mut inner = self.inner();
        match mood {
            Mood::Torn => {
                let part = inner.random.below(sent.len() as u64 + 1) as usize;
                inner.store(&sent[..part], |_, _| None);
                Reply::Broken
            }
            Mood::Closing => {
                inner.store(&sent, |_, _| None);
                Reply::Broken
            }
            Mood::Garbled => {
                let mut reply = inner.store(&sent, |_, _| None);
                reply.truncate(reply.len() / 2);
                Reply::Answer(200, reply)
            }
            Mood::Partial => {
                let refuse = |_: &Sent, random: &mut Random| random.one_in(2).then_some(BUSY);
                Reply::Answer(200, inner.store(&sent, refuse))
            }
            Mood::Blocked => {
                let refuse = |_: &Sent, _: &mut Random| Some((403, "cluster_block_exception"));
                Reply::Answer(200, inner.store(&sent, refuse))
            }
            _ => Reply::Answer(200, inner.store(&sent, |_, _| None)),
        }
    }
}

impl Server for Cluster {
    fn bulk(&self, _: usize, documents: Vec<Sent>) -> BoxFuture<'static, Reply> {
        Box::pin(self.clone().serve(documents))
    }
}

impl Inner {
    /// What becomes of a request; `None`: nobody sent it.
    fn mood_now(&mut self) -> Option<Mood> {
        if self.sender.has_ended() {
            return None;
        }
        self.requests += 1;
        Some(match self.mood {
            Mood::Mixed => MOODS[self.random.below(12) as usize],
            mood => mood,
        })
    }

    /// Stores what is not refused; the reply.
    fn store(
        &mut self,
        sent: &[Sent],
        refuse: impl Fn(&Sent, &mut Random) -> Option<(u16, &'static str)>,
    ) -> String {
        let mut items = Vec::new();
        let mut errors = false;
        for document in sent {
            let refusal = self.fate(document, &refuse);
            errors |= refusal.is_some();
            items.push(match refusal {
                Some((status, kind)) => format!(
                    "{{\"create\":{{\"status\":{status},\"error\":{{\"type\":\"{kind}\",\"reason\":\"simulated\"}}}}}}"
                ),
                None => "{\"create\":{\"status\":201}}".to_string(),
            });
        }
        format!("{{\"errors\":{errors},\"items\":[{}]}}", items.join(","))
    }

    fn fate(
        &mut self,
        document: &Sent,
        refuse: &impl Fn(&Sent, &mut Random) -> Option<(u16, &'static str)>,
    ) -> Option<(u16, &'static str)> {
        if let Some(refusal) = refuse(document, &mut self.random) {
            return Some(refusal);
        }
        if document.body.contains("\"kind\":\"bad\"") {
            return Some((400, "document_parsing_exception"));
        }
        if document.index != "logs" || document.id.is_empty() {
            self.wrong.push(format!("index {:?}, id {:?}", document.index, document.id));
        }
        if let Some(known) = self.documents.get(&document.id) {
            // Read again, a line has another time.
            let content = |body: &str| body.split_once("Z\",").map(|(_, rest)| rest.to_string());
            if content(known) != content(&document.body) {
                let Sent { id, body, .. } = document;
                self.taken.push((id.clone(), known.clone(), body.clone()));
            }
            self.conflicts += 1;
            return Some((409, "version_conflict_engine_exception"));
        }
        self.documents.insert(document.id.clone(), document.body.clone());
        None
    }
}

fn error(status: u16, kind: &str) -> Reply {
    let text = format!(
        "{{\"error\":{{\"type\":\"{kind}\",\"reason\":\"simulated\"}},\"status\":{status}}}"
    );
    Reply::Answer(status, text)
}
