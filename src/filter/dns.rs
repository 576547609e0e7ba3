//! Filter `dns`: names to addresses (`resolve`) and addresses to names (`reverse`).
//!
//! In: fields that hold a text, or a list of one. Out: with `action = "append"` a list of what was there and what was
//! found, with `"replace"` what was found. Promises: all names that stand in a field in a batch are asked for at once,
//! each once, and take at most `timeout` for each try together; what was said is kept; while no server answers, nobody
//! waits again until `failed_cache_ttl` is over; the system's resolver is not used, so the binary needs no library.
//! On failure: what is not known in time gives the tag `_dnstimeout`; a name that does not exist, or a value that is no
//! address where one is needed, leaves the event as it is.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashMap;

use super::failure::Failure;
use super::named::{Use, flag, path};
use super::{Filter, FilterLoad, Make};
use crate::clock::SharedClock;
use crate::event::{Batch, Path, Selection, Span, Value};
use crate::names::machine::{Hosts, Servers};
use crate::names::message::{Kind, Question, reverse_name};
use crate::names::resolver::{Answer, Resolver, Search};
use crate::settings::Section;
use cache::Cache;

mod cache;
mod settings;

/// Names kept if nothing else is written, of each kind.
const CACHE_SIZE: i64 = 10_000;
/// How long what was found is kept at most.
const FOUND_TTL: Duration = Duration::from_secs(60);
/// How long what was not found is kept.
const FAILED_TTL: Duration = Duration::from_secs(5);
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Questions without an answer, one after the other, after which servers count as dead for a while.
const LATE_MAX: usize = 8;

struct Dns {
    plan: Arc<Plan>,
    /// What is known of the names of the batch at hand.
    known: HashMap<Box<[u8]>, Known>,
    /// Which events of the batch had something that was found.
    found: Vec<bool>,
}

struct Plan {
    fields: Vec<(Direction, Path)>,
    replace: bool,
    servers: Servers,
    resolver: Resolver,
    hosts: Hosts,
    found_ttl: Duration,
    failed_ttl: Duration,
    shared: Mutex<Shared>,
    late: Failure,
    clock: SharedClock,
}

/// What all threads know.
struct Shared {
    found: Cache<Box<str>>,
    failed: Cache<Known>,
    /// Questions without an answer since the last one that had one.
    late: usize,
    /// Until then no server is asked, for none answered.
    pause_until_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Reverse,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Found(Box<str>),
    Absent,
    Late,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let mut fields = Vec::new();
    let mut good = true;
    // As in Logstash, names are resolved before addresses.
    for (key, direction) in [("resolve", Direction::Forward), ("reverse", Direction::Reverse)] {
        for name in section.strings(key).unwrap_or_default() {
            let field = path(section, &name, Use::Write, load);
            good &= field.is_some();
            fields.extend(field.map(|field| (direction, field)));
        }
    }
    if !section.has("resolve") && !section.has("reverse") {
        section.missing("reverse", "[\"client_ip\"]");
        good = false;
    }
    let replace = section.choice_or("action", &[("append", false), ("replace", true)], false);
    let servers = settings::servers(section);
    let hosts = settings::hosts(section);
    let timeout = settings::seconds(section, "timeout", TIMEOUT);
    let retries = section.integer_or("max_retries", 2, 0..11) as u32;
    let size = |key| section.integer_or(key, CACHE_SIZE, 0..10_000_001) as usize;
    let (found, failed) =
        (Cache::new(size("hit_cache_size")), Cache::new(size("failed_cache_size")));
    let found_ttl = settings::seconds(section, "hit_cache_ttl", FOUND_TTL);
    let failed_ttl = settings::seconds(section, "failed_cache_ttl", FAILED_TTL);
    // Logstash's: every time-out is counted and tagged here anyway.
    flag(section, "warn_on_timeout", false);
    let late = Failure::load_as(section, "tag_on_timeout", "_dnstimeout", load);
    let clock = Arc::clone(load.clock);
    let (servers, hosts) = (servers?, hosts?);
    let resolver = Resolver {
        servers: servers.addresses.clone(),
        timeout,
        retries,
        clock: Arc::clone(&clock),
    };
    let shared = Mutex::new(Shared { found, failed, late: 0, pause_until_ns: 0 });
    let plan = Plan {
        fields,
        replace,
        servers,
        resolver,
        hosts,
        found_ttl,
        failed_ttl,
        shared,
        late,
        clock,
    };
    let plan = good.then(|| Arc::new(plan))?;
    Some(Box::new(move || {
        Box::new(Dns { plan: Arc::clone(&plan), known: HashMap::new(), found: Vec::new() })
    }))
}

impl Filter for Dns {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        self.found.clear();
        self.found.resize(batch.events.len(), false);
        for (direction, field) in &plan.fields {
            self.known.clear();
            self.ask(&plan, *direction, field, batch, selected);
            for event in selected.iter() {
                self.set(&plan, field, batch, event);
            }
        }
        for event in selected.iter().filter(|event| !self.found[*event]) {
            batch.events[event].missed = true;
        }
    }
}

