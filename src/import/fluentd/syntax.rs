//! The tree of a Fluentd configuration, whether it was written in Fluentd's own form or as YAML.
//!
//! Is: types without behaviour of their own, but for looking things up. Promises: every element, parameter and
//! include knows the file and the bytes that it was written in; comments stay with what follows them.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

/// Where something was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Number of the file in the order of reading.
    pub file: usize,
    /// Bytes of the file's text.
    pub bytes: Range<usize>,
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is written, escapes resolved.
    Text(String),
    /// `#{…}` within double quotes.
    Ruby(String),
}

/// The value of a parameter, or the argument of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// Text and embedded Ruby in their order.
    pub pieces: Vec<Piece>,
    /// Within quotes: blanks and `#` count.
    pub quoted: bool,
}

impl Value {
    /// A value that is one text.
    pub fn text(text: impl Into<String>) -> Value {
        Value { pieces: vec![Piece::Text(text.into())], quoted: false }
    }

    /// The value as it is written, embedded Ruby included.
    pub fn source(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Ruby(code) => format!("#{{{code}}}"),
            })
            .collect()
    }

    /// Nothing is written.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(text) if text.is_empty()))
    }
}

/// `name value`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// As it is written, `@type` with its `@`.
    pub name: String,
    /// What stands after it.
    pub value: Value,
    /// Where.
    pub span: Span,
}

/// `<name argument> … </name>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// `source`, `match`, …
    pub name: String,
    /// What stands after the name.
    pub argument: Value,
    /// What it holds, in order.
    pub body: Vec<Item>,
    /// Comment lines before it and at its beginning, without their `#`.
    pub comments: Vec<String>,
    /// From `<` to the `>` of its end.
    pub span: Span,
    /// What was asked for; copies share it.
    pub asked: Asked,
}

/// Names that were asked for, so that what nobody asked for can be said.
#[derive(Clone, Debug, Default)]
pub struct Asked(Rc<RefCell<BTreeSet<String>>>);

impl PartialEq for Asked {
    fn eq(&self, _: &Asked) -> bool {
        true
    }
}

impl Eq for Asked {}

impl Asked {
    fn add(&self, name: &str) {
        if !self.0.borrow().contains(name) {
            self.0.borrow_mut().insert(name.to_string());
        }
    }
}

/// What stands in a file or in an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A parameter.
    Parameter(Parameter),
    /// An element.
    Element(Element),
    /// `@include path`.
    Include(Parameter),
}

impl Element {
    /// The value of the last parameter of this name, as Fluentd takes it.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.asked.add(name);
        self.written().filter(|parameter| parameter.name == name).last()
    }

    /// All parameters in order, for who takes them all.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.asked.add(ALL);
        self.written()
    }

    /// All parameters in order, to look for some.
    pub fn written(&self) -> impl Iterator<Item = &Parameter> {
        self.body.iter().filter_map(|item| match item {
            Item::Parameter(parameter) => Some(parameter),
            _ => None,
        })
    }

    /// All elements in order.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.body.iter().filter_map(|item| match item {
            Item::Element(element) => Some(element),
            _ => None,
        })
    }

    /// The first element of this name.
    pub fn element(&self, name: &str) -> Option<&Element> {
        self.asked.add(name);
        self.elements().find(|element| element.name == name)
    }

    /// Names of parameters and elements that nobody asked for, but that might matter.
    pub fn left_out(&self) -> Vec<String> {
        let asked = self.asked.0.borrow();
        if asked.contains(ALL) {
            return Vec::new();
        }
        let matters = |name: &str| {
            let plain = name.trim_start_matches('@');
            !asked.contains(name)
                && !asked.contains(plain)
                && !NO_EFFECT.contains(&plain)
                && !NO_EFFECT_PREFIXES.iter().any(|prefix| plain.starts_with(prefix))
        };
        let mut names: Vec<String> = Vec::new();
        for item in &self.body {
            let (name, shown) = match item {
                Item::Parameter(parameter) => (&parameter.name, parameter.name.clone()),
                Item::Element(element) => (&element.name, format!("<{}>", element.name)),
                Item::Include(_) => continue,
            };
            if matters(name) && !names.contains(&shown) {
                names.push(shown);
            }
        }
        names
    }

    /// `@type`, or `type` as versions before 0.12 wrote it; empty where there is none.
    pub fn kind(&self) -> String {
        let parameter = self.parameter("@type").or_else(|| self.parameter("type"));
        parameter.map(|parameter| parameter.value.source().trim().to_string()).unwrap_or_default()
    }
}

