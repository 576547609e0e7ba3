//! Records of one partition, as a batch that a broker stores as it comes.
//!
//! In: documents with their times, keys and ids. Out: the bytes of a record batch (format 2). Promises: a batch that is
//! sent again is byte for byte the same, unless it gets another producer or number; its checksum covers all but what
//! the broker fills in. On failure: nothing fails.
//!
//! Source: <https://kafka.apache.org/documentation/#recordbatch>.

use super::super::gzipped;
use super::wire::{varint_length, write_varint};

/// The header of each record that holds the document's id.
const ID_HEADER: &[u8] = b"logweir.id";
/// The parts of a batch's head: where the producer begins, and how long the head is.
const CHECKED_FROM: usize = 21;
const PRODUCER_AT: usize = 43;
const HEAD_BYTES: usize = 61;
/// What a batch says of how its records are packed.
const PLAIN: i16 = 0;
const GZIP: i16 = 1;

/// Who sends, as the cluster knows it: what comes twice from one producer is stored once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

impl Producer {
    /// Nobody: what comes twice is stored twice.
    pub(super) const NONE: Producer = Producer { id: -1, epoch: -1 };
}

/// What a record is made of.
pub(super) struct Entry<'a> {
    pub(super) time_ms: i64,
    /// Empty: none.
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) id: &'a [u8],
}

/// A batch as it goes over the network.
pub(super) struct Records {
    bytes: Vec<u8>,
    count: i32,
}

impl Records {
    /// Packs documents; `entries` has one at least.
    pub(super) fn pack(entries: &[Entry<'_>], gzip: bool) -> Records {
        let first_ms = entries.first().map_or(0, |e| e.time_ms);
        let last_ms = entries.iter().map(|e| e.time_ms).max().unwrap_or(0);
        let room: usize = entries.iter().map(|e| e.value.len() + e.key.len() + 64).sum();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + room);
        bytes.resize(HEAD_BYTES, 0);
        for (number, entry) in entries.iter().enumerate() {
            write(entry, number as i64, entry.time_ms - first_ms, &mut bytes);
        }
        let compressed = if gzip { gzipped(&bytes[HEAD_BYTES..]) } else { None };
        let packing = if compressed.is_some() { GZIP } else { PLAIN };
        if let Some(compressed) = compressed {
            bytes.truncate(HEAD_BYTES);
            bytes.extend_from_slice(&compressed);
        }
        let count = entries.len() as i32;
        let length = (bytes.len() - 12) as i32;
        // The first offset, which the broker gives, is 0.
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        bytes[12..16].copy_from_slice(&(-1_i32).to_be_bytes());
        bytes[16] = 2;
        bytes[21..23].copy_from_slice(&packing.to_be_bytes());
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
        bytes[27..35].copy_from_slice(&first_ms.to_be_bytes());
        bytes[35..43].copy_from_slice(&last_ms.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        Records { bytes, count }
    }

    /// Says whose batch it is, and the number of its first record among this producer's in this partition.
    pub(super) fn sign(&mut self, producer: Producer, first: i32) {
        let head = &mut self.bytes[PRODUCER_AT..];
        head[..8].copy_from_slice(&producer.id.to_be_bytes());
        head[8..10].copy_from_slice(&producer.epoch.to_be_bytes());
        head[10..14].copy_from_slice(&first.to_be_bytes());
        let sum = crc32c::crc32c(&self.bytes[CHECKED_FROM..]);
        self.bytes[17..21].copy_from_slice(&sum.to_be_bytes());
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn count(&self) -> i32 {
        self.count
    }
}

fn write(entry: &Entry<'_>, number: i64, time_ms: i64, out: &mut Vec<u8>) {
    let Entry { key, value, id, .. } = entry;
    let key_length = if key.is_empty() { -1 } else { key.len() as i64 };
    let mut length = 1 + varint_length(time_ms) + varint_length(number);
    length += varint_length(key_length) + key.len();
    length += varint_length(value.len() as i64) + value.len();
    length += varint_length(1) + varint_length(ID_HEADER.len() as i64) + ID_HEADER.len();
    length += varint_length(id.len() as i64) + id.len();
    write_varint(length as i64, out);
    out.push(0);
    write_varint(time_ms, out);
    write_varint(number, out);
    write_varint(key_length, out);
    out.extend_from_slice(key);
    write_varint(value.len() as i64, out);
    out.extend_from_slice(value);
    write_varint(1, out);
    write_varint(ID_HEADER.len() as i64, out);
    out.extend_from_slice(ID_HEADER);
    write_varint(id.len() as i64, out);
    out.extend_from_slice(id);
}
