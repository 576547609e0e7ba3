//! The shape of the source as rules: tiers, rooms, forbidden calls, forbidden words.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a source file at most.
const FILE_LINES_MAX: usize = 700;
/// Lines of a function at most.
const FUNCTION_LINES_MAX: usize = 100;
/// Columns of a line at most; `rustfmt` breaks code before, these are strings and comments.
const COLUMNS_MAX: usize = 120;

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

/// A call that only some modules may make.
struct Rule {
    call: &'static str,
    allowed: &'static [&'static str],
    instead: &'static str,
}

const RULES: [Rule; 7] = [
    Rule {
        call: "reqwest::Client::builder",
        allowed: &["names"],
        instead: "use names::client, which resolves names in a static binary, too",
    },
    Rule { call: "Instant::now", allowed: &["clock"], instead: "use Clock::elapsed_ns" },
    Rule { call: "SystemTime::now", allowed: &["clock"], instead: "use Clock::now_ns" },
    Rule {
        call: "std::fs::",
        allowed: &["storage", "settings", "config", "tls", "cli"],
        instead: "use Storage",
    },
    Rule { call: "env::var", allowed: &["settings", "cli"], instead: "use Environment" },
    Rule { call: "println!", allowed: &["cli", "main"], instead: "return the text" },
    Rule { call: "thread::sleep", allowed: &[], instead: "wait for a condition, or use a timer" },
];

/// Files that may break a rule, each with its reason.
const EXCEPTIONS: [(&str, &str, &str); 11] = [
    ("agent/sandbox.rs", "std::fs::", "makes the folders that it is to allow, before all else"),
    ("names.rs", "std::fs::", "the files by which every program of the machine finds names"),
    ("admin/scrape.rs", "std::fs::", "the figures of the own process, from /proc"),
    ("input/host.rs", "std::fs::", "the figures of the machine, from /proc"),
    (
        "output/amazon/credentials.rs",
        "std::fs::",
        "a token that Kubernetes writes anew, read at each use",
    ),
    ("import/trial.rs", "std::fs::", "loads a part as `check` does, with the files that it names"),
    ("filter/watched.rs", "std::fs::", "dictionaries and databases are read-only data"),
    (
        "input/tail/watch.rs",
        "std::fs::",
        "asks where a symbolic link leads, for the kernel's watch",
    ),
    ("input/tail/watch.rs", "thread::sleep", "a rest between two reads of the kernel's queue"),
    (
        "journal.rs",
        "Instant::now",
        "the deadline of a condition variable, which waits in real time",
    ),
    ("journal/background.rs", "Instant::now", "as in journal.rs"),
];

/// The path of a source file below `src`.
fn inner(path: &Path) -> String {
    path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned()
}

/// Whether shipped code (not its comments) makes a call.
fn calls(text: &str, call: &str) -> bool {
    let mut code = shipped(text).lines().filter(|line| !line.trim_start().starts_with("//"));
    code.any(|line| line.contains(call))
}

