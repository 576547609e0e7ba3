//! Filter `split` without a separator: one event as several.
//!
//! In: `field` (default `message`): a list, or a text cut at `terminator` (default a line feed). Out: an event for
//! each item, with all other fields of the first one and the item in `target` (default: the same field). Promises:
//! the events follow each other where the one stood; a text with one part and an empty list leave the event as it is;
//! empty parts are left out. On failure: an absent field, a value that is neither a list nor a text, and one of more
//! than 65,536 items (as many as can come of one event) give the tag `_split_type_failure`, and the event stays as it
//! is.

use std::sync::Arc;

use memchr::memmem::Finder;

use super::failure::Failure;
use super::named::{source, target};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::Section;

struct SplitEvent {
    plan: Arc<Plan>,
    items: Vec<Value>,
}

struct Plan {
    field: Path,
    target: Option<Path>,
    terminator: Finder<'static>,
    failure: Failure,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let failure = Failure::load(section, "_split_type_failure", load);
    let field = source(section, Some("message"), load);
    let target = target(section, load);
    let terminator = section.string_or("terminator", "\n");
    if terminator.is_empty() {
        let hint = "write what ends a part: \"\\n\"";
        section.error(terminator.span, "the terminator is empty", Some(hint.into()));
        return None;
    }
    let terminator = Finder::new(terminator.value.as_bytes()).into_owned();
    let plan = Arc::new(Plan { field: field?, target: target?, terminator, failure });
    Some(Box::new(move || Box::new(SplitEvent { plan: Arc::clone(&plan), items: Vec::new() })))
}

impl Filter for SplitEvent {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let value = batch.get(event, &plan.field);
            if value.and_then(|value| self.take_items(&plan, batch, value)).is_none() {
                plan.failure.mark(batch, event);
                continue;
            }
            if self.items.is_empty() {
                batch.events[event].missed = true;
                continue;
            }
            // All of them or none: an event that is left as it is has all that was in it.
            if self.items.len() - 1 > batch.derivable(event) {
                plan.failure.mark(batch, event);
                continue;
            }
            let into = plan.target.as_ref().unwrap_or(&plan.field);
            for at in 1..self.items.len() {
                let Some(made) = copy_of(batch, event) else {
                    plan.failure.mark(batch, event);
                    break;
                };
                let item = batch.deep_copy(self.items[at]);
                batch.set(made, into, item);
            }
            batch.set(event, into, self.items[0]);
        }
    }
}

