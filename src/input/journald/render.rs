//! An entry as a line of JSON.
//!
//! In: an entry. Out: one JSON object with a line feed: what ECS has a name for under that name (`message`,
//! `@timestamp`, `log.level`, `log.syslog`, `process`, `systemd.unit`), everything else below `journald` as journald
//! names it; or, with [`Names::Journald`], everything as journald names it. Promises: the same entry gives the same
//! bytes, so that ids stay the same when it is read again; a name that comes several times is a list. On failure:
//! nothing can fail; bytes that are no UTF-8 are replaced by the codec.

use std::sync::Arc;

use super::file::Entry;
use crate::event::write_string;
use crate::timestamp::write_iso8601_ms;

/// How fields are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// As ECS names them.
    Ecs,
    /// As journald does, at the root; without the underscores before them, or in lower case, where that is said.
    Journald { strip_underscores: bool, lowercase: bool },
}

/// Names of the levels of syslog, most severe first, as ECS and journalctl write them.
pub(super) const LEVELS: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// A field of journald that has a place of its own.
struct Known {
    name: &'static [u8],
    place: Place,
    key: &'static str,
    number: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Syslog,
    Facility,
    Process,
    Systemd,
}

const KNOWN: [Known; 9] = [
    Known { name: b"MESSAGE", place: Place::Root, key: "message", number: false },
    Known { name: b"SYSLOG_IDENTIFIER", place: Place::Syslog, key: "appname", number: false },
    Known { name: b"SYSLOG_PID", place: Place::Syslog, key: "procid", number: false },
    Known { name: b"SYSLOG_FACILITY", place: Place::Facility, key: "code", number: true },
    Known { name: b"_PID", place: Place::Process, key: "pid", number: true },
    Known { name: b"_COMM", place: Place::Process, key: "name", number: false },
    Known { name: b"_EXE", place: Place::Process, key: "executable", number: false },
    Known { name: b"_CMDLINE", place: Place::Process, key: "command_line", number: false },
    Known { name: b"_SYSTEMD_UNIT", place: Place::Systemd, key: "unit", number: false },
];

/// The value of a field; `None`: the entry has none of this name.
pub(super) fn value<'a>(entry: &'a Entry, name: &[u8]) -> Option<&'a [u8]> {
    entry.fields.iter().find_map(|field| field.strip_prefix(name)?.strip_prefix(b"="))
}

