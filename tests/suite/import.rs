//! `tests/import/`: configurations of other agents, the pipelines that they become, and what is said.
//!
//! A folder's name begins with the language. `source.conf` is imported; its pipeline is `expected.toml`, the account
//! `report.txt`. `UPDATE_GOLDEN=1` writes both anew.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::support::{logweir, stderr, stdout, with_input};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import")
}

fn language(case: &str) -> &'static str {
    let known = ["logstash", "fluentd", "fluent-bit"];
    known.into_iter().find(|language| case.starts_with(language)).unwrap()
}

/// The import of a case: its folder, and what the program did.
fn imported(case: &str, more: &[&str]) -> (TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = logweir();
    command.current_dir(root().join(case)).args(["import", language(case), "source.conf", "-o"]);
    let output = command.arg(folder.path()).args(more).output().unwrap();
    (folder, output)
}

fn compare(path: &Path, text: &str, wrong: &mut Vec<String>) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if expected != text {
        wrong.push(format!("{}:\n{text}", path.display()));
    }
}

#[test]
fn every_configuration_becomes_the_pipeline_and_the_account_that_are_expected() {
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in fs::read_dir(root()).unwrap() {
        let case = entry.unwrap().file_name().into_string().unwrap();
        let (folder, output) = imported(&case, &[]);
        let code = output.status.code().unwrap();
        let said = stderr(&output).replace(&*folder.path().to_string_lossy(), "OUT");
        compare(
            &root().join(&case).join("report.txt"),
            &format!("{said}exit code {code}\n"),
            &mut wrong,
        );
        let pipeline = folder.path().join("source.toml");
        let text = fs::read_to_string(&pipeline).unwrap_or_default();
        compare(&root().join(&case).join("expected.toml"), &text, &mut wrong);
        let check = logweir().arg("check").arg(&pipeline).output().unwrap();
        if check.status.code() != Some(0) {
            wrong.push(format!("{case}: check refuses it:\n{}", stderr(&check)));
        }
        cases += 1;
    }
    assert!(cases >= 4, "there are only {cases}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The events that a pipeline makes of the input of a golden folder.
fn events(pipeline: &Path, input: &str, golden: &str) -> Vec<Value> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lines = fs::read(repository.join("tests/golden").join(golden)).unwrap();
    let mut command = logweir();
    command.env("GEOIP_DATABASE", repository.join("pipelines/demo-city.mmdb"));
    command.env("ENVIRONMENT", "test");
    let output = with_input(command.arg("try").arg(pipeline).args(["--input", input]), &lines);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines").join(name)
}

#[test]
fn the_logstash_configuration_gives_the_events_of_the_shipped_pipeline_without_a_todo() {
    let (folder, output) = imported("logstash-mcp-server", &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let pipeline = folder.path().join("source.toml");
    assert!(!fs::read_to_string(&pipeline).unwrap().contains("TODO"));
    for input in ["beats", "tcp"] {
        let golden = format!("mcp-server/input.{input}.log");
        let (own, wanted) = (
            events(&pipeline, input, &golden),
            events(&shipped("mcp-server.toml"), input, &golden),
        );
        assert!(!own.is_empty());
        for (mut own, wanted) in own.into_iter().zip(wanted) {
            // The names of the outputs are the source's.
            let routes = |event: &Value| event["@route"].as_array().map_or(0, Vec::len);
            assert_eq!(routes(&own), routes(&wanted));
            own["@route"] = wanted["@route"].clone();
            assert_eq!(own, wanted);
        }
    }
}

#[test]
fn the_fluentd_configuration_gives_the_events_of_the_shipped_pipeline_without_a_todo() {
    let (folder, output) = imported("fluentd-mcp-server", &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let pipeline = folder.path().join("source.toml");
    assert!(!fs::read_to_string(&pipeline).unwrap().contains("TODO"));
    let golden = "fluentd-mcp-server/input.mcp.log";
    let own = events(&pipeline, "mcp-server", golden);
    let wanted = events(&shipped("fluentd-mcp-server.toml"), "mcp", golden);
    assert_eq!(own.len(), wanted.len());
    for (own, wanted) in own.iter().zip(&wanted) {
        for field in
            ["@timestamp", "level", "message", "service", "environment", "hostname", "@log_name"]
        {
            assert_eq!(own[field], wanted[field], "{field}");
        }
        let routes = |event: &Value| -> BTreeSet<String> {
            let names = event["@route"].as_array().unwrap().iter();
            names.map(|name| name.as_str().unwrap().replace("alerts", "slack")).collect()
        };
        assert_eq!(routes(own), routes(wanted));
    }
}

/// What the imported filters of a case make of an event.
fn made(case: &str, more: &[&str], event: &str) -> Value {
    let (folder, _) = imported(case, &[]);
    let mut command = logweir();
    command.arg("try").arg(folder.path().join("source.toml")).args(more);
    let output = with_input(&mut command, format!("{event}\n").as_bytes());
    serde_json::from_str(stdout(&output).trim()).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

#[test]
fn ruby_code_does_in_lua_what_it_did() {
    let event = r#"{"columns":["1.5","C1"],"related":{"ip":["::1","::2","::1","::3"],"names":["a","::2","b"]},"empty":"","kept":"","flags":"18",
        "written":"a,\"b,\"\"c\"\"\"","kind":"2","mac":"00:1a:2b:3c","start":1795348800,"end":1795348860}"#;
    let made = made("logstash-ruby", &[], &event.replace('\n', ""));
    let wanted = serde_json::json!({
        "conn": { "ts": "1.5", "uid": "C1" }, "commas": 3,
        "related": { "ip": ["::1", "::2", "::3"], "names": ["a", "b"], "two": ["::1", "::2"] }, "kept": "", "level": "low",
        "tcp": { "flags": ["SYN", "ACK"] }, "names": ["a", "b,\"c\""], "oui": "00:1a:2b",
        "began": "2026-11-22T12:00:00Z", "age": 60,
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name} of {made}");
    }
    assert!(made.get("empty").is_none() && made.get("tags").is_none(), "{made}");
}

#[test]
fn longer_ruby_code_does_in_lua_what_it_did() {
    let event = r#"{"@timestamp":"2026-11-22T10:00:00.123Z","severity":"2","signature":"ABC group 12","log":"user=bob id=42",
        "roles":"x, ,y,x","json":"{\"q\":[1]}","began":"22/Nov/2026:10:59:00 +0100","kind":"k","n":5}"#;
    let made = made("logstash-ruby-more", &[], &event.replace('\n', ""));
    let wanted = serde_json::json!({
        "label": "middle", "signature": "ABC", "user": "bob", "id": 42, "first": "4", "numbers": ["42"],
        "swapped": "bob-user 42-id", "h": { "a": 1, "b": 2, "c": [2, 4], "d": true }, "roles": ["x", "y"],
        "h_text": "{\"a\":1,\"b\":2,\"c\":[2,4],\"d\":true}", "item0": "p", "item2": "r", "there": true,
        "fields": 4, "inner": { "q": [1] }, "v": "kept", "tags": ["odd"], "utc": "2026-11-22T09:59:00Z", "hour": 9,
        "ms": "10:00:00.123", "parsed": 1_767_319_445, "was": "set", "from": "nowhere", "half": 2, "number": "42",
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name} of {made}");
    }
    let took = made["took"].as_f64().unwrap();
    assert!((took - 60.123).abs() < 1e-3, "{took}");
    assert!(made.get("item1").is_none() && made.get("odd").is_none(), "{made}");
}

#[test]
fn methods_of_texts_in_ruby_do_in_lua_what_they_did() {
    let event = r#"{"path":"/var/log/app.log","@timestamp":"2026-11-22T20:00:00Z","when":"2026-11-23T01:00:00Z",
        "coded":"aGVsbG8=","url":"a%20b+c","message":"go  id=42 now  then","row":"a , b;c","sizes":[3,9,4],"n":7,
        "kv":{"p":"2","q":"1"},"Odd":"x"}"#;
    let made = made("logstash-ruby-texts", &[], &event.replace('\n', ""));
    let wanted = serde_json::json!({
        "@timestamp": "2026-11-23T01:00:00.000Z", "file": "app", "folder": "/var/log", "end": ".log",
        "local": "2026-11-23T04:00:00Z", "day": "2026-11-23 05", "plain": "hello", "query": "a b c", "number": "42",
        "words": ["go", "id=42", "now", "then"], "rest": "id=42 now  then", "cells": ["a", "b", "c"], "most": 9,
        "all": 16, "padded": "007", "left": "00007", "shown": "7/7.0", "said": "7-%{none}", "first": "1",
        "size": "middle", "odd": "x", "tags": ["middle"], "parts": { "0": "go  id:42 now  then" }, "found": "no",
        "digest": "294589cf43dc21f7981bec8979531462",
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name} of {made}");
    }
    assert!(made.get("Odd").is_none(), "{made}");
}

#[test]
fn a_variable_of_ruby_is_not_kept_from_one_event_to_the_next() {
    let (folder, _) = imported("logstash-ruby-more", &[]);
    let mut command = logweir();
    command.arg("try").arg(folder.path().join("source.toml"));
    let output = with_input(&mut command, b"{\"kind\":\"k\",\"log\":\"\"}\n{\"log\":\"\"}\n");
    let said = stdout(&output);
    let mut events = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(events.next().unwrap()["was"], "set");
    assert!(events.next().unwrap().get("was").is_none(), "{said}");
}

#[test]
fn ruby_of_fluentd_does_in_lua_what_it_did() {
    let event = r#"{"@metadata":{"tag":"app.web.two"},"@timestamp":"2026-11-22T10:00:00.5Z","ident":"sshd","pid":7,"name":"/c1",
        "began":"22/Nov/2026:10:59:00.250 +0100","attrs":{"tag":"st_web;x"},"json":"{\"q\":1}","priority":"1",
        "line":"[severity \"HIGH\"]"}"#;
    let made = made("fluentd-ruby", &[], &event.replace('\n', ""));
    let wanted = serde_json::json!({
        "part": "web", "upper": "APP.WEB.TWO", "at": "2026-11-22T10:00:00Z",
        "began": "2026-11-22T09:59:00Z", "name": "c1", "stack": "st", "inner": { "q": 1 }, "level": "alert",
        "text": "at 2 of two", "severity": "HIGH",
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name} of {made}");
    }
    let whole: Value = serde_json::from_str(made["whole"].as_str().unwrap()).unwrap();
    assert_eq!(whole["pid"], 7, "{whole}");
}

