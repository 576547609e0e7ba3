//! The agent is killed again and again while it ships a file that logrotate rotates: every line once.
//!
//! `LOGWEIR_KILLS` sets how often it is killed in each test (`tests/long/kills.sh` is the long form),
//! `LOGWEIR_TEST_SEED` when.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::agent::Home;
use crate::machine::{Random, pause, run};
use crate::nodes::elasticsearch;

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/logs/@GLOB@"]
codec = "@CODEC@"
@FILTER@
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

/// For events of several lines. The last one waits so long for more.
const JOIN: &str = r#"
[[filters]]
type = "multiline"
continue = '^\s'
timeout = "10s"
"#;

/// What a test does to the agent.
struct Plan {
    index: &'static str,
    glob: &'static str,
    options: &'static str,
    kills: u64,
    /// Codec, filter, and what the service writes under a number.
    kind: Kind,
}

/// What the service writes, and how it is read.
#[derive(Clone, Copy)]
struct Kind {
    codec: &'static str,
    filter: &'static str,
    text: fn(u64) -> String,
}

const JSON: Kind = Kind { codec: "json", filter: "", text: json };
const STACK: Kind = Kind { codec: "plain", filter: JOIN, text: stack };

fn json(seq: u64) -> String {
    format!("{{\"seq\":{seq},\"message\":\"line {seq} of the service\"}}\n")
}

fn stack(seq: u64) -> String {
    format!("seq={seq} something failed\n  at one of {seq}\n  at the end of {seq}\n")
}

/// Lines that the service writes every 10 ms where the machine is fast enough.
const BURST: u64 = 80;
/// Kills for each rotation. They come about once a second, so a rotation comes every two seconds, at any moment.
const KILLS_A_ROTATION: u64 = 2;

/// A service that writes numbered lines by the file's name, as one that opens its log anew after a rotation.
struct Writer {
    over: Arc<AtomicBool>,
    // Held while a line is written, and while a file is copied and truncated: what is written in between is lost by
    // logrotate.
    pen: Arc<Mutex<()>>,
    thread: std::thread::JoinHandle<u64>,
}

impl Writer {
    fn start(path: PathBuf, text: fn(u64) -> String) -> Writer {
        let (over, pen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(())));
        let (told, own) = (Arc::clone(&over), Arc::clone(&pen));
        let thread = std::thread::spawn(move || {
            use std::io::Write as _;
            let mut next = 0;
            while !told.load(Ordering::Relaxed) {
                let end = next + BURST;
                let text: String = (next..end).map(text).collect();
                // The last lines of an event of several come a moment later.
                let (most, rest) =
                    text.split_at(text.rfind("\n  ").map_or(text.len(), |at| at + 1));
                let writing = own.lock().unwrap_or_else(PoisonError::into_inner);
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.create(true).append(true).open(&path).unwrap();
                file.write_all(most.as_bytes()).unwrap();
                if !rest.is_empty() {
                    pause(Duration::from_millis(10));
                    file.write_all(rest.as_bytes()).unwrap();
                }
                drop(writing);
                next = end;
                pause(Duration::from_millis(10));
            }
            next
        });
        Writer { over, pen, thread }
    }

    /// Ends it and says how many lines it wrote.
    fn end(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// logrotate, called by hand.
struct Rotation {
    home: PathBuf,
}

impl Rotation {
    fn new(home: &Home, options: &str, kept: u64) -> Rotation {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::create_dir_all(home.path("logs")).unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.path("logs"), open).unwrap();
        let file = home.text_path("logs/app.log");
        let text =
            format!("{file} {{\n  rotate {kept}\n  missingok\n  nodateext\n  {options}\n}}\n");
        std::fs::write(home.path("logrotate.conf"), text).unwrap();
        let closed = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(home.path("logrotate.conf"), closed).unwrap();
        Rotation { home: home.path("") }
    }

    fn rotate(&self) {
        let (state, file) = (self.home.join("logrotate.state"), self.home.join("logrotate.conf"));
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
        run(Command::new("logrotate").env("PATH", path).arg("-f").arg("-s").arg(state).arg(file));
    }
}

