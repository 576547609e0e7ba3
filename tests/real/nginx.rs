//! A real nginx, its access log rotated by the real logrotate while requests come, through the shipped pipeline.

use std::process::Command;

use serde_json::Value;

use crate::agent::Home;
use crate::machine::{checkout, run, text};
use crate::nodes::{assert_each_once, elasticsearch};

/// The number of the request that a document tells of.
fn sequence(document: &Value) -> u64 {
    let path = document["path"].as_str().unwrap_or_else(|| panic!("not parsed: {document}"));
    path.rsplit("?seq=").next().unwrap().parse().unwrap()
}

fn survives(mode: &str, requests: u64, rotations: &str) {
    let (node, mut home) = (elasticsearch(), Home::new());
    let shipped = std::fs::read_to_string(checkout("pipelines/nginx.toml")).unwrap();
    let index = format!("nginx-{mode}");
    assert!(shipped.contains("index = \"logs-nginx-"), "the shipped pipeline's index");
    home.pipeline(&shipped.replace("index = \"logs-nginx-", &format!("index = \"{index}-")), &[]);
    home.set("ELASTICSEARCH_URL", &node.url);
    home.set("NGINX_LOG", home.path("nginx/logs/access.log"));
    home.set("NGINX_ERROR_LOG", home.path("nginx/logs/error.log"));
    let agent = home.start();
    let mut command = Command::new("bash");
    command.arg(checkout("tests/tools/access_log.sh")).arg(home.path("nginx"));
    command.args([&requests.to_string(), mode, "--rotations", rotations]);
    let output = run(&mut command);
    println!("{}", text(&output.stdout));
    let of_access = |d: &&Value| d["stream"] == "access";
    let access = || {
        let all = node.count(&format!("{index}-*"));
        let errors = agent.metric("logweir_events_read_total", &["input=\"errors\""]) as u64;
        all.saturating_sub(errors)
    };
    agent.until("all requests are stored", || access() >= requests);
    let documents = node.sources(&format!("{index}-*"));
    let numbers = documents.iter().filter(of_access).map(sequence).collect();
    assert_each_once(numbers, requests);
    for document in documents.iter().filter(of_access) {
        assert!(document.get("tags").is_none(), "{document}");
        for (field, wanted) in [("code", "u"), ("size", "u"), ("method", "s"), ("agent", "s")] {
            let value = &document[field];
            assert!(if wanted == "u" { value.is_u64() } else { value.is_string() }, "{document}");
        }
        assert_eq!(document["service"], "nginx");
        assert!(document["remote"].as_str().unwrap().starts_with("203.0.113."), "{document}");
    }
}

#[test]
fn no_request_is_lost_or_doubled_while_logrotate_renames_nginxs_log() {
    survives("create", 6_000, "5");
}

#[test]
fn no_request_is_lost_or_doubled_while_logrotate_compresses_nginxs_log() {
    survives("compress", 6_000, "3");
}
