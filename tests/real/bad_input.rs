//! What users and clients do wrong: each time the agent says what and where, and goes on or ends as documented.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::agent::Home;
use crate::machine::{bound, free_port, start, text};
use crate::nodes::{Node, elasticsearch};

const FILE: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/app.log"]
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

const TCP: &str = r#"
[inputs.app]
type = "tcp"
listen = "127.0.0.1:@PORT@"
codec = "@CODEC@"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "@INDEX@"
"#;

/// Asserts that a text has all parts.
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "\"{part}\" is not in:\n{said}");
    }
}

#[test]
fn a_line_of_10_mb_arrives_whole_in_marked_pieces_and_the_file_goes_on() {
    const LONG: usize = 10_000_000;
    let (node, home) = (elasticsearch(), Home::new());
    home.pipeline(FILE, &[("ES", &node.url), ("INDEX", "long-line")]);
    let word = "0123456789abcde ";
    let long = word.repeat(LONG / word.len());
    home.append("app.log", format!("before\n{long}\nafter\n"));
    let agent = home.start();
    let pieces = LONG.div_ceil(1024 * 1024) as u64;
    node.await_count("long-line", pieces + 2, || agent.story());
    let mut documents = node.documents("long-line");
    // Ids of one file are ordered as its bytes are.
    documents.sort_by_key(|d| d["_id"].as_str().unwrap().to_string());
    let documents: Vec<Value> = documents.into_iter().map(|mut d| d["_source"].take()).collect();
    let message = |d: &Value| d["message"].as_str().unwrap().to_string();
    assert_eq!(message(&documents[0]), "before");
    assert_eq!(message(documents.last().unwrap()), "after");
    let middle = &documents[1..documents.len() - 1];
    assert_eq!(middle.iter().map(message).collect::<String>(), long, "every byte, in order");
    assert!(middle.iter().all(|d| d["tags"] == json!(["_line_split"])), "{}", middle[0]["tags"]);
    assert!(documents[0].get("tags").is_none());
    assert!(agent.metric("logweir_input_lines_split_total", &[]) > 0, "{}", agent.story());
}

#[test]
fn garbage_over_tcp_is_kept_as_text_and_touches_no_other_client() {
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    let port_text = port.to_string();
    let values =
        [("ES", node.url.as_str()), ("INDEX", "garbage"), ("PORT", &port_text), ("CODEC", "json")];
    home.pipeline(TCP, &values);
    let agent = home.start();
    let connect = || TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut good = connect();
    writeln!(good, "{}", json!({"seq": 0})).unwrap();
    let mut bad = connect();
    bad.write_all(b"\xff\xfe\x00\x01 no json \xc3\x28\n{\"cut\": [1, 2\n\x00\x00\n").unwrap();
    drop(bad);
    let mut client_of_tls = connect();
    client_of_tls.write_all(&[0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]).unwrap();
    agent.until_logged("TLS");
    drop(client_of_tls);
    writeln!(good, "{}", json!({"seq": 1})).unwrap();
    drop(good);
    node.await_count("garbage", 5, || agent.story());
    let documents = node.sources("garbage");
    let failed: Vec<&Value> = documents.iter().filter(|d| d.get("seq").is_none()).collect();
    assert_eq!(failed.len(), 3);
    let broken = |d: &&&Value| d["tags"].to_string().contains("_invalid_utf8");
    assert_eq!(failed.iter().filter(broken).count(), 1, "what is no UTF-8 is told");
    for document in failed {
        let tags = document["tags"].as_array().unwrap();
        assert!(tags.contains(&json!("_jsonparsefailure")), "{document}");
        assert!(document["message"].is_string(), "{document}");
    }
    assert!(agent.metric("logweir_input_protocol_errors_total", &[]) == 1, "{}", agent.story());
}

