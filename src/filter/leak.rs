//! A redaction that looks at one field while its text stands in another one, too.
//!
//! In: the `[[filters]]` of a pipeline as written. Out: warnings with the way of the text.
//!
//! Only rules that name their fields can leave some out: `redact` with `fields`, and `gsub` whose replacement is a
//! mask. What takes text from a field and puts it into others (grok, dissect, json, kv, csv, copy, rename, set …) is
//! followed in the order written, into both chains of an `if`. Promises: a text that was cleaned before it was copied,
//! a copy that another rule cleans, and one that is removed give no warning; numbers carry no secrets. Kinds of filter
//! that are not known here are taken to copy nothing, so silence is no proof. On failure: what cannot be read is said
//! by the filter that it belongs to, not here.

use std::ops::Range;

use crate::grok::{self, Ecs};
use crate::settings::{Item, Literal, Section};

mod names;

/// Text goes from one field into another.
struct Flow {
    from: String,
    into: Target,
    kind: String,
    line: usize,
    step: usize,
}

/// Where text goes to.
#[derive(Clone, Debug, PartialEq)]
enum Target {
    Field(String),
    /// Fields whose names are in the data, below a field or anywhere.
    Made(Option<String>),
}

/// A rule that masks text in some fields, or in all.
struct Rule {
    kind: String,
    fields: Option<Vec<String>>,
    span: Range<usize>,
    line: usize,
    step: usize,
}

/// What the filters do to fields, in order.
#[derive(Default)]
struct Story<'a> {
    text: &'a str,
    flows: Vec<Flow>,
    rules: Vec<Rule>,
    /// Fields that go, and the step at which.
    removed: Vec<(String, usize)>,
    step: usize,
}

/// Reports every redaction in `key` that misses a copy of what it cleans.
pub fn check(section: &Section<'_>, key: &'static str) {
    let Some(filters) = section.item(key) else { return };
    let mut story = Story { text: &section.source().text, ..Story::default() };
    story.follow(filters);
    for (rule, message, hint) in story.leaks() {
        section.report(
            crate::diagnostic::Diagnostic::warning(message).maybe_hint(Some(hint)),
            rule.span.clone(),
        );
    }
}

