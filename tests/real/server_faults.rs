//! A server that fails again and again while the agent ships: the real Elasticsearch killed, connections cut after
//! the documents were stored, and servers that answer wrongly as told.
//!
//! Short here; `tests/long/server-faults.sh` runs the same tests for `LOGWEIR_FAULT_ROUNDS` rounds each.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Agent, Home};
use crate::bulk_server::{BulkServer, Faults, is_bad};
use crate::machine::{Random, bound, free_port, lines, pause, run, start, until};
use crate::nodes::{assert_each_once, elasticsearch, get_json, own};
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
bulk_size = "64KiB"
"#;

/// Rounds of the long form; `short` of them otherwise.
fn rounds(short: u64) -> u64 {
    let given = std::env::var("LOGWEIR_FAULT_ROUNDS").ok();
    given.map_or(short, |n| n.parse().expect("LOGWEIR_FAULT_ROUNDS is a number"))
}

fn numbered(from: u64, to: u64) -> String {
    lines((from..to).map(|seq| json!({"seq": seq, "message": format!("event {seq}")})))
}

fn documents(agent: &Agent, result: &str) -> u64 {
    agent.metric("logweir_output_documents_total", &[&format!("result=\"{result}\"")]) as u64
}

/// Waits until all of the lines are stored or dead letters by the agent's own account.
fn until_settled(agent: &Agent, lines: u64) {
    agent.until("all lines are accounted for", || {
        let settled = ["delivered", "deduplicated", "dead"].map(|r| documents(agent, r));
        let settled = settled.iter().sum::<u64>();
        assert!(settled <= lines, "{settled} of {lines} settled: {}", agent.story());
        settled == lines && agent.metric("logweir_output_lag_documents", &[]) == 0
    });
}

#[test]
fn everything_is_there_once_though_elasticsearch_is_killed_again_and_again_in_mid_load() {
    let (mut node, home, mut random) = (own(), Home::new(), Random::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "killed")]);
    let agent = home.start();
    let kills = rounds(1);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = {
        let path = home.path("app.log");
        std::thread::spawn(move || {
            let mut file = std::fs::File::create(path).unwrap();
            let mut seq = 0;
            while stopped.try_recv().is_err() {
                file.write_all(numbered(seq, seq + 20).as_bytes()).unwrap();
                seq += 20;
                pause(Duration::from_millis(10));
            }
            seq
        })
    };
    for kill in 1..=kills {
        let before = node.count("killed");
        agent.until("the load goes on", || node.count("killed") > before + 1_000);
        pause(Duration::from_millis(random.below(1_000)));
        node.stop("KILL");
        let why = agent.until_health("app/outputs.logs", "paused");
        assert!(why.contains(&node.url) && why.contains("kept in the journal"), "{why}");
        assert!(agent.metric("logweir_output_lag_documents", &[]) > 0, "{}", agent.story());
        node.start_again();
        println!("kill {kill} of {kills}: {} documents are there", node.count("killed"));
    }
    stop.send(()).unwrap();
    let written = writer.join().unwrap();
    node.await_count("killed", written, || agent.story());
    node.assert_each_once("killed", written);
    until_settled(&agent, written);
    agent.until_health("app/outputs.logs", "ok");
    println!("{kills} kills, {written} lines, {} repeats", documents(&agent, "deduplicated"));
}

#[test]
fn what_was_stored_before_its_connection_was_cut_is_sent_again_and_stored_once() {
    let lines = 10_000 * rounds(1);
    let (node, home) = (elasticsearch(), Home::new());
    let proxy = Proxy::new(&node.url, Way::Cut(30));
    let url = format!("http://{}", proxy.address);
    home.pipeline(PIPELINE, &[("ES", &url), ("INDEX", "cut")]);
    home.append("app.log", numbered(0, lines));
    let agent = home.start();
    node.await_count("cut", lines, || agent.story());
    node.assert_each_once("cut", lines);
    until_settled(&agent, lines);
    let (cuts, repeats) = (proxy.cuts(), documents(&agent, "deduplicated"));
    println!("{lines} lines, {cuts} answers cut, {repeats} repeats");
    assert!(cuts > 0 && repeats > 0, "{cuts} cuts, {repeats} repeats");
    agent.until_logged("broke the connection");
}

