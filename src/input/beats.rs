//! Events from Elastic's Beats and everything else that speaks Lumberjack: `type = "beats"`.
//!
//! Is: a listening input that acknowledges. In: settings `listen`, `max_connections`, `max_event`, `max_inflated`,
//! `idle_timeout`, `keepalive`, `tls`; then connections. Out: chunks with one JSON event a line (the `json` codec
//! is the one to use); each connection is a source with `source.ip` and `source.port`.
//! Promises: an event is acknowledged only when the journal has it on disk; a client that waits longer gets signs
//! of life, so that it does not send again; what a client sends costs bounded memory, compressed or not.
//! On failure: a connection that breaks the protocol is closed, counted, and logged at most once a minute; its
//! client sends again what was not acknowledged.

mod frame;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::listener::{Connection, Listener, Traffic};
use super::origin::Origin;
use super::{Input, InputContext, InputLoad};
use crate::delivery::BoxFuture;
use crate::limits;
use crate::settings::Section;
use frame::Bounds;
use session::{Session, Shared};

/// The input, loaded.
struct Beats {
    listener: Listener,
    bounds: Bounds,
    /// Milliseconds between signs of life.
    alive_ms: u64,
    origin: Origin,
}

/// Reads an `[inputs.NAME]` table with `type = "beats"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    Some(Box::new(Beats::read(section, load)?))
}

impl Beats {
    fn read(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Beats> {
        let listener = Listener::load(section, load, "\"0.0.0.0:5044\"");
        let bounds = bounds(section);
        let origin = Origin::load(load);
        let alive_ms = limits::BEATS_ALIVE_MS;
        Some(Beats { listener: listener?, bounds: bounds?, alive_ms, origin })
    }

    async fn serve(self, context: InputContext) {
        let traffic = Traffic::of(&context);
        let input = context.name;
        let shared = Arc::new(Shared::new(
            context.intake,
            context.clock,
            Arc::clone(&traffic),
            self.listener.idle,
            self.alive_ms,
            self.bounds,
        ));
        let handle = move |connection: Connection| {
            let source = self.origin.of_connection(&input, connection.peer);
            Session::run(connection, source, Arc::clone(&shared))
        };
        self.listener.serve(traffic, context.health, context.stop, handle).await;
    }
}

impl Input for Beats {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.serve(context))
    }
}

fn bounds(section: &Section<'_>) -> Option<Bounds> {
    let event = section.bytes_or("max_event", limits::BEATS_EVENT_BYTES_MAX as u64);
    let inflated_bytes_max = section.bytes_or("max_inflated", limits::BEATS_INFLATED_BYTES_MAX);
    if !(1024..=limits::LINE_BYTES_CEILING as u64).contains(&event) {
        let message = format!("`max_event` is {event} bytes, but must be from 1KiB to 64MiB");
        let hint = "the default is \"16MiB\"".to_string();
        section.error(section.span_of("max_event"), message, Some(hint));
        return None;
    }
    if inflated_bytes_max < event {
        let message = "`max_inflated` is less than `max_event`";
        let hint = "a compressed frame holds many events; the default is 256MiB".to_string();
        section.error(section.span_of("max_inflated"), message, Some(hint));
        return None;
    }
    Some(Bounds { event_bytes_max: event as usize, inflated_bytes_max, ..Bounds::USUAL })
}
