//! Addresses (IPv4, IPv6) of which a part is hidden.
//!
//! In: an address. Out: its network, or another address that keeps what two addresses share: the same first bits
//! (as Crypto-PAn does, Xu, Fan, Ammar and Moon, 2002, here with HMAC). Promises: a key always gives the same address
//! for the same one, and different ones for different ones. On failure: nothing can fail.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::digest::Digester;

/// Appends an address as text.
pub(super) fn write(address: IpAddr, out: &mut Vec<u8>) {
    let _ = write!(out, "{address}");
}

/// The address with only its first `bits` bits, the others 0; all of them stay where it has fewer.
pub(super) fn network(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
        }
    }
}

/// Another address: two of them share as many first bits as those that they were made of.
pub(super) fn disguised(address: IpAddr, digester: &Digester) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let bits = u128::from(v4.to_bits()) << 96;
            IpAddr::V4(Ipv4Addr::from_bits((disguised_bits(bits, 32, b'4', digester) >> 96) as u32))
        }
        IpAddr::V6(v6) => {
            IpAddr::V6(Ipv6Addr::from_bits(disguised_bits(v6.to_bits(), 128, b'6', digester)))
        }
    }
}

/// Each of the first `length` bits is turned over or not, as the key decides for the bits before it.
fn disguised_bits(bits: u128, length: u8, family: u8, digester: &Digester) -> u128 {
    let mut turned = 0;
    for at in 0..length {
        let before = if at == 0 { 0 } else { bits & u128::MAX << (128 - at) };
        let mut input = [0; 18];
        input[..16].copy_from_slice(&before.to_be_bytes());
        input[16] = at;
        input[17] = family;
        let turn = u128::from(digester.digest(&input).bytes()[0] & 1);
        turned |= turn << (127 - at);
    }
    bits ^ turned
}

#[cfg(test)]
mod tests {
    use super::super::digest::Algorithm;
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_keeps_the_first_bits() {
        let network = |text: &str, bits| network(address(text), bits).to_string();
        assert_eq!(network("192.0.2.77", 24), "192.0.2.0");
        assert_eq!(network("192.0.2.77", 0), "0.0.0.0");
        assert_eq!(network("192.0.2.77", 32), "192.0.2.77");
        assert_eq!(network("192.0.2.77", 48), "192.0.2.77");
        assert_eq!(network("2001:db8:1:2::3", 48), "2001:db8:1::");
        assert_eq!(network("2001:db8:1:2::3", 0), "::");
    }

    #[test]
    fn disguised_addresses_share_the_bits_that_their_originals_share() {
        let digester = Digester::new(Algorithm::Sha256, Some(b"key"));
        let bits = |text: &str| match disguised(address(text), &digester) {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => v6.to_bits(),
        };
        let shared = |a: u128, b: u128| (a ^ b).leading_zeros();
        for (a, b) in [("10.1.2.3", "10.1.2.4"), ("10.1.2.3", "10.9.2.3"), ("1.1.1.1", "200.1.1.1")]
        {
            let plain = |text: &str| match address(text) {
                IpAddr::V4(v4) => u128::from(v4.to_bits()),
                IpAddr::V6(v6) => v6.to_bits(),
            };
            assert_eq!(shared(bits(a), bits(b)), shared(plain(a), plain(b)), "{a} {b}");
            assert_ne!(bits(a), plain(a));
        }
        assert_eq!(shared(bits("2001:db8::1"), bits("2001:db8:8000::1")), 32);
        let other = Digester::new(Algorithm::Sha256, Some(b"other key"));
        assert_ne!(
            disguised(address("10.1.2.3"), &other),
            disguised(address("10.1.2.3"), &digester)
        );
    }
}
