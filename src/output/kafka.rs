//! Output `kafka`: records of topics.
//!
//! In: frames. Out: batches of records, each with a document, its key, its time, and its id as the header
//! `logweir.id`. Promises: those of `post`; one request is under way at each broker, so that a partition's records are
//! in the order of the journal; a batch whose answer was lost is sent again under the same number, and the cluster
//! stores it once (`idempotent`). A crash between answer and cursor, a reload or a stop in the middle of a batch sends
//! documents again, under the same ids. On failure: health says `paused` with the broker and its words; nothing is
//! lost.

mod cluster;
mod connection;
mod error;
#[cfg(test)]
mod fake;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod login;
mod partition;
mod records;
mod requests;
mod round;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use super::post::{self, Answer, Batch, Limits, Partly, Service};
use super::{Output, OutputLoad, connect};
use crate::delivery::{BoxFuture, OutputContext};
use crate::settings::Section;
use crate::template::Template;
use crate::tls::ClientTls;
use cluster::Cluster;
use connection::Way;
use login::{Login, Mechanism};
use partition::Spread;
use round::{Identity, Manner, Round};

/// The port of brokers.
const PORT: u16 = 9092;
/// Stands between topic and key in an address.
const BETWEEN: char = '\u{1f}';
/// Less than brokers take in one batch, unless told otherwise (1,048,588 bytes).
const BATCH_BYTES: u64 = 1_000_000;
/// What a document costs beside its own bytes: lengths, times, and its id.
const RECORD_BYTES: usize = 100;
/// Longest name of a topic.
const TOPIC_MAX: usize = 249;

struct Kafka {
    address: Template,
    cluster: Cluster,
    identity: Identity,
    manner: Manner,
    batch_bytes: usize,
    /// What is under way.
    round: Option<Round>,
    /// How many rounds there were.
    turn: usize,
}

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let servers = connect::servers(section, PORT, "kafka-1.example:9092");
    let address = address(section, load);
    let spread = [("source", Spread::Source), ("batch", Spread::Batch)];
    let manner = Manner {
        spread: section.choice_or("spread", &spread, Spread::Source),
        gzip: section.choice_or("compression", &[("gzip", true), ("none", false)], false),
        acks: section.choice_or("acks", &[("all", -1), ("leader", 1)], -1),
    };
    let idempotent = section.bool_or("idempotent", manner.acks == -1);
    let create = section.bool_or("create", true);
    let batch_bytes = section.bytes_or("batch_size", BATCH_BYTES);
    let timeout = section.duration_or("timeout", Duration::from_secs(30));
    let login = login(section);
    let tls = match section.section("tls") {
        Some(table) => Some(Arc::new(ClientTls::load(table)?.config())),
        None => None,
    };
    section.not_zero("batch_size", batch_bytes == 0, "1MB")?;
    section.not_zero("timeout", timeout.is_zero(), "30s")?;
    if idempotent && manner.acks != -1 {
        let hint = "write `acks = \"all\"`, or `idempotent = false`".to_string();
        let message = "what the leader alone has cannot be stored once for certain";
        section.error(section.span_of("idempotent"), message, Some(hint));
        return None;
    }
    let (servers, address, login) = (servers?, address?, login?);
    Some(Box::new(Kafka {
        address,
        cluster: Cluster::new(servers, create, Way { tls, login, timeout }),
        identity: Identity::new(idempotent),
        manner,
        batch_bytes: batch_bytes as usize,
        round: None,
        turn: 0,
    }))
}

/// `topic` and `key` as one address.
fn address(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Template> {
    let (topic, key) = (section.required_string("topic", "\"logs\""), section.string("key"));
    let topic = topic?;
    let sound = Template::load(section, &topic, load.keys);
    let is_plain = sound.as_ref().is_some_and(|topic| topic.constant().is_some());
    if is_plain && is_topic(topic.value.as_bytes()).is_none() {
        let hint = "write at most 249 of the characters a-z A-Z 0-9 . _ -".to_string();
        section.error(topic.span, format!("`{}` is no topic", topic.value), Some(hint));
        return None;
    }
    let Some(key) = key else {
        return sound.filter(|_| !section.has("key"));
    };
    // Each by itself, so that an error has its own place.
    Template::load(section, &key, load.keys).and(sound)?;
    Template::parse(&format!("{}{BETWEEN}{}", topic.value, key.value), load.keys).ok()
}

/// `sasl`; `Some(None)`: nobody is asked who we are.
fn login(section: &Section<'_>) -> Option<Option<Login>> {
    let Some(table) = section.section("sasl") else { return Some(None) };
    let mechanism = table.choice_or("mechanism", Mechanism::NAMES, Mechanism::Plain);
    let user = table.required_string("user", "\"shipper\"");
    let password = table.secret("password");
    if password.is_none() && !table.has("password") {
        table.missing("password", "\"${KAFKA_PASSWORD}\"");
    }
    table.finish();
    Some(Some(Login { mechanism, user: user?.value, password: password?.value }))
}

/// A name that topics may have.
fn is_topic(name: &[u8]) -> Option<&str> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let sound = (1..=TOPIC_MAX).contains(&name.len()) && name.iter().all(is_letter);
    let name = std::str::from_utf8(name).ok()?;
    (sound && name != "." && name != "..").then_some(name)
}

impl Output for Kafka {
    fn address(&self) -> Option<&Template> {
        Some(&self.address)
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        post::run(*self, context)
    }
}

impl Service for Kafka {
    fn limits(&self) -> Limits {
        Limits {
            bytes: self.batch_bytes,
            each: RECORD_BYTES,
            documents: usize::MAX,
            by_address: false,
            patience: Duration::ZERO,
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            match self.deliver(&batch).await {
                Ok(refused) if refused.is_empty() => Answer::Accepted,
                Ok(refused) => Answer::Partly(Partly { refused, ..Partly::default() }),
                Err(why) => Answer::Later(why, None),
            }
        })
    }
}

impl Kafka {
    /// Sends a batch, or goes on with it: those of its documents that the cluster will never have.
    async fn deliver(&mut self, batch: &Batch<'_>) -> Result<Vec<(usize, String)>, String> {
        let Kafka { cluster, identity, manner, round, turn, .. } = self;
        let mut under_way = match round.take().filter(|round| round.is_of(batch)) {
            Some(round) => round,
            None => {
                *turn = turn.wrapping_add(1);
                identity.bound();
                Round::new(batch, cluster, manner, *turn).await?
            }
        };
        let finished = under_way.finish(batch, cluster, identity, manner).await;
        if finished.is_err() {
            *round = Some(under_way);
        }
        finished
    }
}
