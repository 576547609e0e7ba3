//! The requests of one connection.
//!
//! In: a connection. Out: chunks, and an answer to each request once its events are stored. Promises: a body is taken
//! whole or not at all; a connection that sends no request, or nothing of a body, for `idle_timeout` is closed; a
//! request that is under way when the agent stops is answered. On failure: a status and a sentence for the client.

use std::future::poll_fn;
use std::io::Read;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::super::listener::{Connection, Traffic, stopped};
use super::body::{self, Form, Refusal};
use crate::budget::{Memory, Use};
use crate::chunk::{self, Chunk, Intake};
use crate::clock::SharedClock;
use crate::event::Source;
use crate::limits::CHUNK_BYTES;

/// What all connections of one input share.
pub(super) struct Shared {
    pub(super) intake: Intake,
    pub(super) clock: SharedClock,
    pub(super) traffic: Arc<Traffic>,
    pub(super) idle: Duration,
    /// Longest body, before and after it is inflated.
    pub(super) body_bytes_max: usize,
    /// The header `Authorization` that is asked for.
    pub(super) login: Option<String>,
}

/// A connection at work.
struct Client {
    shared: Arc<Shared>,
    source: Arc<Source>,
    peer: SocketAddr,
    /// Bytes handed on.
    offset: AtomicU64,
    /// Told at each request that was taken.
    useful: Notify,
}

/// What is answered when a request cannot be taken.
type Answer = (StatusCode, String);

