//! A cluster of two brokers on loopback, as far as a producer sees one.
//!
//! Promises: a batch is stored only if its checksum holds and its number is the next of its producer; one that is there
//! already is answered as stored. What goes wrong is what the test planned.

use std::collections::{HashMap, VecDeque};
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::login::{Login, Mechanism};
use super::wire::{Reader, write_bytes, write_string};
use crate::settings::{Secret, base64};

/// What happens to the next batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// This error, and nothing is stored.
    Code(i16),
    /// It is stored, and the connection ends.
    StoreAndClose,
    /// The other broker has its partition from now on, and nothing is stored.
    Move,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) time_ms: i64,
    pub(super) key: Option<String>,
    pub(super) value: String,
    pub(super) id: String,
}

#[derive(Default)]
pub(super) struct State {
    brokers: Vec<SocketAddr>,
    /// The broker of each partition of a topic.
    pub(super) topics: HashMap<String, Vec<i32>>,
    /// Names that it calls none of a topic.
    pub(super) never: Vec<&'static str>,
    pub(super) stored: HashMap<(String, i32), Vec<Stored>>,
    /// First and last number of a producer's last batch in a partition.
    numbers: HashMap<(i64, String, i32), (i32, i32)>,
    pub(super) plan: VecDeque<Plan>,
    /// Longest batch.
    pub(super) bytes_max: Option<usize>,
    /// A longer request is not read.
    pub(super) read_max: Option<i32>,
    /// Behind what it was asked for, each answer says this of every partition of the topic.
    pub(super) gossip: Option<i16>,
    /// Whom a broker lets in; nobody is asked if none.
    pub(super) user: Option<(Mechanism, &'static str, &'static str)>,
    pub(super) producers: i64,
    pub(super) connections: usize,
}

