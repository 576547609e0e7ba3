//! What each filter promises, and what the chain does with `when`, failures and mistakes.

use super::trial::{Trial, problems, run, written};

/// A filter of this kind with these settings.
fn filter(kind: &str, settings: &str) -> String {
    format!("[[filters]]\ntype = \"{kind}\"\n{settings}\n")
}

#[track_caller]
fn check(kind: &str, settings: &str, json: &str, expected: &str) {
    assert_eq!(run(&filter(kind, settings), json), expected, "{kind} {settings} {json}");
}

#[track_caller]
fn refused(kind: &str, settings: &str, says: &str) {
    let shown = problems(&filter(kind, settings));
    assert!(shown.contains(says), "{shown}");
    assert!(shown.contains("--> t.toml:"), "{shown}");
}

mod changes;
mod chain;
mod remembering;
mod values;
