//! `<match>` elements (and `<store>`s) to outputs.
//!
//! In: an element and the streams that it takes. Out: outputs under the streams' condition; for `relabel`, `copy`,
//! `rewrite_tag_filter` and their like, the streams' further way. On failure: a comment with its lines.

use super::super::document::Notes as Said;
use super::super::fluent::amazon::amazon;
use super::super::fluent::condition::Condition;
use super::super::fluent::draft::{Block, Draft, Value};
use super::super::fluent::kafka::{self, kafka};
use super::super::fluent::network;
use super::super::fluent::parse::field;
use super::super::fluent::places;
use super::super::fluent::receivers::forward;
use super::super::fluent::senders::sender;
use super::super::fluent::services::{Service, service};
use super::super::fluent::tags::Tag;
use super::super::fluent::text::{dated, filled, is_true, list, size};
use super::elasticsearch::elasticsearch;
use super::filter::{condition_of, known_tag};
use super::route::{Conversion, Notes, Stream};
use super::source::text;
use super::syntax::Element;

/// Outputs to Amazon's services, and to Google's store.
const OF_AMAZON: &[&str] = &[
    "cloudwatch",
    "cloudwatch_logs",
    "firehose",
    "gcs",
    "kinesis",
    "kinesis_firehose",
    "kinesis_streams",
    "kinesis_streams_aggregated",
    "s3",
];

impl Conversion {
    /// `rest`: the elements behind this one.
    pub fn output(&mut self, element: &Element, taken: Vec<Stream>, rest: &[Element]) {
        let mut notes = Notes::default();
        let kind = element.kind();
        match kind.trim_start_matches("out_") {
            "copy" | "multi" | "roundrobin" | "weighted_roundrobin" => {
                self.copy(element, &kind, &taken, rest);
            }
            "relabel" => {
                let label = text(element, "@label", &mut notes).unwrap_or_default();
                if !self.labels.iter().any(|(name, _)| *name == label) {
                    notes.difference(format!("there is no label {label}: its events go nowhere"));
                }
                self.said(element, &kind, notes);
                self.route_label(&label, taken);
            }
            "forest" => self.forest(element, taken, rest),
            "label_router" => self.label_router(element, &kind, &taken),
            "null" | "blackhole" | "blackhole_plugin" => self.dropped(element, &kind, &taken),
            "rewrite_tag_filter" => self.rewrite_tags(element, &kind, &taken),
            "detect_exceptions" => {
                let blocks = self.detect_exceptions(element, &taken, &mut notes);
                let prefix = text(element, "remove_tag_prefix", &mut notes).unwrap_or_default();
                if blocks.is_empty() {
                    self.said(element, &kind, notes);
                } else {
                    let when = self.condition(&taken);
                    let comments = self.entry(element, &kind, notes);
                    self.add_filters(blocks, &when, &comments);
                }
                self.again(
                    taken.iter().map(|stream| without_prefix(stream, &prefix)).collect(),
                    element,
                );
            }
            "record_reformer" | "record_modifier" | "parser" | "grep" | "concat"
            | "colour_stripper" => {
                self.reformed(element, &kind, taken);
            }
            _ => self.sink(element, &kind, &taken),
        }
    }

    /// Notes a plugin that no part is written for.
    pub fn said(&mut self, element: &Element, kind: &str, notes: Notes) {
        let comments = self.entry(element, kind, notes);
        if !comments.is_empty() {
            self.draft.filters.push(Block { notes: comments, entries: Vec::new() }.into());
        }
    }

    fn copy(&mut self, element: &Element, kind: &str, taken: &[Stream], rest: &[Element]) {
        let stores: Vec<Element> =
            element.elements().filter(|e| e.name == "store").cloned().collect();
        let mut notes = Notes::default();
        if kind.contains("roundrobin") {
            notes.difference("every store gets every event");
        }
        self.said(element, kind, notes);
        let shared = stores.len() > 1;
        for store in &stores {
            let streams =
                taken.iter().map(|stream| Stream { own: stream.own && !shared, ..stream.clone() });
            self.output(store, streams.collect(), rest);
        }
    }

