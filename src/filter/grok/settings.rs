//! The settings of the `grok` filter.
//!
//! In: a section. Out: compiled patterns. On failure: each bad pattern is reported at the byte where it goes wrong.

use std::sync::Arc;

use super::{
    Ecs, FilterLoad, Grok, GrokFilter, Literal, Make, Matcher, Options, Plan, Scratch, Section,
    counters, optional_field, source,
};
use crate::grok::{GrokError, doubt};
use crate::settings::{Spanned, TextError};

/// Reads the settings.
pub(in crate::filter) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let field = source(section, None, load);
    let target = optional_field(section, "target", load);
    let ecs = [("v1", Ecs::V1), ("v8", Ecs::V1), ("disabled", Ecs::Disabled)];
    let ecs = section.choice_or("ecs", &ecs, Ecs::V1);
    let options = Options {
        named_captures_only: section.bool_or("named_captures_only", true),
        keep_empty_captures: section.bool_or("keep_empty_captures", false),
    };
    let definitions = definitions(section);
    let patterns = section.required_strings("patterns", "['%{COMBINEDAPACHELOG}']");
    let overwrite = section.strings("overwrite").unwrap_or_default();
    let break_on_match = section.bool_or("break_on_match", true);
    let tags = section.strings("tag_on_failure").map_or_else(
        || vec!["_grokparsefailure".to_string()],
        |tags| tags.into_iter().map(|tag| tag.value).collect(),
    );
    let timeout_tag = section.string_or("tag_on_timeout", "_groktimeout").value;
    let (_, failures) = counters(section, load);
    let grok = compile(section, &patterns, &definitions?, ecs, options)?;
    let overwrite: Vec<String> = overwrite.into_iter().map(|name| name.value).collect();
    let (field, target) = (field?, target?);
    let mut matcher = Matcher::new(grok, patterns.len(), target.as_ref(), &overwrite, load.keys);
    matcher.break_on_match = break_on_match;
    let plan = Arc::new(Plan { matcher, field, tags, timeout_tag, failures });
    Some(Box::new(move || {
        Box::new(GrokFilter { plan: Arc::clone(&plan), scratch: Scratch::default() })
    }))
}

/// `definitions = { NAME = 'regex' }` and the files of `definition_files` (a name, a blank, a regex on each line).
fn definitions(section: &Section<'_>) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut good = true;
    for file in section.strings("definition_files").unwrap_or_default() {
        let path = section.resolve(&file);
        match section.read_file(&path) {
            Ok(text) => found.extend(text.lines().filter_map(definition_line)),
            Err(why) => {
                let message = format!("cannot read the definitions `{}`", path.display());
                let hint = Some(format!("{why}; give the path from the pipeline's folder"));
                section.error(file.span, message, hint);
                good = false;
            }
        }
    }
    for (name, item) in section.entries("definitions").unwrap_or_default() {
        if let Literal::String(text) = &item.literal {
            found.push((name.value.clone(), text.clone()));
        } else {
            section.error(item.span.clone(), "a pattern must be a string", None);
            good = false;
        }
    }
    good.then_some(found)
}

fn definition_line(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    let (name, pattern) = line.split_once(char::is_whitespace)?;
    (!line.starts_with('#')).then(|| (name.to_string(), pattern.trim().to_string()))
}

fn compile(
    section: &Section<'_>,
    patterns: &[Spanned<String>],
    definitions: &[(String, String)],
    ecs: Ecs,
    options: Options,
) -> Option<Grok> {
    let texts: Vec<String> = patterns.iter().map(|p| p.value.clone()).collect();
    let whole = Grok::compile(&texts, definitions, ecs, options);
    let alone =
        |text: &String| Grok::compile(std::slice::from_ref(text), definitions, ecs, options);
    let mut good = !patterns.is_empty();
    for pattern in patterns {
        // Where the whole fails, each alone, so that every bad pattern is reported and not only the first.
        let error = if whole.is_err() { alone(&pattern.value).err() } else { None };
        if let Some(error) = error {
            report(section, pattern, &error);
            good = false;
        } else if let Some((at, message, hint)) = doubt(pattern) {
            let end = pattern[at..].find('}').map_or(pattern.len(), |end| at + end + 1);
            section.error_within(pattern, TextError::new(at..end, message).hint(hint));
            good = false;
        }
    }
    let grok = whole.ok().filter(|_| good)?;
    for advice in grok.advice() {
        let Some(pattern) = patterns.get(advice.pattern) else { continue };
        let place = TextError::new(0..pattern.value.len(), advice.what.clone());
        section.warning_within(pattern, place.hint(advice.instead.clone()));
    }
    Some(grok)
}

fn report(section: &Section<'_>, pattern: &Spanned<String>, error: &GrokError) {
    let at = error.offset.min(pattern.value.len());
    let place = TextError::new(at..pattern.value.len(), error.message());
    section.error_within(pattern, TextError { hint: error.hint.clone(), ..place });
}
