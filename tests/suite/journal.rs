//! Commands over journals and dead letters: `inspect` and `dlq`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{logweir, pipeline, stderr, stdout, with_input};

/// A data folder, a pipeline `app` that refuses what it is to write to an absolute path, and what it writes.
struct Home {
    folder: TempDir,
}

/// A running agent; told to stop when dropped.
struct Running(Child);

impl Home {
    fn new() -> Home {
        let home = Home { folder: tempfile::tempdir().unwrap() };
        home.refusing("logs");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Paths are relative: an event with an absolute one is refused.
    fn refusing(&self, output: &str) {
        self.write(output, "{file}");
    }

    /// Paths are absolute: the same events are taken now.
    fn taking(&self, output: &str) {
        self.write(output, "/{file}");
    }

    fn write(&self, output: &str, path: &str) {
        let text = format!(
            "[inputs.in]\ntype = \"stdin\"\ncodec = \"json\"\n\n[outputs.{output}]\ntype = \"file\"\npath = \"{path}\"\n"
        );
        pipeline(self.folder.path(), "app.toml", &text);
    }

    fn event(&self, n: u64) -> String {
        format!("{{\"n\":{n},\"file\":\"{}\"}}\n", self.shown("out.log"))
    }

    /// Runs the agent on these events until everything is delivered or refused.
    fn ship(&self, events: &str) {
        let mut command = logweir();
        command.args(["run", "--admin", "off", "--data-dir"]).arg(self.path("data"));
        let output = with_input(command.arg(self.path("app.toml")), events.as_bytes());
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }

    /// Runs the agent without an end of its input.
    fn start(&self) -> Running {
        let mut command = logweir();
        command.args(["run", "--admin", "off", "--data-dir"]).arg(self.path("data"));
        command.arg(self.path("app.toml")).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("started")));
        std::thread::spawn(move || lines.for_each(drop));
        Running(child)
    }

    fn dlq(&self, arguments: &[&str]) -> Output {
        let mut command = logweir();
        command.arg("dlq").args(arguments).arg("--data-dir").arg(self.path("data"));
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn inspect(&self, folder: &str, arguments: &[&str]) -> Output {
        let mut command = logweir();
        command.arg("inspect").arg(self.path(folder)).args(arguments).output().unwrap()
    }

    /// The numbers of the events that were written.
    fn written(&self) -> Vec<u64> {
        let text = fs::read_to_string(self.path("out.log")).unwrap_or_default();
        let number = |line: &str| serde_json::from_str::<Value>(line).unwrap()["n"].as_u64();
        text.lines().filter_map(number).collect()
    }

    /// Text without this folder, times, and numbers that are random.
    fn masked(&self, text: &str) -> String {
        let text = text.replace(&self.shown(""), "@/");
        let time = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
        let id = regex::Regex::new(r"[0-9a-f]{16}(-[0-9a-f]{10}-)?").unwrap();
        id.replace_all(&time.replace_all(&text, "TIME"), "ID$1").into_owned()
    }
}

impl Running {
    /// Stops it, as a service manager does.
    fn signal(&self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }

    fn stop(mut self) {
        self.signal();
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }

