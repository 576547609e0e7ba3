//! Filter `prune`: only the fields whose names and values are wanted.
//!
//! In: patterns of Ruby: `whitelist_names`, `blacklist_names`, and for single fields `whitelist_values`,
//! `blacklist_values`. Out: the event with the fields of the event itself that are wanted, as in Logstash: names in
//! the whitelist stay (by default all), names in the blacklist go (by default those that begin with `%{`), then values;
//! of a list the items that are wanted stay, if there are any.
//! Promises: `@timestamp` stays, `tags` are left as a field like any other. With `interpolate`, patterns may name
//! fields; they are compiled for each event then. On failure: a pattern that is none once its references are put in
//! matches nothing.

use std::sync::Arc;

use super::expressions::{load_expression, load_made};
use super::named::{flag, hash, text_of};
use super::{Filter, FilterLoad, Make};
use crate::event::{Batch, Field, Selection, Value};
use crate::grok::{Expression, ExpressionScratch, Search};
use crate::settings::{Section, Spanned};
use crate::template::{References, Template};

struct Prune {
    plan: Arc<Plan>,
    search: ExpressionScratch,
    scratch: Vec<u8>,
    fields: Vec<Field>,
}

struct Plan {
    whitelist_names: Vec<Pattern>,
    blacklist_names: Vec<Pattern>,
    whitelist_values: Vec<(Name, Pattern)>,
    blacklist_values: Vec<(Name, Pattern)>,
}

/// A field's name.
enum Name {
    Fixed(String),
    Made(Template),
}

enum Pattern {
    Fixed(Box<Expression>),
    Made(Template),
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let interpolate = flag(section, "interpolate", false);
    let mut good = true;
    let mut pattern = |text: &Spanned<String>, load: &mut FilterLoad<'_>| {
        let pattern = if interpolate && text.contains("%{") {
            Template::load_as(section, text, References::Percent, load.keys).map(Pattern::Made)
        } else {
            load_plain(section, text).map(|found| Pattern::Fixed(Box::new(found)))
        };
        good &= pattern.is_some();
        pattern
    };
    let mut names = |key, default: Option<&str>, load: &mut FilterLoad<'_>| {
        let texts = section.strings(key).unwrap_or_else(|| {
            let written = |text: &str| Spanned { value: text.into(), span: section.span() };
            default.map(written).into_iter().collect()
        });
        texts.iter().filter_map(|text| pattern(text, load)).collect::<Vec<_>>()
    };
    let whitelist_names = names("whitelist_names", None, load);
    let blacklist_names = names("blacklist_names", Some(r"\%\{[^}]+\}"), load);
    let mut values = |key, load: &mut FilterLoad<'_>| {
        let mut all = Vec::new();
        for (name, item) in hash(section, key).unwrap_or_default() {
            let read = text_of(section, item).and_then(|text| pattern(&text, load));
            let name = if interpolate && name.contains("%{") {
                let made = Template::load_as(section, &name, References::Percent, load.keys);
                made.map(Name::Made)
            } else {
                Some(Name::Fixed(name.value))
            };
            all.extend(name.zip(read));
        }
        all
    };
    let whitelist_values = values("whitelist_values", load);
    let blacklist_values = values("blacklist_values", load);
    let plan = Plan { whitelist_names, blacklist_names, whitelist_values, blacklist_values };
    let plan = good.then(|| Arc::new(plan))?;
    Some(Box::new(move || {
        Box::new(Prune {
            plan: Arc::clone(&plan),
            search: ExpressionScratch::default(),
            scratch: Vec::new(),
            fields: Vec::new(),
        })
    }))
}

/// Compiles a pattern in which `%{name}` stands for these characters: there are no named patterns here.
fn load_plain(section: &Section<'_>, text: &Spanned<String>) -> Option<Expression> {
    if text.contains("%{") {
        return load_made(section, text, &plain(text));
    }
    load_expression(section, text)
}

fn plain(pattern: &str) -> String {
    pattern.replace("%{", "%\\{")
}

impl Filter for Prune {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        let plan = Arc::clone(&self.plan);
        for event in selected.iter() {
            let mut fields = std::mem::take(&mut self.fields);
            fields.clear();
            fields.extend_from_slice(batch.fields(event));
            // All decisions are made on the event as it came: patterns may name fields that go.
            let mut changed = false;
            fields.retain_mut(|field| match self.wanted(&plan, batch, event, *field) {
                Some(value) => {
                    changed |= field.value != value;
                    field.value = value;
                    true
                }
                None => {
                    changed = true;
                    false
                }
            });
            if changed {
                batch.fields_mut(event).clone_from(&fields);
            }
            self.fields = fields;
        }
    }
}

