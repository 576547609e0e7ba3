//! Filter `fingerprint`: a short value that stands for one or more fields.
//!
//! In: `source` (one or more fields) and a `method`: a digest, keyed (HMAC) where there is a `key`, MurmurHash3, a
//! network (`IPV4_NETWORK`), the text's punctuation, or a random UUID (RFC 9562, version 4). Out: `target`: by default
//! `event.hash`, with `ecs_compatibility = "disabled"` `fingerprint`. Of several sources the last one counts, unless
//! `concatenate_sources` puts them into one text; of a list each item has its own. Promises: what is digested is the
//! text that Logstash digests, so that both give the same; the key is never shown. On failure: a value that is no
//! address, where one is needed, gives the tag `_fingerprintfailure`; absent sources change nothing.

use std::net::IpAddr;
use std::sync::Arc;

use super::digest::{ALGORITHMS, Digester, write_base64, write_hex};
use super::failure::Failure;
use super::named::{Use, flag, path};
use super::{Filter, FilterLoad, Make, address, murmur, ruby};
use crate::clock::SharedClock;
use crate::event::{Batch, Field, Key, Path, Selection, Value};
use crate::settings::{Literal, Secret, Section, Spanned};
use crate::timestamp::write_iso8601_ms;

/// The seed that Logstash gives the 128-bit hash.
const MURMUR_SEED: u64 = 2;

struct Fingerprint {
    plan: Arc<Plan>,
    text: Vec<u8>,
    out: Vec<u8>,
    fields: Vec<Field>,
}

struct Plan {
    /// With their names as they are written: in that order, or in the order of the names where they are put together.
    sources: Vec<(String, Path)>,
    target: Path,
    method: Method,
    concatenate: Concatenate,
    base64: bool,
    failure: Failure,
    clock: SharedClock,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Concatenate {
    No,
    Sources,
    AllFields,
}

/// What makes the value of a text.
enum Method {
    Digest(Digester),
    Murmur,
    Murmur128,
    /// Bits of the network.
    Network(u8),
    Punctuation,
    Uuid,
}

/// A source's value, or the event's time.
#[derive(Clone, Copy)]
enum Source {
    Value(Value),
    /// Nanoseconds since the epoch.
    Time(i64),
}

/// A value that is no address.
struct NoAddress;

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let sources = sources(section, load);
    let modes = [("v1", true), ("v8", true), ("disabled", false)];
    let ecs = section.choice_or("ecs_compatibility", &modes, true);
    let target = section.string_or("target", if ecs { "event.hash" } else { "fingerprint" });
    let target = path(section, &target, Use::Write, load);
    let both = (
        flag(section, "concatenate_sources", false),
        flag(section, "concatenate_all_fields", false),
    );
    let concatenate = match both {
        (_, true) => Concatenate::AllFields,
        (true, false) => Concatenate::Sources,
        (false, false) => Concatenate::No,
    };
    let base64 = flag(section, "base64encode", false);
    let failure = Failure::load(section, "_fingerprintfailure", load);
    let method = method(section);
    let clock = Arc::clone(load.clock);
    let (mut sources, target, method) = (sources?, target?, method?);
    if concatenate == Concatenate::Sources || matches!(method, Method::Punctuation) {
        sources.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    let plan = Arc::new(Plan { sources, target, method, concatenate, base64, failure, clock });
    Some(Box::new(move || {
        Box::new(Fingerprint {
            plan: Arc::clone(&plan),
            text: Vec::new(),
            out: Vec::new(),
            fields: Vec::new(),
        })
    }))
}

fn sources(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Vec<(String, Path)>> {
    let mut key = if section.has("source") { "source" } else { "field" };
    if !section.has(key) && section.has("fields") {
        key = "fields";
    }
    let names = match section.strings(key) {
        None if !section.has(key) => vec![section.string_or(key, "message")],
        None => return None,
        Some(names) => names,
    };
    if names.is_empty() {
        let hint = "name at least one: source = [\"message\"]";
        section.error(section.span_of(key), "there is no source", Some(hint.into()));
        return None;
    }
    let wanted = names.len();
    let read =
        |name: Spanned<String>| Some((name.value.clone(), path(section, &name, Use::Read, load)?));
    let sources: Vec<_> = names.into_iter().filter_map(read).collect();
    (sources.len() == wanted).then_some(sources)
}

fn method(section: &Section<'_>) -> Option<Method> {
    let key = match section.item("key").map(|item| &item.literal) {
        // The length of a network may be written as a number.
        Some(Literal::Integer(bits)) => Some(Secret::new(bits.to_string())),
        _ => section.secret("key").map(|key| key.value),
    };
    let bytes = key.as_ref().map(|key| key.reveal().as_bytes());
    let mut choices: Vec<(&str, Option<_>)> =
        ALGORITHMS.iter().map(|(name, algorithm)| (*name, Some(*algorithm))).collect();
    let others = ["MURMUR3", "MURMUR3_128", "IPV4_NETWORK", "PUNCTUATION", "UUID"];
    choices.extend(others.map(|name| (name, None)));
    let name = section.string_or("method", "SHA1");
    let algorithm = section.choice_or("method", &choices, ALGORITHMS.first().map(|(_, a)| *a));
    Some(match (algorithm, name.as_str()) {
        (Some(algorithm), _) => Method::Digest(Digester::new(algorithm, bytes)),
        (None, "MURMUR3") => Method::Murmur,
        (None, "MURMUR3_128") => Method::Murmur128,
        (None, "IPV4_NETWORK") => {
            let Some(bits) = key else {
                section.missing("key", "24");
                return None;
            };
            match bits.reveal().parse() {
                Ok(bits @ 0..=128) => Method::Network(bits),
                _ => {
                    let hint = "write the bits of the network: key = 24";
                    let message = "the key of IPV4_NETWORK is no number from 0 to 128";
                    // Not where the key stands: the line would be shown, and it may be a secret.
                    section.error(name.span, message, Some(hint.into()));
                    return None;
                }
            }
        }
        (None, "PUNCTUATION") => Method::Punctuation,
        (None, _) => Method::Uuid,
    })
}

impl Filter for Fingerprint {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            match self.value(&plan, batch, event) {
                Ok(Some(value)) => batch.set(event, &plan.target, value),
                Ok(None) => batch.events[event].missed = true,
                Err(NoAddress) => plan.failure.mark(batch, event),
            }
        }
    }
}