    /// An output for each tag, written once as a template: one output, whose placeholders say the tag.
    fn forest(&mut self, element: &Element, taken: Vec<Stream>, rest: &[Element]) {
        let kind = text(element, "subtype", &mut Notes::default()).unwrap_or_default();
        let mut inner = element.clone();
        inner.body = element.element("template").map_or_else(Vec::new, |inner| inner.body.clone());
        let span = element.span.clone();
        let of_kind = super::syntax::Value::text(kind);
        let named = super::syntax::Parameter { name: "@type".to_string(), value: of_kind, span };
        for item in &mut inner.body {
            if let super::syntax::Item::Parameter(parameter) = item {
                let written = parameter.value.source();
                let known = written.replace("__TAG__", "${tag}");
                let known = known.replace("__TAG_PARTS[", "${tag_parts[").replace("]__", "]}");
                if known != written {
                    parameter.value = super::syntax::Value::text(known);
                }
            }
        }
        inner.body.push(super::syntax::Item::Parameter(named));
        self.output(&inner, taken, rest);
    }

    /// Nobody else wants them: they are dropped at once.
    pub fn dropped(&mut self, element: &Element, kind: &str, taken: &[Stream]) {
        let when = self.condition(taken);
        let comments = self.entry(element, kind, Notes::default());
        if taken.iter().any(|stream| !stream.own) {
            return;
        }
        match when.text() {
            Some(text) => {
                let mut block = Block::of("drop").with("when", text);
                block.notes = comments;
                self.draft.filters.push(block.into());
            }
            None => {
                let mut block = Block::of("drop");
                block.notes = comments;
                self.draft.filters.push(block.into());
            }
        }
    }

    fn rewrite_tags(&mut self, element: &Element, kind: &str, taken: &[Stream]) {
        let mut notes = Notes::default();
        let rules = rules_of(element, &mut notes);
        let tag = known_tag(taken).map(str::to_string);
        let mut left: Vec<Stream> = taken.to_vec();
        let mut onward = Vec::new();
        let mut blocks = Vec::new();
        for (key, pattern, new, inverted) in rules {
            let Some(condition) = condition_of(&key, &pattern, &mut notes) else { continue };
            let condition = if inverted { condition.negate() } else { condition };
            let new = new.replace("__TAG__", "${tag}");
            let new = match &tag {
                Some(tag) => filled(&new, Some(tag)).map_or(new, |filled| filled.text),
                None => new.replace("${tag}", "{@metadata.tag}"),
            };
            let here: Vec<Stream> = left
                .iter()
                .map(|stream| Stream {
                    when: stream.when.clone().and(condition.clone()),
                    ..stream.clone()
                })
                .collect();
            for stream in &mut left {
                stream.when = stream.when.clone().and(condition.clone().negate());
            }
            if new.contains(['$', '{']) {
                let name = field(&key);
                let whole = matches!(
                    pattern.trim_matches('/'),
                    "^(.+)$" | "(.+)" | "^(.*)$" | "(.*)" | ".+" | ".*"
                );
                if !whole {
                    notes.difference(format!(
                        "the new tag has the whole of `{name}` where it has a part of it"
                    ));
                }
                let text = new.replace("${1}", "$1").replace("$1", &format!("{{{name}}}"));
                let text: String = text.replace("${", "{");
                let prefix = text.split('{').next().unwrap_or_default().to_string();
                let when = self.condition(&here);
                let fields = vec![("@metadata.tag".to_string(), Value::from(text))];
                let mut block = Block::of("set").with("fields", fields);
                if let Some(when) = when.text() {
                    block.entries.insert(1, ("when".to_string(), when.into()));
                }
                blocks.push(block);
                onward.extend(Self::retagged(&here, &Tag::Field(prefix)));
            } else {
                onward.extend(Self::retagged(&here, &Tag::Fixed(new)));
            }
        }
        let comments = self.entry(element, kind, notes);
        if blocks.is_empty() && !comments.is_empty() {
            self.draft.filters.push(Block { notes: comments.clone(), entries: Vec::new() }.into());
        }
        for (at, mut block) in blocks.into_iter().enumerate() {
            if at == 0 {
                block.notes.append(comments.clone());
            }
            self.draft.filters.push(block.into());
        }
        onward.retain(|stream| stream.when != Condition::Always(false));
        self.again(onward, element);
    }

