//! Time zones: from what a local clock shows to UTC.
//!
//! In: a zone name (`Europe/Berlin`, `+02:00`, `EST`) or the bytes of one inside a text, and
//! local seconds. Out: seconds to subtract to get UTC.
//! Promises: no lock, no allocation and no system call on look-up once a zone has been used; a
//! local time that a clock skips (spring) counts as if the clock had not yet moved, one that it
//! shows twice (autumn) is the first of the two. The tz database comes from the system where it
//! has one and from this binary where it does not.
//! On failure: an unknown name is `None`.

use super::{abbreviation, offset};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Where a format without a zone in its text takes one from.
#[derive(Clone, Debug)]
pub enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    /// A zone of the tz database.
    Named(Arc<ZoneTable>),
}

/// All offset changes of one zone that 64-bit nanoseconds can name (1677 to 2262).
pub struct ZoneTable {
    name: Box<str>,
    /// `spans[0]` begins before all time; sorted by `local_start`; never empty.
    spans: Box<[Span]>,
    /// The span found last: log lines come in order, so it is nearly always the right one.
    last: AtomicUsize,
}

#[derive(Clone, Copy)]
struct Span {
    /// Local seconds since 1970-01-01T00:00 from which on `offset` is taken.
    local_start: i64,
    /// UTC seconds from which on `offset` is in force.
    utc_start: i64,
    /// Seconds east of Greenwich.
    offset: i32,
}

/// One name of the tz database, and its table once somebody has asked for it.
struct Entry {
    name: String,
    table: OnceLock<Option<Arc<ZoneTable>>>,
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Fixed(0);

    /// A zone by what users call it: a name of the tz database (any case), an offset (`+02:00`,
    /// `-0530`, `UTC+2`, `GMT-03:00`), `Z` or an abbreviation such as `EST`.
    ///
    /// Names of the database come first, so `CET` knows of summer time; `EST` and `MST` do not.
    pub fn named(name: &str) -> Option<Self> {
        let text = name.as_bytes();
        if let Some(offset) = fixed(name) {
            return Some(Self::Fixed(offset));
        }
        if let Some((entry, length)) = find_entry(text)
            && length == text.len()
        {
            return entry.table().map(Self::Named);
        }
        if let Some((offset, length)) = abbreviation::parse(text)
            && length == text.len()
        {
            return Some(Self::Fixed(offset));
        }
        // A zone only this system knows of.
        let zone = jiff::tz::db().get(name).ok()?;
        Some(Self::Named(Arc::new(ZoneTable::build(name, &zone))))
    }

    /// Seconds east of Greenwich in force at a local time (seconds since 1970-01-01T00:00).
    #[inline]
    pub fn offset_at_local(&self, local: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(table) => table.offset_at_local(local),
        }
    }

    /// Seconds east of Greenwich in force at a UTC time (seconds since the epoch).
    pub fn offset_at_utc(&self, utc: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(table) => table.offset_at_utc(utc),
        }
    }
}

impl ZoneTable {
    fn build(name: &str, zone: &TimeZone) -> Self {
        let first = Timestamp::from_nanosecond(i128::from(i64::MIN)).unwrap_or(Timestamp::MIN);
        let last = Timestamp::from_nanosecond(i128::from(i64::MAX)).unwrap_or(Timestamp::MAX);
        let mut offset = zone.to_offset(first).seconds();
        let mut spans = vec![Span { local_start: i64::MIN, utc_start: i64::MIN, offset }];
        for change in zone.following(first).take_while(|change| change.timestamp() <= last) {
            let (before, after) = (offset, change.offset().seconds());
            if before == after {
                continue;
            }
            let utc_start = change.timestamp().as_second();
            // Skipped and doubled times both keep the offset from before the change.
            let local_start = utc_start + i64::from(before.max(after));
            spans.push(Span { local_start, utc_start, offset: after });
            offset = after;
        }
        Self { name: name.into(), spans: spans.into(), last: AtomicUsize::new(0) }
    }

    /// The name in the tz database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As [`Zone::offset_at_local`].
    #[inline]
    pub fn offset_at_local(&self, local: i64) -> i32 {
        let holds = |index: usize| {
            let span = self.spans.get(index)?;
            let ended = self.spans.get(index + 1).is_some_and(|next| next.local_start <= local);
            (span.local_start <= local && !ended).then_some(span.offset)
        };
        // The cell is a hint that is checked before use, so any ordering will do.
        let hint = self.last.load(Ordering::Relaxed);
        if let Some(offset) = holds(hint) {
            return offset;
        }
        let index = self.spans.partition_point(|span| span.local_start <= local).max(1) - 1;
        self.last.store(index, Ordering::Relaxed);
        self.spans[index].offset
    }

    fn offset_at_utc(&self, utc: i64) -> i32 {
        let index = self.spans.partition_point(|span| span.utc_start <= utc).max(1) - 1;
        self.spans[index].offset
    }
}

impl fmt::Debug for ZoneTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZoneTable({})", self.name)
    }
}

impl Entry {
    fn table(&self) -> Option<Arc<ZoneTable>> {
        self.table_ref().cloned()
    }

