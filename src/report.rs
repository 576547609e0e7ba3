//! What logs say about the service that wrote them.
//!
//! Is: the counting behind `logweir report`. In: lines ([`line`] says which). Out: a [`Report`]: errors by kind,
//! response times, traffic by hour, status and method, calls of tools, clients. Promises: any number of threads
//! count on their own and are put together at the end; memory is bounded whatever the lines say, and what was
//! beyond the bounds is counted; values of keys that are named like secrets are not kept. On failure: a line that
//! says nothing is counted as such.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use hashbrown::HashMap;
use regex::Regex;

use crate::event::decode_escapes;
use crate::likeness;

pub mod cluster;
mod durations;
pub mod line;
mod tally;

pub use durations::Durations;
use line::{Entry, Reader, Text};
use tally::{Merge, Tally};

/// Kinds of errors that are told apart.
const KINDS_MAX: usize = 5_000;
/// Endpoints that are told apart.
const ENDPOINTS_MAX: usize = 2_000;
/// Tools that are told apart.
const TOOLS_MAX: usize = 1_000;
/// Clients that are told apart.
const CLIENTS_MAX: usize = 100_000;
/// Hours that are told apart: ten years.
const HOURS_MAX: usize = 90_000;
/// Methods and levels that are told apart.
const WORDS_MAX: usize = 50;
/// Bytes of a message that tell its kind.
const MESSAGE_BYTES_MAX: usize = 300;
const HOUR_NS: i64 = 3_600_000_000_000;

static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = concat!(
        r#"(?i)((?:password|passwd|secret|token|api_?key|authorization)["']?"#,
        r#"\s*[=:]\s*(?:bearer |basic )?["']?)[^\s&"',;]+"#
    );
    Regex::new(pattern).expect("the pattern of secrets is one")
});

/// One thread's counts.
pub struct Gather {
    reader: Reader,
    lines: u64,
    bytes: u64,
    unread: u64,
    times: Option<(i64, i64)>,
    levels: Tally<u64>,
    errors: Tally<Kind>,
    requests: u64,
    failed_requests: u64,
    durations: Durations,
    endpoints: Tally<Endpoint>,
    methods: Tally<u64>,
    statuses: BTreeMap<u16, u64>,
    hours: HashMap<i64, Hour, foldhash::fast::RandomState>,
    hours_beyond: u64,
    tools: Tally<Tool>,
    clients: Tally<Client>,
    scratch: Vec<u8>,
    mask: String,
}

/// Errors that differ only in what varies.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    /// How many.
    pub count: u64,
    /// First and last, in nanoseconds since 1970.
    pub times: Option<(i64, i64)>,
    /// Type of the exception; empty: none was named.
    pub exception: String,
    /// The first of them, without secrets.
    pub example: String,
}

/// Requests to one path.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    /// How many.
    pub count: u64,
    /// Those that ended with a status of 500 or more.
    pub failed: u64,
    /// What they took, where it is said.
    pub durations: Durations,
}

/// Calls of one tool.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// How many.
    pub count: u64,
    /// Those that failed.
    pub failed: u64,
    /// What they took, where it is said.
    pub durations: Durations,
}

/// One client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client {
    /// Its requests and events.
    pub count: u64,
    /// Those with a status of 400 or more.
    pub refused: u64,
}

/// One hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Lines.
    pub events: u64,
    /// Requests among them.
    pub requests: u64,
    /// Errors among them.
    pub errors: u64,
}

/// A list, the most frequent first, and what was beyond the bounds.
pub struct Ranking<T> {
    /// Names with what they have.
    pub rows: Vec<(String, T)>,
    /// What came for names that are not told apart any more.
    pub others: u64,
}

/// Everything that was counted.
pub struct Report {
    /// Lines that were read.
    pub lines: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Lines that are in no known form.
    pub unread: u64,
    /// First and last time, in nanoseconds since 1970.
    pub times: Option<(i64, i64)>,
    /// Lines by level, in upper case.
    pub levels: Ranking<u64>,
    /// Errors by kind; the name is the mask.
    pub errors: Ranking<Kind>,
    /// Requests.
    pub requests: u64,
    /// Requests that ended with a status of 500 or more.
    pub failed_requests: u64,
    /// What requests took.
    pub durations: Durations,
    /// Requests by path; ids in it are `*`.
    pub endpoints: Ranking<Endpoint>,
    /// Requests by method.
    pub methods: Ranking<u64>,
    /// Requests by status.
    pub statuses: Vec<(u16, u64)>,
    /// By hour, in hours since 1970, in order.
    pub hours: Vec<(i64, Hour)>,
    /// Calls by tool.
    pub tools: Ranking<Tool>,
    /// Events by client.
    pub clients: Ranking<Client>,
}

