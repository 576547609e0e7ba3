//! What Elasticsearch refuses, by rules of an index or of the way to it: what the agent says in its own words, and
//! that everything arrives once the cause is gone. The table of `docs/elasticsearch-answers.md` names these tests.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::agent::{Agent, Home};
use crate::machine::{checkout, lines, run};
use crate::nodes::{Node, elasticsearch, opensearch, own};
use crate::proxy::{Proxy, Way};

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
@MORE@
"#;
const PART: &str = "app/outputs.logs";

fn numbered(from: u64, to: u64) -> String {
    lines((from..to).map(|seq| json!({"seq": seq, "message": format!("event {seq}")})))
}

fn start(node_url: &str, index: &str, more: &str) -> (Home, Agent) {
    let home = Home::new();
    home.pipeline(PIPELINE, &[("ES", node_url), ("INDEX", index), ("MORE", more)]);
    let agent = home.start();
    (home, agent)
}

fn documents(agent: &Agent, result: &str) -> i64 {
    agent.metric("logweir_output_documents_total", &[&format!("result=\"{result}\"")])
}

/// Ships, blocks the index, reads health, lifts the block, and counts.
fn waits_in_its_words(
    node: &Node,
    index: &str,
    block: impl FnOnce(),
    lift: impl FnOnce(),
    words: &str,
) {
    const PART_LINES: u64 = 300;
    let (home, agent) = start(&node.url, index, "");
    home.append("app.log", numbered(0, PART_LINES));
    node.await_count(index, PART_LINES, || agent.story());
    block();
    home.append("app.log", numbered(PART_LINES, 2 * PART_LINES));
    let why = agent.until_health(PART, "degraded");
    assert_eq!(why, format!("documents wait: {words}"));
    agent.until_logged(words);
    agent.until_logged(&format!("kept: index {index}, id "));
    assert_eq!(documents(&agent, "dead"), 0);
    // More that come meanwhile wait with them, and a restart forgets none.
    home.append("app.log", numbered(2 * PART_LINES, 3 * PART_LINES));
    assert!(agent.stop().success());
    let agent = home.start();
    assert_eq!(agent.until_health(PART, "degraded"), format!("documents wait: {words}"));
    lift();
    node.await_count(index, 3 * PART_LINES, || agent.story());
    node.assert_each_once(index, 3 * PART_LINES);
    agent.until_health(PART, "ok");
    assert_eq!(documents(&agent, "dead"), 0);
}

fn set(node: &Node, index: &str, setting: &str, value: Value) {
    node.put(&format!("/{index}/_settings"), &json!({setting: value}));
}

fn waits_while_closed(node: &Node) {
    let index = "refused-closed";
    let post = |action: &str| {
        let (status, answer) = node.request("POST", &format!("/{index}/{action}"), None);
        assert_eq!(status, 200, "{answer}");
    };
    let words = "the index `refused-closed` is closed: open it with POST /refused-closed/_open";
    waits_in_its_words(node, index, || post("_close"), || post("_open"), words);
}

fn waits_while_blocked(node: &Node) {
    let index = "refused-writes";
    let block = |value| set(node, index, "index.blocks.write", value);
    let words = "writes to the index `refused-writes` are blocked: lift the block, for example with \
                 PUT /refused-writes/_settings {\"index.blocks.write\": null}";
    waits_in_its_words(node, index, || block(json!(true)), || block(Value::Null), words);
}

#[test]
fn documents_for_a_closed_index_wait_until_it_is_opened() {
    waits_while_closed(elasticsearch());
}

#[test]
fn documents_for_an_index_that_may_not_be_written_wait_until_the_block_is_lifted() {
    waits_while_blocked(elasticsearch());
}

#[test]
fn opensearch_refuses_in_the_same_words_a_closed_index_a_blocked_one_and_what_does_not_fit() {
    let node = opensearch();
    waits_while_closed(node);
    waits_while_blocked(node);
    does_not_fit(node);
}

