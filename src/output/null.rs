//! Output `null`: events go nowhere.
//!
//! In: frames. Out: nothing. Promises: a document is done at once, and counted as delivered. On failure: nothing fails.

use super::{Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::health::State;
use crate::settings::Section;
use crate::template::Template;

struct Null;

#[allow(clippy::unnecessary_wraps, reason = "every kind of output is loaded through this type")]
pub(super) fn load(_: &Section<'_>, _: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    Some(Box::new(Null))
}

impl Output for Null {
    fn address(&self) -> Option<&Template> {
        None
    }

    fn run(self: Box<Self>, mut context: OutputContext) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let delivered = super::delivered(&context.metrics);
            context.health.set(State::Fine);
            while let Some(frame) = super::next_frame(&mut context).await {
                let bit = 1 << context.bit;
                delivered.add(frame.documents().filter(|d| d.routes & bit != 0).count() as u64);
                context.feed.done(frame.sequence());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::stage::Stage;
    use super::*;

    #[tokio::test]
    async fn a_frame_is_done_at_once_and_its_own_documents_count() {
        let (mut stage, context) = Stage::new(crate::storage::disk());
        let task = tokio::spawn(Box::new(Null).run(context));
        let document = || "{\"a\":1}".to_string();
        let sequence = stage.frame(&[("x", document()), ("", document()), ("x", document())]);
        stage.until_done(sequence).await;
        let line = "logweir_output_documents_total{result=\"delivered\"}";
        assert_eq!(stage.counted(line), 2);
        stage.stop.send(true).unwrap();
        task.await.unwrap();
    }
}
