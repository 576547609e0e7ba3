//! A part of a pipeline, loaded as `check` loads it, before it is written.
//!
//! In: a filter, an input or an output. Out: what the loader says against it. Promises: what passes here passes
//! `check`, where the same files are there. On failure: the first error, and whether it is only a file that is missing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::document::{Part, Pipeline, Step, Table};
use crate::clock;
use crate::config::{Surroundings, load_text};
use crate::diagnostic::{Diagnostics, Severity};
use crate::metrics::Metrics;
use crate::settings::Environment;

/// What the loader says against a part.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A file that the part names is not on this machine.
    File(String),
    /// The part is not right.
    Wrong(String),
}

/// An environment without variables and without the files of pipelines.
struct Bare;

impl Environment for Bare {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// What is said against filters.
pub fn steps(steps: &[Step]) -> Option<Fault> {
    first_fault(&Pipeline { steps: steps.to_vec(), ..Pipeline::default() })
}

/// What is said against an input.
pub fn input(part: &Part) -> Option<Fault> {
    first_fault(&Pipeline { inputs: vec![part.clone()], ..Pipeline::default() })
}

/// What is said against an output.
pub fn output(part: &Part) -> Option<Fault> {
    first_fault(&Pipeline { outputs: vec![part.clone()], ..Pipeline::default() })
}

/// What is said against a pipeline; what is missing in it is stood in for.
pub fn first_fault(pipeline: &Pipeline) -> Option<Fault> {
    let mut pipeline = pipeline.clone();
    let part = |kind: &str| Part {
        name: "trial".into(),
        settings: Table::of_type(kind),
        ..Part::default()
    };
    if !pipeline.has_inputs() {
        pipeline.inputs = vec![part("stdin")];
    }
    if !pipeline.has_outputs() {
        pipeline.outputs = vec![part("stdout")];
    }
    let around = Surroundings {
        environment: Arc::new(Bare),
        clock: clock::system(),
        metrics: Metrics::default(),
        host_name: "trial".into(),
    };
    let mut problems = Diagnostics::default();
    let path = PathBuf::from("trial.toml");
    load_text("trial.toml", pipeline.print(), &path, &around, &mut problems);
    let errors = problems.0.into_iter().filter(|d| d.severity == Severity::Error);
    let mut faults: Vec<Fault> = errors
        .map(|error| {
            let causes = error.causes.iter().map(|cause| format!(": {cause}"));
            let text = error.message.clone() + &causes.collect::<String>();
            // What the system says of a file that is not here, or not for us.
            let missing = ["os error 2)", "os error 13)", "No such file", "is not there"];
            let hint = error.hint.as_deref().unwrap_or_default();
            if missing.iter().any(|words| text.contains(words) || hint.contains(words)) {
                Fault::File(text)
            } else {
                Fault::Wrong(text)
            }
        })
        .collect();
    // What is wrong in itself weighs more than a file that may come.
    faults.sort_by_key(|fault| matches!(fault, Fault::File(_)));
    faults.into_iter().next()
}