/// Stands for all parameters.
const ALL: &str = "*";

/// What changes nothing here, or is said otherwise: sizes, waits and retries, which the journal and the outputs find
/// themselves; positions, which are in the journal; and names that every plugin has.
const NO_EFFECT: [&str; 128] = [
    "type",
    "id",
    "label",
    "log_level",
    "tag",
    "name",
    "match",
    "match_regex",
    "alias",
    "log_suppress_interval",
    "pos_file",
    "db",
    "db.sync",
    "db.locking",
    "db.journal_mode",
    "db.compare_filename",
    "flush",
    "flush_interval",
    "flush_mode",
    "flush_thread_count",
    "flush_at_shutdown",
    "num_threads",
    "retry_limit",
    "retry_wait",
    "retry_max_interval",
    "retry_max_times",
    "retry_forever",
    "retry_type",
    "retry_timeout",
    "max_retry_wait",
    "disable_retry_limit",
    "slow_flush_log_threshold",
    "try_flush_interval",
    "queued_chunk_flush_interval",
    "reload_connections",
    "reload_on_failure",
    "reconnect_on_error",
    "request_timeout",
    "resurrect_after",
    "sniffer_class_name",
    "type_name",
    "template_overwrite",
    "suppress_type_name",
    "suppress_doc_wrap",
    "log_es_400_reason",
    "bulk_message_request_threshold",
    "http_backend",
    "prefer_oj_serializer",
    "default_elasticsearch_version",
    "default_opensearch_version",
    "verify_es_version_at_startup",
    "max_retry_get_es_version",
    "max_retry_putting_template",
    "fail_on_putting_template_retry_exceed",
    "ssl_version",
    "ssl_min_version",
    "ssl_max_version",
    "ca_path",
    "mem_buf_limit",
    "skip_long_lines",
    "skip_empty_lines",
    "refresh_interval",
    "rotate_wait",
    "workers",
    "enable_watch_timer",
    "enable_stat_watcher",
    "follow_inodes",
    "read_lines_limit",
    "read_bytes_limit_per_second",
    "open_on_every_update",
    "ignore_repeated_permission_error",
    "multiline_flush_interval",
    "emit_unmatched_lines",
    "buffer_chunk_size",
    "static_batch_size",
    "docker_mode_flush",
    "keepalive_timeout",
    "backlog",
    "linger_timeout",
    "resolve_hostname",
    "send_keepalive_packet",
    "buffer",
    "parse",
    "format",
    "store",
    "record",
    "rule",
    "regexp",
    "exclude",
    "and",
    "or",
    "transport",
    "security",
    "enable_ruby",
    "char_encoding",
    "index_name",
    "logstash_prefix",
    "logstash_dateformat",
    "logstash_prefix_separator",
    "log_response_payload",
    "emitter_name",
    "json_date_format",
    "emit_invalid_record_to_error",
    "include_timestamp",
    "utc_index",
    "tls",
    "auto_create_data_stream",
    "emit_error_label_event",
    "exclude_labels",
    "cache_size",
    "cache_ttl",
    "watch",
    "verify_ssl",
    "annotation_match",
    "use_journal",
    "de_dot",
    "de_dot_separator",
    "skip_labels",
    "skip_container_metadata",
    "skip_master_url",
    "skip_namespace_metadata",
    "keep_log",
    "labels",
    "annotations",
    "k8s-logging.parser",
    "k8s-logging.exclude",
    "dns_retries",
    "dns_wait_time",
];
/// Beginnings of such names.
const NO_EFFECT_PREFIXES: [&str; 14] = [
    "buffer_",
    "storage.",
    "net.",
    "retry_",
    "trace_",
    "threaded",
    "queue_",
    "chunk_",
    "flush_",
    "health.",
    "inotify_",
    "kube_",
    "emitter_",
    "exclude_labels",
];

/// Why a text is not a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The place.
    pub span: Span,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
