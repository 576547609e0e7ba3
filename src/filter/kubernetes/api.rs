//! Lists and watches the pods of one node.
//!
//! In: the API server's address, a node, a service account. Out: changes to [`Pods`]. Source: "Kubernetes API
//! Concepts" (list, watch, bookmarks, 410 Gone). Promises: the list is read in pages; the watch goes on at the last
//! resource version that was seen, also when the server ends it, which it does every few minutes; the token is read
//! again for each request, because the kubelet replaces it; the thread ends with the filter. On failure: it is
//! tried again with growing pauses of at most half a minute; a version that is too old (410) is listed anew; what
//! is wrong is logged when it changes, counted, and shown by `logweir_kubernetes_connected`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use serde::Deserialize;
use tokio::sync::watch;

use super::pod::{Metadata, Pod};
use super::pods::Pods;
use crate::metrics::{Counter, Gauge, Metrics};
use crate::tls::ClientTls;

/// Pods in one answer.
const PAGE: &str = "500";
/// The server ends a watch after so many seconds; the connection counts as dead some time later.
const WATCH_SECONDS: u64 = 290;
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
const CONNECT_WAIT: Duration = Duration::from_secs(10);
const LIST_WAIT: Duration = Duration::from_secs(60);
/// One object's bytes at most; etcd keeps no larger one than 1.5 MiB.
const OBJECT_BYTES_MAX: usize = 8 << 20;

/// How pods are asked for.
#[derive(Clone)]
pub(super) struct Api {
    url: Url,
    node: String,
    token: PathBuf,
    tls: ClientTls,
    metrics: Metrics,
}

/// A watch that goes on; it ends when this is dropped.
pub(super) struct Watcher {
    _stop: watch::Sender<bool>,
}

struct Loop {
    api: Api,
    http: reqwest::Client,
    pods: Arc<Pods>,
    known: Gauge,
    connected: Gauge,
    failures: Counter,
}

/// Why the watch has to go on differently.
enum Trouble {
    /// The version is too old: list anew.
    Gone,
    /// Anything else: wait, and try again.
    Other(String),
}

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    #[serde(default)]
    items: Vec<Pod>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue", default)]
    more: String,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "type")]
    kind: String,
    object: serde_json::Value,
}

#[derive(Deserialize)]
struct Bookmark {
    metadata: Metadata,
}

impl Api {
    pub(super) fn new(
        url: Url,
        node: String,
        token: PathBuf,
        tls: ClientTls,
        metrics: Metrics,
    ) -> Api {
        Api { url, node, token, tls, metrics }
    }

    /// Lists and watches on a thread of its own.
    pub(super) fn watch(&self, pods: Arc<Pods>) -> Watcher {
        let (sender, mut stop) = watch::channel(false);
        let api = self.clone();
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let (Ok(runtime), Ok(mut work)) = (runtime, Loop::new(api, pods)) else {
                tracing::error!(
                    "the pods of this node cannot be watched: no network client can be made"
                );
                return;
            };
            runtime.block_on(async {
                tokio::select! {
                    () = work.run() => {}
                    // Also when the sender is dropped.
                    _ = stop.changed() => {}
                }
            });
            work.connected.set(0);
        };
        if let Err(why) = std::thread::Builder::new().name("kubernetes".into()).spawn(work) {
            tracing::error!("the pods of this node cannot be watched: {why}");
        }
        Watcher { _stop: sender }
    }
}