    fn table_ref(&self) -> Option<&Arc<ZoneTable>> {
        let load = || {
            let zone = jiff::tz::db()
                .get(&self.name)
                .or_else(|_| TimeZoneDatabase::bundled().get(&self.name))
                .ok()?;
            Some(Arc::new(ZoneTable::build(&self.name, &zone)))
        };
        self.table.get_or_init(load).as_ref()
    }
}

/// The zone name a text begins with (the longest that fits), and its length in bytes.
pub fn table_prefix(text: &[u8]) -> Option<(&'static ZoneTable, usize)> {
    let (entry, length) = find_entry(text)?;
    Some((entry.table_ref()?, length))
}

/// The zone somebody may have meant: `berlin` for `Europe/Berlin`, `New York`.
pub fn suggest(name: &str) -> Option<&'static str> {
    let wanted = name.rsplit('/').next()?.trim().replace([' ', '-'], "_");
    let last = |entry: &&Entry| {
        entry.name.rsplit('/').next().is_some_and(|last| last.eq_ignore_ascii_case(&wanted))
    };
    entries().iter().find(last).map(|entry| entry.name.as_str())
}

/// `UTC`, `Z`, `+02:00`, `UTC+2`, `GMT-03:00` as seconds east.
fn fixed(name: &str) -> Option<i32> {
    let prefix = ["UTC", "GMT", "UT", "Z"]
        .into_iter()
        .find(|prefix| name.get(..prefix.len()).is_some_and(|s| s.eq_ignore_ascii_case(prefix)))
        .unwrap_or("");
    let rest = &name.as_bytes()[prefix.len()..];
    if rest.is_empty() && !prefix.is_empty() {
        return Some(0);
    }
    // `UTC+2`, with one digit, is common in settings and never in texts.
    if let [sign @ (b'+' | b'-'), digit @ b'0'..=b'9'] = rest {
        let hours = i32::from(digit - b'0');
        return Some(if *sign == b'-' { -hours } else { hours } * 3600);
    }
    let (seconds, length) = offset::parse(rest)?;
    (length == rest.len()).then_some(seconds)
}

/// All names of the bundled database in lower case, sorted.
fn entries() -> &'static [Entry] {
    static ENTRIES: OnceLock<Vec<Entry>> = OnceLock::new();
    ENTRIES.get_or_init(|| {
        let mut entries: Vec<Entry> = TimeZoneDatabase::bundled()
            .available()
            .map(|name| Entry { name: name.as_str().to_owned(), table: OnceLock::new() })
            .collect();
        entries.sort_by(|a, b| compare(a.name.as_bytes(), b.name.as_bytes()));
        entries
    })
}

fn find_entry(text: &[u8]) -> Option<(&'static Entry, usize)> {
    let of_name =
        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+');
    let run = text.iter().take(MAX_NAME).take_while(of_name).count();
    let entries = entries();
    (1..=run).rev().find_map(|length| {
        let wanted = &text[..length];
        let found = entries.binary_search_by(|e| compare(e.name.as_bytes(), wanted)).ok()?;
        Some((&entries[found], length))
    })
}

/// The longest name, `America/Argentina/ComodRivadavia`, has 32 bytes.
const MAX_NAME: usize = 40;

fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed_of(name: &str) -> Option<i32> {
        match Zone::named(name) {
            Some(Zone::Fixed(offset)) => Some(offset),
            _ => None,
        }
    }

    #[test]
    fn fixed_names() {
        assert_eq!(fixed_of("UTC"), Some(0));
        assert_eq!(fixed_of("z"), Some(0));
        assert_eq!(fixed_of("+02:00"), Some(7200));
        assert_eq!(fixed_of("-0530"), Some(-19_800));
        assert_eq!(fixed_of("UTC+2"), Some(7200));
        assert_eq!(fixed_of("GMT-03:00"), Some(-10_800));
        assert_eq!(fixed_of("PST"), Some(-28_800));
        assert!(Zone::named("Mars/Olympus_Mons").is_none());
        assert!(Zone::named("").is_none());
        assert!(Zone::named("UTC+x").is_none());
    }

    #[test]
    fn summer_and_winter() {
        let berlin = Zone::named("europe/berlin").expect("bundled");
        assert_eq!(berlin.offset_at_utc(1_700_000_000), 3600);
        assert_eq!(berlin.offset_at_utc(1_720_000_000), 7200);
        // 2016-03-27T02:30 is skipped, 2016-10-30T02:30 comes twice.
        assert_eq!(berlin.offset_at_local(1_459_045_800), 3600);
        assert_eq!(berlin.offset_at_local(1_477_794_600), 7200);
        let cet = Zone::named("CET").expect("bundled");
        assert_eq!(cet.offset_at_utc(1_720_000_000), 7200);
    }

    #[test]
    fn names_inside_texts() {
        let (table, length) = table_prefix(b"America/New_York rest").expect("known");
        assert_eq!((table.name(), length), ("America/New_York", 16));
        let (table, length) = table_prefix(b"Etc/GMT+10").expect("known");
        assert_eq!((table.name(), length), ("Etc/GMT+10", 10));
        assert!(table_prefix(b"Nowhere/Land").is_none());
    }
}
