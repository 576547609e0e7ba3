//! A template's text as parts.
//!
//! In: text. Out: parts, neighbouring texts joined. On failure: the place and what to write instead.

use super::{Part, References, TemplateError};
use crate::event::{Keys, Path, character_at};
use crate::timestamp::TimeTemplate;

/// Reads a text.
pub(super) fn parts(
    text: &str,
    references: References,
    keys: &mut Keys,
) -> Result<Vec<Part>, TemplateError> {
    if references != References::Braces {
        return logstash_parts(text, references, keys);
    }
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']) {
        let brace = at + found;
        plain.push_str(&text[at..brace]);
        let rest = &text[brace..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            plain.push_str(&rest[..1]);
            at = brace + 2;
            continue;
        }
        if rest.starts_with('}') {
            let error = TemplateError::new(brace..brace + 1, "this `}` closes nothing");
            return Err(error.hint("write `}}` for a plain brace"));
        }
        let Some(length) = rest.find('}') else {
            let error = TemplateError::new(brace..text.len(), "this `{` is never closed");
            return Err(error.hint("write `{{` for a plain brace"));
        };
        at = brace + length + 1;
        if text[..brace].ends_with("%%") {
            plain.pop();
        } else if text[..brace].ends_with('%') {
            return Err(foreign(&text[brace - 1..at], brace - 1));
        }
        flush(&mut plain, &mut parts);
        parts.push(field(text, brace + 1..at - 1, keys)?);
    }
    plain.push_str(&text[at..]);
    flush(&mut plain, &mut parts);
    Ok(parts)
}

fn flush(plain: &mut String, parts: &mut Vec<Part>) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain).into_boxed_str()));
    }
}

/// Reads a text with references as Logstash writes them. A percent sign and braces that are no reference are plain.
fn logstash_parts(
    text: &str,
    references: References,
    keys: &mut Keys,
) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find('{') {
        let brace = at + found;
        let percent = text[at..brace].ends_with('%');
        plain.push_str(&text[at..brace]);
        let rest = &text[brace + 1..];
        let inner = rest.find('}').map(|end| &rest[..end]);
        at = brace + 1;
        let Some(inner) = inner.filter(|inner| percent || is_reference(inner, references)) else {
            plain.push('{');
            // `{{` and `}}` are plain braces where braces alone mean something.
            if references == References::Both && !percent && rest.starts_with('{') {
                at += 1;
            }
            continue;
        };
        let end = at + inner.len();
        if percent {
            plain.pop();
        }
        let part = match inner.strip_prefix('+').filter(|_| percent) {
            Some(form) => time(&format!(":{}", strftime_of(form)), at)?,
            None if inner.is_empty() => {
                plain.push_str("%{}");
                at = end + 1;
                continue;
            }
            None => match field(text, at..end, keys)? {
                Part::Field { path, default, .. } => {
                    let start = if percent { brace - 1 } else { brace };
                    Part::Field { path, default, written: text[start..=end].into() }
                }
                other => other,
            },
        };
        flush(&mut plain, &mut parts);
        parts.push(part);
        at = end + 1;
    }
    plain.push_str(&text[at..]);
    flush(&mut plain, &mut parts);
    Ok(parts)
}

fn is_reference(inner: &str, references: References) -> bool {
    let name = inner.split(':').next().unwrap_or_default();
    let plain = |c: char| c.is_alphanumeric() || "_-.@[]\\".contains(c);
    let begins = name.starts_with(|c: char| c.is_alphabetic() || "_@[".contains(c));
    references == References::Both && begins && name.chars().all(plain)
}

/// What stands between the braces.
fn field(text: &str, span: std::ops::Range<usize>, keys: &mut Keys) -> Result<Part, TemplateError> {
    let inner = &text[span.clone()];
    if let Some(form) = inner.strip_prefix("@timestamp") {
        return time(form, span.start + "@timestamp".len());
    }
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default.into())),
        None => (inner, None),
    };
    if default.is_none()
        && let Some(colon) = name.find(':')
    {
        let place = span.start + colon..span.end;
        let error = TemplateError::new(place, "only @timestamp takes a form after the colon");
        return Err(error.hint(format!("for a default text write {{{}:-text}}", &name[..colon])));
    }
    let hint = "write a field's name between the braces, or `{{` and `}}` for plain braces";
    if name.is_empty() || name.contains(|c: char| c == '"' || c.is_control()) {
        let error = TemplateError::new(span.start - 1..span.end + 1, "no field's name");
        return Err(error.hint(hint));
    }
    let path = Path::parse(name, keys).map_err(|error| {
        let place = character_at(text, (span.start + error.at).min(span.end - 1));
        TemplateError::new(place, format!("`{name}` is no field's name: {}", error.message))
            .hint(hint)
    })?;
    Ok(Part::Field { path, default, written: text[span.start - 1..=span.end].into() })
}

/// What follows `@timestamp`.
fn time(form: &str, start: usize) -> Result<Part, TemplateError> {
    let Some(directives) = form.strip_prefix(':') else {
        if form.is_empty() {
            return Ok(Part::Time);
        }
        let error = TemplateError::new(start..start + form.len(), "@timestamp holds no fields");
        return Err(error.hint("write {@timestamp} or {@timestamp:%Y.%m.%d}"));
    };
    match TimeTemplate::compile(directives) {
        Ok(_) if directives.is_empty() => {
            let error = TemplateError::new(start..start + 1, "a form is missing after the colon");
            Err(error.hint("write for example {@timestamp:%Y.%m.%d}"))
        }
        Ok(form) => Ok(Part::TimeBy(form)),
        Err(error) => {
            let at = start + 1 + error.offset;
            let place = at..at + error.directive.len();
            let hint = match error.directive.as_str() {
                "%" => "write `%%` for a plain percent sign".to_string(),
                _ => format!("known are {}", crate::timestamp::KNOWN_DIRECTIVES),
            };
            let message = format!("unknown time directive `{}`", error.directive);
            Err(TemplateError::new(place, message).hint(hint))
        }
    }
}

/// `%{field}` and `%{+YYYY.MM.dd}` as Logstash writes them; `written` includes the percent sign.
fn foreign(written: &str, at: usize) -> TemplateError {
    let inner = &written[2..written.len() - 1];
    let here = match inner.strip_prefix('+') {
        Some(form) => format!("{{@timestamp:{}}}", strftime_of(form)),
        None => format!("{{{}}}", inner.trim_matches(['[', ']']).replace("][", ".")),
    };
    TemplateError::new(at..at + written.len(), "a field stands without the percent sign")
        .hint(format!("write {here} (and `%%{{…}}` for a percent sign before a field)"))
}

/// A Joda-Time form in `strftime` directives, as far as index names use it.
fn strftime_of(joda: &str) -> String {
    let known = [
        ("YYYY", "%Y"),
        ("yyyy", "%Y"),
        ("xxxx", "%G"),
        ("YY", "%y"),
        ("yy", "%y"),
        ("MMM", "%b"),
        ("MM", "%m"),
        ("dd", "%d"),
        ("DDD", "%j"),
        ("HH", "%H"),
        ("mm", "%M"),
        ("ss", "%S"),
        ("SSS", "%L"),
        ("ww", "%V"),
    ];
    let mut out = String::new();
    let mut rest = joda;
    while let Some(first) = rest.chars().next() {
        if let Some((form, directive)) = known.iter().find(|(form, _)| rest.starts_with(form)) {
            out.push_str(directive);
            rest = &rest[form.len()..];
        } else {
            if first != '\'' {
                out.push(first);
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}