/// The level, 0 (emerg) to 7 (debug).
pub(super) fn level(entry: &Entry) -> Option<usize> {
    match value(entry, b"PRIORITY")? {
        [digit @ b'0'..=b'7'] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

/// Appends the entry.
pub(super) fn write(entry: &Entry, names: Names, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"@timestamp\":\"");
    write_iso8601_ms(entry.realtime_us.min(i64::MAX as u64 / 1_000) as i64 * 1_000, out);
    out.push(b'"');
    if let Names::Journald { strip_underscores, lowercase } = names {
        write_as_named(entry, strip_underscores, lowercase, out);
        out.extend_from_slice(b"}\n");
        return;
    }
    write_place(entry, Place::Root, b",", out);
    write_log(entry, out);
    write_object(entry, Place::Process, b",\"process\":{", out);
    write_object(entry, Place::Systemd, b",\"systemd\":{", out);
    write_rest(entry, out);
    out.extend_from_slice(b"}\n");
}

/// All fields at the root; those that come to the same name are a list.
fn write_as_named(entry: &Entry, strip_underscores: bool, lowercase: bool, out: &mut Vec<u8>) {
    let spelled = |field: &[u8]| {
        let end = field.iter().position(|b| *b == b'=')?;
        let mut name = field[..end].to_vec();
        if strip_underscores {
            name.drain(..name.iter().take_while(|b| **b == b'_').count());
        }
        if lowercase {
            name.make_ascii_lowercase();
        }
        Some((name, end + 1))
    };
    let fields: Vec<(Vec<u8>, &[u8])> = entry
        .fields
        .iter()
        .filter_map(|field| spelled(field).map(|(name, start)| (name, &field[start..])))
        .collect();
    for (at, (name, value)) in fields.iter().enumerate() {
        if fields[..at].iter().any(|(other, _)| other == name) {
            continue;
        }
        out.push(b',');
        write_string(name, out);
        out.push(b':');
        let more: Vec<&[u8]> =
            fields[at + 1..].iter().filter(|(other, _)| other == name).map(|(_, v)| *v).collect();
        if more.is_empty() {
            write_string(value, out);
            continue;
        }
        out.push(b'[');
        write_string(value, out);
        for value in more {
            out.push(b',');
            write_string(value, out);
        }
        out.push(b']');
    }
}

fn write_log(entry: &Entry, out: &mut Vec<u8>) {
    let level = level(entry);
    let syslog = [Place::Syslog, Place::Facility];
    let has = KNOWN.iter().any(|k| syslog.contains(&k.place) && value(entry, k.name).is_some());
    if level.is_none() && !has {
        return;
    }
    out.extend_from_slice(b",\"log\":{");
    let start = out.len();
    if let Some(level) = level {
        out.extend_from_slice(format!("\"level\":\"{}\"", LEVELS[level]).as_bytes());
    }
    let comma: &[u8] = if out.len() == start { b"" } else { b"," };
    out.extend_from_slice(comma);
    out.extend_from_slice(b"\"syslog\":{");
    let start = out.len();
    if let Some(level) = level {
        out.extend_from_slice(format!("\"severity\":{{\"code\":{level}}}").as_bytes());
    }
    write_place(entry, Place::Syslog, if out.len() == start { b"" } else { b"," }, out);
    let before: &[u8] = if out.len() == start { b"\"facility\":{" } else { b",\"facility\":{" };
    write_object(entry, Place::Facility, before, out);
    out.extend_from_slice(b"}}");
}

/// The fields of a place in an object of their own; nothing where there are none.
fn write_object(entry: &Entry, place: Place, before: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(before);
    let inside = out.len();
    write_place(entry, place, b"", out);
    if out.len() == inside {
        out.truncate(start);
    } else {
        out.push(b'}');
    }
}

/// The fields of a place, `first` before the first one.
fn write_place(entry: &Entry, place: Place, first: &[u8], out: &mut Vec<u8>) {
    let mut before = first;
    for known in KNOWN.iter().filter(|known| known.place == place) {
        let Some(value) = value(entry, known.name) else { continue };
        out.extend_from_slice(before);
        before = b",";
        write_string(known.key.as_bytes(), out);
        out.push(b':');
        let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if known.number && digits && (value.len() == 1 || value[0] != b'0') {
            out.extend_from_slice(value);
        } else {
            write_string(value, out);
        }
    }
}

/// What has no place of its own.
fn write_rest(entry: &Entry, out: &mut Vec<u8>) {
    let split = |field: &Arc<[u8]>| field.iter().position(|b| *b == b'=');
    let has_place = |name: &[u8]| {
        KNOWN.iter().any(|known| known.name == name)
            || (name == b"PRIORITY" && level(entry).is_some())
    };
    let start = out.len();
    for (at, field) in entry.fields.iter().enumerate() {
        let Some(end) = split(field) else { continue };
        let name = &field[..end];
        let same = |other: &&Arc<[u8]>| split(other) == Some(end) && &other[..end] == name;
        let first = entry.fields.iter().position(|other| same(&other)) == Some(at);
        // Of a name with a place the first value went there.
        if !first || (has_place(name) && entry.fields.iter().filter(same).count() == 1) {
            continue;
        }
        out.extend_from_slice(if out.len() == start { b",\"journald\":{" } else { b"," });
        write_string(name, out);
        out.push(b':');
        let values: Vec<&Arc<[u8]>> = entry.fields.iter().filter(same).collect();
        if let [one] = values[..] {
            write_string(&one[end + 1..], out);
            continue;
        }
        for (n, value) in values.iter().enumerate() {
            out.push(if n == 0 { b'[' } else { b',' });
            write_string(&value[end + 1..], out);
        }
        out.push(b']');
    }
    if out.len() > start {
        out.push(b'}');
    }
}
