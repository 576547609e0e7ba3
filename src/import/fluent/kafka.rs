//! Outputs to Kafka, of Fluentd (all four plugins) and Fluent Bit.
//!
//! In: an element, and what the tag is sent as. Out: the output `kafka`. Promises: brokers, topic, key, login and TLS
//! go over, passwords are read from the environment; what decides how often something is tried is left out, for here
//! it is for ever. On failure: why there is none.

use super::super::fluentd::output::{secret, template};
use super::super::fluentd::route::Notes;
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::draft::{Block, Value};
use super::parse::field;
use super::places::with_defaults;
use super::text::{is_true, list};

/// The outputs' names.
pub const KINDS: &[&str] = &["kafka", "kafka2", "kafka_buffered", "rdkafka", "rdkafka2"];

/// Tries, sizes, waits and logs, which the output finds by itself or does not need.
const IGNORED: &[&str] = &[
    "ack_timeout",
    "ack_timeout_ms",
    "auto_create_topic",
    "client_id",
    "discard_kafka_delivery_failed",
    "exclude_partition_key",
    "get_kafka_client_log",
    "group_id",
    "idempotent",
    "kafka_agg_max_bytes",
    "kafka_agg_max_messages",
    "max_buffer_bytesize",
    "max_buffer_size",
    "max_send_limit_bytes",
    "max_send_retries",
    "queue_full_retries",
    "rdkafka.auto.offset.reset",
    "rdkafka.batch.num.messages",
    "rdkafka.batch.size",
    "rdkafka.client.id",
    "rdkafka.compression.level",
    "rdkafka.debug",
    "rdkafka.delivery.timeout.ms",
    "rdkafka.enable.idempotence",
    "rdkafka.enable.ssl.certificate.verification",
    "rdkafka.linger.ms",
    "rdkafka.log.connection.close",
    "rdkafka.message.max.bytes",
    "rdkafka.message.send.max.retries",
    "rdkafka.message.timeout.ms",
    "rdkafka.queue.buffering.max.kbytes",
    "rdkafka.queue.buffering.max.messages",
    "rdkafka.queue.buffering.max.ms",
    "rdkafka.request.timeout.ms",
    "rdkafka.retries",
    "rdkafka.socket.keepalive.enable",
    "rdkafka.socket.timeout.ms",
    "required_ack_timeout",
    "retry_limit",
    "sasl_over_ssl",
    "ssl_ca_certs_from_system",
    "use_event_time",
    "zookeeper_path",
];

/// The output; `tag`: a template of the tag.
pub fn kafka(element: &Element, tag: &str, notes: &mut Notes) -> Result<Block, String> {
    if first(element, &["principal", "rdkafka.sasl.kerberos.principal"], notes).is_some() {
        return Err(
            "its login is Kerberos, which is not spoken; use SCRAM, or a certificate".into()
        );
    }
    let mut block = Block::of("kafka");
    block.set("servers", servers(element, notes));
    block.set("topic", topic(element, tag, notes));
    if let Some(key) = key(element, notes) {
        block.set("key", key);
    }
    let acks = ["required_acks", "rdkafka.request.required.acks", "rdkafka.acks"];
    match first(element, &acks, notes).as_deref().map(str::trim) {
        Some("1") => block.set("acks", "leader"),
        Some("0") => {
            notes.difference("the leader acknowledges each record: without that it could be lost");
            block.set("acks", "leader");
        }
        _ => {}
    }
    let packed = ["compression_codec", "rdkafka.compression.codec", "rdkafka.compression.type"];
    match first(element, &packed, notes).as_deref().map(str::trim) {
        Some("gzip") => block.set("compression", "gzip"),
        Some(other) if !matches!(other, "none" | "nil") && !other.contains("${") => {
            notes.difference(format!("batches are packed by gzip, not {other}"));
            block.set("compression", "gzip");
        }
        _ => {}
    }
    form(element, notes);
    if let Some(login) = login(element, notes) {
        block.set("sasl", login);
    }
    if let Some(tls) = tls(element, notes) {
        block.set("tls", tls);
    }
    for name in IGNORED {
        let _ = element.parameter(name);
    }
    Ok(block)
}

fn first(element: &Element, names: &[&str], notes: &mut Notes) -> Option<String> {
    let found = names.iter().filter_map(|name| text(element, name, notes));
    found.map(|text| text.trim().to_string()).find(|text| !text.is_empty() && text != "nil")
}

/// `brokers`; an older plugin asks ZooKeeper for them.
fn servers(element: &Element, notes: &mut Notes) -> Vec<String> {
    let written = first(element, &["brokers", "rdkafka.bootstrap.servers"], notes);
    let asked = first(element, &["zookeeper", "zookeepers"], notes);
    if written.is_none() {
        let whom = asked.unwrap_or_else(|| "localhost:9092".to_string());
        notes.difference(format!("the brokers are not known ({whom}): set KAFKA_BROKERS"));
    }
    let written = written.unwrap_or_else(|| "${KAFKA_BROKERS}".to_string());
    let written = written.replace(":-not-set}", ":-localhost:9092}");
    let written = with_defaults(&written, |before, behind| {
        match (before.ends_with(','), behind.starts_with(':')) {
            (_, true) => "localhost",
            _ if before.ends_with(':') => "9092",
            _ => "localhost:9092",
        }
    });
    // A default may hold a comma, too.
    if written.contains("${") { vec![written] } else { list(&written) }
}

/// A text of the source as a template that can be read everywhere.
fn written(text: &str, tag: &str, notes: &mut Notes) -> String {
    with_defaults(&template(text, Some(tag), notes), |_, _| "not-set")
}

