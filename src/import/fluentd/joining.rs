//! Lines that belong together: by the codec of the input that reads them, else by a filter `multiline`.
//!
//! In: an element and the streams that come to it. Out: the input's codec, changed, or a filter. Promises: an input
//! that reads plain lines joins them itself, so that what is held is read again after a crash; all others keep the
//! place that the element has. On failure: nothing can fail.

use super::super::fluent::condition::literal;
use super::super::fluent::draft::{Block, Value};
use super::super::fluent::parse::{field, pattern_of};
use super::super::fluent::tags::{TAG_FIELD, Tag};
use super::super::fluent::text::{is_true, list, time};
use super::route::{Conversion, Notes, Stream};
use super::source::text;
use super::syntax::Element;

/// How lines are joined.
#[derive(Default)]
pub struct Joins {
    /// The field with the line.
    pub field: String,
    /// Fields that tell streams apart, besides the tag.
    pub by: Vec<String>,
    /// What belongs together by the text: settings of the codec, and of the filter.
    pub rule: Vec<(String, Value)>,
    /// Settings that only the filter has.
    pub own: Vec<(String, Value)>,
    /// After how long what is held goes on, where that is known.
    pub wait: Option<String>,
}

impl Conversion {
    /// Joins lines where they are read, or gives the filter that does.
    pub fn join(&mut self, taken: &[Stream], joins: Joins, notes: &mut Notes) -> Vec<Block> {
        let at_input = joins.own.is_empty() && taken.iter().all(|s| self.joins_lines(s.input));
        if at_input {
            for stream in taken {
                self.codec_of(stream.input, |codec| {
                    codec.extend(joins.rule.iter().cloned());
                    let wait = joins.wait.as_ref().map(|wait| wait.as_str().into());
                    codec.extend(wait.map(|wait| ("timeout".to_string(), wait)));
                });
            }
            notes.difference("lines are joined where they are read, before all filters");
            return Vec::new();
        }
        let mut block = Block::of("multiline");
        if joins.field != "message" {
            block.set("field", joins.field);
        }
        let by_field = taken.iter().any(|stream| matches!(stream.tag, Tag::Field(_)));
        let mut by = joins.by;
        if by_field {
            by.insert(0, TAG_FIELD.to_string());
        } else if !by.is_empty() {
            by.insert(0, "log.file.path".to_string());
        }
        if !by.is_empty() {
            block.set("by", by);
        }
        for (name, value) in joins.rule.into_iter().chain(joins.own) {
            block.set(&name, value);
        }
        if let Some(wait) = joins.wait {
            block.set("timeout", wait);
        }
        vec![block]
    }

    /// Whether the codec of an input can join its lines, or does so.
    fn joins_lines(&self, input: usize) -> bool {
        let Some((_, block)) = self.draft.inputs.get(input) else { return false };
        let kind = match block.get("codec") {
            None => "plain",
            Some(Value::Text(kind)) => kind,
            Some(Value::Table(codec)) => match codec.first() {
                Some((_, Value::Text(kind))) => kind,
                _ => "",
            },
            Some(_) => "",
        };
        let reads_lines = matches!(block.kind(), "file" | "stdin" | "tcp" | "udp");
        reads_lines && matches!(kind, "plain" | "container" | "multiline")
    }

    /// Changes how an input's lines are joined.
    fn codec_of(&mut self, input: usize, change: impl Fn(&mut Vec<(String, Value)>)) {
        let Some((_, block)) = self.draft.inputs.get_mut(input) else { return };
        let mut codec = match block.get("codec") {
            Some(Value::Table(codec)) => codec.clone(),
            Some(Value::Text(name)) => vec![("type".to_string(), name.as_str().into())],
            _ => vec![("type".to_string(), "plain".into())],
        };
        let kind = match codec.first() {
            Some((_, Value::Text(kind))) => kind.clone(),
            _ => String::new(),
        };
        match kind.as_str() {
            "plain" => {
                codec[0].1 = "multiline".into();
                change(&mut codec);
            }
            "container" => {
                let mut inner = Vec::new();
                change(&mut inner);
                codec.retain(|(name, _)| name != "multiline");
                codec.push(("multiline".to_string(), Value::Table(inner)));
            }
            _ => return,
        }
        block.set("codec", codec);
    }

