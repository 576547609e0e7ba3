//! The brokers of a cluster, and which of them has a partition.
//!
//! In: names of topics, requests for the broker of a partition. Out: partitions and their brokers, replies. Promises:
//! what is known of topics is asked anew from time to time and after each failure, so that new partitions and other
//! brokers are found; what is kept is bounded; a name that no topic can have holds up no other. On failure: a sentence
//! for health that names the broker.

use std::collections::HashMap;
use std::fmt::Display;

use super::super::connect::Server;
use super::connection::{Connection, Way};
use super::error::Code;
use super::records::Producer;
use super::requests::{self, INIT_PRODUCER_ID, METADATA, Metadata};

/// How long what a broker said of a topic is believed, in nanoseconds.
const BELIEVED_NS: i64 = 300 * 1_000_000_000;
/// How long a connection may rest until another one is opened, in nanoseconds: brokers end those that rested for ten
/// minutes, Event Hubs after four, and a request would be the first to notice.
const RESTED_NS: i64 = 180 * 1_000_000_000;
/// Topics to remember.
const TOPICS_MAX: usize = 1_000;

/// A cluster, as far as it is known.
pub(super) struct Cluster {
    pub(super) way: Way,
    /// Those that are asked first.
    servers: Vec<Server>,
    /// The one of them to ask next.
    next: usize,
    /// Whether the brokers may make topics that are missing.
    create: bool,
    brokers: HashMap<i32, Server>,
    /// The broker of each partition of a topic, or why there will never be one of this name.
    topics: HashMap<String, Result<Vec<i32>, Code>>,
    asked_ns: i64,
    /// With when each was used.
    connections: HashMap<i32, (Connection, i64)>,
}

impl Cluster {
    pub(super) fn new(servers: Vec<Server>, create: bool, way: Way) -> Cluster {
        Cluster {
            way,
            servers,
            next: 0,
            create,
            brokers: HashMap::new(),
            topics: HashMap::new(),
            asked_ns: 0,
            connections: HashMap::new(),
        }
    }

    /// The broker of each partition of a topic; see [`Cluster::learn`].
    pub(super) fn leaders(&self, topic: &str) -> Option<&[i32]> {
        self.topics.get(topic)?.as_deref().ok()
    }

    /// Why there will never be a topic of this name; see [`Cluster::learn`].
    pub(super) fn refusal(&self, topic: &str) -> Option<Code> {
        self.topics.get(topic)?.as_ref().err().copied()
    }

    /// Asks for the topics that are not known, or were asked for too long ago.
    ///
    /// # Errors
    /// No broker answers, or one of the topics is not to be had now.
    pub(super) async fn learn(&mut self, topics: &[String], now_ns: i64) -> Result<(), String> {
        let age = now_ns.saturating_sub(self.asked_ns);
        if !(0..BELIEVED_NS).contains(&age) || self.topics.len() > TOPICS_MAX {
            self.topics.clear();
            self.asked_ns = now_ns;
        }
        let wanted: Vec<String> =
            topics.iter().filter(|topic| !self.topics.contains_key(*topic)).cloned().collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let create = self.create;
        let write = |out: &mut Vec<u8>| requests::write_metadata(&wanted, create, out);
        let (server, reply) = self.ask_any(METADATA, write).await?;
        let metadata = requests::read_metadata(&reply);
        let metadata = metadata.map_err(|why| format!("{server}: {}", String::from(why)))?;
        self.take(&metadata, &wanted).map_err(|why| format!("{server}: {why}"))
    }

    fn take(&mut self, metadata: &Metadata, wanted: &[String]) -> Result<(), String> {
        for broker in &metadata.brokers {
            let server = Server { host: broker.host.clone(), port: broker.port };
            let known = self.brokers.insert(broker.id, server.clone());
            if known.is_some_and(|known| known != server) {
                self.connections.remove(&broker.id);
            }
        }
        for name in wanted {
            let topic = metadata.topics.iter().find(|topic| topic.name == *name);
            let topic = topic.ok_or_else(|| format!("it says nothing of the topic `{name}`"))?;
            if topic.code == Code::INVALID_TOPIC {
                self.topics.insert(name.clone(), Err(topic.code));
                continue;
            }
            topic.code.checked().map_err(|why| format!("topic `{name}`: {why}"))?;
            if topic.leaders.is_empty() {
                return Err(format!("topic `{name}` has no partitions"));
            }
            self.topics.insert(name.clone(), Ok(topic.leaders.clone()));
        }
        Ok(())
    }

    /// Believes nothing any more of what was said of topics.
    pub(super) fn doubt(&mut self) {
        self.topics.clear();
    }

    /// The connection to a broker, opened if there is none.
    ///
    /// # Errors
    /// A sentence that says where the broker's address is from.
    pub(super) async fn broker(&mut self, id: i32, now_ns: i64) -> Result<&mut Connection, String> {
        self.connections.retain(|_, (_, used)| now_ns.saturating_sub(*used) <= RESTED_NS);
        if !self.connections.contains_key(&id) {
            let server =
                self.brokers.get(&id).ok_or_else(|| format!("broker {id} is not known"))?;
            let opened = Connection::open(server, &self.way).await;
            let connection = opened.map_err(|why| {
                let listed = self.servers.contains(server);
                let hint = " (the cluster names this address in `advertised.listeners`)";
                format!("broker {id}, {server}: {why}{}", if listed { "" } else { hint })
            })?;
            self.connections.insert(id, (connection, now_ns));
        }
        let open = self.connections.get_mut(&id);
        let (connection, used) = open.ok_or_else(|| format!("broker {id} is not known"))?;
        *used = now_ns;
        Ok(connection)
    }

    /// What a broker did wrong, with its name; its connection is of no use any more.
    pub(super) fn failed(&mut self, id: i32, why: impl Display) -> String {
        self.connections.remove(&id);
        match self.brokers.get(&id) {
            Some(server) => format!("broker {id}, {server}: {why}"),
            None => format!("broker {id}: {why}"),
        }
    }

    /// A producer that nobody else is.
    ///
    /// # Errors
    /// No broker gives one.
    pub(super) async fn producer(&mut self) -> Result<Producer, String> {
        let (server, reply) =
            self.ask_any(INIT_PRODUCER_ID, requests::write_init_producer_id).await?;
        let read = requests::read_init_producer_id(&reply);
        let (code, producer) = read.map_err(|why| format!("{server}: {}", String::from(why)))?;
        code.checked().map_err(|why| format!("{server}: {why}"))?;
        Ok(producer)
    }

    /// Asks one of the servers that the user named; another one the next time, if it does not answer.
    async fn ask_any(
        &mut self,
        kind: requests::Kind,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(Server, Vec<u8>), String> {
        let server = self.servers[self.next].clone();
        let asked = async {
            let mut connection = Connection::open(&server, &self.way).await?;
            connection.ask(kind, self.way.timeout, write).await
        };
        match asked.await {
            Ok(reply) => Ok((server, reply)),
            Err(why) => {
                self.next = (self.next + 1) % self.servers.len();
                Err(format!("{server}: {why}"))
            }
        }
    }
}
