//! Lines over TCP: `type = "tcp"`.
//!
//! Is: a listening input for any client that writes lines (JSON or plain), with or without TLS.
//! In: settings `listen`, `max_connections`, `max_line`, `idle_timeout`, `keepalive`, `tls`; then connections.
//! Out: chunks of whole lines; each connection is a source with `source.ip` and `source.port`.
//! Promises: lines of one connection keep their order; a line longer than `max_line` comes in flagged pieces; a
//! silent client holds a few KiB, all clients together a bounded number of bytes; while the pipeline is busy
//! sockets are not read. TCP has no acknowledgement: what the kernel took and we did not is lost with the machine.
//! On failure: a bad client is counted, logged at most once a minute, and never touches another one.

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod lines;
pub(super) mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::listener::{Connection, Listener, Traffic};
use super::origin::Origin;
use super::{Input, InputContext, InputLoad};
use crate::delivery::BoxFuture;
use crate::limits;
use crate::settings::Section;
use session::{Session, Shared};

/// The input, loaded.
struct Tcp {
    listener: Listener,
    line_bytes_max: usize,
    origin: Origin,
}

/// Reads an `[inputs.NAME]` table with `type = "tcp"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    Some(Box::new(Tcp::read(section, load)?))
}

impl Tcp {
    fn read(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Tcp> {
        let listener = Listener::load(section, load, "\"0.0.0.0:5000\"");
        let line_bytes_max = line_bytes_max(section);
        let origin = Origin::load(load);
        Some(Tcp { listener: listener?, line_bytes_max: line_bytes_max?, origin })
    }

    async fn serve(self, context: InputContext) {
        let traffic = Traffic::of(&context);
        let input = context.name;
        let shared = Arc::new(Shared::new(
            context.intake,
            context.clock,
            Arc::clone(&traffic),
            self.listener.idle,
            self.line_bytes_max,
        ));
        let handle = move |connection: Connection| {
            let source = self.origin.of_connection(&input, connection.peer);
            Session::new(connection, source, Arc::clone(&shared)).run()
        };
        self.listener.serve(traffic, context.health, context.stop, handle).await;
    }
}

impl Input for Tcp {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.serve(context))
    }
}

/// The longest line that is kept whole.
pub(super) fn line_bytes_max(section: &Section<'_>) -> Option<usize> {
    let bytes = section.bytes_or("max_line", limits::LINE_BYTES_MAX as u64);
    let bounds = 16..=limits::LINE_BYTES_CEILING as u64;
    if bounds.contains(&bytes) {
        return Some(bytes as usize);
    }
    let message = format!("`max_line` is {bytes} bytes, but must be from 16 bytes to 64MiB");
    section.error(section.span_of("max_line"), message, None);
    None
}
