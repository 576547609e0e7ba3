//! The Logstash pipeline that logweir replaces, `pipelines/mcp-server.toml`, into a real Elasticsearch.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::agent::{Agent, Home};
use crate::lumberjack;
use crate::machine::{Random, cached, checkout, free_port, lines};
use crate::nodes::{Node, elasticsearch};

const KINDS: u64 = 8;

/// One event as a client sends it, and the document that it must become.
struct Record {
    sent: Value,
    wanted: Value,
    kind: u64,
}

/// The shapes of the MCP server's log, in turn; every 13th is an error.
fn record(seq: u64, random: &mut Random) -> Record {
    let kind = seq % KINDS;
    let level = if seq.is_multiple_of(13) { "ERROR" } else { "INFO" };
    let number = random.below(1_000_000);
    let seconds = seq / 100 % 60;
    let time = format!("2026-11-22T10:{:02}:{seconds:02}.{:03}Z", seq / 6000 % 60, seq % 100 * 10);
    let uuid = format!("1b4e28ba-2fa1-41d2-883f-{number:012x}");
    let mut wanted = json!({"seq": seq});
    let mut put = |key: &str, value: Value| wanted[key] = value;
    let (text, masked) = match kind {
        0 => same(format!("cache miss for key user:{number}")),
        1 => {
            put("request_id", json!(uuid));
            same(format!("handled request in 12 ms request_id={uuid}"))
        }
        2 => {
            put("request_id", json!(uuid));
            put("user_id", json!(number.to_string()));
            put("tool_name", json!("read_file"));
            same(format!("call request_id={uuid} user_id={number} tool=read_file done"))
        }
        3 => {
            let text = format!(
                r#"{{"event":"tool_call","tool_name":"send_mail","duration_ms":{number}.5,"nested":{{"a":[1,2],"b":{{"c":null}}}}}}"#
            );
            put("event", json!("tool_call"));
            put("tool_name", json!("send_mail"));
            put("duration_ms", json!(number as f64 + 0.5));
            put("nested", json!({"a": [1, 2], "b": {"c": null}}));
            same(text)
        }
        4 => {
            put("user_id", json!(number.to_string()));
            let text = |secret: &str| format!("login user_id={number} password={secret}&next=1");
            (text(&format!("hunter-SECRET-{number}")), text("***"))
        }
        5 => {
            let text = |secret: &str| format!("session token={secret} opened");
            (text(&format!("tok_SECRET_{number:032x}")), text("***"))
        }
        6 => {
            let text = |secret: &str| format!("upstream answered api_key={secret}");
            (text(&format!("AKIASECRET{number:016X}")), text("***"))
        }
        _ => same(format!("用户登录 naïve café 🚀 \\ \"quoted\" {number}")),
    };
    let line = |text: &str| format!("[{time}] {level} {text}");
    for (key, value) in [("timestamp", &time), ("@timestamp", &time), ("msg", &masked)] {
        wanted[key] = json!(value);
    }
    wanted["message"] = json!(line(&masked));
    wanted["level"] = json!(level);
    wanted["service"] = json!("mcp-server");
    let sent = json!({"service": "mcp-server", "message": line(&text), "seq": seq});
    Record { sent, wanted, kind }
}

fn same(text: String) -> (String, String) {
    (text.clone(), text)
}

/// The shipped pipeline on free ports; its filters and outputs untouched.
fn shipped(home: &mut Home, node: &Node) -> (u16, u16) {
    let (beats, tcp) = (free_port(), free_port());
    let text = std::fs::read_to_string(checkout("pipelines/mcp-server.toml")).unwrap();
    for address in ["0.0.0.0:5044", "0.0.0.0:5000"] {
        assert!(text.contains(address), "the shipped pipeline listens on {address}");
    }
    let text = text.replace("0.0.0.0:5044", &format!("127.0.0.1:{beats}"));
    let text = text.replace("0.0.0.0:5000", &format!("127.0.0.1:{tcp}"));
    home.pipeline(&text, &[]);
    home.set("ELASTICSEARCH_URL", &node.url);
    home.set("GEOIP_DATABASE", cached("geo/city.mmdb"));
    (beats, tcp)
}