impl Loop {
    fn new(api: Api, pods: Arc<Pods>) -> Result<Loop, reqwest::Error> {
        let builder = crate::names::client()
            .user_agent(concat!("logweir/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WAIT)
            .tcp_keepalive(Duration::from_secs(30))
            .tls_backend_preconfigured(api.tls.config());
        let gauge = |name, help| api.metrics.gauge(name, help);
        let connected = "1 while the pods of this node are watched.";
        let failures = "Requests to the API server that failed.";
        Ok(Loop {
            http: builder.build()?,
            known: gauge("logweir_kubernetes_pods", "Pods of this node that are known."),
            connected: gauge("logweir_kubernetes_connected", connected),
            failures: api.metrics.counter("logweir_kubernetes_failures_total", failures),
            api,
            pods,
        })
    }

    async fn run(&mut self) {
        let (mut pause, mut said) = (PAUSE_FIRST, String::new());
        let mut version = None;
        loop {
            let seen = match version.take() {
                Some(version) => Ok(version),
                None => self.list().await,
            };
            let trouble = match seen {
                Err(trouble) => trouble,
                Ok(listed) => {
                    if !said.is_empty() {
                        tracing::info!("the pods of node {} are watched again", self.api.node);
                        said.clear();
                    }
                    pause = PAUSE_FIRST;
                    self.connected.set(1);
                    let mut at = listed;
                    match self.follow(&mut at).await {
                        // The server ended the watch, as it does from time to time.
                        Ok(()) => {
                            version = Some(at);
                            tokio::time::sleep(Duration::from_millis(10)).await;
                            continue;
                        }
                        Err(Trouble::Gone) => {
                            tokio::time::sleep(PAUSE_FIRST).await;
                            continue;
                        }
                        Err(trouble) => {
                            version = Some(at);
                            trouble
                        }
                    }
                }
            };
            self.failures.increment();
            self.connected.set(0);
            if let Trouble::Other(why) = trouble {
                if why != said {
                    tracing::warn!(
                        "the pods of node {} cannot be watched: {why}; events go on with what their path says",
                        self.api.node
                    );
                    said = why;
                }
                // After a pause anything may have happened: the list tells.
                version = None;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn list(&self) -> Result<String, Trouble> {
        let (mut all, mut more) = (Vec::new(), String::new());
        loop {
            let mut query = vec![("limit", PAGE)];
            if !more.is_empty() {
                query.push(("continue", more.as_str()));
            }
            let answer = self.get(&query, LIST_WAIT).await?;
            let body = answer.bytes().await.map_err(said)?;
            let page: List = serde_json::from_slice(&body)
                .map_err(|why| Trouble::Other(format!("the list of pods cannot be read: {why}")))?;
            all.extend(page.items);
            if page.metadata.more.is_empty() {
                // Before the pods: whoever sees them sees that, too.
                self.connected.set(1);
                self.pods.list(all);
                self.known.set(self.pods.count() as i64);
                return Ok(page.metadata.resource_version);
            }
            more = page.metadata.more;
        }
    }

    /// Takes changes until the server ends the watch; `version` is where to go on.
    async fn follow(&self, version: &mut String) -> Result<(), Trouble> {
        let seconds = WATCH_SECONDS.to_string();
        let from = version.clone();
        let query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", seconds.as_str()),
            ("resourceVersion", from.as_str()),
        ];
        let wait = Duration::from_secs(WATCH_SECONDS + 30);
        let mut answer = self.get(&query, wait).await?;
        let mut held = Vec::new();
        while let Some(piece) = answer.chunk().await.map_err(said)? {
            held.extend_from_slice(&piece);
            let mut from = 0;
            while let Some(end) = memchr::memchr(b'\n', &held[from..]) {
                self.take(&held[from..from + end], version)?;
                from += end + 1;
            }
            held.drain(..from);
            if held.len() > OBJECT_BYTES_MAX {
                return Err(Trouble::Other("a change of a pod is too large".to_string()));
            }
        }
        Ok(())
    }

    fn take(&self, line: &[u8], version: &mut String) -> Result<(), Trouble> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let unread = |why: serde_json::Error| {
            Trouble::Other(format!("a change of a pod cannot be read: {why}"))
        };
        let change: Change = serde_json::from_slice(line).map_err(unread)?;
        match change.kind.as_str() {
            "BOOKMARK" => {
                let bookmark: Bookmark = serde_json::from_value(change.object).map_err(unread)?;
                *version = bookmark.metadata.resource_version;
            }
            "ERROR" => {
                let code = change.object["code"].as_u64();
                let message = change.object["message"].as_str().unwrap_or_default();
                let gone = code == Some(410);
                let other = || Trouble::Other(format!("the API server ended the watch: {message}"));
                return Err(if gone { Trouble::Gone } else { other() });
            }
            kind => {
                let pod: Pod = serde_json::from_value(change.object).map_err(unread)?;
                version.clone_from(&pod.metadata.resource_version);
                if kind == "DELETED" {
                    self.pods.delete(pod);
                } else {
                    self.pods.set(pod);
                }
                self.known.set(self.pods.count() as i64);
            }
        }
        Ok(())
    }

    async fn get(
        &self,
        query: &[(&str, &str)],
        wait: Duration,
    ) -> Result<reqwest::Response, Trouble> {
        let mut url = self.api.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1", "pods"]);
        }
        let selector = format!("spec.nodeName={}", self.api.node);
        url.query_pairs_mut().append_pair("fieldSelector", &selector).extend_pairs(query);
        let mut request = self.http.get(url).timeout(wait).header("Accept", "application/json");
        // Without a token the server says what it thinks of that.
        if let Ok(token) = super::super::watched::read_text(&self.api.token) {
            request = request.bearer_auth(token.trim());
        }
        let answer = request.send().await.map_err(said)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if status == StatusCode::GONE {
            return Err(Trouble::Gone);
        }
        let text = answer.text().await.unwrap_or_default();
        let reason = serde_json::from_str::<serde_json::Value>(&text).ok();
        let reason = reason.as_ref().and_then(|r| r["message"].as_str()).unwrap_or_default();
        let hint = match status.as_u16() {
            401 => " (is the service account's token mounted?)",
            403 => " (its ClusterRole needs get, list and watch on pods)",
            _ => "",
        };
        Err(Trouble::Other(format!("the API server answers {status} {reason}{hint}")))
    }
}

/// The innermost cause, which says what happened ("connection refused").
fn said(error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    let mut at: &(dyn std::error::Error + 'static) = &error;
    loop {
        // rustls says that at length.
        let io = at.downcast_ref::<std::io::Error>();
        if io.is_some_and(|why| why.kind() == std::io::ErrorKind::UnexpectedEof) {
            return Trouble::Other("the API server cut the connection".to_string());
        }
        match at.source() {
            Some(source) => at = source,
            None => return Trouble::Other(at.to_string()),
        }
    }
}
