//! `logweir check`: what a start would say, without starting.

use std::path::PathBuf;

use super::{CONFIGURATION, OK, say, surroundings};
use crate::config;
use crate::metrics::Metrics;

pub(super) fn check(paths: &[PathBuf]) -> u8 {
    let (plans, problems) = config::load(paths, &surroundings(Metrics::default()));
    eprint!("{problems}");
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let (errors, warnings) = (problems.error_count(), problems.warning_count());
    if problems.has_errors() {
        eprintln!("\n{}, {}", count(errors, "error"), count(warnings, "warning"));
        return CONFIGURATION;
    }
    say(format!("{} ok, {}", count(plans.len(), "pipeline"), count(warnings, "warning")));
    OK
}