    /// Events that were given a new tag begin at the root again, or at the label.
    fn again(&mut self, streams: Vec<Stream>, element: &Element) {
        let streams: Vec<Stream> = streams.into_iter().filter(|stream| stream.hops < 8).collect();
        if streams.is_empty() {
            return;
        }
        let label = text(element, "@label", &mut Notes::default());
        let around = self.labels.iter().find(|(_, label)| {
            label.span.file == element.span.file
                && label.span.bytes.start < element.span.bytes.start
                && element.span.bytes.end <= label.span.bytes.end
        });
        let name = label.or_else(|| around.map(|(name, _)| name.clone()));
        match name {
            Some(name) => self.route_label(&name, streams),
            None => {
                let root = self.root.clone();
                self.route(&root, streams);
            }
        }
    }

    /// Outputs of older versions that change events and give them a new tag.
    fn reformed(&mut self, element: &Element, kind: &str, mut taken: Vec<Stream>) {
        let mut notes = Notes::default();
        let tag =
            text(element, "tag", &mut notes).or_else(|| text(element, "output_tag", &mut notes));
        let added = text(element, "add_prefix", &mut notes)
            .or_else(|| text(element, "add_tag_prefix", &mut notes));
        let removed = text(element, "remove_prefix", &mut notes)
            .or_else(|| text(element, "remove_tag_prefix", &mut notes));
        let mut as_filter = element.clone();
        if kind == "record_reformer" {
            for item in &mut as_filter.body {
                if let super::syntax::Item::Parameter(parameter) = item
                    && matches!(parameter.name.as_str(), "@type" | "type")
                {
                    parameter.value = super::syntax::Value::text("record_transformer");
                }
            }
        }
        self.filter(&as_filter, &mut taken);
        let known = known_tag(&taken).map(str::to_string);
        let moved = taken
            .iter()
            .filter_map(|stream| {
                let stream = removed
                    .as_ref()
                    .map_or_else(|| stream.clone(), |prefix| without_prefix(stream, prefix));
                let old = match &stream.tag {
                    Tag::Fixed(tag) => tag.clone(),
                    _ => known.clone().unwrap_or_default(),
                };
                let new = match (&tag, &added) {
                    (Some(tag), _) => filled(tag, Some(&old)).ok()?.text,
                    (None, Some(prefix)) => format!("{}.{old}", prefix.trim_end_matches('.')),
                    (None, None) => old,
                };
                Some(Stream { tag: Tag::Fixed(new), hops: stream.hops + 1, ..stream })
            })
            .collect();
        self.again(moved, element);
    }

    /// An output of its own.
    pub fn sink(&mut self, element: &Element, kind: &str, taken: &[Stream]) {
        let mut notes = Notes::default();
        let tag = known_tag(taken).map(str::to_string);
        let when = self.condition(taken);
        let block = match kind.trim_start_matches("out_") {
            "elasticsearch"
            | "es"
            | "elasticsearch_dynamic"
            | "opensearch"
            | "aws-elasticsearch-service"
            | "elasticsearch_data_stream"
            | "opensearch_data_stream" => {
                self.tag_key(element, taken, &mut notes);
                Some(elasticsearch(element, kind, tag.as_deref(), &mut notes))
            }
            "stdout" => Some(Block::of("stdout")),
            "file" | "file_alternative" => Some(file(element, tag.as_deref(), &mut notes)),
            "null" | "counter" | "flowcounter" | "prometheus" => {
                if kind.ends_with("prometheus") {
                    notes.difference(
                        "counters of events are at http://127.0.0.1:9600/metrics, without these labels",
                    );
                }
                let comments = self.entry(element, kind, notes);
                self.draft
                    .outputs
                    .push((String::new(), Block { notes: comments, entries: Vec::new() }));
                return;
            }
            "slack" => Some(slack(element, &mut notes)),
            "forward" | "secure_forward" => {
                let tag = text(element, "tag", &mut notes).or(tag);
                let sent = self.tag_sent(tag.as_deref(), taken, &mut notes);
                forward(element, sent, &mut notes).map_err(|why| notes.refusal = Some(why)).ok()
            }
            "http" | "http_ext" | "http_buffered" if element.name != "output" => {
                let block = network::http_of_fluentd(element, &mut notes);
                if block.is_none() {
                    notes.refusal =
                        Some("it has no address; write `url` of an output `http`".into());
                }
                block
            }
            "http" => Some(network::http_of_fluent_bit(element, &mut notes)),
            "opentelemetry" if element.name == "output" => {
                notes
                    .difference("logs go as JSON, each the whole event; metrics and traces do not");
                let block = network::http_of_fluent_bit(element, &mut notes);
                Some(block.with("format", "otlp"))
            }
            "" => {
                notes.refusal = Some("it has no @type".to_string());
                None
            }
            other if OF_AMAZON.contains(&other) => {
                let sent = self.tag_sent(tag.as_deref(), taken, &mut notes);
                let made = amazon(other, element, &sent, &mut notes).transpose();
                made.map_err(|why| notes.refusal = Some(why)).ok().flatten()
            }
            other if kafka::KINDS.contains(&other) => {
                let sent = self.tag_sent(tag.as_deref(), taken, &mut notes);
                kafka(element, &sent, &mut notes).map_err(|why| notes.refusal = Some(why)).ok()
            }
            other => match sender(other, element, &mut notes) {
                Some(block) => Some(block),
                None => self.service(other, element, &when, &mut notes),
            },
        };
        let block = block.map(|mut block| {
            self.buffer(element, &mut notes);
            places::in_block(&mut block, &mut notes);
            block
        });
        let comments = self.entry(element, kind, notes);
        let Some(block) = block else {
            self.draft
                .outputs
                .push((String::new(), Block { notes: comments, entries: Vec::new() }));
            return;
        };
        self.add_output(kind, block, &when, comments);
    }

