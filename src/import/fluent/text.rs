//! Placeholders within texts: `${record["x"]}`, `${tag}`, `%Y`, `#{ENV['X']}` as the product's templates.
//!
//! Promises: `${NAME}` of the environment stays what it is; what is not understood is told, not guessed.

use super::super::fluentd::syntax::{Piece, Value};
use super::super::ruby::closing;
use super::parse::path;

/// The text of a value, Ruby that reads the environment as `${NAME:-default}`; what else there is of Ruby is named.
pub fn settled(value: &Value, notes: &mut Vec<String>) -> String {
    let mut out = String::new();
    for piece in &value.pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Ruby(code) => match embedded(code) {
                Some(text) => out.push_str(&text),
                None => {
                    notes.push(format!("Ruby is not run: `#{{{code}}}`"));
                    out.push_str("TODO");
                }
            },
        }
    }
    out
}

/// `ENV['X']`, `ENV["X"] || "d"`, `ENV.fetch('X', 'd')`, the host's name, texts.
fn embedded(code: &str) -> Option<String> {
    let code = code.trim();
    let code =
        code.strip_prefix('(').and_then(|code| code.strip_suffix(')')).unwrap_or(code).trim();
    let code =
        [".to_s", ".to_i", ".strip"].iter().find_map(|end| code.strip_suffix(end)).unwrap_or(code);
    // `ENV['X'] ? ENV['X'] : 'd'` is `ENV['X'] || 'd'`.
    let chosen = code.split_once(" ? ").and_then(|(left, rest)| {
        let (yes, no) = rest.rsplit_once(" : ")?;
        (left.trim() == yes.trim()).then_some((left, no))
    });
    let (left, default) = match chosen.or_else(|| code.split_once("||")) {
        Some((left, right)) => (left.trim(), Some(unquote(right.trim()).unwrap_or_default())),
        None => (code, None),
    };
    if matches!(left, "Socket.gethostname" | "hostname" | "`hostname`.strip" | "`hostname`.chomp") {
        return Some("{host.name}".to_string());
    }
    if let Some(text) = unquote(left) {
        return Some(text);
    }
    if !left.is_empty() && left.chars().all(|c| c.is_ascii_digit()) {
        return Some(left.to_string());
    }
    if matches!(left, "use_nil" | "use_default") {
        return Some(String::new());
    }
    let rest = left.strip_prefix("ENV")?;
    let (name, rest) =
        quoted_after(rest.trim_start_matches(['[', '(', ' ']).trim_start_matches(".fetch("))?;
    let fetched = rest.trim_start_matches([' ', ']', ',']).trim_end_matches([')', ' ']);
    let default = default.or_else(|| unquote(fetched));
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| match default {
        Some(default) if !default.is_empty() => format!("${{{name}:-{default}}}"),
        _ if name.contains("PORT") => format!("${{{name}:-9200}}"),
        _ => format!("${{{name}:-not-set}}"),
    })
}

fn quoted_after(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let rest = &text[1..];
    let end = rest.find(quote)?;
    Some((&rest[..end], &rest[end + 1..]))
}

/// A text in quotes.
pub fn unquote(text: &str) -> Option<String> {
    let (inner, rest) = quoted_after(text.trim())?;
    rest.trim().is_empty().then(|| inner.to_string())
}

/// What a template comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The template.
    pub text: String,
    /// It is one field and nothing else.
    pub copies: Option<String>,
    /// What is done to the value then: `lowercase`, `int`, …
    pub then: Vec<&'static str>,
}

