//! `packaging/deploy.sh` against a kubectl of our own: what it asks for, in which order, and what it does when a step
//! fails.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::stderr;

/// Writes down what it is asked, keeps what was applied last, and fails where a file `fail-STEP` says how often.
const KUBECTL: &str = r#"#!/bin/bash
set -u
cd "$STATE"
echo "$*" >>calls
fails() { # STEP   whether this step fails now; it fails as often as the file says
    local left
    left=$(cat "fail-$1" 2>/dev/null || echo 0)
    [ "$left" -gt 0 ] || return 1
    echo $((left - 1)) >"fail-$1"
    echo "the $1 fails" >&2
}
case "$*" in
    version*) exit 0 ;;
    *"view-last-applied"*) [ -e applied ] && cat applied ;;
    *"--dry-run=server"*) cat >/dev/null; if fails dry-run; then exit 1; fi ;;
    "apply -f "*) if fails apply; then exit 1; fi; cp "$3" applied ;;
    *"rollout status"*) if fails rollout; then exit 1; fi ;;
    *"get pods"*"-o name"*) echo pod/logweir-a; echo pod/logweir-b ;;
    *"get --raw"*) if fails health; then exit 1; fi ;;
esac
"#;

struct Cluster(TempDir);

impl Cluster {
    /// In which this manifest was applied before.
    fn new(before: Option<&str>) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bin/kubectl");
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::write(&path, KUBECTL).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        if let Some(text) = before {
            fs::write(folder.path().join("applied"), text).unwrap();
        }
        fs::write(folder.path().join("new.yaml"), "    image: example/logweir:2\n").unwrap();
        Cluster(folder)
    }

    fn fails(&self, step: &str, times: u32) {
        fs::write(self.0.path().join(format!("fail-{step}")), times.to_string()).unwrap();
    }

    fn deploy(&self, arguments: &[&str]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deploy.sh");
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        command.arg(script).args(arguments).arg(self.0.path().join("new.yaml"));
        let bin = self.0.path().join("bin");
        command.env("PATH", format!("{}:{path}", bin.display())).env("STATE", self.0.path());
        command.output().unwrap()
    }

    fn applied(&self) -> String {
        fs::read_to_string(self.0.path().join("applied")).unwrap_or_default()
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("calls")).unwrap_or_default()
    }
}

fn assert_ended(output: &Output, code: i32, said: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
    assert!(stderr(output).contains(said), "\"{said}\" in {}", stderr(output));
}

#[test]
fn it_applies_waits_and_asks_every_agent() {
    let cluster = Cluster::new(None);
    let output = cluster.deploy(&["--namespace", "logs", "--timeout", "90s"]);
    assert_ended(&output, 0, "deploy: every agent is well");
    assert_eq!(cluster.applied(), "    image: example/logweir:2\n");
    let calls = cluster.calls();
    let steps = [
        "apply -f ",
        "-n logs rollout status daemonset/logweir --timeout=90s",
        "get --raw /api/v1/namespaces/logs/pods/logweir-a:9600/proxy/health",
        "get --raw /api/v1/namespaces/logs/pods/logweir-a:9600/proxy/ready",
        "get --raw /api/v1/namespaces/logs/pods/logweir-b:9600/proxy/ready",
    ];
    let at: Vec<usize> = steps.map(|step| calls.find(step).expect(&calls)).to_vec();
    assert!(at.is_sorted(), "{calls}");
}

#[test]
fn what_was_there_before_comes_back_when_a_step_fails() {
    for (step, said) in [
        ("apply", "the server refuses the manifest"),
        ("rollout", "the rollout did not end in 300s"),
        ("health", "an agent is not well"),
    ] {
        let cluster = Cluster::new(Some("    image: example/logweir:1\n"));
        cluster.fails(step, 1);
        let output = cluster.deploy(&[]);
        assert_ended(&output, 1, said);
        assert_ended(&output, 1, "deploy: what was there before runs again");
        assert_eq!(cluster.applied(), "    image: example/logweir:1\n", "{step}");
    }
}

#[test]
fn it_says_when_there_is_nothing_to_go_back_to_and_when_that_fails_too() {
    let cluster = Cluster::new(None);
    cluster.fails("health", 1);
    let said = "there is nothing to go back to, so it stays for you to look at";
    assert_ended(&cluster.deploy(&[]), 1, said);
    assert_eq!(cluster.applied(), "    image: example/logweir:2\n");

    let cluster = Cluster::new(Some("    image: example/logweir:1\n"));
    cluster.fails("rollout", 2);
    assert_ended(&cluster.deploy(&[]), 1, "what was there before does not come up either");
}

#[test]
fn another_image_is_put_in_and_a_dry_run_changes_nothing() {
    let cluster = Cluster::new(None);
    assert_ended(&cluster.deploy(&["--image", "registry.example/logweir:3"]), 0, "every agent");
    assert_eq!(cluster.applied(), "    image: registry.example/logweir:3\n");

    let cluster = Cluster::new(Some("old"));
    assert_ended(&cluster.deploy(&["--dry-run"]), 0, "");
    assert_eq!(cluster.applied(), "old");
    assert!(!cluster.calls().contains("rollout"), "{}", cluster.calls());
    cluster.fails("dry-run", 1);
    assert_ended(&cluster.deploy(&["--dry-run"]), 1, "the dry-run fails");
}

#[test]
fn a_command_line_that_is_wrong_asks_the_cluster_nothing() {
    let cluster = Cluster::new(None);
    assert_ended_with_usage(&cluster.deploy(&["--namespce", "logs"]));
    assert_eq!(cluster.calls(), "");
}

fn assert_ended_with_usage(output: &Output) {
    assert_eq!(output.status.code(), Some(2), "{}", stderr(output));
    let usage = String::from_utf8_lossy(&output.stdout);
    assert!(usage.starts_with("deploy.sh [OPTION …] [MANIFEST]"), "{usage}");
}
