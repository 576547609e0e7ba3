//! The admin server: `/health`, `/ready`, `/metrics` and a status page.
//!
//! In: the process's health and metrics. Out: HTTP answers. Promises: it never changes anything; `/health` answers
//! 200 as long as the process lives, with each part's state in the body, so that a server that is down does not get
//! the agent killed; `/ready` answers 503 until every input and journal works.
//! On failure: an address that is in use is said in health and the log; the agent goes on without.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::get;

use crate::health::{Health, Part, State};
use crate::metrics::Metrics;

mod page;

#[derive(Clone)]
struct Admin {
    health: Health,
    metrics: Metrics,
}

/// Serves until the process ends.
pub async fn serve(address: SocketAddr, health: Health, metrics: Metrics, part: Part) {
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
    let app = Router::new()
        .route("/", get(status_page))
        .route("/health", get(health_report))
        .route("/ready", get(ready))
        .route("/metrics", get(prometheus))
        .with_state(Admin { health, metrics });
    if let Err(why) = axum::serve(listener, app).await {
        part.set(State::Degraded(format!("the admin server ended: {why}")));
    }
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

async fn prometheus(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], admin.metrics.render())
}

async fn status_page(Shared(admin): Shared<Admin>) -> impl IntoResponse {
    Html(page::render(&admin.health.states(), &admin.metrics.render()))
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
