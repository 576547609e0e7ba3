//! What becomes of an event that a filter could not handle.
//!
//! In: `tag_on_failure` (a tag or a list of tags) and the filter's counter. Out: the event tagged, marked as missed,
//! and counted. Promises: an empty list tags nothing and still counts.

use super::{FilterLoad, counters};
use crate::event::Batch;
use crate::metrics::Counter;
use crate::settings::Section;

/// The tags of a failure, and how many there were.
pub(super) struct Failure {
    tags: Vec<String>,
    counter: Counter,
}

impl Failure {
    /// Reads `tag_on_failure`; `default` where it is not written.
    pub(super) fn load(section: &Section<'_>, default: &str, load: &FilterLoad<'_>) -> Failure {
        Failure::load_as(section, "tag_on_failure", default, load)
    }

    /// As [`Failure::load`], where the setting has another name.
    pub(super) fn load_as(
        section: &Section<'_>,
        key: &'static str,
        default: &str,
        load: &FilterLoad<'_>,
    ) -> Failure {
        let tags = section.strings(key).map_or_else(
            || vec![default.to_string()],
            |tags| tags.into_iter().map(|tag| tag.value).collect(),
        );
        let (_, counter) = counters(section, load);
        Failure { tags, counter }
    }

    /// Tags and counts an event.
    pub(super) fn mark(&self, batch: &mut Batch, event: usize) {
        for tag in &self.tags {
            batch.add_tag(event, tag);
        }
        self.count(batch, event);
    }

    /// Counts an event that gets another tag.
    pub(super) fn mark_as(&self, batch: &mut Batch, event: usize, tag: &str) {
        batch.add_tag(event, tag);
        self.count(batch, event);
    }

    /// Counts an event that gets no tag.
    pub(super) fn count(&self, batch: &mut Batch, event: usize) {
        batch.events[event].missed = true;
        self.counter.increment();
    }
}
