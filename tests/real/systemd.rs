//! The service file, as systemd itself judges it, and what a service manager is told.

use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::agent::Home;
use crate::machine::{as_root, bound, checkout, free_port, run, signal, start, text, until};

/// The most that `systemd-analyze security` may find, in tenths.
const EXPOSURE_MAX: u32 = 15;
/// What the watchdog of these tests asks for.
const WATCHDOG: Duration = Duration::from_secs(2);

#[test]
fn systemd_finds_nothing_wrong_with_the_service_file() {
    let home = Home::new();
    let unit = std::fs::read_to_string(checkout("packaging/systemd/logweir.service")).unwrap();
    assert!(unit.contains("/usr/bin/logweir"), "{unit}");
    let unit = unit.replace("/usr/bin/logweir", env!("CARGO_BIN_EXE_logweir"));
    std::fs::write(home.path("logweir.service"), unit).unwrap();
    let mut command = Command::new("systemd-analyze");
    let output = command.arg("verify").arg(home.path("logweir.service")).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    // The machine's other units are none of ours.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("logweir")).collect();
    assert!(output.status.success() && ours.is_empty(), "{}: {said}", output.status);
}

#[test]
fn the_service_is_hardened_and_may_read_all_logs() {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]);
    command.arg(format!("--threshold={EXPOSURE_MAX}"));
    let said = text(&run(command.arg(checkout("packaging/systemd/logweir.service"))).stdout);
    assert!(said.contains("Overall exposure level for logweir.service: "), "{said}");
    let unit = std::fs::read_to_string(checkout("packaging/systemd/logweir.service")).unwrap();
    assert!(unit.contains("\nAmbientCapabilities=CAP_DAC_READ_SEARCH\n"), "{unit}");
}

/// A service manager: gets what the agent says.
struct Manager {
    socket: UnixDatagram,
    pid: u32,
    child: std::process::Child,
}

impl Manager {
    /// Starts the agent of this home under a watchdog.
    fn start(home: &Home) -> Manager {
        let path = home.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut command =
            home.configured(bound("KILL", env!("CARGO_BIN_EXE_logweir")), free_port());
        command.env("NOTIFY_SOCKET", &path);
        command.env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        let log = std::fs::File::create(home.path("agent.log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        let child = start(command);
        Manager { socket, pid: child.id(), child }
    }

    /// The next message; `None`: nothing was said for so long.
    fn hear(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        Some(text(&message[..length]))
    }

    /// Reads messages until one has this line.
    fn await_line(&self, wanted: &str) {
        let mut heard = Vec::new();
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let Some(message) = self.hear(Duration::from_secs(60)) else { break };
            if message.lines().any(|line| line.starts_with(wanted)) {
                return;
            }
            heard.push(message);
        }
        panic!("no {wanted}, but {heard:?}");
    }

    /// Reads messages for so long; how many fed the watchdog, and the last status.
    fn listen(&self, time: Duration) -> (usize, String) {
        let until = Instant::now() + time;
        let (mut fed, mut status) = (0, String::new());
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|t| !t.is_zero())
        {
            for line in self.hear(left).unwrap_or_default().lines() {
                fed += usize::from(line == "WATCHDOG=1");
                if let Some(said) = line.strip_prefix("STATUS=") {
                    status = said.to_string();
                }
            }
        }
        (fed, status)
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const COPY: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
[outputs.copy]
type = "file"
path = "@HOME@/copy.log"
"#;

#[test]
fn a_service_manager_hears_of_start_reload_and_stop_and_an_idle_agent_feeds_the_watchdog() {
    let home = Home::new();
    home.pipeline(COPY, &[]);
    home.append("app.log", "one\n");
    let mut manager = Manager::start(&home);
    let first = manager.hear(Duration::from_secs(60)).unwrap();
    assert!(first.contains("READY=1\n") && first.contains("STATUS=1 pipeline"), "{first}");
    // Idle for several times as long as the watchdog waits.
    let (fed, status) = manager.listen(WATCHDOG * 3);
    assert!(fed >= 5, "fed {fed} times");
    assert!(status.is_empty() || status == "1 pipeline, all parts work", "{status}");

    home.named_pipeline("more", &COPY.replace("copy.log", "more.log"), &[]);
    signal(manager.pid, "HUP").unwrap();
    manager.await_line("RELOADING=1");
    manager.await_line("STATUS=2 pipelines");
    manager.await_line("WATCHDOG=1");
    // A reload of a file with mistakes is over, too: the old configuration goes on.
    home.named_pipeline("more", "[inputs", &[]);
    signal(manager.pid, "HUP").unwrap();
    manager.await_line("RELOADING=1");
    manager.await_line("READY=1");
    manager.await_line("WATCHDOG=1");

    signal(manager.pid, "TERM").unwrap();
    manager.await_line("STOPPING=1");
    assert!(manager.child.wait().unwrap().success());
}

#[test]
fn a_worker_that_hangs_starves_the_watchdog_and_is_named() {
    let home = Home::new();
    // A single call of Lua's library that does not end in a lifetime.
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/app.log"]
        [[filters]]
        type = "script"
        code = '''
        if event.message == "stick" then
          string.find(string.rep("a", 100000), ".-.-.-.-.-.-.-b")
        end
        '''
        [outputs.copy]
        type = "file"
        path = "@HOME@/copy.log"
        "#,
        &[],
    );
    home.append("app.log", "one\n");
    let manager = Manager::start(&home);
    manager.await_line("READY=1");
    manager.await_line("WATCHDOG=1");
    home.append("app.log", "stick\n");
    manager.await_line("STATUS=does not get on: app/worker-");
    let (fed, _) = manager.listen(WATCHDOG * 2);
    assert_eq!(fed, 0);
    let log = std::fs::read_to_string(home.path("agent.log")).unwrap();
    assert!(log.contains("has been busy with one thing for long"), "{log}");
}

/// A file system on a file, which can be frozen; thawed and unmounted at the end.
struct Freezer(std::path::PathBuf);

impl Freezer {
    fn mount(image: &std::path::Path, at: &std::path::Path) -> Freezer {
        std::fs::create_dir_all(at).unwrap();
        std::fs::File::create(image).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(image));
        run(as_root("mount").args(["-o", "loop"]).arg(image).arg(at));
        Freezer(at.to_path_buf())
    }

    fn switch(&self, how: &str) {
        run(as_root("fsfreeze").arg(how).arg(&self.0));
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = as_root("fsfreeze").arg("-u").arg(&self.0).output();
        let _ = as_root("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_does_not_answer_starves_the_watchdog_until_it_does() {
    let home = Home::new();
    home.pipeline(COPY, &[]);
    home.append("app.log", "one\n");
    let disk = Freezer::mount(&home.path("image"), &home.data);
    let manager = Manager::start(&home);
    manager.await_line("READY=1");
    manager.await_line("WATCHDOG=1");
    disk.switch("-f");
    home.append("app.log", "two\n");
    manager.await_line("STATUS=does not get on: app/");
    let (fed, _) = manager.listen(WATCHDOG * 2);
    assert_eq!(fed, 0);
    disk.switch("-u");
    manager.await_line("STATUS=1 pipeline, all parts work");
    manager.await_line("WATCHDOG=1");
    let copied = || std::fs::read_to_string(home.path("copy.log")).unwrap_or_default();
    until("both lines are there", || copied().lines().count() == 2, copied);
}
