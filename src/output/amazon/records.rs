//! Outputs `kinesis` and `firehose`: records of data streams and delivery streams.
//!
//! In: batches of one stream. Out: `PutRecords`, `PutRecordBatch`. Promises: of a request that the service took in part
//! only the rest is sent again, so a record that was held back comes behind those that were not; no record is delivered
//! of which the answer does not speak. On failure: as all outputs to Amazon.
//!
//! Sources: <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html>,
//! <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::post::{Answer, Batch, Limits, Partly, Service};
use super::super::{Output, OutputLoad};
use super::client::Client;
use super::{Amazon, name};
use crate::delivery::BoxFuture;
use crate::settings::{Section, base64};
use crate::template::Template;

/// Records of a request.
const RECORDS_MAX: usize = 500;
/// Bytes of a request, before they are base64: less than 4 MiB.
const BYTES_MAX: usize = 4_000_000;
/// What a record costs beside its document: its key (256 bytes at most).
const RECORD_BYTES: usize = 257;
/// Longest partition key, in characters.
const KEY_MAX: usize = 256;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Kinesis,
    Firehose,
}

struct Records {
    kind: Kind,
    client: Client,
    stream: String,
    /// The address is the partition key.
    keyed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Done {
    #[serde(alias = "RequestResponses", default)]
    records: Vec<Outcome>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    error_code: Option<String>,
    error_message: Option<String>,
}

pub(super) fn load(
    section: &Section<'_>,
    load: &mut OutputLoad<'_>,
    kind: Kind,
) -> Option<Box<dyn Output>> {
    let stream = name(section, "stream", "\"shop\"");
    let key = if kind == Kind::Kinesis { section.string("partition_key") } else { None };
    let address = match &key {
        Some(key) => Some(Template::load(section, key, load.keys)?),
        None => None,
    };
    let service = if kind == Kind::Kinesis { "kinesis" } else { "firehose" };
    let client = super::client(section, service, service);
    let (stream, client) = (stream?.value, client?);
    let service = Records { kind, client, stream, keyed: address.is_some() };
    Some(Box::new(Amazon { service, address }))
}

impl Service for Records {
    fn limits(&self) -> Limits {
        Limits {
            bytes: BYTES_MAX,
            each: RECORD_BYTES,
            documents: RECORDS_MAX,
            by_address: false,
            patience: Duration::ZERO,
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(
            async move { self.put(&batch).await.unwrap_or_else(|why| Answer::Later(why, None)) },
        )
    }
}

impl Records {
    async fn put(&mut self, batch: &Batch<'_>) -> Result<Answer, String> {
        let records: Vec<Value> = batch
            .iter()
            .map(|document| {
                let mut line = document.body.to_vec();
                line.push(b'\n');
                let data = base64(&line);
                if self.kind == Kind::Firehose {
                    return json!({ "Data": data });
                }
                let mut key = Vec::new();
                match document.address(batch.bit).filter(|key| self.keyed && !key.is_empty()) {
                    Some(address) => key.extend_from_slice(address),
                    None => document.write_id(&mut key),
                }
                let key: String = String::from_utf8_lossy(&key).chars().take(KEY_MAX).collect();
                json!({ "Data": data, "PartitionKey": key })
            })
            .collect();
        let (target, stream) = match self.kind {
            Kind::Kinesis => ("Kinesis_20131202.PutRecords", "StreamName"),
            Kind::Firehose => ("Firehose_20150804.PutRecordBatch", "DeliveryStreamName"),
        };
        let body = json!({ stream: self.stream, "Records": records });
        let reply = self.client.json(target, &body, batch.now_ns).await?;
        if !reply.is_success() {
            return Ok(reply.judged());
        }
        let Done { records } = reply.read()?;
        let (spoken_of, sent) = (records.len(), batch.documents.len());
        if spoken_of != sent {
            // Records are told by their places: now none is known.
            let why = format!("it speaks of {spoken_of} records, and {sent} were sent");
            return Err(reply.oddity(&why));
        }
        Ok(outcome(&records))
    }
}

/// What is left to be sent again.
fn outcome(records: &[Outcome]) -> Answer {
    let mut partly = Partly::default();
    for (at, record) in records.iter().enumerate() {
        let Some(code) = &record.error_code else { continue };
        partly.again.push(at);
        if partly.why.is_empty() {
            let message = record.error_message.as_deref().unwrap_or_default();
            partly.why = format!("records are held back: {code} {message}").trim().to_string();
        }
    }
    if partly.again.is_empty() { Answer::Accepted } else { Answer::Partly(partly) }
}
