//! `<parse>` sections, and `format` as versions before 0.14 wrote it.

use super::super::fluent::parse::{Parser, pattern_of};
use super::super::fluent::text::{is_true, list};
use super::route::Notes;
use super::source::text;
use super::syntax::Element;

/// The parser of a source or a filter; `none` where nothing is written.
pub fn parser_of(element: &Element, notes: &mut Notes) -> Parser {
    let section = element.element("parse");
    let at = section.unwrap_or(element);
    let kind = match section {
        Some(section) => section.kind(),
        None => text(element, "format", notes).unwrap_or_default(),
    };
    let kind = chosen(kind.trim(), section.unwrap_or(element), notes);
    if kind == "multi_format" {
        return multi_format(at, notes);
    }
    let mut parser = Parser { pattern: None, kind: kind.clone(), ..Parser::default() };
    if kind.starts_with('/') {
        parser.kind = "regexp".to_string();
        parser.pattern = Some(kind.clone());
    } else if kind.is_empty() {
        parser.kind = "none".to_string();
    }
    if let Some(pattern) = text(at, "expression", notes).or_else(|| text(at, "grok_pattern", notes))
    {
        parser.pattern = Some(pattern);
    }
    if let Some(grok) = at.element("grok") {
        parser.pattern = text(grok, "pattern", notes);
    }
    parser.start = text(at, "format_firstline", notes)
        .or_else(|| text(at, "multiline_start_regexp", notes))
        .map(|pattern| pattern_of(&pattern));
    let lines: Vec<String> = (1..=20)
        .map_while(|number| text(at, &format!("format{number}"), notes))
        .map(|pattern| pattern_of(&pattern))
        .collect();
    if !lines.is_empty() {
        parser.start.get_or_insert_with(|| lines[0].clone());
        parser.pattern = Some(format!("(?m){}", lines.concat()));
    }
    if parser.kind == "syslog"
        && text(at, "message_format", notes).is_some_and(|format| format == "rfc5424")
    {
        parser.kind = "syslog-rfc5424".to_string();
    }
    parser.time_key = text(at, "time_key", notes).filter(|key| !key.is_empty());
    parser.time_format = text(at, "time_format", notes).filter(|format| !format.is_empty());
    parser.time_type = text(at, "time_type", notes);
    parser.timezone = text(at, "timezone", notes);
    if text(at, "utc", notes).is_some_and(|value| is_true(&value)) {
        parser.timezone = Some("UTC".to_string());
    }
    parser.keeps_time = text(at, "keep_time_key", notes).is_some_and(|value| is_true(&value));
    parser.keys = text(at, "keys", notes).map(|keys| list(&keys)).unwrap_or_default();
    parser.delimiter =
        text(at, "delimiter", notes).or_else(|| text(at, "delimiter_pattern", notes));
    parser.label_delimiter = text(at, "label_delimiter", notes);
    parser.types = types(&text(at, "types", notes).unwrap_or_default());
    parser
}

/// A parser that the environment chooses is the one that is usual.
fn chosen(kind: &str, section: &Element, notes: &mut Notes) -> String {
    if !kind.starts_with("#{") && !kind.starts_with("${") {
        return kind.to_string();
    }
    let written = ["@type", "type", "format"].iter().find_map(|name| text(section, name, notes));
    let written = written.unwrap_or_default();
    let usual = written.split_once(":-").map(|(_, usual)| usual.trim_end_matches('}'));
    let usual = usual.filter(|usual| *usual != "not-set").unwrap_or("none").to_string();
    notes.difference(format!("the parser is `{usual}`, whatever the environment says"));
    usual
}

/// `a:integer,b:float`, or the same as JSON.
pub fn types(text: &str) -> Vec<(String, String)> {
    if let Ok(serde_json::Value::Object(types)) = serde_json::from_str(text) {
        return types
            .iter()
            .map(|(key, kind)| (key.clone(), kind.as_str().unwrap_or("string").to_string()))
            .collect();
    }
    let pair = |part: &str| {
        part.split_once(':').map(|(key, kind)| (key.trim().to_string(), kind.trim().to_string()))
    };
    text.split([',', ' ']).filter_map(pair).collect()
}

/// Several parsers, the first that fits: JSON and CRI together are a container's file, else patterns.
fn multi_format(element: &Element, notes: &mut Notes) -> Parser {
    let inner: Vec<&Element> = element.elements().filter(|inner| inner.name == "pattern").collect();
    let kind_of =
        |element: &&Element, notes: &mut Notes| text(element, "format", notes).unwrap_or_default();
    let Some(first) = inner.first() else { return Parser::of("none") };
    if inner.iter().any(|pattern| kind_of(pattern, notes) == "json") && inner.len() > 1 {
        return Parser { kind: "multi_format".to_string(), ..inner_parser(first, notes) };
    }
    notes.difference("of several formats only the first is taken");
    inner_parser(first, notes)
}

fn inner_parser(element: &Element, notes: &mut Notes) -> Parser {
    let mut element = element.clone();
    element.name = "source".to_string();
    parser_of(&element, notes)
}