/// Ships to a server with these faults and compares what it has with what the agent says.
fn survives(faults: Faults, lines: u64) {
    let (server, home) = (BulkServer::start(faults), Home::new());
    home.pipeline(PIPELINE, &[("ES", &server.url), ("INDEX", "faults")]);
    home.append("app.log", numbered(0, lines));
    let agent = home.start();
    until_settled(&agent, lines);
    let seen = server.seen.lock().unwrap();
    let bad: Vec<u64> = (0..lines).filter(|seq| is_bad(*seq, faults.bad_items)).collect();
    let mut all: Vec<u64> = seen.stored.values().copied().collect();
    assert!(all.iter().all(|seq| !is_bad(*seq, faults.bad_items)));
    assert_eq!(documents(&agent, "dead"), bad.len() as u64, "{}", agent.story());
    all.extend(bad);
    assert_each_once(all, lines);
    // An answer that tells of a repeat may be lost as well.
    assert!(documents(&agent, "deduplicated") <= seen.conflicts, "{}", agent.story());
    println!(
        "{faults:?}: {lines} lines once; {} requests refused, {} cut, {} documents busy, {} repeats, {} dead",
        seen.refused,
        seen.cut,
        seen.busy,
        seen.conflicts,
        documents(&agent, "dead")
    );
}

#[test]
fn each_document_is_settled_once_with_each_fault_of_a_server_and_with_all_at_once() {
    let none = Faults::default();
    let delay = Duration::from_millis(100);
    for faults in [
        Faults { unavailable: 30, ..none },
        Faults { busy: 30, ..none },
        Faults { busy_items: 5, ..none },
        Faults { bad_items: 5, ..none },
        Faults { dropped: 30, ..none },
        Faults { truncated: 30, ..none },
        Faults { delay, ..none },
    ] {
        survives(faults, 10_000);
    }
    let mut random = Random::new();
    for _ in 0..rounds(1) {
        let mut percent = || random.below(20);
        let (unavailable, busy, busy_items) = (percent(), percent(), percent());
        let (bad_items, dropped, truncated) = (percent(), percent(), percent());
        let delay = Duration::from_millis(random.below(20));
        let all = Faults { unavailable, busy, busy_items, bad_items, dropped, truncated, delay };
        survives(all, 10_000);
    }
}

/// The stand-in of the shared benchmark, built from its source; `None`: there is no such folder here.
fn essink() -> Option<PathBuf> {
    let bench = PathBuf::from(std::env::var_os("LOGWEIR_BENCH")?);
    let source = bench.join("essink");
    for file in ["go.mod", "go.sum", "main.go"] {
        assert!(source.join(file).exists(), "LOGWEIR_BENCH has no essink/{file}");
    }
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).join("essink");
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/go/bin";
    let mut build = Command::new("go");
    build.env("PATH", path).env("GOFLAGS", "-buildvcs=false").arg("build").arg("-C").arg(source);
    run(build.arg("-o").arg(&binary).arg("."));
    Some(binary)
}

#[test]
fn each_document_arrives_once_at_the_benchmarks_server_with_each_of_its_faults() {
    let Some(essink) = essink() else { return println!("LOGWEIR_BENCH is not set") };
    let (lines, repeated) = (10_000, rounds(1));
    let flags =
        ["-p503=0.3", "-p429=0.3", "-pitem429=0.05", "-pitem400=0.05", "-drop=0.3", "-delay=100ms"];
    for flag in (0..repeated).flat_map(|_| flags) {
        let (home, port) = (Home::new(), free_port());
        let mut command = bound("KILL", &essink);
        command.arg(format!("-addr=127.0.0.1:{port}")).arg(flag).arg("-maxseq=100000");
        let mut child = start(command);
        let url = format!("http://127.0.0.1:{port}");
        let stats = || get_json(&format!("{url}/__stats"));
        until("essink answers", || stats() != Value::Null, String::new);
        home.pipeline(PIPELINE, &[("ES", &url), ("INDEX", "logs-essink")]);
        home.append("app.log", numbered(0, lines));
        let agent = home.start();
        until_settled(&agent, lines);
        let (stats, dead) = (stats(), documents(&agent, "dead"));
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        assert_eq!(number(&stats["distinct"]["logs"]) + dead, lines, "{flag}: {stats}");
        assert_eq!(number(&stats["docs"]) + dead, lines, "{flag}: {stats}");
        assert_eq!(number(&stats["dup"]["logs"]), 0, "{flag}: {stats}");
        assert_eq!(dead > 0, flag.starts_with("-pitem400"), "{flag}: {dead} dead");
        let (refused, repeats) = (&stats["refused"], &stats["conflicts"]);
        println!("{flag}: {lines} lines once; {refused} refused, {repeats} repeats, {dead} dead");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
