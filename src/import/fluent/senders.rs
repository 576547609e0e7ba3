//! Outputs that send to a host and a port, of Fluentd and Fluent Bit: TCP, UDP, syslog, GELF.
//!
//! In: an element. Out: `tcp`, `udp`, `syslog` or `gelf`. Promises: addresses and TLS go over. On failure: `None`:
//! it is
//! none of these.

use super::super::fluentd::route::Notes;
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::draft::{Block, Value};
use super::parse::field;
use super::text::is_true;

/// The output of this name.
pub fn sender(kind: &str, element: &Element, notes: &mut Notes) -> Option<Block> {
    Some(match kind {
        "tcp" => {
            let block = Block::of("tcp").with("server", server(element, "5170", notes));
            let format = text(element, "format", notes).unwrap_or_default();
            if !matches!(format.as_str(), "json_lines" | "json") {
                notes.difference("events go as lines of JSON");
            }
            with_tls(block, element, notes)
        }
        "udp" => {
            notes.difference("each event is a datagram of JSON");
            Block::of("udp").with("server", server(element, "5170", notes))
        }
        "gelf" | "graylog" => gelf(element, notes),
        "syslog"
        | "remote_syslog"
        | "syslog_tls"
        | "kubernetes_remote_syslog"
        | "papertrail"
        | "syslog_buffered" => syslog(kind, element, notes),
        _ => return None,
    })
}

fn first(element: &Element, names: &[&str], notes: &mut Notes) -> Option<String> {
    names.iter().filter_map(|name| text(element, name, notes)).find(|text| !text.trim().is_empty())
}

fn server(element: &Element, usual: &str, notes: &mut Notes) -> String {
    let host = first(element, &["host", "remote_syslog", "papertrail_host"], notes);
    let host = host.unwrap_or_else(|| "127.0.0.1".to_string());
    let host = host.trim().replace(":-not-set}", ":-localhost}");
    let port = first(element, &["port", "papertrail_port"], notes);
    let port = port.unwrap_or_else(|| usual.to_string());
    let usual = format!(":-{usual}}}");
    let port = port.trim().replace(":-9200}", &usual).replace(":-not-set}", &usual);
    let host = if host.contains(':') && !host.contains("${") { format!("[{host}]") } else { host };
    format!("{host}:{port}")
}

/// `tls` where it is on; Fluentd's plugins have names of their own for it.
fn with_tls(block: Block, element: &Element, notes: &mut Notes) -> Block {
    let on = ["tls", "gelf_tls"]
        .iter()
        .any(|name| text(element, name, notes).is_some_and(|on| is_true(&on)))
        || ["mode", "protocol", "transport"].iter().any(|name| {
            text(element, name, notes).is_some_and(|mode| matches!(mode.as_str(), "tls" | "ssl"))
        })
        || element.element("transport").is_some_and(|t| t.argument.source().trim() == "tls");
    if !on {
        return block;
    }
    let mut table = Vec::new();
    for (ours, names) in [
        ("ca", ["tls.ca_file", "ca_file"]),
        ("cert", ["tls.crt_file", "client_cert"]),
        ("key", ["tls.key_file", "client_cert_key"]),
    ] {
        if let Some(path) = first(element, &names, notes) {
            table.push((ours.to_string(), Value::from(path)));
        }
    }
    let unverified = text(element, "tls.verify", notes).is_some_and(|on| !is_true(&on))
        || text(element, "verify_mode", notes).is_some_and(|mode| mode.trim() == "0");
    if unverified {
        table.push(("verify".to_string(), false.into()));
    }
    block.with("tls", table)
}

fn is_tcp(element: &Element, usual: &str, notes: &mut Notes) -> bool {
    let mode = first(element, &["mode", "protocol", "transport"], notes);
    mode.unwrap_or_else(|| usual.to_string()).trim() != "udp"
}

fn gelf(element: &Element, notes: &mut Notes) -> Block {
    let mut block = Block::of("gelf").with("server", server(element, "12201", notes));
    if is_tcp(element, "udp", notes) {
        block.set("protocol", "tcp");
    }
    let key = first(element, &["gelf_short_message_key"], notes);
    let usual = if element.name == "output" { "log" } else { "message" };
    let key = key.map_or_else(|| usual.to_string(), |key| field(&key));
    if key != "message" {
        block.set("message", key);
    }
    if let Some(key) = first(element, &["gelf_host_key"], notes) {
        block.set("host", format!("{{{}:-logweir}}", field(&key)));
    }
    if first(element, &["gelf_full_message_key", "gelf_timestamp_key"], notes).is_some() {
        notes.difference("time is `@timestamp`; there is no full message: all fields go along");
    }
    with_tls(block, element, notes)
}

fn syslog(kind: &str, element: &Element, notes: &mut Notes) -> Block {
    let mut block = Block::of("syslog").with("server", server(element, "514", notes));
    let usual = if kind == "papertrail" || kind == "syslog_tls" { "tls" } else { "udp" };
    let is_tcp = is_tcp(element, usual, notes);
    if is_tcp {
        block.set("protocol", "tcp");
    }
    let rfc = first(element, &["syslog_format", "rfc"], notes).unwrap_or_default();
    if rfc.contains("3164") || rfc.is_empty() && element.name != "output" && kind != "papertrail" {
        block.set("format", "rfc3164");
    }
    for (ours, constants, keys) in [
        (
            "facility",
            ["facility", "syslog_facility_preset"],
            ["facility_key", "syslog_facility_key"],
        ),
        (
            "severity",
            ["severity", "syslog_severity_preset"],
            ["severity_key", "syslog_severity_key"],
        ),
        ("host", ["hostname", "syslog_hostname_preset"], ["hostname_key", "syslog_hostname_key"]),
        ("app", ["program", "syslog_appname_preset"], ["appname_key", "syslog_appname_key"]),
        ("proc_id", ["", "syslog_procid_preset"], ["procid_key", "syslog_procid_key"]),
        ("message_id", ["", "syslog_msgid_preset"], ["msgid_key", "syslog_msgid_key"]),
    ] {
        let constant = first(element, &constants, notes);
        if let Some(key) = first(element, &keys, notes) {
            let usual = constant.unwrap_or_else(|| "-".to_string());
            block.set(ours, format!("{{{}:-{usual}}}", field(&key)));
        } else if let Some(constant) = constant {
            if constant.contains("${") && !constant.contains(":-") {
                notes.difference(format!("`{ours}` is one for all events, not {constant}"));
            } else {
                block.set(ours, constant.replace("{{", "{"));
            }
        }
    }
    if let Some(key) = first(element, &["syslog_message_key", "payload_key"], notes) {
        let key = field(&key);
        if key != "message" {
            block.set("message", key);
        }
    }
    if first(element, &["syslog_sd_key"], notes).is_some() {
        notes.difference("there is no structured data");
    }
    if is_tcp && element.name != "output" {
        block.set("framing", "lines");
    }
    let mut with = with_tls(block, element, notes);
    if usual == "tls" && with.get("tls").is_none() {
        with.set("tls", Vec::<(String, Value)>::new());
    }
    with
}
