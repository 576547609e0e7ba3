//! Logstash's `mutate` as ours, which has the same fixed order.
//!
//! In: the plugin's settings. Out: `mutate`, or a plainer filter where one does the same. Promises: order and meaning
//! stay. On failure: as the import.

use super::Translator;
use super::specification::{COMMON, Kind, Setting, apply};
use super::syntax::Value;
use super::values::{self, Settings};
use crate::import::document::{Filter, Step, Table, Value as Ours};
use crate::import::report::{Account, Report};
use crate::import::templates::has_references;

const SETTINGS: [Setting; 12] = [
    ("coerce", "coerce", Kind::FieldHash),
    ("rename", "rename", Kind::FieldPairs),
    ("update", "update", Kind::FieldHash),
    ("replace", "replace", Kind::FieldHash),
    ("convert", "convert", Kind::FieldHash),
    ("uppercase", "uppercase", Kind::Fields),
    ("capitalize", "capitalize", Kind::Fields),
    ("lowercase", "lowercase", Kind::Fields),
    ("strip", "strip", Kind::Fields),
    ("split", "split", Kind::FieldHash),
    ("join", "join", Kind::FieldHash),
    ("copy", "copy", Kind::FieldPairs),
];

/// Converts one.
pub fn convert(settings: &mut Settings, account: &mut Account, report: &mut Report) -> Vec<Step> {
    let mut filter = Filter::new("mutate");
    apply(&mut filter.settings, settings, &SETTINGS[..5], report);
    let copied = time_kept(&mut filter.settings, account);
    let mut masked = Vec::new();
    if let Some(gsub) = settings.take("gsub") {
        let items: Vec<String> =
            gsub.items().iter().filter_map(|v| v.text()).map(str::to_string).collect();
        let (secrets, rest) = secrets(&items);
        masked = secrets;
        let texts = rest.chunks(3).flat_map(|triple| {
            let field =
                |n: usize, text: &String| if n == 0 { values::field(text) } else { text.clone() };
            triple.iter().enumerate().map(move |(n, text)| field(n, text)).collect::<Vec<_>>()
        });
        let texts: Vec<Ours> = texts.map(|text| values::text(&text, report)).collect();
        if !texts.is_empty() {
            filter.settings.set("gsub", Ours::List(texts));
        }
    }
    apply(&mut filter.settings, settings, &SETTINGS[5..11], report);
    if let Some(merge) = settings.hash("merge") {
        let mut table = Table::default();
        for (into, from) in merge {
            let from: Vec<String> =
                from.items().into_iter().filter_map(Value::text).map(values::field).collect();
            let single = from.len() == 1;
            let value = if single { Ours::Text(from[0].clone()) } else { Ours::texts(from) };
            table.set(&values::field(&into), value);
        }
        filter.settings.set("merge", table);
    }
    apply(&mut filter.settings, settings, &SETTINGS[11..], report);
    apply(
        &mut filter.settings,
        settings,
        &[("tag_on_failure", "tag_on_failure", Kind::Text)],
        report,
    );
    if let Some(removed) = settings.take("remove") {
        // What `remove_field` was called before Logstash 2.
        let names = removed.items().into_iter().filter_map(Value::text).map(values::field);
        filter.settings.set("remove_field", Ours::texts(names));
    }
    apply(&mut filter.settings, settings, &COMMON, report);
    let mut steps: Vec<Step> = copied.map(Step::Filter).into_iter().collect();
    if !masked.is_empty() {
        account
            .differs("these secrets are masked in every field, not only in the one that is named");
        steps.push(Step::Filter(Filter::new("redact").with("keys", Ours::texts(masked))));
    }
    if filter.settings.0.len() > 1 {
        steps.push(Step::Filter(plainer(filter)));
    }
    steps
}

/// `@timestamp` cannot go away, so that it is renamed is a copy, in front.
fn time_kept(table: &mut Table, account: &mut Account) -> Option<Filter> {
    let Some((_, Ours::Table(renamed))) = table.0.iter_mut().find(|(key, _)| key == "rename")
    else {
        return None;
    };
    let at = renamed.0.iter().position(|(from, _)| from == "@timestamp")?;
    let (from, to) = renamed.0.remove(at);
    if renamed.is_empty() {
        table.0.retain(|(key, _)| key != "rename");
    }
    account.differs("`@timestamp` stays: each event has a time");
    Some(Filter::new("copy").with("fields", Table::default().with(&from, to)))
}

/// A filter that only removes fields, or only has tags, as a person would write it.
fn plainer(filter: Filter) -> Filter {
    let settings = &filter.settings.0;
    let plain = |value: &Ours| {
        match value {
        Ours::List(items) => items.iter().all(|item| {
            matches!(item, Ours::Text(text) if !has_references(text) && !text.contains(['*', '{', '}']))
        }),
        _ => false,
    }
    };
    match settings.as_slice() {
        [_, (key, value)] if key == "remove_field" && plain(value) => {
            Filter::new("remove").with("fields", value.clone())
        }
        [_, rest @ ..] if rest.iter().all(|(key, value)| key.ends_with("_tag") && plain(value)) => {
            let mut tag = Filter::new("tag");
            for (key, value) in rest {
                tag.settings.set(key.trim_end_matches("_tag"), value.clone());
            }
            tag
        }
        _ => filter,
    }
}

/// Keys that are masked as in `"message", "password=[^&\s]+", "password=***"`, and the other triples.
fn secrets(gsub: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for triple in gsub.chunks(3) {
        let key = match triple {
            [_, pattern, replacement] => replacement.strip_suffix("=***").filter(|key| {
                let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                let values = ["[^&\\s]+", "[^\\s&]+", "\\S+", "[^ ]+", "[^\\s]+", "[^& ]+"];
                !key.is_empty()
                    && key.chars().all(word)
                    && values.iter().any(|value| *pattern == format!("{key}={value}"))
            }),
            _ => None,
        };
        match key {
            Some(key) if !keys.contains(&key.to_string()) => keys.push(key.to_string()),
            Some(_) => {}
            None => rest.extend(triple.iter().cloned()),
        }
    }
    (keys, rest)
}

/// The filter `alter`: `condrewrite`, `condrewriteother`.
pub(super) fn alter(translator: &mut Translator<'_>, settings: &mut Settings) -> Vec<Step> {
    let mut steps = Vec::new();
    let texts = settings.texts("condrewrite").unwrap_or_default();
    for triple in texts.chunks(3) {
        if let [field, expected, new] = triple {
            let field = values::field(field);
            let mut filter = Filter::new("mutate").with(
                "replace",
                Table::default().with(&field, values::text(new, translator.report)),
            );
            filter.settings.add_when(&format!("{field} == {}", quoted(expected)));
            steps.push(Step::Filter(filter));
        }
    }
    let texts = settings.texts("condrewriteother").unwrap_or_default();
    for four in texts.chunks(4) {
        if let [test, expected, field, new] = four {
            let new =
                Table::default().with(&values::field(field), values::text(new, translator.report));
            let mut filter = Filter::new("mutate").with("replace", new);
            filter.settings.add_when(&format!("{} == {}", values::field(test), quoted(expected)));
            steps.push(Step::Filter(filter));
        }
    }
    steps
}

/// A text of a condition.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
