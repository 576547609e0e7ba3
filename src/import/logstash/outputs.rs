//! Logstash's outputs as ours.
//!
//! In: an output plugin and what the conditionals around it ask. Out: an output of the pipeline with `when`.
//! Promises: an output that is not there becomes a TODO that names the nearest way; secrets become variables.
//! On failure: as the import.

use super::hosts::{host, in_cloud, login_of};
use super::kafka::kafka;
use super::specification::say_rest;
use super::syntax::{Plugin, Value};
use super::values::{self, Settings};
use super::{Translator, judge, senders, services};
use crate::import::conditions::Expression;
use crate::import::document::{Part, Table, Value as Ours};
use crate::import::fluent::places;
use crate::import::report::Account;
use crate::import::{secrets, templates, trial};

/// Outputs that are not there, and the nearest way.
const MISSING: [(&str, &str); 8] = [
    ("redis", "send to Elasticsearch straight: the journal takes Redis's place as a buffer"),
    ("rabbitmq", "send to Elasticsearch straight: the journal takes the queue's place as a buffer"),
    ("email", "use the output `slack`, or an alert in Elasticsearch"),
    ("statsd", "the agent's own /metrics counts events"),
    ("graphite", "the agent's own /metrics counts events"),
    ("influxdb", "write to a file (output `file`) that Telegraf reads"),
    ("mongodb", "write to a file (output `file`) that an importer reads"),
    ("exec", "write to a file (output `file`) that a program follows"),
];

/// Converts one.
pub fn convert(
    translator: &mut Translator<'_>,
    plugin: &Plugin,
    held: &Expression,
    mut comments: Vec<String>,
) {
    let mut account = translator.account("output", plugin);
    let mut settings = Settings::of(plugin);
    let mut part = Part { name: settings.text("id").unwrap_or_default(), ..Part::default() };
    let table = match plugin.name.as_str() {
        "elasticsearch" | "opensearch" | "amazon_es" | "elasticsearch_http"
        | "elastic_app_search" => elasticsearch(translator, &mut settings, &mut account),
        "stdout" => Some(stdout(&mut settings, &mut account)),
        "file" => file(&mut settings, &mut account),
        "slack" => Some(slack(translator, &mut settings)),
        "pipeline" => pipeline(&mut settings, &mut account),
        "http" => http(translator, &mut settings, &mut account),
        "kafka" => kafka(translator, &mut settings, &mut account),
        "tcp" | "udp" | "syslog" | "gelf" | "s3" => {
            senders::sender(&plugin.name, translator, &mut settings, &mut account)
        }
        kind if services::KINDS.contains(&kind) => {
            services::service(kind, translator, &mut settings, &mut account)
        }
        "null" | "sink" | "devnull" => {
            // Nothing is written: an event that no output takes is done.
            settings = Settings::of(&Plugin { settings: Vec::new(), ..plugin.clone() });
            comments.push("Logstash's output `null`: events that no output takes are done.".into());
            Some(Table::default())
        }
        other => {
            let nearest = MISSING.iter().find(|(name, _)| *name == other);
            let instead = nearest.map_or(
                "write to a file (output `file`) that another program sends on",
                |(_, way)| *way,
            );
            account.missing(format!("there is no output `{other}`"), instead);
            None
        }
    };
    comments.extend(plugin.comments.clone());
    if let Some(mut table) = table {
        say_rest(&mut settings, &mut account);
        if !table.is_empty() && *held != Expression::Constant(true) {
            match held.print() {
                Ok(when) => table.add_when(&when),
                Err(why) => account.missing(
                    format!("its condition cannot be written: {why}"),
                    "write `when` yourself",
                ),
            }
        }
        if part.name.is_empty() {
            part.name = name_of(plugin, &table);
        }
        part.settings = table;
        if !account.is_missing() && !part.settings.is_empty() {
            judge(&mut account, trial::output(&part));
        }
    }
    if account.is_missing() {
        part.settings = Table::default();
        if let (Ok(when), true) = (held.print(), *held != Expression::Constant(true)) {
            comments.push(format!("when {when}"));
        }
    }
    part.notes = account.close(translator.report, comments);
    if part.settings.is_empty() {
        translator.pipeline.outputs.push(part);
    } else {
        translator.pipeline.add_output(part);
    }
}

