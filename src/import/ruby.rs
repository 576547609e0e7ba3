//! One-line idioms of Ruby as filters.
//!
//! In: Ruby code of a filter `ruby` or `record_transformer`. Out: the filters that do the same: `set`, `copy`,
//! `convert` and the like, else a `script` in Lua. Promises: code is only converted when all of it was understood.
//! On failure: `None`; the code becomes a TODO.

use super::document::{Filter, Step, Table, Value};
use super::templates;

mod lua;
mod methods;
mod names;
mod patterns;
mod scope;
mod shapes;
mod syntax;
mod texts;
mod times;

pub(super) use shapes::closing;
use syntax::{Expression, Statement};

/// Statements as filters. `None`: not all of it is an idiom.
pub fn statements(code: &str) -> Option<Vec<Step>> {
    let statements = syntax::statements(code)?;
    if statements.is_empty() {
        return None;
    }
    let filters: Option<Vec<Filter>> = statements.iter().map(filter).collect();
    match filters {
        Some(filters) => Some(filters.into_iter().map(Step::Filter).collect()),
        None => script(&statements),
    }
}

/// `target = code` as filters, for code such as `record["x"].downcase`; `names` are statements that set what the code
/// may name beside the record.
pub fn assignment(target: &str, names: &str, code: &str) -> Option<Vec<Step>> {
    if names.is_empty()
        && let Some(value) = syntax::expression(code)
    {
        let statement = Statement::Set(target.to_string(), value);
        return match filter(&statement) {
            Some(filter) => Some(vec![Step::Filter(filter)]),
            None => script(&[statement]),
        };
    }
    let set = |value| Statement::Set(target.to_string(), value);
    let valued = syntax::valued(code, &set)?;
    if !gives(&valued, target) {
        return None;
    }
    let mut statements = syntax::statements(names)?;
    statements.extend(valued);
    script(&statements)
}

/// Whether statements end with the value of `target` on all ways.
fn gives(statements: &[Statement], target: &str) -> bool {
    match statements.last() {
        Some(Statement::Set(name, _)) => name == target,
        Some(Statement::If(_, then, otherwise)) => gives(then, target) && gives(otherwise, target),
        _ => false,
    }
}

/// What is not quite the same in the filters that code became; for the account.
pub fn differences(code: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    if ["Time.parse", "DateTime.parse", "Timestamp.new"].iter().any(|call| code.contains(call)) {
        found.push("a time that is parsed without a form must be as ISO 8601 writes it");
    }
    if code.contains("parse_csv") {
        found.push("an empty column is an empty text, not nil");
    }
    if [".localtime", ".getlocal"].iter().any(|call| {
        code.split(call).skip(1).any(|rest| !rest.starts_with("('") && !rest.starts_with("(\""))
    }) {
        found.push("times are written in UTC, not in the zone of the machine");
    }
    if ["puts ", "print ", "puts(", "logger."].iter().any(|call| code.contains(call)) {
        found.push("nothing is printed");
    }
    if code.contains("rand") {
        found.push("chance is that of each worker");
    }
    if code.contains("ENV") {
        found.push("variables of the environment are read when the pipeline is loaded");
    }
    found
}

/// Whether code changes a variable that outlives the event: `@count += 1`, `$last = …`, `@seen << …`.
pub fn keeps_state(code: &str) -> bool {
    code.split(['@', '$']).skip(1).any(|rest| {
        let name = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let after = name.trim_start();
        let changes = ["+=", "-=", "*=", "||=", "<<", ".push", ".append", ".delete", "["];
        name.len() < rest.len()
            && (changes.iter().any(|sign| after.starts_with(sign))
                || after.starts_with('=') && !after.starts_with("==") && !after.starts_with("=~"))
    })
}

