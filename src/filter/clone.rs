//! Filter `clone`: an event once more, for each of some names.
//!
//! In: `clones`, names. Out: besides the event a copy for each name: with `ecs_compatibility = "disabled"` its field
//! `type` is the name, with `"v1"` the name is one of its tags; `add_field` and the like change the copies only.
//! Promises: the copies follow the event; a later change to one of them is not seen in another.
//! On failure: nothing can fail but an event with 65,535 copies already, which is counted and gets no more.

use std::sync::Arc;

use super::split_event::copy_of;
use super::{Filter, FilterLoad, Make, counters};
use crate::diagnostic::Diagnostic;
use crate::event::{Batch, Key, Selection, Value};
use crate::metrics::Counter;
use crate::settings::Section;

struct Clone {
    plan: Arc<Plan>,
}

struct Plan {
    names: Vec<String>,
    /// `type`; `None`: the names are tags.
    kind: Option<Key>,
    failures: Counter,
}

/// Reads the settings.
pub(super) fn load(section: &Section<'_>, load: &mut FilterLoad<'_>) -> Option<Make> {
    let names = section.strings("clones");
    if !section.has("clones") {
        section.missing("clones", "[\"copy\"]");
    }
    let modes = [("v1", true), ("v8", true), ("disabled", false)];
    let ecs = section.choice_or("ecs_compatibility", &modes, true);
    let (_, failures) = counters(section, load);
    let names = names?;
    if names.is_empty() {
        let hint = "name the copies: clones = [\"copy\"]";
        let doubt = Diagnostic::warning("`clones` is empty: nothing is copied");
        section.report(doubt.maybe_hint(Some(hint.into())), section.span_of("clones"));
    }
    let names = names.into_iter().map(|name| name.value).collect();
    let kind = (!ecs).then(|| load.keys.intern("type"));
    let plan = Arc::new(Plan { names, kind, failures });
    Some(Box::new(move || Box::new(Clone { plan: Arc::clone(&plan) })))
}

impl Filter for Clone {
    fn apply(&mut self, batch: &mut Batch, selected: &Selection) {
        for event in selected.iter() {
            for name in &self.plan.names {
                let Some(made) = copy_of(batch, event) else {
                    self.plan.failures.increment();
                    break;
                };
                match self.plan.kind {
                    None => batch.add_tag(made, name),
                    Some(key) => {
                        let text = Value::Str(batch.push_text(name.as_bytes()));
                        batch.set_root(made, key, text);
                    }
                }
            }
            batch.events[event].missed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{Trial, written};

    #[test]
    fn each_name_is_a_copy_after_the_event() {
        let text =
            "[[filters]]\ntype = \"clone\"\nclones = [\"x\", \"y\"]\nadd_field = { c = 1 }\n";
        let run = |text: &str| {
            let mut trial = Trial::new(text);
            let mut batch = trial.batch(&[r#"{"a":{"b":1}}"#, r#"{"a":2}"#]);
            trial.chain.apply(&mut batch);
            (0..batch.events.len()).map(|event| written(&batch, event)).collect::<Vec<_>>()
        };
        assert_eq!(
            run(text),
            [
                r#"{"a":{"b":1}}"#,
                r#"{"a":{"b":1},"tags":["x"],"c":1}"#,
                r#"{"a":{"b":1},"tags":["y"],"c":1}"#,
                r#"{"a":2}"#,
                r#"{"a":2,"tags":["x"],"c":1}"#,
                r#"{"a":2,"tags":["y"],"c":1}"#
            ]
        );
        let old = run(&format!("{text}ecs_compatibility = \"disabled\"\n"));
        assert_eq!(old[2], r#"{"a":{"b":1},"type":"y","c":1}"#);
    }
}
