//! Instants to text and back.
//!
//! Is: the calendar ([`civil`]), writing ([`write_iso8601_ms`], [`TimeTemplate`]) and reading ([`DateFormat`]).
//! In: text, or nanoseconds since 1970-01-01T00:00:00Z. Out: the other one. Promises: nothing here asks the machine
//! for the time; reading and writing allocate nothing per call. On failure: see each part.

pub mod civil;
mod format;
mod parse;

pub use format::{
    KNOWN as KNOWN_DIRECTIVES, TimeTemplate, TimeTemplateError, iso8601_ms, write_iso8601_ms,
};
pub use parse::{
    DateFormat, DateFormatError, DateNumber, DateOptions, ErrorPart, Minute, Zone, locale_problem,
};

/// Reads an ISO 8601 instant (with `T` or a blank), UTC where no zone is written.
pub fn parse_iso8601(text: &[u8]) -> Option<i64> {
    parse::parse_iso8601(text, &Zone::UTC)
}

#[cfg(test)]
mod tests;
