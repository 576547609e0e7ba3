//! Fluentd's YAML form: `config:` with a list of `source`, `filter`, `match`, …
//!
//! In: a file's text. Out: the same items as Fluentd's own form gives (docs.fluentd.org, "Config: YAML Format"): a key
//! with `$` is one with `@`, `$tag`, `$name` and `$arg` are the element's argument. On failure: [`SyntaxError`].

use super::super::yaml::{self, Node, Value as Yaml};
use super::syntax::{Element, Item, Parameter, Span, SyntaxError, Value};

/// Reads the text of the file with this number.
///
/// # Errors
/// The first place that is not YAML.
pub fn parse(text: &str, file: usize) -> Result<Vec<Item>, SyntaxError> {
    let documents = yaml::documents(text).map_err(|error| SyntaxError {
        span: Span { file, bytes: error.at..(error.at + 1).min(text.len()) },
        message: error.message,
        hint: None,
    })?;
    let mut items = Vec::new();
    for root in &documents {
        for (_, system) in root.entries().iter().filter(|(name, _)| name == "system") {
            items.push(Item::Element(element("system", system, file)));
        }
        for (_, config) in root.entries().iter().filter(|(name, _)| name == "config") {
            items.extend(config.items().iter().flat_map(|item| items_of(item, file)));
        }
    }
    Ok(items)
}

fn items_of(node: &Node, file: usize) -> Vec<Item> {
    let item = |(name, node): &(String, Node)| match (name.as_str(), node.text()) {
        ("!include" | "include" | "$include", Some(_)) => {
            Item::Include(parameter("@include", node, file))
        }
        _ => Item::Element(element(name, node, file)),
    };
    node.entries().iter().map(item).collect()
}

fn element(name: &str, node: &Node, file: usize) -> Element {
    let mut element = Element {
        name: name.to_string(),
        span: Span { file, bytes: node.bytes.clone() },
        ..Element::default()
    };
    for (key, value) in node.entries() {
        match (key.as_str(), &value.value) {
            ("$tag" | "$name" | "$arg", Yaml::Scalar(text)) => {
                element.argument = Value::text(text.as_str());
            }
            ("config", Yaml::List(items)) => {
                element.body.extend(items.iter().flat_map(|item| items_of(item, file)));
            }
            (key, Yaml::Map(_)) => {
                element.body.push(Item::Element(self::element(key, value, file)));
            }
            (key, Yaml::List(items)) if items.iter().any(|item| !item.entries().is_empty()) => {
                element
                    .body
                    .extend(items.iter().map(|item| Item::Element(self::element(key, item, file))));
            }
            (key, _) => {
                let key =
                    key.strip_prefix('$').map_or_else(|| key.to_string(), |key| format!("@{key}"));
                element.body.push(Item::Parameter(parameter(&key, value, file)));
            }
        }
    }
    element
}

fn parameter(name: &str, node: &Node, file: usize) -> Parameter {
    let text = match &node.value {
        Yaml::Scalar(text) => text.clone(),
        Yaml::List(items) => {
            let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
            serde_json::to_string(&texts).unwrap_or_default()
        }
        Yaml::Map(_) => String::new(),
    };
    let value = super::parser::with_ruby(&text);
    Parameter { name: name.to_string(), value, span: Span { file, bytes: node.bytes.clone() } }
}