/// Kills the agent while the service writes, rotates in between, and counts.
fn survives(plan: &Plan) {
    let given = std::env::var("LOGWEIR_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: u64 = given.unwrap_or(plan.kills).max(1);
    let (node, mut random, home) = (elasticsearch(), Random::new(), Home::new());
    let rotations = (kills / KILLS_A_ROTATION).max(4);
    let Kind { codec, filter, text } = plan.kind;
    let values = [
        ("ES", node.url.as_str()),
        ("INDEX", plan.index),
        ("GLOB", plan.glob),
        ("CODEC", codec),
        ("FILTER", filter),
    ];
    home.pipeline(PIPELINE, &values);
    let rotation = Rotation::new(&home, plan.options, rotations + 1);
    // What was rotated before the first start is never read where no glob means it.
    home.append("logs/app.log", "");
    let agent = home.start();
    agent.until("the file is known", || agent.metric("logweir_input_files", &[]) == 1);
    assert!(agent.stop().success());
    let writer = Writer::start(home.path("logs/app.log"), text);
    let killed = Arc::new(AtomicU64::new(0));
    let rotator = {
        let killed = Arc::clone(&killed);
        let pen = plan.options.contains("copytruncate").then(|| Arc::clone(&writer.pen));
        let mut random = random.other();
        std::thread::spawn(move || {
            let mut done = 0;
            while done < rotations {
                if killed.load(Ordering::Relaxed) >= kills.min(KILLS_A_ROTATION * (done + 1)) {
                    // At any moment of a life, and no file comes and goes while nobody looks.
                    pause(Duration::from_millis(1_500 + random.below(1_000)));
                    let pen =
                        pen.as_ref().map(|pen| pen.lock().unwrap_or_else(PoisonError::into_inner));
                    rotation.rotate();
                    drop(pen);
                    done += 1;
                }
                pause(Duration::from_millis(10));
            }
        })
    };
    let mut after = Vec::new();
    for _ in 0..kills {
        let agent = home.start_without_waiting();
        let alive = random.below(2 * 1000);
        pause(Duration::from_millis(alive));
        agent.kill();
        after.push(alive);
        killed.fetch_add(1, Ordering::Relaxed);
    }
    println!("{}: killed after {after:?} ms", plan.index);
    let agent = home.start();
    // Those that the kills left over.
    rotator.join().unwrap();
    let lines = writer.end();
    node.await_count(plan.index, lines, || agent.story());
    node.assert_each_once(plan.index, lines);
    if !filter.is_empty() {
        let mut torn = Vec::new();
        node.each_document(plan.index, |hit| {
            let message = hit["_source"]["message"].as_str().unwrap_or_default().to_string();
            let seq = message.strip_prefix("seq=").and_then(|rest| rest.split(' ').next());
            let whole = seq.and_then(|seq| seq.parse().ok()).map(text);
            if whole != Some(format!("{message}\n")) {
                torn.push(message);
            }
        });
        assert!(torn.is_empty(), "{} events are not whole: {torn:?}", torn.len());
    }
    assert!(agent.stop().success());
    assert_eq!(node.count(plan.index), lines, "and nothing comes twice when it stops");
    println!(
        "{}: {kills} kills, {rotations} rotations, {lines} lines, 0 lost, 0 twice",
        plan.index
    );
}

const CREATE: &str = "create 0644\n  nocompress";
const COMPRESS: &str = "nocreate\n  compress\n  delaycompress";
const COPY: &str = "copytruncate\n  nocompress";

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_20_times_while_logrotate_renames_the_file() {
    survives(&Plan {
        index: "crash-create",
        glob: "app.log*",
        options: CREATE,
        kills: 20,
        kind: JSON,
    });
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_while_logrotate_compresses_the_file() {
    survives(&Plan {
        index: "crash-compress",
        glob: "app.log*",
        options: COMPRESS,
        kills: 8,
        kind: JSON,
    });
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_while_logrotate_copies_and_truncates_the_file()
 {
    survives(&Plan { index: "crash-copy", glob: "app.log*", options: COPY, kills: 8, kind: JSON });
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_and_no_glob_means_the_renamed_file() {
    survives(&Plan {
        index: "crash-outside-create",
        glob: "app.log",
        options: CREATE,
        kills: 8,
        kind: JSON,
    });
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_and_no_glob_means_the_compressed_file() {
    survives(&Plan {
        index: "crash-outside-gz",
        glob: "app.log",
        options: COMPRESS,
        kills: 8,
        kind: JSON,
    });
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_and_no_glob_means_the_copy() {
    survives(&Plan {
        index: "crash-outside-copy",
        glob: "app.log",
        options: COPY,
        kills: 8,
        kind: JSON,
    });
}

#[test]
fn every_event_of_several_lines_arrives_once_and_whole_though_the_agent_is_killed() {
    let (index, glob) = ("crash-joined", "app.log*");
    survives(&Plan { index, glob, options: CREATE, kills: 8, kind: STACK });
}