#[test]
fn fields_are_nested_and_lifted_as_fluent_bit_does_it() {
    let event = r#"{"http":{"a.b":1,"status":200},"k8s_pod":"p","k8s_ns":"n","other":"o"}"#;
    let made = made("fluent-bit-node", &["--input", "app"], event);
    let wanted = serde_json::json!({
        "http_a.b": 1, "http_status": 200, "kubernetes": { "pod": "p", "ns": "n" }, "other": "o",
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(made[name], *value, "{name} of {made}");
    }
    assert!(made.get("http").is_none() && made.get("k8s_pod").is_none(), "{made}");
}

#[test]
fn exit_codes_tell_what_became_of_it_and_json_is_one_object() {
    for (case, code, todo) in
        [("logstash-mcp-server", 2, 0), ("fluent-bit-web", 3, 1), ("logstash-mistake", 3, 0)]
    {
        let (_folder, output) = imported(case, &["--json"]);
        assert_eq!(output.status.code(), Some(code), "{case}");
        let account: Value = serde_json::from_str(&stdout(&output)).unwrap();
        assert_eq!(account["not_convertible"], todo, "{case}");
        assert!(account["converted"].as_u64().unwrap() > 0);
        assert!(account["converted_with_difference"].is_u64());
    }
    let (folder, _) = imported("logstash-mcp-server", &[]);
    let mut again = logweir();
    again.current_dir(root().join("logstash-mcp-server"));
    let output =
        again.args(["import", "logstash", "source.conf", "-o"]).arg(folder.path()).output();
    assert!(stderr(&output.unwrap()).contains("is there already: nothing was written"));
}

#[test]
fn the_wrong_language_is_recognised_and_the_rest_of_the_folder_is_converted() {
    let folder = tempfile::tempdir().unwrap();
    let source = |case: &str| fs::read_to_string(root().join(case).join("source.conf")).unwrap();
    fs::write(folder.path().join("a.conf"), source("logstash-mcp-server")).unwrap();
    fs::write(folder.path().join("b.conf"), source("fluentd-mcp-server")).unwrap();
    let output = logweir().args(["import", "logstash"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("this looks like Fluentd"), "{}", stderr(&output));
    assert!(stdout(&output).contains("type = \"beats\""));
}

#[test]
fn no_secret_of_the_source_is_written_anywhere() {
    let (folder, output) = imported("fluent-bit-web", &[]);
    let text = fs::read_to_string(folder.path().join("source.toml")).unwrap() + &stderr(&output);
    for secret in ["s3cret", "k3y"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    assert!(text.contains("FORWARD_SHARED_KEY") && text.contains("HTTP_X_API_KEY"), "{text}");
}

/// Changes of good configurations, from a seed: none makes the import panic (10,000 in `LOGWEIR_LONG`'s form).
#[test]
fn no_change_of_a_configuration_makes_the_import_panic() {
    use logweir::import::source::{NoFiles, SourceFile};
    use logweir::import::{Given, GivenFile, Language, import};
    let cases: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let all = if std::env::var_os("LOGWEIR_LONG").is_some() { 10_000 } else { 160 };
    let rounds = all / cases.len() + 1;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    const PIECES: [&str; 18] = [
        "{", "}", "[", "]", "\"", "'", "#", "=>", "<", ">", "</", "${", "%{", "\n", "\\", "/",
        "\u{20ac}", "if ",
    ];
    for case in &cases {
        let language = match language(case) {
            "logstash" => Language::Logstash,
            "fluentd" => Language::Fluentd,
            _ => Language::FluentBit,
        };
        let source = fs::read_to_string(root().join(case).join("source.conf")).unwrap();
        for _ in 0..rounds {
            let mut text: Vec<char> = source.chars().collect();
            for _ in 0..=next(4) {
                let at = next(text.len());
                match next(4) {
                    0 => drop(text.splice(at..at, PIECES[next(PIECES.len())].chars())),
                    1 => drop(text.drain(at..(at + next(30)).min(text.len()))),
                    2 => text.truncate(at),
                    _ => {
                        let piece: Vec<char> = text[at..(at + next(60)).min(text.len())].to_vec();
                        let to = next(text.len());
                        text.splice(to..to, piece);
                    }
                }
            }
            let source = SourceFile::new("a.conf", text.into_iter().collect::<String>());
            let files = vec![GivenFile { source, folder: None }];
            let outcome = import(language, Given { files, around: &NoFiles });
            let _ = (outcome.problems.to_string(), outcome.report.table());
            for pipeline in &outcome.pipelines {
                assert!(pipeline.print().ends_with('\n'));
            }
        }
    }
}

/// The fenced blocks of a kind, in a text.
fn blocks<'a>(text: &'a str, kind: &str) -> Vec<&'a str> {
    let start = format!("```{kind}\n");
    text.split(&start).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_moves_of_the_guide_give_the_same_line_before_and_after() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/moving.md");
    let guide = fs::read_to_string(guide).unwrap();
    let mut moves = 0;
    for (title, language) in
        [("Logstash", "logstash"), ("Fluentd", "fluentd"), ("Fluent Bit", "fluent-bit")]
    {
        let chapter = guide.split(&format!("## From {title}\n")).nth(1).unwrap();
        let chapter = chapter.split("\n## ").next().unwrap();
        let [source] = blocks(chapter, "conf")[..] else { panic!("{title} has one source") };
        let [line] = blocks(chapter, "log")[..] else { panic!("{title} has one line") };
        let [after] = blocks(chapter, "json")[..] else { panic!("{title} has one result") };
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app.conf"), source).unwrap();
        let mut command = logweir();
        let command = command.args(["import", language, "app.conf", "-o", "."]);
        let output = command.current_dir(folder.path()).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 2)), "{}", stderr(&output));
        let mut command = logweir();
        command.arg("try").arg(folder.path().join("app.toml"));
        let output = with_input(&mut command, format!("{line}\n").as_bytes());
        let event: Value = serde_json::from_str(stdout(&output).trim()).unwrap();
        let wanted: Value = serde_json::from_str(after).unwrap();
        for (name, value) in wanted.as_object().unwrap() {
            assert_eq!(event[name], *value, "{title}: {name} of {event}");
        }
        // What the agent adds by itself, and nothing else.
        let own = ["host", "source", "@route"];
        let other = event.as_object().unwrap().keys();
        let other: Vec<&String> = other
            .filter(|name| wanted.get(name.as_str()).is_none() && !own.contains(&name.as_str()))
            .collect();
        assert!(other.is_empty(), "{title}: {other:?} of {event}");
        moves += 1;
    }
    assert_eq!(moves, 3);
}

