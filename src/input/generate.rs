//! Lines that the agent makes itself, for trials and heartbeats: `type = "generate"`.
//!
//! Is: a timer. In: settings `lines`, `interval`, `count`. Out: chunks with one line each, the lines in turn; the
//! `json` codec is the one to use, unless they are no JSON. Promises: one line each `interval`, as long as the pipeline
//! takes them; after `count` lines no more. On failure: nothing can fail.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::listener::stopped;
use super::{Input, InputContext, InputLoad};
use crate::chunk::Chunk;
use crate::delivery::BoxFuture;
use crate::event::{Key, Literal, Source, SourceKind};
use crate::health::State;
use crate::settings::Section;

/// The input, loaded.
struct Generate {
    lines: Vec<String>,
    interval: Duration,
    /// Lines to make; `None`: for ever.
    count: Option<u64>,
    fields: Vec<(Key, Literal)>,
}

/// Reads an `[inputs.NAME]` table with `type = "generate"`.
pub(super) fn load(section: &Section<'_>, load: &mut InputLoad<'_>) -> Option<Box<dyn Input>> {
    let lines = section.required_strings("lines", "['{\"message\":\"hello\"}']");
    let interval = section.duration_or("interval", Duration::from_secs(1));
    let count = section.integer("count", 1..i64::MAX).map(|count| count as u64);
    let fields = std::mem::take(&mut load.fields);
    if let Some(line) = lines.iter().find(|line| line.contains('\n')) {
        let hint = "write each line as a text of its own".to_string();
        section.error(line.span.clone(), "a line has a line feed in it", Some(hint));
        return None;
    }
    if interval.is_zero() {
        let hint = "write for example: interval = \"1s\"".to_string();
        section.error(section.span_of("interval"), "`interval` is 0", Some(hint));
        return None;
    }
    let lines: Vec<String> = lines.into_iter().map(|line| line.value).collect();
    (!lines.is_empty()).then(|| Box::new(Generate { lines, interval, count, fields }) as _)
}

impl Input for Generate {
    fn run(self: Box<Self>, context: InputContext) -> BoxFuture<'static, ()> {
        Box::pin(self.make(context))
    }
}

impl Generate {
    async fn make(self, mut context: InputContext) {
        let source = Arc::new(Source {
            id: Source::new_id(),
            input: Arc::clone(&context.name),
            kind: SourceKind::Stream,
            fields: self.fields,
        });
        context.health.set(State::Fine);
        let (mut offset, mut given) = (0, 0);
        for line in self.lines.iter().cycle() {
            if self.count.is_some_and(|count| given >= count) {
                break;
            }
            tokio::select! {
                biased;
                () = stopped(&mut context.stop) => return,
                () = sleep(self.interval) => {}
            }
            let text = format!("{line}\n").into_bytes();
            let length = text.len() as u64;
            let chunk = made(text, &source, offset, context.clock.now_ns());
            if context.intake.submit(chunk).await.is_err() {
                return;
            }
            offset += length;
            given += 1;
        }
        stopped(&mut context.stop).await;
    }
}

/// A chunk of a line that the agent made itself.
pub(super) fn made(text: Vec<u8>, source: &Arc<Source>, offset: u64, received_ns: i64) -> Chunk {
    Chunk {
        text,
        source: Arc::clone(source),
        offset,
        received_ns,
        piece: false,
        last: false,
        position: None,
        told: Vec::new(),
        ack: None,
        memory: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{pipeline, soon};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lines_come_in_turn_and_no_more_than_asked_for() {
        let (context, mut pipeline) = pipeline(4);
        let lines = vec!["a".to_string(), "b".to_string()];
        let interval = Duration::from_secs(7);
        let generate = Generate { lines, interval, count: Some(3), fields: Vec::new() };
        let begin = tokio::time::Instant::now();
        let task = tokio::spawn(generate.make(context));
        for (number, line) in ["a\n", "b\n", "a\n"].into_iter().enumerate() {
            let chunk = pipeline.chunk().await;
            assert_eq!((chunk.text.as_slice(), chunk.offset), (line.as_bytes(), 2 * number as u64));
        }
        assert_eq!(begin.elapsed(), 3 * interval);
        pipeline.stop.send(true).unwrap();
        soon(task).await.unwrap();
        assert!(pipeline.chunks.recv().await.is_none());
    }
}
