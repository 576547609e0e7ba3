//! One signed request, and what Amazon says of it.
//!
//! In: a body, and what to do with it. Out: a [`Reply`], or why there is none. Promises: keys and tokens are in no
//! message; of an answer only its beginning is kept; one that is not understood is no success. On failure: see
//! [`Reply::judged`] and [`Reply::read`].

use std::time::Duration;

use bytes::Bytes;
use reqwest::redirect::Policy;
use reqwest::{Method, Url};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::cause;
use super::super::post::Answer;
use super::credentials::Provider;
use super::sign::{Scope, Unsigned, authorization, digest, time};

/// Longest answer that is read; one for 500 records has some 60 bytes for each.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Errors by which a batch is refused, and not tried again as it is.
const REFUSALS: &[&str] = &[
    "EntityTooLarge",
    "InvalidArgumentException",
    "InvalidParameterException",
    "RequestEntityTooLargeException",
    "SerializationException",
    "ValidationException",
];
/// Errors that speak of our keys.
const KEYS: &[&str] =
    &["ExpiredToken", "ExpiredTokenException", "InvalidToken", "UnrecognizedClientException"];

/// Where requests go, and who signs them.
pub(super) struct Client {
    http: reqwest::Client,
    service: &'static str,
    region: String,
    url: Url,
    provider: Provider,
}

/// A request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Encoded, with a slash before it.
    pub(super) path: &'a str,
    /// `x-amz-target`: what a service that speaks JSON is to do.
    pub(super) target: Option<&'a str>,
    pub(super) content_type: &'a str,
    pub(super) body: Bytes,
}

/// An answer.
pub(super) struct Reply {
    status: u16,
    host: String,
    body: Vec<u8>,
    /// The error's name, without its namespace; empty: none.
    pub(super) error: String,
    /// What was wrong, for people.
    said: String,
}

#[derive(Deserialize)]
struct Complaint {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Client {
    pub(super) fn new(
        (service, region): (&'static str, String),
        url: Url,
        provider: Provider,
        tls: &ClientConfig,
        timeout: Duration,
    ) -> Result<Client, String> {
        let http = crate::names::client()
            .user_agent(concat!("logweir/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .tls_backend_preconfigured(tls.clone())
            .build()
            .map_err(|why| cause(&why))?;
        Ok(Client { http, service, region, url, provider })
    }

    /// Calls a service that speaks JSON.
    pub(super) async fn json(
        &mut self,
        target: &str,
        body: &serde_json::Value,
        now_ns: i64,
    ) -> Result<Reply, String> {
        let call = Call {
            method: Method::POST,
            path: "/",
            target: Some(target),
            content_type: "application/x-amz-json-1.1",
            body: body.to_string().into(),
        };
        self.call(call, now_ns).await
    }

    /// Sends a request, once.
    pub(super) async fn call(&mut self, call: Call<'_>, now_ns: i64) -> Result<Reply, String> {
        let keys = self.provider.keys(&self.http, now_ns).await?;
        let (time, digest) = (time(now_ns), digest(&call.body));
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", self.url.host_str().unwrap_or_default());
        let mut headers = vec![
            ("content-type", call.content_type),
            ("host", host.as_str()),
            ("x-amz-content-sha256", digest.as_str()),
            ("x-amz-date", time.as_str()),
        ];
        if let Some(token) = &keys.token {
            headers.push(("x-amz-security-token", token.reveal()));
        }
        if let Some(target) = call.target {
            headers.push(("x-amz-target", target));
        }
        let (method, path) = (call.method.as_str(), call.path);
        let unsigned = Unsigned { method, path, query: "", headers: &headers, digest: &digest };
        let scope = Scope { region: &self.region, service: self.service };
        let signature = authorization(&unsigned, &keys, &scope, &time);
        let mut url = self.url.clone();
        url.set_path(path);
        let mut request = self.http.request(call.method.clone(), url);
        for (name, value) in headers.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, *value);
        }
        let request = request.header("authorization", signature).body(call.body);
        let no_answer =
            |why: reqwest::Error| format!("no answer from {host}: {}", cause(&why.without_url()));
        let mut response = request.send().await.map_err(no_answer)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                break;
            }
        }
        let reply = Reply::of(&host, status, body);
        if KEYS.contains(&reply.error.as_str()) {
            self.provider.forget();
        }
        Ok(reply)
    }
}

impl Reply {
    fn of(host: &str, status: u16, body: Vec<u8>) -> Reply {
        let (mut error, mut said) = (String::new(), String::new());
        if !(200..300).contains(&status) {
            let (kind, message) = complaint(&body);
            error = kind.rsplit('#').next().unwrap_or_default().to_string();
            let message: String = message.chars().take(200).collect();
            said = format!("{host} answers {status} {error} {message}").trim().to_string();
        }
        Reply { status, host: host.to_string(), body, error, said }
    }

    /// Whether it was done.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What a success says.
    ///
    /// # Errors
    /// It is not what the service would say.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|why| self.oddity(&why.to_string()))
    }

    /// A sentence on an answer that the service would not give.
    pub(super) fn oddity(&self, why: &str) -> String {
        let (host, status) = (&self.host, self.status);
        format!(
            "{host} answers {status}, but not as the service does: {why}; look at `endpoint`, and at what stands \
             between"
        )
    }

    /// What it means for the batch; what has success is for the caller to look into.
    pub(super) fn judged(self) -> Answer {
        if self.is_success() {
            Answer::Accepted
        } else if REFUSALS.contains(&self.error.as_str()) || self.status == 413 {
            Answer::Refused(self.said)
        } else {
            Answer::Later(self.said, None)
        }
    }
}

/// The error's name and its message, of JSON or of S3's XML.
fn complaint(body: &[u8]) -> (String, String) {
    if let Ok(complaint) = serde_json::from_slice::<Complaint>(body) {
        return (complaint.kind, complaint.message);
    }
    let text = String::from_utf8_lossy(body);
    if let Ok(document) = roxmltree::Document::parse(&text) {
        let get = |name: &str| {
            let found = document.descendants().find(|node| node.tag_name().name() == name);
            found.and_then(|node| node.text()).unwrap_or_default().to_string()
        };
        return (get("Code"), get("Message"));
    }
    (String::new(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}
