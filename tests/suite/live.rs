//! A running agent, as people meet it: the admin port, `tap`, `top`, and a configuration that changes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{logweir, stderr, stdout};

/// Longest wait for anything; a test that passes waits for milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

struct Agent {
    folder: TempDir,
    child: Child,
    admin: String,
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Reads `app.log`, masks, and writes `out.log`; `extra` stands in the pipeline.
fn configuration(folder: &Path, extra: &str) -> String {
    let folder = folder.display();
    format!(
        "[inputs.app]\ntype = \"file\"\npaths = [\"{folder}/app.log\"]\n\n\
         [[filters]]\ntype = \"grok\"\nfield = \"message\"\npatterns = ['^%{{LOGLEVEL:level}} %{{GREEDYDATA:msg}}']\n\n\
         [[filters]]\ntype = \"redact\"\nkeys = [\"password\"]\n\n{extra}\n\
         [outputs.out]\ntype = \"file\"\npath = \"{folder}/out.log\"\n"
    )
}

impl Agent {
    fn start(extra: &str, arguments: &[&str]) -> Agent {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("pipelines")).unwrap();
        let agent = Agent::start_in(folder, extra, arguments);
        agent.until("ready", || agent.get("/ready", "").starts_with("HTTP/1.1 200"));
        agent
    }

    fn start_in(folder: TempDir, extra: &str, arguments: &[&str]) -> Agent {
        let admin = free_address();
        fs::write(folder.path().join("app.log"), "").unwrap();
        let text = configuration(folder.path(), extra);
        fs::write(folder.path().join("pipelines/app.toml"), text).unwrap();
        let log = fs::File::create(folder.path().join("agent.log")).unwrap();
        let mut command = logweir();
        command.args(["run", "--admin", &admin, "--data-dir"]).arg(folder.path().join("data"));
        command.args(arguments).arg(folder.path().join("pipelines"));
        let child = command.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        Agent { folder, child, admin }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, lines: &str) {
        let mut file = fs::OpenOptions::new().append(true).open(self.path("app.log")).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
    }

    fn change(&self, extra: &str) {
        fs::write(self.path("pipelines/app.toml"), configuration(self.folder.path(), extra))
            .unwrap();
    }

    /// The whole answer, with its head.
    fn get(&self, path: &str, headers: &str) -> String {
        let Ok(mut socket) = TcpStream::connect(&self.admin) else { return String::new() };
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\n{headers}connection: close\r\n\r\n",
            self.admin
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let _ = socket.read_to_string(&mut answer);
        answer
    }

    fn metric(&self, series: &str) -> f64 {
        let answer = self.get("/metrics", "");
        let line = answer.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            let log = || fs::read_to_string(self.path("agent.log")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "waited too long: {what}\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = logweir();
        command.args([name, "--admin", &self.admin]).args(arguments).stdin(Stdio::null());
        command
    }

    fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tap_shows_events_at_each_point_without_their_secrets() {
    let agent = Agent::start("", &[]);
    for (at, has_level) in [("input", false), ("1", true), ("2", true), ("output", true)] {
        let arguments = ["--at", at, "--limit", "1", "--when", "message =~ /wanted/", "app"];
        let mut tap = agent.command("tap", &arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(tap.stdout.take().unwrap());
        // The tap may not be there yet for the first lines.
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    agent.append("INFO other password=geheim\nERROR wanted password=geheim\n");
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            lines.read_line(&mut line).unwrap();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(tap.wait().unwrap().code(), Some(0), "{at}");
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["message"], "ERROR wanted password=***", "{at}");
        assert_eq!(
            event["level"],
            if has_level { "ERROR".into() } else { serde_json::Value::Null }
        );
        assert_eq!(event.get("@route").is_some(), at == "output", "{line}");
        assert!(!line.contains("geheim"), "{at}: {line}");
    }
    let wrong = agent.command("tap", &["--when", "a =="]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("the condition is wrong at byte"), "{}", stderr(&wrong));
    agent.stop();
}

#[test]
fn top_and_the_page_show_the_pipeline() {
    let agent = Agent::start("", &[]);
    agent.append("INFO a\n");
    agent.until("delivered", || {
        fs::read_to_string(agent.path("out.log")).is_ok_and(|t| !t.is_empty())
    });
    // The line is in the file before the cursor has passed it.
    let lag = "logweir_output_lag_documents{pipeline=\"app\",output=\"out\"}";
    agent.until("the cursor", || agent.get("/metrics", "").contains(&format!("{lag} 0")));
    let top = agent.command("top", &["--once", "--interval", "100ms"]).output().unwrap();
    assert_eq!(top.status.code(), Some(0), "{}", stderr(&top));
    for word in ["app  journal ", "inputs.app", "outputs.out", "delivered/s", "0 waiting"] {
        assert!(stdout(&top).contains(word), "{word} in {}", stdout(&top));
    }
    let page = agent.get("/", "");
    for word in ["200 OK", "<h2>app</h2>", "everything works", "Last errors"] {
        assert!(page.contains(word), "{word} in {page}");
    }
    agent.stop();
    let gone = logweir().args(["top", "--once", "--admin", "127.0.0.1:1"]).output().unwrap();
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("cannot ask the agent at 127.0.0.1:1"), "{}", stderr(&gone));
}

#[test]
fn with_a_token_only_who_knows_it_sees_more_than_health() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "geheim\n").unwrap();
    let token = token.to_str().unwrap();
    let agent = Agent::start("", &["--admin-token-file", token]);
    assert!(agent.get("/health", "").starts_with("HTTP/1.1 200"));
    for path in ["/", "/metrics", "/tap"] {
        assert!(agent.get(path, "").starts_with("HTTP/1.1 401"), "{path}");
    }
    assert!(agent.get("/metrics", "authorization: Bearer geheim\r\n").starts_with("HTTP/1.1 200"));
    let top = |arguments: &[&str]| agent.command("top", arguments).output().unwrap();
    let refused = top(&["--once"]);
    assert!(stderr(&refused).contains("this needs the admin token"), "{}", stderr(&refused));
    let known = top(&["--once", "--interval", "100ms", "--admin-token-file", token]);
    assert_eq!(known.status.code(), Some(0), "{}", stderr(&known));
    let empty =
        logweir().args(["run", "--admin-token-file", "/dev/null", "x.toml"]).output().unwrap();
    assert_eq!(empty.status.code(), Some(78));
    assert!(stderr(&empty).contains("the file is empty"), "{}", stderr(&empty));
    agent.stop();
}