#[derive(Clone)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// Two brokers, which have the partitions of these topics in turn.
    pub(super) async fn start(topics: &[(&str, usize)]) -> Fake {
        let fake = Fake(Arc::default());
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            fake.with(|state| state.brokers.push(listener.local_addr().unwrap()));
            let serving = fake.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    serving.with(|state| state.connections += 1);
                    tokio::spawn(serving.clone().serve(stream));
                }
            });
        }
        for (name, partitions) in topics {
            fake.add(name, *partitions);
        }
        fake
    }

    pub(super) fn add(&self, topic: &str, partitions: usize) {
        let leaders = (0..partitions as i32).map(|partition| partition % 2).collect();
        self.with(|state| state.topics.insert(topic.to_string(), leaders));
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    /// The first broker's address.
    pub(super) fn address(&self) -> SocketAddr {
        self.with(|state| state.brokers[0])
    }

    /// What a partition has.
    pub(super) fn stored(&self, topic: &str, partition: i32) -> Vec<Stored> {
        self.with(|s| s.stored.get(&(topic.to_string(), partition)).cloned().unwrap_or_default())
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut known = self.with(|state| state.user.is_none());
        let mut scram = None;
        while let Ok(length) = stream.read_i32().await {
            if self.with(|state| state.read_max.is_some_and(|most| length > most)) {
                std::future::pending::<()>().await;
            }
            let mut request = vec![0; length as usize];
            stream.read_exact(&mut request).await.unwrap();
            let mut reader = Reader::new(&request);
            let (key, version) = (reader.int16().unwrap(), reader.int16().unwrap());
            let number = reader.int32().unwrap();
            assert_eq!(reader.string(), Ok("logweir"));
            let mut reply = number.to_be_bytes().to_vec();
            let open = match (key, version) {
                (17, 1) => self.handshake(&mut reader, &mut reply),
                (36, 0) => self.authenticate(&mut reader, &mut reply, &mut scram, &mut known),
                _ if !known => false,
                (0, 3) => self.produce(&mut reader, &mut reply),
                (3, 4) => self.metadata(&mut reader, &mut reply),
                (22, 0) => self.producer(&mut reply),
                other => panic!("no such request: {other:?}"),
            };
            if !open {
                return;
            }
            stream.write_i32(reply.len() as i32).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    }

    fn handshake(&self, reader: &mut Reader<'_>, reply: &mut Vec<u8>) -> bool {
        let wanted = self.with(|state| state.user.map_or("", |(mechanism, ..)| mechanism.name()));
        let code: i16 = if reader.string() == Ok(wanted) { 0 } else { 33 };
        reply.extend(code.to_be_bytes());
        reply.extend(1_i32.to_be_bytes());
        write_string(wanted, reply);
        true
    }

    fn authenticate(
        &self,
        reader: &mut Reader<'_>,
        reply: &mut Vec<u8>,
        scram: &mut Option<(String, String)>,
        known: &mut bool,
    ) -> bool {
        let token = String::from_utf8(reader.bytes().unwrap().to_vec()).unwrap();
        let (mechanism, user, password) = self.with(|state| state.user.unwrap());
        let login = Login { mechanism, user: user.into(), password: Secret::new(password) };
        let (sound, answer) = match (mechanism, scram.take()) {
            (Mechanism::Plain, _) => (login.plain() == token.as_bytes(), Vec::new()),
            (_, None) => {
                let nonce = token.rsplit_once("r=").unwrap().1.to_string();
                let challenge = format!("r={nonce}more,s={},i=4096", base64(b"salt"));
                *scram = Some((nonce, challenge.clone()));
                reply.extend([0, 0, 0, 0]);
                write_bytes(challenge.as_bytes(), reply);
                return true;
            }
            (_, Some((nonce, challenge))) => {
                let ours = login.scram(&nonce).final_message(challenge.as_bytes()).unwrap();
                (ours.0 == token.as_bytes(), ours.1)
            }
        };
        *known = sound;
        reply.extend((if sound { 0_i16 } else { 58 }).to_be_bytes());
        write_string(if sound { "" } else { "wrong password" }, reply);
        write_bytes(&answer, reply);
        true
    }

    fn metadata(&self, reader: &mut Reader<'_>, reply: &mut Vec<u8>) -> bool {
        self.with(|state| {
            reply.extend(0_i32.to_be_bytes());
            reply.extend((state.brokers.len() as i32).to_be_bytes());
            for (id, address) in state.brokers.iter().enumerate() {
                reply.extend((id as i32).to_be_bytes());
                write_string(&address.ip().to_string(), reply);
                reply.extend(i32::from(address.port()).to_be_bytes());
                reply.extend((-1_i16).to_be_bytes());
            }
            write_string("cluster", reply);
            reply.extend(0_i32.to_be_bytes());
            let count = reader.count().unwrap();
            reply.extend((count as i32).to_be_bytes());
            for _ in 0..count {
                let name = reader.string().unwrap();
                let leaders = state.topics.get(name);
                let code = if state.never.contains(&name) { 17 } else { 3 };
                reply.extend((if leaders.is_some() { 0_i16 } else { code }).to_be_bytes());
                write_string(name, reply);
                reply.push(0);
                let leaders = leaders.cloned().unwrap_or_default();
                reply.extend((leaders.len() as i32).to_be_bytes());
                // The last one first: nothing says in which order they come.
                for (partition, leader) in leaders.iter().enumerate().rev() {
                    reply.extend(0_i16.to_be_bytes());
                    reply.extend((partition as i32).to_be_bytes());
                    reply.extend(leader.to_be_bytes());
                    for _ in 0..2 {
                        reply.extend(1_i32.to_be_bytes());
                        reply.extend(leader.to_be_bytes());
                    }
                }
            }
        });
        true
    }

    fn producer(&self, reply: &mut Vec<u8>) -> bool {
        let id = self.with(|state| {
            state.producers += 1;
            state.producers
        });
        reply.extend([0; 6]);
        reply.extend(id.to_be_bytes());
        reply.extend(0_i16.to_be_bytes());
        true
    }

    fn produce(&self, reader: &mut Reader<'_>, reply: &mut Vec<u8>) -> bool {
        assert_eq!(reader.nullable_string(), Ok(None));
        let (_acks, _timeout) = (reader.int16().unwrap(), reader.int32().unwrap());
        let topics = reader.count().unwrap();
        reply.extend((topics as i32).to_be_bytes());
        let mut open = true;
        self.with(|state| {
            for _ in 0..topics {
                let topic = reader.string().unwrap();
                write_string(topic, reply);
                let mut said = Vec::new();
                for _ in 0..reader.count().unwrap() {
                    let partition = reader.int32().unwrap();
                    let batch = reader.bytes().unwrap();
                    let (code, stays) = state.take(topic, partition, batch);
                    open &= stays;
                    said.push((partition, code));
                }
                if let Some(code) = state.gossip {
                    let all = state.topics[topic].len() as i32;
                    said.extend((0..all).map(|partition| (partition, code)));
                }
                reply.extend((said.len() as i32).to_be_bytes());
                for (partition, code) in said {
                    reply.extend(partition.to_be_bytes());
                    reply.extend(code.to_be_bytes());
                    reply.extend([0; 16]);
                }
            }
        });
        reply.extend(0_i32.to_be_bytes());
        open
    }
}

impl State {
    /// What becomes of a batch, and whether the connection stays.
    fn take(&mut self, topic: &str, partition: i32, batch: &[u8]) -> (i16, bool) {
        let mut stays = true;
        match self.plan.pop_front() {
            Some(Plan::Code(code)) => return (code, true),
            Some(Plan::Move) => {
                let leader = &mut self.topics.get_mut(topic).unwrap()[partition as usize];
                *leader = 1 - *leader;
                return (6, true);
            }
            Some(Plan::StoreAndClose) => stays = false,
            None => {}
        }
        if self.bytes_max.is_some_and(|most| batch.len() > most) {
            return (10, true);
        }
        let Batch { producer, first, records } = Batch::read(batch);
        let last = first + records.len() as i32 - 1;
        if producer >= 0 {
            let place = (producer, topic.to_string(), partition);
            match self.numbers.get(&place) {
                Some(known) if *known == (first, last) => return (0, stays),
                Some((_, known)) if first != known + 1 => return (45, stays),
                None if first != 0 => return (45, stays),
                _ => {}
            }
            self.numbers.insert(place, (first, last));
        }
        self.stored.entry((topic.to_string(), partition)).or_default().extend(records);
        (0, stays)
    }
}

struct Batch {
    producer: i64,
    first: i32,
    records: Vec<Stored>,
}

impl Batch {
    fn read(bytes: &[u8]) -> Batch {
        let mut head = Reader::new(bytes);
        assert_eq!(head.int64(), Ok(0), "the broker gives offsets");
        assert_eq!(head.int32().unwrap() as usize, bytes.len() - 12);
        head.skip(5).unwrap();
        assert_eq!(bytes[16], 2, "the format");
        assert_eq!(head.int32().unwrap() as u32, crc32c::crc32c(&bytes[21..]), "the checksum");
        let packing = head.int16().unwrap();
        let last = head.int32().unwrap();
        let (first_ms, last_ms) = (head.int64().unwrap(), head.int64().unwrap());
        let producer = head.int64().unwrap();
        head.skip(2).unwrap();
        let (first, count) = (head.int32().unwrap(), head.int32().unwrap());
        assert_eq!(last, count - 1);
        let mut plain = bytes[61..].to_vec();
        if packing == 1 {
            plain.clear();
            flate2::read::GzDecoder::new(&bytes[61..]).read_to_end(&mut plain).unwrap();
        }
        let (mut rest, mut records) = (&plain[..], Vec::new());
        for number in 0..count {
            let length = varint(&mut rest) as usize;
            let (mut record, behind) = rest.split_at(length);
            rest = behind;
            record = &record[1..];
            let time_ms = first_ms + varint(&mut record);
            assert_eq!(varint(&mut record), i64::from(number));
            let key = text(&mut record);
            let value = text(&mut record).unwrap();
            assert_eq!(varint(&mut record), 1, "headers");
            assert_eq!(text(&mut record).as_deref(), Some("logweir.id"));
            let id = text(&mut record).unwrap();
            assert_eq!(record, b"");
            records.push(Stored { time_ms, key, value, id });
        }
        assert_eq!(rest, b"");
        assert_eq!(records.iter().map(|r| r.time_ms).max(), Some(last_ms));
        Batch { producer, first, records }
    }
}

fn varint(rest: &mut &[u8]) -> i64 {
    let (mut number, mut bits) = (0_u64, 0);
    loop {
        let (byte, behind) = rest.split_first().unwrap();
        *rest = behind;
        number |= u64::from(byte & 0x7f) << bits;
        bits += 7;
        if byte & 0x80 == 0 {
            return (number >> 1) as i64 ^ -((number & 1) as i64);
        }
    }
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let length = usize::try_from(varint(rest)).ok()?;
    let (text, behind) = rest.split_at(length);
    *rest = behind;
    Some(String::from_utf8(text.to_vec()).unwrap())
}