    /// A service over HTTP, and the filters that its documents need.
    fn service(
        &mut self,
        kind: &str,
        element: &Element,
        when: &Condition,
        notes: &mut Notes,
    ) -> Option<Block> {
        match service(kind, element, notes) {
            Some(Ok(Service { block, filters })) => {
                if !filters.is_empty() {
                    self.add_filters(filters, when, &Said::default());
                }
                Some(block)
            }
            Some(Err(why)) => {
                notes.refusal = Some(why);
                None
            }
            None => {
                notes.refusal = Some(refusal(kind));
                None
            }
        }
    }

    /// The tag that a receiver gets, as a template.
    fn tag_sent(&self, tag: Option<&str>, taken: &[Stream], notes: &mut Notes) -> String {
        if let Some(tag) = tag.filter(|tag| !tag.contains(['*', '$'])) {
            return tag.replace('{', "{{").replace('}', "}}");
        }
        let from_path = |stream: &&Stream| matches!(stream.tag, Tag::Path { .. });
        if let Some(stream) = taken.iter().find(from_path) {
            let written = self.identities.get(stream.input).cloned().unwrap_or_default();
            notes.difference(format!(
                "the tag is sent as it is written (`{written}`), without the file's path"
            ));
        }
        "{@metadata.tag:-logweir}".to_string()
    }

    /// Adds an output under a condition.
    pub fn add_output(&mut self, base: &str, mut block: Block, when: &Condition, comments: Said) {
        if *when == Condition::Always(false) || self.draft.outputs.len() >= 32 {
            self.draft
                .outputs
                .push((String::new(), Block { notes: comments, entries: Vec::new() }));
            return;
        }
        if let Some(text) = when.text() {
            block.entries.insert(1, ("when".to_string(), text.into()));
        }
        block.notes = comments;
        let base = match block.get("index") {
            Some(Value::Text(index)) if !index.is_empty() && !index.contains(['{', '$']) => {
                index.clone()
            }
            _ => base.to_string(),
        };
        let name = Draft::free_name(&self.draft.outputs, &base);
        self.draft.outputs.push((name, block));
    }

    /// `include_tag_key`: the tag is a field of the inputs' events.
    fn tag_key(&mut self, element: &Element, taken: &[Stream], notes: &mut Notes) {
        if !text(element, "include_tag_key", notes).is_some_and(|value| is_true(&value)) {
            return;
        }
        let key = text(element, "tag_key", notes).unwrap_or_else(|| "tag".to_string());
        for stream in taken {
            let Tag::Fixed(tag) = &stream.tag else {
                if matches!(stream.tag, Tag::Field(_)) {
                    let fields = vec![(key.clone(), Value::from("{@metadata.tag}"))];
                    let when = self.condition(std::slice::from_ref(stream));
                    let has = Condition::atom("exists(@metadata.tag)".to_string());
                    let mut block = Block::of("set").with("fields", fields);
                    if let Some(text) = when.and(has).text() {
                        block.entries.insert(1, ("when".to_string(), text.into()));
                    }
                    self.draft.filters.push(block.into());
                } else {
                    notes.difference(format!("`{key}` has the tag as the source names it"));
                }
                continue;
            };
            let Some((_, input)) = self.draft.inputs.get_mut(stream.input) else { continue };
            let mut fields = match input.get("fields") {
                Some(Value::Table(fields)) => fields.clone(),
                _ => Vec::new(),
            };
            if fields.iter().all(|(name, _)| *name != key) {
                fields.push((key.clone(), tag.as_str().into()));
                input.set("fields", fields);
            }
        }
    }

