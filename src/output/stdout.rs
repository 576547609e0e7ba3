//! Output `stdout`: events on standard output.
//!
//! In: frames. Out: one JSON object a line, or a form for people (`format = "pretty"`). Promises: a document is done
//! when the operating system took it. On failure: a closed standard output pauses the output; nothing is lost.

use std::io::Write;

use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::health::State;
use crate::settings::Section;
use crate::template::Template;

mod pretty;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Pretty,
}

struct Stdout {
    format: Format,
}

#[allow(clippy::unnecessary_wraps, reason = "every kind of output is loaded through this type")]
pub(super) fn load(section: &Section<'_>, _: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let formats = [("json", Format::Json), ("pretty", Format::Pretty)];
    Some(Box::new(Stdout { format: section.choice_or("format", &formats, Format::Json) }))
}

impl Output for Stdout {
    fn address(&self) -> Option<&Template> {
        None
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        Box::pin(print(self.format, context, std::io::stdout))
    }
}

async fn print<W, M>(format: Format, mut context: OutputContext, writer: M)
where
    W: Write,
    M: Fn() -> W + Clone + Send + 'static,
{
    let delivered = super::delivered(&context.metrics);
    context.health.set(State::Fine);
    while let Some(frame) = super::next_frame(&mut context).await {
        let bit = context.bit;
        let (mut text, mut count) = (Vec::new(), 0);
        for document in frame.documents().filter(|d| d.routes & (1 << bit) != 0) {
            match format {
                Format::Json => text.extend_from_slice(document.body),
                Format::Pretty => pretty::write(document.body, &mut text),
            }
            text.push(b'\n');
            count += 1;
        }
        // Standard output may be a slow pipe: the write must not hold up other tasks.
        let writer = writer.clone();
        let write = move || {
            let mut out = writer();
            out.write_all(&text).and_then(|()| out.flush())
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return paused(&mut context, &why.to_string()).await,
            Err(why) => return paused(&mut context, &why.to_string()).await,
        }
        delivered.add(count);
        context.feed.done(frame.sequence());
    }
}

async fn paused(context: &mut OutputContext, why: &str) {
    let reason =
        format!("cannot write to standard output: {why}; restart with a reader at the other end");
    context.health.set(State::Paused(reason));
    let _ = context.stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests;
