//! Documents of Elasticsearch or OpenSearch into a report.
//!
//! In: an address, an index pattern, perhaps how far back. Out: a [`Gather`] with every document. Promises: nothing is
//! changed; two slices of one scroll are read side by side, so that each document comes once, of one moment; only the
//! fields that a report counts are asked for; the password and the key are in no message. Works from Elasticsearch 7.17
//! and OpenSearch 1 on, which share the scroll. On failure: one sentence that says what the server answered.

use std::sync::Arc;

use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Gather;
use crate::settings::Secret;
use crate::tls::ClientTls;

/// Documents of one answer.
const PAGE: u64 = 5_000;
/// How long the server keeps the scroll between two questions.
const KEEP: &str = "2m";
const SLICES: u64 = 2;
const WAIT: std::time::Duration = std::time::Duration::from_secs(60);
/// What of a document comes over the wire.
const FIELDS: [&str; 32] = [
    "@timestamp",
    "timestamp",
    "level",
    "severity",
    "log.level",
    "message",
    "msg",
    "event_type",
    "event",
    "method",
    "request_method",
    "http",
    "path",
    "uri",
    "request_uri",
    "url",
    "status_code",
    "status",
    "code",
    "duration_ms",
    "request_time",
    "tool_name",
    "success",
    "client_ip",
    "remote_addr",
    "remote",
    "client",
    "source",
    "exception.type",
    "error_type",
    "error.type",
    "time",
];

/// Whom to ask, and for what.
pub struct Question {
    /// `http://host:9200`.
    pub url: Url,
    /// Index, alias, data stream or a pattern of them.
    pub index: String,
    /// User and password.
    pub user: Option<(String, Secret)>,
    /// API key as Elasticsearch shows it (base64).
    pub api_key: Option<Secret>,
    /// Only documents from this instant on, in milliseconds since 1970.
    pub since_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "_scroll_id")]
    scroll: String,
    #[serde(borrow)]
    hits: Hits<'a>,
}

#[derive(Deserialize)]
struct Hits<'a> {
    #[serde(borrow)]
    hits: Vec<Hit<'a>>,
    total: Option<Total>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct Hit<'a> {
    #[serde(borrow, rename = "_source")]
    source: &'a RawValue,
}

struct Cluster {
    http: reqwest::Client,
    question: Question,
}

/// Counts all documents; `read` is told of each page: documents read, and how many there are in its slice.
///
/// # Errors
/// What the server answered, or why it could not be asked.
pub async fn gather(
    question: Question,
    read: impl Fn(u64, u64) + Send + Sync + 'static,
) -> Result<Gather, String> {
    let tls =
        if question.url.scheme() == "http" { ClientTls::unused() } else { ClientTls::system() };
    let builder = crate::names::client().tls_backend_preconfigured(tls.config());
    let builder = builder.redirect(reqwest::redirect::Policy::none()).timeout(WAIT);
    let http = builder.build().map_err(|why| why.to_string())?;
    let cluster = Arc::new(Cluster { http, question });
    let read = Arc::new(read);
    let mut slices = tokio::task::JoinSet::new();
    for slice in 0..SLICES {
        let (cluster, read) = (Arc::clone(&cluster), Arc::clone(&read));
        slices.spawn(async move { cluster.slice(slice, &*read).await });
    }
    let mut all = Gather::default();
    while let Some(slice) = slices.join_next().await {
        all.merge(slice.map_err(|why| why.to_string())??);
    }
    Ok(all)
}

impl Cluster {
    async fn slice(&self, slice: u64, read: &(impl Fn(u64, u64) + Sync)) -> Result<Gather, String> {
        let mut gather = Gather::default();
        let query = match self.question.since_ms {
            Some(since) => {
                json!({ "range": { "@timestamp": { "gte": since, "format": "epoch_millis" } } })
            }
            None => json!({ "match_all": {} }),
        };
        let body = json!({
            "size": PAGE, "sort": ["_doc"], "query": query, "_source": FIELDS, "track_total_hits": true,
            "slice": { "id": slice, "max": SLICES },
        });
        let first = [self.question.index.as_str(), "_search"];
        let mut answer = self.ask(reqwest::Method::POST, &first, Some(KEEP), body).await?;
        let mut total = 0;
        loop {
            let page: Page<'_> = serde_json::from_str(&answer)
                .map_err(|why| format!("the answer is not Elasticsearch's ({why})"))?;
            total = page.hits.total.map_or(total, |t| t.value);
            let scroll = page.scroll.clone();
            let documents = page.hits.hits.len() as u64;
            for hit in &page.hits.hits {
                gather.add(hit.source.get().as_bytes());
                gather.bytes += hit.source.get().len() as u64;
            }
            read(documents, total);
            if documents == 0 {
                let path = ["_search", "scroll"];
                let end = json!({ "scroll_id": [scroll] });
                // What is not closed ends by itself after `KEEP`.
                let _ = self.ask(reqwest::Method::DELETE, &path, None, end).await;
                return Ok(gather);
            }
            let next = json!({ "scroll": KEEP, "scroll_id": scroll });
            answer = self.ask(reqwest::Method::POST, &["_search", "scroll"], None, next).await?;
        }
    }