    /// `<buffer>`, and its parameters as older versions wrote them.
    fn buffer(&mut self, element: &Element, notes: &mut Notes) {
        let section = element.element("buffer");
        let get = |name: &str, notes: &mut Notes| {
            section
                .and_then(|section| text(section, name, notes))
                .or_else(|| text(element, name, notes))
        };
        if let Some(full) =
            get("overflow_action", notes).or_else(|| get("buffer_queue_full_action", notes))
        {
            match full.as_str() {
                "drop_oldest_chunk" => self.draft.journal.set("on_full", "drop_oldest"),
                "block" => self.draft.journal.set("on_full", "block"),
                _ => {}
            }
        }
        if let Some((_, bytes)) = get("total_limit_size", notes).and_then(|text| size(&text))
            && bytes >= 1 << 20
        {
            let known = match self.draft.journal.get("max_size") {
                Some(Value::Text(text)) => size(text).map_or(0, |(_, bytes)| bytes),
                _ => 0,
            };
            if bytes > known {
                self.draft
                    .journal
                    .set("max_size", size(&bytes.to_string()).map_or_else(String::new, |(t, _)| t));
            }
        }
    }
}

fn rules_of(element: &Element, notes: &mut Notes) -> Vec<(String, String, String, bool)> {
    let mut rules = Vec::new();
    for rule in element.elements().filter(|inner| inner.name == "rule") {
        let get = |name: &str, notes: &mut Notes| text(rule, name, notes).unwrap_or_default();
        let inverted = rule.parameter("invert").is_some() && is_true(&get("invert", notes));
        rules.push((get("key", notes), get("pattern", notes), get("tag", notes), inverted));
    }
    for parameter in
        element.parameters().filter(|parameter| parameter.name.starts_with("rewriterule"))
    {
        let source = parameter.value.source();
        let mut parts = source.splitn(2, char::is_whitespace);
        let (Some(key), Some(rest)) = (parts.next(), parts.next()) else { continue };
        let Some((pattern, tag)) = rest.trim().rsplit_once(char::is_whitespace) else { continue };
        let inverted = pattern.starts_with('!');
        rules.push((
            key.into(),
            pattern.trim_start_matches('!').trim().into(),
            tag.into(),
            inverted,
        ));
    }
    rules
}

fn without_prefix(stream: &Stream, prefix: &str) -> Stream {
    let cut = |tag: &str| {
        let rest = tag.strip_prefix(prefix).unwrap_or(tag);
        rest.strip_prefix('.').unwrap_or(rest).to_string()
    };
    let tag = match &stream.tag {
        Tag::Fixed(tag) => Tag::Fixed(cut(tag)),
        Tag::Path { before, globs, after } => {
            Tag::Path { before: cut(before), globs: globs.clone(), after: after.clone() }
        }
        Tag::Field(known) => Tag::Field(cut(known)),
    };
    Stream { tag, hops: stream.hops + 1, ..stream.clone() }
}

/// A text of an output with placeholders, as a template.
pub fn template(text: &str, tag: Option<&str>, notes: &mut Notes) -> String {
    let dated = dated(text);
    let (start, marks): (String, Vec<String>) = protected(&dated);
    let filled = match filled(&start, tag) {
        Ok(filled) => filled.text,
        Err(code) => {
            notes.difference(format!("a placeholder is not understood: {code}"));
            start.replace("${", "").replace('}', "")
        }
    };
    marks
        .iter()
        .enumerate()
        .fold(filled, |text, (at, mark)| text.replace(&format!("\u{1}{at}\u{1}"), mark))
}