#[test]
fn a_changed_file_reloads_and_a_bad_one_leaves_the_old_running_and_is_said() {
    let agent = Agent::start("", &[]);
    agent.change("[[filters]]\ntype = \"set\"\nfields = { color = \"green\" }\n");
    agent.until("reloaded", || agent.metric("logweir_reloads_total{result=\"done\"}") >= 1.0);
    agent.append("INFO a\n");
    agent.until("the new filter", || {
        fs::read_to_string(agent.path("out.log")).is_ok_and(|t| t.contains("\"color\":\"green\""))
    });
    agent.change("[[filters]]\ntype = \"sett\"\n");
    agent.until("refused", || agent.metric("logweir_reloads_total{result=\"refused\"}") >= 1.0);
    let health = agent.get("/health", "");
    assert!(
        health.contains("the files on disk have mistakes, the old configuration goes on"),
        "{health}"
    );
    assert!(health.contains("there is no filter"), "{health}");
    assert!(fs::read_to_string(agent.path("agent.log")).unwrap().contains("not reloaded"));
    agent.append("INFO b\n");
    agent.until("the old pipeline", || {
        fs::read_to_string(agent.path("out.log")).is_ok_and(|t| t.contains("INFO b"))
    });
    agent.change("");
    agent.until("good again", || {
        agent.get("/health", "").contains("\"configuration\":{\"reason\":null")
    });
    agent.stop();
}

#[test]
fn a_pipeline_that_cannot_be_started_at_a_reload_is_started_once_it_can() {
    let agent = Agent::start("", &[]);
    let journal = agent.path("data/late/journal");
    fs::create_dir_all(&journal).unwrap();
    let lock = fs::File::create(journal.join("lock")).unwrap();
    lock.lock().unwrap();
    let text =
        "[inputs.in]\ntype = \"udp\"\nlisten = \"127.0.0.1:0\"\n[outputs.out]\ntype = \"null\"\n";
    fs::write(agent.path("pipelines/late.toml"), text).unwrap();
    agent.until("a try", || agent.metric("logweir_reloads_total{result=\"failed\"}") >= 1.0);
    let health = agent.get("/health", "");
    assert!(health.contains("pipelines were not started: late"), "{health}");
    assert!(health.contains("it is tried again every 10 seconds"), "{health}");
    drop(lock);
    agent.until("started", || {
        agent.get("/health", "").contains("\"configuration\":{\"reason\":null")
    });
    assert!(agent.get("/health", "").contains("late/"), "{}", agent.get("/health", ""));
    agent.stop();
}

