//! `docs/elasticsearch-answers.md` and `docs/delivery.md`: the tests that they name exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn each_row_of_the_table_of_answers_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/elasticsearch-answers.md")).unwrap();
    let is_row = |line: &&str| line.starts_with("| ") && !line.contains("| logweir | says |");
    let rows: Vec<&str> = text.lines().filter(is_row).collect();
    assert!(rows.len() > 20, "{} rows", rows.len());
    for row in rows {
        let named = row.rsplit(" | ").next().unwrap();
        let named = named.split('`').nth(1).unwrap_or_else(|| panic!("no test in: {row}"));
        let (file, name) = named.split_once(": ").unwrap_or_else(|| panic!("no test in: {row}"));
        let source = fs::read_to_string(root.join(file));
        let source = source.unwrap_or_else(|why| panic!("{file}: {why}"));
        assert!(source.contains(&format!("fn {name}(")), "{file} has no test {name}");
    }
}

/// Functions of a folder's sources, each as its file and its name.
fn functions(folder: &Path, found: &mut BTreeSet<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split_once('('));
            found.extend(names.map(|(name, _)| (path.clone(), name.to_string())));
        }
    }
}

/// The file, if it is named, and the test of a piece of code in a text; `None`: it is something else.
fn named(code: &str) -> Option<(&str, &str)> {
    let (file, name) = code.split_once(".rs: ").unwrap_or(("", code));
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_…".contains(c);
    let long = name.matches('_').count() >= 3 && !name.starts_with("logweir_");
    (long && name.chars().all(is_name)).then_some((file, name))
}

#[test]
fn each_test_that_guards_a_promise_of_delivery_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    functions(&root.join("src"), &mut known);
    functions(&root.join("tests"), &mut known);
    let text = fs::read_to_string(root.join("docs/delivery.md")).unwrap();
    let spans = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let tests: Vec<(&str, &str)> = spans.filter_map(named).collect();
    assert!(tests.len() > 100, "{} tests", tests.len());
    for (file, name) in tests {
        // What was said before of a name is left out.
        let (begin, end) = name.split_once('…').unwrap_or((name, name));
        let whole = begin == end;
        let fits = |known: &str| {
            known.starts_with(begin) && known.ends_with(end) && (!whole || known == name)
        };
        let path = format!("{file}.rs");
        let there = known.iter().any(|(known_path, known)| {
            fits(known) && (file.is_empty() || known_path.to_string_lossy().ends_with(&path))
        });
        assert!(there, "there is no test `{name}` in `{path}`");
    }
}