impl Story<'_> {
    fn follow(&mut self, filters: &Item) {
        let Literal::Array(list) = &filters.literal else { return };
        for filter in list {
            self.step += 1;
            let kind = string(filter.get("type")).unwrap_or_default();
            match kind {
                "if" => {
                    for chain in ["then", "else"] {
                        filter.get(chain).into_iter().for_each(|chain| self.follow(chain));
                    }
                }
                "redact" => self.redact(filter),
                "gsub" => self.gsub(filter),
                "mutate" => self.mutate(filter),
                "remove" => {
                    let fields = texts(filter.get("fields")).chain(texts(filter.get("field")));
                    let step = self.step;
                    self.removed.extend(fields.map(|field| (names::plain(field), step)));
                }
                _ => self.copies(filter, kind),
            }
            let step = self.step;
            self.removed
                .extend(texts(filter.get("remove_field")).map(|field| (names::plain(field), step)));
        }
    }

    fn redact(&mut self, filter: &Item) {
        let limited = filter.get("fields").or(filter.get("field"));
        let fields = limited.map(|item| texts(Some(item)).map(names::plain).collect());
        self.rule("redact", fields, limited.unwrap_or(filter));
    }

    fn gsub(&mut self, filter: &Item) {
        if string(filter.get("replacement")).is_some_and(is_mask) {
            let fields = texts(filter.get("fields"))
                .chain(texts(filter.get("field")))
                .map(names::plain)
                .collect();
            self.rule(
                "gsub",
                Some(fields),
                filter.get("fields").or(filter.get("field")).unwrap_or(filter),
            );
        }
    }

    /// In the order in which `mutate` works.
    fn mutate(&mut self, filter: &Item) {
        self.pairs(filter.get("rename"), "mutate", true);
        for key in ["update", "replace"] {
            self.templates(filter.get(key), "mutate");
        }
        if let Some(gsub) = filter.get("gsub") {
            let list: Vec<&str> = texts(Some(gsub)).collect();
            let masked = list.chunks(3).filter(|three| three.len() == 3 && is_mask(three[2]));
            let fields: Vec<String> = masked.map(|three| names::plain(three[0])).collect();
            if !fields.is_empty() {
                self.rule("gsub", Some(fields), gsub);
            }
        }
        self.pairs(filter.get("copy"), "mutate", false);
    }

    fn copies(&mut self, filter: &Item, kind: &str) {
        let source =
            string(filter.get("source")).or(string(filter.get("field"))).unwrap_or("message");
        let source = names::plain(source);
        let under = string(filter.get("target")).map(names::plain);
        match kind {
            "grok" => {
                for pattern in texts(filter.get("patterns")) {
                    self.grok(filter, &source, pattern, under.as_deref());
                }
                for (field, item) in entries(filter.get("match")) {
                    for pattern in texts(Some(item)) {
                        self.grok(filter, &names::plain(field), pattern, under.as_deref());
                    }
                }
            }
            "json_encode" | "split" | "urldecode" => {
                if let Some(under) = under {
                    self.flow(&source, Target::Field(under), kind, filter);
                }
            }
            "dissect" => {
                for (from, pattern) in pairs(filter.get("mapping")) {
                    for field in names::of_dissect(pattern) {
                        self.flow(&names::plain(from), Target::Field(field), "dissect", filter);
                    }
                }
            }
            "csv" => {
                for column in texts(filter.get("columns")) {
                    let field = below(under.as_deref(), &names::plain(column));
                    self.flow(&source, Target::Field(field), "csv", filter);
                }
            }
            "json" | "kv" => self.flow(&source, Target::Made(under), kind, filter),
            "xml" => {
                for (_, field) in pairs(filter.get("xpath")) {
                    self.flow(&source, Target::Field(names::plain(field)), kind, filter);
                }
                if under.is_some() {
                    self.flow(&source, Target::Made(under), kind, filter);
                }
            }
            "copy" => self.pairs(filter.get("fields"), kind, false),
            "rename" => self.pairs(filter.get("fields"), kind, true),
            "set" => self.templates(filter.get("fields"), kind),
            _ => {}
        }
        self.templates(filter.get("add_field"), kind);
    }

    fn grok(&mut self, filter: &Item, source: &str, pattern: &str, under: Option<&str>) {
        let word = string(filter.get("ecs")).or(string(filter.get("ecs_compatibility")));
        let ecs = if word == Some("disabled") { Ecs::Disabled } else { Ecs::V1 };
        for field in names::of_grok(pattern, |name| grok::definition(ecs, name)) {
            self.flow(source, Target::Field(below(under, &field)), "grok", filter);
        }
    }

    fn pairs(&mut self, table: Option<&Item>, kind: &str, goes: bool) {
        for (from, into) in pairs(table) {
            self.flow(
                &names::plain(from),
                Target::Field(names::plain(into)),
                kind,
                table.unwrap_or(&NOTHING),
            );
            if goes {
                self.removed.push((names::plain(from), self.step));
            }
        }
    }

    fn templates(&mut self, table: Option<&Item>, kind: &str) {
        for (into, template) in pairs(table) {
            for from in names::of_template(template) {
                self.flow(
                    &from,
                    Target::Field(names::plain(into)),
                    kind,
                    table.unwrap_or(&NOTHING),
                );
            }
        }
    }

    fn flow(&mut self, from: &str, into: Target, kind: &str, place: &Item) {
        let same = matches!(&into, Target::Field(field) if field == from);
        let known = |flow: &Flow| flow.from == from && flow.into == into && flow.step == self.step;
        if !same && !self.flows.iter().any(known) {
            let line = self.line(place.span.start);
            self.flows.push(Flow {
                from: from.into(),
                into,
                kind: kind.into(),
                line,
                step: self.step,
            });
        }
    }

    fn rule(&mut self, kind: &str, fields: Option<Vec<String>>, place: &Item) {
        let (span, line) = (place.span.clone(), self.line(place.span.start));
        self.rules.push(Rule { kind: kind.into(), fields, span, line, step: self.step });
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.get(..at).map_or(0, |before| before.matches('\n').count())
    }

    /// The rules that miss something, what to say of each, and what to do.
    fn leaks(&self) -> Vec<(&Rule, String, String)> {
        let limited =
            self.rules.iter().filter_map(|rule| rule.fields.as_ref().map(|fields| (rule, fields)));
        let mut found: Vec<(&Rule, String, String)> = Vec::new();
        for (rule, fields) in limited {
            let names = |field: &str| fields.iter().any(|named| covers(named, field));
            let before = self
                .flows
                .iter()
                .filter(|flow| flow.step < rule.step && !self.clean(&flow.from, flow.step));
            let missed: Vec<(&Flow, String)> = before
                .filter_map(|flow| match &flow.into {
                    Target::Field(into) => {
                        let down = names(&flow.from) && !names(into) && !self.gone(into, flow.step);
                        let up =
                            names(into) && !names(&flow.from) && !self.gone(&flow.from, flow.step);
                        (down || up)
                            .then(|| (flow, if down { into.clone() } else { flow.from.clone() }))
                    }
                    Target::Made(under) => {
                        let word = match under {
                            Some(field) if names(field) || self.gone(field, flow.step) => {
                                return None;
                            }
                            Some(field) => field.clone(),
                            None if self.rules.iter().any(|rule| rule.fields.is_none()) => {
                                return None;
                            }
                            None => format!("the fields that `{}` made", flow.kind),
                        };
                        names(&flow.from).then_some((flow, word))
                    }
                })
                .collect();
            let Some((flow, _)) = missed.first() else { continue };
            let mut others: Vec<&str> = missed.iter().map(|(_, other)| other.as_str()).collect();
            others.sort_unstable();
            others.dedup();
            let into = match &flow.into {
                Target::Field(field) => field.clone(),
                Target::Made(Some(field)) => format!("{field}.*"),
                Target::Made(None) => "fields named in the data".into(),
            };
            let quoted_unless_words =
                |o: &str| if o.contains(' ') { o.to_string() } else { format!("`{o}`") };
            let others: Vec<String> = others.into_iter().map(quoted_unless_words).collect();
            let others = match others.len() {
                0..=4 => others.join(", "),
                many => format!("{} and {} more", others[..3].join(", "), many - 3),
            };
            let message =
                format!("this masks {}, and leaves the same text in {others}", quoted(fields));
            let hint = format!(
                "the text goes {} → {} (line {}) → {into}, and `{}` (line {}) looks at {} only: put it before the \
                 copying, name the other fields, too, or use `redact` without `fields`, which looks at all",
                flow.from,
                flow.kind,
                flow.line,
                rule.kind,
                rule.line,
                quoted(fields)
            );
            found.push((rule, message, hint));
        }
        found
    }

    /// Whether a rule had cleaned a field before a step.
    fn clean(&self, field: &str, step: usize) -> bool {
        let names = |fields: &Vec<String>| fields.iter().any(|named| covers(named, field));
        self.rules.iter().any(|rule| rule.step < step && rule.fields.as_ref().is_none_or(names))
    }

    /// Whether what a field has since a step is cleaned or removed afterwards.
    fn gone(&self, field: &str, step: usize) -> bool {
        let named = |fields: &Vec<String>| fields.iter().any(|named| covers(named, field));
        self.rules.iter().any(|rule| rule.step > step && rule.fields.as_ref().is_none_or(named))
            || self.removed.iter().any(|(gone, at)| *at >= step && covers(gone, field))
    }
}

