//! Values of Logstash's settings as values of ours.
//!
//! In: values as written. Out: texts, numbers, lists, tables. Promises: `${NAME:default}` stays a variable.
//! On failure: a value of another kind than the setting takes is absent.

use super::syntax::{Plugin, Value};
use crate::import::document::{Table, Value as Ours};
use crate::import::report::Report;
use crate::import::templates;

/// The settings of a plugin, each asked for once; what nobody asked for is left.
pub struct Settings {
    left: Vec<(String, Value)>,
}

impl Settings {
    /// The settings of a plugin; one that is written twice is one, as Logstash takes it: lists and hashes are joined,
    /// of other values the last one counts.
    pub fn of(plugin: &Plugin) -> Settings {
        let mut left: Vec<(String, Value)> = Vec::new();
        for (name, value) in &plugin.settings {
            match left.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => join(old, value.clone()),
                None => left.push((name.clone(), value.clone())),
            }
        }
        Settings { left }
    }

    /// Takes a setting.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.remove(at).1)
    }

    /// Takes a text, a word or a number.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.take(name)?;

        value.items().first().and_then(|item| item.text()).map(str::to_string)
    }

    /// Takes texts; a single one is a list of one.
    pub fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        Some(
            self.take(name)?
                .items()
                .into_iter()
                .filter_map(Value::text)
                .map(str::to_string)
                .collect(),
        )
    }

    /// Takes yes or no.
    pub fn flag(&mut self, name: &str) -> Option<bool> {
        self.text(name).map(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Takes a hash; a list of names and values in turn is one, too.
    pub fn hash(&mut self, name: &str) -> Option<Vec<(String, Value)>> {
        self.take(name).map(pairs)
    }

    /// Whether a setting is there.
    pub fn has(&self, name: &str) -> bool {
        self.left.iter().any(|(known, _)| known == name)
    }

    /// Takes settings that change nothing here.
    pub fn ignore(&mut self, names: &[&str]) {
        self.left.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// The names that nobody asked for.
    pub fn rest(&self) -> Vec<String> {
        self.left.iter().map(|(name, _)| name.clone()).collect()
    }
}

fn join(old: &mut Value, new: Value) {
    match (old, new) {
        (Value::Hash(old), Value::Hash(new)) => {
            for (key, value) in new {
                match old.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => {
                        let mut items: Vec<Value> = known.items().into_iter().cloned().collect();
                        items.extend(value.items().into_iter().cloned());
                        *known = Value::List(items);
                    }
                    None => old.push((key, value)),
                }
            }
        }
        (Value::List(old), new) => old.extend(new.items().into_iter().cloned()),
        (old, Value::List(new)) => {
            let mut items = vec![old.clone()];
            items.extend(new);
            *old = Value::List(items);
        }
        (old, new) => *old = new,
    }
}

/// A hash, or a list of names and values in turn.
pub fn pairs(value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Hash(entries) => {
            let mut joined: Vec<(String, Value)> = Vec::new();
            for (key, value) in entries {
                match joined.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, old)) => {
                        let mut items: Vec<Value> = old.items().into_iter().cloned().collect();
                        items.extend(value.items().into_iter().cloned());
                        *old = Value::List(items);
                    }
                    None => joined.push((key, value)),
                }
            }
            joined
        }
        Value::List(items) => {
            let mut entries = Vec::new();
            let mut items = items.into_iter();
            while let Some(first) = items.next() {
                if let Value::Hash(inner) = first {
                    entries.extend(inner);
                } else if let (Some(name), Some(value)) = (first.text(), items.next()) {
                    entries.push((name.to_string(), value));
                }
            }
            entries
        }
        _ => Vec::new(),
    }
}

/// A text with Logstash's variables as ours, and whether there were any; a plain `${` stays plain.
pub fn variables(text: &str) -> (String, bool) {
    let (mut out, mut rest, mut any) = (String::new(), text, false);
    while let Some(at) = rest.find("${") {
        let inner = &rest[at + 2..];
        let Some(end) = inner.find('}').filter(|end| is_variable(&inner[..*end])) else {
            out.push_str(&rest[..at + 2]);
            rest = inner;
            continue;
        };
        any = true;
        out.push_str(&rest[..at]);
        let (name, default) = match inner[..end].split_once(':') {
            Some((name, default)) => (name, default),
            None => (&inner[..end], "not-set"),
        };
        out.push_str(&format!("${{{}:-{default}}}", name.replace('.', "_")));
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    (out, any)
}

fn is_variable(inner: &str) -> bool {
    let name = inner.split(':').next().unwrap_or_default();
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
}

/// A region of Amazon; one in a variable is the usual one where that is not set.
pub fn region(written: &str, report: &mut Report) -> Ours {
    match text(written, report) {
        Ours::Variables(text) => Ours::Variables(text.replace(":-not-set}", ":-us-east-1}")),
        other => other,
    }
}

/// A text that may hold variables; those without a default are listed.
pub fn text(written: &str, report: &mut Report) -> Ours {
    // A reference in a pair of brackets more is the same one.
    let inner = written.replace("%{[[", "%{[");
    let inner = if inner == written { inner } else { inner.replace("]]}", "]}") };
    let (text, any) = variables(&inner);
    if !any {
        return Ours::Text(text);
    }
    for part in written.split("${").skip(1) {
        let name = part.split(['}', ':']).next().unwrap_or_default();
        if part.contains('}') && !part.split('}').next().unwrap_or_default().contains(':') {
            let what = "a variable of the source, which had no default".to_string();
            report.variables.entry(name.replace('.', "_")).or_insert(what);
        }
    }
    Ours::Variables(text)
}

/// Any value.
pub fn any(value: &Value, report: &mut Report) -> Ours {
    match value {
        Value::Text(written) => text(written, report),
        Value::Bare(word) => bare(word, report),
        Value::List(items) => Ours::List(items.iter().map(|item| any(item, report)).collect()),
        Value::Hash(entries) => {
            let mut table = Table::default();
            for (key, value) in entries {
                table.set(key, any(value, report));
            }
            Ours::Table(table)
        }
        Value::Plugin(plugin) => Ours::Text(plugin.name.clone()),
    }
}

fn bare(word: &str, report: &mut Report) -> Ours {
    match word {
        "true" => Ours::Bool(true),
        "false" => Ours::Bool(false),
        word => match (word.parse::<i64>(), word.parse::<f64>()) {
            (Ok(number), _) => Ours::Integer(number),
            (_, Ok(number)) if number.is_finite() => Ours::Float(number),
            _ => text(word, report),
        },
    }
}

/// Where the pipelines of one address meet: a port of this machine that follows from the name alone.
pub fn meeting(address: &str) -> String {
    let hash = address.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("127.0.0.1:{}", 20_000 + hash % 10_000)
}

/// A field's name: `[a][b]` and names with dots as our paths write them; texts with references stay.
pub fn field(name: &str) -> String {
    if templates::has_references(name) { name.to_string() } else { templates::field(name) }
}