/// What a person would call it: the index's first words, the screen.
fn name_of(plugin: &Plugin, table: &Table) -> String {
    if plugin.name == "stdout" {
        return "screen".to_string();
    }
    let index = table.get("index").and_then(Ours::text).unwrap_or_default();
    let head: String = index.split(['{', '$']).next().unwrap_or_default().to_string();
    let head = head.trim_end_matches(['-', '_', '.']);
    if head.is_empty() { plugin.name.clone() } else { head.to_string() }
}

fn elasticsearch(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    if let Some(action) =
        settings.text("action").filter(|a| !["index", "create"].contains(&a.as_str()))
    {
        account.missing(
            format!("documents are only added, not changed: `action` is `{action}`"),
            "use an ingest pipeline or a transform",
        );
        return None;
    }
    let mut table = Table::of_type("elasticsearch");
    let tls =
        [settings.flag("ssl_enabled"), settings.flag("ssl")].into_iter().flatten().any(|flag| flag)
            || settings.text("protocol").is_some_and(|p| p == "https");
    let mut hosts = settings
        .texts("hosts")
        .or_else(|| settings.texts("host"))
        .unwrap_or_else(|| vec!["localhost:9200".into()]);
    let port = settings.text("port");
    hosts.retain(|host| !host.trim().is_empty());
    let path = settings.text("path").unwrap_or_default();
    let in_address = hosts.iter().find_map(|host| login_of(host));
    let mut hosts: Vec<Ours> =
        hosts.iter().map(|h| host(translator, h, tls, port.as_deref(), &path, account)).collect();
    if let Some(id) = settings.text("cloud_id") {
        hosts = vec![in_cloud(translator, &id, account)];
    }
    table.set("hosts", Ours::List(hosts));
    index(translator, settings, &mut table, account);
    login(translator, settings, &mut table, in_address, account);
    let mut inner = client_tls(translator, settings);
    if inner.get("verify").is_none() && settings.flag("ssl_certificate_verification") == Some(false)
    {
        inner.set("verify", false);
    }
    for name in ["truststore", "keystore", "ssl_truststore_path", "ssl_keystore_path"] {
        if settings.take(name).is_some() {
            account.needs(
                format!("`{name}` holds certificates in Java's form"),
                "write them as PEM and name them in `tls`",
            );
        }
    }
    if !inner.is_empty() {
        table.set("tls", inner);
    }
    pipeline_and_template(translator, settings, &mut table, account);
    settings.ignore(&NO_EFFECT);
    Some(table)
}

/// Settings of the output that change nothing here: sizes, waits and retries are found by the output itself.
const NO_EFFECT: [&str; 50] = [
    "document_type",
    "codec",
    "flush_size",
    "idle_flush_time",
    "retry_max_interval",
    "retry_initial_interval",
    "retry_max_items",
    "retry_on_conflict",
    "max_retries",
    "retry_max_times",
    "sniffing",
    "sniffing_delay",
    "sniffing_path",
    "timeout",
    "pool_max",
    "pool_max_per_route",
    "resurrect_delay",
    "validate_after_inactivity",
    "http_compression",
    "compression_level",
    "manage_template",
    "template_api",
    "ecs_compatibility",
    "healthcheck_path",
    "absolute_healthcheck_path",
    "bulk_path",
    "failure_type_logging_whitelist",
    "silence_errors_in_log",
    "truststore_password",
    "keystore_password",
    "ssl_truststore_password",
    "ssl_keystore_password",
    "ssl_truststore_type",
    "ssl_keystore_type",
    "ssl_cipher_suites",
    "ssl_supported_protocols",
    "ca_trusted_fingerprint",
    "embedded",
    "cluster",
    "node_name",
    "transport_username",
    "bind_host",
    "bind_port",
    "data_stream_auto_routing",
    "data_stream_sync_fields",
    "dlq_custom_codes",
    "dlq_on_failed_indexname_interpolation",
    "doc_as_upsert",
    "action",
    "max_inflight_requests",
];

