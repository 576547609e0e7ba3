//! Logstash's inputs as ours.
//!
//! In: an input plugin. Out: an input of the pipeline, and filters that give its events what the plugin gave them.
//! Promises: an input that is not there becomes a TODO that names the nearest way. On failure: as the import.

use std::path::PathBuf;

use super::specification::say_rest;
use super::syntax::{Plugin, Value};
use super::values::{self, Settings};
use super::{Translator, codec, judge};
use crate::import::document::{Filter, Part, Step, Table, Value as Ours};
use crate::import::positions::{self, Record};
use crate::import::report::Account;
use crate::import::{secrets, templates, trial};

/// Inputs that are not there, and the nearest way.
const MISSING: [(&str, &str); 17] = [
    (
        "kafka",
        "let a Kafka client write JSON lines to an input `tcp`, or keep Logstash or Vector for this topic in front",
    ),
    (
        "redis",
        "let the shippers send to an input `beats` or `tcp` straight; the journal takes Redis's place as a buffer",
    ),
    (
        "rabbitmq",
        "let a consumer write JSON lines to an input `tcp`; the journal takes the queue's place as a buffer",
    ),
    ("jdbc", "let a scheduled query write JSON lines to a file that an input `file` follows"),
    (
        "http_poller",
        "let a timer call the address with curl and append to a file that an input `file` follows",
    ),
    (
        "s3",
        "let a timer copy the objects to a folder that an input `file` follows (.gz of half-read files is read)",
    ),
    ("sqs", "let a consumer write JSON lines to an input `tcp`"),
    ("kinesis", "let a consumer write JSON lines to an input `tcp`"),
    ("gelf", "let the senders write JSON lines to an input `tcp`"),
    (
        "elasticsearch",
        "let a scheduled query write JSON lines to a file that an input `file` follows",
    ),
    ("exec", "let a timer run the command and append to a file that an input `file` follows"),
    ("pipe", "start the program with its output to an input `stdin`"),
    ("unix", "use an input `tcp` on the loopback address"),
    ("eventlog", "Filebeat or Winlogbeat can send to an input `beats`"),
    ("snmptrap", "let snmptrapd write to a file that an input `file` follows"),
    ("netflow", "let nfcapd write JSON lines to a file that an input `file` follows"),
    ("dead_letter_queue", "`logweir dlq ls`, `show` and `replay` do this"),
];

/// Converts one.
pub fn convert(translator: &mut Translator<'_>, plugin: &Plugin) {
    let mut account = translator.account("input", plugin);
    let mut settings = Settings::of(plugin);
    let id = settings.text("id");
    let table = match plugin.name.as_str() {
        "beats" | "elastic_agent" | "lumberjack" => {
            Some(beats(translator, plugin, &mut settings, &mut account))
        }
        "tcp" => tcp(translator, &mut settings, &mut account),
        "udp" => {
            let address = listen(translator, &mut settings, "5140");
            settings.ignore(&[
                "queue_size",
                "receive_buffer_bytes",
                "buffer_size",
                "source_ip_fieldname",
            ]);
            Some(Table::of_type("udp").with("listen", address))
        }
        "http" => Some(http(translator, &mut settings, &mut account)),
        "generator" | "heartbeat" => Some(generate(plugin, &mut settings, &mut account)),
        "syslog" => Some(syslog(translator, &mut settings)),
        "file" => Some(file(translator, &mut settings, &mut account)),
        "stdin" => Some(Table::of_type("stdin")),
        "pipeline" => {
            let address = settings.text("address").unwrap_or_default();
            account.differs(format!(
                "events of the pipelines that send to `{address}` come over a port of this machine, without `@metadata`"
            ));
            Some(Table::of_type("forward").with("listen", values::meeting(&address)))
        }
        other => {
            let nearest = MISSING.iter().find(|(name, _)| *name == other);
            let instead = nearest
                .map_or("let the source write to a file, or send lines over TCP", |(_, way)| *way);
            account.missing(format!("there is no input `{other}`"), instead);
            None
        }
    };
    let mut part = Part { name: id.unwrap_or_else(|| plugin.name.clone()), ..Part::default() };
    if let Some(mut table) = table {
        let is_json = ["beats", "http", "forward", "generate"]
            .iter()
            .any(|kind| table.get("type").and_then(Ours::text) == Some(*kind));
        if let Some(codec) = codec::input(settings.take("codec"), &mut account)
            && !(codec == Ours::from("json") && is_json)
        {
            table.set("codec", codec);
        }
        fields(translator, &mut settings, &mut table, &mut account);
        say_rest(&mut settings, &mut account);
        part.settings = table;
        if !account.is_missing() {
            judge(&mut account, trial::input(&part));
        }
    }
    let early = account.is_missing();
    part.notes = account.close(translator.report, plugin.comments.clone());
    if early {
        part.settings = Table::default();
        translator.pipeline.inputs.push(part);
    } else {
        let name = translator.pipeline.add_input(part);
        if let Some(record) = translator.pipeline.records.last_mut().filter(|r| r.input.is_empty())
        {
            record.input = name;
        }
    }
}

