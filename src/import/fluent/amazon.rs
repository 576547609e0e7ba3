//! Outputs to Amazon's services, and to Google's store, of Fluentd and Fluent Bit.
//!
//! In: an element, and what the tag is sent as. Out: `cloudwatch_logs`, `kinesis`, `firehose` or `s3`. Promises:
//! keys are
//! read from the environment; names with fields of the event in them are templates. On failure: why there is none.

use super::super::fluentd::output::{secret, template};
use super::super::fluentd::route::Notes;
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::Element;
use super::draft::{Block, Value};
use super::parse::field;
use super::places::with_defaults;
use super::text::{dated, is_true, size, time};

/// The output of this name; `None`: it is none of Amazon's. `tag`: a template of it.
pub fn amazon(
    kind: &str,
    element: &Element,
    tag: &str,
    notes: &mut Notes,
) -> Option<Result<Block, String>> {
    let block = match kind {
        "cloudwatch_logs" | "cloudwatch" => cloudwatch(element, tag, notes),
        "kinesis" | "kinesis_streams" | "kinesis_streams_aggregated" => {
            records("kinesis", element, tag, notes)
        }
        "firehose" | "kinesis_firehose" => records("firehose", element, tag, notes),
        "s3" => s3(element, tag, notes),
        "gcs" => return Some(s3(element, tag, notes).map(|block| google(block, element, notes))),
        _ => return None,
    };
    Some(block.map(|block| shared(block, element, notes)))
}

fn first(element: &Element, names: &[&str], notes: &mut Notes) -> Option<String> {
    names.iter().filter_map(|name| text(element, name, notes)).find(|text| !text.trim().is_empty())
}

/// Region, keys, another address.
fn shared(mut block: Block, element: &Element, notes: &mut Notes) -> Block {
    for (_, value) in &mut block.entries {
        if let Value::Text(text) = value {
            *text = not_set(text);
        }
    }
    let region = first(element, &["region", "s3_region"], notes).filter(|region| {
        region.contains("${")
            || region
                .trim()
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    });
    match region.map(|region| not_set(&region)) {
        // A default that says that there is none.
        Some(region)
            if region.split(":-").nth(1).is_some_and(|r| r.contains(char::is_uppercase)) =>
        {
            let name = region.split(":-").next().unwrap_or_default();
            block.set("region", format!("{name}:-us-east-1}}"));
        }
        Some(region) => block.set("region", region.trim().replace(":-not-set}", ":-us-east-1}")),
        None => {
            notes.difference("no region is written: set AWS_REGION in the environment");
            block.set("region", "${AWS_REGION:-us-east-1}");
        }
    }
    let keys = element.element("assume_role_credentials").unwrap_or(element);
    let access = first(element, &["aws_key_id"], notes);
    if let Some(access) = access.filter(|_| element.parameter("aws_sec_key").is_some()) {
        let given = text(element, "aws_sec_key", notes).unwrap_or_default();
        block.set("access_key_id", secret(&access, "AWS_ACCESS_KEY_ID", notes));
        block.set("secret_access_key", secret(&given, "AWS_SECRET_ACCESS_KEY", notes));
    }
    if let Some(role) = first(keys, &["role_arn", "sts_role_arn", "aws_sts_role_arn"], notes) {
        notes.difference(format!(
            "no other role is assumed: let the machine or the service account have the role {role}"
        ));
    }
    if let Some(endpoint) = first(element, &["endpoint", "s3_endpoint"], notes) {
        let endpoint = not_set(endpoint.trim());
        let endpoint = endpoint.replace(":-not-set}", ":-http://localhost:4566}");
        let whole = endpoint.contains("://");
        block.set("endpoint", if whole { endpoint } else { format!("https://{endpoint}") });
    }
    block
}

/// Google's store speaks S3, with keys of its own kind.
fn google(mut block: Block, element: &Element, notes: &mut Notes) -> Block {
    for (_, value) in &mut block.entries {
        if let Value::Text(text) = value {
            *text = not_set(text);
        }
    }
    notes.difference(
        "Google's store is written to as one of S3: set GOOGLE_HMAC_KEY and GOOGLE_HMAC_SECRET, an HMAC key of \
         the service account",
    );
    let own = ["project", "keyfile", "credentials_json", "auto_create_bucket", "hex_random_length"];
    for name in own {
        let _ = element.parameter(name);
    }
    block.set("region", "auto");
    block.set("endpoint", "https://storage.googleapis.com");
    block.set("access_key_id", "${GOOGLE_HMAC_KEY:-not-set}");
    block.set("secret_access_key", "${GOOGLE_HMAC_SECRET:-not-set}");
    block
}

/// `${NAME}` without a default gets one: the pipeline is read also where it is not set.
fn not_set(text: &str) -> String {
    with_defaults(text, |_, _| "not-set")
}