fn index(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    table: &mut Table,
    account: &mut Account,
) {
    let alias = settings.text("ilm_rollover_alias");
    let ilm = settings.text("ilm_enabled").is_some_and(|on| on == "true") || alias.is_some();
    settings.ignore(&["ilm_pattern", "ilm_policy"]);
    let stream = settings.text("data_stream").is_some_and(|on| on == "true");
    let part = |settings: &mut Settings, name: &str, usual: &str| {
        settings.text(name).unwrap_or_else(|| usual.into())
    };
    let parts = [
        part(settings, "data_stream_type", "logs"),
        part(settings, "data_stream_dataset", "generic"),
        part(settings, "data_stream_namespace", "default"),
    ];
    let given = settings.text("index");
    let index = match given {
        Some(index) if !stream => index,
        _ if stream => parts.join("-"),
        _ => alias.clone().unwrap_or_else(|| "logstash-%{+YYYY.MM.dd}".to_string()),
    };
    let index = if let Some(alias) = alias.filter(|_| ilm) { alias } else { index };
    if ilm {
        account
            .differs("the rollover alias must be there: logweir writes to it and does not make it");
    }
    // Elasticsearch refuses upper-case letters; those within references and times mean something else.
    let outside = |text: &str| {
        let parts = text.split('}').map(|part| match part.split_once(['%', '$']) {
            Some((plain, _)) => plain,
            None => part,
        });
        parts.collect::<String>()
    };
    let index = if outside(&index).contains(|c: char| c.is_ascii_uppercase()) {
        account.differs(format!(
            "index names have no upper-case letters, and Elasticsearch refuses `{index}`: it is in lower case"
        ));
        lowered(&index)
    } else {
        index
    };
    match template(translator, &index) {
        Ok(value) => table.set("index", value),
        Err(why) => {
            account.missing(why, "write `index` as a template such as logs-{@timestamp:%Y.%m.%d}");
        }
    }
    if stream {
        table.set("data_stream", true);
    }
    if let Some(id) = settings.text("document_id") {
        account.differs(format!(
            "`document_id` {id} is left out: documents get logweir's own ids (a repeat is no second document)"
        ));
    }
    for name in [
        "routing",
        "parent",
        "join_field",
        "version",
        "version_type",
        "script",
        "upsert",
        "script_type",
        "script_lang",
    ] {
        if settings.take(name).is_some() {
            account.differs(format!("`{name}` is left out: documents are only added"));
        }
    }
}

/// A text in lower case, but for what stands in braces.
fn lowered(text: &str) -> String {
    let mut depth = 0usize;
    let lower = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 { c.to_ascii_lowercase() } else { c }
    };
    text.chars().map(lower).collect()
}

