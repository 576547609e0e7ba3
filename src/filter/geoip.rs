//! Filter `geoip`: where an address is, from a `MaxMind` database.
//!
//! In: `field` (an address; of a list the first item), `database` (a file), `target` (default
//! `geoip`), `fields` (default: all that the database has). Out: an object with the names that
//! Logstash uses: `ip`, `city_name`, `country_code2`, `location`, … or `asn` and `as_org`.
//! Promises: an address that was seen shortly before costs no look into the file, and mostly no copy
//! of its JSON; a file that is replaced is read again within seconds; a damaged one never takes the
//! place of a good one.
//! On failure: an address that is not found, or is none, gives the tag `_geoip_lookup_failure`; a
//! private or reserved one that the database does not know gives `_geoip_private` and counts as no
//! failure. An absent field changes nothing. With `optional`, a database that is not there is as one
//! that knows no address, until it comes.

use std::net::IpAddr;
use std::sync::Arc;

use super::failure::Failure;
use super::named::{Use, source};
use super::{Filter, FilterLoad, Make};
use crate::clock::SharedClock;
use crate::diagnostic::{Diagnostic, did_you_mean};
use crate::event::{Batch, Lasting, Path, Selection, Span, Value};
use crate::settings::Section;

mod database;
mod format;
mod kept;
mod pages;
mod record;
mod reserved;

use database::{Database, Watched};
use format::Fault;
use kept::Kept;
use pages::Pages;
use record::Name;

/// A longer text is no address, with blanks around it perhaps.
const MAX_ADDRESS: usize = 64;

struct GeoIp {
    plan: Arc<Plan>,
    database: Arc<Database>,
    /// This thread's, of that database.
    pages: Pages,
    kept: Kept<Place>,
}

struct Plan {
    field: Path,
    target: Path,
    names: Vec<Name>,
    /// Names of the Elastic Common Schema.
    ecs: bool,
    watched: Watched,
    clock: SharedClock,
    failure: Failure,
}

/// What the database says about an address.
enum Place {
    /// The JSON of the target.
    Known(Json),
    Private,
    Unknown,
}

/// The JSON of a place.
enum Json {
    /// Here.
    Own(Box<[u8]>),
    /// Among the texts that outlive their batch.
    Kept(Lasting),
}

impl Json {
    /// The JSON in the batch's text.
    fn put(&mut self, batch: &mut Batch) -> Option<Span> {
        match self {
            Json::Kept(lasting) => batch.kept(*lasting),
            Json::Own(text) => {
                let span = batch.push_text(text);
                if let Some(lasting) = batch.keep(span) {
                    *self = Json::Kept(lasting);
                }
                Some(span)
            }
        }
    }
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let modes = [("disabled", false), ("v1", true), ("v8", true)];
    let ecs = section.choice_or("ecs_compatibility", &modes, false);
    let target = match field.as_ref().filter(|_| ecs && !section.has("target")) {
        Some(field) => parent(section, field, load),
        None => {
            let target = section.string_or("target", "geoip");
            super::named::path(section, &target, Use::Write, load)
        }
    };
    // Logstash's way to ask for more room for what it keeps.
    section.integer_or("cache_size", 1000, 1..i64::MAX);
    let names = names(section);
    let failure = Failure::load(section, "_geoip_lookup_failure", load);
    let optional = section.bool_or("optional", false);
    let text = section.required_string("database", "\"GeoLite2-City.mmdb\"")?;
    let path = section.resolve(&text);
    let name = section.string("id").map_or_else(|| "geoip".to_string(), |id| id.value);
    let metrics = load.metrics.with("filter", &name);
    let watched = match database::open(path, optional, load.clock, &metrics) {
        Ok(watched) => {
            if !watched.current().is_there() {
                let message = format!("the GeoIP database `{}` is not there", text.value);
                let hint = "events go on without a place until it is; GeoLite2 databases are at \
                            https://www.maxmind.com";
                section.report(Diagnostic::warning(message).hint(hint), text.span);
            }
            watched
        }
        Err(problem) => {
            let message = format!("the GeoIP database `{}` {}", text.value, problem.what);
            let diagnostic = Diagnostic::error(message).because(problem.why).hint(problem.hint);
            section.report(diagnostic, text.span);
            return None;
        }
    };
    let (field, target, clock) = (field?, target?, Arc::clone(load.clock));
    let plan = Arc::new(Plan { field, target, names: names?, ecs, watched, clock, failure });
    Some(Box::new(move || {
        let database = plan.watched.current();
        Box::new(GeoIp {
            plan: Arc::clone(&plan),
            database,
            pages: Pages::default(),
            kept: Kept::default(),
        })
    }))
}