    fn send(&mut self, events: &str) {
        self.0.stdin.as_mut().unwrap().write_all(events.as_bytes()).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// The reason of the output `file`.
const REASON: &str = "the path made from the event's fields is empty, holds `..`, or is absolute";

#[test]
fn ls_counts_by_output_and_reason_and_show_prints_each_letter() {
    let home = Home::new();
    home.ship(&format!("{}{}", home.event(1), home.event(2)));
    let listed = home.dlq(&["ls"]);
    assert_eq!((code(&listed), stderr(&listed).as_str()), (0, ""));
    let text = home.masked(&stdout(&listed));
    let wanted =
        format!("app outputs.logs: 2 letters, TIME to TIME\n  {REASON}\n  for example ID-");
    assert!(text.starts_with(&wanted), "{text}");
    assert!(text.contains("for `@/out.log`: {"), "{text}");
    let as_json = home.dlq(&["ls", "--json", "app"]);
    let group: Value = serde_json::from_str(stdout(&as_json).trim()).unwrap();
    assert_eq!((&group["pipeline"], &group["output"]), (&"app".into(), &"logs".into()));
    assert_eq!((&group["letters"], &group["reason"]), (&2.into(), &REASON.into()));
    let shown = home.dlq(&["show", "--json", "--limit", "1"]);
    let letter: Value = serde_json::from_str(stdout(&shown).trim()).unwrap();
    assert_eq!(letter["document"]["n"], 1, "the oldest first, its document as it is");
    assert_eq!(letter["address"], home.shown("out.log"));
    assert!(letter["refused"].as_str().unwrap().ends_with('Z'));
    let id = letter["id"].as_str().unwrap();
    let by_id = home.dlq(&["show", "--id", id]);
    assert!(stdout(&by_id).contains(id) && stdout(&by_id).contains("\"n\":1"));
    for nothing in [["--output", "other"], ["--reason", "mapper"], ["--id", "x"]] {
        let output = home.dlq(&[&["show"], &nothing[..]].concat());
        assert_eq!((code(&output), stdout(&output).as_str()), (0, "no dead letters\n"));
    }
}

#[test]
fn a_signal_after_the_input_has_ended_is_a_first_one_and_what_was_delivered_is_known() {
    let home = Home::new();
    home.taking("logs");
    // No folder can be made where a file is, so that the output waits.
    fs::write(home.path("out.log"), "").unwrap();
    let event = |n| format!("{{\"n\":{n},\"file\":\"{}\"}}\n", home.shown("out.log/here"));
    let mut agent = home.start();
    agent.send(&event(1));
    drop(agent.0.stdin.take());
    std::thread::sleep(std::time::Duration::from_millis(200));
    agent.signal();
    fs::remove_file(home.path("out.log")).unwrap();
    assert_eq!(agent.0.wait().unwrap().code(), Some(0));
    let delivered = fs::read_to_string(home.path("out.log/here")).unwrap_or_default();
    assert!(delivered.contains("\"n\":1"), "it left at once");
    home.ship(&event(2));
    let written = fs::read_to_string(home.path("out.log/here")).unwrap();
    assert_eq!(written.matches("\"n\":1").count(), 1, "{written}");
    assert_eq!(written.matches("\"n\":2").count(), 1, "{written}");
}

#[test]
fn a_replay_without_an_agent_is_done_once_at_the_next_start() {
    let home = Home::new();
    home.ship(&(1..=3).map(|n| home.event(n)).collect::<String>());
    let asked = home.dlq(&["replay", "--limit", "2"]);
    let said = "app: no agent runs; 2 letters will be put back at its next start\n";
    assert_eq!((code(&asked), stdout(&asked).as_str()), (0, said), "{}", stderr(&asked));
    assert!(stdout(&home.dlq(&["ls"])).contains("app: 1 request for the agent"));
    home.taking("logs");
    let agent = home.start();
    let told = home.dlq(&["replay"]);
    assert_eq!(stdout(&told), "app: 1 letter put back to their output\n", "{}", stderr(&told));
    agent.stop();
    assert_eq!(home.written(), [1, 2, 3]);
    assert_eq!(stdout(&home.dlq(&["ls"])), "no dead letters\n");
    assert_eq!(stdout(&home.dlq(&["replay"])), "no dead letters to put back\n");
    home.ship(&home.event(4));
    assert_eq!(home.written(), [1, 2, 3, 4], "nothing comes back");
}

#[test]
fn a_letter_that_is_refused_again_is_a_dead_letter_again() {
    let home = Home::new();
    home.ship(&home.event(1));
    let before: Value = serde_json::from_str(&stdout(&home.dlq(&["show", "--json"]))).unwrap();
    let agent = home.start();
    for _ in 0..2 {
        assert_eq!(code(&home.dlq(&["replay"])), 0);
        // The agent refuses it again at any moment.
        let again = || stdout(&home.dlq(&["show", "--json"]));
        let letter = std::iter::repeat_with(again).find(|text| !text.is_empty()).unwrap();
        let letter: Value = serde_json::from_str(&letter).unwrap();
        assert_eq!((&letter["id"], &letter["document"]), (&before["id"], &before["document"]));
    }
    agent.stop();
    assert_eq!(home.written(), [0; 0]);
}

#[test]
fn letters_of_an_output_that_is_gone_stay_and_are_named() {
    let home = Home::new();
    home.ship(&home.event(1));
    home.taking("others");
    let agent = home.start();
    let told = home.dlq(&["replay"]);
    assert_eq!(
        (code(&told), stdout(&told).as_str()),
        (1, "app: 0 letters put back to their output\n")
    );
    let wanted = "error: pipeline `app`: 1 letter not put back\n   = because: their output `outputs.logs` is not in the pipeline \
                  any more\n   = hint: add an output of that name, or remove them: logweir dlq drop --output logs app\n";
    assert_eq!(stderr(&told), wanted);
    agent.stop();
    assert!(stdout(&home.dlq(&["ls"])).contains("1 letter,"));
}

#[test]
fn drop_asks_or_wants_yes_and_removes_what_the_filters_mean() {
    let home = Home::new();
    home.ship(&(1..=4).map(|n| home.event(n)).collect::<String>());
    let refused = home.dlq(&["drop"]);
    assert_eq!(code(&refused), 64);
    let wanted = "error: 4 dead letters would be dropped for good, and nobody can be asked\n   = hint: add --yes; \
                  `logweir dlq show` with the same filters prints them\n";
    assert_eq!(stderr(&refused), wanted);
    let one = home.dlq(&["drop", "--yes", "--limit", "1"]);
    assert_eq!((code(&one), stdout(&one).as_str()), (0, "app: 1 letter dropped\n"));
    let agent = home.start();
    let another = home.dlq(&["drop", "--yes", "--limit", "1", "app"]);
    assert_eq!(stdout(&another), "app: 1 letter dropped\n", "{}", stderr(&another));
    let left = stdout(&home.dlq(&["show", "--json"]));
    let numbers: Vec<Value> = left
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["document"]["n"].clone())
        .collect();
    assert_eq!(numbers, [3, 4], "{left}");
    agent.stop();
    assert_eq!(stdout(&home.dlq(&["drop", "--yes"])), "app: 2 letters dropped\n");
    assert_eq!(stdout(&home.dlq(&["drop", "--yes"])), "no dead letters to drop\n");
    home.ship(&home.event(5));
    assert!(stdout(&home.dlq(&["ls"])).contains("1 letter,"), "the store goes on");
}

#[test]
fn what_cannot_be_found_is_said_with_what_there_is() {
    let home = Home::new();
    home.ship("");
    let unknown = home.dlq(&["ls", "apq"]);
    assert_eq!((code(&unknown), stdout(&unknown).as_str()), (1, ""));
    let wanted =
        "error: the data folder `@/data` has no pipeline `apq`\n   = hint: did you mean `app`?\n";
    assert_eq!(home.masked(&stderr(&unknown)), wanted);
    let mut command = logweir();
    command.args(["dlq", "ls", "--data-dir"]).arg(home.path("nowhere"));
    let missing = command.output().unwrap();
    assert_eq!(code(&missing), 1);
    let wanted = "error: cannot read the data folder `@/nowhere`\n   = because: No such file or directory (os error 2)\n   \
                  = hint: name the folder that the agent has: --data-dir DIR, as for `logweir run`\n";
    assert_eq!(home.masked(&stderr(&missing)), wanted);
    assert_eq!(code(&home.dlq(&["show", "--limit", "0"])), 64);
    assert_eq!(code(&home.dlq(&["sho"])), 64);
    fs::create_dir(home.path("empty")).unwrap();
    let none = home.inspect("empty", &[]);
    assert_eq!(code(&none), 1);
    let wanted = "error: there is no journal in `@/empty`\n   = hint: give the data folder of `logweir run`, a pipeline's \
                  folder in it, or a journal's\n";
    assert_eq!(home.masked(&stderr(&none)), wanted);
}

#[test]
fn inspect_shows_a_journal_by_any_of_its_folders() {
    let home = Home::new();
    home.ship(&format!("{}{{\"n\":2,\"file\":\"out/b.log\"}}\n", home.event(1)));
    let [data, folder, journal] =
        ["data", "data/app", "data/app/journal"].map(|f| home.inspect(f, &[]));
    assert_eq!((code(&data), stderr(&data).as_str()), (0, ""));
    assert_eq!(stdout(&data), stdout(&folder));
    let text = home.masked(&stdout(&data));
    let size =
        fs::metadata(home.path("data/app/journal/00000000000000000001.segment")).unwrap().len();
    let wanted = format!(
        "app  @/data/app/journal\n1 segment, {size} B, 1 frame with 2 documents\nnot in use\n\n\
         segment  frames  documents  bytes  made\n1        1       2          {size:<5}  TIME\n\n\
         output        done up to frame  behind: documents  bytes  since\n\
         outputs.logs  1                 0                  0\n\n\
         1 dead letter (`logweir dlq show app` prints them)\n  1 of outputs.logs: {REASON}\n"
    );
    assert_eq!(text, wanted);
    assert!(stdout(&journal).contains("1 frame with 2 documents"));
    let frames = home.inspect("data", &["--frames", "--json"]);
    let frame: Value = serde_json::from_str(stdout(&frames).trim()).unwrap();
    assert_eq!((&frame["frame"], &frame["documents"]), (&1.into(), &2.into()));
    assert!(frame["last_id"].as_str().unwrap().ends_with("-000001"), "{frame}");
    assert!(stdout(&home.inspect("data", &["--frames"])).lines().count() == 3);
}

#[test]
fn inspect_names_every_wound_and_changes_nothing() {
    let home = Home::new();
    home.ship(&home.event(1));
    home.ship(&home.event(2));
    home.ship(&home.event(3));
    let journal = home.path("data/app/journal");
    let mut segments: Vec<PathBuf> = fs::read_dir(&journal)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "segment"))
        .collect();
    segments.sort();
    let newest = segments.last().unwrap();
    let mut bytes = fs::read(newest).unwrap();
    let last = bytes.len() - 1;
    bytes[last - 4] ^= 1;
    fs::write(newest, &bytes).unwrap();
    fs::write(journal.join("notes.txt"), "x").unwrap();
    let before = content(&journal);
    let output = home.inspect("data", &["--json"]);
    let seen: Value = serde_json::from_str(stdout(&output).trim()).unwrap();
    let wound = &seen["wounds"][0];
    assert_eq!((&wound["unfinished"], &wound["being_written"]), (&false.into(), &false.into()));
    assert_eq!(wound["frames_lost_estimate"], 1);
    assert_eq!(wound["reason"], "the checksum does not match");
    assert!(wound["bytes"].as_u64().unwrap() > 64 && wound["offset"].as_u64().unwrap() > 0);
    assert_eq!(seen["foreign"][0]["reason"], "it is no file of a journal");
    assert_eq!(seen["in_use_by"], Value::Null);
    let text = stdout(&home.inspect("data", &[]));
    assert!(text.contains("damaged: segment"), "{text}");
    assert_eq!(content(&journal), before);
}

