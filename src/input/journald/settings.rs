//! The settings of the input: which files, which entries.

use std::path::PathBuf;
use std::time::Duration;

use super::file::Entry;
use super::render::{LEVELS, Names, level, value};
use crate::settings::{Section, parse_duration};

/// Where journald keeps its files, on disk and in memory.
const PATHS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// What to read.
pub(super) struct Settings {
    /// Folders with files, or with a folder of files for each machine.
    pub paths: Vec<PathBuf>,
    /// Only entries of these units; empty: of all.
    pub units: Vec<String>,
    /// The least severe level that counts.
    pub priority: usize,
    /// What counts at the very first start.
    pub since: Since,
    /// How fields are named.
    pub names: Names,
}

/// From when on entries count at the very first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    All,
    Boot,
    Now,
    Ago(Duration),
}

pub(super) fn load(section: &Section<'_>) -> Option<Settings> {
    let paths = match section.strings("paths") {
        Some(paths) => paths.iter().map(|path| section.resolve(path)).collect(),
        None => PATHS.map(PathBuf::from).to_vec(),
    };
    let unit = |name: String| if name.contains('.') { name } else { name + ".service" };
    let units = section.strings("units").unwrap_or_default();
    let units = units.into_iter().map(|name| unit(name.value)).collect();
    let words: Vec<(&str, usize)> = LEVELS.iter().enumerate().map(|(n, word)| (*word, n)).collect();
    let priority = section.choice_or("priority", &words, LEVELS.len() - 1);
    let text = section.string_or("since", "all");
    let since = match text.as_str() {
        "all" => Since::All,
        "boot" => Since::Boot,
        "now" => Since::Now,
        other => match parse_duration(other) {
            Some(span) => Since::Ago(span),
            None => {
                let hint = "write \"all\", \"boot\", \"now\", or a time such as \"24h\"";
                section.error(
                    text.span.clone(),
                    format!("`since` is \"{other}\""),
                    Some(hint.into()),
                );
                return None;
            }
        },
    };
    Some(Settings { paths, units, priority, since, names: names(section)? })
}

fn names(section: &Section<'_>) -> Option<Names> {
    let own = section.choice_or("names", &[("ecs", false), ("journald", true)], false);
    let strip_underscores = section.bool_or("strip_underscores", false);
    let lowercase = section.bool_or("lowercase", false);
    if own {
        return Some(Names::Journald { strip_underscores, lowercase });
    }
    if strip_underscores || lowercase {
        let key = if strip_underscores { "strip_underscores" } else { "lowercase" };
        let hint = "add `names = \"journald\"`".to_string();
        let message = format!("`{key}` changes journald's own names, which are not used here");
        section.error(section.span_of(key), message, Some(hint));
        return None;
    }
    Some(Names::Ecs)
}

impl Settings {
    /// Whether an entry counts.
    pub(super) fn wants(&self, entry: &Entry) -> bool {
        // An entry without a level has none to be left out by.
        if level(entry).is_some_and(|level| level > self.priority) {
            return false;
        }
        let is = |name: &[u8]| {
            value(entry, name).is_some_and(|v| self.units.iter().any(|unit| unit.as_bytes() == v))
        };
        // What systemd itself says about a unit, as `journalctl -u` shows it.
        let about = || value(entry, b"_PID") == Some(b"1") && is(b"UNIT");
        self.units.is_empty() || is(b"_SYSTEMD_UNIT") || about()
    }
}
