//! Dictionaries in files.
//!
//! In: a file's name and text: CSV (key, value), JSON (an object) or YAML (`key: value` on each line, a list or an
//! object as JSON writes it). Out: entries in the order of the file. On failure: what is wrong, with the line where
//! there is one.

use std::path::Path;

use crate::event::Literal;

/// Reads a dictionary by the ending of its name.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<(String, Literal)>, String> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "csv" => csv(text),
        "json" if text.trim().is_empty() => Ok(Vec::new()),
        "json" => json(text),
        "yaml" | "yml" => yaml(text),
        _ => Err("its name does not say what it holds".into()),
    }
}

fn csv(text: &str) -> Result<Vec<(String, Literal)>, String> {
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let odd = || format!("line {}: a key, a comma and a value expected", number + 1);
        let (key, rest) = csv_value(line).ok_or_else(odd)?;
        let rest = rest.strip_prefix(',').ok_or_else(odd)?;
        let (value, _) = csv_value(rest).ok_or_else(odd)?;
        entries.push((key, Literal::Str(value)));
    }
    Ok(entries)
}

/// The first value of a line, and what follows it.
fn csv_value(line: &str) -> Option<(String, &str)> {
    let Some(mut rest) = line.strip_prefix('"') else {
        let end = line.find(',').unwrap_or(line.len());
        return Some((line[..end].to_string(), &line[end..]));
    };
    let mut value = String::new();
    loop {
        let end = rest.find('"')?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => return Some((value, rest)),
        }
    }
}

fn json(text: &str) -> Result<Vec<(String, Literal)>, String> {
    match serde_json::from_str(text).map_err(|error| error.to_string())? {
        serde_json::Value::Object(entries) => {
            Ok(entries.into_iter().map(|(key, value)| (key, literal(value))).collect())
        }
        _ => Err("an object expected".into()),
    }
}

fn literal(value: serde_json::Value) -> Literal {
    use serde_json::Value as Json;
    match value {
        Json::Null => Literal::Null,
        Json::Bool(b) => Literal::Bool(b),
        Json::Number(n) => match n.as_i64() {
            Some(n) => Literal::Int(n),
            None => Literal::Float(n.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Literal::Str(text),
        Json::Array(items) => Literal::Array(items.into_iter().map(literal).collect()),
        Json::Object(entries) => {
            Literal::Object(entries.into_iter().map(|(key, value)| (key, literal(value))).collect())
        }
    }
}

fn yaml(text: &str) -> Result<Vec<(String, Literal)>, String> {
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let odd = |what: &str| format!("line {}: {what}", number + 1);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') || trimmed == "---" {
            continue;
        }
        if line.starts_with([' ', '\t', '-']) {
            return Err(odd("only `key: value` is read here; write nested values as JSON"));
        }
        let (key, rest) = yaml_text(trimmed, ':').ok_or_else(|| odd("a key expected"))?;
        let rest = rest.trim_start().strip_prefix(':').ok_or_else(|| odd("`:` expected"))?;
        let rest = rest.trim();
        let value = if rest.starts_with(['"', '\'']) {
            let (value, after) = yaml_text(rest, '#').ok_or_else(|| odd("an open quote"))?;
            if !(after.trim().is_empty() || after.trim().starts_with('#')) {
                return Err(odd("text after the closing quote"));
            }
            Literal::Str(value)
        } else if rest.starts_with(['{', '[']) {
            // What JSON and YAML write in the same way.
            let value = serde_json::from_str(rest)
                .map_err(|_| odd("a list or an object expected as JSON writes it"))?;
            literal(value)
        } else if rest.starts_with(['|', '>', '&', '*', '!']) || rest.is_empty() {
            return Err(odd("only `key: value` is read here; write nested values as JSON"));
        } else {
            plain(rest.split(" #").next().unwrap_or_default().trim())
        };
        entries.push((key, value));
    }
    Ok(entries)
}

/// A text in quotes or up to a mark, and what follows it.
fn yaml_text(text: &str, mark: char) -> Option<(String, &str)> {
    if let Some(inner) = text.strip_prefix('\'') {
        let mut at = 0;
        loop {
            let end = at + inner[at..].find('\'')?;
            if !inner[end + 1..].starts_with('\'') {
                return Some((inner[..end].replace("''", "'"), &inner[end + 1..]));
            }
            at = end + 2;
        }
    }
    if let Some(inner) = text.strip_prefix('"') {
        let mut escaped = false;
        let is_end = |c: char| {
            let end = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            end
        };
        let end = inner.find(is_end)?;
        // The escapes of JSON are those that YAML shares with it.
        let value = serde_json::from_str(&text[..end + 2]).ok()?;
        return Some((value, &inner[end + 1..]));
    }
    let end = text.find(mark)?;
    Some((text[..end].trim_end().to_string(), &text[end..]))
}

fn plain(text: &str) -> Literal {
    match text {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        "null" | "~" => Literal::Null,
        _ => match (text.parse(), text.parse::<f64>()) {
            (Ok(number), _) => Literal::Int(number),
            (_, Ok(number)) if number.is_finite() => Literal::Float(number),
            _ => Literal::Str(text.to_string()),
        },
    }
}