impl SplitEvent {
    /// Reads the items of a value; `None`: it has none by its kind.
    fn take_items(&mut self, plan: &Plan, batch: &mut Batch, value: Value) -> Option<()> {
        self.items.clear();
        let value = batch.open(value);
        match batch.unescape(value) {
            Value::Array(list) => {
                // Null and the empty text are no items, as in Logstash.
                let is_item = |item: &&Value| {
                    let span = match item {
                        Value::Str(span) | Value::Escaped(span) => *span,
                        other => return **other != Value::Null,
                    };
                    span.len > 0
                };
                self.items.extend(batch.array(list).iter().filter(is_item));
            }
            Value::Str(text) => {
                let mut from = 0;
                while from < text.len as usize {
                    let rest = &batch.bytes(text)[from..];
                    let length = plan.terminator.find(rest).unwrap_or(rest.len());
                    if length > 0 {
                        self.items.push(Value::Str(text.part(from, from + length)));
                    }
                    from += length + plan.terminator.needle().len();
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// A new event with the same fields; they belong to it alone. `None`: the event has given too many.
pub(super) fn copy_of(batch: &mut Batch, event: usize) -> Option<usize> {
    let made = batch.derive_event(event)?;
    for at in 0..batch.fields(event).len() {
        let mut field = batch.fields(event)[at];
        field.value = batch.deep_copy(field.value);
        batch.fields_mut(made).push(field);
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, metadata, written};
    use crate::event::{Path, Value};

    fn all(settings: &str, jsons: &[&str]) -> Vec<String> {
        let mut trial = Trial::new(&format!("[[filters]]\ntype = \"split\"\n{settings}\n"));
        let mut batch = trial.batch(jsons);
        trial.chain.apply(&mut batch);
        (0..batch.events.len()).map(|event| written(&batch, event)).collect()
    }

    #[test]
    fn each_item_is_an_event_in_its_place() {
        let found = all(
            "add_tag = \"t\"",
            &[r#"{"message":"a\n\nb\n","x":{"y":1}}"#, r#"{"message":"c"}"#],
        );
        assert_eq!(
            found,
            [
                r#"{"message":"a","x":{"y":1},"tags":["t"]}"#,
                r#"{"message":"b","x":{"y":1},"tags":["t"]}"#,
                r#"{"message":"c","tags":["t"]}"#
            ]
        );
        let found = all("field = \"l\"", &[r#"{"l":[1,null,"","a"]}"#]);
        assert_eq!(found, [r#"{"l":1}"#, r#"{"l":"a"}"#]);
        let found = all("field = \"l\"\ntarget = \"i\"", &[r#"{"l":[{"a":1},2]}"#]);
        assert_eq!(found, [r#"{"l":[{"a":1},2],"i":{"a":1}}"#, r#"{"l":[{"a":1},2],"i":2}"#]);
    }

    #[test]
    fn what_cannot_be_split_stays() {
        assert_eq!(
            all("", &[r#"{"message":1}"#]),
            [r#"{"message":1,"tags":["_split_type_failure"]}"#]
        );
        assert_eq!(
            all("add_tag = \"t\"", &[r#"{"a":1}"#]),
            [r#"{"a":1,"tags":["_split_type_failure"]}"#]
        );
        assert_eq!(all("", &[r#"{"message":[]}"#]), [r#"{"message":[]}"#]);
    }

    #[test]
    fn an_event_of_more_items_than_one_can_give_stays_whole() {
        let list = |count: u32| {
            let items: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            format!("[{}]", items.join(","))
        };
        let most = all("", &[&format!("{{\"message\":{}}}", list(65_536))]);
        assert_eq!((most.len(), &*most[65_535]), (65_536, r#"{"message":65535}"#));
        let more = list(65_537);
        let found = all("", &[&format!("{{\"message\":{more}}}")]);
        assert_eq!(found, [format!("{{\"message\":{more},\"tags\":[\"_split_type_failure\"]}}")]);
        // What was split before counts, too.
        let twice = "field = \"a\"\n[[filters]]\ntype = \"split\"\nfield = \"b\"";
        let found = all(twice, &[&format!("{{\"a\":[1,2],\"b\":{}}}", list(40_000))]);
        assert_eq!(found.len(), 40_001);
        assert!(found.iter().any(|event| event.contains("39998,39999],\"tags\"")));
    }

    #[test]
    fn each_event_has_its_own_metadata_of_the_one_that_it_comes_from() {
        for kind in ["split", "clone\"\nclones = [\"x\"]\nid = \"c"] {
            let mut trial = Trial::new(&format!("[[filters]]\ntype = \"{kind}\"\n"));
            let mut batch =
                trial.batch(&[r#"{"message":"a\nb","@metadata":{"index":{"of":"i"}}}"#]);
            trial.chain.apply(&mut batch);
            assert_eq!(batch.events.len(), 2);
            let value = Value::Int(7);
            let path = Path::resolve("@metadata.index.of", &mut batch).unwrap();
            batch.set(0, &path, value);
            assert_eq!(metadata(&batch, 0), r#"{"index":{"of":7}}"#, "{kind}");
            assert_eq!(metadata(&batch, 1), r#"{"index":{"of":"i"}}"#, "{kind}");
        }
    }

    #[test]
    fn events_that_were_made_go_through_the_filters_that_follow() {
        let next =
            "[[filters]]\ntype = \"set\"\nwhen = 'message == \"b\"'\nfields = { seen = true }";
        let found = all(next, &[r#"{"message":"a\nb"}"#]);
        assert_eq!(found, [r#"{"message":"a"}"#, r#"{"message":"b","seen":true}"#]);
    }
}