#[test]
fn the_seeds_pipeline_puts_each_event_into_its_indices_as_logstash_meant_it_and_no_secret_anywhere()
{
    const EVERYTHING: u64 = 20_000;
    let (node, mut random, mut home) = (elasticsearch(), Random::new(), Home::new());
    let (beats, tcp) = shipped(&mut home, node);
    let records: Vec<Record> = (0..EVERYTHING).map(|seq| record(seq, &mut random)).collect();
    let agent = home.start();

    let (first, second) = records.split_at(records.len() / 2);
    let sent: Vec<Value> = first.iter().map(|record| record.sent.clone()).collect();
    lumberjack::send(beats, &sent, 500);
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    let text = lines(second.iter().map(|record| &record.sent));
    stream.write_all(text.as_bytes()).unwrap();
    drop(stream);

    let errors = EVERYTHING.div_ceil(13);
    node.await_count("logs-mcp-server-2026.11.22", EVERYTHING, || agent.story());
    node.await_count("errors-mcp-server-2026.11.22", errors, || agent.story());
    assert_eq!(node.count("logs-mcp-server-*"), EVERYTHING, "nothing in another day's index");
    node.assert_each_once("logs-mcp-server-2026.11.22", EVERYTHING);

    let mut stored = BTreeMap::new();
    for document in node.sources("logs-mcp-server-2026.11.22") {
        stored.insert(document["seq"].as_u64().unwrap(), document);
    }
    for (seq, record) in records.iter().enumerate() {
        assert_same(stored.remove(&(seq as u64)).unwrap(), &record.wanted, record.kind);
    }
    for document in node.sources("errors-mcp-server-2026.11.22") {
        let record = &records[document["seq"].as_u64().unwrap() as usize];
        assert_eq!(record.wanted["level"], "ERROR");
        assert_same(document, &record.wanted, record.kind);
    }
    assert_no_secret(&agent, &home, node);
}

/// All fields, and none besides them; where the event came from differs from run to run.
fn assert_same(mut stored: Value, wanted: &Value, kind: u64) {
    let object = stored.as_object_mut().unwrap();
    assert_eq!(object.remove("host"), Some(json!({"name": "node-1"})), "host of kind {kind}");
    let source = object.remove("source").unwrap_or_default();
    assert_eq!(source["ip"], "127.0.0.1", "source of kind {kind}");
    assert_eq!(&stored, wanted, "kind {kind}");
}

/// Searches every document's text, the screen output, the agent's own log, its metrics and its journal.
fn assert_no_secret(agent: &Agent, home: &Home, node: &Node) {
    let texts = ["logs-mcp-server-*", "errors-mcp-server-*"].map(|index| {
        let all = node.documents(index);
        assert!(!all.is_empty());
        lines(all)
    });
    let places = [
        ("logs", texts[0].as_bytes().to_vec()),
        ("errors", texts[1].as_bytes().to_vec()),
        ("the screen", agent.screen().into_bytes()),
        ("the agent's log", agent.log().into_bytes()),
        ("/metrics", agent.get("/metrics").unwrap().1.into_bytes()),
        ("/health", agent.get("/health").unwrap().1.into_bytes()),
        ("the journal", all_bytes(&home.data)),
    ];
    for (place, bytes) in &places {
        let found = memchr::memmem::find(bytes, b"SECRET");
        assert!(found.is_none(), "a secret is in {place}");
    }
    assert!(
        memchr::memmem::find(&places[6].1, b"password=***").is_some(),
        "the journal is readable"
    );
}

fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        bytes.extend(if path.is_dir() { all_bytes(&path) } else { std::fs::read(path).unwrap() });
    }
    bytes
}

