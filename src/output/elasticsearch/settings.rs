//! The settings of an Elasticsearch output.
//!
//! In: an `[outputs.NAME]` table. Out: [`Settings`], complete and checked, and the template of the index.
//! Promises: what no server could take is told at load, with its place. On failure: diagnostics, and `None`.

use std::time::Duration;

use reqwest::Url;

use crate::diagnostic::Diagnostic;
use crate::limits::{
    BULK_BYTES_MAX, BULK_REQUESTS_MAX, BULK_WAIT_MS, RETRY_FIRST_MS, RETRY_MAX_MS,
    WAITING_BYTES_MAX,
};
use crate::output::OutputLoad;
use crate::settings::{Secret, Section, Spanned, TextError};
use crate::template::Template;
use crate::tls::ClientTls;

/// Everything the output needs to know.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The nodes, each ending in `/`, without user and password.
    pub(super) hosts: Vec<Url>,
    /// Whether `index` names data streams.
    pub(super) data_stream: bool,
    /// How it shows who it is.
    pub(super) credentials: Credentials,
    /// For `https` hosts.
    pub(super) tls: Option<rustls::ClientConfig>,
    /// Whether bodies are compressed.
    pub(super) gzip: bool,
    /// Bytes of a request before compression.
    pub(super) bulk_bytes: usize,
    /// Distance of requests that are not full.
    pub(super) bulk_wait: Duration,
    /// Most requests under way.
    pub(super) requests: usize,
    /// Bytes of refused documents that may wait.
    pub(super) waiting_bytes: usize,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    /// Whether documents carry our ids.
    pub(super) stable_ids: bool,
    /// The ingest pipeline.
    pub(super) pipeline: Option<String>,
    /// The index template to set up.
    pub(super) template: Option<IndexTemplate>,
    /// Shortest and longest pause between tries, milliseconds.
    pub(super) retry_ms: (u64, u64),
}

/// How the output shows who it is.
#[derive(Clone, Debug)]
pub(super) enum Credentials {
    /// Not at all.
    None,
    /// User and password (RFC 7617).
    Basic(String, Secret),
    /// An API key in its `encoded` form.
    ApiKey(Secret),
}

/// An index template.
#[derive(Clone, Debug)]
pub(super) struct IndexTemplate {
    /// Its name.
    pub(super) name: String,
    /// The JSON that `PUT /_index_template/NAME` takes.
    pub(super) body: String,
    /// Whether it replaces one of the same name.
    pub(super) overwrite: bool,
}

/// Reads the table; `type` and `when` are read by the caller.
pub(super) fn load(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
) -> Option<(Settings, Template)> {
    let (hosts, from_url) = hosts(section);
    let index = index(section, load);
    let own = credentials(section);
    let credentials = if matches!(own, Credentials::None) { from_url } else { own };
    let tls = client_tls(section, &hosts);
    let data_stream = section.bool_or("data_stream", false);
    let gzip = section.choice_or("compression", &[("gzip", true), ("none", false)], true);
    let bulk_bytes = section.bytes_or("bulk_size", BULK_BYTES_MAX as u64);
    let waiting_bytes = section.bytes_or("waiting_size", WAITING_BYTES_MAX as u64);
    for (key, value) in [("bulk_size", bulk_bytes), ("waiting_size", waiting_bytes)] {
        if !(1024..=1 << 30).contains(&value) {
            let message = format!("`{key}` is {value} bytes, but must be from 1KiB to 1GiB");
            section.error(section.span_of(key), message, None);
        }
    }
    let bulk_wait = section.duration_or("bulk_wait", Duration::from_millis(BULK_WAIT_MS));
    let requests = section.integer_or("requests", BULK_REQUESTS_MAX as i64, 1..65) as usize;
    let timeout = section.duration_or("timeout", Duration::from_secs(60));
    if timeout.is_zero() {
        let hint = "write for example: timeout = \"60s\"".to_string();
        section.error(section.span_of("timeout"), "`timeout` is zero", Some(hint));
    }
    let stable_ids = section.choice_or("ids", &[("stable", true), ("server", false)], true);
    let pipeline = section.string("pipeline").map(|p| p.value);
    let template = section.section("template").and_then(|table| index_template(section, table));
    let settings = Settings {
        hosts,
        data_stream,
        credentials,
        tls,
        gzip,
        bulk_bytes: bulk_bytes as usize,
        bulk_wait,
        requests,
        waiting_bytes: waiting_bytes as usize,
        timeout,
        stable_ids,
        pipeline,
        template,
        retry_ms: (RETRY_FIRST_MS, RETRY_MAX_MS),
    };
    Some((settings, index?))
}

