//! `<source>` elements to inputs.
//!
//! In: an element. Out: an input of the draft and the stream of its events. Promises: each source is an entry of the
//! draft. On failure: a source that there is no input for is a comment with its lines.

use super::super::fluent::condition::Condition;
use super::super::fluent::draft::{Block, Draft, RECORD, Value};
use super::super::fluent::parse::Parser;
use super::super::fluent::tags::Tag;
use super::super::fluent::text::{is_true, list, settled, time};
use super::super::fluent::{journald, network};
use super::parse_section::parser_of;
use super::route::{Conversion, Notes, Stream};
use super::syntax::Element;

impl Conversion {
    /// The stream of its events; `None`: it has none.
    pub fn source(&mut self, element: &Element) -> Option<Stream> {
        let mut notes = Notes::default();
        let kind = element.kind();
        let mut filters = Vec::new();
        let mut tag = text(element, "tag", &mut notes).unwrap_or_default();
        let block = match kind.trim_start_matches("in_") {
            "tail" | "tail_asis" | "tail_ex" => Some(self.tail(element, &mut notes, &mut filters)),
            "tcp" => Some(tcp(element, &mut notes, &mut filters)),
            "stdin" => Some(Block::of("stdin")),
            "forward" | "secure_forward" => {
                let block = network::forward(element, &mut notes);
                if let Some(prefix) = text(element, "add_tag_prefix", &mut notes) {
                    let text = format!("{}.{{@metadata.tag}}", prefix.trim_end_matches('.'));
                    let fields = vec![("@metadata.tag".to_string(), Value::from(text))];
                    filters.push(Block::of("set").with("fields", fields));
                }
                Some(block)
            }
            "http" => {
                let block = network::http_input(element, &mut notes);
                let parser = parser_of(element, &mut notes);
                if !matches!(
                    parser.kind.as_str(),
                    "none" | "json" | "msgpack" | "default" | "in_http"
                ) {
                    decoded(&mut block.clone(), &parser, &mut notes, &mut filters);
                }
                Some(block)
            }
            "syslog" => Some(network::syslog(element, &tag, &mut notes, &mut filters)),
            "udp" => {
                let mut block = network::udp(element, &mut notes, &mut filters);
                decoded(&mut block, &parser_of(element, &mut notes), &mut notes, &mut filters);
                Some(block)
            }
            "systemd" => Some(journald::of_fluentd(element, &mut notes, &mut filters)),
            "sample" | "dummy" => Some(network::sample(element, &mut notes)),
            "monitor_agent"
            | "prometheus"
            | "prometheus_monitor"
            | "prometheus_output_monitor"
            | "debug_agent"
            | "prometheus_tail_monitor"
            | "http_heartbeat"
            | "gc_stat"
            | "object_space"
            | "healthcheck" => {
                notes.difference(
                    "health and metrics are at http://127.0.0.1:9600/health and /metrics, always",
                );
                self.entry(element, &kind, notes);
                return None;
            }
            other => {
                notes.refusal = Some(refusal(other));
                None
            }
        };
        let base = text(element, "@id", &mut Notes::default()).unwrap_or_else(|| {
            let name = tag.trim_end_matches('*').trim_matches('.');
            if name.is_empty() { kind.clone() } else { name.to_string() }
        });
        if tag.is_empty() {
            tag.clone_from(&kind);
        }
        let comments = self.entry(element, &kind, notes);
        let mut block = block.unwrap_or_else(|| Block::of("stdin").with("codec", "json"));
        block.notes = comments;
        let known = match block.get("paths") {
            Some(Value::List(paths)) if tag.contains('*') => Tag::Path {
                before: tag.split('*').next().unwrap_or_default().to_string(),
                after: tag.split('*').next_back().unwrap_or_default().to_string(),
                globs: paths
                    .iter()
                    .filter_map(|path| {
                        if let Value::Text(path) = path { Some(path.clone()) } else { None }
                    })
                    .collect(),
            },
            _ if matches!(kind.as_str(), "forward" | "http" | "unix" | "secure_forward")
                && element.parameter("tag").is_none() =>
            {
                Tag::Field(
                    text(element, "add_tag_prefix", &mut Notes::default()).unwrap_or_default(),
                )
            }
            _ if kind == "syslog" => Tag::Field(tag.clone()),
            _ => Tag::Fixed(tag.clone()),
        };
        let name = Draft::free_name(&self.draft.inputs, &base);
        self.draft.inputs.push((name, block));
        let input = self.draft.inputs.len() - 1;
        self.identities.push(if matches!(known, Tag::Field(_)) { String::new() } else { tag });
        let stream =
            Stream { input, tag: known, when: Condition::Always(true), own: true, hops: 0 };
        self.pending.push((stream.clone(), filters));
        Some(stream)
    }

