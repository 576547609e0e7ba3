//! `pipelines.yml`: which files make which pipeline.
//!
//! In: the file. Out: a group of files for each `pipeline.id`. Promises: what is not a list of pipelines is said.
//! On failure: a file that a pipeline names and that is not there is a problem; the others are converted.
//!
//! Source: <https://www.elastic.co/guide/en/logstash/current/multiple-pipelines.html>.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Group;
use crate::diagnostic::Diagnostic;
use crate::import::Outcome;
use crate::import::source::{Files, SourceFile};

/// Whether a file lists pipelines.
pub fn is_pipelines_file(file: &SourceFile) -> bool {
    let yaml = file.path.extension().is_some_and(|e| e == "yml" || e == "yaml");
    yaml && file.text.text.contains("pipeline.id:")
}

/// The pipelines that the file lists.
pub fn groups(file: &SourceFile, around: &dyn Files, outcome: &mut Outcome) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut entries: Vec<(String, Option<String>, Option<String>)> = Vec::new();
    for line in file.text.text.lines() {
        let plain = line.trim().trim_start_matches("- ").trim();
        let Some((name, value)) = plain.split_once(':').filter(|_| !plain.starts_with('#')) else {
            continue;
        };
        let value = value
            .split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .trim_matches(['"', '\''])
            .to_string();
        match name.trim() {
            "pipeline.id" => entries.push((value, None, None)),
            "path.config" => {
                if let Some(entry) = entries.last_mut() {
                    entry.1 = Some(value);
                }
            }
            "config.string" => {
                if let Some(entry) = entries.last_mut() {
                    entry.2 = Some(value);
                }
            }
            _ => {}
        }
    }
    for (name, path, text) in entries {
        let mut files = Vec::new();
        if let Some(path) = path {
            for found in find(file, &path, around) {
                if let Ok(text) = around.read(&found) {
                    files.push(Rc::new(SourceFile::new(found, text)));
                }
            }
            if files.is_empty() {
                let message = format!("the pipeline `{name}` is at `{path}`, where no file is");
                let at = file.text.text.find(&path).unwrap_or(0);
                outcome
                    .problems
                    .push(file.error(at..at + path.len(), message).hint("copy its files here"));
                outcome.report.broken += 1;
            }
        } else if let Some(text) = text {
            files.push(Rc::new(SourceFile::new(format!("{} ({name})", file.text.name), text)));
        } else {
            let message =
                format!("the pipeline `{name}` says neither path.config nor config.string");
            outcome.problems.push(Diagnostic::warning(message));
        }
        if !files.is_empty() {
            groups.push(Group { name, files });
        }
    }
    groups
}

/// The files of `path.config`: as it is written, else beside the file that names it.
fn find(file: &SourceFile, path: &str, around: &dyn Files) -> Vec<PathBuf> {
    let found = around.find(Path::new(path));
    if !found.is_empty() {
        return found;
    }
    let folder = file.path.parent().unwrap_or(Path::new(""));
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let tails = (1..=parts.len().min(3)).map(|n| folder.join(parts[parts.len() - n..].join("/")));
    tails.map(|tail| around.find(&tail)).find(|found| !found.is_empty()).unwrap_or_default()
}
