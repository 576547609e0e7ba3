//! The shape of the source as rules: tiers, rooms, forbidden calls, forbidden words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ROOMS: [&str; 6] = ["input", "decode", "filter", "route", "journal", "output"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Top-level modules in the order of `lib.rs`, with their place in it.
fn tiers() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    let name = |line: &str| line.split(';').next().unwrap().to_string();
    declared.enumerate().map(|(n, line)| (name(line), n)).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with the top-level module it belongs to.
fn sources() -> Vec<(String, PathBuf, String)> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    files.sort();
    let module = |path: &Path| {
        let inner = path.strip_prefix(root().join("src")).unwrap();
        let first = inner.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
        first.trim_end_matches(".rs").to_string()
    };
    let read = |path: PathBuf| (module(&path), path.clone(), fs::read_to_string(&path).unwrap());
    files.into_iter().map(read).collect()
}

/// The part of a file that is shipped: everything before its test module.
fn shipped(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap()
}

fn is_test_file(path: &Path) -> bool {
    let shown = path.to_string_lossy();
    shown.ends_with("/tests.rs") || shown.contains("/tests/") || shown.contains("test_support")
}

/// The top-level modules that a text imports by `crate::NAME`.
fn imports(text: &str) -> Vec<String> {
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut found: Vec<String> = text.split("crate::").skip(1).map(name).collect();
    for group in text.split("use crate::{").skip(1) {
        let inside = group.split("};").next().unwrap_or("");
        let mut depth = 0;
        for part in inside.split_inclusive([',', '{', '}']) {
            if depth == 0 {
                found.push(name(part.trim_start()));
            }
            depth += part.matches('{').count();
            depth = depth.saturating_sub(part.matches('}').count());
        }
    }
    found.retain(|n| !n.is_empty());
    found
}

#[test]
fn a_module_imports_only_what_stands_above_it() {
    let tiers = tiers();
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        let Some(own) = tiers.get(&module) else { continue };
        for import in imports(&text) {
            if tiers.get(&import).is_some_and(|tier| tier > own) && !is_test_file(&path) {
                wrong.push(format!("{}: {module} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the order of lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn no_room_imports_another() {
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        if !ROOMS.contains(&module.as_str()) || is_test_file(&path) {
            continue;
        }
        for import in imports(shipped(&text)) {
            if import != module && ROOMS.contains(&import.as_str()) {
                wrong.push(format!("{}: {module} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "rooms that know each other:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let starts = |text: &str| text.starts_with("//! ");
    let silent: Vec<_> =
        sources().into_iter().filter(|(_, _, text)| !starts(text)).map(|(_, p, _)| p).collect();
    let silent: Vec<_> = silent.into_iter().filter(|p| !is_test_file(p)).collect();
    assert!(silent.is_empty(), "files without a module doc: {silent:?}");
}

#[test]
fn time_and_files_come_through_their_interfaces() {
    let rules = [
        ("Instant::now", &["clock"][..], "use Clock::elapsed_ns"),
        ("SystemTime::now", &["clock"], "use Clock::now_ns"),
        ("std::fs::", &["storage", "settings", "config", "tls", "cli"], "use Storage"),
        ("env::var", &["settings", "cli"], "use Environment"),
        ("println!", &["cli", "main"], "return the text"),
        ("thread::sleep", &[], "wait for a condition, or use a timer"),
    ];
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        if is_test_file(&path) {
            continue;
        }
        let text = shipped(&text);
        for (call, allowed, instead) in rules {
            // Timers of tokio tasks are no clock of events: their `Instant` may be asked.
            let tokio_timer = call == "Instant::now" && text.contains("use tokio::time::");
            let comment_free = text.lines().filter(|l| !l.trim_start().starts_with("//"));
            let used = comment_free.clone().any(|line| line.contains(call));
            if used && !allowed.contains(&module.as_str()) && !tokio_timer {
                wrong.push(format!("{}: {call}: {instead}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_say_what_a_thing_is() {
    let banned = ["utils", "util", "common", "helper", "helpers", "manager", "misc"];
    let mut wrong = Vec::new();
    for (_, path, _) in sources() {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if banned.contains(&name.as_str()) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "file names that say nothing: {wrong:?}");
}
