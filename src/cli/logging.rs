//! The agent's own log, on standard error.
//!
//! In: level and form. Out: a subscriber for the whole process. Promises: text has colours only on a terminal.

use std::io::IsTerminal as _;

use tracing::level_filters::LevelFilter;

use super::{LogFormat, LogLevel};

pub(super) fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr);
    // A subscriber that is set already (in tests) stays.
    let _ = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
}
