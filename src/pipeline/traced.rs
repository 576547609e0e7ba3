//! A feed whose progress a trace is told.
//!
//! In: a feed. Out: the same frames. Promises: nothing is changed. On failure: nothing can fail.

use std::sync::Arc;

use crate::delivery::{BoxFuture, Feed};
use crate::frame::Frame;
use crate::trace::PipelineTracer;

/// The feed itself where nothing is traced.
pub(super) fn watched(
    feed: Box<dyn Feed>,
    tracer: Option<&PipelineTracer>,
    output: &str,
) -> Box<dyn Feed> {
    let Some(tracer) = tracer.cloned() else { return feed };
    Box::new(TracedFeed { feed, tracer, output: output.to_string() })
}

struct TracedFeed {
    feed: Box<dyn Feed>,
    tracer: PipelineTracer,
    output: String,
}

impl Feed for TracedFeed {
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Frame>>> {
        self.feed.next()
    }

    fn next_now(&mut self) -> Option<Arc<Frame>> {
        self.feed.next_now()
    }

    fn done(&mut self, sequence: u64) {
        self.feed.done(sequence);
        self.tracer.done(&self.output, sequence);
    }
}
