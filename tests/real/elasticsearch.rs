//! Ids and repeats on both engines: what was stored is stored once, and one source gives the same ids to both.

use std::collections::BTreeSet;

use serde_json::json;

use crate::agent::Home;
use crate::nodes::{Node, elasticsearch, opensearch};

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

/// Ships, forgets the journal's cursors so that everything is sent again, and counts.
fn repeats_are_conflicts(node: &Node) {
    const LINES: u64 = 5_000;
    let home = Home::new();
    let values = [("ES", node.url.as_str()), ("INDEX", "repeats"), ("MORE", "")];
    home.pipeline(PIPELINE, &values);
    let line = |seq| format!("{}\n", json!({"seq": seq, "message": "repeat me"}));
    home.append("app.log", (0..LINES).map(line).collect::<String>());
    let agent = home.start();
    node.await_count("repeats", LINES, || agent.story());
    agent.kill();
    let mut removed = 0;
    for entry in std::fs::read_dir(home.data.join("app/journal")).unwrap().flatten() {
        if entry.file_name().to_string_lossy().contains("cursor") {
            std::fs::remove_file(entry.path()).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0, "the journal has a file of cursors");
    let agent = home.start();
    let repeated = "result=\"deduplicated\"";
    agent.until("all are sent again and refused as known", || {
        agent.metric("logweir_output_documents_total", &[repeated]) == LINES as i64
    });
    assert_eq!(agent.metric("logweir_output_documents_total", &["result=\"delivered\""]), 0);
    assert_eq!(agent.metric("logweir_output_documents_total", &["result=\"dead\""]), 0);
    node.assert_each_once("repeats", LINES);
    let ids: BTreeSet<String> =
        node.documents("repeats").iter().map(|d| d["_id"].to_string()).collect();
    assert_eq!(ids.len() as u64, LINES);
}

#[test]
fn losing_the_cursors_sends_again_and_stores_nothing_twice_in_elasticsearch() {
    repeats_are_conflicts(elasticsearch());
}

#[test]
fn losing_the_cursors_sends_again_and_stores_nothing_twice_in_opensearch() {
    repeats_are_conflicts(opensearch());
}

#[test]
fn one_source_has_the_same_ids_in_elasticsearch_and_opensearch() {
    const LINES: u64 = 4_000;
    let home = Home::new();
    let (one, other) = (elasticsearch(), opensearch());
    let second = format!(
        "[outputs.other]\ntype = \"elasticsearch\"\nhosts = [\"{}\"]\nindex = \"ids\"",
        other.url
    );
    home.pipeline(PIPELINE, &[("ES", &one.url), ("INDEX", "ids"), ("MORE", &second)]);
    let line =
        |seq| format!("{}\n", json!({"seq": seq, "nested": {"a": ["é", "", null], "n": 2.5}}));
    home.append("app.log", (0..LINES).map(line).collect::<String>());
    let agent = home.start();
    let [first, second] = [one, other].map(|node| {
        node.await_count("ids", LINES, || agent.story());
        node.assert_each_once("ids", LINES);
        let pair = |hit: &serde_json::Value| format!("{} {}", hit["_id"], hit["_source"]);
        node.documents("ids").iter().map(pair).collect::<BTreeSet<String>>()
    });
    assert_eq!(first, second, "ids and documents");
}

#[test]
fn a_template_is_set_up_and_a_data_stream_takes_every_document_once() {
    const LINES: u64 = 2_000;
    // OpenSearch, because the Elasticsearch of these tests comes without the module for data streams.
    let (node, home) = (opensearch(), Home::new());
    let properties = json!({"seq": {"type": "long"}, "word": {"type": "keyword"}});
    let body = json!({
        "index_patterns": ["stream-ours*"], "data_stream": {}, "priority": 900,
        "template": {"mappings": {"properties": properties}},
    });
    std::fs::write(home.path("template.json"), body.to_string()).unwrap();
    let file = home.text_path("template.json");
    let template = format!(
        "data_stream = true\ntemplate = {{ name = \"stream-of-ours\", file = \"{file}\" }}"
    );
    let values = [("ES", node.url.as_str()), ("INDEX", "stream-ours"), ("MORE", template.as_str())];
    home.pipeline(PIPELINE, &values);
    let line = |seq| format!("{}\n", json!({"seq": seq, "word": "w"}));
    home.append("app.log", (0..LINES).map(line).collect::<String>());
    let agent = home.start();
    node.await_count("stream-ours", LINES, || agent.story());
    node.assert_each_once("stream-ours", LINES);
    let (status, stream) = node.request("GET", "/_data_stream/stream-ours", None);
    assert_eq!((status, &stream["data_streams"][0]["template"]), (200, &json!("stream-of-ours")));
    assert!(agent.stop().success());
}