impl Settings {
    /// `create` or `index`: with our ids a repeat must not overwrite, and data streams take nothing else.
    pub(super) fn operation(&self) -> &'static str {
        if self.stable_ids || self.data_stream { "create" } else { "index" }
    }
}

impl Credentials {
    /// Whom the server sees, for messages.
    pub(super) fn who(&self) -> String {
        match self {
            Credentials::None => "requests without user".into(),
            Credentials::Basic(user, _) => format!("user \"{user}\""),
            Credentials::ApiKey(_) => "the API key".into(),
        }
    }
}

/// The address of a node as it is shown: without the trailing slash.
pub(super) fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_string()
}

fn hosts(section: &Section<'_>) -> (Vec<Url>, Credentials) {
    let mut found = (Vec::new(), Credentials::None);
    for text in section.required_strings("hosts", "[\"http://localhost:9200\"]") {
        if let Some(url) = host(section, &text, &mut found.1) {
            found.0.push(url);
        }
    }
    found
}

fn host(section: &Section<'_>, text: &Spanned<String>, who: &mut Credentials) -> Option<Url> {
    let span = text.span.clone();
    // An address may carry a password, so it is never part of a message.
    let hint = "write for example \"http://localhost:9200\" or \"https://es-1.example:9200\"";
    let mut url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        Ok(_) => {
            let message = "a host must begin with http:// or https://";
            section.error(span, message, Some(hint.to_string()));
            return None;
        }
        Err(why) => {
            let problem = Diagnostic::error("a host is not a URL").because(why).hint(hint);
            section.report(problem, span);
            return None;
        }
    };
    if !url.username().is_empty() {
        let password = Secret::new(decode_percent(url.password().unwrap_or_default()));
        *who = Credentials::Basic(decode_percent(url.username()), password);
        let _ = url.set_username("");
        let _ = url.set_password(None);
    }
    if url.port().is_none() && !text.contains(":443") && !text.contains(":80") {
        let port = url.port_or_known_default().unwrap_or(80);
        let message = format!("a host has no port, so port {port} is used");
        let hint = "Elasticsearch listens on port 9200 unless it was configured otherwise";
        section.report(Diagnostic::warning(message).hint(hint), span);
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url.set_query(None);
    url.set_fragment(None);
    Some(url)
}

