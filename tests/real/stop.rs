//! The end of a run: SIGTERM ships what was read, a second one leaves, the next start ships the rest.

use serde_json::json;

use crate::agent::Home;
use crate::faults::Way;
use crate::machine::{lines, pause};
use crate::nodes::elasticsearch;

const PIPELINE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
codec = "json"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

fn events(from: u64, to: u64) -> String {
    lines((from..to).map(|seq| json!({"seq": seq, "message": "to be drained"})))
}

#[test]
fn sigterm_ships_what_was_read_and_the_next_start_ships_the_rest_once() {
    const LINES: u64 = 100_000;
    let (node, home) = (elasticsearch(), Home::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "drained")]);
    home.append("app.log", events(0, LINES));
    let agent = home.start();
    agent.until("something was read", || agent.metric("logweir_events_read_total", &[]) > 0);
    let log = home.path("agent.log");
    assert!(agent.stop().success(), "it ends well");
    let said = std::fs::read_to_string(log).unwrap();
    assert!(said.contains("stopped"), "{said}");
    let stored = node.count("drained");
    assert!(stored > 0, "what was read before the signal was delivered: {said}");
    let agent = home.start();
    node.await_count("drained", LINES, || agent.story());
    node.assert_each_once("drained", LINES);
}

#[test]
fn sigterm_ends_within_the_deadline_though_the_cluster_is_away_and_nothing_is_lost() {
    const LINES: u64 = 5_000;
    let (node, home) = (elasticsearch(), Home::new());
    let way = Way::closed(&node.url);
    home.pipeline(PIPELINE, &[("ES", &way.url), ("INDEX", "deadline")]);
    home.append("app.log", events(0, LINES));
    let agent = home.start();
    let read = || agent.metric("logweir_output_lag_documents", &[]) == LINES as i64;
    agent.until("all is in the journal", read);
    assert!(agent.stop().success());
    let said = std::fs::read_to_string(home.path("agent.log")).unwrap();
    assert!(said.contains(&format!("{LINES} documents undelivered")), "{said}");
    // The file is gone: only the journal has them.
    std::fs::remove_file(home.path("app.log")).unwrap();
    let _open = way.open();
    let agent = home.start();
    node.await_count("deadline", LINES, || agent.story());
    node.assert_each_once("deadline", LINES);
}

#[test]
fn a_second_sigterm_leaves_at_once_and_loses_nothing() {
    const LINES: u64 = 5_000;
    let (node, home) = (elasticsearch(), Home::new());
    let way = Way::closed(&node.url);
    home.pipeline(PIPELINE, &[("ES", &way.url), ("INDEX", "second-signal")]);
    home.append("app.log", events(0, LINES));
    let mut agent = home.start();
    let read = || agent.metric("logweir_output_lag_documents", &[]) == LINES as i64;
    agent.until("all is in the journal", read);
    agent.signal("TERM");
    agent.until_logged("stopping");
    // Two signals within a tenth of a second are one: a person, or a service manager, sends another.
    while agent.runs() {
        pause(std::time::Duration::from_millis(50));
        agent.signal_if_running("TERM");
    }
    assert!(agent.wait().success());
    let said = std::fs::read_to_string(home.path("agent.log")).unwrap();
    assert!(said.contains("left at once"), "{said}");
    assert!(!said.contains("documents undelivered"), "it did not wait for the deadline: {said}");
    std::fs::remove_file(home.path("app.log")).unwrap();
    let _open = way.open();
    let agent = home.start();
    node.await_count("second-signal", LINES, || agent.story());
    node.assert_each_once("second-signal", LINES);
}

#[test]
fn sighup_takes_a_changed_pipeline_and_a_bad_one_leaves_the_old_one_running() {
    let (node, home) = (elasticsearch(), Home::new());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "reloaded-old")]);
    home.append("app.log", events(0, 100));
    let agent = home.start();
    node.await_count("reloaded-old", 100, || agent.story());
    home.pipeline("[inputs.app]\ntype = \"fiel\"\n", &[]);
    agent.signal("HUP");
    agent.until_logged("not reloaded");
    agent.until_logged("fiel");
    home.append("app.log", events(100, 200));
    node.await_count("reloaded-old", 200, || agent.story());
    home.pipeline(PIPELINE, &[("ES", &node.url), ("INDEX", "reloaded-new")]);
    agent.signal("HUP");
    agent.until_logged("started with the new configuration");
    home.append("app.log", events(200, 300));
    node.await_count("reloaded-new", 100, || agent.story());
    assert_eq!(node.count("reloaded-old"), 200);
}

#[test]
fn sighup_takes_a_changed_secret_file_into_just_the_pipeline_that_names_it() {
    let (node, home) = (elasticsearch(), Home::new());
    std::fs::write(home.path("key"), "first\n").unwrap();
    let secret = "api_key = { file = \"@HOME@/key\" }";
    let secret = secret.replace("@HOME@", &home.text_path(""));
    let with_secret = format!("{PIPELINE}{secret}\n");
    home.named_pipeline("secret", &with_secret, &[("ES", &node.url), ("INDEX", "secret-file")]);
    home.named_pipeline("other", PIPELINE, &[("ES", &node.url), ("INDEX", "no-secret")]);
    home.append("app.log", events(0, 100));
    let agent = home.start();
    node.await_count("secret-file", 100, || agent.story());
    let starts = |of: &str| {
        let said = format!("started with the new configuration pipeline={of}");
        agent.log().matches(&said).count()
    };
    std::fs::write(home.path("key"), "second\n").unwrap();
    agent.signal("HUP");
    agent.until("the pipeline takes the new secret", || starts("secret") == 1);
    // Another change behind it shows that the first one is over and nothing else was begun by it.
    std::fs::write(home.path("key"), "third\n").unwrap();
    agent.signal("HUP");
    agent.until("the pipeline takes the third secret", || starts("secret") == 2);
    assert_eq!(starts("other"), 0, "{}", agent.log());
    home.append("app.log", events(100, 200));
    for index in ["secret-file", "no-secret"] {
        node.await_count(index, 200, || agent.story());
        node.assert_each_once(index, 200);
    }
    assert!(!agent.log().contains("third"), "a secret is never said");
}
