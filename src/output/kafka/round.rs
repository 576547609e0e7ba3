//! The documents of one request to the cluster, as batches for partitions, until the brokers have all of them.
//!
//! In: a batch of documents, and what is known of their topics. Out: what became of each. Promises: a partition's
//! batches go one after another, and each keeps its number among the producer's until it is stored, so that one that a
//! broker has already is not stored again; of a batch that is refused the halves are tried, until what will not be had
//! stands alone; of an answer counts what it says of batches that its broker was sent, once of each. A partition that
//! forgot its producer gets another one, the others keep theirs: of them the fate of a batch may be open. What was
//! meant for a partition that is gone goes to those that are there. On failure: what is left to do stays here, and is
//! tried again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::post::{Batch, Held};
use super::cluster::Cluster;
use super::error::{Code, Meaning};
use super::partition::{self, Spread};
use super::records::{Entry, Producer, Records};
use super::requests::{self, PRODUCE, Produced};
use super::{BETWEEN, is_topic};

/// Places that numbers are kept for from one round to the next.
const NUMBERED_MAX: usize = if cfg!(test) { 2 } else { 10_000 };

/// A partition of a topic.
type Place = (String, usize);

/// Who we are for the cluster, and how many records each partition has of us.
pub(super) struct Identity {
    /// Whether the cluster is to know us.
    wanted: bool,
    /// Whom places get that have nobody yet.
    producer: Option<Producer>,
    /// Who writes to a place, and the number of the next record there.
    places: HashMap<Place, (Producer, i32)>,
}

/// A batch for one partition.
struct Part {
    place: Place,
    /// Places in the batch of documents.
    documents: Vec<usize>,
    records: Records,
}

/// See the module.
pub(super) struct Round {
    /// What it was made of.
    documents: Vec<Held>,
    sequence: u64,
    /// Which round it is.
    turn: usize,
    /// What is not stored yet, in the order of the places, and for each in that of the documents.
    parts: Vec<Part>,
    /// Places in the batch of documents, and why they will not be had.
    refused: Vec<(usize, String)>,
}

/// How batches are made and sent.
pub(super) struct Manner {
    pub(super) spread: Spread,
    pub(super) gzip: bool,
    /// -1: all replicas that are in step, 1: the leader.
    pub(super) acks: i16,
}

impl Identity {
    pub(super) fn new(wanted: bool) -> Identity {
        Identity { wanted, producer: None, places: HashMap::new() }
    }

    /// To be called between two rounds only: nothing is under way whose number must not be forgotten.
    pub(super) fn bound(&mut self) {
        if self.places.len() > NUMBERED_MAX {
            self.producer = None;
            self.places.clear();
        }
    }

    async fn producer(&mut self, cluster: &mut Cluster) -> Result<Producer, String> {
        if !self.wanted {
            return Ok(Producer::NONE);
        }
        match self.producer {
            Some(producer) => Ok(producer),
            None => Ok(*self.producer.insert(cluster.producer().await?)),
        }
    }

    /// Who writes the next record to a place, and its number; `producer`: if nobody did yet.
    fn next(&mut self, place: &Place, producer: Producer) -> (Producer, i32) {
        if !self.wanted {
            return (producer, -1);
        }
        match self.places.get(place) {
            Some(next) => *next,
            None => *self.places.entry(place.clone()).or_insert((producer, 0)),
        }
    }

    /// So many are stored; numbers begin again behind the largest.
    fn advance(&mut self, place: &Place, count: i32) {
        if let Some((_, next)) = self.places.get_mut(place) {
            *next = (i64::from(*next) + i64::from(count)) as i32 & i32::MAX;
        }
    }

    /// Takes another name for a place, and counts from 0 there.
    fn forget(&mut self, place: &Place) {
        self.places.remove(place);
        self.producer = None;
    }
}

impl Round {
    /// Whether these are its documents.
    pub(super) fn is_of(&self, batch: &Batch<'_>) -> bool {
        self.sequence == sequence(batch) && self.documents == batch.documents
    }

    /// Puts documents into batches; `turn`: which round it is.
    ///
    /// # Errors
    /// A topic is not to be had now.
    pub(super) async fn new(
        batch: &Batch<'_>,
        cluster: &mut Cluster,
        manner: &Manner,
        turn: usize,
    ) -> Result<Round, String> {
        let mut topics = BTreeSet::new();
        for document in batch.iter() {
            topics.extend(is_topic(split(document.address(batch.bit).unwrap_or_default()).0));
        }
        let topics: Vec<String> = topics.into_iter().map(str::to_string).collect();
        cluster.learn(&topics, batch.now_ns).await?;
        let mut round = Round {
            documents: batch.documents.to_vec(),
            sequence: sequence(batch),
            turn,
            parts: Vec::new(),
            refused: Vec::new(),
        };
        round.put(batch, 0..batch.documents.len(), cluster, manner);
        Ok(round)
    }

