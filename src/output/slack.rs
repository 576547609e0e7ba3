//! Output `slack`: events as messages to a Slack webhook.
//!
//! In: frames. Out: at most one request a second (Slack's documented rate for incoming webhooks). Promises: equal
//! messages (numbers, ids and addresses masked) become one with a count and its first and last time; when there are
//! more kinds than a message holds, the rest follows in the next ones; what was folded or skipped is counted and
//! said; `Retry-After` is obeyed; text is escaped. A document is done when the message that counts it was accepted;
//! one that a route holds back (`repeat_interval`, quiet hours) is done at once and told afterwards, if the agent was
//! not stopped until then. On failure: what may pass is tried again with growing pauses while frames go on being
//! folded, so that the memory is bounded; a webhook or channel that is refused (403, 404, 410) says so and delays no
//! other receiver.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::event::Keys;
use crate::frame::Frame;
use crate::health::State;
use crate::limits;
use crate::metrics::{Counter, Gauge};
use crate::settings::Section;
use crate::template::Template;

mod digest;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod hours;
mod lane;
mod message;
mod request;
mod route;

use digest::Digest;
use lane::Lane;
use message::Renderer;
use request::{Answer, Post, Webhook};
use route::{Receiver, Routes};

/// Shortest time between two requests.
const REQUEST_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is asked whether what is held back may go.
const RELEASE_INTERVAL: Duration = Duration::from_secs(5);

struct Slack {
    settings: Settings,
    routes: Routes,
    text: Template,
    severity: Template,
    keys: Keys,
}

struct Settings {
    username: Option<String>,
    icon_emoji: Option<String>,
    title: Option<String>,
    /// How long equal messages are collected before the first of them is sent.
    group_wait: Duration,
    /// A kind of message that was not seen for so long is over.
    resolve_timeout: Duration,
}

/// The output at work.
struct Worker<P> {
    context: OutputContext,
    settings: Settings,
    webhooks: Vec<P>,
    routes: Routes,
    /// One for each route.
    lanes: Vec<Lane>,
    /// Two for each lane, see [`Target`].
    attempts: Vec<Attempt>,
    renderer: Renderer,
    /// The last frame that was folded in.
    folded: Option<u64>,
    /// When the next request may go out.
    next_request: Instant,
    next_release: Instant,
    delivered: Counter,
    requests: Counter,
    held: Gauge,
}

/// Whom a message is for.
#[derive(Clone, Copy)]
struct Target {
    lane: usize,
    escalation: bool,
}

/// How it goes with one receiver.
struct Attempt {
    next: Instant,
    retry: Duration,
    trouble: Option<State>,
}

/// What the worker does next.
enum Next {
    Stop,
    Send(Target),
    Release,
    Frame(Arc<Frame>),
}

pub(super) fn load(section: &Section<'_>, _: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    // The templates read finished documents, not the pipeline's events: they have names of their own.
    let mut keys = Keys::default();
    let text = section.string_or("text", "*{level:-EVENT}* {message:-(no message)}");
    let text = Template::load(section, &text, &mut keys);
    let severity = section.string_or("severity", "{level:-}");
    let severity = Template::load(section, &severity, &mut keys);
    let plain = |key| section.string(key).map(|s| s.value);
    let (username, icon_emoji, title) = (plain("username"), plain("icon_emoji"), plain("title"));
    let group_wait = section.duration_or("group_wait", Duration::from_secs(2));
    let resolve_timeout = section.duration_or("resolve_timeout", Duration::from_secs(5 * 60));
    let routes = Routes::load(section);
    let settings = Settings { username, icon_emoji, title, group_wait, resolve_timeout };
    Some(Box::new(Slack { settings, routes: routes?, text: text?, severity: severity?, keys }))
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
            let webhooks = self.routes.webhooks.iter().map(|url| Webhook::new(url.clone()));
            let webhooks = match webhooks.collect::<Result<Vec<_>, _>>() {
                Ok(webhooks) => webhooks,
                Err(why) => {
                    context.health.set(State::Paused(format!("cannot make an HTTP client: {why}")));
                    let _ = context.stop.wait_for(|stop| *stop).await;
                    return;
                }
            };
            let renderer = Renderer::new(self.text, self.severity, Arc::new(self.keys));
            Worker::new(context, self.settings, self.routes, webhooks, renderer).run().await;
        })
    }
}

