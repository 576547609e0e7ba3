//! The agent is killed again and again while it ships a file that logrotate rotates: every line once.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::agent::Home;
use crate::machine::{Random, pause, run};
use crate::nodes::elasticsearch;

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/logs/app.log*"]
codec = "json"

[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

/// A service that writes numbered lines by the file's name, as one that opens its log anew after a rotation.
struct Writer {
    written: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Writes until `lines` are written, `lines` / `seconds` a second.
    fn start(path: PathBuf, lines: u64, seconds: u64) -> Writer {
        let written = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&written);
        let burst = (lines / (seconds * 100)).max(1);
        let thread = std::thread::spawn(move || {
            use std::io::Write as _;
            let mut next = 0;
            while next < lines {
                let end = (next + burst).min(lines);
                let line =
                    |seq| format!("{{\"seq\":{seq},\"message\":\"line {seq} of the service\"}}\n");
                let text: String = (next..end).map(line).collect();
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.create(true).append(true).open(&path).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                next = end;
                counter.store(next, Ordering::Relaxed);
                pause(Duration::from_millis(10));
            }
        });
        Writer { written, thread }
    }
}

/// logrotate, called by hand.
struct Rotation {
    home: PathBuf,
}

impl Rotation {
    fn new(home: &Home, options: &str) -> Rotation {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::create_dir_all(home.path("logs")).unwrap();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(home.path("logs"), open).unwrap();
        let file = home.text_path("logs/app.log");
        let text = format!("{file} {{\n  rotate 50\n  missingok\n  nodateext\n  {options}\n}}\n");
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

/// Kills the agent `kills` times while the service writes, rotates in between, and counts.
fn survives(index: &str, options: &str, lines: u64, seconds: u64, kills: u64) {
    let (node, mut random, home) = (elasticsearch(), Random::new(), Home::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", index)]);
    let rotation = Rotation::new(&home, options);
    let writer = Writer::start(home.path("logs/app.log"), lines, seconds);
    let over = Arc::new(AtomicBool::new(false));
    let rotator = {
        let (over, written) = (Arc::clone(&over), Arc::clone(&writer.written));
        std::thread::spawn(move || {
            let mut rotations = 0;
            while !over.load(Ordering::Relaxed) && rotations < 9 {
                if written.load(Ordering::Relaxed) > lines * (rotations + 1) / 11 {
                    rotation.rotate();
                    rotations += 1;
                }
                pause(Duration::from_millis(10));
            }
            rotations
        })
    };
    let mut after = Vec::new();
    for _ in 0..kills {
        let agent = home.start_without_waiting();
        let alive = random.below(2 * seconds * 1000 / kills);
        pause(Duration::from_millis(alive));
        agent.kill();
        after.push(alive);
    }
    println!(
        "killed after {after:?} ms, with {} lines written",
        writer.written.load(Ordering::Relaxed)
    );
    writer.thread.join().unwrap();
    let agent = home.start();
    node.await_count(index, lines, || agent.story());
    over.store(true, Ordering::Relaxed);
    assert_eq!(rotator.join().unwrap(), 9, "logrotate rotated while the service wrote");
    node.assert_each_once(index, lines);
    assert!(agent.stop().success());
    assert_eq!(node.count(index), lines, "and nothing comes twice when it stops");
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_20_times_while_logrotate_renames_the_file() {
    survives("crash-create", "create 0644\n  nocompress", 200_000, 20, 20);
}

#[test]
fn every_line_arrives_once_though_the_agent_is_killed_while_logrotate_compresses_the_file() {
    survives("crash-compress", "nocreate\n  compress\n  delaycompress", 50_000, 10, 8);
}
