//! The admin server: `/health`, `/ready`, `/metrics`, a status page and `/tap`.
//!
//! In: the process's health, metrics and taps. Out: HTTP answers. Promises: it never changes anything; `/health`
//! answers 200 as long as the process lives, with each part's state in the body, so that a server that is down does
//! not get the agent killed; `/ready` answers 503 until every input and journal works; who may ask for what is in
//! `guard.rs`. On failure: an address that is in use is said in health and the log; the agent goes on without.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::clock::SharedClock;
use crate::health::{Health, Part, State};
use crate::metrics::Metrics;
use crate::settings::Secret;
use crate::storage::SharedStorage;
use crate::tap::Taps;

pub mod figures;
mod guard;
mod letters;
mod page;
mod scrape;
mod watch;

use figures::Figures;
use guard::{Guard, Refusal, Shows};
use letters::Letters;

/// Between two looks at the metrics, for the page's rates.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the server shows.
pub struct Shown {
    /// The states of all parts.
    pub health: Health,
    /// The metrics of the process.
    pub metrics: Metrics,
    /// Where events can be looked at.
    pub taps: Taps,
    /// Time.
    pub clock: SharedClock,
    /// Files.
    pub storage: SharedStorage,
    /// Where journals and dead letters live.
    pub data: PathBuf,
    /// Who may ask; see `guard.rs`.
    pub token: Option<Secret>,
}

#[derive(Clone)]
struct Admin {
    health: Health,
    metrics: Metrics,
    taps: Taps,
    clock: SharedClock,
    guard: Guard,
    looks: Arc<Mutex<Looks>>,
    letters: Arc<Mutex<Letters>>,
}

/// The last two looks at the metrics, each with its time.
#[derive(Default)]
struct Looks {
    before: (u64, Figures),
    last: (u64, Figures),
}

/// Serves until the process ends.
pub async fn serve(address: SocketAddr, shown: Shown, part: Part) {
    let listener = match tokio::net::TcpListener::bind(address).await {
        Ok(listener) => listener,
        Err(why) => {
            part.set(State::Degraded(format!(
                "cannot listen on {address} for /health and /metrics: {why}; \
                 choose another address with --admin HOST:PORT, or --admin off"
            )));
            return;
        }
    };
    part.set(State::Fine);
    let admin = Admin {
        guard: Guard::new(address, shown.token),
        health: shown.health,
        metrics: shown.metrics,
        taps: shown.taps,
        clock: shown.clock,
        looks: Arc::default(),
        letters: Arc::new(Mutex::new(Letters::new(shown.storage, shown.data))),
    };
    tokio::spawn(look_again_and_again(admin.clone()));
    if let Err(why) = axum::serve(listener, router(admin)).await {
        part.set(State::Degraded(format!("the admin server ended: {why}")));
    }
}

fn router(admin: Admin) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/health", get(health_report))
        .route("/ready", get(ready))
        .route("/metrics", get(prometheus))
        .route("/tap", get(tap))
        .with_state(admin)
}

async fn look_again_and_again(admin: Admin) {
    loop {
        admin.look();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Admin {
    fn metrics_text(&self) -> String {
        self.metrics.render() + &scrape::render(&self.health.states())
    }

    fn look(&self) {
        let figures = Figures::parse(&self.metrics_text());
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let last = std::mem::replace(&mut looks.last, (self.clock.elapsed_ns(), figures));
        looks.before = last;
    }

    fn page(&self) -> String {
        let (states, past) = (self.health.states(), self.health.past());
        let metrics = self.metrics_text();
        let now = (self.clock.elapsed_ns(), Figures::parse(&metrics));
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        // Right after a look the one before it says more.
        let recent = now.0.saturating_sub(looks.last.0) < 1_000_000_000;
        let before = if recent { &looks.before } else { &looks.last };
        let seconds = now.0.saturating_sub(before.0) as f64 / 1e9;
        let pipelines = now.1.pipelines(&before.1, seconds);
        let with_letters = pipelines.iter().filter(|p| p.dead_letters > 0.0);
        let with_letters: Vec<_> =
            with_letters.map(|p| (p.name.clone(), p.dead_letters_bytes)).collect();
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        let reasons = letters.reasons(&with_letters, now.0);
        let looks = page::Looks { before: &before.1, now: &now.1, seconds, reasons };
        page::render(&states, &past, &looks, &metrics)
    }
}

fn refused(refusal: Refusal) -> Response {
    if refusal == Refusal::Token {
        let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"logweir\", charset=\"UTF-8\"")];
        return (StatusCode::UNAUTHORIZED, ask, refusal.text()).into_response();
    }
    (StatusCode::FORBIDDEN, refusal.text()).into_response()
}

async fn health_report(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], report(&admin.health.states()))
}

async fn ready(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    let waits = |(name, state): &(String, State)| {
        let needed = name.contains("/inputs.") || name.ends_with("/journal");
        needed && matches!(state, State::Starting | State::Paused(_))
    };
    let waiting: Vec<_> = admin.health.states().into_iter().filter(waits).collect();
    let status = if waiting.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], report(&waiting))
}

async fn prometheus(Shared(admin): Shared<Admin>, headers: HeaderMap) -> Response {
    if let Err(refusal) = admin.guard.check(Shows::Metrics, &headers) {
        return refused(refusal);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics_text()).into_response()
}

async fn status_page(Shared(admin): Shared<Admin>, headers: HeaderMap) -> Response {
    if let Err(refusal) = admin.guard.check(Shows::Events, &headers) {
        return refused(refusal);
    }
    // Dead letters are read from the disk.
    let page = tokio::task::spawn_blocking(move || admin.page()).await;
    match page {
        Ok(page) => ([(header::CACHE_CONTROL, "no-store")], Html(page)).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn tap(
    Shared(admin): Shared<Admin>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if let Err(refusal) = admin.guard.check(Shows::Events, &headers) {
        return refused(refusal);
    }
    match watch::body(&admin.taps, &query.unwrap_or_default()) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response(),
        Err((status, why)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, why + "\n").into_response()
        }
    }
}

/// The worst state of all, and every part's own.
fn report(states: &[(String, State)]) -> String {
    let worst = |rank: fn(&State) -> bool| states.iter().any(|(_, state)| rank(state));
    let status = if worst(|s| matches!(s, State::Paused(_))) {
        "paused"
    } else if worst(|s| matches!(s, State::Degraded(_))) {
        "degraded"
    } else if worst(|s| matches!(s, State::Starting)) {
        "starting"
    } else {
        "ok"
    };
    let part = |(name, state): &(String, State)| {
        let (word, reason) = match state {
            State::Fine => ("ok", None),
            State::Starting => ("starting", None),
            State::Degraded(why) => ("degraded", Some(why)),
            State::Paused(why) => ("paused", Some(why)),
        };
        (name.clone(), serde_json::json!({ "status": word, "reason": reason }))
    };
    let parts: serde_json::Map<_, _> = states.iter().map(part).collect();
    serde_json::json!({ "status": status, "parts": parts }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_the_worst_state_and_every_reason() {
        let states = [
            ("app/outputs.logs".to_string(), State::Paused("no node".into())),
            ("b".into(), State::Fine),
        ];
        assert_eq!(
            report(&states),
            r#"{"parts":{"app/outputs.logs":{"reason":"no node","status":"paused"},"b":{"reason":null,"status":"ok"}},"status":"paused"}"#
        );
    }
}
