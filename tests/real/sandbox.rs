//! What the running agent gave up, and what a reload may ask of it.

use crate::agent::{Agent, Home};
use crate::machine::until;

const COPY: &str = r#"
[inputs.app]
type = "file"
paths = ["@LOGS@/*.log"]
[outputs.copy]
type = "file"
path = "@OUT@/copy.log"
"#;

fn status(agent: &Agent, line: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(":\t"));
    found.expect(line).to_string()
}

#[test]
fn the_agent_is_confined_unless_it_is_told_not_to_be() {
    let mut home = Home::new();
    std::fs::create_dir_all(home.path("logs")).unwrap();
    home.pipeline(COPY, &[("LOGS", &home.text_path("logs")), ("OUT", &home.text_path("out"))]);
    let agent = home.start();
    assert_eq!((status(&agent, "NoNewPrivs"), status(&agent, "Seccomp")), ("1".into(), "2".into()));
    assert!(agent.stop().success());
    home.set("LOGWEIR_SANDBOX", "off");
    let agent = home.start();
    assert_eq!((status(&agent, "NoNewPrivs"), status(&agent, "Seccomp")), ("0".into(), "0".into()));
}

#[test]
fn a_reload_may_name_new_logs_and_is_told_to_restart_for_new_folders_of_outputs() {
    let home = Home::new();
    for folder in ["old", "new"] {
        std::fs::create_dir_all(home.path(folder)).unwrap();
    }
    let write = |logs: &str, out: &str| {
        home.pipeline(COPY, &[("LOGS", &home.text_path(logs)), ("OUT", &home.text_path(out))]);
    };
    let copied =
        |out: &str| std::fs::read_to_string(home.path(out).join("copy.log")).unwrap_or_default();
    write("old", "out");
    home.append("old/a.log", "one\n");
    let agent = home.start();
    until("the first line", || copied("out").contains("one"), || agent.story());

    write("new", "out");
    home.append("new/b.log", "two\n");
    agent.signal("HUP");
    until("a log in a folder that is new", || copied("out").contains("two"), || agent.story());

    write("new", "elsewhere");
    agent.signal("HUP");
    agent.until_logged("which the sandbox of the running process does not allow");
    let log = agent.log();
    assert!(log.contains("the old configuration goes on") && log.contains("elsewhere"), "{log}");
    assert!(log.contains("restart logweir"), "{log}");
    home.append("new/b.log", "three\n");
    until("the old configuration goes on", || copied("out").contains("three"), || agent.story());
    assert!(agent.stop().success());

    let agent = home.start();
    home.append("new/b.log", "four\n");
    until("a restart allows it", || copied("elsewhere").contains("four"), || agent.story());
}
