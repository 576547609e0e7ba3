//! One line of a log as what a report counts.
//!
//! In: a line: a JSON object (the application's own log, a document of Elasticsearch, flat or in ECS), an access log in
//! the common or combined format, or `[time] LEVEL text`. Out: an [`Entry`] that borrows the line. Promises: one pass,
//! no allocation. On failure: `None`: the line is none of these.

use crate::timestamp::{DateFormat, DateOptions, parse_iso8601};

mod access;
mod json;
mod plain;

/// A text as it stands in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text<'a> {
    /// Its bytes.
    pub raw: &'a [u8],
    /// They hold JSON's escapes.
    pub escaped: bool,
}

/// What a line says; what it does not say is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entry<'a> {
    /// When, in nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// Severity as written.
    pub level: Text<'a>,
    /// The message.
    pub message: Text<'a>,
    /// `event_type`.
    pub event_type: Text<'a>,
    /// HTTP method.
    pub method: Text<'a>,
    /// Path, perhaps with a query.
    pub path: Text<'a>,
    /// HTTP status; 0: none.
    pub status: u16,
    /// Milliseconds that a request or call took.
    pub duration_ms: Option<f64>,
    /// Name of the tool that was called.
    pub tool: Text<'a>,
    /// Whether the call succeeded.
    pub success: Option<bool>,
    /// Address of the client.
    pub client: Text<'a>,
    /// Type of the exception.
    pub exception: Text<'a>,
}

/// Reads lines; holds what is compiled once.
pub struct Reader {
    access_time: DateFormat,
}

impl<'a> Text<'a> {
    fn plain(raw: &'a [u8]) -> Text<'a> {
        Text { raw, escaped: false }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }
}

impl Entry<'_> {
    /// A request that was answered.
    pub fn is_request(&self) -> bool {
        match self.event_type.raw {
            b"http_request" => true,
            b"" => self.status != 0 && !(self.method.is_empty() && self.path.is_empty()),
            _ => false,
        }
    }

    /// A call of a tool.
    pub fn is_tool_call(&self) -> bool {
        !self.tool.is_empty() && matches!(self.event_type.raw, b"tool_call" | b"")
    }

    /// An error or worse.
    pub fn is_error(&self) -> bool {
        const WORDS: [&str; 7] =
            ["ERROR", "ERR", "CRITICAL", "FATAL", "SEVERE", "ALERT", "EMERGENCY"];
        let level = self.level.raw;
        !level.is_empty() && WORDS.iter().any(|w| level.eq_ignore_ascii_case(w.as_bytes()))
    }

    /// A call that failed: it says so, or, where nothing is said, its level does.
    pub fn has_failed(&self) -> bool {
        self.success.map_or_else(|| self.is_error(), |success| !success)
    }
}

impl Default for Reader {
    fn default() -> Self {
        let format = DateFormat::compile("dd/MMM/yyyy:HH:mm:ss Z", &DateOptions::default());
        Reader { access_time: format.expect("the format of access logs is one") }
    }
}

impl Reader {
    /// What a line says.
    pub fn read<'a>(&self, line: &'a [u8]) -> Option<Entry<'a>> {
        let line = line.trim_ascii();
        match line.first()? {
            b'{' => json::read(line),
            _ => access::read(line, &self.access_time).or_else(|| plain::read(line)),
        }
    }
}

/// Seconds, milliseconds or an ISO 8601 text.
fn time_of(raw: &[u8]) -> Option<i64> {
    if raw.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        let number: f64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
        // Seconds reach this number in the year 5138.
        let seconds = if number > 1e11 { number / 1e3 } else { number };
        return Some((seconds * 1e9) as i64);
    }
    parse_iso8601(raw)
}

#[cfg(test)]
mod tests;
