//! `logweir audit`: whether everything that was delivered is there.
//!
//! In: pipelines and their data folder. Out: for each output what is missing, with exit code 1 when something is.
//! Promises: nothing is changed, here or on the servers. On failure: an output that cannot be asked is named, and the
//! others are asked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::data::{self, JOURNAL};
use super::progress::Progress;
use super::text::{count, plain};
use super::{CONFIGURATION, FAILED, OK, say, surroundings};
use crate::audit::{self, Audit, Failure, Range};
use crate::config::{self, OutputPlan, Plan};
use crate::diagnostic::Diagnostic;
use crate::input;
use crate::journal::{self, OnFull};
use crate::metrics::Metrics;
use crate::storage;

/// `logweir audit`.
#[derive(Args)]
pub(super) struct AuditArguments {
    /// Where the agent keeps its data [default: as for `logweir run`]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// One JSON object for each output
    #[arg(long)]
    json: bool,
    /// Pipeline files or folders
    #[arg(default_value = "/etc/logweir/pipelines")]
    paths: Vec<PathBuf>,
}

/// Files by the numbers of their sources.
type Files = HashMap<u64, PathBuf>;

pub(super) fn run(arguments: &AuditArguments) -> u8 {
    let (plans, problems) = config::load(&arguments.paths, &surroundings(Metrics::default()));
    if problems.has_errors() {
        eprint!("{problems}");
        return CONFIGURATION;
    }
    let data = arguments.data_dir.clone().unwrap_or_else(data::default_directory);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => {
            eprint!("{}", Diagnostic::error("cannot start the network").because(why));
            return FAILED;
        }
    };
    let mut good = true;
    for plan in &plans {
        let checked = runtime.block_on(pipeline(plan, &data, arguments.json));
        good &= checked.unwrap_or_else(|problem| {
            eprint!("{problem}");
            false
        });
    }
    if good { OK } else { FAILED }
}

/// Whether everything of a pipeline is there.
async fn pipeline(plan: &Plan, data: &Path, json: bool) -> Result<bool, Diagnostic> {
    let folder = data::pipelines(data, Some(&plan.name))?.remove(0).path;
    let directory = folder.join(JOURNAL);
    let seen = journal::inspect(&storage::disk(), &directory)
        .map_err(|why| unreadable(&directory, &why))?;
    let path = |p: &crate::chunk::Position| Some((p.key, input::file_of(&p.identity)?.1));
    let files: Files = seen.positions.iter().filter_map(path).collect();
    let (mut good, mut asked) = (true, false);
    for output in &plan.outputs {
        let lookup = match output.output.lookup() {
            Ok(lookup) => lookup,
            Err(why) => {
                tell_unasked(plan, output, &why, json);
                continue;
            }
        };
        asked = true;
        let label = format!("asking {}", output.name);
        // The journal is read five times: twice each for the frames, once for the cursors.
        let counted = Progress::new(&label, seen.report.bytes * 5).count(&storage::disk());
        match audit::audit(&counted, &folder, &output.name, &*lookup).await {
            Ok(result) => {
                drop(counted);
                good &= result.missing.is_empty();
                let shown = if json { object } else { page };
                say(shown(plan, output, &result, &files));
            }
            Err(Failure::Journal(why)) => return Err(unreadable(&directory, &why)),
            Err(Failure::Server(why)) => {
                drop(counted);
                good = false;
                let what =
                    format!("cannot ask outputs.{} of pipeline `{}`", output.name, plan.name);
                let hint = "nothing is proved for this output; run the audit again when it answers";
                eprint!("{}", Diagnostic::error(what).because(plain(&why)).hint(hint));
            }
        }
    }
    if !asked {
        let what = format!("pipeline `{}` has no output that can be asked", plan.name);
        eprint!("{}", Diagnostic::warning(what));
    }
    Ok(good)
}

fn unreadable(directory: &Path, why: &std::io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot read the journal `{}`", directory.display()))
        .because(why)
        .hint("run this as the user that runs the agent, or as root")
}

fn tell_unasked(plan: &Plan, output: &OutputPlan, why: &str, json: bool) {
    if json {
        let (pipeline, output) = (&plan.name, &output.name);
        say(serde_json::json!({ "pipeline": pipeline, "output": output, "not_asked": why }));
    } else {
        say(format!("{} outputs.{}: not asked: {why}", plan.name, output.name));
    }
}

/// Why documents may be missing by a rule that the user wrote.
fn rule(plan: &Plan, output: &OutputPlan) -> Option<&'static str> {
    if plan.journal.on_full == OnFull::DropOldest {
        return Some("on_full = \"drop_oldest\"");
    }
    (!output.required).then_some("best_effort")
}

fn page(plan: &Plan, output: &OutputPlan, result: &Audit, files: &Files) -> String {
    let missing: u64 = result.missing.iter().map(|range| range.documents).sum();
    let mut out = format!(
        "{} outputs.{}: {} delivered and still in the journal: {} found, {missing} missing",
        plan.name,
        output.name,
        count(result.delivered, "document"),
        result.found
    );
    let parts = [
        (result.dead, "dead letters"),
        (result.replayed, "on their way again"),
        (result.waiting, "not delivered yet"),
    ];
    for (number, what) in parts.into_iter().filter(|(number, _)| *number > 0) {
        out.push_str(&format!(", {number} {what}"));
    }
    for range in &result.missing {
        let Range { address, first, last, documents, frames, .. } = range;
        let ids = if documents > &1 { format!("{first} to {last}") } else { first.clone() };
        out.push_str(&format!(
            "\n  missing in `{}`: {}, {}{}, frame {}",
            plain(address),
            count(*documents, "document"),
            plain(&ids),
            file(range, files).map_or(String::new(), |path| format!(" of {}", plain(&path))),
            if frames.0 == frames.1 {
                frames.0.to_string()
            } else {
                format!("{} to {}", frames.0, frames.1)
            },
        ));
    }
    if let Some(rule) = rule(plan, output).filter(|_| missing > 0) {
        out.push_str(&format!("\n  what {rule} dropped counts as missing here, too"));
    }
    out
}

fn file(range: &Range, files: &Files) -> Option<String> {
    let path = files.get(&range.source?)?;
    Some(path.to_string_lossy().into_owned())
}

fn object(plan: &Plan, output: &OutputPlan, result: &Audit, files: &Files) -> String {
    let missing: Vec<_> = result
        .missing
        .iter()
        .map(|range| {
            serde_json::json!({
                "address": range.address, "first": range.first, "last": range.last,
                "documents": range.documents, "file": file(range, files),
                "first_frame": range.frames.0, "last_frame": range.frames.1,
            })
        })
        .collect();
    serde_json::json!({
        "pipeline": plan.name,
        "output": output.name,
        "delivered": result.delivered,
        "found": result.found,
        "dead_letters": result.dead,
        "replayed": result.replayed,
        "waiting": result.waiting,
        "missing": missing,
        "first_frame": result.frames.0,
        "last_frame": result.frames.1,
        "may_drop": rule(plan, output),
    })
    .to_string()
}
