//! Filter `de_dot`: fields whose names hold dots get other names, or become nested ones.
//!
//! In: `fields` (default: all of the event itself), `separator`, `nested`, `recursive`. Out: `a.b` is `a_b`, with
//! `nested` it is the field `b` of the object `a`. Promises: fields beside the renamed ones stay; objects that nothing
//! is left in are removed. On failure: a field of the new name is replaced, as in Logstash; nothing can fail.

use std::sync::Arc;

use super::named::flag;
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Key, NodeId, Path, Selection, Value};
use crate::settings::{Section, Spanned};

struct DeDot {
    plan: Arc<Plan>,
}

struct Plan {
    /// Empty: all fields of the event.
    fields: Vec<Path>,
    /// `None`: a dot separates names of nested fields.
    separator: Option<String>,
    recursive: bool,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let separator = section.string_or("separator", "_");
    let nested = flag(section, "nested", false);
    let recursive = flag(section, "recursive", false);
    let names = section.strings("fields").unwrap_or_default();
    let fields: Vec<Path> = names.iter().filter_map(|name| named(section, name, load)).collect();
    if separator.contains('.') {
        let hint = "write for example separator = \"_\"";
        section.error(separator.span, "the separator holds a dot itself", Some(hint.into()));
        return None;
    }
    if fields.len() != names.len() {
        return None;
    }
    let separator = (!nested).then_some(separator.value);
    let plan = Arc::new(Plan { fields, separator, recursive });
    Some(Box::new(move || Box::new(DeDot { plan: Arc::clone(&plan) })))
}

/// A field's name: one without brackets may hold dots.
fn named(section: &Section<'_>, name: &Spanned<String>, load: &mut FilterLoad<'_>) -> Option<Path> {
    if name.starts_with('[') || name.is_empty() {
        return Path::load(section, name, load.keys);
    }
    Some(Path::from_names(&[&name.value], load.keys))
}

impl Filter for DeDot {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = &*self.plan;
        for event in selected.iter() {
            if plan.fields.is_empty() {
                let root = batch.events[event].root;
                plan.rename_in(batch, root);
                continue;
            }
            for field in &plan.fields {
                plan.rename(batch, event, field);
            }
        }
    }
}

impl Plan {
    /// Renames one field, wherever it is.
    fn rename(&self, batch: &mut Batch, event: usize, field: &Path) {
        let Some(value) = batch.get(event, field) else { return };
        let value = self.inside(batch, value);
        let names = field.segments().iter().flat_map(|segment| self.names(&segment.name));
        let new = names.map(|name| format!("[{name}]")).collect::<String>();
        if !field.segments().iter().any(|segment| segment.name.contains('.')) {
            return batch.set(event, field, value);
        }
        let Some(new) = Path::resolve(&new, batch) else { return };
        batch.set(event, &new, value);
        batch.remove(event, field);
        self.remove_empty(batch, event, field);
    }

    /// Removes the objects that the field was alone in.
    fn remove_empty(&self, batch: &mut Batch, event: usize, field: &Path) {
        let names: Vec<String> =
            field.segments().iter().map(|segment| format!("[{}]", segment.name)).collect();
        for length in (1..names.len()).rev() {
            let Some(above) = Path::resolve(&names[..length].concat(), batch) else { return };
            let value = batch.get(event, &above).map(|value| batch.open(value));
            match value {
                Some(Value::Object(node)) if batch.object(node).is_empty() => {
                    batch.remove(event, &above);
                }
                _ => return,
            }
        }
    }

    /// Renames the fields of an object.
    fn rename_in(&self, batch: &mut Batch, node: NodeId) {
        let mut at = 0;
        for _ in 0..batch.object(node).len() {
            let field = batch.object(node)[at];
            if field.key == Key::METADATA {
                at += 1;
                continue;
            }
            let value = self.inside(batch, field.value);
            let name = String::from_utf8_lossy(batch.key_name(field.key)).into_owned();
            let path = name.contains('.').then(|| self.path(batch, &name)).flatten();
            let Some(path) = path else {
                batch.object_mut(node)[at].value = value;
                at += 1;
                continue;
            };
            batch.object_mut(node).remove(at);
            batch.set_within(node, &path, value);
        }
    }

