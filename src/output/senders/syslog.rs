//! Messages of syslog.
//!
//! In: a document, and the parts of its head as its address. Out: a message of RFC 5424 or RFC 3164. Promises: the
//! parts
//! of the head have the letters and lengths that the form allows; line feeds of a message are escaped in JSON and
//! blanks in a
//! text. On failure: a severity or facility that is none is `info` and `user`.

use super::super::OutputLoad;
use crate::frame::Document;
use crate::settings::{Section, Spanned};
use crate::template::Template;
use crate::timestamp::{TimeTemplate, iso8601_ms};

/// Stands between the parts of an address.
const BETWEEN: char = '\u{1f}';
/// Names of severities, from 0.
const SEVERITIES: [&[&str]; 8] = [
    &["emerg", "emergency", "panic"],
    &["alert"],
    &["crit", "critical", "fatal"],
    &["err", "error"],
    &["warning", "warn"],
    &["notice"],
    &["info", "informational", "information"],
    &["debug", "trace"],
];
/// Names of facilities, from 0.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "security", "console", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// How messages are written.
pub(super) struct Syslog {
    rfc5424: bool,
    /// Names of the field that is the message, outermost first.
    message: Vec<String>,
    /// The time as RFC 3164 writes it.
    time: TimeTemplate,
}

/// The settings, and the template of what stands in the head.
pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<(Syslog, Template)> {
    let formats = [("rfc5424", true), ("rfc3164", false)];
    let rfc5424 = section.choice_or("format", &formats, true);
    let message = section.string_or("message", "message");
    let mut whole = String::new();
    let mut sound = true;
    for (place, (key, usual)) in [
        ("facility", "user"),
        ("severity", "{log.level:-info}"),
        ("host", "{host.name:--}"),
        ("app", "logweir"),
        ("proc_id", "-"),
        ("message_id", "-"),
    ]
    .into_iter()
    .enumerate()
    {
        let text: Spanned<String> = section.string_or(key, usual);
        // Each by itself, so that an error has its own place.
        sound &= Template::load(section, &text, load.keys).is_some();
        if place > 0 {
            whole.push(BETWEEN);
        }
        whole.push_str(&text);
    }
    let address = Template::parse(&whole, load.keys).ok().filter(|_| sound)?;
    let time = TimeTemplate::compile("%b %e %H:%M:%S").ok()?;
    let message = message.split('.').map(str::to_string).collect();
    Some((Syslog { rfc5424, message, time }, address))
}

impl Syslog {
    pub(super) fn message(&self, document: &Document<'_>, bit: u32) -> Vec<u8> {
        let address = String::from_utf8_lossy(document.address(bit).unwrap_or_default());
        let mut parts = address.split(BETWEEN);
        let mut part = || parts.next().unwrap_or_default();
        let facility = number(part(), |name| FACILITIES.iter().position(|f| *f == name), 24);
        let severity =
            number(part(), |name| SEVERITIES.iter().position(|names| names.contains(&name)), 8);
        let priority = 8 * facility.unwrap_or(1) + severity.unwrap_or(6);
        let (host, app, process, id) = (part(), part(), part(), part());
        let mut out = Vec::new();
        if self.rfc5424 {
            let time = iso8601_ms(document.time_ns);
            let (host, app) = (word(host, 255), word(app, 48));
            let (process, id) = (word(process, 128), word(id, 32));
            out.extend_from_slice(format!("<{priority}>1 ").as_bytes());
            out.extend_from_slice(&time);
            out.extend_from_slice(format!(" {host} {app} {process} {id} - ").as_bytes());
        } else {
            out.extend_from_slice(format!("<{priority}>").as_bytes());
            self.time.write(document.time_ns, &mut out);
            let (host, app) = (word(host, 255), word(app, 32));
            out.extend_from_slice(format!(" {host} {app}").as_bytes());
            if process != "-" && !process.is_empty() {
                out.extend_from_slice(format!("[{}]", word(process, 128)).as_bytes());
            }
            out.extend_from_slice(b": ");
        }
        out.extend_from_slice(&self.text(document));
        out
    }

    /// The message's field, or the whole document where it is no text.
    fn text(&self, document: &Document<'_>) -> Vec<u8> {
        match text_of(document.body, &self.message) {
            Some(text) => text.trim_end().replace(['\r', '\n'], " ").into_bytes(),
            None => document.body.to_vec(),
        }
    }
}

/// The text of a field of a document.
pub(super) fn text_of(body: &[u8], names: &[String]) -> Option<String> {
    let mut at: &serde_json::Value = &serde_json::from_slice(body).ok()?;
    // A name with dots as it stands, or one within another.
    if let Some(text) = at.get(names.join(".")).and_then(serde_json::Value::as_str) {
        return Some(text.to_string());
    }
    for name in names {
        at = at.get(name)?;
    }
    at.as_str().map(str::to_string)
}

/// A number below `end`, or the place of a name.
fn number(text: &str, place: impl Fn(&str) -> Option<usize>, end: usize) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    text.parse().ok().or_else(|| place(&text)).filter(|number| *number < end)
}

/// The number of a level's name, or the number that it is.
pub(super) fn severity(text: &str) -> Option<usize> {
    number(text, |name| SEVERITIES.iter().position(|names| names.contains(&name)), 8)
}

/// A part of the head: printable letters without blanks, so many at most; `-`: there is none.
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_string() } else { word }
}