/// What holds the field `ip`: there, the schema has a place for what is known of it.
fn parent(section: &Section<'_>, field: &Path, load: &mut FilterLoad<'_>) -> Option<Path> {
    let names: Vec<&str> = field.segments().iter().map(|segment| &*segment.name).collect();
    match names.as_slice() {
        [before @ .., "ip"] if !before.is_empty() => Some(Path::from_names(before, load.keys)),
        _ => {
            section.missing("target", "\"client\"");
            None
        }
    }
}

/// The names of `fields`, or all.
fn names(section: &Section<'_>) -> Option<Vec<Name>> {
    if !section.has("fields") {
        return Some(Name::ALL.iter().map(|(_, name)| *name).collect());
    }
    let mut names = Vec::new();
    let mut all = true;
    for word in section.required_strings("fields", "[\"country_name\"]") {
        let is = |known: &&(&str, Name)| known.0.eq_ignore_ascii_case(&word);
        let found = Name::ALL.iter().chain(Name::OTHER).find(is);
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
        if !Arc::ptr_eq(&database, &self.database) {
            self.kept.clear();
            self.pages = Pages::default();
            self.database = database;
        }
        for event in selected.iter() {
            match batch.get(event, &plan.field) {
                None | Some(Value::Null) => batch.events[event].missed = true,
                Some(value) => self.locate(batch, event, value),
            }
        }
    }
}

impl GeoIp {
    fn locate(&mut self, batch: &mut Batch, event: usize, value: Value) {
        let GeoIp { plan, database, pages, kept } = self;
        let first = match value {
            Value::Array(list) => batch.array(list).first().copied(),
            Value::Json(span) => batch.raw_items(span).next(),
            other => Some(other),
        };
        let text = first.and_then(|first| batch.str_bytes(first));
        let known = text.filter(|text| text.len() <= MAX_ADDRESS).and_then(|text| {
            let good = |place: &Place| match place {
                Place::Known(Json::Kept(lasting)) => batch.has_kept(*lasting),
                _ => true,
            };
            // What could not be read is tried again the next time.
            kept.get(&text, good, || place(database, pages, plan, address(&text)?).ok())
        });
        match known {
            Some(Place::Known(json)) => {
                let Some(object) = json.put(batch).map(Value::Json) else { return };
                match batch.get(event, &plan.target) {
                    // Other members of the target stay, such as `client.port`.
                    Some(there @ (Value::Object(_) | Value::Json(_))) => {
                        merge(batch, event, &plan.target, there, object);
                    }
                    _ => batch.set(event, &plan.target, object),
                }
            }
            Some(Place::Private) => {
                batch.add_tag(event, "_geoip_private");
                batch.events[event].missed = true;
            }
            Some(Place::Unknown) | None => plan.failure.mark(batch, event),
        }
    }
}

/// The address that a text is.
fn address(text: &[u8]) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
    Some(address.to_canonical())
}

/// Puts the members of an object into the one that is there.
fn merge(batch: &mut Batch, event: usize, target: &Path, there: Value, found: Value) {
    let (Value::Object(there), Value::Object(found)) = (batch.open(there), batch.open(found))
    else {
        return batch.set(event, target, found);
    };
    for at in 0..batch.object(found).len() {
        let member = batch.object(found)[at];
        batch.set_in(there, member.key, member.value);
    }
    batch.set(event, target, Value::Object(there));
}

fn place(
    database: &Database,
    pages: &mut Pages,
    plan: &Plan,
    address: IpAddr,
) -> Result<Place, Fault> {
    let mut json = Vec::with_capacity(512);
    let write = |record: &record::Record, json: &mut Vec<u8>| match plan.ecs {
        true => record.write_ecs(address, &plan.names, json),
        false => record.write(address, &plan.names, json),
    };
    Ok(match database.record(pages, address)? {
        Some(record) if write(&record, &mut json) => Place::Known(Json::Own(json.into())),
        _ if reserved::is_reserved(address) => Place::Private,
        _ => Place::Unknown,
    })
}

#[cfg(test)]
mod tests;
