//! A disk that runs full under the journal, and has room again.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::agent::Home;
use crate::faults::Way;
use crate::machine::run;
use crate::nodes::elasticsearch;

/// A file system of its own, unmounted at the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path, size: &str) -> Small {
        std::fs::create_dir_all(at).unwrap();
        let size = format!("size={size},mode=0777");
        run(as_root("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at));
        Small(at.to_path_buf())
    }

    /// Takes all room; dropping the file's path gives it back.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("ballast");
        let mut file = File::create(&path).unwrap();
        let block = vec![0; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = as_root("umount").arg("-l").arg(&self.0).status();
    }
}

/// Mounting needs root: directly, or by sudo that asks for no password.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

#[test]
fn a_full_disk_is_told_and_holds_reading_and_with_room_again_everything_arrives_once() {
    const LINES: u64 = 40_000;
    let (node, home) = (elasticsearch(), Home::new());
    let small = Small::mount(&home.data, "96m");
    let way = Way::closed(&node.url);
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/app.log"]
        codec = "json"
        [outputs.logs]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "full-disk"
        "#,
        &[("ES", &way.url)],
    );
    let line = |seq| format!("{{\"seq\":{seq},\"message\":\"{}\"}}\n", "full ".repeat(60));
    home.append("app.log", (0..1_000).map(line).collect::<String>());
    let agent = home.start();
    agent.until("the first lines are journaled", || {
        agent.metric("logweir_output_lag_documents", &[]) == 1_000
    });
    let ballast = small.fill();
    home.append("app.log", (1_000..LINES).map(line).collect::<String>());
    let mut why = String::new();
    agent.until("the journal says so", || {
        let (status, reason) = agent.health("app/journal");
        why = reason;
        status != "ok" && why.contains("No space left")
    });
    assert!(why.contains("goes on by itself") && why.contains("nothing is lost"), "{why}");
    assert!(
        agent.metric("logweir_output_lag_documents", &[]) < LINES as i64,
        "it could not hold all"
    );
    // Killed with a full disk, it starts again with a full disk.
    agent.kill();
    let agent = home.start_without_waiting();
    agent.until_logged("No space left");
    std::fs::remove_file(ballast).unwrap();
    let _open = way.open();
    node.await_count("full-disk", LINES, || agent.story());
    node.assert_each_once("full-disk", LINES);
    agent.until_health("app/journal", "ok");
    drop(agent);
    drop(small);
}
