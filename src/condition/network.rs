//! Networks of addresses, `10.0.0.0/8` or `2001:db8::/32` (RFC 4632, RFC 4291).
//!
//! In: text. Out: [`Network`]. Promises: an IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is the
//! IPv4 address. On failure: what is wrong, in words.

use std::net::IpAddr;

/// All addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads a network; an address alone is a network of one. Bits behind the prefix are ignored.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Network, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr =
            address.trim().parse().map_err(|_| format!("`{address}` is no IP address"))?;
        let most = if first.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .trim()
                .parse()
                .ok()
                .filter(|n| *n <= most)
                .ok_or_else(|| format!("`/{bits}` is not from /0 to /{most}"))?,
        };
        Ok(Network { first, bits })
    }

    /// Whether the address is one of this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                let differ = u32::from(first) ^ u32::from(address);
                differ.checked_shr(32 - self.bits).is_none_or(|high| high == 0)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                let differ = u128::from(first) ^ u128::from(address);
                differ.checked_shr(128 - self.bits).is_none_or(|high| high == 0)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_prefix() {
        let inside = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(inside("10.0.0.0/8", "10.255.0.1"));
        assert!(!inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("0.0.0.0/0", "255.1.2.3"));
        assert!(inside("::/0", "2001:db8::1"));
        assert!(!inside("0.0.0.0/0", "2001:db8::1"));
        assert!(inside("192.168.1.7", "192.168.1.7"));
        assert!(!inside("192.168.1.7/32", "192.168.1.6"));
        assert!(inside("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(Network::parse("10.0.0.0/33").is_err());
        assert!(Network::parse("10.0.0/8").is_err());
    }
}