/// `host` and `port` as an address.
fn listen(translator: &mut Translator<'_>, settings: &mut Settings, port: &str) -> Ours {
    let host = settings.text("host").unwrap_or_else(|| "0.0.0.0".to_string());
    let host = match host.as_str() {
        "localhost" => "127.0.0.1".to_string(),
        host if host.contains(':') && !host.starts_with('[') && !host.contains("${") => {
            format!("[{host}]")
        }
        // A listener needs an address; a name of this machine stands for all of its addresses.
        host if host.contains("${")
            || host.starts_with(|c: char| c.is_ascii_digit() || c == '[') =>
        {
            host.to_string()
        }
        _ => "0.0.0.0".to_string(),
    };
    let port = settings.text("port").unwrap_or_else(|| port.to_string());
    // Where a variable has no default, the address must still be one.
    let with_default = |text: String, default: &str| {
        let (text, any) = values::variables(&text);
        if any { text.replace(":-not-set}", &format!(":-{default}}}")) } else { text }
    };
    for text in [&host, &port] {
        values::text(text, translator.report);
    }
    let text = format!("{}:{}", with_default(host, "0.0.0.0"), with_default(port, "5000"));
    if text.contains("${") { Ours::Variables(text) } else { Ours::Text(text) }
}

/// Settings of TLS, old and new names.
fn tls(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let enabled = [settings.flag("ssl_enabled"), settings.flag("ssl_enable"), settings.flag("ssl")];
    let on = enabled.into_iter().flatten().any(|flag| flag);
    let mut table = Table::default();
    for (ours, theirs) in [
        ("cert", ["ssl_certificate", "ssl_cert"]),
        ("key", ["ssl_key", "ssl_certificate_key"]),
        ("client_ca", ["ssl_certificate_authorities", "ssl_extra_chain_certs"]),
    ] {
        for name in theirs {
            if let Some(path) = settings.text(name) {
                table.set(ours, values::text(&path, translator.report));
            }
        }
    }
    let verify = [settings.text("ssl_client_authentication"), settings.text("ssl_verify_mode")];
    let none = verify.into_iter().flatten().any(|mode| mode == "none");
    if settings.flag("ssl_verify") == Some(false) || none {
        table.0.retain(|(key, _)| key != "client_ca");
    }
    if settings.take("ssl_key_passphrase").is_some() {
        account.needs(
            "the private key must stand without a passphrase",
            "openssl pkey -in KEY -out PLAIN_KEY",
        );
    }
    settings.ignore(&[
        "ssl_handshake_timeout",
        "ssl_peer_metadata",
        "ssl_cipher_suites",
        "ssl_supported_protocols",
        "cipher_suites",
        "tls_min_version",
        "tls_max_version",
        "include_codec_tag",
        "congestion_threshold",
        "client_inactivity_timeout",
        "executor_threads",
        "target_field_for_codec",
        "proxy_protocol",
        "dns_reverse_lookup_enabled",
        "tcp_keep_alive",
        "data_timeout",
        "max_clients",
        "add_hostname",
        "event_loop_threads",
        "enrich",
        "use_labels",
    ]);
    (on && !table.is_empty()
        || table.get("cert").is_some()
            && enabled != [None, None, Some(false)]
            && !enabled.contains(&Some(false)))
    .then_some(table)
}

