//! `${NAME}` and `${NAME:-default}` in settings.
//!
//! In: a text and an environment. Out: the text with the values put in; `$${` stands for a plain `${`.
//! Promises: only this form is touched, so that `$` in patterns stays; a value is never looked at again.
//! On failure: the name of the missing variable and what to do.

use std::io;
use std::path::Path;

/// Where variables and secret files come from.
pub trait Environment: Send + Sync {
    /// The value of a variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file that holds a secret.
    fn read_file(&self, path: &Path) -> io::Result<String>;
    /// The configuration names this file, which is read without this environment.
    fn note(&self, _path: &Path) {}
}

/// The process's own environment.
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }
}

/// Why a text could not be expanded.
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Puts the variables in.
pub fn expand(text: &str, environment: &dyn Environment) -> Result<String, Problem> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at - 1]);
            out.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        let inner = &rest[at + 2..];
        let Some(end) = inner.find('}').filter(|end| is_reference(&inner[..*end])) else {
            out.push_str(&rest[..at + 2]);
            rest = inner;
            continue;
        };
        out.push_str(&rest[..at]);
        out.push_str(&value_of(&inner[..end], environment)?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn is_reference(inner: &str) -> bool {
    let name = inner.split_once(":-").map_or(inner, |(name, _)| name);
    let first = name.as_bytes().first();
    first.is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn value_of(inner: &str, environment: &dyn Environment) -> Result<String, Problem> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let value = environment.variable(name).filter(|v| default.is_none() || !v.is_empty());
    value.or_else(|| default.map(str::to_string)).ok_or_else(|| Problem {
        message: format!("the environment variable `{name}` is not set"),
        hint: format!("set it before the start, or write a default: ${{{name}:-value}}"),
    })
}
