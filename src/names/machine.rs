//! What a machine knows of names: its servers and search list (resolv.conf(5)), its own table (hosts(5)).
//!
//! In: the texts of the two files. Out: servers, search list, known names. Promises: whatever a text holds, reading
//! ends; without a server it is the one of this machine. On failure: a line that cannot be read is passed over.

use std::net::{IpAddr, SocketAddr};

use hashbrown::HashMap;

use super::message::{Kind, Question};

/// The port of name servers.
pub const PORT: u16 = 53;
/// Where the machine's servers are named.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Where the machine's own names are.
pub const HOSTS: &str = "/etc/hosts";
/// Most servers, and most domains to search, that are taken from a file.
const LIST_MAX: usize = 6;
/// Bytes of the longest name that is looked for.
const NAME_BYTES_MAX: usize = 253;

/// Where to ask.
pub struct Servers {
    /// The servers, tried in this order.
    pub addresses: Vec<SocketAddr>,
    /// Domains in which a name is looked for, too.
    pub search: Vec<String>,
    /// Names with fewer dots are looked for in the domains of `search` first.
    pub dots: usize,
}

/// Names and addresses that files of hosts hold.
#[derive(Default)]
pub struct Hosts {
    /// By name, in lower case.
    pub addresses: HashMap<String, IpAddr>,
    /// By address, as written.
    pub names: HashMap<IpAddr, String>,
}

impl Servers {
    /// What is to be asked to find a name's address, in this order; `None` where the text cannot be a name.
    pub fn questions(&self, name: &str) -> Option<Vec<Question>> {
        let is_part = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_part) {
            return None;
        }
        let mut names = vec![name.to_string()];
        if !name.ends_with('.') {
            let within = self.search.iter().map(|domain| format!("{name}.{domain}"));
            let dots = name.bytes().filter(|b| *b == b'.').count();
            let at = usize::from(dots >= self.dots);
            names.splice(at..at, within);
        }
        let both =
            |name: String| [Kind::A, Kind::Aaaa].map(|kind| Question { name: name.clone(), kind });
        Some(names.into_iter().flat_map(both).collect())
    }

    /// The servers of a `resolv.conf` (resolv.conf(5)).
    pub fn of_machine(text: &str) -> Servers {
        let mut servers = Servers { addresses: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // An address of this link only, `fe80::1%eth0`, is not understood.
                    let address = words.next().and_then(|word| word.parse().ok());
                    servers.addresses.extend(address.map(|ip| SocketAddr::new(ip, PORT)));
                }
                Some("search" | "domain") => {
                    servers.search = words.take(LIST_MAX).map(str::to_string).collect();
                }
                Some("options") => {
                    let dots = words.find_map(|word| word.strip_prefix("ndots:")?.parse().ok());
                    servers.dots = dots.unwrap_or(servers.dots);
                }
                _ => {}
            }
        }
        servers.addresses.truncate(LIST_MAX);
        if servers.addresses.is_empty() {
            servers.addresses.push(([127, 0, 0, 1], PORT).into());
        }
        servers
    }
}

impl Hosts {
    /// Reads a file (hosts(5)): an address and its names on each line; the first line that names something counts.
    pub fn read(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                self.names.entry(address).or_insert_with(|| name.to_string());
                self.addresses.entry(name.to_ascii_lowercase()).or_insert(address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_the_machine_are_read() {
        let found = Servers::of_machine(
            "# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver 2001:db8::1\n\
                                search a.example b.example\noptions edns0 ndots:5\n",
        );
        assert_eq!(
            found.addresses,
            ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()]
        );
        assert_eq!((found.search.join(" "), found.dots), ("a.example b.example".into(), 5));
        assert_eq!(Servers::of_machine("").addresses, ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn hosts_are_known_in_both_directions() {
        let mut hosts = Hosts::default();
        hosts.read("192.0.2.1 Web.example web # comment\n192.0.2.2 web\nnonsense\n");
        assert_eq!(hosts.addresses["web"].to_string(), "192.0.2.1");
        assert_eq!(hosts.addresses["web.example"].to_string(), "192.0.2.1");
        assert_eq!(hosts.names[&"192.0.2.1".parse::<IpAddr>().unwrap()], "Web.example");
    }
}