impl Fingerprint {
    /// The value that stands for an event's sources; `None` where none of them is there.
    fn value(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: usize,
    ) -> Result<Option<Value>, NoAddress> {
        if let Method::Uuid = plan.method {
            self.out.clear();
            write_uuid([plan.clock.random(), plan.clock.random()], &mut self.out);
            return Ok(Some(Value::Str(batch.push_text(&self.out))));
        }
        if plan.concatenate != Concatenate::No && !matches!(plan.method, Method::Punctuation) {
            self.text.clear();
            match plan.concatenate {
                Concatenate::AllFields => self.write_all_fields(batch, event),
                _ => self.write_sources(plan, batch, event),
            }
            return self.of_text(plan, batch).map(Some);
        }
        // Each source in turn sets the target: the last one is what stays.
        let there = plan.sources.iter().rev().find_map(|(_, source)| read(batch, event, source));
        let Some(value) = there else { return Ok(None) };
        let items = match value {
            Source::Time(_) => None,
            Source::Value(value) => match batch.open(value) {
                Value::Array(list) => Some(list),
                _ => None,
            },
        };
        let Some(items) = items else {
            return self.of_source(plan, batch, value).map(Some);
        };
        let list = batch.new_array();
        for at in 0..batch.array(items).len() {
            let item = batch.array(items)[at];
            let value = self.of_source(plan, batch, Source::Value(item))?;
            batch.array_mut(list).push(value);
        }
        Ok(Some(Value::Array(list)))
    }

    /// `|name|value|name|value|`, the names in their order.
    fn write_sources(&mut self, plan: &Plan, batch: &mut Batch, event: usize) {
        for (name, source) in &plan.sources {
            self.text.push(b'|');
            self.text.extend_from_slice(name.as_bytes());
            self.text.push(b'|');
            if let Some(value) = read(batch, event, source) {
                value.write(batch, &mut self.text);
            }
        }
        self.text.push(b'|');
    }

