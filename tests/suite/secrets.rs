//! Ten thousand secrets, planted in every position, are found nowhere behind `redact`.
//!
//! In: a seed (`LOGWEIR_SECRETS_SEED`; printed, so that a failure can be run again). A running agent reads the secrets
//! from its standard input and from files that are written in pieces; some of its documents are delivered, some
//! refused. Searched: journal, dead letters and positions on disk, what came out, the agent's own log at `debug`, its
//! metrics and status page, and what `tap` shows before, behind and after the filter. Promises: the same search finds each secret where there is no `redact`, so that finding
//! none means something. On failure: the secrets found, with kind and position.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{logweir, pipeline};

mod planted;

use planted::{Chance, Kind, Place, Planted};

/// How many secrets.
const SECRETS: usize = 10_000;
/// How long the agent may take at most; it takes seconds.
const PATIENCE: Duration = Duration::from_secs(240);
/// Bytes of a secret by which it is looked up; each is at least as long.
const HEAD: usize = 8;

const REDACT: &str = r#"
[[filters]]
type = "redact"
keys = ["password", "token", "api_key", "secret"]
detect = ["aws_key", "basic_auth", "bearer", "credit_card", "email", "gcp_key", "github_token", "high_entropy", "iban",
  "ipv4", "ipv6", "jwt", "phone", "private_key", "slack_token", "stripe_key", "url_credentials"]
"#;

/// What a run left, by where it was.
struct Left {
    parts: Vec<(String, Vec<u8>)>,
    delivered: usize,
    dead: u64,
}

fn seed() -> u64 {
    let given = std::env::var("LOGWEIR_SECRETS_SEED").ok();
    given.map_or(20_261_129, |text| text.parse().expect("the seed is a number"))
}

