//! Parsers by name: what a text becomes, as filters.
//!
//! In: a parser as Fluentd's `<parse>` or Fluent Bit's `[PARSER]` says it ([`Parser`]). Out: filters that read a field
//! ([`Parser::filters`]). Promises: field names are those of the source (docs.fluentd.org, "Parser Plugins"). On
//! failure: the name of a parser that there is no filter for.

use super::draft::{Block, Value};

/// A parser.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parser {
    /// `json`, `regexp`, …
    pub kind: String,
    /// Of `regexp`, `grok` and `multiline`.
    pub pattern: Option<String>,
    /// The first line of several.
    pub start: Option<String>,
    /// The field that holds the time.
    pub time_key: Option<String>,
    /// strptime directives.
    pub time_format: Option<String>,
    /// `unixtime`, `float`, `string`.
    pub time_type: Option<String>,
    /// `+09:00`, `Asia/Tokyo`.
    pub timezone: Option<String>,
    /// The field stays.
    pub keeps_time: bool,
    /// Fields and their types, as they are written.
    pub types: Vec<(String, String)>,
    /// Names of columns.
    pub keys: Vec<String>,
    /// What stands between values.
    pub delimiter: Option<String>,
    /// What stands between a label and its value.
    pub label_delimiter: Option<String>,
}

const NGINX: &str = concat!(
    r#"^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?"#,
    r#"<path>[^\"]*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>[^\"]*)" "(?<agen"#,
    r#"t>[^\"]*)"(?:\s+(?<http_x_forwarded_for>[^ ]+))?)?$"#
);
const APACHE: &str = concat!(
    r#"^(?<host>[^ ]*) [^ ]* (?<user>[^ ]*) \[(?<time>[^\]]*)\] "(?<method>\S+)(?: +(?<path>(?:[^"#,
    r#"\"]|\\.)*?)(?: +\S*)?)?" (?<code>[^ ]*) (?<size>[^ ]*)(?: "(?<referer>(?:[^\"]|\\.)*)" "(?"#,
    r#"<agent>(?:[^\"]|\\.)*)")?$"#
);
const APACHE_ERROR: &str = concat!(
    r#"^\[[^ ]* (?<time>[^\]]*)\] \[(?<level>[^\]]*)\](?: \[pid (?<pid>[^\]]*)\])?( \[client (?<c"#,
    r#"lient>[^\]]*)\])? (?<message>.*)$"#
);
const SYSLOG: &str = concat!(
    r#"^(?:<(?<pri>[0-9]{1,3})>)?(?<time>[A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}) (?<host>[^ ]*) (?<i"#,
    r#"dent>[^ :\[]*)(?:\[(?<pid>[0-9]+)\])?(?:[^:]*:)? *(?<message>.*)$"#
);
const SYSLOG_5424: &str = concat!(
    r#"^(?:<(?<pri>[0-9]{1,3})>[1-9]\d{0,2} )?(?<time>[^ ]+) (?<host>[!-~]{1,255}) (?<ident>[!-~]"#,
    r#"{1,48}) (?<pid>[!-~]{1,128}) (?<msgid>[!-~]{1,32}) (?<extradata>-|(?:\[.*?(?<!\\)\])+)(?: "#,
    r#"(?<message>.+))?$"#
);
const GLOG: &str =
    r"^(?<severity>\w)(?<time>\d{4} [^\s]*)\s+(?<pid>\d+)\s+(?<source>[^ \]]+)\] (?<message>.*)$";
const CRI: &str = r"^(?<time>[^ ]+) (?<stream>stdout|stderr) (?<logtag>[^ ]*) (?<message>.*)$";

impl Parser {
    /// A parser of this kind.
    pub fn of(kind: &str) -> Parser {
        Parser { kind: kind.to_string(), ..Parser::default() }
    }

