//! Python's own logging, as services use it: all records with all their fields.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::agent::Home;
use crate::machine::{checkout, run};
use crate::nodes::{Node, elasticsearch};

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/logs/service.log*"]
codec = "json"
[[filters]]
type = "date"
field = "timestamp"
formats = ["ISO8601"]
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

/// An index that takes the records as they are: one kind mixes types in an array, which no mapping can hold.
fn index(name: &str) -> &'static Node {
    let mixed = json!({"a": {"type": "object", "enabled": false}});
    elasticsearch().put(&format!("/{name}"), &json!({"mappings": {"properties": mixed}}));
    elasticsearch()
}

fn logger(home: &Home, arguments: &[&str]) {
    std::fs::create_dir_all(home.path("logs")).unwrap();
    let mut command = Command::new("python3");
    command.arg(checkout("tests/tools/python_logger.py")).arg(home.path("logs/service.log"));
    run(command.args(arguments));
}

/// Every line of the logs, by its number.
fn written(home: &Home) -> BTreeMap<u64, Value> {
    let mut lines = BTreeMap::new();
    for entry in std::fs::read_dir(home.path("logs")).unwrap().flatten() {
        for line in std::fs::read_to_string(entry.path()).unwrap().split_terminator('\n') {
            let record: Value = serde_json::from_str(line).unwrap();
            lines.insert(record["seq"].as_u64().unwrap(), record);
        }
    }
    lines
}

/// Compares what is stored with what was written: nothing but the agent's own fields is added.
fn compare(stored: Vec<Value>, mut written: BTreeMap<u64, Value>) {
    for mut document in stored {
        let seq = document["seq"].as_u64().unwrap();
        let record = written.remove(&seq).unwrap_or_else(|| panic!("seq {seq} was never written"));
        let fields = document.as_object_mut().unwrap();
        let time = fields.remove("@timestamp").unwrap();
        let (milliseconds, stamp) =
            (&time.as_str().unwrap()[..19], record["timestamp"].as_str().unwrap());
        assert_eq!(milliseconds, &stamp[..19], "the record's own time");
        for added in ["host", "log"] {
            if record.get(added).is_none() {
                fields.remove(added);
            }
        }
        assert_eq!(document, record, "seq {seq}");
    }
    assert!(written.is_empty(), "{} records are not stored", written.len());
}

#[test]
fn every_kind_of_record_of_a_python_service_arrives_with_all_its_fields() {
    let (node, home) = (index("python-kinds"), Home::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "python-kinds")]);
    let agent = home.start();
    logger(&home, &["3000"]);
    node.await_count("python-kinds", 3000, || agent.story());
    compare(node.sources("python-kinds"), written(&home));
}

#[test]
fn records_survive_pythons_own_rotation() {
    let (node, home) = (index("python-rotating"), Home::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "python-rotating")]);
    let agent = home.start();
    let rotating = ["20000", "--mode", "rotating", "--max-bytes", "2000000", "--backups", "99"];
    logger(&home, &rotating);
    let files = std::fs::read_dir(home.path("logs")).unwrap().count();
    assert!(files > 3, "it rotated: {files} files");
    node.await_count("python-rotating", 20_000, || agent.story());
    compare(node.sources("python-rotating"), written(&home));
    // A restart finds nothing new in the rotated files.
    assert!(agent.stop().success());
    let agent = home.start();
    logger(&home, &["10", "--start", "20000"]);
    node.await_count("python-rotating", 20_010, || agent.story());
    assert_eq!(agent.metric("logweir_events_read_total", &[]), 10, "{}", agent.story());
}