#[test]
fn time_and_files_come_through_their_interfaces() {
    let mut wrong = Vec::new();
    for (module, path, text) in sources() {
        if is_test_file(&path) {
            continue;
        }
        for Rule { call, allowed, instead } in RULES {
            // Timers of tokio tasks are no clock of events: their `Instant` may be asked.
            let tokio_timer = call == "Instant::now" && text.contains("use tokio::time::");
            let excepted =
                EXCEPTIONS.iter().any(|(file, c, _)| *file == inner(&path) && *c == call);
            let allowed = allowed.contains(&module.as_str()) || tokio_timer || excepted;
            if calls(&text, call) && !allowed {
                wrong.push(format!("{}: {call}: {instead}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Labels that shipped code puts on metrics.
fn metric_labels() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // Other agents' configurations are written with a `with` of their own.
    let files =
        sources().into_iter().filter(|(module, path, _)| module != "import" && !is_test_file(path));
    for (_, _, text) in files {
        let calls = shipped(&text).split(".with(\"").skip(1);
        found.extend(calls.filter_map(|call| Some(call.split_once("\", ")?.0.to_string())));
    }
    found
}

#[test]
fn every_label_of_a_metric_is_described_with_its_bound() {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let table = text.split("### Labels").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    let described: BTreeSet<String> = first
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().trim_matches('`').to_string())
        .collect();
    assert_eq!(metric_labels(), described);
}

#[test]
fn every_exception_is_needed() {
    for (file, call, reason) in EXCEPTIONS {
        let text = fs::read_to_string(root().join("src").join(file)).unwrap_or_default();
        assert!(calls(&text, call), "{file} does not call {call} ({reason}): remove the exception");
    }
}

#[test]
fn code_is_short_enough_to_be_read() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources() {
        let shown = path.display();
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX && !is_test_file(&path) {
            wrong.push(format!("{shown}: {lines} lines, at most {FILE_LINES_MAX}"));
        }
        if is_test_file(&path) {
            continue;
        }
        for (number, line) in shipped(&text).lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                wrong.push(format!(
                    "{shown}:{}: {columns} columns, at most {COLUMNS_MAX}",
                    number + 1
                ));
            }
        }
        for (name, length) in functions(shipped(&text)) {
            if length > FUNCTION_LINES_MAX {
                wrong.push(format!(
                    "{shown}: {name} has {length} lines, at most {FUNCTION_LINES_MAX}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The functions of a formatted text with their lengths: from `fn` to the brace in the same column.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let words = code.split_whitespace().take_while(|w| *w != "fn");
        let is_modifier = |w: &str| w.starts_with("pub") || ["async", "const", "in"].contains(&w);
        let head = words.clone().all(|w| is_modifier(w) || w.ends_with(')'));
        let Some(rest) = code.split_once("fn ").filter(|_| head).map(|(_, rest)| rest) else {
            continue;
        };
        let name = rest.split(['(', '<']).next().unwrap().to_string();
        let end = lines[at..].iter().position(|l| *l == format!("{:indent$}}}", ""));
        let next = lines[at + 1..].iter().position(|l| l.trim_start().starts_with("fn "));
        // A signature without a body, or a body on one line, ends before the next function begins.
        if let Some(end) = end.filter(|end| next.is_none_or(|next| *end <= next + 1)) {
            found.push((name, end + 1));
        }
    }
    found
}

#[test]
fn every_dependency_says_why_it_is_here() {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (mut inside, mut wrong, mut above) = (false, Vec::new(), "");
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside && line.contains(" = ") && !line.starts_with('#') {
            // The reason stands in the line above or behind: what for, and the licence.
            let reason = line.split_once(" # ").map_or(above.trim_start_matches("# "), |(_, r)| r);
            let licensed =
                ["MIT", "Apache", "ISC", "Zlib", "BSD", "MPL", "CDLA", "CC0", "Unlicense"];
            if reason.len() < 15 || !licensed.iter().any(|l| reason.contains(l)) {
                wrong.push(line.split(" = ").next().unwrap().to_string());
            }
        }
        above = if line.starts_with('#') { line } else { "" };
    }
    assert!(wrong.is_empty(), "dependencies without a reason and a licence: {wrong:?}");
}

#[test]
fn every_dependency_is_used() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let texts: Vec<String> = files.iter().map(|f| fs::read_to_string(f).unwrap()).collect();
    let (mut inside, mut unused) = (false, Vec::new());
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside) {
            let path = format!("{}::", name.replace('-', "_"));
            if !texts.iter().any(|text| text.contains(&path)) {
                unused.push(name.to_string());
            }
        }
    }
    assert!(unused.is_empty(), "dependencies that nobody uses: {unused:?}");
}

/// Every file that belongs to the project.
fn project_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", ".git", "node_modules"].contains(&name.as_str()) {
                project_files(&path, found);
            }
        } else if name != ".git" {
            found.push(path);
        }
    }
}

#[test]
fn no_file_names_a_machine_it_was_written_on() {
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("sparse", "+http"),
        concat!("extra-", "index-url"),
        concat!("replace", "-with"),
    ];
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    project_files(&root(), &mut files);
    for path in files {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in words.iter().filter(|word| text.contains(**word)) {
            wrong.push(format!("{}: {word}", path.display()));
        }
        if path.ends_with("Cargo.lock") {
            let registry = "registry+https://github.com/rust-lang/crates.io-index";
            let sources = text.lines().filter(|line| line.starts_with("source = "));
            let other = sources.filter(|line| !line.contains(registry));
            wrong.extend(other.map(|line| format!("Cargo.lock: {line}")));
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