fn text(folder: &Path, filters: &str) -> String {
    let folder = folder.display();
    format!(
        "[inputs.json]\ntype = \"stdin\"\ncodec = \"json\"\n\n\
         [inputs.lines]\ntype = \"file\"\npaths = [\"{folder}/lines.log\"]\n\n\
         [inputs.traces]\ntype = \"file\"\npaths = [\"{folder}/traces.log\"]\n\
         codec = {{ type = \"multiline\", start = '^BEGIN', timeout = \"1h\" }}\n{filters}\n\
         [outputs.screen]\ntype = \"stdout\"\n\n\
         [outputs.refused]\ntype = \"file\"\nwhen = 'exists(refuse)'\npath = \"{{refuse}}\"\n"
    )
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

fn get(port: u16, path: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(answer)
}

/// The sum of a metric over its labels.
fn total(page: &[u8], name: &str) -> u64 {
    let page = String::from_utf8_lossy(page);
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with([' ', '{']).then(|| line.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    values.sum::<f64>() as u64
}

/// What a tap shows until the agent ends; it is open when this returns.
fn tapped(port: u16, at: &str) -> JoinHandle<Vec<u8>> {
    let start = Instant::now();
    loop {
        if let Some(mut stream) = open_tap(port, at) {
            return std::thread::spawn(move || {
                let mut shown = Vec::new();
                // The agent is killed in the end, which may break the connection.
                let _ = stream.read_to_end(&mut shown);
                shown
            });
        }
        assert!(start.elapsed() < PATIENCE, "the tap at {at} does not open");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `None`: the agent, or its pipeline, is not there yet.
fn open_tap(port: u16, at: &str) -> Option<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET /tap?at={at}&rate=1000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut reader = BufReader::new(stream);
    let mut status = String::new();
    reader.read_line(&mut status).ok()?;
    let mut line = status.clone();
    while line.trim_end() != "" {
        line.clear();
        reader.read_line(&mut line).ok()?;
    }
    status.contains(" 200 ").then_some(reader)
}

/// Writes a text in pieces that end anywhere.
fn write_in_pieces(chance: &mut Chance, out: &mut impl std::io::Write, text: &[u8]) {
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(1 + chance.below(40_000)));
        out.write_all(piece).unwrap();
        out.flush().unwrap();
        rest = after;
    }
}

fn read_all(folder: &Path, parts: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, parts);
        } else {
            parts.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// Runs the agent over the secrets until each event is delivered and each refusal is a dead letter.
fn run(planted: &[Planted], seed: u64, filters: &str) -> Left {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance(seed);
    let file = pipeline(folder.path(), "p.toml", &text(folder.path(), filters));
    let port = free_port();
    let mut command = logweir();
    command.args([
        "run",
        "--log-level",
        "debug",
        "--admin",
        &format!("127.0.0.1:{port}"),
        "--data-dir",
    ]);
    command.arg(folder.path().join("data")).arg(file);
    let (screen, log) = (folder.path().join("screen"), folder.path().join("log"));
    command.stdin(Stdio::piped()).stdout(fs::File::create(&screen).unwrap());
    let mut child = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let taps = ["input", "1", "output"].map(|at| (at, tapped(port, at)));
    let of = |place: fn(Place) -> bool| {
        planted.iter().filter(move |p| place(p.place)).map(|p| p.text.as_str()).collect::<String>()
    };
    let mut lines = fs::File::create(folder.path().join("lines.log")).unwrap();
    write_in_pieces(&mut chance, &mut lines, of(Place::is_line).as_bytes());
    let mut traces = fs::File::create(folder.path().join("traces.log")).unwrap();
    // One more line ends the last trace; a timeout would be a matter of time.
    let ended = of(Place::is_trace) + "BEGIN of nothing\n";
    write_in_pieces(&mut chance, &mut traces, ended.as_bytes());
    write_in_pieces(&mut chance, &mut stdin, of(Place::is_json).as_bytes());
    let refused = planted.iter().filter(|p| p.refused).count() as u64;
    let metrics = wait(&mut child, port, planted.len() as u64, refused);
    let status = get(port, "/").unwrap();
    let mut parts = vec![("/metrics".to_string(), metrics.clone()), ("/".to_string(), status)];
    read_all(&folder.path().join("data"), &mut parts);
    drop(stdin);
    child.kill().unwrap();
    child.wait().unwrap();
    read_all(&folder.path().join("data"), &mut parts);
    let shown = fs::read(&screen).unwrap();
    let delivered = memchr::memchr_iter(b'\n', &shown).count();
    parts.push(("standard output".into(), shown));
    parts.push(("the agent's log".into(), fs::read(&log).unwrap()));
    for (at, tap) in taps {
        let shown = tap.join().unwrap();
        // Filter 1 is there only where there is a `redact`.
        let events = memchr::memmem::find_iter(&shown, b"\"@timestamp\"").count();
        assert!(events > 0 || (at == "1" && filters.is_empty()), "the tap at {at} shows nothing");
        parts.push((format!("the tap at {at}"), shown));
    }
    Left { parts, delivered, dead: total(&metrics, "logweir_dead_letters") }
}

fn wait(child: &mut Child, port: u16, events: u64, refused: u64) -> Vec<u8> {
    let start = Instant::now();
    loop {
        let page = get(port, "/metrics").unwrap_or_default();
        let journaled = total(&page, "logweir_events_journaled_total");
        let delivered = total(&page, "logweir_output_documents_total");
        let dead = total(&page, "logweir_dead_letters");
        if journaled >= events && delivered >= events && dead >= refused {
            return page;
        }
        assert!(child.try_wait().unwrap().is_none(), "the agent ended by itself");
        let state = format!(
            "{journaled} of {events} journaled, {delivered} delivered, {dead} of {refused} dead"
        );
        assert!(start.elapsed() < PATIENCE, "{state}\n{}", String::from_utf8_lossy(&page));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Where each secret is found: numbers of secrets, with the part.
fn found<'a>(planted: &[Planted], left: &'a Left) -> HashMap<usize, &'a str> {
    let mut heads: HashMap<[u8; HEAD], Vec<(usize, &[u8])>> = HashMap::new();
    for (number, planted) in planted.iter().enumerate() {
        for needle in planted.needles.iter().map(String::as_bytes) {
            let head = needle[..HEAD].try_into().unwrap();
            heads.entry(head).or_default().push((number, needle));
        }
    }
    let mut found = HashMap::new();
    for (part, bytes) in &left.parts {
        for at in 0..bytes.len().saturating_sub(HEAD - 1) {
            let head: [u8; HEAD] = bytes[at..at + HEAD].try_into().unwrap();
            for (number, needle) in heads.get(&head).into_iter().flatten() {
                if bytes[at..].starts_with(needle) {
                    found.insert(*number, part.as_str());
                }
            }
        }
    }
    found
}

#[test]
fn ten_thousand_secrets_are_nowhere_behind_redact() {
    let seed = seed();
    println!("seed {seed}");
    let planted = planted::plant(seed, SECRETS);
    for kind in Kind::ALL {
        assert!(planted.iter().any(|p| p.kind == kind), "{kind:?} is planted");
    }
    let left = run(&planted, seed, REDACT);
    assert_eq!(left.delivered, SECRETS);
    assert_eq!(left.dead, planted.iter().filter(|p| p.refused).count() as u64);
    let found = found(&planted, &left);
    let shown: Vec<String> = found
        .iter()
        .take(20)
        .map(|(number, part)| {
            let Planted { kind, place, needles, text, .. } = &planted[*number];
            format!("{kind:?} as {place:?} in {part}: {needles:?}\n    {text}")
        })
        .collect();
    assert!(found.is_empty(), "seed {seed}: {} secrets\n{}", found.len(), shown.join("\n"));
}

#[test]
fn the_same_search_finds_every_secret_where_nothing_hides_it() {
    let planted = planted::plant(seed(), 600);
    let left = run(&planted, seed(), "");
    let found = found(&planted, &left);
    let missing = |n: &usize| !found.contains_key(n);
    let missing: Vec<&Planted> = (0..planted.len()).filter(missing).map(|n| &planted[n]).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