/// The lines that the imported pipeline prints until one of them holds `last`.
fn lines_until(last: &str, pipelines: &Path, data: &Path) -> Vec<String> {
    let mut command = logweir();
    command.args(["run", "--admin", "off", "--data-dir"]).arg(data).arg(pipelines);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut seen = Vec::new();
    for line in output.lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let message = event["message"].as_str().unwrap_or_default().to_string();
        let found = message == last;
        seen.push(message);
        if found {
            break;
        }
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    seen
}

#[test]
fn reading_goes_on_where_the_old_agent_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a.log"), "one\ntwo\nthree\n").unwrap();
    fs::write(at("b.log"), "other\n").unwrap();
    let inode = fs::metadata(at("a.log")).unwrap().ino();
    // Another file's inode: what was read of it is gone.
    let positions = format!(
        "{}\t{:016x}\t{inode:016x}\n{}\t{:016x}\t{:016x}\n",
        at("a.log").display(),
        8,
        at("gone.log").display(),
        4,
        1,
    );
    fs::write(at("pos"), positions).unwrap();
    let source = format!(
        "<source>\n@type tail\npath {0}/*.log\npos_file {0}/pos\nread_from_head true\ntag t\n<parse>\n@type none\n\
         </parse>\n</source>\n<match t>\n@type stdout\n</match>\n",
        folder.path().display()
    );
    fs::write(at("fluent.conf"), source).unwrap();
    let mut command = logweir();
    command.args(["import", "fluentd", "--adopt-positions", "-o"]).arg(at("out"));
    let output = command.arg(at("fluent.conf")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("gone.log` is not there any more"), "{}", stderr(&output));
    let mut seen = Vec::new();
    for last in ["three", "four"] {
        seen.extend(lines_until(last, &at("out"), &at("data")));
        let mut file = fs::OpenOptions::new().append(true).open(at("a.log")).unwrap();
        file.write_all(b"four\n").unwrap();
    }
    // The order of two files is free: each line of both once, and none that was read before.
    seen.retain(|line| line != "other");
    assert_eq!(seen, ["three", "four"]);
    let refused =
        logweir().args(["import", "fluentd", "--adopt-positions", "x.conf"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
}
