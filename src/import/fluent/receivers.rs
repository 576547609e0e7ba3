//! Outputs `forward` of Fluentd and Fluent Bit.
//!
//! In: the element, and the tag where it is known. Out: the output `forward`. Promises: every server is named, those on
//! standby last; keys are read from the environment. On failure: why there is none.

use super::super::fluentd::output::secret;
use super::super::fluentd::route::Notes;
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::draft::{Block, Value};
use super::text::is_true;

/// `forward`, and `secure_forward` before it.
pub fn forward(element: &Element, tag: String, notes: &mut Notes) -> Result<Block, String> {
    let mut servers = Vec::new();
    let mut standby = Vec::new();
    let mut login = None;
    for server in element.elements().filter(|inner| inner.name == "server") {
        let Some(written) = address(server, notes) else { continue };
        let waits = text(server, "standby", notes).is_some_and(|text| is_true(&text));
        if waits {
            standby.push(written);
        } else {
            servers.push(written);
        }
        login = login.or_else(|| login_of(server, ["username", "password"], notes));
    }
    let found = element.elements().filter(|inner| inner.name == "service_discovery");
    for service in found.flat_map(|inner| inner.elements().filter(|s| s.name == "service")) {
        servers.extend(address(service, notes));
    }
    let _ = (element.element("server"), element.element("service_discovery"));
    if servers.len() > 1 {
        notes.difference(
            "the first server gets everything while it answers; the load is not shared",
        );
    }
    servers.append(&mut standby);
    if let Some(written) = address(element, notes).filter(|_| servers.is_empty()) {
        servers.push(written);
    }
    if servers.is_empty() && element.name == "output" {
        servers.push("127.0.0.1:24224".to_string());
    }
    if servers.is_empty() {
        return Err("it names no server; write `servers` of an output `forward`".to_string());
    }
    let mut block = Block::of("forward").with("servers", servers).with("tag", tag);
    let security = element.element("security").unwrap_or(element);
    let _ = text(security, "self_hostname", notes);
    if let Some(key) = text(security, "shared_key", notes).filter(|key| !key.is_empty()) {
        block.set("shared_key", secret(&key, "FORWARD_SHARED_KEY", notes));
        let login = login
            .or_else(|| login_of(security, ["username", "password"], notes))
            .or_else(|| login_of(security, ["user", "password"], notes));
        if let Some((user, password)) = login {
            block.set("user", user);
            block.set("password", secret(&password, "FORWARD_PASSWORD", notes));
        }
    }
    if text(element, "compress", notes).is_some_and(|kind| kind == "gzip") {
        block.set("compression", "gzip");
    }
    let acknowledged = ["require_ack_response", "ack_response_timeout", "heartbeat_type"];
    for name in acknowledged {
        let _ = element.parameter(name);
    }
    if let Some(tls) = tls(element, notes) {
        block.set("tls", tls);
    }
    Ok(block)
}

/// `host` and `port`.
fn address(element: &Element, notes: &mut Notes) -> Option<String> {
    let host = text(element, "host", notes).filter(|host| !host.trim().is_empty())?;
    let host = host.trim().replace(":-not-set}", ":-localhost}");
    let host = if host.contains(':') && !host.contains("${") && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    let port = text(element, "port", notes).filter(|port| !port.trim().is_empty());
    let port = port.unwrap_or_else(|| "24224".to_string());
    let port = port.trim().replace(":-not-set}", ":-24224}").replace(":-9200}", ":-24224}");
    Some(format!("{host}:{port}"))
}

fn login_of(element: &Element, names: [&str; 2], notes: &mut Notes) -> Option<(String, String)> {
    let [user, password] = names.map(|name| text(element, name, notes));
    Some((user.filter(|user| !user.is_empty())?, password.unwrap_or_default()))
}

fn tls(element: &Element, notes: &mut Notes) -> Option<Value> {
    let on = text(element, "transport", notes).is_some_and(|kind| kind == "tls")
        || element.element("transport").is_some_and(|t| t.argument.source().trim() == "tls")
        || text(element, "tls", notes).is_some_and(|on| is_true(&on))
        || text(element, "secure", notes).is_some_and(|on| is_true(&on));
    if !on {
        return None;
    }
    let mut table = Vec::new();
    for (ours, theirs) in [
        ("ca", ["tls_cert_path", "tls_ca_cert_path", "tls.ca_file", "ca_cert_path"]),
        ("cert", ["tls_client_cert_path", "tls.crt_file", "", ""]),
        ("key", ["tls_client_private_key_path", "tls.key_file", "", ""]),
    ] {
        let named = theirs.iter().filter(|name| !name.is_empty());
        let found = named.filter_map(|name| text(element, name, notes)).find(|t| !t.is_empty());
        if let Some(path) = found {
            table.push((ours.to_string(), Value::from(path)));
        }
    }
    let unverified = text(element, "tls_insecure_mode", notes).is_some_and(|on| is_true(&on))
        || text(element, "tls.verify", notes).is_some_and(|on| !is_true(&on));
    if unverified {
        table.push(("verify".to_string(), false.into()));
    }
    Some(Value::Table(table))
}
