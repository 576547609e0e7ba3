//! Fluent Bit's YAML form: `service`, `env`, `parsers`, `pipeline` with inputs, filters and outputs.
//!
//! In: a file's text. Out: the same items as the classic form gives (docs.fluentbit.io, "YAML Configuration");
//! `processors` of an input are filters for its tag, those of an output filters for its match. On failure:
//! [`SyntaxError`].

use super::super::fluentd::syntax::{Element, Item, Parameter, Span, SyntaxError, Value};
use super::super::yaml::{self, Node, Value as Yaml};

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
        for (name, node) in root.entries() {
            match name.as_str() {
                "service" => items.push(Item::Element(element("service", node, file))),
                "env" => items.extend(node.entries().iter().map(|(name, node)| {
                    let text = format!("{name}={}", node.text().unwrap_or_default());
                    let span = Span { file, bytes: node.bytes.clone() };
                    Item::Parameter(Parameter {
                        name: "@set".into(),
                        value: Value::text(text),
                        span,
                    })
                })),
                "includes" => items.extend(node.items().iter().map(|node| {
                    let span = Span { file, bytes: node.bytes.clone() };
                    let value = Value::text(node.text().unwrap_or_default());
                    Item::Include(Parameter { name: "@include".into(), value, span })
                })),
                "parsers" => each(&mut items, "parser", node, file),
                "multiline_parsers" => each(&mut items, "multiline_parser", node, file),
                "customs" => each(&mut items, "custom", node, file),
                "stream_processor" => each(&mut items, "stream_task", node, file),
                "pipeline" => pipeline(&mut items, node, file),
                _ => {}
            }
        }
    }
    Ok(items)
}

fn pipeline(items: &mut Vec<Item>, node: &Node, file: usize) {
    let part = |name: &str| node.get(name).map(Node::items).unwrap_or_default();
    let mut early = Vec::new();
    let mut late = Vec::new();
    for input in part("inputs") {
        let mut tag = input.get("tag").and_then(Node::text).unwrap_or_default().to_string();
        if tag.is_empty() {
            tag = format!("{}.*", input.get("name").and_then(Node::text).unwrap_or_default());
        }
        items.push(Item::Element(element("input", input, file)));
        early.extend(processors(input, &tag, file));
    }
    items.extend(early);
    for filter in part("filters") {
        items.push(Item::Element(element("filter", filter, file)));
    }
    for output in part("outputs") {
        let matched = output.get("match").and_then(Node::text).unwrap_or("*").to_string();
        late.extend(processors(output, &matched, file));
    }
    items.extend(late);
    for output in part("outputs") {
        items.push(Item::Element(element("output", output, file)));
    }
}

fn processors(node: &Node, tag: &str, file: usize) -> Vec<Item> {
    let logs =
        node.get("processors").and_then(|all| all.get("logs")).map(Node::items).unwrap_or_default();
    let filter = |node: &Node| {
        let mut filter = element("filter", node, file);
        let span = filter.span.clone();
        filter.body.push(Item::Parameter(Parameter {
            name: "match".into(),
            value: Value::text(tag),
            span,
        }));
        Item::Element(filter)
    };
    logs.iter().map(filter).collect()
}

fn each(items: &mut Vec<Item>, name: &str, node: &Node, file: usize) {
    items.extend(node.items().iter().map(|node| Item::Element(element(name, node, file))));
}

fn element(name: &str, node: &Node, file: usize) -> Element {
    let mut body = Vec::new();
    for (key, value) in node.entries() {
        let key = key.to_lowercase();
        let mut push = |node: &Node, text: String| {
            let span = Span { file, bytes: node.bytes.clone() };
            body.push(Item::Parameter(Parameter {
                name: key.clone(),
                value: Value::text(text),
                span,
            }));
        };
        match &value.value {
            _ if key == "processors" => {}
            Yaml::Scalar(text) => push(value, text.clone()),
            // A key that is written several times, or a list.
            Yaml::List(list) => {
                for item in list {
                    let pairs: Vec<String> = item
                        .entries()
                        .iter()
                        .filter_map(|(_, node)| node.text().map(str::to_string))
                        .collect();
                    push(item, item.text().map_or_else(|| pairs.join(" "), str::to_string));
                }
            }
            Yaml::Map(entries) => {
                for (name, node) in entries {
                    push(node, format!("{name} {}", node.text().unwrap_or_default()));
                }
            }
        }
    }
    Element {
        name: name.to_string(),
        body,
        span: Span { file, bytes: node.bytes.clone() },
        ..Element::default()
    }
}
