//! Logstash's outputs to services that take JSON over HTTP, and to Amazon's and Google's stores, as ours.
//!
//! In: the plugin's settings. Out: `http`, `s3`, `cloudwatch_logs`, `kinesis`, `firehose` or `file`. Promises: only
//! services that take our documents as they are; keys become variables; what is not the same is a difference.
//! On failure: a TODO with the reason.

use super::Translator;
use super::syntax::Value;
use super::values::{self, Settings};
use crate::import::document::{Filter, Step, Table, Value as Ours};
use crate::import::report::Account;
use crate::import::{secrets, templates};

/// The outputs that are here.
pub const KINDS: [&str; 13] = [
    "cloudwatch_logs",
    "cloudwatchlogs",
    "csv",
    "datadog_logs",
    "dynatrace",
    "firehose",
    "google_cloud_storage",
    "kinesis",
    "loggly",
    "loki",
    "newrelic",
    "solr_http",
    "sumologic",
];

/// The output of this name; `None`: it cannot be converted.
pub fn service(
    kind: &str,
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    settings.ignore(&SIZES);
    match kind {
        "cloudwatch_logs" | "cloudwatchlogs" => cloudwatch(translator, settings, account),
        "csv" => csv(settings, account),
        "datadog_logs" => Some(datadog(translator, settings)),
        "dynatrace" => dynatrace(translator, settings, account),
        "firehose" | "kinesis" => records(kind, translator, settings, account),
        "google_cloud_storage" => google(translator, settings, account),
        "loggly" => Some(loggly(translator, settings, account)),
        "loki" => loki(translator, settings, account),
        "newrelic" => Some(new_relic(translator, settings, account)),
        "solr_http" => Some(solr(translator, settings, account)),
        _ => sumo_logic(translator, settings, account),
    }
}

/// Sizes, waits and retries, which our outputs find by themselves.
const SIZES: [&str; 30] = [
    "batch_size",
    "batch_wait",
    "compress",
    "compress_encoding",
    "compress_level",
    "concurrency",
    "concurrent_requests",
    "flush_size",
    "idle_flush_time",
    "interval",
    "max_delay",
    "max_retries",
    "min_delay",
    "pile_max",
    "pool_max",
    "queue_max",
    "reconnect_interval",
    "retries",
    "sender_max",
    "sleep_before_requeue",
    "stats_enabled",
    "stats_interval",
    "retry_count",
    "retry_seconds",
    "use_compression",
    "use_http",
    "use_ssl",
    "max_event_size",
    "flush_interval",
    "buffer_size",
];

/// The setting that says where to; `None`: it is not there, and that is said.
fn address_of(settings: &mut Settings, name: &str, account: &mut Account) -> Option<String> {
    let url = settings.text(name);
    if url.is_none() {
        account.missing("it has no address", "write `url` of an output `http`");
    }
    url
}

/// An address; one that is nothing but a variable still has to be one.
fn address(translator: &mut Translator<'_>, url: &str) -> Ours {
    match values::text(url, translator.report) {
        Ours::Variables(text) if text.starts_with("${") => {
            Ours::Variables(text.replacen(":-not-set}", ":-http://localhost:8080/}", 1))
        }
        Ours::Variables(text) => Ours::Variables(text.replace(":-not-set}", ":-localhost}")),
        other => other,
    }
}

/// A key as it stands in a text of ours; one that was written in the source moves to a variable.
fn key(translator: &mut Translator<'_>, service: &str, written: Option<String>) -> String {
    let written = written.unwrap_or_default();
    let value = if values::variables(&written).1 {
        values::text(&written, translator.report)
    } else {
        secrets::moved_once(service, "key", &written, translator.report)
    };
    value.text().unwrap_or_default().to_string()
}

fn to(url: Ours, format: &str, headers: Table) -> Table {
    let mut table = Table::of_type("http").with("url", url);
    if format != "lines" {
        table.set("format", format);
    }
    if !headers.is_empty() {
        table.set("headers", headers);
    }
    table
}

/// Says what a setting per event is for all of them.
fn constant(written: Option<String>, name: &str, account: &mut Account) -> Option<String> {
    let text = written.filter(|text| !text.is_empty())?;
    if templates::has_references(&text) {
        account.differs(format!("`{name}` is one for all events, it is not sent: {text}"));
        return None;
    }
    Some(text.replace(' ', "%20"))
}

fn datadog(translator: &mut Translator<'_>, settings: &mut Settings) -> Table {
    let host = settings.text("host").filter(|host| host.starts_with("http-intake"));
    let host = host.unwrap_or_else(|| "http-intake.logs.datadoghq.com".to_string());
    let key = key(translator, "DATADOG", settings.text("api_key"));
    settings.ignore(&["port", "no_ssl_validation", "force_v1_routes", "host"]);
    let headers = Table::default().with("DD-API-KEY", Ours::Variables(key));
    to(Ours::Text(format!("https://{host}/api/v2/logs")), "array", headers)
        .with("compression", "gzip")
}