impl Default for Gather {
    fn default() -> Self {
        Gather {
            reader: Reader::default(),
            lines: 0,
            bytes: 0,
            unread: 0,
            times: None,
            levels: Tally::new(WORDS_MAX),
            errors: Tally::new(KINDS_MAX),
            requests: 0,
            failed_requests: 0,
            durations: Durations::default(),
            endpoints: Tally::new(ENDPOINTS_MAX),
            methods: Tally::new(WORDS_MAX),
            statuses: BTreeMap::new(),
            hours: HashMap::default(),
            hours_beyond: 0,
            tools: Tally::new(TOOLS_MAX),
            clients: Tally::new(CLIENTS_MAX),
            scratch: Vec::new(),
            mask: String::new(),
        }
    }
}

impl Gather {
    /// Counts all lines of a text.
    pub fn add_lines(&mut self, text: &[u8]) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', text).chain(std::iter::once(text.len())) {
            let line = &text[from.min(end)..end];
            from = end + 1;
            if !line.trim_ascii().is_empty() {
                self.add(line);
            }
        }
        self.bytes += text.len() as u64;
    }

    /// Counts one line, or one document.
    pub fn add(&mut self, line: &[u8]) {
        self.lines += 1;
        match self.reader.read(line) {
            Some(entry) => self.count(&entry),
            None => self.unread += 1,
        }
    }

    /// Counts what cannot be a line: it is too long.
    pub fn add_unread(&mut self, bytes: u64) {
        (self.lines, self.unread, self.bytes) =
            (self.lines + 1, self.unread + 1, self.bytes + bytes);
    }

    fn count(&mut self, entry: &Entry<'_>) {
        let (request, error) = (entry.is_request(), entry.is_error());
        if !entry.level.is_empty() {
            self.scratch.clear();
            self.scratch.extend(entry.level.raw.iter().take(20).map(u8::to_ascii_uppercase));
            bump(self.levels.of(&self.scratch));
        }
        if let Some(time) = entry.time_ns {
            self.times = Some(widened(self.times, time));
            let hour = Hour { events: 1, requests: request.into(), errors: error.into() };
            self.add_hour(time.div_euclid(HOUR_NS), hour);
        }
        if request {
            self.count_request(entry);
        }
        if entry.is_tool_call() {
            self.count_tool(entry);
        }
        if error {
            self.count_error(entry);
        }
        if !entry.client.is_empty()
            && let Some(client) = self.clients.of(entry.client.raw)
        {
            client.count += 1;
            client.refused += u64::from(entry.status >= 400);
        }
    }

    fn add_hour(&mut self, hour: i64, more: Hour) {
        if self.hours.len() >= HOURS_MAX && !self.hours.contains_key(&hour) {
            self.hours_beyond += more.events;
            return;
        }
        let own = self.hours.entry(hour).or_default();
        own.events += more.events;
        own.requests += more.requests;
        own.errors += more.errors;
    }

    fn count_request(&mut self, entry: &Entry<'_>) {
        let failed = entry.status >= 500;
        self.requests += 1;
        self.failed_requests += u64::from(failed);
        if entry.status != 0 {
            *self.statuses.entry(entry.status).or_default() += 1;
        }
        if !entry.method.is_empty() {
            bump(self.methods.of(&entry.method.raw[..entry.method.raw.len().min(20)]));
        }
        if let Some(ms) = entry.duration_ms {
            self.durations.add(ms);
        }
        self.scratch.clear();
        write_endpoint(entry.path, &mut self.scratch);
        if let Some(endpoint) = self.endpoints.of(&self.scratch) {
            endpoint.count += 1;
            endpoint.failed += u64::from(failed);
            if let Some(ms) = entry.duration_ms {
                endpoint.durations.add(ms);
            }
        }
    }

    fn count_tool(&mut self, entry: &Entry<'_>) {
        let Some(tool) = self.tools.of(entry.tool.raw) else { return };
        tool.count += 1;
        tool.failed += u64::from(entry.has_failed());
        if let Some(ms) = entry.duration_ms {
            tool.durations.add(ms);
        }
    }

    fn count_error(&mut self, entry: &Entry<'_>) {
        let plain = decoded(entry.message, &mut self.scratch);
        let message = String::from_utf8_lossy(&plain[..plain.len().min(MESSAGE_BYTES_MAX)]);
        let message = SECRETS.replace_all(&message, "${1}***");
        self.mask.clear();
        if !entry.exception.is_empty() {
            self.mask.push_str(&String::from_utf8_lossy(entry.exception.raw));
            self.mask.push_str(": ");
        }
        likeness::mask_into(&message, &mut self.mask);
        let Some(kind) = self.errors.of(self.mask.as_bytes()) else { return };
        if kind.count == 0 {
            kind.example = message.into_owned();
            kind.exception = String::from_utf8_lossy(entry.exception.raw).into_owned();
        }
        kind.count += 1;
        if let Some(time) = entry.time_ns {
            kind.times = Some(widened(kind.times, time));
        }
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: Gather) {
        self.lines += other.lines;
        self.bytes += other.bytes;
        self.unread += other.unread;
        self.times = merged(self.times, other.times);
        self.levels.merge(other.levels);
        self.errors.merge(other.errors);
        self.requests += other.requests;
        self.failed_requests += other.failed_requests;
        self.durations.merge(other.durations);
        self.endpoints.merge(other.endpoints);
        self.methods.merge(other.methods);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (hour, counts) in other.hours {
            self.add_hour(hour, counts);
        }
        self.hours_beyond += other.hours_beyond;
        self.tools.merge(other.tools);
        self.clients.merge(other.clients);
    }

    /// The report.
    pub fn finish(self) -> Report {
        let mut hours: Vec<_> = self.hours.into_iter().collect();
        hours.sort_unstable_by_key(|(hour, _)| *hour);
        Report {
            lines: self.lines,
            bytes: self.bytes,
            unread: self.unread,
            times: self.times,
            levels: ranking(self.levels),
            errors: ranking(self.errors),
            requests: self.requests,
            failed_requests: self.failed_requests,
            durations: self.durations,
            endpoints: ranking(self.endpoints),
            methods: ranking(self.methods),
            statuses: self.statuses.into_iter().collect(),
            hours,
            tools: ranking(self.tools),
            clients: ranking(self.clients),
        }
    }
}

