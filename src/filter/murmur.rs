//! MurmurHash3 (Austin Appleby, public domain): not for secrets, but fast and well known.
//!
//! In: bytes. Out: 32 bits (the x86 form), or two times 64 (the x64 form), whose seed may be another than 0.
//! Promises: the same bytes give the same number on every machine. On failure: nothing can fail.

/// The 32-bit hash.
pub(super) fn hash_32(data: &[u8]) -> u32 {
    let mix =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash = 0_u32;
    let (blocks, tail) = data.as_chunks::<4>();
    for block in blocks {
        hash = (hash ^ mix(u32::from_le_bytes(*block))).rotate_left(13);
        hash = hash.wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    if !tail.is_empty() {
        let mut last = [0; 4];
        last[..tail.len()].copy_from_slice(tail);
        hash ^= mix(u32::from_le_bytes(last));
    }
    hash ^= data.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

/// The 128-bit hash: its first half, then its second one.
pub(super) fn hash_128(data: &[u8], seed: u64) -> (u64, u64) {
    const C1: u64 = 0x87c3_7b91_1142_53d5;
    const C2: u64 = 0x4cf5_ad43_2745_937f;
    let mix_low = |half: u64| half.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix_high = |half: u64| half.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let halves = |block: [u8; 16]| {
        let block = u128::from_le_bytes(block);
        (block as u64, (block >> 64) as u64)
    };
    let (mut low, mut high) = (seed, seed);
    let (blocks, tail) = data.as_chunks::<16>();
    for block in blocks {
        let (first, second) = halves(*block);
        low = (low ^ mix_low(first)).rotate_left(27).wrapping_add(high);
        low = low.wrapping_mul(5).wrapping_add(0x52dc_e729);
        high = (high ^ mix_high(second)).rotate_left(31).wrapping_add(low);
        high = high.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let mut last = [0; 16];
    last[..tail.len()].copy_from_slice(tail);
    let (first, second) = halves(last);
    low ^= mix_low(first);
    high ^= mix_high(second);
    let length = data.len() as u64;
    (low, high) = (low ^ length, high ^ length);
    low = low.wrapping_add(high);
    high = high.wrapping_add(low);
    (low, high) = (finished(low), finished(high));
    low = low.wrapping_add(high);
    (low, high.wrapping_add(low))
}

fn finished(mut half: u64) -> u64 {
    half = (half ^ half >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    half = (half ^ half >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    half ^ half >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        // Widely published values of the reference implementation.
        assert_eq!(hash_32(b""), 0);
        assert_eq!(hash_32(b"test"), 0xba6b_d213);
        assert_eq!(hash_32(b"Hello, world!"), 0xc036_3e43);
        assert_eq!(hash_32(b"hello"), 0x248b_fa47);
        assert_eq!(hash_32(b"The quick brown fox jumps over the lazy dog"), 0x2e4f_f723);
        assert_eq!(hash_128(b"", 0), (0, 0));
        assert_eq!(hash_128(b"Hello, world!", 0), (0xf151_2dd1_d2d6_65df, 0x2c32_6650_a8f3_c564));
        assert_eq!(
            hash_128(b"The quick brown fox jumps over the lazy dog", 0),
            (0xe34b_bc7b_bc07_1b6c, 0x7a43_3ca9_c49a_9347)
        );
    }
}