fn new_relic(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Table {
    let url = settings.text("base_uri");
    let url = url.unwrap_or_else(|| "https://log-api.newrelic.com/log/v1".to_string());
    let written = settings.text("license_key").or_else(|| settings.text("api_key"));
    let key = key(translator, "NEW_RELIC", written);
    account
        .differs("New Relic takes the time of arrival, unless the event has a field `timestamp`");
    let headers = Table::default().with("Api-Key", Ours::Variables(key));
    to(address(translator, &url), "array", headers).with("compression", "gzip")
}

fn sumo_logic(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let url = address_of(settings, "url", account)?;
    let mut headers = Table::default();
    for (name, header) in [
        ("source_category", "X-Sumo-Category"),
        ("source_name", "X-Sumo-Name"),
        ("source_host", "X-Sumo-Host"),
    ] {
        if let Some(value) = constant(settings.text(name), name, account) {
            headers.set(header, values::text(&value, translator.report));
        }
    }
    account.differs("each event is one line of JSON, whatever `format` says");
    settings.ignore(&["format", "json_mapping", "metrics", "fields_as_metrics", "extra_headers"]);
    let url = if values::variables(&url).1 {
        address(translator, &url)
    } else {
        // The address itself lets in.
        let moved = secrets::moved_once("SUMO_LOGIC", "URL", &url, translator.report);
        let text = moved.text().unwrap_or_default().to_string();
        Ours::Variables(text.replace(":-not-set}", ":-http://localhost:8080/}"))
    };
    Some(to(url, "lines", headers))
}

fn loggly(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Table {
    let host = settings.text("host").unwrap_or_else(|| "logs-01.loggly.com".to_string());
    let scheme = settings.text("proto").unwrap_or_else(|| "https".to_string());
    let tag = settings.text("tag").or_else(|| settings.text("tags"));
    let tag = constant(tag, "tag", account).unwrap_or_else(|| "logstash".to_string());
    let key = key(translator, "LOGGLY", settings.text("key"));
    account.differs("many events go in one request, so the address has `bulk` in it");
    settings.ignore(&["convert_timestamp", "can_retry", "retry_count", "mime_types"]);
    to(
        Ours::Variables(format!("{scheme}://{host}/bulk/{key}/tag/{tag}/")),
        "lines",
        Table::default(),
    )
}

fn dynatrace(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let url = address_of(settings, "ingest_endpoint_url", account)?;
    let key = key(translator, "DYNATRACE", settings.text("api_key"));
    settings.ignore(&["ssl_verify_none", "http_headers"]);
    let headers =
        Table::default().with("Authorization", Ours::Variables(format!("Api-Token {key}")));
    Some(to(address(translator, &url), "array", headers))
}

/// Streams whose labels are the fields that the source names.
fn loki(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let url = address_of(settings, "url", account)?;
    let mut labels = Table::default();
    for name in settings.texts("include_fields").unwrap_or_default() {
        let field = values::field(&name);
        labels.set(&name.replace(['[', ']', '.', '@', '-'], "_"), format!("{{{field}:-}}"));
    }
    if labels.is_empty() {
        account.differs("streams have the label `job` alone; what were labels stands in the line");
        labels.set("job", "logstash");
    }
    account.differs("a line is the event as JSON, not its message alone");
    settings.ignore(&["message_field", "metadata_fields", "min_delay", "insecure_skip_verify"]);
    let mut table = to(address(translator, &url), "loki", Table::default()).with("labels", labels);
    if let Some(tenant) = settings.text("tenant_id") {
        let tenant = values::text(&tenant, translator.report);
        table.set("headers", Table::default().with("X-Scope-OrgID", tenant));
    }
    if let Some(user) = settings.text("username") {
        table.set("user", values::text(&user, translator.report));
        let password = key(translator, "LOKI", settings.text("password"));
        table.set("password", Ours::Variables(password));
    }
    if let Some(path) = settings.text("ca_cert") {
        let ca = values::text(&path, translator.report);
        table.set("tls", Table::default().with("ca", ca));
    }
    Some(table)
}

/// Documents with ids, which Solr wants.
fn solr(translator: &mut Translator<'_>, settings: &mut Settings, account: &mut Account) -> Table {
    let url = settings.text("solr_url");
    let url = url.unwrap_or_else(|| "http://localhost:8983/solr".to_string());
    let url = format!("{}/update/json/docs?commitWithin=1000", url.trim_end_matches('/'));
    match settings.text("document_id") {
        Some(id) => account.differs(format!("the field `id` has to be there: it was {id}")),
        None => {
            let id = Filter::new("fingerprint").with("method", "UUID").with("target", "id");
            translator.pipeline.steps.push(Step::Filter(id.with("when", "not exists(id)")));
        }
    }
    account.differs("Solr makes what it takes visible within a second");
    to(address(translator, &url), "array", Table::default())
}

/// Google's store speaks S3, with keys of its own kind.
fn google(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let Some(bucket) = settings.text("bucket") else {
        account.missing("it names no bucket", "write `bucket` of an output `s3`");
        return None;
    };
    let bucket = values::text(&bucket, translator.report);
    let mut table = Table::of_type("s3").with("bucket", bucket).with("region", "auto");
    table.set("endpoint", "https://storage.googleapis.com");
    let prefix = settings.text("log_file_prefix").unwrap_or_else(|| "logstash".to_string());
    match templates::from_logstash(&prefix) {
        Ok(prefix) => table.set("prefix", format!("{prefix}/{{@timestamp:%Y-%m-%dT%H}}/")),
        Err(why) => account.differs(why),
    }
    if settings.flag("gzip") != Some(true) {
        table.set("compression", "none");
    }
    for (setting, name) in
        [("access_key_id", "GOOGLE_HMAC_KEY"), ("secret_access_key", "GOOGLE_HMAC_SECRET")]
    {
        let what = "of an HMAC key of the service account (Google's Interoperability)".to_string();
        translator.report.variables.insert(name.to_string(), what);
        table.set(setting, Ours::Variables(format!("${{{name}:-not-set}}")));
    }
    account.differs(
        "Google's store is written to as one of S3: it asks for an HMAC key of the service account, not for its file",
    );
    account.differs("objects are JSON lines, named after their first event");
    settings.ignore(&[
        "json_key_file",
        "key_path",
        "key_password",
        "service_account",
        "temp_directory",
        "date_pattern",
        "max_file_size_kbytes",
        "output_format",
        "flush_interval_secs",
        "uploader_interval_secs",
        "include_hostname",
        "include_uuid",
        "max_concurrent_uploads",
        "gzip_content_encoding",
        "log_file_prefix",
        "codec",
    ]);
    Some(table)
}

/// The region, and keys where they are written.
fn amazon(translator: &mut Translator<'_>, settings: &mut Settings, table: &mut Table) {
    if let Some(region) = settings.text("region") {
        table.set("region", values::region(&region, translator.report));
    }
    let access = settings.text("access_key_id").or_else(|| settings.text("access_key"));
    let secret = settings.text("secret_access_key").or_else(|| settings.text("secret_key"));
    if let (Some(access), Some(secret)) = (access, secret) {
        table.set("access_key_id", Ours::Variables(key(translator, "AWS", Some(access))));
        let secret = key(translator, "AWS_SECRET", Some(secret));
        table.set("secret_access_key", Ours::Variables(secret));
    }
    settings.ignore(&["codec", "aws_credentials_file", "use_ssl"]);
}

fn cloudwatch(
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let mut table = Table::of_type("cloudwatch_logs");
    for (ours, theirs) in [
        ("log_group", ["log_group_name", "log_group"]),
        ("log_stream", ["log_stream_name", "log_stream"]),
    ] {
        let written = theirs.iter().find_map(|name| settings.text(name));
        match written.as_deref().map(templates::from_logstash) {
            Some(Ok(text)) => table.set(ours, text),
            Some(Err(why)) => account.missing(why, format!("write `{ours}` as a template")),
            None => account.missing(format!("it has no `{ours}`"), "write it as a template"),
        }
    }
    account.differs("a message is the whole event as JSON");
    amazon(translator, settings, &mut table);
    settings.ignore(&["batch_count", "dry_run", "queue_size", "metric_name", "buffer_duration"]);
    Some(table)
}

fn records(
    kind: &str,
    translator: &mut Translator<'_>,
    settings: &mut Settings,
    account: &mut Account,
) -> Option<Table> {
    let names = ["stream_name", "stream", "delivery_stream_name"];
    let Some(stream) = names.iter().find_map(|name| settings.text(name)) else {
        account.missing("it names no stream", format!("write `stream` of an output `{kind}`"));
        return None;
    };
    let mut table = Table::of_type(kind).with("stream", values::text(&stream, translator.report));
    if kind == "kinesis" {
        let keys = settings.texts("event_partition_keys").unwrap_or_default();
        if let Some(field) = keys.first() {
            table.set("partition_key", format!("{{{}:-}}", values::field(field)));
        }
    }
    amazon(translator, settings, &mut table);
    settings.ignore(&["randomized_partition_key", "aggregation_enabled", "metrics_level"]);
    Some(table)
}

fn csv(settings: &mut Settings, account: &mut Account) -> Option<Table> {
    let path = super::outputs::path(settings, account)?;
    let fields = settings.take("fields").map(|fields| {
        let names = fields.items().into_iter().filter_map(Value::text);
        names.map(str::to_string).collect::<Vec<_>>().join(", ")
    });
    account.differs(format!(
        "each line is the event as a JSON object, not the columns {} as CSV",
        fields.unwrap_or_default()
    ));
    settings.ignore(&["csv_options", "spreadsheet_safe", "create_if_deleted", "gzip", "codec"]);
    Some(Table::of_type("file").with("path", path))
}
