//! Outputs to services that take lines of JSON, or arrays of it, over HTTP: as the output `http`.
//!
//! In: an element of Fluentd or Fluent Bit. Out: the output, and what the service needs in the documents. Promises:
//! only services that take our documents as they are; keys are read from the environment; what is set there for each
//! event and not for all is said. On failure: why there is none.

use super::super::fluentd::output::secret;
use super::super::fluentd::route::Notes;
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::draft::{Block, Value};
use super::parse::field;
use super::text::{is_true, list};

/// What a service comes to.
pub struct Service {
    /// The output.
    pub block: Block,
    /// Filters that the documents need.
    pub filters: Vec<Block>,
}

/// The service of this name; `None`: there is none that is known.
pub fn service(
    kind: &str,
    element: &Element,
    notes: &mut Notes,
) -> Option<Result<Service, String>> {
    Some(match kind {
        "newrelic" | "nrlogs" => Ok(new_relic(element, notes)),
        "splunk_hec" | "splunk" | "splunk-http-eventcollector" => splunk(element, notes),
        "datadog" => Ok(datadog(element, notes)),
        "sumologic" => sumo_logic(element, notes),
        "logzio" | "logzio_buffered" => logz_io(element, notes),
        "loki" | "grafana-loki" => Ok(loki(element, notes)),
        "opentelemetry" => Ok(open_telemetry(element, notes)),
        "honeycomb" => honeycomb(element, notes),
        "loggly" | "loggly_buffered" => loggly(element, notes),
        _ => return None,
    })
}

/// The first of these parameters that is there.
fn first(element: &Element, names: &[&str], notes: &mut Notes) -> Option<String> {
    names.iter().filter_map(|name| text(element, name, notes)).find(|text| !text.trim().is_empty())
}

fn to(url: String, format: &str) -> Block {
    let block = Block::of("http").with("url", url);
    if format == "lines" { block } else { block.with("format", format) }
}

fn with_headers(block: Block, headers: Vec<(String, Value)>) -> Block {
    if headers.is_empty() { block } else { block.with("headers", headers) }
}

fn plain(block: Block) -> Service {
    Service { block, filters: Vec::new() }
}

/// A text that is the same for all events, for an address or a header.
fn constant(name: &str, value: Option<String>, notes: &mut Notes) -> Option<String> {
    let value = value?;
    let per_event = value.contains("${tag") || value.contains("${record") || value.contains("$.");
    if per_event {
        notes.difference(format!("`{name}` is one for all events, it is not sent: {value}"));
    }
    (!per_event).then(|| value.replace(' ', "%20"))
}