/// `$(a['b'])`, `$a['b']` and `$TAG` of Fluent Bit, `${tag}` of Fluentd, as a template.
fn filled(written: &str, tag: &str, notes: &mut Notes) -> String {
    let mut out = String::new();
    let mut rest = written;
    while let Some(start) = rest.find('$') {
        let after = &rest[start + 1..];
        out.push_str(&rest[..start].replace('{', "{{").replace('}', "}}"));
        let (length, name) = if let Some(inner) = after.strip_prefix('(') {
            let end = inner.find(')').unwrap_or(inner.len());
            (end + 2, inner[..end].to_string())
        } else if after.starts_with('{') {
            let end = after.find('}').map_or(after.len(), |end| end + 1);
            let code = after[..end].trim_matches(['{', '}']);
            match code {
                "tag" => (end, "tag".to_string()),
                code if code.contains("tag_parts") || code.starts_with("tag[") => {
                    (end, code.replace("tag_parts", "tag"))
                }
                _ => {
                    let code = &rest[start..start + 1 + end];
                    out.push_str(&template(code, Some(tag), notes));
                    rest = &after[end..];
                    continue;
                }
            }
        } else {
            let mut depth = 0;
            let end = after
                .find(|c: char| {
                    depth += i32::from(c == '[') - i32::from(c == ']');
                    depth <= 0 && !(c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | ']'))
                })
                .unwrap_or(after.len());
            (end, after[..end].to_string())
        };
        rest = after.get(length..).unwrap_or_default();
        out.push_str(&reference(&name, tag, notes));
    }
    out.push_str(&rest.replace('{', "{{").replace('}', "}}"));
    dated(&out)
}

/// One reference as a template.
fn reference(name: &str, tag: &str, notes: &mut Notes) -> String {
    if name.is_empty() {
        return "$".to_string();
    }
    let lower = name.to_ascii_lowercase();
    if lower == "tag" {
        return tag.to_string();
    }
    if lower == "uuid" {
        return String::new();
    }
    if let Some(index) = lower.strip_prefix("tag[").and_then(|rest| rest.strip_suffix(']')) {
        let parts: Vec<&str> = tag.split('.').collect();
        let known = !tag.contains('{');
        let part = index.trim().parse::<usize>().ok().and_then(|index| parts.get(index));
        if let Some(part) = part.filter(|_| known) {
            return (*part).to_string();
        }
        notes.difference(format!("`{name}` is the whole tag"));
        return tag.to_string();
    }
    format!("{{{}:-unknown}}", field(&format!("${}", name.trim_start_matches('$'))))
}

fn cloudwatch(element: &Element, tag: &str, notes: &mut Notes) -> Result<Block, String> {
    let on = |name: &str, notes: &mut Notes| {
        text(element, name, notes).is_some_and(|text| is_true(&text))
    };
    let key = |name: &str, notes: &mut Notes| {
        first(element, &[name], notes).map(|key| format!("{{{}:-unknown}}", field(&key)))
    };
    let written = |names: &[&str], notes: &mut Notes| {
        first(element, names, notes).map(|text| filled(&text, tag, notes))
    };
    let group = if on("use_tag_as_group", notes) {
        Some(tag.to_string())
    } else {
        written(&["log_group_template", "log_group_name"], notes)
            .or_else(|| key("log_group_name_key", notes))
    };
    let group = group.unwrap_or_else(|| "fluent".to_string());
    let stream = match first(element, &["log_stream_prefix"], notes) {
        Some(prefix) => Some(format!("{}{tag}", filled(&prefix, tag, notes))),
        None if on("use_tag_as_stream", notes) => Some(tag.to_string()),
        None => written(&["log_stream_template", "log_stream_name"], notes)
            .or_else(|| key("log_stream_name_key", notes)),
    };
    let stream = stream.unwrap_or_else(|| "{host.name:-logweir}".to_string());
    for name in ["log_key", "message_keys"] {
        if let Some(key) = first(element, &[name], notes) {
            notes.difference(format!("a message is the whole event as JSON, not `{key}` alone"));
        }
    }
    for name in ["metric_namespace", "log_format", "log_retention_days", "retention_in_days"] {
        if let Some(value) = first(element, &[name], notes) {
            notes.difference(format!("`{name}` ({value}) is not set: set it in CloudWatch"));
        }
    }
    let mut block =
        Block::of("cloudwatch_logs").with("log_group", group).with("log_stream", stream);
    for name in ["auto_create_group", "auto_create_stream"] {
        if text(element, name, notes).is_some_and(|text| !is_true(&text)) {
            block.set("create", false);
        }
    }
    if first(element, &["log_group_template"], notes).is_some()
        && let Some(name) = first(element, &["log_group_name"], notes)
    {
        notes.difference(format!("a field that is not there is `unknown`, not `{name}`"));
    }
    for name in ["default_log_group_name", "default_log_stream_name"] {
        if let Some(value) = first(element, &[name], notes) {
            notes.difference(format!("a field that is not there is `unknown`, not `{value}`"));
        }
    }
    Ok(block)
}