#[test]
fn a_client_that_never_sends_a_line_feed_is_split_and_bounded_and_others_go_on() {
    const BYTES: usize = 3 * 1024 * 1024 + 17;
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    let port_text = port.to_string();
    let values =
        [("ES", node.url.as_str()), ("INDEX", "endless"), ("PORT", &port_text), ("CODEC", "plain")];
    home.pipeline(TCP, &values);
    let agent = home.start();
    let mut endless = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let block = "no line feed ever ".repeat(BYTES / 18 + 1);
    endless.write_all(&block.as_bytes()[..BYTES]).unwrap();
    // Its first pieces come although it never ends a line, and another client is served meanwhile.
    let mut other = TcpStream::connect(("127.0.0.1", port)).unwrap();
    other.write_all(b"a line of another client\n").unwrap();
    node.await_count("endless", 4, || agent.story());
    assert!(agent.metric("logweir_input_lines_split_total", &[]) > 0, "{}", agent.story());
    drop(endless);
    node.await_count("endless", 5, || agent.story());
    let bytes: usize =
        node.sources("endless").iter().map(|d| d["message"].as_str().unwrap().len()).sum();
    assert_eq!(bytes, BYTES + "a line of another client".len(), "every byte");
}

#[test]
fn a_missing_city_database_ends_the_start_with_its_place_and_what_to_do() {
    let home = Home::new();
    let filter =
        "[[filters]]\ntype = \"geoip\"\nfield = \"ip\"\ndatabase = \"/nowhere/city.mmdb\"\n";
    home.pipeline(&format!("{filter}{FILE}"), &[("ES", "http://127.0.0.1:9"), ("INDEX", "x")]);
    let output = home.run_to_its_end();
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    assert_says(&said, &["/nowhere/city.mmdb", "app.toml:4:", "^^^^", "No such file", "hint:"]);
}

#[test]
fn an_unknown_key_ends_the_start_with_file_line_caret_and_the_key_that_was_meant() {
    let home = Home::new();
    let text_with_typos = FILE.replace("hosts", "hots").replace("paths", "path");
    home.pipeline(&text_with_typos, &[("ES", "http://127.0.0.1:9"), ("INDEX", "x")]);
    let output = home.run_to_its_end();
    assert_eq!(output.status.code(), Some(78));
    let said = text(&output.stderr);
    // Both at once, not the first alone.
    assert_says(&said, &["`hots`", "app.toml:7:1", "^^^^", "did you mean `hosts`?"]);
    assert_says(&said, &["`path`", "app.toml:4:1", "did you mean `paths`?"]);
    assert!(!home.data.exists(), "nothing was started");
    let check = Command::new(env!("CARGO_BIN_EXE_logweir"))
        .arg("check")
        .arg(home.path("pipelines"))
        .output()
        .unwrap();
    assert_eq!(check.status.code(), Some(78));
    assert_says(&text(&check.stderr), &["`hots`", "app.toml:7:1", "did you mean `hosts`?"]);
}

#[test]
fn a_second_agent_on_the_same_data_folder_ends_and_names_the_first() {
    let (node, home) = (elasticsearch(), Home::new());
    home.pipeline(FILE, &[("ES", &node.url), ("INDEX", "two-agents")]);
    let first = home.start();
    let output = home.run_to_its_end();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert_says(&said, &["in use", &first.id().to_string(), "--data-dir"]);
    home.append("app.log", "the first goes on\n");
    node.await_count("two-agents", 1, || first.story());
}

#[test]
fn a_port_in_use_is_told_with_its_address_and_taken_as_soon_as_it_is_free() {
    let (node, home, port) = (elasticsearch(), Home::new(), free_port());
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let port_text = port.to_string();
    let values =
        [("ES", node.url.as_str()), ("INDEX", "port"), ("PORT", &port_text), ("CODEC", "plain")];
    home.pipeline(TCP, &values);
    let agent = home.start_without_waiting();
    agent.until("health answers", || agent.get("/health").is_some());
    let why = agent.until_health("app/inputs.app", "paused");
    assert_says(&why, &[&format!("127.0.0.1:{port}"), "in use"]);
    assert_eq!(agent.get("/ready").unwrap().0, 503);
    drop(taken);
    agent.until_health("app/inputs.app", "ok");
    TcpStream::connect(("127.0.0.1", port)).unwrap().write_all(b"hello\n").unwrap();
    node.await_count("port", 1, || agent.story());
}

