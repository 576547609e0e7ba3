//! `elasticsearch` and `opensearch`: addresses, indices, TLS, buffers.

use super::super::cloud;
use super::super::fluent::draft::{Block, Value};
use super::super::fluent::text::{is_true, list, size, time};
use super::output::{secret, template};
use super::route::Notes;
use super::source::text;
use super::syntax::Element;

fn hosts(element: &Element, notes: &mut Notes) -> Vec<String> {
    let mut scheme = text(element, "scheme", notes).unwrap_or_else(|| "http".to_string());
    if !scheme.starts_with("http") && !scheme.starts_with("${") {
        notes.difference("the scheme is `http`: change it in `hosts` where it is `https`");
        scheme = "http".to_string();
    }
    let scheme = scheme.replace(":-not-set}", ":-http}");
    let port = text(element, "port", notes).unwrap_or_else(|| "9200".to_string());
    let base = text(element, "path", notes).unwrap_or_default();
    let base = base.trim_matches('/');
    let all = text(element, "hosts", notes)
        .or_else(|| text(element, "host", notes))
        .or_else(|| element.element("endpoint").and_then(|e| text(e, "url", notes)))
        .unwrap_or_else(|| "localhost".to_string());
    let address = |host: &String| {
        let has_scheme = host.contains("://");
        let bare = host.rsplit("://").next().unwrap_or(host).trim_end_matches('/');
        let has_port =
            bare.rsplit('@').next().unwrap_or(bare).contains(':') && !bare.ends_with('}');
        let mut out = if has_scheme {
            host.trim_end_matches('/').to_string()
        } else {
            format!("{scheme}://{host}")
        };
        if !(has_port || has_scheme && bare.contains('/')) {
            let port =
                if has_scheme && host.starts_with("https") && element.parameter("port").is_none() {
                    "443"
                } else {
                    &port
                };
            out.push(':');
            out.push_str(port);
        }
        if !base.is_empty() {
            out.push('/');
            out.push_str(base);
        }
        out
    };
    let hosts: Vec<String> = list(&all).iter().map(address).collect();
    if hosts.is_empty() { vec!["http://localhost:9200".to_string()] } else { hosts }
}

/// The output of an `elasticsearch` or `opensearch` element.
pub fn elasticsearch(element: &Element, kind: &str, tag: Option<&str>, notes: &mut Notes) -> Block {
    let mut block = Block::of("elasticsearch").with("hosts", hosts(element, notes));
    let get =
        |name: &str, notes: &mut Notes| text(element, name, notes).filter(|text| !text.is_empty());
    let is_on = |name: &str, notes: &mut Notes| {
        element.parameter(name).is_some()
            && text(element, name, notes).is_some_and(|text| is_true(&text))
    };
    if let Some(id) = get("cloud_id", notes) {
        let url = cloud::address(&id).unwrap_or_else(|| {
            notes.difference("the cluster's address is in ELASTICSEARCH_URL, not in a `cloud_id`");
            "${ELASTICSEARCH_URL:-https://localhost:9200}".to_string()
        });
        block.set("hosts", vec![url]);
    }
    let streams = get("data_stream_name", notes);
    if let Some(name) =
        streams.filter(|_| kind.contains("data_stream") || get("index_name", notes).is_none())
    {
        block.set("index", template(&name, tag, notes));
        block.set("data_stream", true);
    } else if is_on("logstash_format", notes) {
        let prefix = get("logstash_prefix", notes).unwrap_or_else(|| "logstash".to_string());
        let prefix = template(&prefix, tag, notes);
        let separator =
            text(element, "logstash_prefix_separator", notes).unwrap_or_else(|| "-".to_string());
        let format = get("logstash_dateformat", notes).unwrap_or_else(|| "%Y.%m.%d".to_string());
        block.set("index", format!("{prefix}{separator}{{@timestamp:{format}}}"));
    } else {
        let index = get("index_name", notes).unwrap_or_else(|| "fluentd".to_string());
        block.set("index", template(&index, tag, notes));
    }
    if let Some(user) = get("user", notes) {
        block.set("user", user);
        let password =
            get("password", notes).unwrap_or_else(|| "${ES_PASSWORD:-not-set}".to_string());
        block.set("password", secret(&password, "ES_PASSWORD", notes));
    }
    if let Some(auth) = get("cloud_auth", notes).filter(|_| block.get("user").is_none()) {
        let user = match auth.split_once(':') {
            Some((user, _)) if !auth.contains("${") => user,
            _ => "elastic",
        };
        block.set("user", user);
        block.set("password", secret("", "ES_PASSWORD", notes));
    }
    if let Some(pipeline) = get("pipeline", notes) {
        block.set("pipeline", pipeline);
    }
    let mut tls = Vec::new();
    for (from, to) in [("ca_file", "ca"), ("client_cert", "cert"), ("client_key", "key")] {
        if let Some(path) = get(from, notes) {
            tls.push((to.to_string(), Value::from(path)));
        }
    }
    if get("ssl_verify", notes).is_some_and(|text| !is_true(&text)) {
        tls.push(("verify".to_string(), false.into()));
    }
    if !tls.is_empty() {
        block.set("tls", tls);
    }
    let buffer = element.element("buffer").unwrap_or(element);
    if let Some((text, bytes)) =
        get_in(buffer, "chunk_limit_size", notes).and_then(|text| size(&text))
        && (1 << 10..=1 << 30).contains(&bytes)
    {
        block.set("bulk_size", text);
    }
    let interval = get_in(buffer, "flush_interval", notes).or_else(|| get("flush_interval", notes));
    if let Some(wait) = interval.and_then(|text| time(&text)).filter(|time| time != "0s") {
        block.set("bulk_wait", wait);
    }
    let threads = get_in(buffer, "flush_thread_count", notes).or_else(|| get("num_threads", notes));
    if let Some(threads) =
        threads.and_then(|text| text.parse::<i64>().ok()).filter(|n| (1..=64).contains(n))
    {
        block.set("requests", threads);
    }
    if let Some(timeout) =
        get("request_timeout", notes).and_then(|text| time(&text)).filter(|time| time != "0s")
    {
        block.set("timeout", timeout);
    }
    if get("id_key", notes).is_some() {
        notes.difference("documents have stable ids of their own instead of `id_key`");
    }
    if get("template_name", notes).is_some() || get("template_file", notes).is_some() {
        notes.difference("the index template is not set up: see `template` of this output");
    }
    if get("write_operation", notes).is_some_and(|text| text != "create" && text != "index") {
        notes.difference("documents are only created, not changed (write_operation)");
    }
    block
}

fn get_in(element: &Element, name: &str, notes: &mut Notes) -> Option<String> {
    text(element, name, notes).filter(|text| !text.is_empty())
}