/// `LOGWEIR_RELOADS` says how many.
#[test]
fn many_reloads_under_load_lose_nothing_and_leave_no_descriptor_or_memory_behind() {
    let reloads = std::env::var("LOGWEIR_RELOADS").ok().and_then(|n| n.parse().ok()).unwrap_or(50);
    let agent = Agent::start("", &["--no-watch"]);
    let id = rustix::process::Pid::from_child(&agent.child);
    let done = std::sync::atomic::AtomicBool::new(false);
    let (mut first, mut memory, mut written) = (0.0, 0.0, 0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0_u32;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let lines: String =
                    (number..number + 50).map(|n| format!("INFO line={n};\n")).collect();
                agent.append(&lines);
                number += 50;
                std::thread::sleep(Duration::from_millis(5));
            }
            number
        });
        for round in 1..=reloads {
            agent.change(&format!("[[filters]]\ntype = \"set\"\nfields = {{ round = {round} }}\n"));
            rustix::process::kill_process(id, rustix::process::Signal::HUP).unwrap();
            let series = "logweir_reloads_total{result=\"done\"}";
            agent.until("reloaded", || agent.metric(series) >= f64::from(round));
            if round == 3 {
                first = agent.metric("process_open_fds");
            }
            // By then the allocator has what a reload needs beside the running pipeline.
            if round == reloads / 2 {
                memory = agent.metric("process_resident_memory_bytes");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        written = writer.join().unwrap();
    });
    let last = format!("line={};", written - 1);
    let out = agent.path("out.log");
    agent.until("the last line", || fs::read_to_string(&out).is_ok_and(|t| t.contains(&last)));
    let text = fs::read_to_string(&out).unwrap();
    let number = |line: &str| -> u32 {
        let rest = line.split("line=").nth(1).unwrap();
        rest.split(';').next().unwrap().parse().unwrap()
    };
    let mut numbers: Vec<u32> = text.lines().map(number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), written as usize, "lines that arrived of those that were written");
    let descriptors = agent.metric("process_open_fds");
    assert!(descriptors <= first + 4.0, "{first} descriptors in round 3, {descriptors} at the end");
    let (before, after) = (memory / 1e6, agent.metric("process_resident_memory_bytes") / 1e6);
    println!(
        "{reloads} reloads: {written} lines, {descriptors} descriptors, {before:.1} and {after:.1} MB"
    );
    // A pipeline that stays behind is more than its buffers: over a megabyte a reload.
    assert!(after <= before + 12.0, "{before:.1} MB halfway, {after:.1} MB at the end");
    agent.stop();
}

/// A collector that answers its first requests with these statuses and all others with 200; gives their bodies.
fn collector(statuses: &'static [u16]) -> (String, std::sync::mpsc::Receiver<serde_json::Value>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, bodies) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter();
        for socket in listener.incoming() {
            let mut reader = BufReader::new(socket.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {
                let last = head.trim_end().lines().last().unwrap_or_default().to_lowercase();
                if let Some(value) = last.strip_prefix("content-length: ") {
                    length = value.parse().unwrap();
                }
            }
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = statuses.next().unwrap_or(&200);
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
            );
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            if *status == 200 && sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, bodies)
}

#[test]
fn a_collector_gets_the_story_of_a_batch_from_reading_to_the_output() {
    let (url, bodies) = collector(&[503]);
    let agent = Agent::start("", &["--otlp-endpoint", &url, "--otlp-sample", "1"]);
    agent.append("INFO one\nINFO two\n");
    let request = bodies.recv_timeout(PATIENCE).expect("a request, after the first was put off");
    let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap();
    let named = |name: &str| spans.iter().find(|span| span["name"] == name).expect(name);
    let time = |span: &serde_json::Value, key: &str| -> u64 {
        span[key].as_str().unwrap().parse().unwrap()
    };
    let batch = named("batch");
    assert_eq!(batch.get("parentSpanId"), None);
    for name in ["wait", "filter", "journal", "output out"] {
        let span = named(name);
        assert_eq!(span["traceId"], batch["traceId"], "{name}");
        assert_eq!(span["parentSpanId"], batch["spanId"], "{name}");
        assert!(time(span, "startTimeUnixNano") <= time(span, "endTimeUnixNano"), "{name}");
        assert!(time(span, "endTimeUnixNano") <= time(batch, "endTimeUnixNano"), "{name}");
    }
    let attributes = batch["attributes"].to_string();
    assert!(
        attributes.contains(r#""key":"logweir.pipeline","value":{"stringValue":"app"}"#),
        "{attributes}"
    );
    agent.until("counted", || agent.metric("logweir_traces_total{result=\"sent\"}") >= 1.0);
    agent.stop();
}

#[test]
fn without_a_collector_nothing_is_traced_and_one_that_refuses_is_said_once() {
    let agent = Agent::start("", &[]);
    assert!(!agent.get("/metrics", "").contains("logweir_traces_total"));
    agent.stop();

    let (url, _bodies) = collector(&[401; 1000]);
    let agent = Agent::start("", &["--otlp-endpoint", &url, "--otlp-sample", "1"]);
    for round in 1..=2 {
        agent.append("INFO one\n");
        let dropped = || agent.metric("logweir_traces_total{result=\"dropped\"}");
        agent.until("dropped", || dropped() >= f64::from(round));
    }
    let log = fs::read_to_string(agent.path("agent.log")).unwrap();
    assert_eq!(log.matches("traces cannot be sent to").count(), 1, "{log}");
    agent.stop();
}