#[test]
fn inspect_works_while_the_agent_does_and_names_its_process() {
    let home = Home::new();
    let mut agent = home.start();
    agent.send(&home.event(1));
    let look = || {
        let output = home.inspect("data", &["--json"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        serde_json::from_str::<Value>(stdout(&output).trim()).unwrap()
    };
    let seen = std::iter::repeat_with(look).find(|seen| seen["frames"] == 1).unwrap();
    assert_eq!(seen["in_use_by"], agent.0.id().to_string());
    assert_eq!(seen["wounds"], serde_json::json!([]));
    agent.stop();
}

/// Names and bytes of a folder's files.
fn content(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.is_file())
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn audit_says_what_it_cannot_ask() {
    let home = Home::new();
    let audit = |file: &str| {
        let mut command = logweir();
        command.arg("audit").arg(home.path(file)).arg("--data-dir").arg(home.path("data"));
        command.output().unwrap()
    };
    home.ship("{\"n\":1,\"file\":\"out/a.log\"}\n");
    let file = audit("app.toml");
    let said = "app outputs.logs: not asked: outputs of this type cannot be asked what they have\n";
    assert_eq!((code(&file), stdout(&file).as_str()), (0, said));
    assert_eq!(stderr(&file), "warning: pipeline `app` has no output that can be asked\n");
    let elasticsearch = "[inputs.in]\ntype = \"stdin\"\n\n[outputs.logs]\ntype = \"elasticsearch\"\n\
                         hosts = [\"http://127.0.0.1:9\"]\nindex = \"i\"\n";
    pipeline(home.folder.path(), "app.toml", elasticsearch);
    let away = audit("app.toml");
    assert_eq!((code(&away), stdout(&away).as_str()), (1, ""));
    let wanted = "error: cannot ask outputs.logs of pipeline `app`\n   = because: http://127.0.0.1:9 cannot be reached ";
    assert!(stderr(&away).starts_with(wanted), "{}", stderr(&away));
    pipeline(home.folder.path(), "new.toml", elasticsearch);
    let new = audit("new.toml");
    assert_eq!(code(&new), 1);
    assert!(stderr(&new).contains("has no pipeline `new`"), "{}", stderr(&new));
    pipeline(home.folder.path(), "bad.toml", "[outputs.x]\ntype = \"nothing\"\n");
    assert_eq!(code(&audit("bad.toml")), 78);
}