/// A text with placeholders as a template; `tag` is the tag where it is known.
///
/// # Errors
/// The placeholder that is not understood.
pub fn filled(text: &str, tag: Option<&str>) -> Result<Filled, String> {
    let mut out = Filled::default();
    let mut rest = text;
    let mut parts = 0;
    while let Some(start) = rest.find("${") {
        out.text.push_str(&braces(&rest[..start]));
        parts += usize::from(start > 0);
        let inner = &rest[start + 2..];
        let end = closing(inner).ok_or_else(|| text.to_string())?;
        let code = inner[..end].trim();
        parts += 1;
        if is_variable(code) {
            out.text.push_str(&format!("${{{code}}}"));
        } else {
            let (template, field, then) = expression(code, tag).ok_or_else(|| code.to_string())?;
            out.text.push_str(&template);
            out.copies = field;
            out.then = then;
        }
        rest = &inner[end + 1..];
    }
    parts += usize::from(!rest.is_empty());
    out.text.push_str(&braces(rest));
    if parts != 1 {
        out.copies = None;
        if !out.then.is_empty() {
            return Err(text.to_string());
        }
    }
    Ok(out)
}

fn is_variable(code: &str) -> bool {
    let name = code.split(":-").next().unwrap_or_default();
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Braces that are no placeholder; `{host.name}` came from `#{Socket.gethostname}`.
fn braces(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}").replace("{{host.name}}", "{host.name}")
}

type Expression = (String, Option<String>, Vec<&'static str>);

fn expression(code: &str, tag: Option<&str>) -> Option<Expression> {
    let template = |text: String| Some((text, None, Vec::new()));
    let code = code.trim();
    let code = code.strip_suffix("rescue nil").map_or(code, str::trim);
    match code {
        "hostname" | "Socket.gethostname" => return template("{host.name}".into()),
        "tag" => return template(tag.map_or_else(|| "{@metadata.tag}".to_string(), braces)),
        "time"
        | "time.to_s"
        | "time.iso8601"
        | "Time.now"
        | "Time.now.to_s"
        | "Time.now.iso8601"
        | "time.utc.iso8601"
        | "Time.now.utc.iso8601"
        | "time.utc.iso8601(3)"
        | "time.iso8601(3)"
        | "Time.now.utc.iso8601(3)"
        | "Time.now.iso8601(3)"
        | "Time.now.getutc.iso8601"
        | "Time.now.utc"
        | "Time.at(time).iso8601" => return template("{@timestamp}".into()),
        _ => {}
    }
    if code.starts_with("ENV") {
        return template(embedded(code)?);
    }
    if let Some(text) = unquote(code) {
        let has_code = code.starts_with('"') && text.contains("#{");
        return if has_code { None } else { template(braces(&text)) };
    }
    if let Some(index) = code.strip_prefix("tag_parts[").and_then(|rest| rest.strip_suffix(']')) {
        return template(part(tag?, index.trim().parse().ok()?)?);
    }
    if let Some(format) = [
        "time.strftime(",
        "Time.now.strftime(",
        "Time.now.utc.strftime(",
        "time.utc.strftime(",
        "Time.at(time).strftime(",
        "Time.at(time).utc.strftime(",
    ]
    .iter()
    .find_map(|start| code.strip_prefix(start))
    {
        let format = unquote(format.strip_suffix(')')?)?;
        return template(format!(
            "{{@timestamp:{}}}",
            format.replace("%N", "%L").replace("%3N", "%L")
        ));
    }
    let (code, default) = match code.split_once("||") {
        Some((left, right)) => (left.trim(), Some(unquote(right)?)),
        None => (code, None),
    };
    let (names, methods) = record(code)?;
    let field = path(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut then = Vec::new();
    for method in &methods {
        then.push(match method.as_str() {
            "to_s" => "string",
            "to_i" => "int",
            "to_f" => "float",
            "downcase" => "lowercase",
            "upcase" => "uppercase",
            "capitalize" => "capitalize",
            "strip" | "chomp" => "strip",
            _ => return None,
        });
    }
    let text =
        default.as_ref().map_or_else(|| format!("{{{field}}}"), |d| format!("{{{field}:-{d}}}"));
    Some((text, default.is_none().then_some(field), then))
}

fn part(tag: &str, index: i64) -> Option<String> {
    let parts: Vec<&str> = tag.split('.').collect();
    let index = if index < 0 { parts.len() as i64 + index } else { index };
    Some(braces(parts.get(usize::try_from(index).ok()?)?))
}

/// `record["a"]["b"].method`, `record.dig("a", "b")`, `$.a.b`, and a bare name, as older versions take it.
fn record(code: &str) -> Option<(Vec<String>, Vec<String>)> {
    let is_bare = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '@'))
    };
    if let Some(rest) = code.strip_prefix("$.") {
        return rest
            .split('.')
            .all(is_bare)
            .then(|| (rest.split('.').map(str::to_string).collect(), Vec::new()));
    }
    let Some(mut rest) = code.strip_prefix("record").filter(|rest| rest.starts_with(['[', '.']))
    else {
        return is_bare(code).then(|| (vec![code.to_string()], Vec::new()));
    };
    let mut names = Vec::new();
    let mut methods = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[').filter(|_| methods.is_empty()) {
            let (name, after) = quoted_after(inner.trim_start())?;
            names.push(name.to_string());
            rest = after.trim_start().strip_prefix(']')?;
        } else if let Some(inner) =
            rest.strip_prefix(".dig(").or_else(|| rest.strip_prefix("&.dig("))
        {
            let end = inner.find(')')?;
            for name in inner[..end].split(',') {
                names.push(unquote(name)?);
            }
            rest = &inner[end + 1..];
        } else if let Some(inner) = rest.strip_prefix('.').or_else(|| rest.strip_prefix("&.")) {
            let end = inner.find(['.', '&', '[', '(', ' ']).unwrap_or(inner.len());
            methods.push(inner[..end].to_string());
            rest = &inner[end..];
            rest = rest.strip_prefix("()").unwrap_or(rest);
        } else {
            return None;
        }
    }
    (!names.is_empty()).then_some((names, methods))
}

