//! Output `http`: events in the bodies of requests.
//!
//! In: frames. Out: requests to one address, their bodies lines of JSON, an array, one document, streams of
//! Loki, or logs of OpenTelemetry.
//! Promises: a document is done when the server answered 2xx to the request that held it; one request is under way at
//! a time, so that documents arrive in the order of the journal; what may pass (no answer, 408, 425, 429, 5xx) and
//! what a person has to change (401, 403, 404, …) is tried again with growing pauses, for ever, and `Retry-After` is
//! obeyed; of a body that the server refuses (400, 413, 422) the halves are tried, until the documents that it will
//! not have stand alone: those are dead letters. A crash between answer and cursor sends them again. Redirects are
//! not followed. What a collector of OpenTelemetry leaves out of a request that it took, without saying which, is
//! counted and said. On failure: health says `paused` with the server's words; nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use rustls::ClientConfig;

use super::post::{self, Answer, Batch, Limits, Service};
use super::{Output, OutputLoad};
use crate::clock::SharedClock;
use crate::delivery::{BoxFuture, OutputContext};
use crate::diagnostic::Diagnostic;
use crate::limits;
use crate::metrics::Counter;
use crate::settings::{Section, basic_authorization};
use crate::template::Template;
use crate::tls::ClientTls;

mod body;
mod request;

#[cfg(test)]
mod tests;

use body::{BETWEEN, Format};
use request::Client;

struct Http {
    client: Client,
    format: Format,
    batch_bytes: usize,
    /// Names of Loki's labels.
    labels: Vec<String>,
    /// Their values for a document, with [`BETWEEN`] between them.
    values: Option<Template>,
    left_out: Option<LeftOut>,
}

/// Records that a collector left out.
struct LeftOut {
    documents: Counter,
    clock: SharedClock,
    /// When it may be said again, nanoseconds of elapsed time.
    next_ns: u64,
}

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let url = url(section);
    let methods = [("post", Method::POST), ("put", Method::PUT)];
    let method = section.choice_or("method", &methods, Method::POST);
    let formats = [
        ("lines", Format::Lines),
        ("array", Format::Array),
        ("single", Format::Single),
        ("loki", Format::Loki),
        ("otlp", Format::Otlp),
    ];
    let format = section.choice_or("format", &formats, Format::Lines);
    let labels = labels(section, format, load);
    let headers = headers(section, format);
    let gzip = section.choice_or("compression", &[("gzip", true), ("none", false)], false);
    let batch_bytes = section.bytes_or("batch_size", limits::HTTP_BATCH_BYTES_MAX as u64);
    let timeout = section.duration_or("timeout", Duration::from_secs(30));
    let tls = tls(section, url.as_ref());
    section.not_zero("batch_size", batch_bytes == 0, "1MiB")?;
    section.not_zero("timeout", timeout.is_zero(), "30s")?;
    let (url, headers, (labels, values)) = (url?, headers?, labels?);
    match Client::new((method, url), headers, tls?, timeout, gzip) {
        Ok(client) => {
            let batch_bytes = batch_bytes as usize;
            Some(Box::new(Http { client, format, batch_bytes, labels, values, left_out: None }))
        }
        Err(why) => {
            section.report(
                Diagnostic::error("cannot make an HTTP client").because(why),
                section.span(),
            );
            None
        }
    }
}

fn url(section: &Section<'_>) -> Option<Url> {
    let text = section.required_string("url", "\"http://localhost:8080/logs\"")?;
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
        // An address may carry a password, so it is never part of a message.
        _ => {
            let hint = "write for example: url = \"https://logs.example:8443/ingest\"".to_string();
            section.error(text.span, "`url` is not a web address", Some(hint));
            None
        }
    }
}

/// `labels`: their names, and one template for the values of all.
fn labels(
    section: &Section<'_>,
    format: Format,
    load: &mut OutputLoad<'_>,
) -> Option<(Vec<String>, Option<Template>)> {
    let entries = section.entries("labels").unwrap_or_default();
    if format != Format::Loki {
        if section.has("labels") {
            let hint = "write `format = \"loki\"`, or leave them out".to_string();
            section.error(section.span_of("labels"), "`labels` are those of Loki", Some(hint));
            return None;
        }
        return Some((Vec::new(), None));
    }
    if entries.is_empty() {
        let hint = "write for example: labels = { job = \"shop\", level = \"{log.level:-}\" }";
        section.error(section.span(), "Loki needs at least one label", Some(hint.to_string()));
        return None;
    }
    let (mut names, mut values) = (Vec::new(), String::new());
    for (name, item) in entries {
        let crate::settings::Literal::String(text) = &item.literal else {
            let hint = format!("write for example: {} = \"shop\"", name.value);
            section.error(item.span.clone(), "a label must be a text", Some(hint));
            return None;
        };
        let text = section.expand(text, &item.span)?;
        // Each by itself, so that an error has its own place.
        Template::load(section, &text, load.keys)?;
        if !names.is_empty() {
            values.push(BETWEEN);
        }
        names.push(name.value.clone());
        values.push_str(&text.value);
    }
    let whole = Template::parse(&values, load.keys).ok()?;
    Some((names, Some(whole)))
}

