//! Filter `anonymize`: values that stand for persons, replaced by pseudonyms.
//!
//! In: `fields`, a secret `key`, an `algorithm`. Out: the same fields: a keyed digest (HMAC) instead of the value; with
//! `keep_type = true` a number with as many digits instead of a number, an address with the same neighbours instead of
//! an address, a mail address instead of a mail address; with `IP_NETWORK` the network of an address. Of lists and
//! objects each value within. Promises: the same value and key always give the same pseudonym, and without the key
//! nobody can tell whether a guess is right; true, false and null stay. On failure: where an address is needed and
//! there is none, the value is removed (it may be what was to be hidden) and the event gets the tag
//! `_anonymizefailure`.

use std::net::IpAddr;
use std::sync::Arc;

use super::digest::{ALGORITHMS, Algorithm, Digester, write_hex};
use super::failure::Failure;
use super::named::{Use, fields, flag};
use super::{Filter, FilterLoad, Make, address, murmur};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::{Literal, Section};

/// Bits of an address that stay, if nothing else is written: those of a site.
const IPV4_PREFIX: i64 = 24;
/// See [`IPV4_PREFIX`].
const IPV6_PREFIX: i64 = 48;
/// Bytes of a digest that make a part of a mail address.
const MAIL_BYTES: usize = 8;

struct Anonymize {
    plan: Arc<Plan>,
    text: Vec<u8>,
    out: Vec<u8>,
}

struct Plan {
    fields: Vec<Path>,
    method: Method,
    failure: Failure,
}

enum Method {
    Digest { digester: Digester, keep_type: bool },
    Murmur,
    Network { ipv4: u8, ipv6: u8 },
}

/// A value that is no address.
struct NoAddress;

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let fields = fields(section, Use::Write, load);
    let failure = Failure::load(section, "_anonymizefailure", load);
    let method = method(section);
    let plan = Arc::new(Plan { fields: fields?, method: method?, failure });
    Some(Box::new(move || {
        Box::new(Anonymize { plan: Arc::clone(&plan), text: Vec::new(), out: Vec::new() })
    }))
}

fn method(section: &Section<'_>) -> Option<Method> {
    let mut choices: Vec<(&str, Option<Algorithm>)> =
        ALGORITHMS.iter().map(|(name, algorithm)| (*name, Some(*algorithm))).collect();
    choices.extend(["MURMUR3", "IPV4_NETWORK", "IP_NETWORK"].map(|name| (name, None)));
    let name = section.string_or("algorithm", "SHA256");
    let algorithm = section.choice_or("algorithm", &choices, Some(Algorithm::Sha256));
    let keep_type = flag(section, "keep_type", false);
    let bits = |key, default, most: i64| section.integer_or(key, default, 0..most + 1) as u8;
    let (ipv4, ipv6) =
        (bits("ipv4_prefix", IPV4_PREFIX, 32), bits("ipv6_prefix", IPV6_PREFIX, 128));
    let given = section.item("key").map(|item| &item.literal);
    match (algorithm, name.as_str(), given) {
        (None, "IP_NETWORK", _) => Some(Method::Network { ipv4, ipv6 }),
        (None, "IPV4_NETWORK", Some(Literal::Integer(bits @ 0..=32))) => {
            Some(Method::Network { ipv4: *bits as u8, ipv6 })
        }
        (None, "IPV4_NETWORK", _) => {
            let text = section.secret("key").and_then(|key| key.value.reveal().parse().ok());
            let Some(ipv4 @ 0..=32) = text else {
                let hint = "write algorithm = \"IP_NETWORK\" with ipv4_prefix = 24";
                let message = "the key of IPV4_NETWORK is the length of a network, 0 to 32";
                // Not where the key stands: the line would be shown.
                section.error(section.span_of("algorithm"), message, Some(hint.into()));
                return None;
            };
            Some(Method::Network { ipv4, ipv6 })
        }
        (None, _, _) => {
            // Logstash wants a key here and does not use it.
            section.item("key");
            Some(Method::Murmur)
        }
        (Some(_), _, None) => {
            section.missing("key", "\"${ANONYMIZE_KEY}\"");
            None
        }
        (Some(algorithm), _, Some(_)) => {
            let key = section.secret("key")?;
            if key.value.reveal().is_empty() {
                let hint = "give a long random text: without one everybody can try values out";
                section.error(key.span, "the key is empty", Some(hint.into()));
                return None;
            }
            let digester = Digester::new(algorithm, Some(key.value.reveal().as_bytes()));
            Some(Method::Digest { digester, keep_type })
        }
    }
}