    fn write_all_fields(&mut self, batch: &mut Batch, event: usize) {
        self.fields.clear();
        self.fields.extend(batch.fields(event).iter().filter(|field| field.key != Key::METADATA));
        self.fields.push(Field { key: Key::TIMESTAMP, value: Value::Null });
        // Each event of Logstash has it.
        let version = batch.key_named(b"@version");
        if !self.fields.iter().any(|field| batch.key_name(field.key) == b"@version") {
            let value = Value::Str(batch.push_text(b"1"));
            self.fields.push(Field { key: version, value });
        }
        ruby::sort(batch, &mut self.fields);
        for field in &self.fields {
            self.text.push(b'|');
            self.text.extend_from_slice(batch.key_name(field.key));
            self.text.push(b'|');
            let value = match field.key {
                Key::TIMESTAMP => Source::Time(batch.events[event].time_ns),
                _ => Source::Value(field.value),
            };
            value.write(batch, &mut self.text);
        }
        self.text.push(b'|');
    }

    fn of_source(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        value: Source,
    ) -> Result<Value, NoAddress> {
        if let (Source::Value(Value::Int(number)), Method::Murmur) = (value, &plan.method) {
            return Ok(Value::Int(i64::from(murmur::hash_32(&number.to_le_bytes()))));
        }
        if let (Source::Value(Value::Int(number)), Method::Murmur128) = (value, &plan.method) {
            self.text.clear();
            match i32::try_from(number) {
                Ok(number) => self.text.extend_from_slice(&number.to_le_bytes()),
                Err(_) => self.text.extend_from_slice(&number.to_le_bytes()),
            }
            return self.of_text(plan, batch);
        }
        self.text.clear();
        value.write(batch, &mut self.text);
        self.of_text(plan, batch)
    }

    /// The value that stands for the text at hand.
    fn of_text(&mut self, plan: &Plan, batch: &mut Batch) -> Result<Value, NoAddress> {
        self.out.clear();
        let write = if plan.base64 { write_base64 } else { write_hex };
        match &plan.method {
            Method::Digest(digester) => write(digester.digest(&self.text).bytes(), &mut self.out),
            Method::Murmur => return Ok(Value::Int(i64::from(murmur::hash_32(&self.text)))),
            Method::Murmur128 => {
                let (low, high) = murmur::hash_128(&self.text, MURMUR_SEED);
                let mut bytes = [0; 16];
                bytes[..8].copy_from_slice(&low.to_le_bytes());
                bytes[8..].copy_from_slice(&high.to_le_bytes());
                write(&bytes, &mut self.out);
            }
            Method::Network(bits) => {
                let text = std::str::from_utf8(&self.text).map_err(|_| NoAddress)?;
                let address: IpAddr = text.trim().parse().map_err(|_| NoAddress)?;
                address::write(address::network(address, *bits), &mut self.out);
            }
            Method::Punctuation => {
                let text = String::from_utf8_lossy(&self.text);
                for mark in text.chars().filter(|c| is_mark(*c)) {
                    self.out.extend_from_slice(mark.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Method::Uuid => {}
        }
        Ok(Value::Str(batch.push_text(&self.out)))
    }
}

impl Source {
    /// Appends the text that is digested.
    fn write(self, batch: &mut Batch, out: &mut Vec<u8>) {
        match self {
            Source::Value(value) => ruby::write_text(batch, value, out),
            Source::Time(time_ns) => write_time(time_ns, out),
        }
    }
}

/// A time with as many digits as it needs: three, six or nine.
fn write_time(time_ns: i64, out: &mut Vec<u8>) {
    write_iso8601_ms(time_ns, out);
    let rest = time_ns.rem_euclid(1_000_000);
    if rest != 0 {
        out.pop();
        let digits = format!("{rest:06}");
        out.extend_from_slice(digits.trim_end_matches("000").as_bytes());
        out.push(b'Z');
    }
}

/// Whether a character is punctuation or a symbol.
fn is_mark(c: char) -> bool {
    let other = c.is_alphanumeric() || c.is_whitespace() || c.is_control();
    if c.is_ascii() { c.is_ascii_punctuation() } else { !other }
}

fn read(batch: &Batch, event: usize, path: &Path) -> Option<Source> {
    if path.is_timestamp() {
        return Some(Source::Time(batch.events[event].time_ns));
    }
    batch.get(event, path).map(Source::Value)
}

/// A random UUID (version 4) of 128 random bits.
fn write_uuid(random: [u64; 2], out: &mut Vec<u8>) {
    let high = random[0] & !0xf000 | 0x4000;
    let low = random[1] & (u64::MAX >> 2) | 1 << 63;
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    for part in [0..4, 4..6, 6..8, 8..10, 10..16] {
        if part.start > 0 {
            out.push(b'-');
        }
        write_hex(&bytes[part], out);
    }
}

#[cfg(test)]
mod tests;