/// `headers`, `user` and `password`, `token`.
fn headers(section: &Section<'_>, format: Format) -> Option<HeaderMap> {
    let kind = HeaderValue::from_static(format.content_type());
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, kind)]);
    let mut sound = true;
    for (name, item) in section.entries("headers").unwrap_or_default() {
        let crate::settings::Literal::String(text) = &item.literal else {
            let hint = format!("write for example: {} = \"shop\"", name.value);
            section.error(item.span.clone(), "a header must be a text", Some(hint));
            sound = false;
            continue;
        };
        let Some(text) = section.expand(text, &item.span) else {
            sound = false;
            continue;
        };
        match (HeaderName::try_from(name.value.as_str()), HeaderValue::try_from(text.value)) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            _ => {
                let message = format!("`{}` is no header of HTTP", name.value);
                let hint = "a name has letters, digits and -; a value has no line feed".to_string();
                section.error(item.span.clone(), message, Some(hint));
                sound = false;
            }
        }
    }
    let (user, password) = (section.string("user"), section.secret("password"));
    let token = section.secret("token");
    sound &= ["password", "token"].into_iter().all(|key| {
        !section.has(key) || if key == "token" { token.is_some() } else { password.is_some() }
    });
    let login = match (user, password, token) {
        (Some(user), Some(password), None) => basic_authorization(&user, &password),
        (None, None, Some(token)) => format!("Bearer {}", token.reveal()),
        (None, None, None) => return sound.then_some(headers),
        (Some(user), None, None) => {
            let hint = "add for example: password = \"${PASSWORD}\"".to_string();
            section.error(user.span, "`user` is set, but `password` is not", Some(hint));
            return None;
        }
        (_, password, token) => {
            let span = token.or(password).map_or(section.span(), |secret| secret.span);
            let hint = "set `user` and `password`, or `token`".to_string();
            section.error(span, "it is not clear how the output shows who it is", Some(hint));
            return None;
        }
    };
    if let Ok(mut value) = HeaderValue::try_from(login) {
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    sound.then_some(headers)
}

/// TLS for `https`; reading the machine's authorities is left out where nobody needs them.
fn tls(section: &Section<'_>, url: Option<&Url>) -> Option<ClientConfig> {
    let tls = match section.section("tls") {
        Some(table) => ClientTls::load(table)?,
        None if url.is_some_and(|url| url.scheme() == "https") => ClientTls::system(),
        None => ClientTls::unused(),
    };
    Some(tls.config())
}

impl Output for Http {
    fn address(&self) -> Option<&Template> {
        self.values.as_ref()
    }

    fn run(mut self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        if self.format == Format::Otlp {
            self.left_out = Some(LeftOut {
                documents: context.metrics.counter(
                    "logweir_output_left_out_documents_total",
                    "Delivered documents that the server says it left out, without saying which.",
                ),
                clock: Arc::clone(&context.clock),
                next_ns: 0,
            });
        }
        post::run(*self, context)
    }
}

impl Http {
    /// A collector may take a request and leave records out of it; none is to be sent again.
    fn judge(&mut self, documents: usize, said: &[u8]) -> Answer {
        let Some(left_out) = &mut self.left_out else { return Answer::Accepted };
        let Some((count, why)) = body::left_out(said) else { return Answer::Accepted };
        let why =
            format!("{} takes {count} of {documents} records not: {why}", self.client.server());
        if count >= documents as u64 {
            return Answer::Refused(why);
        }
        left_out.documents.add(count);
        let now_ns = left_out.clock.elapsed_ns();
        if now_ns >= left_out.next_ns {
            left_out.next_ns = now_ns + limits::COMPLAINT_MS * 1_000_000;
            tracing::error!(
                "{why}; it does not say which, so they are lost here: see the collector's log"
            );
        }
        Answer::Accepted
    }
}

impl Service for Http {
    fn limits(&self) -> Limits {
        Limits {
            bytes: self.batch_bytes,
            each: 1,
            documents: if self.format == Format::Single { 1 } else { usize::MAX },
            by_address: false,
            patience: Duration::ZERO,
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let body = self.format.body(&batch, &self.labels);
            let most = if self.left_out.is_some() { limits::HTTP_ANSWER_BYTES_MAX } else { 0 };
            match self.client.send(self.client.body(body), most).await {
                (Answer::Accepted, said) => self.judge(batch.documents.len(), &said),
                (answer, _) => answer,
            }
        })
    }
}
