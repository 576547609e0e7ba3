//! The settings of the `grok` filter.
//!
//! In: a section. Out: compiled patterns. On failure: each bad pattern is reported at the byte where it goes wrong.

use std::io::Error;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::super::named::{Use, flag, hash, optional_field, path, source, text_of};
use super::super::watched::files_like;
use super::{
    Ecs, FilterLoad, Grok, GrokFilter, Literal, Make, Matcher, Options, Path, Plan, Scratch,
    Section, counters,
};
use crate::grok::{GrokError, doubt};
use crate::settings::{Spanned, TextError};

/// A field and its patterns.
type Wanted = (Path, Vec<Spanned<String>>);

/// Reads the settings.
pub(in crate::filter) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let wanted = wanted(section, load);
    let target = optional_field(section, "target", load);
    let modes = [("v1", Ecs::V1), ("v8", Ecs::V1), ("disabled", Ecs::Disabled)];
    let ecs = section.choice_or("ecs_compatibility", &modes, Ecs::V1);
    let ecs = section.choice_or("ecs", &modes, ecs);
    let options = Options {
        named_captures_only: flag(section, "named_captures_only", true),
        keep_empty_captures: flag(section, "keep_empty_captures", false),
    };
    let definitions = definitions(section);
    let overwrite = overwrite(section, load);
    let break_on_match = flag(section, "break_on_match", true);
    let tags = section.strings("tag_on_failure").map_or_else(
        || vec!["_grokparsefailure".to_string()],
        |tags| tags.into_iter().map(|tag| tag.value).collect(),
    );
    let timeout_tag = section.string_or("tag_on_timeout", "_groktimeout").value;
    // Logstash's bounds of time; here the steps of a match are counted.
    section.integer("timeout_millis", 0..i64::MAX);
    section.string("timeout_scope");
    let (_, failures) = counters(section, load);
    let (definitions, target) = (definitions?, target?);
    let mut matchers = Vec::new();
    let mut good = true;
    for (field, patterns) in wanted? {
        let Some(grok) = compile(section, &patterns, &definitions, ecs, options) else {
            good = false;
            continue;
        };
        let count = patterns.len();
        let mut matcher = Matcher::new(grok, count, target.as_ref(), &overwrite, load.keys);
        matcher.break_on_match = break_on_match;
        matchers.push((field, matcher));
    }
    let plan = Plan { matchers, break_on_match, tags, timeout_tag, failures };
    let plan = good.then(|| Arc::new(plan))?;
    Some(Box::new(move || {
        Box::new(GrokFilter { plan: Arc::clone(&plan), scratch: Scratch::default() })
    }))
}

/// `field` and `patterns`, or Logstash's `match = { field = "pattern" }`, also with lists of patterns.
fn wanted(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Vec<Wanted>> {
    if !section.has("match") {
        let field = source(section, None, load);
        let patterns = section.required_strings("patterns", "['%{COMBINEDAPACHELOG}']");
        return field.map(|field| vec![(field, patterns)]);
    }
    for key in ["field", "source", "patterns"] {
        if section.has(key) {
            let message =
                format!("`match` names fields and their patterns, so `{key}` is too much");
            section.error(section.span_of(key), message, Some("write one of the two".into()));
            return None;
        }
    }
    let mut wanted: Vec<Wanted> = Vec::new();
    for (name, item) in hash(section, "match")? {
        let field = path(section, &name, Use::Read, load)?;
        let items = match &item.literal {
            Literal::Array(items) => items.as_slice(),
            _ => std::slice::from_ref(item),
        };
        let patterns = items.iter().filter_map(|item| text_of(section, item));
        match wanted.iter_mut().find(|(known, _)| known.as_str() == field.as_str()) {
            Some((_, known)) => known.extend(patterns),
            None => wanted.push((field, patterns.collect())),
        }
    }
    if wanted.is_empty() {
        let hint = "write match = { message = '%{COMBINEDAPACHELOG}' }";
        section.error(section.span_of("match"), "`match` is empty", Some(hint.into()));
        return None;
    }
    Some(wanted)
}

/// The fields that are replaced, as paths are written.
fn overwrite(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Vec<String> {
    let names = section.strings("overwrite").unwrap_or_default();
    let read = |name| path(section, name, Use::Read, load).map(|path| path.as_str().to_string());
    names.iter().filter_map(read).collect()
}

/// `definitions = { NAME = 'regex' }` (Logstash: `pattern_definitions`), the files of `definition_files` (a name, a
/// blank, a regex on each line), and those in the folders of `patterns_dir`. What is said later counts.
fn definitions(section: &Section<'_>) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut good = true;
    for (file, span) in definition_files(section)? {
        match section.read_file(&file) {
            Ok(text) => found.extend(text.lines().filter_map(definition_line)),
            Err(why) => {
                unreadable(section, &file, span, &why);
                good = false;
            }
        }
    }
    for key in ["definitions", "pattern_definitions"] {
        for (name, item) in hash(section, key).unwrap_or_default() {
            if let Literal::String(text) = &item.literal {
                found.push((name.value, text.clone()));
            } else {
                section.error(item.span.clone(), "a pattern must be a string", None);
                good = false;
            }
        }
    }
    good.then_some(found)
}

/// The files with definitions, and where they are named.
fn definition_files(section: &Section<'_>) -> Option<Vec<(PathBuf, Range<usize>)>> {
    let mut files = Vec::new();
    let glob = section.string_or("patterns_files_glob", "*");
    for folder in section.strings("patterns_dir").unwrap_or_default() {
        let place = section.resolve(&folder);
        match files_like(&place, &glob) {
            Ok(found) => files.extend(found.into_iter().map(|file| (file, folder.span.clone()))),
            Err(why) => {
                unreadable(section, &place, folder.span, &why);
                return None;
            }
        }
    }
    let named = section.strings("definition_files").unwrap_or_default();
    files.extend(named.into_iter().map(|file| (section.resolve(&file), file.span)));
    Some(files)
}

fn unreadable(section: &Section<'_>, file: &std::path::Path, span: Range<usize>, why: &Error) {
    let message = format!("cannot read the definitions `{}`", file.display());
    let hint = Some(format!("{why}; give the path from the pipeline's folder"));
    section.error(span, message, hint);
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
