//! A cluster of three nodes that are short of something: requests too large, no room, a queue that is full, and one
//! of them gone in the middle of a load.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::agent::{Agent, Home};
use crate::machine::{lines, pause};
use crate::nodes::{Node, cluster, cluster_alone};

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
max_line = "4MiB"
[outputs.logs]
type = "elasticsearch"
hosts = [@HOSTS@]
index = "@INDEX@"
@MORE@
"#;

fn start(home: &Home, hosts: &[&Node], index: &str, more: &str) -> Agent {
    let hosts: Vec<String> = hosts.iter().map(|node| format!("\"{}\"", node.url)).collect();
    let values = [("HOSTS", hosts.join(", ")), ("INDEX", index.into()), ("MORE", more.into())];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    home.pipeline(PIPELINE, &values);
    home.start()
}

fn numbered(from: u64, to: u64, bytes: usize) -> String {
    let text = "text of some length ".repeat(bytes / 20);
    lines((from..to).map(|seq| json!({"seq": seq, "message": text})))
}

/// An index with one shard, on these nodes only.
fn make_index(node: &Node, name: &str, nodes: &str, replicas: u64) {
    let settings = json!({
        "number_of_shards": 1, "number_of_replicas": replicas,
        "routing.allocation.include._name": nodes,
    });
    node.put(&format!("/{name}"), &json!({"settings": {"index": settings}}));
    let green = format!("/_cluster/health/{name}?wait_for_status=green&timeout=60s");
    assert_eq!(node.request("GET", &green, None).0, 200, "{name} is green");
}

fn answers(agent: &Agent, status: &str) -> i64 {
    agent.metric("logweir_output_requests_total", &[&format!("status=\"{status}\"")])
}

fn dead(agent: &Agent) -> i64 {
    agent.metric("logweir_output_documents_total", &["result=\"dead\""])
}

#[test]
fn a_request_too_large_for_the_node_is_split_and_a_document_too_large_is_a_dead_letter() {
    const LINES: u64 = 3_000;
    let (nodes, home) = (cluster(), Home::new());
    for index in ["large-packed", "large-plain"] {
        make_index(&nodes[0], index, "n1", 0);
    }
    home.append("app.log", numbered(0, LINES / 2, 2_000));
    home.append("app.log", lines([json!({"seq": "too large", "message": "x".repeat(1_500_000)})]));
    home.append("app.log", numbered(LINES / 2, LINES, 2_000));
    let more = format!(
        "bulk_size = \"4MiB\"\n[outputs.plain]\ntype = \"elasticsearch\"\nhosts = [\"{}\"]\n\
         index = \"large-plain\"\nbulk_size = \"4MiB\"\ncompression = \"none\"",
        nodes[0].url
    );
    let agent = start(&home, &[&nodes[0]], "large-packed", &more);
    for index in ["large-packed", "large-plain"] {
        nodes[0].await_count(index, LINES, || agent.story());
        nodes[0].assert_each_once(index, LINES);
    }
    agent.until("the large document is a dead letter of both", || dead(&agent) == 2);
    let advice = "raise the server's `http.max_content_length`, or make the documents smaller";
    for part in ["app/outputs.logs", "app/outputs.plain"] {
        // Health says it for a minute, which a busy machine may need to store all the others; the log keeps it.
        agent.until_logged(&format!("(too large for the server): {advice} part={part}"));
    }
    agent.until_logged("too large for the server (413) and is split; requests now have at most");
    agent.until_logged("set `bulk_size` or raise the server's `http.max_content_length`");
    assert!(answers(&agent, "413") > 0, "{}", agent.story());
}

#[test]
fn a_node_without_room_for_requests_of_full_size_gets_smaller_ones_and_takes_all() {
    const LINES: u64 = 4_000;
    let (nodes, home) = (cluster(), Home::new());
    make_index(&nodes[0], "pressure", "n1", 0);
    home.append("app.log", numbered(0, LINES, 1_000));
    let agent = start(&home, &[&nodes[1]], "pressure", "");
    nodes[0].await_count("pressure", LINES, || agent.story());
    nodes[0].assert_each_once("pressure", LINES);
    agent.until_logged("es_rejected_execution_exception");
    agent.until_logged("kept");
    assert!(answers(&agent, "429") > 0, "{}", agent.story());
    agent.until_logged(&format!(
        "{} cannot take documents now (429 es_rejected_execution_exception): requests are made fewer and smaller; if \
         this lasts, the cluster needs more memory or nodes; the documents are kept and sent again. It said: ",
        nodes[1].url
    ));
    agent.until_health("app/outputs.logs", "ok");
    assert_eq!(dead(&agent), 0);
}

