//! Output `forward`: events to Fluentd, Fluent Bit, and all that speaks the forward protocol.
//!
//! In: frames. Out: messages, each with the entries of one tag. Promises: a document is done when the receiver has
//! acknowledged the message that held it; one message is under way at a time, so that the documents of a tag arrive
//! in the order of the journal; what has no answer is sent again, to the next of the servers, with growing pauses,
//! for ever. A message whose acknowledgement was lost comes twice: the protocol is at-least-once. A document's time is
//! the entry's, and no field. On failure: health says `paused` with the cause; nothing is lost.

mod message;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::connect::Server;
use super::open::Open;
use super::{Output, OutputLoad, connect};
use crate::delivery::{BoxFuture, OutputContext};
use crate::frame::Frame;
use crate::health::State;
use crate::limits;
use crate::metrics::Counter;
use crate::settings::{Secret, Section};
use crate::template::Template;
use crate::tls::ClientTls;
use message::Message;
use session::Session;

/// The port of the protocol.
const PORT: u16 = 24224;
/// How long a message that is under way at a stop may still be acknowledged.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// What both ends show that they know.
struct Login {
    shared_key: Secret,
    user: Option<(String, Secret)>,
    /// What we call ourselves.
    hostname: String,
}

struct Forward {
    servers: Vec<Server>,
    tag: Template,
    login: Option<Login>,
    tls: Option<Arc<ClientConfig>>,
    gzip: bool,
    batch_bytes: usize,
    timeout: Duration,
}

/// The output at work.
struct Worker {
    context: OutputContext,
    forward: Forward,
    session: Option<Session>,
    /// The server that is used, or tried next.
    server: usize,
    delivered: Counter,
    requests: Counter,
    retry_ms: u64,
}

/// The agent stops.
struct Stopped;

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let servers = connect::servers(section, PORT, "collector.example:24224");
    let text = section.string_or("tag", "{@metadata.tag:-logweir}");
    let tag = Template::load(section, &text, load.keys);
    let login = login(section);
    let gzip = section.choice_or("compression", &[("gzip", true), ("none", false)], false);
    let batch_bytes = section.bytes_or("batch_size", limits::HTTP_BATCH_BYTES_MAX as u64);
    let timeout = section.duration_or("timeout", Duration::from_secs(60));
    let tls = match section.section("tls") {
        Some(table) => Some(Arc::new(ClientTls::load(table)?.config())),
        None => None,
    };
    section.not_zero("batch_size", batch_bytes == 0, "1MiB")?;
    section.not_zero("timeout", timeout.is_zero(), "30s")?;
    let (servers, tag, login) = (servers?, tag?, login?);
    let batch_bytes = batch_bytes as usize;
    Some(Box::new(Forward { servers, tag, login, tls, gzip, batch_bytes, timeout }))
}

/// `shared_key`, `user` and `password`; `Some(None)`: nobody is asked who we are.
fn login(section: &Section<'_>) -> Option<Option<Login>> {
    let key = section.secret("shared_key");
    let (user, password) = (section.string("user"), section.secret("password"));
    if section.has("shared_key") && key.is_none() || section.has("password") && password.is_none() {
        return None;
    }
    let user = match (user, password) {
        (Some(user), Some(password)) => Some((user.value, password.value)),
        (None, None) => None,
        _ => {
            let hint = "set both, or none".to_string();
            section.error(section.span(), "of `user` and `password` one is missing", Some(hint));
            return None;
        }
    };
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    match key {
        Some(key) => Some(Some(Login { shared_key: key.value, user, hostname })),
        None if user.is_some() => {
            let hint = "the receiver has one where it asks for users".to_string();
            section.error(section.span_of("user"), "`user` needs a `shared_key`", Some(hint));
            None
        }
        None => Some(None),
    }
}

impl Output for Forward {
    fn address(&self) -> Option<&Template> {
        Some(&self.tag)
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        let metrics = &context.metrics;
        let worker = Worker {
            delivered: super::delivered(metrics),
            requests: metrics.counter("logweir_output_requests_total", "Requests sent."),
            retry_ms: limits::RETRY_FIRST_MS,
            session: None,
            server: 0,
            forward: *self,
            context,
        };
        Box::pin(async move {
            // A stop ends it in the middle; what was not reported done comes again.
            let _ = worker.work().await;
        })
    }
}

impl Worker {
    async fn work(mut self) -> Result<(), Stopped> {
        self.context.health.set(State::Fine);
        let enough = self.forward.batch_bytes;
        while let Some(frames) = super::next_frames(&mut self.context, enough, Duration::ZERO).await
        {
            let mut open = Open::new(&frames, self.context.bit);
            for (message, places) in self.messages(&frames) {
                self.deliver(&message).await?;
                for place in places {
                    open.settle(place);
                }
                // A stop while the others are under way does not send it again.
                if let Some(sequence) = open.done() {
                    self.context.feed.done(sequence);
                }
            }
            if let Some(sequence) = open.done() {
                self.context.feed.done(sequence);
            }
        }
        Ok(())
    }

    /// The frames' documents, those of a tag together, in the order in which the tags come; with each message the place
    /// of each document's frame.
    fn messages(&self, frames: &[Arc<Frame>]) -> Vec<(Message, Vec<usize>)> {
        let (bit, mut messages) = (self.context.bit, Vec::<(Message, Vec<usize>)>::new());
        for (place, frame) in frames.iter().enumerate() {
            for document in frame.documents().filter(|d| d.routes & (1 << bit) != 0) {
                let tag = document.address(bit).unwrap_or(b"logweir");
                let fits = |(message, _): &&mut (Message, Vec<usize>)| {
                    message.is_for(tag) && message.bytes() < self.forward.batch_bytes
                };
                match messages.iter_mut().rev().find(fits) {
                    Some((message, places)) => {
                        message.add(document.time_ns, document.body);
                        places.push(place);
                    }
                    None => {
                        let mut message = Message::new(tag);
                        message.add(document.time_ns, document.body);
                        messages.push((message, vec![place]));
                    }
                }
            }
        }
        messages
    }

    /// Sends a message until a receiver has acknowledged it.
    async fn deliver(&mut self, message: &Message) -> Result<(), Stopped> {
        loop {
            self.requests.increment();
            let why = match self.attempt(message).await? {
                Ok(()) => {
                    self.retry_ms = limits::RETRY_FIRST_MS;
                    self.context.health.set(State::Fine);
                    self.delivered.add(message.count() as u64);
                    return Ok(());
                }
                Err(why) => why,
            };
            self.session = None;
            let server = &self.forward.servers[self.server];
            let why = format!("{server}: {why}; {}", self.context.keeping);
            self.server = (self.server + 1) % self.forward.servers.len();
            self.context.health.set(State::Paused(why));
            let pause = Duration::from_millis(self.retry_ms);
            self.retry_ms = (2 * self.retry_ms).min(limits::RETRY_MAX_MS);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.context.stop.wait_for(|stop| *stop) => return Err(Stopped),
            }
        }
    }

    async fn attempt(&mut self, message: &Message) -> Result<Result<(), String>, Stopped> {
        let (forward, session) = (&self.forward, &mut self.session);
        let server = &forward.servers[self.server];
        let mut stop = self.context.stop.clone();
        let work = async {
            let open = match session.take() {
                Some(open) => open,
                None => Session::open(server, forward).await?,
            };
            session.insert(open).send(message, forward.gzip, forward.timeout).await
        };
        let ending = async {
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(LAST_WAIT).await;
        };
        tokio::select! {
            result = work => Ok(result),
            () = ending => Err(Stopped),
        }
    }
}
