//! Output `slack`: events as messages to a Slack webhook.
//!
//! In: frames. Out: at most one request a second (Slack's documented rate for incoming webhooks). Promises: equal
//! messages (numbers, ids and addresses masked) become one with a count and its first and last time; when there are
//! more kinds than a message holds, the rest follows in the next ones; what was folded or skipped is counted and
//! said; `Retry-After` is obeyed; text is escaped. A document is done when the message that counts it was accepted.
//! On failure: what may pass is tried again with growing pauses while frames go on being folded, so that the memory
//! is bounded; a webhook that is refused (403, 404, 410) pauses the output and says so.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::event::Keys;
use crate::frame::Frame;
use crate::health::State;
use crate::limits;
use crate::metrics::Counter;
use crate::settings::{Secret, Section};
use crate::template::Template;

mod digest;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod message;
mod request;

use digest::Digest;
use message::Renderer;
use request::{Answer, Post, Webhook};

/// Shortest time between two requests.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);

struct Slack {
    settings: Settings,
    text: Template,
    keys: Keys,
}

struct Settings {
    webhook: Secret,
    channel: Option<String>,
    username: Option<String>,
    icon_emoji: Option<String>,
    title: Option<String>,
    /// How long equal messages are collected before the first of them is sent.
    group_wait: Duration,
}

/// The output at work.
struct Worker<P> {
    context: OutputContext,
    settings: Settings,
    webhook: P,
    renderer: Renderer,
    digest: Digest,
    /// The last frame that was folded in.
    folded: Option<u64>,
    /// When the next request may go out.
    next_request: Instant,
    retry: Duration,
    delivered: Counter,
    requests: Counter,
}

/// What the worker does next.
enum Next {
    Stop,
    Send,
    Frame(Arc<Frame>),
}

pub(super) fn load(section: &Section<'_>, _: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    // The template reads finished documents, not the pipeline's events: it has names of its own.
    let mut keys = Keys::default();
    let text = section.string_or("text", "*{level:-EVENT}* {message:-(no message)}");
    let template = Template::load(section, &text, &mut keys);
    let plain = |key| section.string(key).map(|s| s.value);
    let (channel, username) = (plain("channel"), plain("username"));
    let (icon_emoji, title) = (plain("icon_emoji"), plain("title"));
    let group_wait = section.duration_or("group_wait", Duration::from_secs(2));
    if section.item("webhook_url").is_none() {
        section.missing("webhook_url", "\"${SLACK_WEBHOOK_URL}\"");
    }
    let webhook = section.secret("webhook_url")?;
    if !webhook.reveal().starts_with("https://") && !webhook.reveal().starts_with("http://") {
        let hint = "copy the address that Slack shows under Incoming Webhooks".to_string();
        section.error(webhook.span.clone(), "`webhook_url` is not a web address", Some(hint));
        return None;
    }
    let webhook = webhook.value;
    let settings = Settings { webhook, channel, username, icon_emoji, title, group_wait };
    Some(Box::new(Slack { settings, text: template?, keys }))
}

impl Output for Slack {
    fn address(&self) -> Option<&Template> {
        None
    }

    // A chat is no archive: when it is down for long, it must not fill the disk or stop the others.
    fn best_effort_by_default(&self) -> bool {
        true
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut context = context;
            let webhook = match Webhook::new(self.settings.webhook.clone()) {
                Ok(webhook) => webhook,
                Err(why) => {
                    context.health.set(State::Paused(format!("cannot make an HTTP client: {why}")));
                    let _ = context.stop.wait_for(|stop| *stop).await;
                    return;
                }
            };
            let renderer = Renderer::new(self.text, Arc::new(self.keys));
            Worker::new(context, self.settings, webhook, renderer).run().await;
        })
    }
}

impl<P: Post> Worker<P> {
    fn new(context: OutputContext, settings: Settings, webhook: P, renderer: Renderer) -> Self {
        let delivered = super::delivered(&context.metrics);
        let requests = context.metrics.counter("logweir_output_requests_total", "Requests sent.");
        Worker {
            context,
            settings,
            webhook,
            renderer,
            digest: Digest::default(),
            folded: None,
            next_request: Instant::now(),
            retry: Duration::from_millis(limits::RETRY_FIRST_MS),
            delivered,
            requests,
        }
    }

    async fn run(mut self) {
        self.context.health.set(State::Fine);
        loop {
            let due = self.digest.collecting_since().map(|since| {
                let wait =
                    if self.digest.is_full() { Duration::ZERO } else { self.settings.group_wait };
                (since + wait).max(self.next_request)
            });
            let next = tokio::select! {
                biased;
                _ = self.context.stop.wait_for(|stop| *stop) => Next::Stop,
                () = at(due) => Next::Send,
                frame = self.context.feed.next() => frame.map_or(Next::Stop, Next::Frame),
            };
            match next {
                Next::Stop => return self.leave().await,
                Next::Send => self.send().await,
                Next::Frame(frame) => self.fold(&frame),
            }
        }
    }

    fn fold(&mut self, frame: &Arc<Frame>) {
        let bit = self.context.bit;
        for document in frame.documents().filter(|d| d.routes & (1 << bit) != 0) {
            let text = self.renderer.render(document.body, document.time_ns);
            self.digest.add(&text, document.time_ns);
        }
        if self.digest.is_empty() {
            self.context.feed.done(frame.sequence());
        } else {
            self.folded = Some(frame.sequence());
        }
    }

    /// Sends one message; on success what it told is done.
    async fn send(&mut self) {
        let (text, told) = self.digest.message(self.settings.title.as_deref());
        let body = self.settings.body(&text);
        self.requests.increment();
        let answer = self.webhook.post(body).await;
        let now = Instant::now();
        match answer {
            Answer::Accepted => {
                self.next_request = now + REQUEST_INTERVAL;
                self.retry = Duration::from_millis(limits::RETRY_FIRST_MS);
                self.delivered.add(self.digest.told(told));
                self.context.health.set(State::Fine);
                if self.digest.is_empty()
                    && let Some(sequence) = self.folded.take()
                {
                    self.context.feed.done(sequence);
                }
            }
            Answer::Wait(pause) => self.next_request = now + pause.max(REQUEST_INTERVAL),
            Answer::Later(why) => {
                self.next_request = now + self.retry.max(REQUEST_INTERVAL);
                self.retry = (self.retry * 2).min(Duration::from_millis(limits::RETRY_MAX_MS));
                self.context.health.set(State::Degraded(format!(
                    "Slack cannot be reached: {why}; messages are folded and sent when it answers again"
                )));
            }
            Answer::Refused(why) => {
                self.next_request = now + Duration::from_millis(limits::RETRY_MAX_MS);
                self.context.health.set(State::Paused(format!(
                    "Slack refuses the webhook: {why}; make a new one and set `webhook_url`"
                )));
            }
        }
    }

    /// Tells what was collected, if Slack takes it at once.
    async fn leave(&mut self) {
        if !self.digest.is_empty() && Instant::now() >= self.next_request {
            self.send().await;
        }
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Settings {
    fn body(&self, text: &str) -> String {
        let mut body = serde_json::Map::new();
        let mut put = |key: &str, value: &Option<String>| {
            if let Some(value) = value {
                body.insert(key.to_string(), value.clone().into());
            }
        };
        put("channel", &self.channel);
        put("username", &self.username);
        put("icon_emoji", &self.icon_emoji);
        put("text", &Some(text.to_string()));
        serde_json::Value::Object(body).to_string()
    }
}

#[cfg(test)]
mod tests;
