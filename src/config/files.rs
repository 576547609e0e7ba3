//! Paths of the command line to pipeline files.
//!
//! In: files and folders. Out: files, each once, in order. Promises: a folder gives its `*.toml` files by name, not
//! those of its subfolders. On failure: a diagnostic for each path that leads nowhere.

use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Diagnostics};

/// The pipeline files of the given paths.
pub fn find_files(paths: &[PathBuf], problems: &mut Diagnostics) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        let files = if path.is_dir() { folder(path, problems) } else { vec![path.clone()] };
        for file in files {
            if !found.contains(&file) {
                found.push(file);
            }
        }
    }
    found
}

fn folder(path: &PathBuf, problems: &mut Diagnostics) -> Vec<PathBuf> {
    let shown = path.display();
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(why) => {
            let message = format!("cannot read the folder `{shown}`");
            let hint = "make it readable for the user that runs logweir";
            problems.push(Diagnostic::error(message).because(why).hint(hint));
            return Vec::new();
        }
    };
    let is_pipeline = |p: &PathBuf| {
        let hidden = p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        p.extension().is_some_and(|e| e == "toml") && !hidden
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_pipeline).collect();
    files.sort();
    if files.is_empty() {
        let message = format!("the folder `{shown}` holds no pipeline file");
        problems.push(Diagnostic::error(message).hint("a pipeline file's name ends in .toml"));
    }
    files
}
