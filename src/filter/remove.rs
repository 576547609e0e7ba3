//! Filter `remove`: fields taken out of the event.
//!
//! In: `fields = ["a", "b.c", "tmp_*"]`; a star at the end stands for any rest of a name.
//! Out: the event without them. An absent field is no failure.

use std::sync::Arc;

use super::named::{Use, path};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection, Value};
use crate::settings::{Section, Spanned};

struct Remove {
    plan: Arc<Plan>,
}

#[derive(Default)]
struct Plan {
    paths: Vec<Path>,
    /// The object that holds the fields (`None`: the event itself), and how their names begin.
    prefixes: Vec<(Option<Path>, Box<[u8]>)>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let mut texts = section.strings("field").unwrap_or_default();
    if section.has("field") {
        texts.extend(section.strings("fields").unwrap_or_default());
    } else {
        texts = section.required_strings("fields", "[\"password\"]");
    }
    let mut plan = Plan::default();
    let all =
        texts.iter().map(|text| add(section, text, load, &mut plan)).fold(Some(()), Option::and);
    all?;
    if texts.is_empty() {
        return None;
    }
    let plan = Arc::new(plan);
    Some(Box::new(move || Box::new(Remove { plan: Arc::clone(&plan) })))
}

fn add(
    section: &Section<'_>,
    text: &Spanned<String>,
    load: &mut FilterLoad<'_>,
    plan: &mut Plan,
) -> Option<()> {
    let Some(start) = text.strip_suffix('*') else {
        plan.paths.push(path(section, text, Use::Write, load)?);
        return Some(());
    };
    let (parent, prefix) = match start.rfind('.').filter(|at| !start[..*at].ends_with('\\')) {
        Some(dot) => (Some(&start[..dot]), &start[dot + 1..]),
        None => (None, start),
    };
    if prefix.is_empty() && parent.is_none() {
        let hint = "write how the names begin: \"tmp_*\"";
        section.error(text.span.clone(), "`*` would remove every field", Some(hint.into()));
        return None;
    }
    let parent = match parent {
        None => None,
        Some(parent) => {
            let parent = Spanned { value: parent.to_string(), span: text.span.clone() };
            Some(path(section, &parent, Use::Write, load)?)
        }
    };
    let prefix = prefix.replace("\\.", ".").replace("\\\\", "\\");
    plan.prefixes.push((parent, prefix.into_bytes().into()));
    Some(())
}

impl Filter for Remove {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for path in &self.plan.paths {
                batch.remove(event, path);
            }
            for (parent, prefix) in &self.plan.prefixes {
                remove_prefixed(batch, event, parent.as_ref(), prefix);
            }
        }
    }
}

fn remove_prefixed(batch: &mut Batch, event: usize, parent: Option<&Path>, prefix: &[u8]) {
    let node = match parent {
        None => batch.events[event].root,
        Some(path) => match batch.get(event, path).map(|value| batch.open(value)) {
            Some(Value::Object(node)) => node,
            _ => return,
        },
    };
    let before = batch.object(node).len();
    let mut at = 0;
    while at < batch.object(node).len() {
        if batch.key_name(batch.object(node)[at].key).starts_with(prefix) {
            batch.object_mut(node).remove(at);
        } else {
            at += 1;
        }
    }
    if let Some(path) = parent.filter(|_| batch.object(node).len() < before) {
        batch.set(event, path, Value::Object(node));
    }
}
