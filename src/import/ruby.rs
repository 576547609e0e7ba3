//! One-line idioms of Ruby as filters.
//!
//! In: Ruby code of a filter `ruby` or `record_transformer`. Out: the filters that do the same: `set`, `copy`,
//! `convert` and the like, else a `script` in Lua. Promises: code is only converted when all of it was understood.
//! On failure: `None`; the code becomes a TODO.

use super::document::{Filter, Step, Table, Value};
use super::templates;

mod lua;
mod syntax;

use syntax::{Expression, Statement};

/// How code names the event's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `event.get("a")`, `event.set("a", …)`, `event["a"]`.
    Logstash,
    /// `record["a"]`.
    Fluentd,
}

/// Statements as filters. `None`: not all of it is an idiom.
pub fn statements(code: &str, _dialect: Dialect) -> Option<Vec<Step>> {
    let statements = syntax::statements(code)?;
    if statements.is_empty() {
        return None;
    }
    let filters: Option<Vec<Filter>> = statements.iter().map(filter).collect();
    if let Some(filters) = filters {
        return Some(filters.into_iter().map(Step::Filter).collect());
    }
    let code = lua::code(&statements)?;
    Some(vec![Step::Filter(Filter::new("script").with("code", code))])
}

/// `target = expression` as filters, for an expression such as `record["x"].downcase`.
pub fn assignment(target: &str, expression: &str, _dialect: Dialect) -> Option<Vec<Step>> {
    let statement = Statement::Set(target.to_string(), syntax::expression(expression)?);
    if let Some(filter) = filter(&statement) {
        return Some(vec![Step::Filter(filter)]);
    }
    let code = lua::code(&[statement])?;
    Some(vec![Step::Filter(Filter::new("script").with("code", code))])
}

/// A field's name of Ruby code as a path of ours.
fn path(name: &str) -> String {
    templates::field(name)
}

/// The filter that does what a statement does, where there is one.
fn filter(statement: &Statement) -> Option<Filter> {
    let fields = |name: &str, value: Value| Table::default().with(&path(name), value);
    match statement {
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