impl<P: Post> Worker<P> {
    fn new(
        context: OutputContext,
        settings: Settings,
        routes: Routes,
        webhooks: Vec<P>,
        renderer: Renderer,
    ) -> Self {
        let delivered = super::delivered(&context.metrics);
        let requests = context.metrics.counter("logweir_output_requests_total", "Requests sent.");
        let help = "Documents that quiet hours or repeat_interval hold back.";
        let held = context.metrics.gauge("logweir_output_held_documents", help);
        let lane = |route: &route::Route| Lane::new(route.clone(), settings.resolve_timeout);
        let lanes: Vec<Lane> = routes.routes.iter().map(lane).collect();
        let now = Instant::now();
        let retry = Duration::from_millis(limits::RETRY_FIRST_MS);
        let attempt = |_| Attempt { next: now, retry, trouble: None };
        Worker {
            context,
            settings,
            webhooks,
            routes,
            attempts: (0..2 * lanes.len()).map(attempt).collect(),
            lanes,
            renderer,
            folded: None,
            next_request: now,
            next_release: now + RELEASE_INTERVAL,
            delivered,
            requests,
            held,
        }
    }

    async fn run(mut self) {
        self.context.health.set(State::Fine);
        loop {
            let (due, target) = self.due().unzip();
            let holding = self.lanes.iter().any(|lane| lane.held() > 0);
            let next = tokio::select! {
                biased;
                _ = self.context.stop.wait_for(|stop| *stop) => Next::Stop,
                () = at(due) => target.map_or(Next::Stop, Next::Send),
                () = at(holding.then_some(self.next_release)) => Next::Release,
                frame = self.context.feed.next() => frame.map_or(Next::Stop, Next::Frame),
            };
            match next {
                Next::Stop => return self.leave().await,
                Next::Send(target) => self.send(target).await,
                Next::Release => self.release(),
                Next::Frame(frame) => self.fold(&frame),
            }
        }
    }

    /// The message that may go out first, and when.
    fn due(&self) -> Option<(Instant, Target)> {
        let lanes = 0..self.lanes.len();
        let targets =
            lanes.flat_map(|lane| [true, false].map(|escalation| Target { lane, escalation }));
        let due = targets.filter_map(|target| {
            let digest = self.digest(target);
            let soon = target.escalation || digest.is_full();
            let wait = if soon { Duration::ZERO } else { self.settings.group_wait };
            let due = (digest.collecting_since()? + wait).max(self.attempts[target.number()].next);
            Some((due.max(self.next_request), target))
        });
        // Of several at once the first: routes are in the order in which they matter.
        due.min_by_key(|(due, _)| *due)
    }

    fn digest(&self, target: Target) -> &Digest {
        let lane = &self.lanes[target.lane];
        if target.escalation { &lane.escalated } else { &lane.digest }
    }

    fn fold(&mut self, frame: &Arc<Frame>) {
        let bit = self.context.bit;
        let wall_ns = self.context.clock.now_ns();
        for document in frame.documents().filter(|d| d.routes & (1 << bit) != 0) {
            let (text, severity) = self.renderer.render(document.body, document.time_ns);
            self.lanes[self.routes.of(&severity)].add(&text, document.time_ns, wall_ns);
        }
        self.folded = Some(frame.sequence());
        self.finish_frames();
        self.show_held();
    }

    fn release(&mut self) {
        self.next_release = Instant::now() + RELEASE_INTERVAL;
        let wall_ns = self.context.clock.now_ns();
        self.lanes.iter_mut().for_each(|lane| lane.release(wall_ns));
        self.show_held();
    }

    fn show_held(&self) {
        self.held.set(self.lanes.iter().map(Lane::held).sum::<u64>() as i64);
    }

    /// When nothing waits to be told, all frames are done.
    fn finish_frames(&mut self) {
        let quiet = |lane: &Lane| lane.digest.is_empty() && lane.escalated.is_empty();
        if self.lanes.iter().all(quiet)
            && let Some(sequence) = self.folded.take()
        {
            self.context.feed.done(sequence);
        }
    }

