//! Filters that remember in a running pipeline: several threads, the clock, the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use crate::support::{logweir, pipeline, stderr, stdout, with_input};

const ENDS: &str =
    "[inputs.events]\ntype = \"stdin\"\ncodec = \"json\"\n[outputs.screen]\ntype = \"stdout\"\n";

#[test]
fn with_several_threads_events_pass_in_order_and_every_one_counts_once() {
    const LINES: u64 = 60_000;
    let folder = tempfile::tempdir().unwrap();
    let filters = "[[filters]]\ntype = \"aggregate\"\nby = [\"k\"]\nwindow = \"1h\"\n\
        fields = { count = \"count\", sum = \"sum(n)\" }\nadd_field = { kind = \"summary\" }\n\
        [[filters]]\ntype = \"dedupe\"\nwhen = 'not exists(kind)'\nfields = [\"k\"]\nwindow = \"1h\"\n";
    let path = pipeline(folder.path(), "p.toml", &format!("workers = 4\n{ENDS}{filters}"));
    let mut input = String::new();
    for n in 0..LINES {
        let _ = writeln!(input, "{{\"k\":{},\"n\":{n},\"pad\":\"{:100}\"}}", n % 7, "");
    }
    let mut command = logweir();
    command.args(["run", "--admin", "off", "--data-dir"]).arg(folder.path().join("data")).arg(path);
    let output = with_input(&mut command, input.as_bytes());
    assert!(output.status.success(), "{}", stderr(&output));
    let (mut plain, mut summed) = (BTreeMap::<u64, Vec<(u64, u64)>>::new(), (0, 0));
    for line in stdout(&output).lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect(line);
        let number = |name: &str| event[name].as_u64();
        let key = number("k").unwrap();
        if event["kind"] == "summary" {
            summed = (summed.0 + number("count").unwrap(), summed.1 + number("sum").unwrap());
        } else {
            let repeated = number("repeated").unwrap_or(1);
            plain.entry(key).or_default().push((number("n").unwrap(), repeated));
        }
    }
    assert_eq!(summed, (LINES, LINES * (LINES - 1) / 2));
    for key in 0..7 {
        let of_key = (0..LINES).filter(|n| n % 7 == key).count() as u64;
        // The first of the key, and the second for all others.
        assert_eq!(plain[&key], [(key, 1), (key + 7, of_key - 1)]);
    }
}

#[test]
fn a_window_ends_though_nothing_more_comes() {
    let folder = tempfile::tempdir().unwrap();
    let filter = "[[filters]]\ntype = \"aggregate\"\nwindow = \"300ms\"\nkeep_events = false\n\
        fields = { count = \"count\" }\n";
    let path = pipeline(folder.path(), "p.toml", &format!("{ENDS}{filter}"));
    let mut command = logweir();
    command.args(["run", "--admin", "off", "--data-dir"]).arg(folder.path().join("data")).arg(path);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"a\":1}\n").unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"count\":1"), "{line}");
    drop(stdin);
    assert!(child.wait().unwrap().success());
}