    /// Puts documents into batches, behind those that their partitions have.
    fn put(
        &mut self,
        batch: &Batch<'_>,
        documents: impl IntoIterator<Item = usize>,
        cluster: &Cluster,
        manner: &Manner,
    ) {
        let mut places: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
        for at in documents {
            let (frame, number) = batch.documents[at];
            let document = batch.frames[frame].document(number);
            let (name, key) = split(document.address(batch.bit).unwrap_or_default());
            let topic = is_topic(name).ok_or(Code::INVALID_TOPIC);
            let topic = topic.and_then(|topic| cluster.refusal(topic).map_or(Ok(topic), Err));
            let topic = match topic {
                Ok(topic) => topic,
                Err(code) => {
                    let why = format!("`{}` is no topic: {code}", String::from_utf8_lossy(name));
                    self.refused.push((at, why));
                    continue;
                }
            };
            let leaders = cluster.leaders(topic).unwrap_or(&[-1]);
            let partition = match (document.prefix(), manner.spread) {
                _ if !key.is_empty() => partition::of_bytes(key, leaders.len()),
                (Some(source), Spread::Source) => partition::of_bytes(source, leaders.len()),
                _ => partition::in_turn(self.turn, leaders),
            };
            places.entry((topic, partition)).or_default().push(at);
        }
        for ((topic, partition), documents) in places {
            let part = Part::new(batch, (topic.to_string(), partition), documents, manner.gzip);
            let behind = self.parts.partition_point(|known| known.place <= part.place);
            self.parts.insert(behind, part);
        }
    }

    /// Puts anew what is meant for a partition that is not there any more: its topic was made anew with fewer
    /// partitions, or its name is none of a topic now.
    fn put_anew(
        &mut self,
        batch: &Batch<'_>,
        cluster: &Cluster,
        identity: &mut Identity,
        manner: &Manner,
    ) {
        let is_gone = |part: &mut Part| {
            let (topic, partition) = &part.place;
            let leaders = cluster.leaders(topic);
            cluster.refusal(topic).is_some() || leaders.is_some_and(|l| *partition >= l.len())
        };
        let mut documents = Vec::new();
        for part in self.parts.extract_if(.., is_gone) {
            // Its numbers were those of the old one.
            identity.forget(&part.place);
            documents.extend(part.documents);
        }
        documents.sort_unstable();
        self.put(batch, documents, cluster, manner);
    }

    /// Sends what is left until the brokers have all that they will take: those documents that they do not.
    ///
    /// # Errors
    /// Something is left, and it is better to wait: why.
    pub(super) async fn finish(
        &mut self,
        batch: &Batch<'_>,
        cluster: &mut Cluster,
        identity: &mut Identity,
        manner: &Manner,
    ) -> Result<Vec<(usize, String)>, String> {
        while !self.parts.is_empty() {
            let mut topics: Vec<String> = self.parts.iter().map(|p| p.place.0.clone()).collect();
            topics.dedup();
            cluster.learn(&topics, batch.now_ns).await?;
            self.put_anew(batch, cluster, identity, manner);
            let producer = identity.producer(cluster).await?;
            if let Err(why) = self.pass(batch, cluster, identity, producer, manner).await {
                cluster.doubt();
                return Err(why);
            }
        }
        Ok(std::mem::take(&mut self.refused))
    }

