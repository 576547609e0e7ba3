//! The settings of the filter: which servers, which names are known without asking.
//!
//! In: a section, `/etc/resolv.conf` where no server is named, files of hosts. Out: servers, search list, known names.
//! On failure: what is wrong is reported with its place; without a readable `/etc/resolv.conf` it is the server of this
//! machine.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::names::machine::{HOSTS, Hosts, PORT, RESOLV_CONF, Servers};
use crate::settings::{Literal, Section, Spanned};

/// Reads `nameserver`: an address, a list of them, or a table with `address`, `search` and `ndots`.
pub(super) fn servers(section: &Section<'_>) -> Option<Servers> {
    let Some(item) = section.item("nameserver") else {
        return Some(Servers::of_machine(
            &section.read_file(RESOLV_CONF.as_ref()).unwrap_or_default(),
        ));
    };
    let (texts, search, dots) = match &item.literal {
        Literal::Table(_) => {
            let table = section.section("nameserver")?;
            let texts = table.required_strings("address", "\"192.0.2.53\"");
            let search = table.strings("search").unwrap_or_default();
            let dots = table.integer_or("ndots", 1, 0..16) as usize;
            table.finish();
            (texts, search, dots)
        }
        _ => (section.strings("nameserver")?, Vec::new(), 1),
    };
    let mut addresses = Vec::new();
    for text in &texts {
        addresses.push(address(section, text)?);
    }
    if addresses.is_empty() {
        let hint = "write nameserver = \"192.0.2.53\", or leave it out";
        section.error(item.span.clone(), "no name server is named", Some(hint.into()));
        return None;
    }
    let search = search.into_iter().map(|domain| domain.value).collect();
    Some(Servers { addresses, search, dots })
}

fn address(section: &Section<'_>, text: &Spanned<String>) -> Option<SocketAddr> {
    let plain = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT));
    match plain.or_else(|_| text.parse::<SocketAddr>()) {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("`{}` is no address of a name server", text.value);
            let hint = "write an IP address, where needed with a port: \"192.0.2.53:5353\"";
            section.error(text.span.clone(), message, Some(hint.into()));
            None
        }
    }
}

/// Reads `hostsfile`; without it, and without a server, the machine's own.
pub(super) fn hosts(section: &Section<'_>) -> Option<Hosts> {
    let mut hosts = Hosts::default();
    let Some(files) = section.strings("hostsfile") else {
        if !section.has("nameserver") {
            hosts.read(&section.read_file(HOSTS.as_ref()).unwrap_or_default());
        }
        return Some(hosts);
    };
    for file in files {
        match section.read_file(&section.resolve(&file)) {
            Ok(text) => hosts.read(&text),
            Err(why) => {
                let message = format!("cannot read the file of hosts `{}`", file.value);
                let hint = "check the path; a relative one starts at the pipeline file's folder";
                section.report(Diagnostic::error(message).because(why).hint(hint), file.span);
                return None;
            }
        }
    }
    Some(hosts)
}

/// A time: as text with its unit, or as a number of seconds, which Logstash takes.
pub(super) fn seconds(section: &Section<'_>, key: &'static str, default: Duration) -> Duration {
    match section.item(key).map(|item| &item.literal) {
        Some(Literal::Integer(n @ 0..=86_400)) => Duration::from_secs(*n as u64),
        Some(Literal::Float(n)) if (0.0..=86_400.0).contains(n) => Duration::from_secs_f64(*n),
        _ => section.duration_or(key, default),
    }
}
