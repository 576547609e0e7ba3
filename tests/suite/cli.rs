//! The command line: what each command prints, and with which exit code it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::{logweir, pipeline, stderr, stdout, with_input};

const ECHO: &str = "[inputs.app]\ntype = \"stdin\"\nfields = { service = \"shop\" }\n\n[outputs.screen]\ntype = \"stdout\"\n";

const SPLIT: &str = r#"
[inputs.plain]
type = "stdin"

[inputs.json]
type = "stdin"
codec = "json"

[[filters]]
type = "grok"
when = "exists(message)"
field = "message"
patterns = ['^%{WORD:level} %{INT:status:int}']

[[filters]]
type = "drop"
when = 'level == "DEBUG"'

[outputs.logs]
type = "stdout"

[outputs.errors]
type = "stdout"
when = 'level == "ERROR"'
"#;

fn code(output: &Output) -> i32 {
    output.status.code().expect("a command ends by itself")
}

fn run(arguments: &[&str]) -> Output {
    logweir().args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn grok(arguments: &[&str], input: &str) -> Output {
    with_input(logweir().arg("grok").args(arguments), input.as_bytes())
}

fn split_pipeline() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), "split.toml", SPLIT);
    (folder, path)
}

/// The lines of an output as JSON.
fn events(output: &Output) -> Vec<serde_json::Value> {
    let text = stdout(output);
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[test]
fn every_command_explains_itself() {
    let commands = [
        (&["--help"][..], "Usage: logweir <COMMAND>"),
        (&["run", "--help"], "--data-dir <DIR>"),
        (&["check", "--help"], "<PATHS>..."),
        (&["try", "--help"], "--input <INPUT>"),
        (&["test", "--help"], "<PATHS>..."),
        (&["grok", "--help"], "--define <NAME=REGEX>"),
        (&["inspect", "--help"], "<DIRECTORY>"),
        (&["audit", "--help"], "[PATHS]..."),
        (&["dlq", "--help"], "replay"),
        (&["dlq", "replay", "--help"], "--output <NAME>"),
        (&["completions", "--help"], "<SHELL>"),
    ];
    for (arguments, wanted) in commands {
        let output = run(arguments);
        assert_eq!(code(&output), 0, "{arguments:?}");
        assert!(stdout(&output).contains(wanted), "{arguments:?}: {}", stdout(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    let all = stdout(&run(&["--help"]));
    for command in [
        "run",
        "check",
        "try",
        "test",
        "grok",
        "inspect",
        "audit",
        "dlq",
        "report",
        "tap",
        "top",
        "completions",
    ] {
        assert!(all.contains(&format!("\n  {command}")), "--help does not list {command}: {all}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = run(&["--version"]);
    assert_eq!(code(&output), 0);
    assert_eq!(stdout(&output), format!("logweir {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_wrong_command_line_ends_with_64_and_says_why() {
    let wrong = [
        (&["shw"][..], "unrecognized subcommand 'shw'"),
        (&["check"], "<PATHS>..."),
        (&["try"], "<PIPELINE>"),
        (&["grok"], "<PATTERNS>..."),
        (&["run", "--admin", "here"], "write an address such as 127.0.0.1:9600, or off"),
        (&["run", "--log-level", "loud"], "possible values: error, warn, info, debug"),
        (&["completions", "cmd"], "possible values: bash"),
        (&["grok", "--define", "NAME", "x"], "write NAME=REGEX"),
        (&["grok", "%{NOSUCH"], ""),
    ];
    for (arguments, said) in &wrong[..wrong.len() - 1] {
        let output = run(arguments);
        assert_eq!(code(&output), 64, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
    let nothing = run(&[]);
    assert_eq!(code(&nothing), 64);
    assert!(stderr(&nothing).contains("Usage: logweir"), "{}", stderr(&nothing));
}

#[test]
fn check_says_ok_with_0_and_all_errors_with_78() {
    let folder = tempfile::tempdir().unwrap();
    pipeline(folder.path(), "echo.toml", ECHO);
    let check = |folder: &Path| logweir().arg("check").arg(folder).output().unwrap();
    let good = check(folder.path());
    assert_eq!((code(&good), stdout(&good).as_str()), (0, "1 pipeline ok, 0 warnings\n"));
    pipeline(folder.path(), "broken.toml", "[inputs.a]\ntype = \"x\"\n");
    let bad = check(folder.path());
    assert_eq!((code(&bad), stdout(&bad).as_str()), (78, ""));
    assert!(stderr(&bad).ends_with("2 errors, 0 warnings\n"), "{}", stderr(&bad));
}

#[test]
fn run_try_and_test_refuse_a_wrong_configuration_with_78_and_the_same_words_as_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), "broken.toml", "[inputs.a]\ntype = \"stdinn\"\n");
    let data = folder.path().join("data");
    let run = |command: &mut Command| command.stdin(Stdio::null()).output().unwrap();
    let check = run(logweir().arg("check").arg(&path));
    let said = stderr(&check);
    let said = said.rsplit_once("\n\n").unwrap().0;
    let daemon = ["run", "--admin", "off", "--data-dir"];
    for output in [
        run(logweir().args(daemon).arg(&data).arg(&path)),
        run(logweir().arg("try").arg(&path)),
        run(logweir().arg("test").arg(&path)),
    ] {
        assert_eq!(code(&output), 78);
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
}

#[test]
fn run_ends_with_1_when_its_data_folder_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = pipeline(folder.path(), "echo.toml", ECHO);
    fs::write(folder.path().join("data"), "a file").unwrap();
    let mut command = logweir();
    command.args(["run", "--admin", "off", "--data-dir"]).arg(folder.path().join("data"));
    let output = command.arg(path).stdin(Stdio::null()).output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("error: cannot "), "{}", stderr(&output));
    assert!(stderr(&output).contains("= because: "), "{}", stderr(&output));
}

#[test]
fn try_prints_each_line_as_an_event_with_its_routes() {
    let (_folder, path) = split_pipeline();
    let input = b"INFO 200 fine\nDEBUG 1\nERROR 500 broken\nno status\nERROR 7";
    let output = with_input(logweir().arg("try").arg(&path), input);
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let events = events(&output);
    let routes: Vec<String> = events.iter().map(|e| e["@route"].to_string()).collect();
    let both = r#"["logs","errors"]"#;
    assert_eq!(routes, [r#"["logs"]"#, both, r#"["logs"]"#, both]);
    assert_eq!(events[0]["status"], 200);
    assert_eq!(events[1]["message"], "ERROR 500 broken");
    assert_eq!(events[2]["tags"], serde_json::json!(["_grokparsefailure"]));
    assert_eq!(events[3]["status"], 7, "the last line needs no line feed");
}

#[test]
fn try_takes_the_codec_and_the_fields_of_the_input_that_is_named() {
    let (_folder, path) = split_pipeline();
    let mut command = logweir();
    command.arg("try").arg(&path).args(["--input", "json"]);
    let output = with_input(&mut command, b"{\"level\":\"ERROR\",\"n\":{\"a\":[1,null]}}\n");
    let event = &events(&output)[0];
    assert_eq!((&event["level"], &event["n"]["a"][0]), (&"ERROR".into(), &1.into()));
    assert_eq!(event["host"]["name"], "node-1");
}

#[test]
fn try_of_an_unknown_input_ends_with_64_and_names_those_there_are() {
    let (_folder, path) = split_pipeline();
    let output = with_input(logweir().arg("try").arg(&path).args(["--input", "jsn"]), b"{}\n");
    assert_eq!((code(&output), stdout(&output).as_str()), (64, ""));
    assert!(stderr(&output).contains("the pipeline has no input `jsn`"), "{}", stderr(&output));
    assert!(stderr(&output).contains("did you mean `json`?"), "{}", stderr(&output));
}

#[test]
fn try_json_takes_finished_events_and_goes_on_after_a_line_that_is_none() {
    let (_folder, path) = split_pipeline();
    let input = "{\"@timestamp\":\"2026-11-22T01:02:03.004Z\",\"message\":\"ERROR 7\"}\n\n[1]\n{\"level\":\"INFO\"}\n";
    let output = with_input(logweir().arg("try").arg("--json").arg(&path), input.as_bytes());
    assert_eq!(code(&output), 1, "a line was refused");
    assert!(stderr(&output).contains("line 3 is not a JSON object"), "{}", stderr(&output));
    let events = events(&output);
    assert_eq!(events.len(), 2);
    let first = r#"{"@timestamp":"2026-11-22T01:02:03.004Z","message":"ERROR 7","level":"ERROR","status":7,"@route":["logs","errors"]}"#;
    assert_eq!(stdout(&output).lines().next(), Some(first));
    assert_eq!(events[1]["level"], "INFO");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let (_folder, path) = split_pipeline();
    let mut command = logweir();
    let piped = command.arg("try").arg(&path).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // It ends by itself as soon as it cannot write: then writing to it fails.
    while std::io::Write::write_all(&mut stdin, b"INFO 200 fine\n").is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn test_shows_what_differs_and_ends_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let tests = r#"
[[tests]]
name = "this one holds"
lines = ['ERROR 500 broken']
[[tests.expect]]
fields = { status = 500 }
absent = ["msg"]
routes = ["logs", "errors"]

[[tests]]
name = "this one does not"
lines = ['INFO 200 fine', 'DEBUG 7']
dropped = 0
[[tests.expect]]
fields = { status = "200", colour = "red" }
absent = ["level"]
routes = ["errors"]
"#;
    let path = pipeline(folder.path(), "split.toml", &format!("{SPLIT}{tests}"));
    let output = run(&["test", path.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    let text = stdout(&output);
    let shown: Vec<&str> = text.lines().filter(|l| !l.starts_with("  = {")).collect();
    let wanted = [
        "ok      split: this one holds",
        "FAILED  split: this one does not",
        "  - 0 dropped",
        "  + 1 dropped",
        "  event 1:",
        "  - status = \"200\"",
        "  + status = 200",
        "  - colour = \"red\"",
        "  + colour = (absent)",
        "  - level absent",
        "  + level = \"INFO\"",
        "  - routes [\"errors\"]",
        "  + routes [\"logs\"]",
        "",
        "1 passed, 1 failed",
    ];
    assert_eq!(shown, wanted, "{text}");
}

#[test]
fn grok_prints_typed_and_nested_fields_and_null() {
    let pattern = "%{IP:[client][ip]} %{WORD:method} %{INT:status:int} %{NUMBER:took:float}";
    let output = grok(&[pattern], "1.2.3.4 GET 200 0.5\nnothing\n");
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
    let first = r#"{"client":{"ip":"1.2.3.4"},"method":"GET","status":200,"took":0.5}"#;
    assert_eq!(stdout(&output), format!("{first}\nnull\n"));
}

#[test]
fn grok_tries_patterns_in_order_and_takes_definitions() {
    let define = ["--define", "ORDER=o-[0-9]+"];
    let output =
        grok(&[&define[..], &["^a %{ORDER:order}", "%{ORDER:other}"]].concat(), "a o-1\nb o-2\n");
    assert_eq!(stdout(&output), "{\"order\":\"o-1\"}\n{\"other\":\"o-2\"}\n");
}

#[test]
fn grok_knows_both_generations_of_field_names() {
    let line = "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.0\" 200 2326\n";
    let ecs = stdout(&grok(&["%{COMMONAPACHELOG}"], line));
    let ecs: serde_json::Value = serde_json::from_str(&ecs).unwrap();
    assert_eq!(ecs["source"]["address"], "127.0.0.1");
    assert_eq!(ecs["http"]["response"]["status_code"], 200);
    let old = stdout(&grok(&["--ecs", "disabled", "%{COMMONAPACHELOG}"], line));
    let old: serde_json::Value = serde_json::from_str(&old).unwrap();
    assert_eq!((&old["clientip"], &old["response"]), (&"127.0.0.1".into(), &"200".into()));
}

#[test]
fn grok_reads_texts_with_line_feeds_as_json_strings() {
    let output = grok(&["--json", "(?m)a%{GREEDYDATA:rest}"], "\"a\\nb\"\n7\n\"x\"\n");
    assert_eq!(stdout(&output), "{\"rest\":\"\\nb\"}\nnull\nnull\n");
    assert_eq!(code(&output), 1, "7 is no JSON string");
    assert!(stderr(&output).contains("not a JSON string"), "{}", stderr(&output));
}

#[test]
fn a_bad_pattern_ends_with_64_and_a_caret_under_its_place() {
    let output = grok(&["--", "ok", "^%{LOGLEVL:level} x"], "");
    assert_eq!((code(&output), stdout(&output).as_str()), (64, ""));
    let said = stderr(&output);
    let wanted = "error: no pattern is named `LOGLEVL`\n --> pattern 2:1:2\n  |\n1 | ^%{LOGLEVL:level} x\n  |  ^\n  = hint: did you mean `LOGLEVEL`?\n";
    assert_eq!(said, wanted);
}

#[test]
fn grok_explains_how_a_pattern_is_compiled() {
    let output = grok(&["--explain", "%{INT:n:int}"], "");
    assert_eq!(code(&output), 0);
    assert!(!stdout(&output).trim().is_empty());
}

#[test]
fn report_counts_a_log_as_text_json_and_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("app.log");
    let request = r#"{"timestamp":"2026-11-22T10:00:00Z","level":"INFO","event_type":"http_request","path":"/a","method":"GET","status_code":200,"duration_ms":1.5}"#;
    fs::write(&log, format!("{request}\n{request}\n")).unwrap();
    let log = log.to_str().unwrap();
    let sheet = run(&["report", log]);
    assert_eq!(code(&sheet), 0, "{}", stderr(&sheet));
    assert!(stdout(&sheet).contains("requests  2, 0.00 % failed"), "{}", stdout(&sheet));
    let object = events(&run(&["report", "--json", log])).remove(0);
    assert_eq!(object["response_times"]["duration_ms"]["p99"], 1.5);
    let piped = with_input(logweir().args(["report", "--json", "-"]), request.as_bytes());
    assert_eq!(events(&piped)[0]["lines"], 1);
    let page = folder.path().join("page.html");
    let written = run(&["report", "--html", "-o", page.to_str().unwrap(), log]);
    assert_eq!((code(&written), stdout(&written).as_str()), (0, ""));
    assert!(fs::read_to_string(page).unwrap().starts_with("<!doctype html>"));
}

#[test]
fn report_says_what_it_cannot_read() {
    let gone = run(&["report", "/nowhere/app.log"]);
    assert_eq!((code(&gone), stdout(&gone).as_str()), (1, ""));
    assert!(stderr(&gone).contains("cannot read `/nowhere/app.log`"), "{}", stderr(&gone));
    let none = with_input(logweir().args(["report", "-"]), b"hello\n");
    assert_eq!(code(&none), 0);
    assert!(stderr(&none).contains("no line is in a known form"), "{}", stderr(&none));
    let both = run(&["report", "--elasticsearch", "http://127.0.0.1:1", "x.log"]);
    assert_eq!(code(&both), 64);
    let away = run(&["report", "--elasticsearch", "http://bob:geheim@127.0.0.1:1"]);
    assert_eq!(code(&away), 1);
    assert!(stderr(&away).contains("cannot read `logs-*`"), "{}", stderr(&away));
    assert!(!stderr(&away).contains("geheim"), "{}", stderr(&away));
    assert_eq!(code(&run(&["report"])), 64);
}

#[test]
fn completions_name_every_command_in_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(code(&output), 0, "{shell}");
        for word in ["logweir", "check", "completions", "grok", "data-dir"] {
            assert!(stdout(&output).contains(word), "{shell}: no {word}");
        }
    }
}

#[test]
fn the_demo_shows_its_events_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = logweir();
    command.args(["run", "--admin", "off", "--data-dir"]).arg(folder.path());
    let piped = command.arg("pipelines/demo.toml").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(stdout).map(Result::unwrap);
    assert!(lines.any(|line| line.contains("server started on port 8000")), "the first event");
    assert!(lines.any(|line| line.contains("\"Berlin\"")), "a place on the map");
    assert!(lines.any(|line| line.contains("password=***&next=1")), "a masked secret");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn man_writes_a_page_for_each_command_and_scripts_for_shells() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    assert_eq!(code(&run(&["man", path])), 0);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    let page = read("logweir.1");
    for part in [".TH logweir 1", "EXIT STATUS", "logweir\\-run(1)", "/etc/logweir/pipelines"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("logweir\\-man"), "{page}");
    let help = stdout(&run(&["--help"]));
    let commands = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let commands: Vec<_> =
        commands.filter(|c| !c.is_empty() && *c != "help" && !c.starts_with('-')).collect();
    assert!(commands.len() > 8, "{help}");
    for command in commands {
        let page = read(&format!("logweir-{command}.1"));
        assert!(page.contains(&format!(".TH logweir-{command} 1")), "{page}");
    }
    assert!(read("logweir.bash").contains("complete -F"));
    assert!(read("_logweir").starts_with("#compdef logweir"));
    assert!(read("logweir.fish").contains("complete -c logweir"));
    let missing = run(&["man", &format!("{path}/missing")]);
    assert_eq!(code(&missing), 1);
    assert!(stderr(&missing).contains("logweir.1"), "{}", stderr(&missing));
}
