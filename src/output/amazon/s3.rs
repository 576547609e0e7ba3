//! Output `s3`: objects with a document a line.
//!
//! In: batches of one prefix. Out: `PutObject`. Promises: an object is whole or not there; its name is the prefix
//! and the
//! id of its first document, so a batch that is sent again after a crash replaces the object that began with the same
//! document; the checksum goes along. A batch waits `max_wait` for more, in the journal: nothing is lost meanwhile. On
//! failure: as all outputs to Amazon; a missing bucket is no reason to give a document up.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;

use super::super::post::{Answer, Batch, Limits, Service};
use super::super::{Output, OutputLoad};
use super::client::{Call, Client};
use super::sign::encoded;
use super::{Amazon, name};
use crate::delivery::BoxFuture;
use crate::settings::Section;
use crate::template::Template;

/// Bytes of documents in an object, unless the user says otherwise, and at most.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
const BATCH_BYTES_MAX: u64 = 256 * 1024 * 1024;

struct S3 {
    client: Client,
    /// What stands before the key in the path: the bucket, where it is not part of the host's name.
    root: String,
    gzip: bool,
    batch_bytes: usize,
    max_wait: Duration,
}

pub(super) fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let bucket = name(section, "bucket", "\"shop-logs\"");
    let prefix = section.string_or("prefix", "{@timestamp:%Y/%m/%d/%H}/");
    let address = Template::load(section, &prefix, load.keys);
    let gzip = section.choice_or("compression", &[("gzip", true), ("none", false)], true);
    let batch_bytes = section.bytes_or("batch_size", BATCH_BYTES);
    let max_wait = section.duration_or("max_wait", Duration::from_secs(60));
    let sound = bucket.as_ref().is_none_or(|bucket| {
        bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    });
    let host = match &bucket {
        Some(bucket) if sound => format!("{}.s3", bucket.value),
        _ => "s3".to_string(),
    };
    let client = super::client(section, "s3", &host);
    let bucket = bucket?;
    if !sound {
        let hint = "a bucket's name has letters, digits, - and .".to_string();
        let message = format!("`{}` is no bucket's name", bucket.value);
        section.error(bucket.span, message, Some(hint));
        return None;
    }
    if batch_bytes == 0 || batch_bytes > BATCH_BYTES_MAX {
        let hint = "1B to 256MiB; objects of some MiB are read fastest".to_string();
        section.error(section.span_of("batch_size"), "this is no size of a batch", Some(hint));
        return None;
    }
    let bucket = bucket.value;
    let root = if section.has("endpoint") { format!("/{bucket}") } else { String::new() };
    let batch_bytes = usize::try_from(batch_bytes).unwrap_or(usize::MAX);
    let service = S3 { client: client?, root, gzip, batch_bytes, max_wait };
    Some(Box::new(Amazon { service, address: Some(address?) }))
}

impl Service for S3 {
    fn limits(&self) -> Limits {
        Limits {
            bytes: self.batch_bytes,
            each: 1,
            documents: usize::MAX,
            by_address: true,
            patience: self.max_wait,
        }
    }

    fn send<'a>(&'a mut self, batch: Batch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(
            async move { self.put(&batch).await.unwrap_or_else(|why| Answer::Later(why, None)) },
        )
    }
}

impl S3 {
    async fn put(&mut self, batch: &Batch<'_>) -> Result<Answer, String> {
        let mut id = Vec::new();
        if let Some(first) = batch.iter().next() {
            first.write_id(&mut id);
        }
        let (ending, content_type) = match self.gzip {
            true => (".json.gz", "application/gzip"),
            false => (".json", "application/x-ndjson"),
        };
        let prefix = String::from_utf8_lossy(batch.address());
        let prefix = prefix.trim_start_matches('/');
        let key = format!("{prefix}{}{ending}", String::from_utf8_lossy(&id));
        let path = encoded(&format!("{}/{key}", self.root));
        let body = self.body(batch).map_err(|why| format!("cannot compress: {why}"))?.into();
        let call = Call { method: Method::PUT, path: &path, target: None, content_type, body };
        Ok(self.client.call(call, batch.now_ns).await?.judged())
    }

    fn body(&self, batch: &Batch<'_>) -> std::io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        for document in batch.iter() {
            lines.extend_from_slice(document.body);
            lines.push(b'\n');
        }
        if !self.gzip {
            return Ok(lines);
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&lines)?;
        encoder.finish()
    }
}