    /// `concat`: by patterns, by number, or pieces that a container's runtime made of long lines.
    pub fn concat(&mut self, element: &Element, taken: &[Stream], notes: &mut Notes) -> Vec<Block> {
        let patterns = [
            ("start", "multiline_start_regexp"),
            ("continue", "continuous_line_regexp"),
            ("end", "multiline_end_regexp"),
        ];
        let mut rule: Vec<(String, Value)> = Vec::new();
        for (name, theirs) in patterns {
            let known = |name: &str| rule.iter().any(|(known, _)| known == name);
            if let Some(pattern) = text(element, theirs, notes).map(|text| pattern_of(&text))
                && !(name == "continue" && known("start"))
            {
                rule.push((name.to_string(), pattern.into()));
            }
        }
        let key = text(element, "key", notes).unwrap_or_else(|| "message".to_string());
        let mut joins = Joins { field: field(&key), rule, ..Joins::default() };
        let identity = text(element, "stream_identity_key", notes).filter(|key| !key.is_empty());
        joins.by.extend(identity.map(|key| field(&key)));
        // Theirs is a minute; none at all is none here, which no stream should wait for.
        let wait = text(element, "flush_interval", notes).and_then(|text| time(&text));
        let wait = wait.filter(|wait| wait != "0s");
        let pieces = pieces(element, notes, &mut joins);
        let number = text(element, "n_lines", notes).and_then(|n| n.trim().parse::<i64>().ok());
        if joins.rule.is_empty() && !pieces && number.is_none_or(|n| n < 2) {
            // Split lines of a container runtime.
            self.use_container_codec(taken);
            return Vec::new();
        }
        let of_container = taken.iter().all(|stream| {
            let codec = self.draft.inputs.get(stream.input).and_then(|(_, b)| b.get("codec"));
            codec == Some(&Value::from("container"))
        });
        let ends_line = joins.rule.iter().all(|(name, pattern)| {
            name == "end"
                && matches!(pattern, Value::Text(text) if text.trim_start_matches('\\') == "n$")
        });
        if of_container && number.is_none() && ends_line {
            // The codec does that, by what the runtime says of each piece.
            return Vec::new();
        }
        if let Some(number) = number.filter(|_| joins.rule.is_empty() && !pieces) {
            joins.own.push(("every".to_string(), number.into()));
        }
        let separator = text(element, "separator", notes).unwrap_or_else(|| "\n".to_string());
        if separator != "\n" {
            joins.own.push(("separator".to_string(), separator.into()));
        }
        if element.parameter("timeout_label").is_some() {
            notes.difference(
                "what waited for too long goes on with the others, to no label of its own",
            );
        }
        let first = text(element, "use_first_timestamp", notes).is_some_and(|text| is_true(&text));
        if !first {
            notes.difference("an event has the time of its first line");
        }
        let of_text = joins.own.is_empty() && taken.iter().all(|s| self.joins_lines(s.input));
        joins.wait = wait.or_else(|| (!of_text).then(|| "1m".to_string()));
        self.join(taken, joins, notes)
    }

    /// Stack traces of some languages.
    pub fn detect_exceptions(
        &mut self,
        element: &Element,
        taken: &[Stream],
        notes: &mut Notes,
    ) -> Vec<Block> {
        let languages =
            text(element, "languages", notes).map(|text| list(&text)).unwrap_or_default();
        let preset = match languages.as_slice() {
            [one] if matches!(one.as_str(), "java" | "python" | "go" | "ruby") => one.clone(),
            [one] if matches!(one.as_str(), "js" | "node" | "javascript") => "node".to_string(),
            _ => "any".to_string(),
        };
        let get =
            |name: &str, notes: &mut Notes| text(element, name, notes).filter(|t| !t.is_empty());
        let key = get("message", notes);
        let mut joins =
            Joins { rule: vec![("preset".to_string(), preset.into())], ..Joins::default() };
        joins.field = match key {
            Some(key) => field(&key),
            None => {
                if !taken.iter().all(|stream| self.joins_lines(stream.input)) {
                    notes.difference(
                        "the line is taken from `message`; theirs also looks into `log`",
                    );
                }
                "message".to_string()
            }
        };
        joins.by.extend(get("stream", notes).map(|key| field(&key)));
        joins.wait = get("multiline_flush_interval", notes)
            .and_then(|text| time(&text))
            .filter(|wait| wait != "0s");
        let _ = (element.parameter("max_lines"), element.parameter("max_bytes"));
        let by_field = taken.iter().any(|stream| matches!(stream.tag, Tag::Field(_)));
        if let Some(prefix) = get("remove_tag_prefix", notes).filter(|_| by_field) {
            notes.difference(format!("tags that senders chose keep the prefix `{prefix}`"));
        }
        self.join(taken, joins, notes)
    }
}

/// Pieces of long lines, by what the runtime says of each; `false`: nothing is written of them.
fn pieces(element: &Element, notes: &mut Notes, joins: &mut Joins) -> bool {
    let flag = |name: &str, notes: &mut Notes| {
        text(element, name, notes).is_some_and(|text| is_true(&text))
    };
    let mut gone = Vec::new();
    let unfinished = if flag("use_partial_metadata", notes) {
        let format = text(element, "partial_metadata_format", notes).unwrap_or_default();
        let [message, id, last, ordinal] = match format.as_str() {
            "docker-journald" => [
                "CONTAINER_PARTIAL_MESSAGE",
                "CONTAINER_PARTIAL_ID",
                "CONTAINER_PARTIAL_LAST",
                "CONTAINER_PARTIAL_ORDINAL",
            ],
            "docker-journald-lowercase" => [
                "container_partial_message",
                "container_partial_id",
                "container_partial_last",
                "container_partial_ordinal",
            ],
            _ => ["partial_message", "partial_id", "partial_last", "partial_ordinal"],
        };
        joins.by.push(id.to_string());
        if !flag("keep_partial_metadata", notes) {
            gone.extend([message, id, last, ordinal].map(str::to_string));
        }
        format!("{message} == \"true\" and {last} != \"true\"")
    } else if flag("use_partial_cri_logtag", notes) {
        let key = |name: &str, default: &str, notes: &mut Notes| {
            field(&text(element, name, notes).unwrap_or_else(|| default.to_string()))
        };
        joins.by.push(key("partial_cri_stream_key", "stream", notes));
        format!("{} == \"P\"", key("partial_cri_logtag_key", "logtag", notes))
    } else {
        let key = text(element, "partial_key", notes).filter(|key| !key.is_empty());
        let value = text(element, "partial_value", notes).unwrap_or_default();
        let Some(key) = key.map(|key| field(&key)) else { return false };
        let found = if is_true(&value) {
            format!("({key} == \"true\" or {key} == true)")
        } else {
            format!("{key} == {}", literal(&value))
        };
        if !flag("keep_partial_key", notes) {
            gone.push(key);
        }
        found
    };
    joins.own.push(("unfinished".to_string(), unfinished.into()));
    if !gone.is_empty() {
        joins.own.push(("remove_field".to_string(), gone.into()));
    }
    true
}
