//! What any filter does to the events that it handled: `add_field`, `remove_field`, `add_tag`, `remove_tag`.
//!
//! In: the settings of one filter, the events it was given. Out: those events changed, in this order as in Logstash:
//! fields added, fields removed, tags added, tags removed. Promises: an event that the filter could not handle, or
//! where it found nothing to do, stays as it is; a field that exists becomes a list. References to absent fields stay
//! as they are written.

use super::FilterLoad;
use super::mutate::Made;
use super::named::{Use, hash};
use super::reference::FieldName;
use super::tag::remove_tag;
use crate::event::{Batch, Path, Value};
use crate::settings::Section;
use crate::template::{References, Template};

/// The settings.
pub(super) struct Decoration {
    add_field: Vec<(FieldName, Made)>,
    remove_field: Vec<FieldName>,
    add_tag: Vec<Template>,
    remove_tag: Vec<Template>,
}

impl Decoration {
    /// Reads the settings; `None` where none of them is written (or what is written is faulty and was reported).
    pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Decoration> {
        let mut add_field = Vec::new();
        for (name, item) in hash(section, "add_field").unwrap_or_default() {
            let field = FieldName::load(section, &name, Use::Write, load);
            let added = Made::load(section, item, load);
            add_field.extend(field.zip(added));
        }
        let names = section.strings("remove_field").unwrap_or_default();
        let remove_field = names
            .iter()
            .filter_map(|name| FieldName::load(section, name, Use::Write, load))
            .collect::<Vec<_>>();
        let add_tag = templates(section, "add_tag", load);
        let remove_tag = templates(section, "remove_tag", load);
        let none = add_field.is_empty() && remove_field.is_empty() && add_tag.is_empty();
        let decoration = Decoration { add_field, remove_field, add_tag, remove_tag };
        (!none || !decoration.remove_tag.is_empty()).then_some(decoration)
    }

    /// Changes one event.
    pub(super) fn apply(&self, batch: &mut Batch, event: usize, scratch: &mut Vec<u8>) {
        for (name, added) in &self.add_field {
            let Some(path) = name.at(batch, event) else { continue };
            let value = added.value(batch, event, scratch);
            add(batch, event, &path, value);
        }
        for name in &self.remove_field {
            if let Some(path) = name.at(batch, event) {
                batch.remove(event, &path);
            }
        }
        for template in &self.add_tag {
            scratch.clear();
            template.render_as_written(batch, event, scratch);
            if let Ok(tag) = std::str::from_utf8(scratch) {
                batch.add_tag(event, tag);
            }
        }
        for template in &self.remove_tag {
            scratch.clear();
            template.render_as_written(batch, event, scratch);
            remove_tag(batch, event, scratch);
        }
    }
}

fn templates(section: &Section<'_>, key: &'static str, load: &mut FilterLoad<'_>) -> Vec<Template> {
    let texts = section.strings(key).unwrap_or_default();
    let read = |text| Template::load_as(section, text, References::Both, load.keys);
    texts.iter().filter_map(read).collect()
}

/// Sets a field, or makes a list of what is there and the new value.
pub(super) fn add(batch: &mut Batch, event: usize, path: &Path, value: Value) {
    let list = match batch.get(event, path) {
        None | Some(Value::Null) => return batch.set(event, path, value),
        Some(old) => match batch.open(old) {
            Value::Array(list) => list,
            old => {
                let list = batch.new_array();
                batch.array_mut(list).push(old);
                list
            }
        },
    };
    batch.array_mut(list).push(value);
    batch.set(event, path, Value::Array(list));
}