    /// Filters that read `field` and put what they find into the event, or into `target`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn filters(&self, field: &str, target: Option<&str>) -> Result<Vec<Block>, String> {
        let mut parser = self.clone();
        let mut blocks = match self.kind.as_str() {
            "none" => Vec::new(),
            "json" | "multi_format" => vec![Block::of("json").with("field", field)],
            "ltsv" => vec![self.kv(field, "\\t", ":")],
            "logfmt" => vec![self.kv(field, " ", "=")],
            "csv" => vec![self.csv(field, ",")],
            "tsv" => vec![self.csv(field, "\t")],
            _ => vec![parser.grok(field)?],
        };
        if let Some(target) = target {
            for block in &mut blocks {
                block.set("target", target);
            }
        }
        let name = |key: &str| {
            target.map_or_else(|| path(&[key]), |target| format!("{target}.{}", path(&[key])))
        };
        let types = parser
            .types
            .iter()
            .filter_map(|(key, kind)| Some((name(key), product_type(kind)?.into())));
        let types: Vec<(String, Value)> = types.collect();
        if !types.is_empty() {
            blocks.push(Block::of("convert").with("fields", types));
        }
        if let Some(key) = parser.time_key.clone()
            && self.kind != "none"
        {
            let mut date =
                Block::of("date").with("field", name(&key)).with("formats", parser.formats());
            if let Some(zone) = &parser.timezone {
                date.set("timezone", zone.as_str());
            }
            if !parser.keeps_time {
                date.set("remove_field", vec![name(&key)]);
            }
            blocks.push(date);
        }
        Ok(blocks)
    }

    fn kv(&self, field: &str, pairs: &str, value: &str) -> Block {
        let pairs = self.delimiter.as_deref().unwrap_or(pairs);
        let value = self.label_delimiter.as_deref().unwrap_or(value);
        let tab = |text: &str| text.replace("\\t", "\t");
        let mut block = Block::of("kv").with("field", field).with("field_split", tab(pairs));
        block.set("value_split", tab(value));
        block
    }

    fn csv(&self, field: &str, separator: &str) -> Block {
        let separator = self.delimiter.as_deref().unwrap_or(separator).replace("\\t", "\t");
        Block::of("csv")
            .with("field", field)
            .with("separator", separator)
            .with("columns", self.keys.clone())
    }

    /// A pattern that is built in, or the parser's own.
    fn grok(&mut self, field: &str) -> Result<Block, String> {
        let (pattern, format) = match self.kind.as_str() {
            "nginx" => (NGINX, "%d/%b/%Y:%H:%M:%S %z"),
            "apache2" | "apache" => (APACHE, "%d/%b/%Y:%H:%M:%S %z"),
            "apache_error" => (APACHE_ERROR, "%b %d %H:%M:%S %Y"),
            "syslog" | "syslog-rfc3164" => (SYSLOG, "%b %d %H:%M:%S"),
            "syslog-rfc5424" => (SYSLOG_5424, "ISO8601"),
            "kubernetes" | "glog" => (GLOG, "%m%d %H:%M:%S.%N"),
            "cri" => (CRI, "ISO8601"),
            _ => ("", ""),
        };
        if !pattern.is_empty() {
            self.time_key.get_or_insert_with(|| "time".to_string());
            self.time_format.get_or_insert_with(|| format.to_string());
            if matches!(self.kind.as_str(), "nginx" | "apache2") && self.types.is_empty() {
                self.types =
                    vec![("code".into(), "integer".into()), ("size".into(), "integer".into())];
            }
            return Ok(grok_block(field, pattern));
        }
        match (&self.pattern, self.kind.as_str()) {
            (Some(pattern), "grok" | "multiline_grok") => Ok(grok_block(field, pattern)),
            (Some(pattern), _) => {
                let pattern = pattern_of(pattern);
                // `time` is the time unless something else is said.
                if self.time_key.is_none() && pattern.contains("?<time>") {
                    self.time_key = Some("time".to_string());
                }
                Ok(grok_block(field, &pattern))
            }
            (None, kind) => {
                Err(format!("there is no parser `{kind}`; write its pattern as a grok filter"))
            }
        }
    }

    fn formats(&self) -> Vec<String> {
        match (self.time_type.as_deref(), &self.time_format) {
            (Some("unixtime" | "float"), _) => vec!["UNIX".to_string()],
            (_, None) => vec!["ISO8601".to_string(), "UNIX".to_string()],
            (_, Some(format)) => formats_of(format),
        }
    }
}

fn grok_block(field: &str, pattern: &str) -> Block {
    let mut block =
        Block::of("grok").with("field", field).with("patterns", vec![pattern.to_string()]);
    if pattern.contains(&format!("?<{field}>")) {
        block.set("overwrite", vec![field.to_string()]);
    }
    block
}

