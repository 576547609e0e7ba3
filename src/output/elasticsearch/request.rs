//! Requests over HTTP.
//!
//! In: bodies. Out: the answer's status and body, or why there is none. Promises: redirects are not followed, so
//! that documents never go where the user did not say; secrets are never part of a message; an answer is read only
//! up to a bound. On failure: [`Failure`], one sentence for a person.

use std::io;
use std::time::Duration;

use reqwest::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION,
};
use reqwest::{Method, Url, redirect};

use crate::names;

use super::body::{self, Body};
use super::failure::{Failure, FailureKind, chain, failure};
use super::settings::{Credentials, Settings};
use super::spare::{Lent, Spare};
use crate::settings::{base64, basic_authorization};

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The whole body.
    pub(super) body: Lent,
    /// Where a redirect points.
    pub(super) location: Option<String>,
}

/// The connections to all nodes.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    hosts: Vec<Url>,
    bulk: Vec<Url>,
    parts: Spare,
    replies: Spare,
    #[cfg(test)]
    simulated: Option<std::sync::Arc<dyn super::simulated::Server>>,
}

/// Longest answer that is read: larger than that to any request this output sends.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Buffers for answers that are kept: of requests under way.
const REPLIES_MAX: usize = 4;
/// Bytes of an answer whose buffer is kept.
const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// A server waits this part of `timeout` for a shard that is away, so that it tells about the other documents before
/// the whole answer comes too late.
const SHARD_WAIT_PART: u32 = 4;
/// Only what is needed comes back; a server that ignores this sends all.
const FILTER: &str = "errors,items.*.status,items.*.error,items.*.failure_store";

impl Client {
    /// A client for these settings.
    ///
    /// # Errors
    /// When a header or the TLS configuration cannot be used.
    pub(super) fn new(settings: &Settings) -> io::Result<Client> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization(&settings.credentials) {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| io::Error::other("user, password or API key hold a line feed"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = names::client()
            .user_agent(concat!("logweir/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout.min(Duration::from_secs(10)))
            .tcp_keepalive(Duration::from_secs(30));
        if let Some(tls) = &settings.tls {
            builder = builder.tls_backend_preconfigured(tls.clone());
        }
        let http = builder.build().map_err(|why| io::Error::other(chain(&why)))?;
        let bulk = settings.hosts.iter().map(|host| {
            let mut url = join(host, &["_bulk"]);
            let wait = format!("{}ms", (settings.timeout / SHARD_WAIT_PART).as_millis().max(1));
            let mut query = url.query_pairs_mut();
            query.append_pair("filter_path", FILTER).append_pair("timeout", &wait);
            drop(query);
            if let Some(pipeline) = &settings.pipeline {
                url.query_pairs_mut().append_pair("pipeline", pipeline);
            }
            url
        });
        Ok(Client {
            http,
            bulk: bulk.collect(),
            parts: body::parts(),
            replies: Spare::new(REPLIES_MAX, REPLY_BYTES_MAX),
            hosts: settings.hosts.clone(),
            #[cfg(test)]
            simulated: None,
        })
    }

    /// A client whose bulk requests go to a server within the process.
    #[cfg(test)]
    pub(super) fn simulated(
        settings: &Settings,
        server: std::sync::Arc<dyn super::simulated::Server>,
    ) -> io::Result<Client> {
        Ok(Client { simulated: Some(server), ..Client::new(settings)? })
    }

    #[cfg(test)]
    pub(super) fn is_simulated(&self) -> bool {
        self.simulated.is_some()
    }

    /// Sends a bulk request to a node.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(super) async fn bulk(&self, host: usize, body: Body) -> Result<Answer, Failure> {
        #[cfg(test)]
        if let Some(server) = &self.simulated {
            return super::simulated::bulk(&**server, host, body).await;
        }
        let url = self.bulk[host].clone();
        let mut request = self.http.post(url).header(CONTENT_TYPE, "application/x-ndjson");
        if body.is_packed() {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        answer(request.body(body.into_http(&self.parts)), &self.replies).await
    }

    /// Sends any other request to a node; `path` is taken segment by segment.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(super) async fn send(
        &self,
        host: usize,
        method: Method,
        path: &[&str],
        body: String,
    ) -> Result<Answer, Failure> {
        let request = self.http.request(method, join(&self.hosts[host], path));
        let request = request.header(CONTENT_TYPE, "application/json");
        answer(request.body(body), &self.replies).await
    }
}

async fn answer(request: reqwest::RequestBuilder, replies: &Spare) -> Result<Answer, Failure> {
    let mut response = request.send().await.map_err(failure)?;
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION);
    let location = location.map(|l| String::from_utf8_lossy(l.as_bytes()).into_owned());
    let expected = response.content_length().unwrap_or(0);
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    let mut body = replies.lend(expected.min(REPLY_BYTES_MAX));
    while let Some(part) = response.chunk().await.map_err(failure)? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            let message = format!("sent an answer longer than {ANSWER_BYTES_MAX} bytes");
            return Err(Failure { kind: FailureKind::Broken, lasting: false, message });
        }
        body.extend_from_slice(&part);
    }
    Ok(Answer { status, body, location })
}

fn join(host: &Url, path: &[&str]) -> Url {
    let mut url = host.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

fn authorization(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::None => None,
        Credentials::Basic(user, password) => Some(basic_authorization(user, password)),
        Credentials::ApiKey(key) => {
            // Both forms that the server shows are taken: `encoded`, and `id:key`.
            let key = key.reveal().trim();
            let encoded = if key.contains(':') { base64(key.as_bytes()) } else { key.to_string() };
            Some(format!("ApiKey {encoded}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_before_the_api_is_kept_and_names_are_encoded() {
        let host = Url::parse("http://proxy:9200/search/").unwrap();
        let url = join(&host, &["_index_template", "a/b c"]);
        assert_eq!(url.as_str(), "http://proxy:9200/search/_index_template/a%2Fb%20c");
        assert_eq!(join(&Url::parse("http://a/").unwrap(), &["_bulk"]).as_str(), "http://a/_bulk");
    }
}
