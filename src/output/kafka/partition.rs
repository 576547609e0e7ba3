//! Which partition of its topic a document goes to.
//!
//! In: a key, or where the document came from. Out: the number of a partition. Promises: documents of one key go to the
//! partition that Kafka's own producers choose for it, so that others can find it; those of one source go to one
//! partition, so that they stay in order, unless the user wants them spread. On failure: nothing can fail.

/// How documents without a key are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// Those of one file stay together.
    Source,
    /// Those of one request stay together.
    Batch,
}

/// The partition of some bytes, of so many (one at least).
pub(super) fn of_bytes(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions
}

/// One that has a broker now, another one each time; the first if none has.
pub(super) fn in_turn(turn: usize, leaders: &[i32]) -> usize {
    let count = leaders.len();
    let found = (0..count).map(|step| (turn + step) % count).find(|at| leaders[*at] >= 0);
    found.unwrap_or(0)
}

/// `MurmurHash2` with the seed of Kafka's producers (Austin Appleby, public domain).
fn murmur2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let (blocks, tail) = data.as_chunks::<4>();
    for block in blocks {
        let mut part = u32::from_le_bytes(*block).wrapping_mul(MIX);
        part = (part ^ part >> 24).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ part;
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u32::from_le_bytes(last)).wrapping_mul(MIX);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(MIX);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that the tests of Kafka's own clients name.
    #[test]
    fn keys_go_where_other_producers_put_them() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        let foobar = -790_332_482_i32;
        assert_eq!(of_bytes(b"foobar", 7), (foobar & i32::MAX) as usize % 7);
    }

    #[test]
    fn what_is_spread_avoids_partitions_without_a_broker() {
        let chosen: Vec<usize> = (0..4).map(|turn| in_turn(turn, &[1, -1, 2])).collect();
        assert_eq!(chosen, [0, 2, 2, 0]);
        assert_eq!(in_turn(2, &[-1, -1]), 0);
    }
}
