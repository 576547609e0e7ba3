//! The output at work against a server within the process, for a simulation.
//!
//! In: documents of a bulk request. Out: the server's answer, or how the connection ended. Promises: everything but
//! the HTTP client is the real output. On failure: as [`super`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::body::Body;
use super::failure::{Failure, FailureKind};
use super::request::{Answer, Client};
use super::settings::{Credentials, Settings};
use super::{fake, run};
use crate::delivery::{BoxFuture, OutputContext};

/// A document of a request.
pub(crate) struct Sent {
    /// Its index.
    pub index: String,
    /// Its `_id`.
    pub id: String,
    /// Its JSON text.
    pub body: String,
}

/// What becomes of a request.
pub(crate) enum Reply {
    /// Status and body.
    Answer(u16, String),
    /// No connection.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection broke.
    Broken,
}

/// A node of a cluster.
pub(crate) trait Server: Send + Sync {
    /// Takes a bulk request; an empty one asks whether the node answers.
    fn bulk(&self, host: usize, documents: Vec<Sent>) -> BoxFuture<'static, Reply>;
}

/// Settings that matter to a simulation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// Nodes.
    pub hosts: usize,
    /// Bytes of a request.
    pub bulk_bytes: usize,
    /// Requests under way.
    pub requests: usize,
    /// Bytes of refused documents that wait.
    pub waiting_bytes: usize,
    /// Whether requests are compressed.
    pub gzip: bool,
}

/// The output, as [`crate::output::Output::run`].
pub(crate) fn output(
    tuning: Tuning,
    server: Arc<dyn Server>,
    context: OutputContext,
) -> BoxFuture<'static, ()> {
    let url = |n| Url::parse(&format!("http://node{n}.test:9200/")).unwrap();
    let settings = Settings {
        hosts: (0..tuning.hosts).map(url).collect(),
        data_stream: false,
        credentials: Credentials::None,
        tls: Some(plain_tls()),
        gzip: tuning.gzip,
        bulk_bytes: tuning.bulk_bytes,
        bulk_wait: Duration::from_millis(20),
        requests: tuning.requests,
        waiting_bytes: tuning.waiting_bytes,
        timeout: Duration::from_secs(60),
        stable_ids: true,
        pipeline: None,
        template: None,
        retry_ms: (100, 5_000),
    };
    let client = Client::simulated(&settings, server).unwrap();
    Box::pin(run::run_with(settings, client, context))
}

/// A request to the server, as [`Client::bulk`].
pub(super) async fn bulk(server: &dyn Server, host: usize, body: Body) -> Result<Answer, Failure> {
    let sent = fake::parse(&body);
    let document = |s: fake::Sent| Sent { index: s.index, id: s.id, body: s.body };
    let fail = |kind| Err(Failure { kind, lasting: false, message: "failed as simulated".into() });
    match server.bulk(host, sent.into_iter().map(document).collect()).await {
        Reply::Answer(status, body) => {
            Ok(Answer { status, body: body.into_bytes().into(), location: None })
        }
        Reply::Unreachable => fail(FailureKind::Unreachable),
        Reply::TimedOut => fail(FailureKind::TimedOut),
        Reply::Broken => fail(FailureKind::Broken),
    }
}

fn plain_tls() -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
}
