//! Fluent Bit's classic form: `[SECTION]` and `Key Value` lines below it.
//!
//! In: a file's text. Out: the sections as elements, names in lower case (docs.fluentbit.io, "Format and Schema").
//! Promises: `@SET` and `@INCLUDE` are items; lines of templates are comments. On failure: [`SyntaxError`].

use super::super::fluentd::syntax::{Element, Item, Parameter, Span, SyntaxError, Value};

/// Reads the text of the file with this number.
///
/// # Errors
/// The first line that is neither a section, a key, a comment nor a command.
pub fn parse(text: &str, file: usize) -> Result<Vec<Item>, SyntaxError> {
    let mut items = Vec::new();
    let mut open: Option<Element> = None;
    let mut comments: Vec<String> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at + line.len() - line.trim_start().len();
        at += line.len();
        let line = line.trim().trim_start_matches('\u{feff}');
        let span =
            Span { file, bytes: start.min(text.len())..(start + line.len()).min(text.len()) };
        if line.is_empty() {
            continue;
        }
        if let Some(comment) = line.strip_prefix('#') {
            let comment = comment.trim_start_matches('#').trim();
            if !comment.is_empty() && comments.len() < 100 {
                comments.push(comment.to_string());
            }
        } else if line.starts_with("{{") || line.starts_with("{%") || line.starts_with("<%") {
            comments.push(line.to_string());
        } else if let Some(name) = line.strip_prefix('[') {
            let Some(end) = name.find(']') else {
                let message = "`]` is missing after the section's name".to_string();
                return Err(SyntaxError {
                    span,
                    message,
                    hint: Some("write [INPUT], [FILTER], …".to_string()),
                });
            };
            items.extend(open.take().map(Item::Element));
            open = Some(Element {
                name: name[..end].trim().to_lowercase(),
                comments: std::mem::take(&mut comments),
                span,
                ..Element::default()
            });
        } else if let Some(command) = line.strip_prefix('@') {
            let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
            let parameter = Parameter {
                name: format!("@{}", name.to_lowercase()),
                value: Value::text(rest.trim()),
                span,
            };
            if parameter.name == "@include" {
                items.extend(open.take().map(Item::Element));
                items.push(Item::Include(parameter));
            } else {
                items.push(Item::Parameter(parameter));
            }
        } else {
            let Some(element) = &mut open else {
                let message = "a key stands before the first section".to_string();
                return Err(SyntaxError {
                    span,
                    message,
                    hint: Some("begin with [SERVICE] or [INPUT]".to_string()),
                });
            };
            let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            element.span.bytes.end = span.bytes.end;
            element.comments.append(&mut comments);
            let value = Value::text(rest.trim());
            element.body.push(Item::Parameter(Parameter {
                name: name.to_lowercase(),
                value,
                span,
            }));
        }
    }
    items.extend(open.take().map(Item::Element));
    Ok(items)
}
