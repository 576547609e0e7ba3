//! Messages of Graylog.
//!
//! In: a document, and the host's name as its address. Out: a message of GELF 1.1; for datagrams, its chunks. Promises:
//! nested fields are fields of their own with their names joined by dots; names have the letters that the form
//! allows. On
//! failure: a message that needs more than 128 chunks is none.
//!
//! Source: <https://go2docs.graylog.org/current/getting_in_log_data/gelf.html>.

use serde_json::{Map, Number, Value, json};

use super::super::{OutputLoad, random};
use super::syslog::{severity, text_of};
use crate::frame::Document;
use crate::settings::Section;
use crate::template::Template;

/// Bytes of a datagram that is sent whole, and of one chunk without its head.
const CHUNK_BYTES: usize = 8192 - 12;
/// Chunks of one message.
const CHUNKS_MAX: usize = 128;

/// How messages are written.
pub(super) struct Gelf {
    /// Names of the field that is the short message, outermost first.
    message: Vec<String>,
}

/// The settings, and the template of the host's name.
pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<(Gelf, Template)> {
    let message = section.string_or("message", "message");
    let host = section.string_or("host", "{host.name:-logweir}");
    let address = Template::load(section, &host, load.keys)?;
    Some((Gelf { message: message.split('.').map(str::to_string).collect() }, address))
}

impl Gelf {
    pub(super) fn message(&self, document: &Document<'_>, bit: u32) -> Vec<u8> {
        let host = String::from_utf8_lossy(document.address(bit).unwrap_or_default());
        let host = if host.is_empty() { "logweir" } else { &*host };
        let fields: Map<String, Value> = serde_json::from_slice(document.body).unwrap_or_default();
        let message = text_of(document.body, &self.message)
            .filter(|text| !text.trim().is_empty())
            .unwrap_or_else(|| String::from_utf8_lossy(document.body).into_owned());
        let milliseconds = document.time_ns.max(0) / 1_000_000;
        let time = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
        let time = time.parse::<Number>().map_or(Value::Null, Value::Number);
        let mut out = Map::new();
        out.insert("version".into(), "1.1".into());
        out.insert("host".into(), host.into());
        out.insert("short_message".into(), message.into());
        out.insert("timestamp".into(), time);
        let level = fields.get("level").or_else(|| fields.get("log").and_then(|l| l.get("level")));
        if let Some(level) = level.and_then(|level| match level {
            Value::String(text) => severity(text),
            Value::Number(number) => severity(&number.to_string()),
            _ => None,
        }) {
            out.insert("level".into(), level.into());
        }
        for (name, value) in fields {
            if name != "@timestamp" && self.message.as_slice() != [name.as_str()] {
                flatten(&format!("_{name}"), value, &mut out);
            }
        }
        Value::Object(out).to_string().into_bytes()
    }
}

/// A field, or those within it.
fn flatten(name: &str, value: Value, out: &mut Map<String, Value>) {
    let value = match value {
        Value::Object(fields) => {
            for (inner, value) in fields {
                flatten(&format!("{name}.{inner}"), value, out);
            }
            return;
        }
        Value::Null => return,
        value @ (Value::String(_) | Value::Number(_)) => value,
        value => json!(value.to_string()),
    };
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let name: String = name.chars().map(|c| if allowed(c) { c } else { '_' }).collect();
    // `_id` is the server's.
    let name = if name == "_id" { "__id".to_string() } else { name };
    out.insert(name, value);
}

/// The datagrams of a message: itself, or chunks with the magic bytes, an id, a number and how many there are.
///
/// # Errors
/// There are no random numbers for the id.
pub(super) fn chunks(message: &[u8]) -> Result<Option<Vec<Vec<u8>>>, String> {
    if message.len() <= CHUNK_BYTES {
        return Ok(Some(vec![message.to_vec()]));
    }
    let count = message.len().div_ceil(CHUNK_BYTES);
    if count > CHUNKS_MAX {
        return Ok(None);
    }
    let id = random::<8>()?;
    let chunk = |(number, part): (usize, &[u8])| {
        let mut out = vec![0x1e, 0x0f];
        out.extend_from_slice(&id);
        out.extend_from_slice(&[number as u8, count as u8]);
        out.extend_from_slice(part);
        out
    };
    Ok(Some(message.chunks(CHUNK_BYTES).enumerate().map(chunk).collect()))
}