    /// Sends one message; on success what it told is done.
    async fn send(&mut self, target: Target) {
        let (receiver, body, told) = self.message(target);
        self.requests.increment();
        let answer = self.webhooks[receiver.webhook].post(body).await;
        let now = Instant::now();
        self.next_request = now + REQUEST_INTERVAL;
        let attempt = &mut self.attempts[target.number()];
        match answer {
            Answer::Accepted => {
                attempt.retry = Duration::from_millis(limits::RETRY_FIRST_MS);
                attempt.trouble = None;
                let lane = &mut self.lanes[target.lane];
                if target.escalation {
                    lane.escalated.told(told);
                } else {
                    lane.note_told(told.groups);
                    self.delivered.add(lane.digest.told(told));
                }
                self.finish_frames();
            }
            Answer::Wait(pause) => self.next_request = now + pause.max(REQUEST_INTERVAL),
            Answer::Later(why) => {
                attempt.next = now + attempt.retry.max(REQUEST_INTERVAL);
                let most = Duration::from_millis(limits::RETRY_MAX_MS);
                attempt.retry = (attempt.retry * 2).min(most);
                attempt.trouble = Some(State::Degraded(format!(
                    "Slack cannot be reached: {why}; messages are folded and sent when it answers again"
                )));
            }
            Answer::Refused(why) => {
                attempt.next = now + Duration::from_millis(limits::RETRY_MAX_MS);
                attempt.trouble = Some(State::Paused(refused(&receiver, self.lanes.len(), &why)));
            }
        }
        let trouble = self.attempts.iter().find_map(|attempt| attempt.trouble.clone());
        self.context.health.set(trouble.unwrap_or(State::Fine));
    }

    /// To whom, what, and how much of the digest it tells.
    fn message(&self, target: Target) -> (Receiver, String, digest::Told) {
        let route = &self.lanes[target.lane].route;
        let escalation = route.escalation.as_ref().filter(|_| target.escalation);
        let receiver = escalation.map_or(&route.to, |escalation| &escalation.to);
        let mut lead = Vec::new();
        if !receiver.mention.is_empty() {
            lead.push(receiver.mention.clone());
        }
        if let Some(title) = &self.settings.title {
            lead.push(format!("*{}*", digest::escape(title)));
        }
        if let Some(escalation) = escalation {
            lead.push(format!(
                "_still comes {} after it was first told_",
                spoken(escalation.after)
            ));
        }
        let (text, told) = self.digest(target).message();
        let body = self.settings.body(receiver, &lead.join(" "), &text);
        (receiver.clone(), body, told)
    }

    /// Tells what was collected, if Slack takes it at once.
    async fn leave(&mut self) {
        let now = Instant::now();
        let waits = |t: &Target| now < self.next_request.max(self.attempts[t.number()].next);
        if let Some((_, target)) = self.due().filter(|(_, target)| !waits(target)) {
            self.send(target).await;
        }
    }
}

impl Target {
    fn number(self) -> usize {
        2 * self.lane + usize::from(self.escalation)
    }
}

/// Why nothing goes to a receiver; with routes, to which.
fn refused(receiver: &Receiver, routes: usize, why: &str) -> String {
    match &receiver.channel {
        Some(channel) if routes > 1 => format!(
            "Slack refuses messages to {channel}: {why}; check the channel and its `webhook_url`"
        ),
        _ => format!("Slack refuses the webhook: {why}; make a new one and set `webhook_url`"),
    }
}

/// A time as people say it.
fn spoken(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        3600.. if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        60.. if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Settings {
    /// A coloured text is an attachment; Slack has no other way to a colour.
    fn body(&self, receiver: &Receiver, lead: &str, text: &str) -> String {
        let mut body = serde_json::Map::new();
        let mut put = |key: &str, value: &Option<String>| {
            if let Some(value) = value {
                body.insert(key.to_string(), value.clone().into());
            }
        };
        put("channel", &receiver.channel);
        put("username", &self.username);
        put("icon_emoji", &self.icon_emoji);
        let line = if lead.is_empty() { String::new() } else { format!("{lead}\n") };
        match &receiver.color {
            None => put("text", &Some(format!("{line}{text}"))),
            Some(color) => {
                if !lead.is_empty() {
                    put("text", &Some(lead.to_string()));
                }
                let attachment = serde_json::json!({
                    "color": color, "text": text, "fallback": text, "mrkdwn_in": ["text"],
                });
                body.insert("attachments".to_string(), vec![attachment].into());
            }
        }
        serde_json::Value::Object(body).to_string()
    }
}

#[cfg(test)]
mod tests;
