//! What listens, and what sends over HTTP, of Fluentd and Fluent Bit.
//!
//! In: an element of either. Out: an input or an output, and the filters that give its events the names that they had.
//! Promises: addresses, TLS and secrets go over; a secret is not written into the pipeline.
//! On failure: what has no counterpart is a difference.

use super::draft::{Block, Value};
use super::text::{is_true, size};
use crate::import::fluentd::output::secret;
use crate::import::fluentd::route::Notes;
use crate::import::fluentd::source::text;
use crate::import::fluentd::syntax::Element;

/// `bind` or `listen`, and `port`, as an address.
pub fn listen(element: &Element, usual: &str, notes: &mut Notes) -> String {
    let bind = text(element, "bind", notes).or_else(|| text(element, "listen", notes));
    let bind = bind.filter(|bind| !bind.is_empty()).unwrap_or_else(|| "0.0.0.0".to_string());
    let bind = match bind.trim() {
        "localhost" => "127.0.0.1".to_string(),
        "*" | "" => "0.0.0.0".to_string(),
        bind if bind.contains(':') && !bind.starts_with('[') && !bind.contains("${") => {
            format!("[{bind}]")
        }
        bind => bind.replace(":-not-set}", ":-0.0.0.0}"),
    };
    let port = text(element, "port", notes).filter(|port| !port.trim().is_empty());
    let port = port.unwrap_or_else(|| usual.to_string());
    let port = port.trim().replace(":-not-set}", &format!(":-{usual}}}"));
    format!("{bind}:{}", port.replace(":-9200}", &format!(":-{usual}}}")))
}

/// `<transport tls>` of Fluentd, `tls.*` of Fluent Bit.
pub fn server_tls(element: &Element, notes: &mut Notes) -> Option<Value> {
    let transport = element.element("transport").filter(|t| t.argument.source().trim() == "tls");
    let on = text(element, "tls", notes).is_some_and(|on| is_true(&on))
        || text(element, "secure", notes).is_some_and(|on| is_true(&on));
    let (from, names) = match transport {
        Some(transport) => (transport, ["cert_path", "private_key_path", "ca_path"]),
        None if on => (element, ["tls.crt_file", "tls.key_file", "tls.ca_file"]),
        None => return None,
    };
    let [cert, key, ca] = names.map(|name| text(from, name, notes));
    let asks = text(from, "client_cert_auth", notes).is_some_and(|on| is_true(&on));
    let (Some(cert), Some(key)) = (cert, key) else {
        notes.difference("TLS needs a certificate: set `tls = { cert = …, key = … }`");
        return None;
    };
    let mut table = vec![("cert".to_string(), cert.into()), ("key".to_string(), key.into())];
    if let Some(ca) = ca.filter(|_| asks || transport.is_none()) {
        table.push(("client_ca".to_string(), ca.into()));
    }
    Some(Value::Table(table))
}

/// `forward`, and what came before it.
pub fn forward(element: &Element, notes: &mut Notes) -> Block {
    let mut block = Block::of("forward").with("listen", listen(element, "24224", notes));
    let security = element.element("security").unwrap_or(element);
    let key = text(security, "shared_key", notes);
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        block.set("shared_key", secret(&key, "FORWARD_SHARED_KEY", notes));
    }
    if security.element("user").is_some() || security.parameter("security.users").is_some() {
        notes.difference("users are not asked for: who knows the shared key is let in");
    }
    if text(element, "unix_path", notes).is_some() {
        notes.difference("a socket of the file system is not listened on, only the port");
    }
    if let Some((written, _)) = text(element, "chunk_size_limit", notes).and_then(|t| size(&t)) {
        block.set("max_message", written);
    }
    if let Some(tls) = server_tls(element, notes) {
        block.set("tls", tls);
    }
    block
}

