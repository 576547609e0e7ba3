//! Events from Fluentd, Fluent Bit, Docker's `fluentd` log driver and all that speaks the forward protocol:
//! `type = "forward"`.
//!
//! Is: a listening input that acknowledges. In: settings `listen`, `shared_key`, `max_message`, `max_inflated`, and
//! those of every listening input; then connections. Out: chunks with one JSON event a line (the `json` codec is the
//! one to use), its tag in `@metadata.tag`; each connection is a source with `source.ip` and `source.port`.
//! Promises: a message that asks for it is acknowledged only when the journal has it on disk; what a client sends
//! costs bounded memory, compressed or not. On failure: a connection that breaks the protocol is closed, counted, and
//! logged at most once a minute; its client sends again what was not acknowledged.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod handshake;
mod message;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::listener::{Connection, Listener, Traffic};
use super::origin::Origin;
use super::{Input, InputContext, InputLoad};
use crate::delivery::BoxFuture;
use crate::limits;
use crate::settings::{Secret, Section};
use handshake::SharedKey;
use session::{Session, Shared};

/// The input, loaded.
struct Forward {
    listener: Listener,
    message_bytes_max: usize,
    inflated_bytes_max: u64,
    shared_key: Option<Secret>,
    origin: Origin,
}

/// Reads an `[inputs.NAME]` table with `type = "forward"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    Some(Box::new(Forward::read(section, load)?))
}

impl Forward {
    fn read(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Forward> {
        let listener = Listener::load(section, load, "\"0.0.0.0:24224\"");
        let message = section.bytes_or("max_message", limits::FORWARD_MESSAGE_BYTES_MAX as u64);
        let inflated = section.bytes_or("max_inflated", limits::FORWARD_INFLATED_BYTES_MAX);
        let shared_key = section.secret("shared_key").map(|key| key.value);
        let refused = section.has("shared_key") && shared_key.is_none();
        let origin = Origin::load(load);
        if !(1024..=1 << 30).contains(&message) {
            let message =
                format!("`max_message` is {message} bytes, but must be from 1KiB to 1GiB");
            section.error(section.span_of("max_message"), message, None);
            return None;
        }
        let listener = listener.filter(|_| !refused)?;
        Some(Forward {
            listener,
            message_bytes_max: message as usize,
            inflated_bytes_max: inflated,
            shared_key,
            origin,
        })
    }

    async fn serve(self, context: InputContext) {
        let traffic = Traffic::of(&context);
        let input = context.name;
        let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let key = self.shared_key.map(|key| SharedKey { key, hostname });
        let shared = Arc::new(Shared {
            intake: context.intake,
            clock: context.clock,
            traffic: Arc::clone(&traffic),
            idle: self.listener.idle,
            message_bytes_max: self.message_bytes_max,
            inflated_bytes_max: self.inflated_bytes_max,
            key,
        });
        let handle = move |connection: Connection| {
            let source = self.origin.of_connection(&input, connection.peer);
            Session::run(connection, source, Arc::clone(&shared))
        };
        self.listener.serve(traffic, context.health, context.stop, handle).await;
    }
}

impl Input for Forward {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.serve(context))
    }
}
