//! What an Elasticsearch does to its clients: it restarts, crashes, refuses an index, is away for long.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::agent::Home;
use crate::machine::{free_port, lines, pause};
use crate::nodes::{elasticsearch, own};

/// A way to a server that can be opened: until then connections to its port are refused.
pub struct Way {
    /// Where clients connect.
    pub url: String,
    port: u16,
    to: String,
}

impl Way {
    /// A closed way to a server.
    pub fn closed(to: &str) -> Way {
        let port = free_port();
        Way { url: format!("http://127.0.0.1:{port}"), port, to: to.replace("http://", "") }
    }

    /// Lets connections through from now on, until dropped.
    pub fn open(&self) -> Open {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (to, ends) = (self.to.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(&to) else { continue };
                pump(client.try_clone().unwrap(), server.try_clone().unwrap());
                pump(server, client);
            }
        });
        Open { over, port: self.port }
    }
}

/// An open way.
pub struct Open {
    over: Arc<AtomicBool>,
    port: u16,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(n) = from.read(&mut buffer) {
            if n == 0 || to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}

const ONE_FILE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

fn numbered(from: u64, to: u64) -> String {
    lines((from..to).map(|seq| json!({"seq": seq, "message": format!("event {seq}")})))
}

/// Stops the node in the middle of a load and starts it again.
fn survives_a_stop(how: &str, index: &str) {
    const LINES: u64 = 60_000;
    let (mut node, home) = (own(), Home::new());
    home.pipeline(ONE_FILE, &[("ES", &node.url), ("INDEX", index)]);
    let agent = home.start();
    let writer = {
        let path = home.path("app.log");
        std::thread::spawn(move || {
            let mut file = std::fs::File::create(path).unwrap();
            for burst in 0..LINES / 100 {
                file.write_all(numbered(burst * 100, burst * 100 + 100).as_bytes()).unwrap();
                pause(Duration::from_millis(10));
            }
        })
    };
    agent.until("the load has begun", || node.count(index) > 2_000);
    node.stop(how);
    let why = agent.until_health("app/outputs.logs", "paused");
    assert!(why.contains(&node.url) && why.contains("kept"), "{why}");
    writer.join().unwrap();
    assert!(agent.metric("logweir_output_lag_documents", &[]) > 0, "{}", agent.story());
    node.start_again();
    node.await_count(index, LINES, || agent.story());
    node.assert_each_once(index, LINES);
    agent.until_health("app/outputs.logs", "ok");
}

#[test]
fn elasticsearch_stops_in_the_middle_of_a_load_and_everything_is_there_once_it_is_back() {
    survives_a_stop("TERM", "stopped");
}

#[test]
fn an_index_that_the_cluster_refuses_is_named_with_advice_and_its_documents_wait_for_permission() {
    const LINES: u64 = 3_000;
    let (node, home) = (own(), Home::new());
    let allow = |value: serde_json::Value| {
        node.put("/_cluster/settings", &json!({"persistent": {"action.auto_create_index": value}}));
    };
    allow(json!("+logs-*,-*"));
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/app.log"]
        codec = "json"
        [outputs.logs]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "logs-refused-app"
        [outputs.errors]
        type = "elasticsearch"
        when = 'level == "ERROR"'
        hosts = ["@ES@"]
        index = "errors-refused-app"
        "#,
        &[("ES", &node.url)],
    );
    let line = |seq: u64| {
        let level = if seq.is_multiple_of(3) { "ERROR" } else { "INFO" };
        format!("{}\n", json!({"seq": seq, "number": seq / 3, "level": level}))
    };
    home.append("app.log", (0..LINES).map(line).collect::<String>());
    let agent = home.start();
    node.await_count("logs-refused-app", LINES, || agent.story());
    let why = agent.until_health("app/outputs.errors", "degraded");
    for part in ["errors-refused-app", "action.auto_create_index", "may not be created"] {
        assert!(why.contains(part), "health names {part}: {why}");
        agent.until_logged(part);
    }
    assert_eq!(agent.health("app/outputs.logs").0, "ok", "the other output goes on");
    assert_eq!(node.count("errors-refused-app"), 0);
    // A restart in between changes nothing.
    assert!(agent.stop().success());
    home.append("app.log", (LINES..2 * LINES).map(line).collect::<String>());
    let agent = home.start();
    node.await_count("logs-refused-app", 2 * LINES, || agent.story());
    allow(json!("+logs-*,+errors-*,-*"));
    node.await_count("errors-refused-app", 2 * LINES / 3, || agent.story());
    node.assert_each_once("logs-refused-app", 2 * LINES);
    agent.until_health("app/outputs.errors", "ok");
    assert_eq!(agent.metric("logweir_output_documents_total", &["result=\"dead\""]), 0);
    allow(json!(null));
}

#[test]
fn an_output_that_is_dead_for_the_whole_run_delays_no_other_and_gets_everything_later() {
    const LINES: u64 = 30_000;
    let (node, home) = (elasticsearch(), Home::new());
    let way = Way::closed(&node.url);
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/app.log"]
        codec = "json"
        [outputs.alive]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "isolated-alive"
        [outputs.dead]
        type = "elasticsearch"
        hosts = ["@DEAD@"]
        index = "isolated-dead"
        "#,
        &[("ES", &node.url), ("DEAD", &way.url)],
    );
    home.append("app.log", numbered(0, LINES / 2));
    let agent = home.start();
    node.await_count("isolated-alive", LINES / 2, || agent.story());
    let why = agent.until_health("app/outputs.dead", "paused");
    assert!(why.contains(&way.url) && why.contains("efused"), "{why}");
    assert_eq!(
        agent.metric("logweir_output_lag_documents", &["output=\"dead\""]),
        LINES as i64 / 2
    );
    // Dead also while the agent stops and starts.
    assert!(agent.stop().success());
    home.append("app.log", numbered(LINES / 2, LINES));
    let agent = home.start();
    node.await_count("isolated-alive", LINES, || agent.story());
    assert_eq!(node.count("isolated-dead"), 0);
    let _open = way.open();
    node.await_count("isolated-dead", LINES, || agent.story());
    node.assert_each_once("isolated-alive", LINES);
    node.assert_each_once("isolated-dead", LINES);
}