#[test]
fn an_admin_port_in_use_is_told_and_the_agent_ships_all_the_same() {
    let (node, home) = (elasticsearch(), Home::new());
    home.pipeline(FILE, &[("ES", &node.url), ("INDEX", "admin-port")]);
    home.append("app.log", "shipped\n");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut command = home.command(port);
    command.stdout(Stdio::null()).stderr(std::fs::File::create(home.path("err")).unwrap());
    let mut child = start(command);
    let said = || std::fs::read_to_string(home.path("err")).unwrap();
    node.await_count("admin-port", 1, said);
    assert_says(&said(), &[&format!("127.0.0.1:{port}"), "in use", "--admin"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The agent without the powers of root over files, so that permissions mean something to it.
fn without_privileges(home: &Home) -> Command {
    let mut plain = home.command(free_port());
    if !rustix::process::geteuid().is_root() {
        return plain;
    }
    let arguments: Vec<_> = plain.get_args().map(std::ffi::OsStr::to_owned).collect();
    let mut command = bound("KILL", "setpriv");
    command.args(["--bounding-set", "-dac_override,-dac_read_search"]);
    // What follows `--pdeathsig KILL` in the plain command.
    command.args(&arguments[2..]).env("LOGWEIR_HOST_NAME", "node-1");
    command.current_dir(home.path("")).stdout(Stdio::null());
    std::mem::swap(&mut plain, &mut command);
    plain
}

#[test]
fn an_unreadable_file_is_named_and_the_others_are_read_and_so_is_it_once_it_may_be() {
    let (node, home) = (elasticsearch(), Home::new());
    let pipeline = FILE.replace("@HOME@/app.log", "@HOME@/logs/*.log");
    let pipeline =
        pipeline.replace("type = \"file\"", "type = \"file\"\nrescan_interval = \"500ms\"");
    home.pipeline(&pipeline, &[("ES", &node.url), ("INDEX", "unreadable")]);
    std::fs::create_dir(home.path("logs")).unwrap();
    home.append("logs/open.log", "readable\n");
    home.append("logs/closed.log", "not readable\n");
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(home.path("logs/closed.log"), mode).unwrap();
    };
    mode(0o000);
    let mut command = without_privileges(&home);
    command.stderr(std::fs::File::create(home.path("err")).unwrap());
    let mut child = start(command);
    let said = || std::fs::read_to_string(home.path("err")).unwrap();
    node.await_count("unreadable", 1, said);
    assert_eq!(node.sources("unreadable")[0]["message"], "readable");
    crate::machine::until("the file is named", || said().contains("closed.log"), said);
    assert_says(&said(), &["logs/closed.log", "Permission denied"]);
    mode(0o644);
    node.await_count("unreadable", 2, said);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_unwritable_data_folder_ends_the_start_with_its_path_and_what_to_do() {
    let home = Home::new();
    home.pipeline(FILE, &[("ES", "http://127.0.0.1:9"), ("INDEX", "x")]);
    std::fs::create_dir(&home.data).unwrap();
    std::fs::set_permissions(&home.data, std::fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = without_privileges(&home);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = start(command).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let said = text(&output.stderr);
    assert_says(&said, &[&home.data.display().to_string(), "Permission denied", "--data-dir"]);
}

#[test]
fn a_wrong_password_pauses_the_output_and_everything_arrives_once_it_is_corrected() {
    const LINES: u64 = 500;
    let (node, home) = (Node::secure(), Home::new());
    let pipeline = format!(
        "{FILE}user = \"logweir-writer\"\npassword = \"@PASSWORD@\"\ntls = {{ ca = \"@CA@\" }}\n"
    );
    let pipeline =
        pipeline.replace("[\"@HOME@/app.log\"]", "[\"@HOME@/app.log\"]\ncodec = \"json\"");
    let ca = node.folder.join("tls/ca.crt").display().to_string();
    let write = |password: &str| {
        let values =
            [("ES", node.url.as_str()), ("INDEX", "secured"), ("CA", &ca), ("PASSWORD", password)];
        home.pipeline(&pipeline, &values);
    };
    write("wrong-SECRET");
    let line = |seq| format!("{}\n", json!({"seq": seq}));
    home.append("app.log", (0..LINES).map(line).collect::<String>());
    let agent = home.start();
    let why = agent.until_health("app/outputs.logs", "paused");
    assert_says(&why, &["logweir-writer", "401", "`password`", "kept"]);
    assert!(!agent.log().contains("wrong-SECRET") && !why.contains("wrong-SECRET"));
    agent.until_logged("refuses");
    assert!(agent.stop().success());
    write("logweir-secret");
    let agent = home.start();
    node.await_count("secured", LINES, || agent.story());
    node.assert_each_once("secured", LINES);
    agent.until_health("app/outputs.logs", "ok");
}
