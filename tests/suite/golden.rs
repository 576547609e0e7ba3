//! Golden folders: a pipeline, its input, and the events that must come out.
//!
//! `tests/golden/CASE/` holds `pipeline.toml` (or names a shipped pipeline: `pipelines/CASE.toml`),
//! `input.NAME.log` for the input NAME, and `expected.NAME.jsonl`. With `UPDATE_GOLDEN=1` the expected files are
//! written; read the difference before committing it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{logweir, stderr, with_input};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn pipeline_of(case: &Path) -> PathBuf {
    let own = case.join("pipeline.toml");
    if own.exists() {
        return own;
    }
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    root().join(format!("pipelines/{name}.toml"))
}

/// Runs one input of a case; gives what differs.
fn run(case: &Path, input: &Path) -> Result<(), String> {
    let name = input.file_name().unwrap().to_string_lossy().into_owned();
    let name = name.trim_start_matches("input.").trim_end_matches(".log").to_string();
    let mut command = logweir();
    command.arg("try").arg(pipeline_of(case)).args(["--input", &name]);
    let output = with_input(&mut command, &fs::read(input).unwrap());
    if !output.status.success() {
        return Err(format!("{}: {}", input.display(), stderr(&output)));
    }
    let expected = case.join(format!("expected.{name}.jsonl"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&expected, &output.stdout).unwrap();
    }
    let wanted = fs::read_to_string(&expected).unwrap_or_default();
    let found = String::from_utf8_lossy(&output.stdout);
    if wanted == found {
        return Ok(());
    }
    let mut text = format!("{}:\n", expected.display());
    let (mut old, mut new) = (wanted.lines(), found.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return Err(text),
            (a, b) if a == b => {}
            (a, b) => {
                text.extend(a.map(|l| format!("- {l}\n")));
                text.extend(b.map(|l| format!("+ {l}\n")));
            }
        }
    }
}

#[test]
fn every_golden_folder_gives_what_it_promises() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for case in fs::read_dir(root().join("tests/golden")).unwrap().flatten() {
        for file in fs::read_dir(case.path()).unwrap().flatten() {
            if file.file_name().to_string_lossy().starts_with("input.") {
                cases += 1;
                wrong.extend(run(&case.path(), &file.path()).err());
            }
        }
    }
    assert!(cases >= 6, "only {cases} golden inputs were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_shipped_pipeline_is_valid_passes_its_tests_and_is_a_golden_case() {
    let check = logweir().args(["check", "pipelines"]).output().unwrap();
    assert!(check.status.success(), "{}", stderr(&check));
    let test = logweir().args(["test", "pipelines"]).output().unwrap();
    assert!(test.status.success(), "{}", crate::support::stdout(&test));
    for file in fs::read_dir(root().join("pipelines")).unwrap().flatten() {
        let path = file.path();
        if path.extension().is_some_and(|e| e == "toml") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let golden = root().join("tests/golden").join(&name);
            assert!(golden.is_dir(), "pipelines/{name}.toml has no folder tests/golden/{name}");
        }
    }
}
