//! The agent's own account: what was read is stored, waiting, refused or dropped, and nothing else.

use serde_json::json;

use crate::agent::{Agent, Home};
use crate::faults::Way;
use crate::nodes::elasticsearch;

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[[filters]]
type = "drop"
when = 'kind == "noise"'
[outputs.logs]
type = "elasticsearch"
when = 'kind != "unwanted"'
hosts = ["@ES@"]
index = "honest"
"#;

const DELIVERED: &str = "result=\"delivered\"";
const REPEATED: &str = "result=\"deduplicated\"";
const DEAD: &str = "result=\"dead\"";

/// Read, and where it went.
fn account(agent: &Agent) -> (i64, [i64; 5]) {
    let documents = |result| agent.metric("logweir_output_documents_total", &[result]);
    let dropped = |reason| agent.metric("logweir_events_dropped_total", &[reason]);
    let stored = documents(DELIVERED) + documents(REPEATED);
    let waiting = agent.metric("logweir_output_lag_documents", &[]);
    let fates = [
        stored,
        waiting,
        documents(DEAD),
        dropped("reason=\"filter\""),
        dropped("reason=\"no_output\""),
    ];
    (agent.metric("logweir_events_read_total", &[]), fates)
}

#[test]
fn what_was_read_is_stored_waiting_dead_lettered_or_dropped_and_the_metrics_say_so() {
    const EACH: i64 = 1_000;
    let (node, home) = (elasticsearch(), Home::new());
    node.put("/honest", &json!({"mappings": {"properties": {"number": {"type": "long"}}}}));
    let way = Way::closed(&node.url);
    home.pipeline(PIPELINE, &[("ES", &way.url)]);
    let line = |n: i64| {
        let (kind, number) = match n % 4 {
            0 => ("noise", json!(n)),
            1 => ("unwanted", json!(n)),
            2 => ("good", json!("no number at all")),
            _ => ("good", json!(n)),
        };
        format!("{}\n", json!({"kind": kind, "number": number, "seq": n}))
    };
    home.append("app.log", (0..4 * EACH).map(line).collect::<String>());
    let agent = home.start();
    // The cluster is away: half is dropped by rules, half waits.
    agent.until("everything was read", || account(&agent).0 == 4 * EACH);
    agent.until("half waits", || account(&agent).1 == [0, 2 * EACH, 0, EACH, EACH]);
    let _open = way.open();
    agent.until("half of that is stored, half is refused", || {
        account(&agent) == (4 * EACH, [EACH, 0, EACH, EACH, EACH])
    });
    assert_eq!(node.count("honest"), EACH as u64);
    agent.until_logged("dead letter");
    assert!(
        agent.log().contains("[number]"),
        "the log says which field was wrong: {}",
        agent.story()
    );
    assert!(!agent.log().contains("no number at all"), "but not what was in it");
}

#[test]
fn health_ready_and_metrics_answer_and_tell_what_is_wrong() {
    let home = Home::new();
    let way = Way::closed("127.0.0.1:1");
    home.pipeline(PIPELINE, &[("ES", &way.url)]);
    home.append("app.log", "{\"kind\":\"good\"}\n");
    let agent = home.start();
    let why = agent.until_health("app/outputs.logs", "paused");
    assert!(why.contains(&way.url), "{why}");
    let (status, health) = agent.get("/health").unwrap();
    assert_eq!(status, 200, "a dead cluster must not get the agent killed");
    let health: serde_json::Value = serde_json::from_str(&health).unwrap();
    assert_eq!(health["status"], "paused");
    for part in ["app/inputs.app", "app/journal"] {
        assert_eq!(health["parts"][part]["status"], "ok", "{health}");
    }
    assert_eq!(agent.get("/ready").unwrap().0, 200, "it takes what comes");
    let (status, metrics) = agent.get("/metrics").unwrap();
    assert_eq!(status, 200);
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        // `process_…`: the names by which Prometheus' clients call a process's own figures.
        let ours = name.starts_with("logweir_") || name.starts_with("process_");
        assert!(ours && value.parse::<f64>().is_ok(), "{line}");
    }
    let (status, page) = agent.get("/").unwrap();
    assert!(status == 200 && page.contains("app/outputs.logs"), "{page}");
    assert_eq!(agent.get("/nothing").unwrap().0, 404);
}
