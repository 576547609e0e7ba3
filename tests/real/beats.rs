//! Elastic's own Lumberjack client against the beats input: what it was told is stored is stored.

use std::process::{Command, Output, Stdio};

use crate::agent::Home;
use crate::faults::Way;
use crate::machine::{cached, free_port, text};
use crate::nodes::elasticsearch;

const PIPELINE: &str = r#"
[inputs.beats]
type = "beats"
listen = "127.0.0.1:@PORT@"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

/// Runs `lumberjack-send` to its end.
pub fn send(port: u16, arguments: &[&str]) -> Output {
    let mut command = Command::new(cached("bin/lumberjack-send"));
    command.args(["-addr", &format!("127.0.0.1:{port}")]).args(arguments);
    command.stdin(Stdio::null()).output().unwrap()
}

/// How many events the client says were acknowledged.
pub fn acked(output: &Output) -> u64 {
    let out = text(&output.stdout);
    let last = out.lines().last().unwrap_or_default();
    let number = last.strip_prefix("acked ").and_then(|n| n.parse().ok());
    number.unwrap_or_else(|| panic!("{out}{}", text(&output.stderr)))
}

fn delivers(index: &str, more: &[&str]) {
    const EVENTS: u64 = 10_000;
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    let port_text = port.to_string();
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", index), ("PORT", &port_text)]);
    let agent = home.start();
    let count = EVENTS.to_string();
    let output = send(port, &[&["-count", &count, "-batch", "500"], more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(acked(&output), EVENTS);
    node.await_count(index, EVENTS, || agent.story());
    node.assert_each_once(index, EVENTS);
    let one = &node.sources(index)[0];
    let seq = one["seq"].as_u64().unwrap();
    assert_eq!(one["message"], format!("lumberjack event seq={seq}"));
    assert_eq!(one["agent"]["type"], "filebeat");
    assert_eq!(one["log"]["offset"], seq * 64);
    assert_eq!(one["host"]["name"], "lumberjack-host", "the sender's host, not the agent's");
}

#[test]
fn events_of_a_beat_arrive_once_and_acknowledged_equals_stored() {
    delivers("beats-plain", &[]);
}

#[test]
fn compressed_events_of_a_beat_arrive_once_and_acknowledged_equals_stored() {
    delivers("beats-compressed", &["-compress", "3", "-padding", "2000"]);
}

#[test]
fn what_was_acknowledged_survives_a_kill_right_after_the_acknowledgement() {
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    let way = Way::closed(&node.url);
    let port_text = port.to_string();
    home.pipeline(PIPELINE, &[("ES", &way.url), ("INDEX", "beats-acked"), ("PORT", &port_text)]);
    // The cluster is away, so the journal is the only place where they can be.
    for round in 0..5 {
        let agent = home.start();
        let start = (round * 1000).to_string();
        let output = send(port, &["-count", "1000", "-batch", "250", "-seq-start", &start]);
        agent.kill();
        assert_eq!(acked(&output), 1000, "{}", text(&output.stderr));
    }
    let _open = way.open();
    let agent = home.start();
    node.await_count("beats-acked", 5000, || agent.story());
    node.assert_each_once("beats-acked", 5000);
}

#[test]
fn a_client_whose_agent_was_killed_sends_again_and_nothing_is_missing() {
    const EVENTS: u64 = 20_000;
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    let port_text = port.to_string();
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "beats-again"), ("PORT", &port_text)]);
    let (mut done, mut failures) = (0, 0);
    while done < EVENTS {
        let agent = home.start();
        let (count, start) = ((EVENTS - done).to_string(), done.to_string());
        let mut client = Command::new(cached("bin/lumberjack-send"));
        client.args(["-addr", &format!("127.0.0.1:{port}"), "-batch", "100", "-pause", "5ms"]);
        client.args(["-count", &count, "-seq-start", &start]);
        let client = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if failures < 4 {
            let goal = 1_000 * (failures + 1);
            agent.until("some were read", || agent.metric("logweir_events_read_total", &[]) > goal);
            agent.kill();
            failures += 1;
            done += acked(&client.wait_with_output().unwrap());
        } else {
            done += acked(&client.wait_with_output().unwrap());
        }
    }
    assert_eq!(failures, 4);
    let agent = home.start();
    agent.until("nothing waits", || agent.metric("logweir_output_lag_documents", &[]) == 0);
    let sequence = |d: &serde_json::Value| d["seq"].as_u64().unwrap();
    let mut numbers: Vec<u64> = node.sources("beats-again").iter().map(sequence).collect();
    let stored = numbers.len() as u64;
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..EVENTS).collect::<Vec<_>>(), "every event is there");
    // Only windows in flight at a kill can come again.
    assert!(stored - EVENTS <= 4 * 100, "{stored} stored of {EVENTS}");
}