    /// One request to each broker, with the first batch of each partition.
    async fn pass(
        &mut self,
        batch: &Batch<'_>,
        cluster: &mut Cluster,
        identity: &mut Identity,
        producer: Producer,
        manner: &Manner,
    ) -> Result<(), String> {
        let mut why = None;
        let mut asked: Vec<(i32, Vec<usize>)> = Vec::new();
        for at in 0..self.parts.len() {
            if at > 0 && self.parts[at - 1].place == self.parts[at].place {
                continue;
            }
            let Part { place, records, .. } = &mut self.parts[at];
            let (topic, partition) = &*place;
            let leader = cluster.leaders(topic).and_then(|l| l.get(*partition).copied());
            let Some(leader) = leader.filter(|leader| *leader >= 0) else {
                let said = format!("topic `{topic}`: partition {partition} has no broker now");
                why.get_or_insert(said);
                continue;
            };
            let (producer, number) = identity.next(place, producer);
            records.sign(producer, number);
            match asked.iter_mut().find(|(broker, _)| *broker == leader) {
                Some((_, parts)) => parts.push(at),
                None => asked.push((leader, vec![at])),
            }
        }
        let timeout = cluster.way.timeout;
        let mut waiting: Vec<(i32, Vec<Place>)> = Vec::new();
        for (leader, parts) in &asked {
            let batches: Vec<(&str, i32, &Records)> = parts
                .iter()
                .map(|at| &self.parts[*at])
                .map(|part| (part.place.0.as_str(), part.place.1 as i32, &part.records))
                .collect();
            let write = |out: &mut Vec<u8>| {
                requests::write_produce(manner.acks, timeout.as_millis() as i32, &batches, out);
            };
            let sent = match cluster.broker(*leader, batch.now_ns).await {
                Ok(connection) => connection.send(PRODUCE, timeout, write).await,
                Err(said) => {
                    why.get_or_insert(said);
                    continue;
                }
            };
            match sent {
                Ok(()) => {
                    let places = parts.iter().map(|at| self.parts[*at].place.clone());
                    waiting.push((*leader, places.collect()));
                }
                Err(said) => why = Some(cluster.failed(*leader, said)),
            }
        }
        let mut produced = Vec::new();
        for (leader, mut open) in waiting {
            // The broker waits as long for its replicas; it may be a little late.
            let patience = timeout + timeout / 4;
            let reply = match cluster.broker(leader, batch.now_ns).await {
                Ok(connection) => connection.reply(patience).await,
                Err(said) => Err(said),
            };
            match reply.and_then(|reply| Ok(requests::read_produce(&reply)?)) {
                Ok(some) => {
                    for Produced { topic, partition, code } in some {
                        let is_it =
                            |(name, number): &Place| *name == topic && *number as i32 == partition;
                        // What it was not asked for, or says again, would settle a batch that it never got.
                        let Some(at) = open.iter().position(is_it) else { continue };
                        produced.push((open.swap_remove(at), code));
                    }
                    if let Some((topic, partition)) = open.first() {
                        let said =
                            format!("its answer leaves out topic `{topic}`, partition {partition}");
                        why.get_or_insert(cluster.failed(leader, said));
                    }
                }
                Err(said) => why = Some(cluster.failed(leader, said)),
            }
        }
        for (place, code) in produced {
            if let Err(said) = self.judge(batch, &place, code, identity, manner.gzip) {
                why.get_or_insert(said);
            }
        }
        why.map_or(Ok(()), Err)
    }

    /// Takes what a broker says of the first batch of a partition, which it was sent.
    fn judge(
        &mut self,
        batch: &Batch<'_>,
        place: &Place,
        code: Code,
        identity: &mut Identity,
        gzip: bool,
    ) -> Result<(), String> {
        let (topic, partition) = place;
        let is_it = |part: &Part| part.place == *place;
        let Some(at) = self.parts.iter().position(is_it) else { return Ok(()) };
        let said = || format!("topic `{topic}`, partition {partition}: {code}");
        match code.meaning() {
            Meaning::Stored => {
                let part = self.parts.remove(at);
                identity.advance(&part.place, part.records.count());
                Ok(())
            }
            Meaning::Refused => {
                let Part { place, mut documents, .. } = self.parts.remove(at);
                if let [document] = *documents {
                    self.refused.push((document, said()));
                    return Ok(());
                }
                let second = documents.split_off(documents.len() / 2);
                let halves = [documents, second];
                let halves = halves.map(|half| Part::new(batch, place.clone(), half, gzip));
                self.parts.splice(at..at, halves);
                Ok(())
            }
            Meaning::Forgotten => {
                identity.forget(&self.parts[at].place);
                Err(said())
            }
            Meaning::Again => Err(said()),
        }
    }
}

impl Part {
    fn new(batch: &Batch<'_>, place: Place, documents: Vec<usize>, gzip: bool) -> Part {
        let document = |at: &usize| {
            let (frame, number) = batch.documents[*at];
            batch.frames[frame].document(number)
        };
        let ids: Vec<Vec<u8>> = documents
            .iter()
            .map(|at| {
                let mut id = Vec::new();
                document(at).write_id(&mut id);
                id
            })
            .collect();
        let entries: Vec<Entry<'_>> = documents
            .iter()
            .zip(&ids)
            .map(|(at, id)| {
                let document = document(at);
                let (_, key) = split(document.address(batch.bit).unwrap_or_default());
                // Kafka knows no time before 1970.
                let time_ms = document.time_ns.div_euclid(1_000_000).max(0);
                Entry { time_ms, key, value: document.body, id }
            })
            .collect();
        Part { place, records: Records::pack(&entries, gzip), documents }
    }
}

/// The number of a batch's first frame.
fn sequence(batch: &Batch<'_>) -> u64 {
    batch.frames.first().map_or(0, |frame| frame.sequence())
}

/// An address as its topic and its key.
fn split(address: &[u8]) -> (&[u8], &[u8]) {
    let between = address.iter().position(|byte| *byte == BETWEEN as u8);
    between.map_or((address, b""), |at| (&address[..at], &address[at + 1..]))
}
