//! A template's text as parts.
//!
//! In: text. Out: parts, neighbouring texts joined. On failure: the place and what to write instead.

use super::{Part, TemplateError};
use crate::event::{Keys, Path};
use crate::timestamp::TimeTemplate;

/// Reads a text.
pub(super) fn parts(text: &str, keys: &mut Keys) -> Result<Vec<Part>, TemplateError> {
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
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain).into_boxed_str()));
        }
        parts.push(field(text, brace + 1..at - 1, keys)?);
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        parts.push(Part::Text(plain.into_boxed_str()));
    }
    Ok(parts)
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
    if name.starts_with('[')
        || name.is_empty()
        || name.contains(|c: char| c == '"' || c.is_control())
    {
        let error = TemplateError::new(span.start - 1..span.end + 1, "no field's name");
        return Err(error.hint(hint));
    }
    let path = Path::parse(name, keys).map_err(|error| {
        let at = (span.start + error.at).min(span.end.saturating_sub(1));
        TemplateError::new(at..at + 1, format!("`{name}` is no field's name: {}", error.message))
            .hint(hint)
    })?;
    Ok(Part::Field { path, default })
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
