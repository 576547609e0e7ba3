//! Elasticsearch and `OpenSearch`: documents in bulk, each exactly once.
//!
//! Is: the output `type = "elasticsearch"`. In: frames. Out: requests to `/_bulk`. Promises: each document has its
//! own fate (stored, stored before, dead letter, tried again), and nothing else moves the cursor; a document keeps
//! its id, so that sending it twice stores it once (with `ids = "server"`: at least once); memory is bounded by
//! `requests` times `bulk_size` (twice that where frames are shared with other outputs) plus `waiting_size`. Works with
//! Elasticsearch 7.17 to 9 and `OpenSearch` 2 and 3; only `/_bulk`, for `template` `/_index_template`, and for
//! `logweir audit` `/_search` and `/_refresh` are used.
//! On failure: what may pass is tried again for ever with growing pauses, at other nodes first; health says what
//! is wrong and what to do; see [`outcome`] for the tables.

mod body;
mod bulk;
mod contents;
#[cfg(test)]
mod fake;
mod failure;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod hosts;
mod ledger;
mod letters;
mod lookup;
mod outcome;
mod reply;
mod report;
mod request;
mod retry;
mod run;
mod schedule;
mod settings;
mod setup;
#[cfg(test)]
pub(crate) mod simulated;
mod spare;
mod waiting;
mod window;

use super::{Lookup, Output, OutputLoad};
use crate::delivery::{BoxFuture, OutputContext};
use crate::settings::Section;
use crate::template::Template;
use settings::Settings;

/// An Elasticsearch output.
pub struct Elasticsearch {
    settings: Settings,
    index: Template,
}

/// Reads an `[outputs.NAME]` table with `type = "elasticsearch"`.
pub fn load(section: &Section<'_>, load: &mut OutputLoad<'_>) -> Option<Box<dyn Output>> {
    let (settings, index) = settings::load(section, load)?;
    Some(Box::new(Elasticsearch { settings, index }))
}

impl Output for Elasticsearch {
    fn address(&self) -> Option<&Template> {
        Some(&self.index)
    }

    fn lookup(&self) -> Result<Box<dyn Lookup>, String> {
        Ok(Box::new(lookup::ClusterLookup::new(&self.settings)?))
    }

    fn run(self: Box<Self>, context: OutputContext) -> BoxFuture<'static, ()> {
        Box::pin(run::run(self.settings, context))
    }
}
