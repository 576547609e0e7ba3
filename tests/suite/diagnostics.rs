//! Configuration errors as a user reads them.
//!
//! `tests/diagnostics/CASE/` holds `pipeline.toml` (or `arguments`: what is given to `check`) and `expected.txt`: what
//! `logweir check`, started in that folder, writes to standard error before it exits with 78. With `UPDATE_GOLDEN=1`
//! the texts are written; read them as a user would before committing them: what failed, where, why, what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{logweir, stderr};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn cases() -> BTreeSet<PathBuf> {
    fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// What `check` says in a case.
fn run(case: &Path) -> Result<String, String> {
    let arguments = fs::read_to_string(case.join("arguments"));
    let arguments = arguments.unwrap_or_else(|_| "pipeline.toml".to_string());
    let mut command = logweir();
    command.arg("check").args(arguments.split_whitespace()).current_dir(case);
    let output = command.output().unwrap();
    let said = stderr(&output);
    match output.status.code() {
        Some(78) => Ok(said),
        code => Err(format!("{}: exit code {code:?}, not 78\n{said}", case.display())),
    }
}

fn compare(case: &Path, said: &str) -> Result<(), String> {
    let path = case.join("expected.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, said).unwrap();
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    if wanted == said {
        return Ok(());
    }
    Err(format!("{}:\n--- expected\n{wanted}\n--- found\n{said}", path.display()))
}

#[test]
fn every_configuration_error_says_what_where_why_and_what_to_do() {
    let mut wrong = Vec::new();
    for case in cases() {
        wrong.extend(run(&case).and_then(|said| compare(&case, &said)).err());
    }
    assert!(wrong.is_empty(), "`just golden` writes them anew:\n{}", wrong.join("\n\n"));
}

#[test]
fn messages_name_no_folder_of_this_machine_and_no_secret() {
    for case in cases() {
        let said = run(&case).unwrap_or_else(|why| panic!("{why}"));
        assert!(!said.contains(env!("CARGO_MANIFEST_DIR")), "{}:\n{said}", case.display());
        assert!(!said.contains("hunter2"), "{}:\n{said}", case.display());
    }
}

/// A caret stands under something, and every line is short enough to be read.
#[test]
fn messages_are_well_formed() {
    for case in cases() {
        let said = run(&case).unwrap_or_else(|why| panic!("{why}"));
        let shown = case.display();
        let kinds = ["error: ", "warning: "];
        let messages = said.lines().filter(|l| kinds.iter().any(|kind| l.starts_with(kind)));
        for message in messages {
            assert!(!message.ends_with('.'), "{shown}: a full stop: {message}");
            assert!(message.len() < 200, "{shown}: too long: {message}");
        }
        for line in said.lines() {
            assert_eq!(line.trim_end(), line, "{shown}: blanks at the end of a line: {line:?}");
        }
    }
}