/// `http`.
pub fn http_input(element: &Element, notes: &mut Notes) -> Block {
    let mut block = Block::of("http").with("listen", listen(element, "9880", notes));
    let limit = text(element, "body_size_limit", notes)
        .or_else(|| text(element, "buffer_max_size", notes))
        .and_then(|text| size(&text));
    if let Some((written, bytes)) = limit
        && bytes >= 1 << 20
    {
        block.set("max_body", written);
    }
    if let Some(tls) = server_tls(element, notes) {
        block.set("tls", tls);
    }
    block
}

/// `syslog`: its filters give the names `host`, `ident` and `pid`, and the tag its facility and severity.
pub fn syslog(element: &Element, tag: &str, notes: &mut Notes, filters: &mut Vec<Block>) -> Block {
    let mut block = Block::of("syslog").with("listen", listen(element, "5140", notes));
    let transport = element.element("transport").map(|t| t.argument.source());
    let protocol = text(element, "protocol_type", notes)
        .or_else(|| text(element, "mode", notes))
        .or(transport)
        .unwrap_or_else(|| "udp".to_string());
    let protocol = if protocol.contains("udp") { "udp" } else { "tcp" };
    block.set("protocol", protocol);
    if let Some(tls) = server_tls(element, notes) {
        block.set("tls", tls);
    }
    let mut names = vec![
        ("log.syslog.hostname".to_string(), Value::from("host")),
        ("log.syslog.appname".to_string(), "ident".into()),
        ("log.syslog.procid".to_string(), "pid".into()),
        ("log.syslog.msgid".to_string(), "msgid".into()),
    ];
    let mut copies = Vec::new();
    for (parameter, path) in [
        ("priority_key", "log.syslog.severity.name"),
        ("severity_key", "log.syslog.severity.name"),
        ("facility_key", "log.syslog.facility.name"),
        ("source_address_key", "source.ip"),
        ("source_hostname_key", "source.ip"),
    ] {
        if let Some(key) = text(element, parameter, notes).filter(|key| !key.is_empty()) {
            copies.push((path.to_string(), Value::from(key)));
        }
    }
    if !copies.is_empty() {
        filters.push(Block::of("copy").with("fields", copies));
    }
    if !tag.is_empty() {
        let text = format!("{tag}.{{log.syslog.facility.name}}.{{log.syslog.severity.name}}");
        let fields = vec![("@metadata.tag".to_string(), Value::from(text))];
        filters.push(
            Block::of("set").with("when", "exists(log.syslog.priority)").with("fields", fields),
        );
    }
    names.retain(|(from, _)| !from.is_empty());
    filters.push(Block::of("rename").with("fields", names));
    block
}

/// `udp`.
pub fn udp(element: &Element, notes: &mut Notes, filters: &mut Vec<Block>) -> Block {
    let mut block = Block::of("udp").with("listen", listen(element, "5160", notes));
    for parameter in ["source_host_key", "source_hostname_key", "source_address_key"] {
        if let Some(key) = text(element, parameter, notes) {
            let fields = vec![("source.ip".to_string(), Value::from(key))];
            filters.push(Block::of("copy").with("fields", fields));
        }
    }
    if text(element, "format", notes).is_some_and(|format| format == "json") {
        block.set("codec", "json");
    }
    block
}