impl Report {
    /// Errors by what they are about, in the words of the seed's log analyser: the exception's type, else what the
    /// message speaks of.
    pub fn error_types(&self) -> Vec<(String, u64)> {
        let mut types: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, kind) in &self.errors.rows {
            *types.entry(error_type(kind)).or_default() += kind.count;
        }
        let mut types: Vec<_> = types.into_iter().map(|(name, n)| (name.to_string(), n)).collect();
        types.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        types
    }

    /// Errors of all kinds.
    pub fn errors_total(&self) -> u64 {
        self.errors.rows.iter().map(|(_, kind)| kind.count).sum::<u64>() + self.errors.others
    }

    /// Endpoints with a known duration, the one with the largest 95th percentile first.
    pub fn slowest(&self) -> Vec<(&str, &Endpoint)> {
        let timed = self.endpoints.rows.iter().filter(|(_, e)| e.durations.count() > 0);
        let mut timed: Vec<_> =
            timed.map(|(n, e)| (e.durations.percentiles([95])[0], n, e)).collect();
        timed.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        timed.into_iter().map(|(_, name, endpoint)| (name.as_str(), endpoint)).collect()
    }

    /// Counts by hour of the day (UTC).
    pub fn hours_of_day(&self) -> [Hour; 24] {
        let mut day = [Hour::default(); 24];
        for (hour, counts) in &self.hours {
            let own = &mut day[hour.rem_euclid(24) as usize];
            own.events += counts.events;
            own.requests += counts.requests;
            own.errors += counts.errors;
        }
        day
    }
}

