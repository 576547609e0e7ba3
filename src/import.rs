//! Configurations of Logstash, Fluentd and Fluent Bit become pipelines.
//!
//! In: files of another agent's configuration. Out: pipeline files, and an account of every plugin instance.
//! Promises: nothing is dropped in silence; what is written loads, unless a TODO stands there; no text makes it panic.
//! On failure: a syntax error is reported with its place, and the rest is still converted.

use crate::diagnostic::{Diagnostic, Diagnostics};

pub mod cloud;
pub mod conditions;
pub mod dates;
pub mod document;
mod fluent;
mod fluent_bit;
pub mod fluentbit;
pub mod fluentd;
pub mod logstash;
pub mod positions;
mod print;
pub mod report;
pub mod ruby;
pub mod secrets;
pub mod source;
pub mod templates;
pub mod trial;
mod yaml;

#[cfg(test)]
mod tests;

use document::Pipeline;
use report::Report;
use source::{Files, SourceFile, language_of};

/// Whose configuration it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Logstash.
    Logstash,
    /// Fluentd, version 1 and 0.12.
    Fluentd,
    /// Fluent Bit, classic and YAML.
    FluentBit,
}

/// What an import is given.
pub struct Given<'a> {
    /// The files, in the order in which the user or the folder named them; `group` tells those of a folder from others.
    pub files: Vec<GivenFile>,
    /// Files that the configuration names.
    pub around: &'a dyn Files,
}

/// A file that was named, or found in a folder that was named.
pub struct GivenFile {
    /// The file.
    pub source: SourceFile,
    /// The folder of the command line that it was found in. `None`: the file itself was named.
    pub folder: Option<std::path::PathBuf>,
}

/// What an import gives.
#[derive(Default)]
pub struct Outcome {
    /// Pipelines to write, each under a name of its own.
    pub pipelines: Vec<Pipeline>,
    /// What became of every plugin instance.
    pub report: Report,
    /// Syntax errors and the like.
    pub problems: Diagnostics,
}

impl Language {
    /// As the command line names it.
    pub fn name(self) -> &'static str {
        match self {
            Language::Logstash => "logstash",
            Language::Fluentd => "fluentd",
            Language::FluentBit => "fluent-bit",
        }
    }

    /// As people name it.
    pub fn title(self) -> &'static str {
        match self {
            Language::Logstash => "Logstash",
            Language::Fluentd => "Fluentd",
            Language::FluentBit => "Fluent Bit",
        }
    }
}

/// Converts configurations.
pub fn import(language: Language, mut given: Given<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    given.files.retain(|file| is_in(language, &file.source, &mut outcome));
    match language {
        Language::Logstash => logstash::import(&given, &mut outcome),
        Language::Fluentd => fluentd::import(&given, &mut outcome),
        Language::FluentBit => fluentbit::import(&given, &mut outcome),
    }
    let mut names: Vec<String> = Vec::new();
    for pipeline in &mut outcome.pipelines {
        pipeline.complete();
        let base = pipeline.name.clone();
        let mut number = 2;
        while names.contains(&pipeline.name) {
            pipeline.name = format!("{base}-{number}");
            number += 1;
        }
        names.push(pipeline.name.clone());
    }
    outcome
}

/// Whether a file is in the language; one that is in another one is reported.
fn is_in(language: Language, file: &SourceFile, outcome: &mut Outcome) -> bool {
    match language_of(&file.path, &file.text.text) {
        Some(other) if other != language => {
            let (this, that) = (language.title(), other.title());
            let message = format!(
                "`{}` is no configuration of {this}: this looks like {that}",
                file.text.name
            );
            let hint =
                format!("import it with: logweir import {} {}", other.name(), file.text.name);
            outcome.problems.push(Diagnostic::error(message).hint(hint));
            outcome.report.broken += 1;
            false
        }
        _ => true,
    }
}
