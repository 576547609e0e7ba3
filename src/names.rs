//! Names of machines to addresses, without a library of the system.
//!
//! Is: what a static binary uses instead of the C library's resolver, which loads parts of itself at run time; and the
//! words (messages, questions, hosts) of the filter `dns`. In: a name. Out: its addresses. Promises: `localhost` and
//! what `/etc/hosts` names need no server and no file to be there; names are searched for as resolv.conf(5) says, so
//! short names work within Kubernetes; both files are read again for each new connection, so changes count at once.
//! On failure: an error that names the servers asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use self::machine::{HOSTS, Hosts, RESOLV_CONF, Servers};
use self::resolver::{Answer, Resolver, Search};
use crate::clock;

pub mod machine;
pub mod message;
pub mod resolver;

/// How long one server may take for a name with all of its search list.
const TRY: Duration = Duration::from_secs(2);
/// How often what was not answered is asked again, of the next server.
const RETRIES: u32 = 2;
/// Whether this program uses its own resolver: where there is no C library to load the usual one from.
const OWN: bool = cfg!(target_feature = "crt-static");

/// What every HTTP client of the process is built from.
pub fn client() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder();
    if OWN { builder.dns_resolver(Arc::new(Own)) } else { builder }
}

/// The resolver of a static binary.
struct Own;

impl Resolve for Own {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let name = name.as_str().to_string();
            let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
            let find = move || find(&name, &read(HOSTS), &read(RESOLV_CONF));
            let found = tokio::task::spawn_blocking(find).await??;
            let found: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(found)
        })
    }
}

/// The addresses of a name, for connections that no HTTP client makes.
///
/// # Errors
/// There is none.
pub async fn addresses(name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    if !OWN {
        return Ok(tokio::net::lookup_host((name.trim_matches(['[', ']']), port)).await?.collect());
    }
    let name = name.to_string();
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let find = move || find(&name, &read(HOSTS), &read(RESOLV_CONF));
    let found = tokio::task::spawn_blocking(find).await?.map_err(std::io::Error::other)?;
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

/// The addresses of a name, given the texts of the machine's two files. Blocks while servers are asked.
fn find(name: &str, hosts: &str, resolv_conf: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    let mut known = Hosts::default();
    known.read(hosts);
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    if let Some(address) = known.addresses.get(&lower) {
        return Ok(vec![*address]);
    }
    // RFC 6761, section 6.3: these are never asked for.
    if lower == "localhost" || lower.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let servers = Servers::of_machine(resolv_conf);
    let questions = servers.questions(name).ok_or_else(|| format!("`{name}` is no name"))?;
    let shown: Vec<String> = servers.addresses.iter().map(ToString::to_string).collect();
    let asked = match resolv_conf.trim() {
        "" => format!("{}: there is no {RESOLV_CONF}", shown.join(", ")),
        _ => shown.join(", "),
    };
    let resolver = Resolver {
        servers: servers.addresses,
        timeout: TRY,
        retries: RETRIES,
        clock: clock::system(),
    };
    let mut searches = [Search::new(questions)];
    resolver.find(&mut searches);
    let [search] = searches;
    match search.answer() {
        Answer::Found(address, _) => match address.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => Err(format!("the name server said `{address}` for `{name}`")),
        },
        Answer::Absent => Err(format!("there is no `{name}` (asked {asked})")),
        Answer::Late => Err(format!("no name server answered for `{name}` (asked {asked})")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn addresses_localhost_and_the_machines_own_names_need_no_server() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(find("192.0.2.1", "", ""), Ok(vec![ip("192.0.2.1")]));
        assert_eq!(find("[2001:db8::1]", "", ""), Ok(vec![ip("2001:db8::1")]));
        let local = Ok(vec![ip("127.0.0.1"), ip("::1")]);
        assert_eq!(find("localhost", "", ""), local);
        assert_eq!(find("Es.LOCALHOST.", "", ""), local);
        assert_eq!(find("Search", "192.0.2.7 search", ""), Ok(vec![ip("192.0.2.7")]));
        assert_eq!(find("localhost", "127.0.0.9 localhost", ""), Ok(vec![ip("127.0.0.9")]));
        assert!(find("no name", "", "").unwrap_err().contains("is no name"));
    }

    /// A server that knows one name.
    #[test]
    fn other_names_are_asked_for_along_the_search_list() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let serve = std::thread::spawn(move || {
            let mut asked = Vec::new();
            loop {
                let mut query = [0; 512];
                let (length, from) = server.recv_from(&mut query).unwrap();
                let query = &query[..length];
                let labels: Vec<_> = query[12..].split(|b| *b < 32).collect();
                let name = labels.iter().map(|l| String::from_utf8_lossy(l)).collect::<Vec<_>>();
                let known = name.join(".").contains("es.logging.svc.cluster.local");
                asked.push(known);
                // The question alone comes back, with what is known of it.
                let end = 12 + query[12..].iter().position(|b| *b == 0).unwrap() + 5;
                let mut answer = query[..end].to_vec();
                answer[2..12].copy_from_slice(&[
                    0x81,
                    if known { 0 } else { 3 },
                    0,
                    1,
                    0,
                    u8::from(known),
                    0,
                    0,
                    0,
                    0,
                ]);
                if known {
                    answer
                        .extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 192, 0, 2, 3]);
                }
                server.send_to(&answer, from).unwrap();
                if known {
                    return asked;
                }
            }
        });
        let mut servers = Servers::of_machine(
            "search default.svc.cluster.local svc.cluster.local\noptions ndots:5",
        );
        servers.addresses = vec![address];
        let resolver = Resolver {
            servers: servers.addresses.clone(),
            timeout: TRY,
            retries: 0,
            clock: clock::system(),
        };
        let mut searches = [Search::new(servers.questions("es.logging").unwrap())];
        resolver.find(&mut searches);
        let [search] = searches;
        assert_eq!(search.answer(), Answer::Found("192.0.2.3".into(), 5));
        // As A and AAAA in the first domain, then as A in the second.
        assert_eq!(serve.join().unwrap(), [false, false, true]);
    }
}
