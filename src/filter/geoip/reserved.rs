//! Addresses that are nowhere: private, local and reserved ones (RFC 6890 and its registries).

use std::net::IpAddr;

/// Whether an address is not a public one.
pub(super) fn is_reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_documentation()
                || v4.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (b == 18 || b == 19))
                || (a, b, c) == (192, 0, 0)
        }
        IpAddr::V6(v6) => {
            let head = v6.segments();
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || (head[0] == 0x2001 && head[1] == 0x0db8)
                || (head[0] == 0x3fff && head[1] < 0x1000)
        }
    }
}
