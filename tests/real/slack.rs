//! The Slack output against a stand-in that holds it to what Slack documents.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::agent::Home;
use crate::machine::{bound, checkout, start, text};
use crate::nodes::elasticsearch;

/// A Slack of our own.
struct Slack {
    child: Child,
    url: String,
    path: String,
}

impl Slack {
    fn start(arguments: &[&str]) -> Slack {
        let mut command = bound("TERM", "python3");
        command.arg(checkout("tests/tools/slack_stand_in.py")).args(arguments);
        command.args(["--log", "/dev/null"]).stdout(Stdio::piped());
        let mut child = start(command);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words.first(), Some(&"READY"), "{line}");
        Slack { child, url: words[1].into(), path: words[2].into() }
    }

    fn webhook(&self) -> String {
        format!("{}{}", self.url, self.path)
    }

    fn ask(&self, path: &str) -> Value {
        use std::io::{Read as _, Write as _};
        let address = self.url.replace("http://", "");
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = text(&answer);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        serde_json::from_str(body).unwrap_or_else(|_| body.into())
    }

    /// The texts of the messages that were accepted.
    fn texts(&self) -> Vec<String> {
        let Value::Array(messages) = self.ask("/__messages?accepted=1") else { return Vec::new() };
        messages
            .iter()
            .map(|m| m["payload"]["text"].as_str().unwrap_or_default().to_string())
            .collect()
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
[outputs.screen]
type = "stdout"
[outputs.alerts]
type = "slack"
when = 'level == "ERROR"'
webhook_url = "@SLACK@"
title = "Errors"
text = "*{level}* {message}"
group_wait = "500ms"
"#;

fn line(level: &str, message: &str) -> String {
    format!("{}\n", json!({"level": level, "message": message}))
}

#[test]
fn equal_errors_become_one_message_with_a_count_and_texts_are_escaped() {
    let (node, home, slack) = (elasticsearch(), Home::new(), Slack::start(&[]));
    let values =
        [("ES", node.url.as_str()), ("INDEX", "slack-grouped"), ("SLACK", &slack.webhook())];
    home.pipeline(PIPELINE, &values);
    let mut lines: String =
        (0..40).map(|n| line("ERROR", &format!("order {n} failed for 10.0.0.{n}"))).collect();
    lines.push_str(&line("ERROR", "<!channel> a & b <https://evil.example|click>"));
    lines.push_str(&line("INFO", "all is well"));
    home.append("app.log", lines);
    let agent = home.start();
    let all = || slack.texts().join("\n");
    agent.until("both kinds are told", || all().contains("×40") && all().contains("click"));
    let told = all();
    assert!(told.contains("*Errors*") && told.contains("*ERROR* order 0 failed"), "{told}");
    assert!(!told.contains("order 1 failed"), "folded: {told}");
    assert!(
        told.contains("&lt;!channel&gt; a &amp; b &lt;https://evil.example|click&gt;"),
        "{told}"
    );
    assert!(!told.contains("all is well"), "{told}");
    node.await_count("slack-grouped", 42, || agent.story());
    assert_eq!(agent.metric("logweir_output_documents_total", &["output=\"alerts\""]), 41);
}

#[test]
fn the_rate_limit_is_obeyed_and_every_error_is_counted_once() {
    let slack = Slack::start(&["--rate", "0.5", "--retry-after", "2"]);
    let (node, home) = (elasticsearch(), Home::new());
    let values =
        [("ES", node.url.as_str()), ("INDEX", "slack-limited"), ("SLACK", &slack.webhook())];
    home.pipeline(PIPELINE, &values);
    let agent = home.start();
    let kinds = ["red", "green", "blue", "black", "white", "pink", "gray", "brown"];
    for (number, kind) in kinds.iter().enumerate() {
        home.append("app.log", line("ERROR", &format!("the {kind} machine stopped")));
        // Each comes after the one before was told or refused: as many requests as can be provoked.
        agent.until("a request was made", || {
            slack.ask("/__stats")["requests"].as_u64().unwrap_or(0) > number as u64 / 2
        });
    }
    let told = || slack.texts().join("\n");
    agent.until("all are told", || kinds.iter().all(|kind| told().contains(kind)));
    for kind in kinds {
        assert_eq!(told().matches(kind).count(), 1, "{kind} is told once: {}", told());
    }
    let stats = slack.ask("/__stats");
    assert!(stats["rate_limited"].as_u64().unwrap() > 0, "the limit was met: {stats}");
    assert_eq!(stats["early"], 0, "no request came before its Retry-After was over: {stats}");
}

#[test]
fn a_slack_that_hangs_does_not_delay_elasticsearch_or_the_screen() {
    let (node, home, slack) = (elasticsearch(), Home::new(), Slack::start(&["--rate", "0"]));
    let values = [("ES", node.url.as_str()), ("INDEX", "slack-hangs"), ("SLACK", &slack.webhook())];
    home.pipeline(PIPELINE, &values);
    slack.ask("/__hang?seconds=600&count=1000");
    home.append("app.log", line("ERROR", "the first hangs"));
    let agent = home.start();
    let requests = || agent.metric("logweir_output_requests_total", &["output=\"alerts\""]);
    agent.until("Slack is asked", || requests() > 0);
    let more: String = (0..20_000).map(|n| line("ERROR", &format!("error seq={n} "))).collect();
    home.append("app.log", more);
    // Elasticsearch and the screen have everything while Slack has nothing: that order is the point.
    node.await_count("slack-hangs", 20_001, || agent.story());
    agent.until("the screen has all", || agent.screen().lines().count() == 20_001);
    let told = agent.metric("logweir_output_documents_total", &["output=\"alerts\""]);
    assert_eq!(told, 0, "Slack still hangs: {}", agent.story());
    let agent_ends = agent.stop();
    assert!(agent_ends.success(), "a hanging Slack does not keep it from stopping");
}

#[test]
fn a_slack_that_was_away_is_told_what_happened_meanwhile() {
    let (node, home, slack) = (elasticsearch(), Home::new(), Slack::start(&["--rate", "0"]));
    let values = [("ES", node.url.as_str()), ("INDEX", "slack-away"), ("SLACK", &slack.webhook())];
    home.pipeline(PIPELINE, &values);
    slack.ask("/__fail?status=503&count=2");
    home.append("app.log", line("ERROR", "while it was away"));
    let agent = home.start();
    agent.until("it is told after all", || {
        slack.texts().iter().any(|t| t.contains("while it was away"))
    });
    assert_eq!(slack.texts().len(), 1, "and once: {:?}", slack.texts());
    agent.until_health("app/outputs.alerts", "ok");
    let token = slack.path.rsplit('/').next().unwrap();
    assert!(!agent.log().contains(token), "the webhook's secret is not in the log");
}

const ROUTED: &str = r##"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[outputs.alerts]
type = "slack"
webhook_url = "@SLACK@"
channel = "#alerts"
color = "warning"
text = "{message}"
group_wait = "500ms"
repeat_interval = "3s"
[[outputs.alerts.routes]]
severity = ["CRITICAL", "FATAL"]
channel = "#critical"
color = "danger"
mention = "@here"
[outputs.alerts.routes.escalation]
after = "2s"
channel = "#on-call"
"##;

#[test]
fn a_severity_has_its_channel_and_what_does_not_end_goes_to_another_one() {
    let arguments = ["--rate", "0", "--channel", "#alerts", "--channel", "#critical"];
    let slack = Slack::start(&[&arguments[..], &["--channel", "#on-call"]].concat());
    let home = Home::new();
    home.pipeline(ROUTED, &[("SLACK", &slack.webhook())]);
    home.append("app.log", line("WARNING", "disk at ninety percent"));
    home.append("app.log", line("CRITICAL", "node 1 is down"));
    let agent = home.start();
    let in_channel = |channel: &str| {
        let Value::Array(all) = slack.ask("/__messages?accepted=1") else { return Vec::new() };
        let payloads = all.into_iter().map(|message| message["payload"].clone());
        payloads.filter(|payload| payload["channel"] == channel).collect::<Vec<_>>()
    };
    agent.until("both are told", || {
        !in_channel("#alerts").is_empty() && !in_channel("#critical").is_empty()
    });
    let critical = &in_channel("#critical")[0];
    assert_eq!(critical["text"], "<!here>", "{critical}");
    assert_eq!(critical["attachments"][0]["color"], "danger", "{critical}");
    assert_eq!(critical["attachments"][0]["text"], "node 1 is down", "{critical}");
    let warning = &in_channel("#alerts")[0];
    assert_eq!(warning["attachments"][0]["color"], "warning", "{warning}");
    assert_eq!(warning.get("text"), None, "{warning}");
    // It goes on until somebody else hears it, and what was held back is counted in the channel.
    let mut number = 1;
    agent.until("it is escalated and told again", || {
        number += 1;
        home.append("app.log", line("CRITICAL", &format!("node {number} is down")));
        let again = in_channel("#critical").len() > 1;
        again && !in_channel("#on-call").is_empty()
    });
    let on_call = &in_channel("#on-call")[0];
    let said = "_still comes 2 s after it was first told_";
    assert_eq!(on_call["text"], said, "{on_call}");
    assert!(on_call["attachments"][0]["text"].as_str().unwrap().contains("is down\n    ×"));
    agent.until_health("app/outputs.alerts", "ok");
}