/// Serves a connection to its end.
pub(super) async fn serve(connection: Connection, source: Arc<Source>, shared: Arc<Shared>) {
    let Connection { stream, peer, mut stop, mut guest } = connection;
    let idle = shared.idle;
    let client =
        Arc::new(Client { shared, source, peer, offset: AtomicU64::new(0), useful: Notify::new() });
    let of_service = Arc::clone(&client);
    let service = service_fn(move |request| {
        let client = Arc::clone(&of_service);
        async move { Ok::<_, std::convert::Infallible>(client.answer(request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(idle).keep_alive(true);
    let mut serving = pin!(server.serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            result = &mut serving => {
                if let Err(why) = result {
                    client.ended(&why);
                }
                break;
            }
            () = client.useful.notified() => guest.is_of_use(),
            () = guest.told_to_go() => {
                client.shared.traffic.gave_way();
                break;
            }
            () = stopped(&mut stop) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
                break;
            }
        }
    }
    if client.offset.load(Ordering::Relaxed) > 0 {
        let _ = client.submit(Vec::new(), true, None).await;
    }
}

impl Client {
    fn ended(&self, why: &hyper::Error) {
        let complaints = &self.shared.traffic.complaints;
        if why.is_parse() {
            complaints.report(
                "not_http",
                self.peer,
                "what the client sends is no HTTP/1.1: closed",
            );
        } else if why.is_timeout() {
            self.shared.traffic.silent();
        } else {
            tracing::debug!(peer = %self.peer, "connection ended: {why}");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (status, text) = match self.take(request).await {
            Ok(()) => (StatusCode::OK, "ok\n".to_string()),
            Err((status, why)) => {
                if status.is_client_error() {
                    self.shared.traffic.complaints.report("refused", self.peer, &why);
                }
                (status, format!("{why}\n"))
            }
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers
                .insert(WWW_AUTHENTICATE, "Basic realm=\"logweir\"".parse().expect("it is ASCII"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, "POST, PUT, GET, HEAD".parse().expect("it is ASCII"));
        }
        response
    }

    async fn take(&self, request: Request<Incoming>) -> Result<(), Answer> {
        let header = |name| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        if let Some(login) = &self.shared.login
            && !same(header(AUTHORIZATION).as_bytes(), login.as_bytes())
        {
            return Err((StatusCode::UNAUTHORIZED, "user and password are needed".into()));
        }
        match *request.method() {
            Method::POST | Method::PUT => {}
            Method::GET | Method::HEAD => return Ok(()),
            _ => return Err((StatusCode::METHOD_NOT_ALLOWED, "send events with POST".into())),
        }
        let tag = request.uri().path().trim_matches('/').replace('/', ".");
        let encoding = header(CONTENT_ENCODING).to_ascii_lowercase();
        let kind = header(CONTENT_TYPE).to_string();
        let mut memory = self.shared.intake.budget().hold(Use::Connections, 0);
        let body = self.body(request.into_body(), &mut memory).await?;
        let body = self.inflated(body, &encoding)?;
        let mut lines = Vec::new();
        memory.set(2 * body.len() as u64);
        let refused = |Refusal(why)| (StatusCode::BAD_REQUEST, why.to_string());
        body::lines(Form::of(&kind, &body), &body, &tag, &mut lines).map_err(refused)?;
        drop(body);
        memory.set(lines.capacity() as u64);
        self.useful.notify_one();
        self.store(lines).await
    }

    /// A whole body, as it came.
    async fn body(&self, body: Incoming, memory: &mut Memory) -> Result<Vec<u8>, Answer> {
        let most = self.shared.body_bytes_max;
        let mut body = pin!(body);
        let mut whole = Vec::new();
        loop {
            let read = timeout(self.shared.idle, next_bytes(body.as_mut())).await;
            let Ok(read) = read else {
                self.shared.traffic.silent();
                return Err((StatusCode::REQUEST_TIMEOUT, "the body did not come".into()));
            };
            let Some(bytes) = read? else { return Ok(whole) };
            self.shared.traffic.bytes.add(bytes.len() as u64);
            if whole.len() + bytes.len() > most {
                let why = format!("the body is longer than {most} bytes; raise `max_body`");
                return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
            }
            whole.extend_from_slice(&bytes);
            memory.set(whole.capacity() as u64);
            self.within_share(memory)?;
        }
    }

    /// When all clients together hold too much, who holds more than anybody may comes again later.
    fn within_share(&self, memory: &Memory) -> Result<(), Answer> {
        let budget = self.shared.intake.budget();
        let too_much = budget.used(Use::Connections) > budget.connections_max() as u64;
        if !too_much || memory.bytes() <= 4 * budget.connection_min() as u64 {
            return Ok(());
        }
        let why = "all clients together send more at once than is held; send it again";
        Err((StatusCode::SERVICE_UNAVAILABLE, why.into()))
    }

    fn inflated(&self, body: Vec<u8>, encoding: &str) -> Result<Vec<u8>, Answer> {
        let most = self.shared.body_bytes_max;
        let mut out = Vec::new();
        let mut inflate =
            |reader: &mut dyn Read| reader.take(most as u64 + 1).read_to_end(&mut out);
        let read = match encoding {
            "" | "identity" => return Ok(body),
            "gzip" | "x-gzip" => inflate(&mut MultiGzDecoder::new(&body[..])),
            "deflate" => inflate(&mut ZlibDecoder::new(&body[..])),
            _ => {
                let why = "the body may be plain, gzip or deflate".to_string();
                return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
            }
        };
        let damaged = |why| (StatusCode::BAD_REQUEST, format!("the body is damaged: {why}"));
        read.map_err(damaged)?;
        if out.len() > most {
            let why = format!("the body inflates to more than {most} bytes; raise `max_body`");
            return Err((StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        Ok(out)
    }

    /// Hands on the lines, and waits until the journal has them.
    async fn store(&self, lines: Vec<u8>) -> Result<(), Answer> {
        let stops = (StatusCode::SERVICE_UNAVAILABLE, "the agent stops; send it again".to_string());
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let window = &rest[..rest.len().min(CHUNK_BYTES)];
            let cut = memchr::memrchr(b'\n', window).or_else(|| memchr::memchr(b'\n', rest));
            let (text, behind) = rest.split_at(cut.map_or(rest.len(), |at| at + 1));
            rest = behind;
            let (sender, stored) = chunk::ack();
            let ack = rest.is_empty().then_some(sender);
            self.submit(text.to_vec(), false, ack).await.map_err(|_| stops.clone())?;
            if rest.is_empty() {
                stored.wait().await.map_err(|_| stops.clone())?;
            }
        }
        Ok(())
    }

    async fn submit(
        &self,
        text: Vec<u8>,
        last: bool,
        ack: Option<chunk::Ack>,
    ) -> Result<(), chunk::Closed> {
        let chunk = Chunk {
            offset: self.offset.fetch_add(text.len() as u64, Ordering::Relaxed),
            text,
            source: Arc::clone(&self.source),
            received_ns: self.shared.clock.now_ns(),
            piece: false,
            last,
            position: None,
            told: Vec::new(),
            ack,
            memory: None,
        };
        self.shared.intake.submit(chunk).await
    }
}

/// The next bytes of a body; `None`: it ended.
async fn next_bytes(mut body: Pin<&mut Incoming>) -> Result<Option<Bytes>, Answer> {
    loop {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context)).await;
        match frame.transpose() {
            Ok(None) => return Ok(None),
            // Trailers say nothing here.
            Ok(Some(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Err(why) => {
                return Err((StatusCode::BAD_REQUEST, format!("the body broke off: {why}")));
            }
        }
    }
}

/// Compares without telling by the time how much is equal.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |d, (a, b)| d | (a ^ b)) == 0
}
