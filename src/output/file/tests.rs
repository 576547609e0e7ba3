//! The file output on a simulated disk, and once on a real one.

use super::*;
use crate::output::stage::Stage;
use crate::storage::simulated::{EIO, ENOSPC, SimulatedStorage};
use crate::storage::{self, Storage as _};

/// An output whose relative paths begin at `folder`.
fn start(folder: &Path, storage: SharedStorage, absolute: bool) -> Stage {
    let (stage, context) = Stage::new(storage);
    let root = Root { folder: folder.to_path_buf(), absolute };
    tokio::spawn(run(root, context, write_apart));
    stage
}

fn simulated() -> (SimulatedStorage, Stage) {
    let disk = SimulatedStorage::default();
    let stage = start(Path::new("/out"), Arc::new(disk.clone()), false);
    (disk, stage)
}

fn documents(of: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    of.iter().map(|(path, body)| (*path, (*body).to_string())).collect()
}

fn text(disk: &SimulatedStorage, path: &str) -> String {
    String::from_utf8(disk.contents(Path::new(path)).unwrap_or_default()).unwrap()
}

/// Waits until the output says that it is paused; gives why.
async fn until_paused(stage: &Stage) -> String {
    loop {
        if let State::Paused(why) = stage.state() {
            return why;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn lines_are_appended_to_the_files_that_the_path_names_and_synced_before_they_are_done() {
    let (disk, mut stage) = simulated();
    disk.put(Path::new("/out/b.log"), b"before\n");
    let frame = documents(&[("a.log", "{\"n\":1}"), ("b.log", "{\"n\":2}"), ("", "{}")]);
    let first = stage.frame(&frame);
    stage.until_done(first).await;
    let second = stage.frame(&documents(&[("deep/er/c.log", "{\"n\":3}"), ("a.log", "{\"n\":4}")]));
    stage.until_done(second).await;
    assert_eq!(text(&disk, "/out/a.log"), "{\"n\":1}\n{\"n\":4}\n");
    assert_eq!(text(&disk, "/out/b.log"), "before\n{\"n\":2}\n");
    assert_eq!(text(&disk, "/out/deep/er/c.log"), "{\"n\":3}\n");
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 4);
    for seed in 0..50 {
        let left = disk.crash(seed);
        assert_eq!(text(&left, "/out/b.log"), "before\n{\"n\":2}\n", "a power cut took a line");
    }
}

#[tokio::test(start_paused = true)]
async fn a_power_cut_takes_no_file_whose_lines_are_done() {
    for moves in [false, true] {
        let (disk, mut stage) = simulated();
        let first = stage.frame(&documents(&[("deep/a.log", "1")]));
        stage.until_done(first).await;
        if moves {
            disk.rename(Path::new("/out/deep/a.log"), Path::new("/out/deep/a.log.1")).unwrap();
        }
        let second = stage.frame(&documents(&[("deep/a.log", "2")]));
        stage.until_done(second).await;
        for seed in 0..50 {
            let left = disk.crash(seed);
            let moved = text(&left, "/out/deep/a.log.1");
            assert_eq!(moved + &text(&left, "/out/deep/a.log"), "1\n2\n", "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_cannot_be_synced_pauses_and_no_line_is_written_twice() {
    let (disk, mut stage) = simulated();
    disk.fail_syncs(Some(EIO));
    let first = stage.frame(&documents(&[("a.log", "1")]));
    until_paused(&stage).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    disk.fail_syncs(None);
    stage.until_done(first).await;
    assert_eq!(text(&disk, "/out/a.log"), "1\n");
    assert_eq!(text(&disk.crash(0), "/out/a.log"), "1\n");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_moved_away_is_opened_anew_under_its_name() {
    let (disk, mut stage) = simulated();
    let first = stage.frame(&documents(&[("a.log", "1")]));
    stage.until_done(first).await;
    disk.rename(Path::new("/out/a.log"), Path::new("/out/a.log.1")).unwrap();
    let second = stage.frame(&documents(&[("a.log", "2")]));
    stage.until_done(second).await;
    assert_eq!(text(&disk, "/out/a.log.1"), "1\n");
    assert_eq!(text(&disk, "/out/a.log"), "2\n");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_truncated_is_continued_at_its_end() {
    let (disk, mut stage) = simulated();
    let first = stage.frame(&documents(&[("a.log", "1")]));
    stage.until_done(first).await;
    disk.open_write(Path::new("/out/a.log")).unwrap().set_len(0).unwrap();
    let second = stage.frame(&documents(&[("a.log", "2")]));
    stage.until_done(second).await;
    assert_eq!(text(&disk, "/out/a.log"), "2\n");
}

#[tokio::test(start_paused = true)]
async fn paths_that_leave_the_folder_are_dead_letters_and_the_rest_is_written() {
    let (disk, mut stage) = simulated();
    let frame = documents(&[
        ("../etc/passwd", "1"),
        ("a/../../b", "2"),
        ("/etc/passwd", "3"),
        ("nul\0.log", "4"),
        ("good.log", "5"),
        ("../etc/passwd", "6"),
        ("dots..are.fine", "7"),
    ]);
    let sequence = stage.frame(&frame);
    stage.until_done(sequence).await;
    let mut dead: Vec<String> = stage
        .letters()
        .into_iter()
        .map(|letter| format!("{} {}", letter.address, String::from_utf8(letter.document).unwrap()))
        .collect();
    dead.sort();
    let wanted =
        ["../etc/passwd 1", "../etc/passwd 6", "/etc/passwd 3", "a/../../b 2", "nul\0.log 4"];
    assert_eq!(dead, wanted);
    assert!(stage.letters()[0].reason.contains("holds `..`"), "{:?}", stage.letters()[0]);
    assert_eq!(text(&disk, "/out/good.log"), "5\n");
    assert_eq!(text(&disk, "/out/dots..are.fine"), "7\n");
    assert_eq!(stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 2);
}

#[tokio::test(start_paused = true)]
async fn an_absolute_path_is_taken_where_the_settings_begin_with_one() {
    let disk = SimulatedStorage::default();
    let mut stage = start(Path::new("/pipelines"), Arc::new(disk.clone()), true);
    let sequence = stage.frame(&documents(&[("/var/out/a.log", "1"), ("relative.log", "2")]));
    stage.until_done(sequence).await;
    assert_eq!(text(&disk, "/var/out/a.log"), "1\n");
    assert_eq!(stage.letters().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_pauses_and_then_nothing_is_missing_twice_or_torn() {
    let (disk, mut stage) = simulated();
    let first = stage.frame(&documents(&[("a.log", "first"), ("b.log", "first")]));
    stage.until_done(first).await;
    // Room for one of the two files' lines and a part of the other's.
    disk.set_space(Some(2 * 6 + 7 + 3));
    let second = stage.frame(&documents(&[("a.log", "second"), ("b.log", "second")]));
    let why = until_paused(&stage).await;
    assert!(why.starts_with("cannot write to `/out/"), "{why}");
    assert!(
        why.ends_with("it is tried again every second; make room or repair the folder"),
        "{why}"
    );
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(*stage.done.borrow(), first, "nothing is done that is not on disk");
    disk.set_space(None);
    stage.until_done(second).await;
    assert_eq!(text(&disk, "/out/a.log"), "first\nsecond\n");
    assert_eq!(text(&disk, "/out/b.log"), "first\nsecond\n");
    assert_eq!(stage.state(), State::Fine);
}

#[tokio::test(start_paused = true)]
async fn a_write_or_sync_that_fails_is_no_delivery() {
    let (disk, mut stage) = simulated();
    disk.fail_writes(Some(ENOSPC));
    let first = stage.frame(&documents(&[("a.log", "1")]));
    until_paused(&stage).await;
    disk.fail_writes(None);
    stage.until_done(first).await;
    disk.fail_syncs(Some(EIO));
    let second = stage.frame(&documents(&[("a.log", "2")]));
    until_paused(&stage).await;
    assert_eq!(*stage.done.borrow(), first);
    disk.fail_syncs(None);
    stage.until_done(second).await;
    assert_eq!(text(&disk, "/out/a.log"), "1\n2\n");
}

#[tokio::test(start_paused = true)]
async fn a_line_that_a_crash_tore_is_ended() {
    let (disk, mut stage) = simulated();
    disk.put(Path::new("/out/a.log"), b"{\"n\":1}\n{\"n\":");
    let sequence = stage.frame(&documents(&[("a.log", "{\"n\":3}")]));
    stage.until_done(sequence).await;
    assert_eq!(text(&disk, "/out/a.log"), "{\"n\":1}\n{\"n\":\n{\"n\":3}\n");
}

#[tokio::test]
async fn a_real_disk_does_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = start(folder.path(), storage::disk(), false);
    let first = stage.frame(&documents(&[("new/a.log", "1")]));
    stage.until_done(first).await;
    let path = folder.path().join("new/a.log");
    std::fs::rename(&path, folder.path().join("new/a.log.1")).unwrap();
    let second = stage.frame(&documents(&[("new/a.log", "2")]));
    stage.until_done(second).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "2\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("new/a.log.1")).unwrap(), "1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_write_to_one_file_lose_no_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut one = start(folder.path(), storage::disk(), false);
    let mut other = start(folder.path(), storage::disk(), false);
    let mut last = 0;
    for n in 0..300 {
        last = one.frame(&documents(&[("a.log", &format!("{{\"one\":{n}}}"))]));
        other.frame(&documents(&[("a.log", &format!("{{\"other\":{n}}}"))]));
    }
    one.until_done(last).await;
    other.until_done(last).await;
    let text = std::fs::read_to_string(folder.path().join("a.log")).unwrap();
    assert_eq!(text.lines().filter(|line| line.ends_with('}')).count(), 600);
}