fn error_type(kind: &Kind) -> &str {
    if !kind.exception.is_empty() {
        return &kind.exception;
    }
    let example = kind.example.to_lowercase();
    let speaks_of = |word: &&&str| example.contains(&word.to_lowercase());
    ["Timeout", "Connection", "Database"].iter().find(speaks_of).unwrap_or(&"Other")
}

impl Merge for Kind {
    fn merge(&mut self, other: Kind) {
        if self.count == 0 || other.times.map(|t| t.0) < self.times.map(|t| t.0) {
            self.example = other.example;
            self.exception = other.exception;
        }
        self.count += other.count;
        self.times = merged(self.times, other.times);
    }

    fn count(&self) -> u64 {
        self.count
    }
}

impl Merge for Endpoint {
    fn merge(&mut self, other: Endpoint) {
        self.count += other.count;
        self.failed += other.failed;
        self.durations.merge(other.durations);
    }

    fn count(&self) -> u64 {
        self.count
    }
}

impl Merge for Tool {
    fn merge(&mut self, other: Tool) {
        self.count += other.count;
        self.failed += other.failed;
        self.durations.merge(other.durations);
    }

    fn count(&self) -> u64 {
        self.count
    }
}

impl Merge for Client {
    fn merge(&mut self, other: Client) {
        self.count += other.count;
        self.refused += other.refused;
    }

    fn count(&self) -> u64 {
        self.count
    }
}

fn bump(count: Option<&mut u64>) {
    if let Some(count) = count {
        *count += 1;
    }
}

fn widened(times: Option<(i64, i64)>, time: i64) -> (i64, i64) {
    times.map_or((time, time), |(first, last)| (first.min(time), last.max(time)))
}

fn merged(a: Option<(i64, i64)>, b: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

fn decoded<'a>(text: Text<'a>, scratch: &mut Vec<u8>) -> Cow<'a, [u8]> {
    if !text.escaped {
        return Cow::Borrowed(text.raw);
    }
    scratch.clear();
    decode_escapes(text.raw, scratch);
    Cow::Owned(scratch.clone())
}

fn ranking<T: Merge>(tally: Tally<T>) -> Ranking<T> {
    let others = tally.others;
    let name = |raw: Box<[u8]>| String::from_utf8_lossy(&raw).into_owned();
    Ranking { rows: tally.sorted().into_iter().map(|(n, t)| (name(n), t)).collect(), others }
}

/// The path without its query, with a star for each part that is an id: a number, or eight characters and more that
/// are hexadecimal digits (with a figure among them) and dashes.
fn write_endpoint(path: Text<'_>, out: &mut Vec<u8>) {
    let raw = path.raw;
    let end = raw.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(raw.len());
    if end == 0 {
        return out.extend_from_slice(b"(no path)");
    }
    for (n, part) in raw[..end.min(MESSAGE_BYTES_MAX)].split(|b| *b == b'/').enumerate() {
        if n > 0 {
            out.push(b'/');
        }
        if is_id(part) { out.push(b'*') } else { out.extend_from_slice(part) }
    }
}