    async fn ask(
        &self,
        method: reqwest::Method,
        path: &[&str],
        keep: Option<&str>,
        body: serde_json::Value,
    ) -> Result<String, String> {
        let mut url = self.question.url.clone();
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.path_segments_mut()
            .map_err(|()| "not a web address".to_string())?
            .pop_if_empty()
            .extend(path);
        if let Some(keep) = keep {
            url.query_pairs_mut().append_pair("scroll", keep);
        }
        let mut request = self.http.request(method, url).body(body.to_string());
        request = request.header("Content-Type", "application/json");
        if let Some((user, password)) = &self.question.user {
            request = request.basic_auth(user, Some(password.reveal()));
        }
        if let Some(key) = &self.question.api_key {
            request = request.header("Authorization", format!("ApiKey {}", key.reveal()));
        }
        let sent = request.send().await.map_err(|why| said(why.without_url()))?;
        let status = sent.status();
        let text = sent.text().await.map_err(|why| said(why.without_url()))?;
        if status.is_success() {
            return Ok(text);
        }
        let reason = serde_json::from_str::<serde_json::Value>(&text).ok();
        let reason = reason.as_ref().and_then(|r| r.pointer("/error/reason")?.as_str());
        Err(format!("it answers {status} {}", reason.unwrap_or_default()).trim().to_string())
    }
}

/// The innermost cause, which says what happened ("connection refused").
fn said(error: reqwest::Error) -> String {
    let mut at: &dyn std::error::Error = &error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that gives each slice one page of a document, then an empty one; the requests that it saw.
    async fn cluster() -> (Url, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://bob:geheim@{}/es", listener.local_addr().unwrap());
        let (requests, seen) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let requests = requests.clone();
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while socket.read_buf(&mut request).await.is_ok_and(|n| n > 0) {
                        let text = String::from_utf8_lossy(&request).into_owned();
                        // A body is one object, and ends the request.
                        if !text.ends_with('}') {
                            continue;
                        }
                        let hit = r#"{"_source":{"level":"ERROR","message":"x 1"}}"#;
                        let hits =
                            if text.contains("/es/logs-*/_search?scroll=2m") { hit } else { "" };
                        let body = format!(
                            r#"{{"_scroll_id":"s","hits":{{"total":{{"value":1}},"hits":[{hits}]}}}}"#
                        );
                        let head =
                            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                        socket.write_all((head + &body).as_bytes()).await.unwrap();
                        requests.send(text).unwrap();
                        request.clear();
                    }
                });
            }
        });
        (url.parse().unwrap(), seen)
    }

    #[tokio::test]
    async fn every_page_of_both_slices_is_counted_and_the_scroll_is_closed() {
        let (url, mut seen) = cluster().await;
        let user = Some(("bob".to_string(), Secret::new("geheim")));
        let index = "logs-*".to_string();
        let question = Question { url, index, user, api_key: None, since_ms: Some(5) };
        let report = gather(question, |_, total| assert_eq!(total, 1)).await.unwrap().finish();
        assert_eq!((report.lines, report.errors.rows[0].1.count), (2, 2));
        seen.close();
        let mut requests = Vec::new();
        while let Some(request) = seen.recv().await {
            requests.push(request.to_lowercase());
        }
        let count = |what: &str| requests.iter().filter(|r| r.contains(what)).count();
        assert_eq!((requests.len(), count("delete /es/_search/scroll")), (6, 2));
        assert_eq!(count("authorization: basic ym9iomdlagvpbq=="), 6);
        assert_eq!(count(r#""gte":5"#), 2);
    }

    #[tokio::test]
    async fn what_the_server_says_is_said_without_the_password() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url: Url = format!("http://bob:geheim@{unused}").parse().unwrap();
        let question =
            Question { url, index: "x".into(), user: None, api_key: None, since_ms: None };
        let Err(why) = gather(question, |_, _| ()).await else { panic!("nobody is there") };
        assert!(why.contains("refused") && !why.contains("geheim"), "{why}");
    }
}
