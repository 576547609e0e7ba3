//! Places in addresses that whoever copies a configuration is meant to fill in: `https://<HOST>:<PORT>`.
//!
//! In: an output. Out: the same, with variables of the environment there. Promises: an address stays one. On failure:
//! nothing here fails.

use std::ops::Range;

use super::super::fluentd::route::Notes;
use super::draft::{Block, Value};

/// Fills the addresses of an output.
pub fn in_block(block: &mut Block, notes: &mut Notes) {
    for (key, value) in &mut block.entries {
        if !matches!(key.as_str(), "url" | "server" | "endpoint" | "hosts") {
            continue;
        }
        match value {
            Value::Text(text) => in_text(text, notes),
            Value::List(items) => items.iter_mut().for_each(|item| {
                if let Value::Text(text) = item {
                    in_text(text, notes);
                }
            }),
            _ => {}
        }
    }
}

fn in_text(text: &mut String, notes: &mut Notes) {
    let readable = variables(text);
    let Some((filled, names)) = filled(&readable) else {
        *text = readable;
        return;
    };
    notes.difference(format!("the address has places to fill in: set {}", names.join(", ")));
    *text = filled;
}

/// `<MY HOST>`, `{{ my.host }}` and `$MY_HOST` as `${MY_HOST:-localhost}`, and the names. `None`: there is nothing to
/// fill in.
pub fn filled(text: &str) -> Option<(String, Vec<String>)> {
    let mut names: Vec<String> = Vec::new();
    let mut out = String::new();
    let mut rest = text;
    while let Some((start, inner, end)) = next(rest) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let name: String = rest[inner].trim().chars().map(plain).collect();
        let name = name.trim_matches('_').to_string();
        out.push_str(&rest[..start]);
        rest = &rest[end..];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let is_port = out.ends_with(':') && !rest.starts_with("//");
        out.push_str(&format!("${{{name}:-{}}}", if is_port { "8080" } else { "localhost" }));
        names.push(name);
    }
    (!names.is_empty()).then(|| (out + rest, names))
}

/// Where the next place begins, what stands in it, and where it ends.
fn next(text: &str) -> Option<(usize, Range<usize>, usize)> {
    let between = |open: &str, close: &str| {
        let start = text.find(open)?;
        let inner = start + open.len();
        let end = inner + text[inner..].find(close)?;
        Some((start, inner..end, end + close.len()))
    };
    let word = || {
        let start = text
            .match_indices('$')
            .map(|(at, _)| at)
            .find(|at| text[at + 1..].starts_with(|c: char| c.is_ascii_uppercase()))?;
        let rest = &text[start + 1..];
        let of_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let end = start + 1 + rest.find(|c| !of_name(c)).unwrap_or(rest.len());
        Some((start, start + 1..end, end))
    };
    [between("<", ">"), between("{{", "}}"), word()].into_iter().flatten().min_by_key(|at| at.0)
}

/// `${NAME}` without a default gets one that leaves an address what it is.
fn variables(text: &str) -> String {
    with_defaults(text, |before, behind| match (before, behind) {
        ("", "") => "http://localhost:8080",
        (before, _) if before.ends_with(':') => "8080",
        _ => "localhost",
    })
}

/// `${NAME}` without a default gets the one that is given for it, by the text before and behind it: what is written
/// can be read also where the variable is not set.
pub(super) fn with_defaults(text: &str, default: impl Fn(&str, &str) -> &'static str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while let Some(start) = text[at..].find("${").map(|found| at + found) {
        let Some(end) = text[start..].find('}').map(|found| start + found) else { break };
        out.push_str(&text[at..end]);
        if !text[start..end].contains(":-") {
            out.push_str(":-");
            out.push_str(default(&text[..start], &text[end + 1..]));
        }
        out.push('}');
        at = end + 1;
    }
    out + &text[at..]
}

#[cfg(test)]
mod tests {
    use super::{filled, variables};

    #[test]
    fn places_in_an_address_become_variables() {
        let known = [
            ("https://<MY HOST>:8088/x", "https://${MY_HOST:-localhost}:8088/x", "MY_HOST"),
            ("http://a:<port>/", "http://a:${PORT:-8080}/", "PORT"),
            ("http://loki.<domain>:3100", "http://loki.${DOMAIN:-localhost}:3100", "DOMAIN"),
            ("http://$ES_HOST:9200", "http://${ES_HOST:-localhost}:9200", "ES_HOST"),
            ("http://{{ es.host }}:9200", "http://${ES_HOST:-localhost}:9200", "ES_HOST"),
        ];
        for (from, to, name) in known {
            assert_eq!(filled(from), Some((to.to_string(), vec![name.to_string()])));
        }
        assert_eq!(filled("http://a:80/"), None);
        assert_eq!(filled("http://${HOST:-a}:80/"), None);
        assert_eq!(variables("http://${HOST}:${PORT}"), "http://${HOST:-localhost}:${PORT:-8080}");
        assert_eq!(variables("${URL}"), "${URL:-http://localhost:8080}");
        assert_eq!(variables("${URL:-http://a}"), "${URL:-http://a}");
    }
}
