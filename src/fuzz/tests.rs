//! Every input of the corpus, and every input that once broke a promise, through its target.

use super::{TARGETS, target};
use std::fs;
use std::path::PathBuf;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn names(folder: &PathBuf) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_target_keeps_its_promises_for_every_input_of_its_corpus() {
    for (name, target) in TARGETS {
        let folder = corpus().join(name);
        let inputs = names(&folder);
        assert!(!inputs.is_empty(), "{name} has no seeds");
        for input in inputs {
            let path = folder.join(input);
            eprintln!("{}", path.display());
            target(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_folder_of_the_corpus_and_every_program_is_a_target() {
    assert!(names(&corpus()).iter().all(|name| target(name).is_some()));
    let manifest = fs::read_to_string(corpus().join("../Cargo.toml")).unwrap();
    let gate = fs::read_to_string(corpus().join("../gate.txt")).unwrap();
    let gate: Vec<(&str, u64)> = gate
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, runs)| Some((name, runs.parse().ok()?)))
        .collect();
    assert!(gate.iter().map(|(name, _)| *name).eq(names(&corpus())), "fuzz/gate.txt");
    assert!(gate.iter().all(|(_, runs)| *runs >= 1000), "runs of fuzz/gate.txt");
    for (name, _) in TARGETS {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
}
