//! Logstash's outputs to a host and a port, and to S3, as ours.
//!
//! In: the plugin's settings. Out: `tcp`, `udp`, `syslog`, `gelf` or `s3`. Promises: secrets become variables; what is
//! written for each event is a template. On failure: a TODO with the nearest way.

use super::Translator;
use super::values::{self, Settings};
use crate::import::document::{Table, Value as Ours};
use crate::import::report::Account;
use crate::import::{secrets, templates};

/// The output of this name; `None`: it is none of these, or cannot be converted.
pub fn sender(
    kind: &str,
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    match kind {
        "tcp" => tcp(translator, settings, account),
        "udp" => {
            json_only(settings, account);
            let server = server(translator, settings, "5000");
            Some(Table::of_type("udp").with("server", server))
        }
        "syslog" => syslog(translator, settings, account),
        "gelf" => gelf(translator, settings, account),
        _ => s3(translator, settings, account),
    }
}

/// `host` and `port`.
fn server(translator: &mut Translator<'_>, settings: &mut Settings, usual: &str) -> Ours {
    let host = settings.text("host").unwrap_or_else(|| "127.0.0.1".to_string());
    let host = if host.contains(':') && !host.contains("${") { format!("[{host}]") } else { host };
    let port = settings.text("port").unwrap_or_else(|| usual.to_string());
    match values::text(&format!("{host}:{port}"), translator.report) {
        Ours::Variables(text) => {
            let (host, port) = text.rsplit_once("}:").unwrap_or((text.as_str(), ""));
            let host = host.replace(":-not-set", ":-localhost");
            let port = port.replace(":-not-set", &format!(":-{usual}"));
            let joint = if text.contains("}:") { "}:" } else { "" };
            Ours::Variables(format!("{host}{joint}{port}"))
        }
        other => other,
    }
}

/// Events are lines of JSON whatever the codec says.
fn json_only(settings: &mut Settings, account: &mut Account) {
    let codec = settings.text("codec").unwrap_or_else(|| "json".to_string());
    if !matches!(codec.as_str(), "json" | "json_lines") {
        account.differs(format!("events go as JSON, not by the codec `{codec}`"));
    }
}

fn tls(settings: &mut Settings, on: bool) -> Option<Table> {
    let on = settings.flag("ssl_enabled").or_else(|| settings.flag("ssl_enable")).unwrap_or(on);
    let mut table = Table::default();
    for (ours, names) in [
        ("ca", ["ssl_certificate_authorities", "ssl_cacert"]),
        ("cert", ["ssl_certificate", "ssl_cert"]),
        ("key", ["ssl_key", "ssl_key"]),
    ] {
        if let Some(path) = names.iter().find_map(|name| settings.text(name)) {
            table.set(ours, path.as_str());
        }
    }
    let verifies = settings.text("ssl_verification_mode").is_none_or(|mode| mode != "none")
        && settings.flag("ssl_verify").unwrap_or(true);
    if !verifies {
        table.set("verify", false);
    }
    on.then_some(table)
}

fn tcp(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    if settings.text("mode").is_some_and(|mode| mode == "server") {
        account.missing("it waits for clients to connect", "let the clients ask an output `http`");
        return None;
    }
    json_only(settings, account);
    settings.ignore(&["reconnect_interval"]);
    let mut table = Table::of_type("tcp").with("server", server(translator, settings, "5000"));
    if let Some(tls) = tls(settings, false) {
        table.set("tls", Ours::Table(tls));
    }
    Some(table)
}

/// A setting with references as a template.
fn template(
    settings: &mut Settings,
    name: &str,
    table: &mut Table,
    ours: &str,
    account: &mut Account,
) {
    let Some(written) = settings.text(name).filter(|text| !text.is_empty()) else { return };
    match templates::from_logstash(&written) {
        Ok(text) => table.set(ours, text.as_str()),
        Err(why) => account.differs(why),
    }
}