/// Takes `{@timestamp:…}` out of the way.
fn protected(text: &str) -> (String, Vec<String>) {
    let mut marks = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{@timestamp:") {
        let Some(end) = rest[start..].find('}') else { break };
        out.push_str(&rest[..start]);
        out.push_str(&format!("\u{1}{}\u{1}", marks.len()));
        marks.push(rest[start..=start + end].to_string());
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    (out, marks)
}

/// A secret that is written in the file is named, and read from the environment.
pub fn secret(value: &str, name: &str, notes: &mut Notes) -> String {
    if value.starts_with("${") {
        let place = if name.contains("WEBHOOK") {
            "https://hooks.slack.com/services/not-set"
        } else {
            "not-set"
        };
        let bare = !value.contains(":-") && value.ends_with('}');
        let value = if bare { value.replacen('}', ":-not-set}", 1) } else { value.to_string() };
        return value.replace(":-not-set}", &format!(":-{place}}}"));
    }
    notes.difference(format!("the secret is not written here: set {name} in the environment"));
    match name {
        "SLACK_WEBHOOK_URL" => WEBHOOK.to_string(),
        name => format!("${{{name}:-not-set}}"),
    }
}

const WEBHOOK: &str = "${SLACK_WEBHOOK_URL:-https://hooks.slack.com/services/not-set}";

fn file(element: &Element, tag: Option<&str>, notes: &mut Notes) -> Block {
    let path = text(element, "path", notes).unwrap_or_else(|| "/var/log/fluent/events".to_string());
    let path = path.trim_end_matches('/').replace(".*.", ".").replace(".*", "").replace('*', "");
    let mut path = template(&path, tag, notes);
    if !path.contains("@timestamp")
        && !text(element, "append", notes).is_some_and(|value| is_true(&value))
    {
        path.push_str(".{@timestamp:%Y%m%d}");
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    if !last.contains(".log") && !last.contains(".json") {
        path.push_str(".log");
    }
    notes.difference("one JSON object on each line, without time and tag before it; one file, not one for each chunk");
    if text(element, "compress", notes).is_some_and(|value| value == "gzip") {
        notes.difference("files are not compressed");
    }
    Block::of("file").with("path", path)
}

fn slack(element: &Element, notes: &mut Notes) -> Block {
    let mut block = Block::of("slack");
    match text(element, "webhook_url", notes) {
        Some(url) => block.set("webhook_url", secret(&url, "SLACK_WEBHOOK_URL", notes)),
        None => {
            notes.difference(
                "a webhook is needed (SLACK_WEBHOOK_URL); tokens of bots are not taken",
            );
            block.set("webhook_url", WEBHOOK);
        }
    }
    for (from, to) in [
        ("channel", "channel"),
        ("username", "username"),
        ("icon_emoji", "icon_emoji"),
        ("title", "title"),
    ] {
        if let Some(value) =
            text(element, from, notes).filter(|value| !value.is_empty() && !value.contains("%s"))
        {
            block.set(to, value);
        }
    }
    let keys = text(element, "message_keys", notes).map(|keys| list(&keys)).unwrap_or_default();
    let message = text(element, "message", notes).unwrap_or_else(|| "%s".to_string());
    let mut keys = keys.iter();
    let mut out = String::new();
    let parts: Vec<&str> = message.split("%s").collect();
    for (at, part) in parts.iter().enumerate() {
        out.push_str(&part.replace('{', "{{").replace('}', "}}"));
        if at + 1 < parts.len() {
            let key = keys.next().map_or_else(|| "message".to_string(), |key| field(key));
            out.push_str(&format!("{{{key}}}"));
        }
    }
    block.set("text", out);
    block
}

fn refusal(kind: &str) -> String {
    let instead = match kind {
        "azure_storage" | "azure_blob" | "azurestorage" | "webhdfs" => {
            "write `file`, and let a timer copy the folder there"
        }
        "logdna" | "azure" | "influxdb" | "coralogix" => {
            "it takes HTTP: try the output `http` with its address and key; the form of a document is ours"
        }
        "prometheus_exporter" | "prometheus_remote_write" | "statsd" => {
            "count with the filter `metric`: /metrics has it"
        }
        _ => "`elasticsearch`, `http`, `kafka`, `slack`, `file`, `stdout` and `null` are there",
    };
    format!("there is no output `{kind}`; {instead}")
}
