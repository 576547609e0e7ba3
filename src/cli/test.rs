//! `logweir test`: the `[[tests]]` written in pipelines.
//!
//! In: pipelines. Out: one line a test, differences as `-` expected and `+` found. Promises: the same flow as `run`.
//! On failure: exit code 1 when a test fails, 78 when a pipeline is not valid.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::trial::{Outcome, Trial};
use super::{CONFIGURATION, FAILED, OK, say, surroundings};
use crate::config::{self, Expectation, TestCase};
use crate::event::{Batch, Literal, Path};
use crate::metrics::Metrics;

pub(super) fn run(paths: &[PathBuf]) -> u8 {
    let around = surroundings(Metrics::default());
    let (plans, problems) = config::load(paths, &around);
    eprint!("{problems}");
    if problems.has_errors() {
        return CONFIGURATION;
    }
    let (mut passed, mut failed) = (0, 0);
    for mut plan in plans {
        let cases = std::mem::take(&mut plan.tests);
        let name = plan.name.clone();
        let mut trial = Trial::new(plan, around.clock.clone());
        for case in cases {
            let differences = run_case(&mut trial, &case);
            if differences.is_empty() {
                passed += 1;
                say(format!("ok      {name}: {}", case.name));
            } else {
                failed += 1;
                say(format!("FAILED  {name}: {}\n{differences}", case.name));
            }
        }
    }
    say(format!("{passed} passed, {failed} failed"));
    if failed > 0 { FAILED } else { OK }
}

/// What differs; empty when nothing does.
fn run_case(trial: &mut Trial, case: &TestCase) -> String {
    let Some(mut decoder) = trial.decoder(case.input) else { return "  no such input\n".into() };
    let mut text = case.lines.join("\n").into_bytes();
    text.push(b'\n');
    let (outcomes, dropped) = trial.lines(&mut *decoder, case.input, text, 0, true);
    let (mut out, mut events) = (String::new(), String::new());
    let known = case.expect.len().min(outcomes.len());
    let (first, rest) = case.expect.split_at(known);
    compare_all(trial, &outcomes, first, 0, &mut events);
    // What filters held until the end comes after everything else.
    let (held, dropped_held) = trial.end();
    compare_all(trial, &held, rest, outcomes.len(), &mut events);
    let (found, dropped) = (outcomes.len() + held.len(), dropped + dropped_held);
    if let Some(wanted) = case.dropped.filter(|n| *n != dropped) {
        let _ = writeln!(out, "  - {wanted} dropped\n  + {dropped} dropped");
    }
    if found != case.expect.len() && !(case.expect.is_empty() && case.dropped.is_some()) {
        let wanted = case.expect.len();
        let _ = writeln!(out, "  - {wanted} events\n  + {found} events");
    }
    out + &events
}

/// Compares the events of the trial's batch, the first of which is the event `before` + 1 of the test.
fn compare_all(
    trial: &Trial,
    outcomes: &[Outcome],
    expected: &[Expectation],
    before: usize,
    out: &mut String,
) {
    for (number, (outcome, wanted)) in outcomes.iter().zip(expected).enumerate() {
        let differences = compare(trial.batch(), outcome, wanted);
        if !differences.is_empty() {
            let mut event = Vec::new();
            trial.write(outcome, &mut event);
            let event = String::from_utf8_lossy(&event);
            let _ = write!(out, "  event {}:\n{differences}  = {event}", before + number + 1);
        }
    }
}

fn compare(batch: &Batch, outcome: &Outcome, wanted: &Expectation) -> String {
    let mut out = String::new();
    for (path, literal) in &wanted.fields {
        let found = value_at(batch, outcome.event, path);
        if found.as_ref() != Some(&as_json(literal)) {
            let shown = found.map_or("(absent)".to_string(), |v| v.to_string());
            let name = path.as_str();
            let _ = writeln!(out, "  - {name} = {}\n  + {name} = {shown}", as_json(literal));
        }
    }
    for path in &wanted.absent {
        if let Some(found) = value_at(batch, outcome.event, path) {
            let _ = writeln!(out, "  - {0} absent\n  + {0} = {found}", path.as_str());
        }
    }
    if let Some(routes) = wanted.routes.as_ref().filter(|r| !same_names(r, &outcome.routes)) {
        let _ = writeln!(out, "  - routes {routes:?}\n  + routes {:?}", outcome.routes);
    }
    out
}

fn same_names(one: &[String], other: &[String]) -> bool {
    one.len() == other.len() && one.iter().all(|name| other.contains(name))
}

fn value_at(batch: &Batch, event: usize, path: &Path) -> Option<serde_json::Value> {
    let mut json = Vec::new();
    if path.is_timestamp() {
        json.push(b'"');
        crate::timestamp::write_iso8601_ms(batch.events[event].time_ns, &mut json);
        json.push(b'"');
    } else {
        batch.write_json(batch.get(event, path)?, &mut json);
    }
    serde_json::from_slice(&json).ok()
}

fn as_json(literal: &Literal) -> serde_json::Value {
    let mut json = Vec::new();
    literal.write_json(&mut json);
    serde_json::from_slice(&json).unwrap_or_default()
}