fn beats(
    translator: &mut Translator<'_>,
    plugin: &Plugin,
    settings: &mut Settings,
    account: &mut Account,
) -> Table {
    let address = listen(translator, settings, "5044");
    let mut table = Table::of_type("beats").with("listen", address);
    table.set_some("tls", tls(translator, settings, account));
    if plugin.name == "elastic_agent" {
        account.differs("the Elastic Agent's protocol is that of beats; its data stream fields stay in the event");
    }
    table
}

fn tcp(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    if settings.text("mode").is_some_and(|mode| mode == "client") {
        account.missing(
            "an input `tcp` does not connect, it listens",
            "let the other side connect to us",
        );
        return None;
    }
    let address = listen(translator, settings, "5000");
    let mut table = Table::of_type("tcp").with("listen", address);
    table.set_some("tls", tls(translator, settings, account));
    Some(table)
}

/// Requests with JSON or text.
fn http(translator: &mut Translator<'_>, settings: &mut Settings, account: &mut Account) -> Table {
    let address = listen(translator, settings, "8080");
    let mut table = Table::of_type("http").with("listen", address);
    if let Some(user) = settings.text("user") {
        table.set("user", values::text(&user, translator.report));
        let password = settings.text("password").unwrap_or_default();
        let value = if values::variables(&password).1 {
            values::text(&password, translator.report)
        } else {
            secrets::moved_once("HTTP", "password", &password, translator.report)
        };
        table.set("password", value);
    }
    if let Some(bytes) = settings.text("max_content_length").and_then(|text| text.parse().ok()) {
        let bytes: i64 = bytes;
        table.set("max_body", bytes.clamp(1024, 1 << 30));
    }
    table.set_some("tls", tls(translator, settings, account));
    if settings.take("additional_codecs").is_some() {
        account.differs("what a body is follows from its Content-Type: JSON, MessagePack or text");
    }
    if settings.take("response_headers").is_some() || settings.take("response_code").is_some() {
        account.differs("requests are answered with 200 and `ok`");
    }
    settings.ignore(&[
        "threads",
        "max_pending_requests",
        "remote_host_target_field",
        "request_headers_target_field",
        "verify_mode",
    ]);
    table
}

/// `generator` and `heartbeat`.
fn generate(plugin: &Plugin, settings: &mut Settings, account: &mut Account) -> Table {
    let heartbeat = plugin.name == "heartbeat";
    let message = settings
        .text("message")
        .unwrap_or_else(|| if heartbeat { "ok".to_string() } else { "Hello world!".to_string() });
    let lines = settings.texts("lines").unwrap_or_else(|| vec![message]);
    let lines = lines.iter().map(|line| line.replace('\n', " "));
    let mut table = Table::of_type("generate").with("lines", Ours::texts(lines));
    // A line is text unless the codec says otherwise.
    if !settings.has("codec") {
        table.set("codec", "plain");
    }
    if heartbeat {
        let seconds = settings.text("interval").and_then(|text| text.parse().ok());
        table.set("interval", duration(seconds.unwrap_or(60)));
        settings.ignore(&["sequence", "type"]);
    } else {
        table.set("interval", "1ms");
        account.differs("a thousand lines a second are made, not as many as possible");
        settings.ignore(&["threads"]);
    }
    if let Some(count) = settings.text("count").and_then(|text| text.parse::<i64>().ok())
        && count > 0
    {
        table.set("count", count);
    }
    table
}

/// Syslog over UDP and TCP, taken apart as Logstash's input does.
fn syslog(translator: &mut Translator<'_>, settings: &mut Settings) -> Table {
    let address = listen(translator, settings, "514");
    settings.ignore(&[
        "use_labels",
        "facility_labels",
        "severity_labels",
        "timezone",
        "locale",
        "proxy_protocol",
    ]);
    let pattern = settings
        .text("grok_pattern")
        .unwrap_or_else(|| "<%{POSINT:priority}>%{SYSLOGLINE}".to_string());
    let grok = Filter::new("grok")
        .with("when", "not exists(priority) and message =~ /^<[0-9]+>/")
        .with("field", "message")
        .with("patterns", Ours::texts([pattern]))
        .with("ecs", "disabled")
        .with("overwrite", Ours::texts(["message"]))
        .with("tag_on_failure", Ours::texts(["_grokparsefailure_sysloginput"]));
    let priority = Filter::new("syslog_pri")
        .with("when", "exists(priority)")
        .with("field", "priority")
        .with("ecs_compatibility", "disabled");
    let date = Filter::new("date")
        .with("when", "exists(timestamp) and exists(priority)")
        .with("field", "timestamp")
        .with(
            "formats",
            Ours::texts(["MMM dd HH:mm:ss", "MMM  d HH:mm:ss", "MMM d HH:mm:ss", "ISO8601"]),
        );
    translator.pipeline.steps.extend([grok, priority, date].map(Step::Filter));
    Table::of_type("syslog").with("listen", address).with("codec", "plain")
}

