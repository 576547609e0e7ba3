//! The whole input on a real folder: threads, inotify, a pipeline that takes chunks.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::clock;
use crate::health::{Health, State};
use crate::input::{Input, InputContext};
use crate::storage::{File, FileFacts, Storage};
use crate::watermark::Watermark;

const PATIENCE: Duration = Duration::from_secs(20);

struct Live {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    queue: tokio::sync::mpsc::Receiver<Chunk>,
    stop: tokio::sync::watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    health: Health,
    metrics: Metrics,
    watermark: Watermark,
    clock: clock::SharedClock,
    text: String,
}

impl Live {
    fn start(folder: tempfile::TempDir, paths: &[&str], storage: SharedStorage) -> Live {
        Live::start_from(folder, paths, storage, Vec::new())
    }

    fn start_from(
        folder: tempfile::TempDir,
        paths: &[&str],
        storage: SharedStorage,
        positions: Vec<Position>,
    ) -> Live {
        let mut settings = Settings::of(globs(folder.path(), paths));
        // Only inotify can be as fast as these tests want it.
        settings.rescan_ns = 3_600_000_000_000;
        settings.partial_line_ns = 50_000_000;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (intake, queue) = chunk::intake(2, Budget::default());
        let (watermark, clock) = (intake.watermark().clone(), clock::system());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (health, metrics) = (Health::default(), Metrics::default());
        let input = Box::new(crate::input::tail::FileInput { settings, fields: Vec::new() });
        let task = runtime.spawn(input.run(InputContext {
            name: "app".into(),
            intake,
            positions,
            clock: Arc::clone(&clock),
            storage,
            metrics: metrics.clone(),
            health: health.part("input"),
            stop: stopped,
        }));
        let text = String::new();
        Live { folder, runtime, queue, stop, task, health, metrics, watermark, clock, text }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut options = fs::OpenOptions::new();
        let mut file = options.append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until all that came is `text`.
    fn expect(&mut self, text: &str) {
        let queue = &mut self.queue;
        let so_far = &mut self.text;
        let wait = async {
            while so_far.len() < text.len() {
                let Some(chunk) = queue.recv().await else { break };
                so_far.push_str(&String::from_utf8_lossy(&chunk.text));
            }
        };
        let timely = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await });
        assert!(timely.is_ok(), "only this came: {}", self.text);
        assert_eq!(self.text, text);
    }

    fn await_state(&self, wanted: impl Fn(&State) -> bool) -> State {
        let begin = std::time::Instant::now();
        loop {
            let state = self.health.states()[0].1.clone();
            if wanted(&state) {
                return state;
            }
            assert!(begin.elapsed() < PATIENCE, "the state stays {state:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(self) {
        self.stop.send(true).unwrap();
        let timely =
            self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.task).await });
        timely.expect("the input ends when told to").unwrap();
    }
}

#[test]
fn inotify_tells_of_lines_new_files_renames_truncations_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::start(folder, &["*.log", "sub/*/x.log"], disk());
    live.await_state(|state| *state == State::Fine);
    let mut text = String::new();
    let mut line = |live: &mut Live, name: &str, more: &str| {
        live.append(name, more);
        text.push_str(more);
        live.expect(&text);
    };
    line(&mut live, "a.log", "first\n");
    line(&mut live, "a.log", "second\n");
    fs::rename(live.path("a.log"), live.path("a.log.1")).unwrap();
    line(&mut live, "a.log.1", "third, by a writer that did not reopen yet\n");
    line(&mut live, "a.log", "fourth\n");
    fs::copy(live.path("a.log"), live.path("a.1.log")).unwrap();
    fs::File::create(live.path("a.log")).unwrap();
    line(&mut live, "a.log", "fifth\n");
    fs::create_dir_all(live.path("sub/deep")).unwrap();
    line(&mut live, "sub/deep/x.log", "sixth\n");
    fs::remove_dir_all(live.path("sub")).unwrap();
    fs::create_dir_all(live.path("sub/deep")).unwrap();
    line(&mut live, "sub/deep/x.log", "seventh\n");
    line(&mut live, "b.log", "a last line without its end");
    live.stop();
}

