//! The sixth room: frames to servers, files and people.
//!
//! Is: the kinds of output and how one is loaded and run. In: settings, then frames. Out: requests.
//! Promises: a document leaves the journal only when it was delivered, is a dead letter on disk, or was dropped by
//! a rule that the user wrote. On failure: what may pass is tried again with back-off, for ever; health says so.

mod amazon;
mod connect;
mod elasticsearch;
mod file;
mod forward;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod http;
mod kafka;
mod null;
mod open;
mod post;
mod senders;
#[cfg(test)]
mod server;
mod slack;
#[cfg(test)]
mod stage;
mod stdout;

#[cfg(test)]
pub(crate) use elasticsearch::simulated;
#[cfg(test)]
pub(crate) use file::stepped as file_stepped;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::time::Instant;

use crate::delivery::{BoxFuture, OutputContext};
use crate::event::Keys;
use crate::frame::Frame;
use crate::metrics::{Counter, Metrics};
use crate::settings::Section;
use crate::template::Template;

/// An output, checked and ready to start.
pub trait Output: Send {
    /// The address of each document (index, channel, path), rendered when it is journaled.
    fn address(&self) -> Option<&Template>;
    /// Whether it may fall behind and skip, unless the user says otherwise (`best_effort`).
    fn best_effort_by_default(&self) -> bool {
        false
    }
    /// The folder beneath which it writes files, for the sandbox; `None`: it writes none.
    fn writes(&self) -> Option<PathBuf> {
        None
    }
    /// A way to ask what the server has; `Err`: why nobody can ask.
    fn lookup(&self) -> Result<Box<dyn Lookup>, String> {
        Err("outputs of this type cannot be asked what they have".to_string())
    }
    /// Works until told to stop.
    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()>;
}

/// Asks a server what it has, without changing it.
pub trait Lookup: Send + Sync {
    /// For each id whether its document is at this address (index, alias, data stream).
    ///
    /// # Errors
    /// Why there is no answer, and what to do.
    fn present<'a>(
        &'a self,
        address: &'a str,
        ids: &'a [String],
    ) -> BoxFuture<'a, Result<Vec<bool>, String>>;
}

/// What loading an output needs besides its section (`type` and `when` are read by the caller).
pub struct OutputLoad<'a> {
    /// The output's name, as in `outputs.NAME`.
    pub name: &'a str,
    /// The pipeline's names.
    pub keys: &'a mut Keys,
}

type Load = fn(&Section<'_>, &mut OutputLoad<'_>) -> Option<Box<dyn Output>>;

/// The kinds of output; to delete one, delete its file and its line.
pub const KINDS: &[(&str, Load)] = &[
    ("cloudwatch_logs", amazon::load_cloudwatch),
    ("elasticsearch", elasticsearch::load),
    ("file", file::load),
    ("firehose", amazon::load_firehose),
    ("forward", forward::load),
    ("gelf", senders::load_gelf),
    ("http", http::load),
    ("kafka", kafka::load),
    ("kinesis", amazon::load_kinesis),
    ("null", null::load),
    ("s3", amazon::load_s3),
    ("slack", slack::load),
    ("stdout", stdout::load),
    ("syslog", senders::load_syslog),
    ("tcp", senders::load_tcp),
    ("udp", senders::load_udp),
];

/// The next frame; `None` when it is time to stop.
async fn next_frame(context: &mut OutputContext) -> Option<Arc<Frame>> {
    tokio::select! {
        biased;
        _ = context.stop.wait_for(|stop| *stop) => None,
        frame = context.feed.next() => frame,
    }
}

/// The next frame and those that come behind it, until they have so many bytes or this time is over; `None` when it is
/// time to stop.
async fn next_frames(
    context: &mut OutputContext,
    enough: usize,
    patience: Duration,
) -> Option<Vec<Arc<Frame>>> {
    let first = next_frame(context).await?;
    let mut bytes = first.bytes().len();
    let mut frames = vec![first];
    let until = Instant::now() + patience;
    while bytes < enough {
        let frame = match context.feed.next_now() {
            Some(frame) => frame,
            None if patience.is_zero() => break,
            None => tokio::select! {
                biased;
                _ = context.stop.wait_for(|stop| *stop) => return None,
                frame = context.feed.next() => frame?,
                () = tokio::time::sleep_until(until) => break,
            },
        };
        bytes += frame.bytes().len();
        frames.push(frame);
    }
    Some(frames)
}

/// The innermost cause, which says what happened ("connection refused").
fn cause(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// The bytes as gzip, as fast as it goes; `None` never comes, for writing into memory does not fail.
fn gzipped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).ok()
}

/// Bytes that nobody foresees; `Err`: a sentence for health.
fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "there are no random numbers".to_string())?;
    Ok(bytes)
}

/// Counts documents that were delivered.
fn delivered(metrics: &Metrics) -> Counter {
    documents(metrics, "delivered")
}

/// Counts documents that became this.
fn documents(metrics: &Metrics, result: &str) -> Counter {
    let help = "Documents by what became of them.";
    metrics.with("result", result).counter("logweir_output_documents_total", help)
}
