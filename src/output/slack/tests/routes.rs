//! Routes by severity: who hears what, what is held back and told afterwards, what is escalated.

use serde_json::json;

use super::*;

const CRITICAL: &str = r##"
channel = "#alerts"
color = "warning"

[[routes]]
severity = ["CRITICAL", "fatal"]
channel = "#critical"
color = "danger"
mention = ["@here", "U012AB3CD"]
"##;

fn message_of(request: &Request) -> (&str, &str) {
    let channel = request.body["channel"].as_str().unwrap();
    (channel, request.body["attachments"][0]["text"].as_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_severity_goes_to_its_channel_in_its_colour_with_its_mention() {
    let mut slack = Slack::of(CRITICAL);
    slack.warn("warning", "disk at ninety percent");
    slack.warn("Fatal", "no disk");
    let last = slack.warn("critical", "disk full");
    let request = slack.request().await;
    let text = "Fatal: no disk\ncritical: disk full";
    let attachment =
        json!({ "color": "danger", "text": text, "fallback": text, "mrkdwn_in": ["text"] });
    let wanted = json!({ "channel": "#critical", "text": "<!here> <@U012AB3CD>", "attachments": [attachment] });
    let first = request;
    let second = slack.request().await;
    // Both are due at the same time: the route goes before the rest.
    assert_eq!(message_of(&first), ("#critical", text));
    assert_eq!(first.body, wanted);
    assert_eq!(message_of(&second), ("#alerts", "warning: disk at ninety percent"));
    assert_eq!(second.body["attachments"][0]["color"], "warning");
    assert_eq!(second.body.get("text"), None, "a mention is the route's own");
    assert!(second.at - first.at >= Duration::from_secs(1), "one request a second for all");
    slack.stage.until_done(last).await;
    assert_eq!(slack.stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_only_counted_until_the_repeat_interval_is_over() {
    let mut slack = Slack::of("channel = \"#a\"\nrepeat_interval = \"10m\"\n");
    slack.warn("error", "order 1 failed");
    let first = slack.request().await.at;
    for n in 2..6 {
        slack.pass(100).await;
        let last = slack.warn("error", &format!("order {n} failed"));
        // Held back, and done: it does not keep the journal.
        slack.stage.until_done(last).await;
    }
    assert_eq!(slack.stage.counted("logweir_output_held_documents"), 4);
    let another = slack.warn("error", "disk full");
    assert_eq!(slack.text().await, "error: disk full", "another kind is told at once");
    slack.stage.until_done(another).await;
    let again = slack.request().await;
    let waited = (again.at - first).as_secs();
    assert!((600..610).contains(&waited), "{waited}");
    assert!(again.body["text"].as_str().unwrap().contains("    ×4 from "), "{}", again.body);
    slack.pass(1).await;
    assert_eq!(slack.stage.counted("logweir_output_held_documents"), 0);
    assert_eq!(slack.stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 6);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_was_over_is_new_when_it_comes_again() {
    let mut slack = Slack::of("channel = \"#a\"\nrepeat_interval = \"4h\"\n");
    slack.warn("error", "order 1 failed");
    slack.text().await;
    slack.pass(301).await;
    let asked = Instant::now();
    slack.warn("error", "order 2 failed");
    let request = slack.request().await;
    assert_eq!(request.body["text"], "error: order 2 failed");
    assert!(request.at - asked < Duration::from_secs(3), "without waiting for four hours");
}

const NIGHT: &str = r##"
channel = "#alerts"
mute_time_intervals = ["night"]

[time_intervals.night]
start_time = "22:00"
end_time = "07:00"

[[routes]]
severity = "critical"
mute_time_intervals = []
"##;

#[tokio::test(start_paused = true)]
async fn quiet_hours_hold_back_warnings_until_morning_and_let_critical_through() {
    let mut slack = Slack::of(NIGHT);
    slack.pass(22 * 3600).await;
    for n in 0..3 {
        let last = slack.warn("warning", &format!("slow request {n}"));
        slack.stage.until_done(last).await;
        slack.pass(3600).await;
    }
    slack.warn("critical", "disk full");
    assert_eq!(slack.text().await, "critical: disk full");
    // Until a minute before seven.
    slack.pass(6 * 3600 - 60).await;
    assert!(slack.posts.is_empty(), "the night is quiet");
    assert_eq!(slack.stage.counted("logweir_output_held_documents"), 3);
    slack.pass(70).await;
    let text = slack.text().await;
    assert!(text.starts_with("warning: slow request 0\n    ×3 from "), "{text}");
    assert!(slack.posts.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_machine_that_jumps_into_the_morning_ends_the_night() {
    let mut slack = Slack::of(NIGHT);
    slack.clock.jump_to_ns(23 * 3600 * 1_000_000_000);
    let last = slack.warn("warning", "slow");
    slack.stage.until_done(last).await;
    slack.clock.jump_to_ns(33 * 3600 * 1_000_000_000);
    assert_eq!(slack.text().await, "warning: slow");
}

const ESCALATION: &str = r##"
channel = "#alerts"

[[routes]]
severity = "critical"
channel = "#critical"
repeat_interval = "1h"

[routes.escalation]
after = "15m"
channel = "#on-call"
mention = "@channel"
"##;

#[tokio::test(start_paused = true)]
async fn what_does_not_end_is_told_to_another_channel_and_again() {
    let mut slack = Slack::of(ESCALATION);
    let mut told = Vec::new();
    let start = Instant::now();
    // One each two minutes, for half an hour and a bit.
    for n in 0..17 {
        slack.warn("critical", &format!("node {n} is down"));
        slack.pass(120).await;
        while let Ok(request) = slack.posts.try_recv() {
            told.push(((request.at - start).as_secs() / 60, request.body.clone()));
        }
    }
    let channels: Vec<(u64, &str)> =
        told.iter().map(|(minute, body)| (*minute, body["channel"].as_str().unwrap())).collect();
    assert_eq!(channels, [(0, "#critical"), (16, "#on-call"), (32, "#on-call")]);
    let text = told[1].1["text"].as_str().unwrap();
    let wanted = "<!channel> _still comes 15 min after it was first told_\n\
                  critical: node 8 is down\n    ×9 from 00:00:00 to ";
    assert!(text.starts_with(wanted), "{text}");
    // An escalation tells what was told: it is no delivery of its own.
    assert_eq!(slack.stage.counted("logweir_output_documents_total{result=\"delivered\"}"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_ended_in_time_is_not_escalated() {
    let mut slack = Slack::of(ESCALATION);
    for (seconds, message) in
        [(600, "node 1 is down"), (301, "node 2 is down"), (60, "node 3 is down")]
    {
        slack.warn("critical", message);
        slack.pass(seconds).await;
    }
    // Ten minutes without it: it was over each time.
    while let Ok(request) = slack.posts.try_recv() {
        assert_eq!(request.body["channel"], "#critical", "{}", request.body);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_refused_delays_no_other_one() {
    let settings = CRITICAL.replace("color", "# color");
    let mut slack = Slack::of_answers(
        vec![Answer::Refused("403 Forbidden action_prohibited".to_string())],
        &settings,
    );
    slack.warn("critical", "disk full");
    slack.warn("warning", "slow");
    assert_eq!(slack.request().await.body["channel"], "#critical");
    let second = slack.request().await;
    assert_eq!(second.body["channel"], "#alerts");
    tokio::time::sleep(Duration::from_millis(1)).await;
    let State::Paused(why) = slack.stage.state() else { panic!("{:?}", slack.stage.state()) };
    let wanted = "Slack refuses messages to #critical: 403 Forbidden action_prohibited; \
                  check the channel and its `webhook_url`";
    assert_eq!(why, wanted, "what goes well elsewhere does not hide it");
    assert_eq!(slack.request().await.body["channel"], "#critical", "it is tried again");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(slack.stage.state(), State::Fine);
}