static NOTHING: Item = Item { span: 0..0, literal: Literal::Bool(false) };

/// Whether naming `named` means `field`, too: itself, what is in it, and all that a star stands for.
fn covers(named: &str, field: &str) -> bool {
    match named.strip_suffix('*') {
        Some(beginning) => field.starts_with(beginning),
        None => {
            field.strip_prefix(named).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
    }
}

fn below(under: Option<&str>, field: &str) -> String {
    under.map_or_else(|| field.to_string(), |under| format!("{under}.{field}"))
}

/// Whether a replacement is there to hide something.
fn is_mask(replacement: &str) -> bool {
    let lower = replacement.to_ascii_lowercase();
    ["***", "xxx", "redacted", "filtered", "masked", "hidden", "removed"]
        .iter()
        .any(|word| lower.contains(word))
}

fn quoted(fields: &[String]) -> String {
    fields.iter().map(|field| format!("`{field}`")).collect::<Vec<_>>().join(", ")
}

fn string(item: Option<&Item>) -> Option<&str> {
    match item.map(|item| &item.literal) {
        Some(Literal::String(text)) => Some(text),
        _ => None,
    }
}

/// The texts of a list, or one text.
fn texts(item: Option<&Item>) -> impl Iterator<Item = &str> {
    let list = match item.map(|item| &item.literal) {
        Some(Literal::Array(list)) => list.as_slice(),
        Some(Literal::String(_)) => item.map_or(&[][..], std::slice::from_ref),
        _ => &[],
    };
    list.iter().filter_map(|item| string(Some(item)))
}

/// The entries of a table, or of a list as Logstash also writes it.
fn entries(item: Option<&Item>) -> Vec<(&str, &Item)> {
    match item.map(|item| &item.literal) {
        Some(Literal::Table(entries)) => {
            entries.iter().map(|(key, value)| (key.value.as_str(), value)).collect()
        }
        Some(Literal::Array(list)) => list.chunks(2).filter_map(pair).collect(),
        _ => Vec::new(),
    }
}

fn pair(two: &[Item]) -> Option<(&str, &Item)> {
    match two {
        [name, value] => Some((string(Some(name))?, value)),
        _ => None,
    }
}

/// Those entries whose values are texts.
fn pairs(item: Option<&Item>) -> impl Iterator<Item = (&str, &str)> {
    entries(item).into_iter().filter_map(|(key, value)| Some((key, string(Some(value))?)))
}
