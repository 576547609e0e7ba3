//! Filter `gsub`: every match of a pattern in a text replaced.
//!
//! In: `fields`, `pattern` (syntax of the `regex` crate), `replacement` with `$1`, `\1`, `$name`
//! for what a group matched, `$0` for the whole match, `$$` and `\\` for the signs; as `${NAME}` is
//! a variable of the environment in every setting, a group's name in braces is written `$${name}`.
//! Out: the texts, also those of lists, changed. Promises: linear time; what does not match is not
//! touched. On failure: nothing can fail; a reference to a group that the pattern does not have is
//! an error of the settings.

use std::sync::Arc;

use regex::bytes::{CaptureLocations, Regex};

use super::named::{Use, fields};
use super::texts::change_at;
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Path, Selection};
use crate::pattern::{Flags, compile};
use crate::settings::{Section, Spanned, TextError};

struct Gsub {
    plan: Arc<Plan>,
    groups: CaptureLocations,
    scratch: Vec<u8>,
}

struct Plan {
    paths: Vec<Path>,
    pattern: Regex,
    replacement: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let paths = fields(section, Use::Write, load);
    let pattern = section.required_string("pattern", "'[0-9]+'").and_then(|text| {
        match compile(&text, Flags::default()) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                section.error_within(&text, error);
                None
            }
        }
    });
    let replacement = section.required_string("replacement", "\"#\"");
    let pattern = pattern?;
    let replacement = read_replacement(section, &replacement?, &pattern)?;
    let plan = Arc::new(Plan { paths: paths?, pattern, replacement });
    Some(Box::new(move || {
        let groups = plan.pattern.capture_locations();
        Box::new(Gsub { plan: Arc::clone(&plan), groups, scratch: Vec::new() })
    }))
}

fn read_replacement(
    section: &Section<'_>,
    text: &Spanned<String>,
    pattern: &Regex,
) -> Option<Vec<Part>> {
    match parts(text, pattern) {
        Ok(parts) => Some(parts),
        Err(error) => {
            section.error_within(text, error);
            None
        }
    }
}

fn parts(text: &str, pattern: &Regex) -> Result<Vec<Part>, TextError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['$', '\\']) {
        let sign = at + found;
        plain.push_str(&text[at..sign]);
        let rest = &text[sign + 1..];
        if rest.starts_with(text.as_bytes()[sign] as char) {
            plain.push_str(&text[sign..=sign]);
            at = sign + 2;
            continue;
        }
        let Some((name, length)) = reference(&text[sign..]) else {
            plain.push_str(&text[sign..=sign]);
            at = sign + 1;
            continue;
        };
        at = sign + length;
        let number = match name.parse::<usize>() {
            Ok(number) => Some(number).filter(|n| *n < pattern.captures_len()),
            Err(_) => pattern.capture_names().position(|known| known == Some(name)),
        };
        let Some(number) = number else {
            let message = format!("the pattern has no group `{name}`");
            return Err(TextError::new(sign..at, message)
                .hint("write `$$` for a dollar sign, `\\\\` for a backslash"));
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(Part::Group(number));
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    Ok(parts)
}

/// The name of a reference that begins with its sign, and the whole reference's length.
fn reference(text: &str) -> Option<(&str, usize)> {
    let inner = &text[1..];
    if let Some(named) = inner.strip_prefix('{').filter(|_| text.starts_with('$')) {
        let end = named.find('}')?;
        return Some((&named[..end], end + 3));
    }
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    if text.starts_with('\\') {
        // One digit as in Ruby, where `\10` is the first group and a zero.
        return (digits > 0).then(|| (&inner[..1], 2));
    }
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let length = if digits > 0 { digits } else { inner.bytes().take_while(word).count() };
    (length > 0).then(|| (&inner[..length], length + 1))
}

impl Filter for Gsub {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let (plan, groups) = (&*self.plan, &mut self.groups);
        let mut change = |text: &[u8], out: &mut Vec<u8>| plan.replace(text, groups, out);
        for event in selected.iter() {
            for path in &plan.paths {
                change_at(batch, event, path, &mut self.scratch, &mut change);
            }
        }
    }
}

impl Plan {
    /// Writes the text with every match replaced; `false` when nothing matches.
    fn replace(&self, text: &[u8], groups: &mut CaptureLocations, out: &mut Vec<u8>) -> bool {
        let mut copied = 0;
        let mut from = 0;
        let mut any = false;
        while from <= text.len() {
            let Some(found) = self.pattern.captures_read_at(groups, text, from) else { break };
            let empty_after_match = found.is_empty() && any && found.start() == copied;
            if !empty_after_match {
                any = true;
                out.extend_from_slice(&text[copied..found.start()]);
                for part in &self.replacement {
                    match part {
                        Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                        Part::Group(n) => {
                            if let Some((start, end)) = groups.get(*n) {
                                out.extend_from_slice(&text[start..end]);
                            }
                        }
                    }
                }
                copied = found.end();
            }
            // An empty match is not found again: the search goes on one character further.
            from = if found.is_empty() { next_character(text, found.end()) } else { found.end() };
        }
        out.extend_from_slice(&text[copied.min(text.len())..]);
        any
    }
}

fn next_character(text: &[u8], at: usize) -> usize {
    let follows = |b: &u8| b & 0xC0 == 0x80;
    at + 1 + text.get(at + 1..).map_or(0, |rest| rest.iter().take_while(|b| follows(b)).count())
}
