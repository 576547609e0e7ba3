//! Filter `useragent`: what a browser says about itself as fields.
//!
//! In: `field`, the text of a `User-Agent` header (of a list the first one). Out: the browser's name and version, the
//! system and the device, below `target`: with `ecs_compatibility = "v1"` under the names of ECS (`name`, `version`,
//! `os.name`, `device.name`, …; the default target is `user_agent`), with `"disabled"` under those that Logstash used
//! before (`name`, `major`, `os_name`, …; the default target is the event).
//! Promises: the patterns are our own list, or a file in the format of uap-core's; a text that was seen shortly
//! before costs one look-up; patterns are compiled when a text first needs them. On failure: nothing can fail: what
//! is not known is called `Other`; an absent or empty field changes nothing.

use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use super::named::{Use, source};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Field, Key, Path, Selection, Value, parse_object, write_string};
use crate::settings::Section;

mod definitions;
mod literals;

use definitions::{Definitions, Found};

/// Texts whose finished JSON one thread keeps, if nothing else is written.
const CACHE_SIZE: i64 = 1024;
/// Bytes of a text that are looked at; longer ones are no browser's.
const TEXT_BYTES_MAX: usize = 2048;

/// The patterns that come with the program; read when they are first needed.
static BUNDLED: OnceLock<Definitions> = OnceLock::new();

struct UserAgent {
    plan: Arc<Plan>,
    cache: Vec<Option<Kept>>,
    text: Vec<u8>,
    fields: Vec<Field>,
    hash: foldhash::fast::FixedState,
}

/// A text and the JSON made of it.
struct Kept {
    text: Box<[u8]>,
    json: Box<[u8]>,
}

struct Plan {
    field: Path,
    target: Option<Path>,
    prefix: String,
    ecs: bool,
    cache_size: usize,
    /// `None`: those that come with the program.
    definitions: Option<Definitions>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let modes = [("v1", true), ("v8", true), ("disabled", false)];
    let key = if section.has("ecs") { "ecs" } else { "ecs_compatibility" };
    let ecs = section.choice_or(key, &modes, true);
    let target = match (section.string("target"), ecs) {
        (None, false) => Some(None),
        (Some(text), _) => super::named::path(section, &text, Use::Write, load).map(Some),
        (None, true) => Path::parse("user_agent", load.keys).ok().map(Some),
    };
    let prefix = section.string_or("prefix", "").value;
    let cache_size = section.integer_or("lru_cache_size", CACHE_SIZE, 1..1_000_001) as usize;
    let definitions = match section.string("regexes") {
        None => None,
        Some(name) => {
            let path = section.resolve(&name);
            let read = section.read_file(&path).map_err(|why| why.to_string());
            match read.and_then(|text| Definitions::read(&text)) {
                Ok(definitions) => Some(definitions),
                Err(why) => {
                    let message = format!("cannot use the patterns `{}`: {why}", path.display());
                    let hint = "give a file in the format of uap-core's regexes.yaml";
                    section.error(name.span, message, Some(hint.into()));
                    return None;
                }
            }
        }
    };
    let (field, target) = (field?, target?);
    let plan = Arc::new(Plan { field, target, prefix, ecs, cache_size, definitions });
    Some(Box::new(move || {
        Box::new(UserAgent {
            plan: Arc::clone(&plan),
            cache: Vec::new(),
            text: Vec::new(),
            fields: Vec::new(),
            hash: foldhash::fast::FixedState::default(),
        })
    }))
}

impl Filter for UserAgent {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let value = batch.get(event, &plan.field);
            let first = match value {
                Some(Value::Array(list)) => batch.array(list).first().copied(),
                Some(Value::Json(span)) => batch.raw_items(span).next(),
                other => other,
            };
            self.text.clear();
            if let Some(text) = first.and_then(|first| batch.str_bytes(first)) {
                self.text.extend_from_slice(&text[..text.len().min(TEXT_BYTES_MAX)]);
            }
            if self.text.is_empty() {
                batch.events[event].missed = true;
                continue;
            }
            self.set(&plan, batch, event);
        }
    }
}