fn decode_percent(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, after @ ..] = rest {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|c| std::str::from_utf8(c).ok());
        if let Some(byte) = code.and_then(|c| u8::from_str_radix(c, 16).ok()) {
            out.push(byte);
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn index(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Template> {
    let text = section.required_string("index", "\"logs-{service}-{@timestamp:%Y.%m.%d}\"")?;
    let problems = name_problems(&text);
    let sound = problems.is_empty();
    for problem in problems {
        section.error_within(&text, problem);
    }
    match Template::parse(&text, load.keys) {
        Ok(template) => sound.then_some(template),
        Err(error) => {
            // One byte for the quote before the text.
            let start = text.span.start + 1 + error.span.start;
            let end = (text.span.start + 1 + error.span.end).min(text.span.end).max(start);
            section.error(start..end, error.message, error.hint);
            None
        }
    }
}

/// What the constant parts of an index name have that no index name may have
/// (<https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-indices-create>).
fn name_problems(template: &str) -> Vec<TextError> {
    let constant = constant_parts(template);
    let mut problems = Vec::new();
    let mut problem = |at: usize, length: usize, message: String, hint: &str| {
        problems.push(TextError::new(at..at + length, message).hint(hint));
    };
    let refused = "Elasticsearch would refuse every document for it";
    if let Some((at, c)) = constant.iter().find(|(_, c)| c.is_uppercase()) {
        let message = "`index` has upper-case letters, which index names cannot have".to_string();
        problem(*at, c.len_utf8(), message, "write it in lower case");
    }
    let bad = |c: &char| "\\/*?\"<>| ,#:".contains(*c) || c.is_control();
    if let Some((at, c)) = constant.iter().find(|(_, c)| bad(c)) {
        let message = format!("`index` has `{}`, which index names cannot have", c.escape_debug());
        problem(*at, c.len_utf8(), message, refused);
    }
    if template.starts_with(['-', '_', '+']) {
        let message = "`index` begins with `-`, `_` or `+`, which index names cannot".to_string();
        problem(0, 1, message, refused);
    }
    if matches!(template, "." | "..") {
        problem(0, template.len(), format!("`{template}` is no index name"), refused);
    }
    let length: usize = constant.iter().map(|(_, c)| c.len_utf8()).sum();
    if length > super::bulk::INDEX_BYTES_MAX {
        let message = format!("`index` has {length} bytes, but an index name has at most 255");
        problem(0, template.len(), message, refused);
    }
    problems
}

/// The characters outside of `{…}` with their places; `{{` and `}}` are plain braces.
fn constant_parts(template: &str) -> Vec<(usize, char)> {
    let mut constant = Vec::new();
    let mut inside = false;
    let mut characters = template.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let doubled = characters.peek().is_some_and(|(_, next)| *next == c);
        match c {
            '{' | '}' if doubled && !inside => {
                characters.next();
                constant.push((at, c));
            }
            '{' => inside = true,
            '}' => inside = false,
            _ if !inside => constant.push((at, c)),
            _ => {}
        }
    }
    constant
}

fn credentials(section: &Section<'_>) -> Credentials {
    let user = section.string("user");
    let password = section.secret("password");
    let key = section.secret("api_key");
    match (user, password, key) {
        (None, None, None) if !section.has("password") => Credentials::None,
        (None, None, Some(key)) => Credentials::ApiKey(key.value),
        (Some(user), Some(password), None) => Credentials::Basic(user.value, password.value),
        (_, _, Some(_)) => {
            let message = "both `api_key` and `user` or `password` are set";
            section.error(section.span_of("api_key"), message, Some("keep one of them".into()));
            Credentials::None
        }
        // A user and a password whose file cannot be read: that was said.
        _ if section.has("user") && section.has("password") => Credentials::None,
        (user, _, _) => {
            let (there, missing) =
                if user.is_some() { ("user", "password") } else { ("password", "user") };
            let message = format!("`{there}` is set, but `{missing}` is not");
            let hint = format!("add `{missing}`");
            section.error(section.span_of(there), message, Some(hint));
            Credentials::None
        }
    }
}

fn index_template(outer: &Section<'_>, table: Section<'_>) -> Option<IndexTemplate> {
    let name = table.required_string("name", "\"logs\"");
    let file = table.required_string("file", "\"templates/logs.json\"");
    let overwrite = table.bool_or("overwrite", false);
    table.finish();
    let (name, file) = (name?, file?);
    let path = outer.resolve(&file);
    let hint = "the file holds what PUT /_index_template/NAME takes, for example \
                {\"index_patterns\": [\"logs-*\"], \"template\": {…}}";
    let body = match outer.read_file(&path) {
        Ok(body) => body,
        Err(why) => {
            let message = format!("cannot read the index template `{}`", path.display());
            outer.report(Diagnostic::error(message).because(why).hint(hint), file.span);
            return None;
        }
    };
    if let Err(why) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&body) {
        let message = format!("the index template `{}` is not a JSON object", path.display());
        outer.report(Diagnostic::error(message).because(why).hint(hint), file.span);
        return None;
    }
    Some(IndexTemplate { name: name.value, body, overwrite })
}

/// TLS for `https` hosts; reading the machine's authorities is left out where nobody needs them.
fn client_tls(section: &Section<'_>, hosts: &[Url]) -> Option<rustls::ClientConfig> {
    let tls = match section.section("tls") {
        Some(table) => ClientTls::load(table)?,
        None if hosts.iter().any(|url| url.scheme() == "https") => ClientTls::system(),
        None => ClientTls::unused(),
    };
    Some(tls.config())
}

#[cfg(test)]
mod tests;
