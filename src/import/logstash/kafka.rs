//! Logstash's output `kafka` as ours.
//!
//! In: the plugin's settings. Out: `kafka`. Promises: brokers, topic, key and login go over, passwords become
//! variables; stores of keys that only Java reads are a difference. On failure: a TODO with the reason.

use super::Translator;
use super::syntax::Value;
use super::values::{self, Settings};
use crate::import::document::{Table, Value as Ours};
use crate::import::report::Account;
use crate::import::{secrets, templates};

/// Sizes, waits, retries and classes of Java, which our output finds by itself or does not have.
const IGNORED: &[&str] = &[
    "batch_size",
    "block_on_buffer_full",
    "buffer_memory",
    "client_dns_lookup",
    "client_id",
    "connections_max_idle_ms",
    "delivery_timeout_ms",
    "enable_metric",
    "key_serializer",
    "linger_ms",
    "max_request_size",
    "message_max_bytes",
    "metadata_fetch_timeout_ms",
    "metadata_max_age_ms",
    "receive_buffer_bytes",
    "reconnect_backoff_ms",
    "request_timeout_ms",
    "retries",
    "retry_backoff_ms",
    "sasl_kerberos_service_name",
    "send_buffer_bytes",
    "ssl_endpoint_identification_algorithm",
    "ssl_keystore_password",
    "ssl_keystore_type",
    "ssl_key_password",
    "ssl_truststore_password",
    "ssl_truststore_type",
    "value_serializer",
];

/// The output; `None`: it cannot be converted, and that is said.
pub fn kafka(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let mut table = Table::of_type("kafka").with("servers", servers(translator, settings));
    let topic = settings.text("topic_id").unwrap_or_default();
    if topic.is_empty() {
        account.missing("it names no topic", "write `topic` of an output `kafka`");
        return None;
    }
    template(&topic, "topic", &mut table, account);
    if let Some(key) = settings.text("message_key").filter(|key| !key.is_empty()) {
        template(&key, "key", &mut table, account);
    }
    match settings.text("acks").unwrap_or_default().as_str() {
        "1" => table.set("acks", "leader"),
        "0" => {
            account.differs("the leader acknowledges each record: without that it could be lost");
            table.set("acks", "leader");
        }
        _ => {}
    }
    match settings.text("compression_type").unwrap_or_default().as_str() {
        "" | "none" => {}
        "gzip" => table.set("compression", "gzip"),
        other => {
            account.differs(format!("batches are packed by gzip, not {other}"));
            table.set("compression", "gzip");
        }
    }
    if settings.text("partitioner").is_some_and(|p| p.contains("round_robin")) {
        table.set("spread", "batch");
    }
    let codec = match settings.take("codec") {
        Some(Value::Plugin(plugin)) => plugin.name.clone(),
        Some(value) => value.text().unwrap_or("plain").to_string(),
        None => "plain".to_string(),
    };
    if !codec.starts_with("json") {
        account.differs(format!("a record is the whole event as JSON, not by the codec `{codec}`"));
    }
    if settings.take("message_headers").is_some() {
        account.differs("a record has the header `logweir.id` alone: set fields instead");
    }
    security(translator, settings, &mut table, account)?;
    settings.ignore(IGNORED);
    Some(table)
}

/// `bootstrap_servers`.
fn servers(translator: &mut Translator<'_>, settings: &mut Settings) -> Ours {
    let written = settings.texts("bootstrap_servers").unwrap_or_default().join(",");
    if written.is_empty() {
        return Ours::texts(["localhost:9092"]);
    }
    match values::text(&written, translator.report) {
        Ours::Variables(text) => {
            let text = text.replace(":-not-set}:", ":-localhost}:");
            let text = text.replace(":${", ":\u{1}").replace(":-not-set}", ":-localhost:9092}");
            Ours::List(vec![Ours::Variables(text.replace('\u{1}', "${"))])
        }
        other => {
            let text = other.text().unwrap_or_default();
            Ours::texts(text.split(',').map(str::trim).filter(|server| !server.is_empty()))
        }
    }
}

/// References to fields as a template, variables as they are.
fn template(written: &str, ours: &str, table: &mut Table, account: &mut Account) {
    let (written, _) = values::variables(written);
    match templates::from_logstash(&written.replace("${", "\u{1}")) {
        Ok(text) if text.contains('\u{1}') => {
            table.set(ours, Ours::Variables(text.replace('\u{1}', "${")));
        }
        Ok(text) => table.set(ours, text),
        Err(why) => account.missing(why, format!("write `{ours}` as a template")),
    }
}

/// `security_protocol` and what belongs to it; `None`: it cannot be spoken.
fn security(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    table: &mut Table,
    account: &mut Account,
) -> Option<()> {
    let protocol = settings.text("security_protocol").unwrap_or_default().to_ascii_uppercase();
    let mechanism = settings.text("sasl_mechanism").unwrap_or_default();
    let jaas = settings.text("sasl_jaas_config").unwrap_or_default();
    let in_file = settings.text("jaas_path").is_some();
    if protocol.contains("SASL") {
        if matches!(mechanism.as_str(), "" | "GSSAPI" | "OAUTHBEARER") {
            let named = if mechanism.is_empty() { "GSSAPI" } else { &mechanism };
            account.missing(
                format!("its login is `{named}`, which is not spoken"),
                "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
            );
            return None;
        }
        let part = |name: &str| {
            let behind = jaas.split(&format!("{name}=")).nth(1)?;
            let quote = behind.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            behind[1..].split(quote).next().map(str::to_string)
        };
        if in_file {
            account
                .differs("the login stands in a file of Java: set KAFKA_USER and KAFKA_PASSWORD");
        }
        let user = part("username").unwrap_or_else(|| "${KAFKA_USER}".to_string());
        let password = part("password").unwrap_or_default();
        let password = if values::variables(&password).1 {
            values::text(&password, translator.report)
        } else {
            secrets::moved_once("KAFKA", "password", &password, translator.report)
        };
        let login = Table::default()
            .with("mechanism", values::text(&mechanism, translator.report))
            .with("user", values::text(&user, translator.report))
            .with("password", password);
        table.set("sasl", Ours::Table(login));
    }
    let stores = ["ssl_truststore_location", "ssl_keystore_location"];
    let stores: Vec<String> = stores.iter().filter_map(|name| settings.text(name)).collect();
    if protocol.contains("SSL") {
        if !stores.is_empty() {
            let names = stores.join(", ");
            account.differs(format!("only Java reads {names}: write `tls` with PEM files"));
        }
        table.set("tls", Ours::Table(Table::default()));
    }
    Some(())
}
