//! Filter `cidr`: what is added to events whose address lies in a network.
//!
//! In: `address` (texts, usually `%{field}`) or `address_field` (an address, or a list of them), and `network`
//! (networks, also several with commas between them), or `network_path` (a file of networks, cut at `separator`, read
//! at load). Out: `add_field`, `add_tag` and the like, for events with an address in one of the
//! networks. Promises: networks are read at load, those that name fields for each event; nothing else is changed.
//! On failure: what is no address is in no network and is counted.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Filter, FilterLoad, Make, counters};
use crate::condition::Network;
use crate::event::{Batch, Path, Selection, Value};
use crate::metrics::Counter;
use crate::settings::Section;
use crate::template::{References, Template};

struct Cidr {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

struct Plan {
    addresses: Vec<Template>,
    /// A field with addresses, instead of `addresses`.
    field: Option<Path>,
    networks: Vec<Network>,
    made: Vec<Template>,
    failures: Counter,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = super::named::optional_read(section, "address_field", load);
    if section.has("address_field") && section.has("address") {
        let message = "`address` and `address_field` exclude each other";
        section.error(section.span_of("address_field"), message, Some("write one of them".into()));
    }
    let texts = if section.has("address_field") {
        section.strings("address").unwrap_or_default()
    } else {
        section.required_strings("address", "[\"%{client_ip}\"]")
    };
    let mut good = field.is_some() && (section.has("address_field") || !texts.is_empty());
    let mut addresses = Vec::new();
    for text in &texts {
        addresses.extend(Template::load_as(section, text, References::Both, load.keys));
    }
    good &= addresses.len() == texts.len();
    let (mut networks, mut made) = (Vec::new(), Vec::new());
    for text in section.strings("network").unwrap_or_default() {
        if text.contains('{') {
            made.extend(Template::load_as(section, &text, References::Both, load.keys));
            continue;
        }
        for part in text.split(',') {
            match Network::parse(part.trim()) {
                Ok(network) => networks.push(network),
                Err(why) => {
                    let hint = "write a network such as \"10.0.0.0/8\" or \"2001:db8::/32\"";
                    section.error(text.span.clone(), why, Some(hint.into()));
                    good = false;
                }
            }
        }
    }
    let separator = section.string_or("separator", "\n").value;
    good &= read_file(section, &separator, &mut networks);
    if !section.has("network") && !section.has("network_path") {
        section.missing("network", "[\"10.0.0.0/8\"]");
        good = false;
    }
    if section.has("network") && section.has("network_path") {
        let message = "`network` and `network_path` exclude each other";
        section.error(section.span_of("network_path"), message, Some("write one of them".into()));
        good = false;
    }
    let (_, failures) = counters(section, load);
    let plan = Plan { addresses, field: field?, networks, made, failures };
    let plan = good.then(|| Arc::new(plan))?;
    Some(Box::new(move || Box::new(Cidr { plan: Arc::clone(&plan), scratch: Vec::new() })))
}

/// The networks of a file; `false` when something was wrong.
fn read_file(section: &Section<'_>, separator: &str, networks: &mut Vec<Network>) -> bool {
    let Some(name) = section.string("network_path") else { return true };
    let path = section.resolve(&name);
    let text = match section.read_file(&path) {
        Ok(text) => text,
        Err(why) => {
            let message = format!("cannot read the networks `{}`: {why}", path.display());
            let hint = "give the path from the pipeline's folder";
            section.error(name.span, message, Some(hint.into()));
            return false;
        }
    };
    let separator = if separator.is_empty() { "\n" } else { separator };
    for line in text.split(separator).map(str::trim).filter(|line| !line.is_empty()) {
        match Network::parse(line) {
            Ok(network) => networks.push(network),
            Err(why) => {
                let message = format!("`{}`: {why}", path.display());
                let hint = "the file holds networks such as 10.0.0.0/8";
                section.error(name.span, message, Some(hint.into()));
                return false;
            }
        }
    }
    true
}

impl Filter for Cidr {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let mut within = plan.addresses.iter().any(|address| {
                self.scratch.clear();
                // What names an absent field is no address, and no failure.
                address.render(batch, event, &mut self.scratch)
                    && self.is_within(&plan, batch, event)
            });
            let value = plan.field.as_ref().and_then(|field| batch.get(event, field));
            if let Some(value) = value {
                let items = match batch.open(value) {
                    Value::Array(list) => batch.array(list).to_vec(),
                    single => vec![single],
                };
                within |= items.into_iter().any(|item| {
                    self.scratch.clear();
                    batch.write_text(item, &mut self.scratch);
                    self.is_within(&plan, batch, event)
                });
            }
            batch.events[event].missed = !within;
        }
    }
}