fn is_id(part: &[u8]) -> bool {
    let Some(first) = part.first() else { return false };
    if !first.is_ascii_hexdigit() {
        return false;
    }
    part.iter().all(u8::is_ascii_digit)
        || (part.len() >= 8
            && part.iter().any(u8::is_ascii_digit)
            && part.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the figures are exact")]
    use super::*;

    fn report(text: &str) -> Report {
        let mut gather = Gather::default();
        gather.add_lines(text.as_bytes());
        gather.finish()
    }

    #[test]
    fn ids_in_paths_are_stars_and_queries_are_left_out() {
        let written = |path: &str| {
            let mut out = Vec::new();
            write_endpoint(Text { raw: path.as_bytes(), escaped: false }, &mut out);
            String::from_utf8(out).unwrap()
        };
        for (path, endpoint) in [
            ("/api/v1/users/42/orders/7?token=x", "/api/v1/users/*/orders/*"),
            ("/a/550e8400-e29b-41d4-a716-446655440000/", "/a/*/"),
            ("/a/deadbeef/facade01", "/a/deadbeef/*"),
            ("/", "/"),
            ("?x", "(no path)"),
            ("", "(no path)"),
        ] {
            assert_eq!(written(path), endpoint, "{path}");
        }
    }

    #[test]
    fn errors_are_one_kind_where_only_figures_differ_and_hold_no_secret() {
        let report = report(concat!(
            r#"{"timestamp":"2026-11-22T10:00:02Z","level":"ERROR","message":"order 17: timeout password=hunter2"}"#,
            "\n\n",
            r#"{"timestamp":"2026-11-22T10:00:01Z","level":"ERROR","message":"order 18: timeout password=geheim"}"#,
            "\nno line\n",
            r#"{"level":"FATAL","message":"\"token\": \"abcdef\" is bad","exception":{"type":"ValueError"}}"#,
        ));
        assert_eq!((report.lines, report.unread, report.errors_total()), (4, 1, 3));
        let (mask, kind) = &report.errors.rows[0];
        assert_eq!((mask.as_str(), kind.count), ("order # timeout password=***", 2));
        assert_eq!(kind.example, "order 17: timeout password=***");
        assert_eq!(kind.times, Some((1_795_341_601_000_000_000, 1_795_341_602_000_000_000)));
        assert_eq!(report.errors.rows[1].0, "ValueError: \"token\": \"***\" is bad");
        let types = report.error_types();
        assert_eq!(types, [("Timeout".to_string(), 2), ("ValueError".to_string(), 1)]);
    }

    #[test]
    fn requests_tools_clients_and_hours() {
        let report = report(concat!(
            r#"{"timestamp":"2026-11-22T10:00:00Z","event_type":"http_request","method":"GET","path":"/a","status_code":200,"duration_ms":10,"client_ip":"1.1.1.1"}"#,
            "\n",
            r#"{"timestamp":"2026-11-22T10:59:59Z","event_type":"http_request","method":"POST","path":"/b/1","status_code":503,"duration_ms":30,"client_ip":"1.1.1.1"}"#,
            "\n",
            r#"{"timestamp":"2026-11-23T10:00:00Z","event_type":"tool_call","tool_name":"t","success":false,"duration_ms":5}"#,
            "\n",
            r#"{"timestamp":"2026-11-23T11:00:00Z","event_type":"tool_call","tool_name":"t","duration_ms":7}"#,
        ));
        assert_eq!((report.requests, report.failed_requests), (2, 1));
        assert_eq!(report.statuses, [(200, 1), (503, 1)]);
        assert_eq!(report.durations.mean(), 20.0);
        let slowest: Vec<_> = report.slowest().iter().map(|(name, _)| *name).collect();
        assert_eq!(slowest, ["/b/*", "/a"]);
        let (name, tool) = &report.tools.rows[0];
        assert_eq!(
            (name.as_str(), tool.count, tool.failed, tool.durations.mean()),
            ("t", 2, 1, 6.0)
        );
        let (client, counts) = &report.clients.rows[0];
        assert_eq!((client.as_str(), counts.count, counts.refused), ("1.1.1.1", 2, 1));
        let hours: Vec<_> = report.hours.iter().map(|(_, h)| (h.events, h.requests)).collect();
        assert_eq!(hours, [(2, 2), (1, 0), (1, 0)]);
        assert_eq!(report.hours_of_day()[10].events, 3);
    }

    #[test]
    fn threads_together_count_as_one_does() {
        let line = |n: usize| {
            format!(
                "{{\"timestamp\":\"2026-11-22T{:02}:00:00Z\",\"level\":\"{}\",\"message\":\"m{}\",\"event_type\":\
                 \"http_request\",\"path\":\"/{n}\",\"status_code\":200,\"duration_ms\":{n}}}\n",
                n % 24,
                ["INFO", "ERROR"][n % 2],
                n % 3
            )
        };
        let lines: Vec<String> = (0..3000).map(line).collect();
        let one = report(&lines.concat());
        let mut all = Gather::default();
        for part in lines.chunks(700) {
            let mut gather = Gather::default();
            gather.add_lines(part.concat().as_bytes());
            all.merge(gather);
        }
        let all = all.finish();
        assert_eq!((all.lines, all.requests, all.hours.len()), (3000, 3000, 24));
        assert_eq!(
            (all.errors_total(), all.hours.clone()),
            (one.errors_total(), one.hours.clone())
        );
        assert_eq!(all.durations.percentiles([50, 99]), one.durations.percentiles([50, 99]));
        assert_eq!(all.endpoints.rows.len(), one.endpoints.rows.len());
    }
}