    /// What is within a value, renamed, too, where that is wanted.
    fn inside(&self, batch: &mut Batch, value: Value) -> Value {
        if !self.recursive {
            return value;
        }
        match batch.open(value) {
            Value::Object(node) => {
                self.rename_in(batch, node);
                Value::Object(node)
            }
            Value::Array(list) => {
                for at in 0..batch.array(list).len() {
                    let item = batch.array(list)[at];
                    let item = self.inside(batch, item);
                    batch.array_mut(list)[at] = item;
                }
                Value::Array(list)
            }
            other => other,
        }
    }

    /// The new place of a name with dots; `None`: it is none that a field can have.
    fn path(&self, batch: &mut Batch, name: &str) -> Option<Path> {
        let names: String = self.names(name).iter().map(|name| format!("[{name}]")).collect();
        Path::resolve(&names, batch).filter(|path| !path.is_timestamp())
    }

    fn names(&self, name: &str) -> Vec<String> {
        match &self.separator {
            Some(separator) => vec![name.replace('.', separator)],
            None => name.split('.').filter(|part| !part.is_empty()).map(str::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    #[track_caller]
    fn check(settings: &str, json: &str, expected: &str) {
        let text = format!("[[filters]]\ntype = \"de_dot\"\n{settings}\n");
        assert_eq!(run(&text, json), expected, "{settings}");
    }

    #[test]
    fn names_with_dots_get_others() {
        check("", r#"{"a.b.c":1,"d":2,"e.f":3}"#, r#"{"d":2,"a_b_c":1,"e_f":3}"#);
        check("separator = \"__\"", r#"{"a.b":{"c.d":1}}"#, r#"{"a__b":{"c.d":1}}"#);
        check("recursive = true", r#"{"a":{"c.d":[{"e.f":1}]}}"#, r#"{"a":{"c_d":[{"e_f":1}]}}"#);
        check("", r#"{"..":1,"a]b.c":2}"#, r#"{"a]b.c":2,"__":1}"#);
    }

    #[test]
    fn names_with_dots_become_nested_fields() {
        check("nested = true", r#"{"a.b":1,"a.c":2}"#, r#"{"a":{"b":1,"c":2}}"#);
        check(
            "nested = true\nrecursive = true",
            r#"{"x":{"a.b":{"c.d":1}}}"#,
            r#"{"x":{"a":{"b":{"c":{"d":1}}}}}"#,
        );
        check("nested = true", r#"{"..":1}"#, r#"{"..":1}"#);
    }

    #[test]
    fn only_the_fields_that_are_named_are_renamed() {
        check(
            "fields = [\"a.b\", \"[c][d.e]\"]",
            r#"{"a.b":1,"c":{"d.e":2},"f.g":3}"#,
            r#"{"c":{"d_e":2},"f.g":3,"a_b":1}"#,
        );
        check(
            "fields = [\"[a.b][c.d]\"]\nnested = true",
            r#"{"a.b":{"c.d":1}}"#,
            r#"{"a":{"b":{"c":{"d":1}}}}"#,
        );
        check(
            "fields = [\"[a.b][c.d]\"]\nnested = true",
            r#"{"a.b":{"c.d":1,"x":2}}"#,
            r#"{"a.b":{"x":2},"a":{"b":{"c":{"d":1}}}}"#,
        );
        check("fields = [\"no.such\", \"plain\"]", r#"{"plain":1}"#, r#"{"plain":1}"#);
    }

    #[test]
    fn a_separator_with_a_dot_is_refused() {
        let text = "[[filters]]\ntype = \"de_dot\"\nseparator = \".\"\n";
        assert!(problems(text).contains("holds a dot itself"));
    }
}