#[test]
fn places_on_the_map_come_from_a_real_city_database() {
    let (node, mut home) = (elasticsearch(), Home::new());
    let port = free_port();
    home.set("GEOIP_DATABASE", cached("geo/city.mmdb"));
    home.pipeline(
        r#"
        [inputs.tcp]
        type = "tcp"
        listen = "127.0.0.1:@PORT@"
        codec = "json"
        [[filters]]
        type = "geoip"
        when = "exists(client_ip)"
        field = "client_ip"
        target = "geoip"
        database = "${GEOIP_DATABASE}"
        [outputs.logs]
        type = "elasticsearch"
        hosts = ["@ES@"]
        index = "places"
        "#,
        &[("PORT", &port.to_string()), ("ES", &node.url)],
    );
    let addresses = ["8.8.8.8", "81.2.69.160", "2001:4860:4860::8888", "127.0.0.1"];
    let agent = home.start();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    for address in addresses {
        writeln!(stream, "{}", json!({"client_ip": address})).unwrap();
    }
    drop(stream);
    node.await_count("places", 4, || agent.story());
    let reader = maxminddb::Reader::open_readfile(cached("geo/city.mmdb")).unwrap();
    for document in node.sources("places") {
        let address = document["client_ip"].as_str().unwrap();
        let found = reader.lookup(address.parse().unwrap()).unwrap();
        let city: Option<Value> = found.decode().unwrap();
        let Some(city) = city else {
            assert_eq!(document["tags"], json!(["_geoip_private"]), "{address}");
            continue;
        };
        let geoip = &document["geoip"];
        let text = geoip.to_string();
        for wanted in [&city["country"]["names"]["en"], &city["country"]["iso_code"]] {
            assert!(
                wanted.is_string() && text.contains(&wanted.to_string()),
                "{wanted}: {document}"
            );
        }
        for (of_geoip, of_city) in [("lat", "latitude"), ("lon", "longitude")] {
            let (found, wanted) = (&geoip["location"][of_geoip], &city["location"][of_city]);
            let difference = found.as_f64().unwrap() - wanted.as_f64().unwrap();
            assert!(difference.abs() < 1e-9, "{of_geoip} is {found}, not {wanted}: {document}");
        }
    }
}

/// The benchmark's own corpus, where the folder that makes it is there (`LOGWEIR_BENCH`).
#[test]
fn the_benchmarks_corpus_arrives_whole_through_the_seeds_filters() {
    const LINES: u64 = 200_000;
    let Some(bench) = std::env::var_os("LOGWEIR_BENCH") else {
        println!("LOGWEIR_BENCH is not set: only our own corpus was sent");
        return;
    };
    let (node, mut home) = (elasticsearch(), Home::new());
    let corpus = home.text_path("mcp.log");
    let generator = Path::new(&bench).join("gen.py");
    let mut command = std::process::Command::new("python3");
    crate::machine::run(command.arg(generator).args(["mcp", &LINES.to_string(), &corpus]));
    let lines = std::fs::read_to_string(&corpus).unwrap();
    let errors = lines.lines().filter(|line| line.contains("] ERROR ")).count() as u64;
    home.set("GEOIP_DATABASE", cached("geo/city.mmdb"));
    let shipped = std::fs::read_to_string(checkout("pipelines/mcp-server.toml")).unwrap();
    let (_, filters) = shipped.split_once("[[filters]]").unwrap();
    let (filters, _) = filters.split_once("[outputs.logs]").unwrap();
    let (inputs, outputs) = (FILE_INPUT, FILE_OUTPUTS);
    home.pipeline(&format!("{inputs}\n[[filters]]{filters}\n{outputs}"), &[("ES", &node.url)]);
    let agent = home.start();
    node.await_count("corpus-logs-2026.11.22", LINES, || agent.story());
    node.await_count("corpus-errors-2026.11.22", errors, || agent.story());
    node.assert_each_once("corpus-logs-2026.11.22", LINES);
    for document in node.sources("corpus-logs-2026.11.22") {
        let text = document.to_string();
        for secret in ["password=hunter", "token=tok_", "api_key=AKIA"] {
            assert!(!text.contains(secret), "{text}");
        }
        // Some of the corpus's addresses are in no country; nothing else may have failed.
        let tags = document.get("tags").is_none_or(|t| *t == json!(["_geoip_lookup_failure"]));
        assert!(document["msg"].is_string() && tags, "{text}");
    }
}

const FILE_INPUT: &str = r#"
[inputs.app]
type = "file"
paths = ["@HOME@/mcp.log"]
fields = { service = "mcp-server" }
"#;

const FILE_OUTPUTS: &str = r#"
[outputs.logs]
type = "elasticsearch"
hosts = ["@ES@"]
index = "corpus-logs-{@timestamp:%Y.%m.%d}"
[outputs.errors]
type = "elasticsearch"
when = 'level == "ERROR"'
hosts = ["@ES@"]
index = "corpus-errors-{@timestamp:%Y.%m.%d}"
"#;
