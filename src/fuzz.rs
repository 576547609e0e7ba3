//! What the fuzzers in `fuzz/` run, and the tests that replay their inputs.
//!
//! Is: one function for each reader of bytes that others write. In: any bytes. Out: nothing.
//! Promises: the same bytes always do the same. On failure: a panic that says which promise does not hold.

mod decoders;
mod events;
mod import;
mod languages;
mod pipelines;

/// A reader of bytes under its promises.
pub type Target = fn(&[u8]);

/// The targets, by the name of their folder in `fuzz/corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("beats_frames", crate::input::fuzz::beats_frames),
    ("bulk_reply", crate::output::fuzz::bulk_reply),
    ("condition", languages::condition),
    ("container", decoders::container),
    ("date", languages::date),
    ("dead_letters", crate::journal::fuzz::dead_letters),
    ("event", events::event),
    ("forward_message", crate::input::fuzz::forward_message),
    ("frame", crate::journal::fuzz::frame),
    ("grok", languages::grok),
    ("gzip", crate::input::fuzz::gzip),
    ("http_body", crate::input::fuzz::http_body),
    ("import", import::configuration),
    ("journal", crate::journal::fuzz::journal),
    ("json", events::json),
    ("kafka_reply", crate::output::fuzz::kafka_reply),
    ("multiline", decoders::multiline),
    ("redact", events::redact),
    ("slack", crate::output::fuzz::slack),
    ("syslog_stream", crate::input::fuzz::syslog_stream),
    ("tail_lines", crate::input::fuzz::tail_lines),
    ("tcp_lines", crate::input::fuzz::tcp_lines),
    ("template", languages::template),
    ("toml", pipelines::toml),
];

/// The target of a name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
}

#[cfg(test)]
mod tests;
