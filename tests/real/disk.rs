//! A disk that runs full under the journal, and has room again.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::agent::Home;
use crate::bulk_server::{BulkServer, Faults, is_bad};
use crate::faults::Way;
use crate::machine::{as_root, run};
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

#[test]
fn a_full_disk_under_the_dead_letters_holds_them_and_nothing_else_and_each_is_stored_once_in_the_end()
 {
    const LINES: u64 = 3_000;
    const BAD: u64 = 20;
    let home = Home::new();
    let folder = home.data.join("app/dead-letters");
    let small = Small::mount(&folder, "4m");
    let server = BulkServer::start(Faults { bad_items: BAD, ..Faults::default() });
    home.pipeline(
        r#"
        [inputs.app]
        type = "file"
        paths = ["@HOME@/app.log"]
        codec = "json"
        [outputs.logs]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "full-letters"
        "#,
        &[("ES", &server.url)],
    );
    let line = |seq| format!("{{\"seq\":{seq},\"message\":\"full\"}}\n");
    let bad = (0..LINES).filter(|seq| is_bad(*seq, BAD)).collect::<Vec<_>>();
    let ballast = small.fill();
    let agent = home.start();
    home.append("app.log", (0..LINES / 2).map(line).collect::<String>());
    let stored = || server.seen.lock().unwrap().stored.len();
    let part = "app/outputs.logs";
    agent.until("health says so", || agent.health(part).1.contains("No space left"));
    let why = agent.health(part).1;
    assert!(why.contains("cannot be stored as dead letters") && why.contains("are kept"), "{why}");
    let good_of_half = (LINES / 2) as usize - bad.iter().filter(|seq| **seq < LINES / 2).count();
    agent.until("what is not refused is stored", || stored() == good_of_half);
    assert_eq!(agent.metric("logweir_dead_letters", &[]), 0);
    // Killed with a full disk it starts again with one; what comes meanwhile goes its way.
    agent.kill();
    let agent = home.start();
    home.append("app.log", (LINES / 2..LINES).map(line).collect::<String>());
    agent.until("the rest is stored", || stored() == LINES as usize - bad.len());
    agent.until("it is said again", || agent.health(part).1.contains("No space left"));
    assert!(agent.metric("logweir_output_lag_documents", &[]) > 0, "the letters are not done with");
    std::fs::remove_file(ballast).unwrap();
    agent.until("all letters are stored", || {
        agent.metric("logweir_dead_letters", &[]) == bad.len() as i64
    });
    agent.until("nothing waits", || agent.metric("logweir_output_lag_documents", &[]) == 0);
    assert!(agent.stop().success());
    let files = std::fs::read_dir(&folder).unwrap().flatten();
    let files = files.filter(|file| file.path().is_file());
    let letters: Vec<u8> = files.flat_map(|file| std::fs::read(file.path()).unwrap()).collect();
    let letters = String::from_utf8_lossy(&letters);
    for seq in bad {
        assert_eq!(letters.matches(&format!("\"seq\":{seq},")).count(), 1, "letter {seq} once");
    }
    drop(small);
}