fn records(ours: &str, element: &Element, tag: &str, notes: &mut Notes) -> Result<Block, String> {
    let names = ["stream", "stream_name", "delivery_stream", "delivery_stream_name"];
    let Some(stream) = first(element, &names, notes) else {
        return Err(format!("it names no stream; write `stream` of an output `{ours}`"));
    };
    if stream.contains("${tag") || stream.contains("$(") {
        return Err(format!(
            "a stream is one for all events, but its name is {stream}; write one output for each"
        ));
    }
    let mut block = Block::of(ours).with("stream", stream);
    if let Some(key) = first(element, &["partition_key"], notes).filter(|_| ours == "kinesis") {
        let template = if key.contains('$') { filled(&key, tag, notes) } else { field(&key) };
        let whole = template.contains('{');
        block.set("partition_key", if whole { template } else { format!("{{{template}:-}}") });
    }
    for name in ["data_keys", "log_key", "data_key"] {
        if let Some(key) = first(element, &[name], notes) {
            notes.difference(format!("a record is the whole event as JSON, not `{key}` alone"));
        }
    }
    if first(element, &["time_key"], notes).is_some() {
        notes.difference("the time is `@timestamp` in every record");
    }
    Ok(block)
}

fn s3(element: &Element, tag: &str, notes: &mut Notes) -> Result<Block, String> {
    let Some(bucket) = first(element, &["bucket", "s3_bucket"], notes) else {
        return Err("it names no bucket; write `bucket` of an output `s3`".to_string());
    };
    let mut block = Block::of("s3").with("bucket", bucket);
    let path = first(element, &["path"], notes).unwrap_or_default();
    let forms = ["s3_key_format", "s3_object_key_format", "object_key_format"];
    let form = first(element, &forms, notes);
    let form = form.unwrap_or_else(|| match element.name.as_str() {
        "output" => "/fluent-bit-logs/$TAG/%Y/%m/%d/%H/".to_string(),
        _ => "%{path}%{time_slice}".to_string(),
    });
    let slice = first(element, &["time_slice_format"], notes);
    let slice = slice.unwrap_or_else(|| "%Y/%m/%d/%H".to_string());
    let form = form
        .replace("%{path}", &path)
        .replace("%{time_slice}", &slice)
        .replace("$UUID", "")
        .replace("${chunk_id}", "");
    // An object for each second or minute would be very many.
    let form = ["/%M", "/%S", "_%M", "_%S", "-%M", "-%S", "%M", "%S"]
        .iter()
        .fold(form, |form, part| form.replace(part, ""));
    let prefix = match form.rsplit_once('/') {
        Some((folder, rest)) if !rest.contains('$') || rest.contains("%{") => {
            // What the old agent counts and names at the end has our own names.
            let rest =
                rest.split("%{").next().unwrap_or_default().trim_end_matches(['.', '_', '-']);
            let rest = rest.split('.').next().unwrap_or_default();
            if rest.is_empty() { format!("{folder}/") } else { format!("{folder}/{rest}-") }
        }
        _ => format!("{}/", form.trim_end_matches(['/', '.', '_'])),
    };
    let prefix = prefix.trim_start_matches('/').to_string();
    block.set("prefix", filled(&prefix, tag, notes));
    notes.difference("objects are JSON lines, named after their first event");
    let stored = first(element, &["compression", "store_as"], notes);
    match (stored.as_deref(), element.name.as_str()) {
        (Some("text" | "json" | "txt"), _) | (None, "output") => {
            block.set("compression", "none");
        }
        (None | Some("gzip"), _) => {}
        (Some(other), _) => notes.difference(format!("objects are gzip, not {other}")),
    }
    let buffer = element.element("buffer").unwrap_or(element);
    let full = first(element, &["total_file_size"], notes)
        .or_else(|| first(buffer, &["chunk_limit_size"], notes));
    if let Some((text, bytes)) = full.and_then(|text| size(&text))
        && (1 << 10..=256 << 20).contains(&bytes)
    {
        block.set("batch_size", text);
    }
    let wait = first(element, &["upload_timeout"], notes)
        .or_else(|| first(buffer, &["flush_interval", "timekey"], notes));
    if let Some(wait) = wait.and_then(|text| time(&text)).filter(|time| time != "0s") {
        block.set("max_wait", wait);
    }
    Ok(block)
}