impl Filter for Anonymize {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let (mut any, mut failed) = (false, false);
            for field in &plan.fields {
                let Some(value) = batch.get(event, field) else { continue };
                any = true;
                if let Ok(new) = self.pseudonym(&plan.method, batch, value) {
                    batch.set(event, field, new);
                } else {
                    batch.remove(event, field);
                    failed = true;
                }
            }
            if failed {
                plan.failure.mark(batch, event);
            } else if !any {
                batch.events[event].missed = true;
            }
        }
    }
}

impl Anonymize {
    fn pseudonym(
        &mut self,
        method: &Method,
        batch: &mut Batch,
        value: Value,
    ) -> Result<Value, NoAddress> {
        match batch.open(value) {
            value @ (Value::Null | Value::Bool(_)) => Ok(value),
            Value::Array(list) => {
                for at in 0..batch.array(list).len() {
                    let item = batch.array(list)[at];
                    batch.array_mut(list)[at] = self.pseudonym(method, batch, item)?;
                }
                Ok(Value::Array(list))
            }
            Value::Object(object) => {
                for at in 0..batch.object(object).len() {
                    let member = batch.object(object)[at].value;
                    batch.object_mut(object)[at].value = self.pseudonym(method, batch, member)?;
                }
                Ok(Value::Object(object))
            }
            scalar => self.of_scalar(method, batch, scalar),
        }
    }

    fn of_scalar(
        &mut self,
        method: &Method,
        batch: &mut Batch,
        value: Value,
    ) -> Result<Value, NoAddress> {
        self.text.clear();
        self.out.clear();
        batch.write_text(value, &mut self.text);
        let address =
            || std::str::from_utf8(&self.text).ok().and_then(|text| text.trim().parse().ok());
        match method {
            Method::Murmur => return Ok(Value::Int(i64::from(murmur::hash_32(&self.text)))),
            Method::Network { ipv4, ipv6 } => {
                let address: IpAddr = address().ok_or(NoAddress)?;
                let bits = if address.is_ipv4() { *ipv4 } else { *ipv6 };
                address::write(address::network(address, bits), &mut self.out);
            }
            Method::Digest { digester, keep_type: false } => {
                write_hex(digester.digest(&self.text).bytes(), &mut self.out);
            }
            Method::Digest { digester, keep_type: true } => {
                if !matches!(value, Value::Str(_) | Value::Escaped(_)) {
                    return Ok(number(&self.text, digester));
                }
                if let Some(address) = address() {
                    address::write(address::disguised(address, digester), &mut self.out);
                } else if let Some((user, host)) = mail(&self.text) {
                    let part = |text: &[u8]| digester.digest(&text.to_ascii_lowercase());
                    write_hex(&part(user).bytes()[..MAIL_BYTES], &mut self.out);
                    self.out.push(b'@');
                    write_hex(&part(host).bytes()[..MAIL_BYTES], &mut self.out);
                    // RFC 2606: nobody ever gets this mail.
                    self.out.extend_from_slice(b".invalid");
                } else {
                    write_hex(digester.digest(&self.text).bytes(), &mut self.out);
                }
            }
        }
        Ok(Value::Str(batch.push_text(&self.out)))
    }
}

/// A whole number with as many digits, and the same sign.
fn number(text: &[u8], digester: &Digester) -> Value {
    let digits = text.iter().take_while(|b| !matches!(b, b'.' | b'e' | b'E'));
    let count = digits.filter(|b| b.is_ascii_digit()).count().clamp(1, 18) as u32;
    let digested = digester.digest(text);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digested.bytes()[..8]);
    let least = if count == 1 { 0 } else { 10_u64.pow(count - 1) };
    let found = least + u64::from_be_bytes(bytes) % (10_u64.pow(count) - least);
    let found = i64::try_from(found).unwrap_or(i64::MAX);
    Value::Int(if text.starts_with(b"-") { -found } else { found })
}