fn file(translator: &mut Translator<'_>, settings: &mut Settings, account: &mut Account) -> Table {
    let mut table = Table::of_type("file");
    let texts = |settings: &mut Settings, name: &str| settings.texts(name).unwrap_or_default();
    let written = texts(settings, "path");
    let paths: Vec<Ours> = written.iter().map(|p| values::text(p, translator.report)).collect();
    table.set("paths", Ours::List(paths));
    let exclude = texts(settings, "exclude");
    if !exclude.is_empty() {
        table.set("exclude", Ours::texts(exclude));
    }
    let read = settings.text("mode").is_some_and(|mode| mode == "read");
    let from_start =
        settings.text("start_position").is_some_and(|start| start == "beginning") || read;
    table.set("start_at", if from_start { "beginning" } else { "end" });
    if let Some(age) = settings.text("ignore_older") {
        match age.parse::<u64>() {
            Ok(0) => {}
            Ok(seconds) => table.set("ignore_older", duration(seconds)),
            Err(_) => account
                .differs(format!("`ignore_older` = {age} is left out: write it as 7d or 12h")),
        }
    }
    let sincedb = settings.text("sincedb_path");
    let none = sincedb.as_deref().is_some_and(|path| {
        path.eq_ignore_ascii_case("/dev/null") || path.eq_ignore_ascii_case("nul")
    });
    if none {
        account.differs("reading goes on where it stopped, also after a restart: positions are kept in the journal");
    } else {
        let path = sincedb.map_or_else(|| positions::sincedb_of(&written), PathBuf::from);
        translator.pipeline.records.push(Record { input: String::new(), path });
    }
    if read {
        account.differs("files are followed after their end was read, and stay where they are");
    }
    if settings.take("delimiter").is_some() {
        account.differs("lines end with a line feed, `delimiter` is left out");
    }
    settings.ignore(&[
        "mode",
        "sincedb_write_interval",
        "sincedb_clean_after",
        "stat_interval",
        "discover_interval",
        "max_open_files",
        "close_older",
        "file_chunk_count",
        "file_chunk_size",
        "file_sort_by",
        "file_sort_direction",
        "check_archive_validity",
        "file_completed_action",
        "file_completed_log_path",
        "exit_after_read",
        "debug",
        "format",
    ]);
    table
}

/// Seconds as a person writes them.
pub fn duration(seconds: u64) -> String {
    match seconds {
        s if s > 0 && s % 86400 == 0 => format!("{}d", s / 86400),
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// `type`, `tags` and `add_field`.
fn fields(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    table: &mut Table,
    account: &mut Account,
) {
    let mut fields = Table::default();
    if let Some(kind) = settings.text("type") {
        fields.set("type", values::text(&kind, translator.report));
    }
    if let Some(tags) = settings.texts("tags") {
        fields.set("tags", Ours::texts(tags));
    }
    for (name, value) in settings.hash("add_field").unwrap_or_default() {
        let names = templates::names(&name);
        let text = value.text().unwrap_or_default();
        if templates::has_references(text) || names.len() > 1 || matches!(value, Value::Hash(_)) {
            let when_absent = Table::default()
                .with(&templates::field(&name), templates::from_logstash(text).unwrap_or_default());
            translator.pipeline.steps.push(Step::Filter(
                Filter::new("set").with("fields", when_absent).with("only_if_absent", true),
            ));
            if translator.pipeline.inputs.len() > 1 {
                account.differs(format!("`{name}` is set in the events of all inputs"));
            }
        } else {
            fields.set(&names[0], values::any(&value, translator.report));
        }
    }
    if !fields.is_empty() {
        table.set("fields", fields);
    }
}