/// A template that may hold variables.
fn template(translator: &mut Translator<'_>, text: &str) -> Result<Ours, String> {
    // Variables are put aside while the braces are turned.
    let (mut aside, mut plain, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find("${") {
        let Some(end) = rest[at..].find('}').map(|end| at + end) else { break };
        plain.push_str(&rest[..at]);
        plain.push_str(&format!("\u{1}{}\u{2}", aside.len()));
        aside.push(values::text(&rest[at..=end], translator.report));
        rest = &rest[end + 1..];
    }
    plain.push_str(rest);
    let mut out = templates::from_logstash(&plain)?;
    if aside.is_empty() {
        return Ok(Ours::Text(out));
    }
    for (n, value) in aside.iter().enumerate() {
        out = out.replace(&format!("\u{1}{n}\u{2}"), value.text().unwrap_or_default());
    }
    Ok(Ours::Variables(out))
}

fn login(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    table: &mut Table,
    in_address: Option<(String, String)>,
    account: &mut Account,
) {
    settings.ignore(&["auth_type", "aws_access_key_id", "aws_secret_access_key", "region"]);
    if let Some(key) = settings.text("api_key") {
        let value = secret(translator, &key, "API key");
        table.set("api_key", value);
        account.differs("`api_key` is given in its encoded form: base64 of `id:key`");
        settings.ignore(&["user", "username", "password"]);
        return;
    }
    let user = settings.text("user").or_else(|| settings.text("username"));
    let password = settings.text("password").unwrap_or_default();
    let written = user.filter(|user| !user.is_empty()).map(|user| (user, password));
    let auth = settings.text("cloud_auth");
    let auth = auth.filter(|_| written.is_none()).map(|auth| match auth.split_once(':') {
        Some((user, password)) if !auth.contains("${") => (user.to_string(), password.to_string()),
        _ => {
            account.differs("`cloud_auth` is a user and a password here");
            ("elastic".to_string(), String::new())
        }
    });
    if let Some((user, password)) = written.or(auth).or(in_address) {
        table.set("user", values::text(&user, translator.report));
        let value = secret(translator, &password, "password");
        table.set("password", value);
    }
}

/// A secret: the source's own variable, or one that it moves to.
fn secret(translator: &mut Translator<'_>, written: &str, what: &str) -> Ours {
    if written.contains("${") && values::variables(written).1 {
        return values::text(written, translator.report);
    }
    secrets::moved_once("ELASTICSEARCH", what, written, translator.report)
}

fn pipeline_and_template(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    table: &mut Table,
    account: &mut Account,
) {
    if let Some(pipeline) = settings.text("pipeline") {
        if templates::has_references(&pipeline) {
            account.differs(format!(
                "`pipeline` {pipeline} is left out, it is one name for all: set `index.default_pipeline`"
            ));
        } else {
            table.set("pipeline", values::text(&pipeline, translator.report));
        }
    }
    let name = settings.text("template_name");
    let overwrite = settings.flag("template_overwrite");
    if let Some(file) = settings.text("template") {
        let mut template = Table::default();
        template.set("name", name.unwrap_or_else(|| "logstash".into()));
        template.set("file", values::text(&file, translator.report));
        template.set_some("overwrite", overwrite.filter(|on| *on));
        table.set("template", template);
    }
}

fn stdout(settings: &mut Settings, account: &mut Account) -> Table {
    let codec = settings.take("codec");
    let name = match &codec {
        Some(Value::Plugin(plugin)) => plugin.name.clone(),
        Some(value) => value.text().unwrap_or("rubydebug").to_string(),
        None => "rubydebug".to_string(),
    };
    let mut table = Table::of_type("stdout");
    match name.as_str() {
        "rubydebug" => table.set("format", "pretty"),
        "json" | "json_lines" => {}
        other => account.differs(format!("events are printed as JSON, not by the codec `{other}`")),
    }
    settings.ignore(&["debug", "debug_format", "message"]);
    table
}

/// The path of an output `file`, in which references to fields are a template's; `None`: they cannot be, and that is
/// said.
pub(super) fn path(settings: &mut Settings, account: &mut Account) -> Option<Ours> {
    let (path, _) = values::variables(&settings.text("path").unwrap_or_default());
    match templates::from_logstash(&path.replace("${", "\u{1}")) {
        Ok(path) => {
            let path = path.replace('\u{1}', "${");
            Some(if path.contains("${") { Ours::Variables(path) } else { Ours::Text(path) })
        }
        Err(why) => {
            account.missing(why, "write `path` as a template such as /var/log/{service}.jsonl");
            None
        }
    }
}

fn file(settings: &mut Settings, account: &mut Account) -> Option<Table> {
    let path = path(settings, account)?;
    let codec = match settings.take("codec") {
        Some(Value::Plugin(plugin)) => plugin.name.clone(),
        Some(value) => value.text().unwrap_or("json_lines").to_string(),
        None => "json_lines".to_string(),
    };
    if codec != "json_lines" && codec != "json" {
        account.differs(format!("each line is a JSON object, not what the codec `{codec}` writes"));
    }
    if settings.flag("gzip") == Some(true) {
        account.differs("files are not compressed");
    }
    settings.ignore(&[
        "create_if_deleted",
        "flush_interval",
        "dir_mode",
        "file_mode",
        "filename_failure",
        "stale_cleanup_interval",
        "write_behavior",
        "message_format",
    ]);
    Some(Table::of_type("file").with("path", path))
}

/// Events for another pipeline, which each gets from a port of this machine.
fn pipeline(settings: &mut Settings, account: &mut Account) -> Option<Table> {
    let addresses = settings.texts("send_to").unwrap_or_default();
    settings.ignore(&["ensure_delivery"]);
    let [address] = addresses.as_slice() else {
        account.missing(
            "it sends to several pipelines, an output `forward` to one",
            "write one output `forward` for each",
        );
        return None;
    };
    account.differs(format!(
        "events for `{address}` go over a port of this machine, without `@metadata`; they are acknowledged"
    ));
    Some(
        Table::of_type("forward")
            .with("servers", Ours::texts([values::meeting(address)]))
            .with("tag", templates::escaped(address)),
    )
}

/// Requests with documents.
fn http(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let url = settings.text("url").unwrap_or_default();
    if templates::has_references(&url) {
        account.missing(
            format!("the address is one for all events, but `url` is {url}"),
            "write one output `http` with `when` for each address",
        );
        return None;
    }
    let url = match places::filled(&url) {
        Some((filled, names)) => {
            account.differs(format!("the address has places to fill in: set {}", names.join(", ")));
            filled.replace(":-", ":")
        }
        None => url,
    };
    let url = match values::text(&url, translator.report) {
        Ours::Variables(text) if text.starts_with("${") => {
            Ours::Variables(text.replacen(":-not-set}", ":-http://localhost:8080/}", 1))
        }
        Ours::Variables(text) => Ours::Variables(text.replace(":-not-set}", ":-localhost}")),
        other => other,
    };
    let mut table = Table::of_type("http").with("url", url);
    match settings.text("http_method").unwrap_or_default().to_lowercase().as_str() {
        "put" => table.set("method", "put"),
        "post" | "" => {}
        other => account.differs(format!("requests are POST, not {}", other.to_uppercase())),
    }
    match settings.text("format").unwrap_or_default().as_str() {
        "json_batch" => table.set("format", "array"),
        "json" | "" => table.set("format", "single"),
        other => {
            table.set("format", "single");
            account.differs(format!("a body is the event as JSON, not `{other}`"));
        }
    }
    if settings.take("mapping").is_some() || settings.take("message").is_some() {
        account
            .differs("a body is the whole event: take away what it should not have with a filter");
    }
    let mut headers = Table::default();
    for (name, value) in settings.hash("headers").unwrap_or_default() {
        let text = value.text().unwrap_or_default();
        let lower = name.to_lowercase();
        let is_secret = ["auth", "token", "key", "secret"].iter().any(|word| lower.contains(word));
        let value = if is_secret && !values::variables(text).1 {
            secrets::moved_once("HTTP", &name, text, translator.report)
        } else {
            values::text(text, translator.report)
        };
        headers.set(&name, value);
    }
    if let Some(kind) = settings.text("content_type") {
        headers.set("Content-Type", kind);
    }
    if !headers.is_empty() {
        table.set("headers", headers);
    }
    if let Some(user) = settings.text("user").filter(|user| !user.is_empty()) {
        table.set("user", values::text(&user, translator.report));
        let password = settings.text("password").unwrap_or_default();
        let value = if values::variables(&password).1 {
            values::text(&password, translator.report)
        } else {
            secrets::moved_once("HTTP", "password", &password, translator.report)
        };
        table.set("password", value);
    }
    if settings.flag("http_compression") == Some(true) {
        table.set("compression", "gzip");
    }
    let tls = client_tls(translator, settings);
    if !tls.is_empty() {
        table.set("tls", tls);
    }
    settings.ignore(&NO_EFFECT);
    settings.ignore(&[
        "retry_failed",
        "retryable_codes",
        "ignorable_codes",
        "automatic_retries",
        "retry_non_idempotent",
        "connect_timeout",
        "socket_timeout",
        "request_timeout",
        "keepalive",
        "cookies",
        "follow_redirects",
        "pool_max",
    ]);
    Some(table)
}

/// Authorities, and a certificate to show.
fn client_tls(translator: &mut Translator<'_>, settings: &mut Settings) -> Table {
    let mut tls = Table::default();
    for (ours, theirs) in [
        ("ca", ["ssl_certificate_authorities", "cacert"]),
        ("cert", ["ssl_certificate", "client_cert"]),
        ("key", ["ssl_key", "client_key"]),
    ] {
        for name in theirs {
            if let Some(path) = settings.text(name) {
                tls.set(ours, values::text(&path, translator.report));
            }
        }
    }
    if settings.text("ssl_verification_mode").is_some_and(|mode| mode == "none") {
        tls.set("verify", false);
    }
    tls
}

fn slack(translator: &mut Translator<'_>, settings: &mut Settings) -> Table {
    let url = settings.text("url").unwrap_or_default();
    let value = if values::variables(&url).1 {
        match values::text(&url, translator.report) {
            Ours::Variables(text) => Ours::Variables(
                text.replace(":-not-set}", ":-https://hooks.slack.com/services/not-set}"),
            ),
            other => other,
        }
    } else {
        let Ours::Variables(text) = secrets::moved("SLACK", "webhook URL", translator.report)
        else {
            return Table::default();
        };
        Ours::Variables(text.replace(":-not-set}", ":-https://hooks.slack.com/services/not-set}"))
    };
    let mut table = Table::of_type("slack").with("webhook_url", value);
    if let Some(format) = settings.text("format")
        && let Ok(text) = templates::from_logstash(&format)
    {
        table.set("text", text);
    }
    for name in ["channel", "username", "icon_emoji"] {
        table.set_some(name, settings.text(name));
    }
    settings.ignore(&["icon_url", "attachments"]);
    table
}