impl Prune {
    /// What stays of a field.
    fn wanted(
        &mut self,
        plan: &Plan,
        batch: &mut Batch,
        event: usize,
        field: Field,
    ) -> Option<Value> {
        let name = batch.key_name(field.key);
        let mut any = |patterns: &[Pattern]| {
            patterns.iter().any(|pattern| self.matches(pattern, batch, event, name))
        };
        if !plan.whitelist_names.is_empty() && !any(&plan.whitelist_names) {
            return None;
        }
        if any(&plan.blacklist_names) {
            return None;
        }
        let mut value = field.value;
        for (patterns, keep) in [(&plan.whitelist_values, true), (&plan.blacklist_values, false)] {
            for (name, pattern) in patterns {
                if self.is_named(name, batch, event, field) {
                    value = self.kept(pattern, batch, event, value, keep)?;
                }
            }
        }
        Some(value)
    }

    fn is_named(&mut self, name: &Name, batch: &Batch, event: usize, field: Field) -> bool {
        match name {
            Name::Fixed(name) => batch.key_name(field.key) == name.as_bytes(),
            Name::Made(template) => {
                self.scratch.clear();
                template.render_as_written(batch, event, &mut self.scratch);
                batch.key_name(field.key) == self.scratch
            }
        }
    }

    /// A value, or the items of a list, for which matching is what is wanted; `None` where nothing is left.
    fn kept(
        &mut self,
        pattern: &Pattern,
        batch: &mut Batch,
        event: usize,
        value: Value,
        keep: bool,
    ) -> Option<Value> {
        let mut text = Vec::new();
        let mut is_kept = |item: Value| {
            text.clear();
            batch.write_text(item, &mut text);
            self.matches(pattern, batch, event, &text) == keep
        };
        let items: Vec<Value> = match value {
            Value::Array(list) => batch.array(list).to_vec(),
            Value::Json(span) if batch.bytes(span).starts_with(b"[") => {
                batch.raw_items(span).collect()
            }
            single => return is_kept(single).then_some(single),
        };
        let left: Vec<Value> = items.iter().copied().filter(|item| is_kept(*item)).collect();
        if left.len() == items.len() {
            return Some(value);
        }
        if left.is_empty() {
            return None;
        }
        let list = batch.new_array();
        batch.array_mut(list).extend(left);
        Some(Value::Array(list))
    }

    fn matches(&mut self, pattern: &Pattern, batch: &Batch, event: usize, text: &[u8]) -> bool {
        let made;
        let expression = match pattern {
            Pattern::Fixed(expression) => expression,
            Pattern::Made(template) => {
                self.scratch.clear();
                template.render_as_written(batch, event, &mut self.scratch);
                let source = std::str::from_utf8(&self.scratch).ok().map(plain);
                let Some(Ok(compiled)) = source.as_deref().map(Expression::compile) else {
                    return false;
                };
                made = compiled;
                &made
            }
        };
        matches!(expression.find_at(&mut self.search, text, 0), Search::Found(..))
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{problems, run};

    const EVENT: &str = r#"{"first":"1st","second":"2nd","third":["3rd","x"],"%{odd}":1}"#;

    #[track_caller]
    fn check(settings: &str, expected: &str) {
        let found = run(&format!("[[filters]]\ntype = \"prune\"\n{settings}\n"), EVENT);
        assert_eq!(found, expected, "{settings}");
    }

    #[test]
    fn names_and_values_decide_what_stays() {
        check("", r#"{"first":"1st","second":"2nd","third":["3rd","x"]}"#);
        check("whitelist_names = [\"first\", \"^sec\"]", r#"{"first":"1st","second":"2nd"}"#);
        check("blacklist_names = \"^.i\"", r#"{"second":"2nd","third":["3rd","x"],"%{odd}":1}"#);
        check("whitelist_values = { first = \"^2\" }", r#"{"second":"2nd","third":["3rd","x"]}"#);
        let rest = r#"{"first":"1st","second":"2nd","third":["3rd"]}"#;
        check("blacklist_values = { third = \"x\" }", rest);
        check("whitelist_values = { third = \"^3\" }", rest);
        check("blacklist_values = { third = \"[xr]\" }", r#"{"first":"1st","second":"2nd"}"#);
        check(
            "blacklist_names = [\"%{odd}\", \"%{first}\"]",
            r#"{"first":"1st","second":"2nd","third":["3rd","x"]}"#,
        );
        check(
            "interpolate = true\nwhitelist_values = { first = \"^%{first}$\", second = \"%{first}\" }",
            r#"{"first":"1st","third":["3rd","x"]}"#,
        );
        assert!(
            problems("[[filters]]\ntype = \"prune\"\nwhitelist_names = \"(\"")
                .contains("t.toml:3:")
        );
    }
}
