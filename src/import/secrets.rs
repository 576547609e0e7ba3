//! Secrets that stand in a configuration move to variables.
//!
//! In: a setting that is a password, a token or a key. Out: `${NAME:-not-set}` in its place.
//! Promises: no secret of the source is written into a pipeline or a report. On failure: nothing here fails.

use super::document::Value;
use super::report::Report;

/// A variable for a secret that stood inline. `part` and `what` make its name: `ELASTICSEARCH`, `PASSWORD`.
pub fn moved(part: &str, what: &str, report: &mut Report) -> Value {
    let word = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
            .collect()
    };
    let base = format!("{}_{}", word(part), word(what));
    let base =
        if base.starts_with(|c: char| c.is_ascii_digit()) { format!("V_{base}") } else { base };
    let mut name = base.clone();
    let mut number = 2;
    while report.variables.contains_key(&name) {
        name = format!("{base}_{number}");
        number += 1;
    }
    report
        .variables
        .insert(name.clone(), format!("the {what} of {part}, which stood in the source"));
    Value::Variables(format!("${{{name}:-not-set}}"))
}

/// As [`moved`]; the same secret moves to the same variable.
pub fn moved_once(part: &str, what: &str, secret: &str, report: &mut Report) -> Value {
    use std::hash::BuildHasher as _;
    // The secret itself is not kept.
    let stands_for = foldhash::quality::FixedState::default().hash_one((part, what, secret));
    if let Some(value) = report.moved.get(&stands_for) {
        return value.clone();
    }
    let value = moved(part, what, report);
    report.moved.insert(stands_for, value.clone());
    value
}

/// A variable that the source reads, too.
pub fn variable(name: &str, default: Option<&str>, report: &mut Report) -> String {
    let what = "a variable of the source".to_string();
    if default.is_none() {
        report.variables.entry(name.to_string()).or_insert(what);
    }
    format!("${{{name}:-{}}}", default.unwrap_or("not-set").replace('}', ""))
}
