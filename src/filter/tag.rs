//! Filter `tag`: tags added and removed.
//!
//! In: `add`, `remove`: lists of templates. Out: the field `tags`. Promises: a tag is there once.
//! On failure: a tag whose template names an absent field is left out.

use std::sync::Arc;

use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Key, Selection, Value};
use crate::settings::Section;
use crate::template::Template;

struct Tag {
    plan: Arc<Plan>,
    scratch: Vec<u8>,
}

struct Plan {
    add: Vec<Template>,
    remove: Vec<Template>,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let add = templates(section, "add", load);
    let remove = templates(section, "remove", load);
    if !section.has("add") && !section.has("remove") {
        section.missing("add", "[\"seen\"]");
        return None;
    }
    let plan = Arc::new(Plan { add: add?, remove: remove? });
    Some(Box::new(move || Box::new(Tag { plan: Arc::clone(&plan), scratch: Vec::new() })))
}

fn templates(
    section: &Section<'_>,
    key: &'static str,
    load: &mut FilterLoad<'_>,
) -> Option<Vec<Template>> {
    if !section.has(key) {
        return Some(Vec::new());
    }
    let texts = section.strings(key)?;
    let templates: Vec<Template> =
        texts.iter().filter_map(|text| Template::load(section, text, load.keys)).collect();
    (templates.len() == texts.len()).then_some(templates)
}

impl Filter for Tag {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for template in &self.plan.remove {
                self.scratch.clear();
                if template.render(batch, event, &mut self.scratch) {
                    remove_tag(batch, event, &self.scratch);
                }
            }
            for template in &self.plan.add {
                self.scratch.clear();
                if template.render(batch, event, &mut self.scratch)
                    && let Ok(tag) = std::str::from_utf8(&self.scratch)
                {
                    batch.add_tag(event, tag);
                }
            }
        }
    }
}

/// Takes a tag out; the field goes with the last one.
pub(super) fn remove_tag(batch: &mut Batch, event: usize, tag: &[u8]) {
    let Some(tags) = batch.get_root(event, Key::TAGS) else { return };
    let opened = batch.open(tags);
    let left = match opened {
        Value::Array(list) => {
            let is_tag = |b: &Batch, at: usize| {
                b.str_bytes(b.array(list)[at]).is_some_and(|text| *text == *tag)
            };
            let before = batch.array(list).len();
            for at in (0..before).rev() {
                if is_tag(batch, at) {
                    batch.array_mut(list).remove(at);
                }
            }
            if batch.array(list).len() == before {
                return;
            }
            batch.array(list).len()
        }
        single => usize::from(batch.str_bytes(single).is_none_or(|text| *text != *tag)),
    };
    if left == 0 {
        batch.fields_mut(event).retain(|field| field.key != Key::TAGS);
    } else {
        batch.set_root(event, Key::TAGS, opened);
    }
}