#[test]
fn what_could_not_be_handed_on_yet_is_said_to_wait() {
    const EVER: u64 = u64::MAX;
    let mut live = Live::start(tempfile::tempdir().unwrap(), &["*.log"], disk());
    live.append("a.log", "first\n");
    live.expect("first\n");
    let nothing_waits = |live: &Live| {
        let begin = std::time::Instant::now();
        while live.watermark.seen_ns(EVER) < EVER {
            assert!(begin.elapsed() < PATIENCE, "something waits for ever");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    nothing_waits(&live);
    // More than the queue takes, in two files.
    let text = "a line of some length, which is one of many\n".repeat(20_000);
    live.append("a.log", &text);
    live.append("b.log", &text);
    let mut bytes = 0;
    while bytes < 2 * text.len() {
        let chunk = live.runtime.block_on(live.queue.recv()).unwrap();
        bytes += chunk.text.len();
        // Two chunks are in the queue; more than that is in the files, and has been since before this one came.
        if bytes + 4 * chunk.text.len() < 2 * text.len() {
            let (seen, now) =
                (live.watermark.seen_ns(EVER), clock::Clock::elapsed_ns(&*live.clock));
            assert!(seen < now, "{seen} of {now}, with {bytes} bytes read");
        }
    }
    nothing_waits(&live);
    live.stop();
}

#[test]
fn a_link_into_another_folder_is_followed_through_the_rotation_of_its_target() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = other.path().join("0.log");
    fs::write(&target, "one\n").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("pod.log")).unwrap();
    let mut live = Live::start(folder, &["*.log"], disk());
    live.expect("one\n");
    let mut file = fs::OpenOptions::new().append(true).open(&target).unwrap();
    file.write_all(b"two\n").unwrap();
    live.expect("one\ntwo\n");
    fs::rename(&target, other.path().join("0.log.1")).unwrap();
    fs::write(&target, "three\n").unwrap();
    live.expect("one\ntwo\nthree\n");
    live.stop();
}

#[test]
fn a_full_pipeline_stops_reading_but_not_the_holding_of_rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut live = Live::start(folder, &["*.log"], disk());
    live.await_state(|state| *state == State::Fine);
    let mut text = String::new();
    for n in 0..20 {
        let name = format!("{n:02}.log");
        live.append(&name, &format!("{n:02}\n"));
        text.push_str(&format!("{n:02}\n"));
    }
    let open = |live: &Live| {
        let text = live.metrics.render();
        let line = text.lines().find(|l| l.starts_with("logweir_input_files_open")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()
    };
    let begin = std::time::Instant::now();
    while open(&live) < 20 {
        assert!(begin.elapsed() < PATIENCE, "{} are open", open(&live));
        std::thread::sleep(Duration::from_millis(5));
    }
    for n in 0..20 {
        fs::remove_file(live.path(&format!("{n:02}.log"))).unwrap();
    }
    live.queue_all(&text);
    live.stop();
}

impl Live {
    /// As [`Live::expect`], in any order of lines.
    fn queue_all(&mut self, text: &str) {
        let (queue, so_far) = (&mut self.queue, &mut self.text);
        let wait = async {
            while so_far.len() < text.len() {
                let Some(chunk) = queue.recv().await else { break };
                so_far.push_str(&String::from_utf8_lossy(&chunk.text));
            }
        };
        let timely = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, wait).await });
        assert!(timely.is_ok(), "only this came: {}", self.text);
        let mut lines: Vec<&str> = self.text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, text.lines().collect::<Vec<_>>());
    }
}

/// A disk where one file cannot be read for a while.
#[derive(Default)]
struct Sick {
    healed: AtomicBool,
}