/// Both parts of a mail address.
fn mail(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memrchr(b'@', text)?;
    let (user, host) = (&text[..at], &text[at + 1..]);
    let is_host = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let good = !user.is_empty()
        && !user.contains(&b' ')
        && host.contains(&b'.')
        && host.iter().all(is_host);
    good.then_some((user, host))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    fn filter(settings: &str) -> String {
        format!("[[filters]]\ntype = \"anonymize\"\nfields = [\"a\", \"b.c\"]\n{settings}\n")
    }

    #[track_caller]
    fn check(settings: &str, json: &str, expected: &str) {
        assert_eq!(run(&filter(settings), json), expected, "{settings}");
    }

    #[test]
    fn a_value_becomes_its_keyed_digest() {
        check(
            "algorithm = \"SHA1\"\nkey = \"Jefe\"",
            r#"{"a":"what do ya want for nothing?","x":"a"}"#,
            r#"{"a":"effcdf6ae5eb2fa2d27416d5f184df9c259a7c79","x":"a"}"#,
        );
        check(
            "algorithm = \"MD5\"\nkey = \"Jefe\"",
            r#"{"b":{"c":["what do ya want for nothing?",true,null]}}"#,
            r#"{"b":{"c":["750c783e6ab0b503eaa86e310a5db738",true,null]}}"#,
        );
        check("algorithm = \"MURMUR3\"\nkey = \"\"", r#"{"a":"hello"}"#, r#"{"a":613153351}"#);
        check("key = \"k\"\nadd_tag = \"t\"", r#"{"x":1}"#, r#"{"x":1}"#);
    }

    #[test]
    fn addresses_become_networks_and_what_is_none_is_removed() {
        check(
            "algorithm = \"IP_NETWORK\"",
            r#"{"a":"192.0.2.77","b":{"c":["2001:db8:1:2::3"]}}"#,
            r#"{"a":"192.0.2.0","b":{"c":["2001:db8:1::"]}}"#,
        );
        check(
            "algorithm = \"IPV4_NETWORK\"\nkey = 8",
            r#"{"a":"192.0.2.77"}"#,
            r#"{"a":"192.0.0.0"}"#,
        );
        check(
            "algorithm = \"IP_NETWORK\"\nipv4_prefix = 16",
            r#"{"a":"unknown","b":{"c":"192.0.2.77"}}"#,
            r#"{"b":{"c":"192.0.0.0"},"tags":["_anonymizefailure"]}"#,
        );
    }

    #[test]
    fn the_type_stays_where_that_is_asked_for() {
        let settings = filter("key = \"k\"\nkeep_type = true");
        let value = |json: &str| {
            let made: serde_json::Value = serde_json::from_str(&run(&settings, json)).unwrap();
            made["a"].clone()
        };
        let number = value(r#"{"a":-12345}"#).as_i64().unwrap();
        assert!((-99_999..=-10_000).contains(&number) && number != -12_345, "{number}");
        assert_eq!(value(r#"{"a":-12345}"#).as_i64(), Some(number));
        let address = |json| value(json).as_str().unwrap().parse::<std::net::Ipv4Addr>().unwrap();
        let (one, two) = (address(r#"{"a":"10.1.2.3"}"#), address(r#"{"a":"10.1.2.4"}"#));
        assert!(one != two && one.octets()[..3] == two.octets()[..3], "{one} {two}");
        let (one, two) =
            (value(r#"{"a":"Ada@Shop.example"}"#), value(r#"{"a":"bob@shop.example"}"#));
        let host = |mail: &serde_json::Value| {
            mail.as_str().unwrap().split('@').nth(1).unwrap().to_string()
        };
        assert_eq!(host(&one), host(&two));
        assert!(one != two && host(&one).ends_with(".invalid"), "{one}");
    }

    #[test]
    fn a_digest_needs_a_key() {
        assert!(problems(&filter("")).contains("`key` is missing"));
        assert!(problems(&filter("key = \"\"")).contains("the key is empty"));
        assert!(problems(&filter("algorithm = \"IPV4_NETWORK\"\nkey = 99")).contains("0 to 32"));
    }
}