impl Cidr {
    /// Whether the address in the scratch lies in one of the networks.
    fn is_within(&mut self, plan: &Plan, batch: &Batch, event: usize) -> bool {
        let text = std::str::from_utf8(&self.scratch).ok().map(str::trim);
        let Some(address) = text.and_then(|text| text.parse::<IpAddr>().ok()) else {
            plan.failures.increment();
            return false;
        };
        plan.networks.iter().any(|network| network.contains(address))
            || plan.made.iter().any(|made| self.made_contains(made, batch, event, address))
    }

    fn made_contains(
        &mut self,
        template: &Template,
        batch: &Batch,
        event: usize,
        address: IpAddr,
    ) -> bool {
        self.scratch.clear();
        template.render(batch, event, &mut self.scratch);
        let text = std::str::from_utf8(&self.scratch).unwrap_or_default();
        let contains =
            |text: &str| Network::parse(text.trim()).is_ok_and(|network| network.contains(address));
        text.split(',').any(contains)
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    fn filter(settings: &str) -> String {
        format!("[[filters]]\ntype = \"cidr\"\nadd_tag = [\"in\"]\n{settings}\n")
    }

    #[test]
    fn events_with_an_address_in_a_network_are_tagged() {
        let text = filter(
            "address = [\"%{a}\", \"{b}\"]\nnetwork = [\"10.0.0.0/8\", \"%{n}\", \"fe80::/64\"]",
        );
        assert_eq!(run(&text, r#"{"a":"10.1.2.3"}"#), r#"{"a":"10.1.2.3","tags":["in"]}"#);
        assert_eq!(run(&text, r#"{"b":"fe80::1"}"#), r#"{"b":"fe80::1","tags":["in"]}"#);
        assert_eq!(run(&text, r#"{"a":"x","b":"11.0.0.1"}"#), r#"{"a":"x","b":"11.0.0.1"}"#);
        assert_eq!(
            run(&text, r#"{"a":"11.0.0.1","n":"11.0.0.0/24"}"#),
            r#"{"a":"11.0.0.1","n":"11.0.0.0/24","tags":["in"]}"#
        );
        let text = filter("address_field = \"[h][ip]\"\nnetwork = \"10.0.0.0/8, 172.16.0.0/12\"");
        let event = r#"{"h":{"ip":["x","172.16.1.1"]}}"#;
        assert_eq!(run(&text, event), r#"{"h":{"ip":["x","172.16.1.1"]},"tags":["in"]}"#);
        assert_eq!(run(&text, r#"{"h":1}"#), r#"{"h":1}"#);
        let text = filter("address = \"%{a}\"\nnetwork = \"%{n}\"");
        let event = r#"{"a":"10.0.0.1","n":["192.0.2.0/24","10.0.0.0/8"]}"#;
        assert_eq!(
            run(&text, event),
            r#"{"a":"10.0.0.1","n":["192.0.2.0/24","10.0.0.0/8"],"tags":["in"]}"#
        );
        let both = filter("address = \"%{a}\"\naddress_field = \"a\"\nnetwork = \"10.0.0.0/8\"");
        assert!(problems(&both).contains("exclude each other"));
        assert!(problems(&filter("address = \"%{a}\"\nnetwork = \"10.0.0.0/99\"")).contains("/99"));
        assert!(problems(&filter("address = \"%{a}\"")).contains("`network` is missing"));
    }
}