/// strftime directives in a text (an index, a path) as a template's time.
pub fn dated(text: &str) -> String {
    let Some(start) = text.find('%') else { return text.to_string() };
    let bytes = text.as_bytes();
    let mut end = start;
    let mut last = start;
    while end < bytes.len() {
        if bytes[end] == b'%' && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic) {
            end += 2;
            last = end;
        } else if matches!(bytes[end], b'.' | b'-' | b'_' | b'/' | b':') {
            end += 1;
        } else {
            break;
        }
    }
    if last == start {
        return text.to_string();
    }
    format!("{}{{@timestamp:{}}}{}", &text[..start], &text[start..last], dated(&text[last..]))
}

/// `10s`, `5m`, `1d`, seconds, as the product writes times.
pub fn time(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let number: f64 = digits.parse().ok().filter(|n: &f64| (0.0..1e9).contains(n))?;
    let seconds = match unit {
        "" | "s" => number,
        "ms" => number / 1000.0,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86400.0,
        _ => return None,
    };
    let milliseconds = (seconds * 1000.0).round() as u64;
    Some(match milliseconds {
        ms if ms % 3_600_000 == 0 && ms > 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 && ms > 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    })
}

/// `8m`, `256MB`, `2M`, bytes, as the product writes sizes, and their bytes.
pub fn size(text: &str) -> Option<(String, u64)> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.trim().parse().ok().filter(|n: &f64| (0.0..1e15).contains(n))?;
    let factor =
        match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i')
        {
            "" => 1u64,
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            "t" => 1 << 40,
            _ => return None,
        };
    let bytes = (number * factor as f64) as u64;
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    Some((
        unit.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit)),
        bytes,
    ))
}

/// `true`, `yes`, `on`, or nothing behind the name.
pub fn is_true(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "yes" | "on" | "1" | "")
}

/// A list: JSON, or parts between commas.
pub fn list(text: &str) -> Vec<String> {
    if let Ok(serde_json::Value::Array(items)) = serde_json::from_str(text) {
        return items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_string))
            .collect();
    }
    let text = text.trim().trim_start_matches('[').trim_end_matches(']');
    text.split(',')
        .map(|part| part.trim().trim_matches(['"', '\'']).to_string())
        .filter(|part| !part.is_empty())
        .collect()
}

/// A text as Lua writes it.
pub fn lua_text(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('\'', "\\'");
    format!("'{}'", text.replace('\n', "\\n").replace('\r', "\\r"))
}
