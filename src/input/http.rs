//! Events in HTTP requests: `type = "http"`.
//!
//! Is: a small HTTP server. In: settings `listen`, `user`, `password`, `max_body`, and those of every listening input;
//! then requests with `POST` or `PUT` whose bodies are JSON, lines of JSON, MessagePack or text, perhaps gzip.
//! Out: chunks with one JSON event a line (the `json` codec is the one to use); the request's path with dots for
//! slashes is `@metadata.tag`, as in Fluentd; each connection is a source with `source.ip` and `source.port`.
//! Promises: 200 is answered only when the journal has the whole body on disk; while the pipeline is busy requests
//! wait; all bodies together are bounded (503 beyond that), as is each (413). `GET` and `HEAD` answer 200, for those
//! who look whether somebody is there. On failure: 400 with what is wrong; nothing of such a body is taken.

mod body;
mod service;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::listener::{Connection, Listener, Traffic};
use super::origin::Origin;
use super::{Input, InputContext, InputLoad};
use crate::delivery::BoxFuture;
use crate::limits;
use crate::settings::{Secret, Section, basic_authorization};
use service::Shared;

#[cfg(any(test, fuzzing))]
pub(crate) use body::http_body;

/// The input, loaded.
struct Http {
    listener: Listener,
    /// Who may send, if not everybody.
    login: Option<(String, Secret)>,
    body_bytes_max: usize,
    origin: Origin,
}

/// Reads an `[inputs.NAME]` table with `type = "http"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    Some(Box::new(Http::read(section, load)?))
}

impl Http {
    fn read(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Http> {
        let listener = Listener::load(section, load, "\"0.0.0.0:8080\"");
        let body = section.bytes_or("max_body", limits::HTTP_BODY_BYTES_MAX as u64);
        let (user, password) = (section.string("user"), section.secret("password"));
        let origin = Origin::load(load);
        if !(1024..=1 << 30).contains(&body) {
            let message = format!("`max_body` is {body} bytes, but must be from 1KiB to 1GiB");
            section.error(section.span_of("max_body"), message, None);
            return None;
        }
        let login = match (user, password) {
            (Some(user), Some(password)) => Some((user.value, password.value)),
            (None, None) if !section.has("password") => None,
            _ if section.has("user") && section.has("password") => return None,
            (user, _) => {
                let (there, missing) =
                    if user.is_some() { ("user", "password") } else { ("password", "user") };
                let message = format!("`{there}` is set, but `{missing}` is not");
                section.error(section.span_of(there), message, Some(format!("add `{missing}`")));
                return None;
            }
        };
        let listener = listener?;
        Some(Http { listener, login, body_bytes_max: body as usize, origin })
    }

    async fn serve(self, context: InputContext) {
        let traffic = Traffic::of(&context);
        let input = context.name;
        let shared = Arc::new(Shared {
            intake: context.intake,
            clock: context.clock,
            traffic: Arc::clone(&traffic),
            idle: self.listener.idle,
            body_bytes_max: self.body_bytes_max,
            login: self.login.map(|(user, password)| basic_authorization(&user, &password)),
        });
        let handle = move |connection: Connection| {
            let source = self.origin.of_connection(&input, connection.peer);
            service::serve(connection, source, Arc::clone(&shared))
        };
        self.listener.serve(traffic, context.health, context.stop, handle).await;
    }
}

impl Input for Http {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.serve(context))
    }
}