impl Storage for Sick {
    fn open_read(&self, path: &Path) -> io::Result<Box<dyn File>> {
        if path.ends_with("sick.log") && !self.healed.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        disk().open_read(path)
    }
    fn open_write(&self, path: &Path) -> io::Result<Box<dyn File>> {
        disk().open_write(path)
    }
    fn facts(&self, path: &Path) -> io::Result<FileFacts> {
        disk().facts(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        disk().list(directory)
    }
    fn create_directory(&self, directory: &Path) -> io::Result<()> {
        disk().create_directory(directory)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        disk().rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        disk().remove(path)
    }
    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        disk().sync_directory(directory)
    }
    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        disk().free_bytes(path)
    }
}

#[test]
fn an_unreadable_file_is_named_with_what_to_do_and_read_once_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("sick.log"), "from the sick one\n").unwrap();
    fs::write(folder.path().join("well.log"), "from the well one\n").unwrap();
    let sick = Arc::new(Sick::default());
    let mut live = Live::start(folder, &["*.log"], sick.clone());
    live.expect("from the well one\n");
    let state = live.await_state(|state| matches!(state, State::Degraded(_)));
    let State::Degraded(why) = state else { unreachable!() };
    assert!(why.contains("sick.log") && why.contains("permission denied"), "{why}");
    assert!(why.contains("group adm"), "{why}");
    sick.healed.store(true, Ordering::Relaxed);
    live.expect("from the well one\nfrom the sick one\n");
    live.await_state(|state| *state == State::Fine);
    live.stop();
}

#[test]
fn the_settings_are_read_and_every_mistake_is_told() {
    use crate::diagnostic::Diagnostics;
    use crate::settings::{Document, ProcessEnvironment, Section};
    let load = |text: &str| {
        let mut problems = Diagnostics::default();
        let environment = Arc::new(ProcessEnvironment);
        let folder = Path::new("/etc/app");
        let document = Document::parse("t.toml", text.into(), folder, environment, &mut problems);
        let problems = std::cell::RefCell::new(problems);
        let section = Section::root(&document, &problems);
        let settings = crate::input::tail::settings::load(&section);
        section.finish();
        let told: Vec<String> = problems.into_inner().0.iter().map(|d| d.message.clone()).collect();
        (settings, told)
    };
    let (settings, told) = load(
        "paths = [\"logs/*.log\", \"/var/log/**/*.log\"]\nexclude = \"*.tmp\"\n\
         start_at = \"end\"\nrescan_interval = \"1s\"\nmax_line = \"64KiB\"\n\
         partial_line_timeout = \"1s\"\nignore_older = \"7d\"\nread_compressed = false\n\
         close_idle = \"5s\"\n",
    );
    assert_eq!(told, Vec::<String>::new());
    let settings = settings.unwrap();
    assert!(settings.paths[0].matches(Path::new("/etc/app/logs/a.log")));
    assert!(settings.paths[1].matches(Path::new("/var/log/a/b/c.log")));
    assert!(settings.exclude[0].matches(Path::new("/x/y.tmp")));
    assert_eq!(settings.line_max, 65536);
    assert_eq!(settings.ignore_older_ns, Some(7 * 86_400_000_000_000));
    let (settings, told) = load("paths = [\"[\"]\nmax_line = 1\nstart_at = \"middle\"\n");
    assert!(settings.is_none());
    assert_eq!(told.len(), 3, "{told:?}");
}

#[test]
fn what_is_written_behind_a_link_that_the_journal_knows_is_told_at_once() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = other.path().join("0.log");
    fs::write(&target, "one\n").unwrap();
    std::os::unix::fs::symlink(&target, folder.path().join("pod.log")).unwrap();
    let mut bench = Bench::new(&["unused"]);
    bench.settings = Settings::of(globs(folder.path(), &["*.log"]));
    bench.start();
    assert_eq!(bench.text(), "one\n");
    let positions: Vec<Position> = bench.journal.values().cloned().collect();
    let mut live = Live::start_from(folder, &["*.log"], disk(), positions);
    live.await_state(|state| *state == State::Fine);
    // The first look at everything is over.
    std::thread::sleep(Duration::from_millis(500));
    let mut file = fs::OpenOptions::new().append(true).open(&target).unwrap();
    file.write_all(b"two\n").unwrap();
    live.expect("two\n");
    live.stop();
}