/// A script, with the variables of the environment that it reads in front.
fn script(statements: &[Statement]) -> Option<Vec<Step>> {
    let code = lua::code(statements)?;
    let mut variables = Table::default();
    for rest in code.split("'@metadata.env.").skip(1) {
        let name = rest.split('\'').next().unwrap_or_default();
        let known = variables.0.iter().any(|(own, _)| own.ends_with(&format!(".{name}")));
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        if !known {
            let value = format!("${{{name}:-}}");
            variables = variables.with(&format!("@metadata.env.{name}"), Value::Variables(value));
        }
    }
    let mut steps = Vec::new();
    if !variables.0.is_empty() {
        steps.push(Step::Filter(Filter::new("set").with("fields", variables)));
    }
    steps.push(Step::Filter(Filter::new("script").with("code", code)));
    Some(steps)
}

/// A field's name of Ruby code as a path of ours.
fn path(name: &str) -> String {
    templates::field(name)
}

/// The filter that does what a statement does, where there is one.
fn filter(statement: &Statement) -> Option<Filter> {
    let fields = |name: &str, value: Value| Table::default().with(&path(name), value);
    match statement {
        // The time is set by a script, which takes texts and seconds.
        Statement::Set(name, _) if path(name) == "@timestamp" => None,
        Statement::Set(name, Expression::Own(uuid, _)) if uuid == "SecureRandom.uuid" => {
            Some(Filter::new("fingerprint").with("method", "UUID").with("target", path(name)))
        }
        Statement::Set(name, Expression::Call(value, digest, none))
            if digest.starts_with("Digest::") && none.is_empty() =>
        {
            let method = digest.strip_prefix("Digest::")?.strip_suffix(".hexdigest")?;
            let from = match &**value {
                Expression::Field(from) => from,
                Expression::Call(from, text, _) if text == "to_s" => match &**from {
                    Expression::Field(from) => from,
                    _ => return None,
                },
                _ => return None,
            };
            let digest = Filter::new("fingerprint").with("method", method);
            let digest = digest.with("source", Value::texts([path(from)]));
            Some(digest.with("target", path(name)))
        }
        Statement::Set(name, Expression::Text(text)) => {
            Some(Filter::new("set").with("fields", fields(name, templates::escaped(text).into())))
        }
        Statement::Set(name, Expression::Number(number)) => {
            let value = match number.parse::<i64>() {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Float(number.parse().ok()?),
            };
            Some(Filter::new("set").with("fields", fields(name, value)))
        }
        Statement::Set(name, Expression::Word(word @ ("true" | "false"))) => {
            Some(Filter::new("set").with("fields", fields(name, (*word == "true").into())))
        }
        Statement::Set(name, Expression::Field(from)) => {
            let plain = !from.starts_with("@timestamp") && !from.starts_with("[@timestamp");
            plain.then(|| Filter::new("copy").with("fields", fields(from, path(name).into())))
        }
        Statement::Set(name, Expression::Call(value, method, arguments))
            if arguments.is_empty() =>
        {
            if **value != Expression::Field(name.clone()) {
                return None;
            }
            match method.as_str() {
                "to_i" => Some(Filter::new("convert").with("fields", fields(name, "int".into()))),
                "to_f" => Some(Filter::new("convert").with("fields", fields(name, "float".into()))),
                "to_s" => {
                    Some(Filter::new("convert").with("fields", fields(name, "string".into())))
                }
                "downcase" => Some(Filter::new("lowercase").with("field", path(name))),
                "upcase" => Some(Filter::new("uppercase").with("field", path(name))),
                "strip" => Some(Filter::new("strip").with("field", path(name))),
                _ => None,
            }
        }
        Statement::Remove(name) => {
            Some(Filter::new("remove").with("fields", Value::texts([path(name)])))
        }
        Statement::Tag(tag) => {
            Some(Filter::new("tag").with("add", Value::texts([templates::escaped(tag)])))
        }
        Statement::Cancel => Some(Filter::new("drop")),
        _ => None,
    }
}
