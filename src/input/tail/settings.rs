//! The settings of a `file` input.
//!
//! In: a section. Out: [`Settings`]. Promises: every glob is checked and made absolute here.
//! On failure: problems with their place; `None` when there is nothing to read.

use std::time::Duration;

use super::adopted::Adopted;
use super::discover::{Exclude, Glob};
use crate::limits::{LINE_BYTES_CEILING, LINE_BYTES_MAX, PARTIAL_LINE_MS};
use crate::settings::{Section, Spanned};

const RESCAN: Duration = Duration::from_secs(10);
const CLOSE_IDLE: Duration = Duration::from_secs(2);

/// Where a file is read from that is there at the first start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// Its first byte.
    Beginning,
    /// The start of its last unfinished line.
    End,
}

/// What a `file` input was told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What to read.
    pub paths: Vec<Glob>,
    /// What not to read.
    pub exclude: Vec<Exclude>,
    /// For files that are there at the first start.
    pub start_at: StartAt,
    /// Where another agent had read to.
    pub adopted: Adopted,
    /// Nanoseconds between two full looks, which find what inotify did not say.
    pub rescan_ns: u64,
    /// Bytes of a line without its line feed.
    pub line_max: usize,
    /// Nanoseconds after which a last line without a line feed is taken as it is.
    pub partial_line_ns: u64,
    /// Nanoseconds of age beyond which an unknown file is left alone.
    pub ignore_older_ns: Option<u64>,
    /// Read compressed files.
    pub read_compressed: bool,
    /// Nanoseconds without growth after which a descriptor is closed.
    pub close_idle_ns: u64,
}

impl Settings {
    /// Settings that read `paths`, everything else as it is by default.
    pub fn of(paths: Vec<Glob>) -> Self {
        Settings {
            paths,
            exclude: Vec::new(),
            start_at: StartAt::Beginning,
            adopted: Adopted::default(),
            rescan_ns: nanoseconds(RESCAN),
            line_max: LINE_BYTES_MAX,
            partial_line_ns: PARTIAL_LINE_MS * 1_000_000,
            ignore_older_ns: None,
            read_compressed: true,
            close_idle_ns: nanoseconds(CLOSE_IDLE),
        }
    }
}

/// Reads the settings of an input.
pub fn load(section: &Section<'_>) -> Option<Settings> {
    let written = section.required_strings("paths", "[\"/var/log/app/*.log\"]");
    let paths: Vec<Glob> = written.iter().filter_map(|text| glob(section, text)).collect();
    let excluded = section.strings("exclude").unwrap_or_default();
    let exclude = excluded.iter().filter_map(|text| excluded_glob(section, text)).collect();
    let choices = [("beginning", StartAt::Beginning), ("end", StartAt::End)];
    let defaults = Settings::of(Vec::new());
    let partial = Duration::from_millis(PARTIAL_LINE_MS);
    let age = Duration::MAX;
    let older = section.duration_or("ignore_older", age);
    let settings = Settings {
        exclude,
        adopted: Adopted::load(section),
        start_at: section.choice_or("start_at", &choices, StartAt::Beginning),
        rescan_ns: at_least(section, "rescan_interval", RESCAN, Duration::from_millis(100)),
        line_max: line_max(section),
        partial_line_ns: nanoseconds(section.duration_or("partial_line_timeout", partial)),
        ignore_older_ns: (older != age).then(|| nanoseconds(older)),
        read_compressed: section.bool_or("read_compressed", defaults.read_compressed),
        close_idle_ns: nanoseconds(section.duration_or("close_idle", CLOSE_IDLE)),
        paths,
    };
    (!settings.paths.is_empty()).then_some(settings)
}

/// The longest line, `max_line`, within its bounds.
pub fn line_max(section: &Section<'_>) -> usize {
    let bytes = section.bytes_or("max_line", LINE_BYTES_MAX as u64);
    if (16..=LINE_BYTES_CEILING as u64).contains(&bytes) {
        return bytes as usize;
    }
    let message = format!("`max_line` is {bytes} bytes, but must be from 16 bytes to 64MiB");
    section.error(section.span_of("max_line"), message, Some("the default is \"1MiB\"".into()));
    LINE_BYTES_MAX
}

fn at_least(section: &Section<'_>, key: &'static str, default: Duration, lowest: Duration) -> u64 {
    let value = section.duration_or(key, default);
    if value < lowest {
        let message = format!("`{key}` must be at least {} ms", lowest.as_millis());
        section.error(section.span_of(key), message, None);
    }
    nanoseconds(value)
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn glob(section: &Section<'_>, text: &Spanned<String>) -> Option<Glob> {
    match Glob::parse(&section.resolve(text)) {
        Ok(glob) => Some(glob),
        Err(why) => {
            bad_glob(section, text, &why);
            None
        }
    }
}

fn excluded_glob(section: &Section<'_>, text: &Spanned<String>) -> Option<Exclude> {
    let parsed = if text.contains('/') {
        Glob::parse(&section.resolve(text)).map(Exclude::Path)
    } else {
        glob::Pattern::new(text).map(Exclude::Name).map_err(|e| e.to_string())
    };
    match parsed {
        Ok(exclude) => Some(exclude),
        Err(why) => {
            bad_glob(section, text, &why);
            None
        }
    }
}

fn bad_glob(section: &Section<'_>, text: &Spanned<String>, why: &str) {
    let message = format!("`{}` is not a glob: {why}", text.value);
    let hint = "write for example \"/var/log/**/*.log\"; `*`, `?`, `[a-z]` and `**` are known";
    section.error(text.span.clone(), message, Some(hint.into()));
}