/// `sample` and `dummy`: JSON objects, so many a second.
pub fn sample(element: &Element, notes: &mut Notes) -> Block {
    let written = text(element, "sample", notes).or_else(|| text(element, "dummy", notes));
    let written = written.filter(|text| !text.trim().is_empty());
    let written = written.unwrap_or_else(|| "{\"message\":\"dummy\"}".to_string());
    let lines: Vec<String> = match serde_json::from_str(&written) {
        Ok(serde_json::Value::Array(items)) if !items.is_empty() => {
            items.iter().map(ToString::to_string).collect()
        }
        Ok(_) => vec![written.replace(['\n', '\r'], " ")],
        Err(_) => {
            notes.difference("the sample is no JSON: its text is the `message`");
            vec![serde_json::json!({ "message": written }).to_string()]
        }
    };
    let number = |name: &str, notes: &mut Notes| {
        text(element, name, notes).and_then(|text| text.trim().parse::<u64>().ok())
    };
    let rate = number("rate", notes).filter(|rate| *rate > 0);
    let seconds = number("interval_sec", notes).filter(|seconds| *seconds > 0);
    let interval = match (seconds, rate) {
        (Some(seconds), _) => format!("{seconds}s"),
        (None, Some(rate)) if rate > 1 => format!("{}ms", (1000 / rate).max(1)),
        _ => "1s".to_string(),
    };
    let mut block = Block::of("generate").with("lines", lines).with("interval", interval);
    if let Some(count) = number("samples", notes).filter(|count| *count > 0) {
        block.set("count", count as i64);
    }
    if text(element, "auto_increment_key", notes).is_some() {
        notes.difference("events are not numbered");
    }
    block
}

/// Fluentd's output `http`, and that of fluent-plugin-out-http.
pub fn http_of_fluentd(element: &Element, notes: &mut Notes) -> Option<Block> {
    let own = text(element, "endpoint", notes);
    let plugin = own.is_none();
    let url = own.or_else(|| text(element, "endpoint_url", notes))?;
    if url.contains("${tag") || url.contains("${record") || url.contains("${chunk") {
        notes.difference("the address is one for all: placeholders in it are as they are written");
    }
    let mut block = Block::of("http").with("url", address(&url.replace("${tag", "{tag")));
    method(element, &mut block, notes);
    let array = text(element, "json_array", notes).is_some_and(|on| is_true(&on));
    let bulk = text(element, "bulk_request", notes).is_some_and(|on| is_true(&on));
    if array || plugin && !bulk {
        block.set("format", if array { "array" } else { "single" });
    }
    let serializer = text(element, "serializer", notes).unwrap_or_else(|| "json".to_string());
    let format = element.element("format").map_or_else(String::new, Element::kind);
    if serializer != "json" || !matches!(format.as_str(), "" | "json") {
        notes.difference("documents are JSON, not what another format makes of them");
    }
    let mut headers = Vec::new();
    for name in ["headers", "custom_headers"] {
        let Some(written) = text(element, name, notes) else { continue };
        match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&written) {
            Ok(pairs) => headers.extend(pairs.into_iter().map(|(name, value)| {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
                header(name, &value, notes)
            })),
            Err(_) => notes.difference(format!("`{name}` is no JSON object, and is left out")),
        }
    }
    if let Some(kind) = text(element, "content_type", notes) {
        headers.push(("Content-Type".to_string(), Value::from(kind)));
    }
    if !headers.is_empty() {
        block.set("headers", Value::Table(headers));
    }
    let auth = element.element("auth").unwrap_or(element);
    login(auth, ["username", "password"], &mut block, notes);
    if let Some(token) = text(element, "token", notes) {
        block.set("token", secret(&token, "HTTP_TOKEN", notes));
    }
    if text(element, "compress", notes).is_some_and(|kind| kind == "gzip") {
        block.set("compression", "gzip");
    }
    client_tls(
        element,
        ["tls_ca_cert_path", "tls_client_cert_path", "tls_private_key_path"],
        text(element, "tls_verify_mode", notes).is_some_and(|mode| mode == "none"),
        &mut block,
        notes,
    );
    Some(block)
}

