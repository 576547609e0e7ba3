//! One request, and what the answer means.
//!
//! In: a body. Out: an [`Answer`]. Promises: the address and the headers are secrets and never part of a message; of an
//! answer only its beginning is read. On failure: see [`Answer`].
//!
//! Source of a success in part: <https://opentelemetry.io/docs/specs/otlp/#partial-success-1>.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_ENCODING, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};
use rustls::ClientConfig;

use super::super::post::Answer;
use super::super::{cause, gzipped};

/// Characters of an answer that are shown.
const SHOWN_CHARACTERS: usize = 200;
/// Longest pause that an answer can ask for; more is a mistake.
const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// Where requests go, and how.
pub(super) struct Client {
    http: reqwest::Client,
    method: Method,
    url: Url,
    gzip: bool,
}

impl Client {
    pub(super) fn new(
        (method, url): (Method, Url),
        headers: HeaderMap,
        tls: ClientConfig,
        timeout: Duration,
        gzip: bool,
    ) -> Result<Client, String> {
        let http = crate::names::client()
            .user_agent(concat!("logweir/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers)
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(|why| cause(&why))?;
        Ok(Client { http, method, url, gzip })
    }

    /// A body as it is sent.
    pub(super) fn body(&self, body: Vec<u8>) -> Bytes {
        if !self.gzip {
            return body.into();
        }
        gzipped(&body).unwrap_or(body).into()
    }

    /// Sends a body; the answer, and the first `most` bytes of what a server that took it says.
    pub(super) async fn send(&self, body: Bytes, most: usize) -> (Answer, Vec<u8>) {
        let mut request = self.http.request(self.method.clone(), self.url.clone());
        if self.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        match request.body(body).send().await {
            Ok(response) if response.status().is_success() => {
                (Answer::Accepted, beginning(response, most).await)
            }
            Ok(response) => (self.judge(response).await, Vec::new()),
            Err(why) => {
                let said = cause(&why.without_url());
                (
                    Answer::Later(format!("no answer from {}: {said}", self.server()), None),
                    Vec::new(),
                )
            }
        }
    }

    async fn judge(&self, mut response: Response) -> Answer {
        let status = response.status();
        let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let pause = pause.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let pause = pause.map(|pause| pause.min(PAUSE_MAX));
        let first = response.chunk().await.ok().flatten().unwrap_or_default();
        let said: String = String::from_utf8_lossy(&first).chars().take(SHOWN_CHARACTERS).collect();
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let why = format!("{} answers {status} {said}", self.server()).trim().to_string();
        match status {
            StatusCode::BAD_REQUEST
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => Answer::Refused(why),
            status if status.is_redirection() => {
                Answer::Later(format!("{why}: redirects are not followed; set `url`"), None)
            }
            _ => Answer::Later(why, pause),
        }
    }

    /// The server without what may be secret in its address.
    pub(super) fn server(&self) -> String {
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.url.host_str().unwrap_or_default())
    }
}

/// The first bytes of an answer; what does not come is left out.
async fn beginning(mut response: Response, most: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < most {
        let Ok(Some(some)) = response.chunk().await else { break };
        bytes.extend_from_slice(&some[..some.len().min(most - bytes.len())]);
    }
    bytes
}