fn syslog(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let mut table = Table::of_type("syslog").with("server", server(translator, settings, "514"));
    let protocol = settings.text("protocol").unwrap_or_else(|| "udp".to_string());
    if protocol != "udp" {
        table.set("protocol", "tcp");
        table.set("framing", "lines");
    }
    if settings.text("rfc").is_none_or(|rfc| rfc == "rfc3164") {
        table.set("format", "rfc3164");
    }
    for (name, ours) in [
        ("facility", "facility"),
        ("severity", "severity"),
        ("sourcehost", "host"),
        ("appname", "app"),
        ("procid", "proc_id"),
        ("msgid", "message_id"),
    ] {
        template(settings, name, &mut table, ours, account);
    }
    // Labels of several words are Logstash's own.
    for key in ["facility", "severity"] {
        if let Some(text) = table.get(key).and_then(Ours::text).map(str::to_string) {
            let short = match text.as_str() {
                "user-level" => "user",
                "security/authorization" => "auth",
                "informational" => "info",
                _ => continue,
            };
            table.set(key, short);
        }
    }
    if let Some(message) = settings.text("message") {
        match message.strip_prefix("%{").and_then(|rest| rest.strip_suffix('}')) {
            Some("message") => {}
            Some(field) if !field.contains("%{") => table.set("message", values::field(field)),
            _ => account.differs(format!("the message is the field `message`, not `{message}`")),
        }
    }
    settings.ignore(&["codec", "priority", "use_labels", "reconnect_interval", "rfc"]);
    if let Some(tls) = tls(settings, protocol == "ssl-tcp") {
        table.set("tls", Ours::Table(tls));
    }
    Some(table)
}

fn gelf(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let mut table = Table::of_type("gelf").with("server", server(translator, settings, "12201"));
    if settings.text("protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("tcp")) {
        table.set("protocol", "tcp");
    }
    template(settings, "sender", &mut table, "host", account);
    if let Some(field) = settings.text("short_message") {
        table.set("message", values::field(&field));
    }
    settings.ignore(&["chunksize", "level", "full_message", "ignore_metadata", "ship_metadata"]);
    settings.ignore(&["ship_tags", "custom_fields"]);
    Some(table)
}

fn s3(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let Some(bucket) = settings.text("bucket") else {
        account.missing("it names no bucket", "write `bucket` of an output `s3`");
        return None;
    };
    let bucket = values::text(&bucket, translator.report);
    let mut table = Table::of_type("s3").with("bucket", bucket);
    let region = settings.text("region").unwrap_or_else(|| "us-east-1".to_string());
    table.set("region", values::region(&region, translator.report));
    match templates::from_logstash(&settings.text("prefix").unwrap_or_default()) {
        Ok(prefix) if prefix.is_empty() || prefix.ends_with('/') => {
            table.set("prefix", prefix.as_str());
        }
        Ok(prefix) => table.set("prefix", format!("{prefix}/").as_str()),
        Err(why) => account.differs(why),
    }
    if settings.text("encoding").is_none_or(|encoding| encoding != "gzip") {
        table.set("compression", "none");
    }
    if let Some(minutes) = settings.text("time_file").and_then(|text| text.parse::<u32>().ok())
        && minutes > 0
    {
        table.set("max_wait", format!("{minutes}m").as_str());
    }
    if let Some(bytes) = settings.text("size_file").and_then(|text| text.parse::<u64>().ok())
        && (1..=256 << 20).contains(&bytes)
    {
        table.set("batch_size", format!("{bytes}B").as_str());
    }
    let keys = (settings.text("access_key_id"), settings.text("secret_access_key"));
    if let (Some(access), Some(secret)) = keys {
        for (key, what, written) in [
            ("access_key_id", "access key id", access),
            ("secret_access_key", "secret access key", secret),
        ] {
            let value = if written.contains("${") {
                values::text(&written, translator.report)
            } else {
                secrets::moved_once("S3", what, &written, translator.report)
            };
            table.set(key, value);
        }
    }
    if let Some(endpoint) = settings.text("endpoint") {
        table.set("endpoint", values::text(&endpoint, translator.report));
    }
    json_only(settings, account);
    account.differs("objects are JSON lines, named after their first event");
    settings.ignore(&[
        "temporary_directory",
        "rotation_strategy",
        "upload_queue_size",
        "upload_workers_count",
        "restore",
        "validate_credentials_on_root_bucket",
    ]);
    Some(table)
}
