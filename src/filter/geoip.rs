//! Filter `geoip`: where an address is, from a `MaxMind` database.
//!
//! In: `field` (an address; of a list the first item), `database` (a file), `target` (default
//! `geoip`), `fields` (default: all that the database has). Out: an object with the names that
//! Logstash uses: `ip`, `city_name`, `country_code2`, `location`, … or `asn` and `as_org`.
//! Promises: an address that was seen shortly before costs one copy of its finished JSON; a file
//! that is replaced is read again within seconds; a damaged one never takes the place of a good one.
//! On failure: an address that is not found, or is none, gives the tag `_geoip_lookup_failure`; a
//! private or reserved one that the database does not know gives `_geoip_private` and counts as no
//! failure. An absent field changes nothing.

use std::net::IpAddr;
use std::sync::Arc;

use super::named::{Use, required_field};
use super::{Filter, FilterLoad, Make, counters};
use crate::clock::SharedClock;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::event::{Batch, Path, Selection, Value};
use crate::metrics::Counter;
use crate::settings::Section;

mod database;
mod record;
mod reserved;

use database::{Database, Watched};
use record::Name;

/// Addresses whose JSON one thread keeps; a power of two.
const KEPT_ADDRESSES: usize = 4096;

struct GeoIp {
    plan: Arc<Plan>,
    database: Arc<Database>,
    kept: Vec<Option<Kept>>,
}

struct Plan {
    field: Path,
    target: Path,
    names: Vec<Name>,
    watched: Watched,
    clock: SharedClock,
    failures: Counter,
}

/// An address and what became of it.
struct Kept {
    address: IpAddr,
    place: Place,
}

/// What the database says about an address.
enum Place {
    /// The JSON of the target.
    Known(Box<[u8]>),
    Private,
    Unknown,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = required_field(section, "field", "\"client_ip\"", Use::Read, load);
    let target = section.string_or("target", "geoip");
    let target = super::named::path(section, &target, Use::Write, load);
    let names = names(section);
    let (_, failures) = counters(section, load);
    let text = section.required_string("database", "\"GeoLite2-City.mmdb\"")?;
    let path = section.resolve(&text);
    let name = section.string("id").map_or_else(|| "geoip".to_string(), |id| id.value);
    let metrics = load.metrics.with("filter", &name);
    let watched = match Watched::open(path, load.clock, &metrics) {
        Ok(watched) => watched,
        Err(problem) => {
            let message = format!("the GeoIP database `{}` {}", text.value, problem.what);
            let diagnostic = Diagnostic::error(message).because(problem.why).hint(problem.hint);
            section.report(diagnostic, text.span);
            return None;
        }
    };
    let (field, target, clock) = (field?, target?, Arc::clone(load.clock));
    let plan = Arc::new(Plan { field, target, names: names?, watched, clock, failures });
    Some(Box::new(move || {
        let database = plan.watched.current();
        Box::new(GeoIp { plan: Arc::clone(&plan), database, kept: Vec::new() })
    }))
}

/// The names of `fields`, or all.
fn names(section: &Section<'_>) -> Option<Vec<Name>> {
    if !section.has("fields") {
        return Some(Name::ALL.iter().map(|(_, name)| *name).collect());
    }
    let mut names = Vec::new();
    let mut all = true;
    for word in section.required_strings("fields", "[\"country_name\"]") {
        let found = Name::ALL.iter().find(|(known, _)| *known == word.value);
        names.extend(found.map(|(_, name)| *name));
        if found.is_none() {
            all = false;
            let known = Name::ALL.iter().map(|(known, _)| *known);
            let hint = match did_you_mean(&word, known.clone()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("known are: {}", known.collect::<Vec<_>>().join(", ")),
            };
            let message = format!("`geoip` makes no field \"{}\"", word.value);
            section.error(word.span.clone(), message, Some(hint));
        }
    }
    (all && !names.is_empty()).then_some(names)
}

impl Filter for GeoIp {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        plan.watched.refresh(plan.clock.elapsed_ns());
        let database = plan.watched.current();
        if self.kept.is_empty() || !Arc::ptr_eq(&database, &self.database) {
            self.kept.clear();
            self.kept.resize_with(KEPT_ADDRESSES, || None);
            self.database = database;
        }
        for event in selected.iter() {
            let Some(value) = batch.get(event, &plan.field) else { continue };
            if value != Value::Null {
                self.locate(batch, event, value);
            }
        }
    }
}

impl GeoIp {
    fn locate(&mut self, batch: &mut Batch, event: usize, value: Value) {
        let plan = &*self.plan;
        let place = address(batch, value).map(|address| {
            let kept = &mut self.kept[slot(address)];
            if !matches!(kept, Some(kept) if kept.address == address) {
                *kept = Some(Kept { address, place: place(&self.database, &plan.names, address) });
            }
            &*kept
        });
        match place {
            Some(Some(Kept { place: Place::Known(json), .. })) => {
                let object = batch.push_text(json);
                batch.set(event, &plan.target, Value::Json(object));
            }
            Some(Some(Kept { place: Place::Private, .. })) => {
                batch.add_tag(event, "_geoip_private");
            }
            _ => {
                batch.add_tag(event, "_geoip_lookup_failure");
                plan.failures.increment();
            }
        }
    }
}

/// The address that a value holds.
fn address(batch: &Batch, value: Value) -> Option<IpAddr> {
    let first = match value {
        Value::Array(list) => *batch.array(list).first()?,
        Value::Json(span) => batch.raw_items(span).next()?,
        other => other,
    };
    let text = batch.str_bytes(first)?;
    let address: IpAddr = std::str::from_utf8(&text).ok()?.trim().parse().ok()?;
    Some(address.to_canonical())
}

fn slot(address: IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let mixed = (bits as u64 ^ (bits >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 52) as usize % KEPT_ADDRESSES
}

fn place(database: &Database, names: &[Name], address: IpAddr) -> Place {
    let mut json = Vec::with_capacity(256);
    match database.record(address) {
        Some(record) if record.write(address, names, &mut json) => Place::Known(json.into()),
        _ if reserved::is_reserved(address) => Place::Private,
        _ => Place::Unknown,
    }
}

#[cfg(test)]
mod tests;
