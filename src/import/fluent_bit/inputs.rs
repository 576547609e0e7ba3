//! `[INPUT]` sections to inputs.

use super::super::fluent::condition::Condition;
use super::super::fluent::draft::{Block, Draft, RECORD, Value};
use super::super::fluent::text::{is_true, list, size, time};
use super::super::fluent::{journald, network};
use super::super::fluentd::route::{Notes, Stream};
use super::super::fluentd::source::{decoded, refusal, text};
use super::super::fluentd::syntax::Element;
use super::{Tag, Translation, name_of, tag_of};

impl Translation {
    pub(super) fn input(&mut self, element: &Element) -> Option<Stream> {
        let mut notes = Notes::default();
        let kind = name_of(element);
        let mut filters = Vec::new();
        let mut paths = Vec::new();
        let number = self.conversion.draft.inputs.len();
        let tag = text(element, "tag", &mut notes).unwrap_or_else(|| format!("{kind}.{number}"));
        let block = match kind.as_str() {
            "tail" => Some(self.tail(element, &mut paths, &mut notes, &mut filters)),
            "tcp" => Some(tcp(element, &mut notes)),
            "stdin" => Some(Block::of("stdin").with("codec", "json")),
            "forward" => Some(network::forward(element, &mut notes)),
            "http" => Some(network::http_input(element, &mut notes)),
            "udp" => {
                let block = network::udp(element, &mut notes, &mut filters);
                Some(if element.parameter("format").is_none() {
                    block.with("codec", "json")
                } else {
                    block
                })
            }
            "syslog" => syslog(element, &mut notes, &mut filters),
            "systemd" => Some(journald::of_fluent_bit(element, &mut notes, &mut filters)),
            "dummy" => Some(network::sample(element, &mut notes)),
            "cpu" | "mem" | "disk" | "netif" => Some(host(&kind, element, &mut notes)),
            "kmsg" => {
                notes.difference(
                    "the kernel's messages come from journald, with its names of fields",
                );
                let kernel = "_TRANSPORT != \"kernel\"";
                filters.push(Block::of("drop").with("when", kernel));
                Some(Block::of("journald").with("names", "journald"))
            }
            "random" => {
                notes.difference("the number is the same each time");
                let line = "{\"rand_value\":4}".to_string();
                Some(network::sample(element, &mut notes).with("lines", vec![line]))
            }
            "fluentbit_metrics" | "fluentbit_logs" | "health" => {
                notes.difference(
                    "health and metrics are at http://127.0.0.1:9600/health and /metrics, always",
                );
                self.conversion.entry(element, &kind, notes);
                return None;
            }
            other => {
                notes.refusal = Some(refusal(other));
                None
            }
        };
        let comments = self.conversion.entry(element, &kind, notes);
        let mut block = block.unwrap_or_else(|| Block::of("stdin").with("codec", "json"));
        block.notes = comments;
        let known =
            if matches!(kind.as_str(), "forward" | "http" | "opentelemetry" | "elasticsearch")
                && element.parameter("tag").is_none()
            {
                Tag::Field(String::new())
            } else {
                tag_of(&tag, &paths)
            };
        let base = text(element, "alias", &mut Notes::default()).unwrap_or_else(|| tag.clone());
        let base = base.split(['*', '<']).next().unwrap_or_default().trim_matches('.').to_string();
        let base = if base.is_empty() { kind } else { base };
        let name = Draft::free_name(&self.conversion.draft.inputs, &base);
        self.conversion.draft.inputs.push((name, block));
        self.conversion.identities.push(if matches!(known, Tag::Field(_)) {
            String::new()
        } else {
            tag
        });
        let stream =
            Stream { input: number, tag: known, when: Condition::Always(true), own: true, hops: 0 };
        self.conversion.pending.push((stream.clone(), filters));
        Some(stream)
    }

    fn tail(
        &self,
        element: &Element,
        paths: &mut Vec<String>,
        notes: &mut Notes,
        filters: &mut Vec<Block>,
    ) -> Block {
        let mut block = Block::of("file");
        *paths = list(&text(element, "path", notes).unwrap_or_default());
        let written =
            if paths.is_empty() { vec!["/var/log/*.log".to_string()] } else { paths.clone() };
        block.set("paths", written);
        let excluded =
            text(element, "exclude_path", notes).map(|text| list(&text)).unwrap_or_default();
        if !excluded.is_empty() {
            block.set("exclude", excluded);
        }
        let from_head = text(element, "read_from_head", notes).is_some_and(|text| is_true(&text));
        if !from_head && element.parameter("db").is_none() {
            block.set("start_at", "end");
        }
        if let Some(older) = text(element, "ignore_older", notes).and_then(|text| time(&text)) {
            block.set("ignore_older", older);
        }
        if let Some(interval) =
            text(element, "refresh_interval", notes).and_then(|text| time(&text))
            && interval != "0s"
        {
            block.set("rescan_interval", interval);
        }
        if let Some((line, bytes)) =
            text(element, "buffer_max_size", notes).and_then(|text| size(&text))
            && (16..=64 << 20).contains(&bytes)
            && bytes > 1 << 20
        {
            block.set("max_line", line);
        }
        if let Some(path) = text(element, "db", notes) {
            block.set(RECORD, path);
        }
        let key = text(element, "key", notes).unwrap_or_else(|| "log".to_string());
        self.decode(element, &mut block, &key, notes, filters);
        if let Some(key) = text(element, "path_key", notes) {
            filters.push(
                Block::of("copy").with("fields", vec![("log.file.path".to_string(), key.into())]),
            );
        }
        if let Some(key) = text(element, "offset_key", notes) {
            filters.push(
                Block::of("copy").with("fields", vec![("log.offset".to_string(), key.into())]),
            );
        }
        block
    }

