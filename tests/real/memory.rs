//! The bound of memory: with everything stuck it holds, and with the least there may be everything goes on.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread::JoinHandle;

use serde_json::json;

use crate::agent::{Agent, Home};
use crate::beats::{acked, send};
use crate::faults::Way;
use crate::machine::free_port;
use crate::nodes::elasticsearch;

const MIB: u64 = 1024 * 1024;

/// What stacks, tables and the allocator's holes take besides the buffers. The promise is 32 MiB with the code, of which
/// a release build has less than 12 in memory.
const BESIDES: u64 = 20 * MIB;

/// The most memory that the agent ever had, less the pages of its own program file, in bytes. Those are the kernel's
/// to take back, and a debug build has four times as many as a release.
pub fn peak(agent: &Agent) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let bytes = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    println!(
        "{} MiB at the most, {} MiB of files now",
        bytes("VmHWM:") / MIB,
        bytes("RssFile:") / MIB
    );
    bytes("VmHWM:").saturating_sub(bytes("RssFile:"))
}

/// Sends lines with the numbers `from..to` over one connection.
fn sender(port: u16, from: u64, to: u64) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        for seq in from..to {
            if stream.write_all(line(seq).as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn line(seq: u64) -> String {
    format!("{}\n", json!({"seq": seq, "message": "a line of usual length ".repeat(12)}))
}

#[test]
fn with_elasticsearch_away_until_the_journal_is_full_memory_stays_within_its_bound() {
    const LIMIT: u64 = 24 * MIB;
    let (mut home, port, way) = (Home::new(), free_port(), Way::closed("127.0.0.1:1"));
    home.set("LOGWEIR_MEMORY_MAX", "24MiB");
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/*.log"]
        [inputs.net]
        type = "tcp"
        listen = "127.0.0.1:@PORT@"
        codec = "json"
        [journal]
        max_size = "48MiB"
        [outputs.logs]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "away"
        [outputs.others]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "away-others"
        compression = "none"
        "#,
        &[("ES", &way.url), ("PORT", &port.to_string())],
    );
    home.append("usual.log", (0..100_000).map(line).collect::<String>());
    home.append("empty.log", "\n".repeat(1024 * 1024));
    home.append("long.log", format!("{}\n", "x".repeat(900_000)).repeat(10));
    let agent = home.start();
    let senders: Vec<_> = (0..20).map(|_| sender(port, 0, 5_000)).collect();
    agent.until("the journal is full", || agent.health("app/journal").1.contains("its quota"));
    let (peak, used) = (peak(&agent), agent.metric("logweir_memory_budget_bytes", &[]));
    println!("peak {} MiB, {} MiB booked of {}", peak / MIB, used as u64 / MIB, LIMIT / MIB);
    assert!(peak <= LIMIT + BESIDES, "{} MiB\n{}", peak / MIB, agent.story());
    assert_eq!(agent.metric("logweir_memory_limit_bytes", &[]), LIMIT as i64);
    // Lines of nearly a megabyte: what is booked without waiting (one chunk, a frame for each output) is large beside
    // so small a budget.
    assert!(used <= (LIMIT + LIMIT / 4) as i64, "{used} bytes booked\n{}", agent.story());
    drop(agent);
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn with_the_least_memory_every_input_and_output_goes_on_whatever_the_others_hold() {
    const EACH: u64 = 4_000;
    let (node, mut home) = (elasticsearch(), Home::new());
    let (tcp, beats) = (free_port(), free_port());
    let (way, nowhere) = (Way::closed(&node.url), Way::closed("127.0.0.1:1"));
    // Two pipelines and five outputs.
    home.set("LOGWEIR_MEMORY_MAX", "36MiB");
    let values = [
        ("ES", node.url.as_str()),
        ("LATE", &way.url),
        ("NOWHERE", &nowhere.url),
        ("TCP", &tcp.to_string()),
        ("BEATS", &beats.to_string()),
    ];
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/disk.log"]
        codec = "json"
        [inputs.net]
        type = "tcp"
        listen = "127.0.0.1:@TCP@"
        codec = "json"
        [inputs.beats]
        type = "beats"
        listen = "127.0.0.1:@BEATS@"
        [outputs.alive]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "least-alive"
        [outputs.late]
        type = "elasticsearch"
        hosts = ["@LATE@"]
        index = "least-late"
        [outputs.alerts]
        type = "slack"
        webhook_url = "@NOWHERE@/hook"
        "#,
        &values,
    );
    home.named_pipeline(
        "memory",
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/memory.log"]
        codec = "json"
        [journal]
        mode = "memory"
        [outputs.late]
        type = "elasticsearch"
        hosts = ["@LATE@"]
        index = "least-memory"
        [outputs.nowhere]
        type = "elasticsearch"
        hosts = ["@NOWHERE@"]
        index = "least-nowhere"
        best_effort = true
        "#,
        &values,
    );
    home.append("memory.log", (0..4 * EACH).map(line).collect::<String>());
    home.append("disk.log", (2 * EACH..4 * EACH).map(line).collect::<String>());
    let agent = home.start();
    let senders = [sender(tcp, EACH, EACH + EACH / 2), sender(tcp, EACH + EACH / 2, 2 * EACH)];
    let output = send(beats, &["-count", &EACH.to_string(), "-batch", "2000", "-compress", "3"]);
    assert_eq!(acked(&output), EACH);
    for sender in senders {
        sender.join().unwrap();
    }
    // One pipeline is stuck in memory, one output is dead: the other ones have everything.
    node.await_count("least-alive", 4 * EACH, || agent.story());
    assert_eq!(node.count("least-late") + node.count("least-memory"), 0);
    let _open = way.open();
    for index in ["least-late", "least-memory", "least-alive"] {
        node.await_count(index, 4 * EACH, || agent.story());
        node.assert_each_once(index, 4 * EACH);
    }
    println!("peak {} MiB", peak(&agent) / MIB);
}

#[test]
fn less_memory_than_the_pipelines_need_is_refused_with_the_number_they_need() {
    let mut home = Home::new();
    home.set("LOGWEIR_MEMORY_MAX", "8MiB");
    home.pipeline("[inputs.in]\ntype = \"stdin\"\n[outputs.out]\ntype = \"stdout\"\n", &[]);
    let output = home.run_to_its_end();
    assert_eq!(output.status.code(), Some(78));
    let said = crate::machine::text(&output.stderr);
    assert!(said.contains("--memory-max is 8 MiB") && said.contains("12MiB"), "{said}");
}