/// What stands behind `?`.
fn query(pairs: Vec<(&str, Option<String>)>) -> String {
    let pairs: Vec<String> =
        pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// An address; one that is nothing but a variable still has to be one.
fn address(url: &str) -> String {
    if url.starts_with("${") {
        url.replacen(":-not-set}", ":-http://localhost:8080/}", 1)
    } else {
        url.to_string()
    }
}

fn new_relic(element: &Element, notes: &mut Notes) -> Service {
    let url = first(element, &["base_uri"], notes)
        .unwrap_or_else(|| "https://log-api.newrelic.com/log/v1".to_string());
    let key = first(element, &["license_key", "api_key"], notes).unwrap_or_default();
    let key = secret(&key, "NEW_RELIC_LICENSE_KEY", notes);
    let block = with_headers(to(address(&url), "array"), vec![("Api-Key".to_string(), key.into())])
        .with("compression", "gzip");
    notes.difference("the time goes along as `timestamp`, which New Relic looks for");
    let fields = vec![("timestamp".to_string(), Value::from("{@timestamp}"))];
    let time = Block::of("set").with("fields", fields).with("only_if_absent", true);
    for name in ["hostname", "service_name"] {
        if let Some(value) = constant(name, text(element, name, notes), notes) {
            notes.difference(format!(
                "`{name}` is not sent: set it with `fields` of the input: {value}"
            ));
        }
    }
    Service { block, filters: vec![time] }
}

fn splunk(element: &Element, notes: &mut Notes) -> Result<Service, String> {
    if text(element, "data_type", notes).is_some_and(|kind| kind == "metric") {
        return Err("metrics are not sent to Splunk; count with the filter `metric`".to_string());
    }
    let tls = match first(element, &["protocol", "scheme"], notes) {
        Some(protocol) => protocol == "https",
        None => {
            element.name != "output" || text(element, "tls", notes).is_some_and(|t| is_true(&t))
        }
    };
    let host = first(element, &["hec_host", "host", "server"], notes)
        .unwrap_or_else(|| "127.0.0.1".to_string());
    let port = first(element, &["hec_port", "port"], notes).unwrap_or_else(|| "8088".to_string());
    let (host, port) = match host.rsplit_once(':') {
        Some((name, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            (name.to_string(), number.to_string())
        }
        _ => (host, port),
    };
    let host = host.replace(":-not-set}", ":-localhost}");
    let port = port.replace(":-9200}", ":-8088}").replace(":-not-set}", ":-8088}");
    let kind = first(element, &["sourcetype", "event_sourcetype"], notes);
    let kind = constant("sourcetype", kind, notes).unwrap_or_else(|| "_json".to_string());
    let index = first(element, &["index", "event_index"], notes);
    let index = constant("index", index, notes);
    let source = first(element, &["source", "event_source"], notes);
    let source = constant("source", source, notes);
    let query = query(vec![("sourcetype", Some(kind)), ("index", index), ("source", source)]);
    let scheme = if tls { "https" } else { "http" };
    let token = first(element, &["hec_token", "splunk_token", "token"], notes).unwrap_or_default();
    let token = format!("Splunk {}", secret(&token, "SPLUNK_HEC_TOKEN", notes));
    notes.difference(
        "events go to `/services/collector/raw` as lines of JSON; index and source type are in the address",
    );
    let url = format!("{scheme}://{host}:{port}/services/collector/raw{query}");
    let mut block =
        with_headers(to(url, "lines"), vec![("Authorization".to_string(), token.into())]);
    let unverified = text(element, "insecure_ssl", notes).is_some_and(|text| is_true(&text))
        || text(element, "ssl_verify", notes).is_some_and(|text| !is_true(&text))
        || text(element, "tls.verify", notes).is_some_and(|text| !is_true(&text));
    if unverified && tls {
        block.set("tls", vec![("verify".to_string(), Value::from(false))]);
    }
    Ok(plain(block))
}

fn datadog(element: &Element, notes: &mut Notes) -> Service {
    let host = first(element, &["host"], notes)
        .unwrap_or_else(|| "http-intake.logs.datadoghq.com".to_string());
    let host = host.replace(":-not-set}", ":-http-intake.logs.datadoghq.com}");
    let key = first(element, &["api_key", "apikey"], notes).unwrap_or_default();
    let key = secret(&key, "DD_API_KEY", notes);
    let given = |names: &[&str], notes: &mut Notes| {
        let value = first(element, names, notes);
        constant(names[0], value, notes)
    };
    let query = query(vec![
        ("ddsource", given(&["dd_source"], notes)),
        ("ddtags", given(&["dd_tags"], notes)),
        ("service", given(&["service", "dd_service"], notes)),
    ]);
    let _ = first(element, &["tls", "use_ssl", "use_http", "port", "use_json", "compress"], notes);
    let block = to(format!("https://{host}/api/v2/logs{query}"), "array");
    let headers = vec![("DD-API-KEY".to_string(), key.into())];
    plain(with_headers(block, headers).with("compression", "gzip"))
}

fn sumo_logic(element: &Element, notes: &mut Notes) -> Result<Service, String> {
    let Some(url) = first(element, &["endpoint"], notes) else {
        return Err("it has no endpoint; write `url` of an output `http`".to_string());
    };
    let mut headers = Vec::new();
    for (name, header) in [
        ("source_category", "X-Sumo-Category"),
        ("source_name", "X-Sumo-Name"),
        ("source_host", "X-Sumo-Host"),
    ] {
        if let Some(value) = constant(name, text(element, name, notes), notes) {
            headers.push((header.to_string(), value.into()));
        }
    }
    notes.difference("each event is one line of JSON, whatever `log_format` says");
    let mut block = with_headers(to(endpoint(&url, "SUMO_LOGIC_URL", notes), "lines"), headers);
    if text(element, "verify_ssl", notes).is_some_and(|text| text == "false") {
        block.set("tls", vec![("verify".to_string(), Value::from(false))]);
    }
    Ok(plain(block))
}

fn logz_io(element: &Element, notes: &mut Notes) -> Result<Service, String> {
    let Some(url) = first(element, &["endpoint_url"], notes) else {
        return Err("it has no address; write `url` of an output `http`".to_string());
    };
    if text(element, "output_include_tags", notes).is_some_and(|text| is_true(&text)) {
        notes.difference("the tag is not sent: copy `@metadata.tag` into a field of the event");
    }
    let _ = first(
        element,
        &["output_include_time", "http_idle_timeout", "output_tags_fieldname"],
        notes,
    );
    Ok(plain(to(endpoint(&url, "LOGZIO_URL", notes), "lines")))
}

fn loggly(element: &Element, notes: &mut Notes) -> Result<Service, String> {
    let Some(url) = first(element, &["loggly_url"], notes) else {
        return Err("it has no address; write `url` of an output `http`".to_string());
    };
    let bulk = url.replace("loggly.com/inputs/", "loggly.com/bulk/");
    if bulk != url {
        notes.difference("many events go in one request, so the address has `bulk` in it");
    }
    Ok(plain(to(endpoint(&bulk, "LOGGLY_URL", notes), "lines")))
}

fn honeycomb(element: &Element, notes: &mut Notes) -> Result<Service, String> {
    let Some(dataset) = first(element, &["dataset"], notes) else {
        return Err("it names no dataset; write `url` of an output `http`".to_string());
    };
    let host = first(element, &["api_host"], notes);
    let host = host.unwrap_or_else(|| "https://api.honeycomb.io".to_string());
    let key = first(element, &["writekey"], notes).unwrap_or_default();
    let key = secret(&key, "HONEYCOMB_KEY", notes);
    notes.difference("each event is a request of its own, and its time is that of arrival");
    for name in ["sample_rate", "presampled_key", "dataset_from_key"] {
        if let Some(value) = text(element, name, notes) {
            notes.difference(format!("`{name}` ({value}) is left out: see the filter `sample`"));
        }
    }
    let _ = first(element, &["include_tag_key", "tag_key", "flatten_keys", "flatten"], notes);
    let url = format!("{}/1/events/{dataset}", address(&host).trim_end_matches('/'));
    let headers = vec![("X-Honeycomb-Team".to_string(), key.into())];
    Ok(plain(with_headers(to(url, "single"), headers)))
}

/// Fluentd's plugin has an element for HTTP and one for gRPC.
fn open_telemetry(element: &Element, notes: &mut Notes) -> Service {
    let inner = element.element("http").unwrap_or(element);
    let url = first(inner, &["endpoint"], notes);
    let url = url.unwrap_or_else(|| "http://127.0.0.1:4318".to_string());
    if element.element("grpc").is_some() {
        notes.difference("records go over HTTP, not gRPC: the collector's port is 4318");
    }
    notes.difference("logs go as JSON, each the whole event; metrics and traces do not");
    let url = address(&url);
    plain(to(format!("{}/v1/logs", url.trim_end_matches('/')), "otlp"))
}

/// Streams of Loki; what is a label for each event is a template.
fn loki(element: &Element, notes: &mut Notes) -> Service {
    let path = "/loki/api/v1/push";
    // Some write the whole address as `uri`.
    let whole = first(element, &["uri"], notes).filter(|uri| uri.contains("://"));
    let url = match first(element, &["url"], notes).or(whole) {
        Some(url) if url.contains(path) => address(&url),
        Some(url) => format!("{}{path}", address(&url).trim_end_matches('/')),
        None => {
            let tls = text(element, "tls", notes).is_some_and(|text| is_true(&text));
            let host = first(element, &["host"], notes).unwrap_or_else(|| "127.0.0.1".to_string());
            let host = host.replace(":-not-set}", ":-localhost}");
            let port = first(element, &["port"], notes).unwrap_or_else(|| "3100".to_string());
            let port = port.replace(":-9200}", ":-3100}").replace(":-not-set}", ":-3100}");
            let uri = first(element, &["uri"], notes).unwrap_or_else(|| path.to_string());
            format!("{}://{host}:{port}{uri}", if tls { "https" } else { "http" })
        }
    };
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, value: String| {
        if labels.iter().all(|(known, _)| *known != name) {
            labels.push((name, value));
        }
    };
    // Fluentd: constants as JSON, and fields by name.
    let constants = first(element, &["extra_labels"], notes).unwrap_or_default();
    if let Ok(serde_json::Value::Object(constants)) = serde_json::from_str(&constants) {
        for (name, value) in constants {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_string);
            add(name, braced(&value));
        }
    }
    for parameter in element.element("label").into_iter().flat_map(Element::written) {
        let source = parameter.value.source();
        let from = if source.trim().is_empty() { parameter.name.clone() } else { source };
        add(parameter.name.clone(), format!("{{{}:-}}", field(&from)));
    }
    // Fluent Bit: `labels a=b, $c, d=$e['f']` and `label_keys $a,$b`.
    let written = first(element, &["labels"], notes).unwrap_or_default();
    let keys = first(element, &["label_keys"], notes).unwrap_or_default();
    for part in list(&written).into_iter().chain(list(&keys)) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim().to_string(), value.trim().to_string()),
            None => {
                let last = part.rsplit(['$', '[', '.', '\'', '"', ']']).find(|p| !p.is_empty());
                (last.unwrap_or("field").to_string(), part.clone())
            }
        };
        let value = if value.starts_with('$') && !value.starts_with("${") {
            format!("{{{}:-}}", field(&value))
        } else {
            braced(&value)
        };
        add(name, value);
    }
    if text(element, "auto_kubernetes_labels", notes).is_some_and(|text| is_true(&text)) {
        notes.difference("labels of pods are no labels of streams: name those that you need");
    }
    if labels.is_empty() {
        labels.push(("job".to_string(), "fluent-bit".to_string()));
    }
    for name in ["line_format", "remove_keys", "drop_single_key"] {
        if text(element, name, notes).is_some() {
            notes.difference(format!("a line is the event as JSON, whatever `{name}` says"));
        }
    }
    let labels = labels.into_iter().map(|(name, value)| (name, Value::from(value)));
    let mut block = to(url, "loki").with("labels", labels.collect::<Vec<_>>());
    if let Some(tenant) = first(element, &["tenant", "tenant_id"], notes) {
        block.set("headers", vec![("X-Scope-OrgID".to_string(), Value::from(tenant))]);
    }
    let user = first(element, &["username", "http_user"], notes);
    let password = first(element, &["password", "http_passwd"], notes);
    if let Some(user) = user {
        block.set("user", user);
        block.set("password", secret(&password.unwrap_or_default(), "LOKI_PASSWORD", notes));
    }
    if text(element, "tls.verify", notes).is_some_and(|text| !is_true(&text)) {
        block.set("tls", vec![("verify".to_string(), Value::from(false))]);
    }
    plain(block)
}

/// A text as a template; a variable stays one.
fn braced(text: &str) -> String {
    if text.contains("${") {
        return text.to_string();
    }
    text.replace('{', "{{").replace('}', "}}")
}

/// An address that says by itself who sends: a secret.
fn endpoint(url: &str, name: &str, notes: &mut Notes) -> String {
    if url.contains("${") {
        return address(url);
    }
    notes.difference(format!(
        "the address holds a key, it is not written here: set {name} in the environment"
    ));
    format!("${{{name}:-http://localhost:8080/}}")
}
