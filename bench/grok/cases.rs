//! The patterns and lines that are measured.
//!
//! In: our own list, and the conformance file where `LOGWEIR_CONFORMANCE` names its folder. Out:
//! [`Case`]s, and their patterns as Oniguruma takes them.
//! On failure: a missing file ends the run; a pattern that Oniguruma refuses is an error text.

use logweir::grok::{Ecs, definition};
use onig::{Regex, RegexOptions, Syntax};
use std::collections::HashMap;

/// Patterns, and lines of which the first is meant for them.
pub struct Case {
    /// What it is called in the table.
    pub name: String,
    /// The patterns, tried in order.
    pub patterns: Vec<String>,
    /// Definitions besides the dictionary.
    pub definitions: Vec<(String, String)>,
    /// Which dictionary.
    pub ecs: Ecs,
    /// The line, then lines that may not match.
    pub lines: Vec<String>,
}

/// The patterns of a case, compiled by Oniguruma.
pub struct Reference {
    /// One for each pattern.
    pub regexes: Vec<Regex>,
}

impl Reference {
    /// Expands the names and compiles as Logstash does.
    pub fn new(case: &Case) -> Result<Self, String> {
        let given: HashMap<&str, &str> =
            case.definitions.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut regexes = Vec::new();
        for pattern in &case.patterns {
            let text = expand(pattern, case.ecs, &given, &mut 0)?;
            let options = RegexOptions::REGEX_OPTION_MULTILINE;
            let regex = Regex::with_options(&text, options, Syntax::ruby());
            regexes.push(regex.map_err(|error| error.description().to_owned())?);
        }
        Ok(Self { regexes })
    }
}

/// All cases.
pub fn all() -> Vec<Case> {
    let mut all: Vec<Case> = OWN.iter().map(own).collect();
    if let Ok(folder) = std::env::var("LOGWEIR_CONFORMANCE") {
        let path = std::path::Path::new(&folder).join("grok_patterns_core.jsonl");
        let text = std::fs::read_to_string(&path).expect("LOGWEIR_CONFORMANCE has the grok cases");
        all.extend(text.lines().map(conformance));
    }
    // What a case is not meant for: a few lines of others, of which the first that fails is taken.
    let firsts: Vec<String> = all.iter().map(|case| case.lines[0].clone()).collect();
    for (at, case) in all.iter_mut().enumerate() {
        let others = (1..40).map(|step| firsts[(at + step * 7) % firsts.len()].clone());
        case.lines.extend(others);
    }
    all
}

/// The pattern of the first Fluentd set-up that this program replaced.
const SEED: &str = r"\[%{TIMESTAMP_ISO8601:timestamp}\] %{LOGLEVEL:level} %{GREEDYDATA:msg}";

const OWN: [(&str, &str, &str); 12] = [
    (
        "seed",
        SEED,
        "[2026-11-22T17:30:29.123Z] INFO request_id=8c3f handled GET /v1/tools in 12 ms",
    ),
    ("seed (no zone)", SEED, "[2026-11-22 17:30:29] WARNING slow answer from 10.1.2.3"),
    ("seed (not matching)", SEED, "Traceback (most recent call last): File \"server.py\", line 12"),
    (
        "nginx combined",
        "%{COMBINEDAPACHELOG}",
        "203.0.113.9 - - [22/Nov/2026:17:30:29 +0000] \"GET /api/v1/items?page=2 HTTP/1.1\" 200 \
         5316 \"https://example.com/start\" \"Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101\"",
    ),
    (
        "common log",
        "%{COMMONAPACHELOG}",
        "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 2326",
    ),
    (
        "syslog line",
        "%{SYSLOGLINE}",
        "Oct 11 22:14:15 mymachine su[3312]: 'su root' failed for lonvick on /dev/pts/8",
    ),
    (
        "words",
        "^%{IPORHOST:client} %{WORD:verb} %{URIPATHPARAM:path} %{NUMBER:size} %{NUMBER:time}$",
        "55.3.244.1 GET /index.html?a=1 15824 0.043",
    ),
    ("kv ip", "src=%{IP:src} dst=%{IP:dst}", "fw: drop src=10.0.0.1 dst=192.168.100.200 len=40"),
    ("uuid", "%{UUID:id}", "request 550e8400-e29b-41d4-a716-446655440000 took 12 ms"),
    ("http date", "%{HTTPDATE:at}", "served at 22/Nov/2026:17:30:29 +0000 by backend 7"),
    ("java", "%{JAVASTACKTRACEPART}", "\tat com.example.app.Main.run(Main.java:123)"),
    ("host port", "%{HOSTPORT:upstream}", "upstream: backend-7.internal.example.com:8443 ok"),
];

fn own((name, pattern, line): &(&str, &str, &str)) -> Case {
    Case {
        name: format!("own {name}"),
        patterns: vec![(*pattern).to_owned()],
        definitions: Vec::new(),
        ecs: Ecs::Disabled,
        lines: vec![(*line).to_owned()],
    }
}

fn conformance(line: &str) -> Case {
    let case: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let texts = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let patterns: Vec<String> =
        case["patterns"].as_array().into_iter().flatten().map(texts).collect();
    let definitions = case["pattern_definitions"].as_object().into_iter().flatten();
    Case {
        name: patterns.join(" or ").chars().take(40).collect(),
        patterns,
        definitions: definitions.map(|(name, text)| (name.clone(), texts(text))).collect(),
        ecs: if case["ecs"] == "v1" { Ecs::V1 } else { Ecs::Disabled },
        lines: vec![texts(&case["input"])],
    }
}

/// Replaces names by definitions; captures get numbered names.
fn expand(
    text: &str,
    ecs: Ecs,
    given: &HashMap<&str, &str>,
    groups: &mut usize,
) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(body) = rest.strip_prefix("%{") {
            let end = body.find('}').ok_or("a reference is not closed")?;
            let inside = &body[..end];
            let name_end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, tail) = inside.split_at(name_end.unwrap_or(end));
            let known = given.get(name).copied().or_else(|| definition(ecs, name));
            let known = known.ok_or_else(|| format!("no definition of {name}"))?;
            if tail.starts_with(':') {
                out.push_str(&format!("(?<g{groups}>"));
                *groups += 1;
            } else {
                out.push_str("(?:");
            }
            out.push_str(&expand(known, ecs, given, groups)?);
            out.push(')');
            rest = &body[end + 1..];
        } else if rest.starts_with("(?<") && !rest.starts_with("(?<=") && !rest.starts_with("(?<!")
        {
            let end = rest.find('>').ok_or("a group is not closed")?;
            out.push_str(&format!("(?<g{groups}>"));
            *groups += 1;
            rest = &rest[end + 1..];
        } else {
            let escaped = usize::from(rest.starts_with('\\'));
            let len = escaped + rest[escaped..].chars().next().map_or(0, char::len_utf8);
            out.push_str(&rest[..len]);
            rest = &rest[len..];
        }
    }
    Ok(out)
}