#[test]
fn documents_wait_while_the_disk_is_above_the_flood_stage_and_arrive_by_themselves_afterwards() {
    let (node, index) = (own(), "refused-flood");
    let watermarks = |enabled: bool, low: &str, high: &str, flood: &str| {
        let settings = json!({
            "threshold_enabled": enabled, "watermark.low": low, "watermark.high": high,
            "watermark.flood_stage": flood,
        });
        let settings = json!({"persistent": {"cluster.routing.allocation.disk": settings}});
        node.put("/_cluster/settings", &settings);
    };
    // A disk with less than 700 TB free is nearly full, one with more than 1 MB is not.
    let fill = || {
        watermarks(true, "900tb", "800tb", "700tb");
        let is_blocked = || {
            let settings = node.request("GET", &format!("/{index}/_settings"), None).1;
            let blocks = &settings[index]["settings"]["index"]["blocks"];
            blocks["read_only_allow_delete"] == "true"
        };
        crate::machine::until("the node blocks the index", is_blocked, String::new);
    };
    let words = "the index `refused-flood` is read-only because the disk of a node is nearly full: free space or add \
                 a node; Elasticsearch then lifts the block by itself";
    waits_in_its_words(&node, index, fill, || watermarks(true, "3mb", "2mb", "1mb"), words);
    watermarks(false, "3mb", "2mb", "1mb");
}

/// Ships 300 documents of which every third is refused for ever; the others arrive.
fn a_third_is_dead(
    node: &Node,
    index: &str,
    odd: impl Fn(u64) -> Value,
    advice: &str,
) -> (Home, Agent) {
    let (home, agent) = start(&node.url, index, "");
    let line = |seq| if seq % 3 == 2 { odd(seq) } else { json!({"seq": seq, "number": seq}) };
    home.append("app.log", lines((0..300).map(line)));
    node.await_count(index, 200, || agent.story());
    agent.until("a third is in the dead-letter store", || documents(&agent, "dead") == 100);
    // Health says it for a minute; the log keeps it.
    let begin = format!(
        "documents became dead letters in the last minute, such as one for the index `{index}` ("
    );
    agent.until_logged(&begin);
    let log = agent.log();
    let said = log.split_once(&begin).unwrap().1.lines().next().unwrap();
    assert_eq!(said.split_once("): ").unwrap().1, format!("{advice} part={PART}"));
    agent.until_logged(&format!("refused for ever, now a dead letter: index {index}, id "));
    agent.until_logged(&format!("To do: {advice}"));
    let stored = std::fs::read_dir(home.data.join("app/dead-letters")).unwrap().flatten();
    let stored: Vec<u8> = stored.flat_map(|file| std::fs::read(file.path()).unwrap()).collect();
    let stored = String::from_utf8_lossy(&stored);
    for seq in (0..300).filter(|seq| seq % 3 == 2) {
        let text = format!("\"seq\":{seq},");
        assert_eq!(stored.matches(&text).count(), 1, "the store holds document {seq} once");
    }
    let waiting = || agent.metric("logweir_output_lag_documents", &[]);
    agent.until("the cursor passed them", || waiting() == 0);
    (home, agent)
}

#[test]
fn a_document_that_does_not_fit_the_mapping_is_a_dead_letter_and_holds_up_no_other() {
    does_not_fit(elasticsearch());
}

fn does_not_fit(node: &Node) {
    let index = "refused-mapping";
    let mappings = json!({"properties": {"number": {"type": "long"}}});
    node.put(&format!("/{index}"), &json!({"mappings": mappings}));
    let (_home, agent) = a_third_is_dead(
        node,
        index,
        |seq| json!({"seq": seq, "number": "SECRET no number"}),
        "correct the field by a filter, or the mapping in the template of the index",
    );
    assert!(agent.log().contains("[number]"), "the field is named: {}", agent.story());
    assert!(!agent.log().contains("SECRET"), "what is in it is not");
}

