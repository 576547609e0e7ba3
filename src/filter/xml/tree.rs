//! Elements as values, in the shape that Logstash gives them.
//!
//! In: an element. Out: a text where it holds nothing else; an object of attributes, children and `content` otherwise.
//! Promises: children with the same name become one list, in their order. On failure: nothing can fail.

use roxmltree::Node;

use crate::event::{Batch, NodeId, Value};

/// The field for text that stands beside attributes or elements.
const CONTENT: &[u8] = b"content";

/// How elements are written.
pub(super) struct Tree {
    /// A child is a list also where it is the only one of its name.
    pub(super) force_array: bool,
    /// An element that holds only text is an object with `content`.
    pub(super) force_content: bool,
    /// An element without anything is left out.
    pub(super) suppress_empty: bool,
}

impl Tree {
    /// What an element holds.
    pub(super) fn value(&self, batch: &mut Batch, element: Node<'_, '_>) -> Value {
        let object = batch.new_object();
        attributes(batch, element, object);
        let has_attributes = !batch.object(object).is_empty();
        if element.children().any(|child| child.is_element()) {
            self.children(batch, element, object, has_attributes);
        } else {
            let text: String = texts(element).collect();
            if !is_blank(&text) || !text.is_empty() && has_attributes {
                let value = Value::Str(batch.push_text(text.as_bytes()));
                if !has_attributes && !self.force_content {
                    return value;
                }
                let key = batch.key_named(CONTENT);
                batch.set_in(object, key, value);
            }
        }
        match batch.object(object).is_empty() && self.suppress_empty {
            true => Value::Null,
            false => Value::Object(object),
        }
    }

    fn children(
        &self,
        batch: &mut Batch,
        element: Node<'_, '_>,
        object: NodeId,
        has_attributes: bool,
    ) {
        for child in element.children().filter(Node::is_element) {
            let value = self.value(batch, child);
            let empty = match value {
                Value::Null => true,
                Value::Object(node) => batch.object(node).is_empty(),
                Value::Str(span) => batch.bytes(span).iter().all(u8::is_ascii_whitespace),
                _ => false,
            };
            if !(empty && self.suppress_empty && !has_attributes) {
                self.merge(batch, object, child.tag_name().name(), value);
            }
        }
        let (mut parts, blank) = (texts(element).peekable(), texts(element).all(is_blank));
        if blank {
            return;
        }
        let key = batch.key_named(CONTENT);
        let first = parts.next().unwrap_or_default();
        let mut content = Value::Str(batch.push_text(first.as_bytes()));
        if parts.peek().is_some() {
            let list = batch.new_array();
            batch.array_mut(list).push(content);
            for part in parts {
                let part = Value::Str(batch.push_text(part.as_bytes()));
                batch.array_mut(list).push(part);
            }
            content = Value::Array(list);
        }
        batch.set_in(object, key, content);
    }

    fn merge(&self, batch: &mut Batch, object: NodeId, name: &str, value: Value) {
        let key = batch.key_named(name.as_bytes());
        match batch.find_in(object, key) {
            Some(Value::Array(list)) => batch.array_mut(list).push(value),
            None if !self.force_array || name.as_bytes() == CONTENT => {
                batch.set_in(object, key, value);
            }
            old => {
                let list = batch.new_array();
                batch.array_mut(list).extend(old);
                batch.array_mut(list).push(value);
                batch.set_in(object, key, Value::Array(list));
            }
        }
    }
}

/// Attributes, with the declarations of namespaces, under their written names.
fn attributes(batch: &mut Batch, element: Node<'_, '_>, object: NodeId) {
    let above = element.parent_element();
    for space in element.namespaces() {
        let known = above
            .is_some_and(|above| above.lookup_namespace_uri(space.name()) == Some(space.uri()));
        if known || space.name() == Some("xml") {
            continue;
        }
        let name =
            space.name().map_or_else(|| "xmlns".to_string(), |prefix| format!("xmlns:{prefix}"));
        put(batch, object, &name, space.uri());
    }
    for attribute in element.attributes() {
        match attribute.namespace().and_then(|uri| element.lookup_prefix(uri)) {
            Some(prefix) => {
                put(batch, object, &format!("{prefix}:{}", attribute.name()), attribute.value());
            }
            None => put(batch, object, attribute.name(), attribute.value()),
        }
    }
}

fn put(batch: &mut Batch, object: NodeId, name: &str, value: &str) {
    let key = batch.key_named(name.as_bytes());
    let value = Value::Str(batch.push_text(value.as_bytes()));
    batch.set_in(object, key, value);
}

fn texts<'a>(element: Node<'a, '_>) -> impl Iterator<Item = &'a str> {
    element.children().filter(Node::is_text).filter_map(|text| text.text())
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}