    fn tail(&mut self, element: &Element, notes: &mut Notes, filters: &mut Vec<Block>) -> Block {
        let mut block = Block::of("file");
        let paths = text(element, "path", notes).unwrap_or_default();
        let paths: Vec<String> = list(&paths).iter().map(|path| globbed(path, notes)).collect();
        if paths.is_empty() {
            notes.difference("no path is written");
        }
        let is_container = paths.iter().any(|path| path.contains("/containers/"));
        block.set(
            "paths",
            if paths.is_empty() { vec!["/var/log/*.log".to_string()] } else { paths },
        );
        if let Some(exclude) =
            text(element, "exclude_path", notes).map(|text| list(&text)).filter(|l| !l.is_empty())
        {
            block.set("exclude", exclude);
        }
        let from_head = text(element, "read_from_head", notes).is_some_and(|text| is_true(&text));
        match element.parameter("pos_file") {
            None if !from_head => block.set("start_at", "end"),
            None => {}
            Some(_) => {
                if let Some(path) = text(element, "pos_file", notes) {
                    block.set(RECORD, path);
                }
            }
        }
        if let Some(older) =
            text(element, "limit_recently_modified", notes).and_then(|text| time(&text))
        {
            block.set("ignore_older", older);
        }
        if let Some(interval) =
            text(element, "refresh_interval", notes).and_then(|text| time(&text))
        {
            block.set("rescan_interval", interval);
        }
        let parser = parser_of(element, notes);
        if is_container
            && matches!(parser.kind.as_str(), "json" | "cri" | "multi_format" | "containerd")
        {
            block.set("codec", "container");
            if parser.kind == "cri" {
                notes.difference(
                    "the line's partial flag (`logtag`) is not a field: split lines are joined",
                );
            } else {
                filters.push(
                    Block::of("rename").with("fields", vec![("message".to_string(), "log".into())]),
                );
            }
        } else {
            decoded(&mut block, &parser, notes, filters);
        }
        if let Some(key) = text(element, "path_key", notes) {
            filters.push(
                Block::of("copy").with("fields", vec![("log.file.path".to_string(), key.into())]),
            );
        }
        block
    }
}

/// A parameter's text.
pub fn text(element: &Element, name: &str, notes: &mut Notes) -> Option<String> {
    let parameter = element.parameter(name)?;
    let mut said = Vec::new();
    let text = settled(&parameter.value, &mut said);
    for note in said {
        notes.difference(note);
    }
    Some(text)
}

/// `%Y%m%d` in a path: any file that a date could stand in the name of.
pub fn globbed(path: &str, notes: &mut Notes) -> String {
    if !path.contains('%') {
        return path.to_string();
    }
    notes.difference("dates in the path are a `*`: older files that match are read, too");
    let mut out = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        if c == '%' && chars.next().is_some() {
            if !out.ends_with('*') {
                out.push('*');
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Sets the codec, or adds the filters that do the same.
pub fn decoded(block: &mut Block, parser: &Parser, notes: &mut Notes, filters: &mut Vec<Block>) {
    if matches!(parser.kind.as_str(), "multiline" | "multiline_grok")
        && let Some(start) = &parser.start
    {
        let codec = vec![
            ("type".to_string(), "multiline".into()),
            ("start".to_string(), start.as_str().into()),
        ];
        block.set("codec", codec);
    }
    let mut parser = parser.clone();
    if parser.kind == "json" {
        block.set("codec", "json");
        if parser.time_key.is_none() && parser.time_format.is_some() {
            parser.time_key = Some("time".to_string());
        }
    }
    match parser.filters("message", None) {
        Ok(blocks) => {
            let is_first_json = |(at, block): &(usize, Block)| *at == 0 && block.kind() == "json";
            filters.extend(blocks.into_iter().enumerate().filter(|pair| !is_first_json(pair)).map(
                |(_, b)| {
                    let parses = matches!(b.kind(), "kv" | "csv");
                    if parses { b.with("remove_field", vec!["message".to_string()]) } else { b }
                },
            ));
        }
        Err(why) => notes.refusal = Some(why),
    }
}

fn tcp(element: &Element, notes: &mut Notes, filters: &mut Vec<Block>) -> Block {
    let port = text(element, "port", notes).unwrap_or_else(|| "5170".to_string());
    let bind = text(element, "bind", notes).unwrap_or_else(|| "0.0.0.0".to_string());
    let mut block = Block::of("tcp").with("listen", format!("{bind}:{port}"));
    decoded(&mut block, &parser_of(element, notes), notes, filters);
    block
}

/// Why there is no such input, and what to do.
pub fn refusal(kind: &str) -> String {
    let instead = match kind {
        "" => return "it has no @type".to_string(),
        "unix" | "docker_events" => "let its senders use `forward` over TCP",
        "kafka" | "kafka_group" | "rdkafka" => {
            "let a consumer write JSON lines to `tcp`, or keep the old agent for this topic in front"
        }
        "exec" => "let a timer run the command and append to a file that `file` follows",
        "s3" => "let a timer copy the objects to a folder that `file` follows",
        "proc"
        | "node_exporter_metrics"
        | "docker_metrics"
        | "process_exporter_metrics"
        | "cadvisor"
        | "dstat"
        | "statsd"
        | "collectd" => "this agent ships logs: let Prometheus scrape a node exporter",
        "mqtt" | "kinesis" | "gelf" | "netflow" | "netflowipfix" | "opentelemetry" | "sql" => {
            "let the senders, or a small bridge, send JSON to `http`, `tcp` or `udp`"
        }
        "windows_eventlog" | "windows_eventlog2" | "winlog" | "winevtlog" => {
            "Winlogbeat can send to `beats`"
        }
        _ => "let its senders send JSON to `http` or `tcp`, or write to a file that `file` follows",
    };
    format!("there is no input `{kind}`; {instead}")
}
