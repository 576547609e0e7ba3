//! Dead letters of a real Elasticsearch: refused, put back once its mapping is repaired, and proved by the audit.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::agent::{Agent, Home};
use crate::machine::{run, text};
use crate::nodes::{Node, elasticsearch};

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

/// Every third event has a text where the mapping wants a number.
fn line(seq: u64) -> String {
    let value = if seq.is_multiple_of(3) { json!("a word") } else { json!(seq) };
    format!("{}\n", json!({"seq": seq, "value": value}))
}

fn logweir(home: &Home, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logweir"));
    command.args(arguments).arg("--data-dir").arg(&home.data).stdin(Stdio::null());
    command.output().unwrap()
}

fn audit(home: &Home) -> (Option<i32>, Value) {
    let pipelines = home.text_path("pipelines");
    let output = logweir(home, &["audit", "--json", &pipelines]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let result = serde_json::from_str(out.trim()).unwrap_or_else(|_| panic!("{out}{err}"));
    (output.status.code(), result)
}

/// An agent whose cluster has refused every third of `lines` events; the index is `NAME-1` under the alias `NAME`.
fn refused(node: &Node, name: &str, lines: u64) -> (Home, Agent) {
    let home = Home::new();
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", name)]);
    make(node, name, 1, "long");
    node.post(
        "/_aliases",
        &json!({"actions": [{"add": {"index": format!("{name}-1"), "alias": name}}]}),
    );
    home.append("app.log", (0..lines).map(line).collect::<String>());
    let agent = home.start();
    let dead = lines.div_ceil(3);
    agent.until("every third is a dead letter", || {
        agent.metric("logweir_dead_letters", &[]) == dead as i64
            && agent.metric("logweir_output_lag_documents", &[]) == 0
    });
    assert_eq!(node.count(name), lines - dead);
    (home, agent)
}

fn make(node: &Node, name: &str, number: u64, kind: &str) {
    let properties = json!({"seq": {"type": "long"}, "value": {"type": kind}});
    node.put(&format!("/{name}-{number}"), &json!({"mappings": {"properties": properties}}));
}

/// The mapping takes words now: everything is copied to another index, which gets the alias.
fn repair(node: &Node, name: &str) {
    let (old, new) = (format!("{name}-1"), format!("{name}-2"));
    make(node, name, 2, "keyword");
    // The node of these tests comes without `_reindex`.
    for page in node.documents(&old).chunks(5_000) {
        let action = |d: &Value| json!({"index": {"_index": new, "_id": d["_id"]}});
        let lines: String =
            page.iter().map(|d| format!("{}\n{}\n", action(d), d["_source"])).collect();
        let (status, answer) = node.request("POST", "/_bulk", Some(lines));
        assert_eq!((status, &answer["errors"]), (200, &json!(false)), "{answer}");
    }
    let actions = json!([
        {"remove": {"index": old, "alias": name}}, {"add": {"index": new, "alias": name}},
    ]);
    node.post("/_aliases", &json!({ "actions": actions }));
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    run(Command::new("cp").arg("-a").arg(from).arg(to));
}

#[test]
fn refused_documents_are_put_back_once_the_mapping_is_repaired_and_are_there_once() {
    const LINES: u64 = 900;
    let node = elasticsearch();
    let (home, agent) = refused(node, "mended", LINES);
    let listed = text(&logweir(&home, &["dlq", "ls"]).stdout);
    assert!(listed.starts_with("app outputs.logs: 300 letters, "), "{listed}");
    assert!(listed.contains("failed to parse field [value]"), "{listed}");
    assert_eq!(listed.lines().count(), 3, "one kind of reason: {listed}");
    // Refused again they are dead letters again.
    let early = logweir(&home, &["dlq", "replay", "--reason", "failed to parse field [value]"]);
    assert_eq!(text(&early.stdout), "app: 300 letters put back to their output\n");
    let refused = "result=\"dead\"";
    agent.until("all are refused again", || {
        agent.metric("logweir_output_documents_total", &[refused]) == 600
    });
    agent.until("and stored", || agent.metric("logweir_dead_letters", &[]) == 300);
    repair(node, "mended");
    // A copy from before plays a second replay of the same letters.
    let (letters, before) = (home.data.join("app/dead-letters"), home.path("before"));
    copy(&letters, &before);
    let replayed = logweir(&home, &["dlq", "replay"]);
    assert_eq!(text(&replayed.stdout), "app: 300 letters put back to their output\n");
    node.await_count("mended", LINES, || agent.story());
    node.assert_each_once("mended", LINES);
    assert_eq!(text(&logweir(&home, &["dlq", "ls"]).stdout), "no dead letters\n");
    assert_eq!(agent.metric("logweir_dead_letters_replayed_total", &[]), 600);
    assert!(agent.stop().success());
    copy(&before, &letters);
    let asked = logweir(&home, &["dlq", "replay"]);
    let said = "app: no agent runs; 300 letters will be put back at its next start\n";
    assert_eq!(text(&asked.stdout), said);
    let agent = home.start();
    let known = "result=\"deduplicated\"";
    agent
        .until("all are known", || agent.metric("logweir_output_documents_total", &[known]) == 300);
    node.assert_each_once("mended", LINES);
    let (code, result) = audit(&home);
    assert_eq!((code, &result["missing"]), (Some(0), &json!([])), "{result}");
}

#[test]
fn a_replay_that_is_killed_again_and_again_stores_everything_once() {
    const LINES: u64 = 12_000;
    let node = elasticsearch();
    let (home, agent) = refused(node, "killed-replay", LINES);
    repair(node, "killed-replay");
    agent.kill();
    assert_eq!(logweir(&home, &["dlq", "replay"]).status.code(), Some(0));
    let mut random = crate::machine::Random::new();
    for _ in 0..6 {
        let agent = home.start_without_waiting();
        crate::machine::pause(std::time::Duration::from_millis(100 + random.below(900)));
        agent.kill();
    }
    let agent = home.start();
    node.await_count("killed-replay", LINES, || agent.story());
    agent.until("no letter is left", || agent.metric("logweir_dead_letters", &[]) == 0);
    agent.until("nothing waits", || agent.metric("logweir_output_lag_documents", &[]) == 0);
    node.assert_each_once("killed-replay", LINES);
    assert_eq!(agent.metric("logweir_output_documents_total", &["result=\"dead\""]), 0);
}

#[test]
fn the_audit_names_exactly_the_documents_that_somebody_deleted() {
    const LINES: u64 = 5_000;
    let (node, home) = (elasticsearch(), Home::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "audited")]);
    home.append(
        "app.log",
        (0..LINES).map(|n| format!("{}\n", json!({"seq": n}))).collect::<String>(),
    );
    let agent = home.start();
    node.await_count("audited", LINES, || agent.story());
    agent.until("the cursor says so", || audit(&home).1["delivered"] == LINES);
    assert_eq!(audit(&home).0, Some(0));
    let mut ids: Vec<(u64, String)> = node
        .documents("audited")
        .iter()
        .map(|d| (d["_source"]["seq"].as_u64().unwrap(), d["_id"].as_str().unwrap().to_string()))
        .collect();
    ids.sort();
    let gone = [17, 2_000, 2_001, 2_002, 4_999];
    for seq in gone {
        let (status, answer) =
            node.request("DELETE", &format!("/audited/_doc/{}", ids[seq].1), None);
        assert_eq!(status, 200, "{answer}");
    }
    let (code, result) = audit(&home);
    assert_eq!(code, Some(1));
    let ranges: Vec<(&str, &str, u64)> = result["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|range| {
            assert_eq!(range["address"], "audited");
            assert_eq!(range["file"], home.text_path("app.log"));
            let word = |key: &str| range[key].as_str().unwrap();
            (word("first"), word("last"), range["documents"].as_u64().unwrap())
        })
        .collect();
    let id = |n: usize| ids[n].1.as_str();
    let wanted = [(id(17), id(17), 1), (id(2_000), id(2_002), 3), (id(4_999), id(4_999), 1)];
    assert_eq!(ranges, wanted);
    assert_eq!(result["found"], LINES - 5);
    // A cluster that is away proves nothing.
    home.pipeline(PIPELINE, &[("ES", "http://127.0.0.1:9"), ("INDEX", "audited")]);
    let pipelines = home.text_path("pipelines");
    let output = logweir(&home, &["audit", &pipelines]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("cannot ask outputs.logs of pipeline `app`"), "{said}");
    assert!(said.contains("http://127.0.0.1:9 cannot be reached"), "{said}");
}