impl UserAgent {
    fn set(&mut self, plan: &Plan, batch: &mut Batch, event: usize) {
        if self.cache.is_empty() {
            self.cache.resize_with(plan.cache_size, || None);
        }
        let slot = self.hash.hash_one(&self.text) as usize % self.cache.len();
        let kept = &mut self.cache[slot];
        if kept.as_ref().is_none_or(|kept| *kept.text != *self.text) {
            let json = plan.json(&self.text);
            *kept = Some(Kept { text: self.text.as_slice().into(), json: json.into() });
        }
        let Some(kept) = kept else { return };
        let span = batch.push_text(&kept.json);
        self.fields.clear();
        let keys = Arc::clone(&batch.keys);
        if parse_object(&mut batch.text, span, &keys, &mut self.fields).is_err() {
            return;
        }
        match &plan.target {
            None => {
                for field in self.fields.iter().filter(|field| field.key != Key::TIMESTAMP) {
                    batch.set_root(event, field.key, field.value);
                }
            }
            Some(target) => {
                // Other members of the target stay, such as `user_agent.original`.
                let object = match batch.get(event, target).map(|value| batch.open(value)) {
                    Some(Value::Object(object)) => object,
                    _ => batch.new_object(),
                };
                for field in &self.fields {
                    batch.set_in(object, field.key, field.value);
                }
                batch.set(event, target, Value::Object(object));
            }
        }
    }
}

impl Plan {
    /// What is known of a text, as a JSON object.
    fn json(&self, text: &[u8]) -> Vec<u8> {
        let definitions = match &self.definitions {
            Some(definitions) => definitions,
            // A unit test reads them, so that this cannot fail.
            None => BUNDLED.get_or_init(Definitions::bundled),
        };
        let found = definitions.find(text);
        if self.ecs { ecs(&found) } else { legacy(&found, &self.prefix) }
    }
}

/// Names and texts as the members of an object; absent ones are left out.
fn members(pairs: &[(&str, &str, Option<&str>)], out: &mut Vec<u8>) {
    let mut first = true;
    for (prefix, name, text) in pairs {
        let Some(text) = text else { continue };
        if !first {
            out.push(b',');
        }
        first = false;
        write_string(format!("{prefix}{name}").as_bytes(), out);
        out.push(b':');
        write_string(text.as_bytes(), out);
    }
}

fn ecs(found: &Found) -> Vec<u8> {
    let mut out = b"{".to_vec();
    let (version, system) = (found.agent.version(), found.system.version());
    let full = found.system.full();
    members(
        &[("", "name", Some(&found.agent.family)), ("", "version", version.as_deref())],
        &mut out,
    );
    out.extend_from_slice(b",\"os\":{");
    let os = [
        ("", "name", Some(&*found.system.family)),
        ("", "version", system.as_deref()),
        ("", "full", Some(&*full)),
    ];
    members(&os, &mut out);
    out.extend_from_slice(b"},\"device\":{");
    members(&[("", "name", Some(&found.device))], &mut out);
    out.extend_from_slice(b"}}");
    out
}

fn legacy(found: &Found, prefix: &str) -> Vec<u8> {
    let mut out = b"{".to_vec();
    let (version, system) = (found.agent.version(), found.system.version());
    let full = found.system.full();
    let of = |parts: &[Option<String>; 4], at: usize| parts[at].clone();
    let (agent, os) = (&found.agent.parts, &found.system.parts);
    let (major, minor, patch, build) = (of(agent, 0), of(agent, 1), of(agent, 2), of(agent, 3));
    let (os_major, os_minor, os_patch) = (of(os, 0), of(os, 1), of(os, 2));
    let pairs = [
        ("name", Some(&*found.agent.family)),
        ("version", version.as_deref()),
        ("major", major.as_deref()),
        ("minor", minor.as_deref()),
        ("patch", patch.as_deref()),
        ("build", build.as_deref()),
        ("os", Some(&*found.system.family)),
        ("os_name", Some(&*found.system.family)),
        ("os_version", system.as_deref()),
        ("os_full", Some(&*full)),
        ("os_major", os_major.as_deref()),
        ("os_minor", os_minor.as_deref()),
        ("os_patch", os_patch.as_deref()),
        ("device", Some(&*found.device)),
    ];
    members(&pairs.map(|(name, text)| (prefix, name, text)), &mut out);
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests;