/// strptime as the product reads it; `%iso8601` is a word of Fluentd.
pub fn formats_of(format: &str) -> Vec<String> {
    if format.contains("iso8601") || format.eq_ignore_ascii_case("ISO8601") {
        return vec!["ISO8601".to_string()];
    }
    if matches!(format, "%s" | "%s.%L" | "%s.%N" | "%s.%f") {
        return vec!["UNIX".to_string()];
    }
    let mut out = format.to_string();
    for (from, to) in [
        ("%N", "%L"),
        ("%3N", "%L"),
        ("%6N", "%L"),
        ("%9N", "%L"),
        ("%:z", "%z"),
        ("%F", "%Y-%m-%d"),
        ("%T", "%H:%M:%S"),
        ("%D", "%m/%d/%y"),
        ("%R", "%H:%M"),
    ] {
        out = out.replace(from, to);
    }
    let mut formats = vec![out];
    if format.starts_with("%Y-%m-%dT")
        || format.starts_with("%Y-%m-%d %H")
        || format.starts_with("%FT")
    {
        formats.push("ISO8601".to_string());
    }
    formats
}

/// `/pattern/flags` of Ruby, or a pattern alone, as a pattern with its flags within.
pub fn pattern_of(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix("%r{").and_then(|t| t.strip_suffix('}')).unwrap_or(text);
    let Some(inner) = text.strip_prefix('/') else { return text.to_string() };
    let Some(end) = inner.rfind('/') else { return text.to_string() };
    let flags: String = inner[end + 1..].chars().filter(|c| matches!(c, 'i' | 'm' | 'x')).collect();
    if inner[end + 1..].chars().any(|c| !c.is_ascii_alphabetic()) {
        return text.to_string();
    }
    let pattern = literal_braces(&inner[..end]);
    if flags.is_empty() { pattern } else { format!("(?{flags}){pattern}") }
}

/// A `{` that begins no count stands for itself in Ruby; here it is escaped.
fn literal_braces(pattern: &str) -> String {
    let mut out = String::new();
    let (mut escaped, mut class) = (false, false);
    for (at, c) in pattern.char_indices() {
        let counts = |rest: &str| {
            let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ',');
            digits.starts_with('}') && rest.starts_with(|c: char| c.is_ascii_digit() || c == ',')
        };
        // `\p{…}`, `\x{…}`, `\k{…}` and grok's `%{…}` have braces of their own.
        let before = pattern[..at].chars().next_back();
        let named = before == Some('%')
            || matches!(pattern.as_bytes()[..at], [.., b'\\', b'p' | b'P' | b'x' | b'u' | b'k']);
        if c == '{' && !escaped && !class && !named && !counts(&pattern[at + 1..]) {
            out.push('\\');
        }
        match c {
            '[' if !escaped => class = true,
            ']' if !escaped => class = false,
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

/// `integer` and the like as the filter `convert` calls them; a text needs nothing.
pub fn product_type(kind: &str) -> Option<&'static str> {
    match kind.trim().split(':').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "integer" | "int" => Some("int"),
        "float" | "double" => Some("float"),
        "bool" | "boolean" => Some("bool"),
        "hex" | "uint" => Some("int"),
        _ => None,
    }
}

/// The names of a nested field as one path; dots within a name are escaped.
pub fn path(names: &[&str]) -> String {
    let names: Vec<String> =
        names.iter().map(|name| name.replace('\\', "\\\\").replace('.', "\\.")).collect();
    names.join(".")
}

/// A field as plugins name it: `a`, `$.a.b`, `$['a']['b']`, `$a['b']`.
pub fn field(text: &str) -> String {
    let text = text.trim();
    let rest = match text.strip_prefix('$') {
        Some(rest) => rest,
        // `a['b']`, as some write it.
        None if text.contains("['") && text.ends_with("']") => text,
        None => return path(&[text]),
    };
    let mut names: Vec<String> = Vec::new();
    let mut rest = rest;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let end = inner.find(']').unwrap_or(inner.len());
            names.push(inner[..end].trim_matches(['\'', '"', ' ']).to_string());
            rest = inner.get(end + 1..).unwrap_or_default();
        } else {
            let inner = rest.strip_prefix('.').unwrap_or(rest);
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            if end > 0 {
                names.push(inner[..end].to_string());
            }
            rest = if inner.is_empty() { "" } else { &inner[end..] };
        }
    }
    names.retain(|name| !name.is_empty());
    path(&names.iter().map(String::as_str).collect::<Vec<_>>())
}
