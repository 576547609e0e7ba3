//! Output `cloudwatch_logs`: events of log streams.
//!
//! In: batches of one group and stream. Out: `PutLogEvents`. Promises: a request's events are in the order of their
//! times, as the service wants it; groups and streams that are missing are made, unless `create` is false; what is too
//! old or too new for the service is a dead letter; an answer that is not understood delivers nothing. On failure: as
//! all outputs to Amazon.
//!
//! Source: <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html>.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::post::{Answer, Batch, Limits, Partly, Service};
use super::super::{Output, OutputLoad};
use super::client::{Client, Reply};
use super::{Amazon, BETWEEN, name};
use crate::delivery::BoxFuture;
use crate::settings::Section;
use crate::template::Template;

/// Bytes and events of a request, and what an event costs beside its own bytes.
const BYTES_MAX: usize = 1_048_576;
const EVENTS_MAX: usize = 10_000;
const EVENT_BYTES: usize = 26;

struct CloudWatch {
    client: Client,
    create: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Done {
    #[serde(default)]
    rejected_log_events_info: Option<Rejected>,
}

/// Places in the request.
#[derive(Deserialize)]
struct Rejected {
    /// The first that is too new.
    #[serde(rename = "tooNewLogEventStartIndex")]
    too_new: Option<usize>,
    /// Behind the last that is too old.
    #[serde(rename = "tooOldLogEventEndIndex")]
    too_old: Option<usize>,
    /// Behind the last that the group does not keep any more.
    #[serde(rename = "expiredLogEventEndIndex")]
    expired: Option<usize>,
}

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let group = name(section, "log_group", "\"/shop/web\"");
    let stream = name(section, "log_stream", "\"{host.name}\"");
    let create = section.bool_or("create", true);
    let client = super::client(section, "logs", "logs");
    let (group, stream) = (group?, stream?);
    // Each by itself, so that an error has its own place.
    let sound = Template::load(section, &group, load.keys).is_some()
        & Template::load(section, &stream, load.keys).is_some();
    if !sound {
        return None;
    }
    let whole = format!("{}{BETWEEN}{}", group.value, stream.value);
    let address = Template::parse(&whole, load.keys).ok()?;
    let service = CloudWatch { client: client?, create };
    Some(Box::new(Amazon { service, address: Some(address) }))
}

impl Service for CloudWatch {
    fn limits(&self) -> Limits {
        Limits {
            bytes: BYTES_MAX,
            each: EVENT_BYTES,
            documents: EVENTS_MAX,
            by_address: true,
            patience: Duration::ZERO,
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(
            async move { self.put(&batch).await.unwrap_or_else(|why| Answer::Later(why, None)) },
        )
    }
}

impl CloudWatch {
    async fn put(&mut self, batch: &Batch<'_>) -> Result<Answer, String> {
        let address = String::from_utf8_lossy(batch.address());
        let (group, stream) = address.split_once(BETWEEN).unwrap_or((&address, "logweir"));
        // Time and place in the batch.
        let mut order: Vec<(i64, usize)> =
            batch.iter().enumerate().map(|(at, d)| (d.time_ns / 1_000_000, at)).collect();
        order.sort_unstable();
        let documents: Vec<&[u8]> = batch.iter().map(|document| document.body).collect();
        let events: Vec<Value> = order
            .iter()
            .map(|(time, at)| {
                json!({ "timestamp": time, "message": String::from_utf8_lossy(documents[*at]) })
            })
            .collect();
        let body = json!({ "logGroupName": group, "logStreamName": stream, "logEvents": events });
        let put = "Logs_20140328.PutLogEvents";
        let mut reply = self.client.json(put, &body, batch.now_ns).await?;
        if reply.error == "ResourceNotFoundException" && self.create {
            if let Some(problem) = self.make(group, stream, batch.now_ns).await? {
                return Ok(problem);
            }
            reply = self.client.json(put, &body, batch.now_ns).await?;
        }
        if reply.error == "DataAlreadyAcceptedException" {
            return Ok(Answer::Accepted);
        }
        if !reply.is_success() {
            return Ok(reply.judged());
        }
        let done: Done = reply.read()?;
        Ok(done.rejected_log_events_info.map_or(Answer::Accepted, |info| rejected(&info, &order)))
    }

    /// Makes the stream, and the group before it; `Some`: what stands in the way.
    async fn make(
        &mut self,
        group: &str,
        stream: &str,
        now_ns: i64,
    ) -> Result<Option<Answer>, String> {
        let body = json!({ "logGroupName": group, "logStreamName": stream });
        let target = "Logs_20140328.CreateLogStream";
        let mut reply = self.client.json(target, &body, now_ns).await?;
        if reply.error == "ResourceNotFoundException" {
            let group = json!({ "logGroupName": group });
            let made = self.client.json("Logs_20140328.CreateLogGroup", &group, now_ns).await?;
            if let Some(problem) = trouble(made) {
                return Ok(Some(problem));
            }
            reply = self.client.json(target, &body, now_ns).await?;
        }
        Ok(trouble(reply))
    }
}

/// What stands in the way of making something; a name that cannot be had refuses its documents.
fn trouble(reply: Reply) -> Option<Answer> {
    let there = reply.is_success() || reply.error == "ResourceAlreadyExistsException";
    (!there).then(|| reply.judged())
}

/// Events that the service will not have, by their places in the batch.
fn rejected(info: &Rejected, order: &[(i64, usize)]) -> Answer {
    let old = info.too_old.unwrap_or(0);
    let expired = info.expired.unwrap_or(0);
    let new = info.too_new.unwrap_or(usize::MAX);
    let mut refused = Vec::new();
    for (place, (_, at)) in order.iter().enumerate() {
        let why = if place >= new {
            "too new: more than two hours ahead of the service's clock"
        } else if place < expired {
            "older than the group keeps events"
        } else if place < old {
            "too old: more than 14 days, or older than the group"
        } else {
            continue;
        };
        refused.push((*at, why.to_string()));
    }
    Answer::Partly(Partly { refused, ..Partly::default() })
}
