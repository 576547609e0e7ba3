//! What is asked of brokers, and what they answer.
//!
//! In: what is asked; bytes of replies. Out: bytes of requests; what replies say. Promises: each request is of the
//! oldest version that brokers of today still know, which those since 0.11 (2017) know, too; see [`super::wire`] for
//! replies. On failure: [`Broken`].
//!
//! Source: <https://kafka.apache.org/protocol#protocol_messages>; what Kafka 4 has left of old versions: KIP-896.

use super::error::Code;
use super::records::{Producer, Records};
use super::wire::{Broken, Reader, write_bytes, write_string};

/// A kind of request and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) key: i16,
    pub(super) version: i16,
}

pub(super) const PRODUCE: Kind = Kind { key: 0, version: 3 };
pub(super) const METADATA: Kind = Kind { key: 3, version: 4 };
pub(super) const SASL_HANDSHAKE: Kind = Kind { key: 17, version: 1 };
pub(super) const INIT_PRODUCER_ID: Kind = Kind { key: 22, version: 0 };
pub(super) const SASL_AUTHENTICATE: Kind = Kind { key: 36, version: 0 };

/// What we call ourselves.
const CLIENT: &str = "logweir";

/// A whole request; `write` writes what is behind its head.
pub(super) fn request(kind: Kind, number: i32, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&kind.key.to_be_bytes());
    out.extend_from_slice(&kind.version.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    write_string(CLIENT, &mut out);
    write(&mut out);
    let length = (out.len() - 4) as i32;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

/// Who has these topics; `create`: the brokers may make those that are missing.
pub(super) fn write_metadata(topics: &[String], create: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&(topics.len() as i32).to_be_bytes());
    for topic in topics {
        write_string(topic, out);
    }
    out.push(u8::from(create));
}

/// A producer that takes part in no transaction.
pub(super) fn write_init_producer_id(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out.extend_from_slice(&0_i32.to_be_bytes());
}

pub(super) fn write_sasl_handshake(mechanism: &str, out: &mut Vec<u8>) {
    write_string(mechanism, out);
}

pub(super) fn write_sasl_authenticate(token: &[u8], out: &mut Vec<u8>) {
    write_bytes(token, out);
}

/// Batches of one broker, those of a topic side by side; `acks`: 1 for the leader, -1 for all replicas that are in
/// step.
pub(super) fn write_produce(
    acks: i16,
    timeout_ms: i32,
    batches: &[(&str, i32, &Records)],
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out.extend_from_slice(&acks.to_be_bytes());
    out.extend_from_slice(&timeout_ms.to_be_bytes());
    let topics = || batches.chunk_by(|(one, ..), (next, ..)| one == next);
    out.extend_from_slice(&(topics().count() as i32).to_be_bytes());
    for partitions in topics() {
        write_string(partitions[0].0, out);
        out.extend_from_slice(&(partitions.len() as i32).to_be_bytes());
        for (_, partition, records) in partitions {
            out.extend_from_slice(&partition.to_be_bytes());
            write_bytes(records.bytes(), out);
        }
    }
}

/// A broker's place in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
}

/// A topic's partitions: the broker of each, -1 where it has none now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) code: Code,
    pub(super) name: String,
    pub(super) leaders: Vec<i32>,
}

/// The answer to [`METADATA`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<Broker>,
    pub(super) topics: Vec<Topic>,
}

pub(super) fn read_metadata(reply: &[u8]) -> Result<Metadata, Broken> {
    let mut reader = Reader::new(reply);
    let mut metadata = Metadata::default();
    // How long we were held back.
    reader.int32()?;
    for _ in 0..reader.count()? {
        let (id, host) = (reader.int32()?, reader.string()?.to_string());
        let port = u16::try_from(reader.int32()?).map_err(|_| Broken)?;
        // Its rack.
        reader.nullable_string()?;
        metadata.brokers.push(Broker { id, host, port });
    }
    // The cluster's name, and the broker that rules it.
    reader.nullable_string()?;
    reader.int32()?;
    for _ in 0..reader.count()? {
        let (code, name) = (Code(reader.int16()?), reader.string()?.to_string());
        // Whether it is one of Kafka's own.
        reader.skip(1)?;
        let leaders = read_leaders(&mut reader)?;
        metadata.topics.push(Topic { code, name, leaders });
    }
    Ok(metadata)
}

/// The leader of each partition, whose numbers go from 0 on without a gap, in any order.
fn read_leaders(reader: &mut Reader<'_>) -> Result<Vec<i32>, Broken> {
    let count = reader.count()?;
    let mut leaders = vec![-1; count];
    for _ in 0..count {
        let (code, partition, leader) = (reader.int16()?, reader.int32()?, reader.int32()?);
        // The brokers that have a copy, and those whose copy is whole.
        for _ in 0..2 {
            let replicas = reader.count()?;
            reader.skip(4 * replicas)?;
        }
        let place = usize::try_from(partition).ok().and_then(|at| leaders.get_mut(at));
        *place.ok_or(Broken)? = if Code(code) == Code(5) { -1 } else { leader };
    }
    Ok(leaders)
}

pub(super) fn read_init_producer_id(reply: &[u8]) -> Result<(Code, Producer), Broken> {
    let mut reader = Reader::new(reply);
    reader.int32()?;
    let code = Code(reader.int16()?);
    Ok((code, Producer { id: reader.int64()?, epoch: reader.int16()? }))
}

/// What became of the batch of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Produced {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) code: Code,
}

pub(super) fn read_produce(reply: &[u8]) -> Result<Vec<Produced>, Broken> {
    let (mut reader, mut all) = (Reader::new(reply), Vec::new());
    for _ in 0..reader.count()? {
        let topic = reader.string()?;
        for _ in 0..reader.count()? {
            let (partition, code) = (reader.int32()?, Code(reader.int16()?));
            // The first record's offset, and the time that the broker gave all.
            reader.skip(16)?;
            all.push(Produced { topic: topic.to_string(), partition, code });
        }
    }
    Ok(all)
}

/// Whether the mechanism is known, and those that are.
pub(super) fn read_sasl_handshake(reply: &[u8]) -> Result<(Code, Vec<String>), Broken> {
    let mut reader = Reader::new(reply);
    let (code, mut offered) = (Code(reader.int16()?), Vec::new());
    for _ in 0..reader.count()? {
        offered.push(reader.string()?.to_string());
    }
    Ok((code, offered))
}

/// Whether we are who we say, the broker's words if not, and its part of the conversation.
pub(super) fn read_sasl_authenticate(reply: &[u8]) -> Result<(Code, String, Vec<u8>), Broken> {
    let mut reader = Reader::new(reply);
    let (code, words) = (Code(reader.int16()?), reader.nullable_string()?.unwrap_or_default());
    Ok((code, words.to_string(), reader.bytes()?.to_vec()))
}