impl Dns {
    /// Finds out what is to be known of all names that stand in a field.
    fn ask(
        &mut self,
        plan: &Plan,
        direction: Direction,
        field: &Path,
        batch: &mut Batch,
        selected: &Selection,
    ) {
        let now_ns = plan.clock.elapsed_ns();
        let mut shared = plan.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unknown: Vec<(Box<[u8]>, Search)> = Vec::new();
        for event in selected.iter() {
            let Some(span) = subject(batch, event, field) else { continue };
            let name = batch.bytes(span);
            if self.known.contains_key(name) {
                continue;
            }
            let known = plan.known(&shared, direction, name, now_ns);
            let late = now_ns < shared.pause_until_ns;
            let known = known.unwrap_or_else(|| match plan.questions(direction, name) {
                None => Known::Absent,
                Some(_) if late => Known::Late,
                Some(questions) => {
                    unknown.push((name.into(), Search::new(questions)));
                    Known::Late
                }
            });
            self.known.insert(name.into(), known);
        }
        drop(shared);
        if unknown.is_empty() {
            return;
        }
        let (names, mut searches): (Vec<_>, Vec<_>) = unknown.into_iter().unzip();
        plan.resolver.find(&mut searches);
        let now_ns = plan.clock.elapsed_ns();
        let failed_until_ns = now_ns + plan.failed_ttl.as_nanos() as u64;
        shared = plan.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, search) in names.into_iter().zip(searches) {
            let key = cache_key(direction, &name);
            let known = match search.answer() {
                Answer::Found(text, seconds) => {
                    let kept = plan.found_ttl.min(Duration::from_secs(seconds.into()));
                    let text = text.into_boxed_str();
                    shared.found.put(&key, text.clone(), now_ns + kept.as_nanos() as u64);
                    Known::Found(text)
                }
                Answer::Absent => {
                    shared.failed.put(&key, Known::Absent, failed_until_ns);
                    Known::Absent
                }
                Answer::Late => {
                    shared.failed.put(&key, Known::Late, failed_until_ns);
                    Known::Late
                }
            };
            shared.late = if known == Known::Late { shared.late + 1 } else { 0 };
            self.known.insert(name, known);
        }
        if shared.late >= LATE_MAX {
            shared.late = 0;
            shared.pause_until_ns = failed_until_ns;
        }
    }

    fn set(&mut self, plan: &Plan, field: &Path, batch: &mut Batch, event: usize) {
        if batch.get(event, field).is_none() {
            return;
        }
        let subject = subject(batch, event, field);
        let known = subject.and_then(|span| self.known.get(batch.bytes(span)));
        let (span, found) = match (subject, known) {
            (Some(span), Some(Known::Found(found))) => (span, found),
            (Some(_), Some(Known::Late)) => return plan.late.mark(batch, event),
            _ => {
                batch.events[event].missed = true;
                return;
            }
        };
        self.found[event] = true;
        let found = Value::Str(batch.push_text(found.as_bytes()));
        if plan.replace {
            return batch.set(event, field, found);
        }
        let list = batch.new_array();
        batch.array_mut(list).extend([Value::Str(span), found]);
        batch.set(event, field, Value::Array(list));
    }
}

impl Plan {
    /// What is known of a name without asking.
    fn known(
        &self,
        shared: &Shared,
        direction: Direction,
        name: &[u8],
        now_ns: u64,
    ) -> Option<Known> {
        let text = std::str::from_utf8(name).ok()?;
        let address = text.parse::<IpAddr>().ok();
        match direction {
            // An address stands for itself.
            Direction::Forward if address.is_some() => return Some(Known::Found(text.into())),
            Direction::Forward => {
                if let Some(address) = self.hosts.addresses.get(&text.to_ascii_lowercase()) {
                    return Some(Known::Found(address.to_string().into()));
                }
            }
            Direction::Reverse => {
                if let Some(found) = self.hosts.names.get(&address?) {
                    return Some(Known::Found(found.as_str().into()));
                }
            }
        }
        let key = cache_key(direction, name);
        let found = shared.found.get(&key, now_ns).cloned().map(Known::Found);
        found.or_else(|| shared.failed.get(&key, now_ns).cloned())
    }

    /// What is to be asked; `None` where the text cannot be a name, or no address.
    fn questions(&self, direction: Direction, name: &[u8]) -> Option<Vec<Question>> {
        let text = std::str::from_utf8(name).ok()?;
        if direction == Direction::Reverse {
            let address = text.parse().ok()?;
            return Some(vec![Question { name: reverse_name(address), kind: Kind::Ptr }]);
        }
        self.servers.questions(text)
    }
}

/// The text to look up: a field's, or that of a list's only item.
fn subject(batch: &mut Batch, event: usize, field: &Path) -> Option<Span> {
    let value = batch.get(event, field)?;
    let value = match batch.open(value) {
        Value::Array(list) => match batch.array(list) {
            [only] => *only,
            _ => return None,
        },
        other => other,
    };
    match batch.unescape(value) {
        Value::Str(span) => Some(span),
        _ => None,
    }
}

/// Names and addresses share the caches.
fn cache_key(direction: Direction, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 1);
    key.push(if direction == Direction::Forward { b'>' } else { b'<' });
    key.extend_from_slice(name);
    key
}

#[cfg(test)]
mod tests;