#[test]
fn documents_that_find_the_queue_for_writes_full_are_sent_again_until_all_are_stored() {
    const LINES: u64 = 20_000;
    let (nodes, home) = (cluster(), Home::new());
    for index in ["queue", "queue-of-others"] {
        make_index(&nodes[2], index, "n3", 0);
    }
    let over = Arc::new(AtomicBool::new(false));
    let agent = std::thread::scope(|scope| {
        // Others fill the queue until the agent was refused.
        for _ in 0..6 {
            scope.spawn(|| {
                let one =
                    format!("{}\n{}\n", json!({"index": {}}), json!({"text": "t".repeat(200)}));
                let body = one.repeat(1_000);
                while !over.load(Ordering::Relaxed) {
                    nodes[2].request("POST", "/queue-of-others/_bulk", Some(body.clone()));
                }
            });
        }
        home.append("app.log", numbered(0, LINES / 2, 100));
        let agent = start(&home, &[&nodes[2]], "queue", "bulk_size = \"32KiB\"\nrequests = 8");
        let refused = "refused for now with status 429, kept: index queue, id ";
        let noticed = || agent.log().contains(refused) || agent.log().contains("(429 ");
        for _ in 0..4_000 {
            if noticed() {
                break;
            }
            pause(Duration::from_millis(25));
        }
        over.store(true, Ordering::Relaxed);
        agent
    });
    assert!(agent.log().contains("es_rejected_execution_exception"), "{}", agent.story());
    home.append("app.log", numbered(LINES / 2, LINES, 100));
    nodes[2].await_count("queue", LINES, || agent.story());
    nodes[2].assert_each_once("queue", LINES);
    assert!(agent.metric("logweir_output_documents_total", &["result=\"retried\""]) > 0);
    agent.until_health("app/outputs.logs", "ok");
    assert_eq!(dead(&agent), 0);
}

#[test]
fn a_node_killed_in_the_middle_of_a_load_costs_nothing_and_only_its_own_index_waits() {
    const LINES: u64 = 20_000;
    let (mut nodes, home) = (cluster_alone(), Home::new());
    make_index(&nodes[0], "three-copied", "n1,n3", 1);
    make_index(&nodes[0], "three-alone", "n3", 0);
    let hosts = format!("\"{}\", \"{}\", \"{}\"", nodes[0].url, nodes[1].url, nodes[2].url);
    let more = format!(
        "timeout = \"8s\"\n[outputs.alone]\ntype = \"elasticsearch\"\nhosts = [{hosts}]\n\
         index = \"three-alone\"\ntimeout = \"8s\""
    );
    let agent = {
        let all: Vec<&Node> = nodes.iter().collect();
        start(&home, &all, "three-copied", &more)
    };
    let writer = {
        let path = home.path("app.log");
        std::thread::spawn(move || {
            let mut file = std::fs::File::create(path).unwrap();
            for burst in 0..LINES / 50 {
                let text = numbered(burst * 50, burst * 50 + 50, 100);
                file.write_all(text.as_bytes()).unwrap();
                pause(Duration::from_millis(10));
            }
        })
    };
    agent.until("the load has begun", || nodes[0].count("three-alone") > 1_000);
    nodes[2].stop("KILL");
    writer.join().unwrap();
    // The copied index goes on without the node; the one whose only copy it has is told, and waits.
    nodes[0].await_count("three-copied", LINES, || agent.story());
    let lost = "the primary shard of the index `three-alone` is on no working node";
    agent.until("health names the index that waits", || {
        agent.health("app/outputs.alone").1.contains(lost)
    });
    nodes[2].start_again();
    for index in ["three-copied", "three-alone"] {
        nodes[0].await_count(index, LINES, || agent.story());
        nodes[0].assert_each_once(index, LINES);
    }
    for part in ["app/outputs.logs", "app/outputs.alone"] {
        agent.until_health(part, "ok");
    }
    assert_eq!(dead(&agent), 0);
}
