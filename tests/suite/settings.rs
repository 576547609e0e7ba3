//! `docs/settings.md` against the program: every setting that it asks for is described, no other one is, and every
//! example works.
//!
//! A table that holds an unknown key makes the program name the keys that it knows there: that is how this test
//! learns them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::{logweir, pipeline, stderr, stdout};

const INPUT: &str = "[inputs.events]\ntype = \"stdin\"\ncodec = \"json\"\n\n";
const OUTPUT: &str = "\n[outputs.screen]\ntype = \"stdout\"\n";

const EVERY_FILTER: &[&str] =
    &["type", "when", "id", "source", "add_field", "remove_field", "add_tag", "remove_tag"];

/// A part of the page: what stands between two headings.
struct Chapter {
    title: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn chapters() -> Vec<Chapter> {
    let page = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let parts = page.split("\n## ").skip(1);
    let chapter = |part: &str| {
        let (title, text) = part.split_once('\n').unwrap();
        Chapter { title: title.to_string(), text: text.to_string() }
    };
    parts.map(chapter).collect()
}

impl Chapter {
    /// The keys of its tables.
    fn keys(&self) -> BTreeSet<String> {
        let rows = self.text.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.map(|row| row.split('`').next().unwrap().to_string()).collect()
    }

    fn examples(&self) -> Vec<&str> {
        let blocks = self.text.split("```toml\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap()).collect()
    }
}

/// The keys that the program knows in each table of a pipeline, by the table's name.
fn known(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "p.toml", text);
    let output = logweir().arg("check").arg("p.toml").current_dir(folder.path()).output().unwrap();
    let mut found = BTreeMap::new();
    for message in stderr(&output).split("\n\n") {
        let Some(rest) = message.trim_start().strip_prefix("error: unknown key `?`") else {
            continue;
        };
        let table = rest.split('`').nth(1).filter(|_| rest.starts_with(" in")).unwrap_or("");
        let keys = message.split("known keys here: ").nth(1).expect(message).trim();
        found.insert(table.to_string(), keys.split(", ").map(str::to_string).collect());
    }
    found
}

/// The keys of the chapter that `title` names must be these, less those of `shared`.
fn compare(title: &str, asked: &BTreeSet<String>, shared: &[&str], wrong: &mut Vec<String>) {
    let chapters = chapters();
    let Some(chapter) = chapters.iter().find(|chapter| chapter.title == title) else {
        wrong.push(format!("docs/settings.md has no chapter \"{title}\""));
        return;
    };
    let described = chapter.keys();
    for key in asked.iter().filter(|key| !shared.contains(&key.as_str())) {
        if !described.contains(key) {
            wrong.push(format!("{title}: `{key}` is asked for, but not described"));
        }
    }
    for key in described.difference(asked) {
        wrong.push(format!("{title}: `{key}` is described, but nobody asks for it"));
    }
}

/// The keys of a table together with those of a table within it, as `inner.key`.
fn with_inner(
    tables: &BTreeMap<String, BTreeSet<String>>,
    outer: &str,
    inner: &str,
) -> BTreeSet<String> {
    let name = inner.split('[').next().unwrap();
    let below = tables.get(&format!("{outer}.{inner}")).expect(inner);
    let below = below.iter().map(|key| format!("{name}.{key}"));
    tables[outer].iter().cloned().chain(below).collect()
}

#[test]
fn every_setting_is_described_and_no_other_one() {
    let mut wrong = Vec::new();
    let input = ["type", "codec", "fields"];
    for (kind, _) in logweir::input::KINDS {
        let tables =
            known(&format!("[inputs.x]\ntype = \"{kind}\"\n\"?\" = 0\ntls = {{ \"?\" = 0 }}\n"));
        compare(&format!("Input `{kind}`"), &tables["inputs.x"], &input, &mut wrong);
        if let Some(tls) = tables.get("inputs.x.tls") {
            compare("TLS of inputs", tls, &[], &mut wrong);
        }
    }
    for (kind, _) in logweir::decode::KINDS {
        let inner = "\"?\" = 0, multiline = { \"?\" = 0 }";
        let codec = format!("codec = {{ type = \"{kind}\", {inner} }}\n");
        let tables = known(&format!("[inputs.x]\ntype = \"stdin\"\n{codec}"));
        let keys = if tables.contains_key("inputs.x.codec.multiline") {
            with_inner(&tables, "inputs.x.codec", "multiline")
        } else {
            tables["inputs.x.codec"].clone()
        };
        compare(&format!("Codec `{kind}`"), &keys, &["type"], &mut wrong);
    }
    for (kind, _) in logweir::filter::KINDS {
        let tables = known(&format!("[[filters]]\ntype = \"{kind}\"\n\"?\" = 0\n"));
        let shared = EVERY_FILTER;
        compare(&format!("Filter `{kind}`"), &tables["filters[1]"], shared, &mut wrong);
    }
    for (kind, _) in logweir::output::KINDS {
        let more = "\"?\" = 0, escalation = { \"?\" = 0 }";
        let slack = format!("routes = [{{ {more} }}]\ntime_intervals = {{ x = {{ \"?\" = 0 }} }}");
        let inner = format!(
            "tls = {{ \"?\" = 0 }}\nsasl = {{ \"?\" = 0 }}\ntemplate = {{ \"?\" = 0 }}\n{slack}"
        );
        let tables = known(&format!("[outputs.x]\ntype = \"{kind}\"\n\"?\" = 0\n{inner}\n"));
        let keys = if tables.contains_key("outputs.x.template") {
            with_inner(&tables, "outputs.x", "template")
        } else {
            tables["outputs.x"].clone()
        };
        let shared = ["type", "when", "best_effort", "max_lag"];
        compare(&format!("Output `{kind}`"), &keys, &shared, &mut wrong);
        if let Some(tls) = tables.get("outputs.x.tls") {
            compare("TLS of outputs", tls, &[], &mut wrong);
        }
        for (table, title) in [
            ("sasl", "Login of `kafka`"),
            ("routes[1]", "Routes of `slack`"),
            ("routes[1].escalation", "Escalation of `slack`"),
            ("time_intervals.x", "Time intervals of `slack`"),
        ] {
            if let Some(keys) = tables.get(&format!("outputs.x.{table}")) {
                compare(title, keys, &[], &mut wrong);
            }
        }
    }
    let tables = "[journal]\n\"?\" = 0\n[dead_letters]\n\"?\" = 0\n[[tests]]\n\"?\" = 0\n";
    let tables = known(&format!("\"?\" = 0\n{tables}[[tests.expect]]\n\"?\" = 0\n"));
    compare("The file", &tables[""], &[], &mut wrong);
    compare("`[journal]`", &tables["journal"], &[], &mut wrong);
    compare("`[dead_letters]`", &tables["dead_letters"], &[], &mut wrong);
    compare("`[[tests]]`", &with_inner(&tables, "tests[1]", "expect[1]"), &[], &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_settings_that_all_of_a_kind_share_are_described() {
    let mut wrong = Vec::new();
    let keys = |of: &[&str]| of.iter().map(|key| (*key).to_string()).collect::<BTreeSet<_>>();
    compare("Every input", &keys(&["type", "codec", "fields"]), &[], &mut wrong);
    compare("Every filter", &keys(EVERY_FILTER), &[], &mut wrong);
    compare("Every output", &keys(&["type", "when", "best_effort", "max_lag"]), &[], &mut wrong);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder with the files that the examples name.
fn folder_of_examples() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    put("demo-city.mmdb", &fs::read(root().join("pipelines/demo-city.mmdb")).unwrap());
    put("logs.json", b"{\"index_patterns\": [\"logs-*\"]}");
    put("password.txt", b"secret\n");
    put("hosts.txt", b"192.0.2.7 web.example\n");
    let names = vec!["es.example".to_string()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    put("server.pem", made.cert.pem().as_bytes());
    put("ca.pem", made.cert.pem().as_bytes());
    put("server.key", made.signing_key.serialize_pem().as_bytes());
    folder
}

/// An example as a whole pipeline.
fn completed(example: &str) -> String {
    // Keys of the file itself stand before the first table.
    let at = if example.starts_with('[') { 0 } else { example.find("\n[").unwrap() + 1 };
    let (head, tail) = example.split_at(at);
    let has = |table: &str| tail.lines().any(|line| line.starts_with(table));
    let input = if has("[inputs.") { "" } else { INPUT };
    let output = if has("[outputs.") { "" } else { OUTPUT };
    format!("{head}{input}{tail}{output}")
}

fn run(folder: &Path, command: &str) -> Result<String, String> {
    let mut command_line = logweir();
    command_line.arg(command).arg("example.toml").current_dir(folder);
    let output = command_line
        .env("ES_API_KEY", "key")
        .env("SLACK_WEBHOOK_URL", "https://hooks.slack.example/services/x")
        .output()
        .unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn every_example_is_valid_and_does_what_its_tests_say() {
    let folder = folder_of_examples();
    let mut wrong = Vec::new();
    for chapter in chapters() {
        for example in chapter.examples() {
            pipeline(folder.path(), "example.toml", &completed(example));
            for command in ["check", "test"] {
                match run(folder.path(), command) {
                    Ok(said) if !said.contains("warning") || said.contains("0 warnings") => {}
                    Ok(said) | Err(said) => wrong.push(format!("{}:\n{said}", chapter.title)),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_kind_has_an_example_and_every_filter_a_tested_one() {
    for chapter in chapters() {
        let kind = chapter.title.split(' ').next().unwrap();
        let simple = ["Codec `plain`", "Codec `json`"].contains(&chapter.title.as_str());
        if ["Input", "Codec", "Filter", "Output"].contains(&kind) && !simple {
            assert!(!chapter.examples().is_empty(), "{} has no example", chapter.title);
        }
        if kind == "Filter" {
            assert!(chapter.text.contains("[[tests]]"), "{} has no test", chapter.title);
        }
    }
}

#[test]
fn the_pipeline_of_the_readme_is_valid_and_passes_its_tests() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let example = readme.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "example.toml", example);
    assert_eq!(run(folder.path(), "check").as_deref(), Ok("1 pipeline ok, 0 warnings\n"));
    assert!(run(folder.path(), "test").unwrap().ends_with("1 passed, 0 failed\n"));
}

#[test]
fn links_of_the_documents_lead_to_files() {
    let mut wrong = Vec::new();
    for page in ["README.md", "ARCHITECTURE.md", "docs/settings.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap().split('#').next().unwrap();
            let path = root().join(page).parent().unwrap().join(target);
            if !target.starts_with("http") && !path.exists() {
                wrong.push(format!("{page}: {target}"));
            }
        }
    }
    assert!(wrong.is_empty(), "links to nothing: {wrong:?}");
}
