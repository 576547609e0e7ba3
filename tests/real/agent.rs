//! The agent under test: a folder with pipelines and a journal, and the process that works in it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::machine::{bound, free_port, signal, start, text, until};

/// Everything that one test's agent has: pipelines, logs, the journal. Removed at the end.
pub struct Home {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    /// Where the journal lies.
    pub data: PathBuf,
}

/// A running agent; killed when dropped.
pub struct Agent {
    child: Child,
    admin: u16,
    log: PathBuf,
    screen: PathBuf,
}

impl Home {
    /// An empty folder.
    pub fn new() -> Home {
        let folder = tempfile::Builder::new().prefix("logweir-real-").tempdir().unwrap();
        let data = folder.path().join("data");
        Home { folder, environment: Vec::new(), data }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub fn text_path(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Sets a variable for agents started later.
    pub fn set(&mut self, name: &str, value: impl AsRef<Path>) {
        self.environment.push((name.to_string(), value.as_ref().display().to_string()));
    }

    /// Writes the pipeline `app`; `@NAME@` is replaced by a value given here, `@HOME@` by this folder.
    pub fn pipeline(&self, toml: &str, values: &[(&str, &str)]) {
        self.named_pipeline("app", toml, values);
    }

    /// Writes a pipeline.
    pub fn named_pipeline(&self, name: &str, toml: &str, values: &[(&str, &str)]) {
        let mut toml = toml.replace("@HOME@", &self.text_path(""));
        for (key, value) in values {
            toml = toml.replace(&format!("@{key}@"), value);
        }
        std::fs::create_dir_all(self.path("pipelines")).unwrap();
        std::fs::write(self.path("pipelines").join(format!("{name}.toml")), toml).unwrap();
    }

    /// Appends to a file in the folder.
    pub fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        use std::io::Write as _;
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    /// `logweir run` with this folder's pipelines.
    pub fn command(&self, admin: u16) -> Command {
        self.configured(bound("KILL", env!("CARGO_BIN_EXE_logweir")), admin)
    }

    /// As [`Home::command`], for a command of one's own.
    pub fn configured(&self, mut command: Command, admin: u16) -> Command {
        command.arg("run").arg("--data-dir").arg(&self.data);
        command.args(["--admin", &format!("127.0.0.1:{admin}")]);
        command.arg(self.path("pipelines")).current_dir(self.folder.path());
        command.env("LOGWEIR_HOST_NAME", "node-1").envs(self.environment.iter().cloned());
        command
    }

    /// Starts the agent and waits until it reads its inputs.
    pub fn start(&self) -> Agent {
        let agent = self.start_without_waiting();
        agent.until("the agent is ready", || agent.get("/ready").is_some_and(|(s, _)| s == 200));
        agent
    }

    /// As [`Home::start`]; the agent may have so many files and connections open.
    pub fn start_with_descriptors(&self, limit: u32) -> Agent {
        let admin = free_port();
        let mut command = bound("KILL", "prlimit");
        command.arg(format!("--nofile={limit}:{limit}")).arg(env!("CARGO_BIN_EXE_logweir"));
        let agent = self.spawn(self.configured(command, admin), admin);
        agent.until("the agent is ready", || agent.get("/ready").is_some_and(|(s, _)| s == 200));
        agent
    }

    /// Starts the agent.
    pub fn start_without_waiting(&self) -> Agent {
        let admin = free_port();
        self.spawn(self.command(admin), admin)
    }

    fn spawn(&self, mut command: Command, admin: u16) -> Agent {
        let (log, screen) = (self.path("agent.log"), self.path("agent.out"));
        command.stdout(appended(&screen)).stderr(appended(&log));
        Agent { child: start(command), admin, log, screen }
    }

    /// Runs an agent that is expected to end by itself.
    pub fn run_to_its_end(&self) -> Output {
        let mut command = self.command(free_port());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        start(command).wait_with_output().unwrap()
    }
}

fn appended(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

impl Agent {
    /// What all agents of this home have logged.
    pub fn log(&self) -> String {
        text(&std::fs::read(&self.log).unwrap_or_default())
    }

    /// What the output `stdout` has written.
    pub fn screen(&self) -> String {
        text(&std::fs::read(&self.screen).unwrap_or_default())
    }

    /// For failures: the end of the log, health.
    pub fn story(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(30).collect();
        let log = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        let health = self.get("/health").map_or_else(String::new, |(_, body)| body);
        let metrics = self.get("/metrics").map_or_else(String::new, |(_, body)| body);
        let metrics: Vec<&str> = metrics.lines().filter(|l| !l.starts_with('#')).collect();
        format!("--- log\n{log}\n--- health\n{health}\n--- metrics\n{}", metrics.join("\n"))
    }

    /// Waits until the condition holds.
    pub fn until(&self, what: &str, condition: impl FnMut() -> bool) {
        until(what, condition, || self.story());
    }

    /// Waits until the log has this text.
    pub fn until_logged(&self, part: &str) {
        self.until(&format!("the log has \"{part}\""), || self.log().contains(part));
    }

    /// Waits until a part's health has this status, and gives the reason.
    pub fn until_health(&self, part: &str, status: &str) -> String {
        let mut reason = String::new();
        self.until(&format!("{part} is {status}"), || {
            let (found, why) = self.health(part);
            reason = why;
            found == status
        });
        reason
    }

    /// A part's status and reason, such as of `app/outputs.logs`.
    pub fn health(&self, part: &str) -> (String, String) {
        let (_, body) = self.get("/health").unwrap_or_default();
        let report: Value = serde_json::from_str(&body).unwrap_or_default();
        let part = &report["parts"][part];
        let word = |key: &str| part[key].as_str().unwrap_or_default().to_string();
        (word("status"), word("reason"))
    }

    /// The sum of the series of a metric that have all these labels, written `name="value"`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> i64 {
        let (_, body) = self.get("/metrics").unwrap_or_default();
        let series = |line: &&str| {
            line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|l| line.contains(l))
        };
        let value = |line: &str| line.rsplit(' ').next()?.parse::<i64>().ok();
        body.lines().filter(series).filter_map(value).sum()
    }

    /// GET from the admin server; `None`: no answer.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.admin)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let answer = text(&answer);
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some((status, body.to_string()))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a crash.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        signal(self.child.id(), name).unwrap();
    }

    /// Sends a signal, unless it has just ended.
    pub fn signal_if_running(&mut self, name: &str) {
        if self.runs() {
            let _ = signal(self.child.id(), name);
        }
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().unwrap()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