/// A topic for all, one in a field, or the tag.
fn topic(element: &Element, tag: &str, notes: &mut Notes) -> String {
    let usual = first(element, &["default_topic", "topic"], notes);
    let topics = first(element, &["topics"], notes).map(|topics| list(&topics));
    let from_field = first(element, &["topic_key"], notes);
    if let Some([_, _, ..]) = topics.as_deref()
        && from_field.is_none()
    {
        notes.difference("of several topics without a `topic_key` the first one gets everything");
    }
    let usual = usual.or_else(|| topics.and_then(|topics| topics.into_iter().next()));
    let by_plugin = if element.name == "output" { "fluent-bit" } else { tag };
    let usual = usual.map_or_else(|| by_plugin.to_string(), |t| written(&t, tag, notes));
    if first(element, &["exclude_topic_key"], notes).is_some_and(|on| is_true(&on)) {
        notes.difference("the field that names the topic stays in the record");
    }
    match from_field {
        // A default is text, in which nothing is filled in.
        Some(key) if !usual.contains('{') => format!("{{{}:-{usual}}}", field(&key)),
        Some(key) => {
            notes.difference(format!("`{key}` does not choose the topic: set a field for both"));
            usual
        }
        None => usual,
    }
}

/// The key of each record: a field, or one text for all.
fn key(element: &Element, notes: &mut Notes) -> Option<String> {
    let fields = ["message_key_key", "message_key_field", "partition_key_key"];
    let from_field = first(element, &fields, notes);
    let usual = ["default_message_key", "message_key", "default_partition_key"];
    let usual = first(element, &usual, notes).filter(|usual| !usual.contains("${"));
    let escaped = |text: &str| text.replace(['{', '}'], "");
    match (from_field, usual) {
        (Some(key), usual) => {
            let usual = usual.map(|text| escaped(&text)).unwrap_or_default();
            Some(format!("{{{}:-{usual}}}", field(&key)))
        }
        (None, Some(usual)) => Some(escaped(&usual)),
        (None, None) => None,
    }
}

/// What a record holds.
fn form(element: &Element, notes: &mut Notes) {
    let inner = element.element("format");
    let kind = inner.and_then(|inner| text(inner, "@type", notes));
    let kind = kind.or_else(|| first(element, &["output_data_type", "format"], notes));
    if let Some(kind) = kind.filter(|kind| kind != "json" && !kind.contains("${")) {
        notes.difference(format!("a record is the whole event as JSON, not `{kind}`"));
    }
    for (name, what) in [
        ("output_include_tag", "tag"),
        ("output_include_time", "time"),
        ("timestamp_key", "time"),
        ("time_key", "time"),
    ] {
        let asked = first(element, &[name], notes);
        let asked = asked.filter(|on| is_true(on) || name.ends_with("_key"));
        if asked.is_some() && what == "time" {
            notes.difference("the time is `@timestamp`, and that of the record");
        } else if asked.is_some() {
            notes.difference("the tag is no field of the record: set one, from `@metadata.tag`");
        }
    }
    let _ = text(element, "timestamp_format", notes);
}

fn login(element: &Element, notes: &mut Notes) -> Option<Vec<(String, Value)>> {
    let user = first(element, &["username", "rdkafka.sasl.username"], notes)?;
    let password = first(element, &["password", "rdkafka.sasl.password"], notes);
    let names = ["scram_mechanism", "rdkafka.sasl.mechanism", "rdkafka.sasl.mechanisms"];
    let mechanism = first(element, &names, notes).unwrap_or_default().to_ascii_lowercase();
    let mechanism = match mechanism.as_str() {
        "sha256" | "scram-sha-256" => "SCRAM-SHA-256",
        "sha512" | "scram-sha-512" => "SCRAM-SHA-512",
        _ => "PLAIN",
    };
    let user = with_defaults(&user, |_, _| "not-set");
    // A name such as `$ConnectionString` stays as it is.
    let password = secret(&password.unwrap_or_default(), "KAFKA_PASSWORD", notes);
    Some(vec![
        ("mechanism".to_string(), mechanism.into()),
        ("user".to_string(), user.into()),
        ("password".to_string(), password.into()),
    ])
}

fn tls(element: &Element, notes: &mut Notes) -> Option<Vec<(String, Value)>> {
    let mut table = Vec::<(String, Value)>::new();
    for (ours, names) in [
        ("ca", ["ssl_ca_cert", "rdkafka.ssl.ca.location"]),
        ("cert", ["ssl_client_cert", "rdkafka.ssl.certificate.location"]),
        ("key", ["ssl_client_cert_key", "rdkafka.ssl.key.location"]),
    ] {
        if let Some(path) = first(element, &names, notes).filter(|path| !path.ends_with('/')) {
            table.push((ours.to_string(), path.into()));
        }
    }
    let unverified = ["ssl_verify_hostname", "rdkafka.enable.ssl.certificate.verification"];
    if first(element, &unverified, notes).is_some_and(|on| !is_true(&on)) {
        table.push(("verify".to_string(), false.into()));
    }
    let protocol = first(element, &["rdkafka.security.protocol"], notes).unwrap_or_default();
    let over_tls = first(element, &["sasl_over_ssl"], notes).is_none_or(|on| is_true(&on));
    let logs_in = element.name != "output" && element.parameter("username").is_some();
    let on = !table.is_empty()
        || protocol.to_ascii_uppercase().contains("SSL")
        || logs_in && over_tls
        || first(element, &["ssl_ca_certs_from_system"], notes).is_some_and(|on| is_true(&on));
    on.then_some(table)
}