    fn decode(
        &self,
        element: &Element,
        block: &mut Block,
        key: &str,
        notes: &mut Notes,
        filters: &mut Vec<Block>,
    ) {
        let renamed =
            || Block::of("rename").with("fields", vec![("message".to_string(), key.into())]);
        let modes = text(element, "multiline.parser", notes)
            .map(|text| list(&text.to_lowercase()))
            .unwrap_or_default();
        let is_container = matches!(block.get("paths"), Some(Value::List(paths)) if paths.iter().any(
            |path| matches!(path, Value::Text(path) if path.contains("/containers/"))));
        let parser =
            text(element, "parser", notes).map(|name| name.to_lowercase()).unwrap_or_default();
        let runtime = modes.iter().any(|mode| mode == "docker" || mode == "cri")
            || is_container && matches!(parser.as_str(), "docker" | "cri" | "containerd")
            || text(element, "docker_mode", notes).is_some_and(|text| is_true(&text));
        if runtime {
            block.set("codec", "container");
            if parser != "cri" && parser != "containerd" {
                filters.push(renamed());
            }
            return;
        }
        if let Some(mode) = modes.first() {
            let codec = match mode.as_str() {
                "java" | "python" | "go" | "ruby" => ("preset", mode.clone()),
                other => match self.multiline.get(other) {
                    Some(pattern) => ("start", pattern.clone()),
                    None => {
                        notes.difference(format!(
                            "the parser `{other}` is not there: stack traces are joined"
                        ));
                        ("preset", "any".to_string())
                    }
                },
            };
            let kind = ("type".to_string(), Value::from("multiline"));
            block.set("codec", vec![kind, (codec.0.to_string(), codec.1.into())]);
        } else if text(element, "multiline", notes).is_some_and(|text| is_true(&text)) {
            let name = text(element, "parser_firstline", notes).unwrap_or_default().to_lowercase();
            let pattern = self.parsers.get(&name).and_then(|parser| parser.pattern.clone());
            if pattern.is_none() {
                notes.difference(format!(
                    "the parser `{name}` is not there: a line without indentation begins an event"
                ));
            }
            let kind = ("type".to_string(), Value::from("multiline"));
            let start = pattern.unwrap_or_else(|| r"^\S".to_string());
            block.set("codec", vec![kind, ("start".to_string(), start.into())]);
            if let Some(parser) = self.parsers.get(&name) {
                filters.extend(parser.filters("message", None).unwrap_or_default());
            }
            return;
        }
        match self.parsers.get(&parser) {
            _ if parser.is_empty() => filters.push(renamed()),
            Some(parser) => decoded(block, parser, notes, filters),
            None => {
                notes.difference(format!(
                    "the parser `{parser}` is not in what was given: lines are not parsed"
                ));
                filters.push(renamed());
            }
        }
    }
}

/// Figures of the machine, under the names that they had.
fn host(kind: &str, element: &Element, notes: &mut Notes) -> Block {
    let figure = match kind {
        "mem" => "memory",
        "netif" => "network",
        other => other,
    };
    let number = |name: &str, notes: &mut Notes| {
        text(element, name, notes).and_then(|text| text.trim().parse::<f64>().ok())
    };
    let seconds = number("interval_sec", notes).unwrap_or(1.0).max(0.0);
    let nanoseconds = number("interval_nsec", notes).unwrap_or(0.0).max(0.0);
    let every = time(&format!("{}", seconds + nanoseconds / 1e9)).filter(|every| every != "0s");
    let block = Block::of("host")
        .with("figures", vec![figure.to_string()])
        .with("interval", every.unwrap_or_else(|| "1s".to_string()));
    if text(element, "pid", notes).is_some() {
        notes.difference("the figures are those of the machine, not of one process");
    }
    if text(element, "dev_name", notes).is_some() {
        notes.difference("the figures are those of all disks together");
    }
    match text(element, "interface", notes).filter(|name| kind == "netif" && !name.is_empty()) {
        Some(name) => block.with("interfaces", vec![name]),
        None => block,
    }
}

fn tcp(element: &Element, notes: &mut Notes) -> Block {
    let port = text(element, "port", notes).unwrap_or_else(|| "5170".to_string());
    let listen = text(element, "listen", notes).unwrap_or_else(|| "0.0.0.0".to_string());
    let mut block = Block::of("tcp").with("listen", format!("{listen}:{port}"));
    if text(element, "format", notes).is_none_or(|format| format != "none") {
        block.set("codec", "json");
    }
    block
}

/// `syslog` over UDP or TCP; its default is a socket of the file system.
fn syslog(element: &Element, notes: &mut Notes, filters: &mut Vec<Block>) -> Option<Block> {
    let mode = text(element, "mode", notes).unwrap_or_else(|| "unix_udp".to_string());
    if mode.contains("unix") {
        let text = "a socket of the file system is not listened on; let rsyslog forward to an input `syslog`";
        notes.refusal = Some(text.to_string());
        return None;
    }
    let _ = text(element, "parser", notes);
    Some(network::syslog(element, "", notes, filters))
}