#[test]
fn a_document_with_too_many_fields_is_a_dead_letter_until_the_limit_is_raised() {
    let (node, index) = (elasticsearch(), "refused-fields");
    let limit = |limit: u64| json!({"index.mapping.total_fields.limit": limit});
    node.put(&format!("/{index}"), &json!({"settings": limit(50)}));
    let wide = |seq: u64| {
        let mut document = json!({"seq": seq, "number": seq});
        for n in 0..60 {
            document[format!("field_{n}")] = json!(n);
        }
        document
    };
    let (home, agent) = a_third_is_dead(
        node,
        index,
        wide,
        "raise `index.mapping.total_fields.limit` of the index, or remove fields by a filter",
    );
    node.put(&format!("/{index}/_settings"), &limit(500));
    home.append("app.log", lines((300..400).map(wide)));
    node.await_count(index, 300, || agent.story());
    assert_eq!(documents(&agent, "dead"), 100);
}

#[test]
fn documents_wait_while_the_server_shows_a_wrong_certificate_and_arrive_once_it_is_renewed() {
    const LINES: u64 = 500;
    let (node, index, home) = (elasticsearch(), "refused-certificate", Home::new());
    run(Command::new("bash").arg(checkout("tests/tools/tls.sh")).arg(home.path("tls")));
    let proxy = Proxy::new(&node.url, Way::Open);
    let file = |name: &str, kind: &str| -> PathBuf { home.path(&format!("tls/{name}.{kind}")) };
    let show = |name: &str| proxy.show(&file(name, "crt"), &file(name, "key"));
    show("expired");
    let url = format!("https://{}", proxy.address);
    let trust = "tls = { ca = \"@HOME@/tls/ca.crt\" }".replace("@HOME@", &home.text_path(""));
    home.pipeline(PIPELINE, &[("ES", &url), ("INDEX", index), ("MORE", &trust)]);
    home.append("app.log", numbered(0, LINES));
    let agent = home.start();
    for (name, words) in [
        ("expired", "that has expired: renew it on the server, or correct this machine's clock"),
        ("not-yet", "that is not valid yet: correct this machine's clock, or the certificate"),
        ("wrong-name", "for another name: write that name in `hosts`, or as `tls.server_name`"),
        (
            "wrong-ca",
            "of an authority that is not trusted here: set `tls.ca` to the authority's PEM file",
        ),
    ] {
        show(name);
        let said = format!("{url} shows a certificate {words}; everything is kept in the journal");
        let paused = ("paused".to_string(), said);
        agent.until(&format!("health tells of {name}"), || agent.health(PART) == paused);
    }
    assert_eq!(node.count(index), 0);
    show("server");
    node.await_count(index, LINES, || agent.story());
    node.assert_each_once(index, LINES);
    agent.until_health(PART, "ok");
    assert_eq!(documents(&agent, "dead"), 0);
}

#[test]
fn a_node_that_accepts_and_never_answers_is_named_and_another_one_gets_its_documents() {
    const LINES: u64 = 2_000;
    let (node, home) = (elasticsearch(), Home::new());
    let silent = Proxy::new(&node.url, Way::Silent);
    let silent_url = format!("http://{}", silent.address);
    let more = r#"timeout = "1s"
        [outputs.both]
        type = "elasticsearch"
        hosts = ["@SILENT@", "@REAL@"]
        index = "silent-both"
        timeout = "1s""#;
    let more = more.replace("@SILENT@", &silent_url).replace("@REAL@", &node.url);
    home.pipeline(PIPELINE, &[("ES", &silent_url), ("INDEX", "silent-alone"), ("MORE", &more)]);
    home.append("app.log", numbered(0, LINES));
    let agent = home.start();
    let words = format!(
        "{silent_url} did not answer within `timeout`: it hangs, or is so slow that `timeout` must be longer"
    );
    let alone = agent.until_health(PART, "paused");
    assert_eq!(alone, format!("{words}; everything is kept in the journal"));
    node.await_count("silent-both", LINES, || agent.story());
    assert_eq!(agent.until_health("app/outputs.both", "degraded"), words);
    agent.until_logged(&words);
    assert_eq!(node.count("silent-alone"), 0);
    silent.set(Way::Open);
    for index in ["silent-alone", "silent-both"] {
        node.await_count(index, LINES, || agent.story());
        node.assert_each_once(index, LINES);
    }
    agent.until_health(PART, "ok");
    agent.until_health("app/outputs.both", "ok");
    assert_eq!(documents(&agent, "dead"), 0);
}