/// Fluent Bit's output `http`.
pub fn http_of_fluent_bit(element: &Element, notes: &mut Notes) -> Block {
    let get = |name: &str, usual: &str, notes: &mut Notes| {
        let text = text(element, name, notes).filter(|text| !text.trim().is_empty());
        text.unwrap_or_else(|| usual.to_string())
    };
    let tls = is_true(&get("tls", "off", notes));
    let host = get("host", "127.0.0.1", notes).replace(":-not-set}", ":-localhost}");
    let port = get("port", "80", notes).replace(":-9200}", ":-80}").replace(":-not-set}", ":-80}");
    let uri = get("uri", "/", notes);
    let scheme = if tls { "https" } else { "http" };
    let slash = if uri.starts_with('/') { "" } else { "/" };
    let mut block = Block::of("http").with("url", format!("{scheme}://{host}:{port}{slash}{uri}"));
    method(element, &mut block, notes);
    match get("format", "msgpack", notes).to_lowercase().as_str() {
        "json" => block.set("format", "array"),
        "json_lines" | "json_stream" => {}
        other => {
            block.set("format", "array");
            notes.difference(format!("bodies are arrays of JSON, not `{other}`"));
        }
    }
    if get("json_date_key", "date", notes) != "@timestamp" {
        notes.difference("the time is in `@timestamp`, in ISO 8601");
    }
    let mut headers = Vec::new();
    for parameter in element.written().filter(|parameter| parameter.name == "header") {
        let written = parameter.value.source();
        if let Some((name, value)) = written.trim().split_once(char::is_whitespace) {
            headers.push(header(name.to_string(), value.trim(), notes));
        }
    }
    let _ = get("header", "", notes);
    if !headers.is_empty() {
        block.set("headers", Value::Table(headers));
    }
    login(element, ["http_user", "http_passwd"], &mut block, notes);
    if get("compress", "", notes) == "gzip" {
        block.set("compression", "gzip");
    }
    if let Some(key) = text(element, "header_tag", notes) {
        notes.difference(format!("the header `{key}` with the tag is not sent"));
    }
    if tls {
        let verify = get("tls.verify", "on", notes);
        let names = ["tls.ca_file", "tls.crt_file", "tls.key_file"];
        client_tls(element, names, !is_true(&verify), &mut block, notes);
    }
    block
}

/// An address that is nothing but a variable still has to be one.
fn address(url: &str) -> String {
    if url.starts_with("${") {
        url.replacen(":-not-set}", ":-http://localhost:8080/}", 1)
    } else {
        url.replace(":-not-set}", ":-localhost}")
    }
}

fn method(element: &Element, block: &mut Block, notes: &mut Notes) {
    if let Some(method) = text(element, "http_method", notes).map(|method| method.to_lowercase()) {
        match method.as_str() {
            "post" => {}
            "put" => block.set("method", "put"),
            other => notes.difference(format!("requests are POST, not {}", other.to_uppercase())),
        }
    }
}

/// A header; what shows who sends it is a secret.
fn header(name: String, value: &str, notes: &mut Notes) -> (String, Value) {
    let lower = name.to_lowercase();
    let words = ["auth", "token", "key", "secret", "password", "license"];
    if words.iter().any(|word| lower.contains(word)) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let variable = format!("HTTP_{}", name.chars().map(plain).collect::<String>());
        let value = secret(value, &variable, notes);
        return (name, value.into());
    }
    (name, value.into())
}

fn login(element: &Element, names: [&str; 2], block: &mut Block, notes: &mut Notes) {
    let [user, password] = names.map(|name| text(element, name, notes));
    if let Some(user) = user.filter(|user| !user.is_empty()) {
        let password = password.unwrap_or_default();
        block.set("user", user);
        block.set("password", secret(&password, "HTTP_PASSWORD", notes));
    }
}

fn client_tls(
    element: &Element,
    names: [&str; 3],
    unverified: bool,
    block: &mut Block,
    notes: &mut Notes,
) {
    let mut table = Vec::new();
    for (ours, theirs) in ["ca", "cert", "key"].into_iter().zip(names) {
        if let Some(path) = text(element, theirs, notes).filter(|path| !path.is_empty()) {
            table.push((ours.to_string(), Value::from(path)));
        }
    }
    if unverified {
        table.push(("verify".to_string(), false.into()));
    }
    if !table.is_empty() {
        block.set("tls", Value::Table(table));
    }
}
