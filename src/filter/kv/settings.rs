//! The settings of the `kv` filter.
//!
//! In: a section. Out: one expression for a pair, and what is done to keys and values.
//! On failure: each bad splitter is reported at its place.

use std::sync::Arc;

use super::super::expressions::{load_expression, load_made};
use super::super::named::{flag, hash, source, target, text_of};
use super::{Changes, Failure, FilterLoad, Form, Kv, Make, Plan, Template, Work};
use crate::grok::Expression;
use crate::settings::{Section, Spanned};
use crate::template::References;

/// Reads the settings.
pub(in crate::filter) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, Some("message"), load);
    let target = target(section, load);
    let pair = pair(section);
    let prefix = section.string_or("prefix", "");
    let prefix = Template::load_as(section, &prefix, References::Both, load.keys);
    let include_keys = templates(section, "include_keys", load);
    let exclude_keys = templates(section, "exclude_keys", load);
    let mut default_keys = Vec::new();
    for (name, item) in hash(section, "default_keys").unwrap_or_default() {
        let Some(text) = text_of(section, item) else { continue };
        let template = Template::load_as(section, &text, References::Both, load.keys)?;
        default_keys.push((load.keys.intern(&name), template));
    }
    let changes = |trim, remove, form| changes(section, trim, remove, form);
    let keys = changes("trim_key", "remove_char_key", "transform_key");
    let values = changes("trim_value", "remove_char_value", "transform_value");
    let allow_duplicate_values = flag(section, "allow_duplicate_values", true);
    let allow_empty_values = flag(section, "allow_empty_values", false);
    let recursive = flag(section, "recursive", false);
    let failure = Failure::load(section, "_kv_filter_error", load);
    // Logstash's limit for a text; here the steps are counted, and a limit is always there.
    section.integer_or("timeout_millis", 30_000, 0..i64::MAX);
    let timeout_tag = section.string_or("tag_on_timeout", "_kv_filter_timeout").value;
    let plan = Arc::new(Plan {
        field: field?,
        target: target?,
        pair: pair?,
        prefix: prefix?,
        include_keys,
        exclude_keys,
        default_keys,
        keys: keys?,
        values: values?,
        allow_duplicate_values,
        allow_empty_values,
        recursive,
        failure,
        timeout_tag,
    });
    Some(Box::new(move || Box::new(Kv { plan: Arc::clone(&plan), work: Work::default() })))
}

fn templates(section: &Section<'_>, key: &'static str, load: &mut FilterLoad<'_>) -> Vec<Template> {
    let texts = section.strings(key).unwrap_or_default();
    let read = |text| Template::load_as(section, text, References::Both, load.keys);
    texts.iter().filter_map(read).collect()
}

/// How a splitter is written: characters of a class, or a pattern.
struct Splitter {
    text: Spanned<String>,
    pattern: bool,
}

impl Splitter {
    fn load(
        section: &Section<'_>,
        class: &'static str,
        pattern: &'static str,
        default: &str,
    ) -> Option<Splitter> {
        let characters = section.string_or(class, default);
        let written = section.string(pattern);
        let pattern = written.is_some();
        let text = written.unwrap_or(characters);
        if text.is_empty() {
            let message = "a splitter is empty: no text could be cut by it";
            let hint = format!("write for example {class} = \"{default}\"");
            section.error(text.span, message, Some(hint));
            return None;
        }
        if pattern {
            load_expression(section, &text)?;
        } else {
            load_made(section, &text, &format!("[{}]", text.value))?;
        }
        Some(Splitter { text, pattern })
    }

    fn source(&self) -> String {
        let text = &self.text.value;
        if self.pattern { format!("(?:{text})") } else { format!("[{text}]") }
    }
}

/// One expression for a key, the splitter and a value.
fn pair(section: &Section<'_>) -> Option<Expression> {
    let fields = Splitter::load(section, "field_split", "field_split_pattern", " ");
    let values = Splitter::load(section, "value_split", "value_split_pattern", "=");
    let lenient = section.choice_or("whitespace", &[("lenient", true), ("strict", false)], true);
    let brackets = flag(section, "include_brackets", true);
    let (fields, values) = (fields?, values?);
    let mut splitter = values.source();
    if lenient {
        splitter = format!("(?: *{splitter} *)");
    }
    let until = |class: &str| format!(r"((?:\\.|[^{class}])+)");
    let until_pattern = |pattern: &str| format!(r"((?:(?!{pattern})(?:\\.|.))+)");
    let by_pattern = fields.pattern || values.pattern;
    let ends = fields.source();
    let key = if by_pattern {
        until_pattern(&format!("(?:{splitter}|{ends})"))
    } else {
        until(&format!("{}{}", values.text.value, fields.text.value))
    };
    let mut kinds = Vec::new();
    let quotes = [("\"", "\""), ("'", "'"), (r"\(", r"\)"), (r"\[", r"\]"), ("<", ">")];
    for (open, close) in quotes.iter().take(if brackets { 5 } else { 2 }) {
        kinds.push(format!("{open}{}?{close}", until(close)));
    }
    kinds.push(if by_pattern { until_pattern(&ends) } else { until(&fields.text.value) });
    let whole = format!("{key}{splitter}(?:{})?(?:{ends}|$)", kinds.join("|"));
    load_made(section, &fields.text, &whole)
}

fn changes(
    section: &Section<'_>,
    trim: &'static str,
    remove: &'static str,
    form: &'static str,
) -> Option<Changes> {
    let mut changes = Changes::default();
    if let Some(characters) = section.string(trim).filter(|text| !text.is_empty()) {
        let class = &characters.value;
        let made = format!("^[{class}]+|[{class}]+$");
        changes.trim = Some(load_made(section, &characters, &made)?);
    }
    if let Some(characters) = section.string(remove).filter(|text| !text.is_empty()) {
        let made = format!("[{}]", characters.value);
        changes.remove = Some(load_made(section, &characters, &made)?);
    }
    let forms = [
        ("lowercase", Some(Form::Lower)),
        ("uppercase", Some(Form::Upper)),
        ("capitalize", Some(Form::Capital)),
    ];
    changes.form = section.choice_or(form, &forms, None);
    Some(changes)
}
