//! Dictionaries in files.
//!
//! In: a file's name and text: CSV (key, value), JSON (an object) or YAML. Out: entries in the order of the file.
//! On failure: what is wrong, with the line where there is one.

use std::path::Path;

use crate::event::Literal;

/// Reads a dictionary by the ending of its name.
pub(super) fn read(file: &Path, text: &str) -> Result<Vec<(String, Literal)>, String> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "csv" => csv(text),
        "json" if text.trim().is_empty() => Ok(Vec::new()),
        "json" => json(text),
        "yaml" | "yml" => super::yaml::read(text),
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
