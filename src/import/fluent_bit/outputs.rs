//! `[OUTPUT]` sections to outputs: those that Fluentd has, too, under the names that it gives their parameters.

use super::super::fluent::draft::Block;
use super::super::fluent::text::is_true;
use super::super::fluentd::route::{Notes, Stream};
use super::super::fluentd::source::text;
use super::super::fluentd::syntax::{Element, Item, Parameter, Value};
use super::{Translation, name_of};

impl Translation {
    pub(super) fn output(&mut self, element: &Element, taken: &[Stream]) {
        let kind = name_of(element);
        if taken.is_empty() {
            self.conversion.unreached_unless_known(element, &kind);
            return;
        }
        let mut notes = Notes::default();
        if kind == "prometheus_exporter" {
            notes.difference(
                "the agent's own metrics are at http://127.0.0.1:9600/metrics; what inputs measured is not",
            );
            self.conversion.said(element, &kind, notes);
            return;
        }
        let as_fluentd = match kind.as_str() {
            "es" | "elasticsearch" => ("elasticsearch", ELASTICSEARCH),
            "opensearch" => ("opensearch", ELASTICSEARCH),
            "opentelemetry" => ("opentelemetry", &[("logs_uri", "uri")] as &[_]),
            "slack" => ("slack", &[("webhook", "webhook_url")] as &[_]),
            "file" => {
                self.file(element, taken);
                return;
            }
            other => (other, &[] as &[_]),
        };
        let (name, names) = as_fluentd;
        let mut renamed = element.clone();
        for item in &mut renamed.body {
            if let Item::Parameter(parameter) = item
                && let Some((_, to)) = names.iter().find(|(from, _)| *from == parameter.name)
            {
                parameter.name = (*to).to_string();
            }
        }
        if name == "opentelemetry" {
            // As the output `http` is asked: what has no counterpart there is left as it is usual.
            for (key, usual) in
                [("uri", "/v1/logs"), ("format", "json_lines"), ("json_date_key", "@timestamp")]
            {
                if renamed.parameter(key).is_none() {
                    let (span, value) = (element.span.clone(), Value::text(usual));
                    let name = key.to_string();
                    renamed.body.push(Item::Parameter(Parameter { name, value, span }));
                }
            }
        }
        if text(element, "tls", &mut notes).is_some_and(|value| is_true(&value)) {
            let span = element.span.clone();
            let value = Value::text("https");
            renamed.body.push(Item::Parameter(Parameter {
                name: "scheme".to_string(),
                value,
                span,
            }));
        }
        if matches!(name, "elasticsearch" | "opensearch") && element.parameter("index").is_none() {
            let span = element.span.clone();
            let value = Value::text("fluent-bit");
            renamed.body.push(Item::Parameter(Parameter {
                name: "index_name".to_string(),
                value,
                span,
            }));
        }
        self.conversion.sink(&renamed, name, taken);
    }

    fn file(&mut self, element: &Element, taken: &[Stream]) {
        let mut notes = Notes::default();
        let folder = text(element, "path", &mut notes).unwrap_or_default();
        let tag = super::super::fluentd::filter::known_tag(taken).map(str::to_string);
        let name =
            text(element, "file", &mut notes).or(tag).unwrap_or_else(|| "events.log".to_string());
        let folder = if folder.is_empty() { "/var/log/fluent-bit".to_string() } else { folder };
        let path = if name.starts_with('/') {
            name
        } else {
            format!("{}/{name}", folder.trim_end_matches('/'))
        };
        if text(element, "format", &mut notes).is_none_or(|format| format != "plain") {
            notes.difference("one JSON object on each line, without time and tag before it");
        }
        let when = self.conversion.condition(taken);
        let comments = self.conversion.entry(element, "file", notes);
        self.conversion.add_output("file", Block::of("file").with("path", path), &when, comments);
    }
}

const ELASTICSEARCH: &[(&str, &str)] = &[
    ("index", "index_name"),
    ("http_user", "user"),
    ("http_passwd", "password"),
    ("tls.verify", "ssl_verify"),
    ("tls.ca_file", "ca_file"),
    ("tls.crt_file", "client_cert"),
    ("tls.key_file", "client_key"),
];
