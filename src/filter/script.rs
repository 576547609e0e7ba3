//! Filter `script`: Lua 5.4 for what no filter does.
//!
//! In: `code` or `file`; `event` stands for the event at hand. Out: the event as the script leaves it. With `call` the
//! code is run once, and then that function for each event as Fluent Bit calls one:
//! `code, timestamp, record = f(tag, timestamp, record)`.
//! Promises: a script reaches neither files nor processes nor the network; each event has a limit of steps, each
//! thread's script a limit of memory; names of fields that stand in the script as literals are read once.
//! On failure: what is wrong with the code is shown with its line when the pipeline is loaded; an error or a limit at
//! work gives the event the tag `_scripterror`, is counted and logged with the line, and the event goes on as far as
//! the script had changed it.

use std::sync::Arc;

use super::failure::Failure;
use super::{Filter, FilterLoad, Make};
use crate::clock::SharedClock;
use crate::diagnostic::{Diagnostic, SourceText};
use crate::event::{Batch, Selection};
use crate::limits::COMPLAINT_MS;
use crate::pulse;
use crate::settings::{Section, Spanned, TextError};
use machine::Machine;

mod event;
mod library;
mod machine;
mod paths;
mod value;

/// Instructions of the virtual machine for one event.
const STEPS_MAX: i64 = 1_000_000;
/// Bytes that the script of one thread may hold.
const MEMORY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bytes that an empty machine needs.
const MEMORY_BYTES_LEAST: u64 = 256 * 1024;

struct Script {
    plan: Arc<Plan>,
    /// `None`: the machine could not be made, which every event is told.
    machine: Result<Machine, String>,
    next_complaint_ns: u64,
}

struct Plan {
    /// The file that the code stands in.
    file: Option<String>,
    code: String,
    call: Option<String>,
    steps: u64,
    memory: usize,
    paths: paths::Paths,
    failure: Failure,
    clock: SharedClock,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let failure = Failure::load(section, "_scripterror", load);
    let call = section.string("call").map(|call| call.value);
    let steps = section.integer_or("steps", STEPS_MAX, 1_000..i64::from(u32::MAX)) as u64;
    let memory = section.bytes_or("memory", MEMORY_BYTES_MAX).max(MEMORY_BYTES_LEAST) as usize;
    let (file, code) = code(section)?;
    let paths = paths::Paths::of(&code, load.keys);
    let clock = Arc::clone(load.clock);
    let plan = Arc::new(Plan { file, code, call, steps, memory, paths, failure, clock });
    // Made once here, so that what is wrong is known before anything runs.
    if let Err(fault) = Machine::new(&plan) {
        report(section, &plan, &fault);
        return None;
    }
    Some(Box::new(move || {
        let machine = Machine::new(&plan);
        Box::new(Script { plan: Arc::clone(&plan), machine, next_complaint_ns: 0 })
    }))
}

/// The file, where there is one, and the code.
fn code(section: &Section<'_>) -> Option<(Option<String>, String)> {
    let file = section.string("file");
    let Some(inline) = section.item("code") else {
        let Some(file) = file else {
            section.missing("code", "\"event:set('a', 1)\"");
            return None;
        };
        let path = section.resolve(&file);
        return match section.read_file(&path) {
            Ok(code) => Some((Some(file.value), code)),
            Err(why) => {
                let message = format!("cannot read the script `{}`", file.value);
                let hint = "check the path; a relative one starts at the pipeline file's folder";
                section.report(Diagnostic::error(message).because(why).hint(hint), file.span);
                None
            }
        };
    };
    if let Some(file) = file {
        let hint = "write one of them";
        section.error(file.span, "there is `code`, and a `file`, too", Some(hint.into()));
        return None;
    }
    // Not expanded: `${…}` is no variable of the environment here.
    match &inline.literal {
        crate::settings::Literal::String(code) => Some((None, code.clone())),
        _ => section.string("code").map(|code| (None, code.value)),
    }
}

/// Shows an error of Lua's, `script:LINE: what is wrong`, at its place.
fn report(section: &Section<'_>, plan: &Plan, fault: &str) {
    let hint =
        "scripts are Lua 5.4; `event:get(\"a\")` and `event:set(\"a\", 1)` read and write fields";
    let found = fault.strip_prefix(machine::CHUNK).and_then(|rest| rest.strip_prefix(':'));
    let numbered = found.and_then(|rest| rest.split_once(": "));
    let line = numbered.and_then(|(line, _)| line.parse().ok());
    let (Some(line), Some((_, message))) = (line, numbered) else {
        let key = if section.has("code") { "code" } else { "file" };
        return section.error(
            section.span_of(key),
            format!("the script failed: {fault}"),
            Some(hint.into()),
        );
    };
    let place = place(&plan.code, line, message);
    let message = format!("the script has an error in line {line}: {message}");
    match &plan.file {
        None => {
            let code = Spanned { value: plan.code.clone(), span: section.span_of("code") };
            section.error_within(&code, TextError::new(place, message).hint(hint));
        }
        Some(file) => {
            let name = section.resolve(file).display().to_string();
            let source = Arc::new(SourceText { name, text: plan.code.clone() });
            section.report_in(Diagnostic::error(message).hint(hint), &source, place);
        }
    }
}

/// The bytes of the code that an error is about: what stands in quotes after `near`, or the line.
fn place(code: &str, line: usize, message: &str) -> std::ops::Range<usize> {
    let start: usize = code.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let text = code[start..].lines().next().unwrap_or_default();
    let near = message.split_once("near '").and_then(|(_, near)| near.strip_suffix('\''));
    if let Some(at) = near.and_then(|near| text.rfind(near)) {
        return start + at..start + at + near.map_or(1, str::len);
    }
    let indent = text.len() - text.trim_start().len();
    start + indent..start + text.len().max(indent)
}

impl Filter for Script {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        let machine = match &mut self.machine {
            Ok(machine) => machine,
            Err(fault) => {
                let fault = fault.clone();
                for event in selected.iter() {
                    plan.failure.mark(batch, event);
                }
                return self.complain(&fault);
            }
        };
        let mut complaint = None;
        machine.lend(batch);
        for event in selected.iter() {
            pulse::beat();
            if let Err(fault) = machine.run(event) {
                machine.failed(&plan.failure, event);
                complaint = Some(fault);
            }
        }
        machine.give_back(batch);
        if let Some(fault) = complaint {
            self.complain(&fault);
        }
    }
}

impl Script {
    /// Logs an error, at most once a minute and thread.
    fn complain(&mut self, fault: &str) {
        let now_ns = self.plan.clock.elapsed_ns();
        if now_ns >= self.next_complaint_ns {
            self.next_complaint_ns = now_ns + COMPLAINT_MS * 1_000_000;
            let file = self.plan.file.as_deref().unwrap_or("(inline)");
            tracing::warn!(file, "filter script: {fault}; the event goes on with a tag");
        }
    }
}

#[cfg(test)]
mod tests;
